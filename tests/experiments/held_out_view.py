"""The tables of :mod:`tests.experiments.held_out`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

THIN = 0.05  # of revenue: percent of a profit below it would say nothing
GOOD, BAD = -0.002, -0.005
HEAD = (
    "Difference of the kept policy to the best fixed competitor in its seat, both against the first line-up, on fresh "
    "customers the same for both; percent of the competitor's profit, or money a period where that profit is below 5 % of "
    "revenue. Medians and worst over seats and seeds; seconds are a run's, with all of its learners. No search of options "
    "saw these markets, but faults were found here and mended: that DQN learned fine steps slowly (its shared parts and "
    "replay ratio: workwear, milk, bakery, timber), that its grid ended too early (petrol, ice_cream), that all began where stock only costs (flowers) and met "
    "only one another (ice_cream), that prices must not be decided as coarsely as levels (antiques), and that of wide ranges networks saw next to nothing (ice_cream). There the figures flatter.\n"
)
COLUMNS = "seats | median | worst | at least -.2 % | below -.5 %"


class Run(NamedTuple):
    """One run that is done: its market, whether orders cost something there, and a row a learning seat."""

    market: str
    order_cost: bool
    seconds: float
    seats: list[dict[str, Any]]


def tables(runs: list[Run], before: list[Run]) -> Iterator[str]:
    """The summary by learner, then every market by learner, then every seat."""
    yield HEAD
    earlier = " | before: median, worst" if before else ""
    yield f"| learner | markets | {COLUMNS} | in money: ahead, behind{earlier} |"
    yield "| --- " * (9 if before else 8) + "|"
    for learner in _learners(runs):
        for label, kinds in {"no order cost": [False], "order cost": [True], "all": [False, True]}.items():
            rows, past = ([s for run in of for s in run.seats if run.order_cost in kinds] for of in (runs, before))
            yield _summary(learner, label, _by(rows, learner), _by(past, learner), bool(before))
    yield f"\n| market | learner | {COLUMNS} | in money | seconds | optimum{earlier} |"
    yield "| --- " * (11 if before else 10) + "|"
    for name in dict.fromkeys(run.market for run in runs):
        for learner in _learners(runs):
            now, then = ([run for run in of if run.market == name] for of in (runs, before))
            yield from _market(name, learner, now, then, bool(before))
    yield from _seats(runs)


def _learners(runs: list[Run]) -> list[str]:
    return list(dict.fromkeys(row["learner"] for run in runs for row in run.seats))


def _by(rows: list[dict[str, Any]], learner: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["learner"] == learner]


def _thin(row: dict[str, Any]) -> bool:
    return bool(row["best"] <= THIN * row["revenue"])


def _shares(rows: list[dict[str, Any]]) -> list[float]:
    return [row["gap"] / row["best"] for row in rows if not _thin(row)]


def _cells(rows: list[dict[str, Any]]) -> str:
    shares = np.array(_shares(rows))
    if not len(shares):
        return f"{len(rows)} | - | - | - | -"
    good, bad = int((shares >= GOOD).sum()), int((shares < BAD).sum())
    return f"{len(rows)} | {np.median(shares):+.2%} | {shares.min():+.2%} | {good} of {len(shares)} | {bad}"


def _past(rows: list[dict[str, Any]], asked: bool) -> str:
    shares = _shares(rows)
    figures = f"{np.median(shares):+.2%}, {min(shares):+.2%}" if shares else "-"
    return f" {figures} |" if asked else ""


def _summary(learner: str, label: str, rows: list[dict[str, Any]], past: list[dict[str, Any]], asked: bool) -> str:
    money = [row["gap"] for row in rows if _thin(row)]
    ahead = f"{sum(gap >= 0 for gap in money)}, {sum(gap < 0 for gap in money)}" if money else "-"
    return f"| {learner} | {label} | {_cells(rows)} | {ahead} |{_past(past, asked)}"


def _market(name: str, learner: str, runs: list[Run], before: list[Run], asked: bool) -> Iterator[str]:
    rows, past = (_by([s for run in of for s in run.seats], learner) for of in (runs, before))
    if rows:
        money = ", ".join(f"{row['gap']:+.3g}" for row in rows if _thin(row)) or "-"
        seconds = np.median([run.seconds for run in runs if _by(run.seats, learner)])
        known = [row["optimum"] for row in rows if row["optimum"] is not None]
        optimum = f"{np.median(known):.2%}" if known else "-"
        yield f"| {name} | {learner} | {_cells(rows)} | {money} | {seconds:.0f} | {optimum} |{_past(past, asked)}"


def _seats(runs: list[Run]) -> Iterator[str]:
    yield "\n| market | seat | learner | difference, money a period | of | percent | best rule | fill rate | price |"
    yield "| --- " * 9 + "|"
    for run in runs:
        for row in run.seats:
            fill = "-" if row["fill"] is None else f"{row['fill']:.3f}"
            percent = "-" if _thin(row) else f"{row['gap'] / row['best']:+.2%} ± {row['half'] / row['best']:.2%}"
            money = f"{row['gap']:+.4g} ± {row['half']:.2g} | {row['best']:.4g} | {percent}"
            ends = f"{row['competitor']} | {fill} | {row['price']:.4g}"
            yield f"| {run.market} | {row['seat']} | {row['learner']} | {money} | {ends} |"
