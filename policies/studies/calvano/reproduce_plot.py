"""The picture of `bazaar reproduce`: mean prices after a deviation, one panel for each kind of sellers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from market.demand.equilibrium import Logit, monopoly_prices, nash_prices
from market.simulation.render import COLOURS, DOTS_PER_INCH, FRAME, INK
from market.state import Floats
from market.theory.price_game import PriceGame
from policies.studies.calvano.findings import Finding, path_figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 2


def draw_impulse(findings: Sequence[Finding], game: PriceGame) -> Figure:
    """Mean prices of the deviator and of its rivals with 95 % bands over sessions, between the reference prices.

    Args:
        findings: at least one.
        game: their market.

    Returns:
        A figure that belongs to no window.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(findings))
    rows = -(-len(findings) // columns)
    size = (5.5 * columns, 3.4 * rows + 0.8)
    figure = Figure(figsize=size, dpi=DOTS_PER_INCH, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
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
    handles, names = panels[0].get_legend_handles_labels()
    title = f"{game.spec.name}: one seller leaves its strategy in {game.spec.period} 1 for its static best response (bands: 95 %)"
    legend = figure.legend(handles, names, loc="outside upper center", ncols=len(names), frameon=False, title=title)
    legend.get_title().set(color=INK, fontweight="bold")
    return figure


def _draw(axes: Axes, finding: Finding, game: PriceGame) -> None:
    impulse, logit = finding.impulse, Logit.of(game.spec)
    for name, price in (("Nash", nash_prices(logit)), ("joint profit", monopoly_prices(logit))):
        level = float(np.mean(price))
        axes.axhline(level, color=FRAME, linewidth=1, linestyle=":")
        axes.annotate(name, (1, level), xycoords=("axes fraction", "data"), ha="right", va="bottom", color=INK, size=8)
    for k, (name, path) in enumerate((("deviator", impulse.deviator), ("rivals", impulse.rivals))):
        _line(axes, path, COLOURS[k], name, "o" if k == 0 else "s")
    unit = f"{finding.sessions} {finding.subject.unit}" + ("s" if finding.sessions > 1 else " only")
    axes.set_title(f"{finding.subject.name}, {unit}", loc="left", fontsize=11, fontweight="bold", color=INK)
    axes.grid(True, axis="y", color=FRAME, linewidth=0.6, alpha=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FRAME)
    axes.tick_params(colors=INK)


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
