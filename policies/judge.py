"""`bazaar evaluate`: who is judged, in which seats, against whom; the table on screen and in files."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from market.errors import Refusal
from market.spec import MarketSpec
from policies.config import RunConfig, load_run
from policies.evaluation import Result, Tick, compare
from policies.fixed import Rules, build, parse_rules
from policies.runs import is_run, open_run, saved_sellers, write_json
from policies.seller import Seller
from policies.table import comparison_rows, print_comparison

WIDE = 130
STOCKED_LINE_UPS = ("nash+base_stock(level=best)",)
STOCKED_COMPETITORS = (
    "nash+base_stock(level=best)",
    "nash+capped_base_stock(level=best)",
    "nash+forecast",
    "best_response+base_stock(level=best)",
    "cost_plus+base_stock(level=best)",
    "collusive+base_stock(level=best)",
    "clearance+base_stock(level=best)",
)
STOCKED_PANEL = (
    "nash+base_stock(level=best)",
    "undercut+base_stock",
    "match+base_stock",
    "cost_plus+min_max",
    "collusive+base_stock",
)
MADE_LINE_UPS = ("nash",)
MADE_COMPETITORS = ("nash", "best_response", "collusive", "undercut", "cost_plus")
MADE_PANEL = ("nash", "undercut", "match", "collusive", "trigger")


@dataclass(frozen=True)
class JudgeOrder:
    """What `bazaar evaluate` was asked."""

    subject: Path
    seller: str | None = None
    seat: str | None = None
    against: str | None = None
    episodes: int | None = None
    seed: int = 0
    checkpoint: str = "best"
    json: Path | None = None
    csv: Path | None = None
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """All candidates in one seat against one line-up."""

    seat: str
    line_up: str
    results: list[Result]


class Judge:
    """Plays comparisons in one market; fixed competitors are made once and used again."""

    def __init__(self, config: RunConfig, seed: int) -> None:
        self.config, self.spec, self.seed = config, config.market, seed
        self._made: dict[tuple[str, int], Seller] = {}

    def fixed(self, rules: Rules, seat: int, tick: Tick = lambda text, episodes: None) -> Seller:
        """The fixed competitor of ``rules`` in a seat."""
        at = (rules.label, seat)
        if at not in self._made:
            tick(f"setting up {rules.label}", 0)
            self._made[at] = build(rules, self.spec, seat, seed=self.seed)
        return self._made[at]

    def line_ups(self, against: str | None) -> list[Rules]:
        """What rivals play: the rules given, the panel, or the configuration's line-ups."""
        settings, stocked = self.config.evaluation, self.spec.stocked
        if against is not None and against != "panel":
            return [parse_rules(against, "--against", self.spec)]
        if against == "panel":
            listed = settings.panel or (STOCKED_PANEL if stocked else MADE_PANEL)
            return self._parse(listed, "evaluation.panel")
        listed = settings.line_ups or (STOCKED_LINE_UPS if stocked else MADE_LINE_UPS)
        return self._parse(listed, "evaluation.line_ups")[: None if len(self.spec.sellers) > 1 else 1]

    def competitors(self) -> list[Rules]:
        """The fixed competitors tried in the judged seat; defaults that make no sense here are left out."""
        if self.config.evaluation.competitors:
            return self._parse(self.config.evaluation.competitors, "evaluation.competitors")
        usable = []
        for text in STOCKED_COMPETITORS if self.spec.stocked else MADE_COMPETITORS:
            try:
                rules = parse_rules(text, "competitors", self.spec)
                for seat in range(len(self.spec.sellers)):
                    rules.check(self.spec, seat)
            except Refusal:
                continue
            usable.append(rules)
        return usable

    def _parse(self, listed: Any, where: str) -> list[Rules]:
        return [parse_rules(item, f"{where}.{k}", self.spec) for k, item in enumerate(listed)]

    def compare(
        self, seat: int, subjects: Mapping[str, Seller], line_up: Rules, episodes: int | None, tick: Tick
    ) -> Comparison:
        """Play the subjects and every fixed competitor in ``seat`` against ``line_up``."""
        candidates = dict(subjects)
        for rules in self.competitors():
            if rules.label not in candidates:
                candidates[rules.label] = self.fixed(rules, seat, tick)
        rivals = [self.fixed(line_up, k, tick) for k in range(len(self.spec.sellers))]
        settings = self.config.evaluation
        results = compare(
            self.spec, seat, candidates, list(subjects), rivals, settings, self.seed, episodes, tick
        )
        return Comparison(self.spec.names[seat], line_up.label, results)


def terminal() -> Console:
    """Where tables go: the terminal, or wide lines into a file."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, WIDE))


def judge(order: JudgeOrder) -> None:
    """Carry out `bazaar evaluate`: print the tables, write the files asked for."""
    for path in (order.json, order.csv):
        if path is not None and not path.parent.is_dir():
            raise Refusal(f"{path}: the folder {path.parent} does not exist")
    config, subjects = find_subjects(order)
    console = terminal()
    comparisons = judge_all(Judge(config, order.seed), subjects, order.against, order.episodes, console)
    rows = [row for comparison in comparisons for row in comparison_rows(comparison)]
    if order.json:
        write_json(order.json, rows)
    if order.csv:
        with open(order.csv, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


def judge_all(
    judge: Judge,
    subjects: Mapping[int, Mapping[str, Seller | Rules]],
    against: str | None,
    episodes: int | None,
    console: Console,
) -> list[Comparison]:
    """Compare in every seat that has subjects, against every line-up; each table is printed when it is ready."""
    comparisons = []
    for line_up in judge.line_ups(against):
        for seat, named in subjects.items():
            with progress(console, f"{judge.spec.names[seat]} against {line_up.label}") as tick:
                sellers = {
                    name: judge.fixed(player, seat, tick) if isinstance(player, Rules) else player
                    for name, player in named.items()
                }
                comparison = judge.compare(seat, sellers, line_up, episodes, tick)
            print_comparison(comparison, judge.spec, judge.config.evaluation, console)
            comparisons.append(comparison)
    return comparisons


def find_subjects(order: JudgeOrder) -> tuple[RunConfig, dict[int, dict[str, Seller | Rules]]]:
    """The configuration and who is judged in which seat (by name)."""
    if is_run(order.subject):
        if order.changes:
            raise Refusal("--set: a run is judged in the market it was trained in; give a config to change settings")
        config = open_run(order.subject)
        return config, _trained(order, config.market)
    config = load_run(order.subject, order.changes)
    if order.seller is None:
        raise Refusal(f"{order.subject}: is a configuration, so --seller RULES must say which competitor to judge")
    rules = parse_rules(order.seller, "--seller", config.market)
    return config, {seat: {rules.label: rules} for seat in _seats(order, config.market)}


def _trained(order: JudgeOrder, spec: MarketSpec) -> dict[int, dict[str, Seller | Rules]]:
    saved = saved_sellers(order.subject, order.checkpoint)
    if order.seller is not None and order.seller not in saved:
        raise Refusal(f"--seller {order.seller}: the run's trained sellers are {', '.join(saved)}")
    chosen = {order.seller: saved[order.seller]} if order.seller else saved
    seats = _seats(order, spec) if order.seat else None
    subjects: dict[int, dict[str, Seller | Rules]] = {}
    for name, one in chosen.items():
        for seat in seats or [one.seat]:
            subjects.setdefault(seat, {})[f"{name} ({one.learner})"] = one.sit(spec, seat)
    return subjects


def _seats(order: JudgeOrder, spec: MarketSpec) -> list[int]:
    if order.seat is None:
        return list(range(len(spec.sellers)))
    if order.seat not in spec.names:
        raise Refusal(f"--seat {order.seat}: the market's sellers are {', '.join(spec.names)}")
    return [spec.names.index(order.seat)]


@contextmanager
def progress(console: Console, title: str) -> Iterator[Tick]:
    """A line that tells what is played and how many episodes have been."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed} episodes"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title)

        def tick(text: str, episodes: int) -> None:
            bar.update(task, advance=episodes, description=f"{title}: {text}")

        yield tick
