"""`bazaar train CONFIG --seeds K`: several runs in parallel processes, judged together, and among one another."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from market.errors import Refusal
from policies.config import RunConfig, load_run
from policies.engine import Listener
from policies.engines import open_engine
from policies.interrupt import careful
from policies.judge import JudgeOrder, judge, terminal
from policies.runs import SEEDS, choose_folder, seed_folders, write_json
from policies.seeds_bar import SeedsBar
from policies.seeds_cross_play import cross_play
from policies.seeds_cross_play_table import print_cross_play
from policies.seeds_work import Moved, SeedsSetup, run_name, work, write_files
from policies.session import Training
from policies.tournament_bar import CellsBar
from policies.training import TrainOrder, pick_device

CROSS_PLAY = "cross_play.json"
DONE = "done"


@dataclass(frozen=True)
class Means:
    """How runs are carried out: ``processes`` (default: cores), or on the Ray at an address or ``auto``."""

    processes: int | None = None
    ray: str | None = None


def train_seeds(order: TrainOrder, seeds: int, means: Means, console: Console | None = None) -> Path:
    """Train with seeds ``order.seed`` and following; returns the folder of all, with a run's folder for each.

    A seed that fails is reported and the others go on.

    Raises:
        Refusal: a configuration that cannot be trained, or no seed finished.
        KeyboardInterrupt: on Ctrl-C, with what is there: each run as of its last evaluation.
    """
    console = console or terminal()
    numbers = [order.seed + k for k in range(seeds)]
    folder = choose_folder(order.runs, order.name or _name(order, numbers), order.config, order.seed)
    config = load_run(order.config, order.changes + ((f"training.budget={order.budget}",) if order.budget else ()))
    pick_device(order.device)
    console.print(f"setting up {config.market.name} ...", highlight=False)
    Training(config, order.seed, "cpu")  # what cannot be trained is refused before anything is written
    try:
        with careful():
            folder.mkdir(parents=True)
            _carry_out(order, config, numbers, means, folder, console)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_interrupted(folder)) from None
    return folder


def _name(order: TrainOrder, seeds: Sequence[int]) -> str:
    return f"{order.config.stem}-seeds{seeds[0]}to{seeds[-1]}-{datetime.now():%Y%m%d-%H%M%S}"


def _interrupted(folder: Path) -> str:
    if not folder.is_dir() or not seed_folders(folder):
        return "interrupted: nothing was trained yet"
    return f"interrupted: what was learned is in {folder}; bazaar evaluate {shlex.quote(str(folder))} judges it"


@dataclass
class _Runs(Listener):
    """Keeps what runs send, and how each of them ended."""

    folder: Path
    seeds: Sequence[int]
    facts: dict[str, Any]
    bar: SeedsBar
    states: dict[int, str] = field(default_factory=dict)

    def said(self, task: int, what: Any) -> bool:
        """See :class:`policies.engine.Listener`."""
        moved: Moved = what
        seed = self.seeds[task]
        write_files(self.folder / run_name(seed), moved.files)
        self.bar.moved(seed, moved.done, moved.phase)
        return True

    def finished(self, task: int, result: Any) -> None:
        """See :class:`policies.engine.Listener`."""
        write_files(self.folder / run_name(self.seeds[task]), result)
        self._end(task, DONE)

    def refused(self, task: int, problem: Refusal) -> None:
        """A run that cannot go on says so; the others go on."""
        self._end(task, f"failed: {problem}")

    def _end(self, task: int, how: str) -> None:
        self.states[self.seeds[task]] = how
        self.bar.ended(self.seeds[task], how)
        self.write()

    def write(self) -> None:
        """``seeds.json``: which seeds there are, and how each ended."""
        ended = {str(seed): self.states.get(seed, "not finished") for seed in self.seeds}
        write_json(self.folder / SEEDS, self.facts | {"seeds": ended})


def _carry_out(
    order: TrainOrder, config: RunConfig, seeds: list[int], means: Means, folder: Path, console: Console
) -> None:
    facts = {"command": order.command, "config": str(order.config)}
    with open_engine(means.processes, len(seeds), means.ray) as engine:
        place = None if engine.remote else str(folder)
        setup = SeedsSetup(str(order.config), config.dump(), order.device, order.command, place, order.keeping)
        with SeedsBar(console, seeds, config.training.budget) as bar:
            runs = _Runs(folder, seeds, facts, bar)
            runs.write()
            engine.run(work, setup, seeds, runs)
        done = [seed for seed in seeds if runs.states[seed] == DONE]
        _tell_failures(runs, console)
        folders = [folder / run_name(seed) for seed in done]
        judge(JudgeOrder(tuple(folders), json=folder / "evaluation.json"))
        _meet(folders, done, config, engine, folder, console)
    again = f"bazaar evaluate {shlex.quote(str(folder))}"
    charts = f"bazaar board {shlex.quote(str(folder))}"
    console.print(
        f"runs: {folder}   judge again: {again}   charts: {charts}", highlight=False, markup=False, soft_wrap=True
    )


def _tell_failures(runs: _Runs, console: Console) -> None:
    failed = {seed: how for seed, how in runs.states.items() if how != DONE}
    if len(failed) == len(runs.seeds):
        raise Refusal("\n".join(f"seed {seed} {how}" for seed, how in failed.items()))
    for seed, how in failed.items():
        console.print(f"seed {seed} {how}; it is left out of what follows", highlight=False, markup=False)


def _meet(
    folders: list[Path], seeds: list[int], config: RunConfig, engine: Any, folder: Path, console: Console
) -> None:
    market = config.market
    cells = len(seeds) * (1 + len(market.sellers) * (len(seeds) - 1))
    with CellsBar(console, cells, 0, market.horizon * len(market.sellers)) as bar:
        found = cross_play(folders, seeds, engine, bar.finished)
    if found is not None:
        print_cross_play(found, market.period, console)
        write_json(folder / CROSS_PLAY, found.facts())
