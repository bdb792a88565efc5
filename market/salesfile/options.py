"""What a user decides about the reading of a sales file."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from zoneinfo import ZoneInfo

Span = Literal["day", "week", "month", "quarter"]
Missing = Literal["auto", "absent", "zero"]
Returns = Literal["net", "drop"]
DateOrder = Literal["dmy", "mdy", "month", "week"]


def known_zone(name: str) -> str:
    """A place's name; raise :class:`ValueError` with the rule where IANA has none of that name."""
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError):  # such as a folder of zones
        raise ValueError(f"must be a place as IANA calls it, such as Europe/Berlin or UTC, got {name!r}") from None


def known_encoding(name: str) -> str:
    """An encoding's name; raise :class:`ValueError` with the rule where Python has none of text of that name."""
    try:
        "a".encode(name)
    except (LookupError, ValueError, UnicodeError):
        raise ValueError(
            f"must be an encoding of text such as cp850, cp437, mac_roman or utf-8, got {name!r}"
        ) from None
    return codecs.lookup(name).name


@dataclass(frozen=True)
class ReadingOptions:
    """How a sales file is read.

    Args:
        columns: Bazaar's column names to those of the file.
        where: keep only rows with these values in these columns of the file.
        periods: keep only periods from the first to the second, both included; None is open.
        period: what a period is to be, where the file's are shorter; None: what they are.
        missing: whether a seller without a row in a period was absent, or there and sold nothing; ``auto``: as the file
            looks (:func:`market.salesfile.rows.fill_missing`).
        returns: rows of negative units are taken off what was sold, or dropped.
        decimal: the mark before decimals; None: told by the file.
        dates: how dates that can be read in two ways are meant; None: told by the file.
        zone: the place whose days count, as IANA calls it, where times name a zone or are UTC's; None: days as written.
        encoding: of text, as Python calls it; None: told by the file.
        add_up: several rows of a seller in a period are parts of its sales, whatever tells them apart.
        prefix: what stands before an option's name in messages.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    periods: tuple[str | None, str | None] = (None, None)
    period: Span | None = None
    missing: Missing = "auto"
    returns: Returns = "net"
    decimal: Literal[".", ","] | None = None
    dates: DateOrder | None = None
    zone: str | None = None
    encoding: str | None = None
    add_up: bool = False
    prefix: str = "--"
