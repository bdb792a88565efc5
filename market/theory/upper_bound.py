"""An upper bound on what any seller could have earned in a seat, from knowing the tape.

**Claim.** Let rivals post constant prices and never run dry, and count an episode's profit with stock valued at unit
cost when the count begins and when it ends (``salvage`` 1, as evaluation does by default). Then, given the tape
(number of customers, ``xi``, events), no seller, even one that knows the tape, earns more in expectation than
``sum_t max_p (p - c) K_t b s_t(p)``: ``K_t`` customers, ``b`` units each, ``s_t(p)`` the probability that a
customer of period t first chooses the seat at price ``p``; made to order nobody may stay out, so that the maximum may
be negative, and with stock it is at least 0.

**Proof.** What is ordered and not sold is valued at what was paid for it, so that purchases cost ``c`` per unit sold,
and all other costs only lower profit: it is at most ``sum_t (p_t - c) sold_t``. Rivals never run dry, so nobody comes
as a second choice: ``sold_t <= D_t``, the units that first choose the seat (equal, made to order). Whatever the seller
knows when it posts ``p_t``, tape and past included, the choices of period t's customers are independent of that, so
``E[D_t | known] = K_t b s_t(p_t)``; and ``(p - c) K_t b s_t(p)`` is at most its maximum. Add up and take expectations.

**How loose.** It pretends that the price is chosen after the shocks are seen, that stock is always there and that
holding it costs nothing: in the orange-juice market it lies 3 to 34 % above the true optimum. Where nothing is random
and holding costs nothing it is the optimum. A single episode's luck in the customers' choices may exceed it; the mean
over episodes does not.

M markets side by side, T periods, N sellers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.state import Floats
from market.theory.mdp import posted_prices

# A golden section shrinks the bracket by this, and the price is off by 1e-9 of its range after 44 of them.
GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
SECTIONS = 44


def profit_bound(batch: MarketBatch, seat: int, *, rivals_price: ArrayLike | None = None, warm_up: int = 0) -> Floats:
    """Return the bound on the profit of each running episode (M,), money, from period ``warm_up`` on.

    To be compared with :func:`market.metrics.summary.episode_profit` at ``salvage`` 1 (see the module for the proof).

    Args:
        batch: at any point of its episodes; only its tape is read.
        rivals_price: what all sellers post (N,), the seat's own entry not looked at; default Bertrand-Nash prices
            inside every seat's range.

    Example: 10 customers in each of two periods, everyone buys one unit, price at most 3, cost 1: 2 x 20 = 40.

    Raises:
        UserError: no episode has begun, the market has reference prices (the proof takes demand to depend on the
            period's prices alone), ``warm_up`` leaves no period, or there are no Nash prices.
    """
    spec, tape = batch.spec, batch.tape
    if (batch.state.episode < 0).any():
        raise UserError("upper bound: no episode has begun, so that there is no tape: call reset first")
    if spec.prices_linger:
        raise UserError(
            "market.reference_price.weight is above 0, so that demand depends on past prices and the tape bounds nothing"
        )
    if not 0 <= warm_up < spec.horizon:
        raise UserError(f"warm_up: must be at least 0 and below the {spec.horizon} periods played, got {warm_up}")
    posted = posted_prices(spec, rivals_price)
    effect = spec.events.effect if spec.events else 0.0
    shocks = tape.xi[:, warm_up:] + effect * tape.event[:, warm_up : spec.horizon]
    units = tape.customers[:, warm_up:] * spec.customers.basket
    taste = tape.price_sensitivity[:, None], tape.nest[:, None]
    return np.asarray((units * best_margin(spec, seat, posted, shocks, taste)).sum(axis=1))


@np.errstate(under="ignore")
def best_margin(
    spec: MarketSpec, seat: int, posted: Floats, shocks: NDArray[np.float64], taste: tuple[Any, Any] | None = None
) -> Floats:
    """Return ``max_p (p - c) s(p)`` (...,), money a customer's unit, at known shocks to utility (..., N).

    ``taste``: price sensitivity and rho, (...,) each; None: the market's.

    ``(p - c) s(p)`` rises and then falls in ``p`` (its logarithm's slope ``1 / (p - c) - a f'(p) E`` changes sign once:
    both ``(p - c) f'(p)`` and ``E``, the response of ``ln s`` to utility, grow with ``p``), so a golden section finds
    its top. Cost 0, linear price with ``a = 1``, quality 2, outside 0, alone: ``p = 2``, ``s = 1/2``, so 1.
    """
    seller = spec.sellers[seat]
    rivals = np.delete(np.arange(len(spec.sellers)), seat)
    quality = np.array([one.quality for one in spec.sellers])
    sensitivity, nest = (np.asarray(x) for x in taste or (spec.price_sensitivity, spec.nest))
    paid = np.log(posted) if spec.price_form == "log" else posted
    fixed = quality - sensitivity[..., None] * paid + shocks
    fixed = fixed[..., rivals] / (1.0 - nest[..., None])
    against = np.logaddexp.reduce(fixed, axis=-1) if len(rivals) else np.full(shocks.shape[:-1], -np.inf)
    appeal = seller.quality + shocks[..., seat]

    def margin(price: Floats) -> Floats:
        cost = np.log(price) if spec.price_form == "log" else price
        own = (appeal - sensitivity * cost) / (1.0 - nest)
        buys = expit((1.0 - nest) * np.logaddexp(own, against) - spec.outside)
        return np.asarray((price - seller.unit_cost) * buys * expit(own - against))

    low, high = (np.full(shocks.shape[:-1], end) for end in seller.prices)
    best = np.maximum(margin(low), margin(high))
    for _ in range(SECTIONS):
        width = GOLDEN * (high - low)
        left, right = high - width, low + width
        rises = margin(left) < margin(right)
        low, high = np.where(rises, left, low), np.where(rises, high, right)
    best = np.maximum(best, margin((low + high) / 2))
    return np.maximum(best, 0.0) if spec.stocked else best
