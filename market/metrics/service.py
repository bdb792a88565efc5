"""Measures of service, stock, prices and concentration: pure functions of a ledger's columns.

Time is the first axis everywhere; ``axis`` names those that are pooled. A ratio with nothing in its denominator (the
fill rate where no unit was wanted) is NaN, not a number made up. T periods, M markets, N sellers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from market.metrics.risk import Axes, variance
from market.state import Floats, Ints


def _ratio(above: ArrayLike, below: ArrayLike) -> Floats:
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


def replenishment_cycles(received: ArrayLike, lost: ArrayLike) -> tuple[Floats, Floats]:
    """How many complete replenishment cycles there are along the first axis, and how many passed without a stockout.

    A cycle runs from the period in which an order arrives to the last one before the next arrival, which ends it.
    What lies before the first arrival and after the last is no complete cycle and is left out.
    Received 0, 5, 0, 0, 4, 2 and lost 1, 0, 0, 3, 0, 1: cycles of periods 2-4 and 5, one of two without a stockout.
    """
    arrivals, shortages = np.asarray(received) > 0, np.asarray(lost) > 0
    cycles, clean = (np.zeros(arrivals.shape[1:]) for _ in range(2))
    begun, short = (np.zeros(arrivals.shape[1:], np.bool_) for _ in range(2))
    for arrived, shortage in zip(arrivals, shortages, strict=True):
        ends = begun & arrived
        cycles += ends
        clean += ends & ~short
        begun |= arrived
        short = (short & ~arrived) | shortage
    return cycles, clean


def cycle_service_level(received: ArrayLike, lost: ArrayLike, axis: Axes = 0) -> Floats:
    """The share of replenishment cycles without a stockout (measure P1 of Silver, Pyke & Thomas 2017, chapter 6).

    Cycles as in :func:`replenishment_cycles`, pooled over ``axis``, of which the first is time; NaN without a complete
    one. It is not the share of periods without a stockout, 1 - :func:`stockout_rate`: a cycle of three periods has
    three chances to run short, and the two agree only where an order arrives every period.
    Received 0, 5, 0, 0, 4, 2 and lost 1, 0, 0, 3, 0, 1: 1 of 2 cycles, 0.5, while half of the periods run short too;
    with a lost unit in period 3 as well still 0.5, while only 2 of 6 periods are then without.
    """
    cycles, clean = replenishment_cycles(received, lost)
    return _ratio(*(count[None].sum(axis=axis) for count in (clean, cycles)))


def market_share(sold: ArrayLike, market_size: ArrayLike, axis: Axes = 0) -> Floats:
    """Units sold / units that all customers together would buy, so that the outside option has the rest.

    Sold 3 of 10 and 5 of 30: 8 / 40 = 0.2.
    """
    return _ratio(np.sum(sold, axis=axis), np.sum(market_size, axis=axis))


def _mean_stock(on_hand: ArrayLike, on_hand_left: ArrayLike, axis: Axes) -> Floats:
    return np.asarray((np.sum(on_hand, axis=axis) + np.sum(on_hand_left, axis=axis)) / 2, np.float64)


def inventory_turnover(sold: ArrayLike, on_hand: ArrayLike, on_hand_left: ArrayLike, axis: Axes = 0) -> Floats:
    """Times a period that the stock is sold: cost of goods sold / mean inventory value. Not annualised.

    The stock of a period is the mean of what stands there before its customers (``on_hand``) and after them
    (``on_hand_left``), as accountants average opening and closing stock. Unit costs cancel. For a yearly figure
    multiply by the periods in a year.

    On hand 10 and 8, sold 6 and 4, left 4 and 4: mean stock (7 + 6) / 2 = 6.5, mean sales 5: 0.769 a period, and
    40 a year of 52 weeks.
    """
    return _ratio(np.sum(sold, axis=axis), _mean_stock(on_hand, on_hand_left, axis))


def days_of_supply(
    sold: ArrayLike, lost: ArrayLike, on_hand: ArrayLike, on_hand_left: ArrayLike, axis: Axes = 0
) -> Floats:
    """Periods that the mean stock would last: mean stock / mean demand (sold + lost) a period.

    Stock as in :func:`inventory_turnover`, so that days of supply x turnover = fill rate.
    On hand 10 and 8, sold 6 and 4, lost 0 and 3, left 4 and 4: mean stock 6.5, mean demand 6.5: 1 period.
    """
    return _ratio(_mean_stock(on_hand, on_hand_left, axis), np.sum(sold, axis=axis) + np.sum(lost, axis=axis))


def bullwhip(ordered: ArrayLike, sold: ArrayLike, lost: ArrayLike, axis: Axes = 0) -> Floats:
    """Variance of orders / variance of demand (sold + lost); above 1 orders swing more than demand does.

    (Chen, Drezner, Ryan & Simchi-Levi 2000.) Orders 0, 8, 0, 8 for demand 3, 5, 3, 5: 16 / 1 = 16. A seller who
    orders what was wanted one period before has 1. NaN where demand never varies.
    """
    demand = np.asarray(sold, np.float64) + np.asarray(lost)
    return _ratio(variance(ordered, axis), variance(demand, axis))


def price_volatility(price: ArrayLike, axis: Axes = 0) -> Floats:
    """Standard deviation of the posted price over periods, money per unit (divisor T). Prices 2, 4, 2, 4: 1.

    In money as :func:`market.metrics.risk.volatility` is, not of changes in the logarithm as for financial assets (Campbell,
    Lo & MacKinlay 1997, section 1.4): a price may be 0 here, and one that is moved once has changed but once.
    """
    return np.asarray(np.sqrt(variance(price, axis)), np.float64)


def price_changes(price: ArrayLike, before: ArrayLike | None = None) -> Ints:
    """How often the price changes from one period to the next along the first axis; ``before``: the price before them.

    Prices 2, 2, 3, 2: 2 changes, and 3 where the price before them was 1. Divided by the periods it is the frequency
    of price changes (Nakamura & Steinsson 2008).
    """
    posted = np.asarray(price)
    within = np.count_nonzero(posted[1:] != posted[:-1], axis=0)
    return np.asarray(within if before is None else within + (posted[0] != before), np.int64)


def hhi(revenue: ArrayLike, axis: Axes = 0) -> Floats:
    """Herfindahl-Hirschman index of the market: the sum of the sellers' squared shares of revenue, from 1/N to 1.

    Sellers are the last axis, which goes; ``axis`` is summed first. By revenue, as units of different goods do not add
    up (Tirole 1988, section 5.5). The outside option is no seller. Antitrust authorities count 0 to 10,000 and call a
    market above 1,800 highly concentrated (U.S. Merger Guidelines 2023), here 0.18. NaN where nothing is sold.
    Revenue 60 and 40: 0.36 + 0.16 = 0.52.
    """
    total = np.asarray(np.sum(np.asarray(revenue, np.float64), axis=axis))
    return _ratio(np.sum(total * total, axis=-1), np.sum(total, axis=-1) ** 2)
