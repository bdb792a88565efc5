"""The protocol that every seller satisfies, fixed competitor or learner, and the view it decides on.

Dimensions: M markets side by side, N sellers, R = N - 1 rivals (in seat order from one's own seat onward),
A periods that events are announced ahead, L longest lead time, F observation features.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from market.state import Floats

if TYPE_CHECKING:  # it brings numba, and rules are read without
    from market.simulation.batch import MarketBatch

Memory = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class View:
    """What one seat may see of M markets: ``observation`` as a learner sees it, the rest in natural units.

    Arrays may be overwritten by the market's next step: copy what must last.
    """

    observation: NDArray[np.float32]  # (M, F)
    on_hand: Floats  # (M,) units, after arrivals
    on_order: Floats  # (M,) units on their way
    pipeline: Floats  # (M, L) units that arrive in 1, 2, .. L periods
    price: Floats  # (M,) own last price
    sold: Floats  # (M,) units sold last period
    lost: Floats  # (M,) units wanted last period and not in stock
    rivals_price: Floats | None  # (M, R) last prices, None when hidden
    rivals_in_stock: NDArray[np.bool_] | None  # (M, R), None when hidden
    event: NDArray[np.int8]  # (M, A + 1, N) announced events, own seat first
    period: NDArray[np.int64]  # (M,) 0 .. T - 1
    noise: NDArray[np.uint64]  # (M,) random bits of (row seed, episode, period, seat), for rules that randomise
    recorded: Floats | None = None  # (M,) own price in the history that the market replays, None without one

    def take(self, rows: NDArray[np.intp]) -> View:
        """The same of some rows only, as copies."""
        some: dict[str, Any] = {name: None if array is None else array[rows] for name, array in vars(self).items()}
        return View(**some)


class Seller(Protocol):
    """Decides for one seat in M markets at once. Holds no state of its own: ``memory`` is arrays over M."""

    def start(self, markets: int) -> Memory:
        """The memory at the start of an episode, one entry per market."""
        ...

    def act(self, view: View, memory: Memory) -> tuple[Floats, Floats, Memory]:
        """Price (M,) in money per unit, quantity to order (M,) in units, and the memory to go on with."""
        ...


def reset_rows(seller: Seller, memory: Memory, rows: NDArray[np.bool_]) -> Memory:
    """The memory with the rows (M,) whose episode begins anew put back to the start."""
    fresh = seller.start(len(rows))
    return {
        name: np.where(rows.reshape(-1, *(1,) * (fresh[name].ndim - 1)), fresh[name], array)
        for name, array in memory.items()
    }


def look(batch: MarketBatch, seat: int, observation: NDArray[np.float32]) -> View:
    """Seat ``seat``'s view of a batch, whose ``observe()`` returned ``observation`` (M, N, F)."""
    return next(looks(batch, observation, [seat]))


def looks(batch: MarketBatch, observation: NDArray[np.float32], seats: Iterable[int]) -> Iterator[View]:
    """The views of some seats, as :func:`look` gives each: what they share is worked out once."""
    spec, state, n = batch.spec, batch.state, len(batch.spec.sellers)
    prices = spec.visibility.rivals_prices == "last"
    stock = spec.stocked and spec.visibility.rivals_stock != "hidden"
    ahead = state.period[:, None] + np.arange(spec.announced + 1)
    event = batch.tape.event[np.arange(batch.markets)[:, None], ahead]
    bits = _mixed(_mixed(np.asarray(state.seed, np.uint64), state.episode), state.period)
    recorded = batch.recorded
    for seat in seats:
        onward = [(seat + offset) % n for offset in range(n)]
        rivals = onward[1:]
        yield View(
            observation=observation[:, seat],
            on_hand=state.on_hand[:, seat],
            on_order=state.pipeline[:, seat].sum(1),
            pipeline=state.pipeline[:, seat],
            price=state.price[:, seat],
            sold=state.sold[:, seat],
            lost=state.lost[:, seat],
            rivals_price=state.price[:, rivals] if prices else None,
            rivals_in_stock=state.on_hand[:, rivals] > 0 if stock else None,
            event=event[:, :, onward],
            period=state.period,
            noise=_mixed(bits, np.int64(seat + 1)),
            recorded=None if recorded is None else recorded[:, seat],
        )


def _mixed(bits: NDArray[np.uint64], key: Any) -> NDArray[np.uint64]:
    """splitmix64's finaliser over one more key, so that a rule's draws depend on nothing but the keys."""
    with np.errstate(over="ignore"):
        bits = (bits ^ np.asarray(key).astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return bits ^ (bits >> np.uint64(31))
