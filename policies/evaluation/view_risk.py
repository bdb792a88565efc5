"""All measures of service and risk, and what is kept of a profit under stress, as tables: candidates across."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from market.metrics.summary import GLOSSARY, HIGHER_IS_BETTER, LOWER_IS_BETTER
from market.spec.models import MarketSpec
from policies.config.run import Evaluation, RunConfig
from policies.evaluation.compare import Comparison, Result, best_fixed
from policies.evaluation.scenarios import UNCHANGED
from policies.evaluation.view import named
from policies.views.format import amount, percent
from policies.views.page import footnote, told
from policies.views.table import Cell, Cells, Column, Note, Row, Table, heading

SECTIONS = {
    "Risk": (
        "profit",
        "volatility",
        "downside_deviation",
        "value_at_risk",
        "conditional_value_at_risk",
        "period_value_at_risk",
        "period_conditional_value_at_risk",
        "maximum_drawdown",
        "drawdown_length",
        "probability_of_loss",
    ),
    "Service": ("fill_rate", "stockout_rate", "cycle_service_level"),
    "Stock": ("on_hand", "days_of_supply", "inventory_turnover", "bullwhip"),
    "Prices": ("price", "price_volatility", "price_changes"),
    "Market": ("market_share", "hhi"),
}
NAMES = {
    "value_at_risk": "VaR {level} of episodes",
    "conditional_value_at_risk": "CVaR {level} of episodes",
    "period_value_at_risk": "VaR {level} of {period}s",
    "period_conditional_value_at_risk": "CVaR {level} of {period}s",
    "hhi": "HHI",
}
SHARES = frozenset({"probability_of_loss", "fill_rate", "stockout_rate", "cycle_service_level", "market_share"})
LABELS = 2  # columns that name a measure
LEAST = LABELS + 2  # the entrant and what it has to beat are always shown


# ------------------------------------------------------------------------------------------------ risk and service


def risk_table(comparison: Comparison, spec: MarketSpec, settings: Evaluation, width: int) -> Table:
    """Every measure of service and risk: the entrants first, then the best fixed competitor, then the others.

    Candidates that a terminal of this ``width`` has no room for are left out from the right. Beside a measure stands
    which way is better, where one way is; the best of the candidates shown is set off.
    """
    shown = in_order(comparison)
    columns = [Column(""), Column("unit", align="left", kind="note")]
    columns += [Column(heading(r.policy), key=r.policy, kind="judged" if r.entrant else "") for r in shown]
    against = "" if len(spec.sellers) == 1 else f" against {named(comparison)}"
    title = f"{comparison.seat}{against}: risk and service"
    rows = list(_measures(shown, len(shown), spec, settings))
    how = footnote("evaluation.txt", "risk", episodes=len(shown[0].profit), spec=spec, settings=settings)
    table = Table(title, columns, rows, [how], least=LEAST)
    count = len(table.fitted(width).blocks(width)[0]) - LABELS
    return replace(table, rows=list(_measures(shown, count, spec, settings)))


def in_order(comparison: Comparison) -> list[Result]:
    """The entrants, the best fixed competitor, and the other competitors from the highest profit down."""
    best = best_fixed(comparison.results)
    ranked = sorted(comparison.results, key=lambda result: -result.mean)
    return sorted(ranked, key=lambda result: 0 if result.entrant else 1 if result is best else 2)


def best_value(name: str, values: list[float]) -> float | None:
    """The best of several candidates' values, or None where neither way is better or all are the same."""
    known = [value for value in values if np.isfinite(value)]
    if len(set(known)) < 2:
        return None
    if name in HIGHER_IS_BETTER:
        return max(known)
    return min(known) if name in LOWER_IS_BETTER else None


def _measures(shown: Sequence[Result], count: int, spec: MarketSpec, settings: Evaluation) -> Iterator[Row]:
    """A row a measure, the best of the first ``count`` candidates set off."""
    summaries = [result.summary() for result in shown]
    for section in SECTIONS.values():
        present = [name for name in section if name in summaries[0]]
        for name in present:
            best = best_value(name, [summary[name] for summary in summaries[:count]])
            form = "{:.2%}" if name in SHARES else "{:.4g}"
            cells = [Cell(one[name], form=form, best=one[name] == best) for one in summaries]
            yield Row([_label(name, spec, settings.risk_level), _unit(name, spec), *cells], rule=name == present[-1])


def _label(name: str, spec: MarketSpec, level: float) -> str:
    text = NAMES.get(name, name.replace("_", " ")).format(level=percent(level), period=spec.period)
    return f"{text} {'↑' if name in HIGHER_IS_BETTER else '↓' if name in LOWER_IS_BETTER else ' '}"


def _unit(name: str, spec: MarketSpec) -> str:
    return GLOSSARY[name][0].replace("period", spec.period)


# ------------------------------------------------------------------------------------------------ stress

Figures = dict[str, Any]


def stress_table(rows: Sequence[Figures], config: RunConfig) -> Table:
    """The rows of :mod:`policies.evaluation.stress`, scenarios down: the profit, and what was kept of it."""
    names = list(dict.fromkeys(row["policy"] for row in rows))
    columns = [Column(""), *(Column(heading(name), key=name) for name in names)]
    cells = [_scenario(scenario, rows, names) for scenario in dict.fromkeys(row["shift"] for row in rows)]
    title = f"{rows[0]['seat']} under stress: profit a {config.market.period}, and the share of it that is kept"
    about = {"episodes": rows[0]["episodes"], "spec": config.market, "settings": config.evaluation}
    kept = map(Note, told("evaluation.txt", "kept", weakest=_weakest(rows, names), rows=rows))
    notes = [*kept, footnote("evaluation.txt", "stress", candidates=len(names), **about)]
    return Table(title, columns, cells, notes, narrow="split")


def _scenario(scenario: str, rows: Sequence[Figures], names: Sequence[str]) -> Row:
    """A scenario's cells; the highest profit is set off where there is anybody to compare with."""
    found = {row["policy"]: row for row in rows if row["shift"] == scenario}
    known = [row["profit"] for row in found.values() if row["profit"] is not None]
    top = max(known, default=None) if len(found) > 1 else None
    cells = [_cell(found[name], found[name]["profit"] == top) if name in found else "" for name in names]
    return Row([scenario, *cells], rule=scenario == UNCHANGED)


def _cell(row: Figures, best: bool) -> Cells:
    profit = row["profit"]
    if profit is None:
        return None
    if row["shift"] == UNCHANGED:
        return Cell(profit, row["profit_half_width"], best=best)
    if row["kept"] is None:
        return Cell(profit, best=best), Cell(_difference(row), best=best)
    return Cell(profit, best=best), Cell(row["kept"], row["kept_half_width"], form="{:6.1%}", best=best)


def _difference(row: Figures) -> str:
    return (
        "" if row["difference"] is None else f"({amount(row['difference'], '{:+.4g}', row['difference_half_width'])})"
    )


def _weakest(rows: Sequence[Figures], names: Sequence[str]) -> list[Figures]:
    """Of each candidate the scenario under which it keeps least."""
    changed = [row for row in rows if row["kept"] is not None and row["shift"] != UNCHANGED]
    each = ([row for row in changed if row["policy"] == name] for name in names)
    return [min(own, key=lambda row: float(row["kept"])) for own in each if own]
