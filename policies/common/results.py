"""What a command hands back in Python: figures as plain rows, and as a table of pandas."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame


class Records:
    """A result that can be told in rows."""

    def records(self) -> list[dict[str, Any]]:
        """Plain rows: names, numbers, None for what there is not."""
        raise NotImplementedError

    def to_frame(self) -> DataFrame:
        """The rows as a table of pandas."""
        from pandas import DataFrame

        return DataFrame(self.records())


@dataclass(frozen=True)
class WrittenRecords(Records):
    """A result whose rows are in a file."""

    csv: Path

    @property
    def folder(self) -> Path:
        """Where the file lies."""
        return self.csv.parent

    def records(self) -> list[dict[str, Any]]:
        """The rows of the file."""
        return [{str(key): value for key, value in row.items()} for row in self.to_frame().to_dict("records")]

    def to_frame(self) -> DataFrame:
        """The file as a table of pandas."""
        from pandas import read_csv

        return read_csv(self.csv)


def scalars(row: dict[str, Any]) -> dict[str, Any]:
    """The entries of a row that a cell of a table can hold."""
    return {key: value for key, value in row.items() if not isinstance(value, dict | list | tuple)}
