"""A2C: Tianshou's, trimmed, by default with PPO's clipped objective; how it draws actions; the learner.

One gradient step a transition, as published (Mnih et al. 2016), moves a policy too slowly, and several without a bound
break it: the advantages are those of the policy that drew the actions. With ``clip`` a segment is learned from several
times, and nothing is gained by moving an action's probability ratio r = pi(a) / pi_old(a) out of [1 - clip, 1 + clip]:
the actor maximises the mean of min(r A, clip(r) A) (Schulman, Wolski, Dhariwal, Radford & Klimov 2017, "Proximal policy
optimization algorithms", arXiv 1707.06347, equation 7). At r = 1 its gradient is A2C's.

Tianshou's own ``update`` is not used because it carries a segment through ``Batch`` objects and numpy, draws actions that
nobody uses, builds distribution objects for every minibatch and shuffles by numpy's global generator. Side by side in
one process (segments of 10 periods of 256 rows, the usual options) an update by it took 1.8 times as long as
:class:`LeanA2C`'s (median of 300).

Dimensions: M rows, A components of a box action, B rows of a batch, L periods of a segment.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from tianshou.algorithm.modelfree.a2c import A2C
from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy
from tianshou.utils.torch_utils import policy_within_training_step
from torch import Tensor, nn

from market.state import Floats, Observation
from policies.learners.base import Learner
from policies.learners.memory import TensorMemory
from policies.learners.optim import anneal
from policies.learners.rewards import RewardBaseline
from policies.learners.updates import Lean, LeanPolicy, Losses, Minibatch, advantages
from policies.networks.heads import ValueCritic


class SamplingPolicy(LeanPolicy, ProbabilisticActorPolicy):
    """Tianshou's, drawing actions from a random generator of its own in place of torch's global one."""

    def __init__(self, *, rng: np.random.Generator, **options: Any) -> None:
        nothing: Any = None  # the actor itself draws, and knows its log-densities
        super().__init__(dist_fn=nothing, **options, action_scaling=False, action_bound_method=None)
        self.rng = rng


class LeanA2C(Lean, A2C):
    """Tianshou's A2C, its log-densities computed directly; shuffles minibatches by a generator of its own.

    ``saturation`` weighs a penalty on means outside the range of actions, their squared way out: a policy that was
    driven out of it early (order nothing, say) draws only actions that are clipped to the same one, and learns nothing
    any more. 0 is the algorithm as published. ``clip``: of the probability ratio; None is the algorithm as published.
    """

    def __init__(
        self,
        *,
        baseline: RewardBaseline,
        normalize_advantages: bool,
        saturation: float,
        clip: float | None,
        **options: Any,
    ) -> None:
        super().__init__(**options, max_batchsize=2**31)
        self.saturation, self.clip = saturation, clip
        self._networks: tuple[Any, ValueCritic] = cast(Any, (self.policy.actor, self.critic))
        self.baseline, self.normalize_advantages = baseline, normalize_advantages

    def update(self, buffer: TensorMemory, batch_size: int | None, repeat: int) -> Losses:  # type: ignore[override]
        """All that the buffer holds, ``repeat`` times, in minibatches."""
        self._within_step()
        batch = self.drawn(buffer)
        with torch.no_grad():
            drawn_at = self._networks[0].evaluate(batch.obs, batch.act)[0]
        data, count = (batch.obs, batch.act, batch.adv, batch.returns, drawn_at), len(batch.obs)
        for part in self._minibatches(count, batch_size or count, repeat, batch.obs.device):
            losses = self._step(*(array[part] for array in data))
        return Losses(tensors=losses)

    @torch.no_grad()
    def drawn(self, memory: TensorMemory, sample_size: int = 0) -> Minibatch:
        """All that the memory holds, row by row, with returns and advantages."""
        _, critic = self._networks
        taken, shape = memory.take(memory.sample_indices(0)), (memory.rows, -1)
        obs = taken.seen("obs")
        value, value_next = critic(torch.cat((obs, taken.seen("obs_next")))).view(2, *shape)
        reward, ends = self.baseline.learned(taken["rew"], taken["shaping"]).view(shape), taken.ends.view(shape)
        advantage = advantages(reward, value, value_next, ends, self.gamma, self.gae_lambda)
        returns = (advantage + value).flatten()
        return Minibatch(obs, taken["act"], returns.float(), self._scaled(advantage).flatten())

    def _scaled(self, advantage: Tensor) -> Tensor:
        """Advantages as they weigh in the loss, in 32 bits."""
        if self.normalize_advantages:
            advantage = (advantage - advantage.mean()) / (advantage.std(correction=0) + self._eps)
        return advantage.float()

    def _minibatches(self, count: int, size: int, repeat: int, device: torch.device) -> Iterator[Tensor]:
        """Indices of ``size`` out of ``count`` at a time, shuffled anew for each of ``repeat`` passes."""
        rng: np.random.Generator = self.policy.rng  # type: ignore[attr-defined]
        for _ in range(repeat):
            order = torch.from_numpy(rng.permutation(count) if size < count else np.arange(count))
            yield from order.to(device).split(size)  # type: ignore[no-untyped-call]

    def _step(
        self, obs: Tensor, act: Tensor, advantage: Tensor, returns: Tensor, drawn_at: Tensor
    ) -> dict[str, Tensor]:
        actor, critic = self._networks
        return self._move(actor.evaluate(obs, act), critic(obs).squeeze(1), advantage, returns, drawn_at)

    def _move(
        self, evaluated: Sequence[Tensor], value: Tensor, advantage: Tensor, returns: Tensor, drawn_at: Tensor
    ) -> dict[str, Tensor]:
        """One gradient step.

        Args:
            evaluated: log-densities (B,), entropy and way out of range, as an actor gives them.
            drawn_at: log-densities (B,) at which the actions were drawn.
        """
        log_p, entropy, outside = evaluated
        actor_loss = self._surrogate(log_p, advantage, drawn_at) + self.saturation * outside
        critic_loss = self.value_loss(value, returns)
        self.optim.step(actor_loss + self.vf_coef * critic_loss - self.ent_coef * entropy)
        named = {"actor_loss": actor_loss, "critic_loss": critic_loss, "entropy": entropy}
        return {name: tensor.detach() for name, tensor in named.items()}

    def _surrogate(self, log_p: Tensor, advantage: Tensor, drawn_at: Tensor) -> Tensor:
        """What an actor minimises: ratio 1.5, advantage 2, clip .2 make -2.4, and ratio .5 makes -1."""
        if self.clip is None:
            return -(log_p * advantage).mean()
        ratio = (log_p - drawn_at).exp()
        return -torch.minimum(ratio * advantage, ratio.clamp(1 - self.clip, 1 + self.clip) * advantage).mean()


class A2CLearner(Learner):
    """Draws from its own distribution, learns from each segment once it is full, then forgets it."""

    def _act(self, seen: Observation, explore: bool) -> NDArray[Any]:
        network: Any = self.network
        with torch.no_grad():
            shown = self._look(seen)
            return np.asarray(
                network.sample(shown, self.policy.rng) if explore else network.greedy(shown).cpu().numpy()
            )

    def begin_with(self, weights: Mapping[str, Tensor]) -> None:
        """As every learner's; a Gaussian head tries things out as ``initial_sd`` says: at the end of a run it hardly did."""
        super().begin_with(weights)
        if (log_sd := getattr(self.network, "log_sd", None)) is not None:
            nn.init.constant_(log_sd, math.log(self.options.initial_sd))

    def in_units(self, quantity: Floats) -> Floats:
        """Rounded up with the probability of the fraction, so that the mean is the quantity.

        Rounded to the nearest, quantities half a unit around a whole one earn the same, and once the actor's deviation is
        as small nothing tells its mean which way to go (``tests/experiments/learning_table.md``).
        """
        return np.asarray(np.floor(quantity + self.policy.rng.random(len(quantity))))

    def _learn(self) -> bool:
        if len(self.memory) < self.options.segment * self.rows:
            return False
        with policy_within_training_step(self.policy):
            self._losses = self._update()
        self.memory.reset()
        self.updates += 1
        return True

    def _update(self) -> Losses:
        losses: Losses = self.algorithm.update(self.memory, self.options.batch_size, self.options.repeat)
        return losses

    def _explore_at(self, fraction: float) -> None:
        self.algorithm.ent_coef = anneal("linear", self.options.entropy, self.options.entropy_final, fraction)

    def _exploration(self) -> dict[str, float]:
        return {"entropy_weight": self.algorithm.ent_coef}
