"""The forecast as PNG: one panel a series, the last part of its history, and what is ahead with its interval."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from market.simulation.render import COLOURS, DOTS_PER_INCH, FRAME, INK
from market.state import Floats
from policies.common import files as disk
from policies.sales.forecast_panels import HUES, KEY, Panel, heading, panels_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from policies.sales.forecast import Forecasts

COLUMNS = 2


def draw(result: Forecasts) -> Figure:
    """The panels, two beside one another; the figure belongs to no window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = panels_of(result)
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    size = (5.5 * columns if columns > 1 else 9.0, 2.8 * rows + 0.8)
    figure = Figure(figsize=size, dpi=DOTS_PER_INCH, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    every = figure.subplots(rows, columns, squeeze=False).flatten()
    for k, (axes, panel) in enumerate(zip(every, panels, strict=False)):
        _draw(axes, panel, COLOURS[k % HUES])
    for axes in every[len(panels) :]:
        axes.set_visible(False)
    figure.suptitle(heading(result), x=0.01, ha="left", color=INK, fontweight="bold", fontsize=12)
    figure.supxlabel(KEY, x=0.01, ha="left", color=INK, fontsize=9)
    return figure


def _draw(axes: Axes, panel: Panel, colour: str) -> None:
    ahead, forecast = panel.ahead, panel.outlook.forecast
    axes.plot(panel.past, panel.units, color=INK, linewidth=1.3)
    for periods, mean in panel.tried:
        axes.plot(periods, mean, color=colour, linewidth=1.2, linestyle="--", marker=_dot(mean), markersize=3)
    if len(ahead) > 1:
        axes.fill_between(ahead, forecast.low, forecast.high, color=colour, alpha=0.2, linewidth=0)
    else:
        axes.vlines(ahead, forecast.low, forecast.high, color=colour, alpha=0.3, linewidth=6)
    axes.plot(ahead, forecast.mean, color=colour, linewidth=2, marker="o", markersize=3)
    axes.set_title(panel.title, loc="left", fontsize=10.5, fontweight="bold", color=INK)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter("{x:,.0f}" if max(panel.units.max(), forecast.high.max()) >= 10 else "{x:g}")
    _plain_dates(axes, panel)
    axes.grid(True, axis="y", color=FRAME, linewidth=0.6, alpha=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FRAME)
    axes.tick_params(colors=INK, labelsize=9)


def _dot(mean: Floats) -> str:
    """A fold of one period is a dot, since there is no line."""
    return "o" if len(mean) == 1 else ""


def _plain_dates(axes: Axes, panel: Panel) -> None:
    from matplotlib import dates, ticker

    if isinstance(panel.past[0], int):
        axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        axes.set_xlabel("period", color=INK, fontsize=9)
        return
    places = dates.AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(places)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(places))  # type: ignore[no-untyped-call]


def write_png(result: Forecasts, path: Path) -> None:
    """Write the picture."""
    content = io.BytesIO()
    draw(result).savefig(content, format="png")
    disk.replace(path, content.getvalue())
