"""The file's unit costs: which are known, and whether they can stand for the price as an instrument.

A cost of 0 among others above 0 is a cost that is not known. One that is far off the others has, by its logarithm, so much
leverage that it alone can decide an estimate; leaving it out costs little and biases nothing, since costs are what moves
prices and not customers.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from market.salesfile.findings import Findings, named
from market.salesfile.table import Sales

FAR = 3.0  # times the median of a seller in a market, or a third of it
PROPORTIONAL = 0.999  # of the variance of ln cost within seller and market, explained by ln price


def costs_to_average(sales: Sales) -> pd.Series[float]:
    """Unit cost of each row, NaN where it is 0 although the seller has costs. A seller whose costs are all 0 has those."""
    rows = sales.rows
    has_costs = rows.groupby("seller")["cost"].transform("max") > 0
    return rows["cost"].astype("float64").where((rows["cost"] > 0) | ~has_costs)


def known_costs(sales: Sales) -> pd.Series[float]:
    """Unit cost of each row that may be an instrument: above 0 and not far off; NaN elsewhere.

    Costs 1.0, 1.2, 0.0 and 4.0 of one seller: the last two are not known (median 1.2 of those above 0).
    """
    cost = sales.rows["cost"].astype("float64").where(sales.rows["cost"] > 0)
    median = cost.groupby([sales.rows["market"], sales.rows["seller"]]).transform("median")
    return cost.where((cost <= FAR * median) & (cost >= median / FAR))


def check_costs(sales: Sales, found: Findings) -> None:
    """Sellers that cost more than they take, and costs that are not known or far off."""
    if not sales.has("cost"):
        return
    for name, group in sales.rows.groupby("seller"):
        cost, price = float(group["cost"].mean()), float(group["price"].mean())
        if cost >= price:
            found.warning(
                f"{named(sales.place, group['line'])}: the mean cost of seller {name}, {cost:g}, is not below its mean "
                f"price, {price:g}: look whether it is the cost of one unit"
            )
    rows, averaged = sales.rows, costs_to_average(sales)
    zero = averaged.isna()
    if zero.any():
        found.warning(
            f"{named(sales.place, rows.loc[zero, 'line'])}: cost is 0 where the seller has others above 0: taken as not "
            "known, and left out of mean costs and of a regression with --iv cost"
        )
    far = known_costs(sales).isna() & (rows["cost"] > 0)
    if far.any():
        found.warning(
            f"{named(sales.place, rows.loc[far, 'line'])}: cost is more than {FAR:g} times off the seller's median (such as "
            f"{rows.loc[far, 'cost'].iloc[0]:g} of {rows.loc[far, 'seller'].iloc[0]}): left out of a regression with --iv cost"
        )


def no_instrument(sales: Sales) -> str | None:
    """Why the column cost can not stand for the price; None where it can."""
    cost, rows = known_costs(sales), sales.rows
    unknown = cost.notna().groupby(rows["seller"]).sum() < 2
    if unknown.any():
        return f"{named('seller', unknown.index[unknown])} has no costs above 0"
    known = cost.notna()
    logs = pd.DataFrame({"cost": np.log(cost[known]), "price": np.log(rows.loc[known, "price"])})
    within = logs - logs.groupby([rows.loc[known, "market"], rows.loc[known, "seller"]]).transform("mean")
    square = (within**2).sum()
    both = float((within["cost"] * within["price"]).sum())
    if square["cost"] <= 0 or square["price"] <= 0:
        return None  # a column that does not vary is looked for where instruments are chosen
    if both**2 > PROPORTIONAL * square["cost"] * square["price"]:
        return "cost is the same share of the price in every row, so that it says nothing that the price does not say"
    return None
