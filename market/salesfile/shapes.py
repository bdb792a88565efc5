"""Shapes of tables: columns under other names, a column a seller, the year beside the week, promotions in words.

What comes in is the file's table of texts; what goes out has Bazaar's columns, still as texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from market.salesfile.files import PROMOTION
from market.salesfile.findings import Findings
from market.salesfile.texts import SAME

NAMES = {  # what people call the columns that must be there, in English and German
    "period": "date day week month quarter yearweek year_week yearmonth time timestamp datetime datum tag woche kw "
    "kalenderwoche monat quartal zeitraum bestelldatum rechnungsdatum invoicedate order_date week_end week_start "
    "week_beginning week_ending created_at sold_at order_day transaction_date sale_date",
    "seller": "brand product sku item upc ean article asin shop_item marke produkt artikel artikelnummer bezeichnung "
    "description stockcode hersteller verkäufer item_name product_name lineitem_name artikelbezeichnung warengruppe sorte",
    "units": "unit quantity qty amount_sold units_sold sold volume sales_units menge anzahl stück stueck absatz "
    "verkaufte_menge lineitem_quantity units_sold unit_sales",
    "price": "unit_price unitprice price_per_unit selling_price preis einzelpreis stückpreis stueckpreis verkaufspreis vk lineitem_price avg_price average_price avg_selling_price item_price",
    "revenue": "turnover sales_value net_sales gross_sales umsatz erlös erloes betrag gesamtpreis line_total amount revenue_net dollar_sales dollars sales_amount umsatz_netto",
}
YEAR = ("year", "jahr")
IN_YEAR = {"week": "W", "woche": "W", "kw": "W", "month": "-", "monat": "-", "quarter": "Q", "quartal": "Q"}
PER_SELLER = re.compile(r"(price|units|cost|revenue)[_ .](.+)|(.+)[_ .](price|units|cost|revenue)")
RIVAL = re.compile(r"(?i)(comp|competitor|rival)[_ .]?(price[_ .]?)?\w+")
YES = {*["1", "yes", "y", "true", "t", "on", "x", "ja", "j", "wahr", "oui", "si", "sí", "✓", "✔"]}
NO = {
    *["0", "no", "n", "false", "f", "off", "nein", "falsch", "non", "none", "null", "na", "n/a", "nan", "-", "--"],
    "",
}
DISCOUNT = re.compile(r"(?i)discount|rabatt|percent|prozent|depth|off")


def recognised(raw: pd.DataFrame, ours: Iterable[str], columns: Mapping[str, str], found: Findings) -> dict[str, str]:
    """The file's name of each of Bazaar's columns that it has: as given, of that name, or one that people use for it.

    Two columns that could be one are left alone.
    """
    heads = [str(name) for name in raw.columns if name != SAME]
    taken, by_word = dict(columns), {_word(head): head for head in reversed(heads)}
    for name in (*ours, *(head for head in heads if head.startswith(PROMOTION))):
        if name in heads or name in by_word:
            taken.setdefault(name, name if name in heads else by_word[name])
    guessed: dict[str, str] = {}
    for name, words in NAMES.items():
        if name in taken:
            continue
        known = set(words.split())
        like = [head for head in heads if _word(head) in known and head not in taken.values()]
        if len(like) == 1:
            guessed[name] = like[0]
    if guessed:
        found.did("taken for " + ", ".join(f"{name}: {theirs}" for name, theirs in guessed.items()))
    return taken | guessed


def _word(head: str) -> str:
    """A heading as :data:`NAMES` has it: ``Unit Price`` is unit_price."""
    return re.sub(r"[\s\-/.]+", "_", head.strip().lower())


def one_row_a_seller(raw: pd.DataFrame, found: Findings) -> pd.DataFrame:
    """A file with columns such as ``price_a, units_a, price_b, units_b`` with a row for each of a and b."""
    by_seller: dict[str, dict[str, str]] = {}
    for head in map(str, raw.columns):
        if match := PER_SELLER.fullmatch(head):
            kind, seller = (match.group(1), match.group(2)) if match.group(1) else (match.group(4), match.group(3))
            by_seller.setdefault(seller, {})[kind] = head
    whole = {name: own for name, own in by_seller.items() if "units" in own and ("price" in own or "revenue" in own)}
    if len(whole) < 2 or "seller" in raw.columns:
        return raw
    used = {head for own in by_seller.values() for head in own.values()}
    common = [name for name in raw.columns if name not in used]
    parts = []
    for seller, own in whole.items():
        part = raw[[*common, *own.values()]].rename(columns={head: kind for kind, head in own.items()})
        parts.append(part.assign(seller=pd.Categorical([seller] * len(part))))
    found.did(f"a row for each of {', '.join(whole)}, from columns of their own", len(raw))
    return stacked(parts)


def stacked(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Tables of texts below one another; a column that one lacks is empty there."""
    names = list(dict.fromkeys(name for part in parts for name in part.columns))
    columns = {}
    for name in names:
        own = [part[name] if name in part else pd.Series(pd.Categorical([""] * len(part))) for part in parts]
        columns[name] = (
            pd.concat([one.reset_index(drop=True) for one in own]).to_numpy()
            if name == SAME
            else pd.api.types.union_categoricals([one.array for one in own])
        )
    index = [line for part in parts for line in part.index]
    return pd.DataFrame(columns, index=index)


def period_of_two(rows: pd.DataFrame, raw: pd.DataFrame, theirs: str, found: Findings) -> pd.Series[Any]:
    """The period, with the year from a column beside it where it is a week, month or quarter without one."""
    mark = IN_YEAR.get(theirs.lower())
    years = [str(name) for name in raw.columns if str(name).lower() in YEAR]
    period = rows["period"]
    small = pd.to_numeric(pd.Series(list(period.cat.categories)), errors="coerce").between(1, 53).all()
    if mark is None or len(years) != 1 or not small:
        return period
    found.did(f"period is {years[0]} and {theirs} together")
    year, part = raw[years[0]].astype(str), period.astype(str).str.replace(r"\.0*$", "", regex=True)
    text = (
        year.str.replace(r"\.0*$", "", regex=True)
        + ("-" if mark != "-" else "")
        + mark
        + part.str.zfill(2 - (mark == "Q"))
    )
    return text.astype("category")


def promotion_texts(column: pd.Series[Any], found: Findings) -> pd.Series[Any]:
    """A promotion in words as 1 and 0: yes and no in several languages; the kinds of offers beside nothing are 1."""
    texts = [str(text) for text in column.cat.categories]
    words = [text for text in texts if not re.search(r"\d", text)]
    lower = {text.lower() for text in words}
    if not words or not (lower <= YES | NO or len(words) == len(texts)):
        return column
    into = {text: ("0" if text.lower() in NO else "1") for text in words}
    if "0" not in into.values() and set(into) == set(texts) and not lower <= YES:
        return column  # kinds of offers in every row, none of them nothing: nobody knows which is none
    touched = int(column.isin([text for text in words if text]).sum())
    found.did(f"{column.name}: {_listed(into, '1')} is 1, {_listed(into, '0')} is 0", touched)
    return column.map(lambda text: into.get(text, text)).astype("category")


def _listed(into: Mapping[str, str], value: str) -> str:
    return " / ".join([text or "an empty cell" for text, one in into.items() if one == value][:4]) or "nothing"


def rivals_prices(raw: pd.DataFrame) -> list[str]:
    """Columns that look like rivals' prices beside the own one: ``comp_1``, ``competitor_price_2``."""
    return [str(name) for name in raw.columns if RIVAL.fullmatch(str(name))]
