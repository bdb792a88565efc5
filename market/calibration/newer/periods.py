"""Which periods of a sales file are new to a market, and which of them are held out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from market.demand.script import calendar
from market.errors import UserError
from market.salesfile.table import Sales
from market.spec.models import MarketSpec, Origin, day_of

FEWEST, HELD = 12, 4  # new periods, and the newest of them held out, at least
SHARE = 0.25  # of the new periods that are held out


@dataclass(frozen=True)
class NewerSales:
    """A sales file beside a market.

    ``phase``: the place of the file's first period in the market's calendar. ``new``: the first period, by number, that the
    market was not estimated from; ``held``: the first that is held out.
    """

    sales: Sales
    phase: int
    new: int
    held: int

    @property
    def periods(self) -> int:
        """Of the file."""
        return len(self.sales.labels)

    def part(self, first: int, end: int) -> Sales:
        """The sales of periods ``first`` to before ``end``."""
        sales = self.sales
        rows = sales.rows[(sales.rows["period"] >= first) & (sales.rows["period"] < end)]
        dates = None if sales.dates is None else sales.dates[first:end]
        rows = rows.assign(period=rows["period"] - first).reset_index(drop=True)
        return replace(sales, rows=rows, labels=sales.labels[first:end], dates=dates)

    def said(self, first: int, end: int) -> str:
        """Such periods in words."""
        return f"{self.sales.labels[first]} to {self.sales.labels[end - 1]}"


def newer_sales(spec: MarketSpec, sales: Sales, hold_out: int | None = None, phase: int | None = None) -> NewerSales:
    """What is new in a file to a market: all periods after those that it was estimated from; of a market written by hand, all.

    Args:
        hold_out: how many of the newest are held out; None: a quarter of the new ones.
        phase: the place of the file's first period in the calendar; None: as the market's ``estimated_from`` tells, else 0.

    Raises :class:`UserError` for other sellers or places than the market's, for too few new periods, and where everyone buys.
    """
    if spec.outside == -math.inf:
        raise UserError(
            "market.outside: none: where everyone buys, sales do not tell utilities, and nothing can be estimated"
        )
    _refuse_others(spec, sales)
    origin, labels = spec.estimated_from, sales.labels
    new, begins = 0, 0
    if origin is not None:
        if origin.last in labels:
            new = labels.index(origin.last) + 1
        elif sales.dates is not None and (last := day_of(origin.last)) is not None:
            new = int((sales.dates <= pd.Timestamp(last)).sum())
        begins = _since(origin, sales)
    count = len(labels) - new
    step = sales.step if " " not in sales.step else "period"
    held = hold_out if hold_out is not None else max(round(SHARE * count), HELD)
    if count < FEWEST or held >= count - 1:
        after = f" after {origin.last}, up to which the market was estimated" if new and origin is not None else ""
        raise UserError(
            f"{sales.path}: holds {count} {step}s{after}: {FEWEST} are needed at least, and more than the {held} held out"
        )
    found = NewerSales(sales, begins if phase is None else phase, new, len(labels) - held)
    for first, end in ((new, found.held), (found.held, len(labels))):
        if gone := [name for name in spec.names if name not in found.part(first, end).sellers]:
            raise UserError(
                f"{sales.path}: {', '.join(gone)}: no row from {found.said(first, end)}: a seller that has left, or is not told of, "
                "makes another market: bazaar calibrate begins that"
            )
    return found


def _refuse_others(spec: MarketSpec, sales: Sales) -> None:
    if (there := set(sales.sellers)) != set(spec.names):
        missing, more = (
            [*filter(lambda name: name not in other, one)]
            for one, other in ((spec.names, there), (sorted(there), spec.names))
        )
        said = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(more)} besides"
        raise UserError(f"{sales.path}: {said}: the market's sellers are {', '.join(spec.names)}")
    known = [place.name for place in spec.locations]
    if known and (odd := [name for name in sales.markets if name not in known]):
        raise UserError(f"{sales.path}: market {odd[0]} is none of the market's locations, {', '.join(known)}")


def _since(origin: Origin, sales: Sales) -> int:
    """Periods from the first that the market was estimated from to the file's first one."""
    if origin.first in sales.labels:
        return -sales.labels.index(origin.first)
    found = None if sales.dates is None else origin.period_of(sales.dates[0].date(), sales.step)
    return 0 if found is None else found


def usual_sizes(spec: MarketSpec, newer: NewerSales) -> pd.Series[float]:
    """What all customers of each row's place and period could buy, units: the file's, or the market's."""
    rows = newer.sales.rows
    if newer.sales.has("market_size"):
        return rows["market_size"].astype("float64")
    factor = np.asarray(calendar(spec, rows["period"].to_numpy() + newer.phase), np.float64)
    place = rows["market"].map({one.name: one.size for one in spec.locations}).fillna(1.0)
    return place.astype("float64") * factor * spec.customers.rate * spec.customers.basket
