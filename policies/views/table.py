"""Tables whose columns are policies: names broken over lines, and as many beside one another as the terminal takes."""

from __future__ import annotations

from collections.abc import Sequence

GAP = 3  # padding and divider of a rich table's column


def heading(name: str) -> str:
    """A policy's name over several lines, broken before each ``+`` and ``(``.

    ``nash+base_stock(level=best)`` stands in three lines and takes 12 characters.
    """
    return name.replace("+", "\n+").replace(" (", "\n(").replace("(level", "\n(level")


def width(column: Sequence[str]) -> int:
    """Characters that a column takes, of its head and cells."""
    return max(len(line) for text in column for line in text.split("\n")) + GAP


def fitting(columns: Sequence[Sequence[str]], room: int, least: int = 1) -> int:
    """How many columns, from the first on, fit into ``room`` characters; at least ``least``."""
    taken, count = 1, 0
    for column in columns:
        taken += width(column)
        if taken > room:
            break
        count += 1
    return max(count, min(least, len(columns)))


def groups(columns: Sequence[Sequence[str]], room: int) -> list[range]:
    """The columns in as many tables as it takes for each to fit into ``room`` characters."""
    found, start = [], 0
    while start < len(columns):
        count = fitting(columns[start:], room)
        found.append(range(start, start + count))
        start += count
    return found
