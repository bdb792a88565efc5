"""`bazaar evaluate`: sellers against fixed competitors in their seats; the tables on screen and in files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from policies.common.files import refuse_unwritable, write_csv, write_json
from policies.common.progress import progress
from policies.common.results import Records
from policies.common.torch_tools import one_torch_thread
from policies.config.command import ordered_by
from policies.config.orders import EvaluateOrder
from policies.evaluation.aggregate import AcrossLineUps, training_runs
from policies.evaluation.compare import Comparison
from policies.evaluation.entrants import find_entrants
from policies.evaluation.line_ups import LineUps
from policies.evaluation.view import comparison_table, line_ups_table, runs_notes
from policies.evaluation.view_risk import risk_table
from policies.sellers.protocol import Seller
from policies.sellers.rules.compose import Rules

Fields = dict[str, Any]
Keep = Callable[[Sequence[Fields]], None]


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
    line_ups = LineUps(found.config, order.seed, found.changed)
    for remark in found.remarks:
        console.print(remark, highlight=False)
    given = (order.against, order.episodes, console)
    comparisons = evaluate_all(line_ups, found.seats, *given, found.sellers, files.add, order.risk)
    if order.stress:
        best = {(one.seat, one.line_up): one.best.policy for one in comparisons if one.best is not None}
        stress_all(line_ups, found.seats, *given, files.add, best)
    return EvaluationResult(comparisons, files.rows)


def evaluate_all(
    line_ups: LineUps,
    entrants: Mapping[int, Mapping[str, Seller | Rules]],
    against: str | None,
    episodes: int | None,
    console: Console,
    sellers: Mapping[str, str] | None = None,
    keep: Keep = lambda rows: None,
    risk: bool = False,
) -> list[Comparison]:
    """Compare in every seat that has entrants, against every line-up; each table is printed when it is ready.

    Args:
        sellers: of a learned policy's name, the seller that it is one training run of.
        keep: takes the rows of each table before it is printed.
        risk: print the tables of risk and service as well.
    """
    comparisons = []
    for line_up in line_ups.chosen(against):
        for seat, named in entrants.items():
            comparison = _compare(line_ups, seat, named, line_up, episodes, console)
            keep(comparison.rows())
            comparison_table(comparison, line_ups.spec, line_ups.config.evaluation).print(console)
            if risk:
                risk_table(comparison, line_ups.spec, line_ups.config.evaluation, console.width).print(console)
            comparisons.append(comparison)
    _sum_up(line_ups, comparisons, sellers or {}, console, keep)
    return comparisons


def _compare(
    line_ups: LineUps,
    seat: int,
    named: Mapping[str, Seller | Rules],
    line_up: Rules,
    episodes: int | None,
    console: Console,
) -> Comparison:
    rivals = f" against {line_up.label}" if len(line_ups.spec.sellers) > 1 else ""
    text = f"evaluating {', '.join(named)} in the seat of {line_ups.spec.names[seat]}{rivals}"
    candidates = {*named, *(rules.label for rules in line_ups.competitors())}
    with progress(console, text, None if episodes is None else episodes * len(candidates)) as tick:
        sellers = {
            name: line_ups.fixed(player, seat, tick) if isinstance(player, Rules) else player
            for name, player in named.items()
        }
        return line_ups.compare(seat, sellers, line_up, episodes, tick)


def _sum_up(
    line_ups: LineUps, comparisons: Sequence[Comparison], sellers: Mapping[str, str], console: Console, keep: Keep
) -> None:
    """What the comparisons of each seat say together: over line-ups, and over training runs."""
    seats = {
        name: [one for one in comparisons if one.seat == name] for name in dict.fromkeys(c.seat for c in comparisons)
    }
    for those in seats.values():
        if len(those) > 1:
            across = AcrossLineUps(those)
            keep(across.rows())
            line_ups_table(across, line_ups.spec, line_ups.config.evaluation).print(console)
    runs = [found for those in seats.values() for found in training_runs(those, sellers)]
    keep([found.row() for found in runs if len(found.policies) > 1])
    for note in runs_notes(runs):
        note.print(console)


def stress_all(
    line_ups: LineUps,
    entrants: Mapping[int, Mapping[str, Seller | Rules]],
    against: str | None,
    episodes: int | None,
    console: Console,
    keep: Keep,
    best: Mapping[tuple[str, str], str],
) -> None:
    """Play the entrants, and beside them the ``best`` fixed competitor of each (seat, line-up), under named scenarios."""
    from policies.evaluation.stress import run_stress

    competitors = {rules.label: rules for rules in line_ups.competitors()} if best else {}
    for line_up in line_ups.chosen(against):
        for seat, named in entrants.items():
            players = {n: line_ups.fixed(p, seat) if isinstance(p, Rules) else p for n, p in named.items()}
            beside = best.get((line_ups.spec.names[seat], line_up.label))
            if beside in competitors:
                players.setdefault(beside, line_ups.against(competitors[beside], seat, line_up))
            rivals = line_ups.rivals(seat, line_up, next(iter(players.values())))
            if len(line_ups.spec.sellers) > 1:
                console.print(f"Rivals under stress: {line_up.label}", highlight=False)
            rows = run_stress(
                line_ups.config, seat, players, rivals, seed=line_ups.seed, episodes=episodes, console=console
            )
            keep([{"table": "stress", "line_up": line_up.label} | row for row in rows])
