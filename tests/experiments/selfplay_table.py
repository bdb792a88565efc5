"""What each way of self-play buys: strangers, exploitability, profit gain. Writes tests/experiments/selfplay_table.md.

python -m tests.experiments.selfplay_table [MARKET ...] [--seeds N] [--processes P] [--kept FILE]

FILE holds a line for each run that is done, so that the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np

from market.state import Floats
from policies.evaluation.statistics import mean_interval
from policies.selfplay.league import STOCKED
from policies.selfplay.psro import PSRO
from policies.sellers.mixture import MixtureSeller
from policies.sellers.protocol import Seller
from tests.experiments.kept import Case, done, worked
from tests.experiments.selfplay_measures import (
    EPISODES,
    HELD_OUT,
    Panel,
    Trained,
    nash_conv,
    profit_gain,
    trained,
    with_mode,
)

OUTPUT = Path(__file__).with_suffix(".md")
MODES = ("independent", "shared", "league", "psro")
BUDGETS = {"duopoly": 3_000_000, "orange_juice": 3_000_000}
RESPONSE = {"duopoly": 400_000, "orange_juice": 450_000}
# which rival one meets shows only over time
STACKS = tuple(f"learners.{learner}.stack=8" for learner in ("dqn", "a2c", "ddpg"))
NEW_KINDS = ("match", "clearance", "best_response")
COLUMNS = ("worst case", "worst of new kinds", "mean", "exploitability", "Delta")


def mixtures(run: Trained) -> dict[int, Seller] | None:
    """The equilibrium's mixture of each seat, where the mode has one."""
    mode = run.training.play
    if not isinstance(mode, PSRO):
        return None
    return {
        seat: MixtureSeller(*zip(*((one.seller, w) for one, w in mode.members(seat)), strict=True))
        for seat in run.latest
    }


def measured(panel: Panel, run: Trained, sellers: dict[int, Seller], budget: int, seed: int) -> list[float]:
    """Worst cases and mean over strangers and seats, exploitability, Delta."""
    relative = panel.relative(sellers)
    new = min(value for (_, rules), value in relative.items() if rules.startswith(NEW_KINDS))
    found = [min(relative.values()), new, float(np.mean(list(relative.values())))]
    return [*found, nash_conv(run, sellers, budget, seed), profit_gain(run, sellers)]


@dataclass(frozen=True)
class Found:
    """What one run came to: its best policies', and the mixtures' where it has any; seconds of training."""

    best: list[float]
    mixed: list[float] | None
    seconds: float


@cache
def panel_of(name: str) -> Panel:
    """Made once in a process."""
    return Panel(with_mode(name, "independent", BUDGETS[name]))


def one_run(case: Case) -> tuple[list[float], list[float] | None, float]:
    """Train one (market, mode, seed) and measure it: what :class:`Found` holds."""
    name, mode, seed = case
    begun = time.perf_counter()
    run = trained(with_mode(name, mode, BUDGETS[name], *STACKS), seed)
    seconds, panel, budget = time.perf_counter() - begun, panel_of(name), RESPONSE[name]
    best, mixed = measured(panel, run, run.best, budget, seed), mixtures(run)
    return best, None if mixed is None else measured(panel, run, mixed, budget, seed), seconds


def rows_of(mode: str, found: Sequence[Found]) -> list[str]:
    """A row of the best policies, and one of the mixtures where there are any."""
    seconds = sum(one.seconds for one in found) / len(found)
    rows = [_row(mode, np.array([one.best for one in found]), f"{seconds:.0f}")]
    mixed = [one.mixed for one in found if one.mixed is not None]
    return rows + ([_row(f"{mode}, mixture", np.array(mixed), "")] if mixed else [])


def _row(label: str, found: Floats, seconds: str) -> str:
    formats: list[Callable[[float], str]] = [*["{:+.1%}".format] * 3, "{:.1%}".format, "{:.2f}".format]
    cells = []
    for column, text in zip(found.T, formats, strict=True):
        whole = mean_interval(column)
        cells.append(f"{text(whole.value)} ({', '.join(text(value) for value in column)})")
        if len(column) > 2:
            cells[-1] += f" [{text(whole.low)}, {text(whole.high)}]"
    return f"| {label} | {' | '.join(cells)} | {seconds} |"


def section(name: str, by_mode: Mapping[str, Sequence[Found]]) -> list[str]:
    """One market's table."""
    return [
        f"\n## {name}.yaml\n",
        f"{BUDGETS[name]:,} seller-periods of learners a run, the same for all modes.\n",
        f"| mode | {' | '.join(COLUMNS)} | seconds of training |",
        f"| --- | {' | '.join('---' for _ in COLUMNS)} | --- |",
        *(row for mode, found in by_mode.items() for row in rows_of(mode, found)),
    ]


HOW = f"""
Learners are the configuration's, and see the last eight observations, in every mode; seats that share need the same, so
`shared` has dqn in every seat.

Every cell: mean over seeds, each seed in round brackets, in square ones the 95 % bootstrap interval over seeds (three
seeds: wide, and rough). Policies are those that `bazaar evaluate` judges: of 20 evaluations the best, by profit against
the configuration's first line-up or, in a league, by the worst shortfall against its own fixed competitors. Those of
`psro, mixture` draw a member of the pool for every episode.

- *worst case, mean*: profit of a seat whose rivals all follow the same rules, less that of the best fixed competitor in
  that seat against them, as a share of it; over all seats and {len(HELD_OUT)} line-ups that no mode trained against and
  nothing was chosen by: {", ".join(f"`{rules}`" for rules in HELD_OUT)}. {EPISODES} episodes each, the same
  customers for all.
- *worst of new kinds*: the same over {", ".join(NEW_KINDS[:-1])} and {NEW_KINDS[-1]} only. Of the other rules a league
  meets relatives with other parameters: {", ".join(f"`{rules}`" for rules in STOCKED)}.
- *exploitability*: what the best of a newly trained response (the seat's learner; budget below) and the fixed competitors earns more
  against the others as they are, summed over seats, as a share of total profit: a lower bound. It is chosen and measured
  on the same {EPISODES} episodes.
- *chosen on*: the league's shares, list of competitors, measure of hardness and average of weights, and `stack: 8`, were
  chosen on the duopoly, with seeds 0 to 3; the orange-juice market was looked at once, with seed 1.
- *Delta*: profit gain of the sellers against one another, 0 at Nash and 1 at joint-profit prices.
""".rstrip()


def all_runs(given: argparse.Namespace) -> dict[str, dict[str, list[Found]]]:
    """Every market, mode and seed, in some processes; how many changes no figure but the seconds."""
    seeds, markets = range(given.seeds), given.markets or list(BUDGETS)
    tasks: list[Case] = [(name, mode, seed) for name in markets for seed in seeds for mode in MODES]
    found = {case: Found(*result) for case, result in done(given.kept).items()}
    for case, result in worked(one_run, tasks, given.processes, given.kept):
        found[case] = Found(*result)
        print(*case, result, flush=True)
    return {name: {mode: [found[name, mode, seed] for seed in seeds] for mode in MODES} for name in markets}


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("markets", nargs="*", choices=[[], *BUDGETS], default=[])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--kept", type=Path)
    given = parser.parse_args()
    begun, load, before = time.perf_counter(), os.getloadavg()[0], len(done(given.kept))
    found = all_runs(given)
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "tianshou", "numpy", "numba"))
    budgets = ", ".join(f"{RESPONSE[name]:,} in {name}" for name in RESPONSE)
    where = f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f} at the start"
    took = f"{(time.perf_counter() - begun) / 60:.0f} minutes in {given.processes} processes"
    took = f"in several goes, {before} runs done before the last" if before else took
    lines = [
        "# Ways of self-play, measured\n",
        f"`python -m tests.experiments.selfplay_table --seeds {given.seeds}`, {date.today()}, {versions}, {where}; {took}.",
        HOW,
        f"- *budget of responses*: {budgets}.",
        *(line for name, by_mode in found.items() for line in section(name, by_mode)),
    ]
    OUTPUT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
