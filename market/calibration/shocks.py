"""How large demand shocks are: residual variance less counting noise, in a common and an own part, and AR(1); and
promotions as the market's events: how often, how long, with what effect.

Counts are noisy even when demand is not, and the inversion turns that noise into utility. With units ``q`` that are
independent Poisson given the utilities (as the market draws them) and ``M`` the market size, the delta method gives
for ``delta_j = (1 - rho) ln q_j + rho ln Q - ln (M - Q)``, ``Q = sum q``, the covariance ``G diag(q) G'`` with
``G_jl = (1 - rho) [j = l] / q_j + rho / Q + 1 / (M - Q)``. What is left is the shocks' own. Periods are the clusters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from market.calibration.regression.design import EXPECTED, WEIGHT, cells
from market.calibration.regression.logit import Estimate
from market.salesfile.table import PROMOTED
from market.state import Floats, Ints

LARGEST_PERSISTENCE = 0.98
DROWNED = 0.5  # of the residuals' variance is counting noise: from there on what is left of it cannot be told


@dataclass(frozen=True)
class Shocks:
    """Standard deviations of utility shocks: ``common`` to all sellers and each seller's ``own`` part (N,).

    ``persistence``: AR(1) coefficient a period, 0 when the estimate is negative. ``dispersion``: of the number of
    customers, in place of the common part (variance of the gamma factor). ``noise``: the share of the residuals'
    variance that counting makes. ``lost``: names of sellers whose own part came out below zero and is taken as 0.
    """

    common: float
    own: dict[str, float]
    persistence: float
    dispersion: float
    noise: float
    lost: tuple[str, ...] = ()


def fit_shocks(table: pd.DataFrame, fitted: Estimate, sellers: list[str], gamma: bool = False) -> Shocks:
    """The shocks behind residuals ``fitted.xi`` of the design's table.

    Args:
        gamma: put the common part into the number of customers (negative binomial) instead of into utilities; never
            both, as either explains it.

    Example: residuals of variance 0.05 where 25 units are sold of many (counting noise about 1/25 = 0.04): the
    shock's standard deviation is ``sqrt(0.01) = 0.1``.
    """
    at = cells(table, sellers)
    moments = _moments(at, np.asarray(fitted.xi, np.float64), len(sellers), _weight(table))
    counting = _counting(table, at, fitted.nest, len(sellers))
    total = moments - counting
    pairs = ~np.eye(len(sellers), dtype=bool) & np.isfinite(total)
    shared = float(np.mean(total[pairs])) if pairs.any() else 0.0
    common = max(shared, 0.0)
    outside = float(np.exp(table["outside"]).mean())
    own = {seller: float(np.nan_to_num(total[k, k] - common)) for k, seller in enumerate(sellers)}
    noise = float(np.nansum(np.diag(counting)) / max(np.nansum(np.diag(moments)), 1e-300))
    told = noise < DROWNED or EXPECTED in table
    return Shocks(
        common=0.0 if gamma else float(np.sqrt(common)),
        own={seller: float(np.sqrt(max(value, 0.0))) for seller, value in own.items()},
        persistence=_persistence(table, fitted.xi, np.diag(total), sellers) if told else _by_two_lags(table, fitted.xi),
        dispersion=common * outside**2 if gamma else 0.0,
        noise=noise,
        lost=tuple(seller for seller, value in own.items() if value < 0),
    )


def _products(at: tuple[Ints, Ints], one: Floats, other: Floats, sellers: int) -> Floats:
    """Sums (N, N) over markets and periods of a row seller's ``one`` (R,) times a column seller's ``other`` (R,)."""
    left, right = (sparse.csr_array((values, at), shape=(int(at[0].max()) + 1, sellers)) for values in (one, other))
    return np.asarray((left.T @ right).todense(), np.float64)


def _weight(table: pd.DataFrame) -> Floats:
    """(R,): of counts what a row tells, so that a row of .1 units does not drown one of 10; else all alike."""
    return table[WEIGHT].to_numpy(np.float64) if WEIGHT in table else np.ones(len(table))


def _moments(at: tuple[Ints, Ints], xi: Floats, sellers: int, weight: Floats) -> Floats:
    """Mean products (N, N) of xi (R,) over the cells in which both sellers are there; NaN where none are."""
    count = _products(at, weight, weight, sellers)
    return np.where(
        count > 0, _products(at, xi * weight, xi * weight, sellers) / np.where(count > 0, count, 1.0), np.nan
    )


def _counting(table: pd.DataFrame, at: tuple[Ints, Ints], rho: float, sellers: int) -> Floats:
    """Mean covariance (N, N) that counting alone gives to the inverted utilities; of counts, at their expected units."""
    units, size = (table[name].to_numpy(np.float64) for name in (EXPECTED if EXPECTED in table else "units", "size"))
    sold, weight = np.bincount(at[0], units)[at[0]], _weight(table)
    shift = rho / sold + 1.0 / np.maximum(size - sold, 1.0)
    # G diag(q) G' with G = diag(own) + shift, own_j = (1 - rho) / q_j: own_j^2 q_j [j = k] + shift (own_j q_j + own_k q_k)
    # + shift^2 Q, summed over the cells in which both are there
    cross = _products(at, (1.0 - rho) * shift * weight, weight, sellers)
    noise = cross + cross.T + _products(at, shift**2 * sold * weight, weight, sellers)
    noise += np.diag(np.bincount(at[1], (1.0 - rho) ** 2 / units * weight**2, sellers))
    count = _products(at, weight, weight, sellers)
    return np.asarray(noise / np.where(count > 0, count, 1.0))


def _persistence(table: pd.DataFrame, xi: pd.Series[float], variance: Floats, sellers: list[str]) -> float:
    """Lag-1 autocovariance over the variance without counting noise, which does not last, pooled over series."""
    pairs = _apart(table, xi, 1)
    if pairs.empty:
        return 0.0
    own = pairs["seller"].map(dict(zip(sellers, np.maximum(np.nan_to_num(variance), 0.0), strict=True)))
    expected = float((own * pairs["weight"]).sum())
    moved = float((pairs["xi"] * pairs["xi_before"] * pairs["weight"]).sum())
    return float(np.clip(moved / expected, 0.0, LARGEST_PERSISTENCE)) if expected > 0 else 0.0


def _by_two_lags(table: pd.DataFrame, xi: pd.Series[float]) -> float:
    """Lag-2 over lag-1 autocovariance, which counting noise is no part of; 0 where the first is not above 0.

    Less exact than by the variance, and right where counting noise drowns it (an AR(1) with added noise; Granger & Morris
    1976, J. Royal Stat. Soc. A 139).
    """
    one, two = (_apart(table, xi, lag) for lag in (1, 2))
    if one.empty or two.empty:
        return 0.0
    first, second = (float((pairs["xi"] * pairs["xi_before"]).mean()) for pairs in (one, two))
    return float(np.clip(second / first, 0.0, LARGEST_PERSISTENCE)) if first > 0 else 0.0


def _apart(table: pd.DataFrame, xi: pd.Series[float], lag: int) -> pd.DataFrame:
    """Residuals ``xi`` beside those of the same seller and market ``lag`` periods before, ``xi_before``; ``weight``: both rows'."""
    frame = table[["market", "seller", "period"]].assign(xi=xi, weight=_weight(table))
    before = frame.assign(period=frame["period"] + lag)
    pairs = frame.merge(before, on=["market", "seller", "period"], suffixes=("", "_before"))
    return pairs.assign(weight=pairs["weight"] * pairs["weight_before"])


@dataclass(frozen=True)
class Promotions:
    """One kind of event: ``effect`` in utility, ``mean_length`` in periods, ``frequency`` by seller.

    ``column`` is the promotion that explains most; ``steady``: utility by seller that the others, and this one's
    fractions, add on average, which belongs to quality.
    """

    column: str
    effect: float
    mean_length: float
    frequency: dict[str, float]
    steady: dict[str, float]


def fit_promotions(table: pd.DataFrame, fitted: Estimate, sellers: list[str]) -> Promotions | None:
    """The event behind the promotion of the largest effect x standard deviation; None where none helps.

    Example: a seller promoted in periods 2, 3 and 7 of 10: frequency 0.3, lengths 2 and 1, mean length 1.5.
    """
    gains = {name: one.value * float(table[name].std()) for name, one in fitted.promotions.items()}
    column = max(gains, key=lambda name: gains[name], default="")
    if not column or gains[column] <= 0:
        return None
    on = table[column] >= PROMOTED
    if not on.any() or on.all():
        return None
    effect = fitted.promotions[column].value * float(table.loc[on, column].mean())
    frequency = on.groupby(table["seller"]).mean().reindex(sellers).fillna(0.0)
    added = sum(one.value * table[name] for name, one in fitted.promotions.items()) - effect * on
    length = _mean_length(table, on)
    most = length / (1 + length)  # a period without one lies between two events
    return Promotions(
        column=column,
        effect=effect,
        mean_length=length,
        frequency={str(name): float(min(value, 0.999 * most)) for name, value in frequency.items()},
        steady={str(name): float(value) for name, value in added.groupby(table["seller"]).mean().items()},
    )


def _mean_length(table: pd.DataFrame, on: pd.Series[bool]) -> float:
    """Mean number of periods in a row, within each market's seller; a gap in the file ends a promotion."""
    keys = [table["market"], table["seller"]]
    before = on.groupby(keys).shift(1, fill_value=False)
    following = table["period"].groupby(keys).diff() == 1
    starts = on & ~(before & following)
    return float(np.maximum(on.sum() / max(int(starts.sum()), 1), 1.0))
