"""The cells of a tournament: each is a line-up played on the tournament's customers, and its file.

Playing is work for an engine (:mod:`policies.common.parallel.tasks`), perhaps on another machine; files are of the one
who asked. torch is imported only where a learned policy plays. Dimensions: E episodes, N sellers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.state import Floats
from policies.common.files import write_file
from policies.common.parallel import Engine, Listener, Say
from policies.common.seeding import row_seed
from policies.sellers.protocol import Seller
from policies.sellers.rollout import episode_profits, rows_at_once
from policies.sellers.rules.compose import compose, parse_rules
from policies.studies.tournament.schedule import LineUp

if TYPE_CHECKING:
    from policies.sellers.checkpoint import SavedSeller


MOST_ROWS = 1000  # fewer than those from which a batch would use several threads


@dataclass(frozen=True)
class Learned:
    """The file of a saved seller (.pt) or of a mixture (.zip): its name in messages, and its content.

    ``adapt``: it may have learned in another market.
    """

    name: str
    content: bytes
    adapt: bool = False

    @staticmethod
    def read(path: Path, adapt: bool = False) -> Learned:
        """The file at ``path``."""
        return Learned(path.name, path.read_bytes(), adapt)

    def load(self) -> SavedSeller:
        """What was saved; raises :class:`UserError` for foreign bytes."""
        from policies.common.torch_tools import one_torch_thread
        from policies.evaluation.run_sellers import unpack
        from policies.sellers.checkpoint import load_seller

        one_torch_thread()
        if self.name.endswith(".zip"):
            return unpack(self.content, self.name)
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / self.name
            path.write_bytes(self.content)
            return load_seller(path)


@dataclass(frozen=True)
class CellSetup:
    """What all cells share. ``policies``: rules' texts by seat with their levels found, or a saved seller."""

    spec: MarketSpec
    policies: tuple[dict[int, str] | Learned, ...]
    episodes: int
    seed: int
    warm_up: int
    salvage: float


class CellPlayer:
    """Plays cells; sellers and markets are made once and used again."""

    def __init__(self, setup: CellSetup) -> None:
        self.setup = setup
        self._seller = cache(self._make_seller)
        self._saved = cache(Learned.load)
        self._batch = cache(partial(MarketBatch, setup.spec))

    def profit(self, line_up: LineUp) -> Floats:
        """Profit per period of each episode as evaluation counts it, (E, N), on the same customers for every line-up."""
        setup, spec = self.setup, self.setup.spec
        sellers = [self._seller(policy, seat) for seat, policy in enumerate(line_up)]
        rows, first = rows_at_once(spec, MOST_ROWS), row_seed(setup.seed, "evaluate")
        blocks = []
        for start in range(0, setup.episodes, rows):
            batch = self._batch(min(rows, setup.episodes - start))
            blocks.append(episode_profits(batch, sellers, setup.warm_up, setup.salvage, seed=first + start))
        return np.concatenate(blocks)

    def _make_seller(self, policy: int, seat: int) -> Seller:
        entry, spec = self.setup.policies[policy], self.setup.spec
        if isinstance(entry, dict):
            return compose(parse_rules(entry[seat]), spec, seat)
        return self._saved(entry).sit(spec, seat, entry.adapt)


class _Known:
    """The player of the last tournament that this process played in."""

    player: CellPlayer | None = None


def play_cell(setup: CellSetup, line_up: LineUp, say: Say) -> Floats:
    """The work of one cell: profit per period of each episode, (E, N)."""
    if _Known.player is None or _Known.player.setup != setup:
        _Known.player = CellPlayer(setup)
    return _Known.player.profit(line_up)


# ------------------------------------------------------------------------------------------------ files


def cell_path(folder: Path, line_up: Sequence[int]) -> Path:
    """Where a cell is kept: policies' numbers in seat order, from 1. (0, 3): cells/1-4.npz."""
    return folder / "cells" / f"{'-'.join(str(policy + 1) for policy in line_up)}.npz"


def write_cell(folder: Path, line_up: Sequence[int], profit: Floats) -> None:
    """Write a cell: a reader finds all of it or nothing."""
    content = BytesIO()
    np.savez(content, profit=profit)
    write_file(cell_path(folder, line_up), content.getvalue())


def read_cell(folder: Path, line_up: Sequence[int], episodes: int) -> Floats | None:
    """The profits (E, N) of a finished cell; None where there is none that can be read, so that it is played again."""
    path = cell_path(folder, line_up)
    if not path.exists():
        return None
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as content:
            profit: Any = content["profit"]
    except Exception:  # noqa: BLE001
        # What numpy and zipfile raise on a damaged file depends on the damage.
        return None
    fits = profit.dtype == np.float64 and profit.shape == (episodes, len(line_up)) and bool(np.isfinite(profit).all())
    return profit if fits else None


Keep = Callable[[LineUp, Floats], None]


def play_all(setup: CellSetup, cells: Sequence[LineUp], engine: Engine, keep: Keep) -> None:
    """Play the cells; ``keep`` takes each that is finished. Which process plays it, and when, changes nothing in it.

    Raises :class:`UserError` where a policy cannot play, or processes were ended from outside again and again.
    """
    engine.run(play_cell, setup, cells, _Finished(cells, keep))


@dataclass
class _Finished(Listener):
    cells: Sequence[LineUp]
    keep: Keep

    def finished(self, task: int, result: Any) -> None:
        """See :class:`policies.common.parallel.tasks.Listener`."""
        self.keep(self.cells[task], result)
