"""The recorded searches for the learners' defaults: one set over several markets at once. Writes tests/experiments/tuning.md.

python -m tests.experiments.tuning FOLDER [SEARCH ...] [--processes N]

Writes the configurations, with what is searched, into FOLDER/SEARCH, and runs `bazaar tune` on all of them for each
learner in turn; the same command goes on where it stopped. The first two searches were made on markets with known optima;
the third on the files of tuned_on/, unlike those on which learners are measured (held_out). Only the tables of the
searches that are asked for are written anew.
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
TUNED_ON = Path(__file__).with_name("tuned_on")
FREE = "constant(price=0)+base_stock(level=29)"  # where everyone buys at any price
SEARCHED = ("lead_time_3", "seasonal", "zipkin_9_4")
REPLAY = {"batch_size": {"choice": [256, 512, 1024]}, "replay_ratio": {"choice": [0.5, 1.0, 2.0]}}
STEPS = {"lr": {"log": [5e-4, 4e-3]}, "lr_final": {"choice": [0.02, 0.1]}}
OFTEN = {"batch_size": {"choice": [256, 512]}, "replay_ratio": {"choice": [2.0, 4.0]}}
Space = dict[str, dict[str, list[float]]]


class Search(NamedTuple):
    """What is searched for each learner, how many trials, and seller-periods a run (none: as the files have it)."""

    spaces: dict[str, Space]
    trials: dict[str, int]
    budgets: dict[str, int]
    markets: tuple[str, ...] = SEARCHED


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
# Over markets as users have them, after stock at cost, clipped passes and decisions around theory.
THIRD = Search(
    {
        "dqn": {
            "lr": {"log": [1e-3, 4e-3]},
            "gamma": {"choice": [0.9, 0.95, 0.98]},
            "n_step": {"choice": [1, 3, 5]},
            "batch_size": {"choice": [256, 1024]},
            "epsilon_fraction": {"choice": [0.3, 0.5, 0.7]},
        },
        "ddpg": {
            "lr": {"log": [5e-4, 3e-3]},
            "critic_lr": {"log": [1e-3, 4e-3]},
            "gamma": {"choice": [0.9, 0.95]},
            "tau": {"log": [0.01, 0.05]},
            "noise": {"choice": [0.2, 0.4]},
            "noise_final": {"choice": [0.02, 0.1]},
        },
        "a2c": {
            "lr": {"log": [1e-3, 5e-3]},
            "repeat": {"choice": [3, 5, 10]},
            "entropy": {"choice": [0.001, 0.005, 0.02]},
            "initial_sd": {"choice": [0.2, 0.5]},
            "segment": {"choice": [10, 20]},
        },
    },
    {"dqn": 12, "ddpg": 12, "a2c": 12},
    {},
    tuple(path.stem for path in sorted(TUNED_ON.glob("*.yaml"))),
)
SEARCHES = {"first": FIRST, "second": SECOND, "third": THIRD}


def config_of(name: str) -> dict[str, Any]:
    """The configuration of a market: a file of ``tuned_on``, or one of ``known_optima``."""
    if (path := TUNED_ON / f"{name}.yaml").exists():
        return dict(yaml.safe_load(path.read_text(encoding="utf-8")))
    market = zipkin_market(9, 4) if name == "zipkin_9_4" else MARKETS[name]
    content: dict[str, Any] = {"market": market | {"name": name}, "seats": {"shop": "dqn"}}
    if name.startswith("zipkin"):
        content["evaluation"] = {"line_ups": [FREE], "competitors": [FREE]}
    return content


def write_configs(folder: Path, search: Search) -> None:
    """One YAML file a market, all learners' spaces in each."""
    folder.mkdir(parents=True, exist_ok=True)
    tune = {f"learners.{name}.{key}": values for name, space in search.spaces.items() for key, values in space.items()}
    for name in search.markets:
        content = _plain(config_of(name) | {"tune": tune})
        text = yaml.safe_dump(yaml.safe_load(yaml.safe_dump(content)), sort_keys=False)
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def command(learner: str, search: Search, processes: int) -> list[str]:
    """What is run for one learner, from within the folder."""
    files = [f"{market}.yaml" for market in search.markets]
    options: list[object] = ["--learner", learner, "--trials", search.trials[learner], "--processes", processes]
    options += ["--budget", search.budgets[learner]] if learner in search.budgets else []
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("searches", nargs="*", choices=[[], *SEARCHES], default=[])
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "tianshou", "optuna"))
    for name in given.searches or SEARCHES:
        search, folder, lines = SEARCHES[name], given.folder / name, [f"Searched {date.today()}, {versions}.\n"]
        write_configs(folder, search)
        for learner in search.spaces:
            typed = command(learner, search, given.processes)
            subprocess.run([sys.executable, "-m", "policies.cli", *typed[1:]], check=True, cwd=folder)
            lines += table(f"{learner}, {name} search", learner, folder, typed)
        _replace(name, lines)


def _replace(name: str, lines: list[str]) -> None:
    """Write the part of the record that is one search's; what stands above and below stays."""
    text = OUTPUT.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} search -->\n", f"<!-- end of {name} search -->\n"
    if begin not in text:
        text += f"\n{begin}{end}"
    before, after = text.split(begin)[0], text.split(end)[1]
    OUTPUT.write_text(before + begin + "\n".join(lines) + end + after, encoding="utf-8")


if __name__ == "__main__":
    main()
