"""A small duopoly, stocked or made to order, and what a seller sees of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from market.spec.models import MarketSpec
from policies.sellers.protocol import View
from tests.helpers.markets import a_market

SELLER: dict[str, Any] = {
    "quality": 4.0,
    "unit_cost": 1.0,
    "order_cost": 0.5,
    "holding_cost": 0.02,
    "stockout_cost": 0.1,
    "lead_time": 1,
    "stock": 10,
    "prices": [1.0, 3.0],
    "order_up_to": [0, 40],
}


def duopoly(seller: dict[str, Any] | None = None, **market: Any) -> MarketSpec:
    """Two sellers, the second of higher quality and cost so that nothing is symmetric by accident."""
    first = {"name": "left"} | SELLER | (seller or {})
    second = {"name": "right"} | SELLER | {"quality": 4.6, "unit_cost": 1.2} | (seller or {})
    data = {"horizon": 30, "price_sensitivity": 2.0, "customers": {"rate": 20}, "sellers": [first, second]}
    return MarketSpec.parse(data | market)


def made_to_order(**market: Any) -> MarketSpec:
    sellers = [
        {"name": name, "quality": 8.0, "unit_cost": 1.0, "prices": [1.0, 2.5], "reward_scale": 1.0}
        for name in ("first", "second")
    ]
    data = {"horizon": 30, "inventory": "make_to_order", "price_sensitivity": 4.0, "customers": {"rate": 20}}
    return MarketSpec.parse(data | {"sellers": sellers} | market)


def view(**given: Any) -> View:
    """A view of as many markets as the lists have entries; whatever is not given is zero."""
    m = max((len(value) for value in given.values()), default=1)
    zeros = {name: np.zeros(m) for name in ("on_hand", "on_order", "price", "sold", "lost")}
    rest = {
        # All that is on order arrives next period unless the test says otherwise.
        "pipeline": np.reshape(given.get("on_order", np.zeros(m)), (m, 1)),
        "observation": np.zeros((m, 1), np.float32),
        "rivals_price": np.full((m, 1), 2.0),
        "rivals_in_stock": None,
        "event": np.zeros((m, 1, 2), np.int8),
        "period": np.full(m, 5),
        "noise": np.zeros(m, np.uint64),
    }
    return View(**(zeros | rest | {name: np.asarray(value) for name, value in given.items()}))  # type: ignore[arg-type]


def everybody_buys(lead_time: int, **customers: Any) -> MarketSpec:
    return MarketSpec.parse(
        a_market({"lead_time": lead_time}, outside="none", customers={"rate": 5.0} | customers, horizon=4)
    )
