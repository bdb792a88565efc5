"""Tianshou's algorithms, trimmed: the same numbers in fewer calls, each with random generators of its own.

``tests/learners/test_learners.py`` compares them with the stock classes. Dimensions: M rows, F observation features, A
components of a box action, B rows of a batch.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from tianshou.algorithm.algorithm_base import TrainingStats, _nstep_return
from tianshou.algorithm.modelfree.a2c import A2C
from tianshou.algorithm.modelfree.ddpg import DDPG
from tianshou.algorithm.modelfree.dqn import DQN
from tianshou.data import Batch, ReplayBuffer
from torch import Tensor, nn

from policies.learners.memory import TensorMemory
from policies.learners.numpy_memory import LockstepBuffer
from policies.learners.optim import FusedAdam
from policies.learners.returns import advantages, replay_targets
from policies.learners.rewards import RewardBaseline
from policies.networks.architecture import Perceptron, ValueCritic


@dataclass(kw_only=True)
class Losses(TrainingStats):
    """Scalars of an update, left on the device until somebody reads them."""

    tensors: dict[str, Tensor] = field(default_factory=dict)

    def get_loss_stats_dict(self) -> dict[str, float]:
        """Name -> value."""
        return {name: float(tensor) for name, tensor in self.tensors.items()}


ValueLoss = Callable[[Tensor, Tensor], Tensor]


def value_loss(options: Any) -> ValueLoss:
    """The mean loss of predicted values (B, ...) against targets that the options ask for, ``loss: mse | huber``."""
    if options.loss == "mse":
        return nn.functional.mse_loss
    return partial(nn.functional.huber_loss, delta=options.huber_delta)


class _Lean:
    """An update without train-mode switching (no dropout, no batch norm here) and without reading losses back.

    ``value_loss`` and ``max_grad_norm`` (the optimisers') are as constructed until :meth:`configure`.
    """

    baseline: RewardBaseline
    value_loss: ValueLoss = staticmethod(nn.functional.mse_loss)
    _optimizers: list[Any]

    def configure(self, options: Any) -> None:
        """Take over what options all algorithms share: the loss of value networks, and gradient clipping."""
        self.value_loss = value_loss(options)
        for optim in self._optimizers:
            optim._max_grad_norm = options.max_grad_norm
            if FusedAdam.suits(optim):
                optim.step = FusedAdam(optim).step

    def _prepared(self, buffer: ReplayBuffer | TensorMemory, sample_size: int) -> Any:
        if not self.policy.is_within_training_step:  # type: ignore[attr-defined]
            raise RuntimeError("update() must be called within policy_within_training_step(policy)")
        if isinstance(buffer, TensorMemory):
            return self._preprocess_batch(Batch(), buffer, buffer.sample_indices(sample_size))  # type: ignore[attr-defined]
        batch, indices = buffer.sample(sample_size)
        return self._preprocess_batch(batch, buffer, indices)  # type: ignore[attr-defined]


class LeanReplay(_Lean):
    """n-step targets that gather only what they need; the arithmetic is Tianshou's own ``_nstep_return``."""

    gamma: float
    periods: int
    _bodies: tuple[Perceptron, Perceptron]  # online and target; in a tuple, so that torch does not register them twice

    @abstractmethod
    def _value(self, obs_next: Tensor) -> Tensor:
        """The target's value (B,), or values (B, Q), of observations (B, F)."""

    def update(self, buffer: ReplayBuffer | TensorMemory, sample_size: int) -> Any:
        """One batch, one gradient step a network."""
        return self._update_with_batch(self._prepared(buffer, sample_size))  # type: ignore[attr-defined]

    def _preprocess_batch(self, batch: Any, buffer: Any, indices: Any) -> Any:
        if isinstance(buffer, TensorMemory):
            return self._on_device(batch, buffer, indices)
        path = [indices]
        for _ in range(self.periods - 1):
            path.append(buffer.next(path[-1]))
        index = np.stack(path)
        last = path[-1]
        tensor = self._bodies[0].tensor
        with torch.no_grad():
            q = self._value(tensor(buffer.obs_next.take(last, axis=0)))
        target = q.cpu().numpy().reshape(len(last), -1) * ~buffer.terminated[last][:, None]
        returns = _nstep_return(
            self.baseline.learned(buffer.rew[index]).ravel(),
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

    @torch.no_grad()
    def _on_device(self, batch: Any, memory: TensorMemory, index: Tensor) -> Any:
        learned: Any = self.baseline.learned
        taken, returns = replay_targets(memory, index, self.periods, self.gamma, learned, self._value)
        count = len(index)
        fields = {
            "obs": taken.seen("obs", count),
            "act": taken["act"][:count],
            "returns": returns.float().view(count, -1),
        }
        batch.__dict__.update(fields)
        return batch


def _ends(buffer: ReplayBuffer, index: NDArray[np.int64]) -> NDArray[np.bool_]:
    if isinstance(buffer, LockstepBuffer):
        return buffer.ends(index)
    return np.asarray(buffer.done[index] | np.isin(index, buffer.unfinished_index()))


class LeanDQN(LeanReplay, DQN[Any]):  # type: ignore[misc]  # sample_size is never None here
    """Tianshou's DQN, the same numbers in fewer calls."""

    def __init__(self, *, baseline: RewardBaseline, **options: Any) -> None:
        super().__init__(**options)
        self.baseline, self.periods = baseline, self.n_step
        target: Any = self.model_old
        self._bodies = self.policy.model.body, target.module.body

    def _value(self, obs_next: Tensor) -> Tensor:
        online, target = self._bodies
        if not self.is_double:
            q: Tensor = target(obs_next)
            return q.amax(dim=1)
        return target.at(obs_next, online(obs_next).argmax(dim=1))

    def _update_with_batch(self, batch: Any) -> Any:
        self._periodically_update_lagged_network_weights()
        q = self._bodies[0].at(batch.obs, batch.act)
        loss = self.value_loss(q, batch.returns.squeeze(1))
        self.optim.step(loss)
        return Losses(tensors={"loss": loss.detach(), "mean_q": q.detach().mean()})


STRAIGHT = 1.5  # tanh is 0.91 there


class LeanDDPG(LeanReplay, DDPG):  # type: ignore[misc]  # sample_size is never None here
    """Tianshou's DDPG, the same numbers (targets' rounding apart) in fewer calls.

    ``saturation`` weighs a penalty on the actor's outputs before tanh, the squared excess of their size over
    :data:`STRAIGHT`: an actor driven to the end of its range early (order nothing, say, while stock has only cost
    money) has no gradient left to come back by. 0 is the algorithm as published.
    """

    def __init__(self, *, baseline: RewardBaseline, saturation: float, **options: Any) -> None:
        super().__init__(**options)
        self.baseline, self.periods = baseline, self.n_step_return_horizon
        self.saturation = saturation
        actor, actor_old, critic_old = cast(Any, (self.policy.actor, self.actor_old, self.critic_old))
        self._bodies = actor.body, actor_old.module.body
        self._critic_old = (critic_old.module,)
        pairs = self._lagged_networks._lagged_network_pairs
        self._targets: list[Tensor] = [p for pair in pairs for p in pair.target.parameters()]
        self._sources: list[Tensor] = [p for pair in pairs for p in pair.source.parameters()]

    def _value(self, obs_next: Tensor) -> Tensor:
        value: Tensor = self._critic_old[0](obs_next, torch.tanh(self._bodies[1](obs_next)))
        return value.squeeze(1)

    @torch.no_grad()
    def _update_lagged_network_weights(self) -> None:
        torch._foreach_lerp_(self._targets, self._sources, self.tau)

    def _update_with_batch(self, batch: Any) -> Any:
        q = self.critic(batch.obs, batch.act)
        critic_loss = self.value_loss(q, batch.returns)
        self.critic_optim.step(critic_loss)
        output = self._bodies[0](batch.obs)
        actor_loss = -self.critic(batch.obs, torch.tanh(output)).mean()
        if self.saturation:
            actor_loss = actor_loss + self.saturation * torch.relu(output.abs() - STRAIGHT).square().mean()
        self.policy_optim.step(actor_loss)
        self._update_lagged_network_weights()
        q = q.detach().mean()
        return Losses(tensors={"critic_loss": critic_loss.detach(), "actor_loss": actor_loss.detach(), "mean_q": q})


class LeanA2C(_Lean, A2C):
    """Tianshou's A2C, its log-densities computed directly; shuffles minibatches by a generator of its own.

    ``saturation`` weighs a penalty on means outside the range of actions, their squared way out: a policy that was
    driven out of it early (order nothing, say) draws only actions that are clipped to the same one, and learns nothing
    any more. 0 is the algorithm as published.
    """

    def __init__(
        self, *, baseline: RewardBaseline, normalize_advantages: bool, saturation: float, **options: Any
    ) -> None:
        super().__init__(**options, max_batchsize=2**31)
        self.saturation = saturation
        self._networks: tuple[Any, ValueCritic] = cast(Any, (self.policy.actor, self.critic))
        self.baseline, self.normalize_advantages = baseline, normalize_advantages

    def update(self, buffer: ReplayBuffer | TensorMemory, batch_size: int | None, repeat: int) -> Any:
        """All that the buffer holds, ``repeat`` times, in minibatches."""
        return self._update_with_batch(self._prepared(buffer, 0), batch_size, repeat)

    def _preprocess_batch(self, batch: Any, buffer: Any, indices: Any) -> Any:
        if isinstance(buffer, TensorMemory):
            return self._on_device(batch, buffer, indices)
        _, critic = self._networks
        tensor = critic.body.tensor
        batch.__dict__.update(obs=tensor(batch.obs), rew=self.baseline.learned(batch.rew))
        with torch.no_grad():
            values = critic(torch.cat((batch.obs, tensor(batch.obs_next)))).cpu().numpy().reshape(2, -1)
        returns, advantage = self.compute_episodic_return(
            batch, buffer, indices, values[1], values[0], self.gamma, self.gae_lambda
        )
        if self.normalize_advantages:
            advantage = (advantage - advantage.mean()) / (advantage.std() + self._eps)
        batch.__dict__.update(returns=tensor(returns), adv=tensor(advantage))
        batch.__dict__["act"] = torch.as_tensor(batch.act, device=batch.obs.device)
        return batch

    @torch.no_grad()
    def _on_device(self, batch: Any, memory: TensorMemory, index: Tensor) -> Any:
        _, critic = self._networks
        taken, learned, shape = memory.take(index), cast(Any, self.baseline.learned), (memory.rows, -1)
        obs = taken.seen("obs")
        value, value_next = critic(torch.cat((obs, taken.seen("obs_next")))).view(2, *shape)
        reward, ends = learned(taken["rew"]).view(shape), taken.ends.view(shape)
        advantage = advantages(reward, value, value_next, ends, self.gamma, self.gae_lambda)
        returns = (advantage + value).flatten()
        if self.normalize_advantages:
            advantage = (advantage - advantage.mean()) / (advantage.std(correction=0) + self._eps)
        fields = {"obs": obs, "act": taken["act"], "returns": returns.float(), "adv": advantage.flatten().float()}
        batch.__dict__.update(fields)
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
        log_p, entropy, outside = actor.evaluate(obs, act)
        actor_loss = -(log_p * advantage).mean() + self.saturation * outside
        critic_loss = self.value_loss(critic(obs).squeeze(1), returns)
        self.optim.step(actor_loss + self.vf_coef * critic_loss - self.ent_coef * entropy)
        named = {"actor_loss": actor_loss, "critic_loss": critic_loss, "entropy": entropy}
        return {name: tensor.detach() for name, tensor in named.items()}
