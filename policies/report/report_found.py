"""The report's section on what other commands left: tournaments that the run took part in.

Exploitability and impulse responses stand in :mod:`policies.report.analysis`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from policies.report.analysis import analysis_section
from policies.report.data import Run
from policies.report.policies import payoff_chart
from policies.views.format import DASH, column_form, number, plus_minus
from policies.views.page import Page

RESULTS = "results.json"
MOST_SHOWN = 3  # tournaments, the latest
MOST_EQUILIBRIA = 5


def found_sections(page: Page, run: Run) -> None:
    """Tournaments, exploitability and impulse responses; what is not there is said, with the command that makes it."""
    page.section("tournament", "How do they fare against others?")
    found = list(tournaments(run.folder))
    for folder, facts in found[:MOST_SHOWN]:
        _tournament(page, folder, facts)
    if len(found) > MOST_SHOWN:
        page.paragraph(f"{len(found) - MOST_SHOWN} older tournaments are left out.", "note")
    if not found:
        page.paragraph(
            f"No tournament beside this run has it among its entries. bazaar tournament {run.folder} RULES... plays one.",
            "note",
        )
    analysis_section(page, run)


def tournaments(run: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Finished tournaments in the folder of runs that the run took part in, latest first."""
    run = run.resolve()
    files = sorted(run.parent.glob(f"*/{RESULTS}"), key=lambda file: (-file.stat().st_mtime, file))
    for file in files:
        facts = _read(file)
        if any(_same(entry, run) for entry in facts.get("policies", []) if isinstance(entry, dict)):
            yield file.parent, facts


def _read(file: Path) -> dict[str, Any]:
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    parts = {"policies": list, "payoffs": dict, "ranking": list}
    whole = isinstance(facts, dict) and all(isinstance(facts.get(key), kind) for key, kind in parts.items())
    return facts if whole else {}


def _same(entry: dict[str, Any], run: Path) -> bool:
    """A run is named as it was typed then, perhaps in another folder: its own name decides."""
    typed = entry.get("run")
    return isinstance(typed, str) and bool(typed) and Path(typed).resolve().name == run.name


def _tournament(page: Page, folder: Path, facts: dict[str, Any]) -> None:
    period, episodes = facts.get("period", "period"), facts.get("episodes")
    page.heading(f"Tournament {folder.name}")
    cells = f"{facts.get('cells', '?')} line-ups{' (sampled)' if facts.get('sampled') else ''}"
    page.paragraph(f"{len(facts['policies'])} policies, {cells}, {number(episodes, '{:,.0f}')} episodes each.", "note")
    for seat, matrix in facts["payoffs"].items():
        mean, half = _array(matrix.get("mean")), _array(matrix.get("half_width"))
        if mean.ndim != 2 or mean.shape != (len(matrix.get("policies", [])), len(matrix.get("rivals", []))):
            continue
        title = f"What each policy earns in the seat of {seat}, by rival"
        page.chart(payoff_chart(matrix["policies"], matrix["rivals"], mean, half, f"money a {period}", title))
    _ranking(page, facts, period)
    _cross_play(page, facts, period)
    _equilibria(page, facts, period)


def _array(values: object) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Numbers with None as NaN; empty where they are no matrix."""
    try:
        return np.array(values, np.float64)
    except (TypeError, ValueError):
        return np.zeros(0)


def _ranking(page: Page, facts: dict[str, Any], period: str) -> None:
    seats = [str(seat) for seat in facts.get("seats", [])]
    rows = []
    profits = [place.get("profit") for row in facts["ranking"] for place in row.get("seats", {}).values()]
    form = column_form(profits)
    for row in facts["ranking"]:
        cells = [str(row.get("policy")), plus_minus(row, "rank", 1, "{:.2f}", "{:.2f}")]
        cells.append(plus_minus(row, "rating", 1, "{:.0f}", "{:.0f}"))
        for seat in seats:
            place = row.get("seats", {}).get(seat)
            profit = {"profit": place.get("profit"), "profit_half_width": place.get("half_width")} if place else {}
            cells.append(plus_minus(profit, "profit", 1, form, form))
        rows.append(cells)
    heads = ["", "mean rank", "rating (Elo, mean 1500)", *(f"profit a {period}, seat of {seat}" for seat in seats)]
    learned = {policy.get("label") for policy in facts["policies"] if policy.get("kind") == "learned"}
    page.table(heads, rows, "Ranking, best mean rank first", [row[0] in learned for row in rows])


def _cross_play(page: Page, facts: dict[str, Any], period: str) -> None:
    played = [row for row in facts.get("cross_play", []) if isinstance(row, dict)]
    if not played:
        return
    form = column_form([row.get(key) for row in played for key in ("with_partners", "with_others")])
    rows = []
    for row in played:
        cells = [str(row.get("policy"))]
        cells += [plus_minus(row, key, 1, form, form) for key in ("with_partners", "with_others", "change")]
        rows.append([*cells, "yes" if row.get("only_with_partners") else "no"])
    others = {str(row.get("others")) for row in played}
    heads = ["", "with training partners", f"with {' / '.join(sorted(others))}", "change", "good with partners only"]
    page.table(heads, rows, f"Cross-play: profit a {period} with those a policy was trained with and with others")


def _equilibria(page: Page, facts: dict[str, Any], period: str) -> None:
    game = facts.get("equilibria")
    if not isinstance(game, dict):
        return
    found = [one for one in game.get("found", []) if isinstance(one, dict)]
    if not found:
        page.paragraph(
            f"No equilibrium of the tournament as a game: {game.get('why_none') or 'none was found'}.", "note"
        )
        return
    nash = game.get("kind") == "nash"
    kind = "Nash equilibria" if nash else "Coarse correlated equilibrium"
    shown = f" (the first {MOST_EQUILIBRIA} of {len(found)})" if len(found) > MOST_EQUILIBRIA else ""
    rows = [[str(k), _who(one), _payoffs(one), number(one.get("regret"), "{:.2g}"), _share(one)]
            for k, one in enumerate(found[:MOST_EQUILIBRIA], 1)]  # fmt: skip
    heads = ["", "who plays, with what probability", f"payoffs (money a {period})", "largest regret", "stable in"]
    page.table(heads, rows, f"{kind} of the game whose strategies are these policies{shown}", text=(1, 2))
    page.paragraph(
        "No policy gains by switching alone to another of the table by more than the regret; stable in: the share of "
        "bootstrap resamples of the episodes in which the same policies make an equilibrium.",
        "note",
    )


def _who(one: dict[str, Any]) -> str:
    if isinstance(strategies := one.get("strategies"), dict):
        return "; ".join(
            f"{seat}: " + ", ".join(f"{policy} {number(chance, '{:.0%}')}" for policy, chance in mixed.items())
            for seat, mixed in strategies.items()
        )
    line_ups = [row for row in one.get("line_ups", []) if isinstance(row, dict)]
    return "; ".join(
        f"{number(row.get('probability'), '{:.0%}')} "
        + ", ".join(f"{seat}: {policy}" for seat, policy in row.get("line_up", {}).items())
        for row in line_ups[:6]
    ) + ("; ..." if len(line_ups) > 6 else "")


def _payoffs(one: dict[str, Any]) -> str:
    return ", ".join(f"{seat} {number(value)}" for seat, value in one.get("payoffs", {}).items())


def _share(one: dict[str, Any]) -> str:
    return DASH if one.get("support_share") is None else number(one["support_share"], "{:.0%}")
