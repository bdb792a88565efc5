"""What `bazaar report` shows of a run: read from its folder, or played again from its checkpoints.

Dimensions: E episodes, T periods, N sellers.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from market.errors import UserError
from market.metrics.summary import profit_a_period, summary
from market.spec.models import MarketSpec
from market.state import Floats, Record
from policies.common.files import read_json
from policies.common.seeding import row_seed
from policies.config.run import RunConfig
from policies.evaluation.line_ups import LineUps
from policies.evaluation.run_sellers import run_sellers
from policies.sellers.network_seller import NetworkSeller
from policies.sellers.protocol import Seller
from policies.sellers.rollout import episode_profits, play
from policies.sellers.rules.compose import Rules, parse_rules
from policies.storage.run_folder import saved_sellers

Say = Callable[[str], None]


@dataclass(frozen=True)
class ReportedSeller:
    """Who sits in a seat: a learner at its best checkpoint, or a fixed competitor."""

    seat: int
    name: str
    kind: str  # the learner, or the rules
    seller: Seller
    trained: int | None = None  # seller-periods behind the checkpoint; None where nothing was learned
    score: float | None = None

    @property
    def learned(self) -> bool:
        """Whether it is a trained seller."""
        return isinstance(self.seller, NetworkSeller)

    @property
    def label(self) -> str:
        """Name and kind: "left (dqn)"."""
        return f"{self.name} ({self.kind})"


@dataclass(frozen=True)
class ReportedRun:
    """A run's folder as it was read; ``rows`` of evaluation.json and ``metrics`` of metrics.csv may be empty."""

    folder: Path
    config: RunConfig
    seed: int
    about: dict[str, Any]
    rows: list[dict[str, Any]]
    metrics: list[dict[str, str]]
    players: tuple[ReportedSeller, ...]
    line_ups: LineUps
    missing: tuple[str, ...]

    @property
    def spec(self) -> MarketSpec:
        """The market."""
        return self.config.market

    @property
    def learners(self) -> list[ReportedSeller]:
        """The players that learned."""
        return [player for player in self.players if player.learned]


@dataclass(frozen=True)
class Spread:
    """Profit a period of each episode (E,) of candidates in one seat against one line-up, the learned one first."""

    player: ReportedSeller
    line_up: str
    profits: dict[str, Floats] = field(default_factory=dict)

    @property
    def varies(self) -> bool:
        """Whether episodes differ at all; they do not where nothing is random."""
        return any(np.ptp(one) > 1e-9 * max(1.0, float(np.abs(one).max())) for one in self.profits.values())


def read_run(folder: Path, say: Say = lambda text: None) -> ReportedRun:
    """Everything that a run's folder holds, and its sellers in their seats.

    Raises :class:`UserError` when the folder is not a run's, or holds no saved sellers.
    """
    say("setting up its sellers")
    frozen, saved = run_sellers(folder), {one.seat: one for one in saved_sellers(folder).values()}
    players = []
    for seat, (name, label) in enumerate(zip(frozen.spec.names, frozen.labels, strict=True)):
        kind = frozen.learners[seat] or label.removeprefix(f"{name} (").removesuffix(")")
        one = saved.get(seat)
        score = one.score if one is not None and np.isfinite(one.score) else None
        players.append(ReportedSeller(seat, name, kind, frozen.sellers[seat], one.trained if one else None, score))
    about, rows, metrics = (
        read_json(folder / "run.json", dict),
        _rows(folder / "evaluation.json"),
        _metrics(folder / "metrics.csv"),
    )
    files = {"evaluation.json": rows, "metrics.csv": metrics, "run.json": about}
    missing = tuple(file for file, there in files.items() if not there)
    line_ups = LineUps(frozen.config, frozen.seed)
    return ReportedRun(folder, frozen.config, frozen.seed, about, rows, metrics, tuple(players), line_ups, missing)


def _rows(path: Path) -> list[dict[str, Any]]:
    """evaluation.json as it is read here: a list of rows, or an object that holds it."""
    content: Any = read_json(path, object)
    if isinstance(content, dict):
        content = next((value for value in content.values() if _is_table(value)), [])
    known = [row for row in content if {"seat", "policy", "profit"} <= row.keys()] if _is_table(content) else []
    return [row for row in known if row.get("table", "comparison") == "comparison" and row["profit"] is not None]


def _is_table(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _metrics(path: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv; a last line that was cut off is left out."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError:
        return []
    return [row for row in rows if None not in row.values() and None not in row]


def curve(run: ReportedRun, phase: str, metric: str, seller: str) -> tuple[Floats, Floats]:
    """One scalar of metrics.csv: steps (seller-periods) and values, in the order written."""
    points = [
        (float(row["step"]), float(row["value"]))
        for row in run.metrics
        if (row.get("phase"), row.get("metric"), row.get("seller")) == (phase, metric, seller)
    ]
    steps, values = zip(*points, strict=True) if points else ((), ())
    return np.array(steps), np.array(values)


def main_rows(run: ReportedRun, name: str) -> list[dict[str, Any]]:
    """The rows of evaluation.json of one seat against its first line-up, in the order written (best first)."""
    mine = [row for row in run.rows if row["seat"] == name]
    return [row for row in mine if row.get("line_up") == mine[0].get("line_up")]


def evaluated_row(run: ReportedRun, player: ReportedSeller) -> dict[str, Any] | None:
    """The row of the player itself in its seat against its first line-up."""
    return next((row for row in main_rows(run, player.name) if row.get("judged")), None)


def best_fixed_row(run: ReportedRun, player: ReportedSeller) -> dict[str, Any] | None:
    """The row of the fixed competitor that earns most in the player's seat against its first line-up."""
    fixed = [row for row in main_rows(run, player.name) if not row.get("judged")]
    return max(fixed, key=lambda row: float(row["profit"]), default=None)


def replay(run: ReportedRun, episodes: int, seed: int, say: Say) -> list[Spread]:
    """The evaluation's episodes once more: each learner and the best fixed competitor in its seat, same customers."""
    line_up, counted = _line_up(run), (run.config.evaluation.warm_up, run.config.evaluation.salvage)
    spreads = []
    for player in run.learners:
        say(f"playing {player.name}")
        spread = Spread(player, line_up.label)
        best = best_fixed_row(run, player)
        candidates: dict[str, Seller] = {player.label: player.seller}
        if best is not None:
            rules = parse_rules(best["policy"], f"{run.folder / 'evaluation.json'}: policy", run.spec)
            candidates[rules.label] = run.line_ups.against(rules, player.seat, line_up)
        rivals = [None if k == player.seat else run.line_ups.fixed(line_up, k) for k in range(len(run.spec.sellers))]
        for label, seller in candidates.items():
            sellers = [rival or seller for rival in rivals]
            profit = episode_profits(run.spec, sellers, *counted, seed=row_seed(seed, "evaluate"), markets=episodes)
            spread.profits[label] = profit[:, player.seat]
        spreads.append(spread)
    return spreads


def _line_up(run: ReportedRun) -> Rules:
    """What rivals play in the first table of evaluation.json, or by the configuration."""
    usual = run.line_ups.chosen(None)[0]
    if len(run.spec.sellers) == 1 or not run.rows:
        return usual
    try:
        return parse_rules(run.rows[0].get("line_up"), "line_up", run.spec)
    except UserError:
        return usual


@dataclass(frozen=True)
class Together:
    """All players of the run against each other: figures (N,) by measure, profits (E, N), and one episode (T, N)."""

    figures: dict[str, Floats]
    profits: Floats
    episode: Record


def play_together(run: ReportedRun, episodes: int, seed: int) -> Together:
    """Play the run's sellers against each other on the evaluation's customers."""
    sellers: Sequence[Seller] = [player.seller for player in run.players]
    ledger = play(run.spec, sellers, markets=episodes, seed=row_seed(seed, "evaluate"))
    counted = run.config.evaluation.warm_up, run.config.evaluation.salvage
    figures, profits = summary(ledger, run.spec, *counted), profit_a_period(ledger, run.spec, *counted)
    return Together(figures, profits, ledger[:, 0])
