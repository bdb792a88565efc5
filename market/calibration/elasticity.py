"""Elasticities and the unit costs that a Bertrand equilibrium would imply, of a (nested) logit.

Berry (1994), sec. 4; Train (2009), sec. 4.2. ``a`` is ``alpha p`` for a linear price and ``alpha`` for log price.
Own: ``-a [1 - rho w_j - (1 - rho) s_j] / (1 - rho)``; of j's demand to k's price: ``a_k [s_k + rho / (1 - rho) w_k]``,
``w`` the share among the sellers. First-order condition of a seller with one good: ``(p - c) / p = -1 / own``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from market.state import Floats


@np.errstate(under="ignore")
def elasticities(price: ArrayLike, share: ArrayLike, alpha: float, rho: float, form: str) -> Floats:
    """Matrix (N, N): per cent that the row's demand changes when the column's price rises by one per cent.

    Args:
        price: (N,) money; share: (N,) of the market size.

    Example: one seller, log price, alpha 3, share 0.25, no nest: ``-3 (1 - 0.25) = -2.25``.
    """
    p, s = np.asarray(price, np.float64), np.asarray(share, np.float64)
    within = s / s.sum()
    strength = alpha * (np.ones_like(p) if form == "log" else p)
    cross = strength * (s + rho / (1 - rho) * within)
    matrix = np.tile(cross, (len(p), 1))
    np.fill_diagonal(matrix, -strength * (1 - rho * within - (1 - rho) * s) / (1 - rho))
    return matrix


def implied_cost(price: ArrayLike, share: ArrayLike, within: ArrayLike, alpha: float, rho: float, form: str) -> Floats:
    """Unit cost at which each price is the best reply of a seller with one good; below 0 where demand is inelastic.

    Example: price 2, log price, alpha 3, share 0.25, no nest: own elasticity -2.25, cost ``2 (1 - 1 / 2.25) = 1.11``.
    """
    p, s, w = (np.asarray(x, np.float64) for x in (price, share, within))
    strength = alpha * (np.ones_like(p) if form == "log" else p)
    own = strength * (1 - rho * w - (1 - rho) * s) / (1 - rho)
    return np.asarray(p * (1 - 1 / own))
