"""What a user decides about the reading of a sales file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Span = Literal["day", "week", "month", "quarter"]
Missing = Literal["auto", "absent", "zero"]
Returns = Literal["net", "drop"]
DateOrder = Literal["dmy", "mdy", "month", "week"]


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
    add_up: bool = False
    prefix: str = "--"
