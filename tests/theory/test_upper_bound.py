"""The upper bound of a seat's profit: a scan of prices, equality without randomness, and never below what can be earned."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from market.demand.equilibrium import nash_prices
from market.demand.logit import Logit
from market.errors import UserError
from market.metrics.summary import episode_profit
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.theory.optimum import solve
from market.theory.upper_bound import best_margin, profit_bound
from policies.sellers.rollout import play
from policies.sellers.rules.level_search import build
from tests.helpers.duopoly import duopoly, made_to_order
from tests.helpers.markets import a_market, nash_profits
from tests.helpers.zipkin import zipkin


def begun(spec: MarketSpec, markets: int = 64, seed: int = 3) -> MarketBatch:
    batch = MarketBatch(spec, markets, seed)
    batch.reset()
    return batch


def test_two_periods_by_hand() -> None:
    spec = MarketSpec.parse(a_market({}, outside="none", horizon=2))
    batch = begun(spec, 1)
    batch.tape.customers[:] = 10
    assert profit_bound(batch, 0).tolist() == [2 * 10 * (3 - 1)]
    assert profit_bound(batch, 0, warm_up=1).tolist() == [20]


def test_the_best_margin_of_the_example() -> None:
    seller = {"quality": 2.0, "unit_cost": 0.0, "prices": [0, 9]}
    spec = MarketSpec.parse(a_market(seller))
    assert best_margin(spec, 0, np.array([1.0]), np.zeros((1, 1))) == pytest.approx([1.0])


@pytest.mark.parametrize(
    "market",
    [
        {},
        {"nest": 0.4},
        {"price_form": "log", "price_sensitivity": 3.0},
        {"outside": "none"},
        {"nest": 0.3, "price_form": "log", "price_sensitivity": 0.6, "outside": "none"},
    ],
)
def test_the_best_margin_is_that_of_a_scan_of_prices(market: dict[str, Any]) -> None:
    """Written with plain exponentials, one shock after the other."""
    spec = duopoly({"xi": 1.0, "reward_scale": 1.0}, **market)
    shocks = np.random.default_rng(0).normal(size=(5, 2))
    posted, prices = np.array([1.8, 2.1]), np.linspace(1, 3, 4001)
    found = best_margin(spec, 0, posted, shocks)
    narrow = 1 - spec.nest
    for k, (own, other) in enumerate(shocks):

        def worth(p: float) -> float:
            return math.log(p) if spec.price_form == "log" else p

        rival = math.exp((4.6 - spec.price_sensitivity * worth(2.1) + other) / narrow)
        outside = 0.0 if spec.outside == -math.inf else math.exp(spec.outside)
        margins = []
        for p in prices:
            mine = math.exp((4.0 - spec.price_sensitivity * worth(p) + own) / narrow)
            some = (mine + rival) ** narrow
            margins.append((p - 1.0) * mine / (mine + rival) * some / (some + outside))
        assert max(margins) <= found[k] * (1 + 1e-12)
        assert found[k] == pytest.approx(max(margins), rel=1e-6)


def test_events_and_shocks_of_the_tape_are_known() -> None:
    spec = duopoly({"event_frequency": 0.3, "xi": 0.5}, events={"effect": 1.5, "mean_length": 2, "announced": 3})
    batch = begun(spec, 4)
    posted = nash_prices(Logit.of(spec))
    want = np.zeros(4)
    for m in range(4):
        for t in range(spec.horizon):
            shock = batch.tape.xi[m, t] + 1.5 * batch.tape.event[m, t]
            want[m] += batch.tape.customers[m, t] * best_margin(spec, 1, posted, shock[None])[0]
    assert batch.tape.event[:, : spec.horizon].any()
    np.testing.assert_allclose(profit_bound(batch, 1, rivals_price=posted), want, rtol=1e-12)


def test_where_nothing_is_random_it_is_what_is_earned() -> None:
    """Made to order with expected demand; and with stock that costs nothing to hold and comes at once."""
    spec = made_to_order(customers={"rate": 20, "mode": "expected"})
    bound = profit_bound(begun(spec, 2), 0)
    np.testing.assert_allclose(bound, spec.horizon * nash_profits(spec)[0], rtol=1e-9)
    earned = play(spec, [build("optimal", spec, k) for k in (0, 1)], fields=("profit",))["profit"][:, 0, 0].sum()
    assert earned == pytest.approx(bound[0], rel=1e-9)

    free = {"holding_cost": 0.0, "order_cost": 0.0, "lead_time": 0, "stockout_cost": 0.0}
    stocked = duopoly(free, customers={"rate": 20, "mode": "expected"})
    players = [build(f"nash+base_stock(level={level})", stocked, k) for k, level in ((0, 100), (1, 100))]
    ledger = play(stocked, players)
    earned = episode_profit(ledger, stocked)[0]
    for seat in (0, 1):
        assert earned[seat] == pytest.approx(profit_bound(begun(stocked, 1), seat)[0], rel=1e-9)


@pytest.mark.parametrize("name", ["monopoly", "zipkin", "duopoly", "made to order"])
def test_nobody_earns_more_on_the_same_tapes(name: str) -> None:
    spec = {
        "monopoly": MarketSpec.load("configs/monopoly.yaml"),
        "zipkin": zipkin(4, 2, horizon=150),
        "duopoly": duopoly({"xi": 0.4, "holding_cost": 0.1}, horizon=150),
        "made to order": made_to_order(
            demand_shock={"common": 0.6}, customers={"rate": 20, "mode": "expected"}, horizon=150
        ),
    }[name]
    rival = "nash+base_stock(level=ample)" if spec.stocked else "nash"
    sellers = [build("optimal", spec, 0), *(build(rival, spec, k) for k in range(1, len(spec.sellers)))]
    batch = MarketBatch(spec, 400, 11)
    ledger = play(batch, sellers)
    bound = profit_bound(batch, 0, warm_up=20)
    earned = episode_profit(ledger, spec, warm_up=20)[:, 0]
    spread = (bound - earned).std() / math.sqrt(len(bound))
    assert bound.mean() > earned.mean() + 2.576 * spread
    assert bound.mean() / (spec.horizon - 20) > solve(spec, 0).average


def test_a_price_below_cost_sells_nothing_or_must() -> None:
    cheap = {"unit_cost": 5.0, "reward_scale": 1.0}
    assert profit_bound(begun(duopoly(cheap), 3), 0, rivals_price=[0, 2]).tolist() == [0, 0, 0]
    data = made_to_order().dump()
    data["sellers"][0]["unit_cost"] = 5.0
    assert (profit_bound(begun(MarketSpec.parse(data), 3), 0, rivals_price=[0, 2]) < 0).all()


def test_what_cannot_be_bounded_is_refused() -> None:
    spec = duopoly()
    with pytest.raises(UserError, match="no episode has begun"):
        profit_bound(MarketBatch(spec, 2, 0), 0)
    with pytest.raises(UserError, match="warm_up: must be at least 0 and below the 30 periods"):
        profit_bound(begun(spec), 0, warm_up=30)
