"""The whole state of a run on disk: two generations, checked before anything of them is parsed.

A file is a line that names the format, a line with the SHA-256 of the rest, and the rest as torch saves it: tensors
and plain values only. Files are numbered; the newest two are kept, so that a damaged one costs a little time, not
the run.
"""

from __future__ import annotations

import hashlib
import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from market.errors import UserError
from policies.common.console import say
from policies.common.files import ASIDE, write_file
from policies.storage.run_folder import STATE, read_about

FORMAT = b"bazaar run state 1\n"
GENERATIONS = 2
DIGEST = 64  # characters of a SHA-256 in hexadecimal


class Damaged(Exception):
    """A file is not what was written."""


class RunState:
    """The generations of one run, in its folder ``state``."""

    def __init__(self, run: Path) -> None:
        self.run, self.folder = run, run / STATE
        self._bad: set[Path] = set()

    def files(self) -> list[Path]:
        """The generations that there are, newest first."""
        found = [path for path in self.folder.glob("*.state") if path.stem.isdecimal()]
        return sorted(found, key=lambda path: int(path.stem), reverse=True)

    def save(self, state: dict[str, Any]) -> None:
        """Write the next generation, then forget all but two; raise :class:`OSError` where the disk refuses."""
        present = self.files()
        number = int(present[0].stem) + 1 if present else 1
        write_file(self.folder / f"{number:06}.state", pack(state))
        good = [path for path in present if path not in self._bad]
        for path in {*present} - {*good[: GENERATIONS - 1]}:
            path.unlink()
        self._bad.clear()

    def load(self, console: Console) -> dict[str, Any] | None:
        """The newest state that is whole, None where there is none yet.

        A damaged one is named in a warning; raise :class:`UserError` when all are damaged.
        """
        problems = []
        for path in self.files():
            try:
                state = unpack(read(path))
            except Damaged as problem:
                problems.append(f"{path} {problem}")
                self._bad.add(path)
                continue
            for damage in problems:
                say(console, f"warning: {damage}; going on from {path}")
            return state
        if problems:
            raise UserError(
                f"{'; '.join(problems)}: no checkpoint of the whole run is left to go on from; "
                f"bazaar train {self.run / 'config.yaml'} begins it anew"
            )
        return None

    def forget(self) -> None:
        """Remove all generations, and what was being written of one: of a run that is finished."""
        for path in [*self.files(), *self.folder.glob(f"*.state{ASIDE}")]:
            path.unlink()


def tidy(run: Path) -> None:
    """Remove what is left of a finished run's generations by a kill at its very end, where that can be removed."""
    if "finished" in read_about(run):
        with suppress(OSError):
            RunState(run).forget()


def read(path: Path) -> bytes:
    """A file's bytes; raise :class:`Damaged` where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Damaged(f"cannot be read ({error.strerror})") from None


def pack(state: dict[str, Any]) -> bytes:
    """A state as the bytes of a file."""
    file = io.BytesIO()
    torch.save(state, file)
    content = file.getbuffer()
    return FORMAT + hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def unpack(content: bytes) -> dict[str, Any]:
    """The state in a file's bytes; raise :class:`Damaged` where they are not those that :func:`pack` made."""
    head = len(FORMAT) + DIGEST + 1
    if not content.startswith(FORMAT):
        raise Damaged("is damaged, or of another version of bazaar")
    body = memoryview(content)[head:]
    if content[len(FORMAT) : head] != hashlib.sha256(body).hexdigest().encode() + b"\n":
        raise Damaged("is damaged: its SHA-256 is not the one that was written")
    return dict(torch.load(io.BytesIO(body), map_location="cpu", weights_only=True))
