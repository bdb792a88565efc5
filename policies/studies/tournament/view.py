"""A tournament as tables, payoff matrix, ranking and cross-play, and in sentences: equilibria, what the figures rest on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from policies.views.format import ABSENT, column_form
from policies.views.page import told
from policies.views.table import BESIDE, Cell, Cells, Column, Note, Table

SHOWN_EQUILIBRIA = 10
SHOWN_LINE_UPS = 8
LONGEST_LABEL = 40
LEAST = 3  # columns that a narrow terminal shows too
SHARE = "{:+.1%}"
ROUNDING = 1e-9  # of profit: a regret that small is what arithmetic leaves of none


def how(facts: dict[str, Any]) -> str:
    """What the figures rest on, in one sentence."""
    halves = (half for one in facts["payoffs"].values() for row in one["half_width"] for half in row)
    widest = max((half for half in halves if half is not None), default=None)
    (text,) = told("tournament.txt", "how", facts=facts, widest=widest)
    return f"\n{text}"


def _share(one: dict[str, Any], name: str) -> Cell | None:
    """A change as a share of the profit with training partners, where that is something."""
    scale, half = abs(one["with_partners"]), one[f"{name}_half_width"]
    return Cell(one[name] / scale, half and half / scale, form=SHARE) if scale else None


def _said(one: dict[str, Any], name: str) -> str:
    share = _share(one, name)
    return share.text(SHARE) if share else ABSENT


def equilibrium_notes(facts: dict[str, Any]) -> list[Note]:
    """The equilibria of the empirical game: who plays what, and indented what they earn and how sure it is."""
    found = facts["equilibria"]
    several, more = len(found["found"]) > 1, len(found["found"]) - SHOWN_EQUILIBRIA
    notes = [*map(Note, told("tournament.txt", "equilibria", found=found, seats=len(facts["seats"])))]
    for number, one in enumerate(found["found"][:SHOWN_EQUILIBRIA], 1):
        about = {"period": facts["period"], "shown": SHOWN_LINE_UPS, "rounding": ROUNDING}
        who, worth = told("tournament.txt", "equilibrium", one=one, number=several and number, **about)
        notes += [Note(who), Note(worth, indent=3)]
    return notes + [Note(f"and {more} more, in results.json")] * (more > 0)


# ------------------------------------------------------------------------------------------------ tables


def tables(facts: dict[str, Any], width: int) -> list[Table]:
    """All of what :func:`policies.studies.tournament.run.tournament_summary` describes, for a terminal of this ``width``."""
    how_played = Table("", (), (), [Note(how(facts), "note")])
    return [*matrices(facts, width), *standings(facts), how_played]


def standings(facts: dict[str, Any]) -> list[Table]:
    """Ranking, cross-play where there is any, and in words the equilibria."""
    crossed = [cross_play_table(facts)] if facts["cross_play"] else []
    return [ranking_table(facts), *crossed, Table("", (), (), equilibrium_notes(facts))]


def matrices(facts: dict[str, Any], width: int) -> list[Table]:
    """The payoff matrix: both seats' payoffs in a cell, with intervals or with fewer digits, as fits; else one a seat.

    A column is headed by the number of its policy in the rows. Best responses are set off.
    """
    for intervals, digits in ((True, 4), (False, 4), (False, 3)) if len(facts["seats"]) == 2 else ():
        both = _bimatrix(facts, intervals, digits)
        if len(both.fitted(width).blocks(width)) == 1:
            return [both]
    return [_one_seat(facts, seat) for seat in facts["seats"]]


def _bimatrix(facts: dict[str, Any], intervals: bool, digits: int) -> Table:
    seats = facts["seats"]
    first, second = (facts["payoffs"][seat] for seat in seats)
    form = column_form((value for one in (first, second) for row in one["mean"] for value in row), digits)
    mine, theirs = _payoffs(first, intervals), _payoffs(second, intervals)
    rows = [[(cell, theirs[j][i]) for j, cell in enumerate(row)] for i, row in enumerate(mine)]
    title = f"profit a {facts['period']}: rows play {seats[0]} (first figure), columns play {seats[1]} (second)"
    return _matrix(facts, seats[0], title, rows, form, BESIDE if intervals else " ")


def _one_seat(facts: dict[str, Any], seat: str) -> Table:
    who = "columns play the other seat" if len(facts["seats"]) == 2 else "columns sit in one of the other seats"
    title = f"profit a {facts['period']} of {seat}" + (f": rows play {seat}, {who}" if len(facts["seats"]) > 1 else "")
    payoffs = facts["payoffs"][seat]
    form = column_form(value for row in payoffs["mean"] for value in row)
    return _matrix(facts, seat, title, _payoffs(payoffs, intervals=False), form)


def _payoffs(payoffs: dict[str, Any], intervals: bool) -> list[list[Cell]]:
    """A cell for each candidate and set of rivals; the best of each column is set off."""
    best = [max(column) for column in zip(*payoffs["mean"], strict=True)]
    return [
        [
            Cell(value, half if intervals else None, best=value == top)
            for value, half, top in zip(*rows, best, strict=True)
        ]
        for rows in zip(payoffs["mean"], payoffs["half_width"], strict=True)
    ]


def _matrix(
    facts: dict[str, Any], seat: str, title: str, cells: Sequence[Sequence[Cells]], form: str, beside: str = BESIDE
) -> Table:
    numbers, payoffs = _numbers(facts), facts["payoffs"][seat]
    columns = [Column(""), *(Column(str(numbers.get(label, label)), form) for label in payoffs["rivals"])]
    rows = [[_named(facts, label), *row] for label, row in zip(payoffs["policies"], cells, strict=True)]
    return Table(title, columns, rows, narrow="split", beside=beside)


def _numbers(facts: dict[str, Any]) -> dict[str, int]:
    return {policy["label"]: number for number, policy in enumerate(facts["policies"], 1)}


def _named(facts: dict[str, Any], label: str) -> str:
    """A policy with its number, cut where it is long."""
    cut = label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
    return f"{_numbers(facts)[label]} {cut}"


def ranking_table(facts: dict[str, Any]) -> Table:
    """Mean rank, rating, and profit in every seat."""
    form = column_form(one["profit"] for row in facts["ranking"] for one in row["seats"].values())
    columns = [Column(""), Column("mean rank", "{:.2f}"), Column("rating", "{:.0f}")]
    columns += [Column(f"profit as {seat}", form, important=True) for seat in facts["seats"]]
    rows = []
    for row in facts["ranking"]:
        seats = [row["seats"].get(seat) for seat in facts["seats"]]
        cells: list[Cells] = [_named(facts, row["policy"]), _estimate(row, "rank"), _estimate(row, "rating")]
        rows.append([*cells, *(one and Cell(one["profit"], one["half_width"]) for one in seats)])
    return Table("ranking (1 is best; rating: Elo's scale, mean 1500)", columns, rows, least=LEAST)


def cross_play_table(facts: dict[str, Any]) -> Table:
    """What learned policies earn with those they were trained with, and with others; and in words."""
    found = facts["cross_play"]
    form = column_form(one["with_partners"] for one in found)
    others = " / ".join(dict.fromkeys(one["others"] for one in found))
    columns = [Column(""), Column("with training partners", form), Column(f"with {others}", form)]
    rows: list[list[Cells]] = []
    for one in found:
        profits = [_estimate(one, "with_partners"), _estimate(one, "with_others")]
        rows.append([_named(facts, one["policy"]), *profits, _share(one, "change"), _share(one, "candidates_change")])
    columns += [Column("change", important=True), Column("others in its seat")]
    notes = [*map(Note, told("tournament.txt", "cross_play", found=found, said=_said)), Note("")]
    return Table("cross-play, each in the seat it was trained in", columns, rows, notes, least=LEAST)


def _estimate(one: dict[str, Any], name: str) -> Cell:
    return Cell(one[name], one[f"{name}_half_width"])
