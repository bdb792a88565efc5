"""Levels that follow the calendar, the season and announced events, against quantiles of simulated demand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import poisson

from market.demand.equilibrium import prices_in_range
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.theory.newsvendor import newsvendor_level, service_level
from market.theory.seasonal import SeasonalLevels, knows_ahead, seasonal_levels
from policies.sellers.rollout import episode_profits, play
from policies.sellers.rules.compose import compose, parse_rules
from policies.sellers.rules.level_search import build
from tests.helpers.duopoly import duopoly
from tests.helpers.markets import a_market

WEEK = {"rate": 20.0, "weekly": [0.4, 0.6, 1.0, 1.6, 1.4]}
SHOP = {"holding_cost": 0.1, "order_cost": 0.0, "order_up_to": [0, 300], "reward_scale": 1.0}
AMPLE = "nash+base_stock(level=ample)"


def wanted(spec: MarketSpec, rows: int) -> tuple[np.ndarray[Any, Any], MarketBatch]:
    """Units (T, rows) that first choose the first seat, nobody running dry, and the markets played."""
    batch = MarketBatch(spec, rows, 7)
    ledger = play(batch, [compose(parse_rules(AMPLE), spec, seat) for seat in (0, 1)])
    return ledger["sold"][..., 0] + ledger["lost"][..., 0], batch


def assert_quantile(demand: Any, level: float, q: float, slack: float = 0.0) -> None:
    """``level`` is the least number of units that this demand does not exceed with probability q, to 4 standard errors."""
    error = 4 * np.sqrt(q * (1 - q) / len(demand)) + slack
    assert (demand <= level).mean() >= q - error and (demand <= level - 1).mean() <= q + error


def ratio_of(spec: MarketSpec) -> float:
    price = prices_in_range(spec)
    return service_level(float(price[0]), spec.sellers[0].unit_cost, 0.1, spec.sellers[0].stockout_cost)


@pytest.mark.parametrize(
    ("market", "seller"),
    [
        ({"customers": WEEK}, {}),
        ({"season": [0.6, 0.0, -0.6]}, {}),
        ({"customers": WEEK | {"dispersion": 0.3}, "season": [0.4, -0.4]}, {"xi": 0.3}),
        ({"customers": {"rate": 20.0, "trend": 0.02, "yearly": {"amplitude": 0.5, "length": 20, "peak": 5}}}, {}),
    ],
)
def test_levels_are_quantiles_of_simulated_demand_by_date(market: dict[str, Any], seller: dict[str, Any]) -> None:
    spec = duopoly(SHOP | {"stock": 40} | seller, **({"horizon": 30} | market))
    demand, _ = wanted(spec, 3000)
    levels = SeasonalLevels.of(spec, 0, prices_in_range(spec)).levels(np.arange(28))
    assert levels.max() > 1.05 * levels.min()
    for start in (10, 11, 12, 17, 23):
        assert_quantile(demand[start] + demand[start + 1], levels[start], ratio_of(spec), 0.01)


@pytest.mark.parametrize("announced", [0, 2])
def test_levels_follow_announced_events_of_oneself_and_of_rivals(announced: int) -> None:
    events = {"effect": 1.5, "mean_length": 3, "announced": announced}
    spec = duopoly(SHOP | {"stock": 80, "event_frequency": 0.3}, events=events, horizon=40)
    demand, batch = wanted(spec, 3000)
    known = SeasonalLevels.of(spec, 0, prices_in_range(spec))
    seen = batch.tape.event[:, 20 : 21 + announced]
    found = {}
    for now in ((0, 0), (1, 0), (0, 1)):
        rows = (seen[:, : min(announced, 1) + 1] == now).all(axis=(1, 2))
        (level,) = known.levels([20], seen[rows][:1])
        found[now] = level
        # Beyond what is announced demand is a mixture, of which the level knows the mean and the usual spread.
        assert_quantile((demand[20] + demand[21])[rows], level, ratio_of(spec), 0.02 if announced else 0.05)
    assert found[1, 0] > found[0, 0] > found[0, 1]


def test_levels_of_many_rows_are_those_of_each_alone() -> None:
    events = {"effect": 1.5, "mean_length": 3, "announced": 2}
    spec = duopoly(SHOP | {"event_frequency": 0.3, "lead_time": 2}, events=events, customers=WEEK, horizon=40)
    known = np.random.default_rng(0).integers(0, 2, (200, 3, 2)).astype(float)
    period = np.arange(200) % 9
    together = SeasonalLevels.of(spec, 0, prices_in_range(spec)).levels(period, known)
    alone = SeasonalLevels.of(spec, 0, prices_in_range(spec))
    single = [alone.levels(period[row : row + 1], known[row : row + 1])[0] for row in reversed(range(200))]
    assert together.tolist() == single[::-1] and len(set(single)) > 10


def test_poisson_by_hand() -> None:
    data = a_market({"holding_cost": 0.25}, customers={"rate": 4.0, "weekly": [1, 3]}, outside="none", horizon=9)
    spec = MarketSpec.parse(data)
    levels = SeasonalLevels.of(spec, 0, [2.0]).levels([0, 1, 2])
    assert levels.tolist() == [poisson.ppf(0.8, 4), poisson.ppf(0.8, 12), poisson.ppf(0.8, 4)] == [6, 15, 6]


@pytest.mark.parametrize(
    "customers", [{"rate": 20.0}, {"rate": 20.0, "dispersion": 0.4}, {"rate": 20.0, "mode": "expected"}]
)
def test_where_nothing_is_known_ahead_the_level_is_the_newsvendors(customers: dict[str, Any]) -> None:
    spec = duopoly(SHOP | {"xi": 0.3}, customers=customers)
    price = prices_in_range(spec)
    level = newsvendor_level(spec, 0, price)
    assert not knows_ahead(spec) and seasonal_levels(spec, 0, price) == level
    assert SeasonalLevels.of(spec, 0, price).levels([3])[0] == pytest.approx(level, rel=0.01, abs=1)
    rules = [compose(parse_rules(f"nash+{text}"), spec, 0) for text in ("base_stock", "seasonal_base_stock")]
    ledgers = [play(spec, [rule, compose(parse_rules("nash"), spec, 1)], markets=3) for rule in rules]
    assert ledgers[0].tobytes() == ledgers[1].tobytes()


def test_the_rule_orders_up_to_the_level_of_the_date_and_earns_more_than_any_fixed_level() -> None:
    spec = duopoly(SHOP | {"lead_time": 2}, customers=WEEK, horizon=60)
    rival = compose(parse_rules(AMPLE), spec, 1)
    follows = compose(parse_rules("nash+seasonal_base_stock"), spec, 0)
    ledger = play(spec, [follows, rival], markets=50)[:, :, 0]
    levels = SeasonalLevels.of(spec, 0, prices_in_range(spec)).levels(np.arange(60))
    position = ledger["on_hand_left"] + ledger["on_order"]
    reached = position[:-1] + ledger["ordered"][1:]
    assert (reached >= levels[1:, None]).all() and (reached[ledger["ordered"][1:] > 0].size > 0)
    at = ledger["ordered"][1:] > 0
    assert (reached == levels[1:, None])[at].all()
    sellers = [
        follows,
        build("nash+seasonal_base_stock(factor=best)", spec, 0),
        build("nash+base_stock(level=best)", spec, 0),
    ]
    plain, searched, fixed = (episode_profits(spec, [one, rival], 10, markets=300, seed=5)[:, 0] for one in sellers)
    for better, worse in ((plain, fixed), (searched, fixed)):
        gain = better - worse
        assert gain.mean() > 10 * gain.std() / np.sqrt(len(gain)) and gain.mean() > 0.05 * worse.mean()
    assert (searched - plain).mean() > -2 * (searched - plain).std() / np.sqrt(300)
