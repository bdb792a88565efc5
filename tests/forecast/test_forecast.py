"""Forecasts: accuracy by hand, folds that do not look ahead, models, series and seasons."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from market.errors import UserError
from market.forecast.backtest import (
    BacktestPlan,
    Fold,
    ModelScore,
    UnitForecast,
    best,
    bias,
    coverage,
    long_enough,
    mase,
    naive_scale,
    planned,
)
from market.forecast.models import BUILD, backtest, backtest_model, forecast
from market.forecast.series import Series, periods_ahead, series_of, usual_season
from market.salesfile.table import Sales, read_sales
from policies.sales.forecast_view import verdict
from tests.helpers.extras import needs
from tests.helpers.forecasts import a_file, a_score, numbers, of

pytestmark = needs("statsforecast")

SEASON = np.array([10.0, 40.0, 20.0, 30.0])


# ---------------------------------------------------------------------------------------------- accuracy


def test_the_scale_and_mase_of_four_numbers_by_hand() -> None:
    training = np.array([1.0, 3.0, 2.0, 6.0])
    assert naive_scale(training, 1) == pytest.approx((2 + 1 + 4) / 3)
    assert naive_scale(training, 2) == pytest.approx((1 + 3) / 2)
    assert mase(np.array([4.0, 6.0]), np.array([5.0, 9.0]), 2.0) == pytest.approx(1.0)


def test_a_window_that_repeats_itself_is_scaled_by_the_naive_error_and_a_constant_one_by_nothing() -> None:
    assert naive_scale(np.tile([1.0, 3.0], 4), 2) == pytest.approx(2.0)
    constant = naive_scale(np.full(8, 5.0), 2)
    assert constant == 0
    assert mase(np.full(2, 5.0), np.full(2, 5.0), constant) == 0
    assert mase(np.full(2, 5.0), np.full(2, 6.0), constant) == np.inf


def test_coverage_and_bias_by_hand() -> None:
    actual = np.array([1.0, 2.0, 3.0, 4.0])
    assert coverage(actual, np.array([1.0, 2.5, 0.0, 0.0]), np.array([2.0, 3.0, 3.0, 3.9])) == 0.5
    assert bias(np.array([10.0, 10.0]), np.array([12.0, 11.0])) == pytest.approx(0.15)
    assert bias(np.zeros(2), np.ones(2)) is None


@given(arrays(float, 20, elements=st.integers(1, 1000).map(float)), st.sampled_from([2.0, 0.5, 1024.0]))
def test_mase_does_not_depend_on_the_unit_of_measurement(units: Any, factor: float) -> None:
    past, actual, ahead = units[:14], units[14:17], units[17:]
    one = mase(actual, ahead, naive_scale(past, 1))
    assert mase(factor * actual, factor * ahead, naive_scale(factor * past, 1)) == one


def test_a_score_is_the_mean_of_folds_and_pools_their_periods() -> None:
    near, far = (np.array([10.0, 10.0]) + miss for miss in (1.0, 4.0))
    folds = [Fold(0, np.full(2, 10.0), UnitForecast(ahead, ahead - 2, ahead + 2), 2.0) for ahead in (near, far)]
    score = ModelScore("Naive", tuple(folds))
    assert score.mase == pytest.approx((0.5 + 2.0) / 2)
    assert score.coverage == 0.5
    assert score.bias == pytest.approx(2.5 / 10)


# ---------------------------------------------------------------------------------------------- backtest


def test_folds_are_the_last_periods_one_after_another_and_naive_forecasts_the_last_unit_before_each() -> None:
    units = numbers(0, 40)
    folds = list(backtest_model(units, "Naive", BacktestPlan(horizon=3, folds=4)))
    assert [fold.begin for fold in folds] == [28, 31, 34, 37]
    for fold in folds:
        assert fold.actual.tolist() == units[fold.begin : fold.begin + 3].tolist()
        assert fold.forecast.mean.tolist() == [units[fold.begin - 1]] * 3
        assert fold.scale == pytest.approx(np.abs(np.diff(units[: fold.begin])).mean())


@pytest.mark.parametrize("model", ["AutoTheta", "AutoETS", "AutoARIMA"])
def test_no_fold_looks_ahead(model: str) -> None:
    plan = BacktestPlan(horizon=3, folds=3, season=4)
    units = numbers(1, 45)
    changed = units.copy()
    changed[39:] *= 7  # the second fold's own periods, and all that follow
    before, after = (list(backtest_model(one, model, plan)) for one in (units, changed))
    for k in range(2):
        for end in ("mean", "low", "high"):
            assert getattr(before[k].forecast, end).tolist() == getattr(after[k].forecast, end).tolist()
    assert before[2].forecast.mean.tolist() != after[2].forecast.mean.tolist()


def test_a_fold_forecasts_what_its_history_alone_would() -> None:
    plan = BacktestPlan(horizon=3, folds=3, season=4)
    units = numbers(2, 45)
    for fold in backtest_model(units, "AutoETS", plan):
        alone = forecast(units[: fold.begin], "AutoETS", plan)
        assert fold.forecast.mean.tolist() == alone.mean.tolist()


def test_a_series_that_repeats_itself_is_forecast_exactly_by_the_seasonal_naive_which_wins() -> None:
    units = np.tile(SEASON, 12)
    found, failed = backtest(Series("ann", None, 0, units), BacktestPlan(horizon=6, folds=3, season=4))
    assert found.chosen.model == "SeasonalNaive" and not failed
    assert found.chosen.mase == 0 and found.chosen.coverage == 1
    assert found.forecast.mean.tolist() == [10, 40, 20, 30, 10, 40]
    assert "no model does better than the seasonal naive forecast, which is what is forecast with" in verdict(found)


def test_naive_intervals_are_normal_with_the_spread_of_one_step_errors() -> None:
    """Hyndman & Athanasopoulos, Forecasting: principles and practice, section 5.5."""
    units = 500 + numbers(3, 60)
    ahead = forecast(units, "Naive", BacktestPlan(horizon=2, level=0.9))
    sigma = np.sqrt(np.mean(np.diff(units) ** 2))
    assert (ahead.high - ahead.mean) == pytest.approx(1.6449 * sigma * np.sqrt([1, 2]), rel=0.02)
    assert (ahead.mean - ahead.low) == pytest.approx(1.6449 * sigma * np.sqrt([1, 2]), rel=0.02)


def test_the_historic_average_is_the_mean_of_its_training_window_with_its_interval() -> None:
    """Hyndman & Athanasopoulos, section 5.5: the residuals' deviation with T - 1 degrees of freedom, sqrt(1 + 1 / T)."""
    units = 500 + numbers(3, 60)
    for fold in backtest_model(units, "HistoricAverage", BacktestPlan(horizon=3, folds=2)):
        assert fold.forecast.mean == pytest.approx(units[: fold.begin].mean())
    ahead = forecast(units, "HistoricAverage", BacktestPlan(horizon=2, level=0.9))
    half = 1.6449 * units.std(ddof=1) * np.sqrt(1 + 1 / 60)
    assert ahead.mean == pytest.approx(units.mean()) and ahead.high - ahead.mean == pytest.approx(half, rel=1e-4)
    assert ahead.mean - ahead.low == pytest.approx(half, rel=1e-4)


def test_sales_that_promotions_throw_about_their_mean_are_forecast_by_the_mean() -> None:
    """A promotion every fourth period or so; just after one the naive forecast is far too high, else a little too low."""
    rng = np.random.default_rng(11)
    units = np.where(rng.random(60) < 0.25, 900.0, 100.0) + rng.normal(0, 20, 60)
    found, _ = backtest(Series("ann", None, 0, units), BacktestPlan(horizon=4))
    assert found.chosen.mase <= found.score("HistoricAverage").mase < found.score("Naive").mase  # type: ignore[union-attr]
    assert found.forecast.mean == pytest.approx(units.mean(), rel=0.1)


def test_nothing_that_is_forecast_lies_below_zero() -> None:
    units = np.maximum(60 - 2.0 * np.arange(40), 0) + numbers(4, 40) / 50
    for model in ("Naive", "HistoricAverage", "AutoETS", "AutoTheta", "AutoARIMA"):
        ahead = forecast(units, model, BacktestPlan(horizon=12))
        assert min(ahead.mean.min(), ahead.low.min(), ahead.high.min()) >= 0


def test_the_same_series_gives_the_same_bits() -> None:
    series, plan = Series("ann", None, 0, numbers(5, 40)), BacktestPlan(horizon=2, folds=2)
    one, two = (backtest(series, plan)[0] for _ in range(2))
    assert [score.mase for score in one.scores] == [score.mase for score in two.scores]
    for end in ("mean", "low", "high"):
        assert getattr(one.forecast, end).tolist() == getattr(two.forecast, end).tolist()


def test_a_model_that_cannot_be_fitted_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(models: Any, season: int) -> Any:
        raise NotImplementedError("tiny datasets")

    monkeypatch.setitem(BUILD, "AutoETS", broken)
    found, failed = backtest(Series("ann", None, 0, numbers(6, 30)), BacktestPlan(horizon=2, folds=2))
    assert failed == ["ann: AutoETS could not be fitted (tiny datasets); left out"]
    assert [score.model for score in found.scores] == ["Naive", "HistoricAverage", "AutoTheta", "AutoARIMA"]


def test_the_next_best_model_forecasts_where_the_chosen_one_fails_on_the_whole_series(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(units: Any, model: str, plan: BacktestPlan) -> UnitForecast:
        if model == "SeasonalNaive":
            raise ZeroDivisionError
        return forecast(units, model, plan)

    monkeypatch.setattr("market.forecast.models.forecast", failing)
    series = Series("ann", None, 0, np.tile(SEASON, 8) + np.arange(32) % 3)
    plan = BacktestPlan(horizon=4, folds=2, season=4)
    monkeypatch.setattr(BacktestPlan, "models", ["Naive", "SeasonalNaive"])
    found, failed = backtest(series, plan)
    assert found.chosen.model == "Naive"
    assert failed == ["ann: SeasonalNaive could not be fitted (ZeroDivisionError); left out"]


@pytest.mark.parametrize("model", ["AutoETS", "AutoARIMA"])
def test_long_seasons_are_left_to_theta_and_the_seasonal_naive(model: str) -> None:
    units = np.tile(numbers(8, 25), 4) + numbers(9, 100) / 20
    long, none = (forecast(units, model, BacktestPlan(horizon=3, season=season)) for season in (25, 1))
    assert long.mean.tolist() == none.mean.tolist() and long.low.tolist() == none.low.tolist()


def test_a_constant_series_is_forecast_by_itself() -> None:
    found, _ = backtest(Series("ann", None, 0, np.full(30, 7.0)), BacktestPlan(horizon=2, folds=2))
    assert found.chosen.model == "Naive" and found.forecast.mean.tolist() == [7, 7]


# ---------------------------------------------------------------------------------------------- choosing


def test_the_lowest_mean_mase_is_chosen_and_the_simpler_of_two_equal_ones() -> None:
    assert best([a_score("Naive", [1, 1]), a_score("AutoETS", [0.5, 0.9])]).model == "AutoETS"
    assert best([a_score("Naive", [1, 1]), a_score("AutoETS", [0.5, 1.5])]).model == "Naive"


def test_models_chosen_by_earlier_folds_are_judged_in_the_later_half() -> None:
    found = of(a_score("Naive", [1, 2, 3, 8]), a_score("AutoETS", [2, 2, 1, 1]))
    assert found.chosen.model == "AutoETS"
    assert list(found.late) == [2, 3]
    assert found.unseen == (3 + 1) / 2  # naive (1.5 to 2) for the third fold, ETS (5/3 to 2) for the fourth
    assert found.late_error("Naive") == (3 + 8) / 2
    assert verdict(found) == (
        "ann: in the last 2 folds, each one's model chosen by earlier folds alone: MASE 2.000, better than naive (5.500). "
        "Over the 4 folds that chose it, which is optimistic, AutoETS has 57% less error than the naive forecast."
    )
    assert of(a_score("Naive", [1]), a_score("AutoETS", [2])).unseen is None


# ---------------------------------------------------------------------------------------------- series


def test_units_are_summed_over_markets_and_gaps_are_interpolated_within_each(tmp_path: Path) -> None:
    rows = [(t, "ann", 2, units, shop) for t, units in enumerate([10, 20, 30, 40]) for shop in ("x",)]
    rows += [(t, "ann", 2, units, "y") for t, units in ((0, 1), (3, 7))]
    sales = read_sales(a_file(tmp_path, rows, "period,seller,price,units,market"))
    series, warnings = series_of(sales)
    assert [one.units.tolist() for one in series] == [[11, 23, 35, 47]]
    assert warnings == ["ann: no row in periods 1, 2 (2 rows in 1 markets); interpolated between its neighbours"]
    apart, _ = series_of(sales, by_market=True)
    assert {one.name: one.units.tolist() for one in apart} == {
        "ann in x": [10, 20, 30, 40],
        "ann in y": [1, 3, 5, 7],
    }


def test_a_seller_that_stops_is_left_out_and_markets_that_open_are_remarked(tmp_path: Path) -> None:
    rows = [(t, "ann", 2, 10, "x") for t in range(4)] + [(t, "ann", 2, 5, "y") for t in (2, 3)]
    rows += [(t, "bob", 2, 1, "x") for t in range(3)]
    series, warnings = series_of(read_sales(a_file(tmp_path, rows, "period,seller,price,units,market")))
    assert [(one.name, one.units.tolist()) for one in series] == [("ann", [10, 10, 15, 15])]
    assert "ann: the file has 1 to 2 markets a period" in warnings[0]
    assert warnings[1] == "bob: its last row is period 2, the file's is 3; left out"


def test_a_market_is_not_continued_after_its_last_row(tmp_path: Path) -> None:
    rows = [(t, "ann", 2, 10, "x") for t in range(4)] + [(t, "ann", 2, 5, "y") for t in (0, 1)]
    sales = read_sales(a_file(tmp_path, rows, "period,seller,price,units,market"))
    assert [one.units.tolist() for one in series_of(sales)[0]] == [[15, 15, 10, 10]]
    apart, warnings = series_of(sales, by_market=True)
    assert [one.name for one in apart] == ["ann in x"]
    assert warnings == ["ann in y: its last row is period 1, the file's is 3; left out"]


def dated(folder: Path, days: Sequence[str]) -> Sales:
    return read_sales(a_file(folder, [(day, "ann", 2, 5) for day in days]))


def test_periods_ahead_go_on_by_the_files_step(tmp_path: Path) -> None:
    assert periods_ahead(dated(tmp_path, ["40", "41", "43"]), 2) == ["44", "45"]
    assert periods_ahead(dated(tmp_path, ["2024-02-15", "2024-02-22"]), 2) == ["2024-02-29", "2024-03-07"]
    assert periods_ahead(dated(tmp_path, ["2023-11-01", "2023-12-01"]), 2) == ["2024-01-01", "2024-02-01"]
    assert periods_ahead(dated(tmp_path, ["2024-02-27", "2024-02-28"]), 2) == ["2024-02-29", "2024-03-01"]


def test_the_usual_season_takes_two_full_cycles_and_room_for_the_folds() -> None:
    assert usual_season("day", 14)[0] == 7 and usual_season("day", 13)[0] == 1
    assert usual_season("week", 104)[0] == 52 and usual_season("month", 24)[0] == 12
    assert usual_season("period", 500)[0] == 1
    plan, why = planned("week", 121, BacktestPlan(horizon=8), None)
    assert (plan.season, plan.needed, why) == (52, 5 * 8 + 52 + 12, "52 weeks, a year")
    plan, why = planned("week", 121, BacktestPlan(horizon=13), None)
    assert plan.season == 1 and why.startswith("none, since 121 periods are fewer than 5 folds x 13 periods + a season")
    assert planned("week", 121, BacktestPlan(horizon=13), 4)[0].season == 4


# ---------------------------------------------------------------------------------------------- refusals


def test_a_series_too_short_is_left_out_and_none_long_enough_is_refused_with_the_arithmetic() -> None:
    plan = BacktestPlan(horizon=3, folds=4)
    assert plan.needed == 4 * 3 + 12
    short, long = Series("ann", None, 0, np.ones(23)), Series("bob", None, 0, np.ones(24))
    kept, said = long_enough([short, long], plan)
    assert kept == [long] and said == ["ann: 23 periods, fewer than 24 that are needed; left out"]
    with pytest.raises(UserError, match=r"longest series has 23 periods, fewer than 4 folds x 3 periods \+ 12 .* = 24"):
        long_enough([short], plan)
