"""What is taken off every column of the regression: the mean of each seller in each market, and each seller's trend.

Regressing on what is left of the other columns gives their coefficients, standard errors and residuals as a regression on
all columns does (Frisch & Waugh 1933, Econometrica 1; Lovell 1963, J. American Stat. Association 58; for two-stage least
squares since what is taken off is exogenous). A trend has rows of one seller only, so that no column a seller is ever laid
out: memory is linear in rows.

R rows, K columns, S sellers with a trend, T periods from the file's first row to its last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from market.calibration.regression.design import ELAPSED, WEIGHT
from market.calibration.regression.standard_errors import by_period, by_period_and, within
from market.state import Floats, Ints


@dataclass(frozen=True)
class Absorbed:
    """``effect`` (R,): each row's seller x market. ``trend`` (R,): the number of its seller's trend, S where it has none.

    ``elapsed`` (R,): time less its mean by effect, 0 without a trend; ``square`` (S,): its sum of squares by trend.
    ``weight`` (R,): of rows in all of these sums, None: they are alike.
    """

    effect: Ints
    trend: Ints
    elapsed: Floats
    square: Floats
    weight: Floats | None = None

    @property
    def count(self) -> int:
        """Fixed effects and trends."""
        return int(self.effect.max()) + 1 + len(self.square)

    def slopes(self, values: Floats) -> Floats:
        """(S, K): how each column (R, K) grows with each seller's time."""
        elapsed = self.weighted(self.elapsed)
        sums = [np.bincount(self.trend, elapsed * one, len(self.square) + 1)[:-1] for one in values.T]
        return np.asarray(np.stack(sums, axis=1) / np.maximum(self.square, 1e-300)[:, None])

    def off(self, values: Floats) -> Floats:
        """What is left of columns (R, K)."""
        centred = within(values, self.effect, self.weight)
        if not len(self.square):
            return centred
        slopes = np.vstack([self.slopes(centred), np.zeros(values.shape[1])])
        for k, own in enumerate(slopes.T):
            centred[:, k] -= own[self.trend] * self.elapsed
        return centred

    def reweighted(self, weight: Floats) -> Absorbed:
        """The same with other weights (R,) of the rows."""
        elapsed = within(self.elapsed[:, None], self.effect, weight)[:, 0]
        square = np.asarray(np.bincount(self.trend, elapsed**2 * weight, len(self.square) + 1)[:-1], np.float64)
        return replace(self, elapsed=elapsed, square=square, weight=weight)

    def least_squares(self, x: Floats, y: Floats) -> Floats:
        """Slopes (K,) of y (R,) on columns x (R, K) beside what is taken off both."""
        root = 1.0 if self.weight is None else np.sqrt(self.weight)
        left = self.off(np.column_stack([x, y])) * np.reshape(root, (-1, 1))
        return np.asarray(np.linalg.lstsq(left[:, :-1], left[:, -1], rcond=None)[0])

    def weighted(self, values: Floats) -> Floats:
        """Values (R,) times the rows' weights."""
        return values if self.weight is None else values * self.weight

    def trend_sums(self, x: Floats, sums: Floats, e: Floats, period: Ints) -> Floats:
        """Scores of the trends' coefficients, summed by period (T, S), from those of the slopes of ``x`` (R, K), ``sums``.

        A trend's coefficient is that of the outcome less ``x``'s times the slopes: ``c_s = sum_i d_i (y_i - x_i b) / D_s``, so
        that its scores are ``d_i e_i / D_s`` less what those of b move it by.
        """
        own = by_period_and(self.weighted(self.elapsed * e), period, self.trend, len(self.square))
        return np.asarray(own / np.maximum(self.square, 1e-300) - sums @ self.slopes(x).T)


def absorb(table: pd.DataFrame, trends: Sequence[str] = ()) -> Absorbed:
    """Of a table's rows, with trends of those sellers; by the rows' weights where the table has some."""
    effect = np.asarray(table.groupby(["market", "seller"], sort=False).ngroup(), np.int64)
    number = {name: k for k, name in enumerate(trends)}
    trend = np.asarray(table["seller"].map(number).fillna(len(number)), np.int64)
    elapsed = within(table[[ELAPSED]].to_numpy(np.float64), effect)[:, 0] if trends else np.zeros(len(table))
    elapsed = np.where(trend < len(number), elapsed, 0.0)
    square = np.asarray(np.bincount(trend, elapsed**2, len(number) + 1)[:-1], np.float64)
    alike = Absorbed(effect, np.asarray(trend, np.int64), elapsed, square)
    return alike.reweighted(table[WEIGHT].to_numpy(np.float64)) if WEIGHT in table else alike


def score_sums(x: Floats, scores: Floats, e: Floats, absorbed: Absorbed, period: Ints) -> Floats:
    """Scores (R, K) of the slopes of columns ``x`` and those of the trends, summed by period: (T, K + S)."""
    sums = by_period(scores, period)
    return np.hstack([sums, absorbed.trend_sums(x, sums, e, period)])
