"""Measures of risk: pure functions of profits, money, along one axis of outcomes (periods or episodes).

Profit is good: value at risk and its like are given as profits, so higher is better and a loss is negative.
T periods; what other dimensions there are stay.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from market.errors import UserError
from market.state import Floats

Axes = int | tuple[int, ...]

LEVEL = 0.05


def variance(values: ArrayLike, axis: Axes = 0) -> Floats:
    """Variance along ``axis`` (divisor: all values), exactly 0 where nothing varies, whatever rounding does to means.

    Values 1, 3, 1, 3: 1. Four times 0.1: 0, where ``numpy.var`` of as many may leave 1e-34.
    """
    array = np.asarray(values, np.float64)
    return np.asarray(np.var(array - array.min(axis=axis, keepdims=True), axis=axis), np.float64)


def volatility(profit: ArrayLike, axis: Axes = 0) -> Floats:
    """Standard deviation of profit from period to period, money (divisor T). Profits 1, 3, 1, 3: 1."""
    return np.asarray(np.sqrt(variance(profit, axis)), np.float64)


def downside_deviation(profit: ArrayLike, target: float = 0.0, axis: Axes = 0) -> Floats:
    """Root mean square of the shortfalls below ``target``, money: sqrt(mean(min(profit - target, 0)^2)).

    The denominator of the Sortino ratio (Sortino & van der Meer 1991, *J. Portfolio Management* 17(4)): the divisor is
    all T periods, not only those that fall short, and the target is the user's, 0 (no loss) by default, not the mean.
    Profits 5, -3, 1, -4 fall short of 0 by 0, 3, 0, 4: sqrt(25 / 4) = 2.5; of target 1 by 0, 4, 0, 5: sqrt(41 / 4).
    """
    shortfall = np.minimum(np.asarray(profit, np.float64) - target, 0.0)
    return np.asarray(np.sqrt(np.mean(shortfall * shortfall, axis=axis)), np.float64)


def value_at_risk(profit: ArrayLike, level: float = LEVEL, axis: int = 0) -> Floats:
    """VaR: the ``level`` quantile of profit, money. At most a share ``level`` of outcomes is below it.

    Of n outcomes it is the ceil(level n)-th from below. Of 1, 2, ..., 10 at level 0.25 the third: 3.
    ``axis`` is that of the outcomes: episodes, or periods.
    """
    worst, _ = _worst(profit, level, axis)
    return np.asarray(worst.max(axis=0), np.float64)


def conditional_value_at_risk(profit: ArrayLike, level: float = LEVEL, axis: int = 0) -> Floats:
    """CVaR or expected shortfall: the mean profit, money, of the worst share ``level`` of outcomes.

    Where level x n is no whole number the last outcome counts in part (Rockafellar & Uryasev 2002; Acerbi & Tasche
    2002), so the measure is coherent. Of 1, 2, ..., 10 at level 0.25 the worst 2.5: (1 + 2 + 0.5 x 3) / 2.5 = 1.8.
    With fewer than 1 / level outcomes it is the worst of them. ``axis`` is that of the outcomes.
    """
    worst, share = _worst(profit, level, axis)
    whole = worst[:-1].sum(axis=0)
    return np.asarray((whole + (share - (len(worst) - 1)) * worst[-1]) / share, np.float64)


def _worst(profit: ArrayLike, level: float, axis: int) -> tuple[Floats, float]:
    """The outcomes that a share ``level`` touches, in ascending order, and how many outcomes that share is."""
    if not 0 < level <= 1:
        raise UserError(f"level: must be above 0 and at most 1, got {level}")
    outcomes = np.moveaxis(np.asarray(profit, np.float64), axis, 0)
    if len(outcomes) == 0:
        raise UserError("risk: needs at least one outcome")
    share = level * len(outcomes)
    nearest = round(share)
    if nearest and abs(share - nearest) < 1e-9 * len(outcomes):  # 0.05 x 20 is 1, whatever floats say
        share = float(nearest)
    touched = math.ceil(share)
    return np.sort(np.partition(outcomes, touched - 1, axis=0)[:touched], axis=0), share


def drawdown(profit: ArrayLike) -> tuple[Floats, Floats]:
    """The maximum drawdown along the first axis, money, and how long it lasts, periods.

    The depth is the deepest fall of cumulative profit from a peak before it, 0 if it never falls; the start counts as a
    peak of 0. The length is how long it is under water, from its peak until that peak is reached again: the periods at
    whose end cumulative profit lies below the peak that the deepest fall begins at (the first of several equally deep
    ones); a drawdown that the data end in counts as far as they go, and without a fall it is 0.
    Profits 5, -3, 1, -4, 6, -1 add up to 5, 2, 3, -1, 5, 4: from 5 to -1, so 6, under water in periods 2, 3 and 4, so 3.
    """
    gains = np.asarray(profit, np.float64)
    total = np.concatenate([np.zeros((1, *gains.shape[1:])), np.cumsum(gains, axis=0)])
    gap = np.maximum.accumulate(total, axis=0) - total  # below the peak so far, at the start and after each period
    return np.asarray(gap.max(axis=0), np.float64), _length(gap)


def _length(gap: Floats) -> Floats:
    """Periods of the spell below the peak around the deepest point of ``gap`` (T + 1, ...)."""
    deepest, length, run = (np.zeros(gap.shape[1:]) for _ in range(3))
    # Whether the present spell under water is the one that holds the deepest point so far.
    current = np.zeros(gap.shape[1:], np.bool_)
    for below in gap[1:]:
        run = np.where(below > 0, run + 1, 0.0)
        deeper = below > deepest
        current = (current | deeper) & (below > 0)
        deepest = np.maximum(deepest, below)
        length = np.where(current, run, length)
    return length


def probability_of_loss(episode_profit: ArrayLike, axis: Axes = 0) -> Floats:
    """The share of episodes that end with a loss. Profits 4, -1, 0, 2: 0.25 (nothing earned is no loss)."""
    return np.asarray(np.mean(np.asarray(episode_profit) < 0, axis=axis), np.float64)
