"""A seller in a market of the same sellers in another order sees each rival where it learned to see it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from market.simulation.observation import feature_list
from market.spec.models import MarketSpec
from policies.sellers.network_seller import ObservationAdapter


def market(names: str) -> MarketSpec:
    sellers = [
        {"name": name, "quality": 1.0, "unit_cost": 1.0, "prices": [1, 2 + "abcd".index(name)], "order_up_to": [0, 10]}
        for name in names
    ]
    return MarketSpec.parse({"horizon": 9, "price_sensitivity": 1.0, "customers": {"rate": 5}, "sellers": sellers})


def shown(spec: MarketSpec, seat: int, price: dict[str, float]) -> np.ndarray[Any, Any]:
    """The middle of every number but prices, which are from -1 to 1 over their seller's range."""
    found = np.zeros(len(feature_list(spec)), np.float32)
    for k, feature in enumerate(feature_list(spec)):
        if feature.name.endswith("_price"):
            found[k] = price[spec.names[(seat + feature.offset) % len(spec.names)]]
    return found


@pytest.mark.parametrize("there", ["bac", "cba", "acb", "cab"])
def test_rivals_are_known_by_their_names(there: str) -> None:
    learned, here, price = market("abc"), market(there), {"a": 0.1, "b": -0.5, "c": 0.9}
    adapter = ObservationAdapter.between(learned, 0, here, there.index("a"))
    seen = adapter.see(shown(here, there.index("a"), price)[None])[0]
    assert seen == pytest.approx(shown(learned, 0, price), abs=1e-6)


def test_rivals_with_other_names_are_those_as_far_from_the_seat() -> None:
    learned, here = market("abc"), market("abd")
    adapter = ObservationAdapter.between(learned, 0, here, 0)
    assert adapter.column.tolist() == list(range(len(feature_list(learned))))
