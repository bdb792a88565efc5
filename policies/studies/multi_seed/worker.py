"""One seed's training run as a task of an engine: it goes on from its last checkpoint, and says how far it is.

Where the one who asked and the one who trains see the same folder, nothing travels. Elsewhere the run's files come
back as they change, so that a folder of several seeds is the same wherever they were trained, and a run can go on from
it. The order in which files are written makes it so at every moment: a state never stands beside older metrics.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from rich.console import Console

from market.errors import UserError
from policies.common.files import ASIDE, inside, read_json, write_file
from policies.common.parallel import Say
from policies.config.orders import ResumeOrder, TrainOrder
from policies.storage.run_folder import ABOUT, SEEDS, STATE
from policies.storage.work_folder import wait_until_free
from policies.studies.multi_seed.folder import PROOF, SeedsPlan, run_name
from policies.training.checkpointing import SELLERS, CheckpointOptions

Contents = dict[str, bytes | None]  # by path in the run's folder; None: is no longer there


def sees(folder: Path, proof: str) -> bool:
    """Whether the folder of several seeds at this path is the one in which ``proof`` was written, and can be used."""
    return read_json(folder / SEEDS, dict).get(PROOF) == proof and os.access(folder, os.W_OK)


def read_files(folder: Path) -> Contents:
    """All files of a run as they stand."""
    return {name: path.read_bytes() for name, path in _present(folder).items()}


def write_files(folder: Path, files: Contents) -> None:
    """Write files that were sent, states after all else, and remove last what is gone."""
    paths = {name: inside(folder, name) for name in files}
    for name, content in sorted(files.items(), key=lambda item: (_is_state(item[0]), item[0])):
        if content is not None:
            paths[name].parent.mkdir(parents=True, exist_ok=True)
            write_file(paths[name], content)
    for name in (name for name, content in files.items() if content is None):
        paths[name].unlink(missing_ok=True)


class Changed:
    """Reads those files of a run that changed since they were read, or came, last."""

    def __init__(self, folder: Path, came: Contents) -> None:
        self._folder = folder
        write_files(folder, came)
        self._known = {name: _stamp(path) for name, path in _present(folder).items()}

    def __call__(self, states: bool = True) -> Contents:
        """What changed; without ``states`` that of the whole run is left for later."""
        there = {name: path for name, path in _present(self._folder).items() if states or not _is_state(name)}
        found: Contents = {}
        for name, path in there.items():
            if self._known.get(name) != _stamp(path):
                self._known[name], found[name] = _stamp(path), path.read_bytes()
        for name in [name for name in self._known if name not in there and (states or not _is_state(name))]:
            del self._known[name]
            found[name] = None
        return found

    def new_state(self) -> bool:
        """Whether the whole run was kept since."""
        return any(_is_state(name) and name not in self._known for name in _present(self._folder))


def _present(folder: Path) -> dict[str, Path]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ASIDE)
    return {path.relative_to(folder).as_posix(): path for path in found}


def _is_state(name: str) -> bool:
    return name.startswith(f"{STATE}/")


def _stamp(path: Path) -> tuple[int, int]:
    about = path.stat()
    return about.st_mtime_ns, about.st_size


EVERY = 0.5  # seconds between two messages
PATIENCE = 20.0  # seconds that the process which trained the run before may take to end
WIDE = 100_000  # columns: a warning is one line


@dataclass(frozen=True)
class SeedsSetup:
    """What all seeds share.

    ``folder``: of all runs, as the one who asked sees it; ``proof``: what is written there, so that whoever else sees
    a folder at that path knows whether it is the same.
    """

    plan: SeedsPlan
    folder: str
    proof: str
    checkpointing: CheckpointOptions


@dataclass(frozen=True)
class Wanted:
    """A task asks for what there is of its run: the answer is :data:`~policies.studies.multi_seed.worker.Contents`."""


@dataclass(frozen=True)
class Moved:
    """How far a run is; ``files`` of it that changed, where they are not seen; ``warning``, one line."""

    done: int
    phase: str
    files: Contents = field(default_factory=dict)
    warning: str = ""


def work(setup: SeedsSetup, seed: int, say: Say) -> Contents:
    """Train with a seed, from wherever its run stands; returns the files that were not sent before."""
    if sees(Path(setup.folder), setup.proof):
        _train(setup, seed, Path(setup.folder), Messenger(say, lambda all_of_it: {}))
        return {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        changed = Changed(Path(place) / run_name(seed), say(Wanted()))
        messenger = Messenger(say, _Sends(changed, setup.checkpointing.every))
        try:
            _train(setup, seed, Path(place), messenger)
        except UserError as problem:  # what the run leaves is there to go on from
            messenger.tell("stopped", changed())
            raise UserError(str(problem).replace(place, setup.folder)) from None
        return changed()


def _train(setup: SeedsSetup, seed: int, runs: Path, messenger: Messenger) -> None:
    from policies.training.resume import resume_run
    from policies.training.train import train_run

    plan, how = setup.plan, setup.checkpointing
    kept: dict[str, Any] = {"checkpoint_every": how.every, "on_nan": how.on_nan}
    run, console = runs / run_name(seed), Console(file=Warnings(messenger), width=WIDE)  # type: ignore[arg-type]
    if _begun(run):
        wait_until_free(run, PATIENCE)
        resume_run(ResumeOrder(run, **kept), console, lambda *_: messenger)
        return
    shutil.rmtree(run, ignore_errors=True)  # of a process that was lost before it had said what the run is
    kept |= {"seed": seed, "device": plan.device, "command": plan.command}
    order = TrainOrder(Path(plan.path), name=run.name, runs=runs, **kept)
    train_run(order, console, lambda *_: messenger, plan.config)


def _begun(run: Path) -> bool:
    return (run / ABOUT).exists() or any((run / SELLERS).glob("*"))


class _Sends:
    """Which files go along with a message: states, which may be large, no more often than they must be kept."""

    def __init__(self, changed: Changed, every: float) -> None:
        self._changed, self._every, self._sent = changed, every, float("-inf")

    def __call__(self, all_of_it: bool) -> Contents:
        states = self._changed.new_state() and time.monotonic() - self._sent >= self._every
        if not states and not all_of_it:
            return {}
        files = self._changed(states)
        self._sent = time.monotonic() if states else self._sent
        return files


class Messenger:
    """Stands in for a run's bar: what it is told goes to the one who asked, with the ``files`` that are to go along.

    ``files`` is asked now and then, and after each evaluation for all that changed.
    """

    def __init__(self, say: Say, files: Callable[[bool], Contents]) -> None:
        self._say, self._files, self._done, self._last, self._phase = say, files, 0, 0.0, ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self.tell("evaluating", self._files(True))

    def phase(self, name: str) -> None:
        """Tell what goes on now."""
        self.tell(name, self._files(name == "learning"))

    def advance_to(self, done: int) -> None:
        """Tell how many seller-periods are behind us, now and then."""
        self._done = done
        if time.monotonic() - self._last > EVERY:
            self.tell(self._phase, self._files(False))

    def warn(self, line: str) -> None:
        """Tell what a person should know."""
        self._say(Moved(self._done, self._phase, warning=line))

    def tell(self, phase: str, files: Contents) -> None:
        """Say it, whenever that was done last."""
        self._phase, self._last = phase, time.monotonic()
        self._say(Moved(self._done, phase, files))


class Warnings:
    """The file behind a run's console: of all that the run prints, its warnings are passed on."""

    def __init__(self, messenger: Messenger) -> None:
        self._messenger, self._rest = messenger, ""

    def write(self, text: str) -> None:
        """Take in what is printed."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.startswith("warning: "):
                self._messenger.warn(line)

    def flush(self) -> None:
        """Lines are passed on when they are whole."""
