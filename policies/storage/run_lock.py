"""One process at a time trains a run."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from market.errors import Refusal
from policies.storage.training_state import FOLDER

NAME = "lock"


@contextmanager
def locked(run: Path, inside: str = FOLDER) -> Iterator[None]:
    """Hold the lock of a run, or of several, which the system lets go when the process ends, however it ends.

    ``inside``: the folder in the run's in which the lock lies. Raises :class:`Refusal` that names the process when another one holds it.
    """
    (run / inside).mkdir(exist_ok=True)
    with open(run / inside / NAME, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise Refusal(f"{run}: another process (number {holder}) is training this run; wait or end it") from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def wait_until_free(run: Path, patience: float) -> None:
    """Wait until no process holds the run's lock, at most ``patience`` seconds: one that was killed may be ending."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        with suppress(Refusal), locked(run):
            return
        time.sleep(0.1)
