"""What `bazaar update` is worth where demand shifts: a seller before, after, updated, and trained anew.

python -m tests.experiments.update_table [--seeds N] [--budget N] [--kept FILE] [--processes N]

Sales of a market of three, 100 weeks; `bazaar calibrate` and `bazaar train` make a seller of them. Then customers are 30 % more
sensitive to prices, and 60 weeks later `bazaar update` is given all 160. What the seller, the updated one, and one trained from
scratch on the updated market with the whole budget earn is judged in the markets that the sales come from, which no seller knows,
against rivals that follow rules there. FILE holds a line for each run that is done. Writes update_table.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from market.spec.models import MarketSpec
from policies.config.run import Evaluation, RunConfig
from policies.evaluation.compare import Result, best_fixed, compare
from policies.evaluation.line_ups import LineUps
from policies.evaluation.statistics import half_width
from policies.sales.calibrate import calibrate
from policies.sales.record import record
from policies.sellers.checkpoint import SavedSeller
from policies.storage.run_folder import saved_sellers
from policies.training.train import train
from policies.updating.run import update
from tests.experiments.kept import Case, done, worked

HERE = Path(__file__)
LEARNERS = ("dqn", "a2c", "ddpg")
OWN, EPISODES = "house", 2048
WEEKS, SINCE = 100, 60
SHIFT = 1.3
RULES = "nash+base_stock"
RECORDED = {"brand": [2.8, 4.2], "house": [2.4, 3.6], "import": [2.2, 3.3]}  # prices while sales were recorded


def market(sensitivity: float, **changes: Any) -> dict[str, Any]:
    """A market of three, plain data."""
    own = {"order_up_to": [0, 3000], "holding_cost": 0.04, "stockout_cost": 0.5, "stock": 600, "xi": 0.2}
    sellers = [
        {"name": "brand", "quality": 5.0, "unit_cost": 2.4, "prices": [2.0, 7.0], "lead_time": 1, **own},
        {"name": "house", "quality": 4.0, "unit_cost": 2.0, "prices": [2.0, 6.0], "lead_time": 1, **own},
        {"name": "import", "quality": 3.6, "unit_cost": 1.8, "prices": [1.5, 6.0], "lead_time": 2, **own},
    ]
    shocks = {"persistence": 0.4, "common": 0.15}
    about = {"name": "shift", "period": "week", "horizon": 120, "customers": {"rate": 2000}, "demand_shock": shocks}
    return about | {"price_sensitivity": sensitivity, "sellers": sellers} | changes


BEFORE, AFTER = market(1.5), market(1.5 * SHIFT)


def sales(folder: Path, seed: int) -> tuple[Path, Path]:
    """The sales before the shift, and all of them."""
    parts = []
    for k, (one, weeks) in enumerate(((BEFORE, WEEKS), (AFTER, SINCE))):
        config, file = folder / f"market{k}.yaml", folder / f"part{k}.csv"
        config.write_text(str({"market": one}), encoding="utf-8")  # JSON, nearly: YAML reads it
        ranges = [f"market.sellers.{name}.prices={prices}" for name, prices in RECORDED.items()]
        asked: dict[str, Any] = {"rules": "random+base_stock(level=ample)", "markets": 1, "periods": weeks}
        record(config, output=file, seed=2 * seed + k, changes=ranges, **asked)
        rows = pd.read_csv(file)
        rows["week"] = pd.Timestamp("2022-01-03") + pd.to_timedelta(7 * (rows["period"] + WEEKS * k), unit="D")
        parts.append(rows[["week", "seller", "price", "units", "cost"]])
    old, all_ = folder / "old.csv", folder / "all.csv"
    parts[0].to_csv(old, index=False)
    pd.concat(parts).to_csv(all_, index=False)
    return old, all_


def judged(truth: dict[str, Any], sellers: dict[str, SavedSeller]) -> list[Result]:
    """Sellers, then all fixed competitors, in a market that they do not know, among rules that do."""
    config, seat = RunConfig(market=MarketSpec.parse(truth)), 1
    spec, line_ups = config.market, LineUps(config, 0)
    line_up = line_ups.chosen(None)[0]
    rivals = [line_ups.fixed(line_up, k) for k in range(len(spec.sellers))]
    here = {name: one.sit(spec, seat, adapt=True) for name, one in sellers.items()}
    rules = {one.label: line_ups.fixed(one, seat) for one in line_ups.competitors()}
    return compare(spec, seat, here | rules, list(here), rivals, Evaluation(), 0, EPISODES)


def measure(case: Case) -> dict[str, Any]:
    """(learner, budget, seed)."""
    learner, budget, seed = case
    with tempfile.TemporaryDirectory() as at:
        folder = Path(at)
        old, all_ = sales(folder, seed)
        found = calibrate(old, output=folder / "market.yaml")
        seats = {name: RULES for name in RECORDED} | {OWN: learner}
        asked: dict[str, Any] = {"seed": seed, "runs": folder, "device": "cpu"}
        changes = [f"training.budget={budget}", "training.evaluations=10"]
        begun = time.perf_counter()
        run = train(found.output, name="run", changes=[*changes, f"seats={seats}"], **asked)
        seconds = {"trained": time.perf_counter() - begun}
        begun = time.perf_counter()
        updated = update(run.folder, sales=all_, seed=seed)
        seconds["updated"] = time.perf_counter() - begun
        begun = time.perf_counter()
        anew = [f"seats.{OWN}={learner}", *changes]
        config = run.folder / "updates" / f"{OWN}-1" / "config.yaml"
        scratch = train(config, name="scratch", changes=anew, **asked)
        seconds["scratch"] = time.perf_counter() - begun
        saved = {"old": run.folder, "updated": updated.folder, "scratch": scratch.folder}
        sellers = {name: saved_sellers(place)[OWN] for name, place in saved.items()}
        after, before = judged(AFTER, sellers), judged(BEFORE, {"old": sellers["old"]})
        facts = {"verdict": updated.verdict, "seconds": {name: round(took, 1) for name, took in seconds.items()}}
        return facts | {
            "p": updated.newest.p if updated.newest else None,
            "before": _told(before),
            "after": _told(after),
        }


def _told(results: list[Result]) -> dict[str, Any]:
    best = best_fixed(results)
    assert best is not None
    gaps = {
        one.policy: [float((one.profit - best.profit).mean()), half_width(one.profit - best.profit)]
        for one in results
        if one.entrant
    }
    return {"rule": best.policy, "best": best.mean, "gaps": gaps}


def tables(found: dict[Case, Any]) -> Iterator[str]:
    """A row a learner, then a row a run."""
    yield "| learner | before the shift | after it | updated | from scratch | verdicts | seconds: trained, updated, from scratch |"
    yield "| --- " * 7 + "|"
    for learner in LEARNERS:
        runs = [one for case, one in sorted(found.items()) if case[0] == learner]
        if not runs:
            continue
        cells = [
            _shares(runs, "before", "old"),
            *(_shares(runs, "after", name) for name in ("old", "updated", "scratch")),
        ]
        took = ", ".join(
            f"{np.mean([one['seconds'][name] for one in runs]):.0f}" for name in ("trained", "updated", "scratch")
        )
        promoted = sum(one["verdict"] == "promoted" for one in runs)
        yield f"| {learner} | {' | '.join(cells)} | promoted {promoted} of {len(runs)} | {took} |"


def _shares(runs: list[dict[str, Any]], when: str, name: str) -> str:
    values = [100 * one[when]["gaps"][name][0] / one[when]["best"] for one in runs]
    return f"{np.mean(values):+.1f} % ({', '.join(f'{value:+.1f}' for value in values)})"


def _head(asked: argparse.Namespace, found: dict[Case, Any]) -> Iterator[str]:
    packages = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("torch", "tianshou", "numpy", "numba", "pyblp")
    )
    yield "# What an update is worth where demand shifts\n"
    yield (
        f"`python -m tests.experiments.update_table --seeds {asked.seeds} --budget {asked.budget}`, {date.today()}, {packages}, "
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end.\n"
    )
    after = [one["after"] for one in found.values()]
    worst = max(half for one in after for _, half in one["gaps"].values())
    profit = [np.mean([one[when]["best"] for one in found.values()]) for when in ("before", "after")]
    yield (
        "A market of three sellers, calibrated from 100 weeks of its sales; one learns, the others follow Nash prices with base "
        f"stock. Then price sensitivity rises by 30 % (of the best rule's profit, {profit[0]:.0f} a week before, {profit[1]:.0f} is "
        "left), and 60 weeks later the seller is updated: a refit, a quarter of the budget. Profit beside the best fixed rule that "
        "knows the true market, in per cent of it: mean over seeds, and by seed; sellers know only what was estimated. Same customers "
        f"for all; half the width of a run's 95 % interval is {100 * worst / profit[1]:.2f} % at most. Every seed has sales of its own.\n"
    )  # fmt: skip


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=int, default=3_000_000)
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--processes", type=int, default=1, help="0: only the table of what FILE holds")
    asked = parser.parse_args()
    cases: list[Case] = [(learner, asked.budget, seed) for seed in range(asked.seeds) for learner in LEARNERS]
    found = {case: result for case, result in done(asked.kept).items() if case in cases}
    for case, result in worked(measure, cases, asked.processes, asked.kept) if asked.processes else ():
        found[case] = result
        print(*case, result, flush=True)
    HERE.with_suffix(".md").write_text("\n".join([*_head(asked, found), *tables(found)]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
