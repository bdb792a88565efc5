"""Tasks on Ray: on this machine, or on a cluster whose nodes have this package installed.

A local Ray listens on the loopback address only, with a token of its own, without dashboard or usage statistics, and
ends with the engine, its files too. Ray begins a task again whose process was lost. What tasks say goes through an actor, the desk, where they
wait for the answer: whether a task goes on is decided where it was asked for, whatever the timing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
import socket
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from market.errors import UserError
from policies.common.interrupt import raise_swallowed
from policies.common.parallel.tasks import RETRIES, Engine, Job, Listener, Lost, hear_outcome, outcome

AUTO = "auto"
PATIENCE = 10.0  # seconds
SHORT, LONGEST = ("/tmp", "/var/tmp", "/dev/shm"), 26  # folders for sockets, and bytes of such a folder's path
WAIT = 0.2  # seconds between two looks at who is done
# No reports home, and tasks see the GPUs that there are.
ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@contextmanager
def open_ray(address: str, processes: int | None) -> Iterator[Engine]:
    """An engine on the Ray at ``address``; ``auto``: that of ``RAY_ADDRESS``, else one that is started here for this.

    Args:
        processes: tasks at a time (default: as many as Ray has cores for); of a Ray started here also its cores.

    Raises :class:`UserError` where Ray is not installed or cannot be reached.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise UserError("--ray: Ray is not installed; pip install 'bazaar-market[ray]' brings it") from None
    place = _connect(ray, address, processes)
    try:
        yield OnRay(ray, processes)
    finally:
        ray.shutdown()
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)


def _connect(ray: Any, address: str, processes: int | None) -> str | None:
    """Join a Ray, or start one; returns the folder of one that was started.

    Whatever else runs on this machine is left alone: another command's own Ray is found there, and ends with it.
    """
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    address = os.environ.get("RAY_ADDRESS", AUTO) if address == AUTO else address
    if address != AUTO:
        _refuse_unreachable(address)
        try:
            ray.init(address=address, **quiet)
        except (ConnectionError, ValueError, RuntimeError) as problem:
            reason = str(problem).split("\n")[0]
            raise UserError(
                f"--ray {address}: cannot be reached ({reason}); auto starts a Ray on this machine"
            ) from None
        return None
    if not any(name.startswith("RAY_AUTH_") for name in os.environ):  # else Ray writes a token into the user's home
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    # The loopback address, as Ray does on other systems; its variable is read when Tianshou imports Ray, too early.
    ray._private.ray_constants.ENABLE_RAY_CLUSTER = False
    place = tempfile.mkdtemp(prefix="ray-", dir=_short_folder())
    ray.init(address="local", num_cpus=processes, include_dashboard=False, _temp_dir=place, **quiet)
    return place


def _short_folder() -> str:
    """Where temporary files go, or where the paths of Ray's sockets stay short enough for the system.

    A socket's path has at most 107 bytes (sun_path of unix(7), 103 elsewhere), and Ray's own part of it some 77.
    """
    for folder in (tempfile.gettempdir(), *SHORT):
        if len(os.fsencode(folder)) <= LONGEST and os.access(folder, os.W_OK):
            return folder
    raise UserError(f"--ray: needs a folder for its sockets whose path has at most {LONGEST} bytes; set TMPDIR to one")


def _refuse_unreachable(address: str) -> None:
    """Before Ray tries for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise UserError(f"--ray {address}: must be auto or HOST:PORT")
    try:
        socket.create_connection((host, int(port)), PATIENCE).close()
    except (OSError, OverflowError) as problem:
        raise UserError(f"--ray {address}: cannot be reached ({problem}); auto starts a Ray on this machine") from None


class OnRay:
    """Carries out tasks on the Ray that is connected."""

    remote = True

    def __init__(self, ray: Any, most: int | None) -> None:
        self._ray, self._most = ray, most
        self._desk = ray.remote(num_cpus=0, max_concurrency=1000)(Desk).remote()
        # An exception is an answer; a process that was lost is not.
        self._task = ray.remote(num_cpus=1, max_retries=RETRIES)(carry_out)

    def run(self, work: Job, shared: Any, tasks: Sequence[Any], listener: Listener) -> None:
        """See :class:`policies.common.parallel.tasks.Engine`."""
        sent = self._ray.put(shared)
        waiting, going = deque(range(len(tasks))), dict[Any, int]()
        try:
            while waiting or going:
                while waiting and (self._most is None or len(going) < self._most):
                    number = waiting.popleft()
                    going[self._task.remote(self._desk, number, work, sent, tasks[number])] = number
                self._hear(listener)
                ready, _ = self._ray.wait(list(going), num_returns=len(going), timeout=0)
                for one in ready:
                    self._end(one, going.pop(one), listener)
                raise_swallowed()
        finally:
            for one in going:
                self._ray.cancel(one, force=True)

    def _hear(self, listener: Listener) -> None:
        for line, number, what in self._ray.get(self._desk.hear.remote(WAIT)):
            self._desk.answer.remote(line, listener.said(number, what))

    def _end(self, one: Any, number: int, listener: Listener) -> None:
        try:
            kind, content = self._ray.get(one)
        except (self._ray.exceptions.WorkerCrashedError, self._ray.exceptions.OutOfMemoryError):
            raise Lost from None
        except self._ray.exceptions.RayTaskError as problem:
            said = "its processes cannot do the tasks; is this bazaar installed there?"
            raise UserError(f"--ray: {said} ({problem.cause})") from None
        hear_outcome(kind, content, number, listener)


class Desk:
    """Where tasks say how far they are and wait to hear whether to go on; an actor, whose methods run side by side.

    Every message has a line of its own: what a lost process said is not answered to the one that took its place.
    """

    def __init__(self) -> None:
        self._told: list[tuple[int, int, Any]] = []
        self._some = asyncio.Event()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._lines = count()

    async def tell(self, number: int, what: Any) -> Any:
        """A task says something; returns what it hears."""
        line = next(self._lines)
        self._answers[line] = answer = asyncio.get_running_loop().create_future()
        self._told.append((line, number, what))
        self._some.set()
        return await answer

    async def hear(self, wait: float) -> list[tuple[int, int, Any]]:
        """What was told since the last call, at the latest after ``wait`` seconds."""
        try:
            await asyncio.wait_for(self._some.wait(), wait)
        except TimeoutError:
            return []
        told, self._told = self._told, []
        self._some.clear()
        return told

    async def answer(self, line: int, said: Any) -> None:
        """Let a task go on, or end early, or have what it asked for."""
        waiting = self._answers.pop(line)
        if not waiting.done():
            waiting.set_result(said)


def carry_out(desk: Any, number: int, work: Job, shared: Any, task: Any) -> tuple[str, Any]:
    """A task, in one of Ray's processes."""
    import numba
    import ray

    numba.set_num_threads(1)  # Ray gives it one core
    return outcome(work, shared, task, lambda what: ray.get(desk.tell.remote(number, what)))
