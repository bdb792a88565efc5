"""`bazaar train --seeds`: the same runs as one by one, judged together, and what sellers earn among strangers."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from scipy.special import stdtrit

from market.errors import UserError
from market.metrics.summary import episode_profit
from policies.cli.main import main
from policies.common.parallel import Say
from policies.common.seeding import row_seed
from policies.config.orders import EvaluateOrder
from policies.evaluation.entrants import find_entrants
from policies.evaluation.statistics import diagonal_gap
from policies.sellers.rollout import play
from policies.storage.run_folder import saved_sellers
from policies.studies.multi_seed import run as module
from policies.studies.multi_seed.folder import run_name
from policies.studies.multi_seed.run import train_seeds
from policies.studies.multi_seed.worker import SeedsSetup
from tests.helpers.figures import metrics
from tests.helpers.processes import gone, heed_ctrl_c
from tests.helpers.small_run import DUOPOLY, ROOT, SMALL, small_run


def train_some(runs: Path, seeds: int, processes: int, **options: Any) -> Path:
    given: dict[str, Any] = {"device": "cpu", "changes": SMALL, "name": "seeds", "runs": runs}
    return train_seeds(DUOPOLY, seeds=seeds, processes=processes, **given | options).folder


@pytest.fixture(scope="module")
def two_seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained here; that processes of their own train the same, a slow test of test_resume_seeds.py shows."""
    return train_some(tmp_path_factory.mktemp("seeds"), 2, 1)


def test_a_seed_among_several_is_the_run_that_it_is_alone(two_seeds: Path) -> None:
    assert metrics(two_seeds / "seed-0") == metrics(small_run()) != metrics(two_seeds / "seed-1")
    for path in (small_run() / "checkpoints").iterdir():
        assert (two_seeds / "seed-0" / "checkpoints" / path.name).read_bytes() == path.read_bytes()
    assert json.loads((two_seeds / "seeds.json").read_text())["seeds"] == {"0": "done", "1": "done"}
    assert json.loads((two_seeds / "seed-1" / "run.json").read_text())["seed"] == 1


def test_the_folder_of_all_is_judged_as_its_runs(two_seeds: Path) -> None:
    whole = find_entrants(EvaluateOrder((two_seeds,)))
    single = find_entrants(EvaluateOrder((two_seeds / "seed-0", two_seeds / "seed-1")))
    assert whole.sellers == single.sellers and "left (dqn), seed-1" in whole.sellers
    rows = json.loads((two_seeds / "evaluation.json").read_text())
    assert {row["runs"] for row in rows if row.get("table") == "runs"} == {2}


@pytest.mark.parametrize(
    "words", [["report"], ["exploit", "--seller", "left"], ["deviate", "--seller", "left"], ["tournament", "nash"]]
)
def test_commands_that_take_one_run_name_one_of_the_folder(
    two_seeds: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([words[0], str(two_seeds), *words[1:]]) == 2
    assert f"{two_seeds}: holds the runs of 2 seeds; name one, such as {two_seeds}/seed-0" in capsys.readouterr().err


def test_a_run_that_did_not_finish_is_judged_with_a_remark(tmp_path: Path) -> None:
    run = shutil.copytree(small_run(), tmp_path / "cut")
    assert not find_entrants(EvaluateOrder((run,))).remarks
    about = json.loads((run / "run.json").read_text())
    del about["finished"]
    (run / "run.json").write_text(json.dumps(about))
    (remark,) = find_entrants(EvaluateOrder((run,))).remarks
    assert remark == f"{run} did not finish its training: bazaar train --resume {run} goes on."


def test_cross_play_is_what_the_sellers_earn_when_they_meet(two_seeds: Path) -> None:
    facts = json.loads((two_seeds / "cross_play.json").read_text())
    runs = [saved_sellers(two_seeds / run_name(seed), "latest") for seed in facts["seeds"]]
    spec = runs[0]["left"].market
    left, right = (seat["profit"] for seat in facts["seats"])
    for a, b in ((0, 0), (0, 1), (1, 0), (1, 1)):
        sellers = [runs[a]["left"].sit(spec), runs[b]["right"].sit(spec)]
        ledger = play(spec, sellers, markets=facts["episodes"], seed=row_seed(0, "evaluate"))
        profit = episode_profit(ledger, spec, 10, 1.0).mean(axis=0) / (spec.horizon - 10)
        assert [left[a][b], right[b][a]] == pytest.approx(profit.tolist(), rel=1e-9)
    assert facts["seats"][0]["gap"] == pytest.approx((left[0][0] + left[1][1] - left[0][1] - left[1][0]) / 2)
    assert facts["seats"][0]["gap_low"] is None  # two seeds have no interval


# ------------------------------------------------------------------------------------------------ the gap


def test_sellers_that_do_not_react_to_one_another_have_no_gap() -> None:
    """What a seat earns is then a sum: of its own strength, and of how weak the others are."""
    own, others = np.random.default_rng(0).normal(size=(2, 5))
    found = diagonal_gap(own[:, None] + others[None, :])
    assert found.value == pytest.approx(0, abs=1e-12) and found.half == pytest.approx(0, abs=1e-12)


def test_a_bonus_for_partners_is_the_gap_with_the_interval_of_its_mean() -> None:
    bonus = np.array([0.5, 1.5, 0.8, 1.0])
    found = diagonal_gap(2.0 + np.diag(bonus))
    half = stdtrit(3, 0.975) * bonus.std(ddof=1) / 2
    assert (found.value, found.low, found.high) == pytest.approx((0.95, 0.95 - half, 0.95 + half))


def test_the_interval_covers_a_gap_of_nothing_in_nineteen_of_twenty_cases() -> None:
    rng, covered = np.random.default_rng(1), 0
    for _ in range(400):
        own, others = rng.normal(size=(2, 6))
        found = diagonal_gap(own[:, None] + others[None, :] + rng.normal(size=(6, 6)))
        covered += found.low <= 0 <= found.high
    assert 0.91 <= covered / 400 <= 0.99


# ------------------------------------------------------------------------------------------------ failures


def one_fails(setup: SeedsSetup, seed: int, say: Say) -> dict[str, bytes]:
    """Finished runs for all seeds but one."""
    if seed == 1:
        raise UserError("seats.left: dqn diverged")
    shutil.copytree(small_run(), Path(setup.folder) / run_name(seed))
    return {}


def all_fail(setup: SeedsSetup, seed: int, say: Say) -> dict[str, bytes]:
    raise UserError("seats.left: dqn diverged")


def test_a_seed_that_fails_is_reported_and_the_others_are_judged(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "work", one_fails)
    console = Console(record=True, width=150, file=io.StringIO())
    with pytest.raises(UserError) as stop:
        train_some(tmp_path, 3, 1, console=console)
    folder = tmp_path / "seeds"
    assert str(stop.value) == (
        f"seed 1 failed: seats.left: dqn diverged\nseeds 0, 2 are whole and evaluated in {folder}; bazaar train --resume "
        f"{folder} goes on with what is not, perhaps with --on-nan rollback"
    )
    assert "seed 1 failed: seats.left: dqn diverged; it is left out of what follows" in console.export_text()
    states = json.loads((folder / "seeds.json").read_text())["seeds"]
    assert states == {"0": "done", "1": "failed: seats.left: dqn diverged", "2": "done"}
    facts = json.loads((folder / "cross_play.json").read_text())
    assert facts["seeds"] == [0, 2]
    assert facts["seats"][0]["gap"] == 0  # copies of one run are no strangers
    assert "finished" not in json.loads((folder / "seeds.json").read_text())


def test_where_all_seeds_fail_that_is_the_message(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "work", all_fail)
    with pytest.raises(UserError, match=r"seed 0 failed: seats\.left: dqn diverged\nseed 1 failed"):
        train_some(tmp_path, 2, 1)


def test_nothing_is_written_for_a_configuration_that_cannot_be_trained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="learners.dqn.gamma"):
        train_some(tmp_path, 2, 2, changes="learners.dqn.gamma=2")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_ctrl_c_ends_all_processes_and_leaves_what_was_learned(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "policies.cli", "train", str(DUOPOLY), "--seeds", "2", "--processes", "2"]
    command += ["--runs", str(tmp_path), "--name", "seeds", *(word for change in SMALL for word in ("--set", change))]
    command += ["--budget", "50000000", "--set", "training.evaluations=2000"]
    with open(tmp_path / "errors", "w") as errors:
        given: dict[str, Any] = {"cwd": ROOT, "stdout": subprocess.DEVNULL, "stderr": errors, "start_new_session": True}
        process = subprocess.Popen(command, preexec_fn=heed_ctrl_c, **given)  # noqa: PLW1509  # no threads
        deadline = time.monotonic() + 600
        while len(list(tmp_path.glob("seeds/*/checkpoints/*.best.pt"))) < 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=600) == 130
    said = (tmp_path / "errors").read_text()
    assert "Traceback" not in said and f"what was learned is in {tmp_path / 'seeds'}" in said
    assert gone(process.pid)
    assert len(find_entrants(EvaluateOrder((tmp_path / "seeds",))).sellers) == 4
