"""`bazaar evaluate`: sellers against fixed competitors in their seats; the tables on screen and in files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from rich.console import Console

from policies.common.files import refuse_unwritable, write_csv, write_json
from policies.common.progress import Tick, progress, unseen
from policies.common.results import Records
from policies.common.torch_tools import one_torch_thread
from policies.config.command import ordered_by
from policies.config.orders import EvaluateOrder
from policies.evaluation.aggregate import AcrossLineUps, training_runs
from policies.evaluation.compare import Comparison
from policies.evaluation.entrants import find_entrants
from policies.evaluation.line_ups import LineUps
from policies.evaluation.over_draws import episodes_of_a_draw
from policies.evaluation.view import comparison_table, line_ups_table, runs_notes
from policies.evaluation.view_risk import risk_table
from policies.sellers.protocol import Seller
from policies.sellers.rules.compose import Rules
from policies.sellers.seated import AS_SEATED, LineUp, Seated, told_rivals

Fields = dict[str, Any]


@dataclass
class Files:
    """The files asked for, written anew whenever rows are added: what is finished is there, whatever comes next."""

    json: Path | None
    csv: Path | None
    rows: list[Fields] = field(default_factory=list)

    def add(self, rows: Sequence[Fields]) -> None:
        """Add rows and write all there are; in CSV, what a row does not have is empty."""
        self.rows += rows
        if self.json:
            write_json(self.json, self.rows)
        if self.csv:
            write_csv(self.csv, self.rows)


@dataclass(frozen=True)
class EvaluationResult(Records):
    """What `bazaar evaluate` found: ``rows`` are those of its JSON, ``table`` says of what kind each is."""

    comparisons: list[Comparison]
    rows: list[Fields]

    def records(self) -> list[Fields]:
        """A row a candidate and line-up, then those over line-ups and over training runs, and those under stress."""
        return self.rows


@ordered_by(EvaluateOrder)
def evaluate(order: EvaluateOrder) -> EvaluationResult:
    """Carry out `bazaar evaluate`: print the tables, write the files asked for.

    Raises :class:`UserError` for entrants that do not go together, and files that cannot be written.

    Example::

        from policies import evaluate

        found = evaluate("duopoly", seller="nash+base_stock", against="cost_plus+base_stock", episodes=32)
        print(found.to_frame()[["seat", "policy", "profit", "difference"]])
    """
    one_torch_thread()
    for path in (order.json, order.csv):
        refuse_unwritable(path)
    found = find_entrants(order)
    files = Files(order.json, order.csv)
    console = order.console
    line_ups = LineUps(found.config, order.seed, found.changed).certain
    for remark in found.remarks:
        console.print(remark, highlight=False)
    if found.seated is not None:
        for line in told_rivals(found.config.market.names, found.seated.by_seat):
            console.print(line, highlight=False)
    given = order.against, order.episodes, files.add, found.seated
    evaluator = Evaluator(line_ups, found.seats, console, *given)
    comparisons = evaluator.compare(found.sellers, order.risk)
    if order.stress:
        evaluator.stress({(one.seat, one.line_up): one.best.policy for one in comparisons if one.best is not None})
    return EvaluationResult(comparisons, files.rows)


@dataclass(frozen=True)
class Evaluator:
    """Evaluates ``entrants``, by seat and name, against line-ups; each table is printed when it is ready.

    Args:
        against: rules of the rivals, or panel; None: the configuration's line-ups.
        episodes: of each comparison; None: until it is precise enough.
        keep: takes the rows of each table before it is printed.
        seated: rivals that come first, before the line-ups; those of another run come alone.
    """

    line_ups: LineUps
    entrants: Mapping[int, Mapping[str, Seller | Rules]]
    console: Console
    against: str | None = None
    episodes: int | None = None
    keep: Callable[[Sequence[Fields]], None] = lambda rows: None
    seated: Seated | None = None

    @cached_property
    def chosen(self) -> Sequence[LineUp]:
        """The line-ups that stand for the rivals that there could be, or the other run that was asked for."""
        if self.seated is not None and self.seated.label != AS_SEATED:
            return [self.seated]
        return self.line_ups.chosen(self.against)

    @property
    def played(self) -> Iterator[tuple[LineUp, int]]:
        """Every line-up with every seat that has entrants: first the rivals as seated, where that is anything new."""
        if self.seated is not None and self.seated not in self.chosen:
            one = self.seated
            yield from ((one, seat) for seat in self.entrants if not self.line_ups.repeats(seat, one, self.chosen))
        yield from ((line_up, seat) for line_up in self.chosen for seat in self.entrants)

    def compare(self, sellers: Mapping[str, str], risk: bool = False) -> list[Comparison]:
        """Compare in every seat that has entrants, against every line-up.

        Args:
            sellers: of a learned policy's name, the seller that it is one training run of.
            risk: print the tables of risk and service as well.
        """
        comparisons, shown = [], (self.line_ups.spec, self.line_ups.config.evaluation)
        for line_up, seat in self.played:
            comparison = self._compare(seat, line_up)
            self.keep(comparison.rows())
            comparison_table(comparison, *shown).print(self.console)
            if risk:
                risk_table(comparison, *shown, self.console.width).print(self.console)
            comparisons.append(comparison)
        self._sum_up(comparisons, sellers)
        return comparisons

    def _compare(self, seat: int, line_up: LineUp) -> Comparison:
        named, spec = self.entrants[seat], self.line_ups.spec
        who = f"{line_up.others(seat)}, {line_up.label}" if isinstance(line_up, Seated) else line_up.label
        rivals = f" against {who}" if len(spec.sellers) > 1 else ""
        text = f"evaluating {', '.join(named)} in the seat of {spec.names[seat]}{rivals}"
        candidates = {*named, *(rules.label for rules in self.line_ups.competitors())}
        with progress(self.console, text, self.episodes and self.episodes * len(candidates)) as tick:
            found = self.line_ups.compare(seat, self._seated(seat, tick), line_up, self.episodes, tick)
        if not spec.draws or found.best is None:
            return found
        each = episodes_of_a_draw(spec, len(found.best.profit))
        total = each * len(spec.draws) * (len(named) + 1)
        with progress(self.console, f"the same over {len(spec.draws)} draws of the market", total) as tick:
            return self.line_ups.over_draws(seat, self._seated(seat, tick), line_up, found, tick)

    def _seated(self, seat: int, tick: Tick = unseen) -> dict[str, Seller]:
        named = self.entrants[seat].items()
        return {name: self.line_ups.fixed(one, seat, tick) if isinstance(one, Rules) else one for name, one in named}

    def _sum_up(self, comparisons: Sequence[Comparison], sellers: Mapping[str, str]) -> None:
        """What the comparisons of each seat say together: over line-ups, and over training runs."""
        seats: dict[tuple[str, bool], list[Comparison]] = {}  # the rivals that were seated are apart from line-ups
        for one in comparisons:
            seats.setdefault((one.seat, bool(one.rivals)), []).append(one)
        for those in seats.values():
            if len(those) > 1:
                across = AcrossLineUps(those)
                self.keep(across.rows())
                line_ups_table(across, self.line_ups.spec, self.line_ups.config.evaluation).print(self.console)
        runs = [found for those in seats.values() for found in training_runs(those, sellers)]
        self.keep([found.row() for found in runs if len(found.policies) > 1])
        for note in runs_notes(runs):
            note.print(self.console)

    def stress(self, best: Mapping[tuple[str, str], str]) -> None:
        """Play the entrants, beside them the ``best`` fixed competitor of each (seat, line-up), under named scenarios."""
        from policies.evaluation.stress import EPISODES, Stress

        line_ups, spec = self.line_ups, self.line_ups.spec
        competitors = {rules.label: rules for rules in line_ups.competitors()} if best else {}
        for line_up in self.chosen:
            for seat in self.entrants:
                players = self._seated(seat)
                beside = best.get((spec.names[seat], line_up.label))
                if beside in competitors:
                    players.setdefault(beside, line_ups.against(competitors[beside], seat, line_up))
                rivals = line_ups.rivals(seat, line_up, next(iter(players.values())))
                if len(spec.sellers) > 1:
                    self.console.print(f"Rivals under stress: {line_up.label}", highlight=False)
                stress = Stress(line_ups.config, seat, rivals, line_ups.seed, self.episodes or EPISODES)
                rows = stress.run(players, self.console)
                self.keep([{"table": "stress", "line_up": line_up.label} | row for row in rows])
