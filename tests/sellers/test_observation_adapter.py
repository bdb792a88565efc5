"""A policy in another market than its own: features by name, on its own scale, neutral where there is nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from market.simulation.batch import MarketBatch
from market.simulation.observation import feature_list
from market.spec.models import MarketSpec
from policies.sellers.network_seller import ObservationAdapter
from tests.helpers.markets import a_market, begun


def names(spec: MarketSpec) -> list[str]:
    return [feature.name for feature in feature_list(spec)]


def market(*sellers: dict[str, Any], **changes: Any) -> MarketSpec:
    return MarketSpec.parse(a_market(*sellers, **changes))


def shown(batch: MarketBatch, seat: int, learned: MarketSpec, its_seat: int = 0) -> dict[str, float]:
    """What a policy of ``learned`` sees of the first row of a batch, by name."""
    adapter = ObservationAdapter.between(learned, its_seat, batch.spec, seat)
    seen = adapter.see(batch.observe()[:, seat])
    return dict(zip(names(learned), seen[0].tolist(), strict=True))


def test_between_equal_markets_nothing_changes() -> None:
    batch = begun({"stock": 7, "lead_time": 3}, {"stock": 5}, {}, markets=6)
    rng = np.random.default_rng(0)
    for seat in range(3):
        batch.step(rng.uniform(1, 3, (6, 3)), rng.uniform(0, 20, (6, 3)))
        observation = batch.observe()[:, seat]
        assert np.array_equal(
            ObservationAdapter.between(batch.spec, seat, batch.spec, seat).see(observation), observation
        )


def test_what_the_policy_never_saw_is_dropped() -> None:
    learned, here = market({"lead_time": 1}, {}), begun({"lead_time": 3, "stock": 8}, {"stock": 1})
    assert set(names(here.spec)) - set(names(learned)) == {"own_arriving_in_1", "own_arriving_in_2"}
    everything = dict(zip(names(here.spec), here.observe()[0, 0].tolist(), strict=True))
    assert shown(here, 0, learned) == {name: everything[name] for name in names(learned)}


def test_what_this_market_does_not_show_is_neutral() -> None:
    learned = market({"lead_time": 3, "event_frequency": 0.1}, {}, events={"effect": 1, "mean_length": 2})
    here = begun({"stock": 8}, {}, visibility={"rivals_prices": "hidden", "rivals_stock": "hidden"})
    seen = shown(here, 0, learned)
    filled = {name: seen[name] for name in names(learned) if name not in names(here.spec)}
    assert filled == {
        "own_arriving_in_1": 0,
        "own_arriving_in_2": 0,
        "rival_1_price": 0,
        "rival_1_in_stock": 1,
        "event_own_in_0": 0,
        "event_rival_1_in_0": 0,
    }
    assert seen["own_on_hand"] == pytest.approx(0.4)


def test_a_rival_that_is_not_there_has_left() -> None:
    learned, here = market({}, {}, {}), begun({}, {"stock": 3, "start_price": 1.5})
    seen = shown(here, 0, learned)
    assert (seen["rival_1_price"], seen["rival_1_in_stock"]) == (-0.5, 1)
    assert (seen["rival_2_price"], seen["rival_2_in_stock"]) == (1, 0)


def test_values_are_shown_on_the_scale_that_was_learned() -> None:
    """Prices 1 to 3 and levels to 20 here; the policy learned prices 0 to 4 and levels to 40, rivals' prices 2 to 4."""
    learned = market({"prices": [0, 4], "order_up_to": [0, 40]}, {"prices": [2, 4]})
    here = begun({"stock": 30, "start_price": 2.5}, {"start_price": 3})
    seen = shown(here, 0, learned)
    assert here.observe()[0, 0, names(here.spec).index("own_on_hand")] == 1.5
    assert (seen["own_on_hand"], seen["own_price"], seen["rival_1_price"]) == (0.75, 0.25, 0)


def test_values_stay_inside_the_bounds_that_were_learned() -> None:
    learned = market({"order_up_to": [0, 5]}, {"prices": [1, 1.5]})
    seen = shown(begun({"stock": 60}, {"start_price": 3}), 0, learned)
    assert (seen["own_on_hand"], seen["rival_1_price"]) == (4, 1)


def test_rivals_are_those_from_the_new_seat_onward() -> None:
    learned = market({"prices": [0, 4]}, {"prices": [2, 4]})
    here = begun({"start_price": 3}, {"start_price": 2.5})
    seen = shown(here, 1, learned, 0)
    assert (seen["own_price"], seen["rival_1_price"]) == (0.25, 0)
