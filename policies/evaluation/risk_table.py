"""All measures of service and risk as a table: measures down with their units, candidates across."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from market.metrics.summary import GLOSSARY, HIGHER_IS_BETTER, LOWER_IS_BETTER
from market.spec.models import MarketSpec
from policies.config.run import Evaluation
from policies.evaluation.compare import Comparison, Result, best_fixed
from policies.views.table import fitting, heading, width

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
LEAST = 2  # the subject and what it has to beat are always shown


def print_risk(comparison: Comparison, spec: MarketSpec, settings: Evaluation, console: Console) -> None:
    """Print every measure of service and risk: the subjects first, then the best fixed competitor, then the others.

    Candidates that the terminal has no room for are left out from the right. Beside a measure stands which way is
    better, where one way is; the best of the candidates shown is bold.
    """
    shown = in_order(comparison)
    summaries = [result.summary() for result in shown]
    rows = [name for names in SECTIONS.values() for name in names if name in summaries[0]]
    level = settings.risk_level
    label = [[_label(name, spec, level), _unit(name, spec)] for name in rows]
    columns = [[heading(r.policy), *(_cell(n, s[n]) for n in rows)] for r, s in zip(shown, summaries, strict=True)]
    room = console.width - sum(width(column) for column in zip(*label, strict=True))
    count = fitting(columns, room, LEAST)
    against = "" if len(spec.sellers) == 1 else f" against {comparison.line_up}"
    table = Table(title=f"{comparison.seat}{against}: risk and service", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("", no_wrap=True)
    table.add_column("unit", no_wrap=True, style="dim")
    for column, result in zip(columns[:count], shown, strict=False):
        table.add_column(column[0], justify="right", no_wrap=True, header_style="bold cyan" if result.subject else "")
    ends = {names[-1] for names in _present(rows).values()}
    for k, name in enumerate(rows):
        best = best_value(name, [summary[name] for summary in summaries[:count]])
        cells = [
            Text(column[k + 1], style="bold" if summary[name] == best else "")
            for column, summary in zip(columns[:count], summaries, strict=False)
        ]
        table.add_row(*label[k], *cells, end_section=name in ends)
    console.print(table)
    console.print(
        _how(comparison, settings, spec, [result.policy for result in shown[count:]]), style="dim", highlight=False
    )


def in_order(comparison: Comparison) -> list[Result]:
    """The subjects, the best fixed competitor, and the other competitors from the highest profit down."""
    best = best_fixed(comparison.results)
    ranked = sorted(comparison.results, key=lambda result: -result.mean)
    return sorted(ranked, key=lambda result: 0 if result.subject else 1 if result is best else 2)


def best_value(name: str, values: list[float]) -> float | None:
    """The best of several candidates' values, or None where neither way is better or all are the same."""
    known = [value for value in values if np.isfinite(value)]
    if len(set(known)) < 2:
        return None
    if name in HIGHER_IS_BETTER:
        return max(known)
    return min(known) if name in LOWER_IS_BETTER else None


def _present(rows: list[str]) -> Mapping[str, list[str]]:
    there = {section: [name for name in names if name in rows] for section, names in SECTIONS.items()}
    return {section: names for section, names in there.items() if names}


def _label(name: str, spec: MarketSpec, level: float) -> str:
    text = NAMES.get(name, name.replace("_", " ")).format(level=f"{100 * level:.3g} %", period=spec.period)
    return f"{text} {'↑' if name in HIGHER_IS_BETTER else '↓' if name in LOWER_IS_BETTER else ' '}"


def _unit(name: str, spec: MarketSpec) -> str:
    return GLOSSARY[name][0].replace("period", spec.period)


def _cell(name: str, value: float) -> str:
    if not np.isfinite(value):
        return "-"
    return f"{value:.2%}" if name in SHARES else f"{value:.4g}"


def _how(comparison: Comparison, settings: Evaluation, spec: MarketSpec, hidden: list[str]) -> str:
    episodes = len(comparison.results[0].profit)
    skipped = f", the first {settings.warm_up} skipped" if settings.warm_up else ""
    left_out = f" No room here for {', '.join(hidden)}." if hidden else ""
    return (
        f"{episodes} episodes of {spec.horizon} {spec.period}s{skipped}; ↑ higher is better, ↓ lower is better, the "
        f"best shown in bold. {spec.period.capitalize()}s are booked as the accounts do: an order is paid when it is "
        f"placed.{left_out}\n"
    )
