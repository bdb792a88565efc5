"""Files of text: how they are packed, in which encoding, and what stands between their columns."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile, ZipFile

from market.errors import UserError
from market.salesfile.findings import Findings, named
from market.salesfile.texts import Texts

FIRST = "the first line must be the column names"
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
GZIP, ZIP, MARK_16 = b"\x1f\x8b", b"PK\x03\x04", (b"\xff\xfe", b"\xfe\xff")
SAMPLE = 65_536  # bytes, or characters, from which encoding and separator are told
PART = 100_000  # rows read at once
MOST_COLUMNS = 1_000
# What spreadsheets and tills write, beside UTF-8; DOS code pages, which fit nearly every text, are no candidates.
ENCODINGS = (
    "utf_16_le",
    "utf_16_be",
    "cp1252",
    "cp1250",
    "cp1251",
    "cp1253",
    "cp1254",
    "cp932",
    "gb18030",
    "cp949",
    "big5",
)
TIDY = 0.1  # the library's measure of mess, up to which a text may well be Western European
USUAL = "cp1252"  # Western European Windows: of encodings that read a file alike the one that is meant


def read_text_file(path: Path, wanted: Sequence[str], found: Findings) -> Texts:
    """The cells of a text file; blank lines are skipped, and lines keep their numbers.

    Raises :class:`UserError` for what cannot be decoded or is no table, with its lines.
    """
    try:
        encoding = _encoding(path, found)
    except (gzip.BadGzipFile, BadZipFile, EOFError) as error:
        raise UserError(f"{path}: is damaged ({error})") from None
    try:
        with _opened(path, found) as raw, io.TextIOWrapper(raw, encoding, newline="") as text:
            return _table(path, text, wanted, found)
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not text in {encoding}; a spreadsheet saves one as 'CSV UTF-8'") from None


@contextmanager
def _opened(path: Path, found: Findings) -> Iterator[BinaryIO]:
    """The file's bytes, unpacked where it is packed."""
    with path.open("rb") as file:
        begins = file.peek(4)[:4]
        if begins.startswith(GZIP):
            with gzip.open(file) as unpacked:
                yield unpacked  # type: ignore[misc]
        elif begins.startswith(ZIP):
            with ZipFile(file) as packed:
                inside = [one for one in packed.namelist() if not one.endswith("/") and not one.startswith("__MACOSX")]
                if len(inside) != 1:
                    found.refuse(f"holds {len(inside)} files ({', '.join(inside[:5])}): unpack it and name one")
                with packed.open(inside[0]) as unpacked:
                    yield unpacked  # type: ignore[misc]
        else:
            yield file


def _encoding(path: Path, found: Findings) -> str:
    """UTF-8 where the whole file is such; else UTF-16 by its mark, or what the letters beyond ASCII look like."""
    with _opened(path, found) as raw:
        begins = raw.read(SAMPLE)
        if begins.startswith(MARK_16):
            found.did("text in UTF-16")
            return "utf-16"
        if b"\x00" not in begins and _is_utf8(begins, raw):
            return "utf-8-sig"
    with _opened(path, found) as raw:
        return _guessed(path, b"\x00" in begins, raw, found)


def _is_utf8(begins: bytes, raw: BinaryIO) -> bool:
    import codecs

    decoder = codecs.getincrementaldecoder("utf-8")()
    part = begins
    try:
        while part:
            decoder.decode(part)
            part = raw.read(16 * SAMPLE)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _guessed(path: Path, wide: bool, raw: BinaryIO, found: Findings) -> str:
    from charset_normalizer import from_bytes

    begins = raw.read(SAMPLE)
    if not wide:  # letters that are in ASCII say nothing, and there may be few others
        begins += b"".join(islice((line for line in raw if not line.isascii()), 1_000))
    read = from_bytes(begins, cp_isolation=list(ENCODINGS))
    best = next((one for one in read if USUAL in one.could_be_from_charset and one.chaos <= TIDY), read.best())
    if best is None and not wide:  # hardly any letters to tell it by
        found.did(f"text taken for {USUAL}")
        return USUAL
    if best is None or (wide and not best.encoding.startswith("utf_16")):
        raise UserError(f"{path}: is no text that can be read; a spreadsheet saves one as 'CSV UTF-8'")
    encoding = USUAL if USUAL in best.could_be_from_charset else best.encoding
    found.did(f"text in {encoding}")
    return encoding


# ------------------------------------------------------------------------------------------------ cells


def _table(path: Path, text: io.TextIOWrapper, wanted: Sequence[str], found: Findings) -> Texts:
    sample = text.read(SAMPLE)
    text.seek(0)
    mark = _separator(sample)
    if mark != ",":
        found.did(f"columns between {SEPARATORS[mark]}")
    try:
        return _cells(csv.reader(text, delimiter=mark, strict=True), wanted, found)
    except csv.Error as error:
        text.seek(0)
        found.refuse(f"line {_broken(text, mark)}: is no line of a table ({error})")


def _separator(sample: str) -> str:
    """What stands between columns, told from the beginning of a file."""
    from clevercsv import Sniffer
    from clevercsv.exceptions import Error

    first = next((line for line in sample.splitlines() if line.strip()), "")
    if not any(mark in first for mark in SEPARATORS if mark != ",") or len(first) > SAMPLE // 4:
        return ","
    try:
        found = Sniffer().sniff(sample[: SAMPLE // 8], delimiters=list(SEPARATORS))
    except Error:
        found = None
    told = "" if found is None else found.delimiter
    return told if told in SEPARATORS else max(SEPARATORS, key=first.count)


def _broken(text: io.TextIOWrapper, mark: str) -> int:
    """The line on which the first row begins that cannot be read."""
    reader = csv.reader(text, delimiter=mark, strict=True)
    begins = 1
    try:
        for _ in reader:
            begins = reader.line_num + 1
    except csv.Error:
        pass
    return begins


def _cells(reader: Iterator[list[str]], wanted: Sequence[str], found: Findings) -> Texts:
    begins, texts, odd, rows_of_file = 1, None, list[tuple[int, int]](), 0
    heads: list[str] = []
    while part := list(islice(reader, PART)):
        lines = _lines(begins, part)
        begins = lines[-1] + 1 + _newlines(part[-1])
        if not all(
            row and row[0].strip() for row in part
        ):  # a blank line, or an empty cell, which is dear to tell apart
            full = [k for k, row in enumerate(part) if any(map(str.strip, row))]
            lines, part = [lines[k] for k in full], [part[k] for k in full]
        if texts is None and part:
            above = _titles(part, found)
            heads = _heads(lines[above], part[above], found)
            lines, part, texts = lines[above + 1 :], part[above + 1 :], Texts(heads, wanted)
        if set(map(len, part)) - {len(heads)}:
            odd += [(line, len(row)) for line, row in zip(lines, part, strict=True) if len(row) != len(heads)]
            lines, part = [], []
        rows_of_file += len(part)
        if texts is not None:
            texts.add(lines, part)
            found.has_read(len(texts))
    if texts is None:
        found.refuse("is empty")
    _refuse_odd(odd, rows_of_file + len(odd), len(heads), found)
    return texts


def _lines(begins: int, rows: Sequence[Sequence[str]]) -> Sequence[int]:
    """The lines on which rows begin, the first on ``begins``: a quoted cell may span several."""
    if not any("\n" in cell or "\r" in cell for row in rows for cell in row):
        return range(begins, begins + len(rows))
    lines = []
    for row in rows:
        lines.append(begins)
        begins += 1 + _newlines(row)
    return lines


def _newlines(row: Sequence[str]) -> int:
    joined = "".join(row)
    return len(joined.splitlines()) - 1 if "\n" in joined or "\r" in joined else 0


def _titles(rows: Sequence[Sequence[str]], found: Findings) -> int:
    """How many lines a spreadsheet has written above its table: single cells above rows of more."""
    above = next((k for k, row in enumerate(rows) if len([cell for cell in row if cell.strip()]) != 1), 0)
    if above == 0 or max(map(len, rows[:50])) < 3:
        return 0
    found.did("lines above the column names skipped", above)
    return above


def _heads(line: int, first: Sequence[str], found: Findings) -> list[str]:
    heads = [name.strip() for name in first]
    if len(heads) > MOST_COLUMNS:
        found.refuse(f"line {line}: has {len(heads):,} columns: at most {MOST_COLUMNS:,}")
    again = sorted({name for name in heads if name and heads.count(name) > 1})
    if again:
        found.refuse(f"line {line}: column {', '.join(again)} is there twice: rename one")
    return heads


def _refuse_odd(odd: list[tuple[int, int]], rows: int, columns: int, found: Findings) -> None:
    if odd:
        why = "a comma inside a number or a name needs quotes around it"
        why += f", and {FIRST}" if len(odd) == rows > 1 else ""
        lines = named("line", [line for line, _ in odd])
        found.refuse(f"{lines}: {odd[0][1]} cells under {columns} columns; {why}")
