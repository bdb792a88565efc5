"""Numbers as people write them: decimal commas, thousands marks, currencies, percent signs, minus signs behind.

What a comma or a point means is told by all columns of numbers together, since a file is written in one way:
``1.234,50`` and ``2,5`` say that commas stand before decimals, ``1,234.50`` and ``2.5`` that points do. ``1,234`` alone can
be both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SPACES = re.compile(r"[\s\u00a0\u202f\u2009'’]")  # between thousands, before currencies
CURRENCY = r"(?:[$€£¥₹₽₩₺₴₫₱฿₪¢]|[A-Z]{2}\$|[A-Z]{3}|kr\.?|Kč|zł|Fr\.?|Ft|lei|Rs\.?|R\$)"
CODES = {"€": "EUR", "$": "USD", "US$": "USD", "£": "GBP", "¥": "JPY", "₹": "INR", "₽": "RUB", "zł": "PLN", "Kč": "CZK"}
CODES |= {"kr.": "kr", "Fr": "CHF", "Fr.": "CHF", "Ft": "HUF", "lei": "RON", "R$": "BRL"}
AROUND = re.compile(rf"^({CURRENCY})?(.*?)({CURRENCY}|%)?$")
PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
BODY = re.compile(r"[+-]?[\d.,]*\d[.,]?")
MARKS = ",."


class Written(NamedTuple):
    """A text taken apart: its digits and marks, whether it is a negative, the currency around it, a percent sign behind."""

    body: str
    negative: bool
    currency: str
    percent: bool


def taken_apart(text: str) -> Written | None:
    """A number as it is written, None where it is none. ``(1.234,50 €)``: 1.234,50, negative, EUR."""
    body = SPACES.sub("", text).replace("−", "-")
    negative = body.startswith("(") and body.endswith(")")
    body = body[1:-1] if negative else body
    match = AROUND.match(body)
    if match is None:
        return None
    before, inner, behind = match.groups()
    if inner.endswith("-") or inner.startswith("-"):
        negative, inner = True, inner.strip("-")
    inside = AROUND.match(inner)  # -€5 and €-5
    if inside is not None and before is None and inside.group(1):
        before, inner = inside.group(1), inside.group(2)
    sign = before or (behind if behind != "%" else None) or ""
    if not (BODY.fullmatch(inner) or PLAIN.fullmatch(inner)):
        return None
    return Written(inner, negative, CODES.get(sign, sign), behind == "%")


def decimal_of(body: str) -> str | None:
    """The mark that must stand before the decimals of a number; "?" where it can be one or a thousands mark; None: no mark.

    ``1,5`` and ``1.234,5``: a comma. ``1,234,567``: a point, if any. ``1,234``: "?".
    """
    last = max(body.rfind(mark) for mark in MARKS)
    if last < 0 or PLAIN.fullmatch(body) and ("e" in body or "E" in body):
        return None
    mark, other = body[last], MARKS[body[last] == ","]
    if other in body:
        return mark
    if body.count(mark) > 1:
        return other
    before, _, behind = body.partition(mark)
    grouped = len(behind) == 3 and 1 <= len(before.lstrip("+-")) <= 3 and not before.lstrip("+-").startswith("0")
    return "?" if grouped else mark


class Decimals(NamedTuple):
    """The decimal mark of a file. ``doubt``: a number that could be read in two ways, where nothing else tells."""

    mark: str
    doubt: str = ""
    against: str = ""


def decimals(columns: Mapping[str, Iterable[str]], counts: Iterable[str]) -> Decimals:
    """The decimal mark that the texts of all columns of numbers say; ``counts`` are those of whole numbers.

    A point with three digits behind it is a decimal point where nothing says otherwise, but for counts: nobody sells
    1.234 of a thing.
    """
    said: dict[str, str] = {}
    doubts: dict[str, dict[str, str]] = {",": {}, ".": {}}
    for name, texts in columns.items():
        for text in texts:
            written = taken_apart(text)
            mark = None if written is None else decimal_of(written.body)
            if mark == "?" and written is not None:
                doubts["," if "," in written.body else "."].setdefault(name, text)
            elif mark is not None:
                said.setdefault(mark, text)
    if len(said) == 2:
        return Decimals(".", said[","], said["."])
    if said:
        return Decimals(next(iter(said)))
    doubtful = doubts[","] or {name: text for name, text in doubts["."].items() if name in counts}
    return Decimals(".", next(iter(doubtful.values()))) if doubtful else Decimals(".")


class Read(NamedTuple):
    """A column of numbers: values, NaN where a text is none; how many rows were not written plainly; the currency of each,
    empty where none stands, None where no row has one.
    """

    values: NDArray[np.float64]
    rewritten: int
    currency: NDArray[np.object_] | None


def read_numbers_of(column: pd.Series[str], mark: str) -> Read:
    """A column of texts as numbers, each text once. Infinite numbers are none."""
    texts = column.cat.categories
    values, odd, currency = np.full(len(texts) + 1, np.nan), np.zeros(len(texts) + 1, bool), [""] * (len(texts) + 1)
    for k, text in enumerate(texts):
        written = taken_apart(text)
        if written is None:
            continue
        other = MARKS[mark == ","]
        whole = written.body.replace(other, "").replace(mark, ".") if set(MARKS) & set(written.body) else written.body
        if PLAIN.fullmatch(written.body) and ("e" in written.body or "E" in written.body):
            whole = written.body
        value = float(whole) * (-1 if written.negative else 1) / (100 if written.percent else 1)
        values[k] = value if np.isfinite(value) else np.nan
        currency[k], odd[k] = written.currency, not PLAIN.fullmatch(text) or whole != written.body
    codes = column.cat.codes.to_numpy()
    signs = np.array(currency, dtype=object)[codes] if any(currency) else None
    return Read(values[codes], int(odd[codes].sum()), signs)
