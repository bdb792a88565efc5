"""Texts of a table gathered in parts: a dictionary of texts and codes a column, so that millions of rows stay small."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from market.salesfile.cells.clock import coarser

if TYPE_CHECKING:
    import pandas as pd

MANY = 5_000  # different texts, from which on a column that nobody asked for is not kept
COMPARED = 1_000_000  # rows up to which lines are compared with one another: more are receipts
SAME = "same line"  # a column of the gathered table: equal in rows whose cells are all equal; not there beyond COMPARED


class Texts:
    """Columns of a table as they come, part by part.

    Args:
        names: of the columns; those without a name are left out.
        wanted: says which columns are kept however many texts they have.
        quarters: of times of day the quarter of an hour is kept, which tells the day elsewhere; else none.
    """

    def __init__(self, names: Sequence[str], wanted: Callable[[str], bool], quarters: bool = False) -> None:
        self.names, self.wanted, self.quarters = list(names), wanted, quarters
        self._codes: dict[str, list[NDArray[np.int32]]] = {name: [] for name in names if name}
        self._texts: dict[str, dict[str, int]] = {name: {} for name in self._codes}
        self._lines: list[NDArray[np.int32]] = []
        self._rows: list[NDArray[np.int64]] = []
        self._timed: set[str] = set()

    def add(self, lines: Iterable[int], rows: Sequence[Sequence[str]]) -> None:
        """Add rows of as many cells as there are columns; ``lines`` says where they stand."""
        if not rows:
            return
        self._lines.append(np.fromiter(lines, np.int32, len(rows)))
        if len(self) <= COMPARED:
            self._rows.append(np.fromiter(map(hash, map(tuple, rows)), np.int64, len(rows)))
        for name, cells in zip(self.names, zip(*rows, strict=True), strict=True):
            if name in self._codes:
                self._add_column(name, cells)

    def _add_column(self, name: str, cells: Sequence[str]) -> None:
        import pandas as pd

        codes, found = pd.factorize(np.array(cells, dtype=object))
        known, texts = self._texts[name], [text.strip() for text in found]
        if name in self._timed:
            texts = [coarser(text, self.quarters) for text in texts]
        into = np.array([known.setdefault(text, len(known)) for text in texts], np.int32)
        self._codes[name].append(into[codes])
        if len(known) > MANY and name not in self._timed:
            self._too_many(name)

    def _too_many(self, name: str) -> None:
        """What becomes of a column of very many texts: times of day are cut, others kept only if somebody asked for them."""
        if not self.wanted(name):
            del self._codes[name], self._texts[name]
            return
        old = list(self._texts[name])
        days = [coarser(text, self.quarters) for text in old]
        if len(set(days)) < len(old) / 2:
            known = {text: code for code, text in enumerate(dict.fromkeys(days))}
            into = np.array([known[day] for day in days], np.int32)
            self._texts[name], self._codes[name] = known, [into[codes] for codes in self._codes[name]]
            self._timed.add(name)

    def frame(self) -> pd.DataFrame:
        """The table, indexed by line: a categorical column a name, and :data:`SAME`. Nothing is left here then."""
        import pandas as pd

        columns: dict[str, Any] = {}
        for name in list(self._codes):  # one by one, so that only one is there twice
            texts = pd.Index(list(self._texts.pop(name)), dtype=object)
            columns[name] = pd.Categorical.from_codes(np.concatenate(self._codes.pop(name)), categories=texts)
        if len(self) <= COMPARED:
            columns[SAME] = np.concatenate(self._rows)
        return pd.DataFrame(columns, index=np.concatenate(self._lines))

    def __len__(self) -> int:
        return sum(map(len, self._lines))
