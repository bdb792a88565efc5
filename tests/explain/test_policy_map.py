"""Policy maps: states are put before a seller exactly as it meets them, and maps of known rules are what they must be."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from market.simulation.decisions import Decisions
from market.simulation.observation import feature_list
from market.spec.models import MarketSpec
from policies.explain import states
from policies.explain.policy_map import (
    OWN,
    POSITION,
    RIVAL,
    Axis,
    PolicyMap,
    axes,
    colour_range,
    draw_policy_map,
    policy_map,
    training_maps,
)
from policies.explain.states import Rollout, ask, greedy_rollout, level_wanted, typical, views
from policies.networks.architecture import Architecture, build
from policies.sellers.network_seller import NetworkSeller
from policies.sellers.protocol import Memory, Seller, View
from policies.sellers.rules.level_search import build as build_rules
from tests.helpers.markets import a_market

STOCK = {"holding_cost": 0.1, "stock": 8, "lead_time": 1}
RICH = a_market(
    {**STOCK, "lead_time": 3, "event_frequency": 0.2},
    {**STOCK, "event_frequency": 0.3, "prices": [1.2, 2.5]},
    {**STOCK, "lead_time": 2},
    horizon=12,
    events={"effect": 0.5, "mean_length": 2.0, "announced": 2},
    visibility={"rivals_prices": "last", "rivals_stock": "level"},
    customers={"weekly": [1, 2, 0.5], "yearly": {"amplitude": 0.3, "length": 30}, "trend": 0.01},
)
DUOPOLY = a_market(STOCK, STOCK, horizon=20)
MONOPOLY = a_market(STOCK, horizon=20)
MADE = a_market(
    {"order_up_to": [0, 0]},
    {"order_up_to": [0, 0]},
    inventory="make_to_order",
    horizon=6,
    customers={"mode": "expected"},
)


def network_seller(spec: MarketSpec, seat: int, seed: int = 0) -> NetworkSeller:
    """A seller whose network holds random weights, large enough that what it sees matters."""
    decisions = Decisions(spec, seat)
    shape = Architecture(kind="deterministic", observation=len(feature_list(spec)), actions=decisions.space.shape[0])
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build(shape)
    with torch.no_grad():
        for weights in network.parameters():
            weights.mul_(2.0)
    return NetworkSeller(network.requires_grad_(False), decisions)


def fixed(spec: MarketSpec, *rules: str) -> list[Seller]:
    return [build_rules(one, spec, seat) for seat, one in enumerate(rules)]


def duopoly(*rules: str) -> Rollout:
    spec = MarketSpec.parse(DUOPOLY)
    return greedy_rollout(spec, fixed(spec, *rules), episodes=8, seed=3, warm_up=2)


# ------------------------------------------------------------------------------------------------ states


class Recorder:
    """Plays a seller and keeps copies of the views it is shown; without one it posts 2 and orders nothing."""

    def __init__(self, seller: Seller | None = None) -> None:
        self.seller, self.seen = seller, list[View]()

    def start(self, markets: int) -> Memory:
        return {}

    def act(self, view: View, memory: Memory) -> tuple[Any, Any, Memory]:
        parts = {f.name: getattr(view, f.name) for f in fields(view)}
        self.seen.append(View(**{name: None if part is None else part.copy() for name, part in parts.items()}))
        return self.seller.act(view, memory) if self.seller else (np.full(len(view.price), 2.0), 0 * view.price, {})


@pytest.mark.parametrize("plain", [RICH, DUOPOLY, MONOPOLY, MADE])
def test_sellers_are_put_before_exactly_what_they_met(plain: dict[str, Any]) -> None:
    """Every part of the view, to the bit, but the random bits of rules that randomise."""
    spec = MarketSpec.parse(plain)
    recorders = [Recorder(network_seller(spec, seat, seat)) for seat in range(len(spec.sellers))]
    rollout = greedy_rollout(spec, recorders, episodes=6, seed=5)
    assert len(np.unique(rollout.price[:, 0])) > min(20, len(rollout.price) / 12)
    for seat, recorder in enumerate(recorders):
        ((_, staged),) = views(spec, rollout.states, seat)
        for name in (f.name for f in fields(View) if f.name != "noise"):
            met = [getattr(view, name) for view in recorder.seen]
            if met[0] is None:
                assert getattr(staged, name) is None
            else:
                assert np.array_equal(np.concatenate(met), getattr(staged, name)), name


@pytest.mark.parametrize("plain", [RICH, MADE])
def test_asked_again_a_network_decides_as_it_did(plain: dict[str, Any]) -> None:
    """Up to the rounding of float32, which depends on how many rows a matrix product has."""
    spec = MarketSpec.parse(plain)
    sellers = [network_seller(spec, seat, seat) for seat in range(len(spec.sellers))]
    rollout = greedy_rollout(spec, sellers, episodes=6, seed=5)
    for seat, seller in enumerate(sellers):
        price, order = ask(spec, seller, rollout.states, seat, rollout.memories[seat])
        assert np.allclose(price, rollout.price[:, seat], rtol=1e-6)
        # Made to order, the ledger books what was sold as ordered.
        assert np.array_equal(order, rollout.order[:, seat] if spec.stocked else 0 * order)


def test_rules_with_a_memory_are_asked_with_the_memory_of_then() -> None:
    rollout = duopoly("nash+forecast", "undercut(step=0.1)+forecast")
    assert rollout.memories[0]
    spec = rollout.spec
    for seat, seller in enumerate(fixed(spec, "nash+forecast", "undercut(step=0.1)+forecast")):
        price, order = ask(spec, seller, rollout.states, seat, rollout.memories[seat])
        assert np.array_equal(price, rollout.price[:, seat]) and np.array_equal(order, rollout.order[:, seat])


def test_situations_in_small_parts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = MarketSpec.parse(RICH)
    sellers = fixed(spec, *["undercut(step=0.1)+base_stock(level=15)"] * 3)
    rollout = greedy_rollout(spec, sellers, episodes=4)
    whole = ask(spec, sellers[1], rollout.states, 1, {})
    assert np.ptp(whole[0]) > 0 < np.ptp(whole[1])
    monkeypatch.setattr(states, "CELLS", 5 * spec.horizon)
    assert len(list(views(spec, rollout.states, 1))) == -(-len(rollout.states) // 5)
    assert np.array_equal(whole, ask(spec, sellers[1], rollout.states, 1, {}))


def test_warm_up_is_left_out_and_long_episodes_are_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = MarketSpec.parse(DUOPOLY)
    sellers = fixed(spec, "nash", "nash")
    assert set(greedy_rollout(spec, sellers, episodes=2, warm_up=7).states.period) == set(range(7, 20))
    monkeypatch.setattr(states, "KEPT_PERIODS", 4)
    assert sorted(set(greedy_rollout(spec, sellers, episodes=2, warm_up=7).states.period)) == [7, 11, 15, 19]


def test_a_learned_sellers_level_is_known_where_it_orders_nothing() -> None:
    spec = MarketSpec.parse(MONOPOLY)
    seller = network_seller(spec, 0)
    met = greedy_rollout(spec, [seller], episodes=2).states
    full = replace(met, on_hand=met.on_hand + 60.0)
    ((_, view),) = views(spec, full, 0)
    level = level_wanted(seller, view, {})
    assert (seller.act(view, {})[1] == 0).all()
    decoded = seller.decisions.decode(seller.network.greedy(torch.as_tensor(view.observation)).numpy())[1]
    assert np.allclose(level, decoded, atol=1e-4) and (level < 60).all()


def test_typical_is_a_value_that_was_met() -> None:
    assert typical(np.array([7, 1, 2, 2])) == 2
    assert typical(np.array([True, False, True])).item() is True
    assert typical(np.array([[1.0, 5.0], [3.0, 4.0], [2.0, 6.0]])).tolist() == [2.0, 5.0]


# ------------------------------------------------------------------------------------------------ maps of known rules


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


# ------------------------------------------------------------------------------------------------ pictures


def test_colours_do_not_magnify_trifles() -> None:
    low, high = colour_range([np.array([[3.320, 3.321]])], 4.0)
    assert high - low == pytest.approx(0.4) and low < 3.32 < high
    assert colour_range([np.array([1.0, np.nan]), np.array([3.0])], 4.0) == (1.0, 3.0)
    assert colour_range([np.array([np.nan])], 40.0) == (0.0, 40.0)


def a_map(level: bool = True) -> PolicyMap:
    across, up = Axis(POSITION, "units", np.arange(4.0)), Axis(RIVAL, "money per unit", np.array([1.0, 2.0, 3.0]))
    price = np.add.outer(up.values, across.values / 10)
    levels = np.where(across.values < 2, 20.0, np.nan) + 0 * price if level else None
    return PolicyMap("left (dqn)", across, up, price, levels, np.array([[1.0, 2.0]]), (2.0, 40.0))


def test_the_picture_shows_price_and_level_with_units() -> None:
    figure = draw_policy_map(a_map())
    titles = [axes_.get_title(loc="left") for axes_ in figure.axes]
    assert titles[:2] == ["Price (money per unit)", "Order-up-to level (units, grey: orders nothing)"]
    assert figure.axes[0].get_xlabel() == "inventory position (units)"
    assert figure.axes[0].get_ylabel() == "lowest rival price (money per unit)"
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
