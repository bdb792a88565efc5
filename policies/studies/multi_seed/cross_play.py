"""Cross-play between training seeds: each seat's seller among the others' sellers of another seed.

What sellers have learned together may be worth nothing with a stranger: they agreed on something that only those who
were there know ("Other-Play", Hu et al. 2020, ICML). All cells meet the same customers, and the policies are the
latest ones, since a run's best policies are of different moments and may never have met.

Dimensions: K seeds, N seats, E episodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from market.state import Floats
from policies.common.parallel import Engine
from policies.common.seeding import row_seed
from policies.evaluation.run_sellers import RunSellers, run_sellers
from policies.evaluation.statistics import diagonal_gap
from policies.studies.tournament.play import CellSetup, Learned, play_all
from policies.studies.tournament.schedule import LineUp
from policies.views.page import told
from policies.views.table import Cell, Column, Note, Row, Table

EPISODES = 512
CUSTOMERS = 0  # the seed of `bazaar evaluate`

Hears = Callable[[LineUp], None]


@dataclass(frozen=True)
class CrossPlay:
    """Who earns what with whom.

    ``profit`` and ``delta`` by seat, K x K each: the row's seed has the seat, the column's all others. Profit a period
    is the seat's, Delta the market's profit gain (NaN where undefined). On the diagonal are those who learned together.
    """

    seeds: tuple[int, ...]
    profit: dict[str, Floats]
    delta: dict[str, Floats]
    episodes: int

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        seats = [
            {"seat": seat, "profit": profit, "delta": self.delta[seat]} | _gap_facts(profit)
            for seat, profit in self.profit.items()
        ]
        about = {"seeds": list(self.seeds), "checkpoint": "latest", "episodes": self.episodes}
        return about | {"delta": _gap_facts(self.mean_delta), "seats": seats}

    @property
    def mean_delta(self) -> Floats:
        """The market's profit gain (K x K), the mean over who of the row's seed is among the column's."""
        return np.asarray(np.mean(list(self.delta.values()), axis=0), np.float64)


def cross_play(folders: Sequence[Path], seeds: Sequence[int], engine: Engine, hears: Hears) -> CrossPlay | None:
    """Play every seat's seller of every run with the others of every run; None where no two learners could meet.

    Args:
        folders: of runs of one market.
        seeds: of these runs.
        hears: of each line-up that was played.
    """
    runs = [run_sellers(folder, "latest") for folder in folders]
    seats = [one.seat for one in runs[0].players if one.learner is not None]
    if len(runs) < 2 or len(seats) < 2:
        return None
    names = runs[0].spec.names
    each = range(len(runs))
    line_ups = {at: _line_up(*at, len(names)) for at in product(seats, each, each)}
    cells = list(dict.fromkeys(line_ups.values()))
    setup = _setup(runs)
    profits: dict[LineUp, Floats] = {}

    def keep(played: LineUp, earned: Floats) -> None:
        profits[played] = earned
        hears(played)

    play_all(setup, cells, engine, keep)
    ends = runs[0].line_ups.profit_gain.ends(row_seed(CUSTOMERS, "evaluate"), setup.episodes)
    profit, delta = ({names[seat]: np.full((len(runs), len(runs)), np.nan) for seat in seats} for _ in range(2))
    for (seat, a, b), line_up in line_ups.items():
        earned = profits[line_up]
        profit[names[seat]][a, b] = earned[:, seat].mean()
        if ends is not None:
            delta[names[seat]][a, b] = ends.gain(float(earned.sum(axis=1).mean()))
    return CrossPlay(tuple(seeds), profit, delta, setup.episodes)


def _line_up(seat: int, own: int, others: int, seats: int) -> LineUp:
    """Policies are numbered run by run: that of run r in seat s is r * N + s."""
    return tuple((own if k == seat else others) * seats + k for k in range(seats))


def _setup(runs: Sequence[RunSellers]) -> CellSetup:
    first, settings = runs[0], runs[0].config.evaluation
    policies: list[dict[int, str] | Learned] = []
    for run in runs:
        for one in run.players:
            path = run.folder / "checkpoints" / f"{one.name}.{'latest' if one.learner else 'rival'}.pt"
            policies.append({one.seat: one.rules.label} if one.rules else Learned.read(path, adapt=not one.learner))
    episodes = min(settings.episodes, EPISODES)
    return CellSetup(first.spec, tuple(policies), episodes, CUSTOMERS, settings.warm_up, settings.salvage)


def _gap_facts(matrix: Floats) -> dict[str, float]:
    found, own = diagonal_gap(matrix), np.eye(len(matrix), dtype=bool)
    values = {"self_play": matrix[own].mean(), "cross_play": matrix[~own].mean(), "gap": found.value}
    return values | {"gap_low": found.low, "gap_high": found.high}


# ------------------------------------------------------------------------------------------------ shown


def tables(found: CrossPlay, period: str) -> list[Table]:
    """A matrix a seat and in words what the learned sellers lose among strangers, between what it shows and the market's."""
    about = Table("", (), (), _words("\n{}\n", "about", found=found, period=period))
    seats = [_matrix(seat, found, period) for seat in found.profit]
    end = _words("{}\n", "market", **_gap(found.mean_delta)) if np.isfinite(found.mean_delta).all() else []
    return [about, *seats, Table("", (), (), end)]


def _matrix(seat: str, found: CrossPlay, period: str) -> Table:
    columns = [Column(seat), *(Column(f"others {seed}", "{:.3f}") for seed in found.seeds)]
    rows = []
    for k, (seed, profit, delta) in enumerate(zip(found.seeds, found.profit[seat], found.delta[seat], strict=True)):
        own = [Cell(float(value), best=other == k) for other, value in enumerate(profit)]
        rows += [Row([f"seed {seed}", *own]), Row(["", *(Cell(float(value), form="{:.2f}") for value in delta)])]
    notes = _words("{}\n", "seat", name=seat, period=period, **_gap(found.profit[seat]))
    return Table("", columns, rows, notes, narrow="split")


def _gap(matrix: Floats) -> dict[str, Any]:
    """What is said of a matrix; ``few``: seeds, so that there is no interval."""
    return {"few": len(matrix) < 3} | _gap_facts(matrix)


def _words(form: str, part: str, **values: Any) -> list[Note]:
    return [Note(form.format(text)) for text in told("multi_seed.txt", part, **values)]
