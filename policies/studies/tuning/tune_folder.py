"""A tuning folder: what is searched in it, so that a second call goes on with it or is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from market.errors import Refusal
from policies.common.progress import progress
from policies.config.run import RunConfig, load_run
from policies.evaluation.line_ups import STOCKED_LINE_UPS, Judge
from policies.sellers.rules.compose import parse_rules
from policies.storage.run_folder import choose_folder, write_json
from policies.studies.tournament.entries import differences
from policies.studies.tuning.space import everywhere
from policies.studies.tuning.trial import Case, Setup, reference_profit
from policies.training.run import Training

FORMAT = 1
ABOUT, STORE = "tune.json", "study.db"
BATCH = 8


@dataclass(frozen=True)
class TuneOrder:
    """What `bazaar tune` was asked.

    ``trials`` are all of the study, those of earlier calls among them; each is trained with ``seeds`` seeds and counts
    their mean, or the ``worst``; of a training run the ``best`` evaluation counts, or the ``last``. ``learner`` sits in
    every learning seat. Trials are suggested ``batch`` at a time. ``storage``: Optuna's URL of another store;
    ``ray``: the address of a Ray, or auto.
    """

    configs: tuple[Path, ...]
    trials: int
    seeds: int = 1
    seed: int = 0
    over_seeds: str = "mean"
    score: str = "best"
    learner: str | None = None
    batch: int = BATCH
    budget: int | None = None
    processes: int | None = None
    ray: str | None = None
    device: str = "auto"
    changes: tuple[str, ...] = ()
    name: str | None = None
    runs: Path = Path("runs")
    storage: str | None = None
    command: str = ""


def read_configs(order: TuneOrder) -> dict[str, RunConfig]:
    """The configurations by name, changed as asked; raises :class:`Refusal` for two of one name."""
    changes = order.changes + ((f"training.budget={order.budget}",) if order.budget else ())
    found: dict[str, RunConfig] = {}
    for path in order.configs:
        if path.stem in found:
            raise Refusal(f"{path}: two configurations are called {path.stem}")
        config = load_run(path, changes)
        found[path.stem] = everywhere(config, order.learner) if order.learner else config
    return found


def what_is_searched(order: TuneOrder, configs: Mapping[str, RunConfig]) -> dict[str, Any]:
    """Everything that decides what trials are and what they score, as plain data."""
    inputs = {
        "format": FORMAT,
        "configs": {name: config.dump() for name, config in configs.items()},
        "learner": order.learner,
        "seeds": [order.seed + k for k in range(order.seeds)],
        "over_seeds": order.over_seeds,
        "score": order.score,
        "batch": order.batch,
        "rungs": min(config.training.evaluations for config in configs.values()),
    }
    return dict(json.loads(json.dumps(inputs)))


def find_folder(order: TuneOrder, inputs: dict[str, Any]) -> Path:
    """The study's folder, which may hold part of it already; raises :class:`Refusal` when it holds another."""
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:8]
    name = order.name if order.name is not None else f"tune-{'-'.join(inputs['configs'])[:60]}-{digest}"
    folder = order.runs / name
    try:
        return choose_folder(order.runs, name, folder, order.seed)
    except Refusal:
        if Path(name).name != name or not (folder / ABOUT).is_file():
            raise
    found = list(differences(about(folder)["inputs"], inputs, ""))
    if found:
        shown = "; ".join(one.removeprefix(".") for one in found[:3])
        raise Refusal(f"{folder}: is another study, choose another --name. It differs in {shown} (there / here)")
    return folder


def about(folder: Path) -> dict[str, Any]:
    """What ``tune.json`` says; raises :class:`Refusal` where it cannot be read."""
    try:
        facts: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        return facts | {"inputs": facts["inputs"], "references": facts["references"]}
    except (OSError, ValueError, KeyError, TypeError):
        raise Refusal(f"{folder / ABOUT}: is damaged; remove the folder or choose another --name") from None


def set_up(
    order: TuneOrder, configs: Mapping[str, RunConfig], inputs: dict[str, Any], folder: Path, console: Console
) -> Setup:
    """What trials share. The first call searches the references' stock levels and makes the folder."""
    if not folder.exists():
        with progress(console, f"setting up {', '.join(configs)}"):
            references = {name: references_of(config, name, order.seed) for name, config in configs.items()}
        folder.mkdir(parents=True)
        write_json(folder / ABOUT, {"command": order.command, "inputs": inputs, "references": references})
    levels = about(folder)["references"]
    cases = tuple(Case(name, config.dump(), tuple(levels[name])) for name, config in configs.items())
    setup = Setup(
        cases, tuple(inputs["seeds"]), inputs["rungs"], order.over_seeds == "worst", order.score == "last", order.device
    )
    for case in cases:
        _refuse_nothing_earned(case, setup)
    return setup


def references_of(config: RunConfig, name: str, seed: int) -> list[str]:
    """The first line-up's rules in every seat, stock levels searched; in a monopoly those it is given, or the best
    base stock level at the price that is best for one seller.

    Raises :class:`Refusal` for a configuration that cannot be trained.
    """
    try:
        Training(config, seed, "cpu")
    except Refusal as problem:
        raise Refusal(f"{name}: {problem}") from None
    judge = Judge(config, seed)
    rules = judge.line_ups(None)[0]
    if len(config.market.sellers) == 1:
        listed = config.evaluation.line_ups or (STOCKED_LINE_UPS if config.market.stocked else ("nash",))
        rules = parse_rules(listed[0], f"{name}: evaluation.line_ups", config.market)
    return [judge.fixed(rules, seat).label for seat in range(len(config.market.sellers))]


def _refuse_nothing_earned(case: Case, setup: Setup) -> None:
    config = case.parsed()
    for seed in setup.seeds:
        for seller, profit in zip(
            config.market.names, reference_profit(config, case.sellers(config), seed), strict=True
        ):
            if not profit:
                raise Refusal(
                    f"{case.name}: {case.references[0]} earns exactly 0 in the seat of {seller}, so nothing "
                    "is measured by it; choose other evaluation.line_ups"
                )
