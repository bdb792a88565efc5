"""Logit demand as theory sees it: shares averaged over xi, and the prices that sellers or a cartel would post.

Symbols: ``p`` price, ``c`` unit cost, ``m = p - c`` markup (money a unit), ``a`` price sensitivity, ``f(p)`` the price
or its logarithm, ``rho`` the nest, ``lambda = 1 - rho``, ``s_i`` the share of all customers that picks seller ``i``,
``w_i`` its share among those who buy. ``N`` sellers, ``Q`` nodes of the average over ``xi``, ``M`` markets.

Stock, sellers' price ranges and price-change costs are left out: these are the prices of sellers who never run dry.
Reference prices too: all prices here are held for good, so that the reference price is the price and its term 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, ndtri

from market.demand.script import mean_size, scenes
from market.errors import UserError
from market.spec.models import MarketSpec

Floats = NDArray[np.float64]

# Beyond this multiple of the smallest conceivable markup a price is called infinite.
UNBOUNDED = 1e6
LARGEST_EXPONENT = 300.0
ROOT_TOLERANCE = 1e-12
SCENES = 4  # times as many nodes where seasons or locations are averaged over, and twice that without a product rule
ONE = np.ones(1)


def calendar(spec: MarketSpec, periods: ArrayLike) -> Floats:
    """Return weekly x yearly x trend x surges at ``periods`` (any shape): the factor on ``customers.rate``.

    Weekly factors repeat from period 0, the yearly one is ``1 + amplitude cos(2 pi (t - peak) / length)``, the trend
    compounds, ``(1 + trend)^t``, and a surge counts in periods ``start`` to ``start + length - 1``. With a trend of
    0.1 and nothing else, period 2 has 1.21; with a surge ``{start: 2, length: 3, factor: 2}`` beside it, 2.42.
    """
    t = np.asarray(periods, dtype=np.int64)
    customers = spec.customers
    factor: Floats = (1.0 + customers.trend) ** t.astype(float)
    if customers.weekly:
        factor = factor * np.asarray(customers.weekly)[t % len(customers.weekly)]
    if customers.yearly:
        yearly = customers.yearly
        factor = factor * (1.0 + yearly.amplitude * np.cos(2.0 * np.pi * (t - yearly.peak) / yearly.length))
    for surge in customers.surges:
        factor = factor * np.where((t >= surge.start) & (t < surge.start + surge.length), surge.factor, 1.0)
    return factor


@dataclass(frozen=True, eq=False)
class Logit:
    """The demand side and the unit costs of one market, ready for arithmetic.

    ``quality`` and ``unit_cost`` (N,); ``outside`` the utility of buying nothing (-inf: everyone buys); ``size`` mean
    units a period that all customers together would buy; ``nodes`` (Q, N) values of ``xi`` (and of what seasons and
    locations add) and ``weights`` (Q,) their probabilities, which sum to one.
    """

    quality: Floats
    unit_cost: Floats
    price_sensitivity: float
    log_price: bool
    nest: float
    outside: float
    size: float
    nodes: Floats
    weights: Floats

    @classmethod
    def of(cls, spec: MarketSpec, xi: bool = True, events: bool = False, limit: int = 1024) -> Logit:
        """Read a market's demand; ``xi=False`` looks at ``xi = 0`` only.

        The average over ``xi`` (normal, a common and an own part) is a Gauss-Hermite product rule with at most
        ``limit`` nodes where that allows five a dimension. In the orange-juice market (three sellers) shares are then
        exact to 1e-9; with ``limit=128``, fast enough for a rule that prices every period, to 1e-5.
        With more sellers the rule is ``limit`` antithetic Sobol points of a fixed seed, and shares are off by
        some 1e-4, not the same for every order of the sellers. Theory's prices leave events out; ``events=True``
        averages over them too (independent between sellers, in their long-run frequencies).

        Seasons and locations are averaged over, weighted by their customers (:func:`market.demand.script.scenes`): exactly
        where ``4 limit`` nodes allow the product rule in each; else ``8 limit`` Sobol points over ``xi`` and scenes
        together, which put prices of 83 stores with 13 seasons 3e-4 off.
        """
        sellers, customers = spec.sellers, spec.customers
        scale = _factors(spec) if xi else np.zeros((0, len(sellers)))
        chances = np.array([s.event_frequency for s in sellers]) if events and spec.events else np.zeros(len(sellers))
        effect = spec.events.effect if spec.events else 0.0
        crowd = calendar(spec, np.arange(spec.horizon))
        nodes, weights = _nodes(spec, crowd, (scale, chances, effect), limit)
        return cls(
            quality=np.array([seller.quality for seller in sellers]),
            unit_cost=np.array([seller.unit_cost for seller in sellers]),
            price_sensitivity=spec.price_sensitivity,
            log_price=spec.price_form == "log",
            nest=spec.nest,
            outside=spec.outside,
            size=customers.rate * customers.basket * float(crowd.mean()) * mean_size(spec),
            nodes=nodes,
            weights=weights,
        )


def _nodes(spec: MarketSpec, crowd: Floats, chance: tuple[Floats, Floats, float], limit: int) -> tuple[Floats, Floats]:
    """Nodes (Q, N) and weights (Q,) over ``xi``, events, seasons and locations; ``chance`` as :func:`_rule` takes it."""
    scale, chances, effect = chance
    offset, mass = scenes(spec, crowd)
    each = limit if len(mass) == 1 else max(SCENES * limit // len(mass), 1)
    if len(mass) > 1 and not _fits(len(scale), int((chances > 0).sum()), each):
        count = 2 * SCENES * limit
        (seats,) = np.nonzero(chances)
        shift = np.zeros((len(seats), len(chances)))
        shift[np.arange(len(seats)), seats] = effect
        points, scene = _sobol(len(scale), chances[seats], count, mass, offset.mean(1))
        return points @ np.vstack([scale, shift]) + offset[scene], np.full(count, 1.0 / count)
    nodes, weights = _rule(scale, chances, effect, each)
    if not spec.season and not spec.locations:
        return nodes, weights
    return (offset[:, None] + nodes).reshape(-1, nodes.shape[1]), np.outer(mass, weights).reshape(-1)


@np.errstate(under="ignore")
def _factors(spec: MarketSpec) -> Floats:
    """Rows of independent standard normals' loadings (d, N) that give ``xi`` its covariance."""
    own = np.diag([seller.xi for seller in spec.sellers])
    common = np.full((1, len(spec.sellers)), spec.demand_shock.common)
    rows = np.vstack([common, own])
    rows = rows[rows.any(axis=1)]
    if len(rows) <= len(spec.sellers):
        return rows
    # The symmetric root has one row fewer and, unlike Cholesky's, does not depend on the order of the sellers.
    values, vectors = np.linalg.eigh(rows.T @ rows)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)


def _rule(scale: Floats, chances: Floats, effect: float, limit: int) -> tuple[Floats, Floats]:
    """Nodes (Q, N) and weights (Q,) for ``z @ scale`` (z standard normal) plus ``effect`` with ``chances``."""
    (seats,) = np.nonzero(chances)
    shift = np.zeros((len(seats), len(chances)))
    shift[np.arange(len(seats)), seats] = effect
    loads = np.vstack([scale, shift])
    dimensions = len(scale)
    per_axis = min(21, int((limit / 2 ** len(seats)) ** (1 / dimensions) + 1e-9)) if dimensions else 1
    if not _fits(dimensions, len(seats), limit):
        return _sobol(dimensions, chances[seats], limit)[0] @ loads, np.full(limit, 1.0 / limit)
    points, mass = np.polynomial.hermite_e.hermegauss(per_axis)
    axes = [(points, mass / mass.sum())] * dimensions
    axes += [(np.array([0.0, 1.0]), np.array([1.0 - chances[k], chances[k]])) for k in seats]
    weights = np.array([math.prod(w) for w in product(*(axis[1] for axis in axes))])
    nodes = np.array(list(product(*(axis[0] for axis in axes)))).reshape(len(weights), len(axes))
    return nodes @ loads, weights / weights.sum()


def _fits(dimensions: int, events: int, limit: int) -> bool:
    """Whether ``limit`` nodes allow five a dimension, beside both states of every event."""
    return bool(2**events * 5**dimensions <= limit)


def _sobol(
    dimensions: int, chances: Floats, limit: int, mass: Floats = ONE, order: Floats = ONE
) -> tuple[Floats, NDArray[np.intp]]:
    """Points (limit, d + events) and each one's scene (limit,), drawn by ``mass``; scenes near in ``order`` lie near."""
    from scipy.stats import qmc  # slow to import, and only markets of many sellers or scenes need it

    count = dimensions + len(chances)
    half = qmc.Sobol(count + (len(mass) > 1), rng=20).random(limit // 2)
    uniform = np.clip(np.concatenate([half, 1.0 - half], dtype=np.float64), 1e-12, 1.0 - 1e-12)
    points = np.hstack([ndtri(uniform[:, :dimensions]), (uniform[:, dimensions:count] < chances).astype(float)])
    ranked = np.argsort(order, kind="stable")
    at = (
        np.searchsorted(np.cumsum(mass[ranked]), uniform[:, -1] * mass.sum()) if len(mass) > 1 else np.zeros(limit, int)
    )
    return points, ranked[np.minimum(at, len(mass) - 1)]


def utility_of_price(logit: Logit, price: Floats) -> Floats:
    return -logit.price_sensitivity * (np.log(price) if logit.log_price else price)


def utility_slope(logit: Logit, price: Floats) -> Floats:
    """Return ``a f'(p)``."""
    return logit.price_sensitivity * (1.0 / price if logit.log_price else np.ones_like(price))


def choices(logit: Logit, price: Floats) -> tuple[Floats, Floats]:
    """Return shares of all customers and shares among buyers, not averaged: (..., Q, N) each, a row for every node."""
    utility = (logit.quality + utility_of_price(logit, price))[..., None, :] + logit.nodes
    scaled = utility / (1.0 - logit.nest)
    top = scaled.max(axis=-1, keepdims=True)
    within = np.exp(scaled - top)
    total = within.sum(axis=-1, keepdims=True)
    within /= total
    buys = expit((1.0 - logit.nest) * (top + np.log(total)) - logit.outside)
    return within * buys, within


@np.errstate(under="ignore")
def shares(logit: Logit, price: ArrayLike) -> Floats:
    """Return shares (..., N) of all customers at prices (..., N), averaged over ``xi``.

    With ``u_i = quality_i - a f(p_i) + xi_i``, ``I = ln sum_j e^(u_j / lambda)`` and outside utility ``o``,
    ``s_i = w_i P``, ``w_i = e^(u_i / lambda - I)``, ``P = e^(lambda I) / (e^o + e^(lambda I))`` (nested logit: Train,
    *Discrete Choice Methods*, eq. 4.4-4.5; Berry 1994, section 5; ``rho = 0`` is Train's eq. 3.6).
    Two sellers with ``u = 0`` beside ``o = 0`` and ``rho = 0``: one third each.
    """
    share, _ = choices(logit, np.asarray(price, dtype=np.float64))
    return np.asarray(logit.weights @ share)


@np.errstate(under="ignore")
def _cross(logit: Logit, price: Floats) -> tuple[Floats, Floats]:
    """Shares (..., N) and ``E[s_i (rho w_j + lambda s_j)]`` (..., N, N)."""
    share, within = choices(logit, price)
    weighted = share * logit.weights[:, None]
    pull = logit.nest * within + (1.0 - logit.nest) * share
    return weighted.sum(axis=-2), np.swapaxes(weighted, -1, -2) @ pull


@np.errstate(under="ignore")
def share_jacobian(logit: Logit, price: ArrayLike) -> Floats:
    """Return ``ds_i / dp_j`` (..., N, N), row ``i`` the share and column ``j`` the price.

    ``-a f'(p_j) E[s_i (d_ij - rho w_j - lambda s_j)] / lambda`` (Berry 1994, section 5; Train, section 4.2.2).
    One seller at ``s = 1/2`` with ``a = 1`` and a linear price: ``-1/4``.
    """
    price = np.asarray(price, dtype=np.float64)
    share, cross = _cross(logit, price)
    own = share[..., None] * np.eye(share.shape[-1])
    return np.asarray(-utility_slope(logit, price)[..., None, :] * (own - cross) / (1.0 - logit.nest))


@np.errstate(under="ignore")
def elasticities(logit: Logit, price: ArrayLike) -> Floats:
    """Return ``(ds_i / dp_j) (p_j / s_i)`` (..., N, N): per cent of demand ``i`` per per cent of price ``j``.

    Plain logit, linear price: own ``-a p (1 - s)``, cross ``a p_j s_j`` (Train, section 3.6);
    ``a = 1, p = 2, s = 1/2`` gives -1 and, for a rival's price with the same figures, +1.
    """
    price = np.asarray(price, dtype=np.float64)
    return np.asarray(share_jacobian(logit, price) * price[..., None, :] / shares(logit, price)[..., None])


@np.errstate(under="ignore")
def diversion_ratios(logit: Logit, price: ArrayLike) -> Floats:
    """Return (..., N, N): of the customers that ``i`` loses by a small price rise, the part that goes to ``j``.

    ``-(ds_j / dp_i) / (ds_i / dp_i)``; the diagonal holds what leaves for the outside option, so rows sum to one
    (Conlon and Mortimer 2021, RAND 52(4)). Plain logit: ``s_j / (1 - s_i)``, a half where all shares are a third.
    """
    slopes = np.swapaxes(share_jacobian(logit, price), -1, -2)
    own = np.diagonal(slopes, axis1=-2, axis2=-1)[..., None]
    ratio = -slopes / own
    seats = np.arange(ratio.shape[-1])
    ratio[..., seats, seats] = 0.0
    ratio[..., seats, seats] = 1.0 - ratio.sum(axis=-1)
    return np.asarray(ratio)


@np.errstate(under="ignore")
def profits(logit: Logit, price: ArrayLike) -> Floats:
    """Return mean profit a period (..., N), money, with unlimited stock: ``size (p - c) s``.

    Size 100, price 3, cost 1, share a tenth: 20.
    """
    price = np.asarray(price, dtype=np.float64)
    return np.asarray(logit.size * (price - logit.unit_cost) * shares(logit, price))


def _least_markups(logit: Logit) -> tuple[Floats, float]:
    """What a seller with a vanishing share takes (N,), and the factor on what its rivals' pull adds."""
    a, narrow = logit.price_sensitivity, 1.0 - logit.nest
    if not logit.log_price:
        return np.full(len(logit.quality), narrow / a), 1.0
    return narrow * logit.unit_cost / (a - narrow), a / (a - narrow)


def _pull(logit: Logit, ownership: Floats, markup: Floats) -> Floats:
    """``E[s_i sum_j H_ij m_j (rho w_j + lambda s_j)] / s_i``."""
    share, cross = _cross(logit, logit.unit_cost + markup)
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


def _polish(residual: Callable[[Floats], Floats], x: Floats) -> Floats | None:
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
        jacobian = (residual(x + width) - residual(x - width)).T / 2e-5
        # Directions below the differences' noise stay put: qualities without an outside option have one.
        step = np.linalg.lstsq(jacobian, value, rcond=1e-9)[0]
        x = x - np.clip(step, -1.0, 1.0)
    return best if error < ROOT_TOLERANCE else None


def _is_best(logit: Logit, ownership: Floats, markup: Floats) -> bool:
    """Whether no seat, alone, gains by moving its price anywhere on a wide scan."""
    count, factors = len(markup), np.geomspace(1 / 16, 64, 31)
    rows = np.broadcast_to(markup, (count, len(factors), count)).copy()
    seats = np.arange(count)
    rows[seats, :, seats] *= factors
    gain = rows * shares(logit, logit.unit_cost + rows)
    reached = (gain * ownership[:, None, :]).sum(axis=-1)
    here = (ownership * markup * shares(logit, logit.unit_cost + markup)).sum(axis=-1)
    return bool((reached <= here[:, None] * (1.0 + 1e-9)).all())


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
        found = _polish(lambda y: _first_order(logit, held, y), np.log(markup))
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

    found = _polish(gap, start)
    if found is None:
        raise UserError(f"no qualities were found that give the shares {wanted.tolist()}")
    return found


@lru_cache(maxsize=32)
def prices_of(spec: MarketSpec, joint: bool = False) -> Floats:
    """Bertrand-Nash prices (N,) of a market, or joint-profit ones: solved once a market, not to be written to.

    Raises :class:`UserError` where there are none.
    """
    found = (monopoly_prices if joint else nash_prices)(Logit.of(spec))
    found.flags.writeable = False
    return found


def nash_profits(spec: MarketSpec) -> Floats:
    """Return every seat's mean profit a period (N,), money, at Bertrand-Nash prices averaged over ``xi``.

    Raises :class:`UserError` where there are no such prices.
    """
    logit = Logit.of(spec)
    return profits(logit, prices_of(spec))


def reward_scales(spec: MarketSpec) -> Floats:
    """Return what each seat's profit is divided by to make its reward (N,), money a period.

    The seller's ``reward_scale``, else its Bertrand-Nash profit. Raises :class:`UserError` with the key's path where
    there is none, or where it is below 5 % of the sellers' mean and so would blow rewards up.
    """
    given = [seller.reward_scale for seller in spec.sellers]
    missing = [k for k, scale in enumerate(given) if scale is None]
    if not missing:
        return np.array(given, dtype=np.float64)

    def refuse(seat: int, why: str) -> UserError:
        name = spec.sellers[seat].name
        return UserError(f"market.sellers.{seat} ({name}).reward_scale: must be given, since {why}")

    try:
        profit = nash_profits(spec)
    except UserError as problem:
        raise refuse(missing[0], str(problem)) from None
    for seat in missing:
        if not profit[seat] >= 0.05 * profit.mean() or profit[seat] <= 0:
            raise refuse(seat, f"its Nash profit {profit[seat]:.4g} is below 5 % of the mean {profit.mean():.4g}")
    return np.array([profit[k] if scale is None else scale for k, scale in enumerate(given)])
