"""Replay memory that is read in sequences, with the state that the network had before every transition.

A sequence may run across an episode's end: the network forgets there, as it did when it played (Kapturowski et al.
2019, "Recurrent experience replay in distributed reinforcement learning", with stored start states).

Dimensions: M rows, B sequences, T periods of a sequence, F observation features, H units of a cell.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from policies.learners.memory import TensorMemory
from policies.networks.encoders import State

STATE = "state_"  # before a state's name among the fields of a saved memory


class Sequences(NamedTuple):
    """Consecutive transitions, (T, B, ...) each, and the network's state (B, H) before the first."""

    obs: Tensor
    act: Tensor
    rew: Tensor
    obs_next: Tensor
    truncated: Tensor
    state: State

    @property
    def begins(self) -> Tensor:
        """(T, B) whether an episode begins with the period; the state before the first is right as it is."""
        return torch.cat((torch.zeros_like(self.truncated[:1]), self.truncated[:-1]))

    def rows(self, which: Tensor) -> Sequences:
        """Some of the sequences."""
        state = {name: tensor[which] for name, tensor in self.state.items()}
        return Sequences._make([*(field[:, which] for field in self[:-1]), state])


def sequences(memory: TensorMemory, index: Tensor, periods: int, state: State) -> Sequences:
    """The transitions at ``index`` (B,) and those of the same rows in the periods after."""
    taken = memory.take(memory.following(index, periods).flatten())
    names = ("obs", "act", "rew", "obs_next", "truncated")
    fields = [taken[name].reshape(periods, len(index), *taken[name].shape[1:]) for name in names]
    return Sequences._make([*fields, state])


def whole(memory: TensorMemory, state: State) -> Sequences:
    """All that a memory holds: a sequence a row, oldest first. ``state``: before the first period."""
    size = len(memory) // memory.rows
    return sequences(memory, memory.sample_indices(0).view(memory.rows, size)[:, 0], size, state)


class SequenceMemory(TensorMemory):
    """Transitions of M rows as its base keeps them, with the states of a recurrent network.

    Args:
        sizes: the base's arguments, by name.
        start: a state of the M rows, which says what states are like.
    """

    def __init__(self, *, start: State, **sizes: Any) -> None:
        super().__init__(**sizes)
        length, rows = self.length, self.rows
        self._states = {
            name: torch.zeros((length * rows, tensor.shape[1]), device=self.device) for name, tensor in start.items()
        }

    @property
    def periods(self) -> int:
        """How many periods are stored."""
        return len(self) // self.rows

    def note(self, state: State) -> None:
        """The state (M, H) before the period that is stored next."""
        first = self._insertion * self.rows
        for name, tensor in state.items():
            self._states[name][first : first + self.rows] = tensor

    def draw(self, count: int, periods: int) -> Sequences:
        """Sequences of ``periods``, uniform over rows and over where they can begin, with replacement."""
        if periods > self.periods:
            raise ValueError(f"the memory holds {self.periods} periods: none of its sequences is {periods} long")
        places = self.periods - periods + 1
        age, row = np.divmod(self.rng.integers(0, places * self.rows, count), self.rows)
        slot = (self._insertion - self.periods + age) % self.length
        index = torch.from_numpy(slot * self.rows + row).to(self.device)
        return sequences(self, index, periods, {name: kept[index] for name, kept in self._states.items()})

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """As the base's, with the states."""
        kept = {STATE + name: self._by_row(tensor[: len(self)].cpu()) for name, tensor in self._states.items()}
        return super().state_dict() | kept

    def load_state_dict(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on exactly where a state was taken."""
        super().load_state_dict(state)
        for name, tensor in self._states.items():
            array = np.ascontiguousarray(state[STATE + name].swapaxes(0, 1)).reshape(len(self), tensor.shape[1])
            tensor[: len(self)] = torch.from_numpy(array)
