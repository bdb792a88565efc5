"""What rivals play where nothing is said: what does well in the market, by simulation, and never who has left it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from market.metrics.summary import profit_a_period
from market.spec.models import MarketSpec
from policies.config.run import RunConfig
from policies.evaluation.line_ups import LineUps
from policies.evaluation.statistics import half_width
from policies.sellers.rollout import mean_profit, play
from policies.sellers.rules import usual
from policies.sellers.rules.level_search import build
from policies.sellers.rules.usual import (
    best_line_up,
    nash_demand,
    optimum_size,
    solved_cheaply,
    suited,
    together,
    usual_panel,
)
from tests.helpers.duopoly import duopoly
from tests.helpers.markets import a_market

COSTLY = {"quality": 4.0, "order_cost": 8.0, "holding_cost": 0.05, "stockout_cost": 0.1, "lead_time": 1, "stock": 10}


def market(count: int = 3, horizon: int = 60, **changes: Any) -> MarketSpec:
    sellers = [COSTLY | {"order_up_to": [0, 60], "quality": 4.0 - 0.1 * k} | changes for k in range(count)]
    return MarketSpec.parse(a_market(*sellers, horizon=horizon, price_sensitivity=2.0))


@pytest.fixture(name="costly", scope="module")
def _costly() -> MarketSpec:
    return market()


def earned(spec: MarketSpec, rules: str) -> float:
    sellers = [build(rules, spec, seat) for seat in range(len(spec.sellers))]
    return float(mean_profit(spec, sellers, 10, 1.0, seed=77, markets=64).sum())


def test_where_an_order_costs_rivals_order_seldom(costly: MarketSpec) -> None:
    """Ordering every period is so dear there that the best level is to order nothing."""
    found = best_line_up(costly)
    assert found.startswith("nash+min_max")
    left = [build("nash+base_stock(level=best)", costly, seat) for seat in range(3)]
    profit, sells = together(costly, left)
    assert not sells.all() and profit < 0
    assert earned(costly, found) > max(0.0, *(earned(costly, f"nash+base_stock{own}") for own in ("", "(level=best)")))
    line_ups = LineUps(RunConfig(market=costly), 5)
    assert [rules.label for rules in line_ups.chosen(None)] == [found]
    assert "nash+min_max" in [rules.label for rules in line_ups.competitors()]


def test_who_has_left_is_no_rival_whatever_it_earns(costly: MarketSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three that play, the one without stock earns most by far in the figures given here."""
    figures = {"nothing": (9.0, [True, False, True]), "much": (2.0, [True] * 3), "little": (1.0, [True] * 3)}
    monkeypatch.setattr(usual, "line_ups_tried", lambda spec: tuple(figures))
    monkeypatch.setattr(usual, "build", lambda rules, spec, seat: rules)
    played = lambda spec, sellers: (figures[sellers[0]][0], np.array(figures[sellers[0]][1]))
    monkeypatch.setattr(usual, "together", played)
    assert usual.best_line_up.__wrapped__(costly) == "much"
    figures |= {name: (profit, [False] * 3) for name, (profit, _) in figures.items()}
    assert usual.best_line_up.__wrapped__(costly) == "nothing"


def test_where_orders_cost_nothing_nothing_is_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usual, "together", None)
    free = market(order_cost=0.0)
    assert best_line_up(free) == "nash+base_stock(level=best)"
    made = MarketSpec.load("calvano")
    assert not made.stocked and best_line_up(made) == "nash"


def test_where_a_season_is_known_rivals_follow_it() -> None:
    weekly = {"order_cost": 0.0, "order_up_to": [0, 120], "lead_time": 2}
    sellers = [COSTLY | weekly, COSTLY | weekly]
    customers = {"weekly": [0.2, 0.2, 0.2, 2.2, 2.2]}
    spec = MarketSpec.parse(a_market(*sellers, horizon=60, price_sensitivity=2.0, customers=customers))
    assert best_line_up(spec) == "nash+seasonal_base_stock"
    assert earned(spec, "nash+seasonal_base_stock") > earned(spec, "nash+base_stock(level=best)")
    assert {"nash+seasonal_base_stock", "nash+base_stock(level=best)"} <= set(usual.usual_competitors(spec))


def test_who_is_left_out_of_the_seats_suits_the_market(costly: MarketSpec) -> None:
    assert RunConfig(market=costly).player(1) == "nash+min_max"
    assert RunConfig(market=market(order_cost=0.0)).player(1) == "nash+base_stock"
    assert suited(costly, ["nash+base_stock", "cost_plus+forecast"]) == ("nash+min_max", "cost_plus+forecast")
    assert all("min_max" in rules or rules.startswith("cost_plus") for rules in usual_panel(costly))


def test_levels_are_searched_against_rivals_that_do_well(costly: MarketSpec) -> None:
    """The best level of a seat whose own orders cost nothing, among rivals whose orders cost much."""
    sellers = [COSTLY | {"order_cost": 0.0}, COSTLY, COSTLY]
    spec = MarketSpec.parse(a_market(*sellers, horizon=60, price_sensitivity=2.0))
    rivals = [build("nash+min_max", spec, seat).rules for seat in range(3)]
    rules = "nash+base_stock(level=best)"
    assert build(rules, spec, 0).rules == build(rules, spec, 0, rivals=rivals).rules


def test_demand_at_nash_prices_is_what_is_sold_where_nobody_runs_dry(costly: MarketSpec) -> None:
    ample = [build("nash+base_stock(level=ample)", costly, seat) for seat in range(3)]
    assert together(costly, ample)[1].all()
    starved = [build(f"nash+base_stock(level={level})", costly, seat) for seat, level in enumerate((40, 0, 40))]
    assert together(costly, starved)[1].tolist() == [True, False, True]
    assert (nash_demand(costly) > 3).all()


def test_the_exact_optimum_stands_beside_where_it_is_soon_solved(costly: MarketSpec) -> None:
    line_ups = LineUps(RunConfig(market=costly), 0)
    assert list(line_ups.references(0)) == ["optimal"]
    assert not solved_cheaply(market(lead_time=3), 0)
    assert not solved_cheaply(MarketSpec.parse(a_market({"xi": 0.2}, {}, demand_shock={"persistence": 0.5})), 0)
    given = RunConfig.model_validate({"market": costly, "evaluation": {"competitors": ["nash+min_max"]}})
    assert LineUps(given, 0).references(0) == {}


def test_an_optimum_too_large_to_stand_beside_is_counted(costly: MarketSpec) -> None:
    """Up to 40 units two periods ahead are 41 x 42 / 2 states, each with 41 levels."""
    spec = duopoly({"order_up_to": [0, 40], "lead_time": 2})
    assert optimum_size(spec, 0) == 861 * 41
    large = duopoly({"order_up_to": [0, 1_000_000_000], "lead_time": 1})
    assert optimum_size(large, 0) == 1_000_000_001**2 and not solved_cheaply(large, 0)
    assert optimum_size(duopoly({"price_change_cost": 1.0}), 0) == 0


@pytest.mark.parametrize("rules", ["cost_plus+base_stock", "nash+min_max", "nash+forecast"])
def test_a_market_a_thousand_times_as_large_tells_rules_apart_by_as_much(rules: str) -> None:
    """The difference to Nash prices with base stock, in per cent, within the intervals."""
    found = []
    for rate in (20_000, 20_000_000):
        seller = {"xi": 0.2, "stock": rate, "order_up_to": [0, 4 * rate], "unit_cost": 1.0, "order_cost": 0.01 * rate}
        spec = duopoly(seller, customers={"rate": rate}, horizon=40)
        usual = build("nash+base_stock", spec, 0)
        pair = [
            profit_a_period(play(spec, [one, usual], markets=64, seed=3), spec, 5)[:, 0]
            for one in (build(rules, spec, 0), usual)
        ]
        gap = (pair[0] - pair[1]) / pair[1].mean()
        found.append((gap.mean(), half_width(gap)))
    (small, half), (large, other) = found
    assert small == pytest.approx(large, abs=half + other) and max(half, other) < 0.01


def test_profit_gain_is_measured_between_sellers_who_sell(costly: MarketSpec) -> None:
    ends = LineUps(RunConfig(market=costly), 0).profit_gain.ends(3, 32)
    assert ends is not None
    nash, joint = (end.mean(axis=0).sum() for end in ends.both)
    assert joint > nash > 0
