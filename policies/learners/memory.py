"""Replay memory as one tensor on a learner's device, for M rows that move in lockstep.

The transition of one row in one period is one record, a row of 64-bit words that holds all fields; the records of one
period lie side by side (flat index = slot * M + row). So a period reaches the device in one copy, and what an update
needs of a transition is gathered in one operation. Storage, draws and neighbours are those of Tianshou's
``VectorReplayBuffer(total_size=length * M, buffer_num=M)``, without its Python loop over sub-buffers.

:class:`SequenceMemory` is read in sequences, with the state that a recurrent network had before every transition
(Kapturowski et al. 2019, "Recurrent experience replay in distributed reinforcement learning", with stored start
states). A sequence may run across an episode's end: the network forgets there, as it did when it played.

Dimensions: M rows, F observation features, I indices asked for, N periods of an n-step return, W words of a record,
B sequences, T periods of a sequence, H units of a cell.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from market.state import Flags, Floats, Observation
from policies.common.torch_tools import generator_state, restore_generator
from policies.networks.encoders import Hidden

WORD = 8  # bytes


class Field(NamedTuple):
    """Where a field lies in a record: items ``start`` to ``stop`` of the record seen as items of ``kind``."""

    kind: torch.dtype
    start: int
    stop: int
    shape: tuple[int, ...]

    def of(self, records: Tensor) -> Tensor:
        """The field (I, \\*shape) of records (I, W): a view."""
        items = records.view(self.kind)[:, self.start : self.stop]
        return items if self.shape else items.squeeze(1)


Fields = dict[str, tuple[torch.dtype, tuple[int, ...]]]


def record_fields(observation: int, action_shape: tuple[int, ...], action_type: type[np.generic]) -> Fields:
    """What a transition holds: kind and shape by field."""
    act, sight = torch.int64 if action_type is np.int64 else torch.float32, (torch.float32, (observation,))
    fields: Fields = {"rew": (torch.float64, ()), "shaping": (torch.float64, ()), "act": (act, action_shape)}
    return fields | {"obs": sight, "obs_next": sight, "truncated": (torch.bool, ())}


def record_layout(fields: Fields) -> tuple[dict[str, Field], int]:
    """Places of fields of at most one dimension, those of wide items first; and W."""
    places, byte = {}, 0
    for name, (kind, shape) in sorted(fields.items(), key=lambda field: -field[1][0].itemsize):
        start, count = byte // kind.itemsize, int(np.prod(shape))
        places[name] = Field(kind, start, start + count, shape)
        byte += count * kind.itemsize
    return places, -(-byte // WORD)


class TensorMemory:
    """Transitions of M rows on ``device``; the oldest are overwritten when ``length`` slots are full.

    Args:
        length: transitions kept per row.
        rows: M.
        observation: F.
        action_shape: () for discrete actions, (A,) for boxes.
        action_type: int64 for discrete actions, float32 for boxes.
        seed: of the generator that sampling draws from.
        device: where the records lie.
        staged: gather a period on the host, then copy it over at once; the default where the device has memory of its
            own.
    """

    def __init__(
        self,
        length: int,
        rows: int,
        observation: int,
        action_shape: tuple[int, ...] = (),
        action_type: type[np.generic] = np.int64,
        seed: int = 0,
        device: torch.device | str = "cpu",
        staged: bool | None = None,
    ) -> None:
        if length < 1 or rows < 1:
            raise ValueError(f"a memory needs at least 1 slot and 1 row, not {length} and {rows}")
        self.length, self.rows, self.device = length, rows, torch.device(device)
        self.rng = np.random.Generator(np.random.PCG64(seed))
        self.places, self.width = record_layout(record_fields(observation, action_shape, action_type))
        self._records = torch.zeros((length * rows, self.width), dtype=torch.int64, device=self.device)
        self._staged = self.device.type != "cpu" if staged is None else staged
        self._host = self._staging() if self._staged else self._records
        self._fields = {name: place.of(self._host).numpy() for name, place in self.places.items()}
        self._copied: Any = None
        self.reset()

    def _staging(self) -> Tensor:
        pinned = self.device.type == "cuda"
        return torch.zeros((self.rows, self.width), dtype=torch.int64, pin_memory=pinned)

    def __len__(self) -> int:
        return self._size * self.rows

    @property
    def last_slot(self) -> int:
        """The slot written last; 0 when nothing has been written."""
        return (self._insertion - 1) % self.length if self._size else 0

    def reset(self) -> None:
        """Forget all transitions."""
        self._insertion = self._size = 0

    def store(
        self,
        obs: Observation,
        act: NDArray[Any],
        rew: Floats,
        obs_next: Observation,
        truncated: Flags,
        shaping: Floats | float = 0.0,
    ) -> None:
        """Append one transition per row: obs (M, F), act (M, ...), rew and shaping (M,), obs_next (M, F), truncated (M,).

        ``shaping`` is what is added to a reward when it is learned from (``policies.learners.rewards``). An episode's
        end is a horizon and never a terminal state here, so values bootstrap across it.

        Raises ValueError where a field has NaN or infinity, before anything is stored.
        """
        incoming = {"obs": obs, "act": act, "rew": rew, "obs_next": obs_next, "truncated": truncated}
        incoming["shaping"] = np.broadcast_to(shaping, (self.rows,))
        for name, array in incoming.items():
            if not np.isfinite(array).all():
                row = int(np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(1))[0])
                raise ValueError(f"NaN or infinity in {name} of row {row}: nothing was stored")
        first = self._insertion * self.rows
        if self._copied is not None:
            self._copied.synchronize()
        block = slice(0, self.rows) if self._staged else slice(first, first + self.rows)
        for name, array in incoming.items():
            self._fields[name][block] = array
        if self._staged:
            self._send(first)
        self._insertion = (self._insertion + 1) % self.length
        self._size = min(self._size + 1, self.length)

    def _send(self, first: int) -> None:
        self._records[first : first + self.rows].copy_(self._host, non_blocking=True)
        if self.device.type == "cuda":
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._copied.record()

    def latest(self, name: str) -> Tensor:
        """A field of the period stored last, (M, ...): a view."""
        first = self.last_slot * self.rows
        return self.places[name].of(self._records[first : first + self.rows])

    def sample_indices(self, batch_size: int | None) -> Tensor:
        """Uniform draws with replacement (I,); 0 or None: all transitions, row by row, oldest first."""
        if not batch_size:
            slots = torch.arange(self._insertion - self._size, self._insertion, device=self.device) % self.length
            row = torch.arange(self.rows, device=self.device)
            return (row[:, None] + slots * self.rows).flatten()
        if not self._size:
            raise ValueError("the memory is empty: nothing to sample")
        drawn = torch.from_numpy(self.rng.integers(0, len(self), batch_size))
        if self.device.type == "cuda":
            drawn = drawn.pin_memory().to(self.device, non_blocking=True)
        row = drawn.div(self._size, rounding_mode="floor")
        return (drawn - row * self._size) * self.rows + row

    def take(self, index: Tensor) -> Transitions:
        """Copies of the transitions at flat indices (I,)."""
        records = self._records.index_select(0, index)
        at_last = index.div(self.rows, rounding_mode="floor") == self.last_slot
        return Transitions(records, self.places, at_last)

    def following(self, index: Tensor, periods: int) -> Tensor:
        """Flat indices (N, I) of the transitions at ``index`` (I,) and of those in the same rows' next slots.

        Slots run on past an episode's end, and past the last one stored: whoever walks along stops where ``ends`` is.
        """
        ahead = torch.arange(0, periods * self.rows, self.rows, device=self.device)
        return (index + ahead[:, None]) % (self._size * self.rows)

    def state_dict(self) -> dict[str, Tensor]:
        """The fields of what is stored, (M, slots filled, ...) each, and where the memory and its draws stand."""
        stored = self._records[: len(self)].cpu()
        fields = {name: self._by_row(place.of(stored)) for name, place in self.places.items()}
        counters = torch.tensor([self._insertion, self._size])
        return fields | {"counters": counters, "generator": generator_state(self.rng)}

    def _by_row(self, field: Tensor) -> Tensor:
        return (
            field.view(self._size, self.rows, *field.shape[1:])
            .swapaxes(0, 1)
            .clone(memory_format=torch.contiguous_format)
        )

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on exactly where a state was taken; sizes must be the same.

        What older states hold beside it (Tianshou's accounts of episodes) is not looked at.
        """
        insertion, size = state["counters"].tolist()
        if "shaping" not in state:  # of versions that learned from plain rewards
            state = state | {"shaping": torch.zeros_like(state["rew"])}
        for name, place in self.places.items():
            if tuple(state[name].shape) != (self.rows, size, *place.shape) or size > self.length:
                holds = (self.rows, self.length, *place.shape)
                raise ValueError(f"memory's {name} has shape {tuple(state[name].shape)}, this one holds {holds}")
        stored = torch.zeros((size * self.rows, self.width), dtype=torch.int64)
        for name, place in self.places.items():
            place.of(stored)[:] = state[name].swapaxes(0, 1).reshape(size * self.rows, *place.shape)
        self._records[: len(stored)].copy_(stored)
        self._insertion, self._size = insertion, size
        restore_generator(self.rng, state["generator"])


class Transitions:
    """Transitions taken out of a memory, (I, ...) each: ``obs``, ``act``, ``rew``, ``shaping``, ``obs_next``, ``truncated``, ``ends``.

    ``ends``: whether an episode, or what has been stored of it, ends with a transition.
    """

    def __init__(self, records: Tensor, places: dict[str, Field], at_last: Tensor) -> None:
        self._records, self._places, self._at_last = records, places, at_last

    def __getitem__(self, name: str) -> Tensor:
        return self._places[name].of(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def seen(self, name: str, first: int | None = None) -> Tensor:
        """Observations, ``obs`` or ``obs_next``, of the ``first`` transitions or all, side by side in memory."""
        return self._places[name].of(self._records[:first]).contiguous()

    @property
    def ends(self) -> Tensor:
        """(I,) bool."""
        return self["truncated"] | self._at_last


STATE = "state_"  # before a state's name among the fields of a saved memory


class Sequences(NamedTuple):
    """Consecutive transitions, (T, B, ...) each, and the network's state (B, H) before the first."""

    obs: Tensor
    act: Tensor
    rew: Tensor
    shaping: Tensor
    obs_next: Tensor
    truncated: Tensor
    state: Hidden

    @property
    def begins(self) -> Tensor:
        """(T, B) whether an episode begins with the period; the state before the first is right as it is."""
        return torch.cat((torch.zeros_like(self.truncated[:1]), self.truncated[:-1]))

    def rows(self, which: Tensor) -> Sequences:
        """Some of the sequences."""
        state = {name: tensor[which] for name, tensor in self.state.items()}
        return Sequences._make([*(field[:, which] for field in self[:-1]), state])


def sequences(memory: TensorMemory, index: Tensor, periods: int, state: Hidden) -> Sequences:
    """The transitions at ``index`` (B,) and those of the same rows in the periods after."""
    taken = memory.take(memory.following(index, periods).flatten())
    names = ("obs", "act", "rew", "shaping", "obs_next", "truncated")
    fields = [taken[name].reshape(periods, len(index), *taken[name].shape[1:]) for name in names]
    return Sequences._make([*fields, state])


def whole(memory: TensorMemory, state: Hidden) -> Sequences:
    """All that a memory holds: a sequence a row, oldest first. ``state``: before the first period."""
    size = len(memory) // memory.rows
    return sequences(memory, memory.sample_indices(0).view(memory.rows, size)[:, 0], size, state)


class SequenceMemory(TensorMemory):
    """Transitions of M rows as its base keeps them, with the states of a recurrent network.

    Args:
        sizes: the base's arguments.
        start: a state of the M rows, which says what states are like.
    """

    def __init__(self, *sizes: Any, start: Hidden) -> None:
        super().__init__(*sizes)
        shapes = {name: (self.length * self.rows, tensor.shape[1]) for name, tensor in start.items()}
        self._states = {name: torch.zeros(shape, device=self.device) for name, shape in shapes.items()}

    @property
    def periods(self) -> int:
        """How many periods are stored."""
        return len(self) // self.rows

    def note(self, state: Hidden) -> None:
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

    def state_dict(self) -> dict[str, Tensor]:
        """As the base's, with the states."""
        kept = {STATE + name: self._by_row(tensor[: len(self)].cpu()) for name, tensor in self._states.items()}
        return super().state_dict() | kept

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on exactly where a state was taken."""
        super().load_state_dict(state)
        for name, tensor in self._states.items():
            tensor[: len(self)] = state[STATE + name].swapaxes(0, 1).reshape(len(self), tensor.shape[1])
