"""The law of one seat's demand in a period: what remains random once prices are posted.

Given ``xi``, the market shock and ``G`` the customers who first choose a seat are Poisson; so their number is a
mixture of Poisson counts (negative binomial ones with dispersion) over the means that ``xi`` and the shock give.
Symbols: N sellers, Q means, K counts of customers, ``z`` a standard normal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import log

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, gammainc, gammaincinv, gammaln, ndtri, pdtr, pdtrc

from market.demand.logit import Logit, choices, sobol_points
from market.demand.script import build_script, calendar, location_offsets, season_offsets
from market.spec.models import MarketSpec
from market.state import Floats, Ints

# Points along an axis of the trapezoid rule for one and two normals, which converges faster than any power for such
# smooth functions; 8 standard deviations each way leave 1e-15 out.
AXIS = {1: 401, 2: 129}
EDGE = 8.0
SOBOL = 2**15
MOST_POINTS = 2**17  # of shocks and strata together
GOLDEN = 0.6180339887498949  # of all multiples modulo 1 these lie most evenly
# Means closer than this in their square root (the sd of a Poisson count's square root is 1/2) are merged in pairs.
MERGED = 0.1
DRY = 1e-9
MOST_COUNTS = 2**15  # whose probabilities are listed one by one and convolved
MOST_TABLE = 2**24  # counts times means: some 3 s with dispersion
MOST_CELLS = 2**22  # of such a table that are held at once
PART = 64  # they are so many counts or a multiple, since BLAS adds up in blocks: parts change no bit
CELLS = 1024  # of a period's means, where its counts are too many


@dataclass(frozen=True, eq=False)
class DemandLaw:
    """Demand of one period: a count of baskets whose mean is ``means[k]`` (Q,) with probability ``weights[k]`` (Q,).

    Example: ``DemandLaw(np.array([5.0]), np.array([1.0]), dispersion=0, basket=1)`` is Poisson of mean 5.
    """

    means: Floats
    weights: Floats
    dispersion: float
    basket: int

    @property
    def mean(self) -> float:
        """Mean units a period."""
        return float(self.weights @ self.means) * self.basket

    @np.errstate(under="ignore")
    def baskets(self, size: int) -> Floats:
        """Return ``P(count = k)`` for ``k < size`` (size,): Poisson, or negative binomial of shape 1 / dispersion."""
        rows = max(MOST_CELLS // len(self.means) // PART, 1) * PART
        parts = [self._mass(np.arange(k, min(k + rows, size))) for k in range(0, size, rows)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _mass(self, counts: Ints) -> Floats:
        k = counts.astype(np.float64)[:, None]
        mean = np.maximum(self.means, 1e-300)
        if self.dispersion == 0:
            log_mass = k * np.log(mean) - mean - gammaln(k + 1.0)
        else:
            shape = 1.0 / self.dispersion
            log_mass = gammaln(k + shape) - gammaln(shape) - gammaln(k + 1.0)
            log_mass = log_mass - shape * np.log1p(mean / shape) + k * (np.log(mean) - np.log(shape + mean))
        return np.asarray(np.exp(log_mass) @ self.weights)

    @np.errstate(under="ignore")
    def beyond(self, count: int) -> float:
        """Return ``P(count of baskets > count)``, of Poisson counts or negative binomial ones as in :meth:`baskets`."""
        if self.dispersion == 0:
            return float(self.weights @ pdtrc(count, self.means))
        shape = 1.0 / self.dispersion
        return float(self.weights @ betainc(count + 1.0, shape, self.means / (shape + self.means)))

    @np.errstate(under="ignore")
    def within(self, count: int) -> float:
        """Return ``P(count of baskets <= count)``, to its own digits where it is small, as :meth:`beyond` is to its."""
        if self.dispersion == 0:
            return float(self.weights @ pdtr(count, self.means))
        shape = 1.0 / self.dispersion
        return float(self.weights @ betainc(shape, count + 1.0, shape / (shape + self.means)))

    def likely(self, chance: float) -> tuple[int, int]:
        """The counts below and above which demand lies with a probability of no more than ``chance`` each."""
        high = _long_enough(self, chance)
        low = _first(lambda count: self.within(count) > chance, high)
        return low, _first(lambda count: self.beyond(count) < chance, high)

    def units(self, size: int) -> Floats:
        """Return ``P(demand = d)`` for ``d < size`` units (size,); with baskets of 2, odd demands have none."""
        mass = np.zeros(size)
        each = mass[:: self.basket]
        each[:] = self.baskets(len(each))
        return mass


@np.errstate(under="ignore")
def demand_law(spec: MarketSpec, seat: int, price: ArrayLike, factor: float = 1.0) -> DemandLaw:
    """Return the law of the units that first choose ``seat`` in a period at posted prices (N,).

    Without events, at ``factor`` times the base rate; seasons and locations are as likely each (of many, every point
    of ``xi`` in some). ``xi`` is averaged over by the trapezoid rule (one or two normals) or 32,768 Sobol points of a fixed seed (three or more, probabilities off by some 1e-4 of themselves).
    20 customers a period, a share of a half, nothing else random: Poisson of mean 10.
    """
    normal, weights, size = _with_strata(spec, *normal_points(spec))
    logit = replace(Logit.of(spec, xi=False), nodes=normal, weights=weights)
    share = choices(logit, np.asarray(price, dtype=np.float64))[0][:, seat]
    means, weights = _merge(spec.customers.rate * factor * size * share, weights)
    sd = spec.customers.shock.sd
    if sd > 0:
        z, chance = _trapezoid(AXIS[2])
        means = (means[:, None] * np.exp(sd * z - 0.5 * sd**2)).reshape(-1)
        means, weights = _merge(means, (weights[:, None] * chance).reshape(-1))
    dispersion = spec.customers.dispersion if spec.customers.mode == "sampled" else 0.0
    return DemandLaw(means, weights, dispersion, max(1, int(spec.customers.basket)))


def normal_points(spec: MarketSpec) -> tuple[Floats, Floats]:
    """Points (Q, N) of ``xi`` and their probabilities (Q,)."""
    own = np.array([seller.xi for seller in spec.sellers])
    values, vectors = np.linalg.eigh(np.diag(own**2) + spec.demand_shock.common**2)
    loads = (vectors * np.sqrt(np.maximum(values, 0.0))).T
    loads = loads[np.abs(loads).max(axis=1) > 1e-9]
    dimensions = len(loads)
    if dimensions == 0:
        return np.zeros((1, len(own))), np.ones(1)
    if dimensions not in AXIS:
        return np.asarray(ndtri(sobol_points(SOBOL, dimensions)) @ loads), np.full(SOBOL, 1.0 / SOBOL)
    z, chance = _trapezoid(AXIS[dimensions])
    grid = np.meshgrid(*[z] * dimensions, indexing="ij")
    mass = np.prod(np.meshgrid(*[chance] * dimensions, indexing="ij"), axis=0)
    return np.stack([axis.reshape(-1) for axis in grid], axis=1) @ loads, np.asarray(mass).reshape(-1)


def _with_strata(spec: MarketSpec, points: Floats, weights: Floats) -> tuple[Floats, Floats, Floats | float]:
    """The points (Q, N) of ``xi`` in every season and location, their probabilities and sizes (Q,)."""
    if not spec.season and not spec.locations:
        return points, weights, 1.0
    season, place = season_offsets(spec), location_offsets(spec)
    offset = (place[:, None, :] + season[:, None]).reshape(-1, 1, points.shape[1])
    strata, each = len(offset), len(weights)
    if strata * each > MOST_POINTS:
        return _few_points(spec, points, weights, offset[:, 0])
    sizes = np.repeat(np.array(spec.sizes), len(season) * each)
    return (offset + points).reshape(-1, points.shape[1]), np.tile(weights, strata) / strata, sizes


def _few_points(
    spec: MarketSpec, points: Floats, weights: Floats, offset: Floats
) -> tuple[Floats, Floats, Floats | float]:
    """Every point of ``xi`` in some strata only, the same number for each: strata dealt out along a Kronecker sequence."""
    each = max(MOST_POINTS // len(points), 1)
    sizes = np.repeat(np.array(spec.sizes), len(offset) // len(spec.sizes))
    ranked = np.argsort(sizes * np.exp(offset.mean(1)), kind="stable")
    turn = (np.arange(len(points) * each) * GOLDEN) % 1.0
    stratum = ranked[(turn * len(offset)).astype(np.int64)]
    return np.repeat(points, each, axis=0) + offset[stratum], np.repeat(weights, each) / each, sizes[stratum]


def _trapezoid(points: int) -> tuple[Floats, Floats]:
    z = np.linspace(-EDGE, EDGE, points)
    chance = np.exp(-0.5 * z * z)
    return z, chance / chance.sum()


def _merge(means: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Fewer points of the same mean and variance: two in each narrow bin, a standard deviation off its mean."""
    if len(means) == 1:
        return means, weights
    at = (np.sqrt(means) / MERGED).astype(np.int64)
    mass = np.bincount(at, weights)
    held = mass > 0
    centre = np.bincount(at, weights * means)[held] / mass[held]
    off = means - np.bincount(at, weights * means)[at] / np.where(held, mass, 1.0)[at]
    spread = np.sqrt(np.bincount(at, weights * off * off)[held] / mass[held])
    return np.maximum(np.concatenate([centre - spread, centre + spread]), 0.0), np.tile(mass[held] / 2, 2)


def ample_level(spec: MarketSpec, seat: int, price: float) -> float:
    """Return the level, units, from which a seat ``price`` hardly ever runs dry, whatever its rivals do.

    The smallest order-up-to level that demand of lead time + 1 periods exceeds with probability below 1e-9, were
    the seat the only one offered (all rivals sold out), in the busiest season and location and, where it has events
    that help it, in one; a history (``market.tape``) counts with its own shocks. Where periods depend on one another
    (persistent shocks) it is a bound: lead time + 1 times the level that one period's demand exceeds with probability
    1e-9 / (lead time + 1), which needs no independence. Where a period sells tens of thousands (counts by means
    beyond 16 million) it is up to some (lead time + 1) thousandths too high, twice that with dispersion (:func:`_summed`). A reference price lies between the first price, where it
    begins, and ``price``, and helps where the first price is the higher.
    Everyone buys, Poisson of mean 5, lead time 0: 23, as ``P(D > 22) = 3.9e-9`` and ``P(D > 23) = 8e-10``.
    """
    return max(_ample_alone(spec, seat, price, factor, lift) for factor, lift in demand_extremes(spec, seat))


def demand_extremes(spec: MarketSpec, seat: int) -> list[tuple[float, float]]:
    """The most customers, times the base rate, and the highest lift of the seat's utility in each place."""
    promoted = spec.events is not None and (spec.sellers[seat].event_frequency > 0 or spec.tape is not None)
    lift = max(spec.events.effect if spec.events and promoted else 0.0, 0.0)
    crowd = calendar(spec, np.arange(spec.horizon))
    script = build_script(spec, crowd)
    if spec.tape is not None:
        crowd = np.ones(1) / spec.customers.rate
    if script.factor.shape[1] == 0:
        return [(float(crowd.max()), lift)]
    return [
        (float(crowd.max() * factor.max()), lift + float(utility[:, seat].max()))
        for factor, utility in zip(script.factor, script.utility, strict=True)
    ]


def _ample_alone(spec: MarketSpec, seat: int, price: float, factor: float, lift: float) -> float:
    """The ample level of a seat alone with ``factor`` times the base rate, its utility higher by ``lift``."""
    seller, customers = spec.sellers[seat], spec.customers
    lift += reference_lift(spec, seat, price)
    only = seller.model_copy(update={"quality": seller.quality + lift})
    alone = spec.model_copy(update={"sellers": (only,), "season": (), "locations": (), "tape": None})
    law = demand_law(alone, 0, [price], factor)
    window = seller.lead_time + 1
    if customers.mode == "expected":
        most = float(np.quantile(law.means, 1.0 - DRY / window, weights=law.weights, method="inverted_cdf"))
        return window * most * customers.basket
    shocks = (spec.demand_shock.persistence, customers.shock.persistence)
    if max(shocks) > 0:
        return float(window * _quantile(law, 1, DRY / window) * law.basket)
    return float(_quantile(law, window, DRY) * law.basket)


def reference_lift(spec: MarketSpec, seat: int, price: float) -> float:
    """Return the most that a reference price adds to the utility of a seat that posts ``price`` for ever, at least 0.

    First price 3, linear, weight 2: 2 (3 - 2.5) = 1 at a price of 2.5, 0 at 3 or above.
    """
    if spec.reference_price is None:
        return 0.0
    first = spec.sellers[seat].first_price
    above = log(first / price) if spec.price_form == "log" else first - price
    return max(0.0, spec.reference_price.weight * above)


def _quantile(law: DemandLaw, periods: int, above: float) -> int:
    """The smallest number of baskets that the demand of so many periods exceeds with probability below ``above``.

    From a table of counts, or where there are too many of them of :func:`_summed`.
    """
    size = _long_enough(law, 0.01 * above)
    if size > MOST_COUNTS or size * len(law.means) > MOST_TABLE:
        summed = _summed(law, periods, 0.01 * above)
        return _first(lambda count: summed.beyond(count) < above, periods * size)
    mass = law.baskets(size)
    total = mass
    for _ in range(periods - 1):
        total = np.convolve(total, mass)
    beyond = np.cumsum(total[::-1])[::-1] - total
    return int(np.argmax(beyond < above))


@np.errstate(under="ignore")
def _summed(law: DemandLaw, periods: int, chance: float) -> DemandLaw:
    """The law of the demand of independent periods together, at a cost that no number of customers changes.

    A sum of Poisson counts is a Poisson count of the sum of their means. So means are summed instead of counts, each
    rounded up to the next of 1,024 cells between 0 and what it exceeds with probability ``chance``: demand is never
    too small by that (a Poisson count grows with its mean; Shaked and Shanthikumar 2007, *Stochastic Orders*, example
    1.A.2), and a level of W periods too high by less than W cells, about W thousandths. With dispersion means are
    rounded up as much before they are multiplied by ``G``, which makes 2 W. One period without rounding is the law itself.
    """
    if periods == 1:
        return law
    cell = mean_cell = _high_mean(law.means, law.weights, chance) / CELLS
    mass = _in_cells(law.means / cell, law.weights)
    if law.dispersion > 0:
        cell *= _high_factor(law.dispersion, chance)
        mass = _times_gamma(mass, 1.0 / law.dispersion, cell / mean_cell)
    total = mass
    for _ in range(periods - 1):
        total = np.convolve(total, mass)
    return DemandLaw(cell * np.arange(float(len(total))), np.asarray(total), 0.0, law.basket)


def _in_cells(means: Floats, weights: Floats) -> Floats:
    """Probability of each cell's upper end (CELLS + 1,), of means (Q,) in cells; what lies above them is in the last."""
    at = np.minimum(np.ceil(means - 1e-9), CELLS).astype(np.int64)
    return np.asarray(np.bincount(at, weights, CELLS + 1))


def _times_gamma(mass: Floats, shape: float, cell: float) -> Floats:
    """Probabilities (CELLS + 1,) of means times ``G``, gamma of mean 1 and this shape, in cells ``cell`` times as wide."""
    held = np.nonzero(mass[1:])[0] + 1
    below = gammainc(shape, shape * cell * np.arange(CELLS + 1.0) / held[:, None])
    below[:, -1] = 1.0
    spread = mass[held] @ np.diff(below, axis=1, prepend=0.0)
    spread[0] += mass[0]
    return np.asarray(spread)


def _first(holds: Callable[[int], bool], high: int) -> int:
    """The smallest count from 0 on for which a thing holds that holds from there on, and at ``high``; by bisection."""
    low = -1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _long_enough(law: DemandLaw, chance: float) -> int:
    """A count that demand exceeds with a probability well below ``chance``."""
    high = _high_mean(law.means, law.weights, chance)
    if law.dispersion > 0:
        high *= _high_factor(law.dispersion, chance)
    return int(high + 8.0 * np.sqrt(high) + 60.0)


def _high_mean(means: Floats, weights: Floats, chance: float) -> float:
    """What a period's mean exceeds with a probability of at most ``chance``, or the highest."""
    order = np.argsort(means)[::-1]
    rare = int(np.searchsorted(np.cumsum(weights[order]), chance))
    return float(means[order][min(rare, len(order) - 1)])


def _high_factor(dispersion: float, chance: float) -> float:
    """What the factor ``G`` exceeds with probability ``chance``."""
    return dispersion * float(gammaincinv(1.0 / dispersion, 1.0 - chance))
