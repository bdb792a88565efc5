"""What a seller should hold and expect: mean demand, its quantiles, the newsvendor level; and the profit gain.

Demand over several periods with every source of randomness of the spec. Shares and prices come from
:mod:`market.demand.logit` and :mod:`market.demand.equilibrium`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaincinv, ndtri, pdtr

from market.demand.logit import Logit, choices, sobol_points
from market.demand.script import calendar, location_offsets, season_offsets
from market.errors import UserError
from market.spec.models import MarketSpec
from market.state import Floats

DRAWS = 8192  # a power of 2, as Sobol points want


def service_level(price: float, unit_cost: float, holding_cost: float, stockout_cost: float = 0.0) -> float:
    """Return the newsvendor's critical ratio ``underage / (underage + overage)``, at least 0.

    Underage ``price - unit_cost + stockout_cost`` is what a unit too few costs, overage ``holding_cost`` a unit too
    many (it keeps its value and is only held for a period); all in money a unit (Arrow, Harris and Marschak 1951;
    Zipkin 2000, section 9.4). Price 3, cost 2, holding 0.25: 0.8. Raises :class:`UserError` when holding costs nothing.
    """
    if holding_cost <= 0:
        raise UserError("holding_cost must be above 0: stock that costs nothing to hold has no best level")
    underage = max(0.0, price - unit_cost + stockout_cost)
    return underage / (underage + holding_cost)


def mean_demand(spec: MarketSpec, seat: int, price: ArrayLike, periods: int = 1) -> float:
    """Return the mean units that first choose ``seat`` in ``periods`` periods at posted prices (N,), events included.

    10 customers a period, a basket of 2 and a share of a half: 30 units in 3 periods.
    """
    posted = np.asarray(price, dtype=np.float64)
    return float(window_means(spec, seat, posted, periods).mean()) * spec.customers.basket


def demand_quantile(spec: MarketSpec, seat: int, price: ArrayLike, periods: int, q: float) -> float:
    """Return the ``q`` quantile of units that first choose ``seat`` in ``periods`` periods at posted prices (N,).

    The smallest whole number of baskets ``n`` with ``mean_s P(Poisson(mu_s) <= n) >= q``, times the basket: demand is
    Poisson given the mean ``mu_s`` of the window, and ``mu_s`` varies with the season, the location, the market shock, ``xi``,
    events and ``G`` (so without any of these it is exactly Poisson's quantile). In expected mode it is the quantile
    of ``mu_s`` itself at ``G = 1``, in parts of units. Events already announced are not known here.
    Nothing is listed unit by unit: 8,192 Sobol points stand for the law of ``mu_s`` (Owen 1998, *ACM Transactions on
    Modeling and Computer Simulation* 8(1)), whatever the number of units. Beside the exact law of one period the level
    is off by less than 1 % and the expected profit there by less than 1e-4 of itself, from ten thousand customers to ten million
    (tests, with ``xi`` of .36 and a market shock of .15); without any spread of ``mu_s`` it is exact.
    Mean 4, ``q = 0.9``: 7, as ``P(Poisson(4) <= 6) = 0.889`` and ``P(<= 7) = 0.949``.
    Raises :class:`UserError` unless ``0 <= q < 1``.
    """
    if not 0 <= q < 1:
        raise UserError(f"the quantile of demand needs 0 <= q < 1, got {q}")
    posted = np.asarray(price, dtype=np.float64)
    return _demand_quantile(spec, seat, tuple(posted.tolist()), periods, q)


@lru_cache(maxsize=1024)  # rules are made, checked and searched many times over at the same prices
def _demand_quantile(spec: MarketSpec, seat: int, price: tuple[float, ...], periods: int, q: float) -> float:
    means = window_means(spec, seat, np.array(price), periods)
    return baskets_quantile(means, q, spec.customers.mode == "sampled") * spec.customers.basket


def baskets_quantile(means: Floats, q: float, sampled: bool) -> float:
    """The ``q`` quantile of a Poisson number whose mean is any of ``means`` (S,); not ``sampled``, of the means."""
    if not sampled:
        return float(np.quantile(means, q, method="inverted_cdf"))
    low, high = -1, 1
    with np.errstate(under="ignore"):
        while pdtr(high, means).mean() < q:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if pdtr(middle, means).mean() < q else (low, middle)
    return float(high)


def newsvendor_level(spec: MarketSpec, seat: int, price: ArrayLike) -> float:
    """Return the order-up-to level, units, of ``seat`` at posted prices (N,): a quantile of its demand.

    Underage ``price - unit cost + stockout cost``, overage the holding cost, demand over ``lead time + 1`` periods
    (Zipkin 2000, section 9.4.6; lost sales make it an approximation, the better the rarer stockouts are). A rule's
    prices are its own beside its rivals' Bertrand-Nash prices. A price at or below cost gives level 0. The seller's
    order-up-to range is not looked at.
    Price 3, cost 2, holding 0.25, lead time 0, Poisson demand of mean 4: the 0.8 quantile, 6.
    Where customers have reference prices: of prices held for good.
    Raises :class:`UserError` when holding costs nothing or the market holds no stock.
    """
    seller = spec.sellers[seat]
    place = spec.seat_place(seat)
    if not spec.stocked:
        raise UserError(f"{place}: a market made to order holds no stock, so it has no newsvendor level")
    own = float(np.asarray(price, dtype=np.float64)[seat])
    try:
        ratio = service_level(own, seller.unit_cost, seller.holding_cost, seller.stockout_cost)
    except UserError as problem:
        raise UserError(f"{place}.{problem}") from None
    return demand_quantile(spec, seat, price, seller.lead_time + 1, ratio) if ratio > 0 else 0.0


@np.errstate(under="ignore")
def window_means(spec: MarketSpec, seat: int, price: Floats, periods: int) -> Floats:
    """Mean number of the seat's customers (S,) in ``periods`` periods, given everything but the Poisson draw.

    Windows begin at all periods of the horizon in turn; xi, the market shock, events and G start from their
    stationary laws; each location is as likely to be a window's. Sobol points of a fixed seed stand for random numbers.
    """
    count, customers = len(spec.sellers), spec.customers
    each = 2 * count + 3 + (len(spec.locations) > 1)
    uniform = sobol_points(DRAWS, each * periods).reshape(DRAWS, periods, each)
    place = np.zeros(DRAWS, np.int64)
    if len(spec.locations) > 1:
        uniform, chance = uniform[..., :-1], uniform[:, 0, -1]
        place = (chance * len(spec.locations)).astype(np.int64)
    starts = np.arange(DRAWS) * max(1, spec.horizon - periods + 1) // DRAWS
    when = starts[:, None] + np.arange(periods)
    normal = _autoregress(ndtri(uniform[..., : count + 1]), spec.demand_shock.persistence)
    own = np.array([seller.xi for seller in spec.sellers])
    utility = spec.demand_shock.common * normal[..., :1] + own * normal[..., 1:]
    utility = utility + _event_effects(spec, uniform[..., count + 1 : 2 * count + 1])
    if spec.season or spec.locations:
        phase = season_offsets(spec)
        utility = utility + location_offsets(spec)[place][:, None] + phase[when % len(phase)][..., None]
    logit = replace(Logit.of(spec, xi=False), nodes=utility.reshape(-1, count))
    chosen = choices(logit, price)[0][:, seat].reshape(DRAWS, periods)
    sd = customers.shock.sd
    shock = _autoregress(ndtri(uniform[..., -2:-1]), customers.shock.persistence)[..., 0]
    crowd = customers.rate * np.exp(sd * shock - 0.5 * sd**2)
    if customers.dispersion > 0 and customers.mode == "sampled":
        crowd = crowd * gammaincinv(1.0 / customers.dispersion, uniform[..., -1]) * customers.dispersion
    crowd = crowd * calendar(spec, when) * np.array(spec.sizes)[place, None]
    return np.asarray((crowd * chosen).sum(axis=1))


def _autoregress(normal: Floats, persistence: float) -> Floats:
    """Stationary AR(1) paths of unit variance along the second axis of (S, periods, k)."""
    paths = normal.copy()
    for t in range(1, paths.shape[1]):
        paths[:, t] = persistence * paths[:, t - 1] + math.sqrt(1.0 - persistence**2) * normal[:, t]
    return paths


def _event_effects(spec: MarketSpec, uniform: Floats) -> Floats:
    """Events' part of utility (S, periods, N): stationary chains of geometric lengths."""
    if spec.events is None:
        return np.zeros_like(uniform)
    frequency = np.array([seller.event_frequency for seller in spec.sellers])
    stay = 1.0 - 1.0 / spec.events.mean_length
    start = frequency * (1.0 - stay) / (1.0 - frequency)
    on = uniform < frequency
    for t in range(1, on.shape[1]):
        on[:, t] = uniform[:, t] < np.where(on[:, t - 1], stay, start)
    return np.asarray(spec.events.effect * on)


def profit_gain(profit: ArrayLike, nash: ArrayLike, joint: ArrayLike) -> float:
    """Return Calvano's Delta of the market: 0 at Bertrand-Nash profit, 1 at joint profit.

    ``(sum profit - sum nash) / (sum joint - sum nash)`` over seats (N,), money a period (Calvano et al. 2020, AER
    110(10), eq. 9, there per firm); nan where joint profit does not exceed Nash (a single seller).
    Profits 3 and 2 between Nash 2 and 2 and joint 4 and 4: 0.25.
    """
    reached, low, high = (float(np.sum(np.asarray(x, dtype=np.float64))) for x in (profit, nash, joint))
    return (reached - low) / (high - low) if high - low > 1e-9 * abs(low) else math.nan


def seat_profit_gain(profit: ArrayLike, nash: ArrayLike, joint: ArrayLike) -> Floats:
    """Return each seat's own Delta (N,), nan where the joint price does not raise its Nash profit by over 5 %.

    In the orange-juice market the joint price lowers one brand's profit: there a ratio would mean nothing.
    """
    reached, low, high = (np.asarray(x, dtype=np.float64) for x in (profit, nash, joint))
    room = high - low
    clear = room > 0.05 * np.abs(low)
    return np.asarray(np.where(clear, (reached - low) / np.where(clear, room, 1.0), math.nan))
