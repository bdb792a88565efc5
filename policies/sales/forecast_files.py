"""Forecasts as plain data: JSON with the whole backtest, CSV with the forecasts alone."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from market.forecast.backtest import NAIVE, SEASONAL_NAIVE, Outlook, Score
from policies.common import files as disk

if TYPE_CHECKING:
    from policies.sales.forecast import Forecasts

DECIMALS = 3  # of units in the CSV: a person reads it


def write_json(result: Forecasts, path: Path) -> None:
    """Write everything: what was asked, warnings, and of every series backtest and forecast."""
    disk.replace(path, (json.dumps(as_data(result), indent=2, allow_nan=False) + "\n").encode())


def as_data(result: Forecasts) -> dict[str, Any]:
    """The forecasts as JSON takes them; an infinite MASE is None."""
    plan, sales = result.plan, result.sales
    about = {"file": str(sales.path), "sha256": sales.sha256, "periods": len(sales.labels), "step": sales.step}
    about |= {"horizon": plan.horizon, "folds": plan.folds, "level": plan.level, "season": plan.season}
    about |= {"season_is": result.season, "warnings": list(result.warnings)}
    return about | {"series": [_series(result, one) for one in result.outlooks]}


def _series(result: Forecasts, one: Outlook) -> dict[str, Any]:
    labels, series = result.sales.labels, one.series
    return {
        "seller": series.seller,
        "market": series.market,
        "first_period": labels[series.start],
        "last_period": labels[-1],
        "model": one.chosen.model,
        "beats_naive": one.beats(NAIVE),
        "beats_seasonal_naive": one.beats(SEASONAL_NAIVE),
        "late_folds": {"folds": len(one.late), "mase": _finite(one.unseen), "naive": _finite(one.late_mase(NAIVE))},
        "backtest": [
            _score(score, [labels[series.start + fold.begin] for fold in score.folds]) for score in one.scores
        ],
        "forecast": [
            {"period": period, "mean": mean, "low": low, "high": high} for period, mean, low, high in _rows(result, one)
        ],
    }


def _score(score: Score, begins: list[str]) -> dict[str, Any]:
    folds = [
        {"first_period": begin, "mase": _finite(fold.mase), "scale": fold.scale}
        for begin, fold in zip(begins, score.folds, strict=True)
    ]
    figures = {"mase": _finite(score.mase), "coverage": score.coverage, "bias": score.bias}
    return {"model": score.model} | figures | {"folds": folds}


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None


def _rows(result: Forecasts, one: Outlook) -> list[tuple[str, float, float, float]]:
    columns = (one.forecast.mean.tolist(), one.forecast.low.tolist(), one.forecast.high.tolist())
    return list(zip(result.ahead, *columns, strict=True))


def write_csv(result: Forecasts, path: Path) -> None:
    """Write period, seller, mean, low, high (units, to 3 decimals), model and level, the interval's probability.

    One row each; the market after the period where series have one.
    """
    markets = any(one.series.market is not None for one in result.outlooks)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["period", *(["market"] if markets else []), "seller", "mean", "low", "high", "model", "level"])
    for one in result.outlooks:
        for period, *figures in _rows(result, one):
            units = [round(figure, DECIMALS) for figure in figures]
            about = [period, *([one.series.market] if markets else []), one.series.seller]
            writer.writerow([*about, *units, one.chosen.model, result.plan.level])
    disk.replace(path, text.getvalue().encode())
