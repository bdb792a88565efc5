"""The regression's table: utilities by Berry's inversion, and what explains them, one row per row of the sales file.

Berry (1994), eq. 28: ``ln s_j - ln s_0 = quality_j - alpha f(p_j) + .. + rho ln s_(j|g) + xi_j``, with ``s_j`` the
share of the market size, ``s_0`` of those who bought nothing, ``s_(j|g)`` the share among all that was sold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from market.salesfile.table import Sales
from market.state import Ints

TREND = "trend of "  # and the seller
ELAPSED = "elapsed"  # time, 0 in the middle of the file and one unit over its length
WEIGHT, EXPECTED, OFF = "weight", "expected", "off"  # of a table of counts: see market.calibration.regression.counts
COST, RIVALS_COST = COST_COLUMNS = "instrument_cost", "rivals_instrument_cost"
SEASONS = {"day": (7, 1), "week": (52, 4), "month": (12, 1)}  # periods in a cycle, periods in a season


@dataclass(frozen=True)
class Season:
    """A cycle of ``length`` periods in seasons of ``width`` periods; length 1: no seasons."""

    length: int = 1
    width: int = 1

    @property
    def count(self) -> int:
        """Seasons in a cycle: weeks of 52 in fours are 13."""
        return -(-self.length // self.width)

    def index(self, period: pd.Series[int]) -> pd.Series[int]:
        """The season of each period, from 0."""
        return (period % self.length) // self.width


def season_of(sales: Sales, length: int | None) -> Season:
    """By the step of the file's dates, or ``length`` periods; none unless the file holds two whole cycles.

    Long cycles are cut in 13 at most, so that every season holds several periods of every cycle.
    """
    whole, width = SEASONS.get(sales.step, (1, 1)) if length is None else (length, -(-length // 13))
    return Season(whole, width) if whole > 1 and len(sales.labels) >= 2 * whole else Season()


@dataclass(frozen=True)
class Design:
    """``table``: rows of the sales file with size, share, outside, within (all in logs but size) and regressors.

    ``promotions`` and ``rivals`` name columns, ``trends`` sellers, each with a line in the column ``ELAPSED``; ``memory`` is the
    reference price's, None without one.
    """

    table: pd.DataFrame
    form: str
    season: Season
    promotions: tuple[str, ...]
    trends: tuple[str, ...]
    rivals: tuple[str, ...]
    memory: float | None = None

    @property
    def sold(self) -> pd.DataFrame:
        """The rows of the regression: those that sold something (there is no logarithm of zero), with instruments known.

        Of a table of counts: all, but those of a seller that never sold there.
        """
        if self.counted:
            return self.table[self.table[WEIGHT] > 0]
        known = self.table[[name for name in COST_COLUMNS if name in self.table]].notna().all(axis=1)
        return self.table[(self.table["units"] > 0) & known]

    @property
    def counted(self) -> bool:
        """Whether units are taken as counts."""
        return WEIGHT in self.table

    @property
    def response(self) -> pd.Series[float]:
        """What the regression explains, by row of ``sold``: ``ln s_j - ln s_0``; of counts, the expected one and what is off it."""
        table = self.sold
        explained = table["share"] - table["outside"]
        return explained + table[OFF] if self.counted else explained

    def keep(self, mask: pd.Series[bool]) -> Design:
        """The same of some rows only; shares and references stay those of the whole file."""
        return replace(self, table=self.table[mask].copy())


def build_design(
    sales: Sales, size: pd.Series[float], form: str, season: Season, memory: float | None = None, trend: bool = True
) -> Design:
    """Lay out the table of every row; where nothing was sold the logarithms are minus infinity."""
    rows = sales.rows
    table = rows[["market", "period", "seller", "line", "units", "price", *sales.promotions]].copy()
    total = rows.groupby(["market", "period"])["units"].transform("sum")
    table["size"], table["total"] = size, total
    table["f"] = price_term(rows["price"], form)
    with np.errstate(divide="ignore", invalid="ignore"):  # of counts, a total may be above the size
        table["share"], table["within"] = np.log(rows["units"] / size), np.log(rows["units"] / total.clip(lower=1e-300))
        table["outside"] = np.log((size - total) / size)
    if memory is not None:
        table["reference"] = references(table, memory)
    table["season"] = rows["season"] if sales.has("season") else season.index(rows["period"]).astype(str)
    trends = _trends(table, sales) if trend else ()
    rivals = _rivals(table, ["f", *sales.promotions])
    promotions = tuple(name for name in sales.promotions if table[name].nunique() > 1)
    return Design(table, form, season, promotions, trends, rivals, memory)


def price_term(price: pd.Series[float], form: str) -> pd.Series[float]:
    """f(p): the price or its logarithm."""
    return price.map(math.log) if form == "log" else price.astype("float64")


def _trends(table: pd.DataFrame, sales: Sales) -> tuple[str, ...]:
    """Sellers with a trend; those that no market saw sell in three periods have none: it would explain them altogether."""
    table[ELAPSED] = (table["period"] + 0.5) / len(sales.labels) - 0.5
    seen = table[table["units"] > 0].groupby(["market", "seller"])["period"].nunique().groupby("seller").max()
    return tuple(seller for seller in sales.sellers if seen.get(seller, 0) >= 3)


def with_costs(design: Design, cost: pd.Series[float]) -> Design:
    """The same with unit costs (NaN where not known) as columns, in the form of the price; the nest's own instruments
    are then rivals' mean cost in place of their mean price, which moves with demand as the price itself does.
    """
    table = design.table.assign(**{COST: price_term(cost, design.form)})
    group = table.groupby(["market", "period"])[COST]
    others, alone = group.transform("count") - table[COST].notna(), group.transform("size") == 1
    rivals = (group.transform("sum") - table[COST].fillna(0.0)) / others.where(others > 0)
    table[RIVALS_COST] = rivals.where(~alone, 0.0)
    return replace(design, table=table, rivals=(RIVALS_COST, *without_price(design.rivals)))


def without_price(rivals: tuple[str, ...]) -> tuple[str, ...]:
    """Rivals' columns but that of their prices."""
    return tuple(name for name in rivals if name != "rivals_f")


def _rivals(table: pd.DataFrame, columns: list[str]) -> tuple[str, ...]:
    """The mean of a column over the rivals offered in the same market and period; 0 where there are none."""
    group = table.groupby(["market", "period"])
    others = group["f"].transform("size") - 1
    names = []
    for column in columns:
        names.append(f"rivals_{column}")
        table[names[-1]] = (group[column].transform("sum") - table[column]) / others.clip(lower=1)
    return tuple(name for name in names if table[name].nunique() > 1)


def references(table: pd.DataFrame, memory: float) -> pd.Series[float]:
    """The reference price before each row's own: ``r' = memory r + (1 - memory) f(p)``, begun at the first ``f(p)``.

    Prices 2, 1, 1 (linear) with memory 0.5: references 2, 2, 1.5. Periods without a row change nothing.
    """

    def smooth(f: pd.Series[float]) -> pd.Series[float]:
        held = f.ewm(alpha=1 - memory, adjust=False).mean() if memory > 0 else f
        return held.shift(1).fillna(f.iloc[0])

    return table.groupby(["market", "seller"])["f"].transform(smooth)


def cells(table: pd.DataFrame, sellers: list[str]) -> tuple[Ints, Ints]:
    """Of each row (R,): the number of its market and period, and its seller's seat."""
    seat = table["seller"].map({name: k for k, name in enumerate(sellers)})
    cell = table.groupby(["market", "period"]).ngroup()
    return np.asarray(cell, np.int64), np.asarray(seat, np.int64)
