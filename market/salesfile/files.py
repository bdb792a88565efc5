"""Where sales come from: files of text, workbooks, Parquet files and folders, and what a database answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile, ZipFile

from market.errors import UserError
from market.salesfile.findings import Findings
from market.salesfile.text_files import PART, ZIP, read_text_file
from market.salesfile.texts import Texts

if TYPE_CHECKING:
    import pandas as pd

PARQUET = (".parquet", ".pq")
ENDINGS = (".csv", *PARQUET)  # of sales files
PROMOTION = "promo_"  # what columns of promotions begin with
WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"
EXTRA = "pip install 'bazaar-market[calibrate]'"


def place(path: Path) -> str:
    """What a message calls the place of a row: rows of Parquet and of answers have no lines."""
    return "row" if path.suffix.lower() in (*PARQUET, *WORKBOOKS) or path.is_dir() else "line"


def read_texts(path: Path, wanted: Sequence[str], found: Findings) -> pd.DataFrame:
    """Every cell as stripped text, empty where there is none, indexed by line or row of the file.

    Args:
        wanted: columns that are kept however many different texts they have.
        found: told how the file was read.

    Raises:
        UserError: no such file, or one that cannot be read; two columns of one name; lines of too many or few fields.
    """
    if path.is_dir() and not any(path.rglob("*.parquet")):
        raise UserError(f"{path}: is a folder without Parquet files, not a file")
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if _is_workbook(path):
        texts = _workbook(path, wanted, found)
    elif place(path) == "row":
        texts = _parquet(path, wanted, found)
    else:
        texts = read_text_file(path, wanted, found)
    if not len(texts):
        found.refuse("has no rows")
    return texts.frame()


def _is_workbook(path: Path) -> bool:
    if path.is_dir():
        return False
    with path.open("rb") as file:
        begins = file.read(4)
    if path.suffix.lower() in WORKBOOKS or begins == OLD_WORKBOOK:
        return True
    try:
        return begins == ZIP and "[Content_Types].xml" in ZipFile(path).namelist()
    except BadZipFile:
        return False


def _workbook(path: Path, wanted: Sequence[str], found: Findings) -> Texts:
    """The first sheet that has a table."""
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError:
        raise UserError(f"{path}: workbooks need python-calamine: {EXTRA}") from None
    try:
        book = CalamineWorkbook.from_path(path)
        sheets = {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}
    except (CalamineError, OSError, ValueError) as error:
        raise UserError(f"{path}: is not a workbook that can be read ({error})") from None
    shown = {name: [[_shown(cell) for cell in row] for row in rows] for name, rows in sheets.items()}
    begins = {name: _begin(rows) for name, rows in shown.items()}
    full = [name for name in shown if begins[name] is not None]
    if not full:
        found.refuse("is empty")
    heads = [shown[name][begins[name] or 0] for name in full]
    if heads.count(heads[0]) > 1:
        found.refuse(
            f"sheets {', '.join(full)} have the same columns: save each as a file of its own and name all of them"
        )
    found.did(f"sheet {full[0]}" + (f", of {len(full)} that have tables" if len(full) > 1 else ""))
    rows, begin = shown[full[0]], begins[full[0]] or 0
    texts = Texts([name.strip() for name in rows[begin]], wanted)
    kept = [(k + 1, row) for k, row in enumerate(rows) if k > begin and any(row)]
    texts.add([k for k, _ in kept], [row for _, row in kept])
    return texts


def _begin(rows: Sequence[Sequence[str]]) -> int | None:
    """The row of the column names: the first of several cells that others follow; None in a sheet that is no table."""
    several = [k for k, row in enumerate(rows) if len(list(filter(None, row))) > 1]
    return several[0] if len(several) > 1 else None


def _shown(cell: Any) -> str:
    """A cell of a workbook as text: whole numbers without decimals, dates as ISO has them."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return cell.isoformat() if hasattr(cell, "isoformat") else str(cell)


def _parquet(path: Path, wanted: Sequence[str], found: Findings) -> Texts:
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.dataset import dataset
    except ImportError:
        raise UserError(f"{path}: Parquet needs pyarrow: {EXTRA}") from None
    try:
        table = dataset(path, format="parquet", partitioning="hive")
        names = [name for name in table.schema.names if not name.startswith("__index_level")]
        texts, row = Texts(names, wanted), 1
        for batch in table.to_batches(columns=names, batch_size=PART):
            add_rows(texts, batch.to_pandas(ignore_metadata=True), row)
            row += len(batch)
            found.has_read(row - 1)
    except (ArrowInvalid, OSError, ValueError) as error:
        raise UserError(f"{path}: is not a Parquet file that can be read ({error})") from None
    return texts


def add_rows(texts: Texts, part: pd.DataFrame, row: int) -> None:
    """Add rows of typed columns as texts; ``row`` is the number of the first."""
    cells = part.astype("string").fillna("").astype(object)
    texts.add(range(row, row + len(part)), list(cells.itertuples(index=False, name=None)))


def read_query(url: str, query: str, wanted: Sequence[str], found: Findings) -> pd.DataFrame:
    """What a database answers; raise :class:`UserError` where it cannot be reached or does not understand."""
    import pandas as pd
    from sqlalchemy import create_engine, make_url, text
    from sqlalchemy.exc import SQLAlchemyError

    try:
        address = make_url(url)
        if address.get_backend_name() == "sqlite" and address.database and not Path(address.database).is_file():
            raise UserError(f"{address.database}: no such file")  # it would be made, and be empty
        with create_engine(url).connect().execution_options(stream_results=True) as database:
            texts, row = None, 1
            for part in pd.read_sql(text(query), database, chunksize=PART):
                texts = texts or Texts([str(name) for name in part.columns], wanted)
                add_rows(texts, part, row)
                row += len(part)
                found.has_read(row - 1)
    except (SQLAlchemyError, ImportError) as error:
        raise UserError(f"--query: {str(error).splitlines()[0]}") from None
    if texts is None or not len(texts):
        found.refuse("has no rows")
    return texts.frame()
