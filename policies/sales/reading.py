"""How a sales file is read, as typed: ``--columns``, ``--where`` and ``--periods`` as :func:`read_sales` takes them."""

from __future__ import annotations

from market.errors import UserError
from market.salesfile.table import no_column


def columns_option(text: str) -> dict[str, str]:
    """``period=week,seller=brand`` as a mapping of Bazaar's names to the file's."""
    found: dict[str, str] = {}
    for item in text.split(","):
        ours, equals, theirs = (part.strip() for part in item.partition("="))
        if not (ours and equals and theirs):
            raise UserError(f"--columns: {item.strip()!r} must be NAME=COLUMN, such as period=week")
        if (problem := no_column(ours)) is not None:
            raise UserError(f"--columns: {problem}")
        if ours in found:
            raise UserError(f"--columns: {ours} is given twice")
        found[ours] = theirs
    return found


def where_option(items: tuple[str, ...]) -> dict[str, str]:
    """``("category=YOGURT",)`` as a mapping."""
    found = {}
    for item in items:
        column, equals, value = (part.strip() for part in item.partition("="))
        if not (column and equals and value):
            raise UserError(f"--where {item}: must be COLUMN=VALUE, such as category=YOGURT")
        if column in found:
            raise UserError(f"--where {column}: is given twice")
        found[column] = value
    return found


def periods_option(text: str | None) -> tuple[str | None, str | None]:
    """``2:52`` as its two ends; one may be left out."""
    if text is None:
        return None, None
    first, colon, last = (part.strip() for part in text.partition(":"))
    if not colon or not (first or last):
        raise UserError(f"--periods {text}: must be FIRST:LAST, such as 2:52 or 1991-01-01:")
    return first or None, last or None
