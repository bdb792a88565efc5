"""Policy maps: of known rules they are what they must be, and what a seller is shown lies on the axes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.spec.models import MarketSpec
from policies.explain.policy_map import (
    OWN,
    POSITION,
    RIVAL,
    MapAxis,
    PolicyMap,
    axes,
    colour_range,
    draw_policy_map,
    policy_map,
    training_maps,
)
from policies.explain.states import greedy_rollout
from tests.helpers.explained import (
    DUOPOLY,
    MADE,
    MONOPOLY,
    RICH,
    STOCK,
    Recorder,
    duopoly,
    fixed,
    network_seller,
)
from tests.helpers.markets import a_market


def test_a_base_stock_rule_orders_up_to_its_level_and_nothing_above_it() -> None:
    rollout = duopoly("constant(price=2.5)+base_stock(level=15)", "constant(price=2)+base_stock(level=15)")
    found = policy_map("left", fixed(rollout.spec, "constant(price=2.5)+base_stock(level=15)", "nash")[0], rollout, 0)
    assert found.up is not None and (found.across.name, found.up.name) == (POSITION, RIVAL)
    assert (found.price == 2.5).all() and found.price.shape == (len(found.up.values), len(found.across.values))
    below = found.across.values < 15
    assert below.any() and not below.all()
    assert found.level is not None
    assert (found.level[:, below] == 15).all() and np.isnan(found.level[:, ~below]).all()


def test_an_undercutting_rule_follows_the_lowest_rival_price() -> None:
    """Three sellers: the rival that is usually the cheapest takes the price of the axis, no other is below it."""
    plain = a_market(STOCK, STOCK, STOCK, horizon=10)
    spec = MarketSpec.parse(plain)
    rules = "undercut(step=0.1)+base_stock", "constant(price=2.2)+base_stock", "constant(price=1.9)+base_stock"
    sellers = fixed(spec, *rules)
    found = policy_map("a", sellers[0], greedy_rollout(spec, sellers, episodes=4), 0)
    assert found.up is not None
    lowest = np.maximum(found.up.values - 0.1, spec.sellers[0].prices[0])
    assert np.ptp(found.up.values) > 0.3 and found.up.values[0] < 1.9 and found.up.values[-1] > 1.9
    # The rule never posts less than its unit cost, which is the bottom of its range.
    assert np.allclose(found.price, lowest[:, None])


def test_made_to_order_the_map_is_over_prices() -> None:
    spec = MarketSpec.parse(MADE)
    sellers = fixed(spec, "undercut(step=0.1)", "constant(price=2)")
    found = policy_map("a", sellers[0], greedy_rollout(spec, sellers, episodes=2), 0)
    assert found.up is not None and (found.across.name, found.up.name) == (RIVAL, OWN) and found.level is None
    assert np.allclose(found.price, np.maximum(found.across.values - 0.1, 1.0)[None, :])


def test_alone_the_map_is_over_stock_and_own_price() -> None:
    spec = MarketSpec.parse(MONOPOLY)
    seller = network_seller(spec, 0)
    found = policy_map("shop", seller, greedy_rollout(spec, [seller], episodes=4), 0)
    assert found.up is not None and (found.across.name, found.up.name) == (POSITION, OWN)
    assert np.ptp(found.price, axis=1).max() > 0 and np.ptp(found.price, axis=0).max() > 0


def test_hidden_rival_prices_are_no_axis() -> None:
    spec = MarketSpec.parse(DUOPOLY | {"visibility": {"rivals_prices": "hidden"}})
    rollout = greedy_rollout(spec, fixed(spec, "nash", "nash"), episodes=2)
    across, up = axes(rollout, 0)
    assert up is not None and (across.name, up.name) == (POSITION, OWN)


def test_two_policies_share_one_grid() -> None:
    rollout = duopoly("nash+base_stock", "nash+base_stock")
    one = policy_map("network", network_seller(rollout.spec, 0), rollout, 0)
    other = policy_map("rule", fixed(rollout.spec, "nash+base_stock", "nash")[0], rollout, 0)
    assert one.up is not None and other.up is not None
    assert np.array_equal(one.across.values, other.across.values) and np.array_equal(one.up.values, other.up.values)


def test_a_map_repeats_to_the_bit() -> None:
    spec = MarketSpec.parse(RICH)
    sellers = [network_seller(spec, seat) for seat in range(3)]
    one, other = (policy_map("a", sellers[0], greedy_rollout(spec, sellers, episodes=4, seed=2), 0) for _ in range(2))
    assert np.array_equal(one.price, other.price) and np.array_equal(one.met, other.met)
    assert one.level is not None and other.level is not None and np.array_equal(one.level, other.level, equal_nan=True)


@settings(max_examples=20, deadline=None)
@given(seat=st.integers(0, 2), columns=st.integers(2, 9), rows=st.integers(2, 7), seed=st.integers(0, 50))
def test_what_a_map_shows_the_seller(seat: int, columns: int, rows: int, seed: int) -> None:
    """On every cell the position and the lowest rival price are those of the axes, in whole units, stock never negative."""
    spec = MarketSpec.parse(RICH)
    sellers = [network_seller(spec, k, seed + k) for k in range(3)]
    rollout = greedy_rollout(spec, sellers, episodes=2, seed=seed)
    recorder = Recorder()
    found = policy_map("x", recorder, rollout, seat, columns, rows)
    (view,) = recorder.seen
    assert found.up is not None and view.rivals_price is not None
    across, up = (part.ravel() for part in np.meshgrid(found.across.values, found.up.values))
    assert np.allclose(view.on_hand + view.on_order, across) and np.allclose(view.rivals_price.min(1), up)
    assert np.array_equal(view.pipeline, np.rint(view.pipeline)) and view.on_hand.min() >= 0 <= view.pipeline.min()
    lead = spec.sellers[seat].lead_time
    assert (view.pipeline[:, lead - 1 :] == 0).all()  # nothing can be on its way longer than the lead time


# ---------------------------------------------------------------------------------------------- pictures


def test_colours_do_not_magnify_trifles() -> None:
    low, high = colour_range([np.array([[3.320, 3.321]])], 4.0)
    assert high - low == pytest.approx(0.4) and low < 3.32 < high
    assert colour_range([np.array([1.0, np.nan]), np.array([3.0])], 4.0) == (1.0, 3.0)
    assert colour_range([np.array([np.nan])], 40.0) == (0.0, 40.0)


def a_map(level: bool = True) -> PolicyMap:
    across, up = MapAxis(POSITION, "units", np.arange(4.0)), MapAxis(RIVAL, "money per unit", np.array([1.0, 2.0, 3.0]))
    price = np.add.outer(up.values, across.values / 10)
    levels = np.where(across.values < 2, 20.0, np.nan) + 0 * price if level else None
    return PolicyMap("left (dqn)", across, up, price, levels, np.array([[1.0, 2.0]]), (2.0, 40.0))


def test_what_was_met_is_told_from_the_rest() -> None:
    """Positions of 1 and 2.4, a rival's price of 2: cells of 1 and 2 across, 3 is nearer to its own; prices 2.1 and 2.2."""
    found = replace(a_map(), met=np.array([[1.0, 2.0], [2.4, 2.0]]))
    assert [end.tolist() for end in found.frame] == [[1.0, 2.0], [2.4, 2.0]]
    assert found.among_met.tolist() == [[False] * 4, [False, True, True, False], [False] * 4]
    assert found.posted == pytest.approx((2.1, 2.2))
    alone = replace(found, up=None, price=found.price[:1])
    assert alone.among_met.tolist() == [[False, True, True, False]] and alone.posted == pytest.approx((1.1, 1.2))


def test_the_picture_shows_price_and_level_with_units() -> None:
    figure = draw_policy_map(a_map())
    titles = [axes_.get_title(loc="left").replace("\n", " ") for axes_ in figure.axes]
    assert titles[:2] == ["Price (money per unit)", "Order-up-to level (units, grey: orders nothing)"]
    assert [figure.axes[k].get_xlabel() for k in range(2)] == ["", "inventory position (units)"]
    assert figure.axes[0].get_ylabel() == figure.axes[1].get_ylabel() == "lowest rival price\n(money per unit)"
    shown = figure.axes[1].collections[0].get_array()
    assert shown is not None and np.ma.getmaskarray(shown).reshape(3, 4)[:, 2:].all() and shown.max() == 20
    assert len(draw_policy_map(a_map(level=False)).axes) == 2  # one panel and its colour bar


def test_a_map_of_one_feature_is_a_line() -> None:
    only = a_map(level=False)
    figure = draw_policy_map(replace(only, up=None, price=only.price[:1]))
    assert len(figure.axes) == 1 and np.array_equal(figure.axes[0].lines[0].get_ydata(), only.price[0])


def test_training_gets_a_picture_of_every_learner() -> None:
    spec = MarketSpec.parse(DUOPOLY)
    sellers = [network_seller(spec, 0), *fixed(spec, "nash", "nash")[1:]]
    assert list(training_maps(spec, sellers, [0])) == ["a"]
