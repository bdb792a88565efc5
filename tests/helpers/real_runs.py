"""A run of three learners to be cut off, and everything that a run leaves, to be compared."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from policies.storage.run_folder import saved_sellers
from policies.training.train import train
from tests.helpers.markets import a_market
from tests.helpers.processes import PATIENCE
from tests.helpers.shared import once

NAMES = ("a", "b", "c")
PLAYERS = ("dqn", "a2c", "ddpg")
SHORT = 4_800  # seller-periods, 50 periods of all rows


def three_learners(folder: Path, budget: int = 60_000, **learners: Any) -> Path:
    """A configuration with a DQN, an A2C and a DDPG learner; a run takes a few seconds."""
    seat = {"lead_time": 1, "stock": 6, "holding_cost": 0.05, "grid": {"prices": 4, "levels": 4}}
    replay = {"warm_up": 500, "hidden": [32], "report_every": 5, "batch_size": 64}
    data = {
        "market": a_market(seat, seat, seat, horizon=30) | {"name": "three"},
        "seats": dict(zip(NAMES, PLAYERS, strict=True)),
        "learners": {"dqn": replay, "ddpg": replay, "a2c": {"hidden": [32], "batch_size": 64, "report_every": 5}},
        "training": {"budget": budget, "markets": 32, "evaluations": 4, "evaluation_episodes": 8},
        "evaluation": {"episodes": 16, "line_ups": ["nash+base_stock"], "competitors": ["nash+base_stock"]},
    }
    for name, options in learners.items():
        data["learners"][name] = data["learners"][name] | options
    path = folder / "three.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def whole_run() -> Path:
    """The run of ``three_learners`` with a SHORT budget that nothing happened to; made once."""
    return once("three_learners", _undisturbed) / "whole"


def _undisturbed(folder: Path) -> None:
    train(three_learners(folder, SHORT), device="cpu", name="whole", runs=folder)


def starts(run: Path) -> int:
    """How many processes have begun to train a run."""
    try:
        return 1 + len(json.loads((run / "run.json").read_text()).get("resumed", []))
    except OSError:
        return 0


def wait_for(process: subprocess.Popen[str], ready: Any) -> bool:
    """Whether ``ready()`` came true before the process ended."""
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        if ready():
            return True
        time.sleep(0.01)
    return False


def metrics(run: Path) -> pd.DataFrame:
    """metrics.csv but for what is measured by the clock."""
    rows = pd.read_csv(run / "metrics.csv", float_precision="round_trip")
    return rows[rows["metric"] != "seller_periods_per_second"].reset_index(drop=True)


def weights(run: Path) -> dict[str, torch.Tensor]:
    """The weights of every saved seller, best and latest."""
    kept = {which: saved_sellers(run, which) for which in ("best", "latest")}
    return {f"{w} {s} {k}": v for w, all_ in kept.items() for s, one in all_.items() for k, v in one.weights.items()}


def shown(run: Path) -> dict[str, list[tuple[int, Any]]]:
    """Every scalar as TensorBoard shows it."""
    found = {}
    for place in (run, *(run / f"seller_{name}" for name in NAMES)):
        board = EventAccumulator(str(place), size_guidance={"scalars": 0})
        board.Reload()
        for tag in board.Tags()["scalars"]:
            found[f"{place.name if place != run else ''} {tag}"] = [(e.step, e.value) for e in board.Scalars(tag)]
    return {tag: values for tag, values in found.items() if "seller_periods_per_second" not in tag}


def written(run: Path) -> list[tuple[str, str, int]]:
    """Every record of the event files, by folder, tag and step, with nothing that TensorBoard would leave out."""
    found = []
    for path in run.rglob("events.out.tfevents.*"):
        for event in EventFileLoader(str(path)).Load():
            found += [(path.parent.name if path.parent != run else "", v.tag, event.step) for v in event.summary.value]
    return sorted(found)


def assert_the_same(run: Path, other: Path) -> None:
    """Two runs left the same, to the bit."""
    mine, theirs = weights(run), weights(other)
    assert mine.keys() == theirs.keys()
    assert [name for name in mine if not torch.equal(mine[name], theirs[name])] == []
    scores = [{s: (one.score, one.trained) for s, one in saved_sellers(r).items()} for r in (run, other)]
    assert scores[0] == scores[1]
    pd.testing.assert_frame_equal(metrics(run), metrics(other), check_exact=True)
    assert shown(run) == shown(other)
    assert written(run) == written(other)
    assert (run / "evaluation.json").read_text() == (other / "evaluation.json").read_text()
