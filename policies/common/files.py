"""Files that are whole or not there, and errors of a disk that name the file.

A file is written aside, synced, and renamed into place; then its folder is synced, so that the name survives a power
cut as well. Whoever reads sees the old file or the new one, never half of one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Let an :class:`OSError` within name ``path`` where it names no file: write() on a full disk does not."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def replace(path: Path, content: bytes) -> None:
    """Write a whole file; raise :class:`OSError` that names it, the file that was there left as it was."""
    aside = path.with_name(f"{path.name}.part")
    try:
        with writing(path):
            with open(aside, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, path)
            sync(path.parent)
    except OSError:
        with suppress(OSError):
            aside.unlink()
        raise


def sync(path: Path) -> None:
    """Have what was written to a file, or to the names in a folder, reach the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
