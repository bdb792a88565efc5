"""Runs that go on from their last checkpoint: cut off in-process here, killed for real in ``test_kill.py``."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rich.console import Console

from market.errors import UserError
from policies.cli.main import main
from policies.common.interrupt import Stopped, careful, deferred, install, raise_swallowed
from policies.storage.run_folder import saved_sellers
from policies.storage.training_state import RunState, unpack
from policies.storage.work_folder import locked
from policies.training import checkpointing, loop
from policies.training import train as training
from policies.training.checkpointing import Checkpointer, CheckpointOptions
from policies.training.resume import resume
from policies.training.train import train
from tests.helpers.cut_off import Killed, killed_at
from tests.helpers.real_runs import SHORT, assert_the_same, metrics, three_learners, whole_run
from tests.helpers.shared import once

OFTEN = CheckpointOptions(every=1e-9)


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("resume")


@pytest.fixture(name="config", scope="module")
def _config(folder: Path) -> Path:
    return three_learners(folder, budget=SHORT)


@pytest.fixture(name="whole")
def _whole() -> Path:
    return whole_run()


def begin(config: Path, name: str, keeping: CheckpointOptions = OFTEN, **more: Any) -> tuple[Path, str]:
    """Train; the run's folder and what was printed."""
    said = Console(file=io.StringIO(), width=300)
    runs = config.parent / "runs"
    more |= {"checkpoint_every": keeping.every, "on_nan": keeping.on_nan}
    run = train(config, device="cpu", name=name, runs=runs, console=said, **more).folder
    return run, said.file.getvalue()  # type: ignore[attr-defined]


def go_on(run: Path, **order: Any) -> str:
    """Resume; what was printed."""
    said = Console(file=io.StringIO(), width=300)
    assert resume(run, console=said, **order).folder == run
    return said.file.getvalue()  # type: ignore[attr-defined, no-any-return]


MOMENTS: dict[str, tuple[Any, str, int, bool, int | None]] = {
    "before anything is evaluated": (loop, "periodic_evaluation", 1, False, None),
    "after the first evaluation, before its checkpoint": (Checkpointer, "save", 1, False, None),
    "in a period": (loop, "play_period", 33, False, 3072),
    "after a period": (loop, "play_period", 25, True, 2304),
    "after an evaluation, before its checkpoint": (loop, "show", 2, True, 2304),
    "while policies are saved": (loop.TrainingRun, "_save", 22, False, None),
    "before the final table": (training, "final_evaluation", 1, False, 4800),
    "after the final table": (training, "record_results", 1, True, 4800),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_cut_off_ends_like_one_that_was_not(
    moment: str, config: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, name, call, after, step = MOMENTS[moment]
    run = config.parent / "runs" / moment.replace(" ", "-").replace(",", "")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_at(where, name, call, patch, after)
        begin(config, run.name)
    said = go_on(run)
    if step is not None:
        assert f"goes on from step {step}" in said
    assert_the_same(run, whole)


def test_a_run_is_cut_off_twice_and_what_it_wrote_in_between_is_not_there_twice(
    config: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = config.parent / "runs" / "twice"
    for attempt in range(3):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            killed_at(loop, "show", 2, patch) if not attempt else killed_at(loop, "periodic_evaluation", 1, patch, True)
            go_on(run) if attempt else begin(config, run.name, CheckpointOptions(every=9e5))
    assert len(list(run.glob("events.out.tfevents.*"))) >= 2
    go_on(run)
    assert_the_same(run, whole)
    assert len(json.loads((run / "run.json").read_text())["resumed"]) == 3


GRU = {"recurrent": "gru", "recurrent_size": 8, "sequence": 6, "burn_in": 3}
THIRD: dict[str, dict[str, Any]] = {
    "ddpg": {"learner": "ddpg", "risk": {"cvar": 0.2}, "stack": 3, "normalize_observations": True},
    "quantile dqn": {"learner": "dqn", "risk": {"cvar": 0.25}, "quantiles": 8},
}


@pytest.mark.slow
@pytest.mark.parametrize("third", THIRD)
def test_recurrent_and_averse_learners_go_on_to_the_same_bits(
    third: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off in the middle of an episode, of a sequence and of a segment, and once more after going on."""
    config = three_learners(tmp_path, budget=4_320, a2c={"recurrent": "lstm", "recurrent_size": 8, "segment": 7})
    data = yaml.safe_load(config.read_text())
    data["seats"] |= {"a": {"learner": "dqn"} | GRU, "c": THIRD[third]}
    config.write_text(yaml.safe_dump(data))
    whole, run = begin(config, "whole", CheckpointOptions())[0], tmp_path / "runs" / "cut"
    for again, call in enumerate((34, 6)):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            killed_at(loop, "play_period", call, patch)
            go_on(run) if again else begin(config, "cut")
    assert "goes on from step " in go_on(run)
    assert json.loads((run / "run.json").read_text())["resumed"][0]["step"] == 33 * 96
    kinds = {name: one.architecture.cell for name, one in saved_sellers(run).items()}
    assert kinds == {"a": "gru", "b": "lstm", "c": "none"}
    assert_the_same(run, whole)


def cut_run() -> Path:
    """A run killed with two generations on disk; copied before it is touched."""
    return once("cut", _cut_off) / "runs" / "cut"


def _cut_off(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        killed_at(loop, "play_period", 30, patch)
        begin(three_learners(folder, budget=SHORT), "cut")


@pytest.fixture(name="cut")
def _cut(tmp_path: Path) -> Path:
    return Path(shutil.copytree(cut_run(), tmp_path / "runs" / "cut"))


def test_two_generations_are_kept_and_hold_plain_values_only(cut: Path) -> None:
    newest, older = RunState(cut).files()
    assert int(newest.stem) == int(older.stem) + 1
    assert not list((cut / "state").glob("*.part"))
    states = [unpack(path.read_bytes()) for path in (newest, older)]  # read with weights_only=True
    assert states[0]["step"] - states[1]["step"] == 96  # one period of 32 rows and 3 seats


@pytest.mark.parametrize("harm", ["flipped", "cut short", "empty", "foreign"])
def test_a_damaged_newest_state_falls_back_to_the_one_before(harm: str, cut: Path, whole: Path) -> None:
    newest, older = RunState(cut).files()
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    ways = {"flipped": bytes(content), "cut short": content[:-1], "empty": b"", "foreign": b"PK\x03\x04" + content}
    newest.write_bytes(ways[harm])
    said = go_on(cut)
    assert f"warning: {newest} is damaged" in said and f"going on from {older}" in said
    assert_the_same(cut, whole)


def test_a_damaged_state_is_not_counted_as_a_generation(cut: Path) -> None:
    newest, older = RunState(cut).files()
    newest.write_bytes(b"")
    states = RunState(cut)
    state = states.load(Console(file=io.StringIO()))
    assert state is not None
    states.save(state)
    kept = states.files()
    assert older in kept and newest not in kept and len(kept) == 2


def test_when_both_are_damaged_both_are_named(cut: Path) -> None:
    for path in RunState(cut).files():
        path.write_bytes(b"not a state")
    with pytest.raises(UserError, match=r"000\d+\.state is damaged.*000\d+\.state is damaged.*no checkpoint"):
        go_on(cut)


def test_a_pickle_is_not_run(cut: Path, tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "harm"),)

    file = io.BytesIO()
    torch.save({"state": Harm()}, file)
    for path in RunState(cut).files():
        path.write_bytes(file.getvalue())
    with pytest.raises(UserError, match="damaged"):
        go_on(cut)
    assert not (tmp_path / "harm").exists()


CONTRADICTIONS = {
    ("configs/duopoly.yaml",): "CONFIG: a run that goes on has its own settings",
    ("--seed", "0"): "--seed: a run that goes on has its own",
    ("--device", "cpu"): "--device: a run that goes on",
    ("--set", "training.markets=3"): "--set: a run that goes on",
    ("--name", "x"): "--name: a run that goes on",
    ("--runs", "x"): "--runs: a run that goes on",
    ("--budget", "1e9"): "--budget: a run that goes on keeps its budget",
}


@pytest.mark.parametrize("words", CONTRADICTIONS)
def test_options_that_contradict_are_refused(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--resume", "runs/any", *words]) == 2
    assert CONTRADICTIONS[words] in capsys.readouterr().err


def test_a_finished_run_says_so(whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    assert "was finished on 20" in go_on(run) and "nothing left to train" in go_on(run)
    assert metrics(run).equals(metrics(whole))


@pytest.mark.parametrize(
    "command", ["train --resume RUN", "evaluate RUN --seller a --episodes 4 --against nash+base_stock"]
)
def test_what_a_kill_at_the_very_end_leaves_of_the_state_is_tidied(command: str, whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    for name in ("000008.state", "000009.state", "000009.state.part"):
        (run / "state" / name).write_bytes(b"left")
    assert main([word.replace("RUN", str(run)) for word in command.split()]) == 0
    assert {path.name for path in (run / "state").iterdir()} <= {"lock"} and (
        run / "checkpoints" / "a.best.pt"
    ).exists()


def remove_state(run: Path) -> None:
    shutil.rmtree(run / "state")


def remove_seed(run: Path) -> None:
    (run / "run.json").write_text("{}")


def change_config(run: Path) -> None:
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("replay_ratio: ", "replay_ratio:  ") + "\n# changed\n")


def change_a_default(run: Path) -> None:
    about = json.loads((run / "run.json").read_text())
    about["learning"]["seats"]["b"]["lr"] = 0.5
    (run / "run.json").write_text(json.dumps(about))


def be_of_an_earlier_version(run: Path) -> None:
    about = json.loads((run / "run.json").read_text())
    del about["learning"]
    (run / "run.json").write_text(json.dumps(about | {"versions": {"bazaar-market": "0.0.1"}}))


def type_another_seed(run: Path) -> None:
    about = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(about | {"seed": 7}))


def lose_metrics(run: Path) -> None:
    (run / "metrics.csv").unlink()


REFUSED: dict[Callable[[Path], Any], str] = {
    remove_state: r"was made without checkpoints of the whole run \(state/\).*--seed 0 repeats it",
    remove_seed: "run.json: does not say the run's seed",
    change_config: "config.yaml: was changed since the run began",
    change_a_default: r"learners learn otherwise \(then / now: seats.b.lr: 0.5 / \S+\), so it cannot go on; bazaar evaluate",
    be_of_an_earlier_version: r"was begun by another version of bazaar \(0.0.1\), whose .*--seed 0 trains it anew",
    type_another_seed: "run.json: says seed 7, and the run was begun with seed 0; put it back",
    lose_metrics: "metrics.csv: is missing or shorter than it was",
    shutil.rmtree: "--resume .*cut: there is no such run",
}


@pytest.mark.parametrize("harm", REFUSED)
def test_what_cannot_go_on_is_refused(harm: Callable[[Path], Any], cut: Path) -> None:
    harm(cut)
    with pytest.raises(UserError, match=REFUSED[harm]):
        go_on(cut)


def test_other_versions_are_named(cut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = json.loads((cut / "run.json").read_text())
    about["versions"]["torch"] = "1.0"
    (cut / "run.json").write_text(json.dumps(about))
    with monkeypatch.context() as patch, pytest.raises(Killed):
        said = Console(file=io.StringIO(), width=300)
        killed_at(loop, "play_period", 1, patch)
        resume(cut, console=said)
    assert "warning: not the versions that the run began with (torch 1.0 -> " in said.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_run_begun_on_a_gpu_goes_on_where_there_is_none(cut: Path, whole: Path) -> None:
    about = json.loads((cut / "run.json").read_text())
    (cut / "run.json").write_text(json.dumps(about | {"device": "cuda (NVIDIA H200)"}))
    said = go_on(cut)
    assert (
        "warning: the run was begun on cuda (NVIDIA H200), and torch finds no CUDA device here: it goes on on the CPU"
        in said
    )
    assert json.loads((cut / "run.json").read_text())["resumed"][0]["device"].startswith("cpu")
    assert_the_same(cut, whole)


def test_one_process_holds_a_run_at_a_time(cut: Path) -> None:
    with locked(cut), pytest.raises(UserError, match=rf"another process \(number {os.getpid()}\) is training this run"):
        go_on(cut)


def test_a_checkpoint_at_an_evaluation_may_cost_a_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class At:
        evaluated, play = 2, None
        config = type("C", (), {"training": type("T", (), {"evaluations": 9})})

    kept: list[float] = []
    now = [100.0]
    monkeypatch.setattr(checkpointing.time, "monotonic", lambda: now[0])
    one = Checkpointer(At, None, Path(), CheckpointOptions(every=60), None, state=At)  # type: ignore[arg-type]
    monkeypatch.setattr(Checkpointer, "save", lambda self: kept.append(now[0]))
    one._written, one._cost = 100.0, 0.1  # 2 % of five seconds
    for now[0] in (104.9, 105.1):
        one.save_at_evaluation()
    assert kept == [105.1]
    one._cost = 10
    for now[0] in (159.9, 160.1):
        one.save_at_evaluation()
    assert kept == [105.1, 160.1]
    At.evaluated = 9
    now[0] = 100.0
    one.save_at_evaluation()
    assert kept[-1] == 100.0


@pytest.fixture(name="ctrl_c")
def _ctrl_c() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler), sys.unraisablehook
    install()
    yield
    signal.signal(signal.SIGINT, before[0])
    sys.unraisablehook = before[1]


@pytest.mark.usefixtures("ctrl_c")
def test_the_first_ctrl_c_waits_for_a_good_moment_and_the_second_does_not() -> None:
    reached = []
    with pytest.raises(Stopped), careful():
        with deferred():
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("the end")
        raise_swallowed()
    with pytest.raises(KeyboardInterrupt) as stop, careful(), deferred():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        reached.append("never")
    assert reached == ["the end"] and not isinstance(stop.value, Stopped)
    raise_swallowed()  # an interruption that was told is over
