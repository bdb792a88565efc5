"""The calibration's page: its figures are those of the calibration, nothing is left out, and a browser draws it."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from market.calibration.calibrate import Calibration, calibrate
from market.calibration.logit import Coefficient, elasticities
from market.calibration.options import CalibrationOptions
from market.calibration.validation import Check, Validation
from market.salesfile.table import read_sales
from policies.cli.main import main
from policies.sales.calibration_charts import (
    absent,
    correlation,
    curves_chart,
    demand_curve,
    lifts,
    mean_size,
    own_elasticity,
    scatter_chart,
    season_chart,
    season_labels,
    weeks_chart,
)
from policies.sales.calibration_page import FLAGS, options_words, page, reading_words, shades
from policies.views.format import spaced
from policies.views.page import Page
from tests.helpers.browser import browser, visit

pytest.importorskip("pyblp")

NASTY = "promo_<b>feat</b>&"
PAGES: dict[tuple[int, bool], tuple[Calibration, Page]] = {}  # drawn once; holding the calibration keeps its id its own
ABSENT = (7, "bob", "south")


def sales_file(folder: Path, sellers: tuple[str, ...], markets: tuple[str, ...], **options: Any) -> Path:
    """Draws from a logit in log price, alpha 2.5, 60 periods."""
    rng = np.random.default_rng(3)
    promoted, dated = options.get("promoted", False), options.get("dated", False)
    heads = ["period", "seller", "price", "units", *(["market"] if len(markets) > 1 else [])]
    rows, weeks = [heads + ([NASTY] if promoted else [])], pd.date_range("2021-01-04", periods=60, freq="7D")
    for market in markets:
        for t in range(60):
            price = 2.0 * np.exp(rng.normal(0.0, 0.25, len(sellers)))
            feature = (rng.random(len(sellers)) < 0.25).astype(int) if promoted else np.zeros(len(sellers), int)
            utility = 0.3 - 2.5 * np.log(price) + 0.6 * feature + 0.2 * (t % 4 == 1) + rng.normal(0, 0.15, len(sellers))
            weight = np.exp(utility)
            units = rng.multinomial(4000, [*(weight / (1 + weight.sum())), 1 / (1 + weight.sum())])
            for k, seller in enumerate(sellers):
                if (t, seller, market) != ABSENT:
                    row = [weeks[t].date().isoformat() if dated else t + 11, seller, f"{price[k]:.2f}", units[k]]
                    rows.append(row + ([market] if len(markets) > 1 else []) + ([feature[k]] if promoted else []))
    path = folder / options.get("name", "sales.csv")
    path.write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n")
    return path


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    """Three sellers in two markets: dates, seasons, promotions, a nest tried, a gap, and a name that HTML would mind."""
    folder = tmp_path_factory.mktemp("rich")
    path = sales_file(folder, ("ann", "bob", "cid"), ("north", "south"), promoted=True, dated=True, name="a<i>&b.csv")
    found = calibrate(read_sales(path), CalibrationOptions(season_length=4))
    return replace(found, warnings=[*found.warnings, "a <b>bold</b> & nasty one", "is it a typing error?"])


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    """Two sellers in one market, linear price, no nest, no promotions, no seasons, no trends."""
    path = sales_file(tmp_path_factory.mktemp("plain"), ("ann", "bob"), ("all",))
    return calibrate(read_sales(path), CalibrationOptions(form="linear", nest=False, trend=False, size=9000.0))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    """Twelve sellers."""
    names = tuple(f"seller.number-{k:02d}" for k in range(12))
    path = sales_file(tmp_path_factory.mktemp("many"), names, ("all",))
    return calibrate(read_sales(path), CalibrationOptions(nest=False, cost_share=0.6))


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    """Everything that options add: instruments, a reference price, overdispersion, doubts overruled."""
    path = sales_file(tmp_path_factory.mktemp("asked"), ("ann", "bob", "cid"), ("all",), promoted=True)
    options = CalibrationOptions(
        form="log", nest=False, instruments=("rivals", "promotions"), reference=0.5, gamma=True, force=True
    )
    return calibrate(read_sales(path), options)


def checked_of(found: Calibration) -> Validation:
    """Held-out weeks made up: the market sells a tenth more than the file in every period."""
    weeks = found.sales.rows.groupby(["period", "seller"])["units"].sum().reset_index()
    weeks["market"] = weeks["units"] * 1.1 + 1.0
    checks = [
        Check("units in total", 1234.0, 1357.4, "within 5%", False),
        Check("own price, log-log", -2.51, -2.5, "within 15%", True),
        Check("rows in their 90% intervals", 0.9, 0.881, "at least 0.85", True),
    ]
    last = [replace(checks[1], market=-3.9, passed=False), replace(checks[0], name="share of <ann>", passed=True)]
    return Validation(checks, last, 357, 72, weeks)


def whole(found: Calibration, validated: bool = True) -> Page:
    key = id(found), validated
    if key not in PAGES:
        PAGES[key] = found, page(found, checked_of(found) if validated else None, "mine.yaml")
    return PAGES[key][1]


@cache
def body(made: Page) -> str:
    """The page's own HTML, without the library of charts and without the charts' data."""
    text = made.text().split("</head>", 1)[1]
    return re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)


def cells(made: Page) -> list[list[str]]:
    """Every row of every table, as text."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", body(made), flags=re.DOTALL)
    return [[unescape(re.sub(r"<[^>]*>", "", cell)) for cell in re.findall(r"<t[dh].*?</t[dh]>", row)] for row in rows]


def words(made: Page) -> str:
    """The page's text, broken over lines as a browser does: anywhere."""
    return re.sub(r"[ \n]+", " ", unescape(re.sub(r"<[^>]*>", "", body(made))))


def lead(made: Page) -> str:
    """What stands below the title."""
    return re.sub(r"\s+", " ", unescape(body(made).split('<p class="lead">')[1].split("</p>")[0])).strip()


def figure(value: float, form: str) -> str:
    """A number as the page writes it."""
    return form.format(value).replace("-", "−")


# ------------------------------------------------------------------------------------------- nothing is left out


def test_every_seller_has_a_card_and_its_rows(rich: Calibration) -> None:
    made = whole(rich)
    assert re.findall(r'class="who">([^<]*)<', body(made)) == ["ann", "bob", "cid"]
    for name, price, share in zip(rich.sellers, rich.price, rich.share, strict=True):
        row = next(row for row in cells(made) if row[0] == name and figure(float(price), "{:.3f}") in row)
        assert row[2] == f"{rich.cost[name]:.3f}"
        assert f"{share:.2%}".replace("%", "\u00a0%") in row


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
        assert [spaced(check.rule), "✓ holds" if check.passed else "✗ fails"] in [row[3:] for row in rows]
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
    assert "✓ holds" not in words(made)
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


# ------------------------------------------------------------------------------------------- self-contained, escaped


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


# ------------------------------------------------------------------------------------------- charts are the numbers


def test_the_panels_hold_the_units_of_file_and_market(rich: Calibration) -> None:
    checked = checked_of(rich)
    traces = weeks_chart(rich, checked).data
    assert len(traces) == 6
    for k, name in enumerate(rich.sellers):
        sold, market = traces[2 * k], traces[2 * k + 1]
        assert list(sold.x) == rich.sales.labels  # dates on the axis
        rows = rich.sales.rows[rich.sales.rows["seller"] == name]
        for t in range(60):
            units = rows.loc[rows["period"] == t, "units"].sum()
            assert sold.y[t] == units
            assert market.y[t] == pytest.approx(1.1 * units + 1)


def test_a_period_without_a_row_leaves_a_gap(plain: Calibration) -> None:
    checked = checked_of(plain)
    weeks = checked.weeks[~((checked.weeks["seller"] == "ann") & (checked.weeks["period"] == 5))]
    sold, market, other, _ = weeks_chart(plain, replace(checked, weeks=weeks)).data
    assert sold.y[5] is None and market.y[5] is None and other.y[5] is not None
    assert list(sold.x) == list(range(11, 71))  # the file's own numbers


def test_points_are_expected_and_sold(rich: Calibration) -> None:
    *sellers, line = scatter_chart(rich, checked_of(rich)).data
    assert [trace.name for trace in sellers] == rich.sellers
    for trace in sellers:
        np.testing.assert_allclose(np.array(trace.x, float), 1.1 * np.array(trace.y, float) + 1)
    assert list(line.x) == list(line.y)


def test_the_season_has_its_utilities_and_their_intervals(rich: Calibration) -> None:
    chart, season = season_chart(rich), rich.fit.fitted.season
    assert chart is not None and len(season) == 4
    trace = chart.data[0]
    assert list(trace.y) == [one.value for one in season.values()]
    np.testing.assert_allclose(trace.error_y.array, [1.959964 * one.error for one in season.values()])
    assert list(trace.x) == ["4 Jan", "11 Jan", "18 Jan", "25 Jan"]
    assert max(season, key=lambda name: season[name].value) == "1"  # as simulated: t % 4 == 1


def test_seasons_of_several_numbered_periods_are_called_by_them(plain: Calibration) -> None:
    season = {str(k): Coefficient(0.0, 0.1) for k in range(3)}
    wide = replace(plain.fit.design, season=replace(plain.fit.design.season, length=12, width=4))
    named = replace(plain, fit=replace(plain.fit, design=wide, fitted=replace(plain.fit.fitted, season=season)))
    assert season_labels(named) == {"0": "1–4", "1": "5–8", "2": "9–12"}


@pytest.mark.parametrize("which", ["rich", "plain", "many"])
def test_a_demand_curve_goes_through_the_mean_with_the_elasticity_as_slope(
    which: str, request: pytest.FixtureRequest
) -> None:
    found = request.getfixturevalue(which)
    for seat, name in enumerate(found.sellers):
        curve = demand_curve(found, seat)
        assert curve.mean == pytest.approx((found.price[seat], found.share[seat] * mean_size(found)))
        assert curve.seller == name and curve.cost == found.cost[name]
        logs = np.gradient(np.log(curve.units), np.log(curve.price))
        slope = np.interp(found.price[seat], curve.price, logs)
        assert slope == pytest.approx(found.elasticity[seat, seat], rel=5e-3)
        level = np.exp(np.interp(np.log(found.price[seat]), np.log(curve.price), np.log(curve.units)))
        assert level == pytest.approx(curve.mean[1], rel=5e-3)


def test_a_demand_curve_is_the_logit_worked_out_by_hand(plain: Calibration) -> None:
    curve, other = demand_curve(plain, 0), float(plain.share[1])
    none = 1.0 - float(plain.share.sum())
    for price, units in zip(curve.price, curve.units, strict=True):
        weight = plain.share[0] / none * np.exp(-plain.fit.fitted.alpha.value * (price - plain.price[0]))
        assert units == pytest.approx(9000.0 * weight / (1.0 + weight + other / none))


def test_the_curves_drawn_are_those(rich: Calibration) -> None:
    traces = curves_chart(rich).data
    for seat in range(3):
        curve = demand_curve(rich, seat)
        np.testing.assert_array_equal(traces[2 * seat].y, curve.units)
        assert (traces[2 * seat + 1].x[0], traces[2 * seat + 1].y[0]) == curve.mean


@pytest.mark.parametrize("which", ["rich", "plain"])
def test_an_interval_is_the_delta_method_in_alpha(which: str, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(which)
    one, step = found.fit.fitted, 1e-5
    high, low = (
        np.diag(elasticities(found.price, found.share, one.alpha.value + move, one.nest, one.form))
        for move in (step, -step)
    )
    for seat, slope in enumerate((high - low) / (2 * step)):
        value, bottom, top = own_elasticity(found, seat)
        assert (bottom, top) == pytest.approx(
            (value - 1.959964 * abs(slope) * one.alpha.error, value + 1.959964 * abs(slope) * one.alpha.error), rel=1e-6
        )
        assert f"95 % interval {figure(bottom, '{:.2f}')} to {figure(top, '{:.2f}')}" in words(whole(found))


def test_the_elasticity_table_is_the_matrix_and_its_colours_follow_the_sign(rich: Calibration) -> None:
    rows, colours = cells(whole(rich)), shades(rich)
    start = next(k for k, row in enumerate(rows) if row[0].startswith("demand of"))
    for k, name in enumerate(rich.sellers):
        assert rows[start + 1 + k] == [name, *(figure(value, "{:+.3f}") for value in rich.elasticity[k])]
        for j, colour in enumerate(colours[k]):
            assert ("213,94,0" in colour) == (j == k)


def test_a_promotion_lifts_units_as_a_logit_worked_out_by_hand_does(rich: Calibration) -> None:
    flat = replace(rich.fit.fitted, rho=None)
    found, promotions = replace(rich, fit=replace(rich.fit, fitted=flat)), rich.fit.promotions
    assert promotions is not None and promotions.effect == pytest.approx(0.6, abs=0.15)
    more = np.exp(promotions.effect)
    for seat, lift in enumerate(lifts(found).values()):
        total = 1.0 + (more - 1.0) * float(found.share[seat])
        assert lift.own == pytest.approx(more / total - 1.0)
        assert lift.rivals == pytest.approx(1.0 / total - 1.0)


# ------------------------------------------------------------------------------------------- figures and words


def test_absent_rows_are_counted(rich: Calibration, plain: Calibration) -> None:
    assert absent(rich.sales) == 1  # 2 markets x 60 periods x 3 sellers, one left out
    assert absent(plain.sales) == 0


def test_a_series_that_does_not_vary_has_no_correlation() -> None:
    assert correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) is None
    assert correlation([1.0, 2.0, 4.0], [2.0, 4.0, 8.0]) == pytest.approx(1.0)
    assert correlation(np.array([1.0, np.nan, 2.0, 3.0]), np.array([3.0, 9.0, 2.0, 1.0])) == pytest.approx(-1.0)


def test_every_option_can_be_told() -> None:
    other = CalibrationOptions(
        form="log", nest=False, instruments=("cost", "rivals"), reference=0.5, size_factor=2.0, size=100.0,
        season_length=4, trend=False, gamma=True, force=True, inventory="make_to_order", lead_time=2, holding=0.1,
        cost_share=0.6, replay=True,
    )  # fmt: skip
    assert set(FLAGS) == set(vars(other))
    assert "--iv cost,rivals" in options_words(other) and "--cost-share 0.6" in options_words(other)
    assert options_words(CalibrationOptions()).startswith("none")


def test_how_the_file_was_read_is_told_as_typed() -> None:
    reading = {"columns": {"period": "week"}, "where": {"category": "YOGURT"}, "periods": ["2", None]}
    assert reading_words(reading) == "--columns period=week --where category=YOGURT --periods 2:"
    assert reading_words({}) == ""


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    sales = sales_file(tmp_path, ("ann", "bob"), ("all",))
    out, report = tmp_path / "mine.yaml", tmp_path / "mine.html"
    assert (
        main(["calibrate", str(sales), "-o", str(out), "--report", str(report), "--no-nest", "--periods", "12:"]) == 0
    )
    text = report.read_text(encoding="utf-8")
    assert "<title>mine.yaml: a market from sales.csv</title>" in text
    assert "--periods 12:" in text
