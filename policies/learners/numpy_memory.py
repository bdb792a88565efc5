"""The replay buffer of a learner whose M rows move in lockstep.

Same layout and meaning as Tianshou's ``VectorReplayBuffer(total_size=length * M, buffer_num=M)`` (flat index =
row * length + slot), without its Python loop over sub-buffers: all rows share one insertion slot and one length.

Dimensions: M rows, F observation features, I indices asked for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tianshou.data import Batch, ReplayBuffer

Indices = NDArray[np.int64]
Incoming = dict[str, NDArray[Any]]
_MASK64 = (1 << 64) - 1


def generator_state(rng: np.random.Generator) -> NDArray[np.uint64]:
    """The state of a PCG64 generator as six words, so that it can be stored like any array."""
    state: Any = rng.bit_generator.state
    wide = (state["state"]["state"], state["state"]["inc"])
    words = [part for value in wide for part in (value >> 64, value & _MASK64)]
    return np.array([*words, state["has_uint32"], state["uinteger"]], np.uint64)


def restore_generator(rng: np.random.Generator, words: NDArray[np.uint64]) -> None:
    """Put a PCG64 generator back into a state taken by :func:`generator_state`."""
    high, low, inc_high, inc_low, has_uint32, uinteger = (int(word) for word in words)
    rng.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": high << 64 | low, "inc": inc_high << 64 | inc_low},
        "has_uint32": has_uint32,
        "uinteger": uinteger,
    }


class LockstepBuffer(ReplayBuffer):
    """Transitions of M rows; the oldest are overwritten when ``length`` slots are full.

    Args:
        length: transitions kept per row.
        rows: M.
        observation: F.
        action_shape: () for discrete actions, (A,) for boxes.
        action_type: int64 for discrete actions, float32 for boxes.
        seed: of the generator that sampling draws from.
    """

    def __init__(
        self,
        length: int,
        rows: int,
        observation: int,
        action_shape: tuple[int, ...] = (),
        action_type: type[np.generic] = np.int64,
        seed: int = 0,
    ) -> None:
        if length < 1 or rows < 1:
            raise ValueError(f"a memory needs at least 1 slot and 1 row, not {length} and {rows}")
        super().__init__(size=length * rows)
        self.length, self.rows = length, rows
        self.rng = np.random.Generator(np.random.PCG64(seed))
        self._offset = np.arange(rows, dtype=np.int64) * length
        self._arrays = {
            "obs": np.zeros((rows, length, observation), np.float32),
            "act": np.zeros((rows, length, *action_shape), action_type),
            "rew": np.zeros((rows, length)),
            "terminated": np.zeros((rows, length), np.bool_),
            "truncated": np.zeros((rows, length), np.bool_),
            "done": np.zeros((rows, length), np.bool_),
            "obs_next": np.zeros((rows, length, observation), np.float32),
        }
        self._flat = {name: a.reshape(length * rows, *a.shape[2:]) for name, a in self._arrays.items()}
        self._meta.__dict__.update(self._flat)
        self.reset()

    def __len__(self) -> int:
        return int(self._size) * self.rows

    @property
    def subbuffer_edges(self) -> Indices:
        """Where each row's transitions begin, and the end: (M + 1,)."""
        return np.append(self._offset, self.maxsize)

    @property
    def last_slot(self) -> int:
        """The slot written last; 0 when nothing has been written."""
        return int((self._insertion_idx - 1) % self.length) if self._size else 0

    def reset(self, keep_statistics: bool = False) -> None:
        """Forget all transitions; with ``keep_statistics`` running episodes' lengths and returns go on."""
        self._insertion_idx = self._size = 0
        self._episode_start = np.zeros(self.rows, np.int64)
        self.last_index = self._offset.copy()
        if not keep_statistics:
            self._episode_return, self._episode_length = np.zeros(self.rows), np.zeros(self.rows, np.int64)

    def store(
        self,
        obs: NDArray[np.float32],
        act: NDArray[Any],
        rew: NDArray[np.floating],
        obs_next: NDArray[np.float32],
        truncated: NDArray[np.bool_],
        terminated: NDArray[np.bool_] | None = None,
    ) -> None:
        """Append one transition per row: obs (M, F), act (M, ...), rew (M,), obs_next (M, F), flags (M,)."""
        refuse_infinite({"obs": obs, "act": act, "rew": rew, "obs_next": obs_next})
        slot, arrays = self._insertion_idx, self._arrays
        ended = truncated if terminated is None else truncated | terminated
        arrays["obs"][:, slot] = obs
        arrays["act"][:, slot] = act
        arrays["rew"][:, slot] = rew
        arrays["obs_next"][:, slot] = obs_next
        arrays["truncated"][:, slot] = truncated
        arrays["terminated"][:, slot] = False if terminated is None else terminated
        arrays["done"][:, slot] = ended
        np.add(self._offset, slot, out=self.last_index)
        self._insertion_idx = (slot + 1) % self.length
        self._size = min(self._size + 1, self.length)

    def add(
        self, batch: Any, buffer_ids: NDArray[np.int64] | list[int] | None = None
    ) -> tuple[Indices, NDArray[np.float64], Indices, Indices]:
        """Tianshou's own way in: all M rows at once, with the episodes' accounts.

        (Its Collector takes no buffer for several environments but a ``ReplayBufferManager``.)

        Returns flat indices (M,), returns and lengths of episodes that ended (else 0), and where they began.
        """
        if buffer_ids is not None and not np.array_equal(buffer_ids, np.arange(self.rows)):
            raise ValueError(f"a lockstep buffer takes all its {self.rows} rows at once and in order, not {buffer_ids}")
        self.store(batch.obs, batch.act, batch.rew, batch.obs_next, batch.truncated, batch.terminated)
        ended = batch.truncated | batch.terminated
        self._episode_return += batch.rew
        self._episode_length += 1
        result = (
            self.last_index.copy(),
            np.where(ended, self._episode_return, 0.0),
            np.where(ended, self._episode_length, 0),
            self._episode_start + self._offset,
        )
        self._episode_return[ended], self._episode_length[ended] = 0.0, 0
        self._episode_start[ended] = self._insertion_idx
        return result

    def sample_indices(self, batch_size: int | None) -> Indices:
        """Uniform draws with replacement; 0 or None: all transitions, row by row, oldest first."""
        if not batch_size:
            slots = np.concatenate((np.arange(self._insertion_idx, self._size), np.arange(self._insertion_idx)))
            return (self._offset[:, None] + slots).reshape(-1)
        if batch_size < 0:
            return np.empty(0, np.int64)
        if not self._size:
            raise ValueError("the memory is empty: nothing to sample")
        drawn = self.rng.integers(0, len(self), batch_size)
        if self._size == self.length:
            return np.asarray(drawn)
        row, slot = np.divmod(drawn, self._size)
        return np.asarray(row * self.length + slot)

    def unfinished_index(self) -> Indices:
        """Flat indices of last transitions whose episode goes on."""
        if not self._size:
            return np.empty(0, np.int64)
        last = self._offset + self.last_slot
        return np.asarray(last[~self._arrays["done"][:, self.last_slot]])

    def prev(self, index: int | Indices) -> Indices:
        """The transition before each one, itself at the beginning of an episode."""
        flat = np.asarray(index) % self.maxsize
        slot = flat % self.length
        start, size = flat - slot, max(int(self._size), 1)
        before = (slot - 1) % size
        stay = self._flat["done"][before + start] | (before == self.last_slot)
        return np.asarray((before + stay) % size + start)

    def next(self, index: int | Indices) -> Indices:
        """The transition after each one, itself at the end of an episode or of what has been stored."""
        flat = np.asarray(index) % self.maxsize
        slot = flat % self.length
        go = ~(self._flat["done"][flat] | (slot == self.last_slot))
        return np.asarray((slot + go) % max(int(self._size), 1) + (flat - slot))

    def ends(self, index: Indices) -> NDArray[np.bool_]:
        """Whether an episode, or what has been stored of it, ends with each transition."""
        return np.asarray(self._flat["done"][index] | (index % self.length == self.last_slot))

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            index = self.sample_indices(0) if index == slice(None) else self._indices[: len(self)][index]
        batch = Batch()
        fields = {name: flat.take(index, axis=0) for name, flat in self._flat.items()}
        # a Batch that is filled attribute by attribute checks and copies each: ten times the cost of the gathering
        batch.__dict__.update(fields, info=Batch(), policy=Batch())
        return batch

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays, only the slots that are filled."""
        used = slice(0, self._size)
        counters = np.array([self._insertion_idx, self._size], np.int64)
        episodes = {
            "episode_return": self._episode_return,
            "episode_length": self._episode_length,
            "episode_start": self._episode_start,
        }
        return {
            **{name: array[:, used].copy() for name, array in self._arrays.items()},
            **{name: array.copy() for name, array in episodes.items()},
            "counters": counters,
            "generator": generator_state(self.rng),
        }

    def load_state_dict(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on exactly where :meth:`state_dict` was taken; sizes must be the same."""
        insertion, size = (int(n) for n in state["counters"])
        for name, array in self._arrays.items():
            if state[name].shape != (self.rows, size, *array.shape[2:]) or size > self.length:
                raise ValueError(f"memory's {name} has shape {state[name].shape}, this one holds {array.shape}")
        for name, array in self._arrays.items():
            array[:, :size] = state[name]
        self._insertion_idx, self._size = insertion, size
        self._episode_return, self._episode_length = state["episode_return"].copy(), state["episode_length"].copy()
        self._episode_start = state["episode_start"].copy()
        self.last_index = self._offset + self.last_slot
        restore_generator(self.rng, state["generator"])


def refuse_infinite(incoming: Incoming) -> None:
    """Raise ValueError where a field has NaN or infinity, before anything is stored."""
    for name, array in incoming.items():
        if not np.isfinite(array).all():
            row = int(np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(1))[0])
            raise ValueError(f"NaN or infinity in {name} of row {row}: nothing was stored")
