"""The progress bar of a training run: phase, speed and time left."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

REFRESH = 0.2


class TrainingBar:
    """Counts seller-periods; a context manager."""

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
        self._bar = Progress(*columns, console=console, refresh_per_second=5, speed_estimate_period=60)
        self._task = self._bar.add_task("train", total=budget, phase="", speed="")
        self._last_time, self._last_done, self._done = time.monotonic(), 0, 0

    def __enter__(self) -> TrainingBar:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def phase(self, name: str) -> None:
        """Name what goes on now."""
        self._bar.update(self._task, phase=name, refresh=True)
        self._last_time, self._last_done = time.monotonic(), self._done

    def advance_to(self, done: int) -> None:
        """Show that ``done`` seller-periods are behind us."""
        self._done, now = done, time.monotonic()
        if now - self._last_time < REFRESH:
            return
        speed = (done - self._last_done) / (now - self._last_time)
        self._bar.update(self._task, completed=done, speed=f"{speed / 1000:,.0f} thousand seller-periods/s")
        self._last_time, self._last_done = now, done
