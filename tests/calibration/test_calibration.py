"""Calibration finds the parameters of markets that are known, within the errors that it states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from market.calibration.calibrate import Calibration, calibrate
from market.calibration.market_file import configuration
from market.calibration.options import CalibrationOptions
from market.calibration.regression.logit import design_columns, regression
from market.calibration.regression.standard_errors import by_period, slope_scores
from market.salesfile.table import read_sales
from market.spec.models import MarketSpec
from tests.helpers.extras import needs
from tests.helpers.recorded import NAMES, known_market, record, write

pytestmark = needs("pyblp")
USUAL = CalibrationOptions()
T = 3.5  # standard errors: what one true estimate in two thousand exceeds


def calibrated(folder: Path, options: CalibrationOptions = USUAL, markets: int = 8, **changes: object) -> Calibration:
    spec = MarketSpec.parse(known_market(**changes))
    return calibrate(read_sales(write(record(spec, markets), folder)), options)


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    return calibrated(tmp_path_factory.mktemp("nested"))


def near(estimate: object, truth: float) -> bool:
    return bool(abs(estimate.value - truth) < T * estimate.error)  # type: ignore[attr-defined]


def test_a_nested_logit_in_log_price_is_found_again_within_its_standard_errors(nested: Calibration) -> None:
    one = nested.fit.fitted
    assert one.form == "log" and one.rho is not None
    assert near(one.alpha, 2.5) and near(one.rho, 0.3) and near(one.promotions["promo_event"], 0.6)
    assert one.alpha.error < 0.15 and one.rho.error < 0.08, "so that the test can fail"


def test_shocks_are_found_again_without_the_counting_noise(nested: Calibration) -> None:
    shocks = nested.fit.shocks
    assert shocks.common == pytest.approx(0.2, abs=0.04)
    assert [shocks.own[name] for name in NAMES] == pytest.approx([0.3, 0.2, 0.25], rel=0.12)
    assert shocks.persistence == pytest.approx(0.4, abs=0.06)
    assert shocks.lost == ()


def test_promotions_become_events_of_the_same_frequency_length_and_effect(nested: Calibration) -> None:
    found = nested.fit.promotions
    assert found is not None and found.column == "promo_event"
    assert found.mean_length == pytest.approx(2.0, rel=0.15)
    seen = nested.sales.rows.groupby("seller")["promo_event"].mean()
    assert found.frequency == pytest.approx(seen.to_dict())
    assert found.effect == pytest.approx(0.6, abs=0.1)


def test_the_configuration_is_the_market_that_wrote_the_file(nested: Calibration) -> None:
    import yaml

    spec = MarketSpec.parse(yaml.safe_load(configuration(nested))["market"])
    truth = MarketSpec.parse(known_market())
    assert spec.names == list(NAMES) and spec.price_form == "log" and len(spec.locations) == 8
    assert spec.customers.rate == 4000
    mean = np.mean([place.quality for place in spec.locations], axis=0)
    assert mean == pytest.approx([seller.quality for seller in truth.sellers], abs=0.2)


def test_a_linear_price_is_chosen_where_it_is_the_truth_and_log_where_that_is(tmp_path: Path) -> None:
    found = calibrated(tmp_path, price_form="linear", price_sensitivity=1.2, nest=0.0)
    assert found.choice.form == "linear" and near(found.fit.fitted.alpha, 1.2)


def test_a_nest_that_is_not_there_is_found_to_be_near_zero_or_left_out(tmp_path: Path) -> None:
    found = calibrated(tmp_path, nest=0.0)
    rho = found.fit.fitted.rho
    assert rho is None or rho.value < T * rho.error
    assert near(found.fit.fitted.alpha, 2.5)


def test_overdispersed_customers_are_found_as_dispersion_or_as_a_common_shock_never_both(tmp_path: Path) -> None:
    shock = {"persistence": 0.0, "common": 0.0}
    data = {"customers": {"rate": 4000, "dispersion": 0.02}, "demand_shock": shock, "events": None}
    market = known_market(**data)
    for seller in market["sellers"]:
        seller |= {"event_frequency": 0.0, "xi": 0.1}
    sales = read_sales(write(record(MarketSpec.parse(market), 8), tmp_path))
    gamma, common = (calibrate(sales, CalibrationOptions(nest=False, gamma=one)).fit.shocks for one in (True, False))
    assert gamma.common == 0 and gamma.dispersion == pytest.approx(0.02, rel=0.35)
    assert common.dispersion == 0 and common.common > 0.1


def test_a_season_in_utility_is_found_again(tmp_path: Path) -> None:
    season = [0.3 if t < 13 else -0.1 for t in range(52)]
    found = calibrated(
        tmp_path, CalibrationOptions(season_length=52, trend=False), horizon=156, season=season, markets=4
    )
    from market.calibration.market_file import season_cycle

    cycle = np.array(season_cycle(found))
    assert len(cycle) == 52
    assert cycle[:12].mean() - cycle[16:].mean() == pytest.approx(0.4, abs=0.12)


def test_a_reference_price_is_found_again_and_a_market_without_one_has_none(tmp_path: Path) -> None:
    options = CalibrationOptions(reference=0.5, nest=False)
    found = calibrated(tmp_path, options, nest=0.0, reference_price={"weight": 1.0, "memory": 0.5})
    weight = found.fit.fitted.weight
    assert weight is not None and near(weight, 1.0) and near(found.fit.fitted.alpha, 2.5)
    assert weight.error < 0.15
    without = calibrated(tmp_path, options, nest=0.0)
    assert without.fit.fitted.weight is None or without.fit.fitted.weight.value < T * without.fit.fitted.weight.error


def test_instruments_find_the_price_sensitivity_that_least_squares_miss(tmp_path: Path) -> None:
    """Sellers who raise prices when demand is strong: least squares see customers that hardly mind."""
    chance = np.random.default_rng(5)
    frame = record(MarketSpec.parse(known_market(nest=0.0, horizon=150)), 8)
    periods = frame.groupby(["market", "period"]).ngroup()
    n, sellers = periods.max() + 1, len(NAMES)
    xi, cost = chance.normal(0, 0.4, (n, sellers)), np.exp(chance.normal(0, 0.2, (n, sellers)))
    price = 1.8 * cost * np.exp(0.5 * xi)
    weight = np.exp(0.2 - 2.5 * np.log(price) + xi)
    share = weight / (1 + weight.sum(1, keepdims=True))
    seat = frame["seller"].map({name: k for k, name in enumerate(NAMES)})
    frame["price"], frame["cost"] = price[periods, seat], cost[periods, seat]
    frame["units"] = chance.poisson(4000 * share)[periods, seat]
    sales = read_sales(write(frame.drop(columns="promo_event"), tmp_path))
    biased = calibrate(sales, CalibrationOptions(nest=False, form="log")).fit.fitted.alpha
    found = calibrate(sales, CalibrationOptions(nest=False, form="log", instruments=("cost",))).fit.fitted.alpha
    assert near(found, 2.5) and found.error < 0.2
    assert biased.value < 2.5 - 5 * biased.error


@pytest.mark.slow
def test_pyblps_own_search_over_rho_gives_the_same_estimates(nested: Calibration) -> None:
    import pandas as pd
    import pyblp

    design, one = nested.fit.design, nested.fit.fitted
    table = design.sold
    data = {
        "market_ids": table["market"] + " " + table["period"].astype(str),
        "shares": np.exp(table["share"]),
        "prices": table["f"],
        "promo": table["promo_event"],
        "clustering_ids": table["period"],
        "nesting_ids": "all",
        "effect": table["market"] + " " + table["seller"],
    } | {f"trend{k}": table["period"] * (table["seller"] == name) for k, name in enumerate(design.trends)}
    names = ("f", *design.rivals)
    data |= {f"demand_instruments{k}": table[name] for k, name in enumerate(names)}
    right = " + ".join(["0", "prices", "promo", *(f"trend{k}" for k in range(len(design.trends)))])
    problem = pyblp.Problem(pyblp.Formulation(right, absorb="C(effect)"), pd.DataFrame(data))
    result = problem.solve(rho=0.2, method="1s", se_type="clustered")
    assert one.rho is not None
    assert result.rho[0, 0] == pytest.approx(one.rho.value, abs=1e-5)
    assert -result.beta[0, 0] == pytest.approx(one.alpha.value, rel=1e-5)
    x, z, absorbed = regression(design, columns := design_columns(design, True), one.instruments)
    summed = by_period(slope_scores(x, z, one.xi.to_numpy(), absorbed.effect), table["period"].to_numpy())
    clustered = dict(zip(columns, np.sqrt((summed**2).sum(0)), strict=True))
    assert result.rho_se[0, 0] == pytest.approx(clustered["within"], rel=1e-3)
    assert result.beta_se[0, 0] == pytest.approx(clustered["f"], rel=1e-3)


def test_three_instruments_are_enough_for_the_price_and_the_nest(tmp_path: Path) -> None:
    """Cost stands for the price; rivals' prices and promotions, given for it too, are left for the nest."""
    frame = record(MarketSpec.parse(known_market()), 6)
    frame["cost"] = (frame["price"] * np.random.default_rng(1).uniform(0.4, 0.6, len(frame))).round(3)
    sales = read_sales(write(frame, tmp_path))
    found = calibrate(sales, CalibrationOptions(form="log", instruments=("cost", "rivals", "promotions")))
    one = found.fit.fitted
    assert one.rho is not None and near(one.rho, 0.3) and near(one.alpha, 2.5)
    assert set(one.first_stage) == {"f", "within"} and min(one.first_stage.values()) > 10


def test_columns_that_are_not_used_are_named(tmp_path: Path) -> None:
    frame = record(MarketSpec.parse(known_market()), 4).rename(columns={"promo_event": "feature"})
    found = calibrate(read_sales(write(frame, tmp_path)), CalibrationOptions(nest=False))
    (said,) = [one for one in found.warnings if "not used" in one]
    assert said.startswith("columns that are not used: feature (a promotion is used when it is named")
