"""Play sellers against each other and keep the ledger: what search and evaluation run on.

Dimensions: T periods, M markets side by side, N sellers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from market.errors import UserError
from market.metrics.summary import episode_profit, profit_a_period
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.state import LEDGER, LEDGER_UNITS, Floats, Record
from policies.sellers.protocol import Seller, looks

COUNTED = ("profit", "on_hand_left", "on_order")  # the ledger's fields that an episode's profit is counted from
LARGEST_LEDGER = 2**20  # seller-periods in memory at once: 128 MiB with all fields


def rows_at_once(spec: MarketSpec, most: int) -> int:
    """How many episodes to play side by side so that their ledger stays in memory: ``most``, fewer if they are long."""
    return max(1, min(most, LARGEST_LEDGER // (spec.horizon * len(spec.sellers))))


def rounds(batch: MarketBatch, sellers: Sequence[Seller], periods: int | None = None) -> Iterator[Record]:
    """Yield the ledger (M, N) of each period until ``periods`` or the horizon; the next step overwrites it.

    The batch must stand at the start of its episodes: sellers begin with fresh memories.
    """
    spec = batch.spec
    if len(sellers) != len(spec.sellers):
        raise UserError(f"{spec.name} has {len(spec.sellers)} seats, got {len(sellers)} sellers")
    memories = [seller.start(batch.markets) for seller in sellers]
    price = np.empty((batch.markets, len(sellers)))
    order = np.empty_like(price)
    for _ in range(spec.horizon if periods is None else min(periods, spec.horizon)):
        observation = batch.observe()
        for seat, (seller, view) in enumerate(
            zip(sellers, looks(batch, observation, range(len(sellers))), strict=True)
        ):
            price[:, seat], order[:, seat], memories[seat] = seller.act(view, memories[seat])
        yield batch.step(price, order)


def play(
    market: MarketSpec | MarketBatch,
    sellers: Sequence[Seller],
    periods: int | None = None,
    seed: int | ArrayLike | None = None,
    markets: int = 1,
    fields: Sequence[str] | None = None,
) -> Record:
    """Play one episode in every market and return its ledger (T, M, N).

    Args:
        market: a spec, played in ``markets`` rows; or a batch, put to the start of its next episode.
        sellers: one for each seat, in seat order.
        periods: how many to play; default and at most the horizon.
        seed: of the first row, or one for each row; default 0 for a spec, the batch's own seeds for a batch.
        markets: M, when ``market`` is a spec.
        fields: the ledger's fields to keep, 8 bytes each a seller and period; default all
            (``market.state.LEDGER_UNITS`` names them with their units).

    Example::

        from market.spec.models import MarketSpec
        from policies import build_rule, rollout

        spec = MarketSpec.load("duopoly")
        ledger = rollout(spec, [build_rule("nash+base_stock", spec, seat) for seat in range(2)], markets=64)
        print(ledger["profit"].mean(axis=(0, 1)))  # (N,) money a period
    """
    batch, length = _begun(market, periods, seed, markets)
    kept = LEDGER if fields is None else np.dtype([(name, "f8") for name in fields])
    ledger: Record = np.empty((length, batch.markets, len(batch.spec.sellers)), kept)
    for t, entry in enumerate(rounds(batch, sellers, length)):
        if fields is None:
            ledger[t] = entry  # one copy of everything, several times faster than field by field
            continue
        for name in fields:
            ledger[name][t] = entry[name]
    return ledger


def episode_profits(
    market: MarketSpec | MarketBatch,
    sellers: Sequence[Seller],
    warm_up: int = 0,
    salvage: float = 1.0,
    seed: int | ArrayLike | None = None,
    markets: int = 1,
) -> Floats:
    """Play one episode in every market as :func:`play` does: each one's mean profit a period (M, N), money.

    ``warm_up`` and ``salvage``: see :func:`market.metrics.summary.episode_profit`.
    """
    ledger = play(market, sellers, seed=seed, markets=markets, fields=COUNTED)
    return profit_a_period(ledger, market if isinstance(market, MarketSpec) else market.spec, warm_up, salvage)


def mean_profit(
    spec: MarketSpec, sellers: Sequence[Seller], warm_up: int, salvage: float, seed: int, markets: int
) -> Floats:
    """Play a line-up in so many episodes: each seat's mean profit a period over all of them (N,), money."""
    ledger = play(spec, sellers, seed=seed, markets=markets, fields=COUNTED)
    return np.asarray(
        episode_profit(ledger, spec, warm_up, salvage).mean(axis=0) / (spec.horizon - warm_up), np.float64
    )


def play_columns(
    market: MarketSpec | MarketBatch, sellers: Sequence[Seller], seed: int | ArrayLike | None = None, markets: int = 1
) -> dict[str, Floats]:
    """As :func:`play`, each field an array (T, M, N) of its own: measures of whole columns are twice as fast on these."""
    batch, length = _begun(market, None, seed, markets)
    shape = (length, batch.markets, len(batch.spec.sellers))
    columns: dict[str, Floats] = {name: np.empty(shape) for name in LEDGER_UNITS}
    for t, entry in enumerate(rounds(batch, sellers, length)):
        for name, column in columns.items():
            column[t] = entry[name]
    return columns


def _begun(
    market: MarketSpec | MarketBatch, periods: int | None, seed: int | ArrayLike | None, markets: int
) -> tuple[MarketBatch, int]:
    """A batch at the start of an episode, and how many periods of it to play."""
    if isinstance(market, MarketSpec):
        batch = MarketBatch(market, markets, 0 if seed is None else seed)
        batch.reset()
    else:
        batch = market
        batch.reset(seed)
    return batch, batch.spec.horizon if periods is None else min(periods, batch.spec.horizon)
