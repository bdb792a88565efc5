"""What charts in pages have in common: colours of seats, line styles, panels, fonts. Titles and notes stand in the page.

plotly is imported when a chart is drawn and no sooner.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from market.simulation.render import COLOURS, FRAME, INK

GREY = "#8C8C8C"
GRID = "#E8E8E8"
DASHES = ("solid", "dash", "dot", "dashdot")


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


def panels(rows: int, columns: int, titles: Sequence[str] = (), **options: Any) -> Any:
    """An empty figure of subplots in the pages' style."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows, columns, subplot_titles=list(titles) or None, **options)
    for note in figure.layout.annotations:  # subplot titles: to the left, in ink
        note.update(font={"size": 13, "color": INK}, x=note.x - _half(figure, note), xanchor="left")
    figure.update_xaxes(
        gridcolor=GRID, linecolor=FRAME, zeroline=False, automargin=True, title_standoff=6, title_font_size=12
    )
    figure.update_yaxes(
        gridcolor=GRID, linecolor=FRAME, zeroline=False, automargin=True, title_standoff=8, title_font_size=12
    )
    return figure


def _half(figure: Any, note: Any) -> float:
    """Half the width of the subplot above which a title stands."""
    domains = [axis.domain for axis in figure.select_xaxes()]
    low, high = min(domains, key=lambda domain: abs((domain[0] + domain[1]) / 2 - note.x))
    return float(high - low) / 2


def dress(figure: Any, height: int, **layout: Any) -> Any:
    """Fonts, margins and legend."""
    figure.update_layout(
        template="none",
        height=height,
        font={
            "family": "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif",
            "size": 12,
            "color": INK,
        },
        margin={"l": 60, "r": 16, "t": 36, "b": 48},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "top", "yref": "container"},
        hoverlabel={"font": {"size": 12}},
        paper_bgcolor="white",
        plot_bgcolor="white",
    )
    figure.update_layout(**layout)
    return figure


def broken(label: str) -> str:
    """A policy's name over two lines where it is long: before the plus sign, or before the bracket."""
    if len(label) < 20:
        return label
    return label.replace("+", "<br>+", 1) if "+" in label else label.replace(" (", "<br>(", 1)
