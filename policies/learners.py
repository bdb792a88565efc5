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
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, Space
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator
from tianshou.algorithm import A2C, DDPG, DQN
from tianshou.algorithm.algorithm_base import TrainingStats, _nstep_return
from tianshou.algorithm.modelfree.ddpg import ContinuousDeterministicPolicy
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy
from tianshou.algorithm.optim import TorchOptimizerFactory
from tianshou.data import Batch, ReplayBuffer
from tianshou.utils.torch_utils import policy_within_training_step
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, Normal

from policies.memory import LockstepBuffer, generator_state, restore_generator
from policies.networks import ActionValueCritic, Actor, Architecture, ValueCritic, build

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

    double: bool = Field(True, description="choose the next action by the online network, value it by the target network")
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

    def add_exploration_noise(self, act: Any, batch: Any) -> Any:
        """Replace each action (M,) by a uniform one with probability epsilon."""
        eps = self.eps_training if self.is_within_training_step else self.eps_inference
        random = self.rng.integers(0, self.action_space.n, len(act))
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
        output, hidden = self.actor(batch.obs, state=state, info=batch.info)
        act = torch.as_tensor(self.actor.sample(batch.obs, self.rng))
        return Batch(logits=output, act=act, state=hidden, dist=self.dist_fn(output))


class _Lean:
    """An ``update`` without train-mode switching (no dropout, no batch norm here) and without reading losses back."""

    baseline: RewardBaseline

    def _update(self, sample_size: int | None, buffer: Any, update_with_batch_fn: Callable[[Any], Any]) -> Any:
        if not self.policy.is_within_training_step:  # type: ignore[attr-defined]
            raise RuntimeError("update() must be called within policy_within_training_step(policy)")
        batch, indices = buffer.sample(sample_size)
        batch = self._preprocess_batch(batch, buffer, indices)  # type: ignore[attr-defined]
        return update_with_batch_fn(batch)


class _LeanReplay(_Lean):
    """n-step targets that gather only what they need; the arithmetic is Tianshou's own ``_nstep_return``."""

    gamma: float
    periods: int

    @abstractmethod
    def _value(self, obs_next: Tensor) -> Tensor:
        """The target's value (B,) of observations (B, F)."""

    def _preprocess_batch(self, batch: Any, buffer: ReplayBuffer, indices: NDArray[np.int64]) -> Any:
        path = [indices]
        for _ in range(self.periods - 1):
            path.append(buffer.next(path[-1]))
        index = np.stack(path)
        last = path[-1]
        tensor = self.policy.actor_body.tensor  # type: ignore[attr-defined]
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
        fields = {"obs": tensor(batch.obs), "act": torch.as_tensor(batch.act, device=q.device), "returns": tensor(returns)}
        batch.__dict__.update(fields)
        return batch


def _ends(buffer: ReplayBuffer, index: NDArray[np.int64]) -> NDArray[np.bool_]:
    if isinstance(buffer, LockstepBuffer):
        return buffer.ends(index)
    return np.asarray(buffer.done[index] | np.isin(index, buffer.unfinished_index()))


class LeanDQN(_LeanReplay, DQN[Any]):
    """Tianshou's DQN, the same numbers in fewer calls."""

    def __init__(self, *, baseline: RewardBaseline, **options: Any) -> None:
        super().__init__(**options)
        self.baseline, self.periods = baseline, self.n_step
        self._online, self._target = self.policy.model.body, self.model_old.module.body  # type: ignore[union-attr]

    def _value(self, obs_next: Tensor) -> Tensor:
        q: Tensor = self._target(obs_next)
        if not self.is_double:
            return q.amax(dim=1)
        best = self._online(obs_next).argmax(dim=1, keepdim=True)
        return q.gather(1, best).squeeze(1)

    def _update_with_batch(self, batch: Any) -> Any:
        self._periodically_update_lagged_network_weights()
        q = self._online(batch.obs).gather(1, batch.act.unsqueeze(1)).squeeze(1)
        loss = nn.functional.mse_loss(q, batch.returns.squeeze(1))
        self.optim.step(loss)
        return Losses(tensors={"loss": loss.detach(), "mean_q": q.detach().mean()})


class LeanDDPG(_LeanReplay, DDPG):
    """Tianshou's DDPG, the same numbers (targets' rounding apart) in fewer calls."""

    def __init__(self, *, baseline: RewardBaseline, **options: Any) -> None:
        super().__init__(**options)
        self.baseline, self.periods = baseline, self.n_step_return_horizon
        pairs = self._lagged_networks._lagged_network_pairs
        self._targets = [p for pair in pairs for p in pair.target.parameters()]
        self._sources = [p for pair in pairs for p in pair.source.parameters()]

    def _value(self, obs_next: Tensor) -> Tensor:
        return self.critic_old.module(obs_next, torch.tanh(self.actor_old.module.body(obs_next))).squeeze(1)  # type: ignore

    @torch.no_grad()
    def _update_lagged_network_weights(self) -> None:
        torch._foreach_lerp_(self._targets, self._sources, self.tau)

    def _update_with_batch(self, batch: Any) -> Any:
        q = self.critic(batch.obs, batch.act)
        critic_loss = nn.functional.mse_loss(q, batch.returns)
        self.critic_optim.step(critic_loss)
        actor_loss = -self.critic(batch.obs, torch.tanh(self.policy.actor.body(batch.obs))).mean()
        self.policy_optim.step(actor_loss)
        self._update_lagged_network_weights()
        q = q.detach().mean()
        return Losses(tensors={"critic_loss": critic_loss.detach(), "actor_loss": actor_loss.detach(), "mean_q": q})
