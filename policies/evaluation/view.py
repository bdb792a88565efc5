"""Comparisons as tables: on the terminal, and as plain rows for JSON and CSV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from market.spec.models import MarketSpec
from policies.common.files import jsonable
from policies.config.run import Evaluation
from policies.evaluation.compare import Comparison, Result, Standing, precise
from policies.evaluation.statistics import Interval

SHOWN = {
    "price": ("price", "{:.3f}"),
    "market_share": ("share", "{:.1%}"),
    "fill_rate": ("fill", "{:.1%}"),
    "stockout_rate": ("stockout", "{:.1%}"),
    "inventory_turnover": ("turnover", "{:.2f}"),
    "conditional_value_at_risk": ("CVaR {level}", "{:.4g}"),
    "maximum_drawdown": ("drawdown", "{:.4g}"),
}
FIRST = 3  # columns that are shown in any case: the name, its profit and the difference


def comparison_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """One plain row per candidate with every measure; NaN becomes None."""
    best = comparison.best.policy if comparison.best else None
    rows = []
    for result in sorted(comparison.results, key=lambda r: -r.mean):
        standing = comparison.standings[result.policy]
        row: dict[str, Any] = {"table": "comparison", "seat": comparison.seat, "line_up": comparison.line_up}
        row |= {"policy": result.policy, "judged": result.subject, "episodes": len(result.profit)}
        row |= interval_cells("profit", standing.profit) | interval_cells("difference", standing.gap)
        row |= {"best_fixed": best, "probability_of_improvement": standing.better}
        if comparison.sellers > 1:
            row["profit_gain"] = standing.gain
        if comparison.changed:
            row["changed"] = "; ".join(comparison.changed)
        rows.append(jsonable(row | result.summary()))
    return rows


def interval_cells(name: str, interval: Interval | None) -> dict[str, float]:
    """An estimate's entries in a row: the value, half the width of its interval, and the ends."""
    known = interval or Interval(np.nan, np.nan, np.nan)
    ends = {f"{name}_half_width": known.half, f"{name}_low": known.low, f"{name}_high": known.high}
    return {name: known.value} | ends


def print_comparison(comparison: Comparison, spec: MarketSpec, settings: Evaluation, console: Console) -> None:
    """The table of one seat against one line-up, best first, and in words what it says of the subjects.

    Columns that a narrow terminal has no room for are left out from the right.
    """
    ranked = sorted(comparison.results, key=lambda r: -r.mean)
    shown = {key: about for key, about in SHOWN.items() if key in ranked[0].summary()}
    heads = ["", f"profit a {spec.period}", "to best fixed"] + (["profit gain"] if comparison.sellers > 1 else [])
    heads += [head.format(level=percent(settings.risk_level)) for head, _ in shown.values()]
    cells = [_cells(comparison, result, shown) for result in ranked]
    print_table(title(comparison), heads, cells, [result.subject for result in ranked], console)
    for line in verdicts(comparison):
        console.print(line, highlight=False)
    console.print(_how(comparison, spec, settings), style="dim", highlight=False)


def title(comparison: Comparison) -> str:
    """Who is judged, against whom, and whether in a market that it did not learn in."""
    against = f" against {comparison.line_up}" if comparison.sellers > 1 else ""
    changed = ", in a market that differs from training" if comparison.changed else ""
    return f"{comparison.seat}{against}{changed}"


def print_table(
    name: str, heads: Sequence[str], cells: Sequence[Sequence[str]], marked: Sequence[bool], console: Console
) -> None:
    """Rows of text under heads, subjects marked, as many columns as there is room for."""
    fitting = _fitting([heads, *cells], console.width)
    table = Table(title=name, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    for k, head in enumerate(heads[:fitting]):
        table.add_column(head, justify="right" if k else "left", no_wrap=True)
    for row, subject in zip(cells, marked, strict=True):
        table.add_row(*row[:fitting], style="bold cyan" if subject else "")
    console.print(table)


def _fitting(rows: Sequence[Sequence[str]], width: int) -> int:
    """How many columns fit beside one another."""
    widths = [max(len(row[k]) for row in rows) + 3 for k in range(len(rows[0]))]
    return max(FIRST, sum(sum(widths[: k + 1]) + 1 <= width for k in range(len(widths))))


def _how(comparison: Comparison, spec: MarketSpec, settings: Evaluation) -> str:
    episodes = len(comparison.results[0].profit)
    short = "" if episodes == 1 or precise(comparison.results, settings.precision) else _imprecise(settings)
    intervals = "" if episodes == 1 else "; 95 % intervals (± half their width), by bootstrap over episodes"
    lines = [f"{played(episodes, spec, settings)}{intervals}; the same customers for every row.{short}"]
    if comparison.sellers > 1:
        lines.append(_what_gain_is(comparison, spec))
    if comparison.changed:
        lines.append(f"Changed since training: {'; '.join(comparison.changed)}.")
    return "\n".join(lines) + "\n"


def played(episodes: int, spec: MarketSpec, settings: Evaluation) -> str:
    """How many episodes of what length, and how profit was counted."""
    number = f"{episodes} episodes" if episodes > 1 else "1 episode (too few for intervals)"
    valued = f", stock valued at {settings.salvage:g} x unit cost" if spec.stocked else ""
    skipped = f", the first {settings.warm_up} skipped" if settings.warm_up else ""
    return f"{number} of {spec.horizon} {spec.period}s{skipped}{valued}"


def _what_gain_is(comparison: Comparison, spec: MarketSpec) -> str:
    if comparison.ends is None:
        return f"No profit gain: {comparison.no_gain}."
    low, high = (end.mean(axis=0).sum() for end in comparison.ends.both)
    return (
        f"Profit gain: of all sellers together, 0 where all post Nash prices ({low:.4g} a {spec.period}), 1 where all "
        f"post joint-profit prices ({high:.4g})."
    )


def _imprecise(settings: Evaluation) -> str:
    return (
        f" Not as precise as asked: an interval of the difference is wider than {settings.precision:.2%} of the best "
        "fixed competitor's profit (evaluation.precision); more episodes narrow it."
    )


def _cells(comparison: Comparison, result: Result, shown: dict[str, tuple[str, str]]) -> list[str]:
    summary, standing = result.summary(), comparison.standings[result.policy]
    cells = [result.policy, plus_minus("{:.4g}", standing.profit, "{:.2g}"), _gap(comparison, result, standing)]
    cells += [gain_text(standing.gain)] if comparison.sellers > 1 else []
    return cells + [number(form, summary[key]) for key, (_, form) in shown.items()]


def _gap(comparison: Comparison, result: Result, standing: Standing) -> str:
    best = comparison.best
    return "-" if best is None or result is best or standing.gap is None else relative(standing.gap, best.mean)


def relative(gap: Interval, profit: float) -> str:
    """A difference with its interval as a share of a profit, or as money where that is nothing."""
    if profit == 0:
        return plus_minus("{:+.4g}", gap, "{:.2g}")
    return plus_minus("{:+.2%}", gap.scaled(abs(profit)), "{:.2%}")


def in_brackets(gap: Interval, profit: float) -> str:
    """The same with the ends of the interval in brackets."""
    form, shown = ("{:+.4g}", gap) if profit == 0 else ("{:+.2%}", gap.scaled(abs(profit)))
    ends = f" [{form.format(shown.low)}, {form.format(shown.high)}]" if np.isfinite(shown.half) else ""
    return form.format(shown.value) + ends


def plus_minus(form: str, value: Interval, half_form: str) -> str:
    """The estimate ± half the width of its interval, where it has one."""
    half = f" ± {half_form.format(value.half)}" if np.isfinite(value.half) else ""
    return form.format(value.value) + half


def number(form: str, value: float) -> str:
    """A number, or a dash where there is none."""
    return form.format(value) if np.isfinite(value) else "-"


def gain_text(gain: float) -> str:
    """A profit gain; without the sign that rounding would leave before a zero."""
    return number("{:.2f}", round(gain, 2) + 0.0)


def percent(share: float) -> str:
    """0.05 as 5%, 0.025 as 2.5%."""
    return f"{100 * share:.3g}%"


def verdicts(comparison: Comparison) -> list[str]:
    """A sentence for every subject: whether it earns more than the best fixed competitor, how much and how often."""
    best = comparison.best
    if best is None:
        return ["No fixed competitor was tried in this seat."]
    lines = []
    for result in (r for r in comparison.results if r.subject):
        standing = comparison.standings[result.policy]
        assert standing.gap is not None
        often = f", better in {standing.better:.0%} of episodes" if len(result.profit) > 1 else ""
        amount = in_brackets(standing.gap, best.mean)
        lines.append(f"{result.policy} {word(standing.gap)} the best fixed competitor, {best.policy}: {amount}{often}.")
    return lines


def word(gap: Interval) -> str:
    """What an interval of a difference says."""
    return {1: "earns more than", -1: "earns less than", 0: "cannot be told from"}[gap.sign]
