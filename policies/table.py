"""Comparisons as tables: on the terminal, and as plain rows for JSON and CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
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
    """The table of one seat against one line-up, best first, and in words what it says of the subjects.

    Columns that a narrow terminal has no room for are left out from the right.
    """
    best = best_fixed(comparison.results)
    against = "" if len(spec.sellers) == 1 else f" against {comparison.line_up}"
    ranked = sorted(comparison.results, key=lambda r: -r.mean)
    heads = ["", f"profit a {spec.period}", "to best fixed"]
    heads += [head for key, (head, _) in SHOWN.items() if key in ranked[0].summary()]
    cells = [_cells(result, best) for result in ranked]
    fitting = _fitting([heads, *cells], console.width)
    table = Table(title=f"{comparison.seat}{against}", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    for k, head in enumerate(heads[:fitting]):
        table.add_column(head, justify="right" if k else "left", no_wrap=True)
    for result, row in zip(ranked, cells, strict=True):
        table.add_row(*row[:fitting], style="bold cyan" if result.subject else "")
    console.print(table)
    for line in verdicts(comparison.results, best):
        console.print(line, highlight=False)
    console.print(_how(comparison, spec, settings), style="dim", highlight=False)


def _fitting(rows: list[list[str]], width: int) -> int:
    """How many columns fit beside one another."""
    widths = [max(len(row[k]) for row in rows) + 3 for k in range(len(rows[0]))]
    return max(3, sum(sum(widths[: k + 1]) <= width for k in range(len(widths))))


def _how(comparison: Comparison, spec: MarketSpec, settings: Evaluation) -> str:
    episodes = len(comparison.results[0].profit)
    valued = f", stock valued at {settings.salvage:g} x unit cost" if spec.stocked else ""
    return (
        f"{episodes} episodes of {spec.horizon} {spec.period}s, the first {settings.warm_up} skipped{valued}; 95 % "
        "intervals; the same customers for every row.\n"
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
