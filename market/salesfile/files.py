"""Where sales come from: files of text, workbooks, Parquet files and folders, and what a database answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zipfile import BadZipFile, ZipFile

from market.errors import UserError
from market.salesfile.findings import Findings, listed
from market.salesfile.text_files import PART, ZIP, Reading, packed_files, read_text_file
from market.salesfile.texts import Texts

if TYPE_CHECKING:
    import pandas as pd

PARQUET = (".parquet", ".pq")
ENDINGS = (".csv", *PARQUET)  # of sales files
PROMOTION = "promo_"  # what columns of promotions begin with
WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
READ = (".csv", ".tsv", ".txt", ".gz", ".zip", *PARQUET, *WORKBOOKS)  # what a folder's files may end with
OLD_WORKBOOK = b"\xd0\xcf\x11\xe0"
EXTRA = "pip install 'bazaar-market[calibrate]'"


class Part(NamedTuple):
    """A table of several: what messages call its rows' place, its name, and its texts, indexed by line or row."""

    label: str
    name: str
    texts: pd.DataFrame


def place(path: Path) -> str:
    """What a message calls the place of a row: rows of Parquet and of answers have no lines."""
    return "row" if path.suffix.lower() in (*PARQUET, *WORKBOOKS) or path.is_dir() else "line"


def read_parts(path: Path, reading: Reading, found: Findings) -> list[Part]:
    """Every table of a file, a workbook's sheets or a folder, each cell as stripped text, empty where there is none.

    Args:
        reading: how texts are read, and which columns are kept however many different texts they have.
        found: told how the file was read.

    Raises:
        UserError: no such file, or one that cannot be read; two columns of one name; lines of too many or few fields.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if path.is_dir() and not any(path.rglob("*.parquet")):
        inside = [one for one in sorted(path.iterdir()) if one.suffix.lower() in READ and not one.name.startswith(".")]
        if not inside:
            raise UserError(f"{path}: is a folder without files that can be read: CSV, workbooks, Parquet")
        return [part for one in inside for part in read_parts(one, reading, found)]
    if _is_workbook(path):
        parts = _workbook(path, reading, found)
    elif place(path) == "row":
        parts = {path.name: _parquet(path, reading, found)}
    else:
        parts = {name: read_text_file(path, inside, reading, found) for name, inside in _files_of(path).items()}
    if not any(map(len, parts.values())):
        found.refuse("has no rows")
    return [Part(name, stem_of(name), texts.frame()) for name, texts in parts.items() if len(texts)]


def stem_of(name: str) -> str:
    """A file's name without what it ends with: ``shop.csv.gz`` is shop; a sheet's name as it is."""
    stem = Path(name).name
    while Path(stem).suffix.lower() in READ:
        stem = Path(stem).stem
    return stem


def _files_of(path: Path) -> dict[str, str | None]:
    """The names of a zip's files with their places in it; of another file its own, which lies nowhere else."""
    with path.open("rb") as file:
        if file.read(4) != ZIP:
            return {path.name: None}
    try:
        inside = packed_files(path)
    except BadZipFile as error:
        raise UserError(f"{path}: is damaged ({error})") from None
    return {name if len(inside) > 1 else path.name: name for name in inside}


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


def _workbook(path: Path, reading: Reading, found: Findings) -> dict[str, Texts]:
    """The first sheet that has a table, and those of the same columns."""
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError:
        raise UserError(f"{path}: workbooks need python-calamine: {EXTRA}") from None
    try:
        book = CalamineWorkbook.from_path(path)
        sheets = {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}
    except (CalamineError, OSError, ValueError) as error:
        raise UserError(f"{path}: is not a workbook that can be read ({error})") from None
    shown = {name: [[_shown(cell).strip() for cell in row] for row in rows] for name, rows in sheets.items()}
    begins = {name: begin for name, rows in shown.items() if (begin := _begin(rows)) is not None}
    if not begins:
        found.refuse("is empty")
    heads = {name: shown[name][begin] for name, begin in begins.items()}
    columns = next(map(sorted, heads.values()))
    like = [name for name in begins if sorted(heads[name]) == columns]
    left = (
        f"; left out, since their columns are others: {', '.join(begins.keys() - set(like))}"
        if len(like) < len(begins)
        else ""
    )
    found.did(f"sheet{'s' if len(like) > 1 else ''} {listed(like)}{left}")
    tables = {}
    for name in like:
        texts = tables[name] = reading.texts(heads[name])
        kept = [(k + 1, row) for k, row in enumerate(shown[name]) if k > begins[name] and any(row)]
        texts.add([k for k, _ in kept], [row for _, row in kept])
    return tables


def _begin(rows: Sequence[Sequence[str]]) -> int | None:
    """The row of the column names: the first of several cells that others follow; None in a sheet that is no table."""
    several = [k for k, row in enumerate(rows) if len(list(filter(None, row))) > 1]
    return several[0] if len(several) > 1 else None


def _shown(cell: Any) -> str:
    """A cell of a workbook as text: whole numbers without decimals, dates as ISO has them."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return cell.isoformat() if hasattr(cell, "isoformat") else str(cell)


def _parquet(path: Path, reading: Reading, found: Findings) -> Texts:
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.dataset import dataset
    except ImportError:
        raise UserError(f"{path}: Parquet needs pyarrow: {EXTRA}") from None
    try:
        table = dataset(path, format="parquet", partitioning="hive")
        names = [name for name in table.schema.names if not name.startswith("__index_level")]
        texts, row = reading.texts(names), 1
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


def read_query(url: str, query: str, reading: Reading, found: Findings) -> pd.DataFrame:
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
                texts = texts or reading.texts([str(name) for name in part.columns])
                add_rows(texts, part, row)
                row += len(part)
                found.has_read(row - 1)
    except (SQLAlchemyError, ImportError) as error:
        raise UserError(f"--query: {str(error).splitlines()[0]}") from None
    if texts is None or not len(texts):
        found.refuse("has no rows")
    return texts.frame()
