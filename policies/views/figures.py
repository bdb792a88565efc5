"""Pictures by matplotlib: figures that belong to no window, and what their axes look like.

matplotlib is imported when a picture is drawn and no sooner, and never through pyplot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from market.simulation.render import DOTS_PER_INCH, FRAME, INK, LEGEND_COLUMNS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
