"""Rails, each by hand, and what must hold of all of them together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import UserError
from market.spec.loading import parse_model
from market.state import Floats
from policies.config.rails import Rails
from policies.deployment.rails import Railed, within_order, within_price


def price(
    wanted: float, last: float = 2.0, rivals: tuple[float, ...] = (2.0,), cost: float = 1.0, **rails: Any
) -> tuple[float, list[str]]:
    railed = Railed(np.array([wanted]), np.array([0.0]))
    within_price(Rails(**rails), railed, np.array([last]), np.array([rivals]), np.array([cost]))
    return round(float(railed.price[0]), 10), [one.partition(":")[0] for one in railed.bound[0]]


def order(wanted: float, position: float = 0.0, usual: float = 5.0, cost: float = 1.0, **rails: Any) -> float:
    railed = Railed(np.array([2.0]), np.array([wanted]))
    within_order(Rails(**rails), railed, np.array([position]), usual, np.array([cost]))
    return float(railed.order[0])


def test_prices_by_hand() -> None:
    assert price(3.0) == (3.0, [])
    assert price(3.0, change=0.1) == (2.2, ["change"])
    assert price(1.0, change=0.1) == (1.8, ["change"])
    assert price(3.0, change=0.1, on_change="hold") == (2.0, ["change"])
    assert price(2.1, change=0.1, on_change="hold") == (2.1, [])
    assert price(3.0, price=(1.5, 2.5)) == (2.5, ["price"])
    assert price(1.87, endings=(0.99, 0.49)) == (1.99, ["endings"])
    assert price(1.2, endings=(0.99,)) == (0.99, ["endings"])
    assert price(1.05, margin=0.2) == (1.2, ["margin"])
    assert price(1.25, margin=0.2) == (1.25, [])


def test_the_rivals_median_bounds_a_price() -> None:
    railed = Railed(np.array([3.0]), np.zeros(1))
    within_price(Rails(rivals=0.25), railed, np.array([2.0]), np.array([[1.0, 2.0, 9.0]]), np.ones(1))
    assert railed.price.tolist() == [2.5] and railed.bound == [["rivals: price 3 to 2.5"]]


def test_endings_stay_within_what_was_allowed_before() -> None:
    """From 2.00 a tenth at most: 1.80 to 2.20, in which 1.99 lies and 2.49 does not; .5 lies nowhere there."""
    assert price(2.4, change=0.1, endings=(0.49, 0.99)) == (1.99, ["change", "endings"])
    assert price(2.4, change=0.1, endings=(0.5,)) == (2.2, ["change", "endings"])


def test_a_price_that_loses_money_is_raised_last_whatever_the_others_say() -> None:
    assert price(1.0, last=1.0, change=0.05, price=(0.5, 1.1), cost=2.0, margin=0.1) == (2.2, ["margin"])
    assert price(1.0, endings=(0.5,), cost=1.4, margin=0.1)[0] == 2.5, "the next ending above 1.54"
    assert price(1.0, endings=(0.6,), cost=1.4, margin=0.1)[0] == 1.6


def test_orders_by_hand() -> None:
    assert order(7.0) == 7.0
    assert order(7.0, multiple=6) == 6.0 and order(9.0, multiple=6) == 12.0
    assert (
        order(4.0, least_order=10) == 0.0 and order(6.0, least_order=10) == 10.0 and order(0.0, least_order=10) == 0.0
    )
    assert order(6.0, least_order=10, multiple=4) == 12.0, "the least multiple that is enough"
    assert order(40.0, order=12) == 12.0
    assert order(40.0, position=20.0, usual=5.0, supply=6) == 10.0
    assert order(4.0, position=80.0, usual=5.0, supply=6) == 0.0
    assert order(40.0, cost=3.0, budget=50) == 16.0
    assert order(40.0, cost=3.0, budget=50, multiple=6) == 12.0
    assert order(40.0, cost=3.0, budget=20, least_order=10) == 0.0, "what the money buys is less than an order has"


shares = st.floats(0.01, 0.5)
some = st.fixed_dictionaries(
    {},
    optional={
        "rivals": shares,
        "change": shares,
        "on_change": st.sampled_from(["clamp", "hold"]),
        "price": st.tuples(st.floats(0.5, 2.0), st.floats(2.0, 5.0)),
        "endings": st.lists(st.sampled_from([0.0, 0.25, 0.49, 0.9, 0.99]), max_size=3).map(tuple),
        "margin": st.floats(0.0, 0.5),
        "multiple": st.sampled_from([2.0, 6.0, 12.0]),
        "least_order": st.floats(1.0, 30.0),
        "supply": st.floats(1.0, 20.0),
        "order": st.floats(1.0, 100.0),
        "budget": st.floats(1.0, 300.0),
    },
)
prices = st.lists(st.floats(0.1, 8.0), min_size=1, max_size=4)


@given(some, prices, st.floats(0.5, 4.0), st.floats(0.2, 3.0), st.floats(0.0, 60.0), st.floats(0.0, 90.0))
def test_all_rails_together_keep_what_they_promise(
    rails: dict[str, Any], wanted: list[float], last: float, cost: float, position: float, units: float
) -> None:
    count, given_ = len(wanted), Rails(**rails)

    def same(value: float) -> Floats:
        return np.full(count, value)

    railed = Railed(np.array(wanted), same(round(units)))
    within_price(given_, railed, same(last), np.tile([1.5, 2.0, 2.5], (count, 1)), same(cost))
    within_order(given_, railed, same(position), 5.0, same(cost))
    if given_.margin is not None:
        assert (railed.price >= cost * (1 + given_.margin) - 1e-6).all()
    elif given_.price is not None:
        assert (railed.price >= given_.price[0] - 1e-6).all() and (railed.price <= given_.price[1] + 1e-6).all()
    elif given_.change is not None:
        assert (np.abs(railed.price - last) <= given_.change * last + 1e-6).all()
    assert (railed.order >= 0).all()
    if given_.order is not None:
        assert (railed.order <= given_.order).all()
    if given_.budget is not None:
        assert (railed.order * cost <= given_.budget + 1e-6).all()
    if given_.supply is not None:
        assert (railed.order <= max(given_.supply * 5.0 - position, 0.0) + 1e-6).all()
    if given_.multiple is not None:
        assert np.allclose(railed.order % given_.multiple, 0.0)
    if given_.least_order is not None:
        assert ((railed.order == 0) | (railed.order >= given_.least_order)).all()
    for k, bound in enumerate(railed.bound):
        moved = abs(railed.price[k] - wanted[k]) > 1e-6 or abs(railed.order[k] - round(units)) > 1e-6
        assert bool(bound) or not moved


@pytest.mark.parametrize(
    "rails, message",
    [
        ({"price": [3, 2]}, "price: must be"),
        ({"change": 0}, "change"),
        ({"endings": [1.99]}, "endings.0"),
        ({"chnge": 0.1}, "unknown key"),
        ({"on_change": "stop"}, "on_change"),
    ],
)
def test_rails_that_cannot_be_are_refused_with_their_place(rails: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_model(Rails, rails, "rails")
