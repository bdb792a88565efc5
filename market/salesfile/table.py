"""Reading a sales file: one row per period and seller (and market), as CSV or Parquet.

``period`` (integer or ISO date), ``seller``, ``price`` > 0 and ``units`` are required; ``market``, any number of
``promo_*`` in [0, 1], ``cost``, ``market_size`` and ``season`` may be there. What cannot be read at all is refused
here, with its lines; what can be read but may mislead is looked for in :mod:`market.calibration.checks`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from market.salesfile.files import FIRST, PROMOTION, place, read_texts
from market.salesfile.findings import Findings, named

if TYPE_CHECKING:
    import pandas as pd

REQUIRED = ("period", "seller", "price", "units")
OPTIONAL = ("market", "cost", "market_size", "season")
PROMOTED = 0.5  # from so much of a promotion on, a period counts as one
ONLY = "all"  # the market's name where the file has no such column


@dataclass(frozen=True)
class Sales:
    """A sales file in memory.

    ``rows``: columns market, period (index from 0), seller, price (money), units, promo_* in [0, 1], those of cost,
    market_size and season that the file has, and ``line`` of the file; sorted by market, period and seller.
    ``labels`` (T,) name the periods; ``unused``: columns of the file that mean nothing here. ``dates`` are theirs, where the file has dates; ``step`` is what a period is.
    """

    rows: pd.DataFrame
    labels: list[str]
    dates: pd.DatetimeIndex | None
    step: str
    path: Path
    sha256: str
    unused: tuple[str, ...] = ()

    @property
    def sellers(self) -> list[str]:
        """Sellers in order of their names."""
        return sorted(self.rows["seller"].unique())

    @property
    def markets(self) -> list[str]:
        """Markets in the order of the file's names: numbers by value."""
        return by_number(self.rows["market"].unique())

    @property
    def promotions(self) -> list[str]:
        """The columns of promotions."""
        return [name for name in self.rows.columns if name.startswith(PROMOTION)]

    @property
    def place(self) -> str:
        """What messages call the place of a row in the file: line or row."""
        return place(self.path)

    def has(self, column: str) -> bool:
        """Whether the file gives an optional column."""
        return column in self.rows.columns


def by_number(names: Iterable[str]) -> list[str]:
    """Names in order: numbers by value, before words."""
    return sorted(names, key=lambda name: (0, float(name), name) if name.isdecimal() else (1, 0.0, name))


def no_column(name: str) -> str | None:
    """What to say of a name that no column of a sales file has; None of one that may be there."""
    if name in (*REQUIRED, *OPTIONAL) or name.startswith(PROMOTION):
        return None
    return f"{name!r} is no column of a sales file; there are {', '.join((*REQUIRED, *OPTIONAL))} and {PROMOTION}NAME"


def read_sales(
    path: Path,
    columns: Mapping[str, str] | None = None,
    where: Mapping[str, str] | None = None,
    periods: tuple[str | None, str | None] = (None, None),
    option: str = "--",
) -> Sales:
    """Read a sales file.

    Args:
        path: ``.csv`` (or any text with commas), ``.parquet`` or ``.pq``.
        columns: Bazaar's column names to those of the file.
        where: keep only rows with these values in these columns of the file.
        periods: keep only periods from the first to the second, both included; None is open.
        option: what stands before ``columns``, ``where`` and ``periods`` in messages.

    Raises:
        UserError: no such file, a column is missing, or values that cannot be read, each with its lines.
    """
    import pandas as pd

    from market.salesfile.columns import index_periods, read_numbers, read_periods, within

    raw, kind, found = read_texts(path), place(path), Findings(str(path), option=option)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    rows = _renamed(_filtered(raw, where or {}, found), columns or {}, found)
    rows["line"] = rows.index
    values = read_periods(rows["period"], rows["line"], kind, found)
    if values is not None:
        rows = rows[within(values, periods, found)].copy()
    read_numbers(rows, kind, found)
    _texts(rows, kind, found)
    found.settle()
    assert values is not None
    _plain_names(rows, found)
    rows["period"], calendar = index_periods(values[rows.index], rows["line"], kind, found)
    _duplicates(rows, calendar.labels, kind, found)
    found.settle()
    rows = rows.sort_values(["market", "period", "seller"], kind="stable").reset_index(drop=True)
    used = {*(columns or {}).values(), *(where or {}), *(set(rows.columns) - set(columns or {}))}
    unused = tuple(str(name) for name in raw.columns if name not in used)
    return Sales(pd.DataFrame(rows), calendar.labels, calendar.dates, calendar.step, path, digest, unused)


def _filtered(raw: pd.DataFrame, where: Mapping[str, str], found: Findings) -> pd.DataFrame:
    for column, value in where.items():
        if column not in raw.columns:
            found.refuse(f"{found.option}where {column}: no such column; {_columns(raw)}")
        kept = raw[raw[column] == value]
        if kept.empty:
            some = ", ".join(sorted(raw[column].unique())[:8])
            found.refuse(f"{found.option}where {column}={value}: no row has it; there are {some}")
        raw = kept
    if raw.empty:
        found.refuse("has no rows")
    return raw


def _columns(raw: pd.DataFrame) -> str:
    return f"the file has {', '.join(map(str, raw.columns))}"


def _renamed(raw: pd.DataFrame, columns: Mapping[str, str], found: Findings) -> pd.DataFrame:
    """The columns that mean something, under Bazaar's names."""
    import pandas as pd

    taken = dict(columns)
    for name in (*REQUIRED, *OPTIONAL, *(str(c) for c in raw.columns if str(c).startswith(PROMOTION))):
        if name in raw.columns:
            taken.setdefault(name, name)
    for ours, theirs in columns.items():
        if theirs not in raw.columns:
            found.error(f"{found.option}columns {ours}={theirs}: no such column; {_columns(raw)}")
    missing = [name for name in REQUIRED if name not in taken]
    if missing:
        first = f" ({FIRST})" if len(missing) == len(REQUIRED) else ""
        found.error(
            f"column{'s' if len(missing) > 1 else ''} {', '.join(missing)} missing; {_columns(raw)}: name yours with {found.option}columns {missing[0]}=COLUMN{first}"
        )
    found.settle()
    rows = pd.DataFrame({ours: raw[theirs] for ours, theirs in taken.items()})
    if "market" not in rows.columns:
        rows["market"] = ONLY
    return rows


def _texts(rows: pd.DataFrame, kind: str, found: Findings) -> None:
    for name in ("seller", "market", "season"):
        if name in rows.columns and (rows[name] == "").any():
            found.error(f"{named(kind, rows.loc[rows[name] == '', 'line'])}: {name} is missing")


def _plain_names(rows: pd.DataFrame, found: Findings) -> None:
    """Names as a configuration may have them: ``COLD CEREAL`` becomes ``COLD_CEREAL``."""
    for name in ("seller", "market"):
        plain = {old: re.sub(r"[^A-Za-z0-9_.\-]+", "_", old) for old in rows[name].unique()}
        same = [old for old, new in plain.items() if list(plain.values()).count(new) > 1]
        if same:
            found.error(f"{name}s {', '.join(same[:2])} would have one name ({plain[same[0]]}): rename one")
        elif (cased := _cased(list(plain))) is not None:
            found.error(f"{name}s {', '.join(cased)} differ only in upper and lower case: write both the same way")
        rows[name] = rows[name].map(plain)
    found.settle()


def _cased(names: list[str]) -> tuple[str, str] | None:
    """The first two names that differ only in upper and lower case."""
    seen: dict[str, str] = {}
    for name in names:
        if (before := seen.setdefault(name.casefold(), name)) != name:
            return before, name
    return None


def _duplicates(rows: pd.DataFrame, labels: list[str], kind: str, found: Findings) -> None:
    again = rows.duplicated(["market", "period", "seller"], keep=False)
    if again.any():
        first = rows[again].iloc[0]
        place = "" if first["market"] == ONLY else f" in market {first['market']}"
        found.error(
            f"{named(kind, rows.loc[again, 'line'])}: duplicates: a period has one row for a seller and market (seller "
            f"{first['seller']} has several in period {labels[int(first['period'])]}{place}); "
            f"where the file has several products or places, {found.option}where COLUMN=VALUE picks one and "
            f"{found.option}columns market=COLUMN names them"
        )
