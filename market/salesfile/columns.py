"""The columns of a sales file: periods as whole numbers (integers as they are, ISO dates by their usual step), and what
every column of numbers may hold, with what to do about texts that are none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from market.salesfile.cells import dates
from market.salesfile.cells.numbers import decimals, read_numbers_of
from market.salesfile.files import PROMOTION
from market.salesfile.findings import Findings, named
from market.salesfile.options import ReadingOptions
from market.salesfile.shapes import DISCOUNT

WHOLE = {4: "Y", 7: "M"}  # letters of a year and of a month: as bounds they mean all their days
SPARSE = 20  # times as many periods as occur, from the first to the last: the numbers are no count of periods
MOST = 1e12  # whole numbers up to here are exact, and no sales are larger
NOTHING = ("", "na", "n/a", "nan", "null", "none", "-", "--", ".", "missing", "#n/a")
FEW_OFF = 0.05  # share of dates beside the grid of the others up to which they are taken for slips


class Calendar(NamedTuple):
    """Labels of periods 0 .. T - 1; their dates, or None when periods are integers; and the step's name."""

    labels: list[str]
    dates: pd.DatetimeIndex | None
    step: str


def read_periods(
    column: pd.Series[str], lines: pd.Series[int], kind: str, options: ReadingOptions, found: Findings
) -> pd.Series[Any] | None:
    """Integers (as floats) or dates without time of day, by row; None where rows have neither."""
    place = None if options.zone is None else ZoneInfo(options.zone)
    read = dates.read_periods([str(text) for text in column.cat.categories], options.dates, place)
    values = pd.Series(read.values.to_numpy()[column.cat.codes], index=column.index)
    if read.doubt:
        found.error(
            f"periods can be read in two ways: {read.doubt}; {found.option}dates dmy or mdy (year and month in one number: "
            "month or week) says which"
        )
    for words in read.said:
        found.did(f"periods: {words}")
    bad = column.index[values.isna()]
    if len(bad):
        got = f"got {column[bad].iloc[0]!r}" if column[bad].iloc[0] else "got missing"
        found.error(
            f"{named(kind, lines[bad])}: period must be a date such as 2024-03-31, a week such as 2024-W13, a month such as "
            f"2024-03, or a whole number, the same in every row ({got})"
        )
        return None
    return values


def within(values: pd.Series[Any], periods: tuple[str | None, str | None], found: Findings) -> pd.Series[bool]:
    """Which rows lie from the first to the second period, both included; None is open.

    Example: with dates ``1991`` as the first is 1991-01-01, as the second 1991-12-31; ``1991-02`` ends on 1991-02-28.
    """
    whole = values.dtype.kind == "f"
    first, last = _bound(periods[0], whole, False, found), _bound(periods[1], whole, True, found)
    chosen = values.notna()
    if first is not None:
        chosen &= values >= first
    if last is not None:
        chosen &= values <= last
    if not chosen.any():
        swapped = first is not None and last is not None and first > last
        problem = f"the first, {periods[0]}, is after the last, {periods[1]}" if swapped else "no row lies there"
        low, high = (f"{end:.0f}" if whole else end.date() for end in (values.min(), values.max()))
        found.refuse(f"{found.option}periods: {problem}; the file's periods run from {low} to {high}")
    return chosen


def _bound(bound: str | None, whole: bool, at_end: bool, found: Findings) -> Any:
    if bound is None:
        return None
    read = pd.to_numeric([bound], errors="coerce") if whole else pd.to_datetime([bound], format="ISO8601", errors="coerce")  # fmt: skip
    if pd.isna(read[0]):
        kind = "a number" if whole else "an ISO date"
        found.refuse(f"{found.option}periods: {bound!r} must be {kind}, as the file's periods are")
    if at_end and not whole and re.fullmatch(r"\d{4}(-\d\d)?", bound):
        return pd.Period(bound, freq=WHOLE[len(bound)]).end_time.normalize()
    return read[0]


def index_periods(
    values: pd.Series[Any], lines: pd.Series[int], kind: str, found: Findings
) -> tuple[pd.Series[int], Calendar]:
    """The index of each row's period, from 0, and what stands behind it.

    Integers 40, 41, 43 become 0, 1, 3. Dates a week apart do so too: the step is the commonest difference.
    """
    if values.dtype.kind != "f":
        return _index_dates(values, lines, kind, found)
    _refuse_no_count(values, lines, kind, found)
    first = int(values.min())
    index = values.astype("int64") - first
    return index, Calendar([str(first + t) for t in range(int(index.max()) + 1)], None, "period")


def _refuse_no_count(values: pd.Series[float], lines: pd.Series[int], kind: str, found: Findings) -> None:
    """Whole numbers that are no count of periods."""
    low, high, count = int(values.min()), int(values.max()), values.nunique()
    if high - low >= SPARSE * count:
        found.refuse(
            f"{named(kind, lines)}: periods run from {low} to {high}, but only {count} of them occur: number them "
            "through, 1, 2, 3, or write dates"
        )


def _index_dates(
    days: pd.Series[pd.Timestamp], lines: pd.Series[int], kind: str, found: Findings
) -> tuple[pd.Series[int], Calendar]:
    known = pd.DatetimeIndex(sorted(days.unique()))
    if every := _months_apart(known):
        months = (days.dt.year * 12 + days.dt.month).astype("int64")
        index = (months - int(months.min())) // every
        calendar = month_days(known, int(index.max()) + 1, every)
        name = {1: "month", 3: "quarter", 12: "year"}.get(every, f"{every} months")
        return index, Calendar([day.date().isoformat() for day in calendar], calendar, name)
    step = int(pd.Series((known[1:] - known[:-1]).days).mode().iloc[0]) if len(known) > 1 else 1
    days = _on_the_grid(days, known, step, lines, kind, found)
    first = days.min()
    index = ((days - first).dt.days // step).astype("int64")
    calendar = pd.date_range(first, periods=int(index.max()) + 1, freq=f"{step}D")
    name = {1: "day", 7: "week"}.get(step, f"{step} days")
    return index, Calendar([day.date().isoformat() for day in calendar], calendar, name)


def _on_the_grid(
    days: pd.Series[pd.Timestamp], known: pd.DatetimeIndex, step: int, lines: pd.Series[int], kind: str, found: Findings
) -> pd.Series[pd.Timestamp]:
    """Dates a whole number of steps apart: the few that lie beside most others are moved to the nearest such date.

    Refused where they are many, or another date lies there already.
    """
    phase = pd.Series((known - known[0]).days % step, index=known)
    usual = int(phase.mode().iloc[0])
    off = phase.index[phase != usual]
    if not len(off):
        return days
    shift = ((usual - phase[off] + step // 2) % step) - step // 2
    moved = pd.Series(off + pd.to_timedelta(shift.to_numpy(), unit="D"), index=off)
    rows = days.isin(off)
    if len(off) > FEW_OFF * len(known) or moved.isin(known).any() or moved.duplicated().any():
        fitting = next(day for day in known if phase[day] == usual)
        added = "; --period week adds up what lies in one" if step < 7 else ""
        found.refuse(
            f"{named(kind, lines[rows])}: dates must lie a whole number of steps apart; the commonest step here is {step} "
            f"days, on which {fitting.date()} lies and {off[0].date()} does not{added}"
        )
    shown = ", ".join(f"{day.date()} is {moved[day].date()}" for day in off[:3])
    found.did(f"dates beside the others' steps of {step} days moved to the nearest: {shown}", int(rows.sum()))
    return days.where(~rows, days.map(moved))


def _months_apart(known: pd.DatetimeIndex) -> int:
    """How many months, at least, lie between dates that are the same day of a month, or the last one; else 0."""
    same = known.day.nunique() == 1 or bool(known.is_month_end.all())
    if len(known) < 2 or not same or (known[1:] - known[:-1]).days.min() < 28:
        return 0
    months = known.year * 12 + known.month
    return int(np.gcd.reduce((months - months[0]).to_numpy()))


def month_days(known: pd.DatetimeIndex, count: int, every: int = 1) -> pd.DatetimeIndex:
    """``count`` dates from ``known[0]`` on, ``every`` so many months: last days where ``known`` are such, else the same day."""
    calendar = pd.DatetimeIndex([known[0] + pd.DateOffset(months=every * t) for t in range(count)])
    return calendar + pd.offsets.MonthEnd(0) if known.is_month_end.all() else calendar


class Limits(NamedTuple):
    """From ``least`` (itself only if ``closed``) to ``most``."""

    words: str
    least: float
    closed: bool
    most: float = MOST

    def holds(self, values: pd.Series[float]) -> pd.Series[bool]:
        """By row; never for NaN."""
        return (values >= self.least if self.closed else values > self.least) & (values <= self.most)


RULES = {
    "price": Limits("a number > 0", 0, closed=True),
    "units": Limits("a number", -MOST, closed=True),
    "revenue": Limits("a number", -MOST, closed=True),
    "cost": Limits("a number >= 0", 0, closed=True),
    "market_size": Limits("a number > 0", 0, closed=False),
}
MONEY = ("price", "revenue", "cost")
SHARE = Limits("a number from 0 to 1", 0, closed=True, most=1)


def is_number(name: str) -> bool:
    """Whether a column of Bazaar's holds numbers."""
    return name in RULES or name.startswith(PROMOTION)


def read_numbers(rows: pd.DataFrame, kind: str, options: ReadingOptions, found: Findings) -> pd.DataFrame:
    """Columns of texts that must be numbers as numbers, and what is out of range.

    A price that is missing where nothing was sold stays NaN, for a price is carried there.
    """
    names = [name for name in rows.columns if is_number(name)]
    mark = _decimal_mark(rows, names, options, found)
    columns, rewritten, signs = {}, 0, {}
    for name in names:
        read = read_numbers_of(rows[name], mark)
        if name in MONEY and read.currency is not None:
            signs[name] = read.currency
        columns[name], rewritten = pd.Series(read.values, index=rows.index), max(rewritten, read.rewritten)
        percent = DISCOUNT.search(name) or set(columns[name].unique()) == {0.0, 100.0}
        if name.startswith(PROMOTION) and percent and columns[name].max() > 1:
            columns[name] = columns[name] / 100
            found.did(f"{name}: percent as shares", len(rows))
    _refuse_currencies(signs, rows["line"], kind, found)
    if rewritten:
        found.did(f"numbers with {'commas' if mark == ',' else 'points'} before decimals, or currencies", rewritten)
    idle = columns["units"] == 0 if "units" in columns else pd.Series(False, index=rows.index)
    for name, values in columns.items():
        rule = SHARE if name.startswith(PROMOTION) else RULES[name]
        good = rule.holds(values) | (values.isna() & idle & (name == "price"))
        if not good.all():
            bad = rows.index[~good]
            text = str(rows.loc[bad, name].iloc[0])
            found.error(f"{named(kind, rows.loc[bad, 'line'])}: {name} must be {rule.words} ({_got(text, name)})")
    return rows.assign(**columns)


def _refuse_currencies(
    signs: Mapping[str, NDArray[np.object_]], lines: pd.Series[int], kind: str, found: Findings
) -> None:
    """Raise where the cells of a column are of several currencies, or columns of different ones."""
    counts: dict[str, int] = {}
    for own in signs.values():
        for sign, count in pd.Series(own[own != ""]).value_counts().items():
            counts[str(sign)] = max(counts.get(str(sign), 0), int(count))
    if len(counts) < 2:
        return
    usual = max(counts, key=lambda sign: counts[sign])
    odd = np.logical_or.reduce([(own != usual) & (own != "") for own in signs.values()])
    listed = ", ".join(f"{sign} ({count:,} rows)" for sign, count in sorted(counts.items(), key=lambda one: -one[1]))
    found.refuse(
        f"{named(kind, lines.to_numpy()[odd])}: {' and '.join(signs)} in several currencies: {listed}: convert them to one, or make a "
        f"file of each"
    )


def _decimal_mark(rows: pd.DataFrame, names: Sequence[str], options: ReadingOptions, found: Findings) -> str:
    if options.decimal is not None:
        return options.decimal
    told = decimals({name: map(str, rows[name].cat.categories) for name in names}, ("units",))
    if told.against:
        found.refuse(
            f"numbers are written in two ways: {told.doubt!r} has a comma before decimals, {told.against!r} a point; "
            f"write one way, or {found.option}decimal says which"
        )
    if told.doubt:
        found.refuse(
            f"{told.doubt!r} can be read in two ways, and nothing in the file tells which: {found.option}decimal . or ,"
        )
    return told.mark


SHARE_HINTS = ((r"\+?0*([2-9]|[1-9]\d|100)(\.\d*)?|\+?0*1\.\d+", "where this is a percentage, divide by 100"),)


def _got(text: str, name: str) -> str:
    got = "got missing" if text == "" else f"got {text!r}"
    if text.lower() in NOTHING:
        if name in ("price", "units"):
            return f"{got}: leave out the rows of a seller that was not there"
        return f"{got}: give it in every row, or leave the column out"
    for pattern, hint in SHARE_HINTS if name.startswith(PROMOTION) else ():
        if re.fullmatch(pattern, text):
            return f"{got}: {hint}"
    try:
        return f"{got}: at most {MOST:.0e}" if abs(float(text)) > MOST else got
    except ValueError:
        return got
