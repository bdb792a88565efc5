"""The orange-juice and supermarket files: figures known from elsewhere, found again. Skipped where they are not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from market.calibration.calibrate import Calibration, calibrate
from market.calibration.fit import choose
from market.calibration.market_size import market_sizes
from market.calibration.options import CalibrationOptions
from market.calibration.regression.logit import design_columns, regression
from market.calibration.regression.standard_errors import by_period, slope_scores
from market.calibration.validation import Validation, validate
from market.salesfile.findings import Findings
from market.salesfile.options import ReadingOptions
from market.salesfile.table import Sales, read_sales
from policies.sales.reading import columns_option
from tests.helpers.controls import poisson_only, shocks_off, validate_with
from tests.helpers.extras import needs

pytestmark = needs("pyblp")
DATA = Path(__file__).parents[3] / "shared" / "data"
STORES, KNOWN = DATA / "oj_dominicks_3brand_store_week.csv", DATA / "oj_calibration_example.json"
BASKETS = DATA / "completejourney_seller_week.csv"
COLUMNS = "period=week_start,seller=brand,market=store,promo_feat=feat,promo_deal=deal"
BRANDS = ("dominicks", "minute.maid", "tropicana")

needs_stores = pytest.mark.skipif(not STORES.exists(), reason=f"{STORES.name} is not here")
needs_baskets = pytest.mark.skipif(not BASKETS.exists(), reason=f"{BASKETS.name} is not here")


@pytest.fixture(scope="module")
def stores() -> Sales:
    return read_sales(STORES, ReadingOptions(columns_option(COLUMNS)))


@pytest.fixture(scope="module")
def found(stores: Sales) -> Calibration:
    return calibrate(stores, CalibrationOptions())


@needs_stores
def test_the_elasticity_of_a_plain_log_log_regression(found: Calibration) -> None:
    from market.calibration.regression.logit import log_log_elasticity

    assert log_log_elasticity(found.sales.rows) == pytest.approx(-3.139, abs=0.001)


@needs_stores
def test_the_nested_logit_has_the_coefficients_and_elasticities_known(found: Calibration) -> None:
    one, known = found.fit.fitted, json.loads(KNOWN.read_text())["models"]["nested_log"]
    assert one.form == "log" and one.rho is not None
    assert one.alpha.value == pytest.approx(known["alpha_or_beta"], abs=0.01)
    columns = design_columns(found.fit.design, nested=True)
    x, z, absorbed = regression(found.fit.design, columns, one.instruments)
    scores = slope_scores(x, z, one.xi.to_numpy(), absorbed.effect)[:, list(columns).index("f")]
    clustered = np.sqrt((by_period(scores[:, None], found.fit.design.sold["period"].to_numpy()) ** 2).sum())
    assert clustered == pytest.approx(known["se"], abs=0.01) and one.alpha.error > clustered, "shocks and prices last"
    assert one.rho.value == pytest.approx(known["rho"], abs=0.005)
    assert one.promotions["promo_feat"].value == pytest.approx(known["feat"], abs=0.005)
    matrix = [known["elasticity_rows_demand_cols_price"][brand] for brand in BRANDS]
    assert found.elasticity == pytest.approx(np.array(matrix), abs=0.03)
    cost = [known["bertrand_mc_single_brand"][brand] for brand in BRANDS]
    assert list(found.cost.values()) == pytest.approx(cost, abs=0.01)


@needs_stores
def test_least_squares_take_the_nest_for_much_closer(stores: Sales, found: Calibration) -> None:
    """Why rho is estimated with instruments only: without them it comes out at .43 in place of .16."""
    table = found.fit.design.table
    from market.calibration.regression.logit import estimate

    naive = found.fit.design
    naive.table["same"] = naive.table["within"]
    from dataclasses import replace

    least = estimate(replace(naive, rivals=("same",)), nested=True)
    assert least.rho is not None and least.rho.value == pytest.approx(0.43, abs=0.03)
    assert len(table) == 28_947


@needs_stores
def test_shocks_are_those_of_the_example_market(found: Calibration) -> None:
    known = json.loads(KNOWN.read_text())["models"]["nested_log"]["xi_sd_chain"]
    shocks = found.fit.shocks
    total = [np.hypot(shocks.common, shocks.own[brand]) for brand in BRANDS]
    assert total[0] > total[1] > total[2]
    assert shocks.common == pytest.approx(0.336, abs=0.015), "as in configs/orange_juice.yaml"
    assert list(shocks.own.values()) == pytest.approx([0.6255, 0.448, 0.2993], abs=0.015)
    assert set(known) == set(BRANDS)


@needs_stores
def test_last_weeks_low_price_lowers_this_weeks_demand(stores: Sales) -> None:
    options, found = CalibrationOptions(reference=0.0), Findings(str(STORES), force=False)
    _, tried = choose(stores, market_sizes(stores, found, options.size_factor, options.size), options, found)
    weight = tried[-1].weight
    assert weight is not None and 0.40 < weight.value < 0.60 and weight.t > 2


@needs_stores
@pytest.mark.slow
def test_held_out_weeks_of_the_stores_are_sold_again(found: Calibration) -> None:
    checked = validate(found)
    figures = {check.name: check for check in checked.checks}
    assert checked.passed, [check for check in checked.checks if not check.passed]
    total = figures["units in total"]
    assert abs(total.market / total.real - 1) < 0.05
    own = figures["own price, log-log"]
    assert abs(own.market / own.real - 1) < 0.15
    assert abs(figures["rivals' mean price, log-log"].market - figures["rivals' mean price, log-log"].real) < 0.15
    assert figures["rows in their 90% intervals"].market >= 0.85


def failed(checked: Validation) -> set[str]:
    return {check.name for check in checked.checks if not check.passed}


@needs_stores
@pytest.mark.slow
def test_markets_known_to_be_wrong_fail_on_the_stores(stores: Sales, found: Calibration) -> None:
    assert failed(validate_with(poisson_only, found)) >= {"rows in their 90% intervals", "units in total"}
    assert "rows in their 90% intervals" in failed(validate_with(shocks_off, found))
    assert "busiest period's units of the market size" in failed(
        validate(calibrate(stores, CalibrationOptions(size_factor=150)))
    )


def of_category(category: str, options: CalibrationOptions) -> Calibration:
    return calibrate(
        read_sales(BASKETS, ReadingOptions({"period": "week"}, {"category": category}, ("2", "52"))), options
    )


@needs_baskets
@pytest.mark.parametrize(
    "category, options",
    [
        ("FROZEN PIZZA", CalibrationOptions(cost_share=0.7, force=("not-significant",))),  # t 1.3 with its nest
        ("FROZEN PIZZA", CalibrationOptions(cost_share=0.7, nest=False)),
        ("COLD CEREAL", CalibrationOptions(nest=False, size_factor=1.25)),
    ],
    ids=["pizza nested", "pizza", "cereal"],
)
def test_held_out_weeks_of_one_market_are_sold_again(category: str, options: CalibrationOptions) -> None:
    """51 weeks of one market each."""
    assert failed(validate(of_category(category, options))) == set()


@needs_baskets
@pytest.mark.parametrize("category", ["YOGURT", "SOFT DRINKS"])
def test_where_units_fall_when_rivals_become_dearer_the_table_shows_it_with_the_noise_of_a_year(category: str) -> None:
    """All shares of a logit are substitutes; in these two files they seem to be none, and 51 weeks do not tell."""
    checked = validate(of_category(category, CalibrationOptions(cost_share=0.7, size_factor=3.0)))
    rivals = next(check for check in checked.checks if check.name == "rivals' mean price, log-log")
    assert rivals.real < 0 < rivals.market and (not rivals.passed or rivals.rule.endswith("(noise)"))
    assert "units in total" not in failed(checked)


@needs_baskets
@pytest.mark.parametrize("category", ["SOFT DRINKS", "FROZEN PIZZA"])
def test_categories_with_inelastic_demand_are_refused_with_what_would_help(category: str) -> None:
    from market.errors import UserError

    sales = read_sales(BASKETS, ReadingOptions({"period": "week"}, {"category": category}, ("2", "52")))
    with pytest.raises(UserError, match="that a Bertrand equilibrium implies is .*below 0.*--cost-share"):
        calibrate(sales, CalibrationOptions(nest=False))
    assert calibrate(sales, CalibrationOptions(cost_share=0.7, nest=False)).cost_source.startswith("ASSUMPTION")
