"""The console that a command prints to, which is never silent for long, and :func:`say`."""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

WIDE = 150
PAUSE = 4.0  # seconds without a word, after which :func:`never_silent` says what goes on
GROWS = 0.01  # of the time since the command began: a day's work is told of a thousand times, not twenty thousand


class Terminal(Console):
    """A console whose reader may go (as with `| head`), which ends the command as its own output would.

    ``heard``: when it last printed. ``doing``: what goes on since ``since``, in words: a line that ends in dots says so.
    ``waiting``: for others, who may come or not, so that silence needs no word.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.heard = self.since = time.monotonic()
        self.doing = "starting"
        self.waiting = False

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich does it."""
        self.heard = time.monotonic()
        if objects and isinstance(objects[0], str | Text):
            text = str(objects[0]).rstrip()
            self.doing, self.since = text.removesuffix("...").rstrip() if text.endswith("...") else "", self.heard
        super().print(*objects, **options)

    def aside(self, text: str, style: str | None = None) -> None:
        """Print a line that changes nothing about what goes on, beside what is found where that goes into a file or pipe."""
        self.heard = time.monotonic()
        if self.is_terminal or self.file is not sys.stdout:
            super().print(text, style=style, highlight=False, markup=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def waits(console: Console) -> None:
    """From here on the command waits for others."""
    if isinstance(console, Terminal):
        console.waiting = True


class _Undisturbed(Terminal):
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


def terminal(undisturbed: bool = False) -> Terminal:
    """Where tables go: the terminal, or lines into a file, as wide as COLUMNS says, else wide ones.

    ``undisturbed`` by a reader that has gone.
    """
    kind = _Undisturbed if undisturbed else Terminal
    console = kind()
    return console if console.is_terminal or "COLUMNS" in os.environ else kind(width=WIDE)


def at_work(console: Console, text: str, since: float) -> None:
    """What goes on ``since`` a moment of the monotonic clock, where it needs no line of its own."""
    if isinstance(console, Terminal):
        console.doing, console.since = text, since


@contextmanager
def still_at_work(console: Console) -> Iterator[None]:
    """What is printed meanwhile says nothing of what goes on after it."""
    going_on = (console.doing, console.since) if isinstance(console, Terminal) else None
    yield
    if going_on:
        at_work(console, *going_on)


@contextmanager
def never_silent(console: Terminal) -> Iterator[None]:
    """Say what goes on, and for how long it has, whenever nothing has been printed for a while."""
    ended, begun = threading.Event(), time.monotonic()

    def watch() -> None:
        while not ended.wait(PAUSE / 16):
            now = time.monotonic()
            if not console.waiting and now - console.heard >= max(PAUSE, GROWS * (now - begun)):
                try:
                    spent = f" ... {now - console.since:.0f} s"
                    console.aside(_end(console.doing or "at work", console.width - len(spent)) + spent, "dim")
                except (OSError, ValueError):  # nobody reads: whoever prints next finds out
                    return

    watcher = threading.Thread(target=watch, name="never silent", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _end(text: str, most: int) -> str:
    """A text's end, which says more than its beginning about what goes on now."""
    return text if len(text) <= most else f"…{text[1 - most :]}"


class Announcements(logging.Handler):
    """What the packages log under ``bazaar``, such as that something is compiled, printed on a console."""

    def __init__(self, console: Terminal) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print it."""
        self._console.aside(record.getMessage())


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print a line as it is, however long."""
    console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)


def say_onward(console: Console, *parts: str, style: str | None = None) -> None:
    """Say where things are and what to type next, beside one another where there is room: none of it is broken."""
    beside = "   ".join(parts)
    say(console, beside if cell_len(beside) <= console.width else "\n".join(parts), style)
