"""An impulse response as a table, in words and as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from market.simulation.render import COLOURS, DASHES, FRAME, dress_axes, legend_above, new_figure
from market.spec.models import MarketSpec
from market.state import Floats
from policies.views.page import told
from policies.views.table import Cell, Column, Note, Row, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from policies.studies.deviate.run import DeviationResponse

BACK = 0.01  # a price within 1 % of the undeviated one is back
MONEY, SHARE = "{:+.4g}", "{:+.2%}"
NOTHING = 1e-9  # what rounding leaves of a difference


def tables(spec: MarketSpec, response: DeviationResponse) -> list[Table]:
    """One row a period: every seller's price change, and the deviator's sales, profit and gain so far; then in words.

    Rivals' profits follow where the terminal has room for them.
    """
    names, seat = response.names, response.seat
    rivals = [k for k in range(len(names)) if k != seat]
    columns = [Column(f"{spec.period}s after", align="right")]
    columns += [Column(f"price of {name}", SHARE, important=k == seat) for k, name in enumerate(names)]
    columns += [Column(f"profit of {names[seat]}", MONEY), Column("gained so far", MONEY, important=True)]
    columns += [Column(f"units of {names[seat]}", MONEY), *(Column(f"profit of {names[k]}", MONEY) for k in rivals)]
    changes = [_changes(response, "relative", k) for k in range(len(names))]
    changes += [_changes(response, "profit", seat), [*map(_change, response.gain, response.gain_half)]]
    changes += [_changes(response, "sold", seat), *(_changes(response, "profit", k) for k in rivals)]
    rows = [Row([str(t), *cells], "" if t else "best") for t, cells in enumerate(zip(*changes, strict=True))]
    title = f"{names[seat]} plays {response.rule} in {spec.period} {response.at} instead of its policy"
    how = (Note(text, "note") for text in told("deviate.txt", "how", spec=spec, response=response))
    return [Table(title, columns, rows, [*map(Note, verdict(spec, response)), *how])]


def _changes(response: DeviationResponse, name: str, seat: int) -> list[Cell]:
    return [*map(_change, response.mean[name][:, seat], response.half[name][:, seat])]


def _change(mean: float, half: float, form: str | None = None) -> Cell:
    """A change with its half-width where it has one; one that is none, for sure, without a sign."""
    return Cell(float(mean), float(half) if half > 0 else None, form=form if mean or half > 0 else "{:.0f}")


def _amount(mean: float, half: float, form: str = MONEY) -> str:
    return _change(mean, half, form).text(form)


def verdict(spec: MarketSpec, response: DeviationResponse) -> list[str]:
    """What was measured, in sentences: the rivals' reaction, how long it lasts, whether the deviation paid."""
    seat, relative, half = response.seat, response.mean["relative"], response.half["relative"]
    rivals = {k: name for k, name in enumerate(response.names) if k != seat}
    about: dict[str, Any] = {"moved": _amount(relative[0, seat], half[0, seat], SHARE)}
    about |= {"reactions": {name: _reaction(spec, relative[1:, k], half[1:, k]) for k, name in rivals.items()}}
    gain, margin = float(response.gain[-1]), float(np.nan_to_num(response.gain_half[-1]))
    sure = abs(gain) > max(margin, NOTHING)
    earned = _amount(abs(gain), margin, "{:.4g}") if sure else _amount(gain, margin)
    about |= {"gain": gain, "margin": margin, "sure": sure, "earned": earned}
    return told("deviate.txt", "verdict", spec=spec, response=response, **about)


def _reaction(spec: MarketSpec, path: Floats, half: Floats) -> str:
    """What a rival's price does in the periods after, relative to the undeviated one: (K,) with half-widths."""
    size = np.abs(path)
    beyond, away = size > np.maximum(np.nan_to_num(half), NOTHING), np.flatnonzero(size >= BACK)
    most = int(np.argmax(np.where(beyond, size, 0.0)))
    first, largest = ((path[t], _amount(size[t], half[t], "{:.2%}")) if beyond[t] else None for t in (0, most))
    about = {"at": most + 1, "back": int(away[-1]) + 1 if len(away) else 0, "periods": len(path)}
    within = f"{BACK:.0%}"
    (text,) = told("deviate.txt", "reaction", spec=spec, first=first, most=largest, within=within, **about)
    return text


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
