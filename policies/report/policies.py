"""The report's charts of policies: maps beside a reference, importances, and a tournament's payoffs.

plotly is imported when a chart is drawn and no sooner. Dimensions: X values across, Y up, G groups, P policies.

The report's sections on policies: their maps beside a reference, in words, and what they look at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from market.errors import UserError
from market.simulation.render import INK
from market.spec.models import MarketSpec
from market.state import Floats
from policies.common.seeding import row_seed
from policies.explain.decision_tree import DEPTH, DecisionTree, imitate
from policies.explain.importance import Importance, importances
from policies.explain.policy_map import COLOURS, PolicyMap, colour_range, policy_map
from policies.explain.states import Rollout, watch
from policies.report.data import ReportedRun, ReportedSeller
from policies.sellers.network_seller import NetworkSeller
from policies.sellers.protocol import Seller
from policies.sellers.rules.level_search import build
from policies.views.charts import Chart, broken, colour, dress, panels
from policies.views.format import DASH, column_form, number, small
from policies.views.page import Page

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


def reacts(spec: MarketSpec, player: ReportedSeller, found: Sequence[Importance]) -> bool:
    """Whether shuffling any group moves a decision by a thousandth of its range."""
    own = spec.sellers[player.seat]
    width = own.prices[1] - own.prices[0], own.order_up_to[1] - own.order_up_to[0]
    return any(one.price > NOTHING * width[0] or (one.level or 0.0) > NOTHING * width[1] > 0 for one in found)


def importance_chart(spec: MarketSpec, player: ReportedSeller, found: Sequence[Importance]) -> Chart | None:
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


DEEPER = 6
EPISODES = 64


@dataclass(frozen=True)
class Mind:
    """What was found out about one learned seller; ``deeper`` is its imitation by a larger tree."""

    player: ReportedSeller
    chart: PolicyMap
    reference: PolicyMap | None
    imitation: DecisionTree
    deeper: DecisionTree
    importances: list[Importance]


def reference_seller(spec: MarketSpec, seat: int) -> tuple[str, Seller] | None:
    """Whom a policy is compared with: the exact optimum where there is one, else Nash prices, else nobody."""
    for rules in ("optimal", "nash+base_stock" if spec.stocked else "nash"):
        try:
            return rules, build(rules, spec, seat)
        except UserError:
            continue
    return None


def read_minds(run: ReportedRun, seed: int, say: Callable[[str], None]) -> list[Mind]:
    """Watch the run's sellers play each other and ask each learned one what it does, and why."""
    say("watching them play")
    sellers = [player.seller for player in run.players]
    watched = watch(run.spec, sellers, EPISODES, row_seed(seed, "evaluate"), run.config.evaluation.warm_up)
    found = []
    for player in run.learners:
        say(f"reading the policy of {player.name}")
        found.append(_mind(run.spec, player, watched, seed))
    return found


def _mind(spec: MarketSpec, player: ReportedSeller, watched: Rollout, seed: int) -> Mind:
    seat, seller = player.seat, player.seller
    assert isinstance(seller, NetworkSeller)
    other = reference_seller(spec, seat)
    reference = None if other is None else policy_map(other[0], other[1], watched, seat)
    chart = policy_map(player.label, seller, watched, seat)
    told, deeper = imitate(seller, watched, seat, DEPTH), imitate(seller, watched, seat, DEEPER)
    reasons = importances(spec, seller, watched.situations, seat, watched.memories[seat], seed)
    return Mind(player, chart, reference, told, deeper, reasons)


def minds_section(page: Page, run: ReportedRun, minds: list[Mind]) -> None:
    """Every learned seller's policy: map, words, importances."""
    page.section("policies", "What have they learned to do?")
    page.paragraph(
        "Policies without exploration, in situations that the run's sellers bring about among themselves on customers "
        "that they were not trained on."
    )
    for mind in minds:
        page.heading(mind.player.label)
        page.chart(map_chart(mind.chart, mind.reference, map_title(mind)))
        _words(page, run.spec, mind)
        chart = importance_chart(run.spec, mind.player, mind.importances)
        if chart is not None:
            page.chart(chart)
        else:
            page.paragraph(_no_reaction(run.spec, mind), "note")


def map_title(mind: Mind) -> str:
    """What the map shows, with the range of prices in it."""
    low, high = float(mind.chart.price.min()), float(mind.chart.price.max())
    spread = f"posts {low:.3f} to {high:.3f}" if high - low > 5e-4 else f"posts {low:.3f} throughout"
    free = mind.chart.across.name + ("" if mind.chart.up is None else f" and {mind.chart.up.name}")
    beside = ""
    if mind.reference is not None:
        what = "the exact optimum (rivals at Nash prices)" if mind.reference.policy == "optimal" else "Nash prices"
        if mind.reference.policy == "optimal" and "rival" not in free:
            what = "the exact optimum"
        beside = f", beside {what}"
    return f"{mind.player.name} {spread} over {free}{beside}"


def _words(page: Page, spec: MarketSpec, mind: Mind) -> None:
    told = mind.imitation
    page.paragraph(f"In words: {fidelity_words(spec, mind)}")
    items = "".join(
        f"<li>{escape(one.when)}: <b>{escape(one.what)}</b> ({one.covers} of {escape(spec.period)}s)</li>"
        for one in told.sentences
    )
    page.html(f'<ol class="rules">{items}</ol>')
    page.paragraph(fidelity_note(spec, mind), "note")


def fidelity_words(spec: MarketSpec, mind: Mind) -> str:
    """How faithful the sentences are, in one sentence."""
    told, kept = mind.imitation, mind.imitation.fidelity
    how = "price" if not spec.stocked else "price and order"
    many = "this one sentence says" if len(told.sentences) == 1 else f"these {len(told.sentences)} sentences say"
    text = f"{many} what {mind.player.name} does in {_percent(kept.both)} of {spec.period}s ({how} both close)."
    if not spec.stocked:
        text = text.replace(" (price both close)", " (price close)")
    if len(told.sentences) > 1:
        text += f" Its usual decision alone would in {_percent(kept.single)}."
    if mind.deeper.fidelity.both > kept.both + 0.005:
        text += f" {len(mind.deeper.sentences)} sentences would in {_percent(mind.deeper.fidelity.both)}."
    return text


def fidelity_note(spec: MarketSpec, mind: Mind) -> str:
    """How fidelity is measured, and R squared."""
    told, kept = mind.imitation, mind.imitation.fidelity
    close = f"Price within 1 %: {_percent(kept.price_close)}"
    r2 = f"R² of the price {_r2(kept.price_r2)}"
    if kept.order_close is not None:
        close += f"; order within 5 % of the mean inventory position after ordering: {_percent(kept.order_close)}"
        r2 += f", of the order {_r2(kept.order_r2)}"
    text = (
        f"{close}; {r2} (1 is perfect, 0 no better than the mean). A decision tree of depth {told.depth} imitates the "
        f"policy; it was grown on {told.grown_on:,} situations and is measured on {told.held_out:,} of other episodes."
    )
    return f"{text} The policy remembers earlier periods, which the sentences leave out." if mind.chart.memory else text


def _percent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %") if share < 1 else "100 %"


def _r2(value: float | None) -> str:
    return f"{DASH} (it hardly varies)" if value is None else number(value, "{:.2f}")


def _no_reaction(spec: MarketSpec, mind: Mind) -> str:
    if not mind.importances:
        return (
            f"Nothing that {mind.player.name} sees varies in these situations, so it cannot be said what it looks at."
        )
    most = max(one.price for one in mind.importances)
    level = max((one.level or 0.0 for one in mind.importances), default=0.0)
    stock = f" and its order-up-to level by {small(level)} units" if spec.stocked else ""
    return (
        f"{mind.player.name} hardly reacts to anything it sees: shuffling any group of features among situations moves "
        f"its price by at most {small(most)}{stock} on average."
    )
