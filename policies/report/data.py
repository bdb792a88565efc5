"""What `bazaar report` shows of a run: read from its folder, or played again from its checkpoints.

Dimensions: E episodes, T periods, N sellers.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from market.errors import UserError
from market.metrics.summary import profit_a_period, summary
from market.state import Floats, Record
from policies.common.files import read_json
from policies.common.seeding import row_seed
from policies.evaluation.compare import share_base
from policies.evaluation.run_sellers import RunSeller, RunSellers, run_sellers
from policies.sellers.protocol import Seller
from policies.sellers.rollout import episode_profits, play
from policies.sellers.rules.compose import parse_rules
from policies.sellers.seated import AS_SEATED, LineUp, Seated
from policies.storage.run_folder import chosen_among_rivals

Say = Callable[[str], None]
EvaluationRow = Mapping[str, Any]  # of evaluation.json


@dataclass(frozen=True)
class ReportedRun(RunSellers):
    """A run's folder as it was read; ``rows`` of evaluation.json and ``metrics`` of metrics.csv may be empty."""

    about: dict[str, Any]
    rows: list[dict[str, Any]]
    metrics: list[dict[str, str]]
    missing: tuple[str, ...]

    @property
    def learners(self) -> list[RunSeller]:
        """The players that learned."""
        return [player for player in self.players if player.learner is not None]


@dataclass(frozen=True)
class Spread:
    """Profit a period of each episode (E,) of candidates in one seat against one line-up, the learned one first."""

    player: RunSeller
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
    sellers = run_sellers(folder)
    about, rows = read_json(folder / "run.json", dict), _rows(folder / "evaluation.json")
    metrics = _metrics(folder / "metrics.csv")
    files = {"evaluation.json": rows, "metrics.csv": metrics, "run.json": about}
    missing = tuple(file for file, there in files.items() if not there)
    return ReportedRun(**vars(sellers), about=about, rows=rows, metrics=metrics, missing=missing)


def _rows(path: Path) -> list[dict[str, Any]]:
    """The comparisons of evaluation.json; what else a file of that name holds is left out."""
    rows = [
        row for row in read_json(path, list) if isinstance(row, dict) and {"seat", "policy", "profit"} <= row.keys()
    ]
    return [row for row in rows if row.get("table", "comparison") == "comparison" and row["profit"] is not None]


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


def chosen_by_rows(run: ReportedRun, name: str) -> list[dict[str, Any]]:
    """The same against the rivals that its best policy was chosen by."""
    mine = [row for row in run.rows if row["seat"] == name and row.get("line_up") != AS_SEATED]
    if not mine or chosen_among_rivals(run.config):
        return main_rows(run, name)
    return [row for row in mine if row.get("line_up") == mine[0].get("line_up")]


def evaluated_row(run: ReportedRun, player: RunSeller) -> dict[str, Any] | None:
    """The row of the player itself in its seat against its first line-up."""
    return next((row for row in main_rows(run, player.name) if row.get("judged")), None)


def best_fixed_row(run: ReportedRun, player: RunSeller) -> EvaluationRow | None:
    """The row of the fixed competitor that earns most in the player's seat against its first line-up."""
    return best_competitor(main_rows(run, player.name))


def best_competitor(rows: Sequence[EvaluationRow]) -> EvaluationRow | None:
    """Of the rows of one table the one of the best fixed competitor; an exact optimum that knows the market is none."""
    fixed = [row for row in rows if not row.get("judged") and not row.get("reference")]
    return max(fixed, key=lambda row: float(row["profit"]), default=None)


def row_base(row: EvaluationRow) -> float | None:
    """What differences to this row's profit are shares of, None where they are money; as in an evaluation."""
    revenue = row.get("revenue")
    return share_base(float(row["profit"]), float(revenue) if isinstance(revenue, int | float) else 0.0)


def replay(run: ReportedRun, episodes: int, seed: int, say: Say) -> list[Spread]:
    """The evaluation's episodes once more: each learner and the best fixed competitor in its seat, same customers."""
    counted = run.config.evaluation.warm_up, run.config.evaluation.salvage
    spreads = []
    for player in run.learners:
        say(f"playing {player.name}")
        spread, line_up = Spread(player), _line_up(run, player)
        best = best_fixed_row(run, player)
        candidates: dict[str, Seller] = {player.label: player.seller}
        if best is not None:
            rules = parse_rules(best["policy"], f"{run.folder / 'evaluation.json'}: policy", run.spec)
            candidates[rules.label] = run.line_ups.against(rules, player.seat, line_up)
        for label, seller in candidates.items():
            sellers = run.line_ups.rivals(player.seat, line_up, seller)
            profit = episode_profits(run.spec, sellers, *counted, seed=row_seed(seed, "evaluate"), markets=episodes)
            spread.profits[label] = profit[:, player.seat]
        spreads.append(spread)
    return spreads


def _line_up(run: ReportedRun, player: RunSeller) -> LineUp:
    """What the rivals of a seat play in its first table of evaluation.json, or by the configuration."""
    usual = run.line_ups.chosen(None)[0]
    rows = main_rows(run, player.name)
    if len(run.spec.sellers) == 1 or not rows:
        return usual
    if rows[0].get("line_up") == AS_SEATED:
        return Seated(AS_SEATED, [(one.label, one.seller) for one in run.players])
    try:
        return parse_rules(rows[0].get("line_up"), "line_up", run.spec)
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
    ledger = play(run.spec, run.sellers, markets=episodes, seed=row_seed(seed, "evaluate"))
    counted = run.config.evaluation.warm_up, run.config.evaluation.salvage
    figures, profits = summary(ledger, run.spec, *counted), profit_a_period(ledger, run.spec, *counted)
    return Together(figures, profits, ledger[:, 0])
