"""Pictures of a market: a table of one period, and the course of an episode; what any picture by matplotlib looks like.

matplotlib is imported when a figure is drawn and no sooner, and never through pyplot: no window, no global state.
N sellers, T periods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from market.spec.models import MarketSpec
from market.state import Floats, Ledger, Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito (2008), told apart by colour-blind readers; yellow is left out, being too pale for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
DASHES = ("-", "--", ":", "-.")
INK, FRAME = "#333333", "#BBBBBB"
DOTS_PER_INCH = 100
LEGEND_COLUMNS = 5
MANY_PERIODS = 200


class _Column(NamedTuple):
    title: str
    unit: str
    field: str
    digits: int


_PRICE = _Column("price", "money/unit", "price", 2)
_STOCK = (_Column("on hand", "units", "on_hand", 0), _Column("ordered", "units", "ordered", 0))
_LOST = (_Column("lost", "units", "lost", 0), _Column("left", "units", "on_hand_left", 0))
_WAY = _Column("on order", "units", "on_order", 0)
_MONEY = (_Column("revenue", "money", "revenue", 2), _Column("profit", "money", "profit", 2))


def _columns(spec: MarketSpec) -> list[_Column]:
    sold = _Column("sold", "units", "sold", 0)
    columns = [_PRICE, *_STOCK, sold, *_LOST, _WAY, *_MONEY] if spec.stocked else [_PRICE, sold, *_MONEY]
    if spec.customers.mode == "sampled":
        return columns
    return [column._replace(digits=max(column.digits, 3)) for column in columns]


def ansi(spec: MarketSpec, ledger: Record, played: int) -> str:
    """A table of the last period, one row a seller.

    Args:
        spec: the market.
        ledger: (N,) records of that period.
        played: how many periods of the episode are over; 0 gives the heading alone.
    """
    heading = f"{spec.name}: {spec.period} {played} of {spec.horizon}"
    if played == 0:
        return f"{heading}, nothing sold yet"
    columns = _columns(spec)
    rows = [["seller", *(c.title for c in columns)], ["", *(c.unit for c in columns)]]
    for name, entry in zip(spec.names, ledger, strict=True):
        rows.append([name, *(f"{float(entry[c.field]):,.{c.digits}f}" for c in columns)])
    widths = [max(len(row[k]) for row in rows) for k in range(len(columns) + 1)]
    lines = [_line(row, widths) for row in rows]
    bought, size = float(ledger["sold"].sum()), float(ledger["market_size"][0])
    digits = columns[-1].digits if spec.customers.mode == "expected" else 0
    market = f"the market: {bought:,.{digits}f} units sold, {size:,.{digits}f} if every customer bought"
    rule = "-" * len(lines[0])
    return "\n".join(line.rstrip() for line in (heading, *lines[:2], rule, *lines[2:], rule, market))


def _line(cells: list[str], widths: list[int]) -> str:
    numbers = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "  ".join([cells[0].ljust(widths[0]), *numbers])


def draw_episode(spec: MarketSpec, history: Ledger) -> Figure:
    """Draw prices, stock, lost sales and cumulative profit of every seller over an episode.

    A market made to order has neither stock nor lost sales: units sold stand there.

    Args:
        spec: the market; the time axis spans its horizon, so pictures of an episode so far line up.
        history: (T, N) arrays named as the ledger's fields, or stacked (T, N) records; ``price``, ``on_hand_left``, ``lost``, ``sold`` and
            ``profit`` are read. T may be 0.

    Returns:
        A figure that belongs to no window; ``SummaryWriter.add_figure`` takes it as it is.
    """
    figure = new_figure(11, 7)
    for axes, panel in zip(figure.subplots(2, 2, sharex=True).flat, _panels(spec, history), strict=True):
        _draw_panel(axes, spec, panel)
    for axes in figure.axes[2:]:
        axes.set_xlabel(spec.period, color=INK)
    legend_above(figure, figure.axes[0], spec.name)
    return figure


class _Panel(NamedTuple):
    title: str
    unit: str
    values: Floats  # (T, N), or (T + 1, N) for a running total
    form: str  # steps: holds for its period; bars: a count that is mostly 0; line: a running total


def _panels(spec: MarketSpec, history: Ledger) -> list[_Panel]:
    units, money = f"units per {spec.period}", f"money per {spec.period}"
    price = _Panel("Price", "money per unit", history["price"], "steps")
    sums = np.concatenate([np.zeros((1, len(spec.sellers))), np.cumsum(history["profit"], axis=0)])
    total = _Panel("Cumulative profit", "money", sums, "line")
    if not spec.stocked:
        sales = _Panel("Units sold", units, history["sold"], "steps")
        return [price, sales, _Panel("Profit", money, history["profit"], "steps"), total]
    stock = _Panel("Stock left", f"units, end of {spec.period}", history["on_hand_left"], "steps")
    return [price, stock, _Panel("Lost sales", units, history["lost"], "bars"), total]


def _draw_panel(axes: Axes, spec: MarketSpec, panel: _Panel) -> None:
    length = len(panel.values)
    for seat, name in enumerate(spec.names):
        style: dict[str, Any] = {"color": COLOURS[seat % len(COLOURS)], "label": name}
        style["linestyle"] = DASHES[seat // len(COLOURS) % len(DASHES)]
        style["linewidth"] = 1.6 if length <= MANY_PERIODS else 0.9
        values = panel.values[:, seat]
        if panel.form == "line":
            axes.plot(np.arange(length), values, **style)
        elif panel.form == "steps":
            axes.stairs(values, np.arange(length + 1), baseline=None, **style)
        else:
            _draw_bars(axes, values, style)
    _dress(axes, panel)
    axes.set_xlim(0, max(spec.horizon, length - 1))


def _draw_bars(axes: Axes, values: Floats, style: dict[str, Any]) -> None:
    """Shaded blocks, none where the count is 0, so that sellers who lose nothing do not hide one another."""
    shown = np.where(values > 0, values, np.nan)
    edges = np.arange(len(values) + 1)
    axes.stairs(shown, edges, baseline=0, fill=True, color=style["color"], alpha=0.3, linewidth=0)
    axes.stairs(shown, edges, baseline=0, **{**style, "linewidth": 0.9})


def _dress(axes: Axes, panel: _Panel) -> None:
    from matplotlib.ticker import MaxNLocator

    dress_axes(axes, panel.title, up=panel.unit)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
    if panel.form == "bars":
        most = float(panel.values.max(initial=0.0))
        axes.set_ylim(0, 1.08 * most if most > 0 else 1.0)
        if most == 0:
            axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", va="center", color=INK)


def rgb_array(spec: MarketSpec, history: Ledger) -> NDArray[np.uint8]:
    """:func:`draw_episode` as pixels, (height, width, 3) ``uint8``."""
    figure = draw_episode(spec, history)
    canvas: Any = figure.canvas
    canvas.draw()
    return np.asarray(canvas.buffer_rgba(), np.uint8)[..., :3].copy()


# ------------------------------------------------------------------------------------------------ of any picture


def new_figure(width: float, height: float, **options: Any) -> Figure:
    """An empty white figure of so many inches, its parts arranged so that they do not overlap."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    usual: dict[str, Any] = {"layout": "constrained", "dpi": DOTS_PER_INCH, "facecolor": "white"}
    figure = Figure(figsize=(width, height), **(usual | options))
    FigureCanvasAgg(figure)
    return figure


def dress_axes(axes: Axes, title: str, across: str = "", up: str = "", size: float = 11) -> None:
    """A heading to the left, labels, level grid lines behind what is drawn, and no box around it."""
    axes.set_title(title, loc="left", fontsize=size, fontweight="bold", color=INK)
    axes.set_xlabel(across, color=INK)
    axes.set_ylabel(up, color=INK)
    axes.grid(True, axis="y", color=FRAME, linewidth=0.6, alpha=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FRAME)
    axes.tick_params(colors=INK)


def legend_above(figure: Figure, axes: Axes, title: str) -> None:
    """One legend of what is drawn in ``axes`` for the whole figure, under its title."""
    handles, names = axes.get_legend_handles_labels()
    columns = min(len(names), LEGEND_COLUMNS)
    legend = figure.legend(handles, names, loc="outside upper center", ncols=columns, frameon=False, title=title)
    legend.get_title().set(color=INK, fontweight="bold")
