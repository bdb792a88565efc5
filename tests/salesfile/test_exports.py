"""What seventy-five exports of a newcomer held, read to what it means: every expectation is worked out by hand."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from market.errors import UserError
from market.salesfile.cells.words import meant, measure_of
from market.salesfile.options import ReadingOptions
from market.salesfile.table import Sales, read_sales
from policies import tidy_sales
from policies.sales.reading import periods_option
from tests.salesfile.test_tidying import book, plain, read, refused, said

HEAD = "date,brand,price,units\n"
DAYS = ("2023-01-02", "2023-01-03", "2023-01-04")


def steps(sales: Sales) -> str:
    return "\n".join(step.what for step in sales.steps)


def day(number: int, brand: str = "a", price: str = "2", units: int = 9) -> str:
    return f"2023-01-{number:02},{brand},{price},{units}\n"


SOUND = "".join(day(d, brand, units=d) for d in (2, 3, 4) for brand in "ab")


# ------------------------------------------------------------------------------------------------ what is no sale


@pytest.mark.parametrize(
    ("below", "words", "rows"),
    [
        ("Gesamtergebnis,,,18\n", "rows of totals left out: Gesamtergebnis", 1),
        ("Total général,,,18\n,Summe,,18\n", "rows of totals left out: Total général", 2),
        ("2023-01-04 Ergebnis,,,8\n", "rows of totals left out: 2023-01-04 Ergebnis", 1),
        (",,,18\n", "rows of totals left out", 1),
        ("2023-01-04,Grand Total,2,18\n", "rows of totals left out: Grand Total", 1),
        ("Source: Nielsen,,,\n* without returns,,,\n", "notes and empty rows left out: Source: Nielsen", 2),
        ("2023-01-05,,,\n", "notes and empty rows left out: 2023-01-05", 1),
        (
            "Quelle: Kasse 3, Stand 2023\n",
            "lines of other widths that are notes or totals left out: Quelle: Kasse 3",
            1,
        ),
        ("Razem,18\nbez zwrotów\n", "lines of other widths that are notes or totals left out: Razem", 2),
        ("2023-01-05,a,#DIV/0!,3\n2023-01-06,a,2,#NV\n", "rows with #DIV/0!, #NV in price, units left out", 2),
        (HEAD, "column names again left out", 1),
    ],
)
def test_what_stands_under_a_table_is_set_apart(tmp_path: Path, below: str, words: str, rows: int) -> None:
    sales = read(tmp_path, HEAD + SOUND + below)
    assert plain(sales) == plain(read(tmp_path, HEAD + SOUND)) and said(sales, words) == rows


def test_a_line_that_is_cut_off_and_a_brand_called_total_are_no_footers(tmp_path: Path) -> None:
    assert "line 8: 2 cells under 4 columns" in refused(tmp_path, HEAD + SOUND + "2023-01-05,a\n")
    assert "line 8: 1 cells under 4 columns" in refused(tmp_path, HEAD + SOUND + "2023-01-05\n")
    sales = read(tmp_path, HEAD + SOUND + "2023-01-04,Total,2,1\n")
    assert sales.sellers == ["Total", "a", "b"]


def test_an_error_in_a_price_of_nothing_sold_is_an_empty_cell(tmp_path: Path) -> None:
    sales = read(tmp_path, HEAD + day(2) + day(3, price="#DIV/0!", units=0) + day(4, price="#DIV/0!"))
    assert plain(sales) == [(DAYS[0], "a", 2, 9), (DAYS[1], "a", 2, 0)]
    assert said(sales, "rows with #DIV/0! in price left out") == 1


@pytest.mark.parametrize(
    ("head", "kept", "gone"),
    [
        ("Status", "completed", "Cancelled"),
        ("Bestellstatus", "bezahlt", "storniert"),
        ("État", "livrée", "Annulée"),
        ("Financial Status", "partially_refunded", "refunded"),
        ("Cancelled at", "", "2023-01-05 10:00:00 +0100"),
        ("Storniert", "nein", "ja"),
    ],
)
def test_cancelled_rows_are_set_apart(tmp_path: Path, head: str, kept: str, gone: str) -> None:
    """9 sold on the 2nd and 4 more, cancelled."""
    rows = ("2023-01-02,a,2,9," + kept, "2023-01-02,a,2,4," + gone, "2023-01-03,a,2,8," + kept)
    sales = read(tmp_path, f"date,brand,price,units,{head}\n" + "\n".join(rows) + "\n")
    assert plain(sales) == [(DAYS[0], "a", 2, 9), (DAYS[1], "a", 2, 8)] and sales.unused == ()
    assert said(sales, f"cancelled or refunded rows ({head}) left out") == 1


def test_refunds_that_are_negative_rows_are_returns(tmp_path: Path) -> None:
    text = "date,brand,price,units,status\n2023-01-02,a,2,9,paid\n2023-01-02,a,2,-4,refunded\n2023-01-03,a,2,8,paid\n"
    assert plain(read(tmp_path, text)) == [(DAYS[0], "a", 2, 5), (DAYS[1], "a", 2, 8)]


# ------------------------------------------------------------------------------------------------ headings


@pytest.mark.parametrize(
    ("ours", "heads"),
    [
        (
            "period",
            "SEMAINE|Fecha|Settimana|Datum|Tydzień|Data sprzedaży|Date de vente|Kalenderwoche|Week Ending|w/e|Periods|Sem.",
        ),
        ("seller", "Marque|Producto|Articolo|Merk|Produkt|MARKA|Hersteller|Libellé|Artikel"),
        ("price", "Prix (EUR)|PRECIO UNITARIO|Prezzo|Prijs|Cena|Verkaufspreis brutto|Prix de vente TTC|Preis in €"),
        ("units", "Menge [Stk]|Qté|Cantidad|Quantità|Aantal|Ilość|Verkaufte Menge|Quantity (pcs)|Unités"),
        ("revenue", "Umsatz (netto)|Chiffre d'affaires|Importe|Fatturato|Omzet|Przychód|Net Sales USD"),
        ("market", "Filiale|Magasin|Tienda|Negozio|Winkel|Sklep|Store ID"),
        ("cost", "Einkaufspreis|Coût unitaire|Coste|Costo unitario|Inkoopprijs|Koszt"),
        ("promotion", "Aktion|En promotion|Promoción|Promozione|Aanbieding|Promocja"),
    ],
)
def test_headings_of_other_languages_are_known(ours: str, heads: str) -> None:
    assert {head: meant(head) for head in heads.split("|")} == dict.fromkeys(heads.split("|"), ours)


@pytest.mark.parametrize("head", ["Wetter", "Remarks", "sales", "1", "%", "Prixx", "Costs of goods", "year"])
def test_other_headings_are_not(head: str) -> None:
    assert meant(head) is None


def test_a_french_export_is_read_whole(tmp_path: Path) -> None:
    lines = ["SEMAINE;Marque;Prix (EUR);Qté;Coût unitaire;Magasin;En promotion"]
    lines += [
        f"S{week} 2023;Évian;2,5;{week};1,2;{shop};{'oui' if week == 1 else 'non'}" for week in (1, 2) for shop in "xy"
    ]
    sales = read(tmp_path, "\n".join(lines))
    assert sales.markets == ["x", "y"] and sales.labels == ["2023-01-02", "2023-01-09"] and sales.unused == ()
    assert plain(sales)[0] == ("2023-01-02", "Évian", 2.5, 1) and set(sales.rows["cost"]) == {1.2}
    assert sales.rows["promo_en_promotion"].tolist() == [1, 0, 1, 0]


def test_of_two_columns_that_could_be_one_the_finer_counts_or_it_is_asked(tmp_path: Path) -> None:
    text = "week,date,sku,product name,price,units\n1,2023-01-02,17,Green tea,2,9\n1,2023-01-03,17,Green tea,2,8\n"
    assert plain(read(tmp_path, text))[1] == (DAYS[1], "Green tea", 2, 8)
    text = "date,brand,product,price,units\n2023-01-02,A,x,2,9\n2023-01-02,A,y,2,9\n2023-01-03,B,z,2,9\n"
    assert "seller may be brand or product: --columns seller=brand says which" in refused(tmp_path, text)
    assert read(tmp_path, text, columns={"seller": "product"}).sellers == ["x", "y", "z"]
    message = refused(tmp_path, "date,brand,Prix HT,Prix TTC,units\n2023-01-02,A,2,3,9\n")
    assert (
        "price missing" in message
        and "; price may be Prix HT or Prix TTC: name yours with --columns price=Prix HT" in message
    )
    assert "; units may be Ventes; revenue may be Ventes: name" in refused(
        tmp_path, "date,brand,price,Ventes\n1,A,2,3\n"
    )


def test_a_vendor_that_is_always_the_same_is_no_seller(tmp_path: Path) -> None:
    text = "Created at,Lineitem name,Vendor,Lineitem price,Lineitem quantity\n2023-01-02,tea,me,2,9\n2023-01-02,cake,me,3,4\n"
    assert read(tmp_path, text).sellers == ["cake", "tea"]


def test_the_kind_of_an_offer_is_a_promotion_and_a_month_may_be_a_word(tmp_path: Path) -> None:
    text = "Year,Month,Brand,Price,Units,Promotion\n2023,January,a,2,9,BOGO\n2023,February,a,2,8,\n"
    sales = read(tmp_path, text)
    assert sales.labels == ["2023-01-01", "2023-02-01"] and sales.rows["promo_promotion"].tolist() == [1, 0]


@pytest.mark.parametrize("time", ["", " 10:00"])
def test_words_that_may_name_sellers_are_asked_about(tmp_path: Path, time: str) -> None:
    rows = [f"2023-01-02{time},ann,2,9", f"2023-01-02{time},bob,3,8", f"2023-01-03{time},ann,2,7"]
    text = "date,Firma,price,units\n" + "\n".join(rows)
    said = "no column of sellers is known, and periods have several rows: --columns seller=Firma"
    assert said in refused(tmp_path, text)
    assert read(tmp_path, text, columns={"seller": "Firma"}).sellers == ["ann", "bob"]
    assert plain(read(tmp_path, text, add_up=True))[0][3] == 17


def test_that_a_file_is_of_one_seller_is_said(tmp_path: Path) -> None:
    sales = read(tmp_path, "date,weather,price,units\n2023-01-02,sun,2,9\n2023-01-03,rain,2,8\n", "tea.csv")
    assert sales.sellers == ["tea"]
    assert said(sales, "all rows are of one, tea (--columns seller=weather, if that names them)") is None


# ------------------------------------------------------------------------------------------------ periods


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["w/e 07 Jan 2023", "w/e 14 Jan 2023"], ["2023-01-07", "2023-01-14"]),
        (["W/E 07/01/23", "W/E 14/01/23"], ["2023-01-07", "2023-01-14"]),
        (["1 w/e 07 Jan 2023", "1 w/e 14 Jan 2023"], ["2023-01-07", "2023-01-14"]),
        (["Week ending 07 Jan 2023", "Week ending 14 Jan 2023"], ["2023-01-07", "2023-01-14"]),
        (["Mon 02.01.2023", "Tue 03.01.2023"], ["2023-01-02", "2023-01-03"]),
        (["Mo, 02.01.2023", "Di, 03.01.2023"], ["2023-01-02", "2023-01-03"]),
        (["lundi 2 janvier 2023", "mardi 3 janvier 2023"], ["2023-01-02", "2023-01-03"]),
        (["Monday, January 2, 2023", "Tuesday, January 3, 2023"], ["2023-01-02", "2023-01-03"]),
        (["martes 28 de marzo de 2023", "miércoles 29 de marzo de 2023"], ["2023-03-28", "2023-03-29"]),
        (["2. stycznia 2023", "3. stycznia 2023"], ["2023-01-02", "2023-01-03"]),
        (["02.01.2023 (Mo)", "03.01.2023 (Di)"], ["2023-01-02", "2023-01-03"]),
        (["02.01.2023 - 08.01.2023", "09.01.2023 - 15.01.2023"], ["2023-01-02", "2023-01-09"]),
        (["13.2022", "14.2022"], ["2022-03-28", "2022-04-04"]),
        (["2022-13", "2022-14"], ["2022-03-28", "2022-04-04"]),
        (["13/2022", "14/2022"], ["2022-03-28", "2022-04-04"]),
        (["KW 13/2022", "KW 14/2022"], ["2022-03-28", "2022-04-04"]),
        (["2022 KW13", "2022 KW14"], ["2022-03-28", "2022-04-04"]),
        (["S13 2022", "S14 2022"], ["2022-03-28", "2022-04-04"]),
        (["Semana 13 2022", "Semana 14 2022"], ["2022-03-28", "2022-04-04"]),
        (["2023-01-02 10:00 AM PST", "2023-01-03 11:30 PM PST"], ["2023-01-02", "2023-01-03"]),
        (["02.01.2023 10:30 Uhr", "13.01.2023 11:00 Uhr"], None),
        (["2022-01", "2022-02"], ["2022-01-01", "2022-02-01"]),
    ],
)
def test_periods_as_more_people_write_them(tmp_path: Path, names: list[str], labels: list[str] | None) -> None:
    text = "period;brand;price;units\n" + "".join(f"{name};a;2;9\n" for name in names)
    sales = read(tmp_path, text, missing="absent")
    assert sales.labels[:2] == (labels or ["2023-01-02", "2023-01-13"])


@pytest.mark.parametrize(("head", "label"), [("Woche", "2022-01-17"), ("Monat", "2022-03-01")])
def test_what_a_column_is_called_tells_weeks_from_months(tmp_path: Path, head: str, label: str) -> None:
    for form in ("{}.2022", "2022-{}", "2022{}"):
        text = f"{head};Marke;Preis;Menge\n" + "".join(f"{form.format(f'{k:02}')};a;2,5;9\n" for k in (3, 4, 5))
        assert read(tmp_path, text).labels[0] == label


def test_a_long_word_is_no_period_and_takes_no_time(tmp_path: Path) -> None:
    """A pattern of words in words would go through 2^190 ways to part them."""
    assert "period must be a date" in refused(tmp_path, HEAD + f"{'a' * 190},a,2,9\n" + day(2))


UTC = "when,brand,price,units\n2023-01-02T10:00:00Z,a,2,9\n2023-01-02T23:30:00Z,a,3,7\n2023-01-03T11:00:00Z,a,2,8\n"


def test_days_of_utc_are_said_and_may_be_a_places(tmp_path: Path) -> None:
    """23:30 in London's winter is half past midnight of the day after in Berlin, and half past six the same day in New York."""
    there = {"columns": {"period": "when"}}
    sales = read(tmp_path, UTC, **there)
    assert plain(sales)[0] == (DAYS[0], "a", 2.4375, 16) and said(sales, "days are UTC's (--zone makes them") is None
    assert [row[3] for row in plain(read(tmp_path, UTC, zone="Europe/Berlin", **there))] == [9, 15]
    assert [row[3] for row in plain(read(tmp_path, UTC, zone="America/New_York", **there))] == [16, 8]


def test_a_place_has_its_days_among_very_many_times(tmp_path: Path) -> None:
    """One a minute of 5 days in UTC, from 10:00: Calcutta's day begins at 18:30 of UTC, after 510 of the first."""
    minutes = [f"2023-01-{2 + k // 1440:02}T{k // 60 % 24:02}:{k % 60:02}:00Z,a,2,1\n" for k in range(600, 7200)]
    text = "when,brand,price,units\n" + "".join(minutes)
    days = [row[3] for row in plain(read(tmp_path, text, zone="Asia/Kolkata", columns={"period": "when"}))]
    assert days == [510, 1440, 1440, 1440, 1440, 330]
    days = [row[3] for row in plain(read(tmp_path, text, columns={"period": "when"}))]
    assert days == [840, 1440, 1440, 1440, 1440]


def test_one_period_is_both_ends() -> None:
    assert periods_option("2024-02") == ("2024-02", "2024-02") and periods_option("3:") == ("3", None)


# ------------------------------------------------------------------------------------------------ shapes


@pytest.mark.parametrize(
    ("head", "what", "seller"),
    [
        ("Alpha Units", "units", "Alpha"),
        ("ALPHA_PRICE", "price", "ALPHA"),
        ("Preis-Müller & Co", "price", "Müller & Co"),
        ("Alpha.Prix unitaire", "price", "Alpha"),
        ("Unit Price Kaffee 500 g", "price", "Kaffee 500 g"),
        ("Alpha Menge [Stk]", "units", "Alpha"),
        ("Aktion_Alpha", "promotion", "Alpha"),
    ],
)
def test_headings_of_wide_files(head: str, what: str, seller: str) -> None:
    assert measure_of(head) == (what, seller)


@pytest.mark.parametrize("head", ["Unit Price", "Prix (EUR)", "Alpha", "Week", "net_sales", ""])
def test_headings_that_are_of_no_seller(head: str) -> None:
    assert measure_of(head) is None


@pytest.mark.parametrize("mark", [" ", "_", ".", "-"])
@pytest.mark.parametrize(
    "words", [("Menge", "Preis", "Aktion"), ("UNITS", "PRICE", "PROMO"), ("Unités", "Prix", "Offre")]
)
@pytest.mark.parametrize("first", [True, False])
def test_a_column_a_seller_in_any_order(tmp_path: Path, mark: str, words: Sequence[str], first: bool) -> None:
    heads = [mark.join((word, name) if first else (name, word)) for name in ("Alpha", "Beta") for word in words]
    sales = read(tmp_path, f"Datum,{','.join(heads)}\n2023-01-02,9,2,0,4,3,1\n2023-01-03,8,2,1,5,3,0\n")
    assert plain(sales)[:2] == [(DAYS[0], "Alpha", 2, 9), (DAYS[0], "Beta", 3, 4)]
    assert sales.rows["promo_promotion"].tolist() == [0, 1, 1, 0]


# ------------------------------------------------------------------------------------------------ several tables

TABLE = [["date", "brand", "price", "units"], ["2023-01-02", "a", 2, 9], ["2023-01-03", "a", 2, 8]]
OTHER = [TABLE[0], ["2023-01-02", "a", 3, 5], ["2023-01-03", "a", 3, 4]]


def without(column: int, table: list[list[Any]]) -> list[list[Any]]:
    return [[value for k, value in enumerate(row) if k != column] for row in table]


def test_a_sheet_a_shop_a_product_a_month(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine")
    path, remarks = tmp_path / "sales.xlsx", [["remark", "by"], ["none", "ann"]]
    sales = read_sales(book(path, Berlin=TABLE, Bonn=OTHER, Remarks=remarks))
    assert sales.markets == ["Berlin", "Bonn"] and len(sales.rows) == 4
    assert said(sales, "sheets Berlin, Bonn; left out, since their columns are others: Remarks") is None
    assert said(sales, "market: the sheet's name (Berlin, Bonn)") is None and sales.rows["line"][0] == "Berlin:2"
    months = {"Jan 2023": without(0, TABLE[:2]), "Feb 2023": without(0, OTHER[:2])}
    assert plain(read_sales(book(path, **months))) == [("2023-01-01", "a", 2, 9), ("2023-02-01", "a", 3, 5)]
    goods = {"tea": without(1, TABLE), "coffee": without(1, OTHER)}
    with pytest.raises(
        UserError, match="no column of sellers: --columns seller=sheet makes sellers of them, --columns mar"
    ):
        read_sales(book(path, **goods))
    assert read_sales(path, ReadingOptions({"seller": "sheet"})).sellers == ["coffee", "tea"]
    shops = {name: [[*row, "shop" if k == 0 else "x"] for k, row in enumerate(rows)] for name, rows in goods.items()}
    assert read_sales(book(path, **shops)).sellers == ["coffee", "tea"]


def test_sheets_that_go_on_are_one_table(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine")
    later = [TABLE[0], ["2023-01-04", "a", 2, 7]]
    sales = read_sales(book(tmp_path / "sales.xlsx", First=TABLE, Second=later))
    assert [row[3] for row in plain(sales)] == [9, 8, 7] and sales.markets == ["all"]


@pytest.mark.parametrize("total", ["", ",,,54\n", "Grand Total,,,54\n"])
def test_a_pivot_table_has_the_name_of_a_group_in_every_row(tmp_path: Path, total: str) -> None:
    by_brand = "brand,date,price,units\na,2023-01-02,2,9\n,2023-01-03,2,8\nb,2023-01-02,3,7\n,2023-01-03,3,6\n"
    by_date = "date,brand,price,units\n2023-01-02,a,2,9\n,b,3,7\n2023-01-03,a,2,8\n,b,3,6\n"
    for text, head in ((by_brand, "brand"), (by_date, "date")):
        sales = read(tmp_path, text + total)
        assert plain(sales) == [
            ("2023-01-02", "a", 2, 9), ("2023-01-02", "b", 3, 7), ("2023-01-03", "a", 2, 8), ("2023-01-03", "b", 3, 6)
        ]  # fmt: skip
        assert said(sales, f"{head}: an empty cell is what stands above it, as in a pivot table") == 2


@pytest.mark.parametrize(
    "text",
    [
        HEAD + day(2) + day(3, "") + day(4, "a") + day(5, "b"),  # one name is missing
        HEAD + day(2, "") + day(3, "") + day(4),  # nothing stands above
        HEAD + day(2) + day(3) + day(4, "") + day(5, "") + day(6, ""),  # names are in every row, as far as they go
    ],
)
def test_a_name_that_is_missing_is_no_group(tmp_path: Path, text: str) -> None:
    assert "seller is missing" in refused(tmp_path, text)


def test_a_folder_and_a_zip_are_several_files(tmp_path: Path) -> None:
    texts = {f"{name}.csv": HEAD + day(2, units=k) + day(3, units=9) for k, name in enumerate(("Berlin", "Bonn"))}
    (tmp_path / "shops").mkdir()
    with zipfile.ZipFile(tmp_path / "shops.zip", "w") as packed:
        for name, text in texts.items():
            (tmp_path / "shops" / name).write_text(text)
            packed.writestr(f"export/{name}", text)
            packed.writestr(f"__MACOSX/._{name}", "x")
    for place in ("shops", "shops.zip"):
        sales = read_sales(tmp_path / place)
        assert sales.markets == ["Berlin", "Bonn"] and sales.rows["units"].tolist() == [0, 9, 1, 9]
    one = read_sales(tmp_path / "shops").sha256
    (tmp_path / "shops" / "Bonn.csv").write_text(HEAD + day(2) + day(3))
    assert read_sales(tmp_path / "shops").sha256 != one


def test_the_lines_of_exports_that_overlap_count_once(tmp_path: Path) -> None:
    """January's export ends in the middle of the 4th, the next begins on the 3rd, or at noon of it."""
    receipts = [f"2023-01-{d:02} {h}:00,{100 * d + h},a,2,1\n" for d in (2, 3, 4, 5) for h in range(10, 18)]
    head = "timestamp,receipt,brand,price,units\n"
    (tmp_path / "first.csv").write_text(head + "".join(receipts[:20]))
    (tmp_path / "second.csv").write_text(head + "".join(receipts[8:]))
    sales = read_sales([tmp_path / "first.csv", tmp_path / "second.csv"])
    assert [row[3] for row in plain(sales)] == [8, 8, 8, 8]
    assert said(sales, "lines that an earlier file has in every cell, as of exports that overlap: counted once") == 12
    (tmp_path / "second.csv").write_text(head + "".join(receipts[13:]))
    sales = read_sales([tmp_path / "first.csv", tmp_path / "second.csv"])
    assert [row[3] for row in plain(sales)] == [8, 8, 8, 8]


def test_lines_that_say_little_are_asked_about(tmp_path: Path) -> None:
    """Without a number and a time two shops may well sell the same."""
    paths = [tmp_path / "x.csv", tmp_path / "y.csv"]
    for path in paths:
        path.write_text(HEAD + "".join(day(d, units=1) for d in (2, 3) for _ in range(4)))
    with pytest.raises(UserError, match=r"y.csv:2, y.csv:3, .* stand in another file too, as if exports overlapped"):
        read_sales(paths)
    assert read_sales(paths, ReadingOptions(add_up=True)).rows["units"].tolist() == [4, 4, 4, 4]
    paths[1].write_text(HEAD + SOUND.replace("2023-01-03,b,2,3", "2023-01-03,b,2,5"))
    paths[0].write_text(HEAD + SOUND)
    with pytest.raises(UserError, match="stand in another file too"):
        read_sales(paths)


# ------------------------------------------------------------------------------------------------ money and letters


@pytest.mark.parametrize(
    ("cells", "listed"),
    [
        (("2 €", "3 EUR", "$4"), "EUR (2 rows), USD (1 rows)"),
        (("2 zł", "3 zł", "4 Kč"), "PLN (2 rows), CZK (1 rows)"),
        (("$2", "$3", "99¢"), "USD (2 rows), ¢ (1 rows)"),
    ],
)
def test_prices_in_several_currencies_are_refused(tmp_path: Path, cells: Sequence[str], listed: str) -> None:
    text = HEAD + "".join(day(d, price=cell) for d, cell in enumerate(cells, 2))
    assert f"line 4: price in several currencies: {listed}: convert them to one" in refused(tmp_path, text)


def test_a_column_of_currencies_is_asked_about(tmp_path: Path) -> None:
    text = "date,brand,price,units,Währung\n2023-01-02,a,2,9,EUR\n2023-01-03,a,2,8,EUR\n2023-01-04,a,3,8,CHF\n"
    message = refused(tmp_path, text)
    assert "column Währung has several currencies: EUR (2 rows), CHF (1 rows): --where Währung=EUR" in message
    assert len(read(tmp_path, text, where={"Währung": "EUR"}).rows) == 2


@pytest.mark.parametrize(
    ("encoding", "guessed", "shown"),
    [
        ("cp850", "cp850", "Müller"),
        ("cp437", "cp850", "Müller"),
        ("mac_roman", "mac_roman", "Müller"),
        ("cp1252", "cp1252", "Müller"),
    ],
)
def test_a_guess_of_letters_is_said_and_overruled(tmp_path: Path, encoding: str, guessed: str, shown: str) -> None:
    text = (HEAD + day(2, "Müller") + day(3, "Grüne Soße") + day(3, "Müller")).encode(encoding)
    sales = read(tmp_path, text)
    assert said(sales, f"text in {guessed}, a guess that makes {shown}") is None
    sales = read(tmp_path, text, encoding=encoding)
    assert sales.sellers == ["Grüne Soße", "Müller"] and "a guess" not in steps(sales)


def test_places_and_encodings_that_nobody_knows_are_refused(tmp_path: Path) -> None:
    (tmp_path / "raw.csv").write_text(HEAD + SOUND)
    for option, value, rule in (
        ("zone", "Berlin", "must be a place as IANA calls it, such as Europe/Berlin"),
        ("zone", "../../etc", "must be a place as IANA calls it"),
        ("encoding", "cp9999", "must be an encoding of text such as cp850"),
        ("encoding", "zip", "must be an encoding of text such as cp850"),
    ):
        with pytest.raises(UserError, match=f"{option}.*{rule}"):
            tidy_sales(tmp_path / "raw.csv", output=tmp_path / "sales.csv", **{option: value})
