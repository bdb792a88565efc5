"""Reading sales as people have them: one row per period and seller (and market) in the end, whatever came in.

``period``, ``seller``, ``price`` and ``units`` (or revenue in place of one of the two) are needed; ``market``, any number
of ``promo_*`` in [0, 1], ``cost``, ``market_size`` and ``season`` may be there. What was done on the way stands in
``Sales.steps``. What cannot be read, or could be read in two ways, is refused here, with its lines; what can be read but
may mislead is looked for in :mod:`market.calibration.checks`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from market.salesfile.files import PROMOTION, WORKBOOKS, place, read_parts, read_query
from market.salesfile.findings import Findings, Step, listed, named
from market.salesfile.names import LONGEST, as_name
from market.salesfile.options import ReadingOptions
from market.salesfile.text_files import FIRST, Reading
from market.salesfile.texts import SAME

if TYPE_CHECKING:
    import pandas as pd

    from market.salesfile.columns import Calendar

REQUIRED = ("period", "seller", "price", "units")
OPTIONAL = ("market", "cost", "market_size", "season", "revenue")
CLOSE = 0.02  # share of revenue by which price x units may be off, and of rows in which it may be more
PROMOTED = 0.5  # from so much of a promotion on, a period counts as one
ONLY = "all"  # the market's name where the file has no such column


@dataclass(frozen=True)
class Sales:
    """A sales file in memory.

    ``rows``: columns market, period (index from 0), seller, price (money), units, promo_* in [0, 1], those of cost,
    market_size and season that the file has, and ``line`` of the file; sorted by market, period and seller.
    ``labels`` (T,) name the periods; ``unused``: columns of the file that mean nothing here. ``dates`` are theirs, where the file has dates; ``step`` is what a period is.
    ``steps``: what was made of the file on the way.
    """

    rows: pd.DataFrame
    labels: list[str]
    dates: pd.DatetimeIndex | None
    step: str
    path: Path
    sha256: str
    unused: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()

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
    path: Path | Sequence[Path],
    options: ReadingOptions | None = None,
    query: tuple[str, str] | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Sales:
    """Read sales from a file, or from several below one another.

    Args:
        path: text of any separator and encoding, packed or not; a workbook; Parquet, a file or a folder.
        options: what the user decides; None: nothing.
        tell: told how far a long reading is.
        query: in place of files the address of a database, as SQLAlchemy has it, and what to ask it.

    Raises:
        UserError: no such file, a column is missing, values that cannot be read, each with its lines, or what could be
            read in two ways, with the option that says how.
    """
    import pandas as pd

    options = options or ReadingOptions()
    with pd.option_context("mode.copy_on_write", True):  # millions of rows, whose columns change one by one
        return _read(path, options, query, tell)


def _read(
    path: Path | Sequence[Path], options: ReadingOptions, query: tuple[str, str] | None, tell: Callable[[str], None]
) -> Sales:
    paths = [path] if isinstance(path, Path) else list(path)
    found = Findings(query[0] if query else ", ".join(map(str, paths)), option=options.prefix, tell=tell)
    gathered = _gathered(paths, query, options, found)
    kind = gathered.kind
    rows, others, called, scales = _columns_of(gathered, paths[0], options, found)
    options = replace(options, dates=options.dates or called)
    unused = [str(name) for name in others.columns if name != gathered.source]
    del gathered
    found.tell(f"{len(rows):,} rows: numbers, dates and sums")
    rows = _typed(rows, scales, kind, options, found)
    table, calendar = _tidied(rows, others, kind, options, found)
    about = paths[0], _digest(paths), tuple(unused), tuple(found.steps)
    return Sales(table, calendar.labels, calendar.dates, calendar.step, *about)


def _digest(paths: Iterable[Path]) -> str:
    """The SHA-256 of files one after another, those of folders by name."""
    found = hashlib.sha256()
    files = [one for path in paths for one in (sorted(path.rglob("*")) if path.is_dir() else [path]) if one.is_file()]
    for path in files:
        with path.open("rb") as file:
            for part in iter(partial(file.read, 1 << 20), b""):
                found.update(part)
    return found.hexdigest()


class Gathered(NamedTuple):
    """The texts of all tables, what messages call the place of a row, and the column of the tables' names, if several."""

    texts: pd.DataFrame
    kind: str
    source: str | None = None


def _gathered(
    paths: Sequence[Path], query: tuple[str, str] | None, options: ReadingOptions, found: Findings
) -> Gathered:
    from market.salesfile.cells.words import is_wanted
    from market.salesfile.parts import FILE, SHEET, below_one_another
    from market.salesfile.shapes import one_row_a_seller

    asked = {*REQUIRED, *OPTIONAL, *options.columns.values(), *options.where}
    reading = Reading(partial(is_wanted, others=asked), options.encoding, options.zone is not None)
    if query is not None:
        texts = _filtered(read_query(*query, reading, found), options.where, found)
        return Gathered(one_row_a_seller(texts, found), "row")
    parts = [part for path in paths for part in read_parts(path, reading, found)]
    kind = place(paths[0])
    if len(parts) == 1:
        return Gathered(one_row_a_seller(_filtered(parts[0].texts, options.where, found), found), kind)
    source = SHEET if len(paths) == 1 and paths[0].suffix.lower() in WORKBOOKS else FILE
    if any(source in part.texts for part in parts):
        source += " read"
    wide = [part._replace(texts=one_row_a_seller(part.texts, found)) for part in parts]
    return Gathered(_filtered(below_one_another(wide, source, found), options.where, found), kind, source)


def _filtered(raw: pd.DataFrame, where: Mapping[str, str], found: Findings) -> pd.DataFrame:
    for column, value in where.items():
        if column not in raw.columns:
            found.refuse(f"{found.option}where {column}: no such column; {_heads(raw)}")
        kept = raw[raw[column] == value]
        if kept.empty:
            some = ", ".join(sorted(map(str, raw[column].unique()))[:8])
            found.refuse(f"{found.option}where {column}={value}: no row has it; there are {some}")
        raw = kept
    return _used(raw)


def _used(rows: pd.DataFrame) -> pd.DataFrame:
    """Texts of rows that are left: those of others would still be read."""
    texts = {name: own.cat.remove_unused_categories() for name, own in rows.items() if hasattr(own, "cat")}
    return rows.assign(**{str(name): own for name, own in texts.items()})


def _heads(raw: pd.DataFrame) -> str:
    return f"the file has {', '.join(str(name) for name in raw.columns if name != SAME)}"


class Columns(NamedTuple):
    """The columns that mean something, under Bazaar's names, still as texts; the others; what periods are called; by name
    what one of a column counts for, where it is not 1.
    """

    rows: pd.DataFrame
    others: pd.DataFrame
    called: Literal["week", "month"] | None
    scales: Mapping[str, float]


def _columns_of(gathered: Gathered, path: Path, options: ReadingOptions, found: Findings) -> Columns:
    import pandas as pd

    from market.salesfile.apart import without_what_is_no_sale
    from market.salesfile.cells.words import scale_of, week_or_month
    from market.salesfile.shapes import (
        filled_down,
        one_seller,
        period_of_two,
        promotion_texts,
        recognised,
        refuse_currencies,
        rivals_prices,
        year_columns,
    )

    raw = gathered.texts
    for ours, theirs in options.columns.items():
        if theirs not in raw.columns:
            found.error(f"{found.option}columns {ours}={theirs}: no such column; {_heads(raw)}")
    found.settle()
    taken = recognised(raw, (*REQUIRED, *OPTIONAL), options.columns, found)
    if gathered.source is not None:
        raw, taken = _of_several(raw, gathered.source, taken, options, found)
    _refuse_missing(taken, raw, found)
    raw = _used(without_what_is_no_sale(raw, taken, found))
    groups = [taken[name] for name in ("period", "seller", "market") if name in taken]
    raw = filled_down(raw, dict.fromkeys([*groups, *year_columns(raw)]), found)
    rows = pd.DataFrame({ours: raw[theirs] for ours, theirs in taken.items()}).assign(line=raw.index)
    if SAME in raw:
        rows = rows.assign(**{SAME: raw[SAME]})
    refuse_currencies(raw, found)
    usual_name = path.stem.split(".")[0]
    if "seller" not in taken:
        beside = raw.drop(columns=[gathered.source] if gathered.source else [])
        one_seller(beside, taken, usual_name, options, found)
    for name, usual in {"market": ONLY, "seller": usual_name}.items():
        if name not in rows:
            rows[name] = pd.Categorical([usual] * len(rows))
    if rivals := [name for name in rivals_prices(raw) if name not in taken.values()]:
        found.did(f"{', '.join(rivals)}: rivals' prices, it seems; what they sell is not on file, so they are not used")
    period = rows["period"]
    rows["period"] = period_of_two(rows, raw, taken["period"], found)
    joined = year_columns(raw) if rows["period"] is not period and not rows["period"].equals(period) else []
    for name in (name for name in rows.columns if name.startswith(PROMOTION)):
        rows[name] = promotion_texts(rows[name], found)
    used = {*taken.values(), SAME, *joined}
    scales = {ours: scale_of(taken[ours]) for ours in ("units", "revenue", "market_size") if ours in taken}
    others = raw[[name for name in raw.columns if name not in used]]
    return Columns(rows, others, week_or_month(taken["period"]), {name: by for name, by in scales.items() if by != 1})


def _of_several(
    raw: pd.DataFrame, source: str, taken: dict[str, str], options: ReadingOptions, found: Findings
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Several tables without what two of them hold, and what their names mean."""
    from market.salesfile.parts import meaning, without_overlaps

    if "period" in taken:
        raw = _used(without_overlaps(raw, source, taken["period"], options, found))
    name = meaning(raw, source, taken, found)
    if name is None:
        return raw, taken
    found.did(f"{name}: the {source}'s name ({listed(raw[source].cat.categories)})")
    return raw, taken | {name: source}


def _refuse_missing(taken: Mapping[str, str], raw: pd.DataFrame, found: Findings) -> None:
    """Raise where a column that is needed is not there; two of price, units and revenue give the third.

    Columns that could be one are named. Where several could be the seller it is asked as well.
    """
    from market.salesfile.shapes import alike

    missing = [name for name in ("period", "price", "units") if name not in taken]
    if "revenue" in taken and len({"price", "units"} & set(missing)) == 1:
        missing = [name for name in missing if name == "period"]
    unsure = ["seller"] if "seller" not in taken and len(alike(raw, "seller", taken.values())) > 1 else []
    if "revenue" not in taken and {"price", "units"} & set(missing):
        unsure.append("revenue")
    doubts = {name: like for name in (*missing, *unsure) if (like := alike(raw, name, taken.values()))}
    if len(missing) == 3:  # headings are somewhere else, or none
        doubts = {}
    may = "".join(f"; {name} may be {' or '.join(like)}" for name, like in doubts.items())
    if missing:
        first = f" ({FIRST})" if len(missing) == 3 else ""
        ours, theirs = next(((name, like[0]) for name, like in doubts.items()), (missing[0], "COLUMN"))
        found.refuse(
            f"column{'s' if len(missing) > 1 else ''} {', '.join(missing)} missing; {_heads(raw)}{may}: name yours with "
            f"{found.option}columns {ours}={theirs}{first}"
        )
    if "seller" in unsure:
        like = doubts["seller"]
        found.refuse(f"seller may be {' or '.join(like)}: {found.option}columns seller={like[0]} says which")


def _typed(
    rows: pd.DataFrame, scales: Mapping[str, float], kind: str, options: ReadingOptions, found: Findings
) -> pd.DataFrame:
    """Texts as what they mean: periods in the column ``value``, numbers, and rows outside of the chosen periods gone."""
    from market.salesfile.columns import read_numbers, read_periods, within
    from market.salesfile.rows import in_spans

    values = read_periods(rows["period"], rows["line"], kind, options, found)
    if values is not None:
        chosen = within(values, options.periods, found)
        rows = rows.drop(columns="period").assign(value=values)
        rows = rows if chosen.all() else _used(rows[chosen])
    rows = read_numbers(rows, kind, options, found)
    for name, by in scales.items():
        rows[name] = (rows[name] * by).round(6)
        found.did(f"{name}: in {by:,.0f}s, by the column's name, as single ones", len(rows))
    _texts(rows, kind, found)
    found.settle()
    return rows if options.period is None else in_spans(rows, options.period, found)


def _tidied(
    rows: pd.DataFrame, others: pd.DataFrame, kind: str, options: ReadingOptions, found: Findings
) -> tuple[pd.DataFrame, Calendar]:
    """One row a market, period and seller, sorted, and the calendar of its periods."""
    from market.salesfile import rows as steps
    from market.salesfile.columns import index_periods

    timed = any("time of day" in step.what for step in found.steps) or options.period is not None
    rows = _priced(steps.without_repeats(rows, options, found), kind, options, found)
    rows = steps.returns_netted(steps.samples_apart(rows, found), options, found)
    receipts = len(rows)
    rows = steps.added_up(rows, others, options, timed, found)
    rows = steps.prices_carried(steps.without_totals(rows, found), found)
    _refuse_free(rows, kind, found)
    index, calendar = index_periods(rows["value"], rows["line"], kind, found)
    rows = steps.fill_missing(rows, index, options, receipts > len(rows), found)
    rows = rows.assign(**{name: rows[name].astype(str) for name in ("seller", "market", "season") if name in rows})
    rows = _named(rows, found)
    order = ["market", "period", "seller"]
    names = dict.fromkeys((*order, "price", "units", *rows.columns))
    return rows[[name for name in names if name not in ("value", "revenue", SAME)]].sort_values(
        order, kind="stable"
    ).reset_index(drop=True), calendar


def _priced(rows: pd.DataFrame, kind: str, options: ReadingOptions, found: Findings) -> pd.DataFrame:
    """With price and units both: revenue gives the one that is not there, and where it says otherwise than both is asked."""
    if "revenue" not in rows:
        return rows
    if {"price", "units"} <= set(rows.columns):
        off = (rows["revenue"] - rows["price"] * rows["units"]).abs() > CLOSE * rows["revenue"].abs().clip(lower=1)
        if off.mean() <= CLOSE or ("price" in options.columns and "revenue" not in options.columns):
            return rows
        if "revenue" not in options.columns:
            found.refuse(
                f"{named(kind, rows.loc[off, 'line'])}: price x units is not the revenue: {found.option}columns revenue=COLUMN "
                f"takes prices from it (what was paid), {found.option}columns price=COLUMN leaves it out"
            )
        rows = rows.drop(columns="price")
    if "price" not in rows:
        found.did("price = revenue / units", len(rows))
        return rows.assign(price=(rows["revenue"] / rows["units"]).where(rows["units"] != 0).abs())
    units = (rows["revenue"] / rows["price"]).where(rows["price"] > 0, 0.0)
    whole = units.round()
    close = bool(((units - whole).abs() <= 0.02 * units.abs().clip(lower=1)).all())
    found.did("units = revenue / price" + (", to whole units" if close else ""), len(rows))
    return rows.assign(units=whole if close else units)


def _refuse_free(rows: pd.DataFrame, kind: str, found: Findings) -> None:
    bad = ~(rows["price"] > 0)
    if bad.any():
        found.error(f"{named(kind, rows.loc[bad, 'line'])}: price is missing, or 0, and the seller has no other price")
    if rows.empty:
        found.error("no row is left")
    found.settle()


def _texts(rows: pd.DataFrame, kind: str, found: Findings) -> None:
    for name in ("seller", "market", "season"):
        if name not in rows.columns:
            continue
        if (rows[name] == "").any():
            found.error(f"{named(kind, rows.loc[rows[name] == '', 'line'])}: {name} is missing")
        if long := [text for text in rows[name].cat.categories if len(str(text).encode()) > LONGEST]:
            where = rows.loc[rows[name] == long[0], "line"]
            found.error(f"{named(kind, where)}: {name} must be at most {LONGEST} bytes long")


def _named(rows: pd.DataFrame, found: Findings) -> pd.DataFrame:
    """Names as a configuration may have them (:func:`market.salesfile.names.as_name`)."""
    for name in ("seller", "market"):
        own = {old: as_name(old) for old in rows[name].unique()}
        same = [old for old, new in own.items() if list(own.values()).count(new) > 1]
        if same:
            found.error(f"{name}s {', '.join(same[:2])} would have one name ({own[same[0]]}): rename one")
        elif (cased := _cased(list(own.values()))) is not None:
            found.error(f"{name}s {', '.join(cased)} differ only in upper and lower case: write both the same way")
        if other := [f"{old} is {new}" for old, new in own.items() if old != new]:
            found.did(f"{name}s: {', '.join(other[:3])}{' ...' if len(other) > 3 else ''}")
        rows = rows.assign(**{name: rows[name].map(own)})
    found.settle()
    return rows


def _cased(names: list[str]) -> tuple[str, str] | None:
    """The first two names that differ only in upper and lower case."""
    seen: dict[str, str] = {}
    for name in names:
        if (before := seen.setdefault(name.casefold(), name)) != name:
            return before, name
    return None
