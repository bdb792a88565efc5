"""The console that a command prints to, :func:`say`, and options that say how a sales file is read, as typed."""

from __future__ import annotations

import io
import os
import sys

from rich.console import Console

from market.errors import UserError

WIDE = 150


class _Undisturbed(Console):
    """A console that goes quiet when its reader has gone (as with `| head`), so that files are still written."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def silent() -> Console:
    """Where nothing is shown."""
    return Console(file=io.StringIO(), quiet=True)


def terminal(undisturbed: bool = False) -> Console:
    """Where tables go: the terminal, or wide lines into a file; ``undisturbed`` by a reader that has gone."""
    kind = _Undisturbed if undisturbed else Console
    console = kind()
    return console if console.is_terminal else kind(width=max(console.width, WIDE))


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print a line as it is, however long."""
    console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)


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
