"""How good forecasts were: scaled error, coverage of intervals and bias. Plain numpy. H periods forecast, n before them."""

from __future__ import annotations

import numpy as np

from market.state import Floats


def naive_scale(training: Floats, season: int) -> float:
    """The mean absolute error of the seasonal naive forecast inside the training window, the scale of MASE.

    Hyndman & Koehler (2006, International Journal of Forecasting 22): ``mean |y_t - y_(t - season)|``, season 1 being
    the naive forecast. A window that repeats itself exactly has none, and is scaled by the naive forecast's instead.

    ``naive_scale([1, 3, 2, 6], 1)`` is (2 + 1 + 4) / 3 = 7/3; with season 2 it is (1 + 3) / 2 = 2.

    Args:
        training: (n,) units a period.
        season: periods of a season, from 1 to n - 1.

    Returns:
        Units a period; 0 for a constant window.
    """
    scale = float(np.abs(training[season:] - training[:-season]).mean())
    return scale if scale > 0 or season == 1 else naive_scale(training, 1)


def mase(actual: Floats, forecast: Floats, scale: float) -> float:
    """The mean absolute scaled error: the mean absolute error (H,) over :func:`naive_scale`.

    With a scale of 0 it is 0 where the forecast is exact, and infinite where it is not.
    ``mase([4, 6], [5, 9], 2)`` is ((1 + 3) / 2) / 2 = 1.
    """
    error = float(np.abs(forecast - actual).mean())
    if scale > 0:
        return error / scale
    return 0.0 if error == 0 else float("inf")


def coverage(actual: Floats, low: Floats, high: Floats) -> float:
    """The share of actual values (H,) inside their intervals, ends included."""
    return float(((low <= actual) & (actual <= high)).mean())


def bias(actual: Floats, forecast: Floats) -> float | None:
    """How far forecasts (H,) are too high on average, as a share of what was sold; None where nothing was.

    ``bias([10, 10], [12, 11])`` is 1.5 / 10 = 0.15.
    """
    sold = float(actual.mean())
    return float((forecast - actual).mean()) / sold if sold > 0 else None
