"""What an update found, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from market.calibration.newer.newest import LEVEL, NewestFit
from market.calibration.newer.periods import NewerSales
from market.calibration.newer.refit import Refit
from market.spec.models import MarketSpec
from policies.updating.judging import Judged
from policies.views.table import Cell, Cells, Column, Note, Row, Table


def newest_table(spec: MarketSpec, newer: NewerSales, found: NewestFit) -> Table:
    """What was sold in the newest periods, and what the market as it is would have sold."""
    columns = [
        Column(""),
        Column("sold", "{:,.0f}", important=True),
        Column("by the market", "{:,.0f}", important=True),
    ]
    columns.append(Column("z", "{:+.1f}"))
    rows: list[list[Cells]] = [[name, found.units[name], found.expected[name], found.z[name]] for name in spec.names]
    verdict = "they fit the market" if found.holds else "they do not fit the market"
    notes = [
        Note(f"p = {found.p:.3g}: {verdict} (at {LEVEL:.0%}; units by seller and how they move with prices, z {found.slope:+.1f})."),
        Note("A test by simulation: the market draws these periods at their prices, with new shocks and what its estimate leaves open.", "note"),
    ]  # fmt: skip
    held = newer.periods - newer.held
    title = f"The newest {held} {spec.period}s, {newer.said(newer.held, newer.periods)}, held out"
    return Table(title, columns, rows, notes, least=3)


def changes_table(spec: MarketSpec, found: Refit) -> Table:
    """The market's parameters, and the new periods'."""
    columns = [Column(""), Column("the market", "{:.4f}"), Column("se", "{:.4f}")]
    columns += [
        Column("new periods", "{:.4f}", important=True),
        Column("se", "{:.4f}"),
        Column("z", "{:+.1f}", important=True),
    ]
    moved = found.moved
    rows = [
        Row([one.name, one.before.value, one.before.error or None, one.now.value, one.now.error, one.z], "judged" if one in moved else "")
        for one in found.changes
    ]  # fmt: skip
    names = ", ".join(one.name for one in moved)
    notes: list[Note] = []
    said = f"Moved beyond their standard errors: {names}." if moved else "No parameter moved beyond its standard error."
    if found.changes:
        notes.append(Note(f"{said} (|z| above {found.far:.2f}: 5 % for all {len(found.changes)} together.)"))
    notes += [Note(f"{text[0].upper()}{text[1:]}.", "note") for text in found.remarks]
    newer = found.newer
    title = f"The market, and {newer.held - newer.new} new {spec.period}s, {newer.said(newer.new, newer.held)}"
    return Table(title, columns, rows, notes, least=3)


def judged_table(spec: MarketSpec, seller: str, found: Sequence[Judged], verdict: str) -> Table:
    """Champion and challenger wherever they were compared."""
    columns = [Column(""), Column("champion", "{:,.2f}"), Column("challenger", "{:,.2f}")]
    columns += [Column("difference", "{:+.4g}", important=True), Column("%", "{:+.1f}")]
    rows: list[list[Cells]] = [
        [one.where, one.champion, one.challenger, Cell(one.gap.value, one.gap.half), _share(one)] for one in found
    ]
    notes = [Note(verdict)]
    of = "over episodes, on record over the periods, which happened once"
    notes.append(Note(f"On the same customers, with 95 % intervals of the paired difference {of}.", "note"))
    title = f"{seller}: profit a {spec.period}, the seller in force and the one that learned on"
    return Table(title, columns, rows, notes, least=3)


def _share(one: Judged) -> float | None:
    """The difference in per cent; None beside a loss."""
    return 100 * one.gap.value / one.champion if one.champion > 0 else None
