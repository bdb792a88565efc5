"""Forecasts on the terminal: units ahead with their intervals, the backtest that chose the models, and what it says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from market.forecast.backtest import AVERAGE, NAIVE, REFERENCES, SAME, SEASONAL_NAIVE, Backtest, Score
from market.forecast.series import driven
from policies.sales.forecast_charts import percent
from policies.views.table import fitting, groups, width

if TYPE_CHECKING:
    from policies.sales.forecast import Forecasts


MOST = 12  # series that tables are printed of
HEADS = ("", "model", "MASE", "", "in interval", "bias", "best fold", "worst fold")  # of the backtest
WORDS = (0, 1, 3)  # those that hold no numbers
LEAST = 4  # those that are shown however narrow the terminal


def print_forecasts(result: Forecasts, console: Console) -> None:
    """What they do not know, the forecasts, what they are worth, and the backtest; of many series the first, as is said."""
    shown = result.outlooks[:MOST]
    _say(console, unknown(result))
    _print_ahead(result, shown, console)
    for one in shown:
        _say(console, verdict(one))
    _print_backtest(result, shown, console)
    if len(shown) < len(result.outlooks):
        more = len(result.outlooks) - len(shown)
        _say(console, f"And {more} more series, which are not shown here: --csv and --json write all.")
    for warning in result.warnings[:MOST]:
        _say(console, f"Warning: {warning}.", "yellow")
    if len(result.warnings) > MOST:
        _say(console, f"Warning: and {len(result.warnings) - MOST} more, which --json writes.", "yellow")
    for line in how(result):
        _say(console, line, "dim")


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(text, highlight=False, markup=False, style=style)


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))


def _print_ahead(result: Forecasts, shown: Sequence[Backtest], console: Console) -> None:
    """One row a period, one column a series; in as many tables as the terminal's width takes."""
    periods, *columns = ahead_columns(result, shown)
    for group in groups(columns, console.width - width(periods)):
        table = _table(f"Units ahead: mean and {percent(result.plan.level)} interval")
        some = [periods, *(columns[c] for c in group)]
        for k, column in enumerate(some):
            table.add_column(column[0], justify="right" if k else "left", no_wrap=True)
        for row in zip(*(column[1:] for column in some), strict=True):
            table.add_row(*row)
        console.print(table)


def ahead_columns(result: Forecasts, shown: Sequence[Backtest]) -> list[list[str]]:
    """The periods ahead and a column for each series, their names first (1 + H,)."""
    return [[result.step, *result.ahead], *([one.series.name, *_cells(one)] for one in shown)]


def _cells(one: Backtest) -> list[str]:
    rows = zip(one.forecast.mean, one.forecast.low, one.forecast.high, strict=True)
    texts = [[amount(value) for value in row] for row in rows]
    widths = [max(len(row[k]) for row in texts) for k in range(3)]
    return [f"{m:>{widths[0]}} [{low:>{widths[1]}}, {high:>{widths[2]}}]" for m, low, high in texts]


def amount(units: float) -> str:
    """Units as people write them: whole from 100 on, four digits below."""
    return f"{units:,.0f}" if units >= 100 else f"{units:.4g}"


# ------------------------------------------------------------------------------------------------ backtest


def _print_backtest(result: Forecasts, shown: Sequence[Backtest], console: Console) -> None:
    """One row a model, as many columns as there is room for."""
    plan = result.plan
    rows = [backtest_rows(one) for one in shown]
    columns = [list(column) for column in zip(HEADS, *(row for part in rows for row in part), strict=True)]
    kept = fitting(columns, console.width, LEAST)
    folds = f"{plan.folds} fold{'s' if plan.folds > 1 else ''} of {plan.horizon} {result.unit}"
    table = _table(f"Backtest: {folds}, refitted before each; {percent(plan.level)} intervals")
    for k, head in enumerate(HEADS[:kept]):
        table.add_column(head, justify="left" if k in WORDS else "right", no_wrap=True)
    for one, part in zip(shown, rows, strict=True):
        table.add_section()
        for row, score in zip(part, one.scores, strict=True):
            table.add_row(*row[:kept], style="bold cyan" if score is one.chosen else "")
    console.print(table)


def backtest_rows(one: Backtest) -> list[list[str]]:
    """One row a model, its cells under :data:`HEADS`; the series is named in the first."""
    return [
        [one.series.name if k == 0 else "", *_figures(score, score is one.chosen)] for k, score in enumerate(one.scores)
    ]


def _figures(score: Score, chosen: bool) -> list[str]:
    folds = [fold.mase for fold in score.folds]
    bias = "-" if score.bias is None else f"{score.bias:+.1%}"
    figures = [f"{score.mase:.3f}", "chosen" if chosen else "", f"{score.coverage:.1%}", bias]
    return [score.model, *figures, f"{min(folds):.3f}", f"{max(folds):.3f}"]


def unknown(result: Forecasts) -> str:
    """What the forecasts are made without, which comes before any figure."""
    drives = driven(result.sales)
    more = f": {drives}, and promotions drive such sales" if drives else ""
    return f"Prices and promotions to come are not used{more}."


def verdict(one: Backtest) -> str:
    """What choosing a model was worth in folds that did not choose it; then the chosen model, and what it is worth.

    In this order since the chosen model's own figure is the best of several.
    """
    text = f"{_late(one)}{_chosen(one)}"
    return f"{one.series.name}: {text[0].lower()}{text[1:]}."


def _chosen(one: Backtest) -> str:
    chosen, many = one.chosen, len(one.chosen.folds)
    if chosen.model in REFERENCES:
        folds = f"Over all {many} folds" if many > 1 else "In the one fold"
        return f"{folds} no model does better than {_NAMES[chosen.model]}, which is what is forecast with"
    folds = f"Over the {many} folds that chose it" if many > 1 else "In the fold that chose it"
    others = [_compared(chosen, score) for score in one.scores if score.model in REFERENCES]
    name = _NAMES.get(chosen.model, chosen.model)
    return f"{folds}, which is optimistic, {name} has {' and '.join(others)}"


def _late(one: Backtest) -> str:
    """What choosing was worth in folds that did not choose."""
    unseen, naive, count = one.unseen, one.late_mase(NAIVE), len(one.late)
    if unseen is None or naive is None:
        return ""
    folds = "the last fold, its" if count == 1 else f"the last {count} folds, each one's"
    word = "as good as" if abs(unseen - naive) <= SAME else "better than" if unseen < naive else "worse than"
    return f"In {folds} model chosen by earlier folds alone: MASE {unseen:.3f}, {word} naive ({naive:.3f}). "


_NAMES = {
    NAIVE: "the naive forecast",
    SEASONAL_NAIVE: "the seasonal naive forecast",
    AVERAGE: "HistoricAverage (the mean of all periods)",
}


def _compared(chosen: Score, other: Score) -> str:
    if not np.isfinite(other.mase) or other.mase <= 0:
        return f"less error than {_NAMES[other.model]}"
    return f"{1 - chosen.mase / other.mase:.0%} less error than {_NAMES[other.model]}"


def how(result: Forecasts) -> Iterator[str]:
    """How to read the figures."""
    plan = result.plan
    lag = "seasonal naive" if plan.season > 1 else "naive"
    yield (
        f"MASE: mean absolute error over that of the {lag} forecast one step ahead inside each training window "
        "(Hyndman & Koehler 2006). Share of periods inside the interval: of "
        f"{plan.folds * plan.horizon} a series. Bias: forecast minus sales, as a share of sales."
    )
    yield (
        "The chosen model is the best of several in these very folds, so that its MASE is somewhat optimistic; the "
        "one with models chosen by earlier folds alone is not."
    )
    same = "; without one the seasonal naive forecast is the naive one" if plan.season == 1 else ""
    yield f"Season: {result.season}{same}."
    yield "Intervals end at 0 where they would go below."
