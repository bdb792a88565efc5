"""Which engine carries out parallel tasks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from policies.engine import Engine, Here
from policies.engine_local import Local


@contextmanager
def open_engine(processes: int) -> Iterator[Engine]:
    """An engine with so many processes, which end with it; one process is this one."""
    if processes == 1:
        yield Here()
        return
    engine = Local(processes)
    try:
        yield engine
    finally:
        engine.close()
