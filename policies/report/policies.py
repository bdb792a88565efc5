"""The report's charts of policies: maps beside a reference, importances, and a tournament's payoffs.

plotly is imported when a chart is drawn and no sooner. Dimensions: X values across, Y up, G groups, P policies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from market.simulation.render import INK
from market.spec.models import MarketSpec
from market.state import Floats
from policies.explain.importance import Importance
from policies.explain.policy_map import COLOURS, PolicyMap, colour_range
from policies.report.data import Player
from policies.views.charts import Chart, broken, colour, dress, panels
from policies.views.format import column_form, number

NOTHING = 1e-3  # of a decision's range: smaller moves are no reaction
BLANK = "#F2F2F2"
MOST_WRITTEN = 12  # rivals: with more there is no room for figures in cells


def map_chart(policy: PolicyMap, reference: PolicyMap | None, title: str) -> Chart:
    """A policy's price and order-up-to level, above the same of a reference, in the same colours."""
    shown = [policy, reference] if reference is not None else [policy]
    cells = [(which, panel) for panel in range(len(policy.panels)) for which in shown]
    across = len(policy.panels) > 1
    rows, columns = (len(shown), 2) if across else (1, len(shown))
    order = [(which, panel) for which in shown for panel in range(len(policy.panels))] if across else cells
    heads = [f"<b>{which.policy}</b>: {_head(which, panel)}" for which, panel in order]
    figure = panels(rows, columns, heads, vertical_spacing=0.12, horizontal_spacing=0.16 if across else 0.07)
    for k, (which, panel) in enumerate(order):
        _draw(figure, which, panel, {"row": k // columns + 1, "col": k % columns + 1}, rows)
    if policy.up is not None:
        _colour_axes(figure, shown, across)
    note = "Everything else it sees stands at its median in greedy play. "
    if policy.memory:
        note += f"What it does depends on earlier periods too: {policy.memory}. "
    if policy.up is not None:
        note += "Dots are situations that were met: far from them the map says what the policy would do, not what it learned. "
    if policy.level is not None:
        note += "Grey: orders nothing."
    return Chart(title, dress(figure, 60 + 280 * rows, showlegend=False, plot_bgcolor=BLANK), note.strip())


def _head(policy: PolicyMap, panel: int) -> str:
    return "price" if panel == 0 else "order-up-to level"


def _draw(figure: Any, policy: PolicyMap, panel: int, at: dict[str, int], rows: int) -> None:
    import plotly.graph_objects as go

    _, values, _ = policy.panels[panel]
    across, up, unit = policy.across, policy.up, "money" if panel == 0 else "units"
    if up is None or len(up.values) < 2:
        figure.add_trace(go.Scatter(x=across.values, y=values[0], mode="lines", line={"color": INK}), **at)
        figure.update_yaxes(title=policy.panels[panel][0], **at)
        figure.update_xaxes(title=across.label, **at)
        return
    hover = f"{across.name} %{{x:.4g}}<br>{up.name} %{{y:.4g}}<br>%{{z:.4g}} {unit}<extra></extra>"
    axis = "coloraxis" if panel == 0 else "coloraxis2"
    heat = go.Heatmap(x=across.values, y=up.values, z=values, coloraxis=axis, hovertemplate=hover, hoverongaps=False)
    figure.add_trace(heat, **at)
    low, high = across.values[[0, -1]], up.values[[0, -1]]
    met = policy.met[((policy.met >= [low[0], high[0]]) & (policy.met <= [low[1], high[1]])).all(1)]
    dots = {"size": 4, "color": "white", "line": {"color": INK, "width": 0.6}}
    figure.add_trace(go.Scatter(x=met[:, 0], y=met[:, 1], mode="markers", marker=dots, hoverinfo="skip"), **at)
    # Without ranges of their own the axes leave room for dots, which would look like cells where nothing is ordered.
    options = {"title": across.label if at["row"] == rows else None, "range": _edges(across.values), "showgrid": False}
    figure.update_xaxes(**options, **at)
    figure.update_yaxes(title=up.label if at["col"] == 1 else None, range=_edges(up.values), showgrid=False, **at)


def _edges(values: Floats) -> list[float]:
    """Where the first cell begins and the last one ends."""
    return [float(1.5 * values[0] - 0.5 * values[1]), float(1.5 * values[-1] - 0.5 * values[-2])]


def _colour_axes(figure: Any, shown: Sequence[PolicyMap], across: bool) -> None:
    ends = [axis.domain[1] for axis in figure.select_xaxes()]
    for panel, (_, _, width) in enumerate(shown[0].panels):
        low, high = colour_range([which.panels[panel][1] for which in shown], width)
        right = ends[panel] if across else max(ends)
        bar = {"x": right + 0.005, "xanchor": "left", "thickness": 12, "len": 1, "y": 0.5, "outlinewidth": 0}
        bar["title"] = {"text": "money per unit" if panel == 0 else "units", "side": "right"}
        axis = {"colorscale": COLOURS.capitalize(), "cmin": low, "cmax": high, "colorbar": bar}
        figure.update_layout({"coloraxis" if panel == 0 else "coloraxis2": axis})


def reacts(spec: MarketSpec, player: Player, found: Sequence[Importance]) -> bool:
    """Whether shuffling any group moves a decision by a thousandth of its range."""
    own = spec.sellers[player.seat]
    width = own.prices[1] - own.prices[0], own.order_up_to[1] - own.order_up_to[0]
    return any(one.price > NOTHING * width[0] or (one.level or 0.0) > NOTHING * width[1] > 0 for one in found)


def importance_chart(spec: MarketSpec, player: Player, found: Sequence[Importance]) -> Chart | None:
    """Bars: how far price and level move when a group of what the seller sees is shuffled; None when nothing does."""
    import plotly.graph_objects as go

    if not reacts(spec, player, found):
        return None
    names = [one.group for one in found]
    parts = [("price", "money per unit", [one.price for one in found], [one.price_sd for one in found])]
    if spec.stocked:
        levels = [one.level or 0.0 for one in found], [one.level_sd or 0.0 for one in found]
        parts.append(("order-up-to level", "units", *levels))
    figure = panels(1, len(parts), shared_yaxes=True, horizontal_spacing=0.05)
    for k, (what, unit, mean, sd) in enumerate(parts, 1):
        error = {"type": "data", "array": sd, "color": INK, "thickness": 1, "width": 3}
        bars = go.Bar(x=mean, y=names, orientation="h", marker={"color": colour(player.seat)}, error_x=error)
        figure.add_trace(bars, 1, k)
        figure.update_xaxes(title=f"mean change of {what} ({unit})", rangemode="tozero", row=1, col=k)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    first = max(found, key=lambda one: one.price) if max(one.price for one in found) > 0 else found[0]
    title = f"{player.name}'s price depends most on {first.group}"
    note = (
        "How far its decisions move on average when one group of what it sees is shuffled among situations and the rest "
        "stays (permutation importance, 5 shuffles; whiskers: their standard deviation)."
    )
    return Chart(
        title, dress(figure, 90 + 26 * len(names), showlegend=False, margin={"l": 60, "r": 16, "t": 8, "b": 48}), note
    )


def payoff_chart(
    policies: Sequence[str], rivals: Sequence[str], payoffs: Floats, half: Floats, unit: str, title: str
) -> Chart:
    """A tournament's payoffs (P, R): what the policy of a row earns where the policy of a column is a rival."""
    import plotly.graph_objects as go

    known = half.shape == payoffs.shape
    form = column_form(payoffs.ravel().tolist())
    text = [
        [
            number(value, form) + (f"<br>± {number(half[i, j], form)}" if known and np.isfinite(half[i, j]) else "")
            for j, value in enumerate(row)
        ]
        for i, row in enumerate(payoffs)
    ]
    rows, columns = [broken(one) for one in policies], [broken(one) for one in rivals]
    bar = {"title": {"text": unit, "side": "right"}, "thickness": 12, "outlinewidth": 0}
    heat = go.Heatmap(
        x=columns, y=rows, z=payoffs, text=text if len(rivals) <= MOST_WRITTEN else None, texttemplate="%{text}",
        colorscale="Cividis", colorbar=bar, hovertemplate="%{y}<br>against %{x}<br>%{z:.4g}<extra></extra>",
        xgap=1, ygap=1,
    )  # fmt: skip
    figure = panels(1, 1)
    figure.add_trace(heat, 1, 1)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(side="top", showgrid=False)
    note = f"Each cell: what the row's policy earns, {unit}, where the column's is a rival; ± half of a 95 % interval."
    return Chart(title, dress(figure, 130 + 46 * len(policies), margin={"l": 60, "r": 16, "t": 70, "b": 16}), note)
