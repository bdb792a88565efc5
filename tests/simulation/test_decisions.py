"""A seat's action space <-> price and order-up-to level."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from market.errors import UserError
from market.simulation.decisions import Decisions, Scale, order_quantity
from market.spec.models import MarketSpec
from tests.helpers.markets import a_market


def seat(encoding: str | None = None, inventory: str = "stocked", **changes: Any) -> Decisions:
    return Decisions(MarketSpec.parse(a_market({}, changes, inventory=inventory)), 1, encoding)


def test_a_box_action_is_linear_over_the_ranges_and_clipped() -> None:
    price, level = seat(order_up_to=[4, 20]).decode(np.array([[0, -1], [-1, 0], [1, 1], [-7, 0.5], [np.inf, -np.inf]]))
    assert price.tolist() == [2, 1, 3, 1, 3] and level.tolist() == [4, 12, 20, 16, 4]


def test_a_center_is_what_zeros_mean_and_around_it_actions_are_fine() -> None:
    """Range [0, 200], center 20: s = 20; u = .5 upwards is 20 + 180 (.5 / 9 + 8 / 9 / 8) = 50. Price [1, 3], center 2.5:
    s = .5; downwards 2.5 - 1.5 (.5 / 3 + 2 / 3 / 8) = 2.125."""
    fine = seat(prices=[1, 3], order_up_to=[0, 200], center={"price": 2.5, "level": 20})
    price, level = fine.decode(np.array([[0, 0], [-0.5, -0.5], [0.5, 0.5], [1, 1], [-1, -1]]))
    np.testing.assert_allclose(price, [2.5, 2.125, 2.75, 3, 1], rtol=1e-14)
    np.testing.assert_allclose(level, [20, 10, 50, 200, 0], rtol=1e-14)
    assert price[-2:].tolist() == [3, 1] and level[-2:].tolist() == [200, 0]


def test_a_level_near_the_top_is_decided_on_the_scale_of_stock() -> None:
    """Range [0, 200], center 180: s = .6 x 180; u = .5 downwards is 180 - 180 (.6 / 2 + .4 / 8) = 117, upwards 190."""
    level = seat(order_up_to=[0, 200], center={"price": 2, "level": 180}).decode(np.array([[0, -0.5], [0, 0.5]]))[1]
    np.testing.assert_allclose(level, [117, 190], rtol=1e-14)


@pytest.mark.parametrize("least", [0.0, 0.6])
@pytest.mark.parametrize("center", [None, 0.0, 1e-3, 3.0, 77.7, 199.0, 200.0])
def test_all_of_a_range_is_in_reach_whatever_its_center(center: float | None, least: float) -> None:
    scale, numbers = Scale((0.0, 200.0), center, least), np.linspace(-1, 1, 2001)
    values = scale.value(numbers)
    assert values[0] == 0 and values[-1] == 200 and (np.diff(values) >= 0).all()
    assert values[1000] == pytest.approx(100 if center is None else center, abs=1e-12)
    slope = np.diff(values)[[999, 1000]] / 0.001
    assert slope.max() <= max(min(values[1000], 200 - values[1000]), least * values[1000], 10) * 1.001
    np.testing.assert_allclose(scale.value(scale.number(values)), values, atol=1e-9)
    assert [scale.one(float(number)) for number in numbers] == values.tolist()


def test_a_center_outside_its_ranges_is_refused() -> None:
    with pytest.raises(UserError, match=r"sellers\.1.*center.level 30.0 lies outside \[0.0, 20.0\]"):
        seat(order_up_to=[0, 20], center={"price": 2, "level": 30})
    with pytest.raises(UserError, match=r"center.price 9.0 lies outside \[1.0, 3.0\]"):
        seat(center={"price": 9})


def test_a_gate_says_whether_to_order_at_all() -> None:
    """Orders at the level -1, 4 units, are orders; without one the level is 0, although the range begins at 4."""
    gated = seat("gated", order_up_to=[4, 20], order_cost=3.0)
    assert gated.space == spaces.Box(-1.0, 1.0, (3,), np.float32)
    price, level = gated.decode(np.array([[0, -1, 1], [-1, 0, 0.01], [1, 1, 0], [-7, 0.5, -1], [0, 1, np.inf]]))
    assert price.tolist() == [2, 1, 3, 1, 2] and level.tolist() == [4, 12, 0, 0, 20]
    assert order_quantity(level, np.full(5, 2.0), np.zeros(5)).tolist() == [2, 10, 0, 0, 18]
    assert gated.encode(price, level).tolist() == [[0, -1, 1], [-1, 0, 1], [1, -1, -1], [-1, -1, -1], [0, 1, 1]]


def test_without_an_order_cost_nothing_is_gated_unless_asked_and_made_to_order_there_is_nothing_to_gate() -> None:
    assert seat(order_cost=3.0).encoding == "box" and seat(order_cost=3.0).space.shape == (2,)
    made = MarketSpec.parse(a_market({"order_up_to": [0, 0]}, inventory="make_to_order"))
    assert Decisions(made, 0, "gated").space == spaces.Box(-1.0, 1.0, (1,), np.float32)
    box, gated = seat("box"), seat("gated")
    action = np.random.default_rng(0).uniform(-1.2, 1.2, (50, 2))
    opened = np.column_stack([action, np.ones(50)])
    np.testing.assert_array_equal(gated.decode(opened), box.decode(action))


def test_level_0_of_a_grid_is_no_order_also_where_the_range_begins_above() -> None:
    grid = seat("grid", order_up_to=[4, 20], order_cost=3.0, grid={"prices": 1, "levels": [0, 4, 20]})
    assert grid.decode(np.arange(3))[1].tolist() == [0, 4, 20]
    with pytest.raises(UserError, match=r"grid.levels must lie inside \[4.0, 20.0\]$"):
        seat("grid", order_up_to=[4, 20], grid={"prices": 1, "levels": [0, 4, 20]})


def test_a_grid_index_is_price_index_times_levels_plus_level_index() -> None:
    decisions = seat("grid", grid={"prices": 3, "levels": 2})
    price, level = decisions.decode(np.arange(6))
    assert decisions.space == spaces.Discrete(6)
    assert price.tolist() == [1, 1, 2, 2, 3, 3] and level.tolist() == [0, 20, 0, 20, 0, 20]


def test_a_grid_takes_lists_as_they_are_and_a_single_point_is_the_top_of_the_range() -> None:
    price, level = seat("grid", grid={"prices": [1.5, 2.9, 1.1]}).decode(np.array([0, 1, 2]))
    assert price.tolist() == [1.5, 2.9, 1.1] and level.tolist() == [20, 20, 20]


def test_the_spec_says_how_a_seat_decides_unless_the_caller_does() -> None:
    both = {"grid": {"prices": 3}}
    assert seat(**both).encoding == "box" and seat(actions="grid", **both).encoding == "grid"
    assert seat("box", actions="grid", **both).encoding == "box"
    assert seat().space == spaces.Box(-1.0, 1.0, (2,), np.float32)


def test_encoding_a_decision_and_decoding_it_gives_it_back() -> None:
    rng, box = np.random.default_rng(0), seat(order_up_to=[4, 20])
    price, level = rng.uniform(1, 3, 50), rng.uniform(4, 20, 50)
    action = box.encode(price, level)
    assert action.dtype == np.float32 and all(box.space.contains(x) for x in action)
    np.testing.assert_allclose(box.decode(action), [price, level], rtol=1e-6)
    gated, level = seat("gated", order_up_to=[4, 20]), np.where(rng.random(50) < 0.5, level, 0.0)
    np.testing.assert_allclose(gated.decode(gated.encode(price, level)), [price, level], rtol=1e-6)
    grid = seat("grid", grid={"prices": 7, "levels": [0, 3, 20]})
    np.testing.assert_array_equal(grid.encode(*grid.decode(np.arange(21))), np.arange(21))


def test_encoding_takes_the_nearest_point_of_a_grid_and_clips_to_a_box() -> None:
    assert seat("grid", grid={"prices": 3, "levels": 3}).encode(np.array([2.4]), np.array([16.0])).tolist() == [5]
    assert seat().encode(np.array([9.0]), np.array([-3.0])).tolist() == [[1.0, -1.0]]


def test_a_range_of_one_point_decides_nothing() -> None:
    fixed = seat(prices=[2, 2])
    assert fixed.decode(np.array([[0.7, 0.0]]))[0].tolist() == [2.0]
    assert fixed.encode(np.array([2.0]), np.array([10.0])).tolist() == [[0.0, 0.0]]


def test_made_to_order_decides_a_price_only() -> None:
    spec = MarketSpec.parse(a_market({"order_up_to": [0, 0], "grid": {"prices": 3}}, inventory="make_to_order"))
    box, grid = Decisions(spec, 0), Decisions(spec, 0, "grid")
    assert box.space.shape == (1,) and grid.space == spaces.Discrete(3)
    price, level = box.decode(np.array([[0.0], [1.0]]))
    assert price.tolist() == [2, 3] and level.tolist() == [0, 0]
    assert grid.decode(np.array([2]))[0].tolist() == [3] and grid.decode(np.array([2]))[1].tolist() == [0]
    assert box.encode(price, level).tolist() == [[0.0], [1.0]]


def test_one_action_without_a_batch_is_one_decision() -> None:
    assert [x.tolist() for x in seat().decode(np.array([0.0, 1.0]))] == [[2.0], [20.0]]
    assert [x.tolist() for x in seat("grid", grid={"prices": 3}).decode(np.int64(1))] == [[2.0], [20.0]]


@pytest.mark.parametrize(
    ("encoding", "action", "message"),
    [
        ("box", [[0.0, np.nan]], "action of seller b: NaN is not a decision"),
        ("box", [[0.0, 0.0, 0.0]], r"action of seller b: must have shape \(M, 2\), got \(1, 3\)"),
        ("box", 0.0, r"must have shape \(M, 2\)"),
        ("grid", [-1], r"action of seller b: must be 0 to 5, got"),
        ("grid", [6], "must be 0 to 5"),
        ("grid", [1.5], "a grid takes whole numbers"),
        ("grid", [np.nan], "a grid takes whole numbers"),
        ("grid", [np.inf], "a grid takes whole numbers"),
    ],
)
def test_what_is_no_decision_is_refused_by_the_sellers_name(encoding: str, action: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        seat(encoding, grid={"prices": 3, "levels": 2}).decode(np.array(action))


def test_a_seat_without_a_grid_cannot_decide_on_one() -> None:
    with pytest.raises(UserError, match=r"market.sellers.1 \(b\).grid: a seat that decides on a grid needs grid: "):
        seat("grid")
    with pytest.raises(UserError, match=r"market.sellers.1 \(b\): actions must be box, gated or grid, got 'wheel'"):
        seat("wheel")


def test_order_up_to_counts_what_is_on_hand_and_on_order() -> None:
    level, on_hand, on_order = (np.array(x, float) for x in ([20, 20, 20], [5, 0, 15], [3, 0, 9]))
    assert order_quantity(level, on_hand, on_order).tolist() == [12, 20, 0]


def test_a_seat_that_could_never_order_is_refused() -> None:
    spec = MarketSpec.parse(a_market({"order_up_to": [0, 0]}))
    with pytest.raises(UserError, match=r"sellers.0 \(a\).order_up_to: must be \[low, high\] with high above 0"):
        Decisions(spec, 0)
