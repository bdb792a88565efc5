"""Times of day behind dates, and the day that a place has then."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from typing import NamedTuple
from zoneinfo import ZoneInfo

TIME = re.compile(
    r"(.*\d)(?:T|,?\s+)(\d{1,2}|hh):(\d{2}|mm)(?::\d{2}(?:[.,]\d+)?)?\s*([AaPp]\.?[Mm]\.?)?(?:\s*(?:Uhr|h))?"
    r"\s*((?:Z|UTC|GMT)?(?:[+-]\d{1,2}(?::?\d{2})?)?|[A-Z]{3,5})(?:\[[\w/+\-]+\])?"
)
PLAIN = re.compile(r"(\S*\d)[T ]\d{1,2}:\d\d(?::\d\d)?(?:\.\d+)?(Z?)")  # what millions of receipts have, read fast
OFFSET = re.compile(r"(?:Z|UTC|GMT)?(?:([+-])(\d{1,2}):?(\d{2})?)?")
QUARTER = 15  # minutes: every place is a whole number of them off UTC


class Clock(NamedTuple):
    """A text taken apart: its date, hour and minute (None: cut already), and how its zone is written."""

    date: str
    hour: int | None
    minute: int
    zone: str

    @property
    def offset(self) -> int | None:
        """Minutes before UTC; None where nobody says."""
        match = OFFSET.fullmatch(self.zone)
        if match is None or not self.zone:
            return None
        minutes = 60 * int(match.group(2) or 0) + int(match.group(3) or 0)
        return -minutes if match.group(1) == "-" else minutes


def clock(text: str) -> Clock | None:
    """A date and time taken apart; None where there is no time. ``2023-01-02 10:30 PM PST``: 22 and 30, in PST."""
    match = TIME.fullmatch(text)
    if match is None:
        return None
    day, hours, minutes, half, zone = match.groups()
    if hours == "hh" or minutes == "mm":
        return Clock(day, None, 0, zone)
    hour = int(hours) % 12 + 12 * (half[0] in "pP") if half else int(hours)
    return Clock(day, hour, int(minutes), zone)


def coarser(text: str, quarters: bool) -> str:
    """A text whose time of day is cut, or cut to quarters of an hour: of very many times nobody needs to know which."""
    if not quarters and (match := PLAIN.fullmatch(text)) is not None:
        return f"{match[1]} hh:mm{match[2]}"
    time = clock(text)
    if time is None:
        return text
    if not quarters or time.hour is None:
        return f"{time.date} hh:mm{time.zone}"
    return f"{time.date} {time.hour:02}:{time.minute // QUARTER * QUARTER:02}{time.zone}"


def day_of(day: date, time: Clock | None, place: ZoneInfo) -> date:
    """The day that ``place`` has at a time, which is UTC's where it names no zone."""
    if time is None or time.hour is None or (time.zone and time.offset is None):
        return day
    there = datetime(day.year, day.month, day.day, tzinfo=timezone(timedelta(minutes=time.offset or 0)))
    return (there + timedelta(hours=time.hour, minutes=time.minute)).astimezone(place).date()
