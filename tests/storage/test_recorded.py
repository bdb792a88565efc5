"""Folders written before the packages were put in order are read and evaluated, to the same bits.

Training is not gone on with: learners and their defaults have changed.

``tests/recorded/README.md`` says what they are. Another processor may round otherwise: then figures are compared in
kind, and within a tenth.
"""

from __future__ import annotations

import hashlib
import json
import math
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import policies
from market.errors import UserError
from policies.storage.run_folder import saved_sellers
from policies.training import loop

RECORDED = Path(__file__).parents[1] / "recorded"
ARITHMETIC = "b9cd1b97ec3bde8d"  # of the machine that recorded them


def arithmetic() -> str:
    """A digest of a few steps of training: the same where a processor rounds as the recording one did."""
    inputs = torch.linspace(-1, 1, 32 * 8).reshape(32, 8).sin()
    weight = torch.linspace(-0.5, 0.5, 64).reshape(8, 8).requires_grad_()
    optimizer = torch.optim.Adam([weight], 1e-2)
    for _ in range(20):
        optimizer.zero_grad()
        (inputs @ weight).tanh().pow(2).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return hashlib.sha256(weight.detach().numpy().tobytes()).hexdigest()[:16]


EXACT = arithmetic() == ARITHMETIC


def assert_alike(found: Any, recorded: Any) -> None:
    """Plain data are equal; numbers where the processor is another one, nearly."""
    if isinstance(recorded, dict):
        assert found.keys() == recorded.keys()
        for key, value in recorded.items():
            assert_alike(found[key], value)
    elif isinstance(recorded, list):
        assert len(found) == len(recorded)
        for one, other in zip(found, recorded, strict=True):
            assert_alike(one, other)
    elif EXACT or not isinstance(recorded, int | float):
        assert found == recorded
    else:
        assert math.isclose(found, recorded, rel_tol=0.1, abs_tol=0.1)


def read(path: Path) -> Any:
    """Plain data, without the rows among a run's own sellers, which evaluations had not yet."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return [row for row in data if "rivals" not in row] if isinstance(data, list) else data


@pytest.fixture(name="expected", scope="module")
def _expected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked("expected", tmp_path_factory.mktemp("recorded"))


@pytest.fixture(name="here")
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder; what is trained in it draws no pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loop, "show", lambda *_: None)
    (tmp_path / "market.yaml").write_bytes((RECORDED / "market.yaml").read_bytes())
    return tmp_path


def unpacked(name: str, folder: Path) -> Path:
    with tarfile.open(RECORDED / f"{name}.tar.gz") as archive:
        archive.extractall(folder / "runs", filter="data")
    return folder / "runs" / name


def test_a_finished_run_is_read_and_evaluated(here: Path, expected: Path) -> None:
    run = unpacked("finished", here)
    loaded = policies.load_run(run)
    assert loaded.seed == 3 and loaded.spec.names == ["left", "right"] and len(loaded.metrics()) > 200
    assert [one.learner for one in saved_sellers(run).values()] == ["dqn", "a2c"]
    policies.evaluate(run, episodes=32, json=here / "found.json")
    assert_alike(read(here / "found.json"), read(expected / "evaluate.json"))


def test_an_interrupted_run_is_evaluated_and_not_taught_otherwise(here: Path) -> None:
    """What it had learned plays; its learners' defaults have changed since, and half of each is neither."""
    run = unpacked("interrupted", here)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(UserError) as refusal:
        policies.resume(run)
    assert str(refusal.value) == (
        f"{run}: was begun by another version of bazaar (0.1.0), whose learners learn otherwise, so it cannot go on; "
        f"bazaar evaluate {run} evaluates what it has learned, bazaar train {run / 'config.yaml'} --seed 3 trains it anew"
    )
    assert all(path.read_bytes() == content for path, content in before.items())
    policies.evaluate(run, episodes=16, json=here / "found.json")
    assert {row["seat"] for row in read(here / "found.json")} == {"left", "right"}


def test_seeds_are_not_taught_otherwise(here: Path) -> None:
    folder = unpacked("seeds", here)
    with pytest.raises(UserError, match=r"seed-4: was begun by another version of bazaar \(0\.1\.0\)"):
        policies.resume_seeds(folder, processes=1)
    policies.evaluate(folder / "seed-3", episodes=16, json=here / "found.json")
    assert read(here / "found.json")


def test_a_tournament_goes_on(here: Path, expected: Path) -> None:
    unpacked("finished", here)
    folder = unpacked("tournament", here)
    there = {path: path.stat().st_mtime_ns for path in (folder / "cells").iterdir()}
    entries = ("runs/finished", "nash+base_stock", "cost_plus+base_stock")
    policies.tournament(entries, episodes=16, processes=1, name="tournament")
    assert len(there) == 5 and all(path.stat().st_mtime_ns == time for path, time in there.items())
    assert_alike(read(folder / "results.json"), read(expected / "tournament" / "results.json"))


def test_a_tuning_study_of_other_learners_is_another_study(here: Path) -> None:
    folder = unpacked("tuning", here)
    begun = (folder / "trials.csv").read_text()
    with pytest.raises(UserError, match=r"is another study, choose another --name\. It differs in .*learning"):
        policies.tune("market.yaml", trials=4, batch=2, processes=1, device="cpu", seed=1, name="tuning")
    assert (folder / "trials.csv").read_text() == begun
