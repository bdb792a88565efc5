"""Several tables as one: sheets, or files, below one another; what their names stand for; lines that two of them hold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from market.salesfile.cells.clock import coarser
from market.salesfile.cells.dates import is_period
from market.salesfile.files import Part
from market.salesfile.findings import Findings, listed
from market.salesfile.options import ReadingOptions
from market.salesfile.texts import SAME

SHEET, FILE = "sheet", "file"  # columns of the tables' names
UNNAMED = re.compile(r"(?i)(sheet|tabelle|feuil|hoja|foglio|blad|arkusz|planilha|part|teil|export)[ _]?\(?\d*\)?")
MOST = 0.5  # share of periods and sellers that two tables have both, from which on they are of two places
COVERED = 0.9  # share of the lines where two tables overlap, from which on these are one export's
ALIKE = 0.01  # share of such lines that are there twice in one table as well, up to which lines say what they are
BLOCK = 5  # lines one after another that are no chance


def below_one_another(parts: Sequence[Part], source: str, found: Findings) -> pd.DataFrame:
    """One table with a column ``source`` of the tables' names, lines being called by them."""
    named = []
    for part in parts:
        index = pd.Index([f"{part.label}:{line}" for line in part.texts.index])
        names: Any = pd.Categorical([part.name] * len(part.texts))
        named.append(part.texts.set_axis(index).assign(**{source: names}))
    found.did(f"{len(parts)} {source}s below one another", sum(len(part.texts) for part in parts))
    return stacked(named)


def stacked(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables of texts below one another; a column that one lacks is empty there."""
    names = list(dict.fromkeys(name for part in parts for name in part.columns))
    columns: dict[str, Any] = {}
    for name in names:
        if name == SAME:
            if all(SAME in part for part in parts):
                columns[name] = np.concatenate([part[name].to_numpy() for part in parts])
            continue
        own = [part[name] if name in part else pd.Series(pd.Categorical([""] * len(part))) for part in parts]
        columns[name] = pd.api.types.union_categoricals([one.array for one in own])
    return pd.DataFrame(columns, index=[line for part in parts for line in part.index])


def without_overlaps(
    raw: pd.DataFrame, source: str, period: str, options: ReadingOptions, found: Findings
) -> pd.DataFrame:
    """Without lines that an earlier table has in every cell, where both hold the same periods' lines.

    Where hardly any line is there twice within a table, lines say what they are, and those of two exports that overlap
    are dropped. Asked: where lines of one table are alike, as of receipts without a number, and where a part of the
    periods' lines differs, as after corrections; then the user may count them all.
    """
    if SAME not in raw:
        return raw
    rank = raw.groupby([source, SAME], observed=True).cumcount().to_numpy()
    key = raw[SAME].to_numpy() * 1_000_003 + rank
    again = pd.Series(key).duplicated().to_numpy()
    if not again.any():
        return raw
    table, days = raw[source].cat.codes.to_numpy(), days_of(raw[period])
    drop, asked = np.zeros(len(raw), bool), np.zeros(len(raw), bool)
    for k in np.unique(table[again]):
        own, before = table == k, table < k
        share = _covered(again & own, before & np.isin(key, key[again & own]), own, before, days)
        drop |= again & own & (share >= COVERED)
        asked |= again & own & (MOST < share < COVERED)
    if (drop & (rank > 0)).sum() > ALIKE * drop.sum():
        asked, drop = asked | drop, np.zeros(len(raw), bool)
    if asked.any() and not options.add_up:
        found.refuse(
            f"{listed(raw.index[asked])}: stand in another {source} too, as if exports overlapped: {found.option}add-up "
            f"counts them all; else leave one {source} out"
        )
    if not drop.any():
        return raw
    found.did(
        f"lines that an earlier {source} has in every cell, as of exports that overlap: counted once", int(drop.sum())
    )
    return raw[~drop]


Rows = NDArray[np.bool_]


def _covered(again: Rows, first: Rows, own: Rows, before: Rows, days: NDArray[np.intp]) -> float:
    """The share that lines of two tables (``again`` in its ``own``, ``first`` in those ``before``) have of an overlap.

    An overlap is all lines of the days that both have, or, of many lines, what stands between the first and the last.
    """
    both = np.intersect1d(days[before], days[own])
    shared = np.isin(days, both)
    longest = max(np.ptp(np.flatnonzero(rows)) + 1 for rows in (again, first))
    block = again.sum() / longest if again.sum() >= BLOCK else 0.0
    return float(max(block, again.sum() / min((own & shared).sum(), (before & shared).sum())))


def days_of(column: pd.Series[Any]) -> NDArray[np.intp]:
    """A number for the day of every row."""
    codes, _ = pd.factorize(np.array([coarser(str(text), False) for text in column.cat.categories], dtype=object))
    return np.asarray(codes[column.cat.codes.to_numpy()], np.intp)


def meaning(raw: pd.DataFrame, source: str, taken: Mapping[str, str], found: Findings) -> str | None:
    """Which of period, seller and market the tables' names are, of those that no column gives; None: none of them.

    The same periods and sellers in most tables are those of different places.
    """
    if source in taken.values():
        return None
    names = [str(name) for name in raw[source].cat.categories]
    if "period" not in taken:
        return "period" if all(map(is_period, names)) else None
    if all(UNNAMED.fullmatch(name) or is_period(name) for name in names) or not _shared(raw, source, taken):
        return None
    if "seller" not in taken and "market" not in taken:
        found.refuse(
            f"{source}s {listed(names)} have the same periods and no column of sellers: {found.option}columns "
            f"seller={source} makes sellers of them, {found.option}columns market={source} markets"
        )
    return next((name for name in ("seller", "market") if name not in taken), None)


def _shared(raw: pd.DataFrame, source: str, taken: Mapping[str, str]) -> bool:
    """Whether most periods and sellers stand in several tables."""
    keys = {name: raw[taken[name]].cat.codes.to_numpy() for name in ("seller", "market") if name in taken}
    table = pd.DataFrame(keys | {"day": days_of(raw[taken["period"]]), source: raw[source].cat.codes.to_numpy()})
    several = table.drop_duplicates().groupby([*keys, "day"]).size() > 1
    return bool(several.mean() > MOST)
