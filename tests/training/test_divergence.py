"""Learners that diverge stop their run, or take it back to the last good checkpoint; no checkpoint ever holds one."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from market.errors import UserError
from policies.config.run import read_config
from policies.storage.training_state import RunState, unpack
from policies.training import loop
from policies.training.divergence import Diverged, play_period, unsound
from policies.training.resume import resume
from policies.training.run import TrainingRun
from policies.training.train import train
from tests.helpers.real_runs import metrics, three_learners, weights


def new(folder: Path, **learners: Any) -> TrainingRun:
    return TrainingRun(read_config(three_learners(folder, 9_600, **learners)), 0, "cpu")


def first_weight(training: TrainingRun, seat: int) -> torch.Tensor:
    return next(iter(training.play.learners[seat].algorithm.parameters()))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 2e8, -2e8])
@pytest.mark.parametrize("seat", [0, 1, 2])
def test_a_weight_that_is_no_sound_number_is_seen(seat: int, value: float, tmp_path: Path) -> None:
    training = new(tmp_path)
    assert not any(unsound(learner) for learner in training.play.learners.values())
    with torch.no_grad():
        first_weight(training, seat).view(-1)[0] = value
    assert [bool(unsound(learner)) for learner in training.play.learners.values()] == [k == seat for k in range(3)]


def test_an_optimiser_that_is_not_finite_is_seen(tmp_path: Path) -> None:
    training = new(tmp_path)
    for _ in range(40):
        training.play.play_period()
    learner = training.play.learners[0]
    group = learner._param_groups()[0]
    state = learner.algorithm._optimizers[0]._optim.state
    assert not unsound(learner)
    state[group["params"][0]]["exp_avg_sq"].view(-1)[0] = float("inf")
    assert unsound(learner) == "its optimiser or target networks are not finite"


def test_a_loss_out_of_all_bounds_names_the_seat_and_the_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = new(tmp_path)
    monkeypatch.setattr(training.play, "play_period", lambda: {1: {"critic_loss": 1e16}})
    with pytest.raises(Diverged, match=r"seats\.b: a2c diverged at step 0: its critic loss is 1e\+16") as found:
        play_period(training)
    assert found.value.seat == 1


def spoil(patch: pytest.MonkeyPatch, calls: list[int], seat: int = 2) -> None:
    """Put NaN into a seat's weights after each of these periods."""
    real, count = loop.play_period, [0]

    def wrapped(training: TrainingRun) -> Any:
        count[0] += 1
        if count[0] in calls:
            with torch.no_grad():
                first_weight(training, seat).fill_(float("nan"))
        return real(training)

    patch.setattr(loop, "play_period", wrapped)


def run_with(tmp_path: Path, on_nan: Any, **learners: Any) -> tuple[Path, str]:
    said = Console(file=io.StringIO(), width=400)
    config = three_learners(tmp_path, 9_600, **learners)
    given = {"checkpoint_every": 1e-9, "on_nan": on_nan, "console": said}
    return train(config, device="cpu", name="run", runs=tmp_path / "runs", **given).folder, said.file.getvalue()  # type: ignore[attr-defined]


def test_a_run_stops_and_names_the_seat_the_step_and_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, [30])
    with pytest.raises(UserError) as stop:
        run_with(tmp_path, "stop")
    run = tmp_path / "runs" / "run"
    said = str(stop.value)
    assert "seats.c" in said or "seller c" in said
    step = unpack(RunState(run).files()[0].read_bytes())["step"]
    assert f"the last good checkpoint is of step {step}" in said and step == 29 * 96
    assert f"bazaar train --resume {run} --on-nan rollback" in said
    for path in RunState(run).files():
        assert_finite(unpack(path.read_bytes())["training"]["play"]["seats"])
    monkeypatch.undo()
    resume(run)  # what was spoiled was not the learner's own doing
    assert all(torch.isfinite(tensor).all() for tensor in weights(run).values())


def assert_finite(node: Any) -> None:
    if isinstance(node, torch.Tensor):
        assert not node.is_floating_point() or bool(torch.isfinite(node).all())
    elif isinstance(node, dict | list):
        for item in node.values() if isinstance(node, dict) else node:
            assert_finite(item)


def test_rollback_goes_back_and_halves_that_learners_rate_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(monkeypatch, [30, 60])
    run, said = run_with(tmp_path, "rollback", ddpg={"lr_final": 1.0}, dqn={"lr_final": 1.0})
    assert f"back to step {29 * 96} with its learning rate x 0.5" in said and "learning rate x 0.25" in said
    about = json.loads((run / "run.json").read_text())
    assert [(one["seller"], one["rate"]) for one in about["rollbacks"]] == [("c", 0.5), ("c", 0.25)]
    rows = metrics(run)
    assert rows[rows["metric"] == "rollbacks"]["value"].tolist() == [1.0, 2.0]
    rates = rows[rows["metric"] == "learning_rate"].groupby("seller")["value"].last()
    built = TrainingRun(read_config(run / "config.yaml"), 0, "cpu").play.learners
    assert rates["c"] == 0.25 * built[2].options.lr and rates["a"] == built[0].options.lr


def test_rewards_far_above_order_one_are_told_by_their_scale(tmp_path: Path) -> None:
    """Seat b earns 2.5 to 3 a period, so by a scale of 1e-9 its rewards are about 3e9."""
    config = three_learners(tmp_path, 9_600)
    change = "market.sellers.b.reward_scale=1e-9"
    with pytest.raises(UserError) as stop:
        train(config, device="cpu", name="run", runs=tmp_path / "runs", changes=[change], console=Console(quiet=True))
    said = str(stop.value)
    assert "seats.b: a2c diverged" in said and "lr" not in said.split("; else ")[1]
    place = r"market\.sellers\.1 \(b\)\.reward_scale"
    found = re.search(rf"its rewards are about (\S+), profit over the scale 1e-09: set {place} to about (\S+)$", said)
    assert found and float(found[1]) == pytest.approx(float(found[2]) * 1e9, rel=0.2) and 0.1 < float(found[2]) < 10


def test_after_five_rollbacks_a_run_stops(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"seats\.c: ddpg diverged .*|seller c.*") as stop:
        run_with(tmp_path, "rollback", ddpg={"lr": 1e9, "critic_lr": 1e9})
    assert "after 5 rollbacks" in str(stop.value)
    about = json.loads((tmp_path / "runs" / "run" / "run.json").read_text())
    assert [one["rate"] for one in about["rollbacks"]] == [0.5**k for k in range(1, 6)]
