"""A seat's best response to posted prices, for many markets at once: what a rule needs that reprices every period.

Reference prices are left out, so that in a market that has them it is the response of a price held for good.
Symbols are those of ``market.demand.equilibrium``: M markets, N sellers, Q nodes of the average over ``xi``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from market.demand.equilibrium import LARGEST_EXPONENT, UNBOUNDED
from market.demand.logit import Logit, utility_of_price, utility_slope
from market.errors import UserError
from market.state import Floats


@dataclass(frozen=True, eq=False)
class _Seat:
    """One seat before given rivals, row by row: only its own utility is left to move."""

    appeal: Floats
    inside: Floats | None
    weights: Floats
    nest: float

    @classmethod
    def of(cls, logit: Logit, price: Floats, seat: int) -> _Seat:
        rivals = np.delete(np.arange(len(logit.quality)), seat)
        nest = logit.nest if len(rivals) else 0.0
        own = (logit.quality[seat] + logit.nodes[:, seat]) / (1.0 - nest)
        value = (logit.quality + utility_of_price(logit, price))[:, None, rivals] + logit.nodes[:, rivals]
        value = value / (1.0 - nest)
        if nest == 0.0 and logit.outside > -math.inf:
            value = np.concatenate([value, np.full((*value.shape[:2], 1), logit.outside)], axis=-1)
        if value.shape[-1] == 0:
            raise UserError("a single seller without an outside option has no finite best price: set outside")
        top = value.max(axis=-1)
        rival = top + np.log(np.exp(value - top[..., None]).sum(axis=-1))
        inside = None
        if nest > 0.0 and logit.outside > -math.inf:
            inside = _safe_exp((1.0 - nest) * rival - logit.outside)
        return cls(own - rival, inside, logit.weights, nest)

    def response(self, utility: Floats) -> tuple[Floats, Floats]:
        """``E = s'(u) / s`` (M,) and its derivative at the utility (M,) of the seat's price; shares averaged."""
        narrow = 1.0 - self.nest
        ratio = _safe_exp(self.appeal + utility[:, None] / narrow)
        spare = 1.0 / (1.0 + ratio)
        within = ratio * spare
        rate = spare / narrow
        bend = within * rate / narrow
        share = within
        if self.inside is not None:
            odds = self.inside * (1.0 + ratio) ** narrow
            stays = 1.0 / (1.0 + odds)
            share = within * odds * stays
            rate = rate + within * stays
            bend = self.nest * bend + share * rate
        # Sums, not matrix products: a product's rounding depends on how many markets there are.
        total = (share * self.weights).sum(axis=-1)
        mean = (share * rate * self.weights).sum(axis=-1) / total
        return mean, (share * (rate * rate - bend) * self.weights).sum(axis=-1) / total - mean * mean


def _safe_exp(x: Floats) -> Floats:
    """Beyond e^300 nothing changes but the risk of overflow."""
    return np.asarray(np.exp(np.clip(x, -LARGEST_EXPONENT, LARGEST_EXPONENT)))


@np.errstate(under="ignore")
def best_response(
    logit: Logit, price: ArrayLike, seat: int, low: float = 0.0, high: float = math.inf, tolerance: float = 1e-10
) -> Floats:
    """Return the price (M,) that maximises ``seat``'s profit in each of M markets, rivals' prices (M, N) given.

    The stationary price, ``(p - c) a f'(p) E(p) = 1`` with ``E = s'(u) / s``, by Newton's method in the log of the
    markup inside a bracket, then moved into ``[low, high]``; the seat's own entry of ``price`` plays no part.
    Relative error of the markup: ``tolerance``. One seller, plain logit, linear price, ``a = 1``,
    ``quality = c + 2``, outside 0: ``c + 2``. Raises :class:`UserError` where the best price is infinite.
    """
    price = np.asarray(price, dtype=np.float64)
    cost = float(logit.unit_cost[seat])
    if high <= cost or (price.shape[-1] == 1 and logit.outside == -math.inf and high < math.inf):
        return np.full(len(price), high)
    market = _Seat.of(logit, price, seat)
    floor, ceiling = _bracket(logit, cost, market.nest, high)

    def excess(y: Floats) -> tuple[Floats, Floats]:
        markup = np.exp(y)
        posted = cost + markup
        rate, bend = market.response(utility_of_price(logit, posted))
        lever = markup * utility_slope(logit, posted)
        bent = -markup / posted if logit.log_price else 0.0
        return np.log(lever * rate), 1.0 + bent - lever * bend / rate

    y = _bracketed_root(excess, np.full(len(price), floor), np.full(len(price), ceiling), tolerance)
    if high == math.inf and (y >= ceiling - 1e-6).any():
        raise UserError("no finite best response: demand falls too slowly with the price; give the price a bound")
    return np.asarray(np.clip(cost + np.exp(y), low, high))


def _bracket(logit: Logit, cost: float, nest: float, high: float) -> tuple[float, float]:
    """Logs of the smallest markup that can be best and of the largest that is looked at."""
    a, narrow = logit.price_sensitivity, 1.0 - nest
    least = narrow / a
    if logit.log_price:
        least = narrow * cost / (a - narrow) if a > narrow else 0.0
    floor = math.log(max(least, 1e-9 * (1.0 + cost)))
    largest = high - cost if high < math.inf else UNBOUNDED * (math.exp(floor) + cost + 1.0)
    return floor, max(floor, math.log(largest))


def _bracketed_root(
    function: Callable[[Floats], tuple[Floats, Floats]], low: Floats, high: Floats, tolerance: float
) -> Floats:
    """Roots of functions that rise from below zero at ``low``; ``high`` where they never do."""
    x = np.minimum(low + 0.3, high)
    settled = np.zeros(x.shape, np.bool_)
    for _ in range(100):
        value, slope = function(x)
        low, high = np.where(value <= 0, x, low), np.where(value >= 0, x, high)
        update = x - np.clip(value / np.maximum(slope, 1e-6), -2.0, 2.0)
        update = np.where((update < low) | (update > high), 0.5 * (low + high), update)
        near = np.abs(update - x) <= tolerance
        x = np.where(settled, x, update)
        settled = settled | near
        if settled.all():
            break
    return np.asarray(x)
