"""What may be wrong with a sales file before anything is fitted, each finding with its rows named."""

from __future__ import annotations

import numpy as np
import pandas as pd

from market.calibration.costs import FAR, check_costs
from market.salesfile.findings import Findings, named
from market.salesfile.table import ONLY, Sales

FEWEST_SELLERS = 2
FEWEST_PERIODS = 26
STEADY = 0.02  # a price whose logarithm varies less, within a seller and market, explains nothing
MANY_ZEROS = 0.05


def check_sales(sales: Sales, found: Findings) -> None:
    """Look through a file that could be read; raise by ``found`` what forbids calibrating."""
    _enough(sales, found)
    found.settle()
    for check in CHECKS:
        check(sales, found)
    found.settle()


def _enough(sales: Sales, found: Findings) -> None:
    if len(sales.sellers) < FEWEST_SELLERS:
        found.error(
            f"has one seller only ({sales.sellers[0]}): competition needs at least {FEWEST_SELLERS}; bazaar forecast takes it, "
            "and bazaar configs duopoly -o mine.yaml begins a market by assumption (quality, price_sensitivity)"
        )
    periods = sales.rows["period"].nunique()
    if periods < FEWEST_PERIODS:
        found.error(
            f"has {periods} periods: at least {FEWEST_PERIODS} are needed; bazaar forecast takes fewer, and bazaar configs "
            "duopoly -o mine.yaml begins a market by assumption (quality, price_sensitivity)"
        )
    if not (sales.rows["units"] > 0).any():
        found.error("nothing was ever sold: all units are 0")
    else:
        _never_sold(sales, found)


def _never_sold(sales: Sales, found: Findings) -> None:
    for column in ("seller", "market"):
        best = sales.rows.groupby(column)["units"].transform("max")
        if (best == 0).any():
            rows = sales.rows[best == 0]
            found.error(
                f"{named(sales.place, rows['line'])}: {named(column, rows[column].unique())} never sold anything, so "
                "nothing can be told about demand there: leave these rows out"
            )


def common_divisor(units: pd.Series[float]) -> int:
    """The greatest whole number that divides all units; 1 where there are fractions."""
    values = units.to_numpy(np.float64)
    if (values % 1 != 0).any():
        return 1
    return int(np.gcd.reduce(values.astype(np.int64)))


def _counts(sales: Sales, found: Findings) -> None:
    rows = sales.rows
    broken = rows["units"] % 1 != 0
    if broken.any():
        found.doubt(
            "fractions",
            f"{named(sales.place, rows.loc[broken, 'line'])}: units have fractions: looks like ounces or money, not counts; "
            "counting noise would come out wrong",
        )
    for name, group in rows.groupby("seller"):
        divisor = common_divisor(group["units"])
        if divisor > 1 and len(group) >= FEWEST_PERIODS:
            found.doubt(
                "multiples",
                f"{named(sales.place, group['line'])}: all units of seller {name} are divisible by {divisor}: looks like "
                "ounces or money or whole cases, not counts; divide them",
            )


def zeros_left_out(sales: Sales, found: Findings) -> None:
    """Rows without a sale, where units are taken by their logarithms."""
    rows, zero = sales.rows, sales.rows["units"] == 0
    if zero.any():
        share = float(zero.mean())
        many = f", and {share:.0%} is many: elasticities come out too small" if share > MANY_ZEROS else ""
        found.warning(
            f"{named(sales.place, rows.loc[zero, 'line'])}: units are 0 ({int(zero.sum())} of {len(rows)} rows): the "
            f"inversion has no logarithm of zero, so these rows are left out of the regression{many}"
        )


def _gaps(sales: Sales, found: Findings) -> None:
    """Periods of a market, between its first and last row, in which a seller that it knows, or every one, has none."""
    rows, missing, empty = sales.rows, [], []
    apart = int(np.gcd.reduce(rows["period"].to_numpy(np.int64)))
    if apart > 1:
        found.doubt("gaps", f"all periods lie {apart} or a multiple of it apart: number them through, 1, 2, 3")
        return
    for market, group in rows.groupby("market", sort=False):
        span = range(int(group["period"].min()), int(group["period"].max()) + 1)
        open_ = set(group["period"])
        empty += [_in_market(sales.labels[t], market) for t in span if t not in open_]
        for seller, own in group.groupby("seller"):
            there = set(own["period"])
            missing += [f"{_in_market(seller, market)} in {sales.labels[t]}" for t in span if t in open_ - there]
    if empty:
        found.warning(f"no seller has a row in {named('period', empty)}: demand there is not known")
    if missing:
        found.warning(
            f"{named('gap', missing)}: a seller without a row is not offered in that period; customers choose among "
            "the others"
        )


def _in_market(name: object, market: object) -> str:
    return f"{name}" if market == ONLY else f"{name} in market {market}"


def _far_prices(sales: Sales, found: Findings) -> None:
    rows = sales.rows
    median = rows.groupby(["market", "seller"])["price"].transform("median")
    far = (rows["price"] > FAR * median) | (rows["price"] < median / FAR)
    if far.any():
        first = rows[far].iloc[0]
        found.warning(
            f"{named(sales.place, rows.loc[far, 'line'])}: price is far off the seller's median (seller {first['seller']}: "
            f"{first['price']:g} against {median[far].iloc[0]:g}): look for a typing error or another package"
        )


def _steady_prices(sales: Sales, found: Findings) -> None:
    rows = sales.rows
    logs = np.log(rows["price"])
    centred = logs - logs.groupby([rows["market"], rows["seller"]]).transform("mean")
    for name, group in centred.groupby(rows["seller"]):
        spread = float(np.sqrt((group**2).mean()))
        if len(group) == 1:
            found.doubt(
                "one-row",
                f"{named(sales.place, rows.loc[group.index, 'line'])}: seller {name} has this row only, which tells "
                "nothing about its customers: leave it out",
            )
        elif spread < STEADY:
            found.doubt(
                "steady-price",
                f"{named(sales.place, rows.loc[group.index, 'line'])}: the price of seller {name} hardly varies (standard "
                f"deviation {spread:.2%} of it): what customers do when it changes cannot be told",
            )


def _other_promotions(sales: Sales, found: Findings) -> None:
    for name in sales.promotions:
        if sales.rows[name].nunique() == 1:
            found.warning(f"{name} is {sales.rows[name].iloc[0]:g} in every row: it is left out")


CHECKS = (_counts, _gaps, _far_prices, _steady_prices, check_costs, _other_promotions)
