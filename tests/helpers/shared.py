"""What several test modules look at is made once a session, whichever worker needs it first."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

PLACE = "BAZAAR_TESTS_SHARED"


def open_shared() -> None:
    """Called where tests are handed out, before workers start: they inherit the place."""
    os.environ[PLACE] = tempfile.mkdtemp(prefix="bazaar-tests-")


def close_shared() -> None:
    shutil.rmtree(os.environ.pop(PLACE), ignore_errors=True)


def shared_place() -> Path:
    return Path(os.environ[PLACE])


def once(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of this name that ``make`` has filled; tests only read it."""
    place = shared_place()
    folder, made = place / name, place / f"{name}.made"
    with FileLock(place / f"{name}.lock"):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)  # what a test that failed here has left
            folder.mkdir()
            make(folder)
            made.touch()
    return folder
