"""Playing a tournament's cells in spawned processes that never outlive the one that asked.

Which process plays a cell, and when, changes nothing in it. Every finished cell is on disk before it is reported.
"""

from __future__ import annotations

import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection, get_context, resource_tracker
from multiprocessing.connection import Connection

from market.errors import Refusal
from policies.interrupt import raise_swallowed
from policies.tournament_cells import Player, Setup
from policies.tournament_plan import LineUp

Told = Callable[[LineUp], None]


def play_all(setup: Setup, cells: Sequence[LineUp], processes: int, told: Told) -> None:
    """Play the cells, in this process where one is enough; ``told`` hears of each that is finished.

    Raises:
        Refusal: a policy cannot play, or a process was ended from outside.
    """
    processes = min(processes, len(cells))
    if processes > 1:
        with _staff(setup, processes) as staff:
            _hand_out(staff, deque(cells), told)
        return
    player = Player(setup)
    for cell in cells:
        player.finish(cell)
        raise_swallowed()
        told(cell)


@contextmanager
def _staff(setup: Setup, processes: int) -> Iterator[list[Connection]]:
    """Lines to workers; however this ends, so do they, in the middle of a cell if need be."""
    spawn, lines, workers = get_context("spawn"), [], []
    try:
        with _deaf_to_ctrl_c():
            for _ in range(processes):
                line, other = spawn.Pipe()
                worker = spawn.Process(target=serve, args=(setup, other), daemon=True)
                worker.start()
                other.close()  # so that the line ends when the worker does
                lines.append(line)
                workers.append(worker)
        yield lines
    finally:
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.join()
        for line in lines:
            line.close()


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes started within never see Ctrl-C, not even while they import: the one who asked ends them."""
    resource_tracker.ensure_running()  # it would unblock the signal when it is started later
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _hand_out(lines: Sequence[Connection], waiting: deque[LineUp], told: Told) -> None:
    busy: dict[Connection, LineUp] = {}
    for line in lines:
        _next(line, waiting, busy)
    while busy:
        for ready in connection.wait(list(busy)):
            line = next(one for one in busy if one is ready)
            _hear(line, busy[line])
            told(busy.pop(line))
            _next(line, waiting, busy)


def _next(line: Connection, waiting: deque[LineUp], busy: dict[Connection, LineUp]) -> None:
    if waiting:
        busy[line] = waiting.popleft()
        with suppress(BrokenPipeError):  # it has ended: hearing of it says how
            line.send(busy[line])


def _hear(line: Connection, cell: LineUp) -> None:
    try:
        outcome, text = line.recv()
    except (EOFError, ConnectionResetError):
        raise Refusal(
            "tournament: a worker process was ended from outside (out of memory?); finished cells are kept: call it "
            "again, perhaps with fewer --processes"
        ) from None
    if outcome == "refused":
        raise Refusal(text)
    if outcome == "failed":
        raise RuntimeError(f"the cell {cell} failed in its process:\n{text}")


def serve(setup: Setup, line: Connection) -> None:
    """A worker's life: play what comes down the line until it ends."""
    player = Player(setup)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            cell = line.recv()
            line.send(_outcome(player, cell))


def _outcome(player: Player, cell: LineUp) -> tuple[str, str]:
    try:
        player.finish(cell)
    except Refusal as problem:
        return "refused", str(problem)
    except Exception:  # noqa: BLE001
        # Whatever it is, the process that asked has to end with it.
        return "failed", traceback.format_exc()
    return "done", ""
