"""The report's sections on what ``bazaar exploit`` and ``bazaar deviate`` left in the run's ``analysis`` folder.

The report's section on what other commands left: tournaments that the run took part in.

Exploitability and impulse responses stand in :mod:`policies.report.analysis`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from policies.common.files import read_json
from policies.report.data import ReportedRun
from policies.report.policies import payoff_chart
from policies.storage.run_folder import ANALYSIS
from policies.views.format import DASH, column_form, number, plus_minus
from policies.views.page import Page


def analysis_section(page: Page, run: ReportedRun) -> None:
    """Exploitability and impulse responses, or how to get them."""
    exploited, deviated = _files(run, "exploit"), _files(run, "deviate")
    if exploited:
        _exploit(page, run, exploited)
    for file, content in deviated:
        _deviate(page, run, file, content)
    seller = run.learners[0].name
    todo = (
        []
        if exploited
        else [f"bazaar exploit {run.folder} says how much more a seat could earn against these policies"]
    )
    if not deviated and len(run.players) > 1:
        todo.append(
            f"bazaar deviate {run.folder} --seller {seller} shows how the others answer one period off its policy"
        )
    if todo:
        page.paragraph(f"Not measured yet: {'; '.join(todo)}.", "note")


def _files(run: ReportedRun, kind: str) -> list[tuple[Path, dict[str, Any]]]:
    found = []
    for file in sorted((run.folder / ANALYSIS).glob(f"{kind}-*.json")):
        if content := read_json(file, dict):
            found.append((file, content))
    return found


# ------------------------------------------------------------------------------------------------ exploitability


def _exploit(page: Page, run: ReportedRun, files: list[tuple[Path, dict[str, Any]]]) -> None:
    """One row a file; over all seats, the sum of what is known."""
    known = [content for _, content in files if _is_regret(content)]
    for file in (file for file, content in files if not _is_regret(content)):
        page.paragraph(f"{file} is not as bazaar exploit writes it, so it is left out.", "missing")
    if not known:
        return
    period, form = run.spec.period, column_form([one["profit"] for one in known])
    rows = []
    for one in known:
        exact = "exact" if one.get("exact") else "at least"
        share = number(one["regret"] / abs(one["profit"]), "{:.2%}") if one["profit"] else DASH
        gap = plus_minus(one, "difference", 1, form, form)
        rows.append([one["seller"], number(one["profit"], form), str(one.get("response")), gap, exact, share])
    heads = ["seat", f"profit a {period}", "best response", "it earns more", "regret", "of profit"]
    page.heading("How exploitable are they?")
    page.table(heads, rows, "What each seat could earn more while the others stay as they are", text=(2,))
    page.paragraph(_nash_conv(run, known), "note")


def _is_regret(content: dict[str, Any]) -> bool:
    numbers = all(isinstance(content.get(key), int | float) for key in ("profit", "regret", "difference"))
    return numbers and isinstance(content.get("seller"), str)


def _nash_conv(run: ReportedRun, known: list[dict[str, Any]]) -> str:
    """The sum of regrets where every seat has one: of several measurements of a seat the largest bound."""
    largest = {name: max((o["regret"] for o in known if o["seller"] == name), default=None) for name in run.spec.names}
    text = "A trained response is one among many, so what it earns more is a lower bound on regret."
    found = [value for value in largest.values() if value is not None]
    if len(found) < len(largest) or len(found) < 2:
        return text
    least = "" if all(one.get("exact") for one in known) else "at least "
    return f"{text} Over all seats regret sums to {least}{number(sum(found))} a {run.spec.period} (NashConv; 0 in equilibrium)."


# ------------------------------------------------------------------------------------------------ impulse responses


def _deviate(page: Page, run: ReportedRun, file: Path, content: dict[str, Any]) -> None:
    """The picture that ``bazaar deviate`` drew, and its figures as a table."""
    try:
        seller, rule, period = str(content["seller"]), str(content["to"]), run.spec.period
        rows = _response_rows(content)
        heads = [f"{period}s after", *(f"price of {name}" for name in content["sellers"])]
        heads += [f"profit of {seller}", "gained so far"]
    except (KeyError, IndexError, TypeError, ValueError):
        page.paragraph(f"{file} is not as bazaar deviate writes it, so it is left out.", "missing")
        return
    page.heading(f"{seller} plays {rule} for one {period}: what follows")
    if (picture := file.with_suffix(".png")).is_file():
        page.picture(picture, f"What changes when {seller} leaves its policy for one {period}")
    page.table(heads, rows, "Changes against the undeviated twin on the same customers")
    page.paragraph(
        f"Prices in % of the twin's, profit in money; ± half of a 95 % interval over {content.get('intervals_over', 'episodes')}. "
        "Rivals who answer with lower prices for a while, and a deviation that does not pay, are what punishment looks like.",
        "note",
    )


def _response_rows(content: dict[str, Any]) -> list[list[str]]:
    mean, half = content["mean"], content.get("half_width") or {}
    seat = list(content["sellers"]).index(content["seller"])
    margins = content.get("gain_half_width") or [None] * len(content["gain"])
    rows = []
    for t, gain in enumerate(content["gain"]):
        row = [str(t)]
        for k in range(len(content["sellers"])):
            margin = half["relative"][t][k] if half.get("relative") else None
            row.append(_with_margin(mean["relative"][t][k], margin, "{:+.2%}", "{:.2%}"))
        margin = half["profit"][t][seat] if half.get("profit") else None
        row.append(_with_margin(mean["profit"][t][seat], margin))
        rows.append([*row, _with_margin(gain, margins[t])])
    return rows


def _with_margin(value: float, margin: float | None, form: str = "{:+.3g}", half_form: str = "{:.2g}") -> str:
    if value == 0 and not margin:
        return "0"
    return number(value, form) + ("" if not margin else f" ± {number(margin, half_form)}")


RESULTS = "results.json"
MOST_SHOWN = 3  # tournaments, the latest
MOST_EQUILIBRIA = 5


def found_sections(page: Page, run: ReportedRun) -> None:
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
    facts = read_json(file, dict)
    parts = {"policies": list, "payoffs": dict, "ranking": list}
    whole = all(isinstance(facts.get(key), kind) for key, kind in parts.items())
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
