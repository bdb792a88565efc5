"""Forecasts of units with statsforecast, and their backtest with a rolling origin.

Imports statsforecast when a model is fitted and no sooner. F folds, H periods ahead.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from market.errors import UserError
from market.forecast.backtest import RARE, Backtest, BacktestPlan, Fold, ModelScore, UnitForecast, best, naive_scale
from market.forecast.intermittent import Compound, pattern_of
from market.forecast.series import Series
from market.state import Floats

Tick = Callable[[str, int], None]

LONGEST = 24  # periods of a season that exponential smoothing and ARIMA are fitted with; Theta takes any
SIZES, CHANCES = 0.1, 0.02  # smoothing in TSB: of sizes as in Croston's method, of chances in every period, so less
BUILD: dict[str, Callable[[Any, int], Any]] = {
    "Naive": lambda models, season: models.Naive(),
    "SeasonalNaive": lambda models, season: models.SeasonalNaive(season),
    "HistoricAverage": lambda models, season: models.HistoricAverage(),
    "CrostonClassic": lambda models, season: models.CrostonClassic(),
    "CrostonSBA": lambda models, season: models.CrostonSBA(),
    "TSB": lambda models, season: models.TSB(SIZES, CHANCES),
    "AutoTheta": lambda models, season: models.AutoTheta(season),
    "AutoETS": lambda models, season: models.AutoETS(_short(season)),
    "AutoARIMA": lambda models, season: models.AutoARIMA(season_length=_short(season)),
}


def _short(season: int) -> int:
    return season if season <= LONGEST else 1


def backtest(series: Series, plan: BacktestPlan, tick: Tick = lambda text, done: None) -> tuple[Backtest, list[str]]:
    """Backtest every model on a series, choose the best, and forecast with it.

    Args:
        series: at least ``plan.needed`` periods.
        tick: told what is fitted now, and that another model is done.

    Returns:
        The backtest, and sentences on models that could not be fitted.
    """
    scores: list[ModelScore] = []
    failed: list[str] = []
    for name in plan.candidates(series.units):
        tick(f"{series.name}, {name}", 0)
        with _left_out(series, name, failed):
            scores.append(ModelScore(name, tuple(backtest_model(series.units, name, plan))))
        tick(f"{series.name}, {name}", 1)
    while True:
        chosen = best(scores)
        with _left_out(series, chosen.model, failed):
            return Backtest(series, tuple(scores), chosen, forecast(series.units, chosen.model, plan)), failed
        scores = [score for score in scores if score is not chosen]


@contextmanager
def _left_out(series: Series, model: str, failed: list[str]) -> Iterator[None]:
    """A model that cannot be fitted is no reason to give up the others: what statsforecast raises is told instead."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 -- statsforecast raises plain Exceptions
        failed.append(f"{series.name}: {model} could not be fitted ({str(error) or type(error).__name__}); left out")


def backtest_model(units: Floats, model: str, plan: BacktestPlan) -> Iterator[Fold]:
    """Forecast the last F x H periods in F steps of H, each time fitted anew to all that lies before.

    Of n periods, fold k = 0 .. F - 1 is fitted to the first ``n - (F - k) H`` and judged on the H that follow.

    Raises:
        Exception: as statsforecast does where a model cannot be fitted; ArithmeticError for a forecast not finite.
    """
    rare, options = pattern_of(units).rare, {"n_windows": plan.folds, "step_size": plan.horizon}
    with _engine(model, plan) as engine:
        table = engine.cross_validation(h=plan.horizon, df=_frame(units), **_level(model, plan), **options)
    for cutoff, rows in table.groupby("cutoff", sort=True):
        begin = int(cutoff) + 1
        actual, scale = rows["y"].to_numpy(np.float64), naive_scale(units[:begin], plan.season)
        if rare:
            law = Compound.of(units[:begin], _mean(rows, model))
            yield Fold(begin, actual, _spread(law, rows, model, plan), scale, _scaled(law.crps(actual), units))
        else:
            yield Fold(begin, actual, _read(rows, model), scale)


def _scaled(crps: Floats, units: Floats) -> float:
    """One scale for all folds: a window may be without a sale, and have none of its own."""
    return float(crps.mean()) / naive_scale(units, 1)


def forecast(units: Floats, model: str, plan: BacktestPlan) -> UnitForecast:
    """The H periods after ``units`` (n,), by a model fitted to all of them."""
    with _engine(model, plan) as engine:
        table = engine.forecast(df=_frame(units), h=plan.horizon, **_level(model, plan))
    if pattern_of(units).rare:
        return _spread(Compound.of(units, _mean(table, model)), table, model, plan)
    return _read(table, model)


@contextmanager
def _engine(model: str, plan: BacktestPlan) -> Iterator[Any]:
    with _statsforecast() as (StatsForecast, models):
        yield StatsForecast(models=[BUILD[model](models, plan.season)], freq=1, n_jobs=1)


def _frame(units: Floats) -> pd.DataFrame:
    return pd.DataFrame({"unique_id": "units", "ds": np.arange(len(units)), "y": units})


def _level(model: str, plan: BacktestPlan) -> dict[str, Any]:
    """Models for series that sell in few periods have no intervals of their own."""
    return {} if model in RARE else {"level": [_percent(plan)]}


def _percent(plan: BacktestPlan) -> float:
    return round(100 * plan.level, 6)


def _mean(table: pd.DataFrame, model: str) -> Floats:
    mean = np.maximum(table[model].to_numpy(np.float64), 0.0)
    if not np.isfinite(mean).all():
        raise ArithmeticError("its forecast is not finite")
    return np.asarray(mean)


def _spread(law: Compound, table: pd.DataFrame, model: str, plan: BacktestPlan) -> UnitForecast:
    """A model's mean with the intervals of the law around it, which the sizes of past sales give."""
    low, high = (1.0 - plan.level) / 2, (1.0 + plan.level) / 2
    return UnitForecast(_mean(table, model), law.quantile(low), law.quantile(high), law.together(high))


def _read(table: pd.DataFrame, model: str) -> UnitForecast:
    """Units cannot be negative: what lies below 0 becomes 0."""
    names = (model, *(next(c for c in table.columns if c.startswith(f"{model}-{end}-")) for end in ("lo", "hi")))
    mean, low, high = (np.maximum(table[name].to_numpy(np.float64), 0.0) for name in names)
    if not np.isfinite([mean, low, high]).all():
        raise ArithmeticError("its forecast is not finite")
    return UnitForecast(mean, low, high)


def require_statsforecast() -> None:
    """Raise :class:`UserError` where statsforecast is not installed."""
    with _statsforecast():
        pass


@contextmanager
def _statsforecast() -> Iterator[tuple[Any, Any]]:
    """The library's class and its models; its warnings of fits that do not settle go nowhere: folds judge them."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            from statsforecast import StatsForecast, models
        except ImportError:
            raise UserError(
                "needs statsforecast, which is not installed: pip install 'bazaar-market[calibrate]'"
            ) from None
        yield StatsForecast, models
