"""What memory is worth where demand hides a state: learners with it and without, beside bounds. Writes memory_table.md.

python tests/memory_table.py [--seeds N] [--only LEARNER]
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Iterator
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from learning import FRESH, train_best
from memory_market import MARKET, PRICES, SHARED, WITH, Filter, best_constant, full_information_on, memory_run
from scipy.stats import t as student

from market.layout import Floats
from policies.search import build
from policies.seller import Seller
from policies.simulate import play

OUTPUT = Path(__file__).with_suffix(".md")
BUDGET, EPISODES, WARM_UP = 600_000, 2048, 20
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


def rows(seeds: int, only: str | None, known: dict[str, Floats]) -> Iterator[str]:
    """A line for each learner and kind of memory."""
    for learner in WITH if only is None else [only]:
        where = "grid" if learner == "dqn" else "any price"
        best, constant = known[f"exact filter, {where}"], known[f"one price for ever, {where}"]
        begun = time.perf_counter()
        plain = [learned(learner, seed) for seed in range(seeds)]
        spent = (time.perf_counter() - begun) / seeds
        for options in WITH[learner]:
            begun = time.perf_counter()
            with_it = [learned(learner, seed, **options) for seed in range(seeds)]
            gain = np.array([float((a - b).mean()) for a, b in zip(with_it, plain, strict=True)])
            kept = [float((np.mean(group) - constant.mean()) / (best - constant).mean()) for group in (plain, with_it)]
            words = " ".join(f"{one:+.4f}" for one in gain)
            kind = ", ".join(f"{key} {value}" for key, value in options.items())
            yield (
                f"| {learner}, {kind} | {np.mean(plain):.4f} | {np.mean(with_it):.4f} | {words} | {gain.mean():+.4f} ± "
                f"{half_width(gain):.4f} ({gain.mean() / np.mean(plain):+.1%}) | {kept[0]:.0%} -> {kept[1]:.0%} | "
                f"{spent:.0f}, {(time.perf_counter() - begun) / seeds:.0f} |"
            )


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only")
    given = parser.parse_args()
    np.seterr(under="ignore")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "tianshou", "numpy", "numba"))
    command = f"python tests/memory_table.py --seeds {given.seeds}"
    about = f"`{command}`, {date.today()}, {versions}, Python {platform.python_version()}, {os.cpu_count()} cores, "
    known, shock = bounds(), MARKET["demand_shock"]
    lines = [
        "# What memory is worth\n",
        f"{about}load {os.getloadavg()[0]:.1f} at the start.\n",
        (
            f"One seller posts prices to {MARKET['customers']['rate']:g} potential customers a day; a demand shock to utility "
            f"(sd {shock['common']:g}, AR(1) with persistence {shock['persistence']:g}) is never seen. Profit a day over "
            f"{EPISODES:,} episodes of {MARKET['horizon']} days, the first {WARM_UP} not counted, the same customers for all. "
            f"{BUDGET:,} seller-periods a run, best of 20 evaluations, gamma .8 (nothing done today moves tomorrow's demand).\n"
        ),
        "| bound | profit a day |",
        "| --- | --- |",
        *(f"| {name} | {values.mean():.4f} |" for name, values in known.items()),
        "",
        (
            "The filter knows the market and keeps the exact posterior of the shock, but tries no price in order to learn. "
            "Gain kept: how far a learner comes from one price for ever (0 %) to the filter (100 %), without memory -> with.\n"
        ),
        "| learner, memory | without | with | gain on the same customers, by seed | mean gain, 95 % interval over seeds | gain kept | seconds a run |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows(given.seeds, given.only, known):
        print(row, flush=True)
        lines.append(row)
    if given.only is None:
        OUTPUT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
