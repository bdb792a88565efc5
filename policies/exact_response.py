"""The exact best response to fixed competitors, where their play leaves the seat alone with its own stock."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from market.demand import ample_level
from market.errors import Refusal
from market.optimum import Axis, Optimum, solve
from market.spec import MarketSpec
from policies.fixed import Rules, compose
from policies.replenishment import BaseStock
from policies.rule import Seat


def exact_best_response(
    spec: MarketSpec,
    seat: int,
    rivals: Sequence[Rules],
    *,
    gamma: float | None = None,
    prices: Axis = None,
    levels: Axis = None,
) -> Optimum:
    """Return the exact best response of ``seat`` to rivals that post constant prices and never run dry.

    Such rivals are ``nash+base_stock(level=ample)`` and its like: a pricing rule that never looks at anything, and
    base stock from the ample level on (made to order: any such pricing rule). From their first orders' arrival on,
    they leave the seat a market of its own.

    Args:
        rivals: rules for every seat; the seat's own is not looked at.
        gamma, prices, levels: as in :func:`market.optimum.solve`.

    Raises:
        Refusal: a rival's play is not of this kind (the message names it, and what there is instead), or the market
            has no exact optimum.
    """
    if len(rivals) != len(spec.sellers):
        raise Refusal(f"rivals: {spec.name} has {len(spec.sellers)} seats, got rules for {len(rivals)}")
    posted = np.array([seller.first_price for seller in spec.sellers])
    for k, rules in enumerate(rivals):
        if k != seat:
            posted[k] = constant_price(spec, k, rules)
    return solve(spec, seat, rivals_price=posted, prices=prices, levels=levels, gamma=gamma)


def constant_price(spec: MarketSpec, seat: int, rules: Rules) -> float:
    """Return the price that ``rules`` post for ever in a seat, money per unit, if they also never run dry there.

    Raises :class:`Refusal` with the rival, the reason, and what there is instead.
    """
    rules = rules.completed(spec)
    reason = _why_not(spec, seat, rules)
    if reason is not None:
        raise Refusal(
            f"seats.{spec.names[seat]} ({rules.label}): no exact best response: {reason}; "
            "`bazaar exploit` trains a response instead"
        )
    return rules.pricing.usual(Seat(spec, seat))


def _why_not(spec: MarketSpec, seat: int, rules: Rules) -> str | None:
    if not rules.pricing.constant:
        return f"{rules.pricing.rule} does not post one price for ever"
    if rules.replenishment is None:
        return None
    if not isinstance(rules.replenishment, BaseStock):
        return f"{rules.replenishment.rule} may run dry: it takes base_stock(level=ample)"
    if rules.searched:
        return "level=best may run dry: it takes base_stock(level=ample)"
    price = rules.pricing.usual(Seat(spec, seat))
    level = rules.replenishment.level_in(Seat(spec, seat), lambda: price)
    least = ample_level(spec, seat, price)
    if float(level) < least:
        return f"a level of {level:g} may run dry: it takes base_stock(level=ample), {least:g} units here"
    compose(rules, spec, seat)
    return None
