"""DQN with a recurrent network: learns from sequences out of a replay memory (Kapturowski et al. 2019, R2D2).

A sequence's first periods, the *burn-in*, only bring the network's state up to date from the one that was stored when
it played, under older weights: no loss, no gradient. Of the periods after, each has its n-step double-Q target along
the sequence. Unlike R2D2: no priorities, no rescaling of values, one uniform memory.

Dimensions: M rows, B sequences, K periods of burn-in, T periods learned, N periods of an n-step return, A actions.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from policies.learners.algorithms import LeanDQN, Losses
from policies.learners.returns import n_step_return
from policies.learners.sequences import SequenceMemory, Sequences
from policies.networks.architecture import QNetwork
from policies.networks.encoders import Cell, State


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
        if not self.policy.is_within_training_step:
            raise RuntimeError("update() must be called within policy_within_training_step(policy)")
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

    def _unroll(self, network: QNetwork, drawn: Sequences) -> tuple[Tensor, State]:
        """What the body sees in the learned periods (T, B, W), and the state after each of them."""
        recall, state, k = cast(Cell, network.recall), drawn.state, self.burn_in
        begins = drawn.begins
        if k:
            with torch.no_grad():
                _, burnt = recall.sequence(drawn.obs[:k], begins[:k], state)
            state = {name: tensor[-1] for name, tensor in burnt.items()}
        return recall.sequence(drawn.obs[k:], begins[k:], state)

    def _returns(self, drawn: Sequences, after: State) -> Tensor:
        """n-step targets (T, B); the last periods' end with the sequence, so they hold fewer rewards."""
        k, (online, target) = self.burn_in, self._pair
        q = self._next_values(target, drawn.obs_next[k:], self._unroll(target, drawn)[1])
        choice = self._next_values(online, drawn.obs_next[k:], after) if self.is_double else q
        value = q.gather(2, choice.argmax(dim=2, keepdim=True)).squeeze(2)
        reward: Any = self.baseline.learned
        ends = drawn.truncated[k:].clone()
        ends[-1] = True
        return returns_along(reward(drawn.rew[k:]), ends, value, self.periods, self.gamma).float()

    @staticmethod
    def _next_values(network: QNetwork, obs_next: Tensor, after: State) -> Tensor:
        """Q (T, B, A) of next observations, which at an episode's end is not what the next period shows."""
        shape = obs_next.shape[:2]
        flat = {name: tensor.flatten(0, 1) for name, tensor in after.items()}
        seen, _ = network.recall(obs_next.flatten(0, 1), flat)
        q: Tensor = network.body(seen)
        return q.view(*shape, -1)


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
