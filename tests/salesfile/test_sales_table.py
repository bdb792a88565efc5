"""Reading sales files: what may stand in them, where a message says it stands, and what nobody should have to guess."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from market.errors import UserError
from market.forecast.series import periods_ahead
from market.salesfile.options import ReadingOptions
from market.salesfile.table import Sales, read_sales
from policies.sales.reading import columns_option
from tests.helpers.sales_files import changed, csv_text, dated, month_end, monthly, sound, weekly, write_sales

SMALL = """period,seller,price,units
1,ann,2.0,10
1,bob,2.5,20
2,ann,2.1,11
2,bob,2.4,21
"""
WITH_MARKETS = """market,period,seller,price,units,promo_flyer
y,1,ann,2.0,10,0
x,2,bob,2.5,20,0.5
x,1,bob,2.1,11,1
x,1,ann,2.4,21,0
"""


def read(folder: Path, text: str, **options: Any) -> Sales:
    return read_sales(write_sales(folder, text), ReadingOptions(**options))


def refused(folder: Path, text: str, **options: Any) -> list[str]:
    """The lines of the message, without the file's path."""
    path = write_sales(folder, text)
    with pytest.raises(UserError) as problem:
        read_sales(path, ReadingOptions(**options))
    lines = str(problem.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


def plain(sales: Sales) -> list[list[Any]]:
    columns = ["market", "period", "seller", "price", "units", *sales.promotions]
    return [list(row) for row in sales.rows[columns].itertuples(index=False)]


# ------------------------------------------------------------------------------------------------ what may be there


def test_rows_are_sorted_and_keep_their_lines(tmp_path: Path) -> None:
    sales = read(tmp_path, WITH_MARKETS)
    assert plain(sales) == [
        ["x", 0, "ann", 2.4, 21, 0],
        ["x", 0, "bob", 2.1, 11, 1],
        ["x", 1, "bob", 2.5, 20, 0.5],
        ["y", 0, "ann", 2.0, 10, 0],
    ]
    assert sales.rows["line"].tolist() == [5, 4, 3, 2]
    assert (sales.sellers, sales.markets, sales.promotions) == (["ann", "bob"], ["x", "y"], ["promo_flyer"])
    assert (sales.labels, sales.dates, sales.step, sales.place) == (["1", "2"], None, "period", "line")
    assert sales.sha256 == hashlib.sha256(WITH_MARKETS.encode()).hexdigest()


def test_a_file_without_markets_is_one_market(tmp_path: Path) -> None:
    sales = read(tmp_path, SMALL)
    assert sales.markets == ["all"] and not sales.has("cost") and sales.has("market")


def test_markets_that_are_numbers_are_sorted_by_value(tmp_path: Path) -> None:
    text = "market,period,seller,price,units\n" + "".join(f"{m},1,ann,2,1\n" for m in ("10", "9", "b", "²"))
    assert read(tmp_path, text).markets == ["9", "10", "b", "²"]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("period,seller", "period , seller"),
        lambda text: text.replace("1,ann", " 1 , ann "),
        lambda text: text.replace("ann", '"ann"'),
        lambda text: text.replace("2.0", "2.000").replace(",10", ",1e1"),
        lambda text: text + "\n\n",
        lambda text: text + ",,,\n",
        lambda text: "".join(f"{k},{line}\n" for k, line in enumerate(text.splitlines())).replace(
            "0,period", ",period"
        ),
        lambda text: "".join(f"{line},a remark\n" for line in text.splitlines()),
    ],
    ids=(
        [
            "BOM",
            "CRLF",
            "CR",
            "no-last-newline",
            "spaced-heads",
            "spaced-cells",
            "quotes",
            "numbers",
            "blank-end",
            "empty-cells",
            "index",
            "extra",
        ]
    ),
)
def test_spellings_of_one_file_read_the_same(tmp_path: Path, change: Callable[[str], str]) -> None:
    expected, found = read(tmp_path, SMALL), read(tmp_path, change(SMALL))
    assert plain(found) == plain(expected)
    assert found.rows["line"].tolist() == expected.rows["line"].tolist() == [2, 3, 4, 5]


def test_a_quoted_comma_belongs_to_the_name_and_names_are_kept(tmp_path: Path) -> None:
    sales = read(tmp_path, SMALL.replace("ann", '"Ann, Inc."').replace("bob", "日本茶  500 g"))
    assert sales.sellers == ["Ann, Inc.", "日本茶 500 g"]


def test_names_that_look_like_nothing_or_like_numbers_are_names(tmp_path: Path) -> None:
    names = ["007", "1e3", "NA", "None", "True", "null"]
    text = "market,period,seller,price,units\n" + "".join(f"NA,{t},{name},2,1\n" for t in (1, 2) for name in names)
    sales = read(tmp_path, text)
    assert sales.sellers == names and sales.markets == ["NA"] and len(sales.rows) == 12


def test_promotions_may_be_true_or_false(tmp_path: Path) -> None:
    text = WITH_MARKETS.replace(",1\n", ",TRUE\n").replace(",0\n", ",False\n")
    assert plain(read(tmp_path, text)) == plain(read(tmp_path, WITH_MARKETS))


def test_columns_are_mapped_and_the_files_own_of_that_name_is_not_used(tmp_path: Path) -> None:
    text = SMALL.replace("period,seller,price,units", "week,brand,price,move").replace("move", "move,deal,units")
    text = "\n".join(f"{line},1,77" if k else line for k, line in enumerate(text.splitlines()))
    mapping = columns_option("period=week, seller=brand,units=move,promo_deal=deal")
    sales = read(tmp_path, text, columns=mapping)
    assert [row[:5] for row in plain(sales)] == plain(read(tmp_path, SMALL))
    assert sales.promotions == ["promo_deal"]


def test_where_and_periods_choose_rows_that_keep_their_lines(tmp_path: Path) -> None:
    assert read(tmp_path, WITH_MARKETS, where={"market": "x"}).rows["line"].tolist() == [5, 4, 3]
    chosen = read(tmp_path, WITH_MARKETS, periods=("2", None))
    assert chosen.rows["line"].tolist() == [3] and chosen.labels == ["2"]
    both = read(tmp_path, WITH_MARKETS, where={"market": "x", "seller": "bob"}, periods=("1", "1"))
    assert both.rows["line"].tolist() == [4]


def test_periods_are_chosen_by_value_not_by_letters(tmp_path: Path) -> None:
    text = csv_text(sound(periods=30))
    assert read(tmp_path, text, periods=("9", "10")).labels == ["9", "10"]
    text = csv_text(dated(sound(periods=30), weekly))
    found = read(tmp_path, text, periods=("2023-02-01", "2023-02-13"))
    assert found.labels == ["2023-02-06", "2023-02-13"]


def test_bad_rows_that_are_not_chosen_do_no_harm(tmp_path: Path) -> None:
    text = SMALL + "3,ann,?,?\n"
    assert len(read(tmp_path, text, periods=(None, "2")).rows) == 4
    assert len(read(tmp_path, text.replace("3,ann", "3,cem"), where={"seller": "ann"}).rows) == 2


def test_parquet_reads_as_the_csv_does(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    rows = changed(sound(periods=30, effect=0.5, cost=True, markets=("x", "y")), lambda k, row: {"season": "ab"[k % 2]})
    expected = read(tmp_path, csv_text(dated(rows, weekly)))
    frame = pd.DataFrame(dated(rows, weekly)).astype({"promo_flyer": bool, "units": float, "seller": "category"})
    frame["period"] = pd.to_datetime(frame["period"])
    for name, table in {"a.parquet": frame, "b.pq": frame.set_index(["period", "seller"])}.items():
        table.to_parquet(tmp_path / name)
        found = read_sales(tmp_path / name)
        columns = [column for column in expected.rows.columns if column != "line"]
        pd.testing.assert_frame_equal(found.rows[columns], expected.rows[columns])
        assert (found.labels, found.step, found.place) == (expected.labels, "week", "row")
        assert found.rows["line"].tolist() == (expected.rows["line"] - 1).tolist()


def test_a_message_about_parquet_names_rows(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(changed(sound(periods=2), {3: {"units": -1}}))
    frame.loc[4, "price"] = np.nan
    frame.to_parquet(tmp_path / "sales.parquet")
    with pytest.raises(UserError, match=r"row 5: price must be a number > 0 \(got missing"):
        read_sales(tmp_path / "sales.parquet")
    (tmp_path / "other.parquet").write_text(SMALL)
    with pytest.raises(UserError, match=r"other.parquet: is not a Parquet file that can be read"):
        read_sales(tmp_path / "other.parquet")


# ------------------------------------------------------------------------------------------------ periods


def of_periods(folder: Path, names: list[Any]) -> Sales:
    return read(folder, "period,seller,price,units\n" + "".join(f"{name},ann,2,9\n" for name in names))


@pytest.mark.parametrize(
    ("names", "labels", "index", "step"),
    [
        ([40, 41, 43], ["40", "41", "42", "43"], [0, 1, 3], "period"),
        (["-1.0", "0", "1e0"], ["-1", "0", "1"], [0, 1, 2], "period"),
        (["2024-02-28", "2024-02-29", "2024-03-01"], ["2024-02-28", "2024-02-29", "2024-03-01"], [0, 1, 2], "day"),
        (
            ["2024-01-01", "2024-01-08", "2024-01-15", "2024-01-29"],
            ["2024-01-01", "2024-01-08", "2024-01-15", "2024-01-22", "2024-01-29"],
            [0, 1, 2, 4],
            "week",
        ),
        (["2024-01-01 00:00:00", "2024-01-15T12:00:00+02:00"], ["2024-01-01", "2024-01-15"], [0, 1], "14 days"),
        (
            ["2023-11", "2023-12", "2024-02"],
            ["2023-11-01", "2023-12-01", "2024-01-01", "2024-02-01"],
            [0, 1, 3],
            "month",
        ),
        (["2023-12-31", "2024-01-31", "2024-02-29"], ["2023-12-31", "2024-01-31", "2024-02-29"], [0, 1, 2], "month"),
        (["2023-04-30", "2023-05-31"], ["2023-04-30", "2023-05-31"], [0, 1], "month"),
        (["2024-01-01"], ["2024-01-01"], [0], "day"),
    ],
)
def test_periods_are_indexed(tmp_path: Path, names: list[Any], labels: list[str], index: list[int], step: str) -> None:
    sales = of_periods(tmp_path, names)
    assert (sales.labels, sales.rows["period"].tolist(), sales.step) == (labels, index, step)
    if sales.dates is not None:
        assert [day.date().isoformat() for day in sales.dates] == labels


def test_periods_ahead_of_month_ends_are_month_ends(tmp_path: Path) -> None:
    sales = of_periods(tmp_path, [month_end(k) for k in range(1, 13)])
    assert periods_ahead(sales, 3) == ["2021-01-31", "2021-02-28", "2021-03-31"]
    sales = of_periods(tmp_path, [monthly(k, 15) for k in range(1, 13)])
    assert periods_ahead(sales, 2) == ["2021-01-15", "2021-02-15"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["2024-01-01", "03/04/2024"], r"line 3: period must be a date .*\(got '03/04/2024'\)"),
        (["30/02/2024", "18/03/2024"], r"line 2: period must be .*\(got '30/02/2024'\)"),
        (
            ["03/04/2024", "04/05/2024", "07/05/2024"],
            r"periods can be read in two ways: 03/04/2024 is 2024-04-03 or 2024-03-04; --dates dmy or mdy",
        ),
        ([1, 2, "three", ""], r"lines 4, 5: period must be .*\(got 'three'\)"),
        ([1, "", 3], r"line 3: period must be .*\(got missing\)"),
        ([1, 2, 2.5], r"line 4: period must be .*\(got '2.5'\)"),
        ([1, 2, "inf"], r"line 4: period must be .*\(got 'inf'\)"),
        (["2024-01-01", "2024-01-08", 5], r"line 4: period must be .*\(got '5'\)"),
        (["2024-02-30", "2024-W05"], r"line 2: period must be .*\(got '2024-02-30'\)"),
        (
            ["2024-01-01", "2024-01-08", "2024-01-15", "2024-01-23"],
            r"line 5: dates must lie a whole number of steps apart; the commonest step here is 7 days, on which .*-23 does not",
        ),
        (
            [f"2024-01-{day:02}" for day in (1, 3, 5, 8, 10, 12)],
            r"lines 5, 6, 7: dates must .* is 2 days, .*-08 does not; --period week adds up what lies in one",
        ),
        ([1577836800, 1578441600], r"lines 2, 3: periods run from 1577836800 to 1578441600, but only 2 of them occur"),
    ],
)
def test_periods_that_cannot_be_are_refused(tmp_path: Path, names: list[Any], said: str) -> None:
    with pytest.raises(UserError, match=f"sales.csv: {said}"):
        of_periods(tmp_path, names)


def test_years_without_months_are_periods(tmp_path: Path) -> None:
    assert of_periods(tmp_path, [2019, 2020, 2021]).labels == ["2019", "2020", "2021"]
    assert of_periods(tmp_path, [202401, 202402]).labels == ["202401", "202402"]


# ------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("2.1", "abc", "price must be a number > 0 (got 'abc')"),
        ("2.1", "-2", "price must be a number > 0 (got '-2')"),
        ("2.1", "", "price must be a number > 0 (got missing: leave out the rows of a seller that was not there)"),
        ("2.1", "NA", "price must be a number > 0 (got 'NA': leave out the rows of a seller that was not there)"),
        ("2.1", "2.10 oz", "price must be a number > 0 (got '2.10 oz')"),
        ("2.1", "inf", "price must be a number > 0 (got 'inf': at most 1e+12)"),
        ("2.1", "True", "price must be a number > 0 (got 'True')"),
        (",11", ",nan", "units must be a number (got 'nan': leave out the rows of a seller that was not there)"),
        (",11", ",1e300", "units must be a number (got '1e300': at most 1e+12)"),
        (",11", ",12 oz", "units must be a number (got '12 oz')"),
        ("2,ann", "2,", "seller is missing"),
    ],
)
def test_a_bad_cell_is_named_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    lines = refused(tmp_path, SMALL.replace(old, new))
    assert len(lines) == 1 and lines[0].startswith(f"line 4: {said}")


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        (
            "promo_flyer",
            "25",
            "promo_flyer must be a number from 0 to 1 (got '25': where this is a percentage, divide by 100)",
        ),
        (
            "promo_flyer",
            "1.5",
            "promo_flyer must be a number from 0 to 1 (got '1.5': where this is a percentage, divide by 100)",
        ),
        ("promo_flyer", "101", "promo_flyer must be a number from 0 to 1 (got '101')"),
        ("promo_flyer", "-0.1", "promo_flyer must be a number from 0 to 1 (got '-0.1')"),
        ("promo_flyer", "perhaps", "promo_flyer must be a number from 0 to 1 (got 'perhaps')"),
        ("cost", "-1", "cost must be a number >= 0 (got '-1')"),
        ("cost", "", "cost must be a number >= 0 (got missing: give it in every row, or leave the column out)"),
        ("market_size", "0", "market_size must be a number > 0 (got '0')"),
        ("season", "", "season is missing"),
        ("market", "", "market is missing"),
    ],
)
def test_a_bad_cell_of_an_optional_column_is_named(tmp_path: Path, column: str, cell: str, said: str) -> None:
    heads, *rest = SMALL.splitlines()
    cells = ["1", cell, "1", cell]
    text = "\n".join([f"{heads},{column}", *(f"{line},{one}" for line, one in zip(rest, cells, strict=True))])
    assert refused(tmp_path, text) == [f"lines 3, 5: {said}"]


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    assert refused(tmp_path, SMALL + "summer,,,62\n") == [
        (
            "line 6: period must be a date such as 2024-03-31, a week such as 2024-W13, a month such as 2024-03, or a "
            "whole number, the same in every row (got 'summer')"
        ),
        "line 6: price must be a number > 0 (got missing: leave out the rows of a seller that was not there)",
        "line 6: seller is missing",
    ]


def test_lines_are_those_of_the_file_whatever_is_skipped_filtered_and_sorted(tmp_path: Path) -> None:
    text = '\n"period",seller,price,units,note\n9,bob,2,9,"two\nlines"\n\n8,ann,2,9,\n7,bob,abc,9,\n6,ann,2,9,\n'
    assert refused(tmp_path, text) == ["line 7: price must be a number > 0 (got 'abc')"]
    assert refused(tmp_path, text, where={"seller": "bob"}) == ["line 7: price must be a number > 0 (got 'abc')"]
    assert read(tmp_path, text.replace("abc", "3")).rows["line"].tolist() == [8, 7, 6, 3]


def test_names_that_would_become_one_are_refused(tmp_path: Path) -> None:
    text = SMALL.replace("ann", "A/B").replace("bob", "A_B")
    assert refused(tmp_path, text) == ["sellers A/B, A_B would have one name (A_B): rename one"]


def test_names_that_differ_only_in_upper_and_lower_case_are_refused(tmp_path: Path) -> None:
    text = SMALL.replace("ann", "Dominicks").replace("bob", "dominicks")
    rule = "differ only in upper and lower case: write both the same way"
    assert refused(tmp_path, text) == [f"sellers Dominicks, dominicks {rule}"]
    assert refused(tmp_path, WITH_MARKETS.replace("y,", "X,", 1)) == [f"markets X, x {rule}"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("period,seller,price,units\n", "has no rows"),
        ("period,seller,price\n1,a,2\n", "column units missing; the file has period, seller, price: name yours with "),
        (
            "week,brand\n1,a\n",
            "columns price, units missing; the file has week, brand: name yours with ",
        ),
        (
            "Sales,1991\n" + SMALL,
            (
                "lines 2, 3, 4, 5, 6: 4 cells under 2 columns; a comma inside a number or a name needs quotes around it, "
                "and the first line must be the column names"
            ),
        ),
        (
            "Sales,1991,,\n" + SMALL,
            (
                "columns period, price, units missing; the file has Sales, 1991: name yours with --columns "
                "period=COLUMN (the first line must be the column names)"
            ),
        ),
        (
            SMALL + "3,ann\n",
            "line 6: 2 cells under 4 columns; a comma inside a number or a name needs quotes around it",
        ),
        (SMALL.replace("2.5,20", "2,5,20"), "line 3: 5 cells under 4 columns; a comma inside a number"),
        (SMALL.replace("units", "price", 1), "line 1: column price is there twice: rename one"),
        (SMALL + '3,"ann,2,1\n', "line 6: is no line of a table (unexpected end of data)"),
    ],
)
def test_files_that_are_no_tables_of_sales_are_refused(tmp_path: Path, text: str, said: str) -> None:
    lines = refused(tmp_path, text)
    assert len(lines) == 1 and lines[0].startswith(said)


def test_what_is_no_text_or_no_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    with pytest.raises(UserError, match=r"sales.csv: no such file$"):
        read_sales(path)
    with pytest.raises(UserError, match=r"is a folder without files that can be read: CSV, workbooks, Parquet$"):
        read_sales(tmp_path)
    path.write_bytes(bytes(range(256)) * 50)
    with pytest.raises(UserError, match=r"sales.csv: is no text that can be read"):
        read_sales(path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"columns": {"period": "week"}},
            "--columns period=week: no such column; the file has period, seller, price, ",
        ),
        ({"where": {"shop": "1"}}, "--where shop: no such column; the file has period, seller, price, units"),
        ({"where": {"seller": "cem"}}, "--where seller=cem: no row has it; there are ann, bob"),
        ({"periods": ("3", None)}, "--periods: no row lies there; the file's periods run from 1 to 2"),
        (
            {"periods": ("2", "1")},
            "--periods: the first, 2, is after the last, 1; the file's periods run from 1 to 2",
        ),
        ({"periods": (None, "2024-01-01")}, "--periods: '2024-01-01' must be a number, as the file's periods are"),
    ],
)
def test_choices_that_the_file_does_not_offer_are_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    lines = refused(tmp_path, SMALL, **options)
    assert len(lines) == 1 and lines[0].startswith(said)


def test_dates_are_not_chosen_by_numbers(tmp_path: Path) -> None:
    text = csv_text(dated(sound(periods=3), weekly))
    assert refused(tmp_path, text, periods=("x", None)) == [
        "--periods: 'x' must be an ISO date, as the file's periods are"
    ]
    first, last = pd.DataFrame(dated(sound(periods=3), weekly))["period"].agg(["min", "max"])
    assert refused(tmp_path, text, periods=("2024", "2023")) == [
        f"--periods: the first, 2024, is after the last, 2023; the file's periods run from {first} to {last}"
    ]


@pytest.mark.parametrize(
    ("periods", "kept"),
    [
        (("1991", "1991"), ["1991-01-01", "1991-02-28", "1991-03-01", "1991-12-31"]),
        ((None, "1991-02"), ["1990-12-31", "1991-01-01", "1991-02-28"]),
        (("1991-02", "1991-03"), ["1991-02-28", "1991-03-01"]),
        (("1991-12-31", None), ["1991-12-31", "1992-01-01"]),
        ((None, "1991-01-01"), ["1990-12-31", "1991-01-01"]),
    ],
)
def test_a_year_or_month_as_a_bound_means_all_its_days(
    tmp_path: Path, periods: tuple[str | None, str | None], kept: list[str]
) -> None:
    days = ["1990-12-31", "1991-01-01", "1991-02-28", "1991-03-01", "1991-12-31", "1992-01-01"]
    text = "period,seller,price,units\n" + "".join(f"{day},ann,2,9\n" for day in days)
    lines = read(tmp_path, text, periods=periods).rows["line"]
    assert [days[line - 2] for line in lines] == kept


def test_a_year_as_a_bound_of_whole_numbers_is_that_number(tmp_path: Path) -> None:
    text = "period,seller,price,units\n" + "".join(f"{year},ann,2,1\n" for year in (1990, 1991, 1992))
    assert read(tmp_path, text, periods=("1991", "1991")).labels == ["1991"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("week", "--columns: 'week' must be NAME=COLUMN, such as period=week"),
        ("period=", "--columns: 'period=' must be NAME=COLUMN"),
        ("period=a,", "--columns: '' must be NAME=COLUMN"),
        (
            "time=week",
            "--columns: 'time' is no column of a sales file; there are period, seller, price, units, market, ",
        ),
        ("period=a,period=b", "--columns: period is given twice"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(text: str, said: str) -> None:
    with pytest.raises(UserError) as problem:
        columns_option(text)
    assert str(problem.value).startswith(said)
