"""One engine for parallel tasks: training seeds, tuning trials, tournament cells.

A task is plain data; the work on it is a module's function ``work(shared, task, say)``. What is the same for all tasks
is sent once as ``shared``. While it works it may ``say`` how far it has come, or ask for something, which waits for the
answer: whether to go on, or what was asked for. What it returns is the task's result. Results travel through the
engine, never through files that both sides must see. A task whose process is ended from outside is begun again, so
work must be a pure function of its task, or find what was done of it and go on to the same end.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from market.errors import UserError
from policies.common.interrupt import raise_swallowed

Say = Callable[[Any], Any]
Job = Callable[[Any, Any, Say], Any]

RETRIES = 3


class Listener:
    """What the one who asked hears, by the task's number; methods are called in the asking thread, one at a time."""

    def said(self, task: int, what: Any) -> Any:
        """A task says how far it has come (perhaps again after a retry), and hears what is returned.

        False asks it to end early.
        """
        return True

    def finished(self, task: int, result: Any) -> None:
        """A task is done."""

    def refused(self, task: int, problem: UserError) -> None:
        """A task cannot be done: its work raised :class:`UserError`. Raises it, so that everything stops."""
        raise problem


class Engine(Protocol):
    """Carries out tasks. ``remote``: perhaps where the files of the one who asks cannot be seen."""

    remote: bool

    def run(self, work: Job, shared: Any, tasks: Sequence[Any], listener: Listener) -> None:
        """Carry out all tasks, in whatever order; returns when the last is done.

        Raises:
            UserError: of the listener, or a task's process was ended from outside more than ``RETRIES`` times.
            RuntimeError: a task's work failed, with its traceback.
        """


class Here:
    """Carries out tasks in this process, one after another."""

    remote = False

    def run(self, work: Job, shared: Any, tasks: Sequence[Any], listener: Listener) -> None:
        """See :class:`Engine`."""
        for number, task in enumerate(tasks):
            try:
                result = work(shared, task, lambda what, number=number: listener.said(number, what))  # type: ignore[misc]
            except UserError as problem:
                listener.refused(number, problem)
                continue
            raise_swallowed()
            listener.finished(number, result)


def outcome(work: Job, shared: Any, task: Any, say: Say) -> tuple[str, Any]:
    """What a task came to, where an error of another process would be lost: done, refused or failed, and with what."""
    try:
        return "done", work(shared, task, say)
    except UserError as problem:
        return "refused", str(problem)
    except Exception:  # noqa: BLE001
        # Whatever it is, the one who asked has to end with it.
        return "failed", traceback.format_exc()


def hear_outcome(kind: str, content: Any, number: int, listener: Listener) -> None:
    """Tell the listener what :func:`outcome` made of a task; raises :class:`RuntimeError` where it failed."""
    if kind == "failed":
        raise RuntimeError(f"task {number} failed in its process:\n{content}")
    if kind == "refused":
        listener.refused(number, UserError(content))
    else:
        listener.finished(number, content)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Lost(UserError):
    """A task's process was ended from outside again and again."""

    def __init__(self, onward: str = "finished tasks are kept: call it again, perhaps with fewer --processes") -> None:
        super().__init__(f"a worker process was ended from outside {RETRIES + 1} times (out of memory?); {onward}")
