"""What a policy does, drawn: its price and order-up-to level over its inventory position and the lowest rival price.

Everything else that the seller sees stands at a typical value, the median of what it met in greedy play; what a seller
remembers stands at a typical memory, since it differs from history to history. Where there is no stock, or no rival
whose price is seen, its own last price takes the free axis. Dimensions: X values across, Y values up, V states met, N
sellers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from market.simulation.render import FRAME, INK, new_figure
from market.spec.models import MarketSpec
from market.state import Floats
from policies.explain.states import Rollout, RolloutStates, ask, greedy_rollout, typical, typical_memory
from policies.sellers.protocol import Memory, Seller

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS, ROWS = 41, 31
DOTS = 150  # states marked in a map
POSITION, RIVAL, OWN = "inventory position", "lowest rival price", "own last price"
COLOURS = "cividis"  # told apart by colour-blind readers, and ordered in grey


@dataclass(frozen=True)
class MapAxis:
    """One free feature: what it is, in which unit, and the values it takes, ascending."""

    name: str
    unit: str
    values: Floats

    @property
    def label(self) -> str:
        """Name and unit, as an axis is labelled."""
        return f"{self.name} ({self.unit})"


@dataclass(frozen=True)
class PolicyMap:
    """A policy over two free features, ``up`` None where there is only one.

    ``price`` (Y, X), money per unit. ``level`` (Y, X), units: the inventory position after ordering, NaN where nothing
    is ordered, None where there is no stock. ``met`` (V, 2): across and up of states met in greedy play.
    ``widths``: of the seat's ranges of prices and of levels, so that colours do not magnify trifles. ``memory``: what
    of the seller's memory is shown, in words; empty where it remembers nothing.
    """

    policy: str
    across: MapAxis
    up: MapAxis | None
    price: Floats
    level: Floats | None
    met: Floats
    widths: tuple[float, float]
    memory: str = ""

    @property
    def frame(self) -> tuple[Floats, Floats]:
        """The least and the most that was met across and up, (2,) each: beyond it a map says what was never learned."""
        return self.met.min(axis=0), self.met.max(axis=0)

    @property
    def among_met(self) -> NDArray[np.bool_]:
        """Which cells (Y, X) lie within :attr:`frame`, or nearer to it than to their neighbour."""
        inside = [
            _near(axis.values, low, high) if axis is not None else np.ones(1, np.bool_)
            for axis, low, high in zip((self.across, self.up), *self.frame, strict=True)
        ]
        return np.asarray(inside[1][:, None] & inside[0])

    @property
    def posted(self) -> tuple[float, float]:
        """The lowest and the highest price of those cells, money per unit."""
        there = self.price[self.among_met]
        return float(there.min()), float(there.max())

    @property
    def panels(self) -> list[tuple[str, Floats, float]]:
        """What there is to draw: title with unit, values (Y, X), and the width of the seat's range."""
        price = ("Price (money per unit)", self.price, self.widths[0])
        if self.level is None:
            return [price]
        blank = ", grey: orders nothing" if np.isnan(self.level).any() else ""
        return [price, (f"Order-up-to level (units{blank})", self.level, self.widths[1])]


def _near(values: Floats, low: float, high: float) -> NDArray[np.bool_]:
    """Which of ascending values lie from ``low`` to ``high``, or the half of a step beside that."""
    half = float(np.diff(values).max()) / 2 if len(values) > 1 else np.inf
    return np.asarray((values >= low - half) & (values <= high + half))


def colour_range(values: Sequence[Floats], width: float) -> tuple[float, float]:
    """The values that the darkest and the lightest colour stand for, the same for all maps (each (Y, X)) of a panel.

    At least a tenth of the decision's range, ``width``: prices of 3.320 and 3.321 get the same colour.
    """
    known = np.concatenate([np.ravel(v[np.isfinite(v)]) for v in values])
    if not len(known):
        return 0.0, max(width, 1.0)
    low, high, least = float(known.min()), float(known.max()), 0.1 * width or 1.0
    middle, half = (low + high) / 2, max(high - low, least) / 2
    return middle - half, middle + half


def policy_map(
    policy: str, seller: Seller, rollout: Rollout, seat: int, columns: int = COLUMNS, rows: int = ROWS
) -> PolicyMap:
    """Ask a seller over a grid of states, all at once.

    Args:
        policy: what the map is headed with.
        seller: any seller; it need not be the one that was rollout, so that two can be compared on one grid.
        rollout: play that says what is typical, and between which values the free features range.

    The grid spans what was met, and somewhat more. The inventory position is split between shelf and pipeline as it
    typically is. Of several rivals, the one whose price is most often the lowest takes the price of the axis; no other
    posts less.
    """
    across, up = axes(rollout, seat, columns, rows)
    grid = _grid(rollout, seat, across, up)
    memory, words = _remembered(seller, rollout.memories[seat], len(grid))
    price, order = ask(rollout.spec, seller, grid, seat, memory)
    shape = (1 if up is None else len(up.values), len(across.values))
    level = np.where(order > 0, grid.position(seat) + order, np.nan).reshape(shape) if rollout.spec.stocked else None
    own = rollout.spec.sellers[seat]
    widths = own.prices[1] - own.prices[0], own.order_up_to[1] - own.order_up_to[0]
    return PolicyMap(policy, across, up, price.reshape(shape), level, _met(rollout, seat, across, up), widths, words)


def _remembered(seller: Seller, met: Memory, rows: int) -> tuple[Memory, str]:
    """A typical one of the memories met, in all of ``rows``, and in words; an empty one where the met ones do not fit."""
    fresh = seller.start(1)
    if not fresh:
        return fresh, ""
    fits = {name: array.shape[1:] for name, array in met.items()} == {n: array.shape[1:] for n, array in fresh.items()}
    one = typical_memory(seller, met) if fits else fresh
    words = "its memory is a typical one of those met" if fits else "as in the first period of an episode"
    return {name: np.repeat(array, rows, 0) for name, array in one.items()}, words


def axes(rollout: Rollout, seat: int, columns: int = COLUMNS, rows: int = ROWS) -> tuple[MapAxis, MapAxis | None]:
    """The two free features of a seat's map and their values; there may be one only."""
    spec, met = rollout.spec, rollout.states
    found, counts = [], [columns, rows]
    if spec.stocked:
        found.append(_positions(spec, met.position(seat) + rollout.order[:, seat], counts.pop(0)))
    rivals = [seller.prices for k, seller in enumerate(spec.sellers) if k != seat]
    if rivals and spec.visibility.rivals_prices == "last":
        low, high = min(least for least, _ in rivals), max(most for _, most in rivals)
        found.append(_prices(RIVAL, _along(RIVAL, met, seat), low, high, counts.pop(0)))
    if counts:
        found.append(_prices(OWN, _along(OWN, met, seat), *spec.sellers[seat].prices, counts.pop(0)))
    return found[0], found[1] if len(found) > 1 else None


def _positions(spec: MarketSpec, reached: Floats, count: int) -> MapAxis:
    """From nothing to somewhat more than what was there after ordering."""
    values = np.linspace(0, 1.15 * max(float(np.quantile(reached, 0.995)), 1.0), count)
    if spec.customers.mode == "sampled":
        values = np.unique(np.rint(values))
    return MapAxis(POSITION, "units", values)


def _prices(name: str, met: Floats, low: float, high: float, count: int) -> MapAxis:
    """What was met and a bit more, at least a third of the range."""
    least, most = np.quantile(met, [0.005, 0.995]).tolist()
    half = max(0.6 * (most - least), (high - low) / 6)
    centre = min(max((least + most) / 2, low + half), high - half)
    if high <= low:
        return MapAxis(name, "money per unit", np.array([low]))
    return MapAxis(name, "money per unit", np.linspace(max(low, centre - half), min(high, centre + half), count))


def _grid(rollout: Rollout, seat: int, across: MapAxis, up: MapAxis | None) -> RolloutStates:
    """Typical states (Y x X) but for the free features."""
    spec, met = rollout.spec, rollout.states
    values = {axis.name: axis.values for axis in (across, up) if axis is not None}
    mesh = dict(zip(values, (part.ravel() for part in np.meshgrid(*values.values())), strict=True))
    size = len(next(iter(mesh.values())))
    usual = typical_state(met)
    grid = usual.at(np.zeros(size, np.int64))
    if POSITION in mesh:
        _stock_up(spec, grid, met, seat, mesh[POSITION])
    if OWN in mesh:
        grid.price[:, seat] = mesh[OWN]
    if RIVAL in mesh:
        _undercut(grid, met, seat, mesh[RIVAL])
    return grid


def typical_state(met: RolloutStates) -> RolloutStates:
    """The median of everything that was met, as one state."""
    return replace(met, **{f.name: typical(getattr(met, f.name))[None] for f in fields(met)})


def _stock_up(spec: MarketSpec, grid: RolloutStates, met: RolloutStates, seat: int, position: Floats) -> None:
    """Split an inventory position between shelf and pipeline in typical proportions, in whole units where sampled."""
    share = met.pipeline[:, seat].mean(0) / max(float(met.position(seat).mean()), 1e-12)
    coming = position[:, None] * share
    if spec.customers.mode == "sampled":
        coming = np.rint(coming)
    grid.pipeline[:, seat] = coming
    grid.on_hand[:, seat] = np.maximum(position - coming.sum(1), 0.0)


def _undercut(grid: RolloutStates, met: RolloutStates, seat: int, lowest: Floats) -> None:
    rivals = [k for k in range(met.price.shape[1]) if k != seat]
    counts = np.bincount(met.price[:, rivals].argmin(1), minlength=len(rivals))
    cheapest = rivals[int(counts.argmax())]
    for rival in rivals:
        grid.price[:, rival] = lowest if rival == cheapest else np.maximum(grid.price[:, rival], lowest)


def _met(rollout: Rollout, seat: int, across: MapAxis, up: MapAxis | None) -> Floats:
    """Evenly spread over the play: (V, 2)."""
    met = rollout.states
    every = met.at(np.linspace(0, len(met) - 1, min(DOTS, len(met))).astype(int))
    return np.stack([_along(axis.name, every, seat) for axis in (across, up or across)], axis=1)


def _along(name: str, met: RolloutStates, seat: int) -> Floats:
    """Where states lie (D,) on the axis of that name."""
    if name == POSITION:
        return met.position(seat)
    return np.delete(met.price, seat, axis=1).min(1) if name == RIVAL else met.price[:, seat]


def training_maps(
    spec: MarketSpec, sellers: Sequence[Seller], seats: Sequence[int], seed: int = 0, warm_up: int = 0
) -> dict[str, Figure]:
    """A picture for each of ``seats``, by its seller's name, of the policies as they are now: for TensorBoard.

    Args:
        sellers: who sits in each seat now; a few episodes among them say what is typical.
        seed: of those customers.
    """
    rollout = greedy_rollout(spec, sellers, episodes=8, seed=seed, warm_up=warm_up)
    names = {seat: spec.names[seat] for seat in seats}
    return {name: draw_policy_map(policy_map(name, sellers[seat], rollout, seat)) for seat, name in names.items()}


def draw_policy_map(policy: PolicyMap) -> Figure:
    """Draw price above order-up-to level; dots are states met. The figure belongs to no window."""
    panels = policy.panels
    height = 2 + 5 * len(panels)
    figure = new_figure(8, height, layout="none")
    figure.subplots_adjust(left=0.19, right=0.93, bottom=1.2 / height, top=1 - 2 / height, hspace=0.4)
    words = f" ({policy.memory})" if policy.memory else ""
    figure.suptitle(f"Policy of {policy.policy}{words}", x=0.02, ha="left", color=INK, fontweight="bold")
    drawn = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axes_, panel in zip(drawn, panels, strict=True):
        _draw_panel(axes_, policy, *panel)
    for axes_ in drawn if policy.up is not None else ():
        axes_.set_ylabel(_in_two(policy.up.label if policy.up else ""), color=INK)
    drawn[-1].set_xlabel(policy.across.label, color=INK)
    return figure


def _in_two(label: str) -> str:
    """The unit in a line of its own: pictures are looked at in narrow cards."""
    return label.replace(" (", "\n(")


def _draw_panel(axes_: Axes, policy: PolicyMap, title: str, values: Floats, width: float) -> None:
    axes_.set_title(_in_two(title), loc="left", fontsize=10, fontweight="bold", color=INK)
    axes_.tick_params(colors=INK)
    axes_.spines[:].set_color(FRAME)
    if policy.up is None or len(policy.up.values) < 2:
        axes_.plot(policy.across.values, values[0], color=INK)
        return
    shown: Any = np.ma.masked_invalid(values)
    axes_.set_facecolor("#F2F2F2")
    low, high = colour_range([values], width)
    style: dict[str, Any] = {"cmap": COLOURS, "shading": "nearest", "vmin": low, "vmax": high}
    mesh = axes_.pcolormesh(policy.across.values, policy.up.values, shown, **style)
    axes_.figure.colorbar(mesh, ax=axes_, pad=0.02, fraction=0.06).ax.tick_params(colors=INK)
    window = axes_.axis()
    axes_.plot(*policy.met.T, ".", color="white", markersize=3, markeredgecolor=INK, markeredgewidth=0.4)
    axes_.axis(window)
