"""An impulse response as a table, in words and as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from market.render import COLOURS, DASHES, FRAME, INK
from market.spec import MarketSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from policies.deviate import Response

BACK = 0.01  # a price within 1 % of the undeviated one is back


def print_response(spec: MarketSpec, response: Response, console: Console) -> None:
    """One row a period: every seller's price change, the deviator's profit change, and what it has gained so far."""
    name = response.names[response.seat]
    table = Table(
        title=f"{name} plays {response.rule} in {spec.period} {response.at} instead of its policy",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column(f"{spec.period}s after", justify="right")
    for seller in response.names:
        table.add_column(f"price of {seller}", justify="right")
    table.add_column(f"profit of {name}", justify="right")
    table.add_column("gained so far", justify="right")
    for t in range(len(response.gain)):
        prices = [
            _amount(response.mean["relative"][t, k], response.half["relative"][t, k], True)
            for k in range(len(response.names))
        ]
        profit = _amount(response.mean["profit"][t, response.seat], response.half["profit"][t, response.seat])
        style = "bold" if t == 0 else ""
        table.add_row(str(t), *prices, profit, _amount(response.gain[t], response.gain_half[t]), style=style)
    console.print(table)
    for line in verdict(spec, response):
        console.print(line, highlight=False)
    console.print(
        f"Differences to the undeviated twin on the same customers; prices in % of the twin's, profit in money; 95 % "
        f"intervals over {response.samples}.",
        style="dim",
        highlight=False,
    )


def _amount(mean: float, half: float, percent: bool = False) -> str:
    if mean == 0 and not half > 0:
        return "0"
    form = "{:+.2%}" if percent else "{:+.4g}"
    return form.format(mean) + (f" ± {(form.replace('+', '').replace('4', '2')).format(half)}" if half > 0 else "")


def verdict(spec: MarketSpec, response: Response) -> list[str]:
    """What was measured, in sentences: the rivals' reaction, how long it lasts, whether the deviation paid."""
    name, relative = response.names[response.seat], response.mean["relative"]
    lines = [f"{name} moves its price by {relative[0, response.seat]:+.2%}."]
    for k, rival in enumerate(response.names):
        if k != response.seat:
            lines.append(_reaction(spec, rival, relative[1:, k], response.half["relative"][1:, k]))
    gain, half = float(response.gain[-1]), float(response.gain_half[-1])
    word = "gains" if gain > half else "loses" if gain < -half else "neither gains nor loses beyond the interval:"
    size = f"{abs(gain):.4g}" if word in ("gains", "loses") else f"{gain:+.4g}"
    margin = f" ± {half:.2g}" if np.isfinite(half) else ""
    lines.append(f"Over these {len(response.gain)} {spec.period}s {name} {word} {size}{margin} in all.")
    return lines


def _reaction(spec: MarketSpec, rival: str, path: np.ndarray, half: np.ndarray) -> str:
    if len(path) == 0:
        return f"{rival}: nothing was watched afterwards."
    moved = np.abs(path) > np.maximum(np.nan_to_num(half), 1e-9)
    if not moved.any():
        return f"{rival} does not react measurably."
    most = int(np.argmax(np.abs(path)))
    after = np.flatnonzero(np.abs(path) >= BACK)
    last = f"is back within 1 % after {after[-1] + 1}" if len(after) else "never moves by 1 %, at most"
    still = len(after) > 0 and after[-1] == len(path) - 1
    word = "cuts" if path[most] < 0 else "raises"
    how = f"{rival} {word} its price by {abs(path[most]):.2%} {most + 1} {spec.period}(s) later"
    if still:
        return f"{how} and is not back within 1 % when we stop watching."
    return f"{how} and {last} {spec.period}(s)." if len(after) else f"{how}, its largest move."


def draw_response(spec: MarketSpec, response: Response) -> Figure:
    """Price paths (% of undeviated) and the deviator's profit with 95 % bands; belongs to no window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), dpi=100, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for k, name in enumerate(response.names):
        label = f"{name} (deviates)" if k == response.seat else name
        _path(left, k, 100 * response.mean["relative"][:, k], 100 * response.half["relative"][:, k], label)
        _path(right, k, response.mean["profit"][:, k], response.half["profit"][:, k], label)
    _dress(left, "Price change", "% of the undeviated price", spec)
    _dress(right, "Profit change", f"money a {spec.period}", spec)
    handles, names = left.get_legend_handles_labels()
    what = f"{response.names[response.seat]} plays {response.rule} for one {spec.period} (mean, 95 % band)"
    legend = figure.legend(
        handles, names, loc="outside upper center", ncols=min(len(names), 5), frameon=False, title=what
    )
    legend.get_title().set(color=INK, fontweight="bold")
    return figure


def _path(axes: Axes, k: int, mean: np.ndarray, half: np.ndarray, label: str) -> None:
    time, colour = np.arange(-1, len(mean)), COLOURS[k % len(COLOURS)]
    path, band = np.concatenate([[0.0], mean]), np.concatenate([[0.0], np.nan_to_num(half)])
    style = DASHES[k // len(COLOURS) % len(DASHES)]
    axes.plot(time, path, color=colour, linestyle=style, marker="o", markersize=3, linewidth=1.6, label=label)
    axes.fill_between(time, path - band, path + band, color=colour, alpha=0.18, linewidth=0)


def _dress(axes: Axes, title: str, unit: str, spec: MarketSpec) -> None:
    axes.axhline(0, color=FRAME, linewidth=0.8, zorder=0)
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK)
    axes.set_ylabel(unit, color=INK)
    axes.set_xlabel(f"{spec.period}s after the deviation", color=INK)
    axes.grid(True, axis="y", color=FRAME, linewidth=0.6, alpha=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FRAME)
    axes.tick_params(colors=INK)
