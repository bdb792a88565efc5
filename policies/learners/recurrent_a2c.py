"""A2C with recurrent networks: a segment is a sequence a row, from the states that the networks had when it began.

Actor and critic have a cell each. Gradients reach back to the segment's beginning; minibatches are of whole rows.

Dimensions: M rows, L periods of a segment, B rows of a minibatch, F observation features, H units of a cell.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from policies.learners.algorithms import LeanA2C, Losses
from policies.learners.memory import TensorMemory
from policies.learners.returns import advantages
from policies.learners.sequences import Sequences, whole
from policies.networks.architecture import Actor, Perceptron
from policies.networks.encoders import Cell, CellKind, State, restarted


class RecurrentCritic(nn.Module):
    """The value V of a state and of what came before it. Its ``body`` takes what ``recall`` makes of observations."""

    def __init__(
        self, observation: int, cell: CellKind, units: int, hidden: tuple[int, ...], normalize: bool = False
    ) -> None:
        super().__init__()
        self.recall = Cell(observation, cell, units, normalize)
        self.body = Perceptron(self.recall.width, 1, hidden)


class RecurrentA2C(LeanA2C):
    """Tianshou's A2C on sequences. ``begun`` is the critic's state (M, H) where the segment began."""

    def __init__(self, *, rows: int, **options: Any) -> None:
        super().__init__(**options)
        self._pair = cast(tuple[Any, RecurrentCritic], (self.policy.actor, self.critic))
        self.begun: State = self._pair[1].recall.start(rows, self._pair[1].body.device)

    def update(  # type: ignore[override]
        self, buffer: TensorMemory, batch_size: int | None, repeat: int, first: State
    ) -> Any:
        """All that the buffer holds, ``repeat`` times, in minibatches; ``first``: the actor's state at its beginning."""
        if not self.policy.is_within_training_step:
            raise RuntimeError("update() must be called within policy_within_training_step(policy)")
        segment = whole(buffer, first)
        began = self.begun
        with torch.no_grad():
            advantage, returns, after = self._assess(segment)
        self.begun = restarted(after, segment.truncated[-1])
        count = segment.rew.shape[1]
        size = min(max((batch_size or segment.rew.numel()) // len(segment.rew), 1), count)
        rng: Any = self.policy.rng  # type: ignore[attr-defined]
        for _ in range(repeat):
            order = torch.arange(count) if size == count else torch.from_numpy(rng.permutation(count))
            for part in order.to(advantage.device).split(size):  # type: ignore[no-untyped-call]
                own = {name: tensor[part] for name, tensor in began.items()}
                losses = self._step_on(segment.rows(part), own, advantage[:, part], returns[:, part])
        return Losses(tensors=losses)

    def _assess(self, segment: Sequences) -> tuple[Tensor, Tensor, State]:
        """Advantages and returns (L, M), and the critic's state (M, H) after the segment."""
        critic = self._pair[1]
        seen, after = critic.recall.sequence(segment.obs, segment.begins, self.begun)
        flat = {name: tensor.flatten(0, 1) for name, tensor in after.items()}
        follows, _ = critic.recall(segment.obs_next.flatten(0, 1), flat)
        value, value_next = critic.body(seen).squeeze(2), critic.body(follows).view(segment.rew.shape)
        learned: Any = self.baseline.learned
        ends = segment.truncated.clone()
        ends[-1] = True
        reward = learned(segment.rew)
        advantage = advantages(reward.T, value.T, value_next.T, ends.T, self.gamma, self.gae_lambda).T
        returns = (advantage + value).float()
        if self.normalize_advantages:
            advantage = (advantage - advantage.mean()) / (advantage.std(correction=0) + self._eps)
        return advantage.float(), returns, {name: tensor[-1] for name, tensor in after.items()}

    def _step_on(self, part: Sequences, critics: State, advantage: Tensor, returns: Tensor) -> dict[str, Tensor]:
        """One gradient step on some rows; ``critics``: the critic's state at their beginning."""
        actor, critic = self._pair
        log_p, entropy, outside = actor.evaluate(_seen(actor, part, part.state), part.act.flatten(0, 1))
        value = critic.body(_seen(critic, part, critics)).squeeze(1)
        actor_loss = -(log_p * advantage.flatten()).mean() + self.saturation * outside
        critic_loss = self.value_loss(value, returns.flatten())
        self.optim.step(actor_loss + self.vf_coef * critic_loss - self.ent_coef * entropy)
        named = {"actor_loss": actor_loss, "critic_loss": critic_loss, "entropy": entropy}
        return {name: tensor.detach() for name, tensor in named.items()}


def _seen(network: Actor | RecurrentCritic, part: Sequences, state: State) -> Tensor:
    """What the network's body sees of sequences, (L x B, W)."""
    return cast(Cell, network.recall).sequence(part.obs, part.begins, state)[0].flatten(0, 1)
