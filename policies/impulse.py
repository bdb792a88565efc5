"""What one seller's leaving its policy for a single period does to everybody: an impulse response.

Two copies of the same market on the same customers and shocks: in one a seller is forced off its policy for one
period, in the other it is not. All differences between them come from that one decision (Calvano, Calzolari, Denicolo
and Pastorello 2020, AER 110(10), section IV.B: whether rivals punish a price cut, and how long).

K periods watched afterwards, M markets, N sellers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from market.batch import MarketBatch
from market.errors import Refusal
from market.layout import Floats, Record
from market.spec import MarketSpec
from policies.seller import Memory, Seller, look

WATCHED = ("price", "ordered", "sold", "lost", "profit")


@dataclass(frozen=True)
class Deviation:
    """What the seat does in its one period off its policy: ``seller``'s price, and its order too where ``orders``."""

    seller: Seller
    orders: bool = False


@dataclass(frozen=True)
class Impulse:
    """Ledgers (K + 1, M, N) from the period of the deviation on, in the market with it and in its undeviated twin."""

    deviated: Record
    twin: Record

    def change(self, name: str) -> Floats:
        """Deviated less undeviated (K + 1, M, N), in the ledger's units."""
        return np.asarray(self.deviated[name] - self.twin[name])

    def relative_price(self) -> Floats:
        """Price change as a share of the undeviated price (K + 1, M, N)."""
        return np.asarray(self.change("price") / self.twin["price"])


class Table:
    """Sellers at one batch: who remembers what."""

    def __init__(self, batch: MarketBatch, sellers: Sequence[Seller], memories: list[Memory] | None = None) -> None:
        self.batch, self.sellers = batch, sellers
        self.memories = memories or [seller.start(batch.markets) for seller in sellers]

    def twin(self) -> Table:
        """The same moment once more: state, customers to come and memories."""
        other = MarketBatch(self.batch.spec, self.batch.markets)
        other.load(self.batch.save())
        copied = [{name: array.copy() for name, array in memory.items()} for memory in self.memories]
        return Table(other, self.sellers, copied)

    def play_period(self, seat: int = 0, deviation: Deviation | None = None) -> Record:
        """One period; with a deviation ``seat`` still decides (and so remembers), but its price is not posted."""
        observation = self.batch.observe()
        price = np.empty((self.batch.markets, len(self.sellers)))
        order = np.empty_like(price)
        for k, seller in enumerate(self.sellers):
            view = look(self.batch, k, observation)
            price[:, k], order[:, k], self.memories[k] = seller.act(view, self.memories[k])
            if deviation is not None and k == seat:
                forced, ordered, _ = deviation.seller.act(view, deviation.seller.start(self.batch.markets))
                price[:, k] = forced
                order[:, k] = ordered if deviation.orders else order[:, k]
        return self.batch.step(price, order)


def impulse(
    spec: MarketSpec,
    sellers: Sequence[Seller],
    seat: int,
    deviation: Deviation,
    *,
    at: int,
    periods: int,
    markets: int,
    seed: int | ArrayLike,
) -> Impulse:
    """Force ``seat`` off its policy in period ``at`` and watch the ``periods`` after it, in M markets at once.

    Args:
        sellers: one for each seat, in seat order.
        at: the period of the deviation, 0 .. T - 1 - periods.
        seed: of the first row, or one a row.

    Example: constant prices of 2 everywhere and a deviation to 1.5: the seat's price change is -0.5 in the first
    entry and 0 in all others, its rivals' is 0 throughout.

    Raises:
        Refusal: the episode is too short.
    """
    if not 0 <= at < spec.horizon - periods:
        raise Refusal(
            f"--at {at} and {periods} periods after it do not fit an episode (market.horizon) of {spec.horizon}"
        )
    batch = MarketBatch(spec, markets, seed)
    batch.reset()
    table = Table(batch, sellers)
    for _ in range(at):
        table.play_period()
    twin = table.twin()
    shape = (periods + 1, markets, len(sellers))
    ledgers = [np.empty(shape, np.dtype([(name, "f8") for name in WATCHED])) for _ in range(2)]
    for t in range(periods + 1):
        for ledger, side, forced in zip(ledgers, (table, twin), (deviation, None), strict=True):
            entry = side.play_period(seat, forced if t == 0 else None)
            for name in WATCHED:
                ledger[name][t] = entry[name]
    return Impulse(*ledgers)
