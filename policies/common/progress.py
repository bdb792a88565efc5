"""The progress of a training run: phase, speed and time left; a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

REFRESH = 0.2
LINES = 10


class RunBar(Protocol):
    """What a training run tells of its progress, as a context manager."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""

    def phase(self, name: str) -> None:
        """Name what goes on now."""

    def advance_to(self, done: int) -> None:
        """Show that ``done`` seller-periods are behind us."""


MakeBar = Callable[[Console, int], RunBar]


class TrainingBar:
    """Counts seller-periods; a context manager. Speed is that of learning, evaluations apart."""

    def __init__(self, console: Console, budget: int) -> None:
        columns = (
            TextColumn("{task.fields[phase]:<11}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._console, self._budget, self._lines = console, budget, not console.is_terminal
        self._bar = Progress(*columns, console=console, refresh_per_second=5, speed_estimate_period=60)
        self._task = self._bar.add_task("train", total=budget, phase="", speed="")
        self._begun = self._last_time = time.monotonic()
        self._last_done, self._done, self._speed, self._printed = 0, 0, "", 0
        self._first: int | None = None

    def __enter__(self) -> Self:
        if not self._lines:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._lines:
            self._bar.stop()

    def phase(self, name: str) -> None:
        """Name what goes on now."""
        if self._lines and self._done == 0:
            self._console.print(f"{name} ...", highlight=False)
        self._bar.update(self._task, phase=name, completed=self._done, refresh=not self._lines)
        self._last_time, self._last_done = time.monotonic(), self._done

    def advance_to(self, done: int) -> None:
        """Show that ``done`` seller-periods are behind us."""
        self._done, now = min(done, self._budget), time.monotonic()
        if self._first is None:  # a run that was resumed begins far on
            self._begin_at(self._done, now)
        finished = self._done == self._budget
        span = now - self._last_time
        if span < REFRESH and not finished:
            return
        if span >= REFRESH or not self._speed:
            self._speed = f"{(self._done - self._last_done) / max(span, 1e-9) / 1000:,.1f} thousand seller-periods/s"
        self._bar.update(self._task, completed=self._done, speed=self._speed)
        self._last_time, self._last_done = now, self._done
        if self._lines and self._done * LINES // self._budget > self._printed:
            self._printed = self._done * LINES // self._budget
            self._line(now - self._begun)

    def _begin_at(self, done: int, now: float) -> None:
        self._first, self._begun, self._printed = done, now, done * LINES // self._budget

    def _line(self, elapsed: float) -> None:
        left = elapsed * (self._budget - self._done) / max(self._done - (self._first or 0), 1)
        text = f"learning {self._done / self._budget:4.0%}   {self._speed}   {elapsed:.0f} s, about {left:.0f} s left"
        self._console.print(text, highlight=False)


@contextmanager
def progress(
    console: Console, title: str, total: int | None = None, unit: str = "episodes"
) -> Iterator[Callable[[str, int], None]]:
    """What an evaluation does now and how many episodes have been played; the title alone off a terminal.

    With a ``total`` of episodes also how many are left, and for how long. ``unit``: what is counted instead of them.
    """
    if not console.is_terminal:
        console.print(f"{title} ...", highlight=False)
    columns: list[ProgressColumn] = [SpinnerColumn(), TextColumn("{task.description}")]
    columns += [TextColumn(f"{{task.completed}} {unit}")] if total is None else [BarColumn(), MofNCompleteColumn()]
    columns += [TimeElapsedColumn()] if total is None else [TextColumn(f"{unit}, left"), TimeRemainingColumn()]
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)

        def tick(text: str, episodes: int) -> None:
            bar.update(task, advance=episodes, description=f"{title}: {text}")

        yield tick


@contextmanager
def phases(console: Console, title: str) -> Iterator[Callable[[str], None]]:
    """What a command that goes through phases does now, and for how long it has; a line a phase off a terminal."""
    columns = [SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()]
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)

        def say(phase: str) -> None:
            bar.update(task, description=f"{title}: {phase}")
            if not console.is_terminal:
                console.print(f"{title}: {phase} ...", highlight=False, markup=False)

        yield say
