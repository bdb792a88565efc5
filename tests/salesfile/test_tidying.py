"""What people have, read to what it means: every expectation is worked out by hand."""

from __future__ import annotations

import csv
import gzip
import io
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from market.errors import UserError
from market.salesfile.files import read_parts
from market.salesfile.findings import Findings
from market.salesfile.options import ReadingOptions
from market.salesfile.table import Sales, read_sales
from market.salesfile.text_files import Reading
from policies import calibrate, tidy_sales
from policies.sales.reading import columns_option
from tests.helpers.small_run import ROOT

HEAD = "period,seller,price,units\n"
GERMAN = """Datum;Artikel;Menge;Preis
02.01.2023;Kaffee Müller, 500 g;1.204;4,99 €
02.01.2023;Tee;310;3,49 €
03.01.2023;Kaffee Müller, 500 g;1.150;4,79 €
03.01.2023;Tee;290;3,49 €
"""


def read(folder: Path, text: str | bytes, name: str = "sales.csv", **options: Any) -> Sales:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_sales(path, ReadingOptions(**options))


def refused(folder: Path, text: str, **options: Any) -> str:
    with pytest.raises(UserError) as problem:
        read(folder, text, **options)
    return str(problem.value)


def plain(sales: Sales) -> list[tuple[Any, ...]]:
    """Period, seller, price and units of every row."""
    columns = [sales.rows[name].tolist() for name in ("seller", "price", "units")]
    return list(zip([sales.labels[t] for t in sales.rows["period"]], *columns, strict=True))


def said(sales: Sales, word: str) -> int | None:
    (step,) = [step for step in sales.steps if word in step.what]
    return step.rows


# ------------------------------------------------------------------------------------------------ dialects

TIDY = [("2023-01-02", "Tee", 3.49, 310), ("2023-01-03", "Tee", 3.49, 290)]


@pytest.mark.parametrize("mark", [";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_german_export_is_read_in_any_encoding(tmp_path: Path, mark: str, encoding: str) -> None:
    sales = read(tmp_path, GERMAN.replace(";", mark).encode(encoding))
    assert [row for row in plain(sales) if row[1] == "Tee"] == TIDY
    assert sales.rows["units"].tolist() == [1204, 310, 1150, 290] and sales.rows["price"].tolist()[0] == 4.99
    assert said(sales, "commas before decimals") == 4 and said(sales, "Datum, seller: Artikel") is None


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("Zażółć gęślą", "cp1250"),
        ("Чай чёрный байховый", "cp1251"),
        ("日本茶の葉と紅茶", "cp932"),
        ("Crème brûlée – 2 €", "cp1252"),
    ],
)
def test_encodings_are_told_by_the_letters(tmp_path: Path, name: str, encoding: str) -> None:
    text = "date,brand,price,units,note\n" + "".join(f"2023-01-0{k},tea,2,9,{name} {name[::-1]}\n" for k in range(1, 9))
    path = tmp_path / "sales.csv"
    path.write_bytes(text.encode(encoding))
    (part,) = read_parts(path, Reading(lambda head: True), Findings("here"))
    assert name in part.texts["note"].iloc[0]


def test_packed_files_are_unpacked(tmp_path: Path) -> None:
    expected = plain(read(tmp_path, GERMAN))
    assert plain(read(tmp_path, gzip.compress(GERMAN.encode()), "sales.csv.gz")) == expected
    with zipfile.ZipFile(tmp_path / "sales.zip", "w") as packed:
        packed.writestr("export/sales.csv", GERMAN)
    assert plain(read_sales(tmp_path / "sales.zip")) == expected
    with zipfile.ZipFile(tmp_path / "sales.zip", "a") as packed:
        packed.writestr("more.csv", GERMAN)
    twice = read_sales(tmp_path / "sales.zip")
    assert plain(twice) == expected and said(twice, "lines that an earlier file has in every cell") == 4
    with pytest.raises(UserError, match="is damaged"):
        read(tmp_path, gzip.compress(GERMAN.encode())[:-9], "sales.gz")


def book(path: Path, **sheets: list[list[Any]]) -> Path:
    """A workbook as small as one can be."""
    space = "http://schemas.openxmlformats.org"
    office = f"{space}/officeDocument/2006/relationships"
    listed = "".join(f'<sheet name="{name}" sheetId="{k}" r:id="b{k}"/>' for k, name in enumerate(sheets, 1))
    related = "".join(
        f'<Relationship Id="b{k}" Type="{office}/worksheet" Target="worksheets/sheet{k}.xml"/>'
        for k in range(1, len(sheets) + 1)
    )
    files = {
        "[Content_Types].xml": f'<Types xmlns="{space}/package/2006/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{space}/package/2006/relationships"><Relationship Id="a" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{space}/spreadsheetml/2006/main" xmlns:r="{office}">'
        f"<sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{space}/package/2006/relationships">{related}</Relationships>',
    }
    for k, rows in enumerate(sheets.values(), 1):
        cells = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
        files[f"xl/worksheets/sheet{k}.xml"] = (
            f'<worksheet xmlns="{space}/spreadsheetml/2006/main"><sheetData>{cells}</sheetData></worksheet>'
        )
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return path


def cell(value: Any) -> str:
    return f'<c t="inlineStr"><is><t>{value}</t></is></c>' if isinstance(value, str) else f"<c><v>{value}</v></c>"


def test_a_workbook_is_read(tmp_path: Path) -> None:
    pytest.importorskip("python_calamine")
    rows: list[list[Any]] = [
        ["Mai 2023"],
        ["date", "brand", "price", "qty"],
        ["2023-05-01", "ann", 2.5, 10],
        ["2023-05-02", "ann", 2, 12],
    ]
    sales = read_sales(book(tmp_path / "sales.xlsx", Mai=rows))
    assert plain(sales) == [("2023-05-01", "ann", 2.5, 10), ("2023-05-02", "ann", 2.0, 12)]
    assert sales.place == "row" and sales.rows["line"].tolist() == [3, 4] and said(sales, "sheet Mai") is None
    with pytest.raises(UserError, match="is not a workbook that can be read"):
        read(tmp_path, bytes.fromhex("d0cf11e0a1b11ae1"), "old.csv")


def test_a_folder_of_parquet_files_and_several_files_are_one_table(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"period": [1, 2], "seller": "ann", "price": [2.0, 3.0], "units": [10, 20]})
    for shop in ("x", "y"):
        (tmp_path / "all" / f"market={shop}").mkdir(parents=True)
        frame.to_parquet(tmp_path / "all" / f"market={shop}" / "part.parquet")
    assert read_sales(tmp_path / "all").markets == ["x", "y"]
    for k, name in enumerate("ab"):
        frame.assign(seller=name, units=[k, 9]).to_csv(tmp_path / f"{name}.csv", index=False)
    sales = read_sales([tmp_path / "a.csv", tmp_path / "b.csv"])
    assert plain(sales) == [("1", "a", 2, 0), ("1", "b", 2, 1), ("2", "a", 3, 9), ("2", "b", 3, 9)]
    assert sales.rows["line"].tolist() == ["a.csv:2", "b.csv:2", "a.csv:3", "b.csv:3"]


def test_a_database_answers_a_query(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as shop:
        shop.execute("create table sold (day text, item text, cents int, n int)")
        shop.executemany("insert into sold values (?, 'tea', ?, ?)", [("2023-01-02", 250, 4), ("2023-01-03", 200, 6)])
    url, query = f"sqlite:///{tmp_path / 'shop.db'}", "select day, item, cents / 100.0 as price, n as units from sold"
    found = tidy_sales(url, output=tmp_path / "sales.csv", query=query)
    assert found.to_frame().to_dict("records") == [
        {"period": "2023-01-02", "seller": "tea", "price": 2.5, "units": 4},
        {"period": "2023-01-03", "seller": "tea", "price": 2.0, "units": 6},
    ]
    with pytest.raises(UserError, match=r"absent.db: no such file"):
        tidy_sales(f"sqlite:///{tmp_path}/absent.db", output=tmp_path / "more.csv", query=query)
    assert not (tmp_path / "absent.db").exists()
    with pytest.raises(UserError, match=r"--query: .*no such table: absent"):
        tidy_sales(url, output=tmp_path / "more.csv", query="select * from absent")


# ------------------------------------------------------------------------------------------------ numbers


@pytest.mark.parametrize(
    ("price", "units", "value", "count"),
    [
        ("1.234,50 €", "3", 1234.5, 3),
        ("$1,234.50", "1,234", 1234.5, 1234),
        ("2.50 USD", "1 234", 2.5, 1234),
        ("CHF 1'234.50", "1'234", 1234.5, 1234),
        ("2,5", "1.234", 2.5, 1234),
        ("2,5", "1.234,0", 2.5, 1234),
        (".5", "1e3", 0.5, 1000),
        ("2,50-", "5", None, 5),
    ],
)
def test_numbers_as_people_write_them(
    tmp_path: Path, price: str, units: str, value: float | None, count: float
) -> None:
    text = f'period;seller;price;units\n1;ann;"{price}";"{units}"\n2;ann;{"2,5" if "," in price[-6:] else "2.5"};7\n'
    if value is None:
        assert "price must be a number > 0 (got '2,50-')" in refused(tmp_path, text)
        return
    sales = read(tmp_path, text)
    assert (sales.rows["price"][0], sales.rows["units"][0]) == (value, count)


def test_numbers_that_can_be_read_in_two_ways_are_asked_for(tmp_path: Path) -> None:
    text = 'period;seller;price;units\n1;ann;2;"1,234"\n2;ann;3;"2,345"\n'
    assert "'1,234' can be read in two ways, and nothing in the file tells which: --decimal . or ," in refused(
        tmp_path, text
    )
    assert read(tmp_path, text, decimal=".").rows["units"].tolist() == [1234, 2345]
    assert read(tmp_path, text, decimal=",").rows["units"].tolist() == [1.234, 2.345]
    fuel = HEAD + "1,ann,1.579,10\n2,ann,1.609,11\n"
    assert read(tmp_path, fuel).rows["price"].tolist() == [1.579, 1.609]
    both = HEAD + '1,ann,"2,10",10\n2,ann,2.1,11\n'
    assert "'2,10' has a comma before decimals, '2.1' a point" in refused(tmp_path, both)


# ------------------------------------------------------------------------------------------------ periods


@pytest.mark.parametrize(
    ("names", "labels", "step"),
    [
        (["2022-W52", "2023-W01"], ["2022-12-26", "2023-01-02"], "week"),
        (["KW 52/2022", "KW 1/2023"], ["2022-12-26", "2023-01-02"], "week"),
        (["202252", "202301", "202302"], ["2022-12-26", "2023-01-02", "2023-01-09"], "week"),
        (["202211", "202212", "202301"], ["2022-11-01", "2022-12-01", "2023-01-01"], "month"),
        (["Dez 2022", "Januar 2023"], ["2022-12-01", "2023-01-01"], "month"),
        (["Dec-22", "Jan-23"], ["2022-12-01", "2023-01-01"], "month"),
        (["12/2022", "01/2023"], ["2022-12-01", "2023-01-01"], "month"),
        (["2022-Q4", "2023-Q1"], ["2022-10-01", "2023-01-01"], "quarter"),
        (
            ["2022-03-31", "2022-06-30", "2022-12-31"],
            ["2022-03-31", "2022-06-30", "2022-09-30", "2022-12-31"],
            "quarter",
        ),
        (["20230102", "20230109"], ["2023-01-02", "2023-01-09"], "week"),
        (["14/06/1990", "21/06/1990"], ["1990-06-14", "1990-06-21"], "week"),
        (["03/04/2024", "03/18/2024"], ["2024-03-04", "2024-03-18"], "14 days"),
        (["3.4.2024", "10.4.2024"], ["2024-04-03", "2024-04-10"], "week"),
        (["01/02/23", "01/09/23", "01/16/23"], ["2023-01-02", "2023-01-09", "2023-01-16"], "week"),
        (["Feb 1, 2023", "Feb 2, 2023"], ["2023-02-01", "2023-02-02"], "day"),
        ([f"01-{m:02}-2017" for m in range(1, 13)] + ["01-01-2018"], None, "month"),
        (["2023-02-28T23:00:00Z", "2023-03-25T23:00:00Z", "2023-03-26T22:00:00Z"], None, "day"),
        (["2023-03-26T00:30:00+01:00", "2023-03-27T23:30:00+02:00"], ["2023-03-26", "2023-03-27"], "day"),
    ],
)
def test_periods_as_people_write_them(tmp_path: Path, names: list[str], labels: list[str] | None, step: str) -> None:
    sales = read(
        tmp_path, "period;seller;price;units\n" + "".join(f"{name};ann;2;9\n" for name in names), missing="absent"
    )
    assert sales.step == step
    if labels is not None:
        assert sales.labels == labels
    elif step == "day":  # midnights of Berlin, the clock moved on the 26th
        assert (sales.labels[0], sales.labels[-1]) == ("2023-03-01", "2023-03-27") and len(sales.labels) == 27
    else:
        assert (sales.labels[0], sales.labels[-1], len(sales.labels)) == ("2017-01-01", "2018-01-01", 13)


def test_dates_that_can_be_read_in_two_ways_are_asked_for(tmp_path: Path) -> None:
    text = HEAD + "".join(f"{day},ann,2,9\n" for day in ("03/04/2024", "04/05/2024", "07/05/2024"))
    assert "03/04/2024 is 2024-04-03 or 2024-03-04" in refused(tmp_path, text)
    assert "three" not in refused(tmp_path, text)
    weekly = HEAD + "".join(f"{day},ann,2,9\n" for day in ("03/04/2024", "04/05/2024"))
    assert read(tmp_path, weekly, dates="dmy").labels[0] == "2024-04-03"
    assert read(tmp_path, weekly, dates="mdy").labels[0] == "2024-03-04"


def test_the_year_may_stand_in_a_column_of_its_own(tmp_path: Path) -> None:
    text = "year,week,seller,price,units\n2022,52,ann,2,9\n2023,1,ann,3,9\n"
    sales = read(tmp_path, text)
    assert sales.labels == ["2022-12-26", "2023-01-02"] and said(sales, "year and week together") is None


def test_a_date_beside_the_others_is_moved_and_named(tmp_path: Path) -> None:
    days = ["2023-01-03", *(str(day.date()) for day in pd.date_range("2023-01-09", periods=30, freq="7D"))]
    sales = read(tmp_path, HEAD + "".join(f"{day},ann,2,9\n" for day in days))
    assert sales.labels[:2] == ["2023-01-02", "2023-01-09"] and said(sales, "2023-01-03 is 2023-01-02") == 1


def test_days_are_added_up_to_weeks_and_months(tmp_path: Path) -> None:
    """Monday to Sunday 7 x 10 units at 2 and 3: 8 days make a week of 70 and one of 10; January has 31 days."""
    days = pd.date_range("2023-01-02", periods=8)
    rows = "".join(f"{day.date()},ann,{2 + (k % 2)},10,{int(k == 0)}\n" for k, day in enumerate(days))
    sales = read(tmp_path, HEAD.replace("units", "units,promo_ad") + rows, period="week")
    assert plain(sales) == [("2023-01-02", "ann", pytest.approx((4 * 2 + 3 * 3) / 7), 70), ("2023-01-09", "ann", 3, 10)]
    assert sales.rows["promo_ad"].tolist() == [pytest.approx(1 / 7), 0] and sales.step == "week"
    assert read(tmp_path, HEAD + "1,ann,2,9\n2,ann,2,9\n").step == "period"
    assert "--period week: periods are numbers without dates" in refused(
        tmp_path, HEAD + "1,ann,2,9\n2,ann,2,9\n", period="week"
    )
    months = HEAD + "2023-01,ann,2,9\n2023-02,ann,2,9\n"
    assert "so no weeks can be made of them" in refused(tmp_path, months, period="week")


# ------------------------------------------------------------------------------------------------ rows

RECEIPTS = """when,receipt,seller,price,units
2023-01-02 10:00,1,ann,2.0,3
2023-01-02 11:30,2,ann,3.0,1
2023-01-02 11:40,3,bob,5.0,2
2023-01-03 09:00,4,ann,2.0,2
2023-01-03 09:10,5,ann,2.0,-1
2023-01-03 09:20,6,bob,0,1
2023-01-03 09:30,7,bob,4.0,1
"""


def test_receipts_become_one_row_a_period_and_seller(tmp_path: Path) -> None:
    """ann: 3 at 2 and 1 at 3 are 4 at 9/4; 2 sold and 1 back are 1 at 2. bob's present is no sale."""
    sales = read(tmp_path, RECEIPTS, columns={"period": "when"})
    first = [("2023-01-02", "ann", 2.25, 4), ("2023-01-02", "bob", 5, 2)]
    assert plain(sales) == [*first, ("2023-01-03", "ann", 2, 1), ("2023-01-03", "bob", 4, 1)]
    assert said(sales, "returns (negative units) taken off") == 1 and said(sales, "samples or presents") == 1
    assert said(sales, "one a period and seller: they become 4") == 6
    dropped = read(tmp_path, RECEIPTS, columns={"period": "when"}, returns="drop")
    assert plain(dropped)[2] == ("2023-01-03", "ann", 2, 2)


def test_rows_that_a_column_tells_apart_are_asked_about(tmp_path: Path) -> None:
    text = "period,spot,seller,price,units\n1,x,ann,2,9\n1,y,ann,2,8\n2,x,ann,3,7\n2,y,ann,2,6\n"
    message = refused(tmp_path, text)
    assert (
        "lines 2, 3, 4, 5: several rows of a seller in a period, told apart by column spot: --columns market=spot"
        in message
    )
    assert read(tmp_path, text, columns={"market": "spot"}).markets == ["x", "y"]
    assert plain(read(tmp_path, text, add_up=True))[0] == ("1", "ann", 2, 17)


def test_identical_lines_are_dropped_where_one_row_is_left(tmp_path: Path) -> None:
    text = HEAD + "1,ann,2,9\n2,ann,2,8\n2,ann,2,8\n"
    sales = read(tmp_path, text)
    assert plain(sales)[1] == ("2", "ann", 2, 8) and said(sales, "line 4 repeated: identical") == 1
    back = read(tmp_path, text + "1,ann,2,-4\n")
    assert plain(back) == [("1", "ann", 2, 5), ("2", "ann", 2, 8)]
    receipts = HEAD + "1,ann,2,1\n1,ann,2,1\n1,ann,2,3\n"
    assert plain(read(tmp_path, receipts)) == [("1", "ann", 2, 5)]


def test_part_weeks_at_the_ends_are_left_out(tmp_path: Path) -> None:
    """Thursday to Thursday: the first week has four days, the last one four; six days a week are whole where all have six."""
    days = pd.date_range("2024-02-01", "2024-02-22")
    sales = read(tmp_path, HEAD + "".join(f"{day.date()},ann,2,10\n" for day in days), period="week")
    assert plain(sales) == [("2024-02-05", "ann", 2, 70), ("2024-02-12", "ann", 2, 70)]
    assert said(sales, "2024-01-29 (4 of 7 dates), 2024-02-19 (4 of 7 dates)") == 8
    open_days = [day for day in pd.date_range("2024-02-05", "2024-02-24") if day.dayofweek < 6]
    sales = read(tmp_path, HEAD + "".join(f"{day.date()},ann,2,10\n" for day in open_days), period="week")
    assert sales.rows["units"].tolist() == [60, 60, 60]


def test_receipts_without_a_number_are_asked_about(tmp_path: Path) -> None:
    """A line a unit, ten a day at one price: nobody knows from the file that they are not ten copies of one."""
    text = HEAD + "".join(f"{t},ann,2,1\n" for t in (1, 2, 3) for _ in range(10))
    assert "lines 3, 4, 5, 6, 7 and 22 more: identical to another line in every cell: --add-up" in refused(
        tmp_path, text
    )
    assert read(tmp_path, text, add_up=True).rows["units"].tolist() == [10, 10, 10]


def test_headings_are_known_in_any_case_and_as_systems_write_them(tmp_path: Path) -> None:
    for head in (
        "Week,Brand,Price,Units",
        "PERIOD,SELLER,PRICE,UNITS",
        "Created at,Lineitem name,Lineitem price,Lineitem quantity",
    ):
        assert plain(read(tmp_path, head + "\n2023-01-02,a,2,9\n"))[0][1:] == ("a", 2, 9)


@pytest.mark.parametrize(
    "head, scale",
    [("Units (000)", 1e3), ("Units ('000)", 1e3), ("Units [thousands]", 1e3), ("Absatz (Tsd. Stück)", 1e3), ("Units (Mio.)", 1e6)],
)  # fmt: skip
def test_units_in_thousands_are_single_ones(head: str, scale: float, tmp_path: Path) -> None:
    """Read as they stand, 12.5 would be counts of a few units."""
    found = read(tmp_path, f"week,brand,price,{head}\n2023-01-02,a,2,12.5\n2023-01-09,a,2,0.25\n")
    assert found.rows["units"].tolist() == [12.5 * scale, 0.25 * scale]
    assert f"units: in {scale:,.0f}s, by the column's name, as single ones" in [step.what for step in found.steps]


@pytest.mark.parametrize("head", ["Units", "Units (1000 ml)", "Units (kg)", "Units (100k)", "Quantity"])
def test_other_brackets_are_no_thousands(head: str, tmp_path: Path) -> None:
    assert plain(read(tmp_path, f"week,brand,price,{head}\n2023-01-02,a,2,9\n"))[0][1:] == ("a", 2, 9)


def test_list_prices_beside_what_was_paid_are_asked_about(tmp_path: Path) -> None:
    text = "date,brand,unit price,quantity,net sales\n2023-01-02,a,4,10,32\n2023-01-03,a,4,5,16\n"
    assert "lines 2, 3: price x units is not the revenue: --columns revenue=COLUMN takes prices from it" in refused(
        tmp_path, text
    )
    assert read(tmp_path, text, columns={"revenue": "net sales"}).rows["price"].tolist() == [3.2, 3.2]
    assert read(tmp_path, text, columns={"price": "unit price"}).rows["price"].tolist() == [4, 4]


def test_days_of_a_spreadsheet_are_dates(tmp_path: Path) -> None:
    sales = read(tmp_path, HEAD + "44564,ann,2,9\n44571,ann,2,9\n")
    assert (sales.labels, sales.step) == (["2022-01-03", "2022-01-10"], "week")


def test_a_few_rows_that_others_would_correct_are_asked_about(tmp_path: Path) -> None:
    text = HEAD + "".join(f"{t},ann,2,{t}\n" for t in range(1, 121)) + "5,ann,2,7\n"
    assert "lines 6, 122: several rows of a seller in a period (ann first), where nearly all have one" in refused(
        tmp_path, text
    )
    assert read(tmp_path, text, add_up=True).rows["units"][4] == 12


def test_a_price_that_is_missing_where_nothing_was_sold_is_carried(tmp_path: Path) -> None:
    sales = read(tmp_path, HEAD + "1,ann,,0\n2,ann,2,9\n3,ann,,0\n4,ann,3,9\n")
    assert sales.rows["price"].tolist() == [2, 2, 2, 3] and said(sales, "no price where nothing was sold") == 2


GAPS = HEAD + "1,ann,2,UNITS\n3,ann,3,UNITS\n1,bob,2,UNITS\n2,bob,2,UNITS\n3,bob,2,UNITS\n"


@pytest.mark.parametrize(
    ("units", "missing", "rows"), [("1", "auto", 6), ("90", "auto", 5), ("1", "absent", 5), ("90", "zero", 6)]
)
def test_a_period_without_a_row_is_absent_or_zero(tmp_path: Path, units: str, missing: str, rows: int) -> None:
    sales = read(tmp_path, GAPS.replace("UNITS", units), missing=missing)
    assert len(sales.rows) == rows
    if rows == 6:
        assert plain(sales)[2] == ("2", "ann", 2, 0) and said(sales, "periods of a seller without a row") == 1


def test_what_sells_rarely_is_there_on_the_days_without_a_sale(tmp_path: Path) -> None:
    """Two lamps, two units in three days: empty days and the last ones count; a shop that sells 90 a day was closed."""
    slow = HEAD + "1,a,2,1\n2,b,2,1\n5,a,2,1\n7,a,2,1\n8,b,2,1\n9,b,2,1\n"
    assert read(tmp_path, slow).rows.groupby("seller").size().to_dict() == {"a": 9, "b": 8}
    busy = "when,receipt,seller,price,units\n" + "".join(
        f"2023-01-0{d} 1{k}:00,{d}{k},{s},2,45\n" for d in (1, 3, 4) for s in "ab" for k in (1, 2)
    )
    assert len(read(tmp_path, busy, columns={"period": "when"}).rows) == 6


def test_a_file_that_writes_zeros_has_no_hidden_ones(tmp_path: Path) -> None:
    assert len(read(tmp_path, GAPS.replace("UNITS", "1") + "4,bob,2,0\n").rows) == 6


@pytest.mark.parametrize("column", ["market", "seller"])
def test_sums_of_the_others_are_left_out(tmp_path: Path, column: str) -> None:
    other = "seller" if column == "market" else "market"
    rows = [(t, name, units) for t in (1, 2, 3) for name, units in (("x", 9 + t), ("y", 5), ("Sum", 14 + t))]
    text = f"period,{column},{other},price,units\n" + "".join(f"{t},{name},one,2,{units}\n" for t, name, units in rows)
    sales = read(tmp_path, text)
    assert set(sales.rows[column]) == {"x", "y"} and said(sales, f"{column} Sum: the sum of the others") == 3


def test_rows_of_totals_go(tmp_path: Path) -> None:
    sales = read(tmp_path, HEAD + "1,ann,2,9\n2,ann,2,8\nTotal,,,17\n")
    assert len(sales.rows) == 2 and said(sales, "rows of totals") == 1


# ------------------------------------------------------------------------------------------------ shapes


def test_a_column_a_seller_becomes_a_row_a_seller(tmp_path: Path) -> None:
    sales = read(tmp_path, "week,price_ann,units_ann,price_bob,units_bob\n1,2,9,3,4\n2,2,8,3,5\n")
    assert plain(sales) == [("1", "ann", 2, 9), ("1", "bob", 3, 4), ("2", "ann", 2, 8), ("2", "bob", 3, 5)]


def test_revenue_gives_units_or_prices(tmp_path: Path) -> None:
    sales = read(tmp_path, "Datum;Artikel;Preis;Umsatz\n2023-01-02;Tee;2,50;25,00\n2023-01-03;Tee;2,00;24,00\n")
    assert plain(sales) == [("2023-01-02", "Tee", 2.5, 10), ("2023-01-03", "Tee", 2, 12)]
    sales = read(tmp_path, "date,brand,units,revenue\n2023-01-02,a,10,25\n2023-01-03,a,0,0\n")
    assert plain(sales) == [("2023-01-02", "a", 2.5, 10), ("2023-01-03", "a", 2.5, 0)]


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (("yes", "no"), [1, 0]),
        (("ja", "nein"), [1, 0]),
        (("x", ""), [1, 0]),
        (("TRUE", "False"), [1, 0]),
        (("BOGO", "none"), [1, 0]),
        (("25%", "0%"), [0.25, 0]),
    ],
)
def test_promotions_in_words(tmp_path: Path, cells: tuple[str, str], values: list[float]) -> None:
    text = HEAD.replace("units", "units,promo_ad") + "".join(f"{t},ann,2,9,{cell}\n" for t, cell in enumerate(cells, 1))
    assert read(tmp_path, text).rows["promo_ad"].tolist() == values


def test_a_discount_in_percent_is_a_share(tmp_path: Path) -> None:
    text = HEAD.replace("units", "units,promo_discount") + "1,ann,2,9,25\n2,ann,2,9,0\n"
    assert read(tmp_path, text).rows["promo_discount"].tolist() == [0.25, 0]


def test_a_file_of_one_seller_needs_no_column_of_sellers(tmp_path: Path) -> None:
    assert read(tmp_path, "date,price,units\n2023-01-02,2,9\n2023-01-03,2,8\n", "tea.csv").sellers == ["tea"]


def test_columns_with_commas_and_a_file_of_columns(tmp_path: Path) -> None:
    assert columns_option('period=week,"units=sold, in pieces"') == {"period": "week", "units": "sold, in pieces"}
    (tmp_path / "mine.yaml").write_text('period: week\nunits: "sold, in pieces"\n')
    assert columns_option(str(tmp_path / "mine.yaml")) == {"period": "week", "units": "sold, in pieces"}


# ------------------------------------------------------------------------------------------------ hostile


def test_what_nobody_would_write_is_refused(tmp_path: Path) -> None:
    wide = ",".join(f"c{k}" for k in range(100_000))
    assert "line 1: has 100,000 columns: at most 1,000" in refused(tmp_path, wide + "\n")
    assert "line 2: seller must be at most 200 bytes" in refused(tmp_path, HEAD + f"1,{'a' * 10_000},2,9\n")
    assert "is no text that can be read" in refused(tmp_path, HEAD + "1,a\x00b,2,9\n1,c,2,9\n")
    assert "is no line of a table" in refused(tmp_path, HEAD + f'1,"{"a" * 200_000}",2,9\n')


# ------------------------------------------------------------------------------------------------ the command


def test_what_is_written_is_read_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "raw.csv").write_text(GERMAN, encoding="cp1252")
    found = tidy_sales(tmp_path / "raw.csv", output=tmp_path / "sales.csv")
    again, once = read_sales(tmp_path / "sales.csv"), read_sales(tmp_path / "raw.csv")
    assert plain(again) == plain(once) and not again.steps and len(found.to_frame()) == 4
    with pytest.raises(UserError, match="exists already"):
        tidy_sales(tmp_path / "raw.csv", output=tmp_path / "sales.csv")
    with pytest.raises(UserError, match="is what would be read"):
        tidy_sales(tmp_path / "sales.csv", output=tmp_path / "sales.csv", force=True)


def test_a_replay_reads_the_file_without_what_was_decided(tmp_path: Path) -> None:
    (tmp_path / "raw.csv").write_text(GERMAN, encoding="cp1252")
    with pytest.raises(
        UserError, match=r"--replay: .* without --returns drop, --add-up; make a sales file first: bazaar sales"
    ):
        calibrate(tmp_path / "raw.csv", output=tmp_path / "a.yaml", replay=True, returns="drop", add_up=True)


INPUTS = ROOT.parent / "shared" / "inputs"
RIGHT = {  # rows, periods, and first units that stand in the table of right answers
    "format_isoweek.csv": (180, 60),
    "format_mony.csv": (108, 36),
    "format_quarters.csv": (120, 40),
    "format_us2.csv": (180, 60),
    "format_yearweek.csv": (180, 60),
    "format_subdaily.csv": (180, 60),
    "format_zeros_noprice.csv": (180, 60),
    "format_zipped_csv.zip": (180, 60),
    "format_promotext.csv": (180, 60),
    "format_exactdup.csv": (180, 60),
    "format_oneseller.csv": (60, 60),
    "first_date_a_day_late.csv": (180, 60),
    "total_as_a_market.csv": (720, 60),
    "utc_midnights_spring.csv": (200, 100),
    "utc_midnights_two_hours.csv": (400, 100),
}


@pytest.mark.parametrize("name", RIGHT)
def test_inputs_that_failed_a_user(name: str) -> None:
    if not (INPUTS / name).is_file():
        pytest.skip(f"needs {name}")
    sales = read_sales(INPUTS / name)
    assert (len(sales.rows), len(sales.labels)) == RIGHT[name]


# ------------------------------------------------------------------------------------------------ any way of writing

DAYS = {
    "iso": "%Y-%m-%d",
    "German": "%d.%m.%Y",
    "British": "%d/%m/%Y",
    "American": "%m/%d/%y",
    "week": "%G-W%V",
    "words": "%d %b %Y",
    "time": "%Y-%m-%dT10:30:00+02:00",
}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    prices=st.lists(st.integers(1, 9_999_999), min_size=16, max_size=16),
    units=st.lists(st.integers(4, 9_999_999), min_size=16, max_size=16),
    mark=st.sampled_from(";\t|,"),
    style=st.sampled_from([(",", "."), (".", ","), (",", " "), (".", ""), (".", "'")]),
    around=st.sampled_from(["{}", "{} €", "$ {}", "USD {}"]),
    day=st.sampled_from(sorted(DAYS)),
    encoding=st.sampled_from(["utf-8", "utf-16", "cp1252"]),
)
def test_a_table_is_the_same_however_it_is_written(
    tmp_path: Path,
    prices: list[int],
    units: list[int],
    mark: str,
    style: tuple[str, str],
    around: str,
    day: str,
    encoding: str,
) -> None:
    decimal, thousands = style
    weeks = pd.date_range("2023-01-02", periods=8, freq="7D")

    def number(value: float, form: str) -> str:
        return format(value, form).translate({ord(","): thousands, ord("."): decimal})

    text, rows = io.StringIO(), []
    writer = csv.writer(text, delimiter=mark)
    writer.writerow(["Woche", "Artikel", "Preis", "Menge"])
    for k, (price, count) in enumerate(zip(prices, units, strict=True)):
        week, seller = weeks[k // 2], ("Müller", "Tee")[k % 2]
        writer.writerow(
            [week.strftime(DAYS[day]), seller, around.format(number(price / 100, ",.2f")), number(count, ",d")]
        )
        rows.append((str(week.date()), seller, price / 100, count))
    named = {"period": "Woche"} if mark else {}
    assert plain(read(tmp_path, text.getvalue().encode(encoding), columns=named)) == rows
