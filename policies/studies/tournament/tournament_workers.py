"""Playing a tournament's cells: every finished one is on disk before it is reported.

Which process plays a cell, and when, changes nothing in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policies.common.parallel.tasks import Engine, Listener
from policies.studies.tournament.play import Setup, play_cell, write_cell
from policies.studies.tournament.schedule import LineUp

Told = Callable[[LineUp], None]


def play_all(setup: Setup, folder: Path, cells: Sequence[LineUp], engine: Engine, told: Told) -> None:
    """Play the cells and keep them in their files; ``told`` hears of each that is finished.

    Raises:
        Refusal: a policy cannot play, or processes were ended from outside again and again.
    """
    engine.run(play_cell, setup, cells, _Keeps(folder, cells, told))


@dataclass
class _Keeps(Listener):
    folder: Path
    cells: Sequence[LineUp]
    told: Told

    def finished(self, task: int, result: Any) -> None:
        """See :class:`policies.common.parallel.tasks.Listener`."""
        write_cell(self.folder, self.cells[task], result)
        self.told(self.cells[task])
