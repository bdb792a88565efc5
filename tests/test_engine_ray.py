"""Tasks on a real Ray of this machine with two workers: the same results, lost workers made good, nothing left."""

from __future__ import annotations

import builtins
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from small_run import DUOPOLY, ROOT, SMALL, small_run
from test_engine import Kept, Lenient, always_dies, broken, picky, square
from test_train_seeds import metrics
from test_tune import order as tune_order
from test_tune import rows

from market.errors import Refusal
from policies.engine import Engine, Listener, Say
from policies.engines import open_engine
from policies.tournament import run_tournament
from policies.tournament_folder import TournamentOrder
from policies.train_seeds import Means, train_seeds
from policies.training import TrainOrder
from policies.tune import tune

pytest.importorskip("ray", reason="Ray is not installed: pip install 'bazaar-market[ray]'")


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


def test_two_workers_carry_out_tasks_side_by_side(engine: Engine) -> None:
    kept = BothAtOnce()
    engine.run(until_stopped, None, [0, 1], kept)
    assert len(set(kept.results.values())) == 2 and os.getpid() not in kept.results.values()


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


def test_a_worker_killed_in_the_middle_is_made_good_and_nothing_is_lost(engine: Engine) -> None:
    killer = Killer()
    engine.run(counts, 5, [7, 11, 13], killer)
    assert killer.killed and killer.results == {0: 35, 1: 55, 2: 65}
    first = [step for task, step in killer.steps if task == 0]
    assert first == [0, 1, 2, 0, 1, 2, 3, 4]
    assert [step for task, step in killer.steps if task == 1] == [0, 1, 2, 3, 4]


def test_a_task_that_kills_every_worker_is_given_up(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="ended from outside"):
        engine.run(always_dies, tmp_path / "log", [0], Kept())


def test_without_ray_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def missing(name: str, *rest: Any, **options: Any) -> Any:
        if name == "ray":
            raise ImportError
        return imported(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(Refusal, match=r"--ray: Ray is not installed; pip install 'bazaar-market\[ray\]'"):
        with open_engine(2, 2, "auto"):
            pass


# ------------------------------------------------------------------------------------------------ commands


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a Ray with two cores that somebody else has started."""
    with socket.socket() as free, tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as place:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--port={port}"]
        command += ["--num-cpus=2", "--node-ip-address=127.0.0.1", "--include-dashboard=false", f"--temp-dir={place}"]
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen([*command, "--disable-usage-stats"], **quiet)
        try:
            deadline = time.monotonic() + 90
            while time.monotonic() < deadline:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.2)
            time.sleep(3)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=60)


@pytest.mark.slow
def test_seeds_on_a_cluster_are_the_runs_that_they_are_alone(cluster: str, tmp_path: Path) -> None:
    """Files come back as bytes: what the run leaves is what it leaves here, figures and weights to the bit."""
    order = TrainOrder(DUOPOLY, device="cpu", changes=SMALL, name="seeds", runs=tmp_path)
    folder = train_seeds(order, 2, Means(ray=cluster), Console(quiet=True))
    assert metrics(folder / "seed-0") == metrics(small_run())
    names = {path.name for path in small_run().rglob("*") if "tfevents" not in path.name}
    assert {path.name for path in (folder / "seed-0").rglob("*") if "tfevents" not in path.name} == names
    for path in (small_run() / "checkpoints").iterdir():
        assert (folder / "seed-0" / "checkpoints" / path.name).read_bytes() == path.read_bytes()
    assert len(list((folder / "seed-1").rglob("events.out.tfevents.*"))) == len(
        list(small_run().rglob("events.out.tfevents.*"))
    )


@pytest.mark.slow
def test_a_search_on_a_cluster_is_the_search_that_it_is_here(cluster: str, tmp_path: Path) -> None:
    wanted = tune_order(tmp_path, "here", trials=3)
    here = tune(wanted, Console(quiet=True))
    there = tune(replace(wanted, name="there", ray=cluster), Console(quiet=True))
    assert rows(there) == rows(here)


@pytest.mark.slow
def test_a_tournament_on_a_cluster_is_the_tournament_that_it_is_here(cluster: str, tmp_path: Path) -> None:
    entries = (str(small_run()), "nash+base_stock", "cost_plus+base_stock")
    wanted = TournamentOrder(entries, episodes=32, runs=tmp_path, name="here", processes=1)
    here = run_tournament(wanted, Console(quiet=True))
    there = run_tournament(replace(wanted, name="there", processes=None, ray=cluster), Console(quiet=True))
    cells = sorted(path.name for path in (here / "cells").iterdir())
    assert sorted(path.name for path in (there / "cells").iterdir()) == cells
    for name in cells:
        assert (here / "cells" / name).read_bytes() == (there / "cells" / name).read_bytes()
    assert (here / "payoffs.csv").read_bytes() == (there / "payoffs.csv").read_bytes()


@pytest.mark.slow
def test_a_cluster_that_cannot_be_reached_is_a_message(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"--ray 127\.0\.0\.1:9: cannot be reached"):
        tune(tune_order(tmp_path, "t", ray="127.0.0.1:9"), Console(quiet=True))


def leftovers() -> set[str]:
    found = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return {line for line in found.splitlines() if "raylet" in line or "gcs_server" in line or " ray::" in line}


@pytest.mark.slow
def test_a_ray_that_was_started_here_ends_with_its_files_and_warns_of_nothing(tmp_path: Path) -> None:
    before = leftovers()
    code = "import sys; from test_engine import *; from policies.engines import open_engine\n"
    code += "with open_engine(2, 2, 'auto') as engine: kept = Kept(); engine.run(square, 0, [1, 2], kept)\n"
    code += "print(kept.results)"
    given = os.environ | {"TMPDIR": str(tmp_path)} if len(str(tmp_path)) < 40 else dict(os.environ)
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], env=given, capture_output=True, text=True)
    assert done.stdout.strip() == "{0: (1, True), 1: (4, True)}" and done.stderr == ""
    deadline = time.monotonic() + 20
    while leftovers() - before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not leftovers() - before
