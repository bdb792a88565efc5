"""Markets whose exact optimum is known: what learners are measured against, see learning_table.

Every market has one seller. All but the seasonal one are solved by ``market.theory.optimum``; ``seasonal_average`` solves
that by backward value iteration over the days of a week, each day a mdp of its own.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from market.simulation.decisions import axis_values
from market.spec.models import MarketSpec
from market.theory.bellman import MDP, improve
from market.theory.mdp import build_mdp
from market.theory.optimum import solve
from policies.config.run import RunConfig, parse_run
from policies.learners.default_decisions import with_decisions

WEEK = (0.4, 0.6, 0.8, 1.0, 1.2, 1.8, 1.2)
# Zipkin (2008), Operations Research 56(5), with one more digit by the exact solver: cost a period by penalty, lead time.
ZIPKIN = {(4, 2): 4.395, (4, 3): 4.599, (4, 4): 4.729, (9, 2): 6.094, (9, 3): 6.531, (9, 4): 6.836}
FINE_PRICES = 81


def _shop(**changes: Any) -> dict[str, Any]:
    shop = {"name": "shop", "quality": 4.0, "unit_cost": 1.0, "holding_cost": 0.1, "stockout_cost": 0.5}
    shop |= {"lead_time": 1, "stock": 10, "prices": [1.0, 3.0], "order_up_to": [0, 35]}
    return shop | changes


def _market(shop: dict[str, Any], customers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    market = {"horizon": 100, "price_sensitivity": 2.0, "outside": 0.0, "customers": {"rate": 20} | customers}
    return market | {"sellers": [shop]} | changes


MARKETS: dict[str, dict[str, Any]] = {
    "monopoly": _market(_shop(), {}),
    "lead_time_3": _market(_shop(lead_time=3, stock=8, order_up_to=[0, 30]), {"rate": 8}),
    "seasonal": _market(_shop(order_up_to=[0, 45]), {"weekly": WEEK}, horizon=98),
    "log_overdispersed": _market(
        _shop(quality=2.0, prices=[1.0, 4.0], order_up_to=[0, 40]),
        {"dispersion": 0.4},
        price_form="log",
        price_sensitivity=3.0,
    ),
}


def zipkin_market(penalty: int, lead_time: int) -> dict[str, Any]:
    """Everyone wants a unit, nothing is charged for it, and what is lost costs the penalty: profit = - cost.

    Levels reach three standard deviations above the mean demand of lead time + 1 periods; rewards are about -1.
    """
    mean = 5 * (lead_time + 1)
    top = round(mean + 3 * mean**0.5)
    shop = {"name": "shop", "quality": 0, "unit_cost": 0, "holding_cost": 1, "stockout_cost": penalty}
    shop |= {"prices": [0, 0], "lead_time": lead_time, "order_up_to": [0, top], "stock": 10, "reward_scale": 5}
    shop |= {"grid": {"prices": 1, "levels": top + 1}}
    return {"horizon": 100, "price_sensitivity": 1.0, "outside": "none", "customers": {"rate": 5}, "sellers": [shop]}


def dear_orders_market() -> dict[str, Any]:
    """Three customers a period who all buy at 4; an order costs 12, so that one comes every sixth period or so."""
    shop = {"name": "shop", "quality": 0, "unit_cost": 1, "prices": [4, 4], "holding_cost": 0.2, "order_cost": 12}
    shop |= {"order_up_to": [0, 60], "reward_scale": 3.0}
    return {"horizon": 100, "price_sensitivity": 1.0, "outside": "none", "customers": {"rate": 3}, "sellers": [shop]}


def run_of(market: dict[str, Any], learner: str, budget: int, **options: Any) -> RunConfig:
    """A run of one learner in such a market."""
    seat = {"learner": learner} | options
    return parse_run({"market": market, "seats": {"shop": seat}, "training": {"budget": budget}}, "test")


def gridded(name: str) -> MarketSpec:
    """The market with the grid that theory places for DQN."""
    return with_decisions(run_of(MARKETS[name], "dqn", 1)).market


@cache
def optimal_averages(name: str) -> tuple[float, float]:
    """The optimal average profit a period: of the decisions on the seat's grid, and of all (81 prices, every level)."""
    spec = gridded(name)
    if name == "seasonal":
        return seasonal_average(spec, grid=True), seasonal_average(spec, grid=False)
    return solve(spec, 0, prices="grid", levels="grid").average, solve(spec, 0, prices=FINE_PRICES).average


def seasonal_average(spec: MarketSpec, grid: bool, tolerance: float = 1e-7) -> float:
    """The best average over a week whose factors repeat: backward through its days until a week adds the same again."""
    mdps = _days(spec, grid)
    states = int(mdps[0].first[-1] + mdps[0].room[-1]) + 1
    value, decisions = np.zeros(states), (np.zeros(states, np.int64), np.zeros(states, np.int64))
    while True:
        monday = value = value - value[0]
        for mdp in reversed(mdps):
            out = np.zeros(states)
            improve(mdp, 1.0, value, out, *decisions)
            value = out
        gained = value - monday
        if float(gained.max() - gained.min()) < tolerance:
            return float(gained.max() + gained.min()) / 2 / len(mdps)


def _days(spec: MarketSpec, grid: bool) -> list[MDP]:
    seller, customers = spec.sellers[0], spec.customers
    low, high = (int(end) for end in seller.order_up_to)
    prices, levels = np.linspace(*seller.prices, FINE_PRICES), np.arange(low, high + 1)
    if grid:
        assert seller.grid is not None
        prices = axis_values(seller.grid.prices, seller.prices)
        levels = np.floor(axis_values(seller.grid.levels, seller.order_up_to) + 0.5).astype(np.int64)
    mdps = []
    for factor in customers.weekly:
        today = customers.model_copy(update={"rate": customers.rate * factor, "weekly": ()})
        day = spec.model_copy(update={"customers": today})
        mdps.append(build_mdp(day, 0, np.array([seller.first_price]), prices, levels)[0])
    return mdps
