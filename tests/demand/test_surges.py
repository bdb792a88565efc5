"""Scheduled surges: in the calendar, in the market's customers and in theory, but not in what sellers see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from market.demand.logit import Logit
from market.demand.script import calendar
from market.errors import UserError
from market.simulation.observation import feature_list
from market.spec.models import MarketSpec
from market.theory.newsvendor import mean_demand
from tests.helpers.markets import a_market, begun

DOUBLED = {"start": 2, "length": 3, "factor": 2.0}


def market(*surges: dict[str, Any], horizon: int = 10, **customers: Any) -> MarketSpec:
    return MarketSpec.parse(a_market({}, customers=customers | {"surges": list(surges)}, horizon=horizon))


def test_a_surge_lasts_from_its_start_for_its_length() -> None:
    assert calendar(market(DOUBLED), np.arange(7)).tolist() == [1, 1, 2, 2, 2, 1, 1]
    assert calendar(market({"start": 4, "factor": 0}), np.arange(7)).tolist() == [1, 1, 1, 1, 0, 1, 1]


def test_a_surge_multiplies_trend_weeks_and_other_surges() -> None:
    assert calendar(market(DOUBLED, trend=0.1), 2) == pytest.approx(2.42)
    both = market(DOUBLED, {"start": 4, "length": 9, "factor": 0.5}, weekly=[1, 3])
    assert calendar(both, np.arange(7)).tolist() == [1, 3, 2, 6, 1, 1.5, 0.5]


def test_customers_follow_the_surge() -> None:
    batch = begun({}, customers={"rate": 10.0, "mode": "expected", "surges": [DOUBLED]}, horizon=6)
    assert batch.tape.customers[0].tolist() == [10, 10, 20, 20, 20, 10]
    batch = begun({}, customers={"rate": 10.0, "surges": [DOUBLED]}, horizon=6, markets=4000)
    for t, mean in enumerate([10, 10, 20, 20, 20, 10]):
        total = batch.tape.customers[:, t].sum()
        assert 2 * stats.norm.sf(abs(total - 4000 * mean) / np.sqrt(4000 * mean)) > 1e-4


def test_theory_sees_the_mean_of_the_episode() -> None:
    still, surging = market(), market(DOUBLED)
    assert Logit.of(surging).size == pytest.approx(1.3 * Logit.of(still).size)
    assert mean_demand(surging, 0, [2.0]) == pytest.approx(1.3 * mean_demand(still, 0, [2.0]), rel=1e-3)


def test_sellers_are_not_told() -> None:
    assert feature_list(market(DOUBLED)) == feature_list(market())


def test_a_surge_survives_yaml() -> None:
    spec = market(DOUBLED, {"start": 0, "factor": 0.5})
    assert MarketSpec.parse(spec.dump()) == spec and spec.customers.surges[1].length == 1


SURGES = st.lists(st.tuples(st.integers(0, 11), st.integers(1, 12), st.sampled_from([0.0, 0.25, 0.5, 2.0, 3.0])))


@given(SURGES)
def test_the_largest_surge_is_that_of_a_scan(given_surges: list[tuple[int, int, float]]) -> None:
    surges = [dict(zip(("start", "length", "factor"), surge, strict=True)) for surge in given_surges]
    spec = market(*surges, horizon=40)
    scanned = calendar(spec, np.arange(40)).max()
    assert max(1.0, spec.customers.largest_surge) == pytest.approx(max(1.0, scanned))


@pytest.mark.parametrize(
    ("surge", "said"),
    [
        ({"start": -1, "factor": 2}, r"market.customers.surges.0.start: must be greater than or equal to 0"),
        ({"start": 1, "factor": -2}, r"market.customers.surges.0.factor: must be greater than or equal to 0"),
        ({"start": 1, "factor": 2, "length": 0}, r"market.customers.surges.0.length: must be greater than or equal"),
        ({"start": 1}, r"market.customers.surges.0.factor: this key is required"),
        (
            {"start": 1, "factor": 2, "lenght": 3},
            r"market.customers.surges.0.lenght: unknown key \(did you mean length",
        ),
        (
            {"start": 10, "factor": 2},
            r"customers.surges.0.start 10 lies beyond the episode: the last of 10 periods is 9",
        ),
        ({"start": 1, "factor": 1e8}, r"more than 1e\+09 in a period: lower rate, trend, surges or horizon"),
        ({"start": 1, "factor": float("nan")}, r"market.customers.surges.0.factor: must be"),
    ],
)
def test_surges_that_cannot_be_are_refused(surge: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        market(surge)


def test_surges_that_only_together_bring_too_many_are_refused() -> None:
    one, other = ({"start": at, "length": 4, "factor": 1e4} for at in (0, 2))
    market(one)
    market(one, other | {"start": 4})
    with pytest.raises(UserError, match="more than 1e"):
        market(one, other)
