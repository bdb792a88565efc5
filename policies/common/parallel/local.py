"""Tasks in spawned processes of this machine, which never outlive the one that asked."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection, get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from market.errors import UserError
from policies.common.interrupt import raise_swallowed
from policies.common.parallel.tasks import RETRIES, Job, Listener, Lost, cores, hear_outcome, outcome

GONE = (EOFError, BrokenPipeError, ConnectionResetError)
BY_ITSELF = 5.0  # seconds that a process whose line has ended may take to end, before it is ended


@dataclass
class _Round:
    """One call of :meth:`Local.run`: what waits, who is at what, and how often a task's process was lost."""

    work: Job
    shared: Any
    tasks: Sequence[Any]
    listener: Listener
    waiting: deque[int]
    busy: dict[Connection, int] = field(default_factory=dict)
    told: set[Connection] = field(default_factory=set)
    losses: Counter[int] = field(default_factory=Counter)


class Local:
    """So many processes, started when there are tasks for them and kept until :meth:`close`.

    They are spawned, since a process forked after numba's threads have run dies.
    """

    remote = False

    def __init__(self, processes: int) -> None:
        self._most = processes
        self._workers: dict[Connection, SpawnProcess] = {}

    def run(self, work: Job, shared: Any, tasks: Sequence[Any], listener: Listener) -> None:
        """See :class:`policies.common.parallel.tasks.Engine`."""
        now = _Round(work, shared, tasks, listener, deque(range(len(tasks))))
        try:
            while now.waiting or now.busy:
                self._hand_out(now)
                for ready in connection.wait(list(now.busy)):
                    self._hear(next(line for line in now.busy if line is ready), now)
                raise_swallowed()
        except BaseException:
            self.close()  # whoever is in the middle of a task would answer the next round
            raise

    def close(self) -> None:
        """End all processes, in the middle of a task if need be."""
        for worker in self._workers.values():
            worker.kill()  # all of them, before any is waited for
        for line in list(self._workers):
            self._bury(line)

    def _hand_out(self, now: _Round) -> None:
        while now.waiting and len(now.busy) < self._most:
            line = next((one for one in self._workers if one not in now.busy), None) or self._start()
            number = now.waiting.popleft()
            now.busy[line] = number
            with suppress(*GONE):  # it has ended: hearing of it says so
                if line not in now.told:
                    line.send(("round", (now.work, now.shared)))
                    now.told.add(line)
                line.send(("task", now.tasks[number]))

    def _start(self) -> Connection:
        spawn = get_context("spawn")
        with _deaf_to_ctrl_c():
            line, other = spawn.Pipe()
            worker = spawn.Process(target=serve, args=(other, self._most), daemon=True)
            worker.start()
        other.close()  # so that the line ends when the worker does
        self._workers[line] = worker
        return line

    def _hear(self, line: Connection, now: _Round) -> None:
        number = now.busy[line]
        try:
            kind, content = line.recv()
        except (*GONE, OSError):
            del now.busy[line]
            if (status := self._bury(line)) > 0 and sys.platform != "win32":  # which has no signals to tell apart
                raise UserError(
                    f"a worker process ended by itself with status {status}, as it says above; a script that starts "
                    'processes needs the line if __name__ == "__main__": before what it does'
                ) from None
            _again(number, now)
            return
        if kind == "said":
            answer = now.listener.said(number, content)
            with suppress(*GONE):
                line.send(answer)
            return
        del now.busy[line]
        hear_outcome(kind, content, number, now.listener)

    def _bury(self, line: Connection) -> int:
        """The process's exit status, below zero where a signal ended it."""
        worker = self._workers.pop(line)
        worker.join(BY_ITSELF)
        worker.kill()
        worker.join()
        line.close()
        return worker.exitcode or 0


def _again(number: int, now: _Round) -> None:
    now.losses[number] += 1
    if now.losses[number] > RETRIES:
        raise Lost
    now.waiting.appendleft(number)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes started within never see Ctrl-C, not even while they import: the one who asked ends them."""
    if sys.platform == "win32":  # has no masks: :func:`serve` ignores it
        yield
        return
    resource_tracker.ensure_running()  # it would unblock the signal when it is started later
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# ------------------------------------------------------------------------------------------------ in the process


class _Unheard(BaseException):
    """The one who asked is gone: no work may take it for a failure of its own."""


def serve(line: Connection, processes: int) -> None:
    """A worker's life: carry out what comes down the line until it ends."""
    if sys.platform == "win32":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_the_one_that_asked()
    share_cores(processes)
    work: Any = None
    shared: Any = None

    def say(what: Any) -> Any:
        try:
            line.send(("said", what))
            return line.recv()
        except GONE:
            raise _Unheard from None

    with suppress(*GONE, _Unheard):
        while True:
            kind, content = _received(line)
            if kind == "round":
                work, shared = content
            elif kind == "task":
                _send(line, outcome(work, shared, content, say))
            else:
                line.send((kind, content))


def _received(line: Connection) -> tuple[str, Any]:
    """What comes down the line; failed, with the traceback, for what cannot be made sense of here: a module's error."""
    try:
        kind, content = line.recv()
    except GONE:
        raise
    except Exception:  # noqa: BLE001
        return "failed", traceback.format_exc()
    return kind, content


def _send(line: Connection, answer: tuple[str, Any]) -> None:
    try:
        line.send(answer)
    except GONE:
        raise
    except Exception:  # noqa: BLE001  # a result that cannot be sent
        line.send(("failed", traceback.format_exc()))


def _end_with_the_one_that_asked() -> None:
    """However that one ends, and whatever this process is at: nobody is left to hear of it, and its lock is free."""
    asking = parent_process()
    if asking is not None:

        def watch(sentinel: int = asking.sentinel) -> None:
            connection.wait([sentinel])
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()


def share_cores(processes: int) -> None:
    """Leave the other processes their cores: results do not depend on the number of threads."""
    import numba

    numba.set_num_threads(max(1, min(numba.get_num_threads(), cores() // processes)))
