"""The report's charts of profits, learning, an episode, and a tournament's payoffs, as plotly figures.

plotly is imported when a chart is drawn and no sooner. Dimensions: E episodes, T periods, N sellers, P policies in the
rows and R rivals in the columns of a payoff matrix.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from market.simulation.render import INK
from market.spec.models import MarketSpec
from market.state import Floats, Record
from policies.report.data import ReportedRun, ReportedSeller, Spread, best_fixed_row, curve
from policies.views.charts import GREY, broken, colour, dress, faint, line_style, panels
from policies.views.format import column_form, number

MARKET = "(market)"  # as policies.training.tracking names it, which needs TensorBoard
LEAST_GAIN = -1.0
WIDE = 20.0
CHOSEN_BY = ("worst_against_the_pool", "objective_against_fixed", "profit_against_fixed")  # the first that there is
LOSSES = ("loss", "critic_loss", "actor_loss")
LONGEST = 400  # periods of an episode that are drawn
MOST_WRITTEN = 12  # rivals: with more there is no room for figures in cells


def spread_chart(spec: MarketSpec, spreads: Sequence[Spread]) -> Any:
    """Profit of each episode, a violin for each learned seller and the best fixed competitor in its seat; or None."""
    import plotly.graph_objects as go

    drawn = [spread for spread in spreads if spread.varies]
    if not drawn:
        return None
    figure = panels(len(drawn), 1, vertical_spacing=0.3 / len(drawn))
    for row, spread in enumerate(drawn, 1):
        for place, (label, profit) in enumerate(spread.profits.items()):
            seat = spread.player.seat
            shade = (colour(seat), faint(seat, 0.25)) if place == 0 else (GREY, "rgba(140,140,140,0.25)")
            figure.add_trace(
                go.Violin(
                    x=profit, name=broken(label), line={"color": shade[0], "width": 1.5}, fillcolor=shade[1],
                    orientation="h", box={"visible": True, "width": 0.15}, meanline={"visible": True}, points=False,
                    spanmode="hard", hoveron="violins", hoverinfo="x", scalemode="width", width=0.9,
                ),
                row, 1,
            )  # fmt: skip
        figure.update_yaxes(autorange="reversed", showgrid=False, row=row, col=1)
    figure.update_xaxes(title=f"profit a {spec.period}, mean of an episode (money)", row=len(drawn), col=1)
    margin = {"l": 60, "r": 16, "t": 8, "b": 48}
    return dress(figure, 70 + 130 * len(drawn), showlegend=False, margin=margin)


# ------------------------------------------------------------------------------------------------ learning


@dataclass(frozen=True)
class _Curve:
    title: str
    unit: str
    phase: str
    metric: str
    log: bool = False


@dataclass(frozen=True)
class LearningChart:
    """How profit and losses went while learning, with what its title and note say of it.

    ``metrics`` of metrics.csv that are drawn; ``dotted``: whether lines show the best fixed competitors.
    """

    figure: Any
    title: str
    metrics: frozenset[str]
    dotted: bool

    @property
    def losses(self) -> bool:
        """Whether any learner's loss is drawn."""
        return not self.metrics.isdisjoint(LOSSES)


def learning_chart(run: ReportedRun) -> LearningChart | None:
    """One panel a measure, one line a seller; None where nothing was written."""
    losses = (_Curve(name.replace("_", " "), "", "training", name, True) for name in LOSSES)
    names = [*run.spec.names, MARKET]
    wanted = [*_profit_curves(run.spec), *losses]
    found = [one for one in wanted if any(len(curve(run, one.phase, one.metric, name)[0]) for name in names)]
    if not found:
        return None
    rows = (len(found) + 1) // 2
    figure = panels(rows, 2, [one.title for one in found], vertical_spacing=0.36 / rows, horizontal_spacing=0.1)
    for k, one in enumerate(found):
        at = {"row": k // 2 + 1, "col": k % 2 + 1}
        _draw_curves(figure, run, one, names, at)
        figure.update_yaxes(title=one.unit, type="log" if one.log and _wide(run, one, names) else "linear", **at)
        figure.update_xaxes(title="seller-periods of training", **at)
        if one.metric == "profit_gain":
            _leave_out_the_start(figure, run, names, at)
        if one.metric == "profit_against_fixed":
            _best_fixed_lines(figure, run, at)
    dress(figure, 70 + 260 * rows, margin={"l": 60, "r": 16, "t": 64, "b": 48})
    dotted = any(best_fixed_row(run, player) for player in run.learners)
    return LearningChart(figure, _learning_title(run), frozenset(one.metric for one in found), dotted)


def _profit_curves(spec: MarketSpec) -> list[_Curve]:
    money = f"money a {spec.period}"
    if len(spec.sellers) == 1:
        return [_Curve("Profit", money, "evaluation", "profit_against_fixed")]
    return [
        _Curve("Profit against the first line-up of fixed competitors", money, "evaluation", "profit_against_fixed"),
        _Curve("Worst against the league's fixed competitors", "share of the best of them", "evaluation", CHOSEN_BY[0]),
        _Curve("Profit among the run's own sellers", money, "evaluation", "profit"),
        _Curve("Profit gain of the market (0 Nash, 1 joint profit)", "profit gain", "evaluation", "profit_gain"),
    ]


def _draw_curves(figure: Any, run: ReportedRun, one: _Curve, names: Sequence[str], at: dict[str, int]) -> None:
    import plotly.graph_objects as go

    for seat, name in enumerate(names):
        steps, values = curve(run, one.phase, one.metric, name)
        if len(steps):
            style = {"color": INK, "width": 2} if name == MARKET else line_style(seat)
            label = "the market" if name == MARKET else name
            first = all(trace.name != label for trace in figure.data)
            options = {"name": label, "legendgroup": label, "mode": "lines+markers", "marker": {"size": 4}}
            figure.add_trace(go.Scatter(x=steps, y=values, line=style, showlegend=first, **options), **at)


def _leave_out_the_start(figure: Any, run: ReportedRun, names: Iterable[str], at: dict[str, int]) -> None:
    """Sellers who know nothing yet may lose many times what Nash and joint profit are apart."""
    values = np.concatenate([curve(run, "evaluation", "profit_gain", name)[1] for name in names])
    if values.min() < LEAST_GAIN:
        figure.update_yaxes(range=[LEAST_GAIN, max(float(values.max()), 1.0) + 0.2], **at)


def _wide(run: ReportedRun, one: _Curve, names: Iterable[str]) -> bool:
    """Whether values are positive and differ by more than a factor that a linear axis shows."""
    values = np.concatenate([curve(run, one.phase, one.metric, name)[1] for name in names])
    return bool((values > 0).all() and values.max() > WIDE * values.min())


def _best_fixed_lines(figure: Any, run: ReportedRun, at: dict[str, int]) -> None:
    for player in run.learners:
        best = best_fixed_row(run, player)
        if best is not None:
            figure.add_hline(y=best["profit"], line={"color": colour(player.seat), "dash": "dot", "width": 1.2}, **at)


def _learning_title(run: ReportedRun) -> str:
    parts = []
    for player in run.learners:
        found = (curve(run, "evaluation", metric, player.name) for metric in CHOSEN_BY)
        steps, values = next((one for one in found if len(one[1])), (np.empty(0), np.empty(0)))
        if len(values):
            best = steps[int(values.argmax())]
            when = f"after {best:,.0f} seller-periods" if best > 0 else "before it learned anything"
            parts.append(f"{player.name} did best {when}")
    return "; ".join(parts) or "How learning went"


# ------------------------------------------------------------------------------------------------ an episode


def episode_chart(spec: MarketSpec, players: Sequence[ReportedSeller], episode: Record, event: Floats | None) -> Any:
    """Prices, stock, orders and lost sales of one episode (T, N), one below the other over the same periods.

    ``event`` (T, N): 1 while a promotion is on, or None.
    """
    import plotly.graph_objects as go

    length = min(len(episode), LONGEST)
    rows = _episode_rows(spec)
    heights = [1.0] * len(rows) + ([0.12 * len(players)] if event is not None else [])
    titles = [title for title, _, _ in rows] + (["Promotions"] if event is not None else [])
    spacing = 0.22 / len(heights)
    figure = panels(len(heights), 1, titles, shared_xaxes=True, vertical_spacing=spacing, row_heights=heights)
    periods = np.arange(1, length + 2)  # a step holds until the next period begins
    for row, (_, unit, name) in enumerate(rows, 1):
        for player in players:
            style = line_style(player.seat, 1.6 if length <= 150 else 1.0) | {"shape": "hv"}
            options = {"name": player.label, "legendgroup": player.name, "showlegend": row == 1, "mode": "lines"}
            values = episode[name][:length, player.seat]
            figure.add_trace(go.Scatter(x=periods, y=np.append(values, values[-1]), line=style, **options), row, 1)
        figure.update_yaxes(title=unit, rangemode="normal" if name in ("price", "profit") else "tozero", row=row, col=1)
    if event is not None:
        _draw_promotions(figure, len(heights), players, event[:length], np.asarray(periods[:-1] + 0.5))
    figure.update_xaxes(range=[1, length + 1])
    figure.update_xaxes(title=spec.period, row=len(heights), col=1)
    margin = {"l": 60, "r": 16, "t": 64, "b": 48}  # room for the legend above the first panel's title
    height = 80 + 165 * len(rows) + (60 if event is not None else 0)
    return dress(figure, height, hovermode="x unified", margin=margin)


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


# ------------------------------------------------------------------------------------------------ a tournament


def payoff_chart(policies: Sequence[str], rivals: Sequence[str], payoffs: Floats, half: Floats, unit: str) -> Any:
    """A tournament's payoffs (P, R): what the policy of a row earns where the policy of a column is a rival."""
    import plotly.graph_objects as go

    known = half.shape == payoffs.shape
    form = column_form(payoffs.ravel().tolist())
    text = [
        [number(value, form, half[i, j] if known else None).replace(" ± ", "<br>± ") for j, value in enumerate(row)]
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
    return dress(figure, 130 + 46 * len(policies), margin={"l": 60, "r": 16, "t": 70, "b": 16})
