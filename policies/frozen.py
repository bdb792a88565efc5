"""A run's sellers as they play once training is over: learned policies from checkpoints, rules as training built them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from market.errors import Refusal
from market.spec import MarketSpec
from policies.config import RunConfig
from policies.fixed import parse_rules
from policies.opponents import Judge
from policies.runs import open_run, saved_sellers
from policies.seller import Seller


def default_player(spec: MarketSpec) -> str:
    """Who sits in a seat that the configuration does not name."""
    return "nash+base_stock" if spec.stocked else "nash"


@dataclass(frozen=True)
class FrozenRun:
    """A run's market and its sellers; ``learners`` names the algorithm of each seat (N,), None where rules sit."""

    folder: Path
    config: RunConfig
    seed: int
    sellers: list[Seller]
    labels: list[str]
    learners: list[str | None]

    @property
    def spec(self) -> MarketSpec:
        """The market."""
        return self.config.market

    def seat(self, name: str | None, option: str = "--seller") -> int:
        """The seat of a seller's name; raise :class:`Refusal` when there is none."""
        if name not in self.spec.names:
            raise Refusal(f"{option} {name}: the market's sellers are {', '.join(self.spec.names)}")
        return self.spec.names.index(name)


def frozen_run(folder: Path, checkpoint: str = "best") -> FrozenRun:
    """Everybody of a run, in seat order; raise :class:`Refusal` for a folder without saved sellers."""
    config = open_run(folder)
    spec, seed = config.market, run_seed(folder)
    saved = {one.seat: one for one in saved_sellers(folder, checkpoint).values()}
    judge = Judge(config, seed)
    run = FrozenRun(folder, config, seed, [], [], [])
    for seat, name in enumerate(spec.names):
        if seat in saved:
            run.sellers.append(saved[seat].sit(spec))
            run.labels.append(f"{name} ({saved[seat].learner})")
        else:
            rules = parse_rules(config.seats.get(name, default_player(spec)), f"seats.{name}", spec)
            run.sellers.append(judge.fixed(rules, seat))
            run.labels.append(f"{name} ({rules.label})")
        run.learners.append(saved[seat].learner if seat in saved else None)
    return run


def run_seed(folder: Path) -> int:
    """The seed that a run was trained with (``run.json``); 0 where the file does not tell."""
    try:
        return int(json.loads((folder / "run.json").read_text(encoding="utf-8"))["seed"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def refuse_different_markets(runs: list[FrozenRun]) -> None:
    """Raise :class:`Refusal` that names two runs whose markets differ, and the first keys that do."""
    first = runs[0]
    for other in runs[1:]:
        if other.spec != first.spec:
            mine, theirs = first.spec.dump(), other.spec.dump()
            keys = [f"market.{key}" for key in sorted(mine | theirs) if mine.get(key) != theirs.get(key)]
            raise Refusal(f"{first.folder} and {other.folder} are runs of different markets: {', '.join(keys)} differ")


def analysis_path(folder: Path, stem: str, suffix: str) -> Path:
    """A new file in a run's ``analysis`` folder, numbered where the name is taken: nothing is written over."""
    place = folder / "analysis"
    place.mkdir(exist_ok=True)
    path, count = place / f"{stem}{suffix}", 2
    while path.exists():
        path, count = place / f"{stem}-{count}{suffix}", count + 1
    return path
