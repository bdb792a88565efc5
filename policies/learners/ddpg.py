"""DDPG on a box: Tianshou's, trimmed; how it explores; the learner.

Tianshou's own ``update`` is not used for the reasons that :mod:`policies.learners.dqn` gives, and because it moves target
networks weight by weight. Side by side in one process (256 rows, the usual options) an update by it took 2.8 times as
long as :class:`LeanDDPG`'s (median of 300).

Dimensions: M rows, A components of a box action, B rows of a batch.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from tianshou.algorithm.modelfree.ddpg import DDPG, ContinuousDeterministicPolicy
from torch import Tensor

from policies.learners.base import ReplayLearner
from policies.learners.optim import anneal
from policies.learners.rewards import RewardBaseline
from policies.learners.updates import LeanPolicy, LeanReplay, Losses, Minibatch

STRAIGHT = 1.5  # tanh is 0.91 there


class NoisyPolicy(LeanPolicy, ContinuousDeterministicPolicy):
    """Tianshou's, with Gaussian noise from a generator of its own; actions stay in [-1, 1], as they are carried out."""

    def __init__(self, *, rng: np.random.Generator, gate: bool, **options: Any) -> None:
        super().__init__(**options, action_scaling=False, action_bound_method=None)
        self.rng, self.gate, self.noise = rng, gate, 0.0

    def add_exploration_noise(self, act: Any, batch: Any) -> Any:
        """Actions (M, A) plus noise, clipped; a gate is 1 or -1, drawn at random with the probability ``noise``."""
        noisy = np.clip(act + np.float32(self.noise) * self.rng.standard_normal(act.shape, np.float32), -1.0, 1.0)
        if self.gate:
            flipped = self.rng.random(len(act)) < self.noise / 2
            noisy[:, -1] = np.where((act[:, -1] > 0) ^ flipped, 1.0, -1.0)
        return noisy


class LeanDDPG(LeanReplay, DDPG):  # type: ignore[misc]  # sample_size is never None here
    """Tianshou's DDPG, the same numbers (targets' rounding apart) in fewer calls.

    ``saturation`` weighs a penalty on the actor's outputs before tanh, the squared excess of their size over
    :data:`STRAIGHT`: an actor driven to the end of its range early (order nothing, say, while stock has only cost
    money) has no gradient left to come back by. 0 is the algorithm as published.
    """

    def __init__(self, *, baseline: RewardBaseline, saturation: float, gate: bool, **options: Any) -> None:
        super().__init__(**options)
        self.gate = gate
        self.baseline, self.periods = baseline, self.n_step_return_horizon
        self.saturation = saturation
        actor, actor_old, critic_old = cast(Any, (self.policy.actor, self.actor_old, self.critic_old))
        self._bodies = actor.body, actor_old.module.body
        self._critic_old = (critic_old.module,)
        pairs = self._lagged_networks._lagged_network_pairs
        self._targets: list[Tensor] = [p for pair in pairs for p in pair.target.parameters()]
        self._sources: list[Tensor] = [p for pair in pairs for p in pair.source.parameters()]

    def _value(self, obs_next: Tensor) -> Tensor:
        action = torch.tanh(self._bodies[1](obs_next))
        if self.gate:
            action[:, -1] = torch.where(action[:, -1] > 0, 1.0, -1.0)
        value: Tensor = self._critic_old[0](obs_next, action)
        return value.squeeze(1)

    def _worth(self, obs: Tensor, action: Tensor) -> Tensor:
        """What the critic gives for actions (B, A) whose gate g, in [-1, 1], is open with the probability (1 + g) / 2: (B,).

        The critic knows gates of 1 and -1; what it says between them is made up.
        """
        if not self.gate:
            return cast(Tensor, self.critic(obs, action)).squeeze(1)
        ways = [torch.cat((action[:, :-1], torch.full_like(action[:, -1:], way)), dim=1) for way in (1.0, -1.0)]
        opened, closed = self.critic(obs.repeat(2, 1), torch.cat(ways)).view(2, -1)
        share = (1 + action[:, -1]) / 2
        return torch.lerp(closed, opened, share)

    @torch.no_grad()
    def _update_lagged_network_weights(self) -> None:
        torch._foreach_lerp_(self._targets, self._sources, self.tau)

    def _update_with_batch(self, batch: Minibatch) -> Losses:  # type: ignore[override]
        q = self.critic(batch.obs, batch.act)
        critic_loss = self.value_loss(q, batch.returns)
        self.critic_optim.step(critic_loss)
        output = self._bodies[0](batch.obs)
        actor_loss = -self._worth(batch.obs, torch.tanh(output)).mean()
        if self.saturation:
            actor_loss = actor_loss + self.saturation * torch.relu(output.abs() - STRAIGHT).square().mean()
        self.policy_optim.step(actor_loss)
        self._update_lagged_network_weights()
        q = q.detach().mean()
        return Losses(tensors={"critic_loss": critic_loss.detach(), "actor_loss": actor_loss.detach(), "mean_q": q})


class DDPGLearner(ReplayLearner):
    """Gaussian noise on a box."""

    def _explore_at(self, fraction: float) -> None:
        o = self.options
        way = min(fraction / o.noise_fraction, 1.0)
        self.policy.noise = anneal(o.noise_schedule, o.noise, o.noise_final, way)

    def _exploration(self) -> dict[str, float]:
        return {"noise": self.policy.noise}
