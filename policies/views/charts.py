"""What charts in pages have in common: colours of seats, line styles, panels, fonts. Titles and notes stand in the page.

plotly is imported when a chart is drawn and no sooner.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from market.simulation.render import COLOURS, FRAME, INK

GREY, PALE_GREY = "#8C8C8C", "rgba(140,140,140,0.25)"
GRID = "#E8E8E8"
DASHES = ("solid", "dash", "dot", "dashdot")
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
WIDE = 20.0  # times the smallest value: an axis of logarithms shows both ends

Place = dict[str, int]  # row and column of a panel, as plotly's methods take them


def colour(seat: int) -> str:
    """The seat's colour, as in the pictures of ``market.simulation.render``."""
    return COLOURS[seat % len(COLOURS)]


def faint(seat: int, strength: float) -> str:
    """The seat's colour, see-through."""
    red, green, blue = (int(colour(seat)[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},{strength})"


def line_style(seat: int, width: float = 2.0) -> dict[str, Any]:
    """Colour, dash and width of a seat's line."""
    return {"color": colour(seat), "dash": DASHES[seat // len(COLOURS) % len(DASHES)], "width": width}


def grid(count: int, columns: int) -> tuple[int, int, list[Place]]:
    """How many rows and columns hold so many panels side by side, and each one's place. 3 in 2: 2, 2, the last at (2, 1)."""
    columns = min(columns, count)
    return -(-count // columns), columns, [{"row": k // columns + 1, "col": k % columns + 1} for k in range(count)]


def panels(rows: int = 1, columns: int = 1, titles: Sequence[str] = (), **options: Any) -> Any:
    """An empty figure of subplots in the pages' style."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows, columns, subplot_titles=list(titles) or None, **options)
    for note in figure.layout.annotations:  # subplot titles: to the left, in ink
        note.update(font={"size": 13, "color": INK}, x=note.x - _half(figure, note), xanchor="left")
    style = {"gridcolor": GRID, "linecolor": FRAME, "zeroline": False, "automargin": True, "title_font_size": 12}
    figure.update_xaxes(title_standoff=6, **style)
    figure.update_yaxes(title_standoff=8, **style)
    return figure


def _half(figure: Any, note: Any) -> float:
    """Half the width of the subplot above which a title stands."""
    domains = [axis.domain for axis in figure.select_xaxes()]
    low, high = min(domains, key=lambda domain: abs((domain[0] + domain[1]) / 2 - note.x))
    return float(high - low) / 2


def dress(figure: Any, height: int, top: int = 36, bottom: int = 48, right: int = 16, **layout: Any) -> Any:
    """Fonts, legend, and margins in pixels."""
    figure.update_layout(
        template="none",
        height=height,
        font={"family": FONTS, "size": 12, "color": INK},
        margin={"l": 60, "r": right, "t": top, "b": bottom},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "top", "yref": "container"},
        hoverlabel={"font": {"size": 12}},
        paper_bgcolor="white",
        plot_bgcolor="white",
    )
    return figure.update_layout(**layout)


def broken(label: str) -> str:
    """A policy's name over two lines where it is long: before the plus sign, or before the bracket."""
    if len(label) < 20:
        return label
    return label.replace("+", "<br>+", 1) if "+" in label else label.replace(" (", "<br>(", 1)
