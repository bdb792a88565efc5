"""Decisions as tables: one in full, many a line each."""

from __future__ import annotations

from collections.abc import Sequence

from policies.deployment.decider import POLICY, Decided, Decider
from policies.deployment.outlook import SAME, Outlook
from policies.views.table import Cell, Cells, Column, Note, Row, Table

SHOWN = 20  # decisions on screen; a file has all


def one_table(decider: Decider, decided: Decided, k: int) -> Table:
    """One decision beside what the policy, the best fixed rule and last period's decision would be."""
    spec, seat = decider.spec, decider.seat
    now, name = decided.states, spec.names[seat]
    stocked = spec.stocked
    position = float(now.position(seat)[k]) if stocked else 0.0
    columns = [Column(""), Column("price", "{:.4g}", important=True)]
    columns += [Column("order", "{:,.0f}", important=True), Column("up to", "{:,.0f}")] if stocked else []

    def row(label: str, price: float, order: float | None, kind: str = "") -> Row:
        cells: list[Cells] = [label, price]
        if stocked:
            cells += [order, None if order is None else position + order]
        return Row(cells, kind)

    who = decider.run.players[seat].label if decided.by[k] == POLICY else decided.by[k].partition(":")[0]
    rows = [row("decide", float(decided.price[k]), float(decided.order[k]), "judged")]
    if decided.bound[k]:
        rows.append(row(f"{who}, before rails", float(decided.wanted[0][k]), float(decided.wanted[1][k])))
    rows.append(row(decider.rule.label, float(decided.rule[0][k]), float(decided.rule[1][k])))
    rows.append(row("last period", float(now.price[k, seat]), None))
    title = f"{name}{f': {decided.labels[k]}' if decided.labels[k] else ''}, decided by {who}"
    return Table(title, columns, rows, notes(decided, k), least=2)


def notes(decided: Decided, k: int) -> list[Note]:
    """Who decided and why, which rails bound, and what of the input to look at."""
    found = []
    if decided.by[k] != POLICY:
        found.append(Note(f"Not the policy: {decided.by[k].partition(': ')[2]}.", "fails"))
    if decided.bound[k]:
        found.append(Note(f"Rails: {'; '.join(decided.bound[k])}."))
    if decided.outside[k]:
        found.append(Note(f"Outside what was met in training: {'; '.join(decided.outside[k])}.", "missing"))
    if decided.assumed[k]:
        found.append(Note(f"Not given, taken as: {', '.join(decided.assumed[k])}.", "note"))
    return found


def outlook_table(decider: Decider, found: Outlook) -> Table:
    """Expected profit from here on, by who decides."""
    period = decider.spec.period
    columns = [
        Column(""),
        Column(f"profit a {period}", important=True),
        Column("the decision's advantage", "{:+.4g}", important=True),
    ]
    rows: list[Row] = []
    for name, profit in found.profit.items():
        gap = found.gaps.get(name)
        cells: list[Cells] = [name, Cell(profit.value, profit.half), None if gap is None else Cell(gap.value, gap.half)]
        rows.append(Row(cells, "" if gap else "judged"))
    text = (
        f"{found.episodes} episodes from this state on, the same customers for every row; 95 % intervals (± half their width). "
        + (
            f"Stock is counted at unit cost. {SAME}: last {period}'s price, and what was sold is ordered again."
            if decider.spec.stocked
            else f"{SAME}: last {period}'s price."
        )
    )
    return Table(f"The next {found.periods} {period}s", columns, rows, [Note(text, "note")], least=3)


def many_table(decider: Decider, decided: Decided) -> Table:
    """A line a decision."""
    columns = [Column("state"), Column("price", "{:.4g}", important=True)]
    stocked = decider.spec.stocked
    columns += [Column("order", "{:,.0f}", important=True), Column("up to", "{:,.0f}")] if stocked else []
    columns += [Column("by", align="left"), Column("rails", align="left"), Column("outside", align="left")]
    rows: list[Sequence[Cells]] = []
    for k, label in enumerate(decided.labels[:SHOWN]):
        cells: list[Cells] = [label or f"{k + 1}", float(decided.price[k])]
        cells += [float(decided.order[k]), float(decided.level[k])] if stocked else []
        by = decided.by[k].partition(" ")[0]
        rows.append([*cells, by, _rails(decided.bound[k]), ", ".join(_names(decided.outside[k])) or None])
    count = len(decided.labels)
    more = [Note(f"{count - SHOWN:,} more; -o FILE has all.", "note")] if count > SHOWN else []
    return Table(f"{count:,} decisions of {decider.run.players[decider.seat].label}", columns, rows, more)


def _rails(bound: Sequence[str]) -> str | None:
    return ", ".join(dict.fromkeys(one.partition(":")[0] for one in bound)) or None


def _names(outside: Sequence[str]) -> list[str]:
    return [one.partition(" ")[0] for one in outside]
