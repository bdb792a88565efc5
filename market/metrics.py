"""Profit, service and risk from the ledger: pure functions of arrays.

A ledger is anything indexed by field name that gives arrays (T, M, N): the stacked ledgers of a
:class:`~market.batch.MarketBatch`, or a dictionary. Time is the first axis everywhere. T periods, M markets (one
episode each), N sellers. Money and units are those of ``market.layout.LEDGER_UNITS``.

Profit is good: value at risk and its like are given as profits, so higher is better and a loss is negative. A ratio
with nothing in its denominator (the fill rate where no unit was wanted) is NaN, not a number made up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from market.errors import Refusal
from market.layout import Floats, Record
from market.spec import MarketSpec

Ledger = Mapping[str, NDArray[np.float64]] | Record
Axes = int | tuple[int, ...]

LEVEL = 0.05
COSTS = ("purchase_cost", "order_cost", "holding_cost", "stockout_cost", "price_change_cost")
MEANS = ("revenue", *COSTS, "price", "ordered", "on_hand", "sold", "lost")


def _ratio(above: Floats, below: Floats) -> Floats:
    above, below = np.asarray(above, np.float64), np.asarray(below, np.float64)
    ratio: Floats = np.full(np.broadcast(above, below).shape, np.nan)
    np.divide(above, below, out=ratio, where=below != 0)
    return ratio


def stockout_rate(lost: ArrayLike, axis: Axes = 0) -> Floats:
    """The share of periods in which a customer wanted a unit that was not in stock.

    Lost 0, 2, 0, 1 units in four periods: 0.5.
    """
    return np.asarray(np.mean(np.asarray(lost) > 0, axis=axis), np.float64)


def fill_rate(sold: ArrayLike, lost: ArrayLike, axis: Axes = 0) -> Floats:
    """Units served / units wanted, over the whole window: sold / (sold + lost).

    Sold 8 and 10, lost 2 and 0: 18 / 20 = 0.9 (not the mean of 0.8 and 1 weighted by nothing).
    """
    served = np.sum(sold, axis=axis)
    return _ratio(served, served + np.sum(lost, axis=axis))


def market_share(sold: ArrayLike, market_size: ArrayLike, axis: Axes = 0) -> Floats:
    """Units sold / units that all customers together would buy, so that the outside option has the rest.

    Sold 3 of 10 and 5 of 30: 8 / 40 = 0.2.
    """
    return _ratio(np.sum(sold, axis=axis), np.sum(market_size, axis=axis))


def inventory_turnover(sold: ArrayLike, on_hand: ArrayLike, on_hand_left: ArrayLike, axis: Axes = 0) -> Floats:
    """Times a period that the stock is sold: cost of goods sold / mean inventory value. Not annualised.

    The stock of a period is the mean of what stands there before its customers (``on_hand``) and after them
    (``on_hand_left``), as accountants average opening and closing stock. Unit costs cancel. For a yearly figure
    multiply by the periods in a year.

    On hand 10 and 8, sold 6 and 4, left 4 and 4: mean stock (7 + 6) / 2 = 6.5, mean sales 5: 0.769 a period, and
    40 a year of 52 weeks.
    """
    stock = (np.sum(on_hand, axis=axis) + np.sum(on_hand_left, axis=axis)) / 2
    return _ratio(np.sum(sold, axis=axis), stock)


def bullwhip(ordered: ArrayLike, sold: ArrayLike, lost: ArrayLike, axis: Axes = 0) -> Floats:
    """Variance of orders / variance of demand (sold + lost); above 1 orders swing more than demand does.

    (Chen, Drezner, Ryan & Simchi-Levi 2000.) Orders 0, 8, 0, 8 for demand 3, 5, 3, 5: 16 / 1 = 16. A seller who
    orders what was wanted one period before has 1. NaN where demand never varies.
    """
    demand = np.asarray(sold, np.float64) + np.asarray(lost)
    return _ratio(np.var(np.asarray(ordered, np.float64), axis=axis), np.var(demand, axis=axis))


def volatility(profit: ArrayLike, axis: Axes = 0) -> Floats:
    """Standard deviation of profit from period to period, money (divisor T). Profits 1, 3, 1, 3: 1."""
    return np.asarray(np.std(np.asarray(profit, np.float64), axis=axis), np.float64)


def value_at_risk(profit: ArrayLike, level: float = LEVEL, axis: int = 0) -> Floats:
    """VaR: the ``level`` quantile of profit, money. At most a share ``level`` of outcomes is below it.

    Of n outcomes it is the ceil(level n)-th from below. Of 1, 2, ..., 10 at level 0.25 the third: 3.
    ``axis`` is that of the outcomes: episodes, or periods.
    """
    ordered = _ascending(profit, level, axis)
    return np.asarray(ordered[_tail(len(ordered), level)[1] - 1], np.float64)


def conditional_value_at_risk(profit: ArrayLike, level: float = LEVEL, axis: int = 0) -> Floats:
    """CVaR or expected shortfall: the mean profit, money, of the worst share ``level`` of outcomes.

    Where level x n is no whole number the last outcome counts in part (Rockafellar & Uryasev 2002; Acerbi & Tasche
    2002), so the measure is coherent. Of 1, 2, ..., 10 at level 0.25 the worst 2.5: (1 + 2 + 0.5 x 3) / 2.5 = 1.8.
    With fewer than 1 / level outcomes it is the worst of them. ``axis`` is that of the outcomes.
    """
    ordered = _ascending(profit, level, axis)
    share, last = _tail(len(ordered), level)
    whole = ordered[: last - 1].sum(axis=0)
    return np.asarray((whole + (share - (last - 1)) * ordered[last - 1]) / share, np.float64)


def _tail(outcomes: int, level: float) -> tuple[float, int]:
    """How many outcomes a share ``level`` is, and how many it touches; 0.05 x 20 is 1, whatever floats say."""
    share = level * outcomes
    nearest = round(share)
    if nearest and abs(share - nearest) < 1e-9 * outcomes:
        share = float(nearest)
    return share, math.ceil(share)


def _ascending(profit: ArrayLike, level: float, axis: int) -> Floats:
    if not 0 < level <= 1:
        raise Refusal(f"level: must be above 0 and at most 1, got {level}")
    ordered = np.moveaxis(np.asarray(profit, np.float64), axis, 0)
    if len(ordered) == 0:
        raise Refusal("risk: needs at least one outcome")
    return np.sort(ordered, axis=0)


def maximum_drawdown(profit: ArrayLike) -> Floats:
    """The deepest fall of cumulative profit from a peak before it, money, along the first axis; 0 if it never falls.

    The start counts as a peak of 0. Profits 5, -3, 1, -4, 6 add up to 5, 2, 3, -1, 5: from 5 to -1, so 6.
    """
    gains = np.asarray(profit, np.float64)
    total = np.concatenate([np.zeros((1, *gains.shape[1:])), np.cumsum(gains, axis=0)])
    return np.asarray((np.maximum.accumulate(total, axis=0) - total).max(axis=0), np.float64)


def probability_of_loss(episode_profit: ArrayLike, axis: Axes = 0) -> Floats:
    """The share of episodes that end with a loss. Profits 4, -1, 0, 2: 0.25 (nothing earned is no loss)."""
    return np.asarray(np.mean(np.asarray(episode_profit) < 0, axis=axis), np.float64)


def _window(ledger: Ledger, warm_up: int) -> int:
    length = len(ledger["profit"])
    if not 0 <= warm_up < length:
        raise Refusal(f"warm_up: must be at least 0 and below the {length} periods played, got {warm_up}")
    return length - warm_up


def stock_change(ledger: Ledger, spec: MarketSpec, warm_up: int = 0) -> Floats:
    """Units by which the inventory position (on hand + on order) grew in the periods after ``warm_up``, (M, N).

    Opening stock is the position at the end of period ``warm_up - 1``, or the spec's ``stock`` without a warm-up.
    """
    _window(ledger, warm_up)
    position = np.asarray(ledger["on_hand_left"]) + np.asarray(ledger["on_order"])
    opening = position[warm_up - 1] if warm_up else np.array([seller.stock for seller in spec.sellers])
    return np.asarray(position[-1] - opening, np.float64)


def episode_profit(ledger: Ledger, spec: MarketSpec, warm_up: int = 0, salvage: float = 1.0) -> Floats:
    """Profit of each episode as evaluation counts it, money: (M, N) of a ledger (T, M, N).

    The periods' profits after the first ``warm_up``, plus stock left at the end (on hand and on order) less opening
    stock, both at ``salvage`` x unit cost. So a seller is neither paid for running its stock down at the end nor
    charged for the first fill of its shelf.

    Example: unit cost 2, opening stock 10. Period 1: order 4, sell 6 at 5, profit 30 - 8 = 22, position 8. Period 2:
    order 9, sell 5, profit 25 - 18 = 7, position 12. With salvage 0.5: 22 + 7 + 0.5 x 2 x (12 - 10) = 31; with
    warm_up 1: 7 + 0.5 x 2 x (12 - 8) = 11.

    Raises:
        Refusal: ``warm_up`` leaves no period, or ``salvage`` is not within 0 and 1.
    """
    if not 0 <= salvage <= 1:
        raise Refusal(f"salvage: must be from 0 to 1, a share of unit cost, got {salvage}")
    value = salvage * np.array([seller.unit_cost for seller in spec.sellers])
    earned = np.sum(np.asarray(ledger["profit"])[warm_up:], axis=0)
    return np.asarray(earned + value * stock_change(ledger, spec, warm_up), np.float64)


def summary(ledger: Ledger, spec: MarketSpec, warm_up: int = 0, salvage: float = 1.0) -> dict[str, Floats]:
    """Every measure of every seller over M episodes, each (N,): what evaluation and TensorBoard show.

    ``profit``, revenue, costs, price, ordered, on hand, sold and lost are means per period; ``profit`` is
    :func:`episode_profit` / periods. Rates pool all periods and episodes. ``volatility`` and ``maximum_drawdown`` are
    of the ledger's period profits, averaged over episodes; ``value_at_risk`` and ``conditional_value_at_risk`` (5 %)
    are over episodes, of their profit per period, and ``probability_of_loss`` is the share of episodes below 0.
    Measures of stock are left out where there is none (made to order).
    """
    periods = _window(ledger, warm_up)
    seen = {field: np.asarray(ledger[field])[warm_up:] for field in (*MEANS, "profit", "on_hand_left", "market_size")}
    per_period = episode_profit(ledger, spec, warm_up, salvage) / periods
    pool = (0, 1)
    measures = {"profit": per_period.mean(axis=0)}
    means = [name for name in MEANS if spec.stocked or name not in ("on_hand", "lost")]
    measures |= {name: seen[name].mean(axis=pool) for name in means}
    measures["market_share"] = market_share(seen["sold"], seen["market_size"], pool)
    if spec.stocked:
        measures["stockout_rate"] = stockout_rate(seen["lost"], pool)
        measures["fill_rate"] = fill_rate(seen["sold"], seen["lost"], pool)
        measures["inventory_turnover"] = inventory_turnover(seen["sold"], seen["on_hand"], seen["on_hand_left"], pool)
        measures["bullwhip"] = bullwhip(seen["ordered"], seen["sold"], seen["lost"], pool)
    measures["volatility"] = volatility(seen["profit"]).mean(axis=0)
    measures["value_at_risk"] = value_at_risk(per_period)
    measures["conditional_value_at_risk"] = conditional_value_at_risk(per_period)
    measures["maximum_drawdown"] = maximum_drawdown(seen["profit"]).mean(axis=0)
    measures["probability_of_loss"] = probability_of_loss(per_period)
    return measures
