"""Each rule against explicit arithmetic, and how rules are read from text and YAML."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtri

from market.demand.equilibrium import monopoly_prices, nash_prices, prices_in_range
from market.demand.logit import Logit
from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.theory.newsvendor import mean_demand, newsvendor_level
from market.theory.reorder import reorder_levels
from policies.sellers.protocol import View, reset_rows
from policies.sellers.rollout import mean_profit, play, rounds
from policies.sellers.rules.compose import FixedSeller, Rules, compose, parse_rules
from policies.sellers.rules.level_search import build
from policies.sellers.rules.pricing import PRICING, Undercut
from policies.sellers.rules.replenishment import REPLENISHMENT, BaseStock
from tests.helpers.duopoly import SELLER, duopoly, made_to_order, view
from tests.helpers.markets import prices_against_nash


def alone() -> MarketSpec:
    return MarketSpec.parse(
        {"horizon": 30, "price_sensitivity": 2.0, "customers": {"rate": 20}, "sellers": [{"name": "shop"} | SELLER]}
    )


def decide(text: str, seen: View, spec: MarketSpec | None = None, seat: int = 0) -> tuple[list[float], list[float]]:
    seller = build(text, spec or duopoly(), seat)
    price, order, _ = seller.act(seen, seller.start(len(seen.price)))
    return price.tolist(), order.tolist()


# ------------------------------------------------------------------------------------------------ pricing


def test_constant_is_the_middle_of_the_range_or_as_given() -> None:
    assert decide("constant", view(price=[1.0, 2.0]))[0] == [2.0, 2.0]
    assert decide("constant(price=1.25)", view())[0] == [1.25]
    assert decide("constant", view(), duopoly({"start_price": 1.7}))[0] == [1.7]
    assert build("constant", duopoly({"start_price": 1.7}), 0).usual_price == 1.7


def test_what_a_seller_usually_posts_can_be_told() -> None:
    assert build("undercut(step=0.1)", duopoly(), 0).usual_price == pytest.approx(
        nash_prices(Logit.of(duopoly()))[1] - 0.1
    )
    everybody = made_to_order(outside="none", price_form="log", price_sensitivity=0.5)
    assert build("best_response", everybody, 0).usual_price is None  # no Nash price


def test_cost_plus_adds_a_share_of_unit_cost() -> None:
    assert decide("cost_plus(margin=0.4)", view(), seat=1)[0] == pytest.approx([1.2 * 1.4])
    assert decide("cost_plus", view(), seat=1)[0] == pytest.approx([1.2 * 1.5])


def test_match_takes_the_lowest_rival_and_stays_in_the_range() -> None:
    seen = view(rivals_price=[[2.2, 1.7], [1.4, 2.9], [0.5, 2.0], [3.5, 3.2]])
    assert decide("match", seen)[0] == [1.7, 1.4, 1.0, 3.0]


def test_undercut_goes_one_step_below_down_to_its_floor() -> None:
    seen = view(rivals_price=[[2.2], [1.24], [1.1]])
    assert decide("undercut(step=0.1,margin=0.2)", seen)[0] == pytest.approx([2.1, 1.2, 1.2])
    assert decide("undercut", view(rivals_price=[[2.2]]))[0] == pytest.approx([2.2 - 0.02 * 2])


def test_nash_and_collusive_are_theorys_prices_in_the_range() -> None:
    spec = duopoly()
    logit = Logit.of(spec)
    for seat in (0, 1):
        assert decide("nash", view(), spec, seat)[0] == pytest.approx([nash_prices(logit)[seat]], rel=1e-12)
        assert decide("collusive", view(), spec, seat)[0] == pytest.approx([monopoly_prices(logit)[seat]], rel=1e-12)
    narrow = duopoly({"prices": [1.0, 1.5]})
    assert decide("nash", view(), narrow)[0] == decide("collusive", view(), narrow)[0] == [1.5]


@pytest.mark.parametrize("market", [{}, {"nest": 0.3}, {"price_form": "log", "price_sensitivity": 3.0}])
def test_best_response_to_nash_prices_is_the_nash_price(market: dict[str, Any]) -> None:
    spec = duopoly({"xi": 0.5, "prices": [0.5, 9.0]}, **market)
    nash = nash_prices(Logit.of(spec))
    for seat in (0, 1):
        answer = decide("best_response", view(rivals_price=[[nash[1 - seat]]]), spec, seat)[0]
        assert answer == pytest.approx([nash[seat]], abs=1e-4)
    assert decide("best_response", view(rivals_price=[[nash[1] + 0.5]]), spec)[0][0] > nash[0] + 0.001


def test_best_response_earns_more_than_its_neighbours() -> None:
    spec = duopoly()
    (price,), _ = decide("best_response", view(rivals_price=[[1.9]]), spec)

    def profit(own: float) -> float:
        weight = [math.exp(4.0 - 2.0 * own), math.exp(4.6 - 2.0 * 1.9)]
        return (own - 1.0) * weight[0] / (1 + sum(weight))

    assert profit(price) > profit(price + 1e-3)
    assert profit(price) > profit(price - 1e-3)


def test_best_response_tells_rivals_apart() -> None:
    data = duopoly().dump()
    data["sellers"].append(SELLER | {"name": "third", "quality": 3.0})
    spec = MarketSpec.parse(data)
    nash = nash_prices(Logit.of(spec))
    for seat in range(3):
        onward = [[nash[(seat + 1) % 3], nash[(seat + 2) % 3]]]
        assert decide("best_response", view(rivals_price=onward), spec, seat)[0] == pytest.approx(
            [nash[seat]], abs=1e-6
        )


def third() -> MarketSpec:
    data = duopoly().dump()
    data["sellers"].append(SELLER | {"name": "third", "quality": 3.0})
    return MarketSpec.parse(data)


def alone_at(quality: float, cost: float) -> float:
    """The best price of a seller beside nobody, by brute force: (p - c) over 1 + e^(2 p - quality)."""
    price = np.linspace(1.0, 3.0, 200_001)
    return float(price[np.argmax((price - cost) / (1.0 + np.exp(2.0 * price - quality)))])


def test_rivals_with_nothing_to_sell_do_not_count() -> None:
    stock = np.array([[True, True], [True, False], [False, True], [False, False]])
    seen = view(rivals_price=[[2.2, 1.7]] * 4, rivals_in_stock=stock)
    lone = alone_at(4.0, 1.0)
    assert decide("match", seen, third())[0] == pytest.approx([1.7, 2.2, 1.7, lone], abs=1e-5)
    assert decide("undercut(step=0.1)", seen, third())[0] == pytest.approx([1.6, 2.1, 1.6, lone], abs=1e-5)
    assert decide("undercut(step=2)", seen, third())[0] == pytest.approx([1.05, 1.05, 1.05, lone], abs=1e-5)
    price, _ = decide("best_response", seen, third())
    without = [
        MarketSpec.parse(third().dump() | {"sellers": [third().dump()["sellers"][k] for k in (0, kept)]})
        for kept in (1, 2)
    ]
    for at, spec, rival in ((1, without[0], 2.2), (2, without[1], 1.7)):
        assert price[at] == pytest.approx(decide("best_response", view(rivals_price=[[rival]]), spec)[0][0], rel=1e-9)
    assert price[3] == pytest.approx(lone, abs=1e-5)
    assert decide("best_response", replace(seen, rivals_in_stock=None), third())[0] == [price[0]] * 4


def test_the_price_of_a_seller_alone_lies_in_its_range_and_at_its_top_where_everybody_buys() -> None:
    empty = view(rivals_in_stock=np.array([[False]]))
    assert decide("match", empty, duopoly({"prices": [1.0, 1.5]}))[0] == [1.5]
    assert decide("undercut", empty, duopoly(outside="none"))[0] == [3.0]
    assert decide("match", empty, duopoly(nest=0.4))[0] == pytest.approx([alone_at(4.0, 1.0)], abs=1e-5)


def test_a_rival_whose_order_comes_before_the_customers_counts_though_it_is_empty() -> None:
    empty = view(rivals_price=[[1.7]], rivals_in_stock=np.array([[False]]))
    assert decide("match", empty, duopoly({"lead_time": 0}))[0] == [1.7]
    assert decide("match", empty, duopoly({"lead_time": 1}))[0] != [1.7]


def test_a_rival_that_stays_empty_is_not_followed_for_good() -> None:
    """Right posts 1.3 and never orders: undercut, which followed it, earned 2.2 a day, nash earns 7.8, alone 9.3."""
    data = MarketSpec.load("duopoly").dump()
    data["sellers"][1] |= {"order_up_to": [0, 0], "stock": 100, "reward_scale": 1.0}
    spec = MarketSpec.parse(data)
    rival = compose(parse_rules("constant(price=1.3)+constant_order(quantity=0)"), spec, 1)

    def earns(text: str) -> float:
        return float(mean_profit(spec, [compose(parse_rules(text), spec, 0), rival], 20, 1.0, 3, 100)[0])

    alone = max(earns(f"constant(price={price})+base_stock(level=26)") for price in (1.9, 2.0, 2.1))
    assert earns("nash+base_stock") == pytest.approx(7.85, abs=0.1)
    assert earns("undercut+base_stock(level=26)") == pytest.approx(alone, rel=0.02) and alone > 9.1
    assert earns("match+base_stock(level=26)") == pytest.approx(alone, rel=0.02)
    assert earns("undercut+base_stock") > 9.0


def follow(seller: FixedSeller, rivals: list[list[float]]) -> np.ndarray[Any, Any]:
    """Prices (periods, M) of a seller that sees rivals' last prices (periods, M)."""
    memory, posted = seller.start(len(rivals[0])), []
    for last in rivals:
        price, _, memory = seller.act(view(rivals_price=np.array(last)[:, None]), memory)
        posted.append(price)
    return np.array(posted)


def test_trigger_punishes_the_row_that_was_undercut_for_k_periods() -> None:
    spec = duopoly()
    seller = compose(parse_rules("trigger(periods=3)"), spec, 0)
    (joint, high), (nash, low) = monopoly_prices(Logit.of(spec)), nash_prices(Logit.of(spec))
    shelf = 1.0  # before anyone's first decision
    seen = [[shelf, shelf], [high, high], [low, high], [low, high], [high, high], [low, high], [high, high]]
    want = [[joint] * 2, [joint] * 2, [nash, joint], [nash, joint], [nash, joint], [joint] * 2, [joint] * 2]
    np.testing.assert_allclose(follow(seller, seen), want, rtol=1e-12)


def test_trigger_tolerates_a_rival_within_its_tolerance() -> None:
    seller = compose(parse_rules("trigger(periods=1,tolerance=0.1)"), duopoly(), 0)
    joint, high = monopoly_prices(Logit.of(duopoly()))
    posted = follow(seller, [[high, high], [0.91 * high, 0.89 * high]])
    assert posted[1, 0] == pytest.approx(joint)
    assert posted[1, 1] < joint - 0.05


def test_a_rival_with_nothing_to_sell_undercuts_nobody() -> None:
    seller, memory = compose(parse_rules("trigger(periods=3)"), duopoly(), 0), None
    joint, high = monopoly_prices(Logit.of(duopoly()))
    posted = []
    for price, there in ((high, True), (1.0, False), (1.0, True), (high, True)):
        memory = seller.start(1) if memory is None else memory
        seen = view(rivals_price=[[price]], rivals_in_stock=np.array([[there]]))
        (one,), _, memory = seller.act(seen, memory)
        posted.append(float(one))
    nash = nash_prices(Logit.of(duopoly()))[0]
    assert posted == pytest.approx([joint, joint, nash, nash])


def test_a_rival_who_cannot_post_the_joint_price_does_not_undercut_it() -> None:
    data = duopoly().dump()
    data["sellers"][1]["prices"] = [1.0, 2.0]
    seller = compose(parse_rules("trigger"), MarketSpec.parse(data), 0)
    joint = prices_in_range(MarketSpec.parse(data), joint=True)
    assert joint[1] == 2.0 and monopoly_prices(Logit.of(duopoly()))[1] > 2.1
    np.testing.assert_allclose(follow(seller, [[2.0], [2.0], [2.0]]), joint[0])


def test_two_triggers_collude_and_one_deviation_ends_it_for_both() -> None:
    spec = made_to_order()
    pair = [build("trigger(periods=4)", spec, seat) for seat in (0, 1)]
    joint, nash = monopoly_prices(Logit.of(spec))[0], nash_prices(Logit.of(spec))[0]
    np.testing.assert_allclose(play(spec, pair, markets=2)["price"], joint)
    against = play(spec, [pair[0], build("nash", spec, 1)], periods=11)["price"][:, 0, 0]
    np.testing.assert_allclose(against, [joint] + [nash] * 4 + [joint] + [nash] * 4 + [joint])


def test_reset_rows_forgets_only_those_rows() -> None:
    seller = compose(parse_rules("trigger(periods=3)+forecast"), duopoly(), 0)
    memory = seller.start(2)
    for rival in (2.9, 1.0):
        _, _, memory = seller.act(view(rivals_price=[[rival]] * 2, sold=[50.0, 50.0]), memory)
    assert memory["punish"].tolist() == [2, 2]
    fresh, memory = seller.start(2), reset_rows(seller, memory, np.array([False, True]))
    for name in memory:
        assert memory[name][1] == fresh[name][1]
        assert memory[name][0] != fresh[name][0] or name == "cooperated"


def test_clearance_marks_down_when_overstocked_and_up_when_scarce() -> None:
    spec = duopoly()
    demand = mean_demand(spec, 0, prices_against_nash(spec, 0, 2.0))
    seen = view(on_hand=[30.0, 20.0, 0.0, 500.0], on_order=[0.0, 5.0, 2.0, 0.0])
    price, _ = decide("clearance(price=2,strength=0.25,depth=0.25)+base_stock(level=30)", seen, spec)
    normal = 30 - demand
    assert 5 < demand < 15
    moved = [0.25 * (normal - position) / 30 for position in (30, 25, 2)]
    assert price == pytest.approx([2 * (1 + moved[0]), 2 * (1 + moved[1]), 2 * (1 + moved[2]), 2 * 0.75])
    assert price[0] < 2 < price[2]


def test_random_spreads_over_the_range_by_the_noise_alone() -> None:
    seen = view(noise=np.array([0, 2**63, 2**64 - 1], np.uint64))
    assert decide("random", seen)[0] == pytest.approx([1.0, 2.0, 3.0])
    assert decide("random", replace(seen, on_hand=np.ones(3)))[0] == decide("random", seen)[0]


def test_random_prices_are_uniform_and_new_every_period() -> None:
    spec = duopoly()
    price = play(spec, [build("random", spec, seat) for seat in (0, 1)], markets=200, seed=3)["price"]
    counts = np.histogram(price, np.linspace(1, 3, 11))[0]
    expected = price.size / 10
    assert ((counts - expected) ** 2 / expected).sum() < 27.9  # chi-square, 9 degrees of freedom, 1 in 1000
    assert len(np.unique(price)) == price.size


def test_a_random_price_that_stands_for_an_episode_is_uniform_over_episodes() -> None:
    spec = duopoly()
    price = play(spec, [build("random(each=episode)", spec, seat) for seat in (0, 1)], markets=400, seed=3)["price"]
    assert (price == price[0]).all() and (price[0, :, 0] != price[0, :, 1]).all()
    assert stats.kstest(price[0].ravel(), stats.uniform(1, 2).cdf).pvalue > 0.001


def test_a_drawn_step_stands_for_an_episode_and_is_uniform_over_episodes() -> None:
    spec = duopoly({"stock": 60})  # prices from 1 to 3
    sellers = [build("constant(price=2.5)+base_stock(level=ample)", spec, 0), build("undercut(spread=0.2)", spec, 1)]
    price = play(spec, sellers, markets=400, seed=3)["price"]
    step = price[1:, :, 0] - price[1:, :, 1]
    np.testing.assert_allclose(step, step[:1].repeat(len(step), 0), atol=1e-12)
    assert stats.kstest(step[0], stats.uniform(0, 0.2 * 2).cdf).pvalue > 0.001
    low = [build("constant(price=1.1)+base_stock(level=ample)", spec, 0), sellers[1]]
    assert play(spec, low, markets=50, seed=3)["price"][1:, :, 1].min() == pytest.approx(1.2 * 1.05)  # the floor


# ------------------------------------------------------------------------------------------ replenishment


def test_base_stock_orders_up_to_its_level_counting_what_is_on_its_way() -> None:
    seen = view(on_hand=[3.0, 10.0, 30.0], on_order=[4.0, 15.0, 0.0])
    assert decide("constant+base_stock(level=25)", seen)[1] == [18.0, 0.0, 0.0]


def test_levels_are_whole_units_when_customers_are_sampled_only() -> None:
    assert decide("constant+base_stock(level=24.5)", view())[1] == [25.0]
    fluid = duopoly(customers={"rate": 20, "mode": "expected"})
    assert decide("constant+base_stock(level=24.5)", view(), fluid)[1] == [24.5]


def test_newsvendor_level_is_theorys_at_the_rules_own_price() -> None:
    spec = duopoly({"holding_cost": 0.3})
    levels = []
    for text, price in (("cost_plus(margin=0.2)", 1.2), ("constant(price=2.4)", 2.4)):
        want = newsvendor_level(spec, 0, prices_against_nash(spec, 0, price))
        assert decide(text, view(), spec)[1] == [want]
        levels.append(want)
    assert levels[0] > levels[1] + 5


IN_RANGE = {"order_up_to": [6, 12]}


@pytest.mark.parametrize(
    ("text", "orders"),
    [
        ("base_stock(level=100)", [12.0, 7.0, 1.0, 0.0]),
        ("base_stock(level=2)", [6.0, 1.0, 0.0, 0.0]),
        ("base_stock(level=9)", [9.0, 4.0, 0.0, 0.0]),
        ("capped_base_stock(level=100,cap=4)", [6.0, 4.0, 1.0, 0.0]),  # at least up to 6
        ("min_max(s=4,S=30)", [12.0, 1.0, 0.0, 0.0]),
        ("constant_order(quantity=3)", [6.0, 3.0, 1.0, 0.0]),
    ],
)
def test_orders_keep_the_position_inside_the_seats_range(text: str, orders: list[float]) -> None:
    """Positions 0, 5, 11 and 20 in a range of [6, 12], by hand."""
    seen = view(on_hand=[0.0, 4.0, 8.0, 20.0], on_order=[0.0, 1.0, 3.0, 0.0])
    assert decide(f"constant+{text}", seen, duopoly(IN_RANGE))[1] == orders


def test_a_seat_that_may_not_order_does_not() -> None:
    spec = duopoly({"order_up_to": [0, 0], "reward_scale": 1.0})
    bound = [rule for rule in STOCK_RULES if "ample" not in rule]
    for rules in [f"nash+{rule}" for rule in bound] + ["clearance+base_stock", "nash+min_max"]:
        assert decide(rules, view(on_hand=[0.0, 3.0]), spec)[1] == [0.0, 0.0], rules
    ledger = play(spec, [build("nash+base_stock", spec, seat) for seat in (0, 1)], markets=20, seed=2)
    assert ledger["ordered"].sum() == 0 and ledger["sold"].sum(axis=0).max() <= 10


def test_ample_stock_is_no_matter_of_the_range() -> None:
    free, bound = duopoly(), duopoly(IN_RANGE)
    ample = "nash+base_stock(level=ample)"
    assert decide(ample, view(), bound) == decide(ample, view(), free)
    assert decide(ample, view(), bound)[1][0] > 12 and build(ample, bound, 0).kept == ""


def test_what_the_range_takes_is_said() -> None:
    wanted = compose(parse_rules("nash"), duopoly(), 0)
    level = decide("nash", view())[1][0]
    assert wanted.kept == "" and level > 12
    said = f"kept to order_up_to [6, 12]; would order up to {level:g}"
    assert compose(parse_rules("nash"), duopoly(IN_RANGE), 0).kept == said
    assert "would order up to 2" in compose(parse_rules("nash+base_stock(level=2)"), duopoly(IN_RANGE), 0).kept
    for text in ("constant_order", "optimal", "base_stock(level=7)"):
        assert compose(parse_rules(f"nash+{text}"), duopoly(IN_RANGE), 0).kept == ""


def test_clearance_holds_its_stock_against_the_level_that_it_may_reach() -> None:
    spec = duopoly(IN_RANGE)
    (high,), _ = decide("clearance(price=2,depth=0.9)+base_stock(level=40)", view(on_hand=[0.0]), spec)
    (same,), _ = decide("clearance(price=2,depth=0.9)+base_stock(level=12)", view(on_hand=[0.0]), spec)
    assert high == same


@pytest.mark.parametrize("text", ["base_stock(level=best)", "capped_base_stock", "min_max(s=best,S=best)"])
def test_searched_levels_lie_inside_the_range(text: str) -> None:
    narrow = build(f"nash+{text}", duopoly({"order_up_to": [2, 9]}), 0)
    assert narrow.kept == "" and narrow.rules.replenishment is not None
    assert narrow.rules.replenishment.level_in(narrow.seat, lambda: 2.0) == 9.0


def test_min_max_waits_for_s_and_orders_up_to_capital_s() -> None:
    seen = view(on_hand=[3.0, 4.0, 0.0, 30.0], on_order=[2.0, 2.0, 0.0, 0.0])
    assert decide("constant+min_max(s=5,S=20)", seen)[1] == [15.0, 0.0, 20.0, 0.0]


def test_min_max_defaults_are_theorys_reorder_point_and_order() -> None:
    spec = duopoly({"order_cost": 2.0, "order_up_to": [0, 100]})
    low, high = reorder_levels(spec, 0, prices_against_nash(spec, 0, 2.0))
    assert low < newsvendor_level(spec, 0, prices_against_nash(spec, 0, 2.0)) and high > low + 10
    lot, top = high - low, math.floor(high + 0.5)
    seen = view(on_hand=[0.0, low, low + 1])
    assert decide("constant+min_max", seen, spec)[1] == [top, top - low, 0.0]
    assert decide("constant+min_max(s=8)", view(), spec)[1] == [math.floor(8 + lot + 0.5)]
    point = math.floor(90 - lot + 0.5)
    assert decide("constant+min_max(S=90)", view(on_hand=[point, point + 1.0]), spec)[1] == [90.0 - point, 0.0]


def test_min_max_without_an_order_cost_is_base_stock() -> None:
    spec = duopoly({"order_cost": 0.0})
    seen = view(on_hand=np.arange(40.0))
    assert decide("nash+min_max", seen, spec) == decide("nash+base_stock", seen, spec)


def test_capped_base_stock_never_orders_more_than_its_cap() -> None:
    seen = view(on_hand=[3.0, 20.0, 30.0], on_order=[4.0, 0.0, 0.0])
    assert decide("constant+capped_base_stock(level=25,cap=10)", seen)[1] == [10.0, 5.0, 0.0]


def test_constant_order_ignores_stock() -> None:
    spec, seen = duopoly({"order_up_to": [0, 200]}), view(on_hand=[0.0, 99.0])
    assert decide("constant+constant_order(quantity=7)", seen, spec)[1] == [7.0, 7.0]
    demand = mean_demand(spec, 0, prices_against_nash(spec, 0, 2.0))
    assert decide("constant+constant_order", seen, spec)[1] == [math.floor(demand + 0.5)] * 2


def test_forecast_smooths_demand_and_its_deviation_by_hand() -> None:
    spec = duopoly({"lead_time": 3, "order_up_to": [0, 100]})
    seller = compose(parse_rules("constant+forecast(smoothing=0.25,service=0.9)"), spec, 0)
    memory = seller.start(2)
    mean, deviation = float(memory["demand"][0]), float(memory["deviation"][0])
    assert mean == pytest.approx(mean_demand(spec, 0, prices_against_nash(spec, 0, 2.0)))
    assert 0.5 * math.sqrt(mean) < deviation < 1.2 * math.sqrt(mean)  # Poisson: sd sqrt(mean), deviation .8 of it
    _, opening, memory = seller.act(view(period=[0, 0]), memory)
    assert memory["demand"].tolist() == [mean] * 2

    seen = view(sold=[10.0, 2.0], lost=[6.0, 0.0], on_hand=[4.0, 4.0], on_order=[1.0, 0.0])
    _, order, memory = seller.act(seen, memory)
    for row, demand, position in ((0, 16.0, 5.0), (1, 2.0, 4.0)):
        new_mean = 0.75 * mean + 0.25 * demand
        new_deviation = 0.75 * deviation + 0.25 * abs(demand - mean)
        assert memory["demand"][row] == pytest.approx(new_mean)
        assert memory["deviation"][row] == pytest.approx(new_deviation)
        level = 4 * new_mean + ndtri(0.9) * math.sqrt(4) * math.sqrt(math.pi / 2) * new_deviation
        assert order[row] == max(math.floor(level + 0.5) - position, 0.0)
    assert order[0] > opening[0] - 5 > order[1]


def test_forecast_finds_the_demand_that_it_meets() -> None:
    spec = duopoly(horizon=120)
    sellers = [build("constant(price=1.5)+forecast", spec, 0), build("constant(price=1.5)+base_stock", spec, 1)]
    entry = play(spec, sellers, markets=100, seed=1, fields=("on_hand", "on_order", "ordered", "sold", "lost"))[
        40:, :, 0
    ]
    demand = (entry["sold"] + entry["lost"]).mean()
    weights = [math.exp(4.0 - 3.0), math.exp(4.6 - 3.0)]
    assert demand == pytest.approx(20 * weights[0] / (1 + sum(weights)), rel=0.03)
    assert 0.9 < entry["sold"].sum() / (entry["sold"] + entry["lost"]).sum() < 0.999
    assert entry["ordered"].mean() == pytest.approx(entry["sold"].mean(), rel=0.02)


# ------------------------------------------------------------------------------------------ all rules

# The exact optimum decides both at once, and a history needs a sales file: they have tests of their own.
PRICINGS, STOCK_RULES = (
    sorted(set(PRICING) - {"optimal", "history"}),
    ["base_stock(level=23)", "capped_base_stock(level=25,cap=9)"],
)
STOCK_RULES += ["base_stock(level=ample)", *sorted(set(REPLENISHMENT) - {"capped_base_stock", "optimal"})]


@settings(max_examples=40, deadline=None)
@given(
    pricing=st.sampled_from(PRICINGS),
    replenishment=st.sampled_from(STOCK_RULES),
    seat=st.sampled_from([0, 1]),
    data=st.data(),
)
def test_prices_stay_in_the_range_and_orders_are_whole_and_not_negative(
    pricing: str, replenishment: str, seat: int, data: st.DataObject
) -> None:
    units = st.lists(st.integers(0, 500), min_size=3, max_size=3).map(lambda x: np.array(x, np.float64))
    prices = st.lists(st.floats(1.0, 3.0), min_size=3, max_size=3)
    seller = build(f"{pricing}+{replenishment}", duopoly(), seat)
    memory = seller.start(3)
    for period in range(3):
        seen = view(
            **{name: data.draw(units) for name in ("on_hand", "on_order", "sold", "lost")},
            price=data.draw(prices),
            rivals_price=np.array(data.draw(prices))[:, None],
            period=[period] * 3,
            noise=np.array(data.draw(st.lists(st.integers(0, 2**64 - 1), min_size=3, max_size=3)), np.uint64),
        )
        price, order, memory = seller.act(seen, memory)
        assert price.shape == order.shape == (3,)
        assert (price >= 1.0).all()
        assert (price <= 3.0).all()
        assert (order >= 0).all()
        assert np.array_equal(order, np.rint(order))
        position = seen.on_hand + seen.on_order
        assert "ample" in replenishment or (position + order <= np.maximum(position, 40)).all()
        assert all(array.shape == (3,) for array in memory.values())


@pytest.mark.parametrize("pricing", PRICINGS)
def test_a_row_of_a_batch_is_the_market_played_alone(pricing: str) -> None:
    spec = duopoly(horizon=12)
    sellers = [build(f"{pricing}+forecast", spec, 0), build("random+base_stock", spec, 1)]
    together = play(spec, sellers, markets=5, seed=11)
    for row in range(5):
        single = play(spec, sellers, seed=11 + row)
        for name in together.dtype.names or ():
            np.testing.assert_array_equal(together[name][:, row], single[name][:, 0])


def test_act_does_not_change_the_memory_it_was_given() -> None:
    seller = build("trigger+forecast", duopoly(), 0)
    memory = seller.start(1)
    before = {name: array.copy() for name, array in memory.items()}
    for _ in range(2):
        seller.act(view(sold=[30.0], rivals_price=[[1.0]]), memory)
    assert all(np.array_equal(memory[name], before[name]) for name in before)


def test_rules_memories_have_names_of_their_own() -> None:
    names = [
        name
        for text in ("trigger", "clearance", "random")
        for name in compose(parse_rules(text), duopoly(), 0).pricing.start(1)
    ]
    stock = compose(parse_rules("nash+forecast"), duopoly(), 0).replenishment
    assert stock is not None
    assert names
    assert not set(names) & set(stock.start(1))


def test_made_to_order_sellers_order_nothing() -> None:
    spec = made_to_order()
    price, order = decide("nash", view(price=[0.0, 0.0]), spec)
    assert order == [0.0, 0.0]
    assert price == pytest.approx([nash_prices(Logit.of(spec))[0]] * 2)


# ------------------------------------------------------------------------------------------ simulation


def test_play_gives_the_ledger_period_by_period() -> None:
    spec = duopoly(horizon=9)
    sellers = [build("random+base_stock(level=20)", spec, seat) for seat in (0, 1)]
    full = play(spec, sellers, markets=3, seed=7)
    assert full.shape == (9, 3, 2)
    assert full["ordered"][0].tolist() == [[10.0, 10.0]] * 3  # up to 20 with 10 in stock
    assert np.array_equal(full["ordered"][1:], full["sold"][:-1])
    short = play(spec, sellers, periods=4, seed=7, markets=3, fields=("profit",))
    assert short.dtype.names == ("profit",)
    assert np.array_equal(short["profit"], full["profit"][:4])


def test_play_on_a_batch_goes_on_to_its_next_episode() -> None:
    spec = duopoly(horizon=5)
    sellers = [build("nash", spec, seat) for seat in (0, 1)]
    batch = MarketBatch(spec, 4, seed=2)
    first, second = play(batch, sellers), play(batch, sellers)
    assert not np.array_equal(first["sold"], second["sold"])
    assert np.array_equal(play(batch, sellers, seed=2), first)


def test_play_needs_a_seller_for_every_seat() -> None:
    spec = duopoly()
    with pytest.raises(UserError, match="market has 2 seats, got 1 sellers"):
        play(spec, [build("nash", spec, 0)])
    batch = MarketBatch(spec)
    batch.reset()
    assert sum(1 for _ in rounds(batch, [build("nash", spec, seat) for seat in (0, 1)], periods=6)) == 6


# ------------------------------------------------------------------------------------------ parsing


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("nash", "nash"),
        ("nash + base_stock", "nash+base_stock"),
        ("undercut(step=0.05)+base_stock(level=best)", "undercut(step=0.05)+base_stock(level=best)"),
        (
            " undercut( step = 0.05 , margin=0.05 ) + base_stock( level = 23.0 )",
            "undercut(step=0.05)+base_stock(level=23)",
        ),
        ("trigger(periods=4,tolerance=0)+min_max(s=5,S=20.5)", "trigger(periods=4,tolerance=0)+min_max(s=5,S=20.5)"),
        ("cost_plus(margin=1e+2)+constant_order()", "cost_plus(margin=100)+constant_order"),
        ("constant(price=1e-7)+capped_base_stock(level=9)", "constant(price=1e-07)+capped_base_stock(level=9)"),
    ],
)
def test_text_round_trips(text: str, label: str) -> None:
    rules = parse_rules(text)
    assert rules.label == label
    assert parse_rules(rules.label) == rules


@settings(max_examples=100, deadline=None)
@given(step=st.floats(1e-9, 1e9), margin=st.floats(0, 1e9), level=st.floats(0, 1e12))
def test_labels_keep_every_digit(step: float, margin: float, level: float) -> None:
    rules = Rules(pricing=Undercut(step=step, margin=margin), replenishment=BaseStock(level=level))
    assert parse_rules(rules.label) == rules


@pytest.mark.parametrize(
    "written",
    [
        "{pricing: {undercut: {step: 0.05}}, replenishment: {base_stock: {level: best}}}",
        "{pricing: undercut(step=0.05), replenishment: base_stock(level=best)}",
        "undercut(step=0.05)+base_stock(level=best)",
    ],
)
def test_yaml_forms_mean_the_same(written: str) -> None:
    want = Rules(pricing=Undercut(step=0.05), replenishment=BaseStock(level="best"))
    assert parse_rules(yaml.safe_load(written)) == want
    assert parse_rules(want) is want


def test_yaml_names_alone_are_rules_with_their_defaults() -> None:
    for written in ("{pricing: nash}", "{pricing: {nash: }}", "{pricing: {nash: {}}, replenishment: }"):
        assert parse_rules(yaml.safe_load(written)) == parse_rules("nash")


def test_the_default_replenishment_is_base_stock_where_stock_is_held() -> None:
    assert parse_rules("nash", "rules", duopoly()).label == "nash+base_stock"
    assert parse_rules("nash", "rules", made_to_order()).label == "nash"
    assert decide("nash", view()) == decide("nash+base_stock", view())


def test_every_option_is_documented() -> None:
    for table in (PRICING, REPLENISHMENT):
        for name, kind in table.items():
            assert kind.rule == name
            assert kind.__doc__
            assert all(field.description for field in kind.model_fields.values()), name


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("nsh", "seats.left.pricing: unknown rule 'nsh'; the rules are constant, cost_plus, match, undercut, "),
        (
            "nash+forecst",
            "seats.left.replenishment: unknown rule 'forecst'; the rules are base_stock, seasonal_base_stock, ",
        ),
        ("base_stock", "seats.left.pricing: unknown rule 'base_stock'; the rules are constant, "),
        ("undercut(stp=1)", "seats.left.pricing.undercut.stp: unknown key; undercut has step, spread, margin"),
        ("nash(a=1)", "seats.left.pricing.nash.a: unknown key; nash has no options"),
        ("undercut(step=0)", "seats.left.pricing.undercut.step: must be greater than 0 (got '0')"),
        ("undercut(step=1,spread=0.1)", "seats.left.pricing.undercut: step and spread: a step is given or drawn"),
        ("undercut(step)", "seats.left.pricing.undercut: 'step' must be option=value"),
        ("undercut(step=1,step=2)", "seats.left.pricing.undercut.step: is given twice"),
        ("nash+base_stock+forecast", "seats.left: 'nash+base_stock+forecast' must be pricing+replenishment, such as "),
        (
            "undercut(step=1",
            "seats.left: 'undercut(step=1' must be pricing+replenishment, such as undercut(step=0.05)+base_stock; YAML cuts",
        ),
        ("nash(", "seats.left: 'nash(' must be pricing+replenishment, such as undercut(step=0.05)+base_stock"),
        ("", "seats.left: '' must be pricing+replenishment, such as "),
        (
            "nash+base_stock(level=bst)",
            "seats.left.replenishment.base_stock.level: must be a number of units >= 0 or newsvendor or best or ample",
        ),
        ("nash+base_stock(level=nan)", "seats.left.replenishment.base_stock.level: must be a number of units >= 0 or "),
        ("nash+base_stock(level=-1)", "seats.left.replenishment.base_stock.level: must be a number of units >= 0 or "),
        ("nash+capped_base_stock(cap=inf)", "seats.left.replenishment.capped_base_stock.cap: must be a number of "),
        ("nash+min_max(s=9,S=3)", "seats.left.replenishment.min_max: S must be at least s, got s 9 and S 3"),
        (7, "seats.left: must be rules such as nash+base_stock, or a mapping with the key pricing"),
        ({"price": "nash"}, "seats.left.price: unknown key; rules have pricing and replenishment"),
        ({"replenishment": "base_stock"}, "seats.left.pricing: this key is required"),
        ({"pricing": ["nash"]}, "seats.left.pricing: must be the name of one rule, alone or with its options"),
        ({"pricing": {"nash": None, "match": None}}, "seats.left.pricing: must be the name of one rule, alone or "),
        ({"pricing": {"undercut": 3}}, "seats.left.pricing.undercut: must be a mapping"),
        (
            {"pricing": "nash+match"},
            "seats.left.pricing: 'nash+match' must be a rule such as name or name(option=value)",
        ),
        (
            {"pricing": "nash", "replenishment": {"base_stock": {"level": True}}},
            "seats.left.replenishment.base_stock.level: ",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(data: object, message: str) -> None:
    with pytest.raises(UserError) as refused:
        parse_rules(data, "seats.left")
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


HIDDEN = {"visibility": {"rivals_prices": "hidden"}}


@pytest.mark.parametrize("rule", ["match", "undercut", "best_response", "trigger"])
def test_rules_that_watch_rivals_need_to_see_them(rule: str) -> None:
    with pytest.raises(UserError) as refused:
        build(f"{rule}+base_stock(level=9)", duopoly(**HIDDEN), 1)
    want = f"seats.right.pricing.{rule}: needs the rivals' prices, and market.visibility.rivals_prices is hidden"
    assert str(refused.value) == want
    with pytest.raises(UserError) as refused:
        build(f"{rule}+base_stock(level=9)", alone(), 0)
    assert str(refused.value) == f"seats.shop.pricing.{rule}: needs a rival, and market has one seller"


@pytest.mark.parametrize(
    ("text", "spec", "message"),
    [
        (
            "constant(price=5)",
            duopoly(),
            "evaluation.0.pricing.constant: price 5 lies outside the seat's prices [1, 3]",
        ),
        ("clearance(price=5)", duopoly(), "evaluation.0.pricing.clearance: price 5 lies outside the seat's prices"),
        ("clearance", made_to_order(), "evaluation.0.pricing.clearance: needs stock, and market.inventory is make_to_"),
        (
            "nash+base_stock",
            made_to_order(),
            "evaluation.0.replenishment: means nothing when market.inventory is make_",
        ),
        (
            "nash",
            duopoly({"reward_scale": 1.0}, price_form="log", price_sensitivity=0.9),
            "evaluation.0.pricing.nash: with a log price no seller has a finite best price unless price_sensitivity ",
        ),
        (
            "collusive",
            duopoly({"reward_scale": 1.0}, outside="none"),
            "evaluation.0.pricing.collusive: without an outside option there are no finite joint-profit prices: set ",
        ),
        (
            "nash+base_stock",
            duopoly({"holding_cost": 0.0}),
            "evaluation.0.replenishment.base_stock: market.sellers.0 (left).holding_cost must be above 0: stock that ",
        ),
        (
            "nash+base_stock(level=best)",
            duopoly({"holding_cost": 0.0}),
            "evaluation.0.replenishment.base_stock: market.sellers.0 (left).holding_cost must be above 0: stock that ",
        ),
        (
            "nash+min_max(s=4)",
            duopoly({"holding_cost": 0.0}),
            "evaluation.0.replenishment.min_max: needs s and S in units, since holding_cost is 0: stock that costs ",
        ),
    ],
)
def test_rules_that_a_market_does_not_allow_are_refused(text: str, spec: MarketSpec, message: str) -> None:
    with pytest.raises(UserError) as refused:
        build(text, spec, 0, where="evaluation.0")
    assert str(refused.value).startswith(message)
    with pytest.raises(UserError):
        parse_rules(text).check(spec, 0)


def test_check_accepts_what_can_play_without_searching() -> None:
    for text in ("nash+capped_base_stock", "clearance+base_stock(level=best)", "match+forecast", "random"):
        parse_rules(text).check(duopoly(), 0)


def test_best_must_be_searched_before_rules_are_composed() -> None:
    with pytest.raises(UserError, match=r"seats\.left\.replenishment\.base_stock: level: best must be searched first"):
        compose(parse_rules("nash+base_stock(level=best)"), duopoly(), 0)


def test_a_newsvendor_without_holding_cost_is_told_the_way_out() -> None:
    with pytest.raises(
        UserError, match="stock that costs nothing to hold has no best level; or give a level in units$"
    ):
        build("nash", duopoly({"holding_cost": 0.0}), 0)
