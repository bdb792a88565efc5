"""The forecast as PNG: one panel a series, the last part of its history, and what is ahead with its interval.

The page's chart shows the same series and periods, :func:`panels_of`.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from market.forecast.backtest import Backtest
from market.simulation.render import COLOURS, INK, dress_axes, new_figure
from market.state import Floats
from policies.views.format import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from policies.sales.forecast import Forecasts


MOST = 24  # panels of a picture
LEAST_SHOWN = 26  # periods of history
HUES = len(COLOURS) - 1  # colours of forecasts: the last is black, as what was sold is
SHOWN = 4  # horizons of history, where that is more


@dataclass(frozen=True)
class Panel:
    """One series: its last periods (P,) with the units sold, and the periods ahead (H,), as dates or numbers.

    ``tried``: periods and forecasts of the chosen model's folds, as far back as the panel goes.
    """

    outlook: Backtest
    past: Sequence[Any]
    units: Floats
    ahead: Sequence[Any]
    tried: Sequence[tuple[Sequence[Any], Floats]]

    @property
    def title(self) -> str:
        """The series and its model; not the model's MASE, which chose it and so is optimistic."""
        return f"{self.outlook.series.name} ({self.outlook.chosen.model})"


def panels_of(result: Forecasts) -> list[Panel]:
    """A panel for each of the first :data:`MOST` series."""
    every = _axis(result)
    return [_panel(outlook, every, result.plan.horizon) for outlook in result.outlooks[:MOST]]


def _panel(outlook: Backtest, every: list[Any], horizon: int) -> Panel:
    series, periods = outlook.series, len(every) - horizon
    units = series.units[-max(LEAST_SHOWN, SHOWN * horizon) :]
    first = periods - len(units)
    begins = [(series.start + fold.begin, fold.forecast.mean) for fold in outlook.chosen.folds]
    tried = [(every[begin : begin + horizon], mean) for begin, mean in begins if begin >= first]
    return Panel(outlook, every[first:periods], units, every[periods:], tried)


def _axis(result: Forecasts) -> list[Any]:
    """All periods to the last ahead: numpy dates, or whole numbers."""
    labels = [*result.sales.labels, *result.ahead]
    return [int(label) if result.sales.dates is None else np.datetime64(label) for label in labels]


def heading(result: Forecasts) -> str:
    """What the pictures show, in one sentence."""
    hidden = len(result.outlooks) - MOST
    more = f"; the first {MOST} of {len(result.outlooks)} series" if hidden > 0 else ""
    interval = f"{percent(result.plan.level, 4)} interval"
    return f"Units a {result.step}, {result.plan.horizon} {result.unit} ahead with {interval}{more}"


KEY = "Black: sold. In colour: forecast and interval; dashed or dotted: what the same model forecast in the backtest."


COLUMNS = 2


def draw(result: Forecasts) -> Figure:
    """The panels, two beside one another; the figure belongs to no window."""
    panels = panels_of(result)
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(5.5 * columns if columns > 1 else 9.0, 2.8 * rows + 0.8)
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
    dress_axes(axes, panel.title, size=10.5)
    axes.tick_params(labelsize=9)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter("{x:,.0f}" if max(panel.units.max(), forecast.high.max()) >= 10 else "{x:g}")
    _plain_dates(axes, panel)


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


def png(result: Forecasts) -> bytes:
    """The picture as a file has it."""
    content = io.BytesIO()
    draw(result).savefig(content, format="png")
    return content.getvalue()
