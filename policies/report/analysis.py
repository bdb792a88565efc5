"""What other commands left, as the report shows it: tournaments that the run took part in, exploitability, deviations.

Files of other versions, or of nobody, are read with care: what is not as it should be is left out and named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import UndefinedError
from numpy.typing import NDArray

from market.spec.models import MarketSpec
from policies.common.files import read_json
from policies.report.charts import payoff_chart
from policies.report.data import ReportedRun
from policies.report.sections import half_width
from policies.storage.run_folder import ANALYSIS
from policies.studies.deviate.run import DeviationResponse
from policies.studies.deviate.view import tables as deviation_tables
from policies.studies.tournament.view import standings
from policies.views.format import column_form
from policies.views.table import Cell, Column, Table

RESULTS = "results.json"
MOST_SHOWN = 3  # tournaments, the latest
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
        gap = Cell(one["difference"], half_width(one, "difference"))
        exact = "exact" if one.get("exact") else "at least"
        rows.append([one["seller"], one["profit"], str(one.get("response")), gap, exact, one.get("regret_share")])
    return Table("What each seat could earn more while the others stay as they are", columns, rows)


# ------------------------------------------------------------------------------------------------ deviations


@dataclass(frozen=True)
class Deviation:
    """What followed when ``seller`` played the rule ``to`` for one period, as `bazaar deviate` shows it."""

    seller: str
    to: str
    picture: Path | None
    tables: list[Table]


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
            known.append(_deviation(run.spec, file, one))
        except (KeyError, IndexError, TypeError, ValueError):
            foreign.append(file)
    return Deviations(files, foreign, known)


def _deviation(spec: MarketSpec, file: Path, facts: Facts) -> Deviation:
    response, picture = DeviationResponse.of(facts), file.with_suffix(".png")
    shown = deviation_tables(spec, response)
    return Deviation(response.names[response.seat], response.rule, picture if picture.is_file() else None, shown)


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
    def standings(self) -> list[Table]:
        """Ranking, cross-play and equilibria, as `bazaar tournament` shows them; empty where it wrote other facts."""
        try:
            return standings(self.facts)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, UndefinedError):
            return []


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
