"""An impulse response as a table, in words and as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from market.simulation.render import COLOURS, DASHES, FRAME
from market.spec.models import MarketSpec
from market.state import Floats
from policies.views.figures import dress_axes, legend_above, new_figure
from policies.views.table import fitting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from policies.studies.deviate.run import DeviationResponse

BACK = 0.01  # a price within 1 % of the undeviated one is back
NOTHING = 1e-9  # what rounding leaves of a difference


def print_response(spec: MarketSpec, response: DeviationResponse, console: Console) -> None:
    """One row a period: every seller's price change, and the deviator's sales, profit and gain so far.

    Rivals' profits follow where the terminal has room for them.
    """
    deviator, names = response.names[response.seat], response.names
    rows = range(len(response.gain))
    columns = [[f"{spec.period}s after", *map(str, rows)]]
    columns += [
        [f"price of {name}", *_column(response, "relative", k, "{:+.2%}", "{:.2%}")] for k, name in enumerate(names)
    ]
    columns += [[f"profit of {deviator}", *_column(response, "profit", response.seat)]]
    columns += [["gained so far", *(_amount(response.gain[t], response.gain_half[t]) for t in rows)]]
    columns += [[f"units of {deviator}", *_column(response, "sold", response.seat)]]
    columns += [
        [f"profit of {name}", *_column(response, "profit", k)] for k, name in enumerate(names) if k != response.seat
    ]
    title = f"{deviator} plays {response.rule} in {spec.period} {response.at} instead of its policy"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    kept = columns[: fitting(columns, console.width)]
    for column in kept:
        table.add_column(column[0], justify="right", no_wrap=True)
    for t in rows:
        table.add_row(*(column[t + 1] for column in kept), style="bold" if t == 0 else "")
    console.print(table)
    for line in verdict(spec, response):
        console.print(line, highlight=False, markup=False)
    console.print(_how(spec, response), style="dim", highlight=False, markup=False)


def _column(
    response: DeviationResponse, name: str, k: int, form: str = "{:+.4g}", half_form: str = "{:.2g}"
) -> list[str]:
    mean, half = response.mean[name][:, k], response.half[name][:, k]
    return [_amount(m, h, form, half_form) for m, h in zip(mean, half, strict=True)]


def _amount(mean: float, half: float, form: str = "{:+.4g}", half_form: str = "{:.2g}") -> str:
    if mean == 0 and not half > 0:
        return "0"
    return form.format(mean) + (f" ± {half_form.format(half)}" if half > 0 else "")


def _how(spec: MarketSpec, response: DeviationResponse) -> str:
    stock = " and its stock valued as evaluation does" if spec.stocked else ""
    return (
        "Differences to the undeviated twin on the same customers; prices in % of the twin's, profit in money; 95 % "
        f"intervals over {response.samples}. Gained so far: profit discounted by {response.gamma:g} a {spec.period}{stock}."
    )


def verdict(spec: MarketSpec, response: DeviationResponse) -> list[str]:
    """What was measured, in sentences: the rivals' reaction, how long it lasts, whether the deviation paid."""
    name, relative, half = response.names[response.seat], response.mean["relative"], response.half["relative"]
    lines = [
        f"{name} moves its price by {_amount(relative[0, response.seat], half[0, response.seat], '{:+.2%}', '{:.2%}')}."
    ]
    for k, rival in enumerate(response.names):
        if k != response.seat:
            lines.append(f"{rival} {_reaction(spec, relative[1:, k], half[1:, k])}.")
    gain, margin = float(response.gain[-1]), float(np.nan_to_num(response.gain_half[-1]))
    span = f"In all {name}"
    if abs(gain) <= max(margin, NOTHING):
        how = f"neither gains nor loses measurably ({_amount(gain, margin)})"
    else:
        how = f"{'gains' if gain > 0 else 'loses'} {_amount(abs(gain), margin, '{:.4g}')}"
    return [*lines, f"{span} {how} in these {len(response.gain)} {spec.period}s, discounted: {_paid(gain, margin)}."]


def _paid(gain: float, margin: float) -> str:
    if abs(gain) <= max(margin, NOTHING):
        return "whether the deviation paid cannot be told" if margin > 0 else "the deviation made no difference"
    return "the deviation paid" if gain > 0 else "the deviation did not pay"


def _reaction(spec: MarketSpec, path: Floats, half: Floats) -> str:
    """What a rival's price does in the periods after, relative to the undeviated one: (K,) with half-widths."""
    beyond = np.abs(path) > np.maximum(np.nan_to_num(half), NOTHING)
    if not beyond.any():
        return "does not react measurably"
    first, most = _move(path[0], half[0], bool(beyond[0])), int(np.argmax(np.where(beyond, np.abs(path), 0.0)))
    text = f"{first} in the {spec.period} after"
    if most > 0:
        text += f", {_move(path[most], half[most], True, 'at most ')} {most + 1} {spec.period}s after"
    away = np.flatnonzero(np.abs(path) >= BACK)
    if not len(away):
        return f"{text}, never by as much as {BACK:.0%}"
    if away[-1] == len(path) - 1:
        return f"{text}, and is not back within {BACK:.0%} after {len(path)} {spec.period}s"
    back = int(away[-1]) + 1
    return f"{text}, and is back within {BACK:.0%} after {back} {spec.period}{'s' if back > 1 else ''}"


def _move(mean: float, half: float, beyond: bool, most: str = "") -> str:
    if not beyond:
        return "leaves its price where it was"
    return f"{'cuts' if mean < 0 else 'raises'} its price {most}by {_amount(abs(mean), half, '{:.2%}', '{:.2%}')}"


def draw_response(spec: MarketSpec, response: DeviationResponse) -> Figure:
    """Price paths (% of undeviated) and the deviator's profit with 95 % bands; belongs to no window."""
    figure = new_figure(10, 4)
    left, right = figure.subplots(1, 2)
    for k, name in enumerate(response.names):
        label = f"{name} (deviates)" if k == response.seat else name
        _path(left, k, 100 * response.mean["relative"][:, k], 100 * response.half["relative"][:, k], label)
        _path(right, k, response.mean["profit"][:, k], response.half["profit"][:, k], label)
    after = f"{spec.period}s after the deviation"
    dress_axes(left, "Price change", after, "% of the undeviated price")
    dress_axes(right, "Profit change", after, f"money a {spec.period}")
    for axes in (left, right):
        axes.axhline(0, color=FRAME, linewidth=0.8, zorder=0)
    seller = response.names[response.seat]
    legend_above(figure, left, f"{seller} plays {response.rule} for one {spec.period} (mean, 95 % band)")
    return figure


def _path(axes: Axes, k: int, mean: Floats, half: Floats, label: str) -> None:
    time, colour = np.arange(-1, len(mean)), COLOURS[k % len(COLOURS)]
    path, band = np.concatenate([[0.0], mean]), np.concatenate([[0.0], np.nan_to_num(half)])
    style = DASHES[k // len(COLOURS) % len(DASHES)]
    axes.plot(time, path, color=colour, linestyle=style, marker="o", markersize=3, linewidth=1.6, label=label)
    axes.fill_between(time, path - band, path + band, color=colour, alpha=0.18, linewidth=0)
