"""The exact optimum of a one-seller market with lead time 1, by relative value iteration: independent of the kernel.

State: units on hand x at the decision (nothing else is on order with lead time 1). Decision: price p and level y; the
order max(y - x, 0) comes after this period's customers. Demand D is Poisson(rate * s(p)), s the logit share against
the outside option. Sold min(x, D), lost (D - x)+, next state x - sold + order.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import poisson

from market.simulation.decisions import axis_values
from market.spec.models import MarketSpec


def grid_decisions(spec: MarketSpec) -> list[tuple[float, float]]:
    """Every (price, level) of the seller's grid."""
    seller = spec.sellers[0]
    assert seller.grid is not None
    prices = axis_values(seller.grid.prices, seller.prices)
    return [(float(p), float(y)) for p in prices for y in axis_values(seller.grid.levels, seller.order_up_to)]


def model(spec: MarketSpec) -> tuple[np.ndarray, np.ndarray]:
    """Expected profit (X, D) and transitions (X, D, X) of every state and decision."""
    seller = spec.sellers[0]
    top = int(max(seller.order_up_to[1], seller.stock))
    decisions = grid_decisions(spec)
    profit = np.zeros((top + 1, len(decisions)))
    moves = np.zeros((top + 1, len(decisions), top + 1))
    for d, (price, level) in enumerate(decisions):
        utility = seller.quality - spec.price_sensitivity * price
        mean = spec.customers.rate / (1 + np.exp(-utility))
        demand = poisson.pmf(np.arange(top + 1), mean)
        for x in range(top + 1):
            order = max(np.floor(level + 0.5) - x, 0)
            chance = demand[: x + 1].copy()
            chance[x] = 1 - demand[:x].sum()
            left = x - np.arange(x + 1)
            sold = x - chance @ left
            costs = seller.unit_cost * order + seller.order_cost * (order > 0) + seller.holding_cost * (chance @ left)
            profit[x, d] = price * sold - costs - seller.stockout_cost * (mean - sold)
            np.add.at(moves[x, d], (left + order).astype(int), chance)
    return profit, moves


def optimal_average(spec: MarketSpec, tolerance: float = 1e-9) -> float:
    """The highest average profit per period of any policy on the grid."""
    profit, moves = model(spec)
    value = np.zeros(len(profit))
    while True:
        new = (profit + moves @ value).max(axis=1)
        step = new - value
        if step.max() - step.min() < tolerance:
            return float((step.max() + step.min()) / 2)
        value = new - new[0]


@np.errstate(under="ignore")
def discounted_policy_average(spec: MarketSpec, gamma: float) -> float:
    """The average profit of the policy that is optimal for discount factor gamma: what a perfect learner reaches."""
    profit, moves = model(spec)
    value = np.zeros(len(profit))
    for _ in range(int(20 / (1 - gamma))):
        value = (profit + gamma * moves @ value).max(axis=1)
    best = (profit + gamma * moves @ value).argmax(axis=1)
    rows = np.arange(len(profit))
    chain, earned = moves[rows, best], profit[rows, best]
    share = np.full(len(profit), 1 / len(profit))
    for _ in range(2000):
        share = share @ chain
    return float(share @ earned)
