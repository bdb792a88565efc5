"""The progress of a tournament: cells done, speed and time left; a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

LINES = 10


class CellsBar:
    """Counts cells; a context manager.

    Args:
        cells: of the whole tournament.
        there: how many of them were finished before.
        periods: seller-periods in a cell.
    """

    def __init__(self, console: Console, cells: int, there: int, periods: int) -> None:
        columns = (
            TextColumn("playing"),
            BarColumn(),
            TextColumn("{task.completed} of {task.total} cells"),
            TextColumn("{task.fields[speed]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self._console, self._cells, self._there, self._periods = console, cells, there, periods
        self._lines = not console.is_terminal
        self._bar = Progress(*columns, console=console, transient=True, refresh_per_second=5, disable=self._lines)
        self._task = self._bar.add_task("cells", total=cells, completed=there, speed="", left="")
        self._begun, self._done, self._printed = time.monotonic(), there, 0

    def __enter__(self) -> Self:
        if self._lines:
            self._console.print(f"playing {self._cells - self._there} cells ...", highlight=False)
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def finished(self, line_up: Any) -> None:
        """One more cell is done."""
        self._done += 1
        elapsed, new = time.monotonic() - self._begun, self._done - self._there
        speed = f"{new * self._periods / max(elapsed, 1e-9) / 1e6:,.1f} million seller-periods/s"
        left = f"about {elapsed / new * (self._cells - self._done):.0f} s left"
        self._bar.update(self._task, completed=self._done, speed=speed, left=left)
        share = new * LINES // (self._cells - self._there)
        if self._lines and share > self._printed:
            self._printed = share
            text = f"{self._done} of {self._cells} cells   {speed}   {elapsed:.0f} s, {left}"
            self._console.print(text, highlight=False)
