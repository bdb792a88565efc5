"""Tasks on a real Ray of this machine with two workers: the same results, lost workers made good, nothing left."""

from __future__ import annotations

import builtins
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from market.errors import UserError
from policies.common.parallel import Engine, Listener, Say, open_engine, ray
from policies.common.parallel.ray import _short_folder
from tests.helpers.extras import needs
from tests.helpers.small_run import ROOT
from tests.helpers.tasks import Kept, Lenient, always_dies, broken, picky, square

pytestmark = needs("ray")


@pytest.fixture(scope="module", autouse=True)
def paths() -> Iterator[None]:
    """Ray's processes import what these tests import."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'tests'}")
        yield


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with open_engine(2, 4, "auto") as made:
        yield made


def until_stopped(shared: None, task: int, say: Say) -> int:
    """Says who it is until it is told to end."""
    while say(os.getpid()):
        time.sleep(0.01)
    return os.getpid()


class BothAtOnce(Kept):
    """Lets tasks end only once two have spoken."""

    def said(self, task: int, what: Any) -> bool:
        self.heard.append((task, what))
        return len({number for number, _ in self.heard}) < 2


def test_sockets_lie_where_their_paths_are_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket's path has at most 107 bytes; Ray's part of it is sockets/plasma_store in a session's folder."""
    deep = tmp_path / ("a" * 60)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    folder = _short_folder()
    ours = f"{folder}/ray-12345678/session_2026-12-31_23-59-59_123456_4194304/sockets/plasma_store"
    assert len(ours) <= 103 and os.access(folder, os.W_OK)
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    assert _short_folder() == "/tmp"
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    monkeypatch.setattr(ray, "SHORT", ())
    with pytest.raises(
        UserError, match="--ray: needs a folder for its sockets whose path has at most 26 bytes; set TMPDIR"
    ):
        _short_folder()


@pytest.mark.slow
def test_two_workers_carry_out_tasks_side_by_side(engine: Engine) -> None:
    kept = BothAtOnce()
    engine.run(until_stopped, None, [0, 1], kept)
    assert len(set(kept.results.values())) == 2 and os.getpid() not in kept.results.values()


@pytest.mark.slow
def test_results_answers_refusals_and_failures_come_back(engine: Engine) -> None:
    kept = Kept(least=2)
    engine.run(square, 100, [3, 0, 2, 1], kept)
    assert kept.results == {0: (109, True), 1: (100, False), 2: (104, True), 3: (101, False)}
    lenient = Lenient()
    engine.run(picky, None, [0, 1, 2], lenient)
    assert lenient.results == {0: 0, 2: 2} and lenient.problems == {1: "task 1: must not be 1"}
    with pytest.raises(RuntimeError, match=r"(?s)task 1 failed.*1 // \(task - 1\)"):
        engine.run(broken, None, [0, 1], Kept())


def counts(shared: int, task: int, say: Say) -> int:
    """Adds up in steps, and says after each what it has and who it is."""
    total = 0
    for step in range(shared):
        total += task
        say((step, total, os.getpid()))
    return total


class Killer(Listener):
    """Kills the worker of the first task at its third step, once, from outside."""

    def __init__(self) -> None:
        self.killed, self.steps, self.results = 0, list[tuple[int, int]](), dict[int, int]()

    def said(self, task: int, what: Any) -> bool:
        step, _, process = what
        self.steps.append((task, step))
        if task == 0 and step == 2 and not self.killed:
            self.killed = process
            os.kill(process, signal.SIGKILL)
        return True

    def finished(self, task: int, result: Any) -> None:
        self.results[task] = result


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_is_made_good_and_nothing_is_lost(engine: Engine) -> None:
    killer = Killer()
    engine.run(counts, 5, [7, 11, 13], killer)
    assert killer.killed and killer.results == {0: 35, 1: 55, 2: 65}
    first = [step for task, step in killer.steps if task == 0]
    assert first == [0, 1, 2, 0, 1, 2, 3, 4]
    assert [step for task, step in killer.steps if task == 1] == [0, 1, 2, 3, 4]


@pytest.mark.slow
def test_a_task_that_kills_every_worker_is_given_up(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="ended from outside"):
        engine.run(always_dies, tmp_path / "log", [0], Kept())


def test_without_ray_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def missing(name: str, *rest: Any, **options: Any) -> Any:
        if name == "ray":
            raise ImportError
        return imported(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    said = r"--ray: Ray is not installed; pip install 'bazaar-market\[ray\]'"
    with pytest.raises(UserError, match=said), open_engine(2, 2, "auto"):
        pass


# ------------------------------------------------------------------------------------------------ what is left


def left_of(session: int) -> list[str]:
    """The processes of a session: other tests may run a Ray of their own meanwhile."""
    found = subprocess.run(["ps", "-eo", "sid,pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in found.splitlines() if line.split()[0] == str(session)]


@pytest.mark.slow
def test_a_ray_that_was_started_here_ends_with_its_files_and_warns_of_nothing(tmp_path: Path) -> None:
    code = "import sys; from tests.helpers.tasks import *; from policies.common.parallel import open_engine\n"
    code += "with open_engine(2, 2, 'auto') as engine:\n    kept = Kept(); engine.run(square, 0, [1, 2], kept)\n"
    code += "    import os, subprocess; subprocess.run(['ps', '-o', 'comm=', '--sid', str(os.getsid(0))], check=True)\n"
    code += "print(dict(sorted(kept.results.items())))"
    given = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {"HOME": str(tmp_path)}
    command, pipe = [sys.executable, "-W", "error", "-c", code], subprocess.PIPE
    done = subprocess.Popen(command, env=given, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
    output, errors = done.communicate()
    assert not list(tmp_path.iterdir())  # no token in the user's home
    *names, results = output.splitlines()
    assert results == "{0: (1, True), 1: (4, True)}" and errors == ""
    assert {"raylet", "gcs_server"} <= set(names)  # while it ran
    deadline = time.monotonic() + 600
    while left_of(done.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left_of(done.pid)
