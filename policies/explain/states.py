"""States that sellers meet in greedy play, and how to put a seller before any state one likes.

What a policy does is asked here of the policy itself, in a market whose state is written down: the observation is
made by the market, so nothing about its encoding is repeated. Dimensions: D states, N sellers, L longest lead
time, A periods that events are announced ahead.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.state import Floats
from policies.sellers.network_seller import NetworkSeller
from policies.sellers.protocol import Memory, Seller, View, look

CELLS = 2**22  # rows x periods of one batch: an episode's tape is allocated for every row
KEPT_PERIODS = 200  # states kept of one episode


@dataclass(frozen=True)
class RolloutStates:
    """The market's state when decisions are due, D times over. Stock in units after arrivals, prices as last posted."""

    episode: NDArray[np.int64]  # (D,) which episode of the play
    period: NDArray[np.int64]  # (D,)
    on_hand: Floats  # (D, N)
    pipeline: Floats  # (D, N, L)
    price: Floats  # (D, N)
    sold: Floats  # (D, N)
    lost: Floats  # (D, N)
    event: NDArray[np.int8]  # (D, A + 1, N)
    place: NDArray[np.int64]  # (D,) which location, or market of a history, the episode plays
    reference: Floats  # (D, N), or (D, 0) in a market without reference prices
    smoothed: Floats  # (D, N) units a period at a calendar factor of 1, or (D, 0) where no forecast is observed

    def __len__(self) -> int:
        return len(self.period)

    def at(self, rows: Any) -> Self:
        """The states of ``rows``: indices, a mask or a slice."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def joined(self, other: Self) -> Self:
        """These and others behind them."""
        return replace(
            self, **{f.name: np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)}
        )

    def position(self, seat: int) -> Floats:
        """Inventory position (D,), units: on hand + on order."""
        return np.asarray(self.on_hand[:, seat] + self.pipeline[:, seat].sum(1))


@dataclass(frozen=True)
class Rollout:
    """States met in greedy play and what every seller did there; memories are those it decided with."""

    spec: MarketSpec
    states: RolloutStates
    price: Floats  # (D, N) money per unit
    order: Floats  # (D, N) units
    memories: tuple[Memory, ...]  # one a seat, arrays over D


# As a batch names them.
OF_THE_STATE = ("period", "on_hand", "pipeline", "price", "sold", "lost", "reference", "smoothed")


def greedy_rollout(
    spec: MarketSpec, sellers: Sequence[Seller], episodes: int = 64, seed: int = 0, warm_up: int = 0
) -> Rollout:
    """Let the sellers play each other and keep what they met, ordered by period.

    Args:
        episodes: played side by side on the customers of rows ``seed``, ``seed + 1`` and so on; fewer where
            episodes are very long.
        warm_up: periods that are not kept; of the others at most ``KEPT_PERIODS``, evenly spread.
    """
    rows = int(np.clip(CELLS // spec.horizon, 1, episodes))
    batch = MarketBatch(spec, rows, seed)
    batch.reset()
    kept = set(np.linspace(min(warm_up, spec.horizon - 1), spec.horizon - 1, KEPT_PERIODS).astype(int).tolist())
    memories = [seller.start(rows) for seller in sellers]
    price, order = np.empty((rows, len(sellers))), np.empty((rows, len(sellers)))
    notes: list[tuple[Any, ...]] = []
    for period in range(spec.horizon):
        observation, before = batch.observe(), memories
        memories = []
        for seat, seller in enumerate(sellers):
            price[:, seat], order[:, seat], after = seller.act(look(batch, seat, observation), before[seat])
            memories.append(after)
        note = (_now(batch), copy.deepcopy(before)) if period in kept else None
        ledger = batch.step(price, order)
        if note is not None:
            notes.append((*note, ledger["price"].copy(), ledger["ordered"].copy()))
    return _gather(spec, notes)


def _now(batch: MarketBatch) -> RolloutStates:
    row, own = np.arange(batch.markets), {name: getattr(batch.state, name).copy() for name in OF_THE_STATE}
    event = batch.tape.event[row[:, None], own["period"][:, None] + np.arange(batch.spec.announced + 1)]
    return RolloutStates(episode=row, event=event, place=batch.tape.place.copy(), **own)


def _gather(spec: MarketSpec, notes: list[tuple[Any, ...]]) -> Rollout:
    met, memories, price, order = zip(*notes, strict=True)
    states = RolloutStates(*(np.concatenate([getattr(s, f.name) for s in met]) for f in fields(RolloutStates)))
    joined = tuple(
        {name: np.concatenate([each[seat][name] for each in memories]) for name in memories[0][seat]}
        for seat in range(len(spec.sellers))
    )
    return Rollout(spec, states, np.concatenate(price), np.concatenate(order), joined)


def views(
    spec: MarketSpec, states: RolloutStates, seat: int, market: MarketBatch | None = None
) -> Iterator[tuple[slice, View]]:
    """What ``seat`` sees of the states: slices of D and their views, in order; use each before the next.

    Rules that randomise draw the same bits in every state. ``market``: what :func:`to_look_at` made for so many states,
    where one is at hand.
    """
    size = max(1, CELLS // spec.horizon)
    for start in range(0, len(states), size):
        part = slice(start, min(start + size, len(states)))
        batch = to_look_at(spec, part.stop - part.start) if market is None else market
        put(batch, states.at(part))
        yield part, look(batch, seat, batch.observe())


def to_look_at(spec: MarketSpec, rows: int) -> MarketBatch:
    """A market of so many rows that is put into states and looked at, never played."""
    batch = MarketBatch(spec, rows, np.zeros(rows, np.uint64))
    batch.serial = True
    return batch


def put(batch: MarketBatch, states: RolloutStates) -> None:
    """Put the rows of a batch into states (M,); their tapes stay, but for the events that the states tell."""
    state, rows = batch.state, np.arange(batch.markets)[:, None]
    for name in OF_THE_STATE:
        getattr(state, name)[...] = getattr(states, name)
    state.episode[...] = 0
    batch.tape.place[...] = states.place
    batch.tape.event[rows, state.period[:, None] + np.arange(batch.spec.announced + 1)] = states.event


def level_wanted(seller: Seller, view: View, memory: Memory) -> Floats:
    """The inventory position (M,), units, that a seller orders up to.

    Of a learned seller the level that its network decides, also where more than that is there already; of any other
    what its order makes of the position, on hand + on order + ordered, and 0 where it orders nothing.
    """
    if isinstance(seller, NetworkSeller):
        empty = np.zeros_like(view.on_hand)
        return seller.act(replace(view, on_hand=empty, on_order=empty), memory)[1]
    order = seller.act(view, memory)[1]
    return np.where(order > 0, view.on_hand + view.on_order + order, 0.0)


def ask(spec: MarketSpec, seller: Seller, states: RolloutStates, seat: int, memory: Memory) -> tuple[Floats, Floats]:
    """What a seller decides in each state: price (D,), money per unit, and order (D,), units.

    ``memory``: arrays over D, as :class:`Rollout` keeps them.
    """
    low, high = spec.sellers[seat].prices
    price, order = np.empty(len(states)), np.empty(len(states))
    for part, view in views(spec, states, seat):
        remembered = {name: array[part] for name, array in memory.items()}
        price[part], order[part], _ = seller.act(view, remembered)
    if spec.stocked and spec.customers.mode == "sampled":
        order = np.floor(order + 0.5)  # as the market rounds
    return np.clip(price, low, high), order


def typical(values: NDArray[Any]) -> NDArray[Any]:
    """The upper median over the first axis: a value that was met, so flags stay flags and units whole.

    1, 2, 2, 7: 2; 0, 1: 1.
    """
    return np.asarray(np.sort(values, axis=0)[len(values) // 2])


def typical_memory(seller: Seller, memory: Memory) -> Memory:
    """What a seller typically remembers, of memories met (arrays over D): one entry.

    Of rules the median of each array. A network's numbers mean something together only: of these the memory that was
    met nearest to their mean (Euclidean distance).
    """
    if not isinstance(seller, NetworkSeller) or not memory:
        return {name: typical(array)[None] for name, array in memory.items()}
    flat = np.concatenate([array.reshape(len(array), -1).astype(float) for array in memory.values()], axis=1)
    nearest = int(((flat - flat.mean(axis=0)) ** 2).sum(axis=1).argmin())
    return {name: array[[nearest]] for name, array in memory.items()}
