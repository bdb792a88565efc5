"""What the checks of a sales file find: errors, doubts that ``--force NAME`` overrules, and warnings, each with its rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

from market.errors import UserError

SHOWN = 5  # places that a message names


class Step(NamedTuple):
    """What was done in reading, and how many rows it touched; None: it is about the whole file."""

    what: str
    rows: int | None = None


@dataclass
class Findings:
    """Collects what is found; :meth:`settle` ends a check with one message when anything forbids going on.

    ``option`` stands before the names of what the user chose: ``--`` on a command line, nothing in a configuration.
    """

    where: str
    force: Collection[str] = ()  # names of doubts that are accepted
    option: str = "--"
    errors: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    tell: Callable[[str], None] = lambda text: None  # told how far a long reading is
    millions: int = 0  # of rows that were told

    def has_read(self, rows: int) -> None:
        """So many rows have been read: told by the million."""
        if rows // 1_000_000 > self.millions:
            self.millions = rows // 1_000_000
            self.tell(f"{rows:,} rows")

    def did(self, what: str, rows: int | None = None) -> None:
        """What was made of the file on the way, and of how many rows; None: of the whole."""
        self.steps.append(Step(what, rows))

    def error(self, message: str) -> None:
        """Nothing can be done with such data."""
        self.errors.append(message)

    def doubt(self, name: str, message: str) -> None:
        """Results would mislead: an error, or a warning where ``force`` has its name."""
        if name in self.force:
            self.warnings.append(message)
        else:
            self.doubts.append(f"{message} (accept it with --force {name})")

    def warning(self, message: str) -> None:
        """Worth knowing."""
        self.warnings.append(message)

    def settle(self) -> None:
        """Raise one :class:`UserError` with everything that forbids going on, and with the warnings, which may say why."""
        if self.errors or self.doubts:
            raise self._told()

    def refuse(self, message: str) -> NoReturn:
        """An error after which nothing else can be looked at."""
        self.error(message)
        raise self._told()

    def _told(self) -> UserError:
        lines = [*self.errors, *self.doubts]
        lines += [f"note: {warning}" for warning in self.warnings]
        return UserError("\n".join(f"{self.where}: {line}" for line in lines))


def named(kind: str, places: Iterable[object]) -> str:
    """``line 3``, or ``lines 3, 5, 6, 7, 8 and 12 more``."""
    all_ = list(places)
    return f"{kind}{'s' if len(all_) != 1 else ''} {listed(all_)}"


def listed(places: Iterable[object]) -> str:
    """``3, 5, 6, 7, 8 and 12 more``; 0 is the place of what stands on no line."""
    all_ = [place for place in places if place != 0]
    more = f" and {len(all_) - SHOWN} more" if len(all_) > SHOWN else ""
    return ", ".join(map(str, all_[:SHOWN])) + more
