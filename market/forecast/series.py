"""Units a period of every seller as complete series, and the calendar they run on into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from market.salesfile.columns import month_days
from market.salesfile.findings import named
from market.salesfile.table import Sales
from market.state import Floats

MUCH = 0.1  # standard deviation of a price over its mean from which on it varies a lot: a tenth off one week in nine
SEASONS = {"day": (7, "a week"), "week": (52, "a year"), "month": (12, "a year")}


@dataclass(frozen=True)
class Series:
    """Units (n,) of one seller from period ``start`` to the last of the file; of one market, or of all together."""

    seller: str
    market: str | None
    start: int
    units: Floats

    @property
    def name(self) -> str:
        """The seller, and its market where the series is of one."""
        return self.seller if self.market is None else f"{self.seller} in {self.market}"


def series_of(sales: Sales, by_market: bool = False) -> tuple[list[Series], list[str]]:
    """The series of every seller that sells to the end, and what had to be done to the data, in sentences.

    A period without a row between two that have one is interpolated linearly, in its own market. Units are summed over
    markets afterwards unless ``by_market``.

    Returns:
        Series in order of sellers, then markets; and warnings that name the periods.
    """
    warnings: list[str] = []
    found: list[tuple[str, str | None, pd.Series[float]]] = []
    for seller in sales.sellers:
        rows = sales.rows[sales.rows["seller"] == seller]
        table = _filled(seller, rows.pivot(index="period", columns="market", values="units"), sales, warnings)
        table = table[[market for market in sales.markets if market in table.columns]]
        if by_market:
            found += [(seller, str(market), table[market].dropna()) for market in table.columns]
        else:
            _unbalanced(seller, table, warnings)
            found.append((seller, None, table.sum(axis=1)))
    return list(_to_the_end(found, sales, warnings)), warnings


def _filled(seller: str, table: pd.DataFrame, sales: Sales, warnings: list[str]) -> pd.DataFrame:
    """Units (periods, markets) with gaps filled; NaN remains before a market's first row and after its last."""
    whole = table.reindex(range(int(table.index.min()), int(table.index.max()) + 1)).astype(float)
    full = whole.interpolate("linear", limit_area="inside")
    gaps = whole.isna() & full.notna()
    count = int(gaps.to_numpy().sum())
    if count:
        periods = [sales.labels[period] for period in gaps.index[gaps.any(axis=1)]]
        where = f" ({count} rows in {int(gaps.any().sum())} markets)" if len(table.columns) > 1 else ""
        warnings.append(f"{seller}: no row in {named('period', periods)}{where}; interpolated between its neighbours")
    return full


def _unbalanced(seller: str, table: pd.DataFrame, warnings: list[str]) -> None:
    present = table.notna().sum(axis=1)
    if present.min() < present.max():
        warnings.append(
            f"{seller}: the file has {present.min()} to {present.max()} markets a period, so that markets that open or "
            "close look like demand; --by-market keeps them apart"
        )


def _to_the_end(
    found: list[tuple[str, str | None, pd.Series[float]]], sales: Sales, warnings: list[str]
) -> Iterator[Series]:
    last = len(sales.labels) - 1
    for seller, market, units in found:
        series = Series(seller, market, int(units.index[0]), np.asarray(units, np.float64))
        if units.index[-1] == last:
            yield series
        else:
            ends, end = sales.labels[units.index[-1]], sales.labels[last]
            warnings.append(f"{series.name}: its last row is period {ends}, the file's is {end}; left out")


def usual_season(step: str, periods: int) -> tuple[int, str]:
    """The season that a calendar suggests, in periods, and why: days 7, weeks 52, months 12, anything else 1.

    Args:
        step: what a period is, as :attr:`Sales.step` names it.
        periods: how many there are; with fewer than two full cycles the season is 1, which is none.
    """
    if step not in SEASONS:
        return 1, "none, since periods are not days, weeks or months by their dates (--season N gives one)"
    season, span = SEASONS[step]
    if periods < 2 * season:
        return 1, f"none, since {periods} {step}s are less than two cycles of {season} (--season N overrules)"
    return season, f"{season} {step}s, {span}"


def price_spread(sales: Sales) -> float:
    """Standard deviation of a seller's price over its mean, in the median seller and market.

    Example: prices 2, 2, 1, 2 have mean 1.75 and standard deviation 0.433, a spread of 0.247.
    """
    groups = sales.rows.groupby(["market", "seller"])["price"]
    return float((groups.std(ddof=0) / groups.mean()).median())


def driven(sales: Sales) -> str | None:
    """What the file says drives sales that a forecast from past units cannot know; None where nothing shows."""
    spread = price_spread(sales)
    if sales.promotions:
        return f"the file has promotions ({', '.join(sales.promotions)})"
    return f"prices vary a lot here (by {spread:.0%} of their mean)" if spread >= MUCH else None


def periods_ahead(sales: Sales, horizon: int) -> list[str]:
    """The labels of the ``horizon`` periods after the file's last: numbers go on by one, dates by their step."""
    if sales.dates is None:
        return [str(int(sales.labels[-1]) + k) for k in range(1, horizon + 1)]
    count = len(sales.dates) + horizon
    if sales.step == "month":
        every = month_days(sales.dates, count)
    else:
        every = pd.date_range(sales.dates[0], periods=count, freq=sales.dates[1] - sales.dates[0])
    return [day.date().isoformat() for day in every[-horizon:]]
