"""Reorder point and order-up-to level where an order costs: when stock is ordered, and up to where.

Symbols: ``l`` lead time, ``d`` mean demand a period, ``K`` order cost, ``h`` holding cost a unit and period, ``pi`` what
a unit too few costs (price - unit cost + stockout cost), ``Q`` the mean order, ``n(s)`` mean units lost in a cycle.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import pdtr

from market.errors import UserError
from market.spec.models import MarketSpec
from market.state import Floats
from market.theory.newsvendor import baskets_quantile, service_level, window_means

GOLDEN = 0.6180339887498949  # of all multiples modulo 1 these lie most evenly
ROUNDS = 30
SETTLED = 1e-6


def economic_order(demand: float, order_cost: float, holding_cost: float) -> float:
    """Return ``sqrt(2 d K / h)``, units (Harris 1913): demand 8, order cost 1 and holding cost 0.25 make 8."""
    return math.sqrt(2 * demand * order_cost / holding_cost)


@np.errstate(under="ignore")
def reorder_levels(spec: MarketSpec, seat: int, price: ArrayLike) -> tuple[float, float]:
    """Return ``(s, S)``, units, of ``seat`` at posted prices (N,): at or below a position of s, order up to S.

    The lost-sales form of the (r, Q) policy (Hadley and Whitin 1963, section 4-11; Zipkin 2000, section 6.5), to
    a fixed point: ``Q = sqrt(2 d (K + pi n(s)) / h)``, at least ``d``, and ``P(X > s) = h Q / (h Q + pi d)``: the
    larger the order, the rarer is the moment at which stock can run out, and the lower is s. ``X`` is demand from the
    moment that the position falls to s until the order arrives. Stock is looked at once a period, so that this is
    ``l`` periods and, of the one in which s was passed, what was left: a part ``U``, uniform from 0 to 1 where orders
    are rare, and all of it where every period orders (from ``2 - Q / d`` on between; on the undershoot of a periodic
    review: Silver, Pyke and Thomas 2017, chapter 6). ``S = s + Q -`` the mean of what was sold below s.

    Without an order cost both are the newsvendor level. ``d = 3`` (Poisson), ``K = 2``, ``h = 0.05``, ``pi = 1``,
    ``l = 0``: 3 and 18, where ``sqrt(2 d K / h)`` is 15.5 (the exact optimum earns 0.3 % more than they do).
    Raises :class:`UserError` when holding costs nothing or the market holds no stock.
    """
    posted = np.asarray(price, dtype=np.float64)
    seller, place = spec.sellers[seat], spec.seat_place(seat)
    if not spec.stocked:
        raise UserError(f"{place}: a market made to order holds no stock, so it has no reorder point")
    shortage = float(posted[seat]) - seller.unit_cost + seller.stockout_cost
    try:
        ratio = service_level(float(posted[seat]), seller.unit_cost, seller.holding_cost, seller.stockout_cost)
    except UserError as problem:
        raise UserError(f"{place}.{problem}") from None
    if ratio <= 0:
        return 0.0, 0.0
    window, basket = seller.lead_time + 1, spec.customers.basket
    means = window_means(spec, seat, posted, window)
    sampled = spec.customers.mode == "sampled"
    if seller.order_cost == 0:
        level = baskets_quantile(means, ratio, sampled) * basket
        return level, level
    mean = float(means.mean()) / window * basket
    order, low, passed = _settled(
        means, sampled, basket, window, mean, seller.order_cost, seller.holding_cost, shortage
    )
    return low, max(low + order - passed * mean, low)


def _settled(
    means: Floats, sampled: bool, basket: float, window: int, mean: float, cost: float, holding: float, shortage: float
) -> tuple[float, float, float]:
    """The fixed point: mean order, reorder point, and the mean part of a period that is sold below it."""
    spread = (0.5 + GOLDEN * np.arange(len(means))) % 1.0
    order = max(economic_order(mean, cost, holding), mean)
    for _ in range(ROUNDS):
        least = min(max(2.0 - order / mean, 0.0), 1.0)
        at_risk = means * ((window - 1 + least + (1.0 - least) * spread) / window)
        low = baskets_quantile(at_risk, shortage * mean / (shortage * mean + holding * order), sampled)
        lost = _mean_excess(at_risk, low, sampled) * basket
        before, order = order, max(economic_order(mean, cost + shortage * lost, holding), mean)
        if abs(order - before) <= SETTLED * order:
            break
    return order, low * basket, (1.0 + least) / 2


def _mean_excess(means: Floats, level: float, sampled: bool) -> float:
    """``E (X - level)+`` of a Poisson number of one of these means (S,), or of the means themselves."""
    if not sampled:
        return float(np.maximum(means - level, 0.0).mean())
    reached = 1.0 - pdtr(level - 1.0, means) if level > 0 else np.ones_like(means)
    return float((means * reached - level * (1.0 - pdtr(level, means))).mean())
