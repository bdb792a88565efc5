"""Tianshou's own replay buffer in the place of a learner's memory, for tests that compare with Tianshou."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from tianshou.algorithm.modelfree.a2c import A2C
from tianshou.algorithm.modelfree.ddpg import DDPG
from tianshou.algorithm.modelfree.dqn import DQN
from tianshou.algorithm.modelfree.ppo import PPO
from tianshou.algorithm.modelfree.qrdqn import QRDQN
from tianshou.data import Batch, VectorReplayBuffer
from torch.distributions import Categorical, Distribution, Independent, Normal

from policies.learners.a2c import LeanA2C, SamplingPolicy
from policies.learners.base import Learner
from policies.learners.ddpg import LeanDDPG
from policies.learners.dqn import LeanDQN, LeanQRDQN
from policies.learners.memory import TensorMemory


class StockMemory(VectorReplayBuffer):
    """A ``VectorReplayBuffer`` that takes in and draws what a :class:`TensorMemory` of the same seed does."""

    def __init__(self, length: int, rows: int, seed: int = 0) -> None:
        super().__init__(length * rows, rows)
        self.length, self.rows = length, rows
        self.rng = np.random.Generator(np.random.PCG64(seed))

    def store(self, obs: Any, act: Any, rew: Any, obs_next: Any, truncated: Any, shaping: Any = 0.0) -> None:
        """Append one transition per row; Tianshou learns from rewards as they are."""
        assert not np.any(shaping)
        fields = {"obs": obs, "act": act, "rew": rew, "obs_next": obs_next, "truncated": truncated}
        fields |= {"terminated": np.zeros_like(truncated), "info": Batch()}
        self.add(cast(Any, Batch(fields)))

    def sample_indices(self, batch_size: int | None) -> NDArray[np.int64]:
        """Flat indices (row * length + slot) of the same transitions."""
        if not batch_size:
            return np.asarray(super().sample_indices(batch_size))
        row, slot = np.divmod(self.rng.integers(0, len(self), batch_size), len(self) // self.rows)
        return np.asarray(row * self.length + slot)


class _StockDQN(LeanDQN):
    update, _preprocess_batch, _update_with_batch = DQN.update, DQN._preprocess_batch, DQN._update_with_batch


class _StockQRDQN(LeanQRDQN):
    update, _preprocess_batch, _update_with_batch = QRDQN.update, QRDQN._preprocess_batch, QRDQN._update_with_batch


class _StockDDPG(LeanDDPG):
    update, _preprocess_batch, _update_with_batch = DDPG.update, DDPG._preprocess_batch, DDPG._update_with_batch
    _update_lagged_network_weights = DDPG._update_lagged_network_weights


class _StockA2C(LeanA2C):
    _preprocess_batch, _update_with_batch = A2C._preprocess_batch, A2C._update_with_batch

    def update(self, *args: Any, **options: Any) -> Any:
        """Stock updates draw actions that nobody uses; the next period's must be the same without."""
        before = self.policy.rng.bit_generator.state
        result = A2C.update(self, *args, **options)
        self.policy.rng.bit_generator.state = before
        return result


class _StockPPO(_StockA2C):
    """PPO's own loss, with nothing but the ratio clipped."""

    _preprocess_batch, _update_with_batch = PPO._preprocess_batch, PPO._update_with_batch
    recompute_adv = advantage_normalization = value_clip = False
    dual_clip = None

    @property
    def eps_clip(self) -> float | None:
        return self.clip


class StockSampling(SamplingPolicy):
    """Asked for actions and distributions as Tianshou's Collector and its own update do."""

    def dist_fn(self, output: Any) -> Distribution:
        if isinstance(output, tuple):
            return Independent(Normal(*output, validate_args=False), 1, validate_args=False)
        return Categorical(logits=output, validate_args=False)

    def forward(self, batch: Any, state: Any = None) -> Any:
        actor: Any = self.actor
        output, hidden = actor(batch.obs, state=state, info=batch.info)
        act = torch.as_tensor(actor.sample(batch.obs, self.rng))
        return Batch(logits=output, act=act, state=hidden, dist=self.dist_fn(output))


def stock_policy(learner: Learner) -> Any:
    """The learner's policy, which Tianshou itself can ask."""
    if isinstance(learner.policy, SamplingPolicy):
        del learner.policy.dist_fn
        learner.policy.__class__ = StockSampling
    return learner.policy


STOCK = {LeanDQN: _StockDQN, LeanQRDQN: _StockQRDQN, LeanDDPG: _StockDDPG, LeanA2C: _StockA2C}


def stock(learner: Learner) -> Any:
    """The learner with Tianshou's own update and buffer in place of ours, before it has stored anything."""
    ours: TensorMemory = learner.memory
    clipped = getattr(learner.algorithm, "clip", None) is not None
    learner.algorithm.__class__ = _StockPPO if clipped else STOCK[type(learner.algorithm)]
    stock_policy(learner)
    memory = StockMemory(ours.length, ours.rows)
    memory.rng.bit_generator.state = ours.rng.bit_generator.state
    learner.memory = cast(Any, memory)
    return learner
