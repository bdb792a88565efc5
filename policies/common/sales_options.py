"""Options that say how a sales file is read, as they stand on the command line."""

from __future__ import annotations

from market.errors import Refusal


def where_option(items: tuple[str, ...]) -> dict[str, str]:
    """``("category=YOGURT",)`` as a mapping."""
    found = {}
    for item in items:
        column, equals, value = (part.strip() for part in item.partition("="))
        if not (column and equals and value):
            raise Refusal(f"--where {item}: must be COLUMN=VALUE, such as category=YOGURT")
        if column in found:
            raise Refusal(f"--where {column}: is given twice")
        found[column] = value
    return found


def periods_option(text: str | None) -> tuple[str | None, str | None]:
    """``2:52`` as its two ends; one may be left out."""
    if text is None:
        return None, None
    first, colon, last = (part.strip() for part in text.partition(":"))
    if not colon or not (first or last):
        raise Refusal(f"--periods {text}: must be FIRST:LAST, such as 2:52 or 1991-01-01:")
    return first or None, last or None
