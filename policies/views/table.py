"""The one table: printed on the terminal, written into a page, or as plain data for JSON and CSV.

A study says what it found as tables, ``tables(result)``; how one is fitted to a terminal, marked up and rounded is said here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from html import escape
from itertools import chain
from typing import Any, Literal

import numpy as np
from rich import box
from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from policies.common.files import jsonable
from policies.views.format import Format, amount, number, spaced

HEADINGS = 14, 10, 6  # characters of a heading's line: the most that make room for as many columns as the least
FOLDED = 16, 12  # of a name's line where important columns have no room beside it, and if they still have none
UNBROKEN = re.compile(r"(?<!±)\s+(?!±)")  # between what may stand in different lines
WORDS = re.compile(r"\S+\s*")
GAP = 3  # characters from a column to the next: padding and divider
BESIDE = "  "  # between figures of one cell
STYLES = {"judged": "bold cyan", "best": "bold", "fails": "yellow", "note": "dim", "missing": "yellow"}

Value = str | float | None


@dataclass(frozen=True)
class Cell:
    """A value, half the width of its 95 % interval where it has one, and how it is set off.

    Args:
        form: of the value, in place of its column's.
        best: whether it is the best of those that it stands beside.
        shade: a CSS colour behind it on a page.
    """

    value: Value
    half: float | None = None
    _: KW_ONLY
    form: Format | None = None
    best: bool = False
    shade: str = ""

    def text(self, form: Format) -> str:
        """As the terminal shows it in a column of this ``form``."""
        return self.value if isinstance(self.value, str) else amount(self.value, self.form or form, self.half)


Cells = Value | Cell | tuple[Cell, ...]


@dataclass(frozen=True)
class Row:
    """Cells, one a column, each a value, a :class:`Cell`, or several of these beside one another.

    Args:
        kind: what stands out: judged, best, holds or fails.
        rule: whether a line separates it from what follows, where something does.
    """

    cells: Sequence[Cells]
    kind: str = ""
    rule: bool = False


@dataclass(frozen=True)
class Column:
    """A heading, and how what stands under it is written.

    Args:
        heading: over several lines where it has line breaks.
        form: of numbers, which carry their sign and their unit: ``{:+.1%}``.
        align: right for numbers, left for words; None: left in the first column, right in the others.
        key: its name in plain data, the heading where there is none.
        kind: judged where the heading stands out, note where the column stands back.
        important: whether it stays where others have no room.
    """

    heading: str
    form: Format = "{:.4g}"
    _: KW_ONLY
    align: Literal["left", "right"] | None = None
    key: str = ""
    kind: str = ""
    important: bool = False

    @property
    def name(self) -> str:
        """Of the column in plain data."""
        return self.key or self.heading


@dataclass(frozen=True)
class Note:
    """A paragraph below a table; ``kind``: note stands back, missing warns; ``of``: the column that it explains."""

    text: str
    kind: str = ""
    indent: int = 0
    of: str = ""

    def print(self, console: Console) -> None:
        """Print it, over as many lines as it takes."""
        text = Text(self.text, STYLES.get(self.kind, ""))
        console.print(Padding(text, (0, 0, 0, self.indent)) if self.indent else text)


@dataclass(frozen=True)
class Table:
    """Rows under columns, with a title above and notes below; the first column says what a row is of.

    Args:
        narrow: what happens on a terminal that has no room for all columns: those from the right are left out, the
            important ones last, for which headings and names in the first column are broken; or all are split into
            several tables, or words are wrapped, and split where that is not enough. Of a matrix, whose rows and as many
            columns after the first are of the same things, the largest are kept, down and across, with what columns
            follow those.
        least: columns that are never left out: where even they have no room, the table is split.
        left_out: of a matrix, a note in which ``{}`` stands for how many columns were left out.
        size: of a matrix, how large the things are that its rows are of.
        beside: what stands between figures of one cell.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row | Sequence[Cells]]
    notes: Sequence[Note] = ()
    _: KW_ONLY
    narrow: Literal["drop", "split", "wrap", "largest"] = "drop"
    least: int = 1
    left_out: str = ""
    size: Sequence[float] = ()
    beside: str = BESIDE

    # -------------------------------------------------------------------------------------------- on the terminal

    def print(self, console: Console) -> None:
        """Print title, rows and notes, fitted to the console's width, and what was left out."""
        if self.title:
            console.print(Text(self.title, "table.title"))
        fitted = self.fitted(console.width)
        blocks = fitted.blocks(console.width)
        for block in blocks if self.rows else ():
            console.print(fitted._grid(block, console.width))
        hidden = [one.name for k, one in enumerate(self.columns) if not any(k in block for block in blocks)]
        if hidden and self.rows:
            Note(self._without(hidden, console), "note").print(console)
        for note in self.notes:
            if note.of not in hidden:
                note.print(console)

    def _without(self, hidden: Sequence[str], console: Console) -> str:
        """What was left out, and how to see it."""
        if self.narrow == "largest":
            return self.left_out.format(len(hidden))
        wide = f"{sum(self.widths())}"
        remedy = f"a window of {wide} columns" if console.is_terminal else f"COLUMNS={wide}"
        return f"No room in {console.width} columns for {', '.join(hidden)}: {remedy} shows the whole table."

    def fitted(self, width: int) -> Table:
        """The table with headings and names of rows over several lines, as far as that makes room that it lacks.

        Where what is never left out has no room even then, names are broken anywhere, and the table is split.
        """
        found = max([self, *map(self._lower, HEADINGS)], key=lambda table: table._shown(width))
        for most in FOLDED:
            if not (found._keeps_important(width) and found._has_room(width)):
                found = replace(found, rows=[*found._folded(most)])
        if found._has_room(width):
            return found
        rows, narrow = [*found._folded(FOLDED[-1], anywhere=True)], "split" if self.narrow == "drop" else self.narrow
        return replace(found._lower(FOLDED[-1], anywhere=True), rows=rows, narrow=narrow)

    def _shown(self, width: int) -> tuple[int, int]:
        """How many columns the first of several tables shows on a terminal so wide, more of fewer tables."""
        blocks = self.blocks(width)
        return -len(blocks), len(blocks[0])

    def _has_room(self, width: int) -> bool:
        """Whether no line is too long."""
        widths = self._least_widths()
        return all(sum(widths[k] for k in block) <= width for block in self.blocks(width))

    def _keeps_important(self, width: int) -> bool:
        """Whether no important column is left out."""
        important = {k for k, column in enumerate(self.columns) if column.important}
        return self.narrow != "drop" or important <= set(self.blocks(width)[0])

    def _lower(self, most: int, anywhere: bool = False) -> Table:
        """With headings over lines of at most so many characters, where what stands below is no wider."""
        below = replace(self, columns=[replace(one, heading="") for one in self.columns]).widths()
        lines = (
            _wrapped(one.heading, max(room - GAP, most), anywhere)
            for one, room in zip(self.columns, below, strict=True)
        )
        columns = [replace(one, heading=text, key=one.name) for one, text in zip(self.columns, lines, strict=True)]
        return replace(self, columns=columns)

    def _folded(self, most: int, anywhere: bool = False) -> Iterator[Row]:
        """The rows with their names over lines of at most so many characters."""
        for row in self._rows():
            yield replace(row, cells=[_folded(row.cells[0], most, anywhere), *row.cells[1:]])

    def blocks(self, width: int) -> list[list[int]]:
        """The columns, by number, of each table that is printed on a terminal so wide; the first stands in all of them."""
        every = list(range(len(self.columns)))
        if not every:
            return [every]
        widths = self._least_widths()
        if self.narrow == "largest":
            return [self._largest(widths, width)]
        if self.narrow == "drop":
            wanted = sorted(every, key=lambda k: (k >= self.least, not self.columns[k].important))
            fitting = int((np.cumsum([widths[k] for k in wanted]) <= width).sum())
            return [sorted(wanted[: max(fitting, self.least)])]
        found = [[0]]
        for k in every[1:] if sum(widths) > width else ():
            if len(found[-1]) > 1 and sum(widths[j] for j in [*found[-1], k]) > width:
                found.append([0])
            found[-1].append(k)
        return found if len(found[0]) > 1 else [every]

    def _largest(self, widths: Sequence[int], width: int) -> list[int]:
        """The columns of a matrix that are kept: as many of the largest as there is room for beside what is no part of it."""
        others = [0, *range(len(self.rows) + 1, len(self.columns))]
        room, kept = width - sum(widths[k] for k in others), list[int]()
        for k in sorted(range(1, len(self.rows) + 1), key=lambda k: -self.size[k - 1]):
            if kept and sum(widths[j] for j in [*kept, k]) > room:
                break
            kept.append(k)
        return sorted([*others, *kept])

    def widths(self) -> list[int]:
        """Characters that each column takes, with what separates it from the next."""
        columns = [[column.heading] for column in self.columns]
        for row in self._rows():
            for lines, text in zip(columns, self._texts(row), strict=True):
                lines.append(text.plain)
        return [max(cell_len(line) for text in lines for line in text.split("\n")) + GAP for lines in columns]

    def _least_widths(self) -> list[int]:
        """Characters that each column takes at least, where words may be wrapped if the table says so."""
        return self.widths() if self.narrow in ("drop", "split") else self._narrowest()

    def _narrowest(self) -> list[int]:
        """The widths with words wrapped in all columns but the first: no word, and no number with its ±, is broken."""
        words = [[cell_len(text) for text in one.heading.split()] for one in self.columns]
        for row in self._rows():
            for lengths, text in zip(words, self._texts(row), strict=True):
                lengths += map(cell_len, UNBROKEN.split(text.plain))
        return [self.widths()[0], *(max(lengths, default=0) + GAP for lengths in words[1:])]

    def _wrapped(self, block: Sequence[int], width: int) -> dict[int, int]:
        """Characters of each column's text where words must be wrapped: what room there is goes to the narrowest first."""
        full, taken = self.widths(), self._narrowest()
        room = width - sum(taken[k] for k in block)
        if self.narrow not in ("wrap", "largest") or room < 0 or sum(full[k] for k in block) <= width:
            return {}
        for _ in range(room):
            taken[min((k for k in block if taken[k] < full[k]), key=lambda k: taken[k])] += 1
        return {k: taken[k] - GAP for k in block}

    def _grid(self, block: Sequence[int], width: int) -> Padding:
        grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
        wide = self._wrapped(block, width)
        for k in block:
            one = self.columns[k]
            kept = self.narrow not in ("wrap", "largest") or k == 0
            head = STYLES.get(one.kind, "") if one.kind == "judged" else ""
            style = STYLES.get(one.kind, "") if one.kind == "note" else ""
            align = one.align or ("right" if k else "left")
            grid.add_column(
                Text(one.heading), justify=align, no_wrap=kept, header_style=head, style=style, width=wide.get(k)
            )
        for at, row in enumerate(self._rows(), 1):
            if self.narrow == "largest" and at not in block:
                continue
            texts = self._texts(row)
            grid.add_row(*(texts[k] for k in block), style=STYLES.get(row.kind, ""), end_section=row.rule)
        return Padding(grid, (1, 0, 1, 1), expand=False)

    def _rows(self) -> Iterator[Row]:
        return (row if isinstance(row, Row) else Row(row) for row in self.rows)

    def _texts(self, row: Row) -> list[Text]:
        return [
            Text(self.beside).join(
                Text(cell.text(column.form), STYLES["best"] if cell.best else "") for cell in _parts(cells)
            )
            for cells, column in zip(row.cells, self.columns, strict=True)
        ]

    # -------------------------------------------------------------------------------------------- in a page

    def html(self) -> str:
        """The table as HTML that scrolls where it is too wide, and its notes; numbers with proper signs."""
        heads = "".join(
            f"<th{_kind(self._text_class(k))}>{escape(one.heading).replace(chr(10), '<br>')}</th>"
            for k, one in enumerate(self.columns)
        )
        body = "".join(f"<tr{_kind(row.kind)}>{''.join(self._html_cells(row))}</tr>" for row in self._rows())
        caption = f"<caption>{escape(self.title)}</caption>" if self.title else ""
        notes = "".join(
            f"<p{_kind(note.kind)}>{escape(spaced(note.text.strip()))}</p>" for note in self.notes if note.text
        )
        table = f"<table>{caption}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
        return f'<div class="scroll">{table}</div>{notes}'

    def _html_cells(self, row: Row) -> Iterator[str]:
        for k, (cells, column) in enumerate(zip(row.cells, self.columns, strict=True)):
            parts = _parts(cells)
            shade = f' style="background:{escape(parts[0].shade)}"' if parts[0].shade else ""
            text = "&ensp;".join(_html(cell, column) for cell in parts)
            yield f"<td{_kind(self._text_class(k))}{shade}>{text}</td>"

    def _text_class(self, k: int) -> str:
        return "text" if k and self.columns[k].align == "left" else ""

    # -------------------------------------------------------------------------------------------- as plain data

    def records(self) -> list[dict[str, Any]]:
        """One dict a row by the columns' names, ``_half_width`` added where there is one; what is not there is None."""
        return [jsonable(dict(self._record(row))) for row in self._rows()]

    def _record(self, row: Row) -> Iterator[tuple[str, Any]]:
        for cells, column in zip(row.cells, self.columns, strict=True):
            for part, cell in enumerate(_parts(cells)):
                name = column.name if part == 0 else f"{column.name}_{part + 1}"
                yield name, cell.value
                if cell.half is not None:
                    yield f"{name}_half_width", cell.half


def heading(name: str) -> str:
    """A policy's name over several lines, broken before each ``+`` and ``(``.

    ``nash+base_stock(level=best)`` stands in three lines and takes 12 characters.
    """
    return name.replace("+", "\n+").replace(" (", "\n(").replace("(level", "\n(level")


def _folded(name: Cells, most: int, anywhere: bool = False) -> Cells:
    """A policy's name over lines of at most so many characters, broken before ``+`` and ``(`` if that will do."""
    if not isinstance(name, str):
        return name
    parts: Iterable[str] = re.split(r"(?=[+(])|(?<=[ \n])", name)
    for shorter in (_words, partial(chop_cells, width=most) if anywhere else _words):
        parts = chain.from_iterable(shorter(part) if cell_len(part.rstrip()) > most else [part] for part in parts)
    return _lines(parts, most)


def _words(name: str) -> list[str]:
    return re.split(r"(?=_)|(?<=,)", name)


def _wrapped(heading: str, most: int, anywhere: bool) -> str:
    """A heading over lines of at most so many characters, or as wide as its longest word."""
    words: Iterable[str] = WORDS.findall(heading)
    if anywhere:
        words = chain.from_iterable(
            chop_cells(word, most) if cell_len(word.rstrip()) > most else [word] for word in words
        )
    return _lines(words, most)


def _lines(parts: Iterable[str], most: int) -> str:
    """Parts of a text over lines of at most so many characters, where no part is longer."""
    lines = [""]
    for part in parts:
        if lines[-1] and (lines[-1].endswith("\n") or cell_len((lines[-1] + part).rstrip()) > most):
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def _parts(cells: Cells) -> tuple[Cell, ...]:
    if isinstance(cells, tuple):
        return cells
    return (cells if isinstance(cells, Cell) else Cell(cells),)


def _html(cell: Cell, column: Column) -> str:
    if isinstance(cell.value, str):
        return _breakable(cell.value)
    return escape(number(cell.value, cell.form or column.form, cell.half))


def _breakable(text: str) -> str:
    """Long names of policies may go on in a new line where there is no room: before a plus sign or a bracket."""
    text, long = escape(spaced(text)), "+" in text[1:]
    return text.replace("+", "<wbr>+").replace("(", "<wbr>(") if long else text


def _kind(name: str) -> str:
    return f' class="{name}"' if name else ""
