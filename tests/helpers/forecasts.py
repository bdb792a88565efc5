"""Sales files whose units are forecast, what is printed of them, and scores made up."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from market.forecast.backtest import (
    Backtest,
    BacktestPlan,
    Fold,
    ModelScore,
    UnitForecast,
    best,
)
from market.forecast.series import Series
from policies.config.orders import ForecastOrder
from policies.sales.forecast import Forecasts, forecasts
from policies.sales.forecast_view import tables


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
    return forecasts(order, BacktestPlan(horizon, order.folds, order.level))


def printed(result: Forecasts, width: int = 120) -> str:
    file = io.StringIO()
    for table in tables(result):
        table.print(Console(file=file, width=width))
    return file.getvalue()


def a_score(model: str, errors: Sequence[float]) -> ModelScore:
    """A score of folds of one period whose MASE are ``errors``."""
    folds = []
    for k, error in enumerate(errors):
        ahead = np.array([100 + error])
        folds.append(Fold(k, np.array([100.0]), UnitForecast(ahead, ahead - 1, ahead + 1), 1.0))
    return ModelScore(model, tuple(folds))


def of(*scores: ModelScore) -> Backtest:
    nothing = np.zeros(1)
    return Backtest(Series("ann", None, 0, nothing), scores, best(scores), UnitForecast(nothing, nothing, nothing))
