"""Intervals and comparisons of samples, each formula in one place: Student's t, jackknife, bootstrap. Never imports torch.

Intervals are of 95 %. :func:`half_width` has that of a mean by Student's t, which costs nothing: play stops by it, and
tables of many cells show it. Where one figure is what is looked for, intervals come from ``scipy.stats.bootstrap`` with
a generator of its own and a fixed seed, so that the same samples always have the same interval. Percentiles of the
bootstrap are too narrow for few samples, by ``sqrt(n / (n - 1))`` and by what makes Student's t wider than the normal:
both are made good by taking percentiles further out, at ``Phi(-sqrt(n / (n - 1)) t(n - 1))`` (the expanded percentile
interval of Hesterberg 2015, "What teachers should know about the bootstrap", *The American Statistician* 69(4)).

Dimensions: E episodes, S line-ups (strata), R training runs, B resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, stdtrit

from market.state import Floats, Ints

LEVEL = 0.95
SEED = 20
# Resamples: as many as make WORK numbers, within these bounds. 2,000 leave 3 % of the half-width to chance.
LEAST, MOST, WORK = 2_000, 9_999, 8_000_000
BATCH = 400_000  # numbers resampled at once; small arrays stay in the cache, and memory is bounded
NOTHING = 1e-12  # a spread of that share of the values is what rounding leaves

Statistic = Callable[..., Any]


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its interval, NaN where there are too few samples for one."""

    value: float
    low: float
    high: float

    @property
    def half(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2

    @property
    def sign(self) -> int:
        """1 where the whole interval is above 0, -1 where it is below, else 0: it cannot be told."""
        return int(self.low > 0) - int(self.high < 0)

    def scaled(self, by: float) -> Interval:
        """The same in a unit ``by`` times as large, ``by`` > 0."""
        return Interval(self.value / by, self.low / by, self.high / by)

    def figures(self, name: str) -> dict[str, float]:
        """Its entries in a row of plain data: the value, half the width of the interval, and the ends."""
        ends = {f"{name}_half_width": self.half, f"{name}_low": self.low, f"{name}_high": self.high}
        return {name: self.value} | ends


UNKNOWN = Interval(np.nan, np.nan, np.nan)


def half_widths(samples: Floats, axis: int = -1) -> Floats:
    """Half-widths of the 95 % intervals of means over an axis of independent samples (.., E, ..); NaN for one sample.

    ``t(E - 1) sd / sqrt(E)``. Example: 1, 2, 3 have mean 2 and standard deviation 1, t(2) = 4.303: 4.303 / sqrt(3) = 2.484.
    """
    # Another axis is copied into rows: along these numpy adds pairwise, which is more exact.
    values = samples if axis == -1 else np.ascontiguousarray(np.moveaxis(samples, axis, -1))
    count = values.shape[-1]
    if count < 2:
        return np.full(values.shape[:-1], np.nan)
    spread = values.std(axis=-1, ddof=1)
    # Without randomness all samples are equal, and what rounding leaves of their spread is no uncertainty.
    spread = np.where(spread <= NOTHING * np.abs(values).max(axis=-1), 0.0, spread)
    return np.asarray(_student(count) * spread / np.sqrt(count), np.float64)


def half_width(samples: Floats) -> float:
    """The same of samples (E,)."""
    return float(half_widths(samples))


def _student(samples: int) -> float:
    """How many standard errors an interval reaches: t(E - 1)."""
    return float(stdtrit(samples - 1, 0.5 + LEVEL / 2))


def jackknife(values: Floats, line_up: Ints, sessions: int) -> float:
    """Half-width of the 95 % interval of the mean of ``values`` (P,) over line-ups (P, N), by leaving out sessions.

    Line-ups share sessions of training, M in number, so they are not independent; sessions are (Arvesen 1969; Efron &
    Stein 1981): ``t(M - 1) sqrt((M - 1) / M sum_m (mean without m - their mean)^2)``. For one value a session it is the
    usual t interval. NaN where leaving out a session leaves nothing.
    """
    kept = [(line_up != m).all(axis=1) for m in range(sessions)]
    if sessions < 2 or not all(one.any() for one in kept):
        return float("nan")
    without = np.array([values[one].mean() for one in kept])
    spread = np.sum((without - np.mean(without)) ** 2) * (sessions - 1) / sessions
    return float(_student(sessions) * np.sqrt(spread))


def diagonal_gap(matrix: Floats) -> Interval:
    """The mean of the diagonal of a K x K matrix less that of all else: self-play less cross-play of K training runs.

    The interval is the delete-one-run jackknife's with Student's t(K - 1): cells of one run are not independent, so
    whole runs are left out, row and column (Efron and Stein 1981, Annals of Statistics 9). NaN below three runs.
    Example: diagonal 3, 4, 5 and 1 elsewhere: 3 +- t(2) sqrt(1 / 3).
    """
    count, value = len(matrix), _diagonal_less_rest(matrix)
    if count < 3:
        return Interval(value, np.nan, np.nan)
    without = [_diagonal_less_rest(np.delete(np.delete(matrix, k, 0), k, 1)) for k in range(count)]
    error = np.sqrt((count - 1) / count * np.sum((np.asarray(without) - np.mean(without)) ** 2))
    half = float(_student(count) * error)
    return Interval(value, value - half, value + half)


def _diagonal_less_rest(matrix: Floats) -> float:
    own = np.eye(len(matrix), dtype=bool)
    return float(matrix[own].mean() - matrix[~own].mean())


def percentile_half_width(resampled: Floats) -> Floats:
    """Half the width of the 95 % percentile interval of B resampled figures, over the first axis."""
    low, high = np.quantile(resampled, (0.025, 0.975), axis=0)
    return np.asarray((high - low) / 2, np.float64)


def mean_interval(samples: ArrayLike, scale: float = 0.0) -> Interval:
    """The mean of independent samples (E,), such as paired differences, with its bootstrap interval.

    Where all are equal but for rounding the interval is the mean itself; one sample alone has none (NaN). ``scale``: the
    magnitude of what the samples are differences of, by which rounding is measured too.
    Samples 1, 2, 3: mean 2, and the interval is 1 to 3, as t(2) = 4.3 expands the percentiles to the extremes.
    """
    values = np.asarray(samples, np.float64)
    mean = float(values.mean())
    if len(values) > 1 and np.ptp(values) <= NOTHING * max(float(np.abs(values).max()), scale):
        return Interval(mean, mean, mean)
    return _interval(mean, values, np.mean, len(values))


def order_interval(values: ArrayLike) -> Interval:
    """The mean of independent draws (D,) and an interval that holds a further draw with 95 %, free of any law.

    Between order statistics j and n + 1 - j of n lies a further draw with probability ``(n + 1 - 2 j) / (n + 1)`` (Wilks
    1941, *Annals of Mathematical Statistics* 12): quantiles at k / (n + 1). Of 39 draws these are the lowest and the
    highest; of fewer too, which then hold less. NaN for one.
    """
    drawn = np.asarray(values, np.float64)
    if len(drawn) < 2:
        return Interval(float(drawn.mean()), np.nan, np.nan)
    low, high = np.quantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2), method="weibull")
    return Interval(float(drawn.mean()), float(low), float(high))


def stratified(strata: Sequence[ArrayLike]) -> Interval:
    """The mean over strata of their means, where entry e of every stratum (E_s,) is of the same episode.

    A resample takes the same episodes in all of them (strata may have played further than others): line-ups meet the
    same customers, and taking them as independent would make intervals too narrow.
    Strata (1, 3) and (10, 30, 20): (2 + 20) / 2 = 11.
    """
    samples = [np.asarray(stratum, np.float64) for stratum in strata]
    mean = float(np.mean([sample.mean() for sample in samples]))
    fewest = min(len(sample) for sample in samples)
    if fewest > 1 and all(np.ptp(sample) <= NOTHING * np.abs(sample).max() for sample in samples):
        return Interval(mean, mean, mean)
    every = np.arange(max(len(sample) for sample in samples))
    padded = [(np.pad(sample, (0, len(every) - len(sample))), every < len(sample)) for sample in samples]

    def mean_of_means(episodes: Any, axis: int) -> Floats:
        return np.asarray(np.mean([_drawn(*stratum, episodes, axis) for stratum in padded], axis=0))

    return _interval(mean, every, mean_of_means, fewest, cost=len(samples))


def _drawn(values: Floats, played: NDArray[np.bool_], episodes: Any, axis: int) -> Floats:
    """A stratum's means over the episodes drawn, for indices of episodes (resamples, E)."""
    count = played[episodes].sum(axis=axis)
    # The mean of all stays where no episode of the stratum is drawn.
    mean: Floats = np.full(count.shape, values.sum() / played.sum())
    np.divide(values[episodes].sum(axis=axis), count, out=mean, where=count > 0)
    return mean


def improvement(profit: ArrayLike, other: ArrayLike) -> float:
    """The probability of improvement over pairs: the share of episodes (E,) in which ``profit`` is the higher one.

    Ties count half. Profits 3, 2, 1 against 1, 2, 3: (1 + 1/2) / 3 = 0.5.
    """
    mine, theirs = np.asarray(profit, np.float64), np.asarray(other, np.float64)
    return float(np.mean((mine > theirs) + 0.5 * (mine == theirs)))


def improvement_over_runs(scores: ArrayLike) -> Interval:
    """The probability that a training run scores above 0, averaged over line-ups.

    ``mean_s mean_r ([x_rs > 0] + [x_rs = 0] / 2)`` of scores x (R, S) (Agarwal et al. 2021, "Deep RL at the edge of the
    statistical precipice", NeurIPS 34, section 4.3, against a fixed competitor). Whole runs are resampled, as a run's
    seller is the same in all line-ups.
    Scores -1, 1 in one line-up: 0.5.
    """
    x = np.atleast_2d(np.asarray(scores, np.float64))
    wins = ((x > 0) + 0.5 * (x == 0)).mean(axis=1)  # (R,): the mean over line-ups

    def mean_win(runs: Any, axis: int) -> Floats:
        return np.asarray(wins[runs].mean(axis=axis))

    return _interval(float(wins.mean()), np.arange(len(x)), mean_win, len(x))


def interquartile_mean(scores: ArrayLike) -> Interval:
    """The mean of the middle half of all scores (R, S), with an interval from resampling whole runs.

    The lowest and the highest quarter are left out, rounded down to whole scores: robust against a lucky or a failed
    run, and more of the data count than in a median (Agarwal et al. 2021, section 4.3). There tasks are resampled
    apart, since a run learns one task; here a run is one seller in all line-ups, so it is drawn as a whole.
    Scores 1 to 8 in one line-up: (3 + 4 + 5 + 6) / 4 = 4.5. Of three scores none is left out.
    """
    from scipy.stats import trim_mean

    table = np.asarray(scores, np.float64)
    table = table.reshape(len(table), -1)

    def middle(runs: Any, axis: int) -> Floats:
        drawn = table[runs]  # (..., R, S)
        return np.asarray(trim_mean(drawn.reshape(*drawn.shape[:-2], -1), 0.25, axis=-1))

    value = float(trim_mean(table.ravel(), 0.25))
    return _interval(value, np.arange(len(table)), middle, len(table), cost=table.shape[1])


def expanded_level(samples: int) -> float:
    """The level of percentiles whose interval covers 95 % with so few samples; 0.95 with many.

    ``1 - 2 Phi(-sqrt(n / (n - 1)) t(n - 1))``. With 10 samples t is 2.262: 1 - 2 Phi(-2.384) = 0.983.
    """
    return float(1 - 2 * ndtr(-np.sqrt(samples / (samples - 1)) * _student(samples)))


def _interval(value: float, data: Any, statistic: Statistic, samples: int, cost: int = 1) -> Interval:
    """The expanded percentile interval of a ``value``, as many ``samples`` count for it; NaN for one."""
    from scipy.stats import bootstrap  # slow to import

    if samples < 2:
        return Interval(value, np.nan, np.nan)
    size = cost * len(data)
    level = min(expanded_level(samples), 1 - 1e-12)
    found = bootstrap(
        (data,),
        statistic,
        n_resamples=int(np.clip(WORK // size, LEAST, MOST)),
        batch=max(1, BATCH // size),
        vectorized=True,
        axis=-1,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(SEED),
    )
    return Interval(value, float(found.confidence_interval.low), float(found.confidence_interval.high))
