"""`bazaar evaluate`: who is judged, in which seats, against whom; the table on screen and in files."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from market.errors import Refusal
from market.spec import MarketSpec
from policies.bar import progress
from policies.config import RunConfig, load_run
from policies.evaluation import Comparison
from policies.fixed import Rules, parse_rules
from policies.opponents import Judge
from policies.rule import place
from policies.runs import is_run, open_run, saved_sellers, write_json
from policies.seller import Seller
from policies.table import comparison_rows, print_comparison

WIDE = 130


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


def terminal() -> Console:
    """Where tables go: the terminal, or wide lines into a file."""
    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, WIDE))


def judge(order: JudgeOrder) -> None:
    """Carry out `bazaar evaluate`: print the tables, write the files asked for."""
    # One thread: these networks are small, and with two beside a busy process each call takes many times longer.
    torch.set_num_threads(1)
    for path in (order.json, order.csv):
        refuse_unwritable(path)
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


def refuse_unwritable(path: Path | None) -> None:
    """Raise :class:`Refusal` now for a file that could not be written after minutes of play."""
    if path is None:
        return
    if not path.parent.is_dir():
        raise Refusal(f"{path}: the folder {path.parent} does not exist")
    if path.is_dir():
        raise Refusal(f"{path}: is a folder, not a file to write to")
    if path.exists():
        raise Refusal(f"{path}: exists already and is not written over; choose another name")
    if not os.access(path.parent, os.W_OK):
        raise Refusal(f"{path}: cannot be written (permission denied)")


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
            rivals = f" against {line_up.label}" if len(judge.spec.sellers) > 1 else ""
            with progress(
                console, f"judging {', '.join(named)} in the seat of {judge.spec.names[seat]}{rivals}"
            ) as tick:
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
    for seat in _seats(order, config.market):
        with place("--seller"):
            rules.check(config.market, seat)
    return config, {seat: {rules.label: rules} for seat in _seats(order, config.market)}


def _trained(order: JudgeOrder, spec: MarketSpec) -> dict[int, dict[str, Seller | Rules]]:
    saved = saved_sellers(order.subject, order.checkpoint)
    if order.seller is not None and order.seller not in saved:
        raise Refusal(f"--seller {order.seller}: the run's trained sellers are {', '.join(saved)}")
    chosen = {order.seller: saved[order.seller]} if order.seller is not None else saved
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
