"""The exact optimum as a fixed competitor, and the exact best response: nobody earns more, and who is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from market.demand.equilibrium import nash_prices
from market.demand.logit import Logit
from market.errors import UserError
from market.metrics.summary import episode_profit
from market.spec.models import MarketSpec
from market.theory.optimum import solve
from policies.sellers.protocol import Seller
from policies.sellers.rollout import play
from policies.sellers.rules.compose import Rules, parse_rules
from policies.sellers.rules.level_search import build
from policies.sellers.rules.pricing import PRICING
from policies.studies.exploit.exact import constant_price, exact_best_response
from tests.helpers.duopoly import duopoly, made_to_order, view
from tests.helpers.zipkin import assert_inside, zipkin

DEAR = {"holding_cost": 0.2, "order_cost": 0.0}


def profit(spec: MarketSpec, seller: Seller, rival: str, markets: int = 800) -> Any:
    """Profit a period of each episode, on customers that no search has met."""
    ledger = play(spec, [seller, build(rival, spec, 1)], markets=markets, seed=987_654)
    return episode_profit(ledger, spec, warm_up=10)[:, 0] / (spec.horizon - 10)


# ------------------------------------------------------------------------------------------------ the rules


def test_optimal_alone_decides_price_and_order() -> None:
    spec = duopoly(DEAR)
    seller, best = build("optimal", spec, 0), solve(spec, 0)
    seen = view(on_hand=[0.0, 5.0, 12.0, 30.0], on_order=[0.0, 0.0, 4.0, 0.0])
    price, order, memory = seller.act(seen, seller.start(4))
    want = best.decide(seen.on_hand, seen.pipeline)
    assert price.tolist() == want[0].tolist()
    assert order.tolist() == want[1].tolist()
    assert memory == {}
    assert len(set(price.tolist())) > 1
    assert order[0] > order[1]


def test_constant_pricing_plus_optimal_orders_best_at_that_price() -> None:
    spec = duopoly(DEAR)
    seller, best = build("constant(price=1.7)+optimal", spec, 0), solve(spec, 0, prices=[1.7])
    seen = view(on_hand=np.arange(40.0))
    price, order, _ = seller.act(seen, seller.start(40))
    assert set(price.tolist()) == {1.7}
    assert order.tolist() == best.decide(seen.on_hand, seen.pipeline)[1].tolist()


def test_options_reach_the_solver() -> None:
    data = duopoly(DEAR).dump()
    data["sellers"][0]["grid"] = {"prices": 3, "levels": 5}
    spec = MarketSpec.parse(data)
    seen = view(on_hand=np.arange(0.0, 40.0, 3.0))
    for text, options in (
        ("optimal(gamma=0.5,prices=11)", {"gamma": 0.5, "prices": 11}),
        ("optimal(prices=grid)", {"prices": "grid", "levels": "grid"}),
    ):
        seller = build(text, spec, 0)
        assert seller.label == text
        price, order, _ = seller.act(seen, {})
        want = solve(spec, 0, **options).decide(seen.on_hand, seen.pipeline)
        assert (price.tolist(), order.tolist()) == (want[0].tolist(), want[1].tolist())
    hasty = build("constant(price=2)+optimal(gamma=0.5)", spec, 0).act(seen, {})[1]
    assert hasty.tolist() == solve(spec, 0, prices=[2.0], gamma=0.5).decide(seen.on_hand, seen.pipeline)[1].tolist()


def test_optimal_reads_and_completes_to_itself() -> None:
    spec = duopoly(DEAR)
    rules = parse_rules("optimal(gamma=0.9)", "rules", spec)
    assert rules.label == "optimal(gamma=0.9)"
    assert parse_rules(rules.label, "rules", spec) == rules == parse_rules(rules, "rules", spec)
    assert parse_rules({"pricing": {"optimal": {"gamma": 0.9}}, "replenishment": "optimal"}, "rules", spec) == rules
    assert parse_rules("optimal", "rules", made_to_order()).label == "optimal"
    assert rules.searched == ()
    rules.check(spec, 1)


def test_optimal_made_to_order_answers_nash_with_nash() -> None:
    spec = made_to_order()
    price, order, _ = build("optimal", spec, 1).act(view(), {})
    assert price == pytest.approx([nash_prices(Logit.of(spec))[1]], abs=1e-6)
    assert order.tolist() == [0.0]


def test_optimal_works_beside_a_rival_of_longer_lead_time() -> None:
    data = duopoly(DEAR).dump()
    data["sellers"][1]["lead_time"] = 3
    spec = MarketSpec.parse(data)
    sellers = [build("optimal", spec, 0), build("nash+base_stock(level=ample)", spec, 1)]
    spec_profit = play(spec.model_copy(update={"horizon": 250}), sellers, markets=300, seed=1, fields=("profit",))
    assert_inside(spec_profit["profit"][50:, :, 0].mean(axis=0), solve(spec, 0).average)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "optimal+base_stock",
            "seats.left.replenishment: optimal decides price and order together: leave base_stock out",
        ),
        ("optimal(gamma=0.9)+optimal(gamma=0.8)", "seats.left.replenishment: optimal decides price and order together"),
        (
            "match+optimal",
            "seats.left.replenishment.optimal: needs a price that never changes, and match changes it: give constant, ",
        ),
        (
            "clearance+optimal",
            "seats.left.pricing.clearance: needs replenishment with one order-up-to level, and that ",
        ),
        ("optimal(gamma=1)", "seats.left.pricing.optimal.gamma: must be less than 1 (got '1')"),
        ("optimal(prices=0)", "seats.left.pricing.optimal.prices: must be a count of prices from 1 to 10000, or grid"),
        ("optimal(prices=many)", "seats.left.pricing.optimal.prices: must be a count of prices from 1 to 10000, or "),
        ("optimal(prices=grid)", "seats.left.pricing.optimal: market.sellers.0 (left).grid: a grid is asked for and "),
    ],
)
def test_what_the_optimum_cannot_do_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(UserError) as refused:
        build(text, duopoly(DEAR), 0)
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


def test_a_market_without_exact_optimum_says_why() -> None:
    with pytest.raises(
        UserError, match=r"^seats\.left\.pricing\.optimal: market\.sellers\.0 \(left\): no exact optimum: "
    ):
        build("optimal", duopoly({"price_change_cost": 1.0}), 0)
    with pytest.raises(UserError, match="means nothing when market.inventory is make_to_order: leave optimal out"):
        build("nash+optimal", made_to_order(), 0)


def test_constant_is_said_of_the_rules_whose_price_is() -> None:
    constant = {name for name, kind in PRICING.items() if kind().constant}
    assert constant == {"constant", "cost_plus", "nash", "collusive"}
    spec, random = duopoly(), np.random.default_rng(0)
    for name in constant:
        seller = build(f"{name}+base_stock(level=9)", spec, 0)
        seen = view(on_hand=random.uniform(0, 40, 9), price=random.uniform(1, 3, 9), rivals_price=np.ones((9, 1)))
        price = seller.act(seen, seller.start(9))[0]
        assert set(price.tolist()) == {seller.rules.pricing.usual(seller.seat)}


# ------------------------------------------------------------------------------------------------ nobody does better


@pytest.mark.parametrize("lead_time", [0, 1, 3])
def test_no_searched_level_at_any_price_beats_the_optimum(lead_time: int) -> None:
    spec = duopoly(DEAR | {"lead_time": lead_time, "order_up_to": [0, 40]}, horizon=110)
    rival = "nash+base_stock(level=ample)"
    best = profit(spec, build("optimal", spec, 0), rival)
    at_nash = profit(spec, build("nash+optimal", spec, 0), rival)
    rivals = [parse_rules("nash"), parse_rules(rival)]
    for price in ("nash", "constant(price=2)", "clearance"):
        for replenishment in ("base_stock(level=best)", "capped_base_stock", "min_max", "forecast"):
            other = profit(spec, build(f"{price}+{replenishment}", spec, 0, rivals=rivals), rival)
            gain = best - other
            assert gain.mean() >= -2.576 * gain.std() / np.sqrt(len(gain)), (price, replenishment)
            if price == "nash":
                gain = at_nash - other
                assert gain.mean() >= -2.576 * gain.std() / np.sqrt(len(gain)), replenishment
    gain = best - at_nash
    if lead_time > 0:  # without a lead time one price is nearly best, and moving it hardly pays
        assert gain.mean() > 2.576 * gain.std() / np.sqrt(len(gain))


# ------------------------------------------------------------------------------------------------ best response


def ample(text: str) -> list[Rules]:
    return [parse_rules("match"), parse_rules(f"{text}+base_stock(level=ample)")]


def test_the_best_response_earns_in_the_market_what_it_promises() -> None:
    spec = duopoly(DEAR, horizon=300)
    for text in ("nash", "constant(price=1.5)", "collusive"):
        best = exact_best_response(spec, 0, ample(text))
        price = build(text, spec, 1).rules.pricing.usual(build(text, spec, 1).seat)
        assert best.average == solve(spec, 0, rivals_price=[0, price]).average

        class Responder:
            def start(self, markets: int) -> dict[str, Any]:
                return {}

            def act(self, seen: Any, memory: Any, best: Any = best) -> Any:
                return *best.decide(seen.on_hand, seen.pipeline), memory

        sellers: list[Seller] = [Responder(), build(f"{text}+base_stock(level=ample)", spec, 1)]
        earned = play(spec, sellers, markets=300, seed=77, fields=("profit",))["profit"][50:, :, 0].mean(axis=0)
        assert_inside(earned, best.average)


def test_a_small_duopoly_by_brute_force() -> None:
    """Every (price, base-stock level) pair simulated: with lead time 0 and no order cost the optimum is one of them."""
    data = duopoly({"lead_time": 0, "holding_cost": 0.3, "order_cost": 0.0, "order_up_to": [0, 14]}, horizon=200).dump()
    spec = MarketSpec.parse(data | {"customers": {"rate": 8}})
    best = solve(spec, 0, rivals_price=[0, constant_price(spec, 1, ample("nash")[1])], prices=5)
    pairs = [(p, y) for p in (1.0, 1.5, 2.0, 2.5, 3.0) for y in range(2, 15, 2)]
    means = {}
    for price, level in pairs:
        seller = build(f"constant(price={price})+base_stock(level={level})", spec, 0)
        means[price, level] = profit(spec, seller, "nash+base_stock(level=ample)", 300)
    top = max(means, key=lambda pair: means[pair].mean())
    assert best.prices_posted == (top[0], top[0])
    assert abs(best.levels_ordered_to[0] - top[1]) <= 1
    assert means[top].mean() <= best.average + 2.576 * means[top].std() / np.sqrt(300)


def test_best_response_to_a_level_that_is_ample_by_number() -> None:
    data = duopoly(DEAR).dump()
    data["sellers"][1]["order_up_to"] = [0, 500]
    spec = MarketSpec.parse(data)
    by_number = [parse_rules("nash"), parse_rules("nash+base_stock(level=500)")]
    assert exact_best_response(spec, 0, by_number).average == exact_best_response(spec, 0, ample("nash")).average
    with pytest.raises(UserError, match="a level of 40 may run dry"):  # the range allows no more
        exact_best_response(duopoly(DEAR), 0, by_number)
    made = made_to_order()
    response = exact_best_response(made, 0, [parse_rules("nash"), parse_rules("constant(price=2)")])
    assert response.mean_price > nash_prices(Logit.of(made))[0]


@pytest.mark.parametrize(
    ("rival", "reason"),
    [
        ("undercut+base_stock(level=ample)", "undercut does not post one price for ever"),
        ("trigger+base_stock(level=ample)", "trigger does not post one price for ever"),
        ("optimal", "optimal does not post one price for ever"),
        ("nash+forecast", "forecast may run dry: it takes base_stock(level=ample)"),
        ("nash+base_stock(level=best)", "level=best may run dry: it takes base_stock(level=ample)"),
        ("nash+base_stock(level=30)", "a level of 30 may run dry: it takes base_stock(level=ample), "),
        ("nash", "a level of "),
    ],
)
def test_rivals_whose_play_does_not_fit_are_named_with_the_way_out(rival: str, reason: str) -> None:
    with pytest.raises(UserError) as refused:
        exact_best_response(duopoly(DEAR), 0, [parse_rules("nash"), parse_rules(rival)])
    message = str(refused.value)
    assert message.startswith("seats.right (")
    assert f"no exact best response: {reason}" in message
    assert message.endswith("`bazaar exploit` trains a response instead")
    assert "\n" not in message


def test_rules_for_every_seat_are_needed() -> None:
    with pytest.raises(UserError, match="rivals: market has 2 seats, got rules for 1"):
        exact_best_response(duopoly(DEAR), 0, [parse_rules("nash")])


def test_a_single_seller_has_no_rivals_to_answer() -> None:
    spec = zipkin(4, 1)
    assert exact_best_response(spec, 0, [parse_rules("constant")]).average == solve(spec, 0).average
