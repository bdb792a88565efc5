"""Demand quantiles and newsvendor levels against exact laws and simulation, and the profit gain by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import pdtr, pdtrc
from scipy.stats import nbinom, poisson

from market.demand.logit import Logit, shares
from market.errors import UserError
from market.spec.models import MarketSpec
from market.theory.demand_law import demand_law
from market.theory.newsvendor import (
    demand_quantile,
    mean_demand,
    newsvendor_level,
    profit_gain,
    seat_profit_gain,
    service_level,
)
from tests.helpers.duopoly import duopoly

PRICE = [3.0, 2.5]
LEVELS = (0.001, 0.05, 0.3, 0.5, 0.8, 0.95, 0.999)


def market(seller: dict[str, Any] | None = None, customers: dict[str, Any] | None = None, **keys: Any) -> MarketSpec:
    first = {"name": "a", "quality": 3.0, "unit_cost": 2.0, "prices": [0, 9], "holding_cost": 0.25, **(seller or {})}
    second = {"name": "b", "quality": 2.0, "unit_cost": 1.0, "prices": [0, 9]}
    rest = {"horizon": 100, "price_sensitivity": 1.0, "customers": {"rate": 40.0, **(customers or {})}, **keys}
    return MarketSpec.parse({**rest, "sellers": [first, second]})


def rate(spec: MarketSpec, price: list[float] = PRICE) -> float:
    return float(spec.customers.rate * shares(Logit.of(spec), price)[0])


def test_critical_ratio_by_hand() -> None:
    assert service_level(price=3.0, unit_cost=2.0, holding_cost=0.25) == 0.8
    assert service_level(price=3.0, unit_cost=2.0, holding_cost=0.25, stockout_cost=1.25) == 0.9
    assert service_level(price=1.0, unit_cost=2.0, holding_cost=0.25) == 0.0


@pytest.mark.parametrize("periods", [1, 2, 7])
@pytest.mark.parametrize("q", LEVELS)
def test_without_other_randomness_demand_is_exactly_poisson(periods: int, q: float) -> None:
    spec = market()
    assert demand_quantile(spec, 0, PRICE, periods, q) == poisson.ppf(q, rate(spec) * periods)


@pytest.mark.parametrize("dispersion", [0.2, 1.0])
@pytest.mark.parametrize("q", LEVELS)
def test_one_overdispersed_period_is_negative_binomial(dispersion: float, q: float) -> None:
    spec = market(customers={"dispersion": dispersion})
    law = nbinom(1 / dispersion, 1 / (1 + dispersion * rate(spec)))
    assert demand_quantile(spec, 0, PRICE, 1, q) == law.ppf(q)


def test_poisson_by_hand() -> None:
    spec = market({"quality": -math.log(1.0)}, {"rate": 8.0}, outside=0.0)
    alone = spec.model_copy(update={"sellers": spec.sellers[:1]})
    assert demand_quantile(alone, 0, [0.0], 1, 0.9) == 7


def test_newsvendor_level_is_the_quantile_over_lead_time_and_one_period() -> None:
    for lead in (0, 2):
        spec = market({"lead_time": lead, "stockout_cost": 0.5})
        ratio = (3.0 - 2.0 + 0.5) / (3.0 - 2.0 + 0.5 + 0.25)
        assert newsvendor_level(spec, 0, PRICE) == poisson.ppf(ratio, rate(spec) * (lead + 1))
    assert newsvendor_level(market(), 0, [2.0, 2.5]) == 0.0


def test_baskets_multiply_the_level() -> None:
    one, six = market(), market(customers={"basket": 6})
    assert newsvendor_level(six, 0, PRICE) == 6 * newsvendor_level(one, 0, PRICE)
    assert mean_demand(six, 0, PRICE) == pytest.approx(6 * rate(one), rel=1e-12)


def test_expected_mode_knows_no_poisson_noise_and_no_g() -> None:
    spec = market({"lead_time": 1}, {"mode": "expected", "dispersion": 0.5, "basket": 1.5})
    assert newsvendor_level(spec, 0, PRICE) == pytest.approx(2 * 1.5 * rate(spec), rel=1e-12)
    season = market(customers={"mode": "expected", "weekly": [1.0, 3.0]})
    assert demand_quantile(season, 0, PRICE, 1, 0.4) == pytest.approx(rate(season), rel=1e-12)
    assert demand_quantile(season, 0, PRICE, 1, 0.6) == pytest.approx(3 * rate(season), rel=1e-12)
    assert demand_quantile(season, 0, PRICE, 2, 0.6) == pytest.approx(4 * rate(season), rel=1e-12)


def test_seasons_mix_exactly() -> None:
    spec = market(customers={"weekly": [0.5, 1.5]})
    for q in LEVELS:
        level = demand_quantile(spec, 0, PRICE, 1, q)
        mixed = [(poisson.cdf(n, 0.5 * rate(spec)) + poisson.cdf(n, 1.5 * rate(spec))) / 2 for n in (level - 1, level)]
        assert mixed[0] < q <= mixed[1]


def busy() -> MarketSpec:
    return market(
        {"xi": 0.5, "event_frequency": 0.3, "lead_time": 2},
        {"dispersion": 0.1, "shock": {"sd": 0.3, "persistence": 0.8}, "trend": 0.002},
        demand_shock={"common": 0.3, "persistence": 0.7},
        events={"effect": 0.8, "mean_length": 2.5},
        nest=0.2,
        horizon=40,
    )


def simulated(spec: MarketSpec, periods: int, count: int) -> np.ndarray:
    """Units that first choose the first seller in a window, drawn period by period with plain random numbers."""
    rng = np.random.default_rng(8)
    first, events, customers = spec.sellers[0], spec.events, spec.customers
    assert events is not None
    start = rng.integers(spec.horizon - periods + 1, size=count)
    common, own, shock, total = (
        rng.standard_normal(count),
        rng.standard_normal(count),
        rng.standard_normal(count),
        np.zeros(count),
    )
    on = rng.random(count) < first.event_frequency
    for t in range(periods):
        u = np.empty((count, 2))
        u[:, 0] = first.quality - PRICE[0] + 0.3 * common + first.xi * own + events.effect * on
        u[:, 1] = spec.sellers[1].quality - PRICE[1] + 0.3 * common
        odds = np.exp(u / 0.8)
        buys = 1 / (1 + odds.sum(axis=1) ** -0.8)
        mean = (
            customers.rate * 1.002 ** (start + t) * np.exp(0.3 * shock - 0.045) * buys * odds[:, 0] / odds.sum(axis=1)
        )
        total += rng.poisson(mean * rng.gamma(10.0, 0.1, count))
        common, own = (0.7 * x + math.sqrt(0.51) * rng.standard_normal(count) for x in (common, own))
        shock = 0.8 * shock + 0.6 * rng.standard_normal(count)
        begin = 0.3 / 2.5 / 0.7
        on = rng.random(count) < np.where(on, 1 - 1 / 2.5, begin)
    return total


def test_every_source_of_randomness_enters_as_simulated() -> None:
    spec, count = busy(), 400_000
    total = simulated(spec, 3, count)
    assert mean_demand(spec, 0, PRICE, 3) == pytest.approx(total.mean(), rel=0.004)
    for q in (0.05, 0.5, 0.8, 0.95):
        level = demand_quantile(spec, 0, PRICE, 3, q)
        below, upto = (total < level).mean(), (total <= level).mean()
        assert below - 0.004 < q <= upto + 0.004
    assert newsvendor_level(spec, 0, PRICE) == demand_quantile(spec, 0, PRICE, 3, 0.8)


@pytest.mark.parametrize("customers", [1e4, 2e5, 1e7])
@np.errstate(under="ignore")
def test_levels_of_large_volumes_beside_the_exact_law(customers: float) -> None:
    """The level within 1 %, and expected profit within 1e-4, of the best under the mixture that quadrature gives."""
    spec = duopoly(
        {"xi": 0.3}, demand_shock={"common": 0.2}, customers={"rate": customers, "shock": {"sd": 0.15}}, horizon=1
    )
    law = demand_law(spec, 0, [2.0, 2.0])
    for q in (0.5, 0.95):

        def profit(level: float, q: float = q) -> float:
            sold = law.weights @ (law.means * pdtr(level - 2, law.means) + level * pdtrc(level - 1, law.means))
            return float(q * sold - (1 - q) * (level - sold))

        top = float(demand_quantile(spec, 0, [2.0, 2.0], 1, 0.9999))
        exact = math.ceil(brentq(lambda count, q=q: law.within(math.floor(count)) - q, 0, top, xtol=0.25))
        found = demand_quantile(spec, 0, [2.0, 2.0], 1, q)
        assert found == pytest.approx(exact, rel=0.01)
        assert profit(found) == pytest.approx(profit(exact), rel=1e-4)


def test_each_source_of_randomness_matters() -> None:
    spread = demand_quantile(busy(), 0, PRICE, 3, 0.95) - demand_quantile(busy(), 0, PRICE, 3, 0.05)
    calmer = [
        busy().model_copy(update={"events": None}),
        busy().model_copy(update={"demand_shock": market().demand_shock}),
        busy().model_copy(update={"customers": busy().customers.model_copy(update={"dispersion": 0.0})}),
        busy().model_copy(
            update={"customers": busy().customers.model_copy(update={"shock": market().customers.shock})}
        ),
    ]
    for spec in calmer:
        assert demand_quantile(spec, 0, PRICE, 3, 0.95) - demand_quantile(spec, 0, PRICE, 3, 0.05) < spread


def test_same_question_same_answer() -> None:
    assert newsvendor_level(busy(), 0, PRICE) == newsvendor_level(busy(), 0, PRICE)


def test_free_holding_is_refused_by_name() -> None:
    with pytest.raises(UserError, match=r"market.sellers.1 \(b\).holding_cost must be above 0"):
        newsvendor_level(market(), 1, PRICE)
    with pytest.raises(UserError, match="holding_cost must be above 0"):
        service_level(3.0, 2.0, 0.0)


def test_markets_made_to_order_have_no_level() -> None:
    spec = market({"holding_cost": 0.0}, inventory="make_to_order")
    with pytest.raises(UserError, match=r"market.sellers.0 \(a\): a market made to order holds no stock"):
        newsvendor_level(spec, 0, PRICE)


@pytest.mark.parametrize("q", [-0.1, 1.0, math.nan])
def test_impossible_quantiles_are_refused(q: float) -> None:
    with pytest.raises(UserError, match="0 <= q < 1"):
        demand_quantile(market(), 0, PRICE, 1, q)


def test_profit_gain_by_hand() -> None:
    assert profit_gain([3.0, 2.0], [2.0, 2.0], [4.0, 4.0]) == 0.25
    assert profit_gain([2.0, 2.0], [2.0, 2.0], [4.0, 4.0]) == 0.0
    assert profit_gain([4.0, 4.0], [2.0, 2.0], [4.0, 4.0]) == 1.0
    assert math.isnan(profit_gain([4.0], [5.0], [5.0]))


def test_seats_that_hardly_gain_from_joint_prices_show_no_figure() -> None:
    gain = seat_profit_gain([120.0, 110.0, 90.0], [100.0, 100.0, 100.0], [140.0, 105.0, 95.0])
    assert gain[0] == 0.5 and np.isnan(gain[1:]).all()
