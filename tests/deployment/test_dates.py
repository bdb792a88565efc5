"""A state may tell its date in place of the period."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from market.errors import UserError
from market.spec.models import MarketSpec, Origin, day_of
from policies.deployment.fields import fields_of
from policies.deployment.states import STATE, Given, told_states

SELLER = {"name": "shop", "quality": 1.0, "unit_cost": 1.0, "prices": [1, 3], "order_up_to": [0, 9]}
STATE_OF: dict[str, Any] = {"on_hand": 3, "price": 2.0, "sold": 1}


def origin(first: str, last: str = "2024-12-30") -> dict[str, Any]:
    return {"file": "x.csv", "sha256": "0" * 64, "first": first, "last": last}


def spec(**changes: Any) -> MarketSpec:
    data: dict[str, Any] = {
        "horizon": 20,
        "period": "week",
        "price_sensitivity": 1.0,
        "customers": {"rate": 5},
        "sellers": [SELLER],
    }
    return MarketSpec.parse(data | {"season": [0.1, 0.2, 0.3, 0.4], "estimated_from": origin("2024-01-01")} | changes)


def told(state: dict[str, Any], market: MarketSpec) -> Given:
    return told_states(state, STATE, market, 0, fields_of(market, 0), joined=False)


def test_a_date_is_the_number_of_its_period() -> None:
    for given, period in (("2024-01-01", 0), ("2024-01-07", 0), ("2024-01-08", 1), (date(2025, 1, 6), 53)):
        assert told(STATE_OF | {"date": given}, spec()).values[0, 0] == period
    assert told(STATE_OF | {"date": None, "period": 3}, spec()).values[0, 0] == 3


def test_where_there_is_no_calendar_a_date_says_nothing() -> None:
    one, other = told(STATE_OF | {"date": "2024-01-08"}, spec(season=[])), told(STATE_OF, spec(season=[]))
    assert one.values[0, :3].tolist() == other.values[0, :3].tolist()


@pytest.mark.parametrize(
    ("step", "first", "day", "period"),
    [
        ("day", "2024-01-01", "2024-03-01", 60), ("week", "2024-01-03", "2024-01-09", 0), ("month", "2023-11", "2024-02-28", 3),
        ("month", "2023-11-01", "2023-10-31", -1), ("week", "week 3", "2024-01-09", None), ("period", "2024-01-01", "2024-01-09", None),
    ],
)  # fmt: skip
def test_periods_are_counted_in_their_own_steps(step: str, first: str, day: str, period: int | None) -> None:
    assert Origin(**origin(first)).period_of(date.fromisoformat(day), step) == period


def test_what_is_no_date_has_no_day() -> None:
    assert day_of("2024-02") == date(2024, 2, 1) and day_of(datetime(2024, 2, 3, 4)) == date(2024, 2, 3)
    assert [day_of(one) for one in ("17", "2024-13-01", "Monday", 5)] == [None] * 4


@pytest.mark.parametrize(
    ("state", "market", "message"),
    [
        ({"date": "2024-01-08", "period": 3}, spec(), "state: date: is given beside period"),
        ({"date": "tomorrow"}, spec(), "state: date: must be a date such as 2024-05-06, got 'tomorrow'"),
        (
            {"date": "2023-12-31"},
            spec(),
            "state: date: must be 2024-01-01 or later, where the market's calendar begins",
        ),
        (
            {"date": "2024-01-08"},
            spec(estimated_from=None),
            "does not say on which day its calendar begins: give period",
        ),
    ],
)
def test_a_date_that_says_nothing_is_refused(state: dict[str, Any], market: MarketSpec, message: str) -> None:
    with pytest.raises(UserError, match=message):
        told(STATE_OF | state, market)
