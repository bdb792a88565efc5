"""Learners on markets that no option was tuned on: every learner in every seat, all learning at once.

python -m tests.experiments.held_out [MARKET ...] [--seeds N] [--learners NAMES] [--rotations NUMBERS] [--per-seller N]
    [--processes N] [--kept FILE] [--sellers FOLDER] [--before FILE] [--set KEY=VALUE ...] [--alone [--seat K]]
    [--output FILE]

The markets are the files of held_out/, unlike one another and the markets of configs/; some are what `bazaar calibrate`
made of simulated sales (held_out_calibrated). In rotation r seat k has learner (k + r) modulo their number, so that three
rotations put every learner into every seat; seed s has rotation s unless --rotations says which. Of more than four sellers
three learn. ``--alone``: one learner at a time in one
seat, rules in the others. FILE holds a line for each run that is done, so that the same command goes on where it was
stopped; ``--processes 0`` only makes the table of what FILE holds. Sellers that FOLDER holds are judged and not trained, so that
those of an earlier version can be judged by the rules of this one. Writes held_out.md (``--output``).
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import time
from collections.abc import Iterator
from datetime import date
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import numpy as np

from market.spec.loading import read_yaml
from market.theory.optimum import solve, why_not
from policies.config.run import RunConfig, read_config
from policies.evaluation.compare import Result, best_fixed
from policies.evaluation.statistics import half_width
from policies.learners.default_decisions import with_decisions
from policies.sellers.checkpoint import SavedSeller, load_seller, save_seller
from policies.sellers.network_seller import NetworkSeller
from tests.experiments.held_out_view import Run, tables
from tests.experiments.kept import Case, done, worked
from tests.helpers.learning import average_profit, judged, train_best

HERE = Path(__file__)
FOLDER = HERE.with_name("held_out")
LEARNERS = "dqn,ddpg,a2c"
PER_SELLER = 1_000_000
ALL_LEARN = 4  # sellers at most; of more, THREE learn
THREE = 3


@cache
def market(name: str) -> dict[str, Any]:
    """The market's part of its file, plain data."""
    return dict(read_yaml(FOLDER / f"{name}.yaml")["market"])


def names() -> list[str]:
    """All markets, those that train soonest first: by sellers, then customers."""
    found = [path.stem for path in FOLDER.glob("*.yaml")]
    return sorted(found, key=lambda name: (len(market(name)["sellers"]), market(name)["customers"]["rate"], name))


def seated(name: str, learners: list[str], rotation: int, alone: int | None = None) -> dict[int, str]:
    """Learner by seat."""
    count = len(market(name)["sellers"])
    if alone is not None:
        return {alone: learners[rotation % len(learners)]}
    learning = count if count <= ALL_LEARN else THREE
    return {k: learners[(k + rotation) % len(learners)] for k in range(learning)}


def configured(name: str, seats: dict[int, str], per_seller: int = PER_SELLER, changes: str = "") -> RunConfig:
    """The run of a market: ``changes`` are lines ``key.path=value``."""
    sellers = market(name)["sellers"]
    given = [f"training.budget={per_seller * len(sellers)}"]
    given += [f"seats.{sellers[k]['name']}={learner}" for k, learner in seats.items()]
    return read_config(FOLDER / f"{name}.yaml", [*given, *changes.splitlines()])


def measure(case: Case, folder: Path | None = None) -> dict[str, Any]:
    """Train and judge one (market, learners, rotation, seed, seller-periods a seller, changes, seat alone)."""
    name, learners, rotation, seed, per_seller, changes, alone = case
    seats = seated(name, learners.split(","), rotation, alone)
    config = with_decisions(configured(name, seats, per_seller, changes))
    kept = None if folder is None else folder / re.sub(r"[^\w,.=-]+", "_", "-".join(map(str, case)))
    sellers, seconds = _sellers(config, seats, seed, kept)
    found = judged(config, sellers, seed)
    rows = [_row(config, k, seats[k], found[k], sellers[k]) for k in sellers]
    return {"seconds": seconds, "seats": rows}


def _sellers(
    config: RunConfig, seats: dict[int, str], seed: int, kept: Path | None
) -> tuple[dict[int, NetworkSeller], float]:
    """The learners at their best by seat, trained here or found in ``kept``, and the seconds that training took."""
    seconds = None if kept is None else kept / "seconds.txt"
    if kept is not None and seconds is not None and seconds.exists():
        found = {k: load_seller(kept / f"{k}.pt").sit(config.market, k, adapt=True) for k in seats}
        return cast(dict[int, NetworkSeller], found), float(seconds.read_text(encoding="utf-8"))
    begun = time.perf_counter()
    sellers = train_best(config, seed)
    took = round(time.perf_counter() - begun, 1)
    if kept is not None and seconds is not None:
        kept.mkdir(parents=True, exist_ok=True)
        for k, seller in sellers.items():
            facts = {"encoding": seller.decisions.encoding, "learner": seats[k], "trained": config.training.budget}
            save_seller(SavedSeller.of(seller.network, config.market, k, path=kept / f"{k}.pt", score=0.0, **facts))
        seconds.write_text(str(took), encoding="utf-8")
    return sellers, took


def _row(config: RunConfig, seat: int, learner: str, results: list[Result], seller: NetworkSeller) -> dict[str, Any]:
    """What is kept of a seat: money a period, as it is printed only when the table is made."""
    best = best_fixed(results)
    assert best is not None
    gap = results[0].profit - best.profit
    about = {
        "seat": config.market.names[seat],
        "learner": learner,
        "competitor": best.policy,
        "profit": results[0].mean,
    }
    money = {"best": best.mean, "gap": float(gap.mean()), "half": half_width(gap)}
    measures, usual = results[0].summary(), best.summary()
    service = {"revenue": usual["revenue"], "fill": measures.get("fill_rate"), "price": measures["price"]}
    return about | money | service | {"optimum": _share_of_optimum(config, seller)}


def _share_of_optimum(config: RunConfig, seller: NetworkSeller) -> float | None:
    """Of the optimal average profit of all decisions, where one seller's optimum is known."""
    if len(config.market.sellers) > 1 or why_not(config.market, 0) is not None:
        return None
    return average_profit(config, seller)[0] / _optimum(config.market.name)


@cache
def _optimum(name: str) -> float:
    return solve(configured(name, {0: "a2c"}).market, 0).average


def cases(asked: argparse.Namespace) -> list[Case]:
    """All runs that are asked for, a seed of all markets after the other."""
    count, chosen = len(asked.learners.split(",")), asked.rotations
    alone, changes = (asked.seat if asked.alone else None), "\n".join(asked.set)
    return [
        (name, asked.learners, rotation, seed, asked.per_seller, changes, alone)
        for seed in range(asked.seeds)
        for name in asked.markets or names()
        for rotation in ([seed % count] if chosen is None else map(int, chosen.split(",")))
    ]


def _made(asked: argparse.Namespace) -> str:
    """How the tables were made, in one line."""
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "tianshou", "numpy", "numba"))
    options = f"--seeds {asked.seeds} --learners {asked.learners} --per-seller {asked.per_seller}"
    options += f" --rotations {asked.rotations}" * (asked.rotations is not None)
    options += f" --alone --seat {asked.seat}" * asked.alone + "".join(f" --set {change}" for change in asked.set)
    return (
        f"`python -m tests.experiments.held_out {' '.join([*asked.markets, options])}`, {date.today()}, {packages}, "
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end.\n"
    )


def _runs(found: dict[Case, Any]) -> Iterator[Run]:
    for case, result in found.items():
        ordered = any(seller.get("order_cost", 0) > 0 for seller in market(case[0])["sellers"])
        yield Run(case[0], ordered, result["seconds"], result["seats"])


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("markets", nargs="*", choices=[[], *names()], default=[])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--learners", default=LEARNERS)
    parser.add_argument("--rotations", help="which of each seed, such as 0,1,2 (default: the seed modulo learners)")
    parser.add_argument("--per-seller", type=int, default=PER_SELLER, help="seller-periods of each seller")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--sellers", type=Path, metavar="FOLDER", help="trained sellers, kept there or found there")
    parser.add_argument("--before", type=Path, help="an earlier kept file, whose medians are printed beside")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--seat", type=int, default=0, help="whose, with --alone")
    parser.add_argument("--output", type=Path, default=HERE.with_suffix(".md"))
    return parser.parse_args()


def main() -> None:
    """Measure and write the tables."""
    asked = _asked()
    wanted, work = cases(asked), partial(measure, folder=asked.sellers)
    found = {case: result for case, result in done(asked.kept).items() if case in wanted}
    for case, result in worked(work, wanted, asked.processes, asked.kept) if asked.processes else ():
        found[case] = result
        for row in result["seats"]:
            print(case[0], case[3], row["learner"], row["seat"], _said(row), f"{result['seconds']:.0f} s", flush=True)
    before = list(_runs(done(asked.before)))
    text = "\n".join(["# Learners on held-out markets\n", _made(asked), *tables(list(_runs(found)), before), ""])
    asked.output.write_text(text, encoding="utf-8")
    print(text)


def _said(row: dict[str, Any]) -> str:
    share = "" if row["optimum"] is None else f", {row['optimum']:.2%} of the optimum"
    percent = np.nan if row["best"] == 0 else row["gap"] / abs(row["best"])
    return f"{row['gap']:+.4g} +- {row['half']:.2g} of {row['best']:.4g} ({percent:+.2%}, {row['competitor']}){share}"


if __name__ == "__main__":
    main()
