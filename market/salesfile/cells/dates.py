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
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from market.salesfile.cells.clock import Clock, clock, day_of
from market.salesfile.cells.words import MONTHS, QUARTER_WORD, WEEK_WORD, folded
from market.salesfile.options import DateOrder

MONTH_OF = {word: k for k, words in enumerate(MONTHS, 1) for word in words.split()}
SPREADSHEET_DAYS = 36_526, 55_153  # 2000-01-01 to 2050-12-31, counted from 1899-12-30
# A whole date, so that what stands before it (a weekday, w/e, "week ending") says nothing more, nor a second one behind.
WHOLE = r"(?:\d{4}[./\-]\d{1,2}[./\-]\d{1,2}|\d{1,2}[./\-]\d{1,2}[./\-](?:\d{4}|\d\d)|\d{1,2}\w{0,2}\.?[\s\-](?:de )?[^\W\d]{3,}\.?[\s\-,]+(?:de )?(?:\d{4}|\d\d)|[^\W\d]{3,}\.?\s\d{1,2}\w{0,2},?\s\d{4})"
BEFORE = re.compile(rf"(?:\d{{1,2}}\s+(?=[^\W\d]+/))?((?:[^\W\d]+[./,:\s]+)+?)({WHOLE})")
BEHIND = re.compile(rf"({WHOLE})\s*\(?[^\W\d]{{2,10}}\.?\)?")
SPAN = re.compile(rf"({WHOLE})\s*(?:-|–|—|/|to|bis|au|al|tot|do|a)\s*{WHOLE}", re.IGNORECASE)


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
        word = folded(parts.get("m", ""))
        month = MONTH_OF.get(word[:4]) or MONTH_OF.get(word[:3])
        return _made(_year(parts["y"]), month, int(parts.get("d", 1))) if month else None

    return read


DAY, SEP = r"(\d{1,2})", r"[/.\-\s]"
FORMS = (
    Form("dates", _numbers(rf"(\d{{4}}){SEP}{DAY}{SEP}{DAY}", "ymd")),
    Form("dates in one number", _numbers(r"((?:19|20)\d\d)(\d\d)(\d\d)", "ymd")),
    Form("ISO weeks", _numbers(rf"(\d{{4}})[-\s/.]*{WEEK_WORD}[-\s]?(\d{{1,2}})(?:-[1-7])?", "yw")),
    Form("ISO weeks", _numbers(rf"{WEEK_WORD}[-\s]?(\d{{1,2}})[-\s/,.]*(\d{{4}})", "wy")),
    Form("quarters", _numbers(rf"(\d{{4}})[-\s/]?{QUARTER_WORD}([1-4])", "yq")),
    Form("quarters", _numbers(rf"{QUARTER_WORD}([1-4])[-\s/]*(\d{{4}}|\d\d)", "qy")),
    Form("months", _numbers(rf"(\d{{4}})[/.\-]{DAY}", "ym")),
    Form("months", _numbers(rf"{DAY}[/.\-](\d{{4}})", "my")),
    Form("ISO weeks", _numbers(rf"(\d{{4}})[/.\-]{DAY}", "yw")),
    Form("ISO weeks", _numbers(rf"{DAY}[/.\-](\d{{4}})", "wy")),
    Form("months", _named(r"([^\W\d]{3,12})\.?[-\s/,']*(\d{4}|\d\d)", "my")),
    Form("months", _named(r"(\d{4})[-\s/]*([^\W\d]{3,12})\.?", "ym")),
    Form(
        "dates with the month in words",
        _named(rf"{DAY}(?:st|nd|rd|th|er)?[-\s/.,]*(?:de )?([^\W\d]{{3,12}})\.?[-\s/.,]*(?:de )?(\d{{4}}|\d\d)", "dmy"),
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


def read_periods(texts: Sequence[str], order: DateOrder | None, place: ZoneInfo | None = None) -> Periods:
    """Periods of different texts; NaN or NaT where a text is none, or not written as most are.

    ``place``: whose day counts where a time has a zone; None: the day that is written.
    """
    numbers = pd.to_numeric(pd.Series(list(texts), dtype=object), errors="coerce").replace([np.inf, -np.inf], np.nan)
    numbers = numbers.where(numbers % 1 == 0).astype("float64")
    cut, said = _without_time(texts, place)
    cut, words = _bare(cut)
    said = said._replace(words=tuple(filter(None, (*words, *said.words))))
    best, most = Periods(numbers), int(numbers.notna().sum())
    if most == len(texts) and numbers.between(*SPREADSHEET_DAYS).all():
        return Periods(
            pd.Timestamp("1899-12-30") + pd.to_timedelta(numbers, unit="D"), ("days as spreadsheets count them",)
        )
    for form in _in_order(order):
        if (found := [form.read(text) for text in cut]).count(None) < len(texts) - most or (
            form.name == "dates in one number" and found.count(None) == len(texts) - most and most
        ):
            best, most = Periods(_shifted(found, said), _words(form, said)), len(texts) - found.count(None)
    for pair, chosen in (((DMY, MDY), {"dmy": DMY, "mdy": MDY}), ((MONTH, WEEK), {"month": MONTH, "week": WEEK})):
        read = {form.name: [form.read(text) for text in cut] for form in pair}
        count = max(len(texts) - found.count(None) for found in read.values())
        dated = pair[0] is MONTH and count == most and (order in chosen or _numbered_on(numbers))
        if count and (count > most or dated):
            best, most = _one_of(pair, read, chosen.get(order or ""), cut, said), count
    return best


def is_period(text: str) -> bool:
    """Whether a text alone can be a period."""
    time = clock(text)
    (bare,), _ = _bare([text if time is None else time.date])
    return bare.isdecimal() or any(form.read(bare) for form in (*FORMS, DMY, MDY))


def _in_order(order: DateOrder | None) -> Sequence[Form]:
    """Forms in the order in which they are tried: of those that read the same texts the first counts."""
    return sorted(FORMS, key=lambda form: form.name == "months") if order == "week" else FORMS


def _bare(texts: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Dates without what stands around them: a weekday, ``w/e``, the end of a span; and words about it."""
    found, before, spans = list[str](), dict[str, None](), 0
    for text in texts:
        if (match := BEFORE.fullmatch(text)) is not None:
            before.setdefault(match.group(1).strip(" ,.:"))
            text = match.group(2)
        elif (match := BEHIND.fullmatch(text)) is not None:
            text = match.group(1)
        elif (match := SPAN.fullmatch(text)) is not None:
            spans, text = spans + 1, match.group(1)
        found.append(text)
    words = f"words before dates left out ({', '.join(list(before)[:3])}{' ...' if len(before) > 3 else ''})"
    return found, (words if before else "", "the first day of those from and to" if spans else "")


class Times(NamedTuple):
    """What was cut of texts: the time of each, by how many days each is shifted, and words about it.

    With ``place`` the days are those that it has then.
    """

    clocks: list[Clock | None]
    days: list[int]
    words: tuple[str, ...]
    place: ZoneInfo | None = None


CUT, NO_TIMES = "time of day cut", "without times, so that no zone changes them"


def _without_time(texts: Sequence[str], place: ZoneInfo | None) -> tuple[list[str], Times]:
    """The dates of texts, and by how many days they are to be shifted: local midnights written in UTC."""
    clocks = [clock(text) for text in texts]
    cut = [text if time is None else time.date for time, text in zip(clocks, texts, strict=True)]
    timed = [time for time in clocks if time is not None]
    none = [0] * len(texts)
    if place is not None:
        days = f"{CUT}: days are {place.key}'s, and times that name no zone UTC's" if timed else NO_TIMES
        return cut, Times(clocks, none, (days,), place)
    hours = {time.hour for time in timed}
    in_utc = len(timed) == len(texts) > 0 and all(time.offset == 0 for time in timed)
    known = sorted(hour for hour in hours if hour is not None)
    close = len(known) == 1 or (len(known) == 2 and known[1] - known[0] in (1, 23))
    one_time = {time.minute for time in timed} == {0} and close and len(known) == len(hours)
    if in_utc and one_time and hours != {0}:
        late = [int(time is not None and (time.hour or 0) >= 12) for time in clocks]
        shown = " or ".join(f"{hour:02}:00" for hour in known)
        return cut, Times(clocks, late, (f"always {shown} UTC: read as midnight of the local date",))
    several = None in hours or len({(time.hour, time.minute) for time in timed}) > 1
    days = ": all hours of UTC, so days are UTC's (--zone makes them a place's, such as Europe/Berlin)"
    return cut, Times(clocks, none, (CUT + (days if in_utc else ""),) if several else ())


def _shifted(found: Sequence[date | None], times: Times) -> pd.Series[pd.Timestamp]:
    moved = [None if day is None else day + timedelta(days=by) for day, by in zip(found, times.days, strict=True)]
    if (place := times.place) is not None:
        both = zip(found, times.clocks, strict=True)
        moved = [None if day is None else day_of(day, time, place) for day, time in both]
    return pd.to_datetime(pd.Series(moved, dtype=object), errors="coerce")


def _words(form: Form, times: Times) -> tuple[str, ...]:
    return tuple(filter(None, (form.name if form is not FORMS[0] else "", *times.words)))


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
