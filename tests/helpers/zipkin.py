"""Zipkin's (2008) example of lost sales, and what figures must lie inside."""

from __future__ import annotations

from typing import Any

import numpy as np

from market.spec.models import MarketSpec


def zipkin(penalty: float, lead_time: int, horizon: int = 1050, **seller: Any) -> MarketSpec:
    """Everyone buys at a price that is the penalty: cost = 5 x penalty - profit."""
    shop = {"name": "shop", "quality": 0, "unit_cost": 0, "holding_cost": 1, "prices": [penalty, penalty]}
    shop |= {"lead_time": lead_time, "order_up_to": [0, 40], "reward_scale": 1} | seller
    data = {"horizon": horizon, "price_sensitivity": 1.0, "outside": "none", "customers": {"rate": 5}}
    return MarketSpec.parse(data | {"sellers": [shop]})


def assert_inside(sample: np.ndarray[Any, Any], value: float, rounding: float = 0.0) -> None:
    """The value lies inside the sample's own 99 % interval, or is a rounding away from it."""
    half = 2.576 * sample.std(ddof=1) / np.sqrt(len(sample))
    assert abs(sample.mean() - value) <= half + rounding
