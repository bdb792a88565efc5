"""Which seller of a run is in force: the one that was trained in it, or a later one that `bazaar update` promoted.

``lineage.json`` of the run's folder has every update in order, each with its parent, the data it saw and its verdict, and for each
seller the folder of the one in force. It is replaced as a whole, so that a reader finds the old or the new.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from market.errors import UserError
from market.spec.models import Model
from policies.common.files import inside, write_json

FILE, UPDATES = "lineage.json", "updates"
Verdict = Literal["nothing to learn", "promoted", "kept", "rolled back"]


class Entry(Model):
    """One update: ``name`` of its folder in ``updates/``, null where nothing was trained; ``parent`` of the seller before."""

    seller: str
    name: str | None = None
    parent: str | None = None
    at: str
    verdict: Verdict
    data: dict[str, Any] = Field(default_factory=dict)
    found: dict[str, Any] = Field(default_factory=dict)


class Lineage(Model):
    """``current``: by seller the folder in ``updates/``; a seller that is not there is the run's own."""

    version: Literal[1] = 1
    current: dict[str, str] = Field(default_factory=dict)
    updates: tuple[Entry, ...] = ()


def read_lineage(folder: Path) -> Lineage:
    """Of a run that was never updated an empty one; raises :class:`UserError` for a damaged file."""
    path = folder / FILE
    try:
        return Lineage.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Lineage()
    except (OSError, UnicodeDecodeError, ValidationError):
        raise UserError(
            f"{path}: is damaged: it does not say which seller is in force; put it back, or remove it: the run's own sellers are in force then"
        ) from None


def in_force(folder: Path, seller: str) -> Path:
    """The folder of the seller of a run that is in force.

    Raises :class:`UserError` for a lineage that is damaged, or names a folder that is not there.
    """
    name = read_lineage(folder).current.get(seller)
    if name is None:
        return folder
    found = inside(folder / UPDATES, name)
    if not (found / "config.yaml").is_file():
        raise UserError(f"{folder / FILE}: {UPDATES}/{name} is not there, and {seller} is the one of it")
    return found


def stamp(folder: Path) -> tuple[int, int] | None:
    """What changes when another seller comes into force; None where none ever did."""
    try:
        status = (folder / FILE).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino


def next_name(folder: Path, seller: str) -> str:
    """``left-1``, and so on: the first that neither a folder nor the lineage has."""
    taken = {one.name for one in read_lineage(folder).updates}
    number = 1
    while (name := f"{seller}-{number}") in taken or (folder / UPDATES / name).exists():
        number += 1
    return name


def add(folder: Path, entry: Entry) -> None:
    """Keep an update; one that is promoted comes into force."""
    known = read_lineage(folder)
    current = known.current | ({entry.seller: entry.name} if entry.verdict == "promoted" and entry.name else {})
    _write(folder, current, (*known.updates, entry))


def roll_back(folder: Path, seller: str, at: str) -> Path:
    """Bring the parent of the seller in force back into force; returns its folder.

    Raises :class:`UserError` where the run's own seller is in force.
    """
    known, promoted = read_lineage(folder), promoted_by(folder, seller)
    current = {one: at for one, at in known.current.items() if one != seller}
    if promoted.parent is not None:
        current[seller] = promoted.parent
    back = Entry(seller=seller, name=promoted.parent, parent=promoted.name, at=at, verdict="rolled back")
    _write(folder, current, (*known.updates, back))
    return in_force(folder, seller)


def promoted_by(folder: Path, seller: str) -> Entry:
    """The update that brought the seller into force; raises :class:`UserError` for the run's own, which nobody comes before."""
    known = read_lineage(folder)
    name = known.current.get(seller)
    found = next((one for one in reversed(known.updates) if one.name == name and one.verdict == "promoted"), None)
    if name is None or found is None:
        raise UserError(f"{folder}: {seller} is the run's own seller: there is nothing to roll back")
    return found


def _write(folder: Path, current: dict[str, str], updates: tuple[Entry, ...]) -> None:
    write_json(folder / FILE, Lineage(current=current, updates=updates).model_dump(mode="json"))
