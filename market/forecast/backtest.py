"""How to forecast, how good forecasts were, and which model is chosen by that.

Scaled error, coverage of intervals and bias in plain numpy. F folds, H periods ahead, n periods before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from market.errors import UserError
from market.forecast.intermittent import Pattern, pattern_of
from market.forecast.series import Series, usual_season
from market.state import Floats

NAIVE, SEASONAL_NAIVE = "Naive", "SeasonalNaive"
REFERENCES = (NAIVE, SEASONAL_NAIVE)
AVERAGE = "HistoricAverage"
# simpler first: taken where equally good
MODELS = (NAIVE, SEASONAL_NAIVE, AVERAGE, "AutoTheta", "AutoETS", "AutoARIMA")
TSB = "TSB"
RARE = ("CrostonClassic", "CrostonSBA", TSB)  # of series that sell in few periods
LEAST = 12  # periods to fit a model to, beside a season
SAME = 1e-9  # error within which two models are equally good


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


@dataclass(frozen=True)
class BacktestPlan:
    """How to forecast: H periods ahead, F folds, intervals of probability ``level``, periods of a season (1: none)."""

    horizon: int
    folds: int = 5
    level: float = 0.9
    season: int = 1

    def __post_init__(self) -> None:
        for name in ("horizon", "folds", "season"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name}: must be at least 1, got {getattr(self, name)}")
        if not 0 < self.level < 1:
            raise UserError(f"--level: must be between 0 and 1, got {self.level:g}")

    @property
    def models(self) -> list[str]:
        """The models tried; the seasonal naive forecast only where there is a season."""
        return [name for name in MODELS if self.season > 1 or name != SEASONAL_NAIVE]

    def candidates(self, units: Floats) -> list[str]:
        """The models tried on a series (n,): on one that sells in few periods those made for such, and simple ones.

        Others follow the last periods there, whose zeros say little.
        """
        if not pattern_of(units).rare:
            return self.models
        return [*(name for name in self.models if name in (*REFERENCES, AVERAGE)), *RARE]

    @property
    def needed(self) -> int:
        """The periods that a series must have."""
        return self.folds * self.horizon + LEAST + (self.season if self.season > 1 else 0)

    @property
    def arithmetic(self) -> str:
        """Where :attr:`needed` comes from."""
        season = f"a season of {self.season} and " if self.season > 1 else ""
        return (
            f"{self.folds} folds x {self.horizon} periods + {season}{LEAST} periods to fit to = {self.needed}; "
            "a shorter --horizon, fewer --folds" + (" or a shorter --season need less" if season else " need less")
        )


@dataclass(frozen=True)
class UnitForecast:
    """The units of H periods ahead, none below 0: mean and the ends of the interval, each (H,).

    ``together``: the upper end for the units of all H, of a series that sells in few periods.
    """

    mean: Floats
    low: Floats
    high: Floats
    together: float | None = None


@dataclass(frozen=True)
class Fold:
    """One fold of a backtest: a model fitted to what lies before period ``begin`` of the series, and what came.

    ``crps``: of a series that sells in few periods, the mean continuous ranked probability score over the mean absolute
    change from a period of the whole series to the next.
    """

    begin: int
    actual: Floats
    forecast: UnitForecast
    scale: float
    crps: float | None = None

    @property
    def mase(self) -> float:
        """Its mean absolute scaled error."""
        return mase(self.actual, self.forecast.mean, self.scale)

    @property
    def error(self) -> float:
        """What models are chosen by: scaled CRPS of a series that sells in few periods, else MASE."""
        return self.mase if self.crps is None else self.crps


@dataclass(frozen=True)
class ModelScore:
    """What a model's forecasts were worth in the folds of one series."""

    model: str
    folds: tuple[Fold, ...]

    @property
    def mase(self) -> float:
        """The mean of the folds' MASE."""
        return float(np.mean([fold.mase for fold in self.folds]))

    @property
    def error(self) -> float:
        """The mean of the folds' errors."""
        return float(np.mean([fold.error for fold in self.folds]))

    @property
    def coverage(self) -> float:
        """The share of all folds' periods inside their intervals."""
        ends = [(fold.actual, fold.forecast.low, fold.forecast.high) for fold in self.folds]
        actual, low, high = (np.concatenate(part) for part in zip(*ends, strict=True))
        return coverage(actual, low, high)

    @property
    def bias(self) -> float | None:
        """How far the forecasts of all folds were too high, as a share of sales."""
        pairs = [(fold.actual, fold.forecast.mean) for fold in self.folds]
        actual, forecast = (np.concatenate(part) for part in zip(*pairs, strict=True))
        return bias(actual, forecast)


@dataclass(frozen=True)
class Backtest:
    """A series with its backtest, the model that did best in it, and that model's forecast."""

    series: Series
    scores: tuple[ModelScore, ...]
    chosen: ModelScore
    forecast: UnitForecast

    @property
    def pattern(self) -> Pattern:
        """How often and how evenly it sells, which decides what is tried and by what it is judged."""
        return pattern_of(self.series.units)

    @property
    def untold(self) -> bool:
        """Whether nothing was sold in any fold of a series that sells in few periods, so that no error tells models apart."""
        return self.pattern.rare and not any(fold.actual.any() for fold in self.chosen.folds)

    @property
    def measure(self) -> str:
        """What the models' errors are called."""
        return "MASE" if self.chosen.folds[0].crps is None else "scaled CRPS"

    def score(self, model: str) -> ModelScore | None:
        """A model's score; None where it was not tried or could not be fitted."""
        return next((score for score in self.scores if score.model == model), None)

    def beats(self, model: str) -> bool | None:
        """Whether the chosen model did better than ``model``; None where that has no score."""
        other = self.score(model)
        return None if other is None else self.chosen.error < other.error - SAME

    @property
    def late(self) -> range:
        """The later half of the folds, whose models can be chosen by the folds before; empty with a single one."""
        return range(max(1, len(self.chosen.folds) // 2), len(self.chosen.folds))

    @property
    def unseen(self) -> float | None:
        """Mean error of the late folds when each one's model is chosen by the folds before it: none judges its own choice."""
        return float(np.mean([best(self.scores, k).folds[k].error for k in self.late])) if self.late else None

    def late_error(self, model: str) -> float | None:
        """Mean error of a model in the late folds."""
        score = self.score(model)
        return float(np.mean([score.folds[k].error for k in self.late])) if score and self.late else None


def planned(step: str, longest: int, plan: BacktestPlan, season: int | None) -> tuple[BacktestPlan, str]:
    """The plan with the season asked for, or the usual one of the calendar where the series have room for it.

    Args:
        step: what a period is, as :attr:`Sales.step` names it.
        longest: periods of the longest series.
        season: periods, or None for the usual one.

    Returns:
        The plan, and which season it has and why, in words.
    """
    if season is not None:
        return replace(plan, season=season), "none" if season == 1 else f"{season} periods"
    usual, why = usual_season(step, longest)
    seasonal = replace(plan, season=usual)
    if usual > 1 and longest < seasonal.needed:
        return plan, f"none, since {longest} periods are fewer than {seasonal.arithmetic}"
    return seasonal, why


def best(scores: Sequence[ModelScore], folds: int | None = None) -> ModelScore:
    """The score of lowest mean error over the first ``folds``; of equally good ones the first.

    Of a series that sells in few periods a naive forecast is all or nothing, and a few periods without a sale would
    choose nothing: it is compared with, not chosen. Where all these periods are without, errors tell only who expects
    least, and TSB is taken, which follows a good that goes out of use.
    """
    if scores[0].folds[0].crps is not None:
        scores = [score for score in scores if score.model not in REFERENCES] or scores
        usual = [score for score in scores if score.model == TSB]
        if usual and not any(fold.actual.any() for fold in usual[0].folds[:folds]):
            return usual[0]
    means = [float(np.mean([fold.error for fold in score.folds[:folds]])) for score in scores]
    return next(score for score, mean in zip(scores, means, strict=True) if mean <= min(means) + SAME)


def long_enough(series: Sequence[Series], plan: BacktestPlan) -> tuple[list[Series], list[str]]:
    """The series that can be backtested, and sentences on those that are left out.

    Raises :class:`UserError` with the arithmetic when none can.
    """
    kept = [one for one in series if len(one.units) >= plan.needed]
    if not kept:
        longest = max((len(one.units) for one in series), default=0)
        raise UserError(f"the longest series has {longest} periods, fewer than {plan.arithmetic}")
    out = [one for one in series if len(one.units) < plan.needed]
    return kept, [
        f"{one.name}: {len(one.units)} periods, fewer than {plan.needed} that are needed; left out" for one in out
    ]
