"""How learners decide: grids placed by theory, by hand and nearly as good as all decisions; a gate where orders cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.demand.equilibrium import prices_of
from market.simulation.decisions import Decisions
from market.spec.models import Grid, MarketSpec
from market.theory.optimum import solve
from policies.config.run import parse_run
from policies.learners.build import encoding_of, make_learner
from policies.learners.default_decisions import center_of, grid_of, with_decision, with_decisions
from policies.sellers.rules.base import Seat
from tests.helpers.known_optima import FINE_PRICES, MARKETS
from tests.helpers.markets import a_market


def spec_of(name: str, wide: bool = False, **seller: Any) -> MarketSpec:
    market = MarketSpec.parse(MARKETS[name]).dump()
    ranges = {"prices": [1, 6], "order_up_to": [0, 120]} if wide else {}
    return MarketSpec.parse(market | {"sellers": [market["sellers"][0] | ranges | seller]})


def test_a_grid_lies_around_nash_price_and_newsvendor_level() -> None:
    """The monopoly of ``market/theory``: cost 1, Nash price 2, newsvendor level 27; .82 to 1.3 x, .3 to 2.2 x."""
    grid = grid_of(spec_of("monopoly", wide=True), 0)
    down, up = (2 - 0.36 * (k / 8) ** 1.5 for k in range(8, 0, -1)), (2 + 0.6 * (k / 8) ** 1.5 for k in range(9))
    assert grid.prices == pytest.approx((*down, *up), abs=6e-4)
    assert grid.levels == (8, 12, 15, 18, 20, 23, 25, 26, 27, 28, 31, 34, 38, 43, 48, 54, 59)


def test_a_thin_margin_narrows_the_prices() -> None:
    """Half of the markup of 1 down, .9 of it up: .82 x 10.5 would lie below cost."""
    thin = spec_of("monopoly", quality=21.0, unit_cost=9.5, prices=[9.5, 20])
    prices = grid_of(thin, 0).prices
    assert isinstance(prices, tuple)
    assert (prices[0], prices[-1]) == (pytest.approx(10.0, abs=0.01), pytest.approx(11.4, abs=0.01))


@pytest.mark.parametrize(("name", "wide"), [("monopoly", False), ("monopoly", True), ("lead_time_3", True)])
def test_it_is_worth_nearly_all_decisions(name: str, wide: bool) -> None:
    grid = grid_of(spec_of(name, wide), 0)
    assert isinstance(grid.prices, tuple) and isinstance(grid.levels, tuple)
    reached = solve(spec_of(name, wide), 0, prices=grid.prices, levels=grid.levels).average
    assert reached >= 0.998 * solve(spec_of(name), 0, prices=FINE_PRICES).average


def test_no_order_is_a_level_where_an_order_costs_and_an_economic_order_lies_within() -> None:
    """K 8, d 10, h .1: an economic order is 40 units, on top of a newsvendor level of 27."""
    spec = spec_of("monopoly", order_up_to=[5, 110], order_cost=8.0, prices=[1, 6])
    grid = grid_of(spec, 0)
    assert isinstance(grid.prices, tuple) and isinstance(grid.levels, tuple)
    assert grid.levels[0] == 0 and grid.levels[1] >= 5 and len(grid.levels) == 17
    best = solve(spec_of("monopoly", order_up_to=[0, 110], order_cost=8.0), 0).average
    free = spec_of("monopoly", order_up_to=[0, 110], order_cost=8.0, prices=[1, 6])
    assert solve(free, 0, prices=grid.prices, levels=grid.levels).average >= 0.998 * best
    written = spec.dump()
    written["sellers"][0]["grid"] = grid.model_dump(mode="json")
    assert MarketSpec.parse(written).sellers[0].grid == grid


@pytest.mark.parametrize(
    ("market", "grid"),
    [
        ({"holding_cost": 0, "order_up_to": [0, 32]}, "levels"),
        ({"order_up_to": [200, 232]}, "levels"),  # all beyond 2.2 x the newsvendor level
    ],
)
def test_without_theory_it_is_even_over_the_range(market: dict[str, Any], grid: str) -> None:
    low, high = market["order_up_to"]
    values = getattr(grid_of(MarketSpec.parse(a_market(market, market)), 0), grid)
    assert values == tuple(low + (high - low) * k / 16 for k in range(17))
    captive = MarketSpec.parse(a_market({"prices": [1, 4.2]}, outside="none"))
    assert grid_of(captive, 0).prices == pytest.approx([1 + 0.2 * k for k in range(17)])


@pytest.mark.parametrize(("outside", "way"), [(-2.0, "joint"), ("none", "capped")])
def test_prices_reach_what_rivals_may_post(outside: float | str, way: str) -> None:
    """1.1 times the way from the Nash to the joint-profit price; where that is infinite, .3 of the Nash price three times."""
    seat = Seat(MarketSpec.parse(a_market({"prices": [1, 9]}, {"prices": [1, 9]}, outside=outside)), 0)
    nash = float(seat.nash[0])
    top = nash + 1.1 * float(seat.joint[0] - nash) if way == "joint" else 1.9 * nash
    assert top > 1.3 * nash
    assert np.max(grid_of(seat.spec, 0).prices) == pytest.approx(top, rel=1e-3)


def test_made_to_order_it_has_prices_only() -> None:
    made = {"order_up_to": [0, 0]}
    grid = grid_of(MarketSpec.parse(a_market(made, made, inventory="make_to_order")), 1)
    assert isinstance(grid.prices, tuple) and len(grid.prices) == 25 and grid.levels == 1


@settings(max_examples=30, deadline=None)
@given(
    low=st.floats(0, 30), width=st.floats(0, 60), floor=st.floats(0.5, 3), above=st.floats(0, 2), cost=st.floats(0, 9)
)
def test_it_keeps_to_the_ranges(low: float, width: float, floor: float, above: float, cost: float) -> None:
    top = max(low + width, 0.5)
    seat = {"order_up_to": [low, top], "prices": [floor, floor + above], "order_cost": cost, "holding_cost": 0.1}
    spec = MarketSpec.parse(a_market(seat, seat))
    grid = grid_of(spec, 0)
    written = spec.dump()
    written["sellers"][0]["grid"] = grid.model_dump(mode="json")
    MarketSpec.parse(written)  # refuses what lies outside
    for values in (grid.prices, grid.levels):
        assert isinstance(values, tuple) and values and list(values) == sorted(set(values))
    assert (0 in grid.levels) or not cost  # type: ignore[operator]


def test_a_box_has_a_gate_where_an_order_costs_and_only_there() -> None:
    dear, seats = {"order_cost": 2.0}, {"a": "ddpg", "b": "a2c", "c": "a2c", "d": "dqn"}
    market = a_market({}, dear, dear | {"actions": "grid"}, dear, horizon=20)
    config = parse_run({"market": market, "seats": seats}, "here")
    found = [encoding_of(config, seat, name) for seat, name in enumerate(seats.values())]
    assert found == ["box", "gated", "grid", "grid"]
    learner, decisions = make_learner(config, 1, "a2c", "cpu", 0)
    assert decisions.space.shape == (3,) and learner.network.architecture.actions == 3
    made = parse_run({"market": a_market({"order_up_to": [0, 0]}, inventory="make_to_order", horizon=20)}, "here")
    assert encoding_of(made, 0, "ddpg") == "box"


def test_learners_that_need_one_get_one_and_others_do_not() -> None:
    config = parse_run({"market": a_market({}, {}, {}, horizon=20), "seats": {"a": "dqn", "b": "a2c"}}, "here")
    found = with_decisions(config)
    assert [seller.grid is None for seller in found.market.sellers] == [False, True, True]
    assert found.market.sellers[0].grid == grid_of(config.market, 0)
    assert parse_run(found.dump(), "again") == found and with_decisions(found) is found
    assert with_decision(config, 1, "dqn").market.sellers[1].grid == grid_of(config.market, 1)
    asked = parse_run({"market": a_market({"actions": "grid"}, horizon=20), "seats": {"a": "a2c"}}, "here")
    assert isinstance(with_decisions(asked).market.sellers[0].grid, Grid)
    given_one = parse_run({"market": a_market({"grid": {"prices": 4}}, horizon=20), "seats": {"a": "dqn"}}, "here")
    assert with_decisions(given_one) is given_one


def test_a_box_begins_where_theory_says_and_a_market_that_says_where_keeps_it() -> None:
    """The price of the Nash solver and the middle of the grid's levels, in the middle of the box."""
    config = parse_run(
        {"market": a_market({"holding_cost": 0.1}, {}, horizon=20), "seats": {"a": "ddpg", "b": "dqn"}}, "here"
    )
    found = with_decisions(config)
    center, grid = found.market.sellers[0].center, grid_of(config.market, 0)
    assert center is not None and found.market.sellers[1].center is None
    assert center.price == pytest.approx(prices_of(config.market)[0], rel=1e-4)
    assert isinstance(grid.levels, tuple) and round(center.level) in grid.levels
    price, level = Decisions(found.market, 0).decode(np.zeros((1, 2)))
    assert (price[0], level[0]) == pytest.approx((center.price, center.level), rel=1e-12)
    assert parse_run(found.dump(), "again") == found and with_decisions(found) is found
    own = parse_run(
        {"market": a_market({"center": {"price": 2, "level": 3}}, horizon=20), "seats": {"a": "a2c"}}, "here"
    )
    assert with_decisions(own) is own
    middle = parse_run(config.dump() | {"training": {"start": "middle"}}, "here")
    assert with_decisions(middle).market.sellers[0].center is None


def test_where_an_order_costs_the_center_holds_part_of_an_economic_order() -> None:
    plain, dear = (
        parse_run(
            {"market": a_market({"order_cost": k, "holding_cost": 0.1, "order_up_to": [0, 500]}, horizon=20)}, "here"
        ).market
        for k in (0, 8)
    )
    first, second = (center_of(market, 0) for market in (plain, dear))
    assert first is not None and second is not None and first.price == second.price
    demand = Seat(dear, 0).mean_demand(second.price)
    assert second.level - first.level == pytest.approx(0.6 * np.sqrt(2 * demand * 8 / 0.1), rel=1e-3)


def test_made_to_order_the_center_is_a_price() -> None:
    made = parse_run(
        {"market": a_market({"order_up_to": [0, 0]}, inventory="make_to_order", horizon=20), "seats": {"a": "ddpg"}},
        "here",
    )
    center = with_decisions(made).market.sellers[0].center
    assert center is not None and center.level == 0


def test_without_a_level_of_theory_the_center_is_in_the_middle_of_the_levels() -> None:
    """Nothing to hold stock costs nothing: no newsvendor level."""
    market = parse_run({"market": a_market({"order_up_to": [4, 20]}, horizon=20)}, "here").market
    center = center_of(market, 0)
    assert center is not None and center.level == 12
