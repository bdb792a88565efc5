"""Which files a run has written events and metrics to, and how far: what lies behind a checkpoint can be cut off.

TensorBoard shows a step twice that is written twice, so a run that goes on from a checkpoint must take back what it
wrote after it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from market.errors import Refusal
from policies.common import files as disk

EVENTS = "events.out.tfevents"
METRICS = "metrics.csv"
CLOCK = 2.0  # seconds waited at most for a file's name to come after those that are there


class WrittenFiles:
    """The event files of a run and its metrics.csv, by their paths in the run's folder."""

    def __init__(self, run: Path) -> None:
        self.run = run

    def present(self) -> dict[str, Path]:
        """The files that there are."""
        found = [*self.run.glob(f"{EVENTS}.*"), *self.run.glob(f"seller_*/{EVENTS}.*"), *self.run.glob(METRICS)]
        return {path.relative_to(self.run).as_posix(): path for path in sorted(found)}

    def sizes(self) -> dict[str, int]:
        """How many bytes of each file there are; all of them have reached the disk."""
        found = self.present()
        for path in found.values():
            with disk.writing(path):
                disk.sync(path)
        return {name: path.stat().st_size for name, path in found.items()}

    def cut(self, sizes: Mapping[str, int]) -> None:
        """Cut files back to the sizes they had, and remove those that were not there.

        Raises :class:`Refusal` for a file that is missing, or shorter than it was.
        """
        present = self.present()
        for name, size in sizes.items():
            if name not in present or present[name].stat().st_size < size:
                raise Refusal(f"{self.run / name}: is missing or shorter than it was at the run's last checkpoint")
        for name, path in present.items():
            with disk.writing(path):
                if name in sizes:
                    os.truncate(path, sizes[name])
                else:
                    path.unlink()
        self._wait([Path(name).name for name in sizes])

    def _wait(self, names: list[str]) -> None:
        """Until new event files, named by the second, come after those that are there: they are read in that order."""
        seconds = [int(name.split(".")[3]) for name in names if name.startswith(EVENTS)]
        until = time.monotonic() + CLOCK
        while seconds and int(time.time()) <= max(seconds) and time.monotonic() < until:
            time.sleep(0.05)


@contextmanager
def muted_writer_threads() -> Iterator[None]:
    """TensorBoard's writer threads print no traceback within: what they meet is raised again where it matters."""
    before = threading.excepthook

    def hook(given: Any) -> None:
        if not (isinstance(given.exc_value, OSError) and "event_file_writer" in type(given.thread).__module__):
            before(given)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before
