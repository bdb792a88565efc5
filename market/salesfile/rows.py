"""From rows as they were written down to one row a period, market and seller: receipts, returns, samples, gaps, totals.

Columns: ``value`` (the period: a whole number as float, or a date), seller, market, price, units, and what else there is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from market.salesfile.files import PROMOTION
from market.salesfile.findings import Findings, named
from market.salesfile.options import ReadingOptions, Span
from market.salesfile.texts import MANY, SAME

KEY = ["market", "value", "seller"]
SPANS: dict[Span, tuple[str, int]] = {"day": ("D", 1), "week": ("W-SUN", 7), "month": ("M", 28), "quarter": ("Q", 90)}
FEW_AGAIN = 0.01  # share of a seller's periods that have several rows, up to which they may be slips
FEW = 3.0  # units a row, at the median, up to which a period without a row is one without a sale
WHOLE = 0.9  # of as many dates as are usual: a month of 28 days is whole
HANDFUL = 5  # lines that are there twice in however small a file
OFTEN = 3.0  # times as many empty periods as are likely, up to which they may be such
UNLIKELY = 4.6  # units expected, from which on it is less than 1 % likely that none is sold
ENOUGH = 3  # periods in which one sells what all others do, to be their sum and no chance


def in_spans(rows: pd.DataFrame, span: Span, found: Findings) -> pd.DataFrame:
    """Rows with the first day of the day, ISO week, month or quarter of their date, without what is there in part only.

    The first and the last span are left out where they hold fewer than nine tenths of as many dates as others do (those
    between, at the median: a shop that closes on Sundays has six a week): their sales would look like a fall of demand.
    """
    values = rows["value"]
    if values.dtype.kind == "f":
        found.refuse(
            f"{found.option}period {span}: periods are numbers without dates, so nobody knows which make a {span}"
        )
    letter, shortest = SPANS[span]
    known = pd.Series(sorted(values.unique()))
    step = int(known.diff().dt.days.median()) if len(known) > 1 else 1
    if step > shortest + 3:
        found.refuse(
            f"{found.option}period {span}: the file's periods are {step} days long, so no {span}s can be made of them"
        )
    spans = values.dt.to_period(letter).dt.start_time
    dates = known.groupby(known.dt.to_period(letter).dt.start_time).size()
    if len(dates) < len(known):
        found.did(f"added up to {span}s", len(values))
    rows, usual = rows.assign(value=spans), float(dates.iloc[1:-1].median()) if len(dates) > 2 else 0.0
    part = [edge for edge in (dates.index[0], dates.index[-1]) if dates[edge] < WHOLE * usual]
    if not part:
        return rows
    gone = spans.isin(part)
    words = ", ".join(f"{edge.date()} ({dates[edge]} of {usual:g} dates)" for edge in part)
    found.did(f"{span}s that are there in part only left out: {words}", int(gone.sum()))
    return pd.DataFrame(rows[~gone])


def without_repeats(rows: pd.DataFrame, options: ReadingOptions, found: Findings) -> pd.DataFrame:
    """Without lines that are there twice in every cell, where that leaves one row a period and seller, returns apart.

    Among receipts two customers may well have bought the same: there all lines count, and where many are there twice
    nobody knows which it is.
    """
    if SAME not in rows:
        return rows
    again = rows.duplicated([SAME, *KEY])
    if not again.any() or rows[~again & (rows["units"] >= 0)].duplicated(KEY).any():
        return rows
    if again.sum() > max(HANDFUL, FEW_AGAIN * len(rows)) and not options.add_up:
        found.refuse(
            f"{named('line', rows.loc[again, 'line'])}: identical to another line in every cell: {found.option}add-up counts "
            f"them all, as receipts are counted; where the export is there twice, leave them out"
        )
    if options.add_up:
        return rows
    found.did(
        f"{named('line', rows.loc[again, 'line'])} repeated: identical to another in every cell, dropped",
        int(again.sum()),
    )
    return rows[~again]


def samples_apart(rows: pd.DataFrame, found: Findings) -> pd.DataFrame:
    """Without rows of price 0 in which something went out: samples and presents are no sales."""
    free = (rows["price"] == 0) & (rows["units"] != 0)
    if not free.any():
        return rows
    found.did("price 0: samples or presents, left out", int(free.sum()))
    return rows[~free]


def returns_netted(rows: pd.DataFrame, options: ReadingOptions, found: Findings) -> pd.DataFrame:
    """Negative units as asked: dropped, or left to be taken off in adding up."""
    back = rows["units"] < 0
    if not back.any():
        return rows
    if options.returns == "drop":
        found.did("returns (negative units) dropped", int(back.sum()))
        return rows[~back]
    found.did(
        f"returns (negative units) taken off the period's sales ({found.option}returns drop leaves them out)",
        int(back.sum()),
    )
    return rows


def added_up(
    rows: pd.DataFrame, others: pd.DataFrame, options: ReadingOptions, timed: bool, found: Findings
) -> pd.DataFrame:
    """One row a market, period and seller: units summed, price = revenue / units, promotions their mean over rows.

    Args:
        others: columns of the file that mean nothing here, by line: one may be a place or a product that tells
            the rows apart; then nothing is added up that may be another's.
        timed: whether rows of one period differ by their time of day, or by days of a longer period.

    Cost is the mean by units sold; what else there is, and the line, are those of the first row.
    """
    units = rows["units"].to_numpy()
    group, first = _groups(rows)
    count = len(first)
    several = np.bincount(group)[group] > 1
    if count == len(rows) and not (units < 0).any():
        return rows
    if several.any() and not options.add_up and not timed:
        _refuse_told_apart(rows, others, several, found)
        _refuse_few(rows, found)
    sold = np.maximum(units, 0.0)

    def total(values: Any) -> NDArray[np.float64]:
        return np.asarray(np.bincount(group, weights=values, minlength=count), np.float64)

    def mean(values: Any, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """By ``weight``; where a group has none of it, of its rows alike."""
        whole, plain = total(weight), total(values) / total(np.ones(len(group)))
        return np.where(whole > 0, total(values * weight) / np.where(whole > 0, whole, 1.0), plain)

    table = rows.iloc[first].reset_index(drop=True)
    net = total(units)
    columns = {"price": mean(rows["price"].to_numpy(), sold), "units": np.maximum(net, 0.0)}
    for name in (name for name in rows.columns if name.startswith(PROMOTION)):
        columns[name] = mean(rows[name].to_numpy(), np.ones(len(group)))
    if "cost" in rows:
        columns["cost"] = mean(rows["cost"].to_numpy(), sold)
    if below := int((net < 0).sum()):
        found.did("more came back than was sold: 0 units", below)
    if several.any():
        found.did(f"rows added up, one a period and seller: they become {count:,}", len(rows))
    return table.assign(**columns)


def _groups(rows: pd.DataFrame) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The group of every row, numbered as they come, and the first row of each group."""
    key = np.zeros(len(rows), np.int64)
    for name in KEY:
        codes, texts = pd.factorize(rows[name])
        key *= len(texts)
        key += codes
        del codes
    group, _ = pd.factorize(key)
    first = np.full(int(group.max(initial=-1)) + 1, len(group))
    np.minimum.at(first, group, np.arange(len(group)))
    return group, first


def _refuse_told_apart(rows: pd.DataFrame, others: pd.DataFrame, several: NDArray[np.bool_], found: Findings) -> None:
    """Raise where a column of the file tells the rows of a period and seller apart: a place or a product."""
    sold = rows[rows["units"] >= 0]
    for name in others.columns:
        texts = others.loc[sold.index, name]
        if not 1 < texts.nunique() <= MANY // 10:
            continue
        if pd.concat([*(sold[key] for key in KEY), texts], axis=1).duplicated().mean() > FEW_AGAIN:
            continue
        found.refuse(
            f"{named('line', rows.loc[several, 'line'])}: several rows of a seller in a period, told apart by column {name}: "
            f"{found.option}columns market={name} makes markets of it, {found.option}columns seller={name} sellers, "
            f"{found.option}where {name}=VALUE picks one, {found.option}add-up adds them up"
        )


def _refuse_few(rows: pd.DataFrame, found: Findings) -> None:
    """Raise where hardly any period of a seller has several rows: they may be corrections of one another."""
    sold = rows[rows["units"] >= 0]
    again = sold.duplicated(KEY, keep=False)
    if 0 < sold[again].groupby(KEY, observed=True).ngroups <= FEW_AGAIN * sold.groupby(KEY, observed=True).ngroups:
        first = sold[again].iloc[0]
        found.refuse(
            f"{named('line', sold.loc[again, 'line'])}: several rows of a seller in a period ({first['seller']} first), where "
            f"nearly all have one: leave out what was corrected, or {found.option}add-up adds them up"
        )


def prices_carried(rows: pd.DataFrame, found: Findings) -> pd.DataFrame:
    """Where nothing was sold and no price stands, the seller's last price; before its first one, that."""
    empty = rows["price"].isna() & (rows["units"] == 0)
    if not empty.any():
        return rows
    rows = rows.sort_values(KEY, kind="stable")
    carried = rows.groupby(["market", "seller"], observed=True)["price"].transform(lambda own: own.ffill().bfill())
    empty = rows["price"].isna() & (rows["units"] == 0) & carried.notna()
    found.did("no price where nothing was sold: the seller's last price", int(empty.sum()))
    return rows.assign(price=rows["price"].where(~empty, carried))


def fill_missing(
    rows: pd.DataFrame, index: pd.Series[int], options: ReadingOptions, receipts: bool, found: Findings
) -> pd.DataFrame:
    """Rows of 0 units in periods from a seller's first on in which it has none, where it was there all the same.

    ``auto`` takes it so where no row of the file says 0 and rows are receipts (``receipts``) or of few units each: then
    a period without a sale has no row (:func:`_between` says which are taken for such).
    """
    rows = rows.assign(period=index)
    grid = _between(rows, options.missing == "zero")
    gaps = grid[~grid.isin(pd.MultiIndex.from_frame(rows[["market", "seller", "period"]]))]
    if not len(gaps) or options.missing == "absent":
        return rows
    unsaid = options.missing == "auto"
    if unsaid and ((rows["units"] == 0).any() or not (receipts or rows["units"].median() <= FEW)):
        return rows
    empty = gaps.to_frame(index=False).assign(units=0.0, line=0)
    promotions = {name: 0.0 for name in rows.columns if name.startswith(PROMOTION)}
    filled = pd.concat([rows, empty.assign(**promotions)]).sort_values(["market", "seller", "period"], kind="stable")
    carried = [name for name in ("price", "cost") if name in filled]
    filled[carried] = filled.groupby(["market", "seller"], observed=True)[carried].ffill()
    for name in (name for name in ("market_size", "season") if name in filled):
        filled[name] = filled.groupby(["market", "period"], observed=True)[name].transform("first")
        filled[name] = filled.groupby(["market", "seller"], observed=True)[name].ffill()
    other = f" ({found.option}missing absent: they were not there)" if unsaid else ""
    found.did(f"periods of a seller without a row: 0 units at its last price{other}", len(gaps))
    return filled


def _between(rows: pd.DataFrame, all_of_them: bool) -> pd.MultiIndex:
    """Every market, seller and period from the first of the seller in that market on, in which it was there.

    Up to its last, and on to the file's last unless so long without a sale is unlikely at its pace (below 1 % by
    Poisson's law). Periods without a row of anybody count if about so many are likely: shops close on Sundays.
    """
    first, end = int(rows["period"].min()), int(rows["period"].max())
    every, there = np.arange(first, end + 1), np.unique(rows["period"])
    likely = len(every) * np.exp(-min(float(rows["units"].sum()) / len(there), 700.0))
    if not all_of_them and len(every) - len(there) > OFTEN * likely:
        every = there
    groups = rows.groupby(["market", "seller"], observed=True)
    spans = groups.agg(low=("period", "min"), high=("period", "max"), units=("units", "sum"))
    parts = []
    for (market, seller), low, high, units in spans.itertuples(name=None):
        gone = not all_of_them and units / (high - low + 1) * (end - high) > UNLIKELY
        parts.append(
            pd.MultiIndex.from_product([[market], [seller], every[(every >= low) & (every <= (high if gone else end))]])
        )
    names = ["market", "seller", "period"]
    return (
        parts[0].append(parts[1:]).set_names(names) if parts else pd.MultiIndex.from_arrays([[], [], []], names=names)
    )


def without_totals(rows: pd.DataFrame, found: Findings) -> pd.DataFrame:
    """Without a market, or a seller, that sells in every period what all the others sell together."""
    for column in ("market", "seller"):
        by = rows.groupby(["value", column], observed=True)["units"].sum().unstack(fill_value=0)
        half = (2 * by).eq(by.sum(axis=1), axis=0).all()
        names = [name for name in half.index[half] if (by[name] > 0).any()]
        if len(by) >= ENOUGH and len(by.columns) > 2 and len(names) == 1:
            gone = rows[column] == names[0]
            found.did(f"{column} {names[0]}: the sum of the others in every period, left out", int(gone.sum()))
            rows = rows[~gone]
    return rows
