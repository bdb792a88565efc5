"""Cross-play between training seeds as tables, and in words what the learned sellers lose among strangers."""

from __future__ import annotations

import numpy as np

from market.state import Floats
from policies.evaluation.statistics import diagonal_gap
from policies.studies.multi_seed.cross_play import CrossPlay
from policies.views.table import Cell, Column, Note, Row, Table


def tables(found: CrossPlay, period: str) -> list[Table]:
    """A matrix a seat, between what it shows and what it says of the market."""
    about = (
        f"\nCross-play: the row's seed has the seat, the column's seed all others; profit a {period}, and below it the "
        f"market's profit gain; latest policies, {found.episodes:,} episodes, the same customers for all.\n"
    )
    end = [Note(_gain_words(found.mean_delta) + "\n")] if np.isfinite(found.mean_delta).all() else []
    seats = [_matrix(seat, found, period) for seat in found.profit]
    return [Table("", (), (), [Note(about)]), *seats, Table("", (), (), end)]


def _matrix(seat: str, found: CrossPlay, period: str) -> Table:
    columns = [Column(seat), *(Column(f"others {seed}", "{:.3f}") for seed in found.seeds)]
    rows = []
    for k, (seed, profit, delta) in enumerate(zip(found.seeds, found.profit[seat], found.delta[seat], strict=True)):
        own = [Cell(float(value), best=other == k) for other, value in enumerate(profit)]
        rows += [Row([f"seed {seed}", *own]), Row(["", *(Cell(float(value), form="{:.2f}") for value in delta)])]
    return Table("", columns, rows, [Note(_words(seat, found.profit[seat], period) + "\n")], narrow="split")


def _words(seat: str, profit: Floats, period: str) -> str:
    interval, own = diagonal_gap(profit), np.eye(len(profit), dtype=bool)
    together, apart = profit[own].mean(), profit[~own].mean()
    text = f"{seat} earns {together:.3f} a {period} with those it learned with, {apart:.3f} with strangers: "
    text += f"{interval.value:+.3f}"
    if not np.isfinite(interval.low):
        return f"{text} (an interval needs three seeds)."
    verdict = {1: "it earns less with strangers", -1: "it earns more with strangers", 0: "no difference can be told"}
    return f"{text} [{interval.low:+.3f}, {interval.high:+.3f}]: {verdict[interval.sign]}."


def _gain_words(delta: Floats) -> str:
    interval = diagonal_gap(delta)
    ends = f" [{interval.low:+.2f}, {interval.high:+.2f}]" if np.isfinite(interval.low) else ""
    own = np.eye(len(delta), dtype=bool)
    return (
        f"The market's profit gain is {delta[own].mean():.2f} among those who learned together, "
        f"{delta[~own].mean():.2f} with one stranger: {interval.value:+.2f}{ends}."
    )
