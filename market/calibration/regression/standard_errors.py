"""Standard errors of coefficients whose regressors and shocks last: scores summed by period, and their long-run variance.

Two-stage least squares is, to first order, a sum over rows of ``psi_i = A X' Z (Z'Z)^-1 z_i e_i`` with ``A = (X' P_Z X)^-1``
(influence function; Newey & McFadden 1994, section 3). Rows of one period share what happened in it, so scores are summed
by period; shocks and prices last, so sums of periods that lie up to ``LAGS`` apart are taken together with Bartlett's
weights ``1 - h / (LAGS + 1)`` (Driscoll & Kraay 1998, Rev. Econ. Stat. 80; Newey & West 1987). In files as short as sales
files are that alone is too little (150 simulated ones of 104 weeks: .87 in place of .95), so it has the two remedies of
its literature: an AR(1) that the sums of a kind have in common is taken off before and put back after (Andrews & Monahan
1992, Econometrica 60), and the errors are scaled so that 1.96 of them are the critical value under fixed-b asymptotics
(Kiefer & Vogelsang 2005, Econometric Theory 21, table 1; for Driscoll & Kraay's estimator: Vogelsang 2012, J.
Econometrics 166), beside n / (n - k) and T / (T - 1).

R rows, K scores of each, T periods from the file's first row to its last, L lags.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from market.state import Floats, Ints

LAGS = 8
LARGEST = 0.9  # common AR(1) coefficient that is taken off
FIXED_B = (1.9600, 2.9694, 0.4160, -0.5324)  # Bartlett's kernel, 97.5 %: polynomial in b = (L + 1) / T
NORMAL = 1.96


def by_period(scores: Floats, period: Ints) -> Floats:
    """Sums (T, K) of scores (R, K) by period; a period without rows, between the first and the last, is zeros."""
    at = period - period.min()
    return np.column_stack([np.bincount(at, column, int(at.max()) + 1) for column in scores.T]).astype(np.float64)


def by_period_and(values: Floats, period: Ints, kind: Ints, kinds: int) -> Floats:
    """Sums (T, kinds) of values (R,) by period and kind; rows of kind ``kinds`` and above are left out."""
    at, kept = period - period.min(), kind < kinds
    count = int(at.max()) + 1
    sums = np.bincount(at[kept] * kinds + kind[kept], values[kept], count * kinds)
    return np.asarray(sums.reshape(count, kinds), np.float64)


def long_run(summed: Floats, kinds: Sequence[Hashable] | None = None, lags: int | None = None) -> Floats:
    """Rows (T + L, K) whose sum of squares and products is the long-run covariance of sums (T, K) by period.

    Sums over windows of L + 1 periods, over ``sqrt(L + 1)``: Bartlett's weights. Independent normals on these rows are
    draws of that covariance (the dependent multiplier bootstrap; Shao 2010, JASA 105).

    Args:
        kinds: of each column (K,); those of one kind have their AR(1) in common. None: none is taken off.

    Example: sums 1, 1 and one lag: windows 1, 2, 1 over root 2, whose squares sum to 3 = 1 + 1 + 2 x 1/2 x 1.
    """
    periods, lags = len(summed), window(len(summed)) if lags is None else lags
    white = summed if kinds is None else _whitened(summed, kinds)
    total = np.zeros((periods + lags, summed.shape[1]))
    for h in range(lags + 1):
        total[h : h + periods] += white
    return np.asarray(total / np.sqrt(lags + 1))


def window(periods: int) -> int:
    """L: 8, or fewer in a file of less than 27 periods."""
    return min(LAGS, (periods - 1) // 3)


def _whitened(summed: Floats, kinds: Sequence[Hashable]) -> Floats:
    """``(v_t - a v_(t-1)) / (1 - a)``, ``a`` the AR(1) coefficient of a kind's columns, each of length 1; not below 0."""
    white = summed.copy()
    for kind in dict.fromkeys(kinds):
        at = [k for k, one in enumerate(kinds) if one == kind]
        length = np.sqrt((summed[:, at] ** 2).sum(0))
        scaled = summed[:, at] / np.where(length > 0, length, 1.0)
        size = float((scaled[:-1] ** 2).sum())
        a = float(np.clip((scaled[1:] * scaled[:-1]).sum() / size, 0.0, LARGEST)) if size > 0 else 0.0
        white[1:, at] -= a * summed[:-1, at]
        white[:, at] /= 1.0 - a
    return white


def small_sample(rows: int, parameters: int, periods: int) -> float:
    """What errors are multiplied by, so that 1.96 of them are a 95 % interval in a file so short.

    Example: 104 periods, 8 lags, b = 9 / 104: ``(1.96 + 2.9694 b + .4160 b^2 - .5324 b^3) / 1.96 = 1.133``, times the
    roots of 104 / 103 and of rows / (rows - parameters).
    """
    b = (window(periods) + 1) / periods
    critical = sum(c * b**k for k, c in enumerate(FIXED_B)) / NORMAL
    left = max(rows - parameters, 1)
    return float(critical * np.sqrt(rows / left * periods / max(periods - 1, 1)))


def slope_scores(x: Floats, z: Floats, e: Floats, effect: Ints, weight: Floats | None = None) -> Floats:
    """Scores (R, K) of the coefficients of ``x`` (R, K), instrumented by ``z``, residuals ``e`` (R,).

    ``effect`` (R,): the number of each row's fixed effect, whose means are taken off. ``weight`` (R,): rows', where they
    have some.
    """
    z, x = within(z, effect, weight), within(x, effect, weight)
    if weight is not None:
        root = np.sqrt(weight)
        z, x, e = z * root[:, None], x * root[:, None], e * root
    scale = np.sqrt((z**2).sum(0))
    z = z / np.where(scale > 0, scale, 1.0)
    first, *_ = np.linalg.lstsq(z, x, rcond=None)
    fitted = z @ first
    return np.asarray((fitted * e[:, None]) @ np.linalg.inv(fitted.T @ x).T)


def within(values: Floats, effect: Ints, weight: Floats | None = None) -> Floats:
    """Columns (R, K) less their mean in each group, by ``weight`` (R,) where rows have some."""
    count = np.bincount(effect, weight)
    weighted = values if weight is None else values * weight[:, None]
    means = np.column_stack([np.bincount(effect, column) for column in weighted.T]) / count[:, None]
    return np.asarray(values - means[effect])
