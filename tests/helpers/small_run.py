"""One small training run that several test modules look at; made once."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from policies.training.train import train
from tests.helpers.pictures import pictures
from tests.helpers.shared import once

ROOT = Path(__file__).parents[2]
DUOPOLY = ROOT / "configs" / "duopoly.yaml"
SMALL = (
    "training.budget=12000",
    "training.markets=32",
    "training.evaluations=3",
    "training.evaluation_episodes=8",
    "evaluation.episodes=64",
    "evaluation.line_ups=[nash+base_stock]",
    "evaluation.competitors=[nash+base_stock, cost_plus+base_stock]",
    "learners.dqn.warm_up=500",
    "learners.ddpg.warm_up=500",
    "learners.a2c.batch_size=64",
    "learners.dqn.report_every=2",
    "learners.ddpg.report_every=2",
)


def train_small(runs: Path, name: str, seed: int = 0, config: Path = DUOPOLY, changes: tuple[str, ...] = ()) -> Path:
    """Train a duopoly for a second or two."""
    with open(runs / f"{name}.txt", "w", encoding="utf-8") as output:
        console = Console(file=output, width=130)
        given = SMALL + changes
        return train(config, seed=seed, device="cpu", changes=given, name=name, runs=runs, console=console).folder


def small_run() -> Path:
    """The folder of the shared run; its printed output stands beside it."""
    return once("small_run", _make) / "run"


def _make(runs: Path) -> None:
    with pictures():
        train_small(runs, "run")
