"""Files of text: how they are packed, in which encoding, and what stands between their columns."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple
from zipfile import BadZipFile, ZipFile

from market.errors import UserError
from market.salesfile.cells.words import NOTE, TOTAL, folded
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
OLDER = ("cp850", "mac_roman")
LETTERS = frozenset("äöüÄÖÜßéèêëàâáåçîíìïôóòûúùñÑÉÇæÆøØÅ")
MARKS_IN_WORDS = {b"\x92", b"\x96", b"\x97", b"\xad", b"\xb7"}  # of Windows: apostrophe, dashes, hyphen, dot
USUAL = "cp1252"  # Western European Windows: of encodings that read a file alike the one that is meant


class Reading(NamedTuple):
    """How texts are read: which columns are kept however many texts they have, and what the user decides."""

    wanted: Callable[[str], bool]
    encoding: str | None = None
    quarters: bool = False

    def texts(self, names: Sequence[str]) -> Texts:
        """A table that is still empty."""
        return Texts(names, self.wanted, self.quarters)


def read_text_file(path: Path, inside: str | None, reading: Reading, found: Findings) -> Texts:
    """The cells of a text file, or of one ``inside`` a zip; blank lines are skipped, and lines keep their numbers.

    Raises :class:`UserError` for what cannot be decoded or is no table, with its lines.
    """
    try:
        encoding = reading.encoding or _encoding(path, inside, found)
    except (gzip.BadGzipFile, BadZipFile, EOFError) as error:
        raise UserError(f"{path}: is damaged ({error})") from None
    try:
        with _opened(path, inside) as raw, io.TextIOWrapper(raw, encoding, newline="") as text:
            return _table(path, text, reading, found)
    except UnicodeError:  # of UTF-16 without its mark, too
        raise UserError(f"{path}: is not text in {encoding}; a spreadsheet saves one as 'CSV UTF-8'") from None


def packed_files(path: Path) -> list[str]:
    """The names of files in a zip."""
    with ZipFile(path) as packed:
        names = [one for one in packed.namelist() if not one.endswith("/")]
    return sorted(one for one in names if not any(part.startswith((".", "__MACOSX")) for part in one.split("/")))


@contextmanager
def _opened(path: Path, inside: str | None) -> Iterator[BinaryIO]:
    """The file's bytes, unpacked where it is packed."""
    with path.open("rb") as file:
        if inside is not None:
            with ZipFile(file) as packed, packed.open(inside) as unpacked:
                yield unpacked  # type: ignore[misc]
        elif file.peek(4)[:4].startswith(GZIP):
            with gzip.open(file) as unpacked:
                yield unpacked  # type: ignore[misc]
        else:
            yield file


def _encoding(path: Path, inside: str | None, found: Findings) -> str:
    """UTF-8 where the whole file is such; else UTF-16 by its mark, or what the letters beyond ASCII look like."""
    with _opened(path, inside) as raw:
        begins = raw.read(SAMPLE)
        if begins.startswith(MARK_16):
            found.did("text in UTF-16")
            return "utf-16"
        if b"\x00" not in begins and _is_utf8(begins, raw):
            return "utf-8-sig"
    with _opened(path, inside) as raw:
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
    if best is None and wide or (best is not None and wide and not best.encoding.startswith("utf_16")):
        raise UserError(f"{path}: is no text that can be read; a spreadsheet saves one as 'CSV UTF-8'")
    encoding = USUAL if best is None or USUAL in best.could_be_from_charset else best.encoding
    encoding = (None if wide else _older(begins)) or encoding
    words = re.findall(r"[^\s;,|]*[^\x00-\x7f][^\s;,|]*", begins.decode(encoding, errors="replace"))
    shown = f" makes {', '.join(dict.fromkeys(words[:3]))}" if words else ""
    found.did(f"text in {encoding}, a guess that{shown or ' no letter tells'} ({found.option}encoding says another)")
    return encoding


def _older(text: bytes) -> str | None:
    """DOS or the old Mac, where bytes inside words are their letters and signs of Windows, as of ``M\\x81ller``.

    Most stand alone: pairs are letters of East Asia.
    """
    inside = set(re.findall(rb"(?<=[A-Za-z])[\x80-\xff](?=[a-z])", text)) - MARKS_IN_WORDS
    windows = [one.decode(USUAL, errors="replace") for one in inside]
    count = len(re.findall(rb"(?<=[A-Za-z])[\x80-\xff](?=[a-z])", text))
    if all(one.isalpha() and one != "Ÿ" for one in windows) or 2 * count < len(re.findall(rb"[\x80-\xff]", text)):
        return None
    return next((name for name in OLDER if all(one.decode(name) in LETTERS for one in inside)), None)


# ------------------------------------------------------------------------------------------------ cells


def _table(path: Path, text: io.TextIOWrapper, reading: Reading, found: Findings) -> Texts:
    sample = text.read(SAMPLE)
    text.seek(0)
    mark = _separator(sample)
    if mark != ",":
        found.did(f"columns between {SEPARATORS[mark]}")
    try:
        return _cells(csv.reader(text, delimiter=mark, strict=True), reading, found)
    except csv.Error as error:
        text.seek(0)
        found.refuse(f"line {_broken(text, mark)}: is no line of a table ({error})")


def _separator(sample: str) -> str:
    """What stands between columns, told from the beginning of a file."""
    first = next((line for line in sample.splitlines() if line.strip()), "")
    if not any(mark in first for mark in SEPARATORS if mark != ",") or len(first) > SAMPLE // 4:
        return ","
    from clevercsv import Sniffer
    from clevercsv.exceptions import Error

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


def _cells(reader: Iterator[list[str]], reading: Reading, found: Findings) -> Texts:
    begins, texts, rows_of_file = 1, None, 0
    odd, notes = list[tuple[int, int]](), list[str]()
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
            lines, part, texts = lines[above + 1 :], part[above + 1 :], reading.texts(heads)
        if set(map(len, part)) - {len(heads)}:
            notes += [row[0] for row in part if _is_note(row, len(heads))]
            kept = [k for k, row in enumerate(part) if not _is_note(row, len(heads))]
            lines, part = [lines[k] for k in kept], [part[k] for k in kept]
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
    if notes:
        found.did(f"lines of other widths that are notes or totals left out: {notes[0].strip()}", len(notes))
    return texts


def _is_note(row: Sequence[str], columns: int) -> bool:
    """Whether a line of another width is no line of the table: prose alone, or what begins as sources and totals do."""
    if len(row) == columns:
        return False
    first, *rest = (cell.strip() for cell in row if cell.strip())
    begins = folded(first)
    return bool(NOTE.match(begins) or TOTAL.match(begins) or (not rest and re.search(r"[^\W\d]\W*\s\W*\w", first)))


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
