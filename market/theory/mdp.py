"""One seat's decision problem as arrays: its states, demand at every price, what a period earns, where stock moves.

A state is the units on hand after arrivals and the orders that arrive in 1, 2, .. L - 1 periods (what was ordered L
periods ago has just arrived, so with lead time 0 or 1 there are only the units on hand). Their sum, the inventory
position, never exceeds ``top``: so the states are the whole points of a simplex, ``C(top + L, L)`` of them, and they
are numbered in lexicographic order of (arriving in 1, .. L - 1 periods, on hand).
N sellers, S states, M rows, P prices, J levels, X = top + 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from market.demand.equilibrium import prices_in_range
from market.demand.script import calendar
from market.errors import UserError
from market.spec.models import MarketSpec
from market.state import Floats, Ints
from market.theory.bellman import MDP
from market.theory.demand_law import DemandLaw, demand_law

MOST_STATES = 4_000_000
# Multiplications of one sweep that looks for better decisions: some 4 seconds, and it takes about ten of them.
MOST_WORK = 1e10
NEGLIGIBLE = 1e-15


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
        return np.concatenate([np.arange(room + 1) + self.top - room for room in self.room])

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


def build_mdp(spec: MarketSpec, seat: int, posted: Floats, prices: Floats, levels: Ints) -> tuple[MDP, StockStates]:
    """Return the seat's decision problem as arrays, and its states.

    ``posted`` (N,) are the rivals' prices; the seat may post ``prices`` (P,) and order up to ``levels`` (J,).
    Raises :class:`UserError` with the size where there are too many states or decisions.
    """
    seller = spec.sellers[seat]
    top = int(max(levels.max(), seller.stock))
    states = StockStates(top, seller.lead_time)

    def law_at(price: float) -> DemandLaw:
        return demand_law(spec, seat, with_price(posted, seat, price), float(calendar(spec, 0)))

    _refuse_size(spec, seat, states, levels, len(prices), law_at(float(prices.min())))
    laws = [law_at(price) for price in prices.tolist()]
    demand = np.stack([law.units(top + 1) for law in laws])
    dry = np.clip(1.0 - np.cumsum(demand, axis=1) + demand, 0.0, 1.0)
    least, most = (np.array(ends) for ends in zip(*map(_likely, demand), strict=True))
    quantity = np.arange(top + 1)
    mdp = MDP(
        first=states.first,
        room=states.room,
        after=states.after(),
        levels=levels,
        charge=seller.unit_cost * quantity + seller.order_cost * (quantity > 0),
        reward=_rewards(spec, seat, prices, laws, dry),
        demand=np.ascontiguousarray(demand[:, ::-1]),
        dry=dry,
        least=least,
        most=most,
        at_once=int(seller.lead_time == 0),
    )
    return mdp, states


def _rewards(spec: MarketSpec, seat: int, prices: Floats, laws: list[DemandLaw], dry: Floats) -> Floats:
    """Expected revenue less holding and stockout cost (P, X): ``E sold = sum_(d = 1..x) P(D >= d)``."""
    seller = spec.sellers[seat]
    sold = np.cumsum(dry, axis=1) - dry[:, :1]
    left = np.arange(dry.shape[1]) - sold
    lost = np.array([law.mean for law in laws])[:, None] - sold
    return np.asarray(prices[:, None] * sold - seller.holding_cost * left - seller.stockout_cost * lost)


def refuse_states(spec: MarketSpec, seat: int, top: int) -> None:
    """Raise :class:`UserError` where there are too many states of up to ``top`` units to list."""
    states = StockStates(top, spec.sellers[seat].lead_time)
    if states.count > MOST_STATES:
        raise UserError(f"{_size(spec, seat, states)}, more than {MOST_STATES:,}: lower order_up_to or lead_time")


def _size(spec: MarketSpec, seat: int, states: StockStates) -> str:
    place = f"{spec.seat_place(seat)}: the exact optimum of lead time {states.lead_time} and up to {states.top:,} units"
    return f"{place} has {states.count:,} states"


def _refuse_size(
    spec: MarketSpec, seat: int, states: StockStates, levels: Ints, prices: int, widest: DemandLaw
) -> None:
    """``widest``: the demand whose law has most values, that of the lowest price."""
    refuse_states(spec, seat, states.top)
    low, high = (min(count * widest.basket, states.top + 1) for count in widest.likely(NEGLIGIBLE))
    work = prices * _choices(states, levels) * min(high - low + 1, states.top / states.slots + 1)
    if work > MOST_WORK:
        raise UserError(
            f"{_size(spec, seat, states)} x {prices:,} prices x {len(levels):,} levels, {work:.2g} multiplications a "
            f"sweep, more than {MOST_WORK:.0e}: give fewer prices or levels, or lower order_up_to"
        )


def _likely(mass: Floats) -> tuple[int, int]:
    """The smallest and the largest demand that are not negligible; beyond the last unit all are."""
    (seen,) = np.nonzero(mass > NEGLIGIBLE)
    return (int(seen[0]), int(seen[-1])) if len(seen) else (len(mass), len(mass))


def _choices(states: StockStates, levels: Ints) -> int:
    """How many pairs of a state and an order there are."""
    position, held = np.unique(states.position, return_counts=True)
    higher = len(levels) - np.searchsorted(levels, position, side="right")
    return int(held @ (higher + (levels[0] <= position)))


def with_price(posted: Floats, seat: int, price: float) -> Floats:
    """Prices (N,) with the seat's own replaced."""
    changed = posted.copy()
    changed[seat] = price
    return changed


def posted_prices(spec: MarketSpec, rivals_price: ArrayLike | None) -> Floats:
    """What all sellers post (N,), the seat's own entry not looked at: as given, or Nash prices inside their ranges.

    Raises :class:`UserError` for a wrong shape, or where there are no Nash prices.
    """
    if len(spec.sellers) == 1:
        return np.array([spec.sellers[0].first_price])
    if rivals_price is None:
        return prices_in_range(spec)
    posted = np.asarray(rivals_price, np.float64)
    if posted.shape != (len(spec.sellers),):
        raise UserError(
            f"rivals_price: needs a price for each of {len(spec.sellers)} sellers, got shape {posted.shape}"
        )
    return posted
