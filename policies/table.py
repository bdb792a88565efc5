"""Comparisons as tables: on the terminal, and as plain rows for JSON and CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from market.spec import MarketSpec
from policies.config import Evaluation
from policies.evaluation import Result, best_fixed, difference, interval

if TYPE_CHECKING:
    from policies.judge import Comparison

SHOWN = {
    "price": ("price", "{:.3f}"),
    "market_share": ("share", "{:.1%}"),
    "fill_rate": ("fill", "{:.1%}"),
    "stockout_rate": ("stockout", "{:.1%}"),
    "inventory_turnover": ("turnover", "{:.2f}"),
    "conditional_value_at_risk": ("CVaR 5%", "{:.4g}"),
    "maximum_drawdown": ("drawdown", "{:.4g}"),
}


def comparison_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """One plain row per candidate with every measure; NaN becomes None."""
    best = best_fixed(comparison.results)
    rows = []
    for result in sorted(comparison.results, key=lambda r: -r.mean):
        row: dict[str, Any] = {"seat": comparison.seat, "line_up": comparison.line_up, "policy": result.policy}
        row |= {"trained": result.subject, "episodes": len(result.profit), "profit": result.mean}
        row["profit_half_width"] = interval(result.profit)
        gap, half = difference(result, best) if best else (float("nan"), float("nan"))
        row |= {"difference": gap, "difference_half_width": half, "best_fixed": best.policy if best else None}
        row |= result.summary()
        rows.append({key: _plain(value) for key, value in row.items()})
    return rows


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def print_comparison(comparison: Comparison, spec: MarketSpec, settings: Evaluation, console: Console) -> None:
    """The table of one seat against one line-up, best first, and in words what it says of the subjects."""
    best = best_fixed(comparison.results)
    alone = len(spec.sellers) == 1
    table = Table(title=f"{comparison.seat}" + ("" if alone else f" against {comparison.line_up}"), title_justify="left")
    table.add_column("in this seat", no_wrap=True)
    table.add_column(f"profit per {spec.period}", justify="right")
    table.add_column("to the best fixed", justify="right")
    for head in (head for key, (head, _) in SHOWN.items() if key in comparison.results[0].summary()):
        table.add_column(head, justify="right")
    for result in sorted(comparison.results, key=lambda r: -r.mean):
        table.add_row(*_cells(result, best), style="bold" if result.subject else "")
    console.print(table)
    for line in verdicts(comparison.results, best):
        console.print(line, highlight=False)
    episodes = len(comparison.results[0].profit)
    console.print(
        f"{episodes} episodes of {spec.horizon} {spec.period}s, the first {settings.warm_up} skipped, stock valued at "
        f"{settings.salvage:g} x unit cost; 95 % intervals; same customers for every row.\n",
        style="dim",
        highlight=False,
    )


def _cells(result: Result, best: Result | None) -> list[str]:
    summary = result.summary()
    gap = "-"
    if best is not None and result is not best:
        mean, half = difference(result, best)
        gap = f"{mean / abs(best.mean):+.2%} ± {half / abs(best.mean):.2%}"
    cells = [result.policy, f"{result.mean:.4g} ± {interval(result.profit):.2g}", gap]
    return cells + [_format(form, summary[key]) for key, (_, form) in SHOWN.items() if key in summary]


def _format(form: str, value: float) -> str:
    return form.format(value) if np.isfinite(value) else "-"


def verdicts(results: list[Result], best: Result | None) -> list[str]:
    """A sentence for every subject: whether it earns more than the best fixed competitor, and by how much."""
    lines = []
    for result in (r for r in results if r.subject and best is not None):
        assert best is not None
        mean, half = difference(result, best)
        share, wide = mean / abs(best.mean), half / abs(best.mean)
        word = "earns more than" if mean > half else "earns less than" if mean < -half else "cannot be told from"
        lines.append(f"{result.policy} {word} the best fixed competitor, {best.policy}: {share:+.2%} ± {wide:.2%}.")
    return lines
