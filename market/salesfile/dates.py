"""Periods as people write them, read as whole numbers or as local dates.

A file writes all its periods in one way, so a form is chosen that reads all of them. Weeks stand for their Monday (ISO
8601), months and quarters for their first day. A time of day is cut, the date being that of the place; local midnights
that were written in UTC (23:00 the day before, 22:00 in summer) are recognised, since it is nearly always the same time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from market.salesfile.options import DateOrder

TIME = re.compile(
    r"(.*\d)(?:T|\s+)(\d{1,2}):(\d{2})(?::\d{2}(?:[.,]\d+)?)?\s*([AaPp][Mm])?\s*(Z|UTC|GMT|[+-]\d{2}:?(?:\d{2})?)?"
)
UTC = re.compile(r"Z|UTC|GMT|[+-]00:?(00)?")
MONTHS = {
    **{
        name: k
        for k, name in enumerate(
            ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
        )
    },
    "mär": 3,
    "mrz": 3,
    "mae": 3,
    "mai": 5,
    "okt": 10,
    "dez": 12,
    "sept": 9,
    "juin": 6,
    "juil": 7,
    "déc": 12,
    "ene": 1,
    "abr": 4,
    "ago": 8,
    "dic": 12,
    "fév": 2,
    "avr": 4,
    "aoû": 8,
    "mag": 5,
    "giu": 6,
    "lug": 7,
    "set": 9,
    "ott": 10,
    "gen": 1,
}
SPREADSHEET_DAYS = 36_526, 55_153  # 2000-01-01 to 2050-12-31, counted from 1899-12-30
TOTALS = re.compile(r"(grand )?totals?|sum|summe|gesamt(summe)?|insgesamt|overall|all", re.IGNORECASE)


class Form(NamedTuple):
    """A way to write periods: what a text means, None where it is not written so."""

    name: str
    read: Callable[[str], date | None]


class Periods(NamedTuple):
    """Periods of texts: floats for counts, else dates (K,); ``said`` how they are written, ``doubt`` what could be two."""

    values: pd.Series[float] | pd.Series[pd.Timestamp]
    said: tuple[str, ...] = ()
    doubt: str = ""


def _made(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _year(text: str) -> int:
    """Two digits are those of 1969 to 2068, as POSIX has it."""
    year = int(text)
    return year if len(text) > 2 else year + (2000 if year < 69 else 1900)


def _numbers(pattern: str, order: str) -> Callable[[str], date | None]:
    """Numbers of a pattern's groups in an ``order`` of y, m, d, w (ISO week), q; what is not there is the first."""
    compiled = re.compile(pattern, re.IGNORECASE)

    def read(text: str) -> date | None:
        match = compiled.fullmatch(text)
        if match is None:
            return None
        parts = dict(zip(order, match.groups(), strict=True))
        year = _year(parts["y"])
        if "w" in parts:
            try:
                return date.fromisocalendar(year, int(parts["w"]), 1)
            except ValueError:
                return None
        if "q" in parts:
            return _made(year, 3 * int(parts["q"]) - 2, 1)
        return _made(year, int(parts["m"]), int(parts.get("d", 1)))

    return read


def _named(pattern: str, order: str) -> Callable[[str], date | None]:
    """The same with the month in words."""
    compiled = re.compile(pattern, re.IGNORECASE)

    def read(text: str) -> date | None:
        match = compiled.fullmatch(text)
        parts = dict(zip(order, match.groups(), strict=True)) if match else {}
        word = parts.get("m", "").lower()
        month = MONTHS.get(word[:4]) or MONTHS.get(word[:3])
        return _made(_year(parts["y"]), month, int(parts.get("d", 1))) if month else None

    return read


DAY, SEP = r"(\d{1,2})", r"[/.\-\s]"
FORMS = (
    Form("dates", _numbers(rf"(\d{{4}}){SEP}{DAY}{SEP}{DAY}", "ymd")),
    Form("dates in one number", _numbers(r"((?:19|20)\d\d)(\d\d)(\d\d)", "ymd")),
    Form("ISO weeks", _numbers(r"(\d{4})[-\s/]?(?:W|KW|CW|week)[-\s]?(\d{1,2})(?:-[1-7])?", "yw")),
    Form("ISO weeks", _numbers(r"(?:W|KW|CW|week)[-\s]?(\d{1,2})[-\s/,.]*(\d{4})", "wy")),
    Form("quarters", _numbers(r"(\d{4})[-\s/]?Q([1-4])", "yq")),
    Form("quarters", _numbers(r"Q([1-4])[-\s/]*(\d{4}|\d\d)", "qy")),
    Form("months", _numbers(rf"(\d{{4}})[/.\-]{DAY}", "ym")),
    Form("months", _numbers(rf"{DAY}[/.\-](\d{{4}})", "my")),
    Form("months", _named(r"([^\W\d]{3,12})\.?[-\s/,']*(\d{4}|\d\d)", "my")),
    Form("months", _named(r"(\d{4})[-\s/]*([^\W\d]{3,12})\.?", "ym")),
    Form(
        "dates with the month in words",
        _named(rf"{DAY}(?:st|nd|rd|th)?[-\s/.,]*([^\W\d]{{3,12}})\.?[-\s/.,]*(\d{{4}}|\d\d)", "dmy"),
    ),
    Form(
        "dates with the month in words",
        _named(rf"([^\W\d]{{3,12}})\.?[-\s]*{DAY}(?:st|nd|rd|th)?[-\s,]+(\d{{4}})", "mdy"),
    ),
)
DMY = Form("dates, day first", _numbers(rf"{DAY}([/.\-]){DAY}\2(\d{{4}}|\d\d)", "d_my"))
MDY = Form("dates, month first", _numbers(rf"{DAY}([/.\-]){DAY}\2(\d{{4}}|\d\d)", "m_dy"))
MONTH = Form("months in one number", _numbers(r"((?:19|20)\d\d)(\d\d)", "ym"))
WEEK = Form("ISO weeks in one number", _numbers(r"((?:19|20)\d\d)(\d\d)", "yw"))


def read_periods(texts: Sequence[str], order: DateOrder | None) -> Periods:
    """Periods of different texts; NaN or NaT where a text is none, or not written as most are."""
    numbers = pd.to_numeric(pd.Series(list(texts), dtype=object), errors="coerce").replace([np.inf, -np.inf], np.nan)
    numbers = numbers.where(numbers % 1 == 0).astype("float64")
    cut, said = _without_time(texts)
    best, most = Periods(numbers), int(numbers.notna().sum())
    if most == len(texts) and numbers.between(*SPREADSHEET_DAYS).all():
        return Periods(
            pd.Timestamp("1899-12-30") + pd.to_timedelta(numbers, unit="D"), ("days as spreadsheets count them",)
        )
    for form in FORMS:
        if (found := [form.read(text) for text in cut]).count(None) < len(texts) - most or (
            form.name == "dates in one number" and found.count(None) == len(texts) - most and most
        ):
            best, most = Periods(_shifted(found, said), _words(form, said)), len(texts) - found.count(None)
    for pair, chosen in (((DMY, MDY), {"dmy": DMY, "mdy": MDY}), ((MONTH, WEEK), {"month": MONTH, "week": WEEK})):
        read = {form.name: [form.read(text) for text in cut] for form in pair}
        count = max(len(texts) - found.count(None) for found in read.values())
        if count and (count > most or (pair[0] is MONTH and count == most and _numbered_on(numbers))):
            best, most = _one_of(pair, read, chosen.get(order or ""), cut, said), count
    return best


class Times(NamedTuple):
    """What was cut of texts: a shift in days of each, and words about it."""

    days: list[int]
    words: str


def _without_time(texts: Sequence[str]) -> tuple[list[str], Times]:
    """The dates of texts, and by how many days they are to be shifted: local midnights written in UTC."""
    split = [TIME.fullmatch(text) for text in texts]
    cut = [match.group(1) if match else text for match, text in zip(split, texts, strict=True)]
    hours = {
        (int(m.group(2)) % 12 + 12 * ((m.group(4) or "").lower() == "pm")) if m.group(4) else int(m.group(2))
        for m in split
        if m
    }
    minutes = {m.group(3) for m in split if m}
    in_utc = all(m is not None and m.group(5) and UTC.fullmatch(m.group(5)) for m in split) and len(split) > 0
    one_time = minutes == {"00"} and (len(hours) == 1 or (len(hours) == 2 and (max(hours) - min(hours)) in (1, 23)))
    if in_utc and one_time and hours != {0}:
        late = [int(m is not None and int(m.group(2)) >= 12) for m in split]
        shown = " or ".join(f"{hour:02}:00" for hour in sorted(hours))
        return cut, Times(late, f"always {shown} UTC: read as midnight of the local date")
    several = len({m.groups()[1:3] for m in split if m}) > 1
    return cut, Times([0] * len(texts), "time of day cut" if several else "")


def _shifted(found: Sequence[date | None], times: Times) -> pd.Series[pd.Timestamp]:
    moved = [None if day is None else day + timedelta(days=by) for day, by in zip(found, times.days, strict=True)]
    return pd.to_datetime(pd.Series(moved, dtype=object), errors="coerce")


def _words(form: Form, times: Times) -> tuple[str, ...]:
    return tuple(filter(None, (form.name if form is not FORMS[0] else "", times.words)))


def _numbered_on(numbers: pd.Series[float]) -> bool:
    """Whether numbers such as 202412 and 202501 are years with months or weeks: they do not go on as counts do."""
    low, high = numbers.min(), numbers.max()
    return bool(low > 1900_00 and high < 2100_00 and low // 100 < high // 100)


def _one_of(
    pair: tuple[Form, Form], read: dict[str, list[date | None]], chosen: Form | None, cut: Sequence[str], times: Times
) -> Periods:
    """Of two ways to read the same texts the one that reads more; of two that read all the one with even steps."""
    counts = [read[form.name].count(None) for form in pair]
    if chosen is not None:
        return Periods(_shifted(read[chosen.name], times), _words(chosen, times))
    if counts[0] != counts[1]:
        form = pair[int(counts[1] < counts[0])]
        return Periods(_shifted(read[form.name], times), _words(form, times))
    if pair[0] is DMY and any("." in text for text in cut):  # nobody writes months first with points
        return Periods(_shifted(read[DMY.name], times), _words(DMY, times))
    even = [_even(read[form.name]) for form in pair]
    form = pair[int(even[1] and not even[0])]
    two = next(
        ((text, a, b) for text, a, b in zip(cut, *(read[one.name] for one in pair), strict=True) if a != b), None
    )
    both = "" if even[0] != even[1] or two is None else f"{two[0]} is {two[1]} or {two[2]}"
    return Periods(_shifted(read[form.name], times), _words(form, times), both)


def _even(days: Sequence[date | None]) -> bool:
    """Whether dates lie even steps apart: always as many days, or a month, gaps apart."""
    known = sorted({day for day in days if day is not None})
    steps = {(after - before).days for before, after in pairwise(known)}
    months = {day.day for day in known} == {known[0].day} and bool(steps) and min(steps) >= 28 and max(steps) <= 31
    return len(steps) <= 1 or months
