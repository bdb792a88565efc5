"""What other commands left, as the report shows it: tournaments that the run took part in, exploitability, deviations.

Files of other versions, or of nobody, are read with care: what is not as it should be is left out and named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.common.files import read_json
from policies.report.charts import payoff_chart
from policies.report.data import ReportedRun
from policies.report.sections import half_width
from policies.storage.run_folder import ANALYSIS
from policies.views.format import column_form, number
from policies.views.table import Cell, Cells, Column, Row, Table

RESULTS = "results.json"
MOST_SHOWN = 3  # tournaments, the latest
MOST_EQUILIBRIA = 5
MOST_LINE_UPS = 6
Facts = dict[str, Any]  # of a JSON file


def _files(run: ReportedRun, kind: str) -> dict[Path, Facts]:
    files = sorted((run.folder / ANALYSIS).glob(f"{kind}-*.json"))
    return {file: content for file in files if (content := read_json(file, dict))}


# ------------------------------------------------------------------------------------------------ exploitability


@dataclass(frozen=True)
class Exploits:
    """All measurements of regret: ``foreign`` files are not as `bazaar exploit` writes them, ``table`` has the others.

    ``nash_conv``: the sum over all seats, None where one has none; ``exact``: whether it is no mere lower bound.
    """

    files: dict[Path, Facts]
    foreign: list[Path]
    table: Table | None
    nash_conv: float | None
    exact: bool


def exploits(run: ReportedRun) -> Exploits:
    """What `bazaar exploit` left in the run's folder; of several measurements of a seat the largest bound counts."""
    files = _files(run, "exploit")
    known = [one for one in files.values() if _is_regret(one)]
    foreign = [file for file, one in files.items() if not _is_regret(one)]
    largest = {
        name: max((one["regret"] for one in known if one["seller"] == name), default=None) for name in run.spec.names
    }
    found = [value for value in largest.values() if value is not None]
    total = sum(found) if len(found) == len(largest) > 1 else None
    table = _exploit_table(run.spec.period, known) if known else None
    return Exploits(files, foreign, table, total, all(one.get("exact") for one in known))


def _is_regret(one: Facts) -> bool:
    numbers = all(isinstance(one.get(key), int | float) for key in ("profit", "regret", "difference"))
    return numbers and isinstance(one.get("seller"), str)


def _exploit_table(period: str, known: list[Facts]) -> Table:
    form = column_form([one["profit"] for one in known])
    columns = [Column("seat"), Column(f"profit a {period}", form), Column("best response", align="left")]
    columns += [Column("it earns more", form), Column("regret"), Column("of profit", "{:.2%}")]
    rows = []
    for one in known:
        gap, share = (
            Cell(one["difference"], half_width(one, "difference")),
            one["profit"] and one["regret"] / abs(one["profit"]),
        )
        exact = "exact" if one.get("exact") else "at least"
        rows.append([one["seller"], one["profit"], str(one.get("response")), gap, exact, share or None])
    return Table("What each seat could earn more while the others stay as they are", columns, rows)


# ------------------------------------------------------------------------------------------------ deviations


@dataclass(frozen=True)
class Deviation:
    """What followed when ``seller`` played the rule ``to`` for one period; ``over``: what intervals are over."""

    seller: str
    to: str
    over: str
    picture: Path | None
    table: Table


@dataclass(frozen=True)
class Deviations:
    """All measured ones; ``foreign`` files are not as `bazaar deviate` writes them."""

    files: dict[Path, Facts]
    foreign: list[Path]
    known: list[Deviation]


def deviations(run: ReportedRun) -> Deviations:
    """What `bazaar deviate` left in the run's folder."""
    files, known, foreign = _files(run, "deviate"), [], []
    for file, one in files.items():
        try:
            known.append(_deviation(run.spec.period, file, one))
        except (KeyError, IndexError, TypeError, ValueError):
            foreign.append(file)
    return Deviations(files, foreign, known)


def _deviation(period: str, file: Path, facts: Facts) -> Deviation:
    sellers, seller, mean, half = facts["sellers"], str(facts["seller"]), facts["mean"], facts.get("half_width") or {}
    seat, margins = list(sellers).index(seller), facts.get("gain_half_width") or [None] * len(facts["gain"])
    columns = [Column(f"{period}s after"), *(Column(f"price of {name}", "{:+.2%}") for name in sellers)]
    columns += [Column(f"profit of {seller}", "{:+.3g}"), Column("gained so far", "{:+.3g}")]
    rows: list[list[Cells]] = []
    for t, gain in enumerate(facts["gain"]):
        relative, profit = (
            half[name][t] if half.get(name) else [None] * len(sellers) for name in ("relative", "profit")
        )
        prices = map(_change, mean["relative"][t], relative)
        rows.append([str(t), *prices, _change(mean["profit"][t][seat], profit[seat]), _change(gain, margins[t])])
    picture = file.with_suffix(".png")
    table = Table("Changes against the undeviated twin on the same customers", columns, rows)
    over = str(facts.get("intervals_over", "episodes"))
    return Deviation(seller, str(facts["to"]), over, picture if picture.is_file() else None, table)


def _change(value: float, half: float | None) -> Cell:
    return Cell(value, half or None, form="{:.0f}" if not value and not half else None)


# ------------------------------------------------------------------------------------------------ tournaments


@dataclass(frozen=True)
class Tournament:
    """A finished tournament in ``folder`` as results.json tells it."""

    folder: Path
    facts: Facts

    @property
    def period(self) -> str:
        """What a period is called."""
        return str(self.facts.get("period", "period"))

    @property
    def payoff_figures(self) -> dict[str, Any]:
        """What each policy earns by rival, a chart for each seat."""
        found = {}
        for seat, one in self.facts["payoffs"].items():
            mean, half = _array(one.get("mean")), _array(one.get("half_width"))
            if mean.ndim == 2 and mean.shape == (len(one.get("policies", [])), len(one.get("rivals", []))):
                found[seat] = payoff_chart(one["policies"], one["rivals"], mean, half, f"money a {self.period}")
        return found

    @property
    def ranking(self) -> Table:
        """Mean rank, rating, and profit in every seat."""
        places = self.facts["ranking"]
        form = column_form(one.get("profit") for row in places for one in row.get("seats", {}).values())
        learned = {one.get("label") for one in self.facts["policies"] if one.get("kind") == "learned"}
        seats = [str(seat) for seat in self.facts.get("seats", [])]
        columns = [Column(""), Column("mean rank", "{:.2f}"), Column("rating (Elo, mean 1500)", "{:.0f}")]
        columns += [Column(f"profit a {self.period}, seat of {seat}", form) for seat in seats]
        rows = []
        for row in places:
            in_seats = [row.get("seats", {}).get(seat) or {} for seat in seats]
            cells: list[Cells] = [str(row.get("policy")), _cell(row, "rank"), _cell(row, "rating")]
            cells += [Cell(one.get("profit"), one.get("half_width")) for one in in_seats]
            rows.append(Row(cells, "judged" if row.get("policy") in learned else ""))
        return Table("Ranking, best mean rank first", columns, rows)

    @property
    def cross_play(self) -> Table | None:
        """What learned policies earn with those that they were trained with, and with others."""
        played = [row for row in self.facts.get("cross_play", []) if isinstance(row, dict)]
        if not played:
            return None
        form = column_form(row.get(key) for row in played for key in ("with_partners", "with_others"))
        others = " / ".join(sorted({str(row.get("others")) for row in played}))
        heads = ("with training partners", f"with {others}", "change")
        rows = [
            [str(row.get("policy")), *(_cell(row, key) for key in ("with_partners", "with_others", "change")),
             "yes" if row.get("only_with_partners") else "no"]
            for row in played
        ]  # fmt: skip
        title = f"Cross-play: profit a {self.period} with those a policy was trained with and with others"
        return Table(
            title, [Column(""), *(Column(head, form) for head in heads), Column("good with partners only")], rows
        )

    @property
    def equilibria(self) -> Table | None:
        """Equilibria of the game whose strategies are the policies, the first of many."""
        game = self.facts.get("equilibria")
        found = [one for one in game.get("found", []) if isinstance(one, dict)] if isinstance(game, dict) else []
        if not isinstance(game, dict) or not found:
            return None
        kind = "Nash equilibria" if game.get("kind") == "nash" else "Coarse correlated equilibrium"
        shown = f" (the first {MOST_EQUILIBRIA} of {len(found)})" if len(found) > MOST_EQUILIBRIA else ""
        columns = [Column(""), Column("who plays, with what probability", align="left")]
        columns += [Column(f"payoffs (money a {self.period})", align="left"), Column("largest regret", "{:.2g}")]
        rows = [
            [str(k), _who(one), _payoffs(one), one.get("regret"), one.get("support_share")]
            for k, one in enumerate(found[:MOST_EQUILIBRIA], 1)
        ]
        title = f"{kind} of the game whose strategies are these policies{shown}"
        return Table(title, [*columns, Column("stable in", "{:.0%}")], rows)

    @property
    def why_no_equilibrium(self) -> str:
        """Empty where there are some, or where nobody looked for them."""
        game = self.facts.get("equilibria")
        return (game.get("why_none") or "none was found") if isinstance(game, dict) and not self.equilibria else ""


def tournaments(run: Path) -> Iterator[Tournament]:
    """Finished tournaments in the folder of runs that the run took part in, latest first."""
    run = run.resolve()
    files = sorted(run.parent.glob(f"*/{RESULTS}"), key=lambda file: (-file.stat().st_mtime, file))
    for file in files:
        facts = _read(file)
        if any(_same(entry, run) for entry in facts.get("policies", []) if isinstance(entry, dict)):
            yield Tournament(file.parent, facts)


def _read(file: Path) -> Facts:
    facts = read_json(file, dict)
    parts = {"policies": list, "payoffs": dict, "ranking": list}
    whole = all(isinstance(facts.get(key), kind) for key, kind in parts.items())
    return facts if whole else {}


def _same(entry: Facts, run: Path) -> bool:
    """A run is named as it was typed then, perhaps in another folder: its own name decides."""
    typed = entry.get("run")
    return isinstance(typed, str) and bool(typed) and Path(typed).resolve().name == run.name


def _array(values: object) -> NDArray[np.float64]:
    """Numbers with None as NaN; empty where they are no matrix."""
    try:
        return np.array(values, np.float64)
    except (TypeError, ValueError):
        return np.zeros(0)


def _cell(row: Facts, key: str) -> Cell:
    return Cell(row.get(key), half_width(row, key))


def _who(one: Facts) -> str:
    if isinstance(strategies := one.get("strategies"), dict):
        return "; ".join(
            f"{seat}: " + ", ".join(f"{policy} {number(chance, '{:.0%}')}" for policy, chance in mixed.items())
            for seat, mixed in strategies.items()
        )
    line_ups = [row for row in one.get("line_ups", []) if isinstance(row, dict)]
    return "; ".join(
        f"{number(row.get('probability'), '{:.0%}')} "
        + ", ".join(f"{seat}: {policy}" for seat, policy in row.get("line_up", {}).items())
        for row in line_ups[:MOST_LINE_UPS]
    ) + ("; ..." if len(line_ups) > MOST_LINE_UPS else "")


def _payoffs(one: Facts) -> str:
    return ", ".join(f"{seat} {number(value)}" for seat, value in one.get("payoffs", {}).items())
