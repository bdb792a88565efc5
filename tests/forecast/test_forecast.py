"""`bazaar forecast`: accuracy by hand, folds that do not look ahead, what is refused, and what is written."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rich.console import Console

from market.errors import UserError
from market.forecast.backtest import (
    Backtest,
    BacktestPlan,
    Fold,
    Score,
    UnitForecast,
    best,
    bias,
    coverage,
    long_enough,
    mase,
    naive_scale,
    planned,
)
from market.forecast.models import BUILD, backtest, forecast, outlook
from market.forecast.series import Series, periods_ahead, series_of, usual_season
from market.salesfile.table import Sales, read_sales
from policies.cli.main import main
from policies.config.orders import ForecastOrder
from policies.sales.forecast import Forecasts, as_data, forecasts
from policies.sales.forecast_charts import draw
from policies.sales.forecast_page import page, write_page
from policies.sales.forecast_view import print_forecasts, unknown, verdict
from tests.helpers.browser import browser, visit

pytest.importorskip("statsforecast")

JUICE = Path(__file__).parents[3] / "shared" / "data" / "oj_dominicks_3brand_chain_week.csv"
SEASON = np.array([10.0, 40.0, 20.0, 30.0])


def numbers(seed: int, count: int) -> Any:
    return np.random.default_rng(seed).gamma(4.0, 25.0, count).round()


def a_file(folder: Path, rows: Sequence[tuple[Any, ...]], heads: str = "period,seller,price,units") -> Path:
    path = folder / "sales.csv"
    path.write_text("\n".join([heads, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def two_sellers(folder: Path, periods: int = 30) -> Path:
    units = {name: numbers(seed, periods) for seed, name in enumerate(("ann", "bob"))}
    return a_file(folder, [(t, name, 2.0, units[name][t]) for t in range(periods) for name in units])


def ran(path: Path, horizon: int = 2, **options: Any) -> Forecasts:
    order = ForecastOrder(path, horizon=horizon, **options)
    return forecasts(order, BacktestPlan(horizon, order.folds, order.level), Console(file=io.StringIO()))


def printed(result: Forecasts, width: int = 120) -> str:
    file = io.StringIO()
    print_forecasts(result, Console(file=file, width=width))
    return file.getvalue()


def a_score(model: str, errors: Sequence[float]) -> Score:
    """A score of folds of one period whose MASE are ``errors``."""
    folds = []
    for k, error in enumerate(errors):
        ahead = np.array([100 + error])
        folds.append(Fold(k, np.array([100.0]), UnitForecast(ahead, ahead - 1, ahead + 1), 1.0))
    return Score(model, tuple(folds))


def of(*scores: Score) -> Backtest:
    nothing = np.zeros(1)
    return Backtest(Series("ann", None, 0, nothing), scores, best(scores), UnitForecast(nothing, nothing, nothing))


# ------------------------------------------------------------------------------------------------ accuracy


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
    score = Score("Naive", tuple(folds))
    assert score.mase == pytest.approx((0.5 + 2.0) / 2)
    assert score.coverage == 0.5
    assert score.bias == pytest.approx(2.5 / 10)


# ------------------------------------------------------------------------------------------------ backtest


def test_folds_are_the_last_periods_one_after_another_and_naive_forecasts_the_last_unit_before_each() -> None:
    units = numbers(0, 40)
    folds = list(backtest(units, "Naive", BacktestPlan(horizon=3, folds=4)))
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
    before, after = (list(backtest(one, model, plan)) for one in (units, changed))
    for k in range(2):
        for end in ("mean", "low", "high"):
            assert getattr(before[k].forecast, end).tolist() == getattr(after[k].forecast, end).tolist()
    assert before[2].forecast.mean.tolist() != after[2].forecast.mean.tolist()


def test_a_fold_forecasts_what_its_history_alone_would() -> None:
    plan = BacktestPlan(horizon=3, folds=3, season=4)
    units = numbers(2, 45)
    for fold in backtest(units, "AutoETS", plan):
        alone = forecast(units[: fold.begin], "AutoETS", plan)
        assert fold.forecast.mean.tolist() == alone.mean.tolist()


def test_a_series_that_repeats_itself_is_forecast_exactly_by_the_seasonal_naive_which_wins() -> None:
    units = np.tile(SEASON, 12)
    found, failed = outlook(Series("ann", None, 0, units), BacktestPlan(horizon=6, folds=3, season=4))
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
    for fold in backtest(units, "HistoricAverage", BacktestPlan(horizon=3, folds=2)):
        assert fold.forecast.mean == pytest.approx(units[: fold.begin].mean())
    ahead = forecast(units, "HistoricAverage", BacktestPlan(horizon=2, level=0.9))
    half = 1.6449 * units.std(ddof=1) * np.sqrt(1 + 1 / 60)
    assert ahead.mean == pytest.approx(units.mean()) and ahead.high - ahead.mean == pytest.approx(half, rel=1e-4)
    assert ahead.mean - ahead.low == pytest.approx(half, rel=1e-4)


def test_sales_that_promotions_throw_about_their_mean_are_forecast_by_the_mean() -> None:
    """A promotion every fourth period or so; just after one the naive forecast is far too high, else a little too low."""
    rng = np.random.default_rng(11)
    units = np.where(rng.random(60) < 0.25, 900.0, 100.0) + rng.normal(0, 20, 60)
    found, _ = outlook(Series("ann", None, 0, units), BacktestPlan(horizon=4))
    assert found.chosen.mase <= found.score("HistoricAverage").mase < found.score("Naive").mase  # type: ignore[union-attr]
    assert found.forecast.mean == pytest.approx(units.mean(), rel=0.1)


def test_nothing_that_is_forecast_lies_below_zero() -> None:
    units = np.maximum(60 - 2.0 * np.arange(40), 0) + numbers(4, 40) / 50
    for model in ("Naive", "HistoricAverage", "AutoETS", "AutoTheta", "AutoARIMA"):
        ahead = forecast(units, model, BacktestPlan(horizon=12))
        assert min(ahead.mean.min(), ahead.low.min(), ahead.high.min()) >= 0


def test_the_same_series_gives_the_same_bits() -> None:
    series, plan = Series("ann", None, 0, numbers(5, 40)), BacktestPlan(horizon=2, folds=2)
    one, two = (outlook(series, plan)[0] for _ in range(2))
    assert [score.mase for score in one.scores] == [score.mase for score in two.scores]
    for end in ("mean", "low", "high"):
        assert getattr(one.forecast, end).tolist() == getattr(two.forecast, end).tolist()


def test_a_model_that_cannot_be_fitted_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(models: Any, season: int) -> Any:
        raise NotImplementedError("tiny datasets")

    monkeypatch.setitem(BUILD, "AutoETS", broken)
    found, failed = outlook(Series("ann", None, 0, numbers(6, 30)), BacktestPlan(horizon=2, folds=2))
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
    found, failed = outlook(series, plan)
    assert found.chosen.model == "Naive"
    assert failed == ["ann: SeasonalNaive could not be fitted (ZeroDivisionError); left out"]


@pytest.mark.parametrize("model", ["AutoETS", "AutoARIMA"])
def test_long_seasons_are_left_to_theta_and_the_seasonal_naive(model: str) -> None:
    units = np.tile(numbers(8, 25), 4) + numbers(9, 100) / 20
    long, none = (forecast(units, model, BacktestPlan(horizon=3, season=season)) for season in (25, 1))
    assert long.mean.tolist() == none.mean.tolist() and long.low.tolist() == none.low.tolist()


def test_a_constant_series_is_forecast_by_itself() -> None:
    found, _ = outlook(Series("ann", None, 0, np.full(30, 7.0)), BacktestPlan(horizon=2, folds=2))
    assert found.chosen.model == "Naive" and found.forecast.mean.tolist() == [7, 7]


# ------------------------------------------------------------------------------------------------ choosing


def test_the_lowest_mean_mase_is_chosen_and_the_simpler_of_two_equal_ones() -> None:
    assert best([a_score("Naive", [1, 1]), a_score("AutoETS", [0.5, 0.9])]).model == "AutoETS"
    assert best([a_score("Naive", [1, 1]), a_score("AutoETS", [0.5, 1.5])]).model == "Naive"


def test_models_chosen_by_earlier_folds_are_judged_in_the_later_half() -> None:
    found = of(a_score("Naive", [1, 2, 3, 8]), a_score("AutoETS", [2, 2, 1, 1]))
    assert found.chosen.model == "AutoETS"
    assert list(found.late) == [2, 3]
    assert found.unseen == (3 + 1) / 2  # naive (1.5 to 2) for the third fold, ETS (5/3 to 2) for the fourth
    assert found.late_mase("Naive") == (3 + 8) / 2
    assert verdict(found) == (
        "ann: in the last 2 folds, each one's model chosen by earlier folds alone: MASE 2.000, better than naive (5.500). "
        "Over the 4 folds that chose it, which is optimistic, AutoETS has 57% less error than the naive forecast."
    )
    assert of(a_score("Naive", [1]), a_score("AutoETS", [2])).unseen is None


def test_what_is_said_of_a_model_that_beats_the_naive_ones_and_of_none_that_does() -> None:
    good = of(a_score("Naive", [1]), a_score("SeasonalNaive", [2]), a_score("AutoETS", [0.75]))
    assert verdict(good) == (
        "ann: in the fold that chose it, which is optimistic, AutoETS has 25% less error than the naive forecast and "
        "62% less error than the seasonal naive forecast."
    )
    exact = of(a_score("Naive", [np.inf]), a_score("HistoricAverage", [0]))
    assert verdict(exact).endswith("HistoricAverage (the mean of all periods) has less error than the naive forecast.")
    assert (good.beats("Naive"), good.beats("SeasonalNaive"), good.beats("AutoTheta")) == (True, True, None)
    bad = of(a_score("Naive", [1]), a_score("AutoETS", [1.5]))
    assert verdict(bad) == (
        "ann: in the one fold no model does better than the naive forecast, which is what is forecast with."
    )
    assert bad.beats("Naive") is False


# ------------------------------------------------------------------------------------------------ series


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


# ------------------------------------------------------------------------------------------------ refusals


def test_a_series_too_short_is_left_out_and_none_long_enough_is_refused_with_the_arithmetic() -> None:
    plan = BacktestPlan(horizon=3, folds=4)
    assert plan.needed == 4 * 3 + 12
    short, long = Series("ann", None, 0, np.ones(23)), Series("bob", None, 0, np.ones(24))
    kept, said = long_enough([short, long], plan)
    assert kept == [long] and said == ["ann: 23 periods, fewer than 24 that are needed; left out"]
    with pytest.raises(UserError, match=r"longest series has 23 periods, fewer than 4 folds x 3 periods \+ 12 .* = 24"):
        long_enough([short], plan)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--horizon", "0"], "--horizon: must be at least 1, got 0"),
        (["--horizon", "2", "--level", "90"], "--level: must be a number between 0 and 1, got '90'"),
    ],
)
def test_options_out_of_range_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["forecast", str(two_sellers(tmp_path)), *options]) == 2
    assert message in capsys.readouterr().err


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["forecast", *map(str, arguments)]) == 2
    return capsys.readouterr().err


def test_what_cannot_be_done_is_said_in_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = two_sellers(tmp_path)
    there = tmp_path / "there.json"
    there.write_text("{}")
    assert "nowhere.csv" in refused(capsys, tmp_path / "nowhere.csv", "--horizon", 2)
    assert "exists already and is not written over; choose another name, or --force" in refused(
        capsys, path, "--horizon", 2, "--json", there
    )
    assert "must end with .png or .html" in refused(capsys, path, "--horizon", 2, "--plot", tmp_path / "a.gif")
    assert "is the sales file itself" in refused(capsys, path, "--horizon", 2, "--csv", path, "--force")
    same = tmp_path / "same"
    assert "must be different files" in refused(capsys, path, "--horizon", 2, "--csv", same, "--json", same)
    assert "the longest series has 30 periods, fewer than 5 folds x 9 periods + 12 periods to fit to = 57" in refused(
        capsys, path, "--horizon", 9, "--csv", tmp_path / "a.csv"
    )
    assert there.read_text() == "{}" and not (tmp_path / "a.csv").exists()


def test_without_statsforecast_the_command_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    message = refused(capsys, two_sellers(tmp_path), "--horizon", 2)
    assert message == (
        "bazaar forecast: needs statsforecast, which is not installed: pip install 'bazaar-market[calibrate]'\n"
    )


# ------------------------------------------------------------------------------------------------ output


def test_files_hold_the_forecasts_that_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = two_sellers(tmp_path), {end: tmp_path / f"out.{end}" for end in ("json", "csv", "png")}
    files = [f"--{key}={out[end]}" for key, end in (("json", "json"), ("csv", "csv"), ("plot", "png"))]
    assert main(["forecast", str(path), "--horizon", "2", "--folds", "2", *files]) == 0
    text = capsys.readouterr().out
    data = json.loads(out["json"].read_text())
    rows = list(csv.DictReader(io.StringIO(out["csv"].read_text())))
    assert list(rows[0]) == ["period", "seller", "mean", "low", "high", "model", "level"]
    assert [(row["seller"], row["period"]) for row in rows] == [
        (name, period) for name in ("ann", "bob") for period in ("30", "31")
    ]
    ahead = [one for series in data["series"] for one in series["forecast"]]
    for end in ("mean", "low", "high"):
        assert [float(row[end]) for row in rows] == [round(one[end], 3) for one in ahead]
    assert [row["model"] for row in rows[::2]] == [series["model"] for series in data["series"]]
    assert {row["level"] for row in rows} == {"0.9"}
    assert all(one["low"] <= one["mean"] <= one["high"] for one in ahead)
    for series in data["series"]:
        lowest = min(series["backtest"], key=lambda score: score["mase"])
        assert lowest["mase"] == pytest.approx(next(
            score["mase"] for score in series["backtest"] if score["model"] == series["model"]
        ))  # fmt: skip
        assert f"{lowest['mase']:.3f}" in text
        assert [fold["first_period"] for fold in series["backtest"][0]["folds"]] == ["26", "28"]
    assert out["png"].read_bytes().startswith(b"\x89PNG")
    assert main(["forecast", str(path), "--horizon", "2", "--folds", "2", *files, "--force"]) == 0
    assert json.loads(out["json"].read_text()) == data


def test_series_of_markets_are_named_in_the_csv(tmp_path: Path) -> None:
    rows = [(t, "ann", 2, numbers(7, 20)[t], shop) for t in range(20) for shop in ("x", "y")]
    path, out = a_file(tmp_path, rows, "period,seller,price,units,market"), tmp_path / "out.csv"
    assert main(["forecast", str(path), "--horizon=1", "--folds=2", "--by-market", f"--csv={out}"]) == 0
    assert [line.rsplit(",", 5)[0] for line in out.read_text().splitlines()] == [
        "period,market,seller",
        "20,x,ann",
        "20,y,ann",
    ]


def test_tables_fit_a_narrow_terminal_and_say_how_to_read_them(tmp_path: Path) -> None:
    result = ran(two_sellers(tmp_path), folds=2)
    text = printed(result, width=80)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text and "nan" not in text
    flat = " ".join(text.split())
    assert "its MASE is somewhat optimistic" in flat
    assert "without one the seasonal naive forecast is the naive one" in flat
    assert sum("chosen  " in line for line in text.splitlines()) == 2


def a_priced_file(folder: Path, prices: Sequence[float], heads: str = "period,seller,price,units") -> Path:
    """One seller, 28 periods, prices in turn; what further columns there are holds 0."""
    more = (0,) * (len(heads.split(",")) - 4)
    units = numbers(12, 30)
    return a_file(folder, [(t, "ann", prices[t % len(prices)], units[t], *more) for t in range(28)], heads)


def test_what_a_forecast_does_not_know_is_said_first_with_what_the_file_shows_of_it(tmp_path: Path) -> None:
    first = "Prices and promotions to come are not used"
    flat = " ".join(printed(ran(a_priced_file(tmp_path, [2, 2.1]), folds=2)).split())
    assert flat.startswith(f"{first}. Units ahead")
    result = ran(a_priced_file(tmp_path, [2, 2, 1, 2]), folds=2)  # standard deviation 0.43 of a mean of 1.75
    assert unknown(result) == (
        f"{first}: prices vary a lot here (by 25% of their mean), and promotions drive such sales."
    )
    heads = "period,seller,price,units,promo_feat,promo_deal"
    assert unknown(ran(a_priced_file(tmp_path, [2], heads), folds=2)) == (
        f"{first}: the file has promotions (promo_feat, promo_deal), and promotions drive such sales."
    )


def test_the_backtest_that_chose_comes_after_what_choosing_was_worth(tmp_path: Path) -> None:
    result = ran(two_sellers(tmp_path), folds=4)
    words, late, table = unknown(result), "chosen by earlier folds alone", "best fold"
    flat = " ".join(printed(result).split())
    assert flat.index(words) < flat.index("Units ahead") < flat.index(late) < flat.index(table)
    written = page(result).text().rpartition("<main")[2]
    assert written.index(words) < written.index("Units a period") < written.index(late) < written.index(table)
    titles = [axes.get_title(loc="left") for axes in draw(result).axes]
    assert titles == [f"{one.series.name} ({one.chosen.model})" for one in result.outlooks]


def test_the_picture_has_a_panel_a_series_and_the_page_needs_no_network(tmp_path: Path) -> None:
    result = ran(two_sellers(tmp_path), horizon=1, folds=2)
    shown = [axes for axes in draw(result).axes if axes.get_visible()]
    assert [axes.get_title(loc="left").split()[0] for axes in shown] == ["ann", "bob"]
    text = page(result).text()
    assert "bazaar forecast" in text and "Content-Security-Policy" in text and "<script src" not in text
    assert all(verdict(one) in text for one in result.outlooks)


@pytest.mark.skipif(browser() is None, reason="no Chromium here: Debian's package chromium has it")
def test_a_browser_draws_the_page_without_network_or_errors(tmp_path: Path) -> None:
    out = tmp_path / "out.html"
    write_page(ran(two_sellers(tmp_path), folds=1), out)
    seen = visit(out)
    assert seen.console == [] and seen.requests == [] and seen.charts == 1
    assert "ann (" in seen.dom and "bob (" in seen.dom


def test_an_infinite_mase_is_written_as_null(tmp_path: Path) -> None:
    units = [7] * 28 + [9, 9]
    result = ran(a_file(tmp_path, [(t, "ann", 2, one) for t, one in enumerate(units)]), folds=1)
    data = as_data(result)
    assert data["series"][0]["backtest"][0]["mase"] is None
    json.dumps(data, allow_nan=False)
    assert "nan" not in printed(result)


@pytest.mark.skipif(not JUICE.exists(), reason=f"{JUICE.name} is not there")
def test_orange_juice_is_forecast_with_a_yearly_season(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    arguments = ["--horizon", "8", "--columns", "period=week_start,seller=brand", "--json", str(out)]
    assert main(["forecast", str(JUICE), *arguments]) == 0
    text, data = capsys.readouterr().out, json.loads(out.read_text())
    assert data["season"] == 52
    assert [series["seller"] for series in data["series"]] == ["dominicks", "minute.maid", "tropicana"]
    assert data["series"][0]["forecast"][0]["period"] == "1992-10-08"
    assert "Season: 52 weeks, a year." in text
    for series in data["series"]:
        scores = {score["model"]: score for score in series["backtest"]}
        assert len(scores) == 6
        assert scores[series["model"]]["mase"] <= scores["HistoricAverage"]["mase"]
        assert 0.3 < scores[series["model"]]["mase"] < 1.5
        assert 0.75 <= scores[series["model"]]["coverage"] <= 1
