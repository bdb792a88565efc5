"""The report's charts of profits, learning, an episode, and a tournament's payoffs, as plotly figures.

plotly is imported when a chart is drawn and no sooner. Dimensions: E episodes, T periods, N sellers, P policies in the
rows and R rivals in the columns of a payoff matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from market.simulation.render import INK
from market.spec.models import MarketSpec
from market.state import Floats, Record
from policies.evaluation.run_sellers import RunSeller
from policies.report.data import ReportedRun, Spread, best_competitor, best_fixed_row, chosen_by_rows, curve
from policies.storage.run_folder import WHOLE_MARKET
from policies.views.charts import GREY, PALE_GREY, WIDE, Place, broken, colour, dress, faint, grid, line_style, panels
from policies.views.format import column_form, number

LEAST_GAIN = -1.0
CHOSEN_BY = ("worst_against_the_pool", "objective_against_fixed", "profit_against_fixed")  # the first that there is
LOSSES = ("loss", "critic_loss", "actor_loss")
LONGEST = 400  # periods of an episode that are drawn
MOST_WRITTEN = 12  # rivals: with more there is no room for figures in cells

Lines = dict[str, tuple[Floats, Floats]]  # by seller, steps and values


def spread_chart(spec: MarketSpec, spreads: Sequence[Spread]) -> Any:
    """Profit of each episode, a violin for each learned seller and the best fixed competitor in its seat; or None."""
    drawn = [spread for spread in spreads if spread.varies]
    if not drawn:
        return None
    figure = panels(len(drawn), 1, vertical_spacing=0.3 / len(drawn))
    usual: dict[str, Any] = {"orientation": "h", "points": False, "hoveron": "violins", "hoverinfo": "x", "width": 0.9}
    usual |= {"box": {"visible": True, "width": 0.15}, "meanline": {"visible": True}, "spanmode": "hard"}
    usual |= {"scalemode": "width"}
    for row, spread in enumerate(drawn, 1):
        seat = spread.player.seat
        shades = [(colour(seat), faint(seat, 0.25)), (GREY, PALE_GREY)]
        for (label, profit), (line, fill) in zip(spread.profits.items(), shades, strict=False):
            style = {"line": {"color": line, "width": 1.5}, "fillcolor": fill} | usual
            figure.add_violin(x=profit, name=broken(label), row=row, col=1, **style)
        figure.update_yaxes(autorange="reversed", showgrid=False, row=row, col=1)
    figure.update_xaxes(title=f"profit a {spec.period}, mean of an episode (money)", row=len(drawn), col=1)
    return dress(figure, 70 + 130 * len(drawn), top=8, showlegend=False)


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
    wanted = [*_profit_curves(run.spec), *losses]
    found = [(one, lines) for one in wanted if (lines := _lines(run, one))]
    if not found:
        return None
    rows, _, places = grid(len(found), 2)
    titles = [one.title for one, _ in found]
    figure = panels(rows, 2, titles, vertical_spacing=0.36 / rows, horizontal_spacing=0.1)
    for (one, lines), at in zip(found, places, strict=True):
        values = np.concatenate([values for _, values in lines.values()])
        wide = one.log and bool((values > 0).all()) and values.max() > WIDE * values.min()
        _draw_lines(figure, run.spec, lines, at)
        figure.update_yaxes(title=one.unit, type="log" if wide else "linear", **at)
        figure.update_xaxes(title="seller-periods of training", **at)
        if one.metric == "profit_gain" and values.min() < LEAST_GAIN:
            # Sellers who know nothing yet may lose many times what Nash and joint profit are apart.
            figure.update_yaxes(range=[LEAST_GAIN, max(float(values.max()), 1.0) + 0.2], **at)
        if one.metric == "profit_against_fixed":
            _best_fixed_lines(figure, run, at)
    dress(figure, 70 + 260 * rows, top=64)
    dotted = any(best_fixed_row(run, player) for player in run.learners)
    return LearningChart(figure, _learning_title(run), frozenset(one.metric for one, _ in found), dotted)


def _lines(run: ReportedRun, one: _Curve) -> Lines:
    every = {name: curve(run, one.phase, one.metric, name) for name in [*run.spec.names, WHOLE_MARKET]}
    return {name: line for name, line in every.items() if len(line[0])}


def _profit_curves(spec: MarketSpec) -> list[_Curve]:
    money = f"money a {spec.period}"
    if len(spec.sellers) == 1:
        return [_Curve("Profit", money, "evaluation", "profit_against_fixed")]
    return [
        _Curve("Profit against fixed competitors", money, "evaluation", "profit_against_fixed"),
        _Curve("Worst against the league's fixed competitors", "share of the best of them", "evaluation", CHOSEN_BY[0]),
        _Curve("Profit among the run's own sellers", money, "evaluation", "profit"),
        _Curve("Profit gain of the market (0 Nash, 1 joint profit)", "profit gain", "evaluation", "profit_gain"),
    ]


def _draw_lines(figure: Any, spec: MarketSpec, lines: Lines, at: Place) -> None:
    for name, (steps, values) in lines.items():
        style = {"color": INK, "width": 2} if name == WHOLE_MARKET else line_style(spec.names.index(name))
        label = "the market" if name == WHOLE_MARKET else name
        first = all(trace.name != label for trace in figure.data)
        options = {"name": label, "legendgroup": label, "mode": "lines+markers", "marker": {"size": 4}}
        figure.add_scatter(x=steps, y=values, line=style, showlegend=first, **options, **at)


def _best_fixed_lines(figure: Any, run: ReportedRun, at: Place) -> None:
    for player in run.learners:
        best = best_competitor(chosen_by_rows(run, player.name))
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


def episode_chart(spec: MarketSpec, players: Sequence[RunSeller], episode: Record, event: Floats | None) -> Any:
    """Prices, stock, orders and lost sales of one episode (T, N), one below the other over the same periods.

    ``event`` (T, N): 1 while a promotion is on, or None.
    """
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
            figure.add_scatter(x=periods, y=np.append(values, values[-1]), line=style, **options, row=row, col=1)
        figure.update_yaxes(title=unit, rangemode="normal" if name in ("price", "profit") else "tozero", row=row, col=1)
    if event is not None:
        _draw_promotions(figure, len(heights), players, event[:length], np.asarray(periods[:-1] + 0.5))
    figure.update_xaxes(range=[1, length + 1])
    figure.update_xaxes(title=spec.period, row=len(heights), col=1)
    height = 80 + 165 * len(rows) + (60 if event is not None else 0)
    return dress(figure, height, top=64, hovermode="x unified")  # room for the legend above the first panel's title


def _episode_rows(spec: MarketSpec) -> list[tuple[str, str, str]]:
    price, units = ("Price", "money per unit", "price"), f"units a {spec.period}"
    if not spec.stocked:
        return [price, ("Units sold", units, "sold"), ("Profit", f"money a {spec.period}", "profit")]
    stock = ("Stock left", "units", "on_hand_left")
    return [price, stock, ("Orders", units, "ordered"), ("Lost sales", units, "lost")]


def _draw_promotions(figure: Any, row: int, players: Sequence[RunSeller], event: Floats, periods: Floats) -> None:
    for player in players:
        on = np.where(event[:, player.seat] > 0, float(player.seat), np.nan)
        marks = {"color": colour(player.seat), "symbol": "square", "size": 5}
        options = {"name": player.label, "legendgroup": player.name, "showlegend": False, "hoverinfo": "skip"}
        figure.add_scatter(x=periods, y=on, mode="markers", marker=marks, **options, row=row, col=1)
    seats = [player.seat for player in players]
    names = [player.name for player in players]
    span = [len(players) - 0.5, -0.5]
    figure.update_yaxes(tickvals=seats, ticktext=names, range=span, showgrid=False, row=row, col=1)


# ------------------------------------------------------------------------------------------------ a tournament


def payoff_chart(policies: Sequence[str], rivals: Sequence[str], payoffs: Floats, half: Floats, unit: str) -> Any:
    """A tournament's payoffs (P, R): what the policy of a row earns where the policy of a column is a rival."""
    known = half.shape == payoffs.shape
    form = column_form(payoffs.ravel().tolist())
    text = [
        [number(value, form, half[i, j] if known else None).replace(" ± ", "<br>± ") for j, value in enumerate(row)]
        for i, row in enumerate(payoffs)
    ]
    bar = {"title": {"text": unit, "side": "right"}, "thickness": 12, "outlinewidth": 0}
    written = {"text": text if len(rivals) <= MOST_WRITTEN else None, "texttemplate": "%{text}", "colorbar": bar}
    look = {"colorscale": "Cividis", "hovertemplate": "%{y}<br>against %{x}<br>%{z:.4g}<extra></extra>"} | written
    figure = panels()
    figure.add_heatmap(x=[*map(broken, rivals)], y=[*map(broken, policies)], z=payoffs, xgap=1, ygap=1, **look)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(side="top", showgrid=False)
    return dress(figure, 130 + 46 * len(policies), top=70, bottom=16)
