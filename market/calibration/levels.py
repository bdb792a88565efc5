"""Qualities moved so that the market sells, on average over its shocks, what was sold: one number a seller.

The regression fits mean log shares; a mean of logarithms is not the logarithm of a mean, zeros have no logarithm and
residuals are not quite normal. Moving each seller's quality so that expected units over the file's rows are the
observed ones is the inversion of Berry, Levinsohn and Pakes (1995), eq. 6.8, at the level of totals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from market.calibration.design import lay_out
from market.calibration.shocks import Shocks
from market.state import Floats

if TYPE_CHECKING:
    import pandas as pd

DRAWS = 256
ROUNDS = 500
CLOSE = 1e-6


def corrections(table: pd.DataFrame, utility: pd.Series[float], rho: float, shocks: Shocks) -> dict[str, float]:
    """Utility to add to each seller's quality.

    Args:
        table: every row offered, with market, period, seller, units and size.
        utility: its mean utility without shocks.

    Example: no shocks, one seller of 30 units in a market of 100 and utility 0 (share 1/2): ``ln(3 / 7) = -0.847``.
    """
    sellers = list(shocks.own)
    wide = lay_out(table, utility, sellers)
    units = lay_out(table, table["units"], sellers)
    size = table.groupby(["market", "period"])["size"].first().to_numpy(np.float64)
    known = np.isfinite(wide)
    target = np.where(known, units, 0.0).sum(0)
    move, xi = np.zeros(len(sellers)), draws(shocks)
    for _ in range(ROUNDS):
        sold = (size[:, None] * expected_shares(wide + move, rho, xi)).sum(0)
        step = np.where((target > 0) & (sold > 0), np.log(np.maximum(target, 1e-300) / np.maximum(sold, 1e-300)), 0.0)
        move = move + (1 - rho) * step  # a share moves by 1 / (1 - rho) of its utility within the nest
        if np.abs(step).max() < CLOSE:
            break
    return dict(zip(sellers, move.tolist(), strict=True))


def draws(shocks: Shocks) -> Floats:
    """Points (Q, N) of xi: scrambled Sobol points of a fixed seed and their mirror images."""
    from scipy.stats import qmc

    own = np.array(list(shocks.own.values()))
    if shocks.common == 0 and not own.any():
        return np.zeros((1, len(own)))
    half = ndtri(np.clip(qmc.Sobol(len(own) + 1, rng=0).random(DRAWS // 2), 1e-9, 1 - 1e-9))
    z = np.concatenate([half, -half])
    z /= z.std(0)
    return np.asarray(z[:, 1:] * own + z[:, :1] * shocks.common)


@np.errstate(under="ignore")
def expected_shares(utility: Floats, rho: float, xi: Floats) -> Floats:
    """Shares (R, N) of the market size, averaged over draws ``xi`` (Q, N); 0 where ``utility`` (R, N) is NaN."""
    total = np.zeros_like(utility)
    for shock in xi:
        total += shares(utility + shock, rho)
    return total / len(xi)


@np.errstate(under="ignore")
def shares(utility: Floats, rho: float) -> Floats:
    """(Nested) logit shares (R, N) against an outside option of utility 0; 0 where the utility is NaN."""
    exponent = np.where(np.isfinite(utility), utility, -np.inf) / (1 - rho)
    top = np.maximum(exponent.max(1, keepdims=True), -700.0)
    weight = np.exp(exponent - top)
    inside = weight.sum(1, keepdims=True)
    log_inclusive = (1 - rho) * (np.log(np.maximum(inside, 1e-300)) + top)
    buys = 1.0 / (1.0 + np.exp(np.clip(-log_inclusive, -700, 700)))
    return np.asarray(buys * weight / np.maximum(inside, 1e-300))
