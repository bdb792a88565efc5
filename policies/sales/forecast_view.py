"""Forecasts as tables: units ahead with their intervals, the backtest that chose the models, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from market.forecast.backtest import AVERAGE, NAIVE, REFERENCES, SAME, SEASONAL_NAIVE, Backtest, ModelScore
from market.forecast.series import driven
from policies.views.format import percent, units
from policies.views.page import told
from policies.views.table import Cells, Column, Note, Row, Table

if TYPE_CHECKING:
    from policies.sales.forecast import Forecasts


MOST = 12  # series that tables are printed of
LEAST = 4  # columns that are shown however narrow the terminal


def tables(result: Forecasts) -> list[Table]:
    """What they do not know, the forecasts, what they are worth, and the backtest; of many series the first, as is said."""
    shown = result.outlooks[:MOST]
    notes, more = [], len(result.outlooks) - len(shown)
    if more:
        notes.append(Note(f"And {more} more series, which are not shown here: --csv and --json write all."))
    notes += [Note(f"Warning: {warning}.", "missing") for warning in result.warnings[:MOST]]
    if len(result.warnings) > MOST:
        notes.append(Note(f"Warning: and {len(result.warnings) - MOST} more, which --json writes.", "missing"))
    notes += [Note(line, "note") for line in how(result)]
    worth = Table("", (), (), [Note(verdict(one)) for one in shown])
    first = Table("", (), (), [Note(unknown(result))])
    return [first, ahead_table(result, shown), worth, backtest_table(result, shown), Table("", (), (), notes)]


def ahead_table(result: Forecasts, shown: Sequence[Backtest]) -> Table:
    """One row a period, one column a series; in as many tables as the terminal's width takes."""
    columns = [Column(result.step), *(Column(one.series.name) for one in shown)]
    rows = [[*row] for row in zip(result.ahead, *map(_cells, shown), strict=True)]
    about = {"chance": (1 + result.plan.level) / 2, "unit": result.unit}
    notes = [Note(line) for one in shown if one.pattern.rare for line in told("forecast.txt", "rare", one=one, **about)]
    title = f"Units ahead: mean and {percent(result.plan.level, 4)} interval"
    return Table(title, columns, rows, notes, narrow="split")


def _cells(one: Backtest) -> list[str]:
    rows = zip(one.forecast.mean, one.forecast.low, one.forecast.high, strict=True)
    texts = [[units(value) for value in row] for row in rows]
    widths = [max(len(row[k]) for row in texts) for k in range(3)]
    return [f"{m:>{widths[0]}} [{low:>{widths[1]}}, {high:>{widths[2]}}]" for m, low, high in texts]


# ------------------------------------------------------------------------------------------------ backtest


def backtest_table(result: Forecasts, shown: Sequence[Backtest]) -> Table:
    """One row a model of each series, the chosen one marked."""
    plan = result.plan
    rare = any(one.pattern.rare for one in shown)
    columns = [Column(""), Column("model", align="left"), Column("MASE", "{:.3f}")]
    columns += [*([Column("CRPS", "{:.3f}")] if rare else []), Column("", align="left")]
    columns += [Column("in interval", "{:.1%}"), Column("bias", "{:+.1%}")]
    columns += [Column("best fold", "{:.3f}"), Column("worst fold", "{:.3f}")]
    rows = [_row(one, score, rare) for one in shown for score in one.scores]
    folds = f"{plan.folds} fold{'s' if plan.folds > 1 else ''} of {plan.horizon} {result.unit}"
    title = f"Backtest: {folds}, refitted before each; {percent(plan.level, 4)} intervals"
    return Table(title, columns, rows, least=LEAST)


def _row(one: Backtest, score: ModelScore, rare: bool) -> Row:
    """The series is named in its first row."""
    folds, chosen = [fold.error for fold in score.folds], score is one.chosen
    name = one.series.name if score is one.scores[0] else ""
    crps = [score.error if score.folds[0].crps is not None else None] if rare else []
    cells: list[Cells] = [name, score.model, score.mase, *crps, "chosen" if chosen else "", score.coverage, score.bias]
    return Row([*cells, min(folds), max(folds)], "judged" if chosen else "", rule=score is one.scores[-1])


def unknown(result: Forecasts) -> str:
    """What the forecasts are made without, which comes before any figure."""
    drives = driven(result.sales)
    more = f": {drives}, and promotions drive such sales" if drives else ""
    return f"Prices and promotions to come are not used{more}."


_NAMES = {
    NAIVE: "the naive forecast",
    SEASONAL_NAIVE: "the seasonal naive forecast",
    AVERAGE: "HistoricAverage (the mean of all periods)",
}


def verdict(one: Backtest) -> str:
    """What choosing a model was worth in folds that did not choose it; then the chosen model, and what it is worth."""
    less_error = None
    if one.chosen.model not in REFERENCES:
        others = [score for score in one.scores if score.model in REFERENCES]
        less_error = {score.model: _less_error(one.chosen, score) for score in others}
    about = {"naive": one.late_error(NAIVE), "same": SAME, "known": _NAMES, "less_error": less_error}
    (text,) = told("forecast.txt", "verdict", one=one, **about)
    return text


def _less_error(chosen: ModelScore, other: ModelScore) -> float | None:
    return 1 - chosen.error / other.error if np.isfinite(other.error) and other.error > 0 else None


def how(result: Forecasts) -> list[str]:
    """How to read the figures."""
    rare = any(one.pattern.rare for one in result.outlooks)
    return told("forecast.txt", "how", plan=result.plan, season=result.season, rare=rare)
