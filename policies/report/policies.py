"""What the report says of learned policies: a map beside a reference, a decision tree in words, and what they look at.

plotly is imported when a chart is drawn and no sooner. Dimensions: X values across, Y up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from market.errors import UserError
from market.simulation.render import INK
from market.spec.models import MarketSpec
from market.state import Floats
from policies.common.seeding import row_seed
from policies.evaluation.run_sellers import RunSeller
from policies.explain.decision_tree import DEPTH, DecisionTree, grow_tree
from policies.explain.importance import Importance, importances
from policies.explain.policy_map import COLOURS, PolicyMap, colour_range, policy_map
from policies.explain.states import Rollout, greedy_rollout
from policies.report.data import ReportedRun
from policies.sellers.network_seller import NetworkSeller
from policies.sellers.protocol import Seller
from policies.sellers.rules.level_search import build
from policies.views.charts import Place, colour, dress, panels

DEEPER = 6
EPISODES = 64
NOTHING = 1e-3  # of a decision's range: smaller moves are no reaction
BLANK = "#F2F2F2"
FRAMED = {"color": "white", "width": 1.5, "dash": "dash"}
HOLDS = 0.8  # of states in which sentences must be close to what is done, or they are not told


@dataclass(frozen=True)
class LearnedPolicy:
    """What was found out about one learned seller; ``deeper`` is a larger tree than ``tree``."""

    player: RunSeller
    map: PolicyMap
    reference: PolicyMap | None
    tree: DecisionTree
    deeper: DecisionTree
    importances: list[Importance]

    @property
    def told(self) -> bool:
        """Whether sentences hold often enough to be told."""
        return self.tree.fidelity.both >= HOLDS


def learned_policies(run: ReportedRun, seed: int, say: Callable[[str], None]) -> list[LearnedPolicy]:
    """Let the run's sellers play each other and ask each learned one what it does, and why."""
    say("watching them play")
    rollout = greedy_rollout(run.spec, run.sellers, EPISODES, row_seed(seed, "evaluate"), run.config.evaluation.warm_up)
    found = []
    for player in run.learners:
        say(f"reading the policy of {player.name}")
        found.append(_learned_policy(run.spec, player, rollout, seed))
    return found


def _learned_policy(spec: MarketSpec, player: RunSeller, rollout: Rollout, seed: int) -> LearnedPolicy:
    seat, seller = player.seat, player.seller
    assert isinstance(seller, NetworkSeller)
    other = reference_seller(spec, seat)
    reference = None if other is None else policy_map(other[0], other[1], rollout, seat)
    own = policy_map(player.label, seller, rollout, seat)
    tree, deeper = grow_tree(seller, rollout, seat, DEPTH), grow_tree(seller, rollout, seat, DEEPER)
    reasons = importances(spec, seller, rollout.states, seat, rollout.memories[seat], seed)
    return LearnedPolicy(player, own, reference, tree, deeper, reasons)


def reference_seller(spec: MarketSpec, seat: int) -> tuple[str, Seller] | None:
    """Whom a policy is compared with: the exact optimum where there is one, else Nash prices, else nobody."""
    for rules in ("optimal", "nash+base_stock" if spec.stocked else "nash"):
        try:
            return rules, build(rules, spec, seat)
        except UserError:
            continue
    return None


# ------------------------------------------------------------------------------------------------ maps


def map_chart(policy: PolicyMap, reference: PolicyMap | None) -> Any:
    """A policy's price and order-up-to level, above the same of a reference, in the same colours."""
    shown = [policy, reference] if reference is not None else [policy]
    across = len(policy.panels) > 1
    rows, columns = (len(shown), 2) if across else (1, len(shown))
    order = [(which, panel) for which in shown for panel in range(len(policy.panels))]
    heads = [f"<b>{which.policy}</b>: {'order-up-to level' if panel else 'price'}" for which, panel in order]
    figure = panels(rows, columns, heads, vertical_spacing=0.12, horizontal_spacing=0.16 if across else 0.07)
    for k, (which, panel) in enumerate(order):
        _draw(figure, which, panel, {"row": k // columns + 1, "col": k % columns + 1}, rows)
    if policy.up is not None:
        _colour_axes(figure, shown, across)
    return dress(figure, 60 + 280 * rows, showlegend=False, plot_bgcolor=BLANK)


def _draw(figure: Any, policy: PolicyMap, panel: int, at: Place, rows: int) -> None:
    _, values, _ = policy.panels[panel]
    across, up, unit = policy.across, policy.up, "money" if panel == 0 else "units"
    if up is None or len(up.values) < 2:
        figure.add_scatter(x=across.values, y=values[0], mode="lines", line={"color": INK}, **at)
        for end in policy.frame:
            figure.add_vline(x=float(end[0]), line=FRAMED | {"color": INK}, **at)
        figure.update_yaxes(title=policy.panels[panel][0], **at)
        figure.update_xaxes(title=across.label, **at)
        return
    hover = f"{across.name} %{{x:.4g}}<br>{up.name} %{{y:.4g}}<br>%{{z:.4g}} {unit}<extra></extra>"
    axis = "coloraxis" if panel == 0 else "coloraxis2"
    look = {"coloraxis": axis, "hovertemplate": hover, "hoverongaps": False}
    figure.add_heatmap(x=across.values, y=up.values, z=values, **look, **at)
    low, high = across.values[[0, -1]], up.values[[0, -1]]
    met = policy.met[((policy.met >= [low[0], high[0]]) & (policy.met <= [low[1], high[1]])).all(1)]
    dots = {"size": 4, "color": "white", "line": {"color": INK, "width": 0.6}}
    figure.add_scatter(x=met[:, 0], y=met[:, 1], mode="markers", marker=dots, hoverinfo="skip", **at)
    (left, bottom), (right, top) = policy.frame
    figure.add_shape(type="rect", x0=left, y0=bottom, x1=right, y1=top, line=FRAMED, **at)
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


# ------------------------------------------------------------------------------------------------ importances


def reacts(spec: MarketSpec, player: RunSeller, found: Sequence[Importance]) -> bool:
    """Whether shuffling any group moves a decision by a thousandth of its range."""
    own = spec.sellers[player.seat]
    width = own.prices[1] - own.prices[0], own.order_up_to[1] - own.order_up_to[0]
    return any(one.price > NOTHING * width[0] or (one.level or 0.0) > NOTHING * width[1] > 0 for one in found)


def importance_chart(spec: MarketSpec, player: RunSeller, found: Sequence[Importance]) -> Any:
    """Bars: how far price and level move when a group of what the seller sees is shuffled; None when nothing does."""
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
        look = {"orientation": "h", "marker": {"color": colour(player.seat)}, "error_x": error}
        figure.add_bar(x=mean, y=names, **look, row=1, col=k)
        figure.update_xaxes(title=f"mean change of {what} ({unit})", rangemode="tozero", row=1, col=k)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return dress(figure, 90 + 26 * len(names), top=8, showlegend=False)
