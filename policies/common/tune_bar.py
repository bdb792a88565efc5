"""The progress of a search: trials done, the best so far, time left; a bar on a terminal, a line a trial elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


class TrialsBar:
    """Counts rungs; a context manager.

    Args:
        trials: of the whole study.
        there: how many of them ended before.
        rungs: evaluations of a trial that is not pruned.
        best: the highest value so far, if any.
    """

    def __init__(self, console: Console, trials: int, there: int, rungs: int, best: float | None) -> None:
        columns = (
            TextColumn("tuning"),
            BarColumn(),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self._console, self._trials, self._there, self._rungs, self._best = console, trials, there, rungs, best
        self._lines = not console.is_terminal
        self._bar = Progress(*columns, console=console, transient=True, refresh_per_second=5, disable=self._lines)
        self._task = self._bar.add_task("trials", total=trials * rungs, text="", left="")
        self._begun, self._done, self._at = time.monotonic(), there, dict[int, int]()
        self._show()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def moved(self, trial: int, rung: int) -> None:
        """A trial has reached a rung."""
        self._at[trial] = rung
        self._show()

    def finished(self, trial: int, outcome: dict[str, Any]) -> None:
        """A trial has ended."""
        self._at.pop(trial, None)
        self._done += 1
        if not outcome["pruned"]:
            self._best = max(outcome["rungs"][-1], -2.0 if self._best is None else self._best)
        self._show()
        if self._lines:
            how = "refused" if outcome.get("refused") else "pruned" if outcome["pruned"] else "done"
            value = f" {outcome['rungs'][-1]:+.2%}" if outcome["rungs"] else ""
            self._console.print(f"trial {trial} {how}{value}   {self._text()}   {self._left()}", highlight=False)

    def _show(self) -> None:
        whole = self._done * self._rungs + sum(self._at.values())
        self._bar.update(self._task, completed=whole, text=self._text(), left=self._left())

    def _text(self) -> str:
        best = "" if self._best is None else f", best {self._best:+.2%}"
        return f"{self._done} of {self._trials} trials{best}"

    def _left(self) -> str:
        """From the trials of this call: a pruned one counts as a whole one, as others will be pruned too."""
        new = self._done - self._there + sum(self._at.values()) / self._rungs
        if new == 0:
            return ""
        elapsed = time.monotonic() - self._begun
        return f"about {elapsed / new * (self._trials - self._there - new):.0f} s left"
