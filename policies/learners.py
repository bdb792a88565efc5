"""Learners: Tianshou's algorithms behind four verbs, ``act``, ``remember``, ``learn``, ``progress``.

Glossary, as everywhere in this project:

- *row*: one of the M markets simulated side by side; *period*: one step of it; *transition*: one row's period as one
  seller saw it, (observation, action, reward, next observation, whether the episode was cut there).
- *update*: one call of the algorithm's ``update`` (DQN, DDPG: one batch and one gradient step a network; A2C: one
  segment, ``repeat`` passes in minibatches). *Replay ratio*: transitions drawn for updates per transition stored.
- *segment*: the periods of all rows that A2C learns from at once, and then forgets.
- *fraction*: how much of the run is done, 0 to 1. Every schedule is a function of it and of nothing else.
- *epsilon*: probability of a random action (DQN). *noise*: standard deviation added to actions in [-1, 1] (DDPG).
- *n-step return*: n rewards discounted, then the target network's value. An episode's end is a horizon
  (``truncated``): values bootstrap across it, and it is never ``terminated``.
- *reward baseline*: the running mean reward; subtracting it from every reward leaves the best policy as it is, since
  nothing terminates, and takes the constant mean / (1 - gamma) out of what the networks must learn.

Dimensions: M rows, F observation features, A components of a box action, B rows of a batch, N periods of an n-step
return. Each learner owns its random generators, so the learners of a market do not disturb one another.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, Space
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator
from tianshou.algorithm.algorithm_base import TrainingStats, _nstep_return
from tianshou.algorithm.modelfree.a2c import A2C
from tianshou.algorithm.modelfree.ddpg import DDPG, ContinuousDeterministicPolicy
from tianshou.algorithm.modelfree.dqn import DQN, DiscreteQLearningPolicy
from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy
from tianshou.algorithm.optim import TorchOptimizerFactory
from tianshou.data import Batch, ReplayBuffer
from tianshou.utils.torch_utils import policy_within_training_step
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, Normal

from policies.memory import LockstepBuffer, generator_state, restore_generator
from policies.networks import ActionValueCritic, Actor, Architecture, GaussianActor, Perceptron, ValueCritic, build

# ------------------------------------------------------------------------------------------------------- options


class LearnerOptions(BaseModel):
    """What all learners share."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    hidden: tuple[PositiveInt, ...] = Field((64, 64), description="units of each hidden layer, of every network")
    lr: float = Field(1e-3, gt=0, description="Adam's step size at the start")
    lr_final: float = Field(0.1, ge=0, le=1, description="step size at the end of the run, as a fraction of lr; linear")
    gamma: float = Field(0.98, ge=0, lt=1, description="discount factor per period")
    center_rewards: bool = Field(True, description="subtract the running mean reward from rewards before learning")
    report_every: PositiveInt = Field(16, description="updates between two reports of learn()")


class ReplayOptions(LearnerOptions):
    """What learners with a replay buffer share."""

    n_step: PositiveInt = Field(3, description="periods of real rewards in a return before the target network's value")
    batch_size: PositiveInt = Field(256, description="transitions per update")
    replay_ratio: float = Field(0.5, gt=0, description="transitions drawn per transition stored")
    buffer: PositiveInt = Field(200_000, description="transitions kept, rounded down to whole periods of all rows")
    warm_up: int = Field(5_000, ge=0, description="transitions stored before the first update")

    @model_validator(mode="after")
    def _fits(self) -> ReplayOptions:
        if self.warm_up > self.buffer:
            raise ValueError(f"warm_up {self.warm_up} must not exceed buffer {self.buffer}: updates would never begin")
        if self.batch_size > self.buffer:
            raise ValueError(f"batch_size {self.batch_size} must not exceed buffer {self.buffer}")
        return self


class DQNOptions(ReplayOptions):
    """Deep Q learning on a grid of actions (Mnih et al. 2015)."""

    double: bool = Field(
        True, description="choose the next action by the online network, value it by the target network"
    )
    target_update: PositiveInt = Field(50, description="updates between two copies into the target network")
    epsilon: float = Field(1.0, ge=0, le=1, description="probability of a random action at the start")
    epsilon_final: float = Field(0.02, ge=0, le=1, description="the same from epsilon_fraction of the run on")
    epsilon_fraction: float = Field(0.5, gt=0, le=1, description="fraction of the run over which epsilon falls; linear")

    @model_validator(mode="after")
    def _falls(self) -> DQNOptions:
        if self.epsilon_final > self.epsilon:
            raise ValueError(f"epsilon_final {self.epsilon_final} must not exceed epsilon {self.epsilon}")
        return self


class DDPGOptions(ReplayOptions):
    """Deep deterministic policy gradient on a box of actions (Lillicrap et al. 2016)."""

    n_step: PositiveInt = Field(
        1, description="as DQN's; each further period brings the noise's own losses into returns"
    )
    critic_lr: float = Field(1e-3, gt=0, description="the critic's step size at the start; lr is the actor's")
    tau: float = Field(0.02, gt=0, le=1, description="fraction of the way that target networks move per update")
    noise: float = Field(0.4, ge=0, description="sd of the noise at the start; actions lie in [-1, 1]")
    noise_final: float = Field(0.05, ge=0, description="the same at noise_fraction of the run and after")
    noise_fraction: float = Field(0.7, gt=0, le=1, description="fraction of the run over which the noise falls; linear")

    @model_validator(mode="after")
    def _falls(self) -> DDPGOptions:
        if self.noise_final > self.noise:
            raise ValueError(f"noise_final {self.noise_final} must not exceed noise {self.noise}")
        return self


class A2COptions(LearnerOptions):
    """Advantage actor-critic (Mnih et al. 2016): a Gaussian head on a box, a categorical one on a grid."""

    segment: PositiveInt = Field(10, description="periods of all rows per update")
    gae_lambda: float = Field(0.95, ge=0, le=1, description="weight of longer returns in the advantage")
    entropy: float = Field(0.005, ge=0, description="weight of the entropy bonus at the start, per nat")
    entropy_final: float = Field(0.0, ge=0, description="the same at the end of the run; linear")
    value: float = Field(0.5, gt=0, description="weight of the critic's squared error")
    max_grad_norm: float | None = Field(0.5, gt=0, description="L2 norm that gradients are clipped to; null: never")
    repeat: PositiveInt = Field(1, description="passes over a segment")
    batch_size: PositiveInt | None = Field(512, description="transitions per gradient step; null: the whole segment")
    scale_returns: bool = Field(False, description="divide the critic's returns by their running standard deviation")
    normalize_advantages: bool = Field(True, description="give a segment's advantages mean 0 and standard deviation 1")
    initial_sd: float = Field(0.5, gt=0, description="sd of a Gaussian head at the start; actions lie in [-1, 1]")

    @model_validator(mode="after")
    def _falls(self) -> A2COptions:
        if self.entropy_final > self.entropy:
            raise ValueError(f"entropy_final {self.entropy_final} must not exceed entropy {self.entropy}")
        return self


# ------------------------------------------------------------------------------------- Tianshou's classes, trimmed


@dataclass(kw_only=True)
class Losses(TrainingStats):
    """Scalars of an update, left on the device until somebody reads them."""

    tensors: dict[str, Tensor] = field(default_factory=dict)

    def get_loss_stats_dict(self) -> dict[str, float]:
        """Name -> value."""
        return {name: float(tensor) for name, tensor in self.tensors.items()}


class RewardBaseline:
    """The exponentially forgetting mean of rewards, ``horizon`` transitions long; the plain mean until then."""

    def __init__(self, on: bool, horizon: int = 200_000) -> None:
        self.on, self.horizon = on, horizon
        self.mean, self.count = 0.0, 0

    def see(self, reward: NDArray[np.floating]) -> None:
        """Take in one period's rewards (M,)."""
        if self.on:
            self.count = min(self.count + len(reward), self.horizon)
            self.mean += (float(reward.mean()) - self.mean) * len(reward) / self.count


class EpsilonGreedyPolicy(DiscreteQLearningPolicy[Any]):
    """Tianshou's, with a random generator of its own in place of numpy's global one."""

    def __init__(self, *, rng: np.random.Generator, **options: Any) -> None:
        super().__init__(**options)
        self.rng = rng
        self.actions = int(self.action_space.n)  # type: ignore[attr-defined]

    def add_exploration_noise(self, act: Any, batch: Any) -> Any:
        """Replace each action (M,) by a uniform one with probability epsilon."""
        eps = self.eps_training if self.is_within_training_step else self.eps_inference
        random = self.rng.integers(0, self.actions, len(act))
        return np.where(self.rng.random(len(act)) < eps, random, act)


class NoisyPolicy(ContinuousDeterministicPolicy):
    """Tianshou's, with Gaussian noise from a generator of its own; actions stay in [-1, 1], as they are carried out."""

    def __init__(self, *, rng: np.random.Generator, **options: Any) -> None:
        super().__init__(**options, action_scaling=False, action_bound_method=None)
        self.rng, self.noise = rng, 0.0

    def add_exploration_noise(self, act: Any, batch: Any) -> Any:
        """Actions (M, A) plus noise, clipped."""
        return np.clip(act + np.float32(self.noise) * self.rng.standard_normal(act.shape, np.float32), -1.0, 1.0)


class SamplingPolicy(ProbabilisticActorPolicy):
    """Tianshou's, drawing actions from a random generator of its own in place of torch's global one."""

    def __init__(self, *, rng: np.random.Generator, **options: Any) -> None:
        super().__init__(**options, action_scaling=False, action_bound_method=None)
        self.rng = rng

    def forward(self, batch: Any, state: Any = None) -> Any:
        """Actions for a batch of observations, as Tianshou's Collector asks for them."""
        actor: Any = self.actor
        output, hidden = actor(batch.obs, state=state, info=batch.info)
        act = torch.as_tensor(actor.sample(batch.obs, self.rng))
        return Batch(logits=output, act=act, state=hidden, dist=self.dist_fn(output))


class _Lean:
    """An update without train-mode switching (no dropout, no batch norm here) and without reading losses back."""

    baseline: RewardBaseline

    def _prepared(self, buffer: ReplayBuffer, sample_size: int) -> Any:
        if not self.policy.is_within_training_step:  # type: ignore[attr-defined]
            raise RuntimeError("update() must be called within policy_within_training_step(policy)")
        batch, indices = buffer.sample(sample_size)
        return self._preprocess_batch(batch, buffer, indices)  # type: ignore[attr-defined]


class _LeanReplay(_Lean):
    """n-step targets that gather only what they need; the arithmetic is Tianshou's own ``_nstep_return``."""

    gamma: float
    periods: int
    _bodies: tuple[Perceptron, Perceptron]  # online and target; in a tuple, so that torch does not register them twice

    @abstractmethod
    def _value(self, obs_next: Tensor) -> Tensor:
        """The target's value (B,) of observations (B, F)."""

    def update(self, buffer: ReplayBuffer, sample_size: int) -> Any:
        """One batch, one gradient step a network."""
        return self._update_with_batch(self._prepared(buffer, sample_size))  # type: ignore[attr-defined]

    def _preprocess_batch(self, batch: Any, buffer: ReplayBuffer, indices: NDArray[np.int64]) -> Any:
        path = [indices]
        for _ in range(self.periods - 1):
            path.append(buffer.next(path[-1]))
        index = np.stack(path)
        last = path[-1]
        tensor = self._bodies[0].tensor
        with torch.no_grad():
            q = self._value(tensor(buffer.obs_next.take(last, axis=0)))
        target = q.cpu().numpy().reshape(-1, 1) * ~buffer.terminated[last][:, None]
        returns = _nstep_return(
            (buffer.rew[index] - self.baseline.mean).ravel(),
            _ends(buffer, index.ravel()),
            target,
            np.arange(index.size).reshape(index.shape),
            self.gamma,
            self.periods,
        )
        fields = {
            "obs": tensor(batch.obs),
            "act": torch.as_tensor(batch.act, device=q.device),
            "returns": tensor(returns),
        }
        batch.__dict__.update(fields)
        return batch


def _ends(buffer: ReplayBuffer, index: NDArray[np.int64]) -> NDArray[np.bool_]:
    if isinstance(buffer, LockstepBuffer):
        return buffer.ends(index)
    return np.asarray(buffer.done[index] | np.isin(index, buffer.unfinished_index()))


class LeanDQN(_LeanReplay, DQN[Any]):  # type: ignore[misc]  # sample_size is never None here
    """Tianshou's DQN, the same numbers in fewer calls."""

    def __init__(self, *, baseline: RewardBaseline, **options: Any) -> None:
        super().__init__(**options)
        self.baseline, self.periods = baseline, self.n_step
        target: Any = self.model_old
        self._bodies = self.policy.model.body, target.module.body

    def _value(self, obs_next: Tensor) -> Tensor:
        online, target = self._bodies
        q: Tensor = target(obs_next)
        if not self.is_double:
            return q.amax(dim=1)
        best = online(obs_next).argmax(dim=1, keepdim=True)
        return q.gather(1, best).squeeze(1)

    def _update_with_batch(self, batch: Any) -> Any:
        self._periodically_update_lagged_network_weights()
        q = self._bodies[0](batch.obs).gather(1, batch.act.unsqueeze(1)).squeeze(1)
        loss = nn.functional.mse_loss(q, batch.returns.squeeze(1))
        self.optim.step(loss)
        return Losses(tensors={"loss": loss.detach(), "mean_q": q.detach().mean()})


class LeanDDPG(_LeanReplay, DDPG):  # type: ignore[misc]  # sample_size is never None here
    """Tianshou's DDPG, the same numbers (targets' rounding apart) in fewer calls."""

    def __init__(self, *, baseline: RewardBaseline, **options: Any) -> None:
        super().__init__(**options)
        self.baseline, self.periods = baseline, self.n_step_return_horizon
        actor, actor_old, critic_old = cast(Any, (self.policy.actor, self.actor_old, self.critic_old))
        self._bodies = actor.body, actor_old.module.body
        self._critic_old = (critic_old.module,)
        pairs = self._lagged_networks._lagged_network_pairs
        self._targets: list[Tensor] = [p for pair in pairs for p in pair.target.parameters()]
        self._sources: list[Tensor] = [p for pair in pairs for p in pair.source.parameters()]
        self._actor_weights = list(actor.parameters())

    def _value(self, obs_next: Tensor) -> Tensor:
        value: Tensor = self._critic_old[0](obs_next, torch.tanh(self._bodies[1](obs_next)))
        return value.squeeze(1)

    @torch.no_grad()
    def _update_lagged_network_weights(self) -> None:
        torch._foreach_lerp_(self._targets, self._sources, self.tau)

    def _update_with_batch(self, batch: Any) -> Any:
        q = self.critic(batch.obs, batch.act)
        critic_loss = nn.functional.mse_loss(q, batch.returns)
        self.critic_optim.step(critic_loss)
        actor_loss = -self.critic(batch.obs, torch.tanh(self._bodies[0](batch.obs))).mean()
        # as policy_optim.step(), but without gradients for the critic's weights, which nobody uses
        self.policy_optim._optim.zero_grad()
        actor_loss.backward(inputs=self._actor_weights)
        self.policy_optim._optim.step()
        self._update_lagged_network_weights()
        q = q.detach().mean()
        return Losses(tensors={"critic_loss": critic_loss.detach(), "actor_loss": actor_loss.detach(), "mean_q": q})


class LeanA2C(_Lean, A2C):
    """Tianshou's A2C, its log-densities computed directly; shuffles minibatches by a generator of its own."""

    def __init__(self, *, baseline: RewardBaseline, normalize_advantages: bool, **options: Any) -> None:
        super().__init__(**options, max_batchsize=2**31)
        self._networks: tuple[Any, ValueCritic] = cast(Any, (self.policy.actor, self.critic))
        self.baseline, self.normalize_advantages = baseline, normalize_advantages

    def update(self, buffer: ReplayBuffer, batch_size: int | None, repeat: int) -> Any:
        """All that the buffer holds, ``repeat`` times, in minibatches."""
        return self._update_with_batch(self._prepared(buffer, 0), batch_size, repeat)

    def _preprocess_batch(self, batch: Any, buffer: ReplayBuffer, indices: NDArray[np.int64]) -> Any:
        _, critic = self._networks
        tensor = critic.body.tensor
        batch.__dict__.update(obs=tensor(batch.obs), rew=batch.rew - self.baseline.mean)
        with torch.no_grad():
            values = critic(torch.cat((batch.obs, tensor(batch.obs_next)))).cpu().numpy().reshape(2, -1)
        scale = math.sqrt(self.ret_rms.var + self._eps) if self.return_scaling else 1.0
        returns, advantage = self.compute_episodic_return(
            batch, buffer, indices, values[1] * scale, values[0] * scale, self.gamma, self.gae_lambda
        )
        if self.return_scaling:
            self.ret_rms.update(returns)
        if self.normalize_advantages:
            advantage = (advantage - advantage.mean()) / (advantage.std() + self._eps)
        batch.__dict__.update(returns=tensor(returns / scale), adv=tensor(advantage))
        batch.__dict__["act"] = torch.as_tensor(batch.act, device=batch.obs.device)
        return batch

    def _update_with_batch(self, batch: Any, batch_size: int | None, repeat: int) -> Any:
        policy: Any = self.policy
        data = (batch.obs, batch.act, batch.adv, batch.returns)
        count, size = len(batch.obs), min(batch_size or len(batch.obs), len(batch.obs))
        for _ in range(repeat):
            if size == count:
                losses = self._step(*data)
                continue
            order = torch.as_tensor(policy.rng.permutation(count), device=batch.obs.device)
            for part in order.split(size):  # type: ignore[no-untyped-call]
                losses = self._step(*(array[part] for array in data))
        return Losses(tensors=losses)

    def _step(self, obs: Tensor, act: Tensor, advantage: Tensor, returns: Tensor) -> dict[str, Tensor]:
        actor, critic = self._networks
        log_p, entropy = actor.evaluate(obs, act)
        actor_loss = -(log_p * advantage).mean()
        critic_loss = nn.functional.mse_loss(critic(obs).squeeze(1), returns)
        self.optim.step(actor_loss + self.vf_coef * critic_loss - self.ent_coef * entropy)
        named = {"actor_loss": actor_loss, "critic_loss": critic_loss, "entropy": entropy}
        return {name: tensor.detach() for name, tensor in named.items()}


# -------------------------------------------------------------------------------------------------------- learners


@dataclass(frozen=True)
class Setup:
    """What a builder is given."""

    options: Any
    observation: int
    action_space: Box | Discrete
    rows: int
    device: torch.device
    rng: np.random.Generator  # for exploration
    memory_seed: int
    buffer: ReplayBuffer | None


class Learner(ABC):
    """One seat's learner in M rows. Built by :func:`build_learner`."""

    algorithm: Any
    memory: ReplayBuffer

    def __init__(self, setup: Setup, algorithm: Any, network: Actor, baseline: RewardBaseline, length: int) -> None:
        self.options, self.rows = setup.options, setup.rows
        self.algorithm, self.policy, self.baseline = algorithm, algorithm.policy, baseline
        self.network: Actor = network
        self.memory = setup.buffer if setup.buffer is not None else _memory(setup, length)
        self.stored, self.updates, self.fraction = 0, 0, 0.0
        self._losses: Losses | None = None
        self._groups = [(group, group["lr"]) for group in self._param_groups()]
        self.progress(0.0)

    def _param_groups(self) -> list[dict[str, Any]]:
        return [group for optim in self.algorithm._optimizers for group in optim._optim.param_groups]

    @property
    def architecture(self) -> Architecture:
        """What a saved seller needs beside ``network.state_dict()``."""
        return self.network.architecture

    @abstractmethod
    def act(self, obs: NDArray[np.float32], explore: bool = True) -> NDArray[Any]:
        """Actions for observations (M, F), as they are to be remembered: int64 (M,), or float32 (M, A).

        A Gaussian head's actions may lie outside [-1, 1]: clip them where they are carried out.
        """

    @abstractmethod
    def _learn(self) -> bool:
        """Run the updates that are due; whether there were any."""

    def remember(
        self,
        obs: NDArray[np.float32],
        action: NDArray[Any],
        reward: NDArray[np.floating],
        obs_next: NDArray[np.float32],
        truncated: NDArray[np.bool_],
    ) -> None:
        """Store one period: obs, obs_next (M, F), action as :meth:`act` gave it, reward (M,), truncated (M,)."""
        if isinstance(self.memory, LockstepBuffer):
            self.memory.store(obs, action, reward, obs_next, truncated)
        else:
            never = np.zeros_like(truncated)
            fields = {"obs": obs, "act": action, "rew": reward, "obs_next": obs_next, "truncated": truncated}
            self.memory.add(cast(Any, Batch(fields | {"terminated": never, "info": Batch()})))
        self.baseline.see(reward)
        self.stored += self.rows

    def learn(self) -> dict[str, float] | None:
        """Run the updates that are due; every ``report_every``-th of them also returns :meth:`scalars`."""
        before = self.updates
        if not self._learn() or self.updates // self.options.report_every == before // self.options.report_every:
            return None
        return self.scalars()

    def progress(self, fraction: float) -> None:
        """Set step sizes and exploration to where the run is, ``fraction`` from 0 to 1 (clamped)."""
        self.fraction = min(max(fraction, 0.0), 1.0)
        factor = _linear(1.0, self.options.lr_final, self.fraction)
        for group, lr in self._groups:
            group["lr"] = lr * factor
        self._explore_at(self.fraction)

    @abstractmethod
    def _explore_at(self, fraction: float) -> None:
        """Set what the learner explores with."""

    def scalars(self) -> dict[str, float]:
        """The last update's losses, and where the schedules stand."""
        losses = self._losses.get_loss_stats_dict() if self._losses else {}
        standing = {"learning_rate": self._groups[0][0]["lr"], "updates": float(self.updates)}
        return losses | standing | {"reward_baseline": self.baseline.mean} | self._exploration()

    @abstractmethod
    def _exploration(self) -> dict[str, float]:
        """What the learner explores with, by name."""

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on exactly: tensors and plain values only, so it loads without pickle."""
        if not isinstance(self.memory, LockstepBuffer):
            raise TypeError(f"only a LockstepBuffer can be saved, not {type(self.memory).__name__}")
        state = {
            "algorithm": copy.deepcopy(self.algorithm.state_dict()),
            "memory": _to_tensors(self.memory.state_dict()),
            "generator": _to_tensors({"rng": generator_state(self.policy.rng)})["rng"],
            "counters": {"stored": self.stored, "updates": self.updates, "fraction": self.fraction},
            "baseline": {"mean": self.baseline.mean, "count": self.baseline.count},
        }
        return state | {"own": self._own_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where :meth:`state_dict` was taken, in a learner built with the same arguments."""
        if not isinstance(self.memory, LockstepBuffer):
            raise TypeError(f"only a LockstepBuffer can be loaded, not {type(self.memory).__name__}")
        # Tianshou's load_state_dict pops the optimisers from what it is given, and torch's keep what they are given
        self.algorithm.load_state_dict(copy.deepcopy(state["algorithm"]))
        self._groups = [(group, lr) for group, (_, lr) in zip(self._param_groups(), self._groups, strict=True)]
        self.memory.load_state_dict(_to_arrays(state["memory"]))
        restore_generator(self.policy.rng, _to_arrays({"rng": state["generator"]})["rng"])
        self.stored, self.updates = state["counters"]["stored"], state["counters"]["updates"]
        self.baseline.mean, self.baseline.count = state["baseline"]["mean"], state["baseline"]["count"]
        self._load_own(state["own"])
        self.progress(state["counters"]["fraction"])

    @abstractmethod
    def _own_state(self) -> dict[str, float]:
        """Counters of the algorithm that its own ``state_dict()`` leaves out."""

    @abstractmethod
    def _load_own(self, state: dict[str, float]) -> None:
        """Take back :meth:`_own_state`."""


class ReplayLearner(Learner):
    """A learner with a replay buffer: one update per ``batch_size / replay_ratio`` transitions after the warm-up."""

    def act(self, obs: NDArray[np.float32], explore: bool = True) -> NDArray[Any]:
        with torch.no_grad():
            action: NDArray[Any] = self.network.greedy(self.network.body.tensor(obs)).cpu().numpy()
        if not explore:
            return action
        with policy_within_training_step(self.policy):
            return np.asarray(self.policy.add_exploration_noise(action, None))

    def _learn(self) -> bool:
        options = self.options
        after = max(self.stored - options.warm_up, 0)
        due = int(after * options.replay_ratio / options.batch_size) - self.updates
        with policy_within_training_step(self.policy):
            for _ in range(due):
                self._losses = self.algorithm.update(self.memory, sample_size=options.batch_size)
        self.updates += due
        return due > 0


class DQNLearner(ReplayLearner):
    """Epsilon-greedy on a grid."""

    def _explore_at(self, fraction: float) -> None:
        o = self.options
        self.policy.eps_training = _linear(o.epsilon, o.epsilon_final, min(fraction / o.epsilon_fraction, 1.0))

    def _exploration(self) -> dict[str, float]:
        return {"epsilon": self.policy.eps_training}

    def _own_state(self) -> dict[str, float]:
        return {"iteration": self.algorithm._iter}

    def _load_own(self, state: dict[str, float]) -> None:
        self.algorithm._iter = state["iteration"]


class DDPGLearner(ReplayLearner):
    """Gaussian noise on a box."""

    def _explore_at(self, fraction: float) -> None:
        o = self.options
        self.policy.noise = _linear(o.noise, o.noise_final, min(fraction / o.noise_fraction, 1.0))

    def _exploration(self) -> dict[str, float]:
        return {"noise": self.policy.noise}

    def _own_state(self) -> dict[str, float]:
        return {}

    def _load_own(self, state: dict[str, float]) -> None:
        """Tianshou's own state holds all."""


class A2CLearner(Learner):
    """Draws from its own distribution, learns from each segment once it is full, then forgets it."""

    def act(self, obs: NDArray[np.float32], explore: bool = True) -> NDArray[Any]:
        network: Any = self.network
        with torch.no_grad():
            if explore:
                return np.asarray(network.sample(obs, self.policy.rng))
            return np.asarray(network.greedy(network.body.tensor(obs)).cpu().numpy())

    def _learn(self) -> bool:
        if len(self.memory) < self.options.segment * self.rows:
            return False
        with policy_within_training_step(self.policy):
            self._losses = self.algorithm.update(self.memory, self.options.batch_size, self.options.repeat)
        self.memory.reset(keep_statistics=True)
        self.updates += 1
        return True

    def _explore_at(self, fraction: float) -> None:
        self.algorithm.ent_coef = _linear(self.options.entropy, self.options.entropy_final, fraction)

    def _exploration(self) -> dict[str, float]:
        return {"entropy_weight": self.algorithm.ent_coef}

    def _own_state(self) -> dict[str, float]:
        scale = self.algorithm.ret_rms
        return {"mean": float(scale.mean), "var": float(scale.var), "count": scale.count}

    def _load_own(self, state: dict[str, float]) -> None:
        scale = self.algorithm.ret_rms
        scale.mean, scale.var, scale.count = state["mean"], state["var"], state["count"]


# -------------------------------------------------------------------------------------------------------- builders


def _build_dqn(setup: Setup) -> Learner:
    o = setup.options
    _need(isinstance(setup.action_space, Discrete), f"dqn needs a grid of actions, this seat has {setup.action_space}")
    network = _actor("q", setup)
    policy = EpsilonGreedyPolicy(rng=setup.rng, model=network, action_space=setup.action_space)
    baseline = RewardBaseline(o.center_rewards)
    algorithm = LeanDQN(
        policy=policy,
        optim=_adam(o.lr),
        gamma=o.gamma,
        n_step_return_horizon=o.n_step,
        target_update_freq=o.target_update,
        is_double=o.double,
        baseline=baseline,
    )
    return DQNLearner(setup, algorithm, network, baseline, _replay_length(setup))


def _build_ddpg(setup: Setup) -> Learner:
    o = setup.options
    _need(isinstance(setup.action_space, Box), f"ddpg needs a box of actions, this seat has {setup.action_space}")
    network = _actor("deterministic", setup)
    policy = NoisyPolicy(rng=setup.rng, actor=network, action_space=setup.action_space)
    baseline = RewardBaseline(o.center_rewards)
    algorithm = LeanDDPG(
        policy=policy,
        policy_optim=_adam(o.lr),
        critic=ActionValueCritic(setup.observation, network.architecture.actions, o.hidden).to(setup.device),
        critic_optim=_adam(o.critic_lr),
        tau=o.tau,
        gamma=o.gamma,
        n_step_return_horizon=o.n_step,
        baseline=baseline,
    )
    return DDPGLearner(setup, algorithm, network, baseline, _replay_length(setup))


def _build_a2c(setup: Setup) -> Learner:
    o = setup.options
    _need(
        o.batch_size is None or o.batch_size <= o.segment * setup.rows,
        f"a2c's batch_size {o.batch_size} must not exceed a segment: {o.segment} periods x {setup.rows} rows",
    )
    network = _actor("gaussian" if isinstance(setup.action_space, Box) else "categorical", setup)
    if isinstance(network, GaussianActor):
        nn.init.constant_(network.log_sd, math.log(o.initial_sd))
    dist: Callable[..., Distribution] = _gaussian if isinstance(setup.action_space, Box) else _categorical
    policy = SamplingPolicy(rng=setup.rng, actor=network, dist_fn=dist, action_space=setup.action_space)
    baseline = RewardBaseline(o.center_rewards)
    algorithm = LeanA2C(
        policy=policy,
        critic=ValueCritic(setup.observation, o.hidden).to(setup.device),
        optim=_adam(o.lr),
        vf_coef=o.value,
        max_grad_norm=o.max_grad_norm,
        gae_lambda=o.gae_lambda,
        gamma=o.gamma,
        return_scaling=o.scale_returns,
        normalize_advantages=o.normalize_advantages,
        baseline=baseline,
    )
    return A2CLearner(setup, algorithm, network, baseline, o.segment)


class Builder(NamedTuple):
    """One entry of the table: what options an algorithm takes, how a learner is made from them, and which encodings
    of decisions it can use (the first where the seat asks for another)."""

    options: type[LearnerOptions]
    build: Callable[[Setup], Learner]
    encodings: tuple[str, ...]


BUILDERS: dict[str, Builder] = {
    "dqn": Builder(DQNOptions, _build_dqn, ("grid",)),
    "a2c": Builder(A2COptions, _build_a2c, ("box", "grid")),
    "ddpg": Builder(DDPGOptions, _build_ddpg, ("box",)),
}


def build_learner(
    name: str,
    options: BaseModel,
    *,
    observation_space: Space[Any],
    action_space: Space[Any],
    rows: int,
    device: str = "cpu",
    seed: int = 0,
    buffer: ReplayBuffer | None = None,
) -> Learner:
    """Make a learner for one seat.

    Args:
        name: a key of :data:`BUILDERS`.
        options: of that entry's options model.
        observation_space: Box (F,).
        action_space: Discrete(K), or Box(-1, 1, (A,)).
        rows: M.
        device: where networks live and updates run.
        seed: of the networks' first weights, of exploration and of sampling; torch's global generator is untouched.
        buffer: a buffer to use in place of the learner's own, with room for M rows.
    """
    _need(name in BUILDERS, f"unknown learner {name!r}: must be one of {', '.join(BUILDERS)}")
    expected = BUILDERS[name].options
    _need(isinstance(options, expected), f"{name} takes {expected.__name__}, not {type(options).__name__}")
    _check_spaces(observation_space, action_space)
    init, explore, memory = (int(s) for s in np.random.SeedSequence(seed).generate_state(3, np.uint64))
    setup = Setup(
        options=options,
        observation=observation_space.shape[0],  # type: ignore[index]
        action_space=action_space,  # type: ignore[arg-type]
        rows=rows,
        device=torch.device(device),
        rng=np.random.Generator(np.random.PCG64(explore)),
        memory_seed=memory,
        buffer=buffer,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(init >> 1)
        return BUILDERS[name].build(setup)


def _need(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _check_spaces(observations: Space[Any], actions: Space[Any]) -> None:
    flat = isinstance(observations, Box) and len(observations.shape) == 1
    _need(flat, f"observations must be a Box of one dimension, not {observations}")
    if isinstance(actions, Box):
        fits = len(actions.shape) == 1 and bool((actions.low == -1).all() and (actions.high == 1).all())
        _need(fits, f"a box of actions must be Box(-1, 1, (A,)), not {actions}")
    else:
        _need(isinstance(actions, Discrete) and actions.start == 0, f"actions must be Discrete from 0, not {actions}")


def _actor(kind: str, setup: Setup) -> Actor:
    space = setup.action_space
    actions = int(space.n) if isinstance(space, Discrete) else space.shape[0]
    hidden = setup.options.hidden
    return build(Architecture(kind=kind, observation=setup.observation, actions=actions, hidden=hidden)).to(
        setup.device
    )


def _memory(setup: Setup, length: int) -> LockstepBuffer:
    discrete = isinstance(setup.action_space, Discrete)
    shape, kind = ((), np.int64) if discrete else (setup.action_space.shape, np.float32)
    return LockstepBuffer(length, setup.rows, setup.observation, shape, kind, setup.memory_seed)  # type: ignore[arg-type]


def _replay_length(setup: Setup) -> int:
    o = setup.options
    length = int(o.buffer // setup.rows)
    message = f"a buffer of {o.buffer} keeps {length} periods of {setup.rows} rows: must be more than n_step {o.n_step}"
    _need(length > o.n_step, message)
    return length


def _adam(lr: float) -> TorchOptimizerFactory:
    return TorchOptimizerFactory(torch.optim.Adam, lr=lr, fused=True)


def _gaussian(output: tuple[Tensor, Tensor]) -> Distribution:
    return Independent(Normal(*output, validate_args=False), 1, validate_args=False)


def _categorical(logits: Tensor) -> Distribution:
    return Categorical(logits=logits, validate_args=False)


def _linear(start: float, final: float, fraction: float) -> float:
    return start + (final - start) * fraction


def _to_tensors(arrays: dict[str, NDArray[Any]]) -> dict[str, Tensor]:
    return {k: torch.from_numpy(a.view(np.int64) if a.dtype == np.uint64 else a) for k, a in arrays.items()}


def _to_arrays(tensors: dict[str, Tensor]) -> dict[str, NDArray[Any]]:
    arrays = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
    return {k: a.view(np.uint64) if k in ("generator", "rng") else a for k, a in arrays.items()}
