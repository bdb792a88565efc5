"""Who is evaluated: the sellers of one run or of several, or rules, each in its seat, under its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import attrs

from market.errors import UserError
from market.spec.models import MarketSpec
from policies.config.orders import EvaluateOrder
from policies.config.run import RunConfig, read_config, seats_called
from policies.evaluation.line_ups import LineUps
from policies.evaluation.run_sellers import (
    MOST_NAMED,
    refuse_unlike,
    run_seed,
    saved_policies,
    seated,
    told_seed,
)
from policies.sellers.protocol import Seller
from policies.sellers.rules.base import place
from policies.sellers.rules.compose import Rules, parse_rules
from policies.sellers.seated import AS_SEATED, Seated
from policies.storage.run_folder import (
    learning_seats,
    missing_seeds,
    open_run,
    read_about,
    refuse_no_run,
    refuse_other_sellers,
    seed_folders,
)
from policies.storage.training_state import tidy
from policies.storage.work_folder import differences, named


@dataclass(frozen=True)
class Entrants:
    """What :func:`find_entrants` found.

    Args:
        config: the market in which, and the settings by which they are evaluated.
        seats: who is evaluated in which seat, by name.
        sellers: of a learned policy's name, the seller that it is one training run of.
        changed: in what the market differs from the one of training, as given.
        remarks: what else to say of several runs.
        seated: the rivals that they are evaluated among first, or those of another run, which come alone.
    """

    config: RunConfig
    seats: dict[int, dict[str, Seller | Rules]]
    sellers: dict[str, str] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    seated: Seated | None = None


def find_entrants(order: EvaluateOrder) -> Entrants:
    """Who is evaluated, in which seats of which market; raises :class:`UserError` where they do not go together."""
    absent = {path: missing_seeds(path) for path in order.subjects if seed_folders(path)}
    order = attrs.evolve(order, subjects=tuple(run for path in order.subjects for run in seed_folders(path) or [path]))
    configurations = [path for path in order.subjects if not path.is_dir()]
    if configurations and len(order.subjects) > 1:
        raise UserError(
            f"{configurations[0]}: is no run; several are evaluated together only if all are folders of runs"
        )
    found = _of_rules(order, order.subjects[0]) if configurations else _of_runs(order)
    said = [f"{path}: does not hold {', '.join(runs)}; evaluated without." for path, runs in absent.items() if runs]
    found = replace(found, remarks=(*said, *found.remarks))
    if order.against is not None:
        refuse_no_run(order.against, "--against ")
    if order.against is not None and Path(order.against).is_dir():
        found = replace(found, seated=_of_another_run(order, found))
    elif order.against is None and not configurations:
        found = _among_the_seated(order, found)
    if order.risk_level is None:
        return found
    settings = found.config.evaluation.model_copy(update={"risk_level": order.risk_level})
    return replace(found, config=found.config.model_copy(update={"evaluation": settings}))


def _of_another_run(order: EvaluateOrder, found: Entrants) -> Seated:
    """The sellers of the run that ``--against`` names."""
    folder = Path(str(order.against))
    if len(found.config.market.sellers) == 1:
        raise UserError(f"--against {folder}: {found.config.market.name} has one seller, so there are no rivals")
    with place("--against"):
        return seated(folder, f"sellers of {folder}", LineUps(found.config, run_seed(folder), found.changed))


def _among_the_seated(order: EvaluateOrder, found: Entrants) -> Entrants:
    """With the rivals that a run seats: its other sellers, learned or fixed. Of several runs only if they are the same."""
    first, *others = order.subjects
    if len(found.config.market.sellers) == 1:
        return found
    if others and not _same_rivals(order.subjects):
        said = "Several runs: each has rivals of its own as seated, so that these are seen by evaluating one run."
        return replace(found, remarks=(*found.remarks, said))
    line_ups = LineUps(found.config, run_seed(first), found.changed)
    return replace(found, seated=seated(first, AS_SEATED, line_ups, order.checkpoint))


def _same_rivals(folders: Sequence[Path]) -> bool:
    """Whether one seat alone learned in all of the runs, among the same fixed rivals."""
    runs = [open_run(folder) for folder in folders]
    learned = {tuple(learning_seats(run)) for run in runs}
    if len(learned) > 1 or len(seats := learned.pop()) != 1:
        return False
    rivals = [k for k in range(len(runs[0].market.sellers)) if k not in seats]
    return all([run.player(k) for k in rivals] == [runs[0].player(k) for k in rivals] for run in runs)


def _of_rules(order: EvaluateOrder, path: Path) -> Entrants:
    config = read_config(path, order.changes)
    if order.seller is None:
        raise UserError(f"{path}: is a configuration, so --seller RULES must say which competitor to evaluate")
    if order.seller in config.market.names:
        raise UserError(
            f"--seller {order.seller}: of a configuration, --seller gives the RULES to evaluate; --seat names their seat"
        )
    rules = parse_rules(order.seller, "--seller", config.market)
    seats = seats_called(order.seat, config.market)
    for seat in seats:
        with place("--seller"):
            rules.check(config.market, seat)
    return Entrants(config, {seat: {rules.label: rules} for seat in seats})


def _of_runs(order: EvaluateOrder) -> Entrants:
    folders = order.subjects
    trained = [open_run(folder) for folder in folders]
    refuse_unlike(folders, [one.market for one in trained])
    for folder in folders:
        tidy(folder)
    config = read_config(folders[0] / "config.yaml", order.changes) if order.changes else trained[0]
    moved = config.market != trained[0].market
    changed = tuple(change for change in order.changes if change.startswith("market.")) if moved else ()
    names = run_names(folders)
    seats: dict[int, dict[str, Seller | Rules]] = {}
    sellers = {}
    for folder, run in zip(folders, names, strict=True):
        for seat, seller, policy in _seated(order, folder, config.market, moved):
            label = f"{seller}, {run}" if len(folders) > 1 else seller
            seats.setdefault(seat, {})[label] = policy
            sellers[label] = seller
    return Entrants(config, seats, sellers, changed, tuple(_remarks(names, folders, trained)))


def _seated(order: EvaluateOrder, folder: Path, spec: MarketSpec, moved: bool) -> list[tuple[int, str, Seller]]:
    """The run's sellers: the seat, the name and the policy in it, which sees a market that has ``moved`` adapted."""
    saved = saved_policies(folder, order.checkpoint)
    refuse_other_sellers(order.seller, folder, saved)
    chosen = {order.seller: saved[order.seller]} if order.seller is not None else dict(saved)
    only = seats_called(order.seat, spec) if order.seat else None
    return [
        (seat, one.title, one.sit(spec, seat, adapt=moved)) for one in chosen.values() for seat in only or [one.seat]
    ]


def run_names(folders: Sequence[Path]) -> list[str]:
    """What to call runs: their folders' names, or paths where two names are the same."""
    names = [folder.resolve().name for folder in folders]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def _remarks(names: Sequence[str], folders: Sequence[Path], configs: Sequence[RunConfig]) -> list[str]:
    """What makes several runs less than independent repetitions of one another, or any less than its whole budget."""
    unfinished = [str(folder) for folder in folders if "finished" not in read_about(folder)]
    said = [f"{path} did not finish its training: bazaar train --resume {path} goes on." for path in unfinished]
    for name, config in zip(names[1:], configs[1:], strict=True):
        first, second = (one.model_dump(mode="json", exclude={"market"}) for one in (configs[0], config))
        if found := list(differences(first, second)):
            said.append(f"{names[0]} and {name} differ in more than the seed: {named(found, ' and ', MOST_NAMED)}.")
    seeds: dict[Any, list[str]] = {}
    for name, folder in zip(names, folders, strict=True):
        seeds.setdefault(told_seed(folder), []).append(name)
    for seed, same in seeds.items():
        if seed is not None and len(same) > 1:
            said.append(f"{', '.join(same)} have the same training seed, {seed}: they are not independent.")
    return said
