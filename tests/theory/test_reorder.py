"""Reorder levels against the exact optimum, the laws they rest on and Hadley and Whitin's conditions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import poisson

from market.errors import UserError
from market.spec.models import MarketSpec
from market.theory.bellman import average, long_run
from market.theory.mdp import build_mdp
from market.theory.newsvendor import mean_demand, newsvendor_level
from market.theory.optimum import solve
from market.theory.reorder import reorder_levels
from policies.sellers.rules.level_search import build

PRICE = 2.0


def shop(rate: float, cost: float, holding: float, lead_time: int, **market: Any) -> MarketSpec:
    """Everybody buys at price 2, which costs 1: an underage of 1."""
    seller = {"name": "shop", "quality": 0.0, "unit_cost": 1.0, "prices": [PRICE, PRICE], "order_cost": cost}
    seller |= {"holding_cost": holding, "lead_time": lead_time, "order_up_to": [0, 66], "reward_scale": 1.0}
    data = {"horizon": 200, "price_sensitivity": 1.0, "outside": "none", "customers": {"rate": rate}}
    return MarketSpec.parse(data | market | {"sellers": [seller]})


def earned(spec: MarketSpec, low: float, high: float) -> float:
    """The exact mean profit a period of (s, S), by the long-run shares of its Markov chain."""
    price = np.array([PRICE])
    mdp, states = build_mdp(spec, 0, price, price, np.arange(67))
    position = states.position
    order = np.where(position <= low, np.maximum(high - position, 0), 0).astype(np.int64)
    posted = np.zeros(len(order), np.int64)
    return average(mdp, posted, order, long_run(mdp, posted, order, 0))


@pytest.mark.parametrize(
    ("rate", "cost", "holding", "lead_time"),
    [
        (3, 0.5, 0.05, 0),
        (3, 6, 0.05, 1),
        (8, 0.05, 0.1, 1),
        (8, 6, 0.1, 1),
        (8, 6, 0.1, 0),
        (3, 2, 0.05, 2),
        (2, 2, 0.05, 3),
    ],
)
def test_levels_are_within_a_few_per_cent_of_the_exact_optimum(
    rate: float, cost: float, holding: float, lead_time: int
) -> None:
    """The newsvendor level and Harris's lot on top of it, which were the default, lose 2 to 15 % here."""
    spec = shop(rate, cost, holding, lead_time)
    best = solve(spec, 0, prices=[PRICE]).average
    low, high = reorder_levels(spec, 0, [PRICE])
    assert earned(spec, low, math.floor(high + 0.5)) > 0.98 * best
    before = newsvendor_level(spec, 0, [PRICE])
    lot = math.sqrt(2 * rate * cost / holding)
    assert earned(spec, before, math.floor(before + lot + 0.5)) < 0.98 * best


@pytest.mark.parametrize(("rate", "cost", "holding", "lead_time"), [(3, 2, 0.05, 0), (8, 0.5, 0.1, 1)])
def test_searched_levels_are_the_best_there_are(rate: float, cost: float, holding: float, lead_time: int) -> None:
    spec = shop(rate, cost, holding, lead_time)
    rule: Any = build("constant+min_max(s=best,S=best)", spec, 0).rules.replenishment
    assert earned(spec, rule.s, rule.S) > 0.996 * solve(spec, 0, prices=[PRICE]).average


def test_the_levels_satisfy_hadley_and_whitins_conditions() -> None:
    """Lead time 0, orders rare: at risk is the demand of a uniform part of a period, its law by quadrature."""
    rate, cost, holding = 6.0, 20.0, 0.05
    low, high = reorder_levels(shop(rate, cost, holding, 0), 0, [PRICE])
    part = (np.arange(4000) + 0.5) / 4000
    lost = float(sum((k - low) * poisson.pmf(k, rate * part).mean() for k in range(int(low) + 1, 60)))
    order = math.sqrt(2 * rate * (cost + lost) / holding)
    at_risk = holding * order / (holding * order + rate)
    assert poisson.sf(low, rate * part).mean() <= at_risk < poisson.sf(low - 1, rate * part).mean()
    assert high == pytest.approx(low + order - rate / 2, rel=1e-3)


@pytest.mark.parametrize("customers", [{}, {"dispersion": 0.5}, {"basket": 2}, {"mode": "expected"}])
def test_without_an_order_cost_both_are_the_newsvendor_level(customers: dict[str, Any]) -> None:
    spec = shop(5.0, 0.0, 0.1, 2, customers={"rate": 5.0} | customers)
    assert reorder_levels(spec, 0, [PRICE]) == (newsvendor_level(spec, 0, [PRICE]),) * 2


def test_a_tiny_order_cost_changes_hardly_anything_and_a_large_one_lowers_s() -> None:
    levels = [reorder_levels(shop(5.0, cost, 0.1, 1), 0, [PRICE]) for cost in (0.0, 1e-6, 1.0, 20.0)]
    assert levels[1] == levels[0]
    assert levels[0][0] > levels[2][0] > levels[3][0]
    assert levels[0][1] < levels[2][1] < levels[3][1]


def test_certain_demand_is_ordered_in_harriss_lots() -> None:
    """No customer is random and none is lost: the lot is sqrt(2 d K / h)."""
    spec = shop(5.0, 10.0, 0.1, 1, customers={"rate": 5.0, "mode": "expected"})
    low, high = reorder_levels(spec, 0, [PRICE])
    assert 5.0 < low <= 10.0
    assert high - low + 2.5 == pytest.approx(math.sqrt(2 * 5 * 10 / 0.1), rel=0.02)


def test_stock_that_costs_nothing_and_prices_below_cost() -> None:
    with pytest.raises(UserError, match=r"market\.sellers\.0 \(shop\)\.holding_cost must be above 0"):
        reorder_levels(shop(5.0, 1.0, 0.0, 1), 0, [PRICE])
    assert reorder_levels(shop(5.0, 1.0, 0.1, 1), 0, [0.9]) == (0.0, 0.0)
    assert mean_demand(shop(5.0, 1.0, 0.1, 1), 0, [0.9]) == pytest.approx(5.0)
