"""Training seeds, tuning trials and tournament cells side by side: in this process, in others, or on Ray.

:func:`open_engine` is the one door: it gives an :class:`Engine`, which carries out tasks and tells a :class:`Listener`
what they :data:`Say` and how they end. ``tasks`` says what a task is, ``local`` and ``ray`` carry it out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from policies.common.parallel.local import Local
from policies.common.parallel.tasks import Engine, Here, Listener, Lost, Say, cores

__all__ = ["Engine", "Listener", "Lost", "Say", "open_engine"]


@contextmanager
def open_engine(processes: int | None, tasks: int, ray: str | None = None) -> Iterator[Engine]:
    """An engine for so many tasks at a time; its processes end with it.

    Args:
        processes: how many (default: this machine's cores, or all that Ray has); one process is this one.
        ray: ``auto``, or the address of a Ray; None: processes of this machine.
    """
    if ray is not None:
        from policies.common.parallel.ray import open_ray

        with open_ray(ray, processes) as engine:
            yield engine
        return
    wanted = min(processes or cores(), tasks)
    if wanted == 1:
        yield Here()
        return
    local = Local(wanted)
    try:
        yield local
    finally:
        local.close()
