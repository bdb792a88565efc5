"""Tianshou's policies, each exploring by a random generator of its own. Dimensions: M rows, A components of a box action."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tianshou.algorithm.modelfree.ddpg import ContinuousDeterministicPolicy
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy
from tianshou.data import Batch


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
