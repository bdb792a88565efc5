"""Who takes part in a tournament: runs' learned sellers and fixed competitors, each in every seat that it fits."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from market.errors import UserError
from market.spec.models import MarketSpec
from policies.config.run import RunConfig
from policies.evaluation.run_sellers import SavedMixture, market_matters, pack, saved_policies
from policies.sellers.checkpoint import SavedSeller
from policies.sellers.rules.compose import Rules, parse_rules
from policies.storage.run_folder import saved_rival
from policies.storage.work_folder import differences, named
from policies.studies.tournament.words import entry_rules, markets_of


@dataclass(frozen=True)
class Policy:
    """One policy: ``rules``, or a learned seller ``saved`` by a run.

    ``seats`` are those it can sit in; ``partners`` names, for a learned policy, who sat in the other seats when it was
    trained, by label.
    """

    label: str
    seats: tuple[int, ...]
    rules: Rules | None = None
    saved: SavedSeller | None = None
    run: str | None = None
    partners: dict[int, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """What decides how it plays, beside market and seed."""
        return self.label if self.saved is None else hashlib.sha256(self.content).hexdigest()

    @property
    def content(self) -> bytes:
        """A learned policy as one file, which :class:`policies.studies.tournament.play.Learned` reads."""
        assert self.saved is not None
        return pack(self.saved) if isinstance(self.saved, SavedMixture) else self.saved.path.read_bytes()

    @property
    def suffix(self) -> str:
        """Of that file's name."""
        return ".zip" if isinstance(self.saved, SavedMixture) else ".pt"

    def describe(self, names: Sequence[str]) -> dict[str, Any]:
        """Plain facts for the results."""
        facts: dict[str, Any] = {"label": self.label, "seats": [names[seat] for seat in self.seats]}
        if self.saved is None:
            return facts | {"kind": "rules"}
        home = {"run": self.run, "seller": self.saved.seller, "learner": self.saved.learner}
        facts |= {"mixture": True} if isinstance(self.saved, SavedMixture) else {}
        return facts | {"kind": "learned", **home, "home": names[self.saved.seat], "trained": self.saved.trained}


def gather(entries: Sequence[str], config: Path | None, checkpoint: str) -> tuple[RunConfig, list[Policy]]:
    """The market and its policies, in the order given.

    Raises:
        UserError: with no market, runs of different ones, rules that cannot play, or fewer than two policies.
    """
    _refuse_twice(str(Path(entry).resolve()) for entry in entries if Path(entry).is_dir())
    markets = markets_of(entries, config)
    (first, settings), *others = markets.items()
    for path, other in others:
        refuse_other_market(first, settings.market, path, other.market)
    policies: list[Policy] = []
    for number, entry in enumerate(entries, 1):
        if Path(entry).is_dir():
            policies += _of_run(Path(entry), markets[Path(entry)], settings.market, checkpoint)
        else:
            policies.append(_of_rules(entry, number, settings.market))
    policies = _told_apart(policies)
    _refuse_too_few(policies, settings.market)
    return settings, policies


# ------------------------------------------------------------------------------------------------ one market


def refuse_other_market(path: Path, market: MarketSpec, other_path: Path, other: MarketSpec) -> None:
    """Raise :class:`UserError` that names the first settings in which two markets differ."""
    found = list(differences(market_matters(market), market_matters(other), "market"))
    if found:
        raise UserError(
            f"{path} and {other_path}: are of different markets, so their sellers cannot meet: {named(found)}"
        )


# ------------------------------------------------------------------------------------------------ policies


def _of_rules(text: str, number: int, market: MarketSpec) -> Policy:
    rules = entry_rules(text, number, market)
    for seat, name in enumerate(market.names):
        try:
            rules.check(market, seat)
        except UserError as problem:
            raise UserError(f"entry {number}: {rules.label} cannot play the seat of {name}: {problem}") from None
    return Policy(rules.label, tuple(range(len(market.sellers))), rules=rules)


def _of_run(folder: Path, config: RunConfig, market: MarketSpec, checkpoint: str) -> list[Policy]:
    """A run's learned sellers, each with its training partners."""
    saved = saved_policies(folder, checkpoint)
    run = folder.resolve().name
    seated = {one.seat: f"{run}/{one.title}" for one in saved.values()}
    for seat, name in enumerate(market.names):
        if seat not in seated:
            where = f"{folder}: seats.{name}"
            seated[seat] = _whose(config, seat, folder) or _label(config.player(seat), where, market)
    found = []
    for one in saved.values():
        partners = {seat: label for seat, label in seated.items() if seat != one.seat}
        found.append(Policy(seated[one.seat], _fitting(one, market), saved=one, run=str(folder), partners=partners))
    return found


def _whose(config: RunConfig, seat: int, folder: Path) -> str:
    """The label, in a tournament, of another run's seller that sat in a seat; empty where none did."""
    rival, saved = config.rival(seat), saved_rival(config, seat, folder)
    return "" if rival is None or saved is None else f"{Path(rival.run).name}/{saved.title}"


def _label(player: Any, where: str, market: MarketSpec) -> str:
    """Rules as their label; a learner that left no checkpoint matches nobody."""
    try:
        return parse_rules(player, where, market).label
    except UserError:
        return str(player)


def _fitting(saved: SavedSeller, market: MarketSpec) -> tuple[int, ...]:
    """The seats whose ranges and features are those that the policy was trained with."""
    fitting = []
    for seat in range(len(market.sellers)):
        try:
            saved.sit(market, seat)
        except UserError:
            if seat == saved.seat:
                raise
            continue
        fitting.append(seat)
    return tuple(fitting)


def _told_apart(policies: list[Policy]) -> list[Policy]:
    """Runs whose folders have the same name are named by their whole path; nobody takes part twice."""
    runs = {policy.run: Path(policy.run).resolve().name for policy in policies if policy.run}
    names = Counter(runs.values())
    renamed = [_by_path(one) if one.run and names[runs[one.run]] > 1 else one for one in policies]
    _refuse_twice(one.label for one in renamed)
    return renamed


def _refuse_twice(names: Iterable[str]) -> None:
    if again := [name for name, times in Counter(names).items() if times > 1]:
        raise UserError(f"{again[0]}: is given twice")


def _by_path(policy: Policy) -> Policy:
    whole = Path(str(policy.run))
    short = f"{whole.resolve().name}/"

    def longer(label: str) -> str:
        return f"{whole}/{label.removeprefix(short)}" if label.startswith(short) else label

    partners = {seat: longer(label) for seat, label in policy.partners.items()}
    return replace(policy, label=longer(policy.label), partners=partners)


def _refuse_too_few(policies: Sequence[Policy], market: MarketSpec) -> None:
    if len(policies) < 2:
        raise UserError("tournament: needs at least two policies; add runs, or rules such as nash+base_stock")
    for seat, name in enumerate(market.names):
        if not any(seat in policy.seats for policy in policies):
            raise UserError(f"tournament: no policy fits the seat of {name}; add rules such as nash+base_stock")
