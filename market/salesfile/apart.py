"""Rows of a table that are no sales: totals and notes under it, cells of errors, what was cancelled; each counted and said."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from market.salesfile.cells.dates import is_period
from market.salesfile.cells.numbers import taken_apart
from market.salesfile.cells.words import (
    CANCELLED,
    ERROR,
    GRAND,
    NO_WORDS,
    PARTLY,
    STATUS,
    TOTAL,
    YES_WORDS,
    among,
    folded,
    plain,
)
from market.salesfile.findings import Findings
from market.salesfile.texts import SAME

NUMBERS = ("price", "units", "revenue", "cost")


def without_what_is_no_sale(raw: pd.DataFrame, taken: Mapping[str, str], found: Findings) -> pd.DataFrame:
    """Rows of sales; ``taken`` says which columns of the file are Bazaar's."""
    for rows_of in (_heads_again, _totals, _notes, _errors, _cancelled):
        words, rows = rows_of(raw, taken)
        if rows.any() and not rows.all():
            found.did(words, int(raw.index[rows].nunique()))
            raw = raw[~rows]
    told = [head for head in map(str, raw.columns) if _says_state(head, raw[head]) and head not in taken.values()]
    return _without_errors(raw.drop(columns=told), taken)


Which = tuple[str, NDArray[np.bool_]]  # words about rows that are set apart, and which they are


def _holds(column: pd.Series[Any], test: Callable[[str], object]) -> NDArray[np.bool_]:
    """By row, whether its text passes a test; every text once."""
    found = np.array([bool(test(str(text))) for text in column.cat.categories] or [False])
    return np.asarray(found[column.cat.codes.to_numpy()])


def _empty(raw: pd.DataFrame, taken: Mapping[str, str], *names: str) -> NDArray[np.bool_]:
    """Rows that say nothing in any of these columns."""
    there = [raw[taken[name]] for name in names if name in taken]
    return np.asarray(np.logical_and.reduce([_holds(column, lambda text: not text) for column in there]))


def _heads_again(raw: pd.DataFrame, taken: Mapping[str, str]) -> Which:
    names = [taken[name] for name in ("period", "price", "units", "revenue") if name in taken]
    return "column names again left out", np.logical_and.reduce(
        [_holds(raw[name], lambda text, name=name: text == name) for name in names]  # type: ignore[misc]
    )


def _totals(raw: pd.DataFrame, taken: Mapping[str, str]) -> Which:
    """A total in place of a period; or of a seller or market where no period stands, or in words that nothing else is called.

    A seller Total may be one: :func:`market.salesfile.rows.without_totals` looks at its sums.
    """
    rows = _holds(raw[taken["period"]], lambda text: TOTAL.search(folded(text)))
    timeless = _empty(raw, taken, "period")
    shown = [taken["period"]]
    for name in ("seller", "market"):
        if name in taken:
            shown.append(taken[name])
            rows |= _holds(raw[taken[name]], lambda text: GRAND.fullmatch(folded(text)))
            rows |= timeless & _holds(raw[taken[name]], lambda text: TOTAL.search(folded(text)))
    if "seller" in taken:  # sums under the table that nothing names
        rows |= timeless & _empty(raw, taken, "seller", "market") & ~_empty(raw, taken, *NUMBERS[:3])
    return f"rows of totals left out{_shown(raw, rows, shown)}", rows


def _notes(raw: pd.DataFrame, taken: Mapping[str, str]) -> Which:
    """Rows without a number that name no period, or no seller."""
    period = taken["period"]
    rows = _empty(raw, taken, *NUMBERS[:3])
    if not rows.any():
        return "", rows
    blank = _empty(raw, taken, "seller") if "seller" in taken else np.zeros(len(raw), bool)
    some = set(raw.loc[rows, period].astype(str))
    rows &= blank | _holds(raw[period], lambda text: text in some and not is_period(text))
    return (
        f"notes and empty rows left out{_shown(raw, rows, [taken[n] for n in ('period', 'seller') if n in taken])}",
        rows,
    )


def _shown(raw: pd.DataFrame, rows: NDArray[np.bool_], columns: list[str]) -> str:
    """The first text of rows in some columns, a total before others."""
    texts = [str(text) for name in columns for text in raw.loc[rows, name].unique() if text]
    return f": {max(texts, key=lambda text: bool(TOTAL.search(folded(text))))}" if texts else ""


def _errors(raw: pd.DataFrame, taken: Mapping[str, str]) -> Which:
    """Cells in which a spreadsheet failed, but where nothing was sold and the price is one; and which they hold."""
    known = [name for name in ("period", *NUMBERS) if name in taken]
    bad = {name: _holds(raw[taken[name]], ERROR.fullmatch) for name in known}
    if "units" in bad and "price" in bad:
        bad["price"] &= ~_holds(raw[taken["units"]], _is_zero)
    rows = np.logical_or.reduce(list(bad.values()))
    columns = [taken[name] for name in known if bad[name].any()]
    held = {str(text) for name in columns for text in raw.loc[rows, name].unique() if ERROR.fullmatch(str(text))}
    words = f"rows with {', '.join(sorted(held)[:3])} in {', '.join(columns)} left out"
    return words, rows if rows.mean() <= 0.5 else np.zeros(len(raw), bool)


def _without_errors(raw: pd.DataFrame, taken: Mapping[str, str]) -> pd.DataFrame:
    """Errors that are left are empty cells: prices of nothing sold."""
    price = taken.get("price")
    if price is None or not any(ERROR.fullmatch(str(text)) for text in raw[price].cat.categories):
        return raw
    return raw.assign(
        **{price: raw[price].map(lambda text: "" if ERROR.fullmatch(str(text)) else text).astype("category")}
    )


def _is_zero(text: str) -> bool:
    written = taken_apart(text)
    return written is not None and not re.search(r"[1-9]", written.body)


def _cancelled(raw: pd.DataFrame, taken: Mapping[str, str]) -> Which:
    """Rows that a column of their state calls cancelled or refunded, or that have a day of cancellation.

    Where all of them are negative they are what came back, and are taken off as such.
    """
    rows, shown = np.zeros(len(raw), bool), []
    for head in map(str, raw.columns):
        if head in taken.values() or not _says_state(head, raw[head]):
            continue
        if plain(head) in among(STATUS):
            own = _holds(raw[head], lambda text: CANCELLED.fullmatch(folded(text)) and not PARTLY.search(folded(text)))
        else:
            own = _holds(raw[head], lambda text: text.lower() not in NO_WORDS)
        rows |= own
        shown += [head] * bool(own.any())
    amount = taken.get("units", taken.get("revenue"))
    if rows.any() and amount is not None and _holds(raw[amount], _is_negative)[rows].all():
        rows = np.zeros(len(raw), bool)
    return f"cancelled or refunded rows ({', '.join(shown)}) left out", rows


def _says_state(head: str, column: pd.Series[Any]) -> bool:
    """Whether a column is of states, or says yes, no or when of rows called cancelled: no pieces or money that came back."""
    if head == SAME or plain(head) in among(STATUS):
        return head != SAME
    if not CANCELLED.fullmatch(folded(head).replace("_", " ")):
        return False
    texts = [str(text) for text in column.cat.categories if str(text).lower() not in NO_WORDS]
    return all(text.lower() in YES_WORDS or (is_period(text) and not text.isdecimal()) for text in texts)


def _is_negative(text: str) -> bool:
    written = taken_apart(text)
    return written is not None and written.negative
