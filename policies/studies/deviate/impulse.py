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

from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.state import Floats, Record
from policies.sellers.protocol import Memory, Seller, look

WATCHED = ("price", "ordered", "sold", "lost", "profit", "on_hand_left", "on_order")


@dataclass(frozen=True)
class ForcedDecision:
    """What the seat does in its one period off its policy: ``seller``'s price, and its order too where ``orders``.

    ``seller`` looks on from the start of the episode, so that rules which remember know what they would know.
    """

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
        """Price change as a share of the undeviated price (K + 1, M, N); 0 where that is 0."""
        usual = self.twin["price"]
        return np.asarray(np.divide(self.change("price"), usual, out=np.zeros_like(usual), where=usual > 0))

    def stock_change(self) -> Floats:
        """Inventory position (on hand + on order) at a period's end, deviated less undeviated (K + 1, M, N), units."""
        return self.change("on_hand_left") + self.change("on_order")


class SellersAtPlay:
    """Sellers at one batch: who remembers what. ``forced`` looks on from ``seat``; its ``memory`` is kept apart."""

    def __init__(self, batch: MarketBatch, sellers: Sequence[Seller], seat: int, forced: ForcedDecision) -> None:
        self.batch, self.sellers, self.seat, self.forced = batch, sellers, seat, forced
        self.memories = [seller.start(batch.markets) for seller in sellers]
        self.memory = forced.seller.start(batch.markets)

    def twin(self) -> SellersAtPlay:
        """The same moment once more: state, customers to come and memories."""
        other = MarketBatch(self.batch.spec, self.batch.markets)
        other.load(self.batch.save())
        table = SellersAtPlay(other, self.sellers, self.seat, self.forced)
        table.memories = [_copied(memory) for memory in self.memories]
        table.memory = _copied(self.memory)
        return table

    def play_period(self, deviate: bool = False) -> Record:
        """One period; to ``deviate`` the seat still decides (and so remembers), but its price is not posted."""
        observation = self.batch.observe()
        price = np.empty((self.batch.markets, len(self.sellers)))
        order = np.empty_like(price)
        for k, seller in enumerate(self.sellers):
            view = look(self.batch, k, observation)
            price[:, k], order[:, k], self.memories[k] = seller.act(view, self.memories[k])
        other, ordered, self.memory = self.forced.seller.act(look(self.batch, self.seat, observation), self.memory)
        if deviate:
            price[:, self.seat] = other
            order[:, self.seat] = ordered if self.forced.orders else order[:, self.seat]
        return self.batch.step(price, order)


def _copied(memory: Memory) -> Memory:
    return {name: array.copy() for name, array in memory.items()}


def impulse(
    spec: MarketSpec,
    sellers: Sequence[Seller],
    seat: int,
    deviation: ForcedDecision,
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
        UserError: the episode is too short.
    """
    if not 0 <= at < spec.horizon - periods:
        raise UserError(
            f"--at {at} and {periods} periods after it do not fit an episode (market.horizon) of {spec.horizon}"
        )
    batch = MarketBatch(spec, markets, seed)
    batch.reset()
    table = SellersAtPlay(batch, sellers, seat, deviation)
    for _ in range(at):
        table.play_period()
    twin = table.twin()
    shape = (periods + 1, markets, len(sellers))
    ledgers = [np.empty(shape, np.dtype([(name, "f8") for name in WATCHED])) for _ in range(2)]
    for t in range(periods + 1):
        for ledger, side in zip(ledgers, (table, twin), strict=True):
            entry = side.play_period(deviate=side is table and t == 0)
            for name in WATCHED:
                ledger[name][t] = entry[name]
    return Impulse(*ledgers)
