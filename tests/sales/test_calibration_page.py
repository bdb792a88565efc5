"""The calibration's page: its figures are those of the calibration, nothing is left out, and a browser draws it."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from market.calibration.calibrate import Calibration
from market.calibration.options import CalibrationOptions
from market.calibration.regression.logit import Coefficient
from policies.cli.main import main
from policies.sales.calibration_charts import (
    lifts,
    season_chart,
)
from policies.sales.calibration_page import page, typed_options, typed_reading
from policies.sales.calibration_table import FLAGS, shades
from policies.views.format import spaced
from policies.views.page import Page
from tests.helpers.browser import browser, visit
from tests.helpers.calibrated import body, cells, checked_of, figure, sales_file, whole, words
from tests.helpers.extras import needs

pytestmark = needs("pyblp")


def lead(made: Page) -> str:
    """What stands below the title."""
    return re.sub(r"\s+", " ", unescape(body(made).split('<p class="lead">')[1].split("</p>")[0])).strip()


# ---------------------------------------------------------------------------------------------- nothing is left out


def test_every_seller_has_a_card_and_its_rows(rich: Calibration) -> None:
    made = whole(rich)
    assert re.findall(r'class="who">([^<]*)<', body(made)) == ["ann", "bob", "cid"]
    for name, price, share in zip(rich.sellers, rich.price, rich.share, strict=True):
        row = next(row for row in cells(made) if row[0] == name and figure(float(price), "{:.3f}") in row)
        assert row[2] == f"{rich.cost[name]:.3f}"
        assert f"{share:.2%}".replace("%", " %") in row


def test_every_warning_is_there_as_a_sentence(rich: Calibration) -> None:
    items = [unescape(item) for item in re.findall(r"<li>(.*?)</li>", body(whole(rich)))]
    for warning in rich.warnings:
        ends = "" if warning.endswith("?") else "."
        assert any(item[1:] == warning[1:] + ends and item[0].lower() == warning[0].lower() for item in items)
    assert len(rich.warnings) >= 3


def test_every_check_has_its_figures_and_its_verdict(rich: Calibration) -> None:
    checked, made = checked_of(rich), whole(rich)
    for check in (*checked.checks, *checked.last):
        rows = [row for row in cells(made) if row[0] == spaced(check.name)]
        assert [spaced(check.rule), "ok" if check.passed else "FAILS"] in [row[3:] for row in rows]
    assert [row[1:3] for row in cells(made) if row[0] == "units in total"] == [["1,234", "1,357"]]
    marks = re.findall(r'<tr class="(holds|fails)">', body(made))
    assert marks == ["fails", "holds", "holds", "fails", "holds"]


def test_the_lead_says_what_was_fitted_and_whether_it_holds(rich: Calibration, plain: Calibration) -> None:
    said = lead(whole(rich))
    assert "359 rows" in said and "3 sellers in 2 markets, 60 weeks from 2021-01-04 to 2022-02-21" in said
    assert said.endswith("1 of 3 checks on weeks held out of the fit fails: units in total.")
    assert "2 sellers in one market, 60 periods from 11 to 70" in lead(whole(plain))
    assert lead(whole(plain, validated=False)).endswith("(--validate does that).")
    good = checked_of(plain)
    good = replace(good, checks=[check for check in good.checks if check.passed])
    assert lead(page(plain, good, "x")).endswith("All 2 checks on weeks held out of the fit hold.")


def test_a_market_that_was_not_validated_says_so_and_shows_no_checks(rich: Calibration) -> None:
    made = whole(rich, validated=False)
    assert "Calibrate again with --validate" in words(made)
    assert 'class="holds"' not in body(made)
    assert "The last fifth" not in words(made)


@pytest.mark.parametrize("which", ["rich", "plain", "many", "asked"])
@pytest.mark.parametrize("validated", [True, False])
def test_no_table_shows_what_is_no_number(which: str, validated: bool, request: pytest.FixtureRequest) -> None:
    made = whole(request.getfixturevalue(which), validated)
    for row in cells(made):
        for cell in row:
            assert not re.search(r"\b(nan|None|inf|null)\b", cell), row
            assert not re.search(r"\d{1,3}\.\d{5,}|e[+-]\d\d", cell), row
    assert not re.search(r"\b(nan|None|inf)\b", words(made))


def test_a_plain_market_has_no_words_about_what_it_lacks(plain: Calibration) -> None:
    text = words(whole(plain))
    assert "The file has no promotions" in text
    assert "There is no nest, as asked" in text
    assert "rho, estimated" not in text
    for absent_section in ("season moves", "Trends,", "other market sizes"):
        assert absent_section not in text
    assert season_chart(plain) is None and lifts(plain) == {}
    assert "9,000 units in every period, as given" in text


def test_the_choice_of_the_model_is_told(rich: Calibration, asked: Calibration) -> None:
    text, tried = words(whole(rich)), {one.form: one.r2 for one in rich.tried if one.rho is None}
    assert "explains more than the other form" in text
    assert f"R² {max(tried.values()):.3f} against {min(tried.values()):.3f} without a nest" in text
    assert "(least squares in the price)" in text
    text = words(whole(asked))
    assert "as asked (--price log)" in text and "overdispersion of customers" in text
    assert "The price was instrumented by rivals, promotions." in text


def test_the_chosen_model_is_marked_among_those_tried(rich: Calibration) -> None:
    rows = [row for row in cells(whole(rich)) if row[0] in ("linear", "log") and len(row) == 6]
    assert len(rows) == len({id(one) for one in rich.tried})
    chosen, one = [row for row in rows if row[-1] == "chosen"], rich.fit.fitted
    assert [row[2] for row in chosen] == [f"{one.alpha.value:.3f} ({one.alpha.error:.3f})"]


def test_many_long_names_stand_as_numbers_above_the_matrix(many: Calibration) -> None:
    rows = cells(whole(many))
    start = next(k for k, row in enumerate(rows) if row[0].startswith("demand of"))
    assert rows[start][1:] == [str(k) for k in range(1, 13)]
    assert rows[start + 3][0] == "3 seller.number-02"


def test_unit_costs_are_told_with_their_source(rich: Calibration, plain: Calibration, many: Calibration) -> None:
    assert "Unit costs are not in the file." in words(whole(rich))
    assert "60\u00a0% of each seller's mean price" in words(whole(many))
    assert "implied margin" not in words(whole(many))
    given = replace(plain, sales=replace(plain.sales, rows=plain.sales.rows.assign(cost=1.0)))
    assert "the means of the file's column cost" in words(whole(given))


def test_the_method_names_the_file_its_digest_gaps_and_sources(rich: Calibration) -> None:
    text = words(whole(rich))
    assert rich.sales.sha256 in text and str(rich.sales.path) in text
    assert "1 row missing (0.3\u00a0% of a file without gaps)" in text
    for source in ("Berry (1994)", "Berry, Levinsohn & Pakes (1995)", "Conlon & Gortmaker (2020)", "Train (2009)"):
        assert source in text
    assert "--season 4" in text


# ---------------------------------------------------------------------------------------------- self-contained, escaped


def test_names_are_escaped(rich: Calibration) -> None:
    html = body(whole(rich))
    assert "<b>" not in html and "<i>" not in html
    assert "&lt;b&gt;feat&lt;/b&gt;" in html and "a&lt;i&gt;&amp;b" in html


def test_names_do_not_break_out_of_a_chart(rich: Calibration) -> None:
    season = {"</script><script>alert(1)": Coefficient(0.1, 0.05), "x": Coefficient(-0.1, 0.05)}
    named = replace(
        rich,
        fit=replace(rich.fit, fitted=replace(rich.fit.fitted, season=season)),
        sales=replace(rich.sales, rows=rich.sales.rows.assign(season="x")),
    )
    assert "<script>alert" not in whole(named).text()


def test_the_page_fetches_nothing(rich: Calibration) -> None:
    html = body(whole(rich))
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!#|data:)", html)
    assert "default-src 'none'" in whole(rich).text()


needs_browser = pytest.mark.skipif(browser() is None, reason="no Chromium here: Debian's package chromium has it")


@needs_browser
def test_a_browser_draws_every_chart_without_network_or_errors(rich: Calibration, tmp_path: Path) -> None:
    file = tmp_path / "mine.html"
    file.write_text(whole(rich).text(), encoding="utf-8")
    seen = visit(file)
    assert seen.charts == 4
    assert not seen.console
    assert not seen.requests


# ---------------------------------------------------------------------------------------------- figures and words


def test_the_elasticity_table_is_the_matrix_and_its_colours_follow_the_sign(rich: Calibration) -> None:
    rows, colours = cells(whole(rich)), shades(rich)
    start = next(k for k, row in enumerate(rows) if row[0].startswith("demand of"))
    for k, name in enumerate(rich.sellers):
        assert rows[start + 1 + k] == [name, *(figure(value, "{:+.3f}") for value in rich.elasticity[k])]
        for j, colour in enumerate(colours[k]):
            assert ("213,94,0" in colour) == (j == k)


def test_every_option_can_be_told() -> None:
    other = CalibrationOptions(
        form="log", nest=False, instruments=("cost", "rivals"), reference=0.5, size_factor=2.0, size=100.0,
        season_length=4, trend=False, gamma=True, force=("gaps",), inventory="make_to_order", lead_time=2, holding=0.1,
        cost_share=0.6, replay=True,
    )  # fmt: skip
    assert set(FLAGS) == set(vars(other))
    assert "--iv cost,rivals" in typed_options(other) and "--cost-share 0.6" in typed_options(other)
    assert typed_options(CalibrationOptions()).startswith("none")


def test_how_the_file_was_read_is_told_as_typed() -> None:
    reading = {"columns": {"period": "week"}, "where": {"category": "YOGURT"}, "periods": ["2", None]}
    assert typed_reading(reading) == "--columns period=week --where category=YOGURT --periods 2:"
    assert typed_reading({}) == ""


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    sales = sales_file(tmp_path, ("ann", "bob"), ("all",))
    out, report = tmp_path / "mine.yaml", tmp_path / "mine.html"
    assert (
        main(["calibrate", str(sales), "-o", str(out), "--report", str(report), "--no-nest", "--periods", "12:"]) == 0
    )
    text = report.read_text(encoding="utf-8")
    assert "<title>mine.yaml: a market from sales.csv</title>" in text
    assert "--periods 12:" in text
    assert "Which market was written?" in text and "39 draws of what the estimate leaves open" in text
