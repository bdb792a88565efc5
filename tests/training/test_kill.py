"""Real processes, killed or interrupted at moments drawn by chance: the run ends as if that had not happened, to the bit."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from policies.cli.main import main
from policies.training.train import train
from tests.helpers.pictures import pictures
from tests.helpers.processes import Moment, begin, one_after_another
from tests.helpers.real_runs import NAMES, assert_the_same, starts, three_learners, wait_for, weights
from tests.helpers.shared import once

pytestmark = pytest.mark.slow
KILLS = 6  # with each seed
OFTEN = ("--checkpoint-every", 1e-9)  # in every period
BUDGET = 30_000


@pytest.fixture(name="finished", scope="module")
def _finished() -> Iterator[Callable[..., tuple[int, str, str]]]:
    with one_after_another() as finished:
        yield finished


def whole(seed: int) -> Path:
    """The run that nothing happens to, with the pictures that a user's has."""

    def make(folder: Path) -> None:
        with pictures():
            train(three_learners(folder, BUDGET), seed=seed, device="cpu", name="whole", runs=folder)

    return once(f"not-killed-{seed}", make) / "whole"


@pytest.mark.slow(seconds=60)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_run_that_is_killed_again_and_again_ends_like_one_that_is_not(
    seed: int, tmp_path: Path, finished: Callable[..., tuple[int, str, str]]
) -> None:
    config, chance, runs = three_learners(tmp_path, BUDGET), random.Random(seed), tmp_path / "runs"
    run = runs / "killed"
    words: tuple[object, ...] = ("train", config, "--seed", seed, "--device", "cpu", "--runs", runs, "--name", run.name)
    for kill in range(KILLS):
        status, _, errors = finished(*words, *OFTEN, at=somewhere(kill, chance))
        assert status == -signal.SIGKILL, errors
        words = ("train", "--resume", run)
    status, _, errors = finished(*words)
    assert status == 0, errors
    steps = [one["step"] for one in json.loads((run / "run.json").read_text())["resumed"]]
    assert len(steps) == KILLS and len(set(steps)) > 3
    assert_the_same(run, whole(seed))
    assert not list((run / "state").glob("*.state"))


def somewhere(kill: int, chance: random.Random) -> Moment:
    """Between two periods, or where a file that has been written aside is not yet in its place."""
    if kill and chance.random() < 0.5:
        return Moment("os", "replace", chance.randint(1, 40), signal.SIGKILL)
    return Moment("policies.training.loop", "play_period", chance.randint(2, 45), signal.SIGKILL)


def test_ctrl_c_keeps_the_run_as_it_is_and_resume_goes_on_from_there(
    tmp_path: Path, finished: Callable[..., tuple[int, str, str]]
) -> None:
    config, runs = three_learners(tmp_path, BUDGET), tmp_path / "runs"
    run, common = runs / "cut", ("train", config, "--device", "cpu", "--runs", runs)
    moment = Moment("policies.training.loop", "play_period", 100)
    status, _, errors = finished(*common, "--name", "cut", "--checkpoint-every", 1000, at=moment)
    assert status == 130, errors
    assert errors.startswith("interrupted: what was learned is in") and "Traceback" not in errors
    step = int(errors.split("goes on from step ")[1].split(",")[0])
    assert 0 < step <= 100 * 96
    assert list(weights(run)) and {path.name.split(".")[0] for path in (run / "checkpoints").iterdir()} == set(NAMES)
    status, output, errors = finished("train", "--resume", run)
    assert status == 0 and f"goes on from step {step}" in output, errors
    assert_the_same(run, whole(0))
    status, output, errors = finished("train", "--resume", run)
    assert status == 0 and "was finished on" in output


def test_two_processes_cannot_train_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, run = three_learners(tmp_path, budget=10**7), tmp_path / "runs" / "one"
    process = begin("train", config, "--device", "cpu", "--runs", run.parent, "--name", "one")
    try:
        assert wait_for(process, lambda: starts(run) > 0)
        assert main(["train", "--resume", str(run)]) == 2
        errors = capsys.readouterr().err
        assert f"{run}: another process (number {process.pid}) is training this run" in errors
    finally:
        process.kill()
        process.communicate()
