"""The columns of a sales file: periods as whole numbers (integers as they are, ISO dates by their usual step), and what
every column of numbers may hold, with what to do about texts that are none.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from market.salesfile.files import PROMOTION
from market.salesfile.findings import Findings, named

SLASHED = r"\d{1,2}([/.\-])\d{1,2}\1\d{4}"
ORDERS = ("%d/%m/%Y", "%m/%d/%Y")
WHOLE = {4: "Y", 7: "M"}  # letters of a year and of a month: as bounds they mean all their days
SPARSE = 20  # times as many periods as occur, from the first to the last: the numbers are no count of periods
MOST = 1e12  # whole numbers up to here are exact, and no sales are larger
NOTHING = ("", "na", "n/a", "nan", "null", "none", "-", "--", ".", "missing", "#n/a")
TRUTHS = {"true": "1", "false": "0"}


class Calendar(NamedTuple):
    """Labels of periods 0 .. T - 1; their dates, or None when periods are integers; and the step's name."""

    labels: list[str]
    dates: pd.DatetimeIndex | None
    step: str


def read_periods(raw: pd.Series[str], lines: pd.Series[int], kind: str, found: Findings) -> pd.Series[Any] | None:
    """Integers (as floats) or dates without time of day, whichever most rows have; None where others have not."""
    numbers = pd.to_numeric(raw, errors="coerce").astype("float64").replace([np.inf, -np.inf], np.nan)
    numbers = numbers.where(numbers % 1 == 0)
    dates = pd.to_datetime(raw.str.replace(r"[T ]\d.*$", "", regex=True), format="ISO8601", errors="coerce")
    dates = dates.mask(numbers.notna())
    values: pd.Series[Any] = numbers if numbers.notna().sum() >= dates.notna().sum() else dates
    bad = raw.index[values.isna()]
    if len(bad):
        got = f"got {raw[bad[0]]!r}" if raw[bad[0]] else "got missing"
        hint = "rows of totals must go" if "total" in raw[bad[0]].lower() else _rewritten(raw[bad])
        found.error(
            f"{named(kind, lines[bad])}: period must be an integer or an ISO date such as 2024-03-31, the same in every "
            f"row ({got}{f': {hint}' if hint else ''})"
        )
        return None
    return values


def _rewritten(raw: pd.Series[str]) -> str:
    """The first text as ISO dates where it is a date of another order; both of them where the others do not tell which."""
    split = raw.str.fullmatch(SLASHED)
    dates = []
    for order in ORDERS:
        text = raw[split].str.replace(r"\D", "/", regex=True)
        read = pd.to_datetime(text, format=order, errors="coerce")
        if len(read) and read.notna().all() and raw.index[0] == read.index[0]:
            dates.append(read.iloc[0].date().isoformat())
    return f"write {' or '.join(dict.fromkeys(dates))}" if dates else ""


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
    """Whole numbers that are no count of periods: 20240131 is a date, and from 202412 to 202501 lie no 89 periods."""
    low, high, count = int(values.min()), int(values.max()), values.nunique()
    shown = f"{named(kind, lines)}: periods such as {low}"
    if low > 1900_00_00 and high < 2100_00_00:
        days = pd.to_datetime(values.astype("int64").astype(str), format="%Y%m%d", errors="coerce")
        if days.notna().all():
            found.refuse(f"{shown} look like dates: write {days.min().date()}")
    elif low > 1900_00 and high < 2100_00 and low // 100 < high // 100 and (values % 100).between(1, 53).all():
        found.refuse(f"{shown} look like a year with its month or week: write dates, or number periods through")
    elif high - low >= SPARSE * count:
        found.refuse(
            f"{named(kind, lines)}: periods run from {low} to {high}, but only {count} of them occur: number them "
            "through, 1, 2, 3, or write dates"
        )


def _index_dates(
    dates: pd.Series[pd.Timestamp], lines: pd.Series[int], kind: str, found: Findings
) -> tuple[pd.Series[int], Calendar]:
    known = pd.DatetimeIndex(sorted(dates.unique()))
    if len(known) > 1 and _are_months(known):
        months = (dates.dt.year * 12 + dates.dt.month).astype("int64")
        index = months - int(months.min())
        every = month_days(known, int(index.max()) + 1)
        return index, Calendar([day.date().isoformat() for day in every], every, "month")
    step = int(pd.Series((known[1:] - known[:-1]).days).mode().iloc[0]) if len(known) > 1 else 1
    days = (dates - known[0]).dt.days
    if (days % step != 0).any():
        found.refuse(
            f"{named(kind, lines[days % step != 0])}: dates must lie a whole number of steps apart; the commonest step "
            f"here is {step} days from {known[0].date()} on"
        )
    index = (days // step).astype("int64")
    every = pd.date_range(known[0], periods=int(index.max()) + 1, freq=f"{step}D")
    name = {1: "day", 7: "week"}.get(step, f"{step} days")
    return index, Calendar([day.date().isoformat() for day in every], every, name)


def _are_months(known: pd.DatetimeIndex) -> bool:
    """The same day of every month, or the last one."""
    same = known.day.nunique() == 1 or bool(known.is_month_end.all())
    return same and 28 <= (known[1:] - known[:-1]).days.min() <= 31


def month_days(known: pd.DatetimeIndex, count: int) -> pd.DatetimeIndex:
    """``count`` months from ``known[0]`` on: the last days where ``known`` are such, else the same day of each."""
    every = pd.DatetimeIndex([known[0] + pd.DateOffset(months=t) for t in range(count)])
    return every + pd.offsets.MonthEnd(0) if known.is_month_end.all() else every


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
    "price": Limits("a number > 0", 0, closed=False),
    "units": Limits("a number >= 0", 0, closed=True),
    "cost": Limits("a number >= 0", 0, closed=True),
    "market_size": Limits("a number > 0", 0, closed=False),
}
SHARE = Limits("a number from 0 to 1", 0, closed=True, most=1)
HINTS = (
    (r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?", "write it without thousands separators"),
    (r"[-+]?(\d+|\d{1,3}(\.\d{3})+),\d+", "write decimals with a point, and no thousands separators"),
    (r".*[$€£¥].*|.*\d\s*[A-Za-z]{1,3}", "write the number alone, without a currency or a unit"),
    (r".*%", "write 0.25 for 25%"),
)


SHARE_HINTS = (
    (r"(?i)yes|no|y|n|on|off|t|f|x", "write 1 or 0"),
    (r"\+?0*([2-9]|[1-9]\d|100)(\.\d*)?|\+?0*1\.\d+", "where this is a percentage, divide by 100"),
)
UNIT_HINTS = ((r"-\d+(\.\d*)?", "net returns out or drop them"),)


def read_numbers(rows: pd.DataFrame, kind: str, found: Findings) -> None:
    """Turn columns of texts that must be numbers into numbers, and find those out of range; in place."""
    for name in rows.columns:
        rule = SHARE if name.startswith(PROMOTION) else RULES.get(name)
        if rule is None:
            continue
        text = rows[name].map(lambda one: TRUTHS.get(one.lower(), one)) if rule is SHARE else rows[name]
        values = pd.to_numeric(text, errors="coerce").astype("float64").replace([np.inf, -np.inf], np.nan)
        good = rule.holds(values)
        if not good.all():
            bad = rows.index[~good]
            found.error(
                f"{named(kind, rows.loc[bad, 'line'])}: {name} must be {rule.words} ({_got(text[bad[0]], name)})"
            )
        rows[name] = values


def _got(text: str, name: str) -> str:
    got = "got missing" if text == "" else f"got {text!r}"
    if text.lower() in NOTHING:
        if name in ("price", "units"):
            return f"{got}: leave out the rows of a seller that was not there"
        return f"{got}: give it in every row, or leave the column out"
    own = SHARE_HINTS if name.startswith(PROMOTION) else UNIT_HINTS if name == "units" else ()
    for pattern, hint in (*HINTS, *own):
        if re.fullmatch(pattern, text):
            return f"{got}: {hint}"
    try:
        return f"{got}: at most {MOST:.0e}" if abs(float(text)) > MOST else got
    except ValueError:
        return got
