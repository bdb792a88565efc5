"""A folder that a command can go on with: it says what was asked, and one process at a time works in it.

Tuning, tournaments and training with several seeds keep what is finished in such a folder. The same order finds the
folder again, another one is refused with what it differs in.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from market.errors import UserError
from policies.common.files import write_json
from policies.common.interrupt import careful
from policies.storage.run_folder import STATE, choose_folder

LOCK = "lock"
Facts = dict[str, Any]


@dataclass(frozen=True)
class WorkFolder:
    """A folder whose file ``about`` holds what was ``asked``; ``what``: its name in messages, such as tournament."""

    path: Path
    about: str
    what: str
    asked: Facts

    @classmethod
    def find(
        cls,
        runs: Path,
        name: str | None,
        stem: str,
        *,
        about: str,
        what: str,
        asked: Facts,
        listed: Callable[[Facts], Facts] = lambda asked: asked,
    ) -> WorkFolder:
        """The folder of an order, which may hold part of it already.

        Args:
            runs: where it lies; ``name``: its name there, None: ``stem`` with a digest of what is asked.
            asked: everything that decides what will be in it.
            listed: what is asked as differences are to be shown.

        Raises :class:`UserError` where the folder holds something else, another order's work or none that is whole.
        """
        asked = json.loads(json.dumps(asked))
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]
        name = name if name is not None else f"{stem}-{digest}"
        folder = cls(runs / name, about, what, asked)
        if Path(name).name != name or not (folder.path / about).is_file():
            choose_folder(runs, name, folder.path, 0)
            return folder
        there = list(differences(listed(folder.facts()["inputs"]), listed(asked)))
        if there:
            raise UserError(
                f"{folder.path}: is another {what}, choose another --name. It differs in {named(there)} (there / here)"
            )
        return folder

    def facts(self, *keys: str) -> Facts:
        """What the file says; raises :class:`UserError` where it is damaged or lacks one of the ``keys``."""
        path = self.path / self.about
        try:
            facts: Facts = json.loads(path.read_text(encoding="utf-8"))
            return facts | {key: facts[key] for key in ("inputs", *keys)}
        except (OSError, ValueError, KeyError, TypeError):
            raise UserError(f"{path}: is damaged; remove the folder or choose another --name") from None

    def begin(self, facts: Facts, fill: Callable[[Path], None] = lambda aside: None) -> None:
        """Make the folder all at once, with what was asked, ``facts`` and whatever ``fill`` puts into it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=self.path.parent, prefix=f".{self.what}-"))
        try:
            fill(aside)
            write_json(aside / self.about, {"inputs": self.asked} | facts)
            aside.chmod(0o755)
            aside.rename(self.path)
        except BaseException as error:
            shutil.rmtree(aside, ignore_errors=True)
            if isinstance(error, OSError) and self.path.exists():
                raise UserError(
                    f"{self.path}: another process has begun this {self.what} meanwhile; wait or end it"
                ) from None
            raise

    @contextmanager
    def going_on(self, begin: Callable[[], None], told: Callable[[], str]) -> Iterator[None]:
        """Hold the folder's lock, after ``begin`` where there is none yet; on Ctrl-C ``told`` says how things stand."""
        with careful(told):
            if not self.path.exists():
                begin()
            with locked(self.path, "", f"at this {self.what}"):
                yield


@contextmanager
def locked(folder: Path, inside: str = STATE, at: str = "training this run") -> Iterator[None]:
    """Hold the lock of a folder, which the system lets go when the process ends, however it ends.

    ``inside``: the folder in it in which the lock lies; ``at``: what its holder does. Raises :class:`UserError` that
    names the process when another one holds it.
    """
    (folder / inside).mkdir(exist_ok=True)
    path = folder / inside / LOCK
    holder = _holder(path)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"{folder}: another process (number {holder}) is {at}; wait or end it") from None
    try:
        with suppress(OSError):  # Windows lets nobody write to a file that is locked
            path.write_text(f"{os.getpid()}\n", encoding="utf-8")
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip() or "unknown"
    except OSError:
        return "unknown"


def wait_until_free(run: Path, patience: float) -> None:
    """Wait until no process holds the run's lock, at most ``patience`` seconds: one that was killed may be ending."""
    (run / STATE).mkdir(exist_ok=True)
    with suppress(Timeout), FileLock(run / STATE / LOCK).acquire(timeout=patience, poll_interval=0.1):
        pass


def differences(one: Any, other: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where plain data differ: key.path, this, that, None for what is not there. {a: 1} and {a: 3}: ("a", 1, 3)."""
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = [(str(key), one.get(key), other.get(key)) for key in dict.fromkeys([*other, *one])]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(str(k), *pair) for k, pair in enumerate(zip(one, other, strict=True))]
    else:
        if one != other:
            yield where, one, other
        return
    for key, mine, theirs in pairs:
        yield from differences(mine, theirs, f"{where}.{key}" if where else key)


def named(found: Sequence[tuple[str, Any, Any]], between: str = " / ", most: int = 3) -> str:
    """The first differences in words."""
    more = len(found) - most
    first = "; ".join(f"{key}: {_short(one)}{between}{_short(other)}" for key, one, other in found[:most])
    return first + (f"; and {more} more" if more > 0 else "")


def _short(value: Any) -> str:
    text = "not given" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
