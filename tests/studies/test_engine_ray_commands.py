"""The commands on Ray: what they leave is what they leave without it, to the bit."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from market.errors import UserError
from policies.studies.multi_seed.run import train_seeds
from policies.studies.tournament.run import tournament
from policies.studies.tuning.run import tune
from tests.helpers.extras import needs
from tests.helpers.figures import metrics
from tests.helpers.orders import carry_out
from tests.helpers.seeds import OFTEN, files, hears, kill, part, resumed
from tests.helpers.small_run import DUOPOLY, ROOT, SMALL, small_run
from tests.helpers.tuning import order as tune_order
from tests.helpers.tuning import rows

pytestmark = [pytest.mark.slow, needs("ray")]


@pytest.fixture(scope="module", autouse=True)
def heard() -> Iterator[None]:
    """Ray's processes count as much as those of other tests: of themselves they stand back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        yield


@pytest.mark.slow(seconds=70)
@pytest.mark.parametrize("apart", [False, True])
def test_a_worker_of_ray_is_killed_and_its_seed_is_the_run_that_it_is_alone(
    apart: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the folder is seen there or files come back: figures and weights to the bit, and no file more or less."""
    if apart:
        part(monkeypatch)
    hears(monkeypatch, 0, 3000, kill)
    given = {"device": "cpu", "changes": SMALL, "checkpoint_every": OFTEN.every, "processes": 2, "ray": "auto"}
    folder = train_seeds(DUOPOLY, seeds=2, name="seeds", runs=tmp_path, **given).folder
    assert metrics(folder / "seed-0") == metrics(small_run())
    assert files(folder / "seed-0") == files(small_run())
    steps = resumed(folder / "seed-0")
    assert len(steps) == 1 and 0 < steps[0] < 12000 and not resumed(folder / "seed-1")
    for path in (small_run() / "checkpoints").iterdir():
        assert (folder / "seed-0" / "checkpoints" / path.name).read_bytes() == path.read_bytes()
    events = [len(list(run.rglob("events.out.tfevents.*"))) for run in (small_run(), folder / "seed-1")]
    assert events[0] == events[1]


def test_a_search_on_ray_is_the_search_that_it_is_here(tmp_path: Path) -> None:
    wanted = tune_order(tmp_path, "here", trials=3)
    here = carry_out(tune, wanted).folder
    there = carry_out(tune, attrs.evolve(wanted, name="there", processes=2, ray="auto")).folder
    assert rows(there) == rows(here)


def test_a_tournament_on_ray_is_the_tournament_that_it_is_here(tmp_path: Path) -> None:
    entries = (str(small_run()), "nash+base_stock", "cost_plus+base_stock")
    here = tournament(entries, episodes=32, runs=tmp_path, name="here", processes=1).folder
    there = tournament(entries, episodes=32, runs=tmp_path, name="there", processes=2, ray="auto").folder
    cells = sorted(path.name for path in (here / "cells").iterdir())
    assert sorted(path.name for path in (there / "cells").iterdir()) == cells
    for name in cells:
        assert (here / "cells" / name).read_bytes() == (there / "cells" / name).read_bytes()
    assert (here / "payoffs.csv").read_bytes() == (there / "payoffs.csv").read_bytes()


def test_a_ray_that_cannot_be_reached_is_a_message(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--ray 127\.0\.0\.1:9: cannot be reached"):
        carry_out(tune, tune_order(tmp_path, "t", ray="127.0.0.1:9"))


@pytest.fixture(name="address")
def _address(tmp_path: Path) -> Iterator[str]:
    """A Ray of two cores that someone else has started: `ray start`, behind a token that its users share."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # sockets' paths must be short
    with pytest.MonkeyPatch.context() as patch:
        settings = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
        for name, value in (settings | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}).items():
            patch.setenv(name, value)
        command = [Path(sys.executable).with_name("ray"), "start", "--head", "--block", "--port", str(port)]
        command += ["--num-cpus=2", "--include-dashboard=false", "--temp-dir", place, "--node-ip-address=127.0.0.1"]
        with open(tmp_path / "ray.txt", "w", encoding="utf-8") as said:
            head = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
        try:
            deadline = time.monotonic() + 600
            while "Ray runtime started" not in (tmp_path / "ray.txt").read_text() and time.monotonic() < deadline:
                assert head.poll() is None, (tmp_path / "ray.txt").read_text()
                time.sleep(0.1)
            yield f"127.0.0.1:{port}"
        finally:
            os.killpg(head.pid, signal.SIGKILL)
            head.wait()
            shutil.rmtree(place, ignore_errors=True)


def test_seeds_on_a_ray_that_runs_already_are_the_runs_that_they_are_alone(address: str, tmp_path: Path) -> None:
    """In a process of its own: Ray reads its token once."""
    words = ["train", DUOPOLY, "--seeds", 2, "--device", "cpu", "--runs", tmp_path, "--name", "seeds", "--ray", address]
    command = [sys.executable, "-m", "policies.cli", *map(str, words)]
    for change in SMALL:
        command += ["--set", change]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "seeds" / "seed-0"
    assert metrics(run) == metrics(small_run()) and files(run) == files(small_run())
    for path in (small_run() / "checkpoints").iterdir():
        assert (run / "checkpoints" / path.name).read_bytes() == path.read_bytes()
    assert (tmp_path / "seeds" / "cross_play.json").exists()
