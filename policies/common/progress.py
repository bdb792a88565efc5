"""How far a command has come: what it does, speed and time left; rows on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Rows

from policies.common.console import at_work, still_at_work

REFRESH = 0.2
LINES = 10


class RunBar(Protocol):
    """What a training run tells of its progress, as a context manager."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, *error: object) -> None:
        """End."""

    def phase(self, name: str) -> None:
        """Name what goes on now."""

    def advance_to(self, done: int) -> None:
        """Show that ``done`` seller-periods are behind us."""


MakeBar = Callable[[Console, int], RunBar]
Tick = Callable[[str, int], None]  # told what goes on, and so many more episodes


def unseen(text: str, episodes: int) -> None:
    """A tick that shows nothing."""


class Progress:
    """What a command is at: a row a task on a terminal, elsewhere a line now and then. A context manager.

    Args:
        lines: off a terminal, so many lines of a task at most.
        transient: whether the rows go when the work is done.
        clock: whether rows end with rich's own estimate of what is left, and not with what :meth:`Task.show` is told.
    """

    def __init__(self, console: Console, lines: int = LINES, transient: bool = True, clock: bool = False) -> None:
        columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}")]
        left = [TextColumn("left"), TimeRemainingColumn()] if clock else [TextColumn("{task.fields[left]}")]
        self.console, self.lines, self.plain = console, lines, not console.is_terminal
        self.rows = Rows(
            *columns,
            TimeElapsedColumn(),
            *left,
            console=console,
            transient=transient,
            refresh_per_second=5,
            speed_estimate_period=60,
            disable=self.plain,
        )

    def __enter__(self) -> Self:
        self.rows.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.rows.stop()

    def say(self, text: str) -> None:
        """Print a line where no terminal shows the rows: one that ends in dots says what goes on from here."""
        if self.plain:
            with nullcontext() if text.endswith("...") else still_at_work(self.console):
                self.console.print(text, highlight=False, markup=False)


class Task:
    """A row: ``total`` units of work, of which ``there`` were done before."""

    def __init__(self, bar: Progress, name: str = "", total: float = 1.0, there: float = 0, text: str = "") -> None:
        self.bar, self.total = bar, total
        self._row = bar.rows.add_task(name, total=total, completed=int(there), text=text, left="")
        self.count_from(there)

    def count_from(self, there: float) -> None:
        """Pace and lines count from here on."""
        self.there, self.begun, self._printed = there, time.monotonic(), 0

    def restart(self, name: str, total: float, text: str = "") -> None:
        """Have the row show other work."""
        self.total = max(total, 1e-9)
        self.bar.rows.reset(self._row, description=name, total=self.total, text=text)
        self.count_from(0)

    @property
    def seconds(self) -> float:
        """Since work began."""
        return max(time.monotonic() - self.begun, 1e-9)

    def left(self, done: float) -> str:
        """For how long the rest takes at the pace so far."""
        new = done - self.there
        return f"about {self.seconds * (self.total - done) / new:.0f} s left" if new > 0 else ""

    def show(self, done: float, line: str = "", **shown: Any) -> None:
        """So much is ``done``.

        Args:
            line: what is printed, with the time, where another share of the work is done and no terminal shows it.
            shown: the row's new ``description``, ``text`` and ``left``; ``refresh``: show it at once.
        """
        self.bar.rows.update(self._row, completed=done, **shown)
        if line:
            at_work(self.bar.console, line, self.begun)
        share = int((min(done, self.total) - self.there) * self.bar.lines // max(self.total - self.there, 1e-9))
        if line and share > self._printed:
            self._printed = share
            self.bar.say(f"{line}   {self.seconds:.0f} s, {self.left(min(done, self.total))}")


def thousands(per_second: float) -> str:
    """A speed in words."""
    return f"{per_second / 1000:,.1f} thousand seller-periods/s"


class TrainingBar(Progress):
    """Counts seller-periods. Speed is that of learning, evaluations apart."""

    def __init__(self, console: Console, budget: int) -> None:
        super().__init__(console, transient=False, clock=True)
        self.task = Task(self, total=budget)
        self._done, self._phase, self._speed, self._begun = 0, "", "", False
        self._last_time, self._last_done = time.monotonic(), 0

    def phase(self, name: str) -> None:
        """Name what goes on now."""
        self._phase = name
        if self._done == 0:
            self.say(f"{name} ...")
        at_work(self.console, name, time.monotonic())
        self._show()

    def advance_to(self, done: int) -> None:
        """Show that ``done`` seller-periods are behind us."""
        self._done = min(done, int(self.task.total))
        if not self._begun:  # a run that was resumed begins far on
            self._begun = True
            self.task.count_from(self._done)
        span = time.monotonic() - self._last_time
        if span < REFRESH and self._done < self.task.total:
            return
        if span >= REFRESH or not self._speed:
            self._speed = thousands((self._done - self._last_done) / max(span, 1e-9))
        self._show(f"learning {self._done / self.task.total:4.0%}   {self._speed}")

    def _show(self, line: str = "") -> None:
        text = f"{self._done / self.task.total:4.0%} {self._speed}"
        self.task.show(self._done, line, description=f"{self._phase:<11}", text=text, refresh=not line)
        self._last_time, self._last_done = time.monotonic(), self._done


class CellsBar(Progress):
    """Counts the cells of a tournament, ``there`` of which were played before, each of so many seller-``periods``."""

    def __init__(self, console: Console, cells: int, there: int, periods: int) -> None:
        super().__init__(console)
        self._task = Task(self, "playing", cells, there, f"{there} of {cells} cells")
        self._cells, self._done, self._periods = cells, there, periods
        self.say(f"playing {cells - there} cells ...")

    def finished(self, line_up: Any) -> None:
        """One more cell is done."""
        self._done += 1
        speed = (self._done - self._task.there) * self._periods / self._task.seconds
        fast = f"{speed / 1e6:,.1f} million seller-periods/s" if speed >= 1e6 else thousands(speed)
        text = f"{self._done} of {self._cells} cells"
        self._task.show(self._done, f"{text}   {fast}", text=f"{text} {fast}", left=self._task.left(self._done))


@contextmanager
def progress(console: Console, title: str, total: int | None = None, unit: str = "episodes") -> Iterator[Tick]:
    """What an evaluation does now and how many episodes have been played; the title alone off a terminal.

    With a ``total`` of episodes also how many are left, and for how long. ``unit``: what is counted instead of them.
    """
    if not console.is_terminal:
        console.print(f"{title} ...", highlight=False)
    columns: list[ProgressColumn] = [SpinnerColumn(), TextColumn("{task.description}")]
    columns += [TextColumn(f"{{task.completed}} {unit}")] if total is None else [BarColumn(), MofNCompleteColumn()]
    columns += [TimeElapsedColumn()] if total is None else [TextColumn(f"{unit}, left"), TimeRemainingColumn()]
    with Rows(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task, begun = bar.add_task(title, total=total), time.monotonic()

        def tick(text: str, episodes: int) -> None:
            bar.update(task, advance=episodes, description=f"{title}: {text}")
            at_work(console, f"{title}: {text}, {bar.tasks[0].completed:,.0f} {unit}", begun)

        yield tick


@contextmanager
def phases(console: Console, title: str, lines: bool = True) -> Iterator[Callable[[str], None]]:
    """What a command that goes through phases does now, and for how long it has.

    Off a terminal a line a phase; without ``lines`` the title alone.
    """
    if not (lines or console.is_terminal):
        console.print(f"{title} ...", highlight=False)
    columns = [SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()]
    with Rows(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)

        def say(phase: str) -> None:
            bar.update(task, description=f"{title}: {phase}")
            at_work(console, f"{title}: {phase}", time.monotonic())
            if lines and not console.is_terminal:
                console.print(f"{title}: {phase} ...", highlight=False, markup=False)

        yield say
