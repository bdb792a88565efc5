"""The level search: known optima, neighbours beaten on other customers, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from market.demand.equilibrium import nash_prices
from market.demand.logit import Logit
from market.errors import UserError
from market.metrics.summary import episode_profit
from market.spec.models import MarketSpec
from market.theory.newsvendor import newsvendor_level
from policies.sellers.rollout import play
from policies.sellers.rules import level_search
from policies.sellers.rules.compose import parse_rules
from policies.sellers.rules.level_search import best_level, build, refine
from tests.helpers.duopoly import duopoly


@pytest.fixture(autouse=True)
def _searched_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests take what was found before."""
    monkeypatch.setattr(level_search, "_search", level_search.searched)  # type: ignore[attr-defined]


DEAR = {"holding_cost": 0.4, "order_cost": 0.0}


def profit(spec: MarketSpec, text: str, rival: str = "nash+base_stock") -> Any:
    """Profit a period of each of 1,500 episodes on customers that the search has not met."""
    sellers = [build(text, spec, 0), build(rival, spec, 1)]
    ledger = play(spec, sellers, markets=1500, seed=123_456)
    return episode_profit(ledger, spec, warm_up=8)[:, 0] / (spec.horizon - 8)


def level_of(rules: Any, option: str = "level") -> float:
    return float(getattr(rules.replenishment, option))


@pytest.mark.parametrize("lead_time", [0, 2])
def test_the_best_level_beats_its_neighbours_on_other_customers(lead_time: int) -> None:
    spec = duopoly(DEAR | {"lead_time": lead_time}, horizon=60)
    level = level_of(best_level(spec, 0, parse_rules("nash+base_stock(level=best)")))
    assert level == int(level)
    at_best = profit(spec, f"nash+base_stock(level={level})")
    for other in (level - 4, level + 4):
        gain = at_best - profit(spec, f"nash+base_stock(level={other})")
        assert gain.mean() > 3 * gain.std() / np.sqrt(len(gain))


def test_with_lead_time_zero_the_best_level_is_the_newsvendors() -> None:
    """Alone, without a lead time, base stock at the critical ratio is optimal (Arrow, Harris and Marschak 1951)."""
    data = duopoly(DEAR | {"lead_time": 0}, horizon=200).dump()
    spec = MarketSpec.parse(data | {"sellers": data["sellers"][:1]})
    found = level_of(best_level(spec, 0, parse_rules("nash+base_stock(level=best)")))
    assert abs(found - newsvendor_level(spec, 0, nash_prices(Logit.of(spec)))) <= 1


def test_without_uncertainty_the_best_level_is_demand_over_the_lead_time() -> None:
    spec = duopoly(DEAR | {"lead_time": 2}, customers={"rate": 20, "mode": "expected"}, horizon=60)
    rules, plenty = (parse_rules(f"constant(price=1.8)+base_stock(level={level})") for level in ("best", 500))
    level = level_of(best_level(spec, 0, rules, rivals=[plenty, plenty]))
    ledger = play(spec, [build(plenty, spec, seat) for seat in (0, 1)])
    demand = float(ledger["sold"][10, 0, 0])
    assert level == pytest.approx(3 * demand, rel=0.003)


def test_a_cap_helps_where_lead_times_are_long_and_is_found() -> None:
    """Lost sales, lead time 6, dear stock: capped base stock is known to beat base stock (Xin 2021)."""
    spec = duopoly(DEAR | {"lead_time": 6, "stockout_cost": 0.0}, horizon=100)
    rules = best_level(spec, 0, parse_rules("nash+capped_base_stock"))
    plain = best_level(spec, 0, parse_rules("nash+base_stock(level=best)"))
    assert level_of(rules, "cap") < level_of(rules) / 3
    gain = profit(spec, rules.label) - profit(spec, plain.label)
    assert gain.mean() > 3 * gain.std() / np.sqrt(len(gain))


def test_only_what_is_best_is_searched() -> None:
    spec = duopoly(DEAR)
    capped = best_level(spec, 0, parse_rules("nash+capped_base_stock(level=best,cap=5)"))
    assert level_of(capped, "cap") == 5
    levelled = best_level(spec, 0, parse_rules("nash+capped_base_stock(level=19,cap=best)"))
    assert level_of(levelled) == 19
    assert 0 < level_of(levelled, "cap") <= 19
    given = parse_rules("nash+base_stock(level=7)")
    assert best_level(spec, 0, given) == given


@pytest.mark.parametrize(
    "text", ["min_max(s=best,S=best)", "min_max(s=best)", "min_max(S=best)", "min_max(s=best,S=30)"]
)
def test_searched_reorder_points_earn_at_least_theorys_on_other_customers(text: str) -> None:
    spec = duopoly(DEAR | {"order_cost": 4.0}, horizon=60)
    rules = best_level(spec, 0, parse_rules(f"nash+{text}"))
    assert rules.searched == () and level_of(build(rules, spec, 0).rules, "s" if "s=" in text else "S") > 0
    gain = profit(spec, rules.label) - profit(spec, "nash+min_max(S=30)" if "30" in text else "nash+min_max")
    assert gain.mean() >= -2 * gain.std() / np.sqrt(len(gain))


def test_the_search_is_deterministic_and_built_in() -> None:
    spec = duopoly(DEAR)
    rules, same = (parse_rules("clearance+base_stock(level=best)") for _ in range(2))
    found = best_level(spec, 0, rules, seed=5)
    assert found == best_level(spec, 0, same, seed=5)
    assert build(rules, spec, 0, seed=5).rules == found
    assert found.searched == ()


def test_rivals_matter() -> None:
    spec = duopoly(DEAR)
    rules = parse_rules("nash+base_stock(level=best)")
    empty, full = (
        level_of(best_level(spec, 0, rules, rivals=[rules, parse_rules(f"nash+base_stock(level={level})")]))
        for level in (0, 60)
    )
    assert empty > full + 2


def test_markets_without_nash_prices_are_searched_against_the_middle_price() -> None:
    spec = duopoly(DEAR | {"reward_scale": 5.0}, price_form="log", price_sensitivity=0.9)
    with pytest.raises(UserError, match="no seller has a finite best price"):
        build("nash", spec, 0)
    assert level_of(build("constant+base_stock(level=best)", spec, 0).rules) > 5


@pytest.mark.parametrize(("stock", "horizon"), [(0, 200), (200, 200), (10, 6)])
def test_opening_stock_and_a_short_horizon_do_not_move_the_level(stock: int, horizon: int) -> None:
    cheap = {"holding_cost": 0.02, "order_cost": 0.0}  # what a wrong value of stock would move most
    usual, other = duopoly(cheap, horizon=200), duopoly(cheap | {"stock": stock}, horizon=horizon)
    levels = [level_of(best_level(spec, 0, parse_rules("nash+base_stock(level=best)"))) for spec in (usual, other)]
    assert abs(levels[0] - levels[1]) <= 1


def test_free_stock_and_a_wrong_number_of_rivals_are_refused() -> None:
    rules = parse_rules("nash+base_stock(level=best)")
    with pytest.raises(UserError, match=r"^seats\.left\.replenishment\.base_stock: market\.sellers\.0 \(left\)\.h"):
        best_level(duopoly({"holding_cost": 0.0}), 0, rules)
    with pytest.raises(UserError, match="rivals: market has 2 seats, got rules for 1"):
        best_level(duopoly(), 0, rules, rivals=[rules])


@pytest.mark.parametrize(("best", "high"), [(29, 9), (1, 1), (37, 100), (100, 100), (0, 100), (731, 100)])
def test_refine_finds_the_top_of_a_hill_inside_or_beyond_the_box(best: int, high: int) -> None:
    found = refine(lambda points: -np.abs(points[:, 0] - best), np.zeros(1), np.array([float(high)]), whole=True)
    assert found.tolist() == [best]


def test_refine_finds_a_hill_a_million_times_as_far_away() -> None:
    """As where the middle of a price range sells next to nothing; to a ten-thousandth of so many units."""
    found = refine(lambda points: -np.abs(points[:, 0] - 3.21e7), np.zeros(1), np.array([20.0]), whole=True)
    assert found == pytest.approx([3.21e7], rel=1e-4)


def test_refine_climbs_in_two_dimensions() -> None:
    def score(points: Any) -> Any:
        return -((points[:, 0] - 217) ** 2) - 3 * (points[:, 1] - 41) ** 2

    assert refine(score, np.array([100.0, 10.0]), np.array([300.0, 200.0]), whole=True).tolist() == [217, 41]
