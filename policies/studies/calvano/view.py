"""What `bazaar reproduce` shows: tables of profit gains beside what is known of them and of the course after a deviation,
and a picture of mean prices after it, one panel for each kind of sellers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from market.demand.equilibrium import prices_in_range
from market.simulation.render import COLOURS, FRAME, INK, dress_axes, legend_above, new_figure
from market.state import Floats
from market.theory.price_game import PriceGame
from policies.studies.calvano.findings import Finding, one_period_equilibria, path_figures
from policies.views.page import told
from policies.views.table import Cell, Cells, Column, Note, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


SHOWN_PERIODS = (0, 1, 2, 5, 10, 15)
COLUMNS = 2  # of panels
LEAST = 3  # columns that a narrow terminal shows too
BARS = "▁▂▃▄▅▆▇█"


def tables(findings: Sequence[Finding], game: PriceGame) -> list[Table]:
    """Both tables and what must be said beside them; nothing when nothing was found."""
    return [_gains(findings, game), _courses(findings)] if findings else []


def _gains(findings: Sequence[Finding], game: PriceGame) -> Table:
    title = f"{game.spec.name}: profit gain Δ in the long run (0 Bertrand-Nash, 1 joint profit), 95 % intervals"
    gain, words = "{:.3f}", ("Δ", "expected", "single ones", "re-matched Δ", "expected")
    columns = [Column("sellers"), Column("of", align="left"), *(Column(word, gain) for word in words)]
    columns += [Column("price", "{:.3f}", important=True), Column("profit", "{:.4f}", important=True)]
    rows = []
    for one in findings:
        span = f"{one.gain.min():.2f} to {one.gain.max():.2f}" if one.sessions > 1 else "only one"
        cells: list[Cells] = [one.contender.name, _of(one), Cell(float(one.gain.mean()), one.gain_half)]
        cells += [one.contender.expected or None, span, Cell(one.rematched, one.rematched_half)]
        cells += [one.contender.expected_rematched or None, float(one.price.mean()), float(one.profit.mean())]
        rows.append(cells)
    equilibria = game.gain(game.payoff[one_period_equilibria(game)])
    said = told("calvano.txt", "gains", findings=findings, equilibria=equilibria)
    return Table(title, columns, rows, [Note(text, "note") for text in said], least=LEAST)


def _of(finding: Finding) -> str:
    return f"{finding.sessions} {finding.contender.unit}{'s' if finding.sessions > 1 else ''}"


def _courses(findings: Sequence[Finding]) -> Table:
    title = "Impulse response: one seller posts its static best response in period 1, then all follow their strategies"
    last = findings[0].impulse.deviator.shape[1] - 1
    shown = [k for k in SHOWN_PERIODS if k <= last]
    columns = [Column("sellers"), Column("mean price", align="left")]
    columns += [Column(f"{k}" if k else "before", "{:.3f}") for k in shown]
    columns += [Column(f"course 0 to {last}"), Column("returned", "{:.0%}"), Column("pays", "{:.0%}", important=True)]
    rows = [row for one in findings for row in _course(one, shown)]
    notes = [Note(text, "note") for text in told("calvano.txt", "courses", findings=findings, last=last)]
    return Table(title, [*columns, Column("worth", "{:+.1%}")], rows, notes, least=LEAST)


def _course(finding: Finding, shown: list[int]) -> tuple[list[Cells], list[Cells]]:
    """The rows of the deviator and of its rivals."""
    impulse = finding.impulse
    paths = impulse.deviator.mean(axis=0), impulse.rivals.mean(axis=0)
    low, high = min(p.min() for p in paths), max(p.max() for p in paths)
    rows: list[list[Cells]] = [[*map(float, path[shown]), sparkline(path, low, high)] for path in paths]
    shares = (float(values.mean()) for values in (impulse.returned, impulse.pays, impulse.worth))
    return [finding.contender.name, "deviator", *rows[0], *shares], [_of(finding), "rivals", *rows[1], "", "", ""]


def sparkline(values: Floats, low: float, high: float) -> str:
    """One bar a value, lowest at ``low`` and highest at ``high``: 0, 1, 2 between 0 and 2 is ▁▅█."""
    share = (values - low) / (high - low) if high > low else np.full(len(values), 0.5)
    return "".join(BARS[int(x)] for x in np.minimum(share * len(BARS), len(BARS) - 1))


def draw_impulse(findings: Sequence[Finding], game: PriceGame) -> Figure:
    """Mean prices of the deviator and of its rivals with 95 % bands over sessions, between the reference prices.

    Args:
        findings: at least one.
        game: their market.

    Returns:
        A figure that belongs to no window.
    """
    columns = min(COLUMNS, len(findings))
    rows = -(-len(findings) // columns)
    figure = new_figure(5.5 * columns, 3.4 * rows + 0.8)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flatten()
    for axes, finding in zip(panels, findings, strict=False):
        _draw(axes, finding, game)
    for axes in panels[: len(findings) : columns]:
        axes.set_ylabel("mean price, money per unit", color=INK)
    for axes in panels[len(findings) :]:
        axes.set_visible(False)
    for axes in panels[max(0, len(findings) - columns) : len(findings)]:
        axes.set_xlabel(f"{game.spec.period} (0: before the deviation)", color=INK)
        axes.tick_params(labelbottom=True)
    left = f"one seller leaves its strategy in {game.spec.period} 1 for its static best response (bands: 95 %)"
    legend_above(figure, panels[0], f"{game.spec.name}: {left}")
    return figure


def _draw(axes: Axes, finding: Finding, game: PriceGame) -> None:
    impulse = finding.impulse
    for name, price in (("Nash", prices_in_range(game.spec)), ("joint profit", prices_in_range(game.spec, joint=True))):
        level = float(np.mean(price))
        axes.axhline(level, color=FRAME, linewidth=1, linestyle=":")
        axes.annotate(name, (1, level), xycoords=("axes fraction", "data"), ha="right", va="bottom", color=INK, size=8)
    for k, (name, path) in enumerate((("deviator", impulse.deviator), ("rivals", impulse.rivals))):
        _line(axes, path, COLOURS[k], name, "o" if k == 0 else "s")
    unit = f"{finding.sessions} {finding.contender.unit}" + ("s" if finding.sessions > 1 else " only")
    dress_axes(axes, f"{finding.contender.name}, {unit}")


def _line(axes: Axes, path: Floats, colour: str, name: str, marker: str) -> None:
    mean, half = path_figures(path)
    periods = np.arange(len(mean))
    if np.isfinite(half).all():
        axes.fill_between(periods, mean - half, mean + half, color=colour, alpha=0.15, linewidth=0)
    style = "-" if marker == "o" else "--"
    axes.plot(periods, mean, color=colour, linewidth=1.6, linestyle=style, marker=marker, markersize=3.5, label=name)


def save_impulse(findings: Sequence[Finding], game: PriceGame, path: Path) -> None:
    """Write the picture as PNG."""
    draw_impulse(findings, game).savefig(path)
