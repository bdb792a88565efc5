"""The report's chart of one episode, as a plotly figure. Dimensions: T periods, N sellers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from market.spec.models import MarketSpec
from market.state import Floats, Record
from policies.report.data import ReportedSeller
from policies.views.charts import Chart, colour, dress, line_style, panels

LONGEST = 400  # periods drawn


def episode_chart(spec: MarketSpec, players: Sequence[ReportedSeller], episode: Record, event: Floats | None) -> Chart:
    """Prices, stock, orders and lost sales of one episode (T, N), one below the other over the same periods.

    ``event`` (T, N): 1 while a promotion is on, or None.
    """
    import plotly.graph_objects as go

    length = min(len(episode), LONGEST)
    rows = _episode_rows(spec)
    heights = [1.0] * len(rows) + ([0.12 * len(players)] if event is not None else [])
    titles = [title for title, _, _ in rows] + (["Promotions"] if event is not None else [])
    figure = panels(
        len(heights), 1, titles, shared_xaxes=True, vertical_spacing=0.22 / len(heights), row_heights=heights
    )
    periods = np.arange(1, length + 2)  # a step holds until the next period begins
    for row, (_, unit, name) in enumerate(rows, 1):
        for player in players:
            style = line_style(player.seat, 1.6 if length <= 150 else 1.0) | {"shape": "hv"}
            options = {"name": player.label, "legendgroup": player.name, "showlegend": row == 1, "mode": "lines"}
            figure.add_trace(
                go.Scatter(
                    x=periods,
                    y=np.append(episode[name][:length, player.seat], episode[name][length - 1, player.seat]),
                    line=style,
                    **options,
                ),
                row,
                1,
            )
        figure.update_yaxes(title=unit, rangemode="normal" if name in ("price", "profit") else "tozero", row=row, col=1)
    if event is not None:
        _draw_promotions(figure, len(heights), players, event[:length], np.asarray(periods[:-1] + 0.5))
    figure.update_xaxes(range=[1, length + 1])
    figure.update_xaxes(title=spec.period, row=len(heights), col=1)
    title = "One episode: " + ", ".join(name.lower() for name, _, _ in rows[:-1]) + f" and {rows[-1][0].lower()}"
    margin = {"l": 60, "r": 16, "t": 64, "b": 48}  # room for the legend above the first panel's title
    note = f"The run's sellers against each other, {length:,} of {len(episode):,} {spec.period}s. Drag to zoom, double-click to go back."
    return Chart(
        title,
        dress(figure, 80 + 165 * len(rows) + (60 if event is not None else 0), hovermode="x unified", margin=margin),
        note,
    )


def _episode_rows(spec: MarketSpec) -> list[tuple[str, str, str]]:
    price, units = ("Price", "money per unit", "price"), f"units a {spec.period}"
    if not spec.stocked:
        return [price, ("Units sold", units, "sold"), ("Profit", f"money a {spec.period}", "profit")]
    stock = ("Stock left", "units", "on_hand_left")
    return [price, stock, ("Orders", units, "ordered"), ("Lost sales", units, "lost")]


def _draw_promotions(figure: Any, row: int, players: Sequence[ReportedSeller], event: Floats, periods: Floats) -> None:
    import plotly.graph_objects as go

    for player in players:
        on = np.where(event[:, player.seat] > 0, float(player.seat), np.nan)
        marks = {"color": colour(player.seat), "symbol": "square", "size": 5}
        options = {"name": player.label, "legendgroup": player.name, "showlegend": False, "hoverinfo": "skip"}
        figure.add_trace(go.Scatter(x=periods, y=on, mode="markers", marker=marks, **options), row, 1)
    seats = [player.seat for player in players]
    names = [player.name for player in players]
    span = [len(players) - 0.5, -0.5]
    figure.update_yaxes(tickvals=seats, ticktext=names, range=span, showgrid=False, row=row, col=1)
