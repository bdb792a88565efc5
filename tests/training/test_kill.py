"""Real processes, killed or interrupted at random moments: the run ends as if that had not happened, to the bit."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.helpers.real_runs import (
    NAMES,
    assert_the_same,
    begin,
    finished,
    metrics,
    starts,
    three_learners,
    wait_for,
    weights,
)

pytestmark = pytest.mark.slow
KILLS = 8  # with each seed


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_run_that_is_killed_again_and_again_ends_like_one_that_is_not(seed: int, tmp_path: Path) -> None:
    config, chance, runs = three_learners(tmp_path), random.Random(seed), tmp_path / "runs"
    common = (config, "--seed", seed, "--device", "cpu", "--runs", runs)
    status, _, errors = finished(*common, "--name", "whole")
    assert status == 0, errors
    kills, steps = 0, []
    while kills < KILLS:  # a machine may end a run in fewer, and begins another then
        run = runs / f"after_{kills}_kills"
        kills += killed_along(run, (*common, "--name", run.name), KILLS - kills, chance)
        status, _, errors = finished("--resume", run)
        assert status == 0, errors
        steps += [one["step"] for one in json.loads((run / "run.json").read_text()).get("resumed", [])]
        assert_the_same(run, runs / "whole")
        assert not list((run / "state").glob("*.state"))
    print(f"seed {seed}: {kills} kills; went on from {steps}")
    assert len(set(steps)) > 3


def killed_along(run: Path, words: tuple[object, ...], most: int, chance: random.Random) -> int:
    """How often a run was killed and begun again before it had ended, or ``most``."""
    often = ("--checkpoint-every", 0.05)
    for kills in range(most):
        process = begin(*words, *often)
        until_somewhere(process, run, chance)
        ended = process.poll()
        assert ended in (None, 0), process.communicate()[1]
        process.kill()
        process.communicate()
        if ended == 0 or "finished" in json.loads((run / "run.json").read_text()):
            return kills
        words = ("--resume", run)
    return most


def until_somewhere(process: subprocess.Popen[str], run: Path, chance: random.Random) -> None:
    """Wait until the process trains, most times for some checkpoints more, and then for a moment."""
    known = starts(run)
    wait_for(process, lambda: starts(run) > known)
    if chance.random() < 0.75:
        further = generation(run) + chance.randint(1, 12)
        wait_for(process, lambda: generation(run) >= further)
        time.sleep(chance.uniform(0, 0.3))
    else:
        time.sleep(chance.uniform(0, 2))


def generation(run: Path) -> int:
    """The number of the newest checkpoint."""
    return max((int(path.stem) for path in (run / "state").glob("*.state")), default=0)


def test_ctrl_c_keeps_the_run_as_it_is_and_resume_goes_on_from_there(tmp_path: Path) -> None:
    config, runs = three_learners(tmp_path), tmp_path / "runs"
    run, common = runs / "cut", ("--device", "cpu", "--runs", runs)
    process = begin(config, *common, "--name", "cut", "--checkpoint-every", 1000)
    assert wait_for(process, lambda: (run / "state" / "000001.state").exists())
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.startswith("interrupted: what was learned is in") and "Traceback" not in errors
    step = int(errors.split("goes on from step ")[1].split(",")[0])
    assert step > 0 and step not in metrics(run)["step"].to_numpy()[:-1] or step in metrics(run)["step"].to_numpy()
    assert list(weights(run)) and {path.name.split(".")[0] for path in (run / "checkpoints").iterdir()} == set(NAMES)
    status, output, errors = finished("--resume", run)
    assert status == 0 and f"goes on from step {step}" in output, errors
    assert finished(config, *common, "--name", "whole")[0] == 0
    assert_the_same(run, runs / "whole")
    status, output, errors = finished("--resume", run)
    assert status == 0 and "was finished on" in output


def test_two_processes_cannot_train_one_run(tmp_path: Path) -> None:
    config, run = three_learners(tmp_path, budget=10**7), tmp_path / "runs" / "one"
    process = begin(config, "--device", "cpu", "--runs", run.parent, "--name", "one")
    try:
        assert wait_for(process, lambda: starts(run) > 0)
        status, _, errors = finished("--resume", run)
        assert status == 2
        assert f"{run}: another process (number {process.pid}) is training this run" in errors
    finally:
        process.kill()
        process.communicate()
