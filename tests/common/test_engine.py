"""The engine: same results wherever tasks run; lost processes are made good; nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from market.errors import UserError
from policies.common.parallel import Engine, open_engine
from policies.common.parallel.tasks import RETRIES
from tests.helpers.tasks import (
    Kept,
    Lenient,
    Unreadable,
    always_dies,
    broken,
    cannot_be_sent,
    dies_at_first,
    leaves,
    own_process,
    picky,
    square,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=[1, 2])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with open_engine(request.param, 4) as made:
        yield made


def test_every_task_is_done_with_what_is_shared_and_hears_whether_to_go_on(engine: Engine) -> None:
    kept = Kept(least=2)
    engine.run(square, 100, [3, 0, 2, 1], kept)
    assert kept.results == {0: (109, True), 1: (100, False), 2: (104, True), 3: (101, False)}
    assert sorted(kept.heard) == [(0, 3), (1, 0), (2, 2), (3, 1)]


def test_a_refusal_stops_all_or_is_that_tasks_own_matter(engine: Engine) -> None:
    with pytest.raises(UserError, match="task 1: must not be 1"):
        engine.run(picky, None, [0, 1, 2], Kept())
    kept = Lenient()
    engine.run(picky, None, [0, 1, 2], kept)
    assert kept.results == {0: 0, 2: 2} and kept.problems == {1: "task 1: must not be 1"}


def test_a_failure_is_told_with_its_place() -> None:
    with open_engine(2, 4) as engine, pytest.raises(RuntimeError, match=r"(?s)task 1 failed.*1 // \(task - 1\)"):
        engine.run(broken, None, [0, 1], Kept())


def test_what_raises_between_tasks_is_told_once_and_is_no_loss_of_memory(capfd: pytest.CaptureFixture[str]) -> None:
    with open_engine(2, 4) as engine:
        with pytest.raises(RuntimeError, match=r"(?s)failed in its process.*_cannot_be_read.*this module raises where"):
            engine.run(square, Unreadable(), [0, 1], Kept())
        with pytest.raises(RuntimeError, match=r"(?s)failed in its process.*[Pp]ickle"):
            engine.run(cannot_be_sent, None, [0, 1], Kept())
        with pytest.raises(UserError, match="a worker process ended by itself with status 3, as it says above"):
            engine.run(leaves, None, [0, 1], Kept())
    assert "Traceback" not in capfd.readouterr().err


def test_processes_serve_one_round_after_another_and_end_with_the_engine() -> None:
    with open_engine(2, 4) as engine:
        first, second = Kept(), Kept()
        engine.run(own_process, None, [0, 1, 2, 3], first)
        engine.run(own_process, None, [0, 1, 2, 3], second)
        there = set(first.results.values())
        assert os.getpid() not in there and set(second.results.values()) <= there
    for process in there:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_a_task_whose_process_is_killed_is_begun_again(tmp_path: Path) -> None:
    kept = Kept()
    with open_engine(2, 4) as engine:
        engine.run(dies_at_first, tmp_path, [0, 1, 2], kept)
    assert kept.results == {0: 0, 1: 10, 2: 20}
    assert kept.heard.count((1, 1)) == 2 and kept.heard.count((0, 0)) == 1


def test_a_task_that_kills_every_process_is_given_up(tmp_path: Path) -> None:
    with open_engine(2, 4) as engine, pytest.raises(UserError, match="ended from outside"):
        engine.run(always_dies, tmp_path / "log", [0], Kept())
    assert (tmp_path / "log").read_text().count("tried") == RETRIES + 1


def test_processes_end_with_the_one_that_asked_even_where_that_one_is_killed() -> None:
    """At once, in the middle of a task: nobody is left to hear of it, and a run that it trains is free again."""
    code = "from policies.common.parallel import open_engine\nfrom tests.helpers.tasks import *\nclass Tells(Listener):\n    said = lambda self, task, what: print(what, flush=True)\n"
    code += "with open_engine(2, 2) as engine: engine.run(says_who_it_is_and_sleeps, None, [0, 1], Tells())"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=paths()) as asking:
        assert asking.stdout is not None
        workers = {int(asking.stdout.readline()) for _ in range(2)}
        asking.kill()
        rest, _ = asking.communicate(timeout=600)  # returns when the last process that can write to it has ended
    assert rest == "" and len(workers) == 2 and asking.pid not in workers


def paths() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
