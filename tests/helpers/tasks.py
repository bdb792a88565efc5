"""Tasks for engines, and listeners to them; of a module, so that other processes find them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from market.errors import UserError
from policies.common.parallel.tasks import Listener, Say


class Kept(Listener):
    """Keeps all that it hears; ``least`` is what a task must say to go on."""

    def __init__(self, least: int = 0) -> None:
        self.least, self.heard, self.results, self.problems = least, list[Any](), dict[int, Any](), dict[int, str]()

    def said(self, task: int, what: Any) -> bool:
        self.heard.append((task, what))
        return bool(what >= self.least)

    def finished(self, task: int, result: Any) -> None:
        self.results[task] = result


class Lenient(Kept):
    def refused(self, task: int, problem: UserError) -> None:
        self.problems[task] = str(problem)


def square(shared: int, task: int, say: Say) -> tuple[int, bool]:
    return shared + task**2, say(task)


def own_process(shared: None, task: int, say: Say) -> int:
    say(task)
    return os.getpid()


def picky(shared: None, task: int, say: Say) -> int:
    if task == 1:
        raise UserError("task 1: must not be 1")
    return task


def broken(shared: None, task: int, say: Say) -> int:
    return 1 // (task - 1)


def leaves(shared: None, task: int, say: Say) -> int:
    raise SystemExit(3)


def cannot_be_sent(shared: None, task: int, say: Say) -> Any:
    return lambda: task


def _cannot_be_read() -> None:
    raise ImportError("this module raises where it is imported")


class Unreadable:
    """What raises in the process that it is sent to."""

    def __reduce__(self) -> Any:
        return _cannot_be_read, ()


def dies_at_first(marks: Path, task: int, say: Say) -> int:
    """Ends its own process after it has said something, the first time it is tried."""
    say(task)
    mark = marks / str(task)
    if task == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 10 * task


def always_dies(shared: Path, task: int, say: Say) -> None:
    with open(shared, "a", encoding="utf-8") as file:
        file.write("tried\n")
    os.kill(os.getpid(), signal.SIGKILL)


def says_who_it_is_and_sleeps(shared: None, task: int, say: Say) -> None:
    say(os.getpid())
    time.sleep(3600)
