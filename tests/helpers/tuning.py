"""A search of a few small trials, and its table."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from policies.config.orders import TuneOrder
from tests.helpers.small_run import DUOPOLY, SMALL

LITTLE = tuple(change for change in SMALL if "budget" not in change and "competitors" not in change)


SPACE = ("tune.learners.dqn.lr={log: [1e-4, 1e-2]}", "tune.learners.ddpg.tau={range: [0.01, 0.1]}")


def order(runs: Path, name: str, **options: Any) -> TuneOrder:
    given: dict[str, Any] = {"trials": 3, "batch": 2, "budget": 6000, "processes": 1, "device": "cpu"}
    changes = options.pop("changes", LITTLE + SPACE)
    return TuneOrder((DUOPOLY,), name=name, runs=runs, changes=changes, **given | options)


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "trials.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
