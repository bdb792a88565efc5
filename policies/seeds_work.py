"""One training run as a task of an engine: it says how far it is, and sends its files where they are not seen."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console

from policies.config import parse_run
from policies.engine import Say
from policies.keeper import Keeping
from policies.run_state import FOLDER as STATE

EVERY = 0.5  # seconds between two messages

Files = dict[str, bytes]


@dataclass(frozen=True)
class SeedsSetup:
    """What all seeds share. ``folder``: where runs are written; None where the one who asked cannot see it."""

    path: str
    config: dict[str, Any]
    device: str
    command: str
    folder: str | None
    keeping: Keeping


@dataclass(frozen=True)
class Moved:
    """How far a run is; ``files`` by path in its folder, as far as they changed since the last message."""

    done: int
    phase: str
    files: Files = field(default_factory=dict)


def run_name(seed: int) -> str:
    """The folder of a seed's run in that of all."""
    return f"seed-{seed}"


def work(setup: SeedsSetup, seed: int, say: Say) -> Files:
    """Train with a seed; returns the files that were not sent before."""
    if setup.folder is not None:
        shutil.rmtree(Path(setup.folder) / run_name(seed), ignore_errors=True)  # of a process that was lost
        _train(setup, seed, Path(setup.folder), say, dict)
        return {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        changed = Changed(Path(place) / run_name(seed))
        _train(setup, seed, Path(place), say, changed)
        return changed()


def _train(setup: SeedsSetup, seed: int, runs: Path, say: Say, files: Callable[[], Files]) -> None:
    from policies.training import TrainOrder, train

    order = TrainOrder(
        Path(setup.path),
        seed=seed,
        device=setup.device,
        name=run_name(seed),
        runs=runs,
        command=setup.command,
        keeping=setup.keeping,
        given=parse_run(setup.config, setup.path),
    )
    train(order, Console(quiet=True), lambda console, budget: Messenger(say, files))


class Changed:
    """Reads those files of a folder that changed since they were read last."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._known = folder, dict[str, tuple[int, int]]()

    def __call__(self) -> Files:
        found: Files = {}
        own = self._folder / STATE  # of use only where the run goes on
        for path in sorted(p for p in self._folder.rglob("*") if p.is_file() and own not in p.parents):
            name, about = path.relative_to(self._folder).as_posix(), path.stat()
            if self._known.get(name) != (about.st_mtime_ns, about.st_size):
                self._known[name] = (about.st_mtime_ns, about.st_size)
                found[name] = path.read_bytes()
        return found


def write_files(folder: Path, files: Files) -> None:
    """Write files that a task has sent, each aside and then into place."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.part")
        aside.write_bytes(content)
        os.replace(aside, path)


class Messenger:
    """Stands in for a run's bar: what it is told goes to the one who asked; files go along after each evaluation."""

    def __init__(self, say: Say, files: Callable[[], Files]) -> None:
        self._say, self._files, self._done, self._last, self._phase = say, files, 0, 0.0, ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._tell("judging", self._files())

    def phase(self, name: str) -> None:
        """Tell what goes on now."""
        self._tell(name, self._files() if name == "learning" else {})

    def advance_to(self, done: int) -> None:
        """Tell how many seller-periods are behind us, now and then."""
        self._done = done
        if time.monotonic() - self._last > EVERY:
            self._tell(self._phase, {})

    def _tell(self, phase: str, files: Files) -> None:
        self._phase, self._last = phase, time.monotonic()
        self._say(Moved(self._done, phase, files))
