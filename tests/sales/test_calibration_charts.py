"""The calibration's figures and charts: worked out by hand, and what is drawn is the numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from market.calibration.calibrate import Calibration
from market.calibration.regression.logit import Coefficient, elasticities, own_errors
from market.calibration.robustness import own_interval
from policies.sales.calibration_charts import (
    absent,
    correlation,
    curves_chart,
    demand_curve,
    lifts,
    mean_size,
    scatter_chart,
    season_chart,
    season_labels,
    weeks_chart,
)
from tests.helpers.calibrated import checked_of, figure, whole, words
from tests.helpers.extras import needs

pytestmark = needs("pyblp")


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
def test_an_interval_is_the_delta_method_in_alpha_and_rho_over_the_sizes(
    which: str, request: pytest.FixtureRequest
) -> None:
    found = request.getfixturevalue(which)
    one, step = found.fit.fitted, 1e-5

    def own(alpha: float, rho: float) -> np.ndarray:
        return np.diag(elasticities(found.price, found.share, alpha, rho, one.form))

    alpha, rho = one.alpha.value, one.nest
    by_alpha = (own(alpha + step, rho) - own(alpha - step, rho)) / (2 * step)
    by_rho = (own(alpha, rho + step) - own(alpha, rho - step)) / (2 * step) if one.rho else np.zeros(len(by_alpha))
    of_rho = one.rho.error if one.rho else 0.0
    law = np.array([[one.alpha.error**2, one.together], [one.together, of_rho**2]])
    errors = [np.sqrt(np.array(slope) @ law @ slope) for slope in zip(by_alpha, by_rho, strict=True)]
    assert own_errors(found.price, found.share, one) == pytest.approx(errors, rel=1e-5)
    sizes = [line for line in found.variants if line.kind in ("as calibrated", "size")]
    assert len(sizes) == (1 if found.sales.has("market_size") or found.options.size else 4), (
        "the rule's and three others"
    )
    for seat, error in enumerate(errors):
        value, bottom, top = own_interval(found.variants, seat)
        assert value == pytest.approx(own(alpha, rho)[seat])
        assert bottom <= value - 1.9599 * error and top >= value + 1.9599 * error
        assert bottom == pytest.approx(min(line.own[seat] - 1.96 * line.error[seat] for line in sizes))
        assert f"95 % interval {figure(bottom, '{:.2f}')} to {figure(top, '{:.2f}')}" in words(whole(found))


def test_a_promotion_lifts_units_as_a_logit_worked_out_by_hand_does(rich: Calibration) -> None:
    flat = replace(rich.fit.fitted, rho=None)
    found, promotions = replace(rich, fit=replace(rich.fit, fitted=flat)), rich.fit.promotions
    assert promotions is not None and promotions.effect == pytest.approx(0.6, abs=0.15)
    more = np.exp(promotions.effect)
    for seat, lift in enumerate(lifts(found).values()):
        total = 1.0 + (more - 1.0) * float(found.share[seat])
        assert lift.own == pytest.approx(more / total - 1.0)
        assert lift.rivals == pytest.approx(1.0 / total - 1.0)


def test_absent_rows_are_counted(rich: Calibration, plain: Calibration) -> None:
    assert absent(rich.sales) == 1  # 2 markets x 60 periods x 3 sellers, one left out
    assert absent(plain.sales) == 0


def test_a_series_that_does_not_vary_has_no_correlation() -> None:
    assert correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) is None
    assert correlation([1.0, 2.0, 4.0], [2.0, 4.0, 8.0]) == pytest.approx(1.0)
    assert correlation(np.array([1.0, np.nan, 2.0, 3.0]), np.array([3.0, 9.0, 2.0, 1.0])) == pytest.approx(-1.0)
