"""The numbers behind the calibration's page, apart from how they are drawn. N sellers, P points of a curve."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from market.calibration.calibrate import Calibration
from market.calibration.levels import shares
from market.calibration.logit import Coefficient
from market.calibration.market_file import market_means
from market.salesfile.table import Sales
from market.state import Floats

Z95 = 1.959964  # of a normal distribution, two-sided
POINTS = 41


@dataclass(frozen=True)
class Curve:
    """Expected ``units`` (P,) of a seller at its own ``price`` (P,), those of the others at their means."""

    seller: str
    price: Floats
    units: Floats
    mean: tuple[float, float]
    cost: float


@dataclass(frozen=True)
class Lift:
    """What a promotion adds to a seller's own units and to all rivals' together, as shares of them."""

    own: float
    rivals: float


def own_elasticity(found: Calibration, seat: int) -> tuple[float, float, float]:
    """A seller's own elasticity and its 95 % interval by the delta method in alpha alone.

    The elasticity is proportional to alpha, so its standard error is ``|elasticity| se(alpha) / alpha``. Elasticity
    -2 with alpha 4 and standard error 0.4: -2 +- 1.96 x 0.2, from -2.39 to -1.61.
    """
    value, alpha = float(found.elasticity[seat, seat]), found.fit.fitted.alpha
    half = Z95 * abs(value) * alpha.error / abs(alpha.value)
    return value, value - half, value + half


def interval(one: Coefficient) -> tuple[float, float]:
    """The 95 % interval of an estimate."""
    return one.value - Z95 * one.error, one.value + Z95 * one.error


def mean_utility(found: Calibration) -> Floats:
    """Utilities (N,) at which a market without shocks sells the mean shares: Berry (1994), eq. 28, inverted.

    Shares 0.2 and 0.3 without a nest: ``ln(0.2 / 0.5)`` and ``ln(0.3 / 0.5)``.
    """
    share, rho = found.share, found.fit.fitted.nest
    return np.asarray(np.log(share) - np.log(1.0 - share.sum()) - rho * np.log(share / share.sum()))


def expected(found: Calibration, utility: Floats) -> Floats:
    """Shares (P, N) of the market size at utilities (P, N)."""
    return shares(utility, found.fit.fitted.nest)


def demand_curve(found: Calibration, seat: int) -> Curve:
    """Units a period in a market of mean size, over the range of prices that the file has."""
    seller, one = found.sellers[seat], found.fit.fitted
    seen = found.sales.rows.loc[found.sales.rows["seller"] == seller, "price"]
    price = np.linspace(float(seen.quantile(0.01)), float(seen.quantile(0.99)), POINTS)
    mean, size = float(found.price[seat]), mean_size(found)
    utility = np.tile(mean_utility(found), (POINTS, 1))
    moved = np.log(price / mean) if one.form == "log" else price - mean
    utility[:, seat] -= one.alpha.value * moved
    units = size * expected(found, utility)[:, seat]
    return Curve(seller, price, units, (mean, size * float(found.share[seat])), found.cost[seller])


def mean_size(found: Calibration) -> float:
    """Mean market size in units, over markets."""
    return float(np.mean(list(market_means(found).values())))


def lifts(found: Calibration) -> dict[str, Lift]:
    """What the market's promotion does, by seller; empty where there is none.

    Without a nest, share 0.2 and an effect of ln 2: ``2 x 0.2 / 1.2 / 0.2 - 1`` = 67 % more units of its own.
    """
    if found.fit.promotions is None:
        return {}
    found_lifts, base = {}, mean_utility(found)
    for seat, seller in enumerate(found.sellers):
        utility = base.copy()
        utility[seat] += found.fit.promotions.effect
        after, others = expected(found, utility[None])[0], np.arange(len(base)) != seat
        rivals = float(after[others].sum() / found.share[others].sum() - 1.0)
        found_lifts[seller] = Lift(float(after[seat] / found.share[seat] - 1.0), rivals)
    return found_lifts


def season_labels(found: Calibration) -> dict[str, str]:
    """What to call each season: by the date at which it begins in the file's first cycle, or by its periods."""
    names, season, sales = list(found.fit.fitted.season), found.fit.design.season, found.sales
    if sales.has("season"):
        return {name: name for name in names}
    return {name: _begins(sales, int(name) * season.width, season.width) for name in names}


def _begins(sales: Sales, first: int, width: int) -> str:
    if sales.dates is None:
        return f"{first + 1}" if width == 1 else f"{first + 1}–{first + width}"
    form = {"day": "%a", "month": "%b"}.get(sales.step, "%-d %b")
    return str(sales.dates[first].strftime(form))


def times(sales: Sales) -> list[str] | list[int]:
    """The axis of periods: dates where the file has them, else its numbers."""
    return sales.labels if sales.dates is not None else [int(label) for label in sales.labels]


def correlation(real: Sequence[float] | Floats, market: Sequence[float] | Floats) -> float | None:
    """Of two series of units; None where one does not vary."""
    x, y = np.asarray(real, np.float64), np.asarray(market, np.float64)
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < 3 or x[both].std() == 0 or y[both].std() == 0:
        return None
    found = float(np.corrcoef(x[both], y[both])[0, 1])
    return found if math.isfinite(found) else None


def absent(sales: Sales) -> int:
    """Rows that a file without gaps would have more: periods of a market in which a seller that it knows has none."""
    rows = sales.rows
    span = rows.groupby("market")["period"].agg(lambda period: int(period.max()) - int(period.min()) + 1)
    sellers = rows.groupby("market")["seller"].nunique()
    return int((span * sellers).sum()) - len(rows)
