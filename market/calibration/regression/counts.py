"""Units as counts: the demand where rows are so few that a logarithm of units is not the logarithm of demand.

A row of 4 units at a demand of 4 is often 1 or 8, sometimes 0: logarithms leave the zeros out, and what is left is too
inelastic (tests/calibration/test_counts.py: of 1.8 units a row 1.58 in place of 2.5). Here units q are explained by
their mean, zeros among them: ``E q_j = mu_j = M s_j(u)``, shares of the (nested) logit and M the market size. The
equations are those of a quasi-likelihood (McCullagh & Nelder 1989, ch. 9; for demand Silva & Tenreyro 2006, Rev. Econ. Stat.
88): by iteratively reweighted least squares the inversion of Berry (1994), taken not at the units but to first order at
their means,

``z_j = (1 - rho) (q_j - mu_j) / mu_j + rho (Q - N) / N + (Q - N) / (M - N)``, ``Q = sum q``, ``N = sum mu``,

is regressed on what utility is made of, the nest's term being the expected ``ln mu_j / N``, which units do not move. Weights
are ``1 / (c + v)``, c the variance that counting gives z_j (``1 / mu_j`` without a nest in a large market) and v the
relative variance of the counts' means beside it (shocks), which is found by moments
(Cameron & Trivedi 1986, J. Applied Econometrics 1, eq. 3.16): no estimate's consistency hangs on it.

R rows, K columns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from market.calibration.regression.absorbed import absorb
from market.calibration.regression.design import EXPECTED, OFF, WEIGHT, Design
from market.calibration.regression.logit import UNTOLD, design_columns
from market.errors import UserError
from market.salesfile.table import Sales
from market.state import Floats, Ints

FEW = 16  # units, the median row
ROUNDS, CLOSE, LONGEST = 200, 1e-8, 1.0  # of utility: where rounds end, and the longest step of one
RHO = (-2.0, 0.95)  # the values that a round may go to


def few(sales: Sales) -> bool:
    """Whether a file's units are counts, and few a row."""
    units = sales.rows["units"]
    return bool(units.median() < FEW and (units == units.round()).all())


def counted(design: Design, nested: bool) -> Design:
    """The same table with units as counts: shares are expected ones, what is off them has a column of its own.

    A regression of its ``response`` by its weights is the estimate. Rows of a seller that never sold in a market have weight 0.

    Raises:
        UserError: no end is found, as where nothing was ever sold with a promotion.
    """
    sold = design.table.groupby(["market", "seller"])["units"].transform("sum") > 0
    table = design.table.copy()
    table[WEIGHT], table[OFF], table[EXPECTED] = sold.astype(float), 0.0, 0.0
    whole = replace(design, table=table)
    rows = whole.sold
    counts = _Counts(rows, whole, nested)
    average = rows.groupby(["market", "seller"])[["units", "size"]].transform("sum")
    begun: Floats = np.log((average["units"] / average["size"]).to_numpy(np.float64))
    utility, rho = counts.settled(begun, 0.0, 0.0)
    spread = counts.spread(counts.at(utility, rho, 0.0).mean)
    at = counts.at(*counts.settled(utility, rho, spread), spread)
    outside = np.log(1.0 - counts.together(at.mean) / counts.size)
    columns = {"share": np.log(at.mean / counts.size), "outside": outside, "within": at.within}
    columns |= {EXPECTED: at.mean, OFF: at.off, WEIGHT: at.weight}
    for name, values in columns.items():
        table.loc[rows.index, name] = values
    return whole


@dataclass(frozen=True)
class _At:
    """Of each row (R,): expected units, ``ln mu_j / N``, ``z``, and the weight."""

    mean: Floats
    within: Floats
    off: Floats
    weight: Floats


class _Counts:
    """Rows and what explains them: columns (R, K), and the nest's term beside them where there is one."""

    def __init__(self, rows: pd.DataFrame, design: Design, nested: bool) -> None:
        self.raw = np.column_stack(list(design_columns(design, nested=False).values()))
        self.nested, self.absorbed = nested, absorb(rows, design.trends)
        self.cell: Ints = np.asarray(rows.groupby(["market", "period"], sort=False).ngroup(), np.int64)
        self.units, self.size = (rows[name].to_numpy(np.float64) for name in ("units", "size"))

    def together(self, values: Floats) -> Floats:
        """(R,): the sum over the sellers of the row's market and period."""
        return np.asarray(np.bincount(self.cell, values)[self.cell], np.float64)

    def spread(self, mean: Floats) -> float:
        """v: relative variance of the counts' means."""
        more = ((self.units - mean) ** 2 - self.units).sum() / (mean**2).sum()
        return max(float(more), 0.0)

    def at(self, utility: Floats, rho: float, spread: float) -> _At:
        """Expected units at utilities (R,) without the nest's term, and what the units are off them."""
        exponent = utility / (1.0 - rho)
        top = np.full(int(self.cell.max()) + 1, -np.inf)
        np.maximum.at(top, self.cell, exponent)
        exponent = np.maximum(exponent - top[self.cell], -700.0)
        inside = self.together(np.exp(exponent))
        within = exponent - np.log(inside)
        inclusive = (1.0 - rho) * (np.log(inside) + top[self.cell])
        mean = self.size * np.exp(within) / (1.0 + np.exp(-np.clip(inclusive, -700.0, 700.0)))
        all_mean, off = self.together(mean), self.units - mean
        own, shift = (1.0 - rho) / mean, rho / all_mean + 1.0 / (self.size - all_mean)
        counting = own**2 * mean + 2.0 * shift * own * mean + shift**2 * all_mean
        return _At(mean, within, own * off + shift * self.together(off), 1.0 / (counting + spread))

    @np.errstate(all="ignore")  # of rounds that end nowhere
    def settled(self, utility: Floats, rho: float, spread: float) -> tuple[Floats, float]:
        """Utilities (R,) and rho at which nothing explains what units are off their means."""
        for _ in range(ROUNDS):
            there, to = self._explained(self.at(utility, rho, spread), utility, rho)
            longest = max(float(np.abs(there - utility).max()), abs(to - rho))
            step = min(1.0, LONGEST / max(longest, 1e-300))
            utility, rho = utility + step * (there - utility), rho + step * (to - rho)
            if longest < CLOSE:
                return utility, rho
        raise UserError(UNTOLD)

    def _explained(self, at: _At, utility: Floats, rho: float) -> tuple[Floats, float]:
        """One round: what the units say at first order, regressed on; the utilities and rho that it makes."""
        if not np.isfinite(at.off @ at.weight):
            raise UserError(UNTOLD)
        y = utility + at.off + (rho * at.within if self.nested else 0.0)
        x = np.column_stack([at.within, self.raw]) if self.nested else self.raw
        absorbed = self.absorbed.reweighted(at.weight)
        slopes = absorbed.least_squares(x, y)
        fitted = y - absorbed.off((y - x @ slopes)[:, None])[:, 0]
        if not self.nested:
            return fitted, 0.0
        return fitted - slopes[0] * at.within, float(np.clip(slopes[0], *RHO))
