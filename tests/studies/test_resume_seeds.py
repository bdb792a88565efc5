"""Several seeds go on from wherever they were cut off, and end as if that had not happened, to the bit."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from market.errors import UserError
from policies.cli.main import main
from policies.storage.training_state import RunState
from policies.storage.work_folder import locked
from policies.studies.multi_seed import run as seeds_course
from policies.studies.multi_seed.folder import read_folder, run_name
from policies.studies.multi_seed.run import WorkerOptions, resume_seeds, train_seeds
from policies.training import loop
from policies.training.checkpointing import CheckpointOptions
from policies.training.run import TrainingRun
from tests.helpers.cut_off import Killed, killed_at
from tests.helpers.real_runs import assert_the_same, metrics, three_learners, weights
from tests.helpers.seeds import OFTEN, files, hears, kill, part, resumed
from tests.helpers.shared import once

SLOW = pytest.mark.slow
HERE = WorkerOptions(processes=1)
SEEDS = (0, 1)


def begin_seeds(
    config: Path, name: str, means: WorkerOptions = HERE, checkpointing: CheckpointOptions = OFTEN
) -> tuple[Path, str]:
    """Train both seeds; the folder and what was printed."""
    said = Console(file=io.StringIO(), width=300)
    given: dict[str, Any] = {"device": "cpu", "name": name, "runs": config.parent / "runs", "console": said}
    given |= {"checkpoint_every": checkpointing.every, "on_nan": checkpointing.on_nan}
    folder = train_seeds(config, seeds=len(SEEDS), **given, **vars(means)).folder
    return folder, said.file.getvalue()  # type: ignore[attr-defined]


def go_on(folder: Path, means: WorkerOptions = HERE, **order: Any) -> str:
    """Resume; what was printed."""
    said = Console(file=io.StringIO(), width=300)
    assert resume_seeds(folder, console=said, **order, **vars(means)).folder == folder
    return said.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def facts(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "seeds.json").read_text())
    return found


def assert_all_the_same(folder: Path, other: Path, same: Callable[[Path, Path], None] = assert_the_same) -> None:
    for seed in SEEDS:
        same(folder / run_name(seed), other / run_name(seed))
    for name in ("evaluation.json", "cross_play.json"):
        assert (folder / name).read_text() == (other / name).read_text()
    assert facts(folder)["seeds"] == {"0": "done", "1": "done"} and facts(folder)["finished"]


def figures_are_the_same(run: Path, other: Path) -> None:
    """As :func:`assert_the_same`, but for pictures, which processes of their own draw and tests here do not."""
    mine, theirs = weights(run), weights(other)
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert metrics(run).equals(metrics(other))


@pytest.fixture(autouse=True, scope="module")
def no_pictures() -> Iterator[None]:
    """They take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "show", lambda *_: None)
        yield


@pytest.fixture(name="config", scope="module")
def _config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return three_learners(tmp_path_factory.mktemp("seeds"), budget=3_840)


@pytest.fixture(name="whole", scope="module")
def _whole() -> Path:
    return once("seeds", _not_cut_off) / "runs" / "whole"


def _not_cut_off(folder: Path) -> None:
    begin_seeds(three_learners(folder, budget=3_840), "whole", checkpointing=CheckpointOptions())


def cut(run: Path) -> None:
    raise Killed


MOMENTS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str]] = {
    "before any": (lambda patch: killed_at(seeds_course, "_train", 1, patch), "to be begun: seeds 0, 1"),
    "first": (lambda patch: hears(patch, 0, 1500, cut), "to go on: seed 0; to be begun: seed 1"),
    "second": (lambda patch: hears(patch, 1, 1500, cut), "done: seed 0; to go on: seed 1"),
    "judged": (lambda patch: killed_at(seeds_course, "evaluate", 1, patch, True), "done: seeds 0, 1"),
}


@pytest.mark.parametrize("moment", [pytest.param(one, marks=() if one == "second" else SLOW) for one in MOMENTS])
def test_seeds_cut_off_end_like_those_that_were_not(
    moment: str, config: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    way, standing = MOMENTS[moment]
    folder = config.parent / "runs" / f"cut-{moment}"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        way(patch)
        begin_seeds(config, folder.name)
    assert standing in go_on(folder)
    assert_all_the_same(folder, whole)
    steps = [resumed(folder / run_name(seed)) for seed in SEEDS]
    assert [bool(step and step[0] > 0) for step in steps] == [moment == "first", moment == "second"]
    assert "was finished on" in go_on(folder)


def test_where_the_folder_is_not_seen_all_files_come_back_and_the_runs_go_on_from_them(
    config: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part(monkeypatch)
    folder = config.parent / "runs" / "apart"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        hears(patch, 1, 1500, cut)
        begin_seeds(config, folder.name)
    run = folder / run_name(1)
    assert len(RunState(run).files()) == 2 and not list(run.rglob("*.part"))
    assert "done: seed 0; to go on: seed 1" in go_on(folder)
    assert_all_the_same(folder, whole)
    assert 0 < resumed(run)[0] <= 1920  # half of the run
    for seed in SEEDS:
        assert files(folder / run_name(seed)) == files(whole / run_name(seed))


@SLOW
def test_what_a_run_that_stopped_elsewhere_leaves_comes_back_too(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part(monkeypatch)
    with monkeypatch.context() as patch, pytest.raises(UserError) as stop:
        spoil(patch, 0)
        begin_seeds(config, "nan-apart", checkpointing=CheckpointOptions(every=1e-9))
    run = config.parent / "runs" / "nan-apart" / run_name(0)
    assert f"bazaar train --resume {run} --on-nan rollback" in str(stop.value)
    state = RunState(run).load(Console(quiet=True))
    assert state is not None and state["step"] == 29 * 96


@SLOW
def test_a_worker_that_is_killed_costs_what_came_after_its_last_checkpoint(
    config: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        hears(patch, 0, 1500, kill)
        folder, _ = begin_seeds(config, "worker", WorkerOptions(2))
    assert_all_the_same(folder, whole, figures_are_the_same)
    steps = resumed(folder / run_name(0))
    assert len(steps) == 1 and 0 < steps[0] < 3840 and not resumed(folder / run_name(1))


def test_a_worker_that_had_not_said_what_its_run_is_begins_it_again(config: Path, monkeypatch: Any) -> None:
    folder = config.parent / "runs" / "half"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_at(seeds_course, "_train", 1, patch)
        begin_seeds(config, folder.name)
    (folder / run_name(0) / "checkpoints").mkdir(parents=True)
    shutil.copy(folder / "settings.yaml", folder / run_name(0) / "config.yaml")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_at(seeds_course, "evaluate", 1, patch)
        go_on(folder)
    assert not resumed(folder / run_name(0)) and (folder / run_name(0) / "evaluation.json").exists()


# ------------------------------------------------------------------------------------------------ divergence


def spoil(patch: pytest.MonkeyPatch, seed: int) -> None:
    """Put NaN into the weights of a seed's first learner in its thirtieth period."""
    real, count = loop.play_period, [0]

    def wrapped(training: TrainingRun) -> Any:
        count[0] += training.seed == seed
        if count[0] == 30 and training.seed == seed:
            with torch.no_grad():
                next(iter(training.play.learners[0].algorithm.parameters())).fill_(float("nan"))
        return real(training)

    patch.setattr(loop, "play_period", wrapped)


def test_a_seed_that_diverges_stops_alone_and_goes_on_when_asked(
    config: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(UserError) as stop:
        spoil(patch, 0)
        begin_seeds(config, "nan", checkpointing=CheckpointOptions(every=1e-9))
    folder = config.parent / "runs" / "nan"
    first, last = str(stop.value).split("\n")
    assert first.startswith("seed 0 failed: ") and "seats.a" in first
    assert f"last good checkpoint is of step {29 * 96}" in first
    assert last.startswith("seeds 1 are whole") and f"bazaar train --resume {folder} goes on" in last
    assert facts(folder)["seeds"]["1"] == "done" and "finished" not in facts(folder)
    assert json.loads((folder / "evaluation.json").read_text()) and not (folder / "cross_play.json").exists()
    go_on(folder)  # what was spoiled was not the learner's own doing
    assert_all_the_same(folder, whole)
    assert resumed(folder / run_name(0)) == [29 * 96]


@SLOW
def test_rollback_is_every_seeds_and_its_warning_is_told(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        spoil(patch, 1)
        folder, said = begin_seeds(config, "rollback", checkpointing=CheckpointOptions(every=1e-9, on_nan="rollback"))
    assert "seed 1: warning: " in said and f"back to step {29 * 96} with its learning rate x 0.5" in said
    assert "seed 0: warning" not in said
    abouts = [json.loads((folder / run_name(seed) / "run.json").read_text()) for seed in SEEDS]
    assert [len(about.get("rollbacks", [])) for about in abouts] == [0, 1]
    assert [about["on_nan"] for about in abouts] == ["rollback"] * 2 and facts(folder)["on_nan"] == "rollback"


# ------------------------------------------------------------------------------------------------ messages


def test_the_folder_knows_what_it_was_begun_with(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpointing = CheckpointOptions(every=7.5, on_nan="rollback")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_at(seeds_course, "_train", 1, patch)
        begin_seeds(config, "options", WorkerOptions(3), checkpointing)
    folder, given = config.parent / "runs" / "options", list[tuple[CheckpointOptions, WorkerOptions]]()
    monkeypatch.setattr(
        "policies.studies.multi_seed.run.carry_out",
        lambda several, checkpointing, means, console: given.append((checkpointing, means)),
    )
    go_on(folder, WorkerOptions())
    go_on(folder, WorkerOptions(2), checkpoint_every=1e-9, on_nan="stop")
    assert given == [(checkpointing, WorkerOptions(3)), (CheckpointOptions(1e-9, "stop"), WorkerOptions(2))]
    assert read_folder(folder).plan.seeds == SEEDS


def test_what_cannot_go_on_is_refused(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "seeds"))
    for option in ("--seeds", "--seed"):
        assert main(["train", "--resume", str(folder), option, "3"]) == 2
        assert f"{option}: a run that goes on has its own" in capsys.readouterr().err
    assert main(["train", "--resume", str(folder / "seed-0"), "--processes", "3"]) == 2
    assert "--processes: a run that goes on" in capsys.readouterr().err
    about = facts(folder)
    del about["finished"]
    (folder / "seeds.json").write_text(json.dumps(about))
    with locked(folder, ""), pytest.raises(UserError, match=rf"another process \(number {os.getpid()}\)"):
        go_on(folder)
    with open(folder / "settings.yaml", "a", encoding="utf-8") as file:
        file.write("\n# changed\n")
    with pytest.raises(UserError, match=r"settings\.yaml: differs from .*seed-0/config\.yaml"):
        go_on(folder)
    (folder / "seeds.json").write_text(json.dumps({"seeds": {"0": "done"}}))
    with pytest.raises(UserError, match=r"(?s)does not say what it takes to go on.*--resume .*seed-0"):
        go_on(folder)
