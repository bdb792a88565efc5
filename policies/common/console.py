"""The console that a command prints to, and :func:`say`."""

from __future__ import annotations

import io
import os
import sys

from rich.console import Console

WIDE = 150


class _Terminal(Console):
    """A console whose reader may go (as with `| head`), which ends the command as its own output would."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class _Undisturbed(Console):
    """A console that goes quiet when its reader has gone, so that files are still written."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        nobody_reads()


def nobody_reads() -> None:
    """What Python would still flush goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def silent() -> Console:
    """Where nothing is shown."""
    return Console(file=io.StringIO(), quiet=True)


def terminal(undisturbed: bool = False) -> Console:
    """Where tables go: the terminal, or wide lines into a file; ``undisturbed`` by a reader that has gone."""
    kind = _Undisturbed if undisturbed else _Terminal
    console = kind()
    return console if console.is_terminal else kind(width=max(console.width, WIDE))


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print a line as it is, however long."""
    console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)
