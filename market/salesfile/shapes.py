"""Shapes of tables: columns under other names, a column a seller, the year beside the week, promotions in words.

What comes in is the file's table of texts; what goes out has Bazaar's columns, still as texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from market.salesfile.cells.dates import is_period
from market.salesfile.cells.numbers import taken_apart
from market.salesfile.cells.words import (
    CURRENCIES,
    HEADINGS,
    IN_YEAR,
    MEASURES,
    NO_WORDS,
    RANK,
    STATUS,
    UNSURE,
    YEARS,
    YES_WORDS,
    Measure,
    among,
    meant,
    measure_of,
    plain,
)
from market.salesfile.files import PROMOTION
from market.salesfile.findings import Findings, listed
from market.salesfile.options import ReadingOptions
from market.salesfile.parts import days_of, stacked
from market.salesfile.texts import MANY, SAME

RIVAL = re.compile(r"(?i)(comp|competitor|rival)[_ .]?(price[_ .]?)?\w+")
DISCOUNT = re.compile(r"(?i)discount|rabatt|percent|prozent|depth|off")


def recognised(raw: pd.DataFrame, ours: Iterable[str], columns: Mapping[str, str], found: Findings) -> dict[str, str]:
    """The file's name of each of Bazaar's columns that it has: as given, of that name, or one that people use for it.

    A promotion under a usual name is ``promo_`` and that name. Costs and promotions are taken for such only where every
    cell can be one. Of two columns that could be one nobody knows which is meant: asked where it is needed
    (:func:`asked_for`), but that a date goes before its week, a name before the number that stands for it, and one that differs before one that
    never does.
    """
    heads = [str(name) for name in raw.columns if name != SAME]
    taken, by_word = dict(columns), {plain(head): head for head in reversed(heads)}
    for name in (*ours, *(head for head in heads if head.startswith(PROMOTION))):
        if name in heads or name in by_word:
            taken.setdefault(name, name if name in heads else by_word[name])
    guessed: dict[str, str] = {}
    for name in HEADINGS:
        like = [head for head in heads if meant(head) == name and head not in taken.values()]
        if name == "promotion":
            guessed |= {PROMOTION + plain(head): head for head in like if _is_promotion(raw[head])}
        elif name not in taken and (one := _chosen(name, like, raw)) is not None:
            guessed[name] = one
    if guessed:
        found.did("taken for " + ", ".join(f"{name}: {theirs}" for name, theirs in guessed.items()))
    return taken | guessed


def alike(raw: pd.DataFrame, name: str, taken: Iterable[str]) -> list[str]:
    """The columns, of those that are not taken, that could be one of Bazaar's columns."""
    heads = [str(head) for head in raw.columns if head != SAME and head not in set(taken)]
    unsure = among(UNSURE) if name in ("units", "revenue") else frozenset()
    return [head for head in heads if meant(head) == name or plain(head) in unsure]


def _chosen(name: str, like: list[str], raw: pd.DataFrame) -> str | None:
    if name == "cost":
        like = [head for head in like if all(_is_number(text) for text in raw[head].cat.categories)]
    if name == "period":
        like = sorted(like, key=lambda head: RANK.get(plain(head), len(RANK)))[:1]
    elif name == "seller" and len(like) > 1:
        like = [head for head in like if raw[head].nunique() > 1] or like
        if _one_to_one([raw[head] for head in like]):
            like = [max(like, key=lambda head: sum(map(len, raw[head].cat.categories)))]
    return like[0] if len(like) == 1 else None


def _one_to_one(columns: list[pd.Series[Any]]) -> bool:
    """Whether the texts of columns stand for one another, as an article's name and number do."""
    pairs = pd.concat([column.cat.codes for column in columns], axis=1).drop_duplicates()
    return all(len(pairs) == column.nunique() for column in columns)


def _is_number(text: object) -> bool:
    written = taken_apart(str(text))
    return written is not None and not written.negative


def _is_promotion(column: pd.Series[Any]) -> bool:
    """Whether every cell says how much of a promotion there was: yes or no, a share, or the kind of offer beside none."""
    texts = {str(text).lower() for text in column.cat.categories}
    rest = texts - YES_WORDS - NO_WORDS
    shares = all(re.fullmatch(r"0?[.,]\d+|[01](\.0+)?", text) for text in rest)
    return bool(texts & NO_WORDS) and (shares or not any(re.search(r"\d", text) for text in texts))


def one_row_a_seller(raw: pd.DataFrame, found: Findings) -> pd.DataFrame:
    """A file with columns such as ``price_a, units_a, price_b, units_b`` with a row for each of a and b."""
    by_seller: dict[str, dict[str, str]] = {}
    for head in map(str, raw.columns):
        if (measure := measure_of(head)) is not None:
            by_seller.setdefault(measure.seller, {})[_kind(measure)] = head
    whole = {name: own for name, own in by_seller.items() if "units" in own and ("price" in own or "revenue" in own)}
    if len(whole) < 2 or any(meant(str(head)) == "seller" for head in raw.columns):
        return raw
    used = {head for own in whole.values() for head in own.values()}
    common = [name for name in raw.columns if name not in used]
    parts = []
    for seller, own in whole.items():
        part = raw[[*common, *own.values()]].rename(columns={head: kind for kind, head in own.items()})
        parts.append(part.assign(seller=pd.Categorical([seller] * len(part))))
    found.did(f"a row for each of {', '.join(whole)}, from columns of their own", len(raw))
    return stacked(parts)


def _kind(measure: Measure) -> str:
    return f"{PROMOTION}{MEASURES[-1]}" if measure.what == MEASURES[-1] else measure.what


def period_of_two(rows: pd.DataFrame, raw: pd.DataFrame, theirs: str, found: Findings) -> pd.Series[Any]:
    """The period, with the year from a column beside it where it is a week, month or quarter without one."""
    mark = next((mark for mark, words in IN_YEAR.items() if plain(theirs) in among(words)), None)
    years = year_columns(raw)
    period = rows["period"]
    texts = [str(text) for text in period.cat.categories]
    small = pd.to_numeric(pd.Series(texts), errors="coerce").between(1, 53).all()
    words = mark == "-" and all(is_period(f"{text} 2000") for text in texts) and not small
    if mark is None or len(years) != 1 or not (small or words):
        return period
    found.did(f"period is {years[0]} and {theirs} together")
    if words:
        return (period.astype(str) + " " + raw[years[0]].astype(str)).astype("category")
    year, part = raw[years[0]].astype(str), period.astype(str).str.replace(r"\.0*$", "", regex=True)
    text = (
        year.str.replace(r"\.0*$", "", regex=True)
        + ("-" if mark != "-" else "")
        + mark
        + part.str.zfill(2 - (mark == "Q"))
    )
    return text.astype("category")


def year_columns(raw: pd.DataFrame) -> list[str]:
    """Columns of years."""
    return [str(name) for name in raw.columns if plain(str(name)) in among(YEARS)]


def filled_down(raw: pd.DataFrame, heads: Iterable[str], found: Findings) -> pd.DataFrame:
    """A pivot table, which leaves a group's name out below its first row, with the name in every row.

    Of a column that begins with a text, whose cells are empty at least as often as not, and in which no text follows
    itself. What is empty elsewhere is missing.
    """
    for head in heads:
        column = raw[head]
        empty = column == ""
        told = column[~empty].astype(str)
        if empty.sum() < max(len(told), 1) or empty.iloc[0] or (told.shift() == told).any():
            continue
        raw = raw.assign(**{head: column.mask(empty).ffill().cat.remove_unused_categories()})
        found.did(f"{head}: an empty cell is what stands above it, as in a pivot table", int(empty.sum()))
    return raw


def promotion_texts(column: pd.Series[Any], found: Findings) -> pd.Series[Any]:
    """A promotion in words as 1 and 0: yes and no in several languages; the kinds of offers beside nothing are 1."""
    texts = [str(text) for text in column.cat.categories]
    words = [text for text in texts if not re.search(r"\d", text)]
    lower = {text.lower() for text in words}
    if not words or not (lower <= YES_WORDS | NO_WORDS or len(words) == len(texts)):
        return column
    into = {text: ("0" if text.lower() in NO_WORDS else "1") for text in words}
    if "0" not in into.values() and set(into) == set(texts) and not lower <= YES_WORDS:
        return column  # kinds of offers in every row, none of them nothing: nobody knows which is none
    touched = int(column.isin([text for text in words if text]).sum())
    found.did(f"{column.name}: {_listed(into, '1')} is 1, {_listed(into, '0')} is 0", touched)
    return column.map(lambda text: into.get(text, text)).astype("category")


def _listed(into: Mapping[str, str], value: str) -> str:
    return " / ".join([text or "an empty cell" for text, one in into.items() if one == value][:4]) or "nothing"


def rivals_prices(raw: pd.DataFrame) -> list[str]:
    """Columns that look like rivals' prices beside the own one: ``comp_1``, ``competitor_price_2``."""
    return [str(name) for name in raw.columns if RIVAL.fullmatch(str(name))]


def refuse_currencies(raw: pd.DataFrame, found: Findings) -> None:
    """Raise where a column says that money is of several currencies."""
    for head in map(str, raw.columns):
        if plain(head) not in among(CURRENCIES):
            continue
        some = [(str(text), int(count)) for text, count in raw[head].value_counts().items() if text and count]
        if len(some) > 1:
            listed = ", ".join(f"{text} ({count:,} rows)" for text, count in some)
            found.refuse(
                f"column {head} has several currencies: {listed}: {found.option}where {head}={some[0][0]} reads the rows of "
                "one; or convert them"
            )


def one_seller(
    raw: pd.DataFrame, taken: Mapping[str, str], name: str, options: ReadingOptions, found: Findings
) -> None:
    """What a file without a known column of sellers is: of one seller, said; asked where words tell rows of a period apart."""
    words = [head for head in map(str, raw.columns) if head not in taken.values() and _tells(head, raw[head])]
    keys = [days_of(raw[taken["period"]]), *([raw[taken["market"]].cat.codes] if "market" in taken else [])]
    again = pd.DataFrame(dict(enumerate(map(np.asarray, keys)))).duplicated().any()
    if words and again and not options.add_up:
        found.refuse(
            f"no column of sellers is known, and periods have several rows: {found.option}columns seller={words[0]}"
            f"{f' (or {listed(words[1:])})' if words[1:] else ''} names them, {found.option}columns market={words[0]} the "
            f"markets of one seller; {found.option}add-up adds them up"
        )
    may = f" ({found.option}columns seller={words[0]}, if that names them)" if words else ""
    found.did(f"no column of sellers: all rows are of one, {name}{may}")


def _tells(head: str, column: pd.Series[Any]) -> bool:
    """Whether a column has a few different words, as names are."""
    if head == SAME or plain(head) in among(STATUS) | among(CURRENCIES):
        return False
    texts = [str(text) for text in column.cat.categories if text]
    if not 1 < len(texts) <= MANY // 10 or {text.lower() for text in texts} <= YES_WORDS | NO_WORDS:
        return False
    return not any(taken_apart(text) or is_period(text) for text in texts)
