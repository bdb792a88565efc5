"""`bazaar train CONFIG --seeds K`: several runs in parallel processes, judged together, and among one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from rich.console import Console

from policies.common.interrupt import careful
from policies.common.parallel.tasks import Lost
from policies.config.run import load_run
from policies.evaluation.evaluate import terminal
from policies.storage.run_folder import choose_folder, seed_folders
from policies.storage.run_lock import locked
from policies.studies.multi_seed.folder import Plan, SeedsFolder, read_folder
from policies.studies.multi_seed.seeds_course import Means, carry_out, say
from policies.training.checkpointing import Keeping, OnNan
from policies.training.run import Training
from policies.training.train import TrainOrder, disk_errors, pick_device


def train_seeds(order: TrainOrder, seeds: int, means: Means, console: Console | None = None) -> Path:
    """Train with seeds ``order.seed`` and following; returns the folder of all, with a run's folder for each.

    Raises:
        Refusal: a configuration that cannot be trained; or a seed's run failed, after the others have gone on and
            those that are whole have been judged.
        KeyboardInterrupt: on Ctrl-C, with what is there: each run as of its last evaluation.
    """
    console = console or terminal()
    numbers = tuple(order.seed + k for k in range(seeds))
    folder = choose_folder(order.runs, order.name or _name(order, numbers), order.config, order.seed)
    config = load_run(order.config, order.changes + ((f"training.budget={order.budget}",) if order.budget else ()))
    found = pick_device(order.device)
    device = found if means.ray is None else order.device  # Ray's machines may have another than this one
    say(console, f"setting up {config.market.name} ...")
    Training(config, order.seed, "cpu")  # what cannot be trained is refused before anything is written
    plan = Plan(config, str(order.config), numbers, device, order.command, order.keeping, means.processes)
    several = SeedsFolder(folder, plan)
    with _kept(several):
        several.make()
        with locked(folder, ""):
            carry_out(several, order.keeping, means, console)
    return folder


@dataclass(frozen=True)
class ResumeSeeds:
    """What `bazaar train --resume` was asked of a folder of several seeds; None: what they were begun with."""

    folder: Path
    every: float | None = None
    on_nan: OnNan | None = None


def resume_seeds(order: ResumeSeeds, means: Means, console: Console | None = None) -> Path:
    """Go on with all seeds that are not finished, then judge all; returns the folder of all.

    Raises :class:`Refusal` as :func:`train_seeds`, and where the folder does not say what it takes to go on, or another
    process is at it.
    """
    console, folder = console or terminal(), order.folder
    several = read_folder(folder)
    if several.finished is not None:
        say(console, f"{folder}: was finished on {several.finished}; there is nothing left to train")
        return folder
    begun = several.plan.keeping
    keeping = Keeping(begun.every if order.every is None else order.every, order.on_nan or begun.on_nan)
    means = replace(means, processes=means.processes or several.plan.processes)
    with _kept(several), locked(folder, ""):
        say(console, f"{folder}: {_standing(several)}")
        done = several.done
        left = [seed for seed in several.plan.seeds if seed not in done]
        several.resumed.append({"at": datetime.now().astimezone().isoformat(timespec="seconds"), "seeds": left})
        carry_out(several, keeping, means, console)
    return folder


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
        with careful(), disk_errors(several.folder, several=True):
            yield
    except Lost:
        raise Lost(f"{several.resume_command()} goes on, perhaps with fewer --processes") from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_interrupted(several)) from None


def _interrupted(several: SeedsFolder) -> str:
    folder, onward = several.folder, several.resume_command()
    if not folder.is_dir():
        return "interrupted: nothing was trained yet"
    if not seed_folders(folder):
        return f"interrupted: nothing was trained yet; {onward} begins it again"
    judged = onward.replace("train --resume", "evaluate", 1)
    return f"interrupted: what was learned is in {folder}; {onward} goes on, {judged} judges it as it is"
