"""A sales file as a table of texts under the file's own names, indexed by line (CSV) or row (Parquet) of the file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from market.errors import UserError
from market.salesfile.findings import Findings, named

if TYPE_CHECKING:
    import pandas as pd

PARQUET = (".parquet", ".pq")
ENDINGS = (".csv", *PARQUET)  # of sales files
PROMOTION = "promo_"  # what columns of promotions begin with
WORKBOOKS = (".xlsx", ".xlsm", ".xls")
ARCHIVES = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # how the newer and the older of them begin, whatever they are called
OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


FIRST = "the first line must be the column names"


def place(path: Path) -> str:
    """What a message calls the place of a row: rows of Parquet have no lines."""
    return "row" if path.suffix.lower() in PARQUET else "line"


def read_texts(path: Path) -> pd.DataFrame:
    """Every cell as stripped text, empty where there is none. Blank lines are skipped, and lines keep their numbers.

    Raises:
        UserError: no such file, a workbook, or not one that can be read; two columns of one name; lines of too many or few fields.
    """
    if path.is_dir():
        raise UserError(f"{path}: is a folder, not a file")
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if _is_workbook(path):
        raise UserError(f"{path}: is an Excel workbook: save it as CSV UTF-8")
    return _parquet(path) if place(path) == "row" else _csv(path)


def _is_workbook(path: Path) -> bool:
    with path.open("rb") as file:
        return path.suffix.lower() in WORKBOOKS or file.read(4).startswith(ARCHIVES)


def _parquet(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        table = pd.read_parquet(path)
    except ImportError:
        raise UserError(f"{path}: Parquet needs pyarrow: pip install 'bazaar-market[calibrate]'") from None
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: is not a Parquet file that can be read ({error})") from None
    if any(name is not None for name in table.index.names):
        table = table.reset_index()
    table = table.astype("string").fillna("").astype(object)
    table.index = pd.RangeIndex(1, len(table) + 1)
    return pd.DataFrame({name: table[name].str.strip() for name in table.columns})


def _csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        lines = list(_lines(path.read_text(encoding="utf-8-sig")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{path}: is not a CSV file in UTF-8 that can be read ({error}); a spreadsheet saves one as 'CSV UTF-8'"
        ) from None
    if not lines:
        raise UserError(f"{path}: is empty")
    (_, heads), *rows = lines
    _refuse_shape(path, heads, rows)
    table = pd.DataFrame([row for _, row in rows], index=[line for line, _ in rows], columns=heads, dtype=object)
    return table[[name for name in heads if name]]


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """The number of the line on which each row begins, and its cells; a quoted cell may span lines."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    begins = 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield begins, cells
            begins = reader.line_num + 1
    except csv.Error as error:
        raise csv.Error(f"line {begins}: {error}") from None


def _refuse_shape(path: Path, heads: list[str], rows: Sequence[tuple[int, list[str]]]) -> None:
    found = Findings(str(path))
    for mark, words in OTHER_SEPARATORS.items():
        if len(heads) == 1 and mark in heads[0]:
            found.refuse(f"its columns are separated by {words}: save it with commas, and with points in numbers")
    if _is_title(heads, rows):
        found.refuse(f"line 1 is {' '.join(heads).strip()!r}: {FIRST}")
    again = sorted({name for name in heads if name and heads.count(name) > 1})
    if again:
        found.error(f"line 1: column {', '.join(again)} is there twice: rename one")
    odd = [(line, len(cells)) for line, cells in rows if len(cells) != len(heads)]
    if odd:
        why = "a comma inside a number or a name needs quotes around it"
        why += f", and {FIRST}" if len(odd) == len(rows) > 1 else ""
        lines = named("line", [line for line, _ in odd])
        found.error(f"{lines}: {odd[0][1]} cells under {len(heads)} columns; {why}")
    found.settle()


def _is_title(heads: list[str], rows: Sequence[tuple[int, list[str]]]) -> bool:
    """A single cell above rows of more: what a spreadsheet has written above its table."""
    return len([name for name in heads if name]) == 1 and any(len(list(filter(None, cells))) > 2 for _, cells in rows)
