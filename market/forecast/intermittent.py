"""Series that sell in few periods: which these are, what a period of theirs may bring, and how good that was.

Of such a series the median is 0 and a mean absolute error least for a forecast of 0, whatever it sells. So the whole
law of a period is forecast and scored: a mean for a stock's worth, an upper quantile for its level. H periods ahead, n
periods before them, k of these with sales, K quantiles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market.state import Floats

OFTEN = 1.32  # mean interval between periods with sales from which on a series is intermittent or lumpy
STEADY = 0.49  # squared coefficient of variation of what is sold in them, from which on it is erratic or lumpy
DRAWS = 2**14  # of several periods together


@dataclass(frozen=True)
class Pattern:
    """How often and how evenly a series sells.

    Args:
        interval: ADI, periods per period with sales; infinite without any.
        variation: CV^2, the squared coefficient of variation of the units of periods with sales.
    """

    interval: float
    variation: float

    @property
    def kind(self) -> str:
        """The class of Syntetos, Boylan and Croston (2005, *Journal of the Operational Research Society* 56(5))."""
        if self.interval < OFTEN:
            return "smooth" if self.variation < STEADY else "erratic"
        return "intermittent" if self.variation < STEADY else "lumpy"

    @property
    def rare(self) -> bool:
        """Whether it sells in few periods, but in some."""
        return OFTEN <= self.interval < np.inf


def pattern_of(units: Floats) -> Pattern:
    """The pattern of a series (n,): 0, 0, 3, 0, 0, 5 has an interval of 6 / 2 = 3 and a variation of (1 / 4)^2."""
    sold = units[units > 0]
    if len(sold) == 0:
        return Pattern(np.inf, 0.0)
    return Pattern(len(units) / len(sold), float(sold.var() / sold.mean() ** 2))


@dataclass(frozen=True, eq=False)
class Compound:
    """The law of the units of H periods: nothing, or with probability ``chance`` one of the ``sizes``, each as likely.

    What a period with sales brings is taken from the past as it was, as in the bootstrap of Willemain, Smart and
    Schwarz (2004, *International Journal of Forecasting* 20(3)); how likely it is follows from the forecast mean. A
    mean above that of the sizes makes them larger by ``factor``.

    Args:
        chance, factor: (H,).
        sizes: (k,) units, ascending; 0 alone where nothing was ever sold.
    """

    chance: Floats
    factor: Floats
    sizes: Floats

    @classmethod
    def of(cls, past: Floats, mean: Floats) -> Compound:
        """With the means (H,) after ``past`` (n,). Half the periods sold 2 or 4, mean 1.5: nothing, 2 and 4 with 1/2, 1/4, 1/4."""
        sizes = np.sort(past[past > 0]) if (past > 0).any() else np.zeros(1)
        times = mean / sizes.mean() if sizes[0] > 0 else np.zeros_like(mean)
        return cls(np.minimum(times, 1.0), np.maximum(times, 1.0), sizes)

    def quantile(self, q: float) -> Floats:
        """The least units (H,) that are not exceeded with probability ``q``."""
        within = (q - (1.0 - self.chance)) / np.maximum(self.chance, 1e-300)
        at = np.ceil(np.clip(within, 0.0, 1.0) * len(self.sizes) - 1e-9).astype(np.int64) - 1
        return np.where(within > 1e-12, self.factor * self.sizes[np.maximum(at, 0)], 0.0)

    def crps(self, actual: Floats) -> Floats:
        """The continuous ranked probability score (H,) of what came, units; the absolute error of a law of one value.

        ``E |X - y| - E |X - X'| / 2`` with X and X' from the law (Gneiting and Raftery 2007, *Journal of the American
        Statistical Association* 102(477), eq. 21). It is proper: no law is expected to score lower than the true one.
        """
        size = self.factor[:, None] * self.sizes
        off = (1.0 - self.chance) * actual + self.chance * np.abs(size - actual[:, None]).mean(axis=1)
        count = len(self.sizes)
        apart = 2.0 / count**2 * float((2.0 * np.arange(count) + 1.0 - count) @ self.sizes)
        spread = 2.0 * self.chance * (1.0 - self.chance) * self.sizes.mean() + self.chance**2 * apart
        return np.asarray(off - 0.5 * self.factor * spread)

    def together(self, q: float) -> float:
        """The ``q`` quantile of the units of all H periods, independent of one another, from 16,384 draws of a fixed seed."""
        rng = np.random.default_rng(0)
        drawn = self.sizes[rng.integers(len(self.sizes), size=(DRAWS, len(self.chance)))] * self.factor
        sold = np.where(rng.random(drawn.shape) < self.chance, drawn, 0.0)
        return float(np.quantile(sold.sum(axis=1), q, method="inverted_cdf"))
