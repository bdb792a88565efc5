"""One process at a time trains a run."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from market.errors import Refusal
from policies.run_state import FOLDER

NAME = "lock"


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold the run's lock, which the system lets go when the process ends, however it ends.

    Raises :class:`Refusal` that names the process when another one holds it.
    """
    (run / FOLDER).mkdir(exist_ok=True)
    with open(run / FOLDER / NAME, "a+", encoding="utf-8") as file:
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
