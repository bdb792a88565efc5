"""`bazaar train CONFIG --seeds K`: from wherever it stands, train what is open, evaluate all together, let them meet strangers.

Runs are trained in parallel processes; each has a folder of its own.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from market.errors import UserError
from policies.common.console import at_work, say, say_onward
from policies.common.files import read_json, timestamp, write_json
from policies.common.interrupt import careful
from policies.common.parallel import Engine, Listener, Lost, open_engine
from policies.common.progress import CellsBar, Progress, Task, thousands
from policies.common.results import Records
from policies.config.command import ordered_by
from policies.config.orders import ResumeSeedsOrder, TrainOrder, TrainSeedsOrder
from policies.config.run import read_config
from policies.evaluation.evaluate import evaluate
from policies.evaluation.run_sellers import Run
from policies.storage.run_folder import choose_folder, seed_folders
from policies.storage.work_folder import locked
from policies.studies.multi_seed.cross_play import cross_play, tables
from policies.studies.multi_seed.folder import DONE, SeedsFolder, SeedsPlan, read_folder
from policies.studies.multi_seed.worker import Moved, SeedsSetup, Wanted, read_files, work, write_files
from policies.training.checkpointing import CheckpointOptions
from policies.training.resume import refuse_other_learning
from policies.training.run import TrainingRun
from policies.training.train import disk_errors, pick_device, say_decisions

RESULTS = EVALUATION, CROSS_PLAY = "evaluation.json", "cross_play.json"


@dataclass(frozen=True)
class WorkerOptions:
    """How runs are carried out: ``processes`` (default: cores), or on the Ray at an address or ``auto``."""

    processes: int | None = None
    ray: str | None = None


class SeedsBar(Progress):
    """Counts the seller-periods of all seeds, a row a seed and one for all."""

    def __init__(self, console: Console, seeds: Sequence[int], budget: int) -> None:
        super().__init__(console, transient=False)
        self._rows = {seed: Task(self, f"{f'seed {seed}':<8}", budget, text="  0% waiting") for seed in seeds}
        self._all = Task(self, f"{'all':<8}", budget * len(seeds), text="  0%")
        self._budget, self._done, self._phases = budget, dict.fromkeys(seeds, 0), dict.fromkeys(seeds, "waiting")

    def moved(self, seed: int, done: int, phase: str) -> None:
        """A seed has come so far."""
        self._done[seed], self._phases[seed] = min(done, self._budget), phase
        self._rows[seed].show(self._done[seed], text=f"{self._done[seed] / self._budget:4.0%} {phase}")
        self._show()

    def ended(self, seed: int, how: str) -> None:
        """A seed's run is over, finished or not."""
        self.say(f"seed {seed}: {how}")
        self.moved(seed, self._budget, how)

    def _show(self) -> None:
        done = sum(self._done.values())
        share, speed, left = done / self._all.total, thousands(done / self._all.seconds), self._all.left(done)
        self._all.show(done, f"training {share:4.0%}   {speed}", text=f"{share:4.0%} {speed}, {left}")
        phases = "; ".join(f"seed {seed}: {phase}" for seed, phase in self._phases.items())
        at_work(self.console, f"{share:4.0%}   {phases}", self._all.begun)


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

    def refused(self, task: int, problem: UserError) -> None:
        """A run that cannot go on says so; the others go on."""
        self._end(task, f"failed: {problem}")

    def _end(self, task: int, how: str) -> None:
        self.several.states[self.seeds[task]] = how
        self.several.write()
        self.bar.ended(self.seeds[task], how)


def carry_out(several: SeedsFolder, checkpointing: CheckpointOptions, means: WorkerOptions, console: Console) -> None:
    """Train the seeds that are not done, then evaluate all that are, and have them meet.

    Raises :class:`UserError`, after all that, when a seed could not be finished.
    """
    done = several.done
    several.states = dict.fromkeys(done, DONE)
    several.write()
    with open_engine(means.processes, len(several.plan.seeds), means.ray) as engine:
        _train([seed for seed in several.plan.seeds if seed not in done], several, checkpointing, engine, console)
        failed = {seed: how for seed, how in several.states.items() if how != DONE}
        if len(failed) < len(several.plan.seeds):
            for seed, how in failed.items():
                say(console, f"seed {seed} {how}; it is left out of what follows")
            _evaluate(several, engine, console)
    if failed:
        raise _failure(several, failed)
    several.finished = timestamp()
    several.write()
    place = shlex.quote(str(several.folder))
    onward = f"evaluate again: bazaar evaluate {place}", f"charts: bazaar board {place}"
    say_onward(console, f"runs: {several.folder}", *onward)


def _train(
    seeds: list[int], several: SeedsFolder, checkpointing: CheckpointOptions, engine: Engine, console: Console
) -> None:
    if not seeds:
        return
    plan, folder = several.plan, several.folder
    place = str(folder.resolve() if engine.remote else folder)
    setup = SeedsSetup(plan, place, several.proof, checkpointing)
    with SeedsBar(console, seeds, plan.config.training.budget) as bar:
        bar.say(f"{_seeds(seeds)}: setting up ...")
        engine.run(work, setup, seeds, _Runs(several, seeds, bar, console))


def _failure(several: SeedsFolder, failed: dict[int, str]) -> UserError:
    lines = [f"seed {seed} {how}" for seed, how in failed.items()]
    whole = [str(seed) for seed, how in several.states.items() if how == DONE]
    rest = f"seeds {', '.join(sorted(whole, key=int))} are whole and evaluated in {several.folder}; " if whole else ""
    lines.append(f"{rest}{several.resume_command()} goes on with what is not, perhaps with --on-nan rollback")
    return UserError("\n".join(lines))


def _evaluate(several: SeedsFolder, engine: Engine, console: Console) -> None:
    done = [seed for seed in several.plan.seeds if several.states.get(seed) == DONE]
    folders = [several.run(seed) for seed in done]
    for name in RESULTS:  # of an earlier time, perhaps of fewer seeds
        (several.folder / name).unlink(missing_ok=True)
    evaluate(folders, json=several.folder / EVALUATION, console=console)
    market = several.plan.config.market
    cells = len(done) * (1 + len(market.sellers) * (len(done) - 1))
    with CellsBar(console, cells, 0, market.horizon * len(market.sellers)) as bar:
        found = cross_play(folders, done, engine, bar.finished)
    if found is not None:
        for table in tables(found, market.period):
            table.print(console)
        write_json(several.folder / CROSS_PLAY, found.facts())


@dataclass(frozen=True)
class SeedRuns(Records):
    """A folder with a run for each of several seeds."""

    folder: Path

    @property
    def runs(self) -> list[Run]:
        """The runs, by seed."""
        return [Run(folder) for folder in seed_folders(self.folder)]

    def records(self) -> list[dict[str, Any]]:
        """The rows of the evaluation of all of them together."""
        return read_json(self.folder / EVALUATION, list)


@ordered_by(TrainSeedsOrder)
def train_seeds(order: TrainSeedsOrder) -> SeedRuns:
    """Carry out `bazaar train --seeds`: train with ``seeds`` seeds, from ``seed`` on, each in a folder of its own.

    Raises:
        UserError: a configuration that cannot be trained; or a seed's run failed, after the others have gone on and
            those that are whole have been evaluated.
        KeyboardInterrupt: on Ctrl-C, with what is there: each run as of its last evaluation.

    Example::

        from policies import train_seeds

        less = ["training.evaluations=2", "evaluation.episodes=32", "evaluation.line_ups=[nash+base_stock]"]
        both = train_seeds("duopoly", seeds=2, budget=6_000, name="two", device="cpu", changes=less, processes=1)
        print(both.to_frame()["table"].unique())
    """
    console, means = order.console, WorkerOptions(order.processes, order.ray)
    numbers = tuple(order.seed + k for k in range(order.seeds))
    checkpointing = CheckpointOptions(order.checkpoint_every, order.on_nan)
    folder = choose_folder(order.runs, order.name or _name(order, numbers), order.config, order.seed)
    config = read_config(order.config, order.changes + ((f"training.budget={order.budget}",) if order.budget else ()))
    found = pick_device(order.device)
    device = found if means.ray is None else order.device  # Ray's machines may have another than this one
    say(console, f"setting up {config.market.name} ...")
    training = TrainingRun(config, order.seed, "cpu")  # what cannot be trained is refused before anything is written
    say_decisions(config.market, training.spec, console)
    plan = SeedsPlan(training.config, str(order.config), numbers, device, order.command, checkpointing, means.processes)
    several = SeedsFolder(folder, plan)
    with _kept(several):
        several.make()
        with locked(folder, ""):
            carry_out(several, checkpointing, means, console)
    return SeedRuns(folder)


@ordered_by(ResumeSeedsOrder)
def resume_seeds(order: ResumeSeedsOrder) -> SeedRuns:
    """Carry out `bazaar train --resume` on several seeds: go on with all that are not finished, then evaluate all.

    Raises :class:`UserError` as :func:`train_seeds`, and where the folder does not say what it takes to go on, or another
    process is at it.

    Example::

        from policies import resume_seeds

        print(len(resume_seeds("runs/two").runs))
    """
    console, folder = order.console, order.run
    several = read_folder(folder)
    if several.finished is not None:
        say(console, f"{folder}: was finished on {several.finished}; there is nothing left to train")
        return SeedRuns(folder)
    begun = several.plan.checkpointing
    checkpointing = CheckpointOptions(order.checkpoint_every or begun.every, order.on_nan or begun.on_nan)
    means = WorkerOptions(order.processes or several.plan.processes, order.ray)
    with _kept(several), locked(folder, ""):
        say(console, f"{folder}: {_standing(several)}")
        done = several.done
        left = [seed for seed in several.plan.seeds if seed not in done]
        for seed in left:
            refuse_other_learning(several.run(seed), several.plan.config)
        several.resumed.append({"at": timestamp(), "seeds": left})
        carry_out(several, checkpointing, means, console)
    return SeedRuns(folder)


def _standing(several: SeedsFolder) -> str:
    done = several.done
    begun = [seed for seed in several.plan.seeds if seed not in done and several.run(seed).is_dir()]
    others = [seed for seed in several.plan.seeds if seed not in [*done, *begun]]
    said = [("done", done), ("to go on", begun), ("to be begun", others)]
    return "; ".join(f"{what}: {_seeds(which)}" for what, which in said if which)


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def _name(order: TrainOrder, seeds: Sequence[int]) -> str:
    return f"{order.config.stem}-seeds{seeds[0]}to{seeds[-1]}-{datetime.now():%Y%m%d-%H%M%S}"


@contextmanager
def _kept(several: SeedsFolder) -> Iterator[None]:
    """Whatever ends the work, the message says how to go on."""
    try:
        with careful(lambda: _interrupted(several)), disk_errors(several.folder, several=True):
            yield
    except Lost:
        raise Lost(f"{several.resume_command()} goes on, perhaps with fewer --processes") from None


def _interrupted(several: SeedsFolder) -> str:
    folder, onward = several.folder, several.resume_command()
    if not folder.is_dir():
        return "interrupted: nothing was trained yet"
    if not seed_folders(folder):
        return f"interrupted: nothing was trained yet; {onward} begins it again"
    evaluated = onward.replace("train --resume", "evaluate", 1)
    return f"interrupted: what was learned is in {folder}; {onward} goes on, {evaluated} evaluates it as it is"
