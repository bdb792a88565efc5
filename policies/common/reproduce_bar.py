"""Progress of `bazaar reproduce`: phase, speed, time left; a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LINES = 5


class PhaseBar:
    """One phase after another, each with a total of its own; a context manager."""

    def __init__(self, console: Console) -> None:
        self._console, self._quiet = console, not console.is_terminal
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=console, transient=True, refresh_per_second=5)
        self._task = self._bar.add_task("", total=None, text="")
        self._name, self._total, self._begun, self._printed = "", 1.0, 0.0, 0

    def __enter__(self) -> Self:
        if not self._quiet:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._quiet:
            self._bar.stop()

    def phase(self, name: str, total: float) -> None:
        """Begin a phase of ``total`` units of work."""
        self._name, self._total, self._begun, self._printed = name, max(total, 1e-9), time.monotonic(), 0
        if self._quiet:
            self._console.print(f"{name} ...", highlight=False)
        else:
            self._bar.reset(self._task, description=name, total=self._total, text="")

    @property
    def seconds(self) -> float:
        """Since the phase began."""
        return max(time.monotonic() - self._begun, 1e-9)

    def show(self, done: float, text: str) -> None:
        """``done`` units of the phase's work are behind us; ``text`` says the speed."""
        if not self._quiet:
            self._bar.update(self._task, completed=done, text=text)
            return
        share = min(done / self._total, 1.0)
        if int(share * LINES) > self._printed:
            self._printed = int(share * LINES)
            left = self.seconds * (1.0 - share) / share
            line = f"{self._name} {share:4.0%}   {text}   {self.seconds:.0f} s, about {left:.0f} s left"
            self._console.print(line, highlight=False)
