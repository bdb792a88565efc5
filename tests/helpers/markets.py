"""Builders of small markets."""

from __future__ import annotations

from typing import Any

import numpy as np

from market.demand.equilibrium import prices_of
from market.demand.logit import Logit, profits
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.state import Floats

EVERYBODY_BUYS = {"outside": "none", "price_sensitivity": 1.0}


def a_seller(**changes: Any) -> dict[str, Any]:
    """Plain data of a seller whose utility is 0 at the price of 2, the middle of its range."""
    base = {"name": "a", "quality": 2.0, "unit_cost": 1.0, "prices": [1, 3], "order_up_to": [0, 20]}
    return base | {"reward_scale": 1.0} | changes


def a_market(*sellers: dict[str, Any], customers: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Plain data of a market of sellers a, b, c ... (each with the changes given), 20 customers a period."""
    seats = [a_seller(**({"name": "abcdefgh"[k]} | seller)) for k, seller in enumerate(sellers or ({},))]
    base = {"horizon": 5, "price_sensitivity": 1.0, "customers": {"rate": 20.0} | (customers or {}), "sellers": seats}
    return base | changes


def nash_profits(spec: MarketSpec) -> Floats:
    """Every seat's mean profit a period (N,), money, at Bertrand-Nash prices averaged over ``xi``."""
    return profits(Logit.of(spec), prices_of(spec))


def begun(*sellers: dict[str, Any], markets: int = 1, seed: int = 0, **changes: Any) -> MarketBatch:
    """A batch of :func:`a_market` at the start of its first episode."""
    batch = MarketBatch(MarketSpec.parse(a_market(*sellers, **changes)), markets, seed)
    batch.reset()
    return batch


def customers_come(batch: MarketBatch, number: float) -> None:
    """Let exactly ``number`` customers come in every period."""
    batch.tape.customers[:] = number


def serve_in_stages(batch: MarketBatch, stages: bool) -> None:
    """Choose between the two ways to serve customers, which must not differ in distribution."""
    batch._market["direct_from"] = 0.0 if stages else np.inf


def play(batch: MarketBatch, price: Any = 2.0, order: Any = 0.0) -> Any:
    """Step all rows with the same prices and orders (scalars, or one number a seller); a copy of the ledger."""
    shape = batch.state.price.shape
    decisions = (np.broadcast_to(np.asarray(x, np.float64), shape) for x in (price, order))
    return batch.step(*decisions).copy()


def prices_against_nash(spec: MarketSpec, seat: int, price: float) -> Floats:
    """Posted prices (N,): ``price`` in ``seat``, Bertrand-Nash prices elsewhere."""
    posted = prices_of(spec).copy()
    posted[seat] = price
    return posted
