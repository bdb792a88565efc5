"""What `bazaar train --seeds` does from wherever it stands: train what is open, judge all, let them meet strangers."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from market.errors import Refusal
from policies.common.parallel.engines import open_engine
from policies.common.parallel.tasks import Engine, Listener
from policies.common.seeds_bar import SeedsBar
from policies.common.tournament_bar import CellsBar
from policies.evaluation.evaluate import JudgeOrder, judge
from policies.storage.run_folder import write_json
from policies.studies.multi_seed.cross_play import cross_play
from policies.studies.multi_seed.folder import DONE, SeedsFolder
from policies.studies.multi_seed.seeds_cross_play_table import print_cross_play
from policies.studies.multi_seed.seeds_files import read_files, write_files
from policies.studies.multi_seed.worker import Moved, SeedsSetup, Wanted, work
from policies.training.checkpointing import Keeping

RESULTS = EVALUATION, CROSS_PLAY = "evaluation.json", "cross_play.json"


@dataclass(frozen=True)
class Means:
    """How runs are carried out: ``processes`` (default: cores), or on the Ray at an address or ``auto``."""

    processes: int | None = None
    ray: str | None = None


@dataclass
class _Runs(Listener):
    """Keeps what the runs of these seeds send, and how each of them ended."""

    several: SeedsFolder
    seeds: Sequence[int]
    bar: SeedsBar
    console: Console

    def said(self, task: int, what: Any) -> Any:
        """See :class:`policies.common.parallel.tasks.Listener`."""
        seed = self.seeds[task]
        if isinstance(what, Wanted):
            return read_files(self.several.run(seed))
        moved: Moved = what
        write_files(self.several.run(seed), moved.files)
        if moved.warning:
            say(self.console, f"seed {seed}: {moved.warning}")
        self.bar.moved(seed, moved.done, moved.phase)
        return True

    def finished(self, task: int, result: Any) -> None:
        """See :class:`policies.common.parallel.tasks.Listener`."""
        write_files(self.several.run(self.seeds[task]), result)
        self._end(task, DONE)

    def refused(self, task: int, problem: Refusal) -> None:
        """A run that cannot go on says so; the others go on."""
        self._end(task, f"failed: {problem}")

    def _end(self, task: int, how: str) -> None:
        self.several.states[self.seeds[task]] = how
        self.several.write()
        self.bar.ended(self.seeds[task], how)


def carry_out(several: SeedsFolder, keeping: Keeping, means: Means, console: Console) -> None:
    """Train the seeds that are not done, then judge all that are, and have them meet.

    Raises :class:`Refusal`, after all that, when a seed could not be finished.
    """
    done = several.done
    several.states = dict.fromkeys(done, DONE)
    several.write()
    with open_engine(means.processes, len(several.plan.seeds), means.ray) as engine:
        _train([seed for seed in several.plan.seeds if seed not in done], several, keeping, engine, console)
        failed = {seed: how for seed, how in several.states.items() if how != DONE}
        if len(failed) < len(several.plan.seeds):
            for seed, how in failed.items():
                say(console, f"seed {seed} {how}; it is left out of what follows")
            _judge(several, engine, console)
    if failed:
        raise _failure(several, failed)
    several.finished = datetime.now().astimezone().isoformat(timespec="seconds")
    several.write()
    place = shlex.quote(str(several.folder))
    say(console, f"runs: {several.folder}   judge again: bazaar evaluate {place}   charts: bazaar board {place}")


def _train(seeds: list[int], several: SeedsFolder, keeping: Keeping, engine: Engine, console: Console) -> None:
    if not seeds:
        return
    plan, folder = several.plan, several.folder
    place = str(folder.resolve() if engine.remote else folder)
    setup = SeedsSetup(plan.path, plan.config.dump(), plan.device, plan.command, place, several.proof, keeping)
    with SeedsBar(console, seeds, plan.config.training.budget) as bar:
        engine.run(work, setup, seeds, _Runs(several, seeds, bar, console))


def _failure(several: SeedsFolder, failed: dict[int, str]) -> Refusal:
    lines = [f"seed {seed} {how}" for seed, how in failed.items()]
    whole = [str(seed) for seed, how in several.states.items() if how == DONE]
    rest = f"seeds {', '.join(sorted(whole, key=int))} are whole and judged in {several.folder}; " if whole else ""
    lines.append(f"{rest}{several.resume_command()} goes on with what is not, perhaps with --on-nan rollback")
    return Refusal("\n".join(lines))


def _judge(several: SeedsFolder, engine: Engine, console: Console) -> None:
    done = [seed for seed in several.plan.seeds if several.states.get(seed) == DONE]
    folders = [several.run(seed) for seed in done]
    for name in RESULTS:  # of an earlier time, perhaps of fewer seeds
        (several.folder / name).unlink(missing_ok=True)
    judge(JudgeOrder(tuple(folders), json=several.folder / EVALUATION))
    _meet(folders, done, several, engine, console)


def _meet(folders: list[Path], seeds: list[int], several: SeedsFolder, engine: Engine, console: Console) -> None:
    market = several.plan.config.market
    cells = len(seeds) * (1 + len(market.sellers) * (len(seeds) - 1))
    with CellsBar(console, cells, 0, market.horizon * len(market.sellers)) as bar:
        found = cross_play(folders, seeds, engine, bar.finished)
    if found is not None:
        print_cross_play(found, market.period, console)
        write_json(several.folder / CROSS_PLAY, found.facts())


def say(console: Console, text: str) -> None:
    """Print one line as it is."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)
