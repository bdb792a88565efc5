"""What any policy on stock and pipeline earns, by the exact law of its states."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from market.errors import UserError
from market.spec.models import MarketSpec
from market.state import Floats
from market.theory.bellman import average, long_run
from market.theory.mdp import StockStates, build_mdp, posted_prices
from market.theory.optimum import why_not

Decide = Callable[[Floats, Floats], tuple[Floats, Floats]]


def policy_average(
    spec: MarketSpec, seat: int, decide: Decide, *, rivals_price: ArrayLike | None = None, top: int | None = None
) -> float:
    """Return the mean profit a period, money, of any policy that looks at stock and pipeline only, in the long run.

    Args:
        decide: from units on hand (S,) and on their way (S, L - 1, those of the next periods first) to price (S,) and
            whole units to order (S,).
        rivals_price: as in :func:`market.theory.optimum.solve`.
        top: an inventory position that the policy never exceeds; default the larger of the order-up-to range's end
            and the opening stock, from which it starts.

    Example: lead time 0, level 7 of the newsvendor in :func:`market.theory.optimum.solve`: ``4 E min(D, 7) - E (7 - D)+``.

    Raises:
        UserError: as :func:`market.theory.optimum.solve`, or an order that exceeds ``top``.
    """
    reason = why_not(spec, seat, None) if spec.stocked else "it is made to order"
    if reason is not None:
        raise UserError(f"{spec.seat_place(seat)}: no exact average: {reason}")
    seller = spec.sellers[seat]
    states = StockStates(int(max(seller.order_up_to[1] if top is None else top, seller.stock)), seller.lead_time)
    tail = np.repeat(states.tails, states.room + 1, axis=0)
    price, order = decide((states.position - tail.sum(axis=1)).astype(np.float64), tail.astype(np.float64))
    above = states.position + order
    if (above > np.maximum(states.top, states.position)).any() or (order < 0).any():
        raise UserError(
            f"{spec.seat_place(seat)}: the policy orders up to {above.max():g} units; give top={above.max():g}"
        )
    posted = np.unique(price)
    mdp, states = build_mdp(spec, seat, posted_prices(spec, rivals_price), posted, np.array([states.top]))
    at, quantity = np.searchsorted(posted, price), np.rint(order).astype(np.int64)
    start = int(states.locate([seller.stock], [[]])[0][0])
    return average(mdp, at, quantity, long_run(mdp, at, quantity, start))
