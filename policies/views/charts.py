"""The report's charts of profits and learning, and the style of all charts, as plotly figures. Titles stand in the page, not in the figure.

plotly is imported when a chart is drawn and no sooner. Dimension: E episodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from market.simulation.render import COLOURS, FRAME, INK
from market.spec.models import MarketSpec
from market.state import Floats
from policies.report.data import ReportedRun, Spread, best_fixed_row, curve

MARKET = "(market)"  # as policies.training.tracking names it, which needs TensorBoard

GREY = "#8C8C8C"
GRID = "#E8E8E8"
DASHES = ("solid", "dash", "dot", "dashdot")
LEAST_GAIN = -1.0
WIDE = 20.0
CHOSEN_BY = ("worst_against_the_pool", "objective_against_fixed", "profit_against_fixed")  # the first that there is
LOSSES = ("loss", "critic_loss", "actor_loss")


@dataclass(frozen=True)
class Chart:
    """A figure with what it says (``title``) and how to read it (``note``)."""

    title: str
    figure: Any
    note: str = ""


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
    """An empty figure of subplots in the report's style."""
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
    """Fonts, margins and legend of the report."""
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


def varies(profit: Floats) -> bool:
    """Whether episodes differ at all; they do not where nothing is random."""
    return bool(np.ptp(profit) > 1e-9 * max(1.0, float(np.abs(profit).max())))


def spread_chart(spec: MarketSpec, spreads: Sequence[Spread]) -> Chart | None:
    """Profit of each episode, a violin for each learned seller and the best fixed competitor in its seat."""
    import plotly.graph_objects as go

    drawn = [spread for spread in spreads if any(varies(p) for p in spread.profits.values())]
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
    episodes = len(next(iter(drawn[0].profits.values())))
    title = f"How profit differs between {episodes:,} episodes"
    note = (
        "Each shape shows how often an episode ends with that mean profit; the box spans the middle half, its line is "
        "the median, the dashed line the mean. Both rows of a pair met the same customers."
    )
    return Chart(
        title, dress(figure, 70 + 130 * len(drawn), showlegend=False, margin={"l": 60, "r": 16, "t": 8, "b": 48}), note
    )


@dataclass(frozen=True)
class _Curve:
    title: str
    unit: str
    phase: str
    metric: str
    log: bool = False


def learning_chart(run: ReportedRun) -> Chart | None:
    """How profit and losses went while learning: one panel a measure, one line a seller."""
    import plotly.graph_objects as go

    wanted = [
        *_profit_curves(run.spec),
        *(_Curve(name.replace("_", " "), "", "training", name, True) for name in LOSSES),
    ]
    names = [*run.spec.names, MARKET]
    found = [one for one in wanted if any(len(curve(run, one.phase, one.metric, name)[0]) for name in names)]
    if not found:
        return None
    rows = (len(found) + 1) // 2
    figure = panels(rows, 2, [one.title for one in found], vertical_spacing=0.36 / rows, horizontal_spacing=0.1)
    shown: set[str] = set()
    for k, one in enumerate(found):
        at = {"row": k // 2 + 1, "col": k % 2 + 1}
        for seat, name in enumerate(names):
            steps, values = curve(run, one.phase, one.metric, name)
            if not len(steps):
                continue
            style = {"color": INK, "width": 2} if name == MARKET else line_style(seat)
            label = "the market" if name == MARKET else name
            figure.add_trace(
                go.Scatter(
                    x=steps, y=values, mode="lines+markers", name=label, legendgroup=label, line=style,
                    marker={"size": 4}, showlegend=label not in shown,
                ),
                **at,
            )  # fmt: skip
            shown.add(label)
        figure.update_yaxes(title=one.unit, type="log" if one.log and _wide(run, one, names) else "linear", **at)
        figure.update_xaxes(title="seller-periods of training", **at)
        if one.metric == "profit_gain":
            _leave_out_the_start(figure, run, names, at)
    _best_fixed_lines(figure, run, found)
    return Chart(
        _learning_title(run),
        dress(figure, 70 + 260 * rows, margin={"l": 60, "r": 16, "t": 64, "b": 48}),
        _learning_note(run, found),
    )


def _leave_out_the_start(figure: Any, run: ReportedRun, names: Iterable[str], at: dict[str, int]) -> None:
    """Sellers who know nothing yet may lose many times what Nash and joint profit are apart."""
    values = np.concatenate([curve(run, "evaluation", "profit_gain", name)[1] for name in names])
    if values.min() < LEAST_GAIN:
        figure.update_yaxes(range=[LEAST_GAIN, max(float(values.max()), 1.0) + 0.2], **at)


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


def _wide(run: ReportedRun, one: _Curve, names: Iterable[str]) -> bool:
    """Whether values are positive and differ by more than a factor that a linear axis shows."""
    values = np.concatenate([curve(run, one.phase, one.metric, name)[1] for name in names])
    return bool((values > 0).all() and values.max() > WIDE * values.min())


def _best_fixed_lines(figure: Any, run: ReportedRun, found: list[_Curve]) -> None:
    for k, one in enumerate(found):
        if one.metric == "profit_against_fixed":
            for player in run.learners:
                best = best_fixed_row(run, player)
                if best is not None:
                    line = {"color": colour(player.seat), "dash": "dot", "width": 1.2}
                    figure.add_hline(y=best["profit"], line=line, row=k // 2 + 1, col=k % 2 + 1)


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


def _learning_note(run: ReportedRun, found: list[_Curve]) -> str:
    kinds = {one.metric for one in found}
    lines = []
    if "profit_against_fixed" in kinds:
        lines.append("Each seller's best evaluation against fixed competitors is what the rest of this page shows.")
    if "profit_against_fixed" in kinds and any(best_fixed_row(run, player) for player in run.learners):
        lines.append("Dotted: the best fixed competitor in the seller's seat.")
    if "profit_gain" in kinds:
        lines.append(f"Profit gains below {LEAST_GAIN:g} are not shown.")
    if kinds & set(LOSSES):
        lines.append(
            "Losses are the learners' own, in their own units: a loss that explodes is a fault, a low one no merit."
        )
    return " ".join(lines)
