"""The progress of several training runs at once: a bar a seed on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

LINES = 10


class SeedsBar:
    """Counts the seller-periods of all seeds; a context manager."""

    def __init__(self, console: Console, seeds: Sequence[int], budget: int) -> None:
        columns = (
            TextColumn("{task.description:<8}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
        )
        self._console, self._lines = console, not console.is_terminal
        self._bar = Progress(*columns, console=console, refresh_per_second=5, disable=self._lines)
        self._rows = {seed: self._bar.add_task(f"seed {seed}", total=budget, text="waiting") for seed in seeds}
        self._whole = self._bar.add_task("all", total=budget * len(seeds), text="")
        self._budget, self._done = budget, dict.fromkeys(seeds, 0)
        self._begun, self._printed = time.monotonic(), 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def moved(self, seed: int, done: int, phase: str) -> None:
        """A seed has come so far."""
        self._done[seed] = min(done, self._budget)
        self._bar.update(self._rows[seed], completed=self._done[seed], text=phase)
        self._show()

    def ended(self, seed: int, how: str) -> None:
        """A seed's run is over, finished or not."""
        self._done[seed] = self._budget
        self._bar.update(self._rows[seed], completed=self._budget, text=how)
        if self._lines:
            self._console.print(f"seed {seed}: {how}", highlight=False, markup=False)
        self._show()

    def _show(self) -> None:
        done, whole = sum(self._done.values()), self._budget * len(self._done)
        elapsed = max(time.monotonic() - self._begun, 1e-9)
        speed = f"{done / elapsed / 1000:,.1f} thousand seller-periods/s"
        left = f"about {elapsed * (whole - done) / done:.0f} s left" if done else ""
        self._bar.update(self._whole, completed=done, text=f"{speed}, {left}")
        if self._lines and done * LINES // whole > self._printed:
            self._printed = done * LINES // whole
            text = f"training {done / whole:4.0%}   {speed}   {elapsed:.0f} s, {left}"
            self._console.print(text, highlight=False)
