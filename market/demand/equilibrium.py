"""The prices that sellers or a cartel would post, and what follows from them: profits and reward scales.

Symbols as in :mod:`market.demand.logit`, and ``m = p - c`` the markup (money a unit).

Stock and price-change costs are left out: these are the prices of sellers who never run dry. Sellers' price ranges are
left out of :func:`prices_of` and kept by :func:`prices_in_range`, which is what sellers can post.
Reference prices too: all prices here are held for good, so that the reference price is the price and its term 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from market.demand.logit import Logit, cross_products, profits, shares, utility_slope
from market.errors import UserError
from market.spec.models import MarketSpec
from market.state import Floats

# Beyond this multiple of the smallest conceivable markup a price is called infinite.
UNBOUNDED = 1e6
LARGEST_EXPONENT = 300.0
ROOT_TOLERANCE = 1e-12
BOUNDED_STEPS = 5_000
SETTLED = 1e-10
DIRECTIONS = 8


def _least_markups(logit: Logit) -> tuple[Floats, float]:
    """What a seller with a vanishing share takes (N,), and the factor on what its rivals' pull adds."""
    a, narrow = logit.price_sensitivity, 1.0 - logit.nest
    if not logit.log_price:
        return np.full(len(logit.quality), narrow / a), 1.0
    return narrow * logit.unit_cost / (a - narrow), a / (a - narrow)


def _pull(logit: Logit, ownership: Floats, markup: Floats) -> Floats:
    """``E[s_i sum_j H_ij m_j (rho w_j + lambda s_j)] / s_i``."""
    share, cross = cross_products(logit, logit.unit_cost + markup)
    kept = (cross * ownership * markup[..., None, :]).sum(axis=-1)
    return np.asarray(kept / np.maximum(share, np.finfo(float).tiny))


def _first_order(logit: Logit, ownership: Floats, log_markup: Floats) -> Floats:
    """Each seat's profit gradient over its share: zero at the solution."""
    markup = np.exp(log_markup)
    slope = utility_slope(logit, logit.unit_cost + markup) / (1.0 - logit.nest)
    return np.asarray(1.0 - slope * (markup - _pull(logit, ownership, markup)))


def _approach(logit: Logit, ownership: Floats, markup: Floats) -> Floats | None:
    """Iterate Morrow and Skerlos's zeta map; None where markups run away."""
    least, gain = _least_markups(logit)
    ceiling = UNBOUNDED * (least + markup).max()
    for _ in range(300):
        update = least + gain * _pull(logit, ownership, markup)
        if update.max() > ceiling or update.min() < 1.0 / ceiling:
            return None
        step = np.abs(np.log(update / markup)).max()
        markup = update
        if step < 1e-3:
            break
    return markup


def polish(residual: Callable[[Floats], Floats], x: Floats) -> Floats | None:
    """Newton's method with a central-difference Jacobian; None where it does not reach the tolerance."""
    width = 1e-5 * np.eye(len(x))
    best, error = x, math.inf
    for _ in range(25):
        value = residual(x)
        if not np.isfinite(value).all() or np.abs(x).max() > LARGEST_EXPONENT:
            return None
        size = float(np.abs(value).max())
        if size < error:
            best, error = x, size
        elif error < ROOT_TOLERANCE:
            break
        # A few directions at once: all of them would take memory by the square of the sellers and more.
        aside = np.array_split(width, max(len(x) // DIRECTIONS, 1))
        jacobian = np.concatenate([residual(x + part) - residual(x - part) for part in aside]).T / 2e-5
        # Directions below the differences' noise stay put: qualities without an outside option have one.
        step = np.linalg.lstsq(jacobian, value, rcond=1e-9)[0]
        x = x - np.clip(step, -1.0, 1.0)
    return best if error < ROOT_TOLERANCE else None


def _is_best(logit: Logit, ownership: Floats, markup: Floats) -> bool:
    """Whether no seat, alone, gains by moving its price anywhere on a wide scan."""
    factors = np.geomspace(1 / 16, 64, 31)
    here = (ownership * markup * shares(logit, logit.unit_cost + markup)).sum(axis=-1)
    for seat, held in enumerate(ownership):
        rows = np.tile(markup, (len(factors), 1))
        rows[:, seat] *= factors
        reached = (rows * shares(logit, logit.unit_cost + rows) * held).sum(axis=-1)
        if (reached > here[seat] * (1.0 + 1e-9)).any():
            return False
    return True


@np.errstate(under="ignore")
def equilibrium_prices(logit: Logit, ownership: ArrayLike) -> Floats:
    """Return prices (N,) at which no owner gains by moving one price; ``ownership`` (N, N) is 1 where owned together.

    The markup equation ``m_i = lambda / (a f'_i) + E[s_i sum_j H_ij m_j (rho w_j + lambda s_j)] / s_i`` (the zeta map
    of Morrow and Skerlos 2011, *Operations Research* 59(2), with a nest and, for a log price, solved for ``m_i``) is
    iterated from the smallest markups, finished by Newton's method to 1e-12 in each seat's profit gradient over its
    share, and checked against a scan of every price. Raises :class:`UserError` where none is found.
    One seller, plain logit, linear price, ``a = 1``, ``quality = c + 2``, outside 0: ``m = 1 / (1 - s)``; with
    ``m = 2`` utility is 0, so ``s = 1/2`` and the equation holds: the price is ``c + 2``.
    """
    held = np.asarray(ownership, dtype=np.float64)
    least, _ = _least_markups(logit)
    if logit.log_price:
        appeal = np.clip((logit.quality - max(logit.outside, -100.0)) / logit.price_sensitivity, -100.0, 100.0)
        least = np.where(least > 0, least, np.exp(appeal))
    for start in (1.0, 30.0):
        markup = _approach(logit, held, least * start)
        if markup is None:
            continue
        found = polish(lambda y: _first_order(logit, held, y), np.log(markup))
        if found is not None and found.max() < math.log(UNBOUNDED * least.max()):
            markup = np.exp(found)
            if _is_best(logit, held, markup):
                return np.asarray(logit.unit_cost + markup)
    raise UserError(
        "no finite prices are best for every seller at once: they run away (to 0 where a log price meets unit_cost 0), "
        "or xi is so wide for 1 - nest that a distant price pays more; raise price_sensitivity or outside, or lower xi"
    )


def nash_prices(logit: Logit) -> Floats:
    """Return Bertrand-Nash prices (N,): each seller's price is best for it, given the others'.

    Of several equilibria the one with the lowest prices (see :func:`equilibrium_prices` for the method). Where
    customers have reference prices, of prices held for good.
    Calvano et al. (2020, AER 110(10)): two sellers of quality 8, cost 1, ``a = 4``, outside 0: 1.4729 each.
    Raises :class:`UserError` with the rule where there is none.
    """
    count, a = len(logit.quality), logit.price_sensitivity
    if count == 1 and logit.outside == -math.inf:
        raise UserError("a single seller without an outside option has no finite best price: set outside")
    least = 1.0 if count == 1 else 1.0 - logit.nest
    if logit.log_price and a <= least:
        raise UserError(
            f"with a log price no seller has a finite best price unless price_sensitivity exceeds {least:g}"
            f"{'' if count == 1 else ' (1 - nest)'}, got {a:g}"
        )
    return equilibrium_prices(logit, np.eye(count))


def monopoly_prices(logit: Logit) -> Floats:
    """Return the joint-profit prices (N,): what one owner of all sellers would post, and hold for good.

    Calvano et al. (2020): 1.9250 each (market of :func:`nash_prices`). At ``xi = 0`` and ``rho = 0`` they are
    ``c_i + 1 / a + Pi`` (linear) or ``(c_i + Pi) a / (a - 1)`` (log), ``Pi`` the joint profit a customer.
    Raises :class:`UserError`: a log price with ``price_sensitivity <= 1``, or no outside option, has no finite one.
    """
    if logit.outside == -math.inf:
        raise UserError("without an outside option there are no finite joint-profit prices: set outside")
    if logit.log_price and logit.price_sensitivity <= 1:
        raise UserError(
            "with a log price there are no finite joint-profit prices unless price_sensitivity exceeds 1, "
            f"got {logit.price_sensitivity:g}"
        )
    return equilibrium_prices(logit, np.ones((len(logit.quality), len(logit.quality))))


@lru_cache(maxsize=32)
def prices_of(spec: MarketSpec, joint: bool = False) -> Floats:
    """Bertrand-Nash prices (N,) of a market, or joint-profit ones: solved once a market, not to be written to.

    Raises :class:`UserError` where there are none.
    """
    found = (monopoly_prices if joint else nash_prices)(Logit.of(spec))
    found.flags.writeable = False
    return found


@lru_cache(maxsize=32)
def prices_in_range(spec: MarketSpec, joint: bool = False) -> Floats:
    """Prices (N,) of the same kind as :func:`prices_of` when nobody can leave its range, not to be written to.

    They are :func:`prices_of` where these lie in the ranges; else others answer to what a bounded seller posts. Two
    sellers of quality 4, cost 1 and ``a = 2`` beside an outside option of 0 post 1.7995 each; with one's prices at most
    1.2 it posts 1.2 and the other 1.6644.
    Raises :class:`UserError` where there are no prices without ranges, or none is found inside them.
    """
    free = prices_of(spec, joint)
    low, high = np.array([seller.prices for seller in spec.sellers]).T
    if ((low <= free) & (free <= high)).all():
        return free
    count = len(free)
    found = bounded_prices(Logit.of(spec), np.ones((count, count)) if joint else np.eye(count), low, high)
    found.flags.writeable = False
    return found


@np.errstate(under="ignore")
def bounded_prices(logit: Logit, ownership: ArrayLike, low: Floats, high: Floats) -> Floats:
    """Return prices (N,) from ``low`` to ``high`` (N,) at which no owner gains by moving one price inside its range.

    The map of :func:`equilibrium_prices`, moved into the ranges after each step, from their lowest prices: at its fixed
    point each price is a solution of its markup equation or an end of its range beyond which that solution lies, which
    is best there, as profit has a single peak in the own price. Newton's method finishes those inside. Raises
    :class:`UserError` where it does not settle.
    """
    held, cost = np.asarray(ownership, dtype=np.float64), logit.unit_cost
    least, gain = _least_markups(logit)
    floor, ceiling = low - cost, high - cost
    markup = np.clip(least, floor, ceiling)
    for _ in range(BOUNDED_STEPS):
        wanted = least + gain * _pull(logit, held, markup)
        update = np.clip(wanted, floor, ceiling)
        moved = float(np.abs(update - markup).max())
        markup = update
        if moved <= SETTLED * (1.0 + float(np.abs(cost + markup).max())):
            break
    else:
        raise UserError("the prices that are best inside every seller's range are not found: they do not settle")
    inside = (floor < markup) & (markup < ceiling) & (markup > 0)
    if inside.any():

        def gradient(y: Floats) -> Floats:
            full = np.broadcast_to(markup, (*y.shape[:-1], len(markup))).copy()
            full[..., inside] = np.exp(y)
            slope = utility_slope(logit, cost + full) / (1.0 - logit.nest)
            return np.asarray(1.0 - slope * (full - _pull(logit, held, full)))[..., inside]

        exact = polish(gradient, np.log(markup[inside]))
        if exact is not None:
            markup = markup.copy()
            markup[inside] = np.clip(np.exp(exact), floor[inside], ceiling[inside])
    price = np.where(markup <= floor, low, np.where(markup >= ceiling, high, cost + markup))
    return np.asarray(np.clip(price, low, high))


SMALL = 0.05  # of the sellers' mean Nash profit: below it a seat's own is no scale of its rewards


def reward_scales(spec: MarketSpec) -> Floats:
    """Return what each seat's profit is divided by to make its reward (N,), money a period.

    The seller's ``reward_scale``, else its profit at the Bertrand-Nash prices inside the ranges. Raises :class:`UserError` with the key's path where
    there is none, or where it is below 5 % of the sellers' mean and so would blow rewards up.
    """
    given = [seller.reward_scale for seller in spec.sellers]
    missing = [k for k, scale in enumerate(given) if scale is None]
    if not missing:
        return np.array(given, dtype=np.float64)

    def refuse(seat: int, why: str) -> UserError:
        return UserError(f"{spec.seat_place(seat)}.reward_scale: must be given, since {why}")

    try:
        profit = profits(Logit.of(spec), prices_in_range(spec))
    except UserError as problem:
        raise refuse(missing[0], str(problem)) from None
    for seat in missing:
        if not profit[seat] >= SMALL * profit.mean() or profit[seat] <= 0:
            raise refuse(
                seat, f"its Nash profit {profit[seat]:.4g} is below {SMALL:.0%} of the mean {profit.mean():.4g}"
            )
    return np.array([profit[k] if scale is None else scale for k, scale in enumerate(given)])
