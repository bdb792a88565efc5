"""What robustness to the estimate costs and buys: sellers trained in the market as estimated, and on draws of it.

python -m tests.experiments.uncertainty_table [MARKET ...] [--seeds N] [--learner NAME] [--budget N] [--data FOLDER]
    [--kept FILE] [--processes N]

Markets: ``simulated``, which `bazaar calibrate` makes of a year of sales of a known market, and ``orange_juice``, of the
real file in FOLDER (skipped where it is not; it is not part of the project). One learner in the first seat, rules in the
others. FILE holds a line for each run that is done, so that the same command goes on where it was stopped. Writes
tests/experiments/uncertainty_table.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from market.spec.models import MarketSpec
from policies.common.progress import unseen
from policies.config.run import RunConfig, parse_run
from policies.evaluation.line_ups import LineUps
from policies.evaluation.statistics import half_width
from policies.sales.calibrate import calibrate
from tests.experiments.kept import Case, done, worked
from tests.helpers.learning import train_best
from tests.helpers.recorded import known_market, record, write

HERE = Path(__file__)
STORES = "oj_dominicks_3brand_store_week.csv"
COLUMNS = "period=week_start,seller=brand,market=store,promo_feat=feat,promo_deal=deal"
TRUTH = {"horizon": 52, "customers": {"rate": 1_000}}
MARKETS = ("simulated", "orange_juice")
TRAINED = ("off", "on")
EPISODES = 1024


@cache
def calibrated(name: str, data: Path) -> dict[str, Any]:
    """The configuration that `bazaar calibrate` writes of the market's sales, plain data."""
    with tempfile.TemporaryDirectory() as folder:
        if name == "orange_juice":
            sales, columns = data / STORES, COLUMNS
        else:
            sales, columns = write(record(MarketSpec.parse(known_market(**TRUTH)), 1), Path(folder)), None
        found = calibrate(sales, output=Path(folder) / "market.yaml", columns=columns, force="overwrite")
        return dict(yaml.safe_load(found.output.read_text(encoding="utf-8")))


def configured(name: str, data: Path, learner: str, budget: int, uncertainty: str) -> RunConfig:
    """One learner in the first seat, the usual line-up in the others."""
    given = calibrated(name, data)
    market = given["market"] | {"uncertainty": uncertainty}
    seats = {market["sellers"][0]["name"]: learner}
    training = {"budget": budget, "evaluations": 10}
    return parse_run({"market": market, "seats": seats, "training": training}, name)


def measure(case: Case) -> dict[str, Any]:
    """Train with the market as estimated and on its draws, and judge both in both: (market, data, learner, budget, seed)."""
    name, data, learner, budget, seed = case
    sellers, seconds = {}, {}
    for uncertainty in TRAINED:
        begun = time.perf_counter()
        config = configured(name, Path(data), learner, budget, uncertainty)
        sellers[uncertainty] = train_best(config, seed)[0]
        seconds[uncertainty] = round(time.perf_counter() - begun, 1)
    line_ups = LineUps(config, seed).certain
    line_up = line_ups.chosen(None)[0]
    found = line_ups.compare(0, sellers, line_up, EPISODES, unseen)
    found = line_ups.over_draws(0, sellers, line_up, found)
    assert found.best is not None
    results = {one.policy: one for one in found.results}
    return {
        "best": found.best.policy,
        "profit": found.best.mean,
        "seconds": seconds,
        "centre": {k: float((results[k].profit - found.best.profit).mean()) for k in TRAINED},
        "half": {k: half_width(results[k].profit - found.best.profit) for k in TRAINED},
        "gaps": {k: found.draws[k].gap.tolist() for k in TRAINED},
    }


def section(name: str, runs: list[dict[str, Any]]) -> Iterator[str]:
    """A market's table: shares of the best rule's profit in the market as estimated, mean over seeds and by seed."""
    yield f"\n## {name}\n"
    best = sorted({run["best"] for run in runs})
    yield f"Best fixed competitor: {', '.join(best)}; {np.mean([run['profit'] for run in runs]):.4g} a period. Seeds: {len(runs)}.\n"
    yield "| trained | as estimated | mean over draws | worst draw | draws in which it beats the rule | seconds |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for kind in TRAINED:
        gaps = [np.array(run["gaps"][kind]) / run["profit"] for run in runs]
        centre = [run["centre"][kind] / run["profit"] for run in runs]
        cells = [_shares(centre), _shares([g.mean() for g in gaps]), _shares([g.min() for g in gaps])]
        beats = " ".join(f"{(g > 0).mean():.0%}" for g in gaps)
        yield f"| {kind} | {' | '.join(cells)} | {beats} | {np.mean([run['seconds'][kind] for run in runs]):.0f} |"
    cost = [(run["centre"]["on"] - run["centre"]["off"]) / run["profit"] for run in runs]
    gain = [(np.array(run["gaps"]["on"]) - np.array(run["gaps"]["off"])) / run["profit"] for run in runs]
    worst = [(min(run["gaps"]["on"]) - min(run["gaps"]["off"])) / run["profit"] for run in runs]
    better = " ".join(f"{(g > 0).mean():.0%}" for g in gain)
    cells = [_shares(cost), _shares([g.mean() for g in gain]), _shares(worst)]
    yield f"| on less off | {' | '.join(cells)} | {better} (on earns more than off) | |"


def _shares(values: list[Any]) -> str:
    mean = f"{np.mean(values):+.2%}"
    if len(values) > 1:
        mean += f" ± {half_width(np.array(values, np.float64)):.2%}"
    return f"{mean} ({', '.join(f'{value:+.1%}' for value in values)})"


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("markets", nargs="*", choices=[[], *MARKETS], default=[])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--learner", default="a2c")
    parser.add_argument("--budget", type=int, default=600_000)
    parser.add_argument("--data", type=Path, default=HERE.parents[3] / "shared" / "data")
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--processes", type=int, default=1, help="0: only the table of what FILE holds")
    asked = parser.parse_args()
    names = [name for name in asked.markets or MARKETS if name == "simulated" or (asked.data / STORES).exists()]
    about = str(asked.data), asked.learner, asked.budget
    cases: list[Case] = [(name, *about, seed) for seed in range(asked.seeds) for name in names]
    found = {case: result for case, result in done(asked.kept).items() if case in cases}
    if asked.processes:
        for case, result in worked(measure, cases, asked.processes, asked.kept):
            found[case] = result
            print(*case, result["centre"], flush=True)
    HERE.with_suffix(".md").write_text("\n".join([*_head(asked), *_sections(found)]) + "\n", encoding="utf-8")


def _sections(found: dict[Case, Any]) -> Iterator[str]:
    for name in MARKETS:
        if runs := [result for case, result in sorted(found.items()) if case[0] == name]:
            yield from section(name, runs)


def _head(asked: argparse.Namespace) -> Iterator[str]:
    packages = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("torch", "tianshou", "numpy", "numba", "pyblp")
    )
    yield "# What robustness to the estimate costs and buys\n"
    yield (
        f"`python -m tests.experiments.uncertainty_table --seeds {asked.seeds} --learner {asked.learner} --budget "
        f"{asked.budget}`, {date.today()}, {packages}, Python {platform.python_version()}, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f} at the end.\n"
    )
    yield (
        "One learner in the first seat against the usual line-up, trained in the market as estimated (`uncertainty: off`) "
        "or on its 39 draws (`on`), each judged in both, paired on the same customers. Differences to the best fixed "
        "competitor in the market as estimated, in per cent of its profit there: mean over seeds, half the width of its "
        "95 % interval, and by seed. Rules keep what theory tells them of the market as estimated."
    )


if __name__ == "__main__":
    main()
