"""Comparisons as tables: on the terminal, and as plain rows for JSON and CSV."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from market.spec import MarketSpec
from policies.config import Evaluation
from policies.evaluation import Comparison, Result, best_fixed, difference, interval, precise

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
        row |= {"judged": result.subject, "episodes": len(result.profit), "profit": result.mean}
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
    return max(3, sum(sum(widths[: k + 1]) + 1 <= width for k in range(len(widths))))


def _how(comparison: Comparison, spec: MarketSpec, settings: Evaluation) -> str:
    episodes = len(comparison.results[0].profit)
    played = f"{episodes} episodes" if episodes > 1 else "1 episode (too few for intervals)"
    valued = f", stock valued at {settings.salvage:g} x unit cost" if spec.stocked else ""
    skipped = f", the first {settings.warm_up} skipped" if settings.warm_up else ""
    short = "" if episodes == 1 or precise(comparison.results, settings.precision) else _imprecise(settings)
    return (
        f"{played} of {spec.horizon} {spec.period}s{skipped}{valued}; 95 % "
        f"intervals; the same customers for every row.{short}\n"
    )


def _imprecise(settings: Evaluation) -> str:
    return (
        f" Not as precise as asked: an interval of the difference is wider than {settings.precision:.2%} of the best "
        "fixed competitor's profit (evaluation.precision); more episodes narrow it."
    )


def _cells(result: Result, best: Result | None) -> list[str]:
    summary = result.summary()
    gap = "-" if best is None or result is best else _relative(result, best)
    cells = [result.policy, _plus_minus("{:.4g}", result.mean, "{:.2g}", interval(result.profit)), gap]
    return cells + [_format(form, summary[key]) for key, (_, form) in SHOWN.items() if key in summary]


def _relative(result: Result, best: Result) -> str:
    """The paired difference as a share of the best fixed competitor's profit, or as money where that is nothing."""
    mean, half = difference(result, best)
    scale = abs(best.mean)
    if scale == 0:
        return _plus_minus("{:+.4g}", mean, "{:.2g}", half)
    return _plus_minus("{:+.2%}", mean / scale, "{:.2%}", half / scale)


def _plus_minus(form: str, mean: float, half_form: str, half: float) -> str:
    return form.format(mean) + (f" ± {half_form.format(half)}" if np.isfinite(half) else "")


def _format(form: str, value: float) -> str:
    return form.format(value) if np.isfinite(value) else "-"


def verdicts(results: list[Result], best: Result | None) -> list[str]:
    """A sentence for every subject: whether it earns more than the best fixed competitor, and by how much."""
    if best is None:
        return ["No fixed competitor was tried in this seat."]
    lines = []
    for result in (r for r in results if r.subject):
        mean, half = difference(result, best)
        word = "earns more than" if mean > half else "earns less than" if mean < -half else "cannot be told from"
        lines.append(f"{result.policy} {word} the best fixed competitor, {best.policy}: {_relative(result, best)}.")
    return lines
