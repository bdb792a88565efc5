"""The report's sections on what ``bazaar exploit`` and ``bazaar deviate`` left in the run's ``analysis`` folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from policies.report.data import Run
from policies.views.format import DASH, column_form, number, plus_minus
from policies.views.page import Page

FOLDER = "analysis"


def analysis_section(page: Page, run: Run) -> None:
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


def _files(run: Run, kind: str) -> list[tuple[Path, dict[str, Any]]]:
    found = []
    for file in sorted((run.folder / FOLDER).glob(f"{kind}-*.json")):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(content, dict):
            found.append((file, content))
    return found


# ------------------------------------------------------------------------------------------------ exploitability


def _exploit(page: Page, run: Run, files: list[tuple[Path, dict[str, Any]]]) -> None:
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


def _nash_conv(run: Run, known: list[dict[str, Any]]) -> str:
    """The sum of regrets where every seat has one: of several measurements of a seat the largest bound."""
    largest = {name: max((o["regret"] for o in known if o["seller"] == name), default=None) for name in run.spec.names}
    text = "A trained response is one among many, so what it earns more is a lower bound on regret."
    found = [value for value in largest.values() if value is not None]
    if len(found) < len(largest) or len(found) < 2:
        return text
    least = "" if all(one.get("exact") for one in known) else "at least "
    return f"{text} Over all seats regret sums to {least}{number(sum(found))} a {run.spec.period} (NashConv; 0 in equilibrium)."


# ------------------------------------------------------------------------------------------------ impulse responses


def _deviate(page: Page, run: Run, file: Path, content: dict[str, Any]) -> None:
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
