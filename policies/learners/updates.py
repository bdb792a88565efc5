"""What the trimmed algorithms share: how an update is prepared, n-step returns, advantages, the loss of values.

``dqn``, ``ddpg`` and ``a2c`` each subclass Tianshou's algorithm and write its ``update`` anew, so that everything else
(networks, optimisers, target networks, saved state) is Tianshou's own. The arithmetic of returns and advantages is that
of Tianshou's ``_nstep_return`` and ``_gae``, operation by operation, in 64 bits; ``tests/learners/test_learners.py`` compares
the trimmed algorithms with the stock ones.

Dimensions: M rows, F observation features, B rows of a batch, N periods of an n-step return, L periods of a segment.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from tianshou.algorithm.algorithm_base import TrainingStats
from torch import Tensor, nn

from policies.learners.memory import TensorMemory
from policies.learners.optim import FusedAdam
from policies.learners.rewards import RewardBaseline
from policies.networks.perceptrons import Perceptron


class LeanPolicy:
    """A policy that compiles nothing: Tianshou's would compile loops, seconds in every process, that ``update`` does without."""

    @staticmethod
    def _compile() -> None:
        pass


@dataclass(kw_only=True)
class Losses(TrainingStats):
    """Scalars of an update, left on the device until somebody reads them."""

    tensors: dict[str, Tensor] = field(default_factory=dict)

    def get_loss_stats_dict(self) -> dict[str, float]:
        """Name -> value."""
        return {name: float(tensor) for name, tensor in self.tensors.items()}


@dataclass
class Minibatch:
    """What an update learns from: obs (B, F), act (B, ...), returns (B,) or (B, Q), advantages (B,) of an actor-critic."""

    obs: Tensor
    act: Tensor
    returns: Tensor
    adv: Any = None


ValueLoss = Callable[[Tensor, Tensor], Tensor]


def value_loss(options: Any) -> ValueLoss:
    """The mean loss of predicted values (B, ...) against targets that the options ask for, ``loss: mse | huber``."""
    if options.loss == "mse":
        return nn.functional.mse_loss
    return partial(nn.functional.huber_loss, delta=options.huber_delta)


class Lean:
    """An update without train-mode switching (no dropout, no batch norm here) and without reading losses back.

    ``value_loss`` and ``max_grad_norm`` (the optimisers') are as constructed until :meth:`configure`.
    """

    policy: Any
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

    def _within_step(self) -> None:
        if not self.policy.is_within_training_step:
            raise RuntimeError("update() must be called within policy_within_training_step(policy)")


class LeanReplay(Lean):
    """n-step returns that gather only what they need."""

    gamma: float
    periods: int
    _bodies: tuple[Perceptron, Perceptron]  # online and target; in a tuple, so that torch does not register them twice
    _update_with_batch: Any

    @abstractmethod
    def _value(self, obs_next: Tensor) -> Tensor:
        """The target's value (B,), or values (B, Q), of observations (B, F)."""

    def update(self, buffer: TensorMemory, sample_size: int) -> Any:
        """One batch, one gradient step a network."""
        self._within_step()
        return self._update_with_batch(self.drawn(buffer, sample_size))

    @torch.no_grad()
    def drawn(self, memory: TensorMemory, sample_size: int) -> Minibatch:
        """Transitions drawn from the memory, and their n-step returns."""
        index, periods = memory.sample_indices(sample_size), self.periods
        along = memory.following(index, periods)
        taken = memory.take(along.flatten())
        ends = taken.ends.view(periods, -1)
        last = taken
        if periods > 1:
            reached = (~ends[:-1]).cumprod(0).sum(0, keepdim=True)
            last = memory.take(along.gather(0, reached).flatten())
        rewards = self.baseline.learned(taken["rew"], taken["shaping"]).view(periods, -1)
        returns = n_step_return(rewards, ends, self._value(last.seen("obs_next")), self.gamma)
        count = len(index)
        return Minibatch(taken.seen("obs", count), taken["act"][:count], returns.float().view(count, -1))


def n_step_return(reward: Tensor, ends: Tensor, value: Tensor, gamma: float) -> Tensor:
    """Rewards (N, B) discounted until the first period that ends, and from there on ``value`` (B,) or (B, Q), as is returned."""
    returns, discount = torch.zeros_like(reward[0]), torch.ones_like(reward[0])
    for n in range(len(reward) - 1, -1, -1):
        returns = reward[n] + gamma * returns.masked_fill(ends[n], 0.0)
        discount = gamma * discount.masked_fill(ends[n], 1.0)
    shape = (-1, *[1] * (value.ndim - 1))
    return value.double() * discount.view(shape) + returns.view(shape)


def advantages(
    reward: Tensor, value: Tensor, value_next: Tensor, ends: Tensor, gamma: float, gae_lambda: float
) -> Tensor:
    """Generalised advantages (M, L) of consecutive periods (Schulman et al. 2016, equation 16); all arguments (M, L)."""
    delta = reward + value_next.double() * gamma - value
    discount = (~ends).double() * (gamma * gae_lambda)
    found, running = torch.empty_like(delta), torch.zeros_like(delta[:, 0])
    for t in range(delta.shape[1] - 1, -1, -1):
        running = delta[:, t] + discount[:, t] * running
        found[:, t] = running
    return found
