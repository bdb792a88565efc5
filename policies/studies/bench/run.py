"""`bazaar bench`: how fast the market and training are on this machine, in seller-periods a second.

A seller-period is one seller, one period, one market. Every figure is the median of repeats of some tenths of a
second or less; other programs on the machine make it too low, so the load average is printed beside it.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any, NamedTuple

import numba
from rich.console import Console

from market.errors import UserError
from policies.common.files import refuse_unwritable, write_json
from policies.common.progress import phases
from policies.common.results import Records
from policies.config.command import ordered_by
from policies.config.orders import BenchOrder
from policies.studies.bench import workloads as bench_work
from policies.studies.bench.workloads import COPIES, PLENTY, Work
from policies.views.table import Cells, Column, Note, Table

FEWEST_REPEATS = 5
SPEEDUP_WANTED = 10.0
BUSY = 0.25  # load average per core from which figures are too low
PACKAGES = ("numpy", "numba", "torch", "tianshou", "pettingzoo", "supersuit")


class Figure(NamedTuple):
    """One line of the table; ``prepare`` may raise :class:`UserError` where it cannot be measured."""

    what: str
    wanted: float | None
    prepare: Callable[[], Work]


FIGURES: dict[str, Figure] = {
    "batch": Figure("step, no stockouts", 20e6, lambda: bench_work.plain(4.0, PLENTY, whole=False)),
    "batch_stockouts": Figure(
        "step, one first choice in five sold out", 12e6, lambda: bench_work.plain(3.6, 4, whole=False)
    ),
    "batch_full": Figure("step, observe, reset", 5e6, lambda: bench_work.plain(4.0, PLENTY, whole=True)),
    "orange_juice": Figure("step, observe, reset of the built-in orange_juice", 2e6, bench_work.orange_juice),
    "parallel_env": Figure("one PettingZoo market of 2 sellers", 50e3, bench_work.parallel_market),
    "supersuit": Figure(f"the same, {COPIES} copies through concat_vec_envs_v1", None, bench_work.supersuit),
    "training": Figure("DQN, A2C and DDPG learn at once", 120e3, bench_work.training),
    "training_gpu": Figure("the same, networks and memories on a GPU", None, bench_work.on_gpu),
    "training_large": Figure("the same, many markets and large batches", None, bench_work.large),
    "tianshou_aec": Figure("2 DQN sellers on Tianshou's multi-agent route", None, bench_work.tianshou_aec),
}


# --------------------------------------------------------------------------------------------------- measuring


def measure(work: Work, seconds: float) -> dict[str, Any]:
    """Repeat a round for so long, after one that does not count (it compiles); the median and what it lies between."""
    work.round()
    speeds: list[float] = []
    end = time.perf_counter() + seconds
    while len(speeds) < FEWEST_REPEATS or time.perf_counter() < end:
        played, took = work.round()
        speeds.append(played / took)
    result = {"seller_periods_per_second": statistics.median(speeds), "min": min(speeds), "max": max(speeds)}
    return result | {"repeats": len(speeds), "note": work.note()}


@dataclass(frozen=True)
class BenchResult(Records):
    """How fast it is here; ``report`` is what its JSON has, with the machine and the ratios."""

    report: dict[str, Any]

    def records(self) -> list[dict[str, Any]]:
        """A row a figure: the median, seller-periods a second, and what it lies between."""
        return [{"figure": key} | self.report[key] for key in FIGURES if key in self.report]


@ordered_by(BenchOrder)
def bench(order: BenchOrder) -> BenchResult:
    """Carry out `bazaar bench`: measure, print the table, write JSON.

    Raises:
        UserError: an unknown key, or a file that cannot be written, before anything is measured.

    Example::

        from policies import bench

        print(bench(only="batch", seconds=0.1).to_frame()[["figure", "seller_periods_per_second"]])
    """
    refuse_unwritable(order.json)
    report: dict[str, Any] = {"machine": machine()}
    for key in (key for key in FIGURES if not order.only or key in order.only):
        report[key] = _measure_one(key, order.seconds, order.console)
    report["machine"]["load_average_after"] = _load()
    report["ratios"] = ratios(report)
    for table in tables(report):
        table.print(order.console)
    write_json(order.json, report)
    return BenchResult(report)


def _measure_one(key: str, seconds: float, console: Console) -> dict[str, Any]:
    figure = FIGURES[key]
    with phases(console, f"measuring {key}") as say:
        say(figure.what)
        try:
            result = measure(figure.prepare(), seconds)
        except UserError as refusal:
            result = {"seller_periods_per_second": None, "note": f"skipped: {refusal}"}
    return result | {"wanted": figure.wanted}


def machine() -> dict[str, Any]:
    """What the figures depend on beside the code."""
    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": {"market": numba.get_num_threads(), "torch": 1},
        "load_average_before": _load(),
        "versions": {package: metadata.version(package) for package in PACKAGES},
    }


def _load() -> float | None:
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


# ----------------------------------------------------------------------------------------------------- showing


def ratios(report: dict[str, Any]) -> dict[str, float]:
    """What one figure is in terms of another, and of what is wanted, where both were measured."""
    speeds = {key: report[key]["seller_periods_per_second"] for key in FIGURES if key in report}
    found = {f"{k}:wanted": v / FIGURES[k].wanted for k, v in speeds.items() if v and FIGURES[k].wanted}
    for one, other in (("training", "tianshou_aec"), ("batch", "parallel_env"), ("parallel_env", "supersuit")):
        if speeds.get(one) and speeds.get(other):
            found[f"{one}:{other}"] = speeds[one] / speeds[other]
    return found


def tables(report: dict[str, Any]) -> list[Table]:
    """The figures, and what they were measured on."""
    columns = [Column("figure"), *(Column(head, _short) for head in ("median", "min", "max", "wanted"))]
    columns += [Column("of wanted", "{:.2f}"), Column("what", align="left")]
    rows: list[list[Cells]] = []
    for key in (key for key in FIGURES if key in report):
        result, what = report[key], FIGURES[key].what
        speeds = [result.get(name) for name in ("seller_periods_per_second", "min", "max", "wanted")]
        told = f"{what}: {result['note']}" if result["note"] else what
        rows.append([key, *speeds, report["ratios"].get(f"{key}:wanted"), told])
    return [Table("seller-periods a second", columns, rows, [*_notes(report)], narrow="wrap")]


def _notes(report: dict[str, Any]) -> Iterator[Note]:
    about = report["machine"]
    if (speedup := report["ratios"].get("training:tianshou_aec")) is not None:
        yield Note(f"training : tianshou_aec = {speedup:.1f} (wanted: at least {SPEEDUP_WANTED:g})")
    text = (
        f"{about['cores']} cores, load average {about['load_average_before']} before and {about['load_average_after']} "
        f"after; {about['threads']['market']} threads for the market, 1 for torch; python {about['python']}"
    )
    yield Note(text, "note")
    if (about["load_average_before"] or 0.0) > BUSY * about["cores"]:
        yield Note("other programs were running: on a quiet machine these figures are higher", "missing")


def _short(value: float) -> str:
    return f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value / 1e3:.1f} k"
