"""The terminal's view of cross-play between training seeds."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.table import Table

from market.state import Floats
from policies.studies.multi_seed.cross_play import CrossPlay, gap


def print_cross_play(found: CrossPlay, period: str, console: Console) -> None:
    """A matrix a seat, and what the learned sellers lose among strangers."""
    console.print(
        f"\nCross-play: the row's seed has the seat, the column's seed all others; profit a {period}, and below it the "
        f"market's profit gain; latest policies, {found.episodes:,} episodes, the same customers for all.\n",
        highlight=False,
    )
    for seat, profit in found.profit.items():
        console.print(_matrix(seat, found, profit, found.delta[seat]))
        console.print(_words(seat, profit, period), highlight=False, markup=False, soft_wrap=True)
        console.print()
    if np.isfinite(found.mean_delta).all():
        console.print(_gain_words(found.mean_delta) + "\n", highlight=False, markup=False, soft_wrap=True)


def _matrix(seat: str, found: CrossPlay, profit: Floats, delta: Floats) -> Table:
    table = Table(box=None, header_style="", title=None)
    table.add_column(seat)
    for seed in found.seeds:
        table.add_column(f"others {seed}", justify="right")
    for k, seed in enumerate(found.seeds):
        cells = [f"{value:.3f}" for value in profit[k]]
        table.add_row(f"seed {seed}", *(f"[bold]{cell}[/]" if b == k else cell for b, cell in enumerate(cells)))
        table.add_row("", *(f"{value:.2f}" if np.isfinite(value) else "-" for value in delta[k]))
    return table


def _words(seat: str, profit: Floats, period: str) -> str:
    interval, own = gap(profit), np.eye(len(profit), dtype=bool)
    together, apart = profit[own].mean(), profit[~own].mean()
    text = f"{seat} earns {together:.3f} a {period} with those it learned with, {apart:.3f} with strangers: "
    text += f"{interval.value:+.3f}"
    if not np.isfinite(interval.low):
        return f"{text} (an interval needs three seeds)."
    verdict = {1: "it earns less with strangers", -1: "it earns more with strangers", 0: "no difference can be told"}
    return f"{text} [{interval.low:+.3f}, {interval.high:+.3f}]: {verdict[interval.sign]}."


def _gain_words(delta: Floats) -> str:
    interval = gap(delta)
    ends = f" [{interval.low:+.2f}, {interval.high:+.2f}]" if np.isfinite(interval.low) else ""
    own = np.eye(len(delta), dtype=bool)
    return (
        f"The market's profit gain is {delta[own].mean():.2f} among those who learned together, "
        f"{delta[~own].mean():.2f} with one stranger: {interval.value:+.2f}{ends}."
    )
