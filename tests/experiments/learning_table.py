"""The full learning table: every learner on every market whose optimum is known, and on orange juice.

python -m tests.experiments.learning_table [PART ...] [--seeds N] [--processes N] [--kept FILE]

Rewrites the named parts (default: all) of tests/experiments/learning_table.md and leaves the others as they are. FILE holds a line
for each run that is done, so that the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np

from policies.common.torch_tools import one_torch_thread
from policies.config.run import read_config
from policies.training.run import TrainingRun
from tests.experiments.kept import Case, done, worked
from tests.helpers.known_optima import MARKETS, ZIPKIN, optimal_averages, run_of, zipkin_market
from tests.helpers.learning import CONFIGS, average_profit, gaps_to_best_fixed, train_best

OUTPUT = Path(__file__).with_suffix(".md")
LEARNERS = ("dqn", "ddpg", "a2c")
PUBLISHED = {"a2c as published": {"clip": None, "repeat": 1, "lr": 0.001}}  # Mnih et al. (2016): no clipped passes
BUDGET = 3_000_000  # the default for one seller
SOON, ENOUGH, EVERY = ("monopoly", "lead_time_3"), 0.99, 20_000


class Result(NamedTuple):
    """Average profit a period of one trained seller, its standard error, and the seconds that its training took."""

    mean: float
    error: float
    seconds: float


def measure(case: Case) -> Result:
    """Train and judge one (market, learner, seed)."""
    name, learner, seed = case
    market = MARKETS[name] if name in MARKETS else zipkin_market(*map(int, name.split()))
    config = run_of(market, learner.split()[0], BUDGET, **PUBLISHED.get(learner, {}))
    begun = time.perf_counter()
    (seller,) = train_best(config, seed).values()
    seconds = time.perf_counter() - begun
    return Result(*average_profit(config, seller), seconds)


class Given(NamedTuple):
    """Seeds of a table, processes side by side, and the file of runs that are done."""

    seeds: int
    processes: int
    kept: Path | None


def measured(cases: list[Case], given: Given, work: Callable[[Case], Result] = measure) -> dict[Case, Result]:
    """All cases, in parallel."""
    found = {case: Result(*result) for case, result in done(given.kept).items()}
    for case, (mean, error, seconds) in worked(work, cases, given.processes, given.kept):
        found[case] = Result(mean, error, seconds)
        print(*case, f"{mean:.4f} +- {error:.4f}", f"{seconds:.0f} s", flush=True)
    return found


def optima(given: Given) -> Iterator[str]:
    """Share of the exact optimal average profit, by market and learner."""
    learners = (*LEARNERS, *PUBLISHED)
    cases: list[Case] = [
        (market, learner, seed) for market in MARKETS for learner in learners for seed in range(given.seeds)
    ]
    found = measured(cases, given)
    yield (
        "Share of the optimal average profit of all decisions (81 prices, every level), median and worst of the "
        "seeds; DQN plays on the grid that theory places, whose own optimum is its ceiling. Defaults of the options, "
        "3,000,000 seller-periods; the best of 20 evaluations, judged on 512 fresh episodes of 1,008 periods.\n"
    )
    yield "| market (optimum; grid's share of it) | learner | median | worst | by seed | seconds a run |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for market in MARKETS:
        grid, fine = optimal_averages(market)
        for learner in learners:
            results = [found[market, learner, seed] for seed in range(given.seeds)]
            shares = [result.mean / fine for result in results]
            label = f"{market} ({fine:.4f}; {grid / fine:.2%})"
            yield _row(label, learner, shares, min(shares), results)


def soon(case: Case) -> Result:
    """Seller-periods and processor seconds of learning until the greedy policy has 99 %: its share then, in ``mean``."""
    name, learner, seed = case
    one_torch_thread()
    training, seconds = TrainingRun(run_of(MARKETS[name], learner, BUDGET), seed, "cpu"), 0.0
    share, fine = 0.0, optimal_averages(name)[1]
    for looked in range(EVERY, BUDGET + 1, EVERY):
        begun = time.process_time()
        while training.play.done < looked:
            training.play.play_period()
        seconds += time.process_time() - begun
        share = average_profit(training.config, training.greedy(0))[0] / fine
        if share >= ENOUGH:
            return Result(share, training.play.done, seconds)
    return Result(share, np.nan, seconds)


def time_to(given: Given) -> Iterator[str]:
    """When learning is nearly done."""
    cases: list[Case] = [
        (market, learner, seed) for market in SOON for learner in LEARNERS for seed in range(given.seeds)
    ]
    found = measured(cases, given, soon)
    yield (
        f"Thousands of seller-periods and processor seconds of learning until the greedy policy, judged every {EVERY:,} of "
        "them on 512 fresh episodes of 1,008 periods, first has 99 % of the optimal average profit; options and budget are the "
        "defaults. Judging is not counted.\n"
    )
    yield "| market | learner | thousands of seller-periods, by seed | seconds, by seed | medians |"
    yield "| --- | --- | --- | --- | --- |"
    for market in SOON:
        for learner in LEARNERS:
            results = [found[market, learner, seed] for seed in range(given.seeds)]
            periods, seconds = [r.error / 1000 for r in results], [r.seconds for r in results]
            cells = " ".join(f"{n:.0f}" for n in periods), " ".join(f"{second:.1f}" for second in seconds)
            yield f"| {market} | {learner} | {' | '.join(cells)} | {np.median(periods):.0f}, {np.median(seconds):.1f} s |"


def zipkin(given: Given) -> Iterator[str]:
    """Average cost relative to the optimal one on Zipkin's instances."""
    names = [f"{penalty} {lead_time}" for penalty, lead_time in ZIPKIN]
    found = measured([(n, learner, s) for n in names for learner in LEARNERS for s in range(given.seeds)], given)
    yield (
        "Cost above the optimal one (Zipkin 2008: Poisson demand of mean 5, holding cost 1), median and worst of the "
        "seeds, defaults of the options. Published: A3C 3 to 6 %, capped base stock about 1 %.\n"
    )
    yield "| penalty, lead time (optimal cost) | learner | median | worst | by seed | seconds a run |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for (penalty, lead_time), cost in ZIPKIN.items():
        for learner in LEARNERS:
            results = [found[f"{penalty} {lead_time}", learner, seed] for seed in range(given.seeds)]
            above = [-result.mean / cost - 1 for result in results]
            yield _row(f"{penalty}, {lead_time} ({cost})", learner, above, max(above), results)


def _row(label: str, learner: str, shares: list[float], worst: float, results: list[Result]) -> str:
    by_seed = " ".join(f"{share:.2%}" for share in shares)
    seconds = np.median([result.seconds for result in results])
    return f"| {label} | {learner} | {np.median(shares):.2%} | {worst:.2%} | {by_seed} | {seconds:.0f} |"


def orange_juice(given: Given) -> Iterator[str]:
    """Paired difference to the best fixed competitor in each seat, by seed."""
    config = read_config(CONFIGS / "orange_juice.yaml")
    found = []
    for seed in range(given.seeds):
        found.append(gaps_to_best_fixed(config, train_best(config, seed), seed))
        print(found[-1], flush=True)
    yield f"{config.training.budget:,} seller-periods a run; rivals play the first line-up of fixed competitors.\n"
    yield "| seat | difference to the best fixed competitor, 95 % interval, by seed | mean |"
    yield "| --- | --- | --- |"
    for name in found[0]:
        cells = ", ".join(f"{gap[name][0]:+.2%} ± {gap[name][1]:.2%}" for gap in found)
        yield f"| {name} ({config.seats[name]}) | {cells} | {np.mean([gap[name][0] for gap in found]):+.2%} |"


PARTS: dict[str, tuple[str, Callable[[Given], Iterable[str]]]] = {
    "optima": ("Known optima", optima),
    "soon": ("Time to 99 % of the optimum", time_to),
    "zipkin": ("Zipkin's lost-sales instances", zipkin),
    "orange_juice": ("orange_juice.yaml", orange_juice),
}


def _made(part: str, given: Given) -> str:
    """How a part was made, in one line."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "tianshou", "numpy", "numba"))
    return (
        f"`python -m tests.experiments.learning_table {part} --seeds {given.seeds} --processes {given.processes}`, {date.today()}, {versions}, "
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start.\n"
    )


def _parts_kept() -> dict[str, str]:
    """What the file says so far, by heading."""
    text = OUTPUT.read_text(encoding="utf-8") if OUTPUT.exists() else ""
    _, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    return dict(section.split("\n", 1) for section in sections)


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--kept", type=Path)
    asked = parser.parse_args()
    given = Given(asked.seeds, asked.processes, asked.kept)
    for part in asked.parts or PARTS:
        heading, work = PARTS[part]
        made = _made(part, given)
        kept = _parts_kept() | {heading: "\n".join(["", made, *work(given), ""])}
        ordered = [f"## {head}\n{kept[head].rstrip()}\n" for head, _ in PARTS.values() if head in kept]
        OUTPUT.write_text("\n".join(["# Learning, measured\n", *ordered]), encoding="utf-8")


if __name__ == "__main__":
    main()
