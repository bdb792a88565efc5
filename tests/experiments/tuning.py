"""The recorded search for the learners' defaults: one set over markets with known optima. Writes tests/experiments/tuning.md.

python -m tests.experiments.tuning FOLDER [--processes N]

Writes the configurations, with what is searched, into FOLDER, and runs `bazaar tune` on all of them for each learner
in turn; the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.helpers.known_optima import MARKETS, zipkin_market

OUTPUT = Path(__file__).with_suffix(".md")
FREE = "constant(price=0)+base_stock(level=29)"  # where everyone buys at any price
SEARCHED = ("lead_time_3", "seasonal", "zipkin_9_4")
REPLAY = {"batch_size": {"choice": [256, 512, 1024]}, "replay_ratio": {"choice": [0.5, 1.0, 2.0]}}
STEPS = {"lr": {"log": [5e-4, 4e-3]}, "lr_final": {"choice": [0.02, 0.1]}}
OFTEN = {"batch_size": {"choice": [256, 512]}, "replay_ratio": {"choice": [2.0, 4.0]}}
Space = dict[str, dict[str, list[float]]]


class Search(NamedTuple):
    """Trials and seller-periods a trial of each learner, and what is searched."""

    spaces: dict[str, Space]
    trials: dict[str, int]
    budgets: dict[str, int]


FIRST = Search(
    {
        "dqn": REPLAY | STEPS | {"n_step": {"choice": [1, 2, 3]}, "target_update": {"choice": [25, 50, 100]}},
        "ddpg": REPLAY | STEPS | {"tau": {"log": [0.005, 0.05]}, "noise_final": {"choice": [0.02, 0.05]}},
        "a2c": STEPS | {"segment": {"choice": [5, 10, 20]}, "gae_lambda": {"choice": [0.9, 0.95]}},
    },
    {"dqn": 16, "ddpg": 10, "a2c": 16},
    {"dqn": 1_500_000, "ddpg": 1_000_000, "a2c": 1_000_000},
)
# the first search found updates to matter most, and its best at the most that it allowed: closer around that, and beyond
SECOND = Search(
    {
        "dqn": OFTEN
        | {"lr": {"log": [1e-3, 3e-3]}, "n_step": {"choice": [2, 3]}, "target_update": {"choice": [25, 50]}},
        "ddpg": OFTEN
        | {"lr": {"log": [5e-4, 1e-3]}, "tau": {"log": [0.02, 0.05]}, "noise_final": {"choice": [0.02, 0.05]}},
    },
    {"dqn": 10, "ddpg": 8},
    {"dqn": 1_500_000, "ddpg": 1_000_000},
)
SEARCHES = {"first": FIRST, "second": SECOND}


HOW = """# The search for the defaults

`python -m tests.experiments.tuning`, {today}, {versions}. Objective of a trial: profit over that of the first line-up's rules in the
same seat (cost below theirs, in Zipkin's market), mean over the three markets, best of the run's evaluations, one seed.
Trial 0 of a first search is what the defaults were before it. Pruned trials: as they stood when they were pruned.

What was adopted, and why it is not always the best trial. DQN: trial 3 of the second search, rounded; trial 6 has 0.1
points more for twice the updates, and every trial is one seed. DDPG: trial 3 of the first search, rounded;
trial 7 of the second does the same with twice the updates. A2C: nothing changed; what is above its defaults by 0.7 points
has neighbours that stop ordering for good at lead time 3 (-100 %; the penalty on means out of range came later). The other options were not searched.
"""


def market_of(name: str) -> dict[str, Any]:
    """A market of ``known_optima`` by name."""
    return zipkin_market(9, 4) if name == "zipkin_9_4" else MARKETS[name]


def write_configs(folder: Path, search: Search) -> list[Path]:
    """One YAML file a market, all learners' spaces in each."""
    folder.mkdir(parents=True, exist_ok=True)
    tune = {f"learners.{name}.{key}": values for name, space in search.spaces.items() for key, values in space.items()}
    paths = []
    for market in SEARCHED:
        content = {"market": market_of(market) | {"name": market}, "seats": {"shop": "dqn"}, "tune": tune}
        if market.startswith("zipkin"):
            content["evaluation"] = {"line_ups": [FREE], "competitors": [FREE]}
        paths.append(folder / f"{market}.yaml")
        text = yaml.safe_dump(yaml.safe_load(yaml.safe_dump(_plain(content))), sort_keys=False)
        paths[-1].write_text(text, encoding="utf-8")
    return paths


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def command(learner: str, search: Search, processes: int) -> list[str]:
    """What is run for one learner, from within the folder."""
    files = [f"{market}.yaml" for market in SEARCHED]
    options = ["--learner", learner, "--trials", search.trials[learner], "--budget", search.budgets[learner]]
    options += ["--processes", processes]
    return ["bazaar", "tune", *files, *map(str, options), "--name", f"defaults-{learner}"]


def table(heading: str, learner: str, folder: Path, typed: list[str]) -> list[str]:
    """All trials of one learner's search, best first."""
    with open(folder / "runs" / f"defaults-{learner}" / "trials.csv", newline="", encoding="utf-8") as file:
        trials = list(csv.DictReader(file))
    keys = [key for key in trials[0] if key.startswith("learners.")]
    markets = [key for key in trials[0] if key.endswith("/seed0")]
    lines = [
        f"## {heading}\n",
        f"`{' '.join(typed)}`\n",
        f"| trial | state | objective | {' | '.join(map(_short, markets + keys))} |",
    ]
    lines.append(f"| --- | --- | --- |{' --- |' * len(markets + keys)}")
    for trial in sorted(trials, key=lambda row: -float(row["objective"] or "-inf")):
        value = f"{float(trial['objective']):+.2%}" if trial["objective"] else "-"
        cells = [trial["trial"], trial["state"], value, *(f"{float(trial[key]):+.2%}" for key in markets)]
        cells += [f"{float(trial[key]):.4g}" for key in keys]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _short(key: str) -> str:
    return key.removesuffix("/seed0") if "/" in key else key.rsplit(".", 1)[-1]


def main() -> None:
    """Search and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "tianshou", "optuna"))
    lines = [HOW.format(today=date.today(), versions=versions)]
    for name, search in SEARCHES.items():
        folder = given.folder / name
        write_configs(folder, search)
        for learner in search.spaces:
            typed = command(learner, search, given.processes)
            subprocess.run([sys.executable, "-m", "policies.cli", *typed[1:]], check=True, cwd=folder)
            lines += table(f"{learner}, {name} search", learner, folder, typed)
    OUTPUT.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
