"""What bad input gets: one message with the place and the rule, exit status 2, nothing written."""

from __future__ import annotations

import importlib
import itertools
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import policies.training.loop  # noqa: F401  # so that no pictures are drawn
from policies.cli import board
from policies.cli.main import main
from policies.storage.run_folder import open_run, saved_sellers
from tests.helpers.small_run import ROOT, SMALL, small_run

a_run = pytest.fixture(scope="session", name="a_run")(small_run)
DUOPOLY = str(ROOT / "configs" / "duopoly.yaml")
CALVANO = str(ROOT / "configs" / "calvano.yaml")
MONOPOLY = str(ROOT / "configs" / "monopoly.yaml")


def message_of(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """What a refused command says; its status must be 2, and it must say so once, without a traceback."""
    capsys.readouterr()
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        status = stop.code  # type: ignore[assignment]
    said = capsys.readouterr()
    assert status == 2, said
    assert "Traceback" not in said.err + said.out
    assert said.err.count("\nbazaar ") == 0 and said.err.startswith("bazaar") and "─" not in said.err
    return said.err


SETTINGS = {
    "market.horizon=0": "market.horizon: must be greater than or equal to 1",
    "market.horizn=50": "--set market.horizn=50: market.horizn: unknown key (did you mean horizon?)",
    "market.horizon=10": "--set market.horizon=10: evaluation.warm_up: 10 periods leave nothing of a market.horizon of 10",
    "market.price_sensitivity=.nan": "market.price_sensitivity",
    "market.name=yes": "market.name: must not be true or false",
    "market=": "market: must be a mapping",
    "market.sellers.left.unit_cost=-1": "--set market.sellers.left.unit_cost=-1: market.sellers.0.unit_cost",
    "market.sellers.left.prices=[3, 1]": "market.sellers.0: prices must be [low, high]",
    "market.sellers.left.actions=disc": "market.sellers.0.actions: must be 'box' or 'grid'",
    "market.sellers.left.grid={prices: 1000, levels: 1000}": "1,000,000 actions; a learner takes up to 10,000",
    "market.sellers.left.name=a/b": "sellers.0.name: must be a name of at most 200 bytes without",
    "market.sellers.middle.stock=1": "--set market.sellers.middle: no item 'middle' among left, right",
    "market.sellers.2.stock=1": "--set market.sellers.2: no item '2' among left, right",
    "market.name.first=1": "--set market.name: is the value 'duopoly', it has no keys",
    "market.horizon.first=1": "--set market.horizon: is the value 100, it has no keys",
    "training={budget:1000,markets:8}": "the value needs a space after the colon (budget: 1000); YAML reads budget:1000",
    "learners={dqn:{lr:0.1}}": "a colon needs a space after it: {lr: 0.001}",
    "market.horizon": "must be key.path=value",
    "=3": "must be key.path=value",
    "market..horizon=3": "no key empty",
    "market.horizon=[": "the value is not valid YAML",
    "seats.middle=dqn": "--set seats.middle=dqn: seats.middle: no such seller; the market has left, right",
    "seats.left=dqnn": "seats.left: 'dqnn' is neither a learner (dqn, a2c, ddpg) nor a pricing rule",
    "seats.left=3": "seats",
    "seats.left=nash + base_stok": "seats.left.replenishment: unknown rule 'base_stok'",
    "seats.left={learner: dqnn}": "seats.left.learner: unknown learner 'dqnn'",
    "seats.left={learner: [dqn]}": "seats.left.learner: unknown learner",
    "seats.left={learner: dqn, gama: 1}": "seats.left.gama: unknown key (did you mean gamma?)",
    "seats={left: nash, right: nash}": "no seat has a learner",
    "learners.dqn.gamma=2": "learners.dqn.gamma: must be less than 1 (got 2)",
    "learners.a2c.gamma=2": "learners.a2c.gamma: must be less than 1 (got 2)",
    "learners.dqn.epsilon=0": "learners.dqn: epsilon_final 0.02 must not exceed epsilon 0.0",
    "learners.dqn.hidden=[100000000, 100000000]": "learners.dqn.hidden: [100000000, 100000000] makes a network of",
    "learners.ppo.gamma=0.9": "learners.ppo: unknown learner; the learners are dqn, a2c, ddpg",
    "learners.dqn=3": "learners.dqn: must be a mapping",
    "training.budget=0": "training.budget: must be greater than or equal to 1",
    "training.budget=many": "training.budget: must be a number",
    "training.budget=yes": "training.budget: must be a number, not true or false",
    "training.budget=.inf": "training.budget: must be",
    "training.markets=1000000": "training.markets: must be less than or equal to 65536",
    "evaluation.salvage=2": "evaluation.salvage: must be less than or equal to 1",
    "evaluation.line_ups=nash": "evaluation.line_ups: must be a list",
    "evaluation.line_ups=[nash+bse_stock]": "evaluation.line_ups.0.replenishment: unknown rule 'bse_stock'",
    "evaluation.competitors=[constant(price=-1)]": "evaluation.competitors.0.pricing.constant.price",
    "evaluation.panel=[7]": "evaluation.panel.0: must be rules such as nash+base_stock",
}


@pytest.mark.parametrize("change", SETTINGS)
def test_a_wrong_setting_is_refused_with_its_place(
    change: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    message = message_of(capsys, "train", DUOPOLY, "--runs", runs, "--device", "cpu", "--set", change)
    assert SETTINGS[change] in message and DUOPOLY not in message
    assert message.count("\n") <= 2
    assert not runs.exists()


SALES_FILE = "a sales file: bazaar calibrate makes a configuration of it"
FILES = {
    "missing.yaml": (None, "cannot be read (No such file or directory)"),
    "folder.yaml": ("folder", "cannot be read (Is a directory)"),
    "empty.yaml": (b"", "must be a YAML mapping with the key market"),
    "list.yaml": (b"- 1", "must be a YAML mapping with the key market"),
    "no_market.yaml": (b"seats: {}", ": market: this key is required"),
    "latin.yaml": ("market: {name: caf\xe9}".encode("latin-1"), "cannot be read (is not UTF-8 text)"),
    "binary.yaml": (b"\x00\x01\x02", "is not valid YAML"),
    "broken.yaml": (b"market: [", "is not valid YAML"),
    "twice.yaml": (b"market: {}\nmarket: {}", "key 'market' is written twice"),
    "python.yaml": (b"market: !!python/object/apply:os.system ['touch executed']", "is not valid YAML"),
    "sales.csv": (b"week,brand,price\n1,a,2\n", f"the key market; {SALES_FILE}"),
    "shop.CSV": (b'"week","brand"\n1,"a"\n', f"; {SALES_FILE}"),
    "sales.parquet": (b"PAR1\xff\xfe", f"cannot be read (is not UTF-8 text); {SALES_FILE}"),
    "gone.csv": (None, "gone.csv: cannot be read (No such file or directory)\n"),
    "extra.yaml": (b"maket: {}", "maket: unknown key (did you mean market?)"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_configuration_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    content, rule = FILES[name]
    if content == "folder":
        Path(name).mkdir()
    elif isinstance(content, bytes):
        Path(name).write_bytes(content)
    assert rule in message_of(capsys, "train", name)
    assert not Path("runs").exists() and not Path("executed").exists()


def test_an_existing_folder_is_never_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").mkdir()
    assert "exists already" in message_of(capsys, "train", DUOPOLY, "--runs", tmp_path, "--name", "mine")
    assert list(tmp_path.rglob("*")) == [tmp_path / "mine"]


@pytest.mark.parametrize("name", ["a/b", "..", ".", "", "/tmp/x", "a\nb", "x" * 300])
def test_a_name_must_be_a_plain_folder_name(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = tmp_path / "runs"
    message = message_of(capsys, "train", DUOPOLY, "--runs", runs, "--name", name, "--set", "learners.dqn.gamma=2")
    assert "plain folder name" in message or "empty word" in message or ("gamma" in message and len(name) == 300)
    assert not runs.exists()


def test_runs_must_be_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "runs").write_text("a file")
    assert "is not a folder" in message_of(capsys, "train", DUOPOLY, "--runs", tmp_path / "runs")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_missing_gpu_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = message_of(capsys, "train", DUOPOLY, "--runs", tmp_path / "runs", "--device", "cuda")
    assert "--device cuda: torch finds no CUDA device here" in message
    assert not (tmp_path / "runs").exists()


COMMANDS = {
    (): "the following arguments are required: COMMAND",
    ("trian",): "bazaar: trian: unknown command (did you mean train?); the commands are train, tune",
    ("train",): "the following arguments are required: CONFIG",
    ("train", DUOPOLY, "--budget", "0"): "--budget: must be at least 1, got 0",
    ("train", DUOPOLY, "--budget", "1.5"): "--budget: must be a whole number, got '1.5'",
    ("train", DUOPOLY, "--budget", "nan"): "--budget: must be a whole number",
    ("train", DUOPOLY, "--seed", "-1"): "--seed: must be a whole number >= 0",
    ("train", DUOPOLY, "--device", "tpu"): "--device: must be auto, cpu or cuda, got 'tpu'",
    ("train", DUOPOLY, "--colour", "red"): "--colour: unknown option\n",
    ("train", DUOPOLY, "--budgt", "3"): "--budgt: unknown option (did you mean --budget?)",
    ("train", DUOPOLY, "--budget"): "--budget: needs a value",
    ("train", DUOPOLY, CALVANO): "calvano.yaml: is one argument too many",
    ("evaluate", "--risk=3", "x"): "--risk: takes no value",
    ("evaluate",): "the following arguments are required: RUN|CONFIG",
    ("deviate", "x"): "the following arguments are required: --seller",
    (
        "calibrate",
        "x",
        "-o",
        "y.yaml",
        "--market-size",
        "9",
        "--market-size-factor",
        "2",
    ): "--market-size-factor: is not",
    ("calibrate", "x", "-o", "y.yaml", "--iv", "cost,cost"): "--iv: must be of cost, rivals, promotions",
    ("evaluate", DUOPOLY): "is a configuration, so --seller RULES must say which competitor to evaluate",
    ("evaluate", "nowhere"): "nowhere: cannot be read (No such file or directory)",
    ("evaluate", str(ROOT / "configs")): "is not a run (it has no config.yaml)",
    ("evaluate", DUOPOLY, "--seller", "nsh"): "--seller.pricing: unknown rule 'nsh'",
    ("evaluate", DUOPOLY, "--seller", "nash("): "--seller",
    ("evaluate", DUOPOLY, "--seller", "left"): "--seller gives the RULES to evaluate; --seat names their seat",
    (
        "evaluate",
        DUOPOLY,
        "--seller",
        "nash",
        "--seat",
        "middle",
    ): "--seat middle: the market's sellers are left, right",
    ("evaluate", DUOPOLY, "--seller", "nash", "--against", "nsh"): "--against.pricing: unknown rule 'nsh'",
    ("evaluate", DUOPOLY, "--seller", "nash", "--episodes", "0"): "--episodes: must be at least 1",
    ("evaluate", DUOPOLY, "--seller", "nash", "--json", "none/x.json"): "the folder none does not exist",
    ("evaluate", DUOPOLY, "--seller", "nash", "--csv", str(ROOT)): "is a folder, not a file to write to",
    ("evaluate", CALVANO, "--seller", "nash+base_stock"): "--seller.replenishment: means nothing when",
    ("evaluate", MONOPOLY, "--seller", "cost_plus", "--against", "nash"): "has one seller, so there are no rivals",
    ("evaluate", MONOPOLY, "--seller", "match"): "--seller",
    ("board", "nowhere"): "nowhere: there is no such folder; bazaar train makes it",
    ("board", str(ROOT / "configs")): "holds no run yet",
    ("board", "--port", "99999"): "--port: must be from 1 to 65535",
}


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_wrong_command_is_refused(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert COMMANDS[arguments] in message_of(capsys, *arguments)


def test_a_run_refuses_other_sellers_settings_and_lost_checkpoints(
    a_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "the run's trained sellers are left, right" in message_of(capsys, "evaluate", a_run, "--seller", "middle")
    assert "evaluation.warm_up: 10 periods leave" in message_of(capsys, "evaluate", a_run, "--set", "market.horizon=9")
    (tmp_path / "config.yaml").write_bytes((a_run / "config.yaml").read_bytes())
    assert "holds no saved sellers" in message_of(capsys, "evaluate", tmp_path)


def test_a_full_disk_is_a_message(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "metrics.csv")

    monkeypatch.setattr(board.carry_out, "__wrapped__", full)
    assert "bazaar board: metrics.csv: No space left on device" in message_of(capsys, "board")

    def large(*_: object) -> None:
        raise MemoryError("Unable to allocate 9 TiB")

    monkeypatch.setattr(board.carry_out, "__wrapped__", large)
    assert "not enough memory (Unable to allocate 9 TiB)" in message_of(capsys, "board")


def test_board_reports_a_tensorboard_that_fails(
    a_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(board.sys, "executable", "/bin/false")
    assert "TensorBoard ended with status 1 (is port 6006 taken?" in message_of(capsys, "board", a_run.parent)


def test_a_seat_with_neither_learner_nor_pricing_nor_run(capsys: pytest.CaptureFixture[str]) -> None:
    message = message_of(capsys, "train", DUOPOLY, "--set", "seats.left={learning: dqn}")
    assert "seats.left: needs the key learner (dqn, a2c, ddpg), pricing or run; it has learning" in message


LOOP = "policies.training.loop"
MOMENTS = {
    "setting up": ("policies.training.run", "check_learners", 1),
    "learning": (LOOP, "play_period", 100),
    "final table": ("policies.training.train", "final_evaluation", 1),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_leaves_a_run_that_can_be_evaluated(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once by a real signal, at a chosen call; processes of their own get it in test_tournament.py and test_kill.py."""
    words = ["train", DUOPOLY, "--runs", str(tmp_path), "--name", "run"]
    words += [word for change in SMALL for word in ("--set", change)]
    owner, name, call = MOMENTS[moment]
    if moment == "learning":
        signalled(owner, name, call, monkeypatch)
    else:
        interrupt(owner, name, monkeypatch)
    monkeypatch.setattr(sys, "argv", ["bazaar", *words])
    status, errors = main(), capsys.readouterr().err
    assert status == 130, errors
    assert "Traceback" not in errors
    assert "interrupted" in errors
    if moment == "setting up":
        assert not (tmp_path / "run").exists()
    else:
        assert f"bazaar evaluate {tmp_path / 'run'}" in errors
        sellers = saved_sellers(tmp_path / "run")
        assert list(sellers) == ["left", "right"]
        sellers["left"].sit(open_run(tmp_path / "run").market)


def signalled(owner: str, name: str, call: int, patch: pytest.MonkeyPatch) -> None:
    """Ctrl-C from outside before the ``call``-th call of a function."""
    real, calls = getattr(importlib.import_module(owner), name), itertools.count(1)

    def counted(*given: Any, **named: Any) -> Any:
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*given, **named)

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    patch.setattr(f"{owner}.{name}", counted)


def interrupt(owner: str, name: str, patch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in place of a function's work."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    patch.setattr(f"{owner}.{name}", stop)
