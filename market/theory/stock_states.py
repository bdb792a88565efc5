"""Numbers for the states of one seat's stock: units on hand and what is on its way, within one inventory position.

A state is the units on hand after arrivals and the orders that arrive in 1, 2, .. L - 1 periods (what was ordered L
periods ago has just arrived, so with lead time 0 or 1 there are only the units on hand). Their sum, the inventory
position, never exceeds ``top``: so the states are the whole points of a simplex, ``C(top + L, L)`` of them, and they
are numbered in lexicographic order of (arriving in 1, .. L - 1 periods, on hand). S states, M rows, X = top + 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from market.state import Floats

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class StockStates:
    """All states whose inventory position is at most ``top`` units.

    Example: top 2, lead time 2: (arriving, on hand) = (0,0), (0,1), (0,2), (1,0), (1,1), (2,0) are 0 to 5.
    """

    top: int
    lead_time: int

    @property
    def slots(self) -> int:
        """How many coordinates a state has: its tail of L - 1 orders, and the units on hand."""
        return max(self.lead_time, 1)

    @property
    def count(self) -> int:
        """S, how many states there are."""
        return math.comb(self.top + self.slots, self.slots)

    @cached_property
    def _below(self) -> Ints:
        """``C(n + k, k)``: how many k-tuples have a sum of at most n (X, slots + 1)."""
        table = np.ones((self.top + 1, self.slots + 1), np.int64)
        for k in range(1, self.slots + 1):
            table[:, k] = np.cumsum(table[:, k - 1])
        return table

    def index(self, states: Ints) -> Ints:
        """The numbers (...,) of states (..., slots), tail first and units on hand last."""
        room = np.full(states.shape[:-1], self.top)
        number = np.zeros(states.shape[:-1], np.int64)
        for k in range(self.slots):
            rest = room - states[..., k]
            number += self._below[room, self.slots - k] - self._below[rest, self.slots - k]
            room = rest
        return number

    @cached_property
    def tails(self) -> Ints:
        """Every tail (T, L - 1), in order."""
        tails, room = np.zeros((1, 0), np.int64), np.array([self.top])
        for _ in range(self.slots - 1):
            row = np.repeat(np.arange(len(tails)), room + 1)
            begins = np.cumsum(room + 1) - (room + 1)
            units = np.arange(len(row)) - begins[row]
            tails, room = np.column_stack([tails[row], units]), room[row] - units
        return tails

    @property
    def room(self) -> Ints:
        """The most units on hand beside each tail (T,)."""
        return np.asarray(self.top - self.tails.sum(axis=1))

    @property
    def first(self) -> Ints:
        """The number of each tail's state with nothing on hand (T,)."""
        return self.index(np.column_stack([self.tails, np.zeros(len(self.tails), np.int64)]))

    def after(self) -> Ints:
        """The next state (T, X) of a tail when nothing is left and q units are ordered; -1 where q is too many."""
        tails, units = self.tails, self.top + 1
        following = np.full((len(tails), units), -1, np.int64)
        tail, order = np.nonzero(np.arange(units) <= self.room[:, None])
        if self.lead_time < 2:
            following[tail, order] = order
        else:
            moved = np.column_stack([tails[tail, 1:], order, tails[tail, 0]])
            following[tail, order] = self.index(moved)
        return following

    @property
    def position(self) -> Ints:
        """The inventory position of every state (S,)."""
        beside = self.room
        return np.concatenate([np.arange(room + 1) + self.top - room for room in beside])

    def locate(self, on_hand: ArrayLike, pipeline: ArrayLike) -> tuple[Ints, Floats]:
        """The state (M,) nearest to units on hand (M,) and on order (M, slots), and the units on order it leaves out.

        Where there are more units than ``top`` those that arrive last are left out first; so are orders that arrive
        later than this seat's own could.
        """
        on_hand = np.asarray(on_hand, np.float64)
        pipeline = np.asarray(pipeline, np.float64).reshape(len(on_hand), -1)
        kept = min(self.slots - 1, pipeline.shape[1])
        state, room = np.zeros((len(on_hand), self.slots), np.int64), np.full(len(on_hand), self.top)
        for slot, units in [(self.slots - 1, on_hand), *((k, pipeline[:, k]) for k in range(kept))]:
            state[:, slot] = np.clip(np.rint(units), 0, room)
            room = room - state[:, slot]
        return self.index(state), on_hand + pipeline.sum(axis=1) - state.sum(axis=1)
