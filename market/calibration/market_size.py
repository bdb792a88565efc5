"""Market size: how many units all customers of a period could buy, which a sales file does not tell.

The rule: the file's ``market_size`` where it is given, else ``factor`` times the largest total of a period in that
market. Elasticities hardly depend on it as long as most customers buy nothing or the factor moves little; what does
depend on it is how many come from outside when a price falls. So results are given for several factors.
"""

from __future__ import annotations

import math

import pandas as pd

from market.calibration.options import FACTOR
from market.salesfile.findings import Findings, named
from market.salesfile.table import ONLY, Sales
from market.spec.models import MOST_CUSTOMERS

OTHERS = (1.2, 2.0, 3.0)  # factors that the sensitivity table tries beside


def market_sizes(sales: Sales, found: Findings, factor: float = FACTOR, fixed: float | None = None) -> pd.Series[float]:
    """Size in units, one number a row of ``sales.rows``.

    Example: totals of 40, 70 and 100 units in three periods and factor 1.5: 150 in each.

    Raises:
        UserError: by ``found``, when a period's units reach the size; names the smallest feasible one.
    """
    rows = sales.rows
    total = rows.groupby(["market", "period"])["units"].transform("sum")
    best = total.groupby(rows["market"]).transform("max")
    if fixed is not None:
        size = best * 0.0 + fixed
    elif sales.has("market_size"):
        size = rows["market_size"].astype("float64")
        _one_size_a_period(sales, found)
    else:
        size = (factor * best).clip(lower=best + 1)
    over = total >= size
    if over.any():
        at = int((total - size).to_numpy().argmax())
        worst = rows.iloc[at]
        place = "" if worst["market"] == ONLY else f" of market {worst['market']}"
        found.error(
            f"{named(sales.place, rows.loc[over, 'line'])}: units reach the market size, so nobody would be left to buy "
            f"nothing: in period {sales.labels[int(worst['period'])]}{place} {total.iloc[at]:,.0f} units are sold "
            f"of {size.iloc[at]:,.0f}; the smallest feasible size there is {math.floor(total.iloc[at]) + 1:,}"
        )
    if (largest := float(size.max())) > MOST_CUSTOMERS:
        found.error(
            f"the market size comes to {largest:,.0f} units in a period, and a market has at most {MOST_CUSTOMERS:,.0f} "
            "customers: count in larger units"
        )
    found.settle()
    return size


def busiest_but_for_chance(sales: Sales) -> pd.Series[float]:
    """Units that the busiest period of a row's market sells on average: what counting adds to the largest total is taken off.

    A total's best guess of its mean lies between it and the market's mean total, nearer to it the more totals vary beyond
    counts of one mean: ``m + (1 - m / var) (max - m)`` (Robbins 1956, empirical Bayes).

    Example: mean 7, variance 10.5, largest 17: ``7 + 10 / 3 = 10.3``.
    """
    totals = sales.rows.groupby(["market", "period"])["units"].sum().groupby("market")
    mean, largest, variance = totals.mean(), totals.max(), totals.var(ddof=0)
    lasting = (1.0 - mean / variance.where(variance > 0)).clip(lower=0.0).fillna(0.0)
    return sales.rows["market"].map(mean + lasting * (largest - mean)).astype("float64")


def _one_size_a_period(sales: Sales, found: Findings) -> None:
    rows = sales.rows
    several = rows.groupby(["market", "period"])["market_size"].transform("nunique") > 1
    if several.any():
        found.refuse(
            f"{named(sales.place, rows.loc[several, 'line'])}: market_size differs within one period of a market"
        )


def rule(sales: Sales, factor: float, fixed: float | None) -> str:
    """The rule in words."""
    if fixed is not None:
        return f"{fixed:,.0f} units in every period, as given"
    if sales.has("market_size"):
        return "the file's column market_size"
    return f"{factor:g} x the largest total of a period, in each market"
