"""The full learning table: every learner and several seeds. Writes tests/learning_table.md.

python tests/learning_table.py [--seeds N]
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from datetime import date
from importlib import metadata
from pathlib import Path

import numpy as np
from learning import CONFIGS, average_profit, gaps_to_best_fixed, monopoly, train_best
from optimum import optimal_average
from test_learning import BUDGET, FINE

from policies.config import load_run

OUTPUT = Path(__file__).with_suffix(".md")


def monopoly_rows(seeds: int) -> list[str]:
    """Share of the optimal average profit, by learner: every seed, and the time of a run."""
    coarse = optimal_average(monopoly("dqn", BUDGET).market)
    fine = optimal_average(monopoly("dqn", BUDGET, **FINE).market)
    rows = [
        (
            f"Optimal average profit a day by relative value iteration: {coarse:.4f} on the configuration's grid of 8 prices "
            f"x 8 levels, {fine:.4f} on {FINE['prices']} x {FINE['levels']}. {BUDGET:,} seller-periods a run, best of 20 "
            "evaluations, gamma .98, replay ratio .5.\n"
        ),
        "| learner | of the 8 x 8 optimum, by seed | of the fine optimum, by seed | seconds a run |",
        "| --- | --- | --- | --- |",
    ]
    for learner in ("dqn", "ddpg", "a2c"):
        begun, means = time.perf_counter(), []
        config = monopoly(learner, BUDGET)
        for seed in range(seeds):
            (seller,) = train_best(config, seed).values()
            means.append(average_profit(config, seller)[0])
        shares = [" ".join(f"{mean / optimum:.2%}" for mean in means) for optimum in (coarse, fine)]
        rows.append(f"| {learner} | {shares[0]} | {shares[1]} | {(time.perf_counter() - begun) / seeds:.0f} |")
        print(rows[-1], flush=True)
    return rows


def orange_juice_rows(seeds: int) -> list[str]:
    """Paired difference to the best fixed competitor in each seat, by seed."""
    config = load_run(CONFIGS / "orange_juice.yaml")
    found = []
    for seed in range(seeds):
        found.append(gaps_to_best_fixed(config, train_best(config, seed), seed))
        print(found[-1], flush=True)
    rows = [
        f"{config.training.budget:,} seller-periods a run; rivals play the first line-up of fixed competitors.\n",
        "| seat | difference to the best fixed competitor, 95 % interval, by seed | mean |",
        "| --- | --- | --- |",
    ]
    for name in found[0]:
        cells = ", ".join(f"{gap[name][0]:+.2%} ± {gap[name][1]:.2%}" for gap in found)
        rows.append(f"| {name} ({config.seats[name]}) | {cells} | {np.mean([gap[name][0] for gap in found]):+.2%} |")
    return rows


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "tianshou", "numpy", "numba"))
    load = os.getloadavg()[0]
    lines = [
        "# Learning, measured\n",
        f"`python tests/learning_table.py --seeds {seeds}`, {date.today()}, {versions}, ",
    ]
    lines[-1] += f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f} at the start.\n"
    lines += ["## monopoly.yaml\n", *monopoly_rows(seeds), "\n## orange_juice.yaml\n", *orange_juice_rows(seeds)]
    OUTPUT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
