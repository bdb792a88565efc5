"""The tables of `bazaar reproduce`: profit gains beside what is known of them, and the course after a deviation.

The picture of `bazaar reproduce`: mean prices after a deviation, one panel for each kind of sellers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from market.demand.equilibrium import monopoly_prices, nash_prices
from market.demand.logit import Logit
from market.simulation.render import COLOURS, FRAME, INK
from market.state import Floats
from market.theory.price_game import PriceGame
from policies.studies.calvano.findings import Finding, one_period_equilibria, path_figures
from policies.views.figures import dress_axes, legend_above, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


SHOWN_PERIODS = (0, 1, 2, 5, 10, 15)
BARS = "▁▂▃▄▅▆▇█"


def print_findings(findings: Sequence[Finding], game: PriceGame, console: Console) -> None:
    """Both tables and what must be said beside them; nothing when nothing was found."""
    if not findings:
        return
    console.print(_gains(findings, game, console))
    for line in (*_caveats(findings), _effort(findings), _sources(findings), _grid(game)):
        if line:
            console.print(line, style="dim", highlight=False)
    console.print(_courses(findings, console))
    console.print(_course_note(findings), style="dim", highlight=False)


def _gains(findings: Sequence[Finding], game: PriceGame, console: Console) -> Table:
    title = f"{game.spec.name}: profit gain Δ in the long run (0 Bertrand-Nash, 1 joint profit), 95 % intervals"
    heads = ["sellers", "of", "Δ", "expected", "single ones", "re-matched Δ", "expected", "price", "profit"]
    rows = []
    for one in findings:
        span = f"{one.gain.min():.2f} to {one.gain.max():.2f}" if one.sessions > 1 else "only one"
        cells = [one.contender.name, _of(one), with_interval(one.gain.mean(), one.gain_half), one.contender.expected]
        cells += [span, with_interval(one.rematched, one.rematched_half), one.contender.expected_rematched]
        rows.append([*(cell or "-" for cell in cells), f"{one.price.mean():.3f}", f"{one.profit.mean():.4f}"])
    return _table(title, heads, rows, 2, console)


def _of(finding: Finding) -> str:
    return f"{finding.sessions} {finding.contender.unit}{'s' if finding.sessions > 1 else ''}"


def with_interval(mean: float, half: float) -> str:
    """``0.864 ± 0.010``; a dash where there is no mean, the mean alone where there is no interval."""
    if not np.isfinite(mean):
        return "-"
    return f"{mean:.3f}" + (f" ± {half:.3f}" if np.isfinite(half) else "")


def _caveats(findings: Sequence[Finding]) -> list[str]:
    """No figure of one session stands there without a word."""
    lines = []
    for one in findings:
        if one.sessions == 1:
            unit = one.contender.unit
            lines.append(
                f"{one.contender.name}: one {unit}, so no interval; {unit}s differ widely, and one says little."
            )
        if left := one.contender.settings.get("unconverged"):
            lines.append(f"{one.contender.name}: {left} of {_of(one)} were cut off before they converged; they count.")
    return lines


def _effort(findings: Sequence[Finding]) -> str:
    """How long each kind of sellers learned."""
    parts = []
    for one in findings:
        settings = one.contender.settings
        if "mean_periods" in settings:
            parts.append(f"{one.contender.name}: {settings['mean_periods'] / 1e6:.2f} million periods a session")
        elif "budget" in settings:
            parts.append(f"{one.contender.name}: {settings['budget']:,} seller-periods a seed")
    return f"Learned for, on average: {'; '.join(parts)}." if parts else ""


def _sources(findings: Sequence[Finding]) -> str:
    if not any(one.contender.expected for one in findings):
        return ""
    return (
        "Expected: Calvano et al. (2020) report a Δ of about 0.85 at delta 0.95; the other figures are of an "
        "independent rewrite of their experiment (there 0.864 ± 0.010 at delta 0.95)."
    )


def _grid(game: PriceGame) -> str:
    equilibria = one_period_equilibria(game)
    start = "Re-matched: sellers of different sessions, from any last prices alike, as many line-ups as there are."
    if not len(equilibria):
        return f"{start} On the price grids one period has no equilibrium in pure prices."
    gains = game.gain(game.payoff[equilibria])
    span = f"{gains.min():.3f}" + (f" to {gains.max():.3f}" if len(gains) > 1 else "")
    return f"{start} On the price grids the equilibria of one period have Δ {span}."


def _courses(findings: Sequence[Finding], console: Console) -> Table:
    title = "Impulse response: one seller posts its static best response in period 1, then all follow their strategies"
    last = findings[0].impulse.deviator.shape[1] - 1
    shown = [k for k in SHOWN_PERIODS if k <= last]
    heads = ["sellers", "mean price", *("before" if k == 0 else f"{k}" for k in shown), f"course 0 to {last}"]
    rows = [row for one in findings for row in _course(one, shown)]
    return _table(title, [*heads, "returned", "pays", "worth"], rows, 2, console)


def _course(finding: Finding, shown: Sequence[int]) -> tuple[list[str], list[str]]:
    """The rows of the deviator and of its rivals."""
    impulse = finding.impulse
    paths = impulse.deviator.mean(axis=0), impulse.rivals.mean(axis=0)
    low, high = min(p.min() for p in paths), max(p.max() for p in paths)
    own, rivals = ([*(f"{path[t]:.3f}" for t in shown), sparkline(path, low, high)] for path in paths)
    shares = [f"{impulse.returned.mean():.0%}", f"{impulse.pays.mean():.0%}", f"{impulse.worth.mean():+.1%}"]
    return [finding.contender.name, "deviator", *own, *shares], [_of(finding), "rivals", *rivals, "", "", ""]


def sparkline(values: Floats, low: float, high: float) -> str:
    """One bar a value, lowest at ``low`` and highest at ``high``: 0, 1, 2 between 0 and 2 is ▁▅█."""
    share = (values - low) / (high - low) if high > low else np.full(len(values), 0.5)
    return "".join(BARS[int(x)] for x in np.minimum(share * len(BARS), len(BARS) - 1))


def _course_note(findings: Sequence[Finding]) -> str:
    last = findings[0].impulse.deviator.shape[1] - 1
    differs = ", ".join(f"{one.contender.name}: {one.impulse.differs.mean():.0%}" for one in findings)
    return (
        f"Means over the seats, which deviate in turn, and the phases of the cycle. Returned: back on the old cycle "
        f"within {last} periods. Pays, worth: how often, and by how much, the deviator's discounted profit exceeds that "
        f"of not deviating. Cases in which the best response was a change at all: {differs}."
    )


def _table(title: str, heads: list[str], rows: list[list[str]], left: int, console: Console) -> Table:
    """A table without the columns, from the right, that a narrow terminal has no room for; ``left`` are of text."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    widths = np.cumsum([max(len(row[k]) for row in [heads, *rows]) + 3 for k in range(len(heads))])
    fitting = max(3, int((widths + 1 <= console.width).sum()))
    for k, head in enumerate(heads[:fitting]):
        table.add_column(head, justify="left" if k < left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row[:fitting])
    return table


COLUMNS = 2


def draw_impulse(findings: Sequence[Finding], game: PriceGame) -> Figure:
    """Mean prices of the deviator and of its rivals with 95 % bands over sessions, between the reference prices.

    Args:
        findings: at least one.
        game: their market.

    Returns:
        A figure that belongs to no window.
    """
    columns = min(COLUMNS, len(findings))
    rows = -(-len(findings) // columns)
    figure = new_figure(5.5 * columns, 3.4 * rows + 0.8)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flatten()
    for axes, finding in zip(panels, findings, strict=False):
        _draw(axes, finding, game)
    for axes in panels[: len(findings) : columns]:
        axes.set_ylabel("mean price, money per unit", color=INK)
    for axes in panels[len(findings) :]:
        axes.set_visible(False)
    for axes in panels[max(0, len(findings) - columns) : len(findings)]:
        axes.set_xlabel(f"{game.spec.period} (0: before the deviation)", color=INK)
        axes.tick_params(labelbottom=True)
    left = f"one seller leaves its strategy in {game.spec.period} 1 for its static best response (bands: 95 %)"
    legend_above(figure, panels[0], f"{game.spec.name}: {left}")
    return figure


def _draw(axes: Axes, finding: Finding, game: PriceGame) -> None:
    impulse, logit = finding.impulse, Logit.of(game.spec)
    for name, price in (("Nash", nash_prices(logit)), ("joint profit", monopoly_prices(logit))):
        level = float(np.mean(price))
        axes.axhline(level, color=FRAME, linewidth=1, linestyle=":")
        axes.annotate(name, (1, level), xycoords=("axes fraction", "data"), ha="right", va="bottom", color=INK, size=8)
    for k, (name, path) in enumerate((("deviator", impulse.deviator), ("rivals", impulse.rivals))):
        _line(axes, path, COLOURS[k], name, "o" if k == 0 else "s")
    unit = f"{finding.sessions} {finding.contender.unit}" + ("s" if finding.sessions > 1 else " only")
    dress_axes(axes, f"{finding.contender.name}, {unit}")


def _line(axes: Axes, path: Floats, colour: str, name: str, marker: str) -> None:
    mean, half = path_figures(path)
    periods = np.arange(len(mean))
    if np.isfinite(half).all():
        axes.fill_between(periods, mean - half, mean + half, color=colour, alpha=0.15, linewidth=0)
    style = "-" if marker == "o" else "--"
    axes.plot(periods, mean, color=colour, linewidth=1.6, linestyle=style, marker=marker, markersize=3.5, label=name)


def save_impulse(findings: Sequence[Finding], game: PriceGame, path: Path) -> None:
    """Write the picture as PNG."""
    draw_impulse(findings, game).savefig(path)
