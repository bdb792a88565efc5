"""The qualities behind given shares: the inverse of the demand that theory's prices come from."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from market.demand.equilibrium import polish
from market.demand.logit import Logit, shares, utility_of_price
from market.errors import UserError
from market.state import Floats


@np.errstate(under="ignore")
def solve_qualities(target: ArrayLike, price: ArrayLike, logit: Logit) -> Floats:
    """Return qualities (N,) at which ``shares(logit, price)``, averaged over ``xi``, equal ``target`` (N,).

    Starts from Berry's (1994) inversion, ``ln s_i - ln s_0 - rho ln w_i + a f(p_i)``, exact at ``xi = 0``, and
    finishes with Newton's method to 1e-12 in log shares; ``logit``'s own qualities play no part. Without an outside
    option qualities are told apart only by differences: their mean is set to 0.
    Target one half, one seller, ``a = 1``, price 3, outside 0, no ``xi``: quality 3.
    Raises :class:`UserError` where no qualities give such shares.
    """
    wanted = np.asarray(target, dtype=np.float64)
    at = np.asarray(price, dtype=np.float64)
    open_market = logit.outside > -math.inf
    total = float(wanted.sum())
    if not (wanted > 0).all() or (open_market and total >= 1) or (not open_market and abs(total - 1) > 1e-9):
        rule = "sum to less than 1" if open_market else "sum to 1, as nobody stays out,"
        raise UserError(f"target shares must be positive and {rule}, got {wanted.tolist()}")
    nobody = math.log1p(-total) - logit.outside if open_market else 0.0
    start = np.log(wanted) - nobody - logit.nest * np.log(wanted / total) - utility_of_price(logit, at)
    start = start if open_market else start - start.mean()

    def gap(quality: Floats) -> Floats:
        return np.asarray(np.log(shares(replace(logit, quality=quality), at) / wanted))

    found = polish(gap, start)
    if found is None:
        raise UserError(f"no qualities were found that give the shares {wanted.tolist()}")
    return found
