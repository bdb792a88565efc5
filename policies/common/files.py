"""Files that are whole or not there; JSON and CSV in and out; and errors of a disk that name the file.

A file is written aside, synced, and renamed into place; then its folder is synced, so that the name survives a power
cut as well. Whoever reads sees the old file or the new one, never half of one.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypeVar, cast

import numpy as np

from market.errors import UserError

ASIDE = ".part"
T = TypeVar("T")


def timestamp() -> str:
    """The time as files tell it, to the second, with its zone."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def plain_name(name: str) -> bool:
    """Whether a name is that of a file or folder wherever it stands: no way out of a folder, or into another, on any system."""
    return (
        name not in ("", ".", "..")
        and name.isprintable()
        and not PureWindowsPath(name).anchor
        and not set(name) & {*"/\\"}
    )


def inside(folder: Path, name: str) -> Path:
    """The path of ``name``, plain names joined by /, in a folder: for names that were read, which anybody may have written.

    Raises :class:`UserError` for a name that leads anywhere else. ``pool/left.8.pt`` is fine, ``../left.8.pt`` is not.
    """
    if not all(map(plain_name, name.split("/"))):
        raise UserError(
            f"{name!r}: is not the name of a file in {folder}, so what says so is damaged or not bazaar's; nothing was written"
        )
    return folder / PurePosixPath(name)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Let an :class:`OSError` within name ``path`` where it names no file: write() on a full disk does not."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def write_file(path: Path, content: bytes | str) -> None:
    """Write a whole file; raise :class:`OSError` that names it, the file that was there left as it was.

    A link's target is written; what is no file, such as ``/dev/stdout``, is written to and not replaced.
    """
    data = content.encode() if isinstance(content, str) else content
    if _is_stream(path):
        path.write_bytes(data)
        return
    path = path.resolve() if path.is_symlink() else path
    aside = path.with_name(f"{path.name}{ASIDE}")
    try:
        with writing(path):
            with open(aside, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, path)
            sync(path.parent)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise


def sync(path: Path) -> None:
    """Have what was written to a file, or to the names in a folder, reach the disk."""
    if os.name == "nt" and path.is_dir():  # Windows opens no folders
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)  # Windows syncs what may be written
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def refuse_taken_folder(folder: Path) -> None:
    """Raise :class:`UserError` for a folder that is to be made and is there already, or lies nowhere."""
    if folder.exists():
        raise UserError(f"{folder}: exists already and is not written over; choose another name")
    if not folder.absolute().parent.is_dir():
        raise UserError(f"{folder}: the folder {folder.parent} does not exist")


def refuse_unwritable(path: Path | None, force: bool | None = None, option: str = "--force") -> None:
    """Raise :class:`UserError` now for a file that could not be written after minutes of work.

    Args:
        path: None where no file is asked for.
        force: whether a file that is there is written over; None: the command has no such option to name.
        option: what allows it.
    """
    if path is None or _is_stream(path):
        return
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist")
    if path.is_dir():
        raise UserError(f"{path}: is a folder, not a file to write to")
    if path.exists() and not force:
        way = "choose another name" if force is None else f"choose another name, or {option}"
        raise UserError(f"{path}: exists already and is not written over; {way}")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"{path}: cannot be written (permission denied)")


def _is_stream(path: Path) -> bool:
    return path.exists() and not path.is_dir() and (not path.is_file() or path.absolute().parent == Path("/dev"))


def jsonable(value: T) -> T:
    """What JSON and CSV take, through all its dicts and lists: numpy's numbers as Python's, NaN and infinity as None."""
    found: Any = value
    if isinstance(found, Mapping):
        found = {key: jsonable(item) for key, item in found.items()}
    elif isinstance(found, list | tuple):
        found = [jsonable(item) for item in found]
    elif isinstance(found, np.ndarray | np.generic):
        found = jsonable(found.tolist())
    elif isinstance(found, float) and not math.isfinite(found):
        found = None
    return cast(T, found)


def write_json(path: Path | None, content: Any, indent: int = 2) -> None:
    """Write JSON that a person can read, of a number that is none null; nothing where no file is asked for (None)."""
    if path is not None:
        write_file(path, json.dumps(jsonable(content), indent=indent, allow_nan=False) + "\n")


def read_json(path: Path, kind: type[T]) -> T:
    """The content of a JSON file, or an empty ``kind`` where there is no such file or another thing in it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return kind()
    return content if isinstance(content, kind) else kind()


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]], end: str = "\r\n") -> None:
    """Write rows under the names of all that any of them has; what a row does not have, or is None, is empty."""
    rows = [jsonable(row) for row in rows]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    write_file(path, text.getvalue())
