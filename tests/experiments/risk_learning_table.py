"""What risk aversion buys, every learner and several seeds. Writes tests/experiments/risk_learning_table.md.

python -m tests.experiments.risk_learning_table [--seeds N] [--processes P]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import time
from datetime import date
from importlib import metadata
from pathlib import Path

from market.metrics.risk import conditional_value_at_risk
from tests.experiments.risk_learning import EPISODES, LEVEL, RISK, configuration, trained_pair
from tests.helpers.learning import EVALUATIONS

OUTPUT = Path(__file__).with_suffix(".md")


def row(which: tuple[str, int]) -> str:
    """Train a learner with one seed, neutral and averse."""
    (learner, seed), begun = which, time.perf_counter()
    pair = trained_pair(learner, seed)
    cells = []
    for tail in (False, True):
        neutral, averse = (
            conditional_value_at_risk(p, LEVEL) if tail else p.mean() for p in (pair.neutral, pair.averse)
        )
        low, high = pair.bounds(tail)
        cells.append(f"{neutral:.2f} | {averse:.2f} | {averse - neutral:+.2f} [{low:+.2f}, {high:+.2f}]")
    return f"| {learner} | {seed} | {' | '.join(cells)} | {time.perf_counter() - begun:.0f} |"


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    seeds = options.seeds
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "tianshou", "numpy", "numba"))
    load = os.getloadavg()[0]
    made = f"{date.today()}, {versions}, Python {platform.python_version()}, {os.cpu_count()} cores"
    budget = configuration("dqn", False).training.budget
    lines = [
        "# Risk aversion, measured\n",
        f"`python -m tests.experiments.risk_learning_table --seeds {seeds} --processes {options.processes}`, {made}, load {load:.1f} at the start.\n",
        f"tests/experiments/cold_snap.yaml, {budget:,} seller-periods a run, best of {EVALUATIONS} evaluations by the seller's own",
        f"objective. Neutral: the defaults; averse: `risk: {{cvar: {RISK['cvar']}}}` beside them. Money a day, means over",
        f"{EPISODES} episodes that both sellers play on the same customers; 95 % intervals by resampling episodes.\n",
        f"| learner | seed | mean, neutral | averse | difference | CVaR {LEVEL:.0%}, neutral | averse | difference | s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    runs = [(learner, seed) for learner in ("dqn", "a2c", "ddpg") for seed in range(seeds)]
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for line in pool.imap(row, runs, chunksize=1):
            lines.append(line)
            print(line, flush=True)
    OUTPUT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
