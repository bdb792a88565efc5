"""Logit demand as theory sees it: shares of customers at posted prices, averaged over ``xi``, and their slopes.

Symbols: ``p`` price, ``c`` unit cost, ``a`` price sensitivity, ``f(p)`` the price or its logarithm, ``rho`` the nest,
``lambda = 1 - rho``, ``s_i`` the share of all customers that picks seller ``i``, ``w_i`` its share among those who buy.
``N`` sellers, ``Q`` nodes of the average over ``xi``.

Stock is left out: these are the customers of sellers who never run dry. So are reference prices: prices are held for
good, so that the reference price is the price and its term 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, ndtri

from market.demand.script import calendar, strata
from market.spec.models import MarketSpec
from market.state import Floats

STRATA = 4  # times as many nodes where seasons or locations are averaged over, and twice that without a product rule
ONE = np.ones(1)


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

        Seasons and locations are averaged over, weighted by their customers (:func:`market.demand.script.strata`): exactly
        where ``4 limit`` nodes allow the product rule in each; else ``8 limit`` Sobol points over ``xi`` and strata
        together, which put prices of 83 stores with 13 seasons 3e-4 off. Price sensitivity and nest are one for all:
        :attr:`MarketSpec.centre`, the means of locations that have their own. Draws of an estimate are left out.
        """
        sellers, customers = spec.sellers, spec.customers
        scale = _factors(spec) if xi else np.zeros((0, len(sellers)))
        chances = np.array([s.event_frequency for s in sellers]) if events and spec.events else np.zeros(len(sellers))
        effect = spec.events.effect if spec.events else 0.0
        crowd = calendar(spec, np.arange(spec.horizon))
        nodes, weights = _nodes(spec, crowd, scale, chances, effect, limit)
        price_sensitivity, nest = spec.centre
        return cls(
            quality=np.array([seller.quality for seller in sellers]),
            unit_cost=np.array([seller.unit_cost for seller in sellers]),
            price_sensitivity=price_sensitivity,
            log_price=spec.price_form == "log",
            nest=nest,
            outside=spec.outside,
            size=customers.rate * customers.basket * float(crowd.mean()) * float(np.mean(spec.sizes)),
            nodes=nodes,
            weights=weights,
        )


def _nodes(
    spec: MarketSpec, crowd: Floats, scale: Floats, chances: Floats, effect: float, limit: int
) -> tuple[Floats, Floats]:
    """Nodes (Q, N) and weights (Q,) for standard normals times ``scale`` (d, N), events, seasons and locations.

    An event adds ``effect`` to a seller's utility with ``chances`` (N,).
    """
    (seats,) = np.nonzero(chances)
    shift = np.zeros((len(seats), len(chances)))
    shift[np.arange(len(seats)), seats] = effect
    loads, chances = np.vstack([scale, shift]), chances[seats]
    offset, mass = strata(spec, crowd)
    each = limit if len(mass) == 1 else max(STRATA * limit // len(mass), 1)
    if len(mass) > 1 and not _fits(len(scale), len(chances), each):
        count = 2 * STRATA * limit
        points, stratum = _sobol(len(scale), chances, count, mass, offset.mean(1))
        return points @ loads + offset[stratum], np.full(count, 1.0 / count)
    nodes, weights = _rule(loads, chances, each)
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


def _rule(loads: Floats, chances: Floats, limit: int) -> tuple[Floats, Floats]:
    """Nodes (Q, N) and weights (Q,) for ``z @ loads``: standard normals first, then events that are 1 with ``chances``."""
    dimensions = len(loads) - len(chances)
    per_axis = min(21, int((limit / 2 ** len(chances)) ** (1 / dimensions) + 1e-9)) if dimensions else 1
    if not _fits(dimensions, len(chances), limit):
        return _sobol(dimensions, chances, limit)[0] @ loads, np.full(limit, 1.0 / limit)
    points, mass = np.polynomial.hermite_e.hermegauss(per_axis)
    axes = [(points, mass / mass.sum())] * dimensions
    axes += [(np.array([0.0, 1.0]), np.array([1.0 - chance, chance])) for chance in chances]
    weights = np.array([math.prod(w) for w in product(*(axis[1] for axis in axes))])
    nodes = np.array(list(product(*(axis[0] for axis in axes)))).reshape(len(weights), len(axes))
    return nodes @ loads, weights / weights.sum()


def _fits(dimensions: int, events: int, limit: int) -> bool:
    """Whether ``limit`` nodes allow five a dimension, beside both states of every event."""
    return bool(2**events * 5**dimensions <= limit)


def _sobol(
    dimensions: int, chances: Floats, limit: int, mass: Floats = ONE, order: Floats = ONE
) -> tuple[Floats, NDArray[np.intp]]:
    """Points (limit, d + events) and each one's stratum (limit,), drawn by ``mass``; strata near in ``order`` lie near."""
    count, several = dimensions + len(chances), len(mass) > 1
    half = sobol_points(limit // 2, count + several)
    uniform = np.concatenate([half, 1.0 - half])
    points = np.hstack([ndtri(uniform[:, :dimensions]), (uniform[:, dimensions:count] < chances).astype(float)])
    ranked = np.argsort(order, kind="stable")
    at = np.searchsorted(np.cumsum(mass[ranked]), uniform[:, -1] * mass.sum()) if several else np.zeros(limit, int)
    return points, ranked[np.minimum(at, len(mass) - 1)]


def sobol_points(count: int, dimensions: int) -> Floats:
    """Sobol points of a fixed seed (count, dimensions), each number inside 0 and 1."""
    from scipy.stats import qmc  # slow to import, and most markets do without

    return np.asarray(np.clip(qmc.Sobol(dimensions, rng=20).random(count), 1e-12, 1.0 - 1e-12))


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
def cross_products(logit: Logit, price: Floats) -> tuple[Floats, Floats]:
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
    share, cross = cross_products(logit, price)
    own = share[..., None] * np.eye(share.shape[-1])
    return np.asarray(-utility_slope(logit, price)[..., None, :] * (own - cross) / (1.0 - logit.nest))


@np.errstate(under="ignore", invalid="ignore", divide="ignore", over="ignore")
def elasticities(logit: Logit, price: ArrayLike) -> Floats:
    """Return ``(ds_i / dp_j) (p_j / s_i)`` (..., N, N): per cent of demand ``i`` per per cent of price ``j``.

    Plain logit, linear price: own ``-a p (1 - s)``, cross ``a p_j s_j`` (Train, section 3.6);
    ``a = 1, p = 2, s = 1/2`` gives -1 and, for a rival's price with the same figures, +1. NaN where a share is below
    what a number holds (price sensitivity 1e12).
    """
    price = np.asarray(price, dtype=np.float64)
    return np.asarray(share_jacobian(logit, price) * price[..., None, :] / shares(logit, price)[..., None])


@np.errstate(under="ignore", invalid="ignore", divide="ignore", over="ignore")
def diversion_ratios(logit: Logit, price: ArrayLike) -> Floats:
    """Return (..., N, N): of the customers that ``i`` loses by a small price rise, the part that goes to ``j``.

    ``-(ds_j / dp_i) / (ds_i / dp_i)``; the diagonal holds what leaves for the outside option, so rows sum to one
    (Conlon and Mortimer 2021, RAND 52(4)). Plain logit: ``s_j / (1 - s_i)``, a half where all shares are a third. NaN where
    nobody is left to lose.
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
