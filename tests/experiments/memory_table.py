"""What memory is worth where demand hides a state: learners with it and without, beside bounds. Writes memory_table.md.

python -m tests.experiments.memory_table [--seeds N] [--workers N]
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from importlib import metadata
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from market.state import Floats
from policies.sellers.protocol import Seller
from policies.sellers.rollout import play
from policies.sellers.rules.level_search import build
from tests.helpers.learning import FRESH, train_best
from tests.helpers.memory_market import (
    MARKET,
    PRICES,
    SHARED,
    WITH,
    Filter,
    best_constant,
    full_information_on,
    memory_run,
)

OUTPUT = Path(__file__).with_suffix(".md")
BUDGET, EPISODES, WARM_UP = 400_000, 2048, 20
FINE = np.linspace(PRICES[0], PRICES[-1], 113)


def earned(seller: Seller) -> Floats:
    """Mean profit a period of each fresh episode, the same customers for all: (EPISODES,)."""
    spec = memory_run("dqn", 1).market
    ledger = play(spec, [seller], markets=EPISODES, seed=FRESH, fields=("profit",))
    return np.asarray(ledger["profit"][WARM_UP:, :, 0].mean(axis=0))


def learned(learner: str, seed: int, budget: int = BUDGET, **options: Any) -> Floats:
    """As :func:`earned`, of a learner at its best evaluation."""
    (seller,) = train_best(memory_run(learner, budget, **SHARED[learner], **options), seed).values()
    return earned(seller)


def half_width(values: Floats) -> float:
    """Of the 95 % interval of a mean of few values, Student's."""
    return float(student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))


def bounds() -> dict[str, Floats]:
    """Of each episode (EPISODES,): best constant prices, the filter and full information, on the grid and in between."""
    spec, found = memory_run("dqn", 1).market, {}
    for where, prices in (("grid", PRICES), ("any price", FINE)):
        constant = build(f"constant(price={best_constant(prices)[0]})", spec, 0)
        found[f"one price for ever, {where}"] = earned(constant)
        found[f"exact filter, {where}"] = earned(Filter(prices))
        found[f"sees the shock, {where}"] = full_information_on(spec, prices, EPISODES, FRESH, WARM_UP)
    return found


Task = tuple[str, int, dict[str, Any]]


def timed(task: Task) -> tuple[Floats, float]:
    """What a learner earns, and the seconds of a core that its training and judging took."""
    np.seterr(under="ignore")
    learner, seed, options = task
    begun = time.process_time()
    return learned(learner, seed, **options), time.process_time() - begun


def rows(seeds: int, workers: int, known: dict[str, Floats]) -> Iterator[str]:
    """A line for each learner and kind of memory."""
    cases = [(learner, options) for learner, kinds in WITH.items() for options in ({}, *kinds)]
    tasks: list[Task] = [(learner, seed, options) for learner, options in cases for seed in range(seeds)]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        results = pool.map(timed, tasks)
        plain: list[tuple[Floats, float]] = []
        for learner, options in cases:
            found = list(islice(results, seeds))
            if not options:
                plain = found
                continue
            yield row(learner, options, plain, found, known)


def row(
    learner: str,
    options: dict[str, Any],
    plain: list[tuple[Floats, float]],
    recalling: list[tuple[Floats, float]],
    known: dict[str, Floats],
) -> str:
    """One line: the learner without memory and with it, all seeds."""
    where = "grid" if learner == "dqn" else "any price"
    best, constant = known[f"exact filter, {where}"], known[f"one price for ever, {where}"]
    gain = np.array([float((a - b).mean()) for (a, _), (b, _) in zip(recalling, plain, strict=True)])
    means = [float(np.mean([values for values, _ in group])) for group in (plain, recalling)]
    kept = [(mean - constant.mean()) / (best - constant).mean() for mean in means]
    spent = [np.mean([seconds for _, seconds in group]) for group in (plain, recalling)]
    words, kind = " ".join(f"{one:+.4f}" for one in gain), ", ".join(f"{key} {value}" for key, value in options.items())
    return (
        f"| {learner}, {kind} | {means[0]:.4f} | {means[1]:.4f} | {words} | {gain.mean():+.4f} ± {half_width(gain):.4f} "
        f"({gain.mean() / means[0]:+.1%}) | {kept[0]:.0%} -> {kept[1]:.0%} | {spent[0]:.0f}, {spent[1]:.0f} |"
    )


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    np.seterr(under="ignore")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "tianshou", "numpy", "numba"))
    command = f"python -m tests.experiments.memory_table --seeds {given.seeds} --workers {given.workers}"
    about = f"`{command}`, {date.today()}, {versions}, Python {platform.python_version()}, {os.cpu_count()} cores, "
    known, shock = bounds(), MARKET["demand_shock"]
    lines = [
        "# What memory is worth\n",
        f"{about}load {os.getloadavg()[0]:.1f} at the start.\n",
        (
            f"One seller posts prices to {MARKET['customers']['rate']:g} potential customers a day; a demand shock to utility "
            f"(sd {shock['common']:g}, AR(1) with persistence {shock['persistence']:g}) is never seen. Profit a day over "
            f"{EPISODES:,} episodes of {MARKET['horizon']} days, the first {WARM_UP} not counted, the same customers for all. "
            f"{BUDGET:,} seller-periods a run, best of 20 evaluations, gamma .5 (nothing done today moves tomorrow's demand).\n"
        ),
        "| bound | profit a day |",
        "| --- | --- |",
        *(f"| {name} | {values.mean():.4f} |" for name, values in known.items()),
        "",
        (
            "The filter knows the market and keeps the exact posterior of the shock, but tries no price in order to learn. "
            "Gain kept: how far a learner comes from one price for ever (0 %) to the filter (100 %), without memory -> with.\n"
        ),
        "| learner, memory | without | with | gain on the same customers, by seed | mean gain, 95 % interval over seeds | gain kept | core seconds a run |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for line in rows(given.seeds, given.workers, known):
        print(line, flush=True)
        lines.append(line)
    OUTPUT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
