"""What people call things, in the languages that exports are written in: headings of columns, and words in cells.

Words are compared without accents, capitals, units in brackets and signs between them (:func:`plain`): ``Menge [Stk]`` is
menge, ``Unit Price`` unit_price, ``Qté`` qte. English, German, French, Spanish, Italian, Dutch, Polish and Portuguese.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple

# In the order of preference: where a file has both a date and its week, the date is the period.
HEADINGS = {
    "period": """
        date day datum tag dag data dzien dia giorno jour fecha time timestamp datetime zeitpunkt date_time datum_uhrzeit
        order_date invoice_date sale_date sales_date transaction_date invoicedate order_day created_at sold_at paid_at
        bestelldatum rechnungsdatum verkaufsdatum belegdatum buchungsdatum verkaufstag bondatum date_de_vente date_vente
        date_commande date_de_commande date_facture fecha_venta fecha_de_venta fecha_pedido fecha_factura data_vendita
        data_ordine data_sprzedazy data_zamowienia data_da_venda verkoopdatum orderdatum besteldatum
        week_ending week_end week_start week_beginning week_commencing w_e w_c wc week_date
        week woche kw kalenderwoche semaine sem semana settimana tydzien wk week_no calendar_week isoweek iso_week yearweek
        year_week jahr_woche jahrwoche no_semaine numero_semaine
        month monat mois mes mese maand miesiac yearmonth year_month
        quarter quartal trimestre trimestre_fiscal kwartaal kwartal
        zeitraum period_name periode period_ending period_end periodo okres""",
    "seller": """
        brand product sku item upc ean gtin article asin shop_item item_name product_name lineitem_name description stockcode
        marke produkt artikel artikelnummer artikelbezeichnung produktname bezeichnung hersteller verkaufer verkaeufer
        warengruppe sorte marque produit libelle designation reference fabricant vendeur marca producto articulo
        descripcion referencia fabricante vendedor prodotto articolo descrizione produttore venditore merk product_naam
        omschrijving artikelnaam fabrikant verkoper marka produkt_nazwa nazwa nazwa_produktu towar producent sprzedawca
        produto manufacturer vendor supplier""",
    "units": """
        unit quantity qty qty_sold quantity_sold amount_sold units_sold sold volume sales_units unit_sales sales_volume
        lineitem_quantity pieces pcs menge anzahl stuck stueck absatz absatzmenge verkaufte_menge verkauft verkaufsmenge
        absatz_stuck stuckzahl quantite qte quantite_vendue unites unites_vendues nombre cantidad cant unidades uds
        unidades_vendidas quantita qta pezzi unita unita_vendute quantita_venduta aantal stuks hoeveelheid afzet
        verkochte_stuks ilosc ilosc_sztuk sztuki szt liczba quantidade""",
    "price": """
        unit_price unitprice price_per_unit selling_price sale_price retail_price lineitem_price avg_price average_price
        avg_selling_price item_price price_each preis einzelpreis stuckpreis stueckpreis verkaufspreis vk vk_preis
        durchschnittspreis ladenpreis prix prix_unitaire prix_de_vente prix_vente prix_moyen pu precio precio_unitario
        precio_de_venta precio_venta precio_medio pvp prezzo prezzo_unitario prezzo_di_vendita prezzo_medio prijs stukprijs
        verkoopprijs eenheidsprijs cena cena_jednostkowa cena_sprzedazy preco preco_unitario""",
    "revenue": """
        turnover sales_value sales_amount net_sales gross_sales line_total amount revenue_net dollar_sales dollars
        value_sales umsatz umsatzerlose erlos erloes betrag gesamtpreis zeilensumme ca chiffre_d_affaires chiffre_affaires
        montant recette facturacion importe ingresos ingreso fatturato ricavo ricavi importo incasso omzet bedrag przychod
        obrot wartosc wartosc_sprzedazy kwota faturamento receita""",
    "market": """
        store shop outlet branch store_id shop_id store_name shop_name location filiale laden markt geschaft standort
        verkaufsstelle magasin boutique point_de_vente marche tienda punto_de_venta mercado sucursal negozio punto_vendita
        mercato filiaal winkel vestiging sklep rynek loja""",
    "cost": """
        unit_cost cost_price purchase_price cost_per_unit einkaufspreis ek ek_preis einstandspreis stuckkosten cout
        cout_unitaire prix_d_achat prix_de_revient coste coste_unitario precio_de_compra costo costo_unitario
        prezzo_di_acquisto kostprijs inkoopprijs koszt koszt_jednostkowy cena_zakupu custo""",
    "promotion": """
        promo promotion promoted promotions on_promo on_promotion is_promo aktion angebot promocja promocion oferta offre
        en_promotion en_promo promozione in_promozione offerta aanbieding actie promocao""",
}
YEARS = "year jahr annee ano anno jaar rok"
IN_YEAR = {  # what stands between a year and its part
    "W": "week woche kw sem kalenderwoche semaine semana settimana tydzien wk week_no calendar_week isoweek iso_week",
    "-": "month monat mois mes mese maand miesiac",
    "Q": "quarter quartal trimestre kwartaal kwartal",
}
UNSURE = "sales ventes ventas vendite verkaufe verkaeufe verkoop verkopen sprzedaz vendas"  # pieces, or money
STATUS = """
    status order_status orderstatus financial_status payment_status bestellstatus auftragsstatus zustand statut etat
    estado estado_del_pedido stato stato_ordine orderstatus stan stan_zamowienia status_zamowienia line_status"""
CURRENCIES = "currency wahrung waehrung devise monnaie moneda divisa valuta waluta moeda currency_code"
# Words beside what a heading says: taxes, currencies.
BESIDE = """
    eur euro euros usd dollar gbp chf pln sek nok dkk czk huf jpy brl in inkl exkl incl excl including excluding vat mwst
    ust brutto netto gross net ttc ht iva tva btw con sin tax of the"""
MONTHS = (
    "jan janv ene gen sty",
    "feb fev lut",
    "mar mrz mae mrt maa",
    "apr avr abr kwi",
    "may mai mag mei maj",
    "jun juin giu cze",
    "jul juil lug lip",
    "aug ago aou sie",
    "sep sept set wrz",
    "oct okt ott out paz",
    "nov lis",
    "dec dez dic gru",
)
TOTAL = re.compile(
    r"\b((grand|sub) ?totals?|totals?|totale|totaux|totaal|eindtotaal|sum|summe|suma|somme|somma|zwischensumme"
    r"|(gesamt|teil)(ergebnis|summe|total)?|ergebnis|insgesamt|overall|all|razem|ogolem|lacznie)\b"
)
GRAND = re.compile(
    r"grand total|total (general|geral)|totale? (generale?|complessivo)|gesamt(ergebnis|summe|total)|eindtotaal"
    r"|suma (koncowa|calkowita)"
)
NOTE = re.compile(
    r"\W*(source|quelle|fuente|fonte|bron|zrodlo|notes?|notiz|hinweis|anmerkung|nota|opmerking|uwaga|bemerkung"
    r"|exported|exportiert|created|erstellt|generated|stand|as of|report|copyright|©|\*)\b"
)
CANCELLED = re.compile(
    r".*\b(cancel\w*|storn\w+|annul\w+|geannuleerd|anulowan\w+|refunded|erstattet|rembours\w+|reembols\w+|rimborsat\w+"
    r"|terugbetaald|zwrocon\w+|void(ed)?|failed|declined|rejected|abgelehnt|returned|retourniert|retourn\w+|devuelto)\b.*"
)
PARTLY = re.compile(r"\b(part\w*|teil\w*)\b")  # refunded in part: the sale stands
SCALES = {
    1e6: r"[(\[][^)\]]*\b(000[ ,.]?000|millions?|millionen|mio|mln|millones|milioni)\b|\bin (millions|mio|mln)\b",
    1e3: r"[(\[][^)\]]*\b(000'?s?|thousands?|tsd|tausend|milliers|miles|migliaia|k)\b|'000s?\b|\bin (000s?|thousands?|tausend|tsd)\b",
}
WEEK_WORD = r"(?:w|kw|cw|wk|week|woche|s|sem|semaine|semana|sett|settimana|tydz|tydzien)\.?"
QUARTER_WORD = "[qtk]"
ERROR = re.compile(r"#[^\W\d_]\S*|#+")  # #DIV/0!, #N/A, #BEZUG!, and ### of a column that is too narrow
YES = "1 yes y true t on x ja j wahr oui vrai si sí verdadero vero tak prawda sim ✓ ✔"
NO = "0 no n false f off nein falsch non faux falso nie falsz nee onwaar nao none null na n/a nan - --"


@lru_cache(maxsize=4096)
def folded(text: str) -> str:
    """A text without capitals and accents. ``Müller`` is muller, ``Łódź`` lodz, ``Straße`` strasse."""
    apart = unicodedata.normalize("NFKD", text.casefold()).replace("ł", "l").replace("ø", "o")
    return "".join(one for one in apart if not unicodedata.combining(one)).strip()


def plain(head: str) -> str:
    """A heading as the tables here have it; what stands in brackets are units."""
    return _joined(re.sub(r"\(.*?\)|\[.*?\]", " ", head)) or _joined(head)


def scale_of(head: str) -> float:
    """What one of a column counts for, by its heading: ``Units (000)`` and ``Umsatz [Tsd. €]`` 1,000, ``Units`` 1."""
    text = folded(head)
    return next((scale for scale, words in SCALES.items() if re.search(words, text)), 1.0)


def _joined(text: str) -> str:
    return "_".join(re.findall(r"\w+?(?=_|\b)", folded(text).replace("_", " ")))


def among(words: str) -> frozenset[str]:
    """The words of a table."""
    return frozenset(words.split())


KNOWN = {word: ours for ours, words in HEADINGS.items() for word in words.split()}
RANK = {word: k for words in HEADINGS.values() for k, word in enumerate(words.split())}
YES_WORDS, NO_WORDS = among(YES), among(NO) | {""}
OURS = ("period", "seller", "units", "price", "revenue", "market", "cost")
KNOWN |= {name: name for name in OURS}


def meant(head: str) -> str | None:
    """Which of Bazaar's columns a heading is, ``promotion`` for one of those; None where nobody knows."""
    parts, beside = plain(head).split("_"), among(BESIDE)
    while parts[1:] and "_".join(parts) not in KNOWN and parts[-1] in beside:
        parts.pop()
    bare = "_".join(part for part in parts if part not in beside)
    return next((KNOWN[word] for word in ("_".join(parts), bare, bare.removesuffix("s")) if word in KNOWN), None)


def week_or_month(head: str) -> Literal["week", "month"] | None:
    """What a column of periods is called, if one of the two."""
    word = plain(head)
    return "week" if word in among(IN_YEAR["W"]) else "month" if word in among(IN_YEAR["-"]) else None


class Measure(NamedTuple):
    """A heading of a wide file: what is measured, and of whom."""

    what: str
    seller: str


MEASURES = ("price", "units", "cost", "revenue", "promotion")


def measure_of(head: str) -> Measure | None:
    """``Alpha Units`` is the units of Alpha, ``prix-unitaire.beta`` the price of beta; None where it is no such heading."""
    bare = re.sub(r"\(.*?\)|\[.*?\]", " ", head).strip()
    parts = list(re.finditer(r"[^\s_.\-]+", bare))
    if len(parts) < 2 or meant(head) is not None:
        return None
    for count in range(len(parts) - 1, 0, -1):
        first, last = bare[: parts[count - 1].end()], bare[parts[-count].start() :]
        if (what := meant(first)) in MEASURES:
            return Measure(str(what), bare[parts[count].start() :])
        if (what := meant(last)) in MEASURES:
            return Measure(str(what), bare[: parts[-count - 1].end()])
    return None


def is_wanted(head: str, others: Iterable[str] = ()) -> bool:
    """Whether a column may be needed, however many different texts it has."""
    return (
        head in set(others) or meant(head) is not None or measure_of(head) is not None or plain(head) in among(STATUS)
    )
