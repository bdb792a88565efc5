"""Learners with recurrent networks: what they remember while they play, and what of it they learn from.

Tianshou's own ``update`` is not used because it learns from single transitions, whose networks have no past.

A2C: a segment is a sequence a row, from the states that the networks had when it began. Actor and critic have a cell
each. Gradients reach back to the segment's beginning; minibatches are of whole rows.

DQN learns from sequences out of a replay memory (Kapturowski et al. 2019, R2D2). A sequence's first periods, the
*burn-in*, only bring the network's state up to date from the one that was stored when it played, under older weights: no
loss, no gradient. Of the periods after, each has its n-step double-Q target along the sequence. Unlike R2D2: no
priorities, no rescaling of values, one uniform memory.

Dimensions: M rows, F observation features, H units of a cell, W = F + H numbers that a network's body sees, L periods of
a segment, B sequences or rows of a minibatch, K periods of burn-in, T periods learned, N periods of an n-step return, A
actions.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from market.state import Flags, Observation
from policies.learners.a2c import A2CLearner, LeanA2C
from policies.learners.base import Learner, LearnerSetup, memory_sizes
from policies.learners.dqn import DQNLearner, LeanDQN
from policies.learners.memory import SequenceMemory, Sequences, TensorMemory, whole
from policies.learners.updates import Losses, advantages, n_step_return
from policies.networks.encoders import CellKind, Hidden, RecurrentCell, restarted
from policies.networks.heads import Actor, QNetwork
from policies.networks.perceptrons import Perceptron


class RecurrentCritic(nn.Module):
    """The value V of a state and of what came before it. Its ``body`` takes what ``recall`` makes of observations."""

    def __init__(
        self, observation: int, cell: CellKind, units: int, hidden: tuple[int, ...], normalize: bool = False
    ) -> None:
        super().__init__()
        self.recall = RecurrentCell(observation, cell, units, normalize)
        self.body = Perceptron(self.recall.width, 1, hidden)


class RecurrentA2C(LeanA2C):
    """Tianshou's A2C on sequences. ``begun`` is the critic's state (M, H) where the segment began."""

    def __init__(self, *, rows: int, **options: Any) -> None:
        super().__init__(**options)
        self._pair = cast(tuple[Any, RecurrentCritic], (self.policy.actor, self.critic))
        self.begun: Hidden = self._pair[1].recall.start(rows, self._pair[1].body.device)

    def update(  # type: ignore[override]
        self, buffer: TensorMemory, batch_size: int | None, repeat: int, first: Hidden
    ) -> Any:
        """All that the buffer holds, ``repeat`` times, in minibatches; ``first``: the actor's state at its beginning."""
        self._within_step()
        segment = whole(buffer, first)
        began = self.begun
        with torch.no_grad():
            advantage, returns, after = self._valued(segment)
            drawn_at = self._evaluated(segment)[0].view_as(advantage)
        self.begun = restarted(after, segment.truncated[-1])
        periods, count = segment.rew.shape
        size = max((batch_size or segment.rew.numel()) // periods, 1)
        for part in self._minibatches(count, size, repeat, advantage.device):
            own = {name: tensor[part] for name, tensor in began.items()}
            weighed = advantage[:, part], returns[:, part], drawn_at[:, part]
            losses = self._step_on(segment.rows(part), own, *weighed)
        return Losses(tensors=losses)

    def _valued(self, segment: Sequences) -> tuple[Tensor, Tensor, Hidden]:
        """Advantages and returns (L, M), and the critic's state (M, H) after the segment."""
        critic = self._pair[1]
        seen, after = critic.recall.sequence(segment.obs, segment.begins, self.begun)
        value, value_next = critic.body(seen).squeeze(2), _ahead(critic, segment.obs_next, after).squeeze(2)
        ends = segment.truncated.clone()
        ends[-1] = True
        reward = self.baseline.learned(segment.rew, segment.shaping)
        advantage = advantages(reward.T, value.T, value_next.T, ends.T, self.gamma, self.gae_lambda).T
        returns = (advantage + value).float()
        return self._scaled(advantage), returns, {name: tensor[-1] for name, tensor in after.items()}

    def _evaluated(self, part: Sequences) -> Any:
        """What the actor says of the actions (L x B)."""
        actor = self._pair[0]
        return actor.evaluate(_seen(actor, part, part.state), part.act.flatten(0, 1))

    def _step_on(self, part: Sequences, critics: Hidden, *weighed: Tensor) -> dict[str, Tensor]:
        """One gradient step on some rows.

        Args:
            critics: the critic's state at their beginning.
            weighed: advantages, returns and log-densities when drawn, (L, B) each.
        """
        critic = self._pair[1]
        value = critic.body(_seen(critic, part, critics)).squeeze(1)
        return self._move(self._evaluated(part), value, *(tensor.flatten() for tensor in weighed))


def _seen(network: Actor | RecurrentCritic, part: Sequences, state: Hidden) -> Tensor:
    """What the network's body sees of sequences, (L x B, W)."""
    return cast(RecurrentCell, network.recall).sequence(part.obs, part.begins, state)[0].flatten(0, 1)


def _ahead(network: Actor | RecurrentCritic, obs_next: Tensor, after: Hidden) -> Tensor:
    """What the network makes (T, B, ..) of next observations, which at an episode's end are not what is seen next."""
    flat = {name: tensor.flatten(0, 1) for name, tensor in after.items()}
    seen, _ = network.recall(obs_next.flatten(0, 1), flat)
    found: Tensor = network.body(seen)
    return found.view(*obs_next.shape[:2], -1)


class RecurrentDQN(LeanDQN):
    """Tianshou's DQN on sequences.

    Args:
        burn_in: K.
        sequence: T.
    """

    def __init__(self, *, burn_in: int, sequence: int, **options: Any) -> None:
        super().__init__(**options)
        self.burn_in, self.sequence = burn_in, sequence
        target: Any = self.model_old
        self._pair = cast(tuple[QNetwork, QNetwork], (self.policy.model, target.module))

    def update(self, buffer: SequenceMemory, sample_size: int) -> Any:  # type: ignore[override]
        """One gradient step on sequences that hold ``sample_size`` learned transitions (at least one sequence)."""
        self._within_step()
        drawn = buffer.draw(max(sample_size // self.sequence, 1), self.burn_in + self.sequence)
        return self.learn_from(drawn)

    def learn_from(self, drawn: Sequences) -> Losses:
        """One gradient step on sequences of K + T periods."""
        seen, after = self._unroll(self._pair[0], drawn)
        with torch.no_grad():
            returns = self._returns(drawn, after)
        self._periodically_update_lagged_network_weights()
        values = self._pair[0].body(seen.flatten(0, 1))
        q = values.gather(1, drawn.act[self.burn_in :].reshape(-1, 1)).squeeze(1)
        loss = self.value_loss(q, returns.flatten())
        self.optim.step(loss)
        return Losses(tensors={"loss": loss.detach(), "mean_q": q.detach().mean()})

    def _unroll(self, network: QNetwork, drawn: Sequences) -> tuple[Tensor, Hidden]:
        """What the body sees in the learned periods (T, B, W), and the state after each of them."""
        recall, state, k = cast(RecurrentCell, network.recall), drawn.state, self.burn_in
        begins = drawn.begins
        if k:
            with torch.no_grad():
                _, burnt = recall.sequence(drawn.obs[:k], begins[:k], state)
            state = {name: tensor[-1] for name, tensor in burnt.items()}
        return recall.sequence(drawn.obs[k:], begins[k:], state)

    def _returns(self, drawn: Sequences, after: Hidden) -> Tensor:
        """n-step targets (T, B); the last periods' end with the sequence, so they hold fewer rewards."""
        k, (online, target) = self.burn_in, self._pair
        q = _ahead(target, drawn.obs_next[k:], self._unroll(target, drawn)[1])
        choice = _ahead(online, drawn.obs_next[k:], after) if self.is_double else q
        value = q.gather(2, choice.argmax(dim=2, keepdim=True)).squeeze(2)
        ends = drawn.truncated[k:].clone()
        ends[-1] = True
        return returns_along(
            self.baseline.learned(drawn.rew[k:], drawn.shaping[k:]), ends, value, self.periods, self.gamma
        ).float()


def returns_along(reward: Tensor, ends: Tensor, value_next: Tensor, periods: int, gamma: float) -> Tensor:
    """n-step returns (T, B) in 64 bits of every period of sequences; all arguments (T, B), the last period must end.

    ``value_next``: of what follows each period, which its return is bootstrapped with where it stops.
    """
    length, width = reward.shape
    along = torch.arange(length, device=reward.device) + torch.arange(periods, device=reward.device)[:, None]
    along = along.clamp(max=length - 1)
    stops = ends[along]
    reached = (~stops[:-1]).cumprod(0).sum(0) + torch.arange(length, device=reward.device)[:, None]
    last = value_next.gather(0, reached.clamp(max=length - 1))
    found = n_step_return(reward[along].flatten(1), stops.flatten(1), last.flatten(), gamma)
    return found.view(length, width)


class RecurrentLearner(Learner):
    """A learner whose network has a state (M, H), which goes on from period to period while it plays."""

    state: Hidden
    before: Hidden  # the state that the last decision was made with

    def __init__(self, setup: LearnerSetup, *parts: Any) -> None:
        super().__init__(setup, *parts)
        self.state = self.before = self.network.recall.start(self.rows, self.network.body.device)

    def _look(self, seen: Observation) -> Tensor:
        """What the body sees (M, W) of a period; the state goes on."""
        self.before = self.state
        with torch.no_grad():
            found: tuple[Tensor, Hidden] = self.network.recall(self.network.body.tensor(seen), self.state)
        shown, self.state = found
        return shown

    def restart(self, rows: Flags) -> None:
        """Forget what lies before now in the rows (M,) whose episode begins anew."""
        self.state = restarted(self.state, torch.as_tensor(rows, device=self.network.body.device))

    def state_dict(self) -> dict[str, Any]:
        """As every learner's, with the network's state."""
        return super().state_dict() | {"remembered": _plain(self.state)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where :meth:`state_dict` was taken."""
        super().load_state_dict(state)
        self.state = _restored(state["remembered"], self.state)


class RecurrentDQNLearner(RecurrentLearner, DQNLearner):
    """Epsilon-greedy on a grid; learns from sequences."""

    algorithm: RecurrentDQN
    memory: SequenceMemory

    def _make_memory(self, setup: LearnerSetup, length: int) -> SequenceMemory:
        return SequenceMemory(*memory_sizes(setup, length), start=self.network.recall.start(setup.rows, setup.device))

    def remember(self, *period: Any, **more: Any) -> None:
        """Store one period, and the state that it was decided with."""
        self.memory.note(self.before)
        super().remember(*period, **more)

    def _learn(self) -> bool:
        return self.memory.periods >= self.algorithm.burn_in + self.algorithm.sequence and super()._learn()


class RecurrentA2CLearner(RecurrentLearner, A2CLearner):
    """Draws from its own distribution; learns from each segment as sequences."""

    algorithm: RecurrentA2C

    def __init__(self, setup: LearnerSetup, *parts: Any) -> None:
        super().__init__(setup, *parts)
        self._first = self.state

    def _look(self, seen: Observation) -> Tensor:
        shown = super()._look(seen)
        if not len(self.memory):
            self._first = self.before
        return shown

    def _update(self) -> Any:
        o = self.options
        return self.algorithm.update(self.memory, o.batch_size, o.repeat, self._first)

    def state_dict(self) -> dict[str, Any]:
        """As every learner's, with the states that the segment began with."""
        return super().state_dict() | {"first": _plain(self._first), "critic": _plain(self.algorithm.begun)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where :meth:`state_dict` was taken."""
        super().load_state_dict(state)
        self._first = _restored(state["first"], self._first)
        self.algorithm.begun = _restored(state["critic"], self.algorithm.begun)


def _plain(state: Hidden) -> Hidden:
    return {name: tensor.cpu().clone() for name, tensor in state.items()}


def _restored(saved: Hidden, like: Hidden) -> Hidden:
    return {name: saved[name].clone().to(tensor.device) for name, tensor in like.items()}
