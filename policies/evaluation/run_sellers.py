"""A run's sellers as they play once training is over: learned policies from checkpoints, rules as training built them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from market.errors import Refusal
from market.spec.models import MarketSpec
from policies.config.run import RunConfig
from policies.evaluation.line_ups import Judge
from policies.evaluation.saved_mixture import saved_policies
from policies.sellers.protocol import Seller
from policies.sellers.rules.compose import Rules, parse_rules
from policies.storage.run_folder import open_run

FOLDER = "analysis"


def default_player(spec: MarketSpec) -> str:
    """Who sits in a seat that the configuration does not name."""
    return "nash+base_stock" if spec.stocked else "nash"


@dataclass(frozen=True)
class FrozenRun:
    """A run's market and its sellers, N of everything, in seat order.

    ``learners`` names the algorithm of each seat, ``rules`` what a seat without one follows; the other is None.
    """

    folder: Path
    config: RunConfig
    judge: Judge
    sellers: list[Seller]
    labels: list[str]
    learners: list[str | None]
    rules: list[Rules | None]

    @property
    def spec(self) -> MarketSpec:
        """The market."""
        return self.config.market

    @property
    def seed(self) -> int:
        """The seed that the run was trained with."""
        return self.judge.seed

    def seat(self, name: str, option: str = "--seller") -> int:
        """The seat of a seller's name; raise :class:`Refusal` when there is none."""
        if name not in self.spec.names:
            raise Refusal(f"{option} {name}: the market's sellers are {', '.join(self.spec.names)}")
        return self.spec.names.index(name)

    def player(self, seat: int) -> Any:
        """The configuration's entry for a seat."""
        return self.config.seats.get(self.spec.names[seat], default_player(self.spec))


def frozen_run(folder: Path, checkpoint: str = "best") -> FrozenRun:
    """Everybody of a run; raise :class:`Refusal` for a folder that is not a run's, or lacks a saved seller.

    ``checkpoint``: ``best``, ``latest``, or ``mixture``, what learners of a ``psro`` run mix in its equilibrium.
    """
    if not folder.is_dir():
        raise Refusal(f"{folder}: is not a run's folder")
    config = open_run(folder)
    saved = {one.seat: one for one in saved_policies(folder, checkpoint).values()}
    judge = Judge(config, run_seed(folder))
    run = FrozenRun(folder, config, judge, [], [], [], [])
    for seat, name in enumerate(config.market.names):
        if seat in saved:
            run.sellers.append(saved[seat].sit(config.market))
            run.rules.append(None)
        else:
            fixed = judge.fixed(_rules(run, seat), seat)
            run.sellers.append(fixed)
            run.rules.append(fixed.rules)
        run.learners.append(saved[seat].learner if seat in saved else None)
        run.labels.append(saved[seat].title if seat in saved else f"{name} ({_rules(run, seat).label})")
    return run


def _rules(run: FrozenRun, seat: int) -> Rules:
    """What a seat without a checkpoint follows; a learner's seat should have one."""
    player, name = run.player(seat), run.spec.names[seat]
    try:
        return parse_rules(player, f"{run.folder / 'config.yaml'}: seats.{name}", run.spec)
    except Refusal:
        if isinstance(player, dict) and "pricing" in player:
            raise
        raise Refusal(f"{run.folder / 'checkpoints'}: holds no saved seller for the seat of {name}") from None


def run_seed(folder: Path) -> int:
    """The seed that a run was trained with (``run.json``); 0 where the file does not tell."""
    try:
        return int(json.loads((folder / "run.json").read_text(encoding="utf-8"))["seed"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def refuse_different_markets(runs: Sequence[FrozenRun]) -> None:
    """Raise :class:`Refusal` that names two runs whose markets differ, and the keys that do."""
    first = runs[0]
    for other in runs[1:]:
        if other.spec != first.spec:
            mine, theirs = first.spec.dump(), other.spec.dump()
            keys = [f"market.{key}" for key in sorted(mine | theirs) if mine.get(key) != theirs.get(key)]
            raise Refusal(f"{first.folder} and {other.folder} are runs of different markets: {', '.join(keys)} differ")


def analysis_path(folder: Path, stem: str) -> Path:
    """A path in a run's ``analysis`` folder, without suffix, numbered where the name is taken.

    No file of that name exists, with whatever suffix: ``exploit-left-dqn``, then ``exploit-left-dqn-2``.
    """
    place = folder / FOLDER
    place.mkdir(exist_ok=True)
    taken = {path.name.rsplit(".", 1)[0] for path in place.iterdir()}
    names = (stem if k == 1 else f"{stem}-{k}" for k in count(1))
    return place / next(name for name in names if name not in taken)
