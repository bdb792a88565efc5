"""The market at a moment of its file: the middle, or the end, which is what a decision to come is about.

The end is the last quarter of the file: costs, prices, units and market sizes are its means, and trends of qualities, which
are 0 in the middle of the file (:mod:`market.calibration.regression.design`), are taken in its middle, so that the market
sells what was sold there. Trends of the very last period sell more than the quarter did: 10 % where they are steep.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from market.calibration.calibrate import Calibration, unit_costs
from market.calibration.fit import Fit
from market.calibration.options import Moment

NEVER = -100.0  # the utility of a seller where a market does not offer it
PART, FEWEST = 4, 4  # of the file's periods, and how many at least, are the latest


@dataclass(frozen=True)
class MarketAt:
    """``quality`` (N,) by market, in seat order; ``size`` mean units by market; the rest by seller, means."""

    quality: dict[str, list[float]]
    size: dict[str, float]
    cost: dict[str, float]
    price: dict[str, float]
    units: dict[str, float]

    def mean_quality(self, seat: int) -> float:
        """A seller's, over the markets that offer it, weighted by their sizes."""
        offered = [(values[seat], self.size[market]) for market, values in self.quality.items() if values[seat] > NEVER]
        return float(np.average([value for value, _ in offered], weights=[size for _, size in offered]))


def latest(periods: int) -> int:
    """How many of a file's periods are its latest: 121 weeks have 30."""
    return max(round(periods / PART), FEWEST)


def elapsed_at(periods: int, at: Moment) -> float:
    """The time of a moment, as trends count it. 104 periods: the end is ``.5 - 26 / 208 = .375``."""
    return 0.5 - latest(periods) / (2 * periods) if at == "end" else 0.0


def market_at(found: Calibration, at: Moment | None = None) -> MarketAt:
    """The market at the end of the file or in its middle; None: where the options say."""
    at = at or found.options.at
    quality, rows = market_qualities(found, found.fit, at), found.sales.rows
    if at == "middle":
        return MarketAt(
            quality, market_means(found), found.cost, *(_by_seller(rows, key) for key in ("price", "units"))
        )
    first = len(found.sales.labels) - latest(len(found.sales.labels))
    late = rows["period"] >= first
    means = found.size[late].groupby(rows.loc[late, "market"]).mean()
    sizes = {str(market): float(mean) for market, mean in means.items()}
    cost = {name: max(value, 0.0) for name, value in unit_costs(found.sales, found.options, found.fit, first).items()}
    shown = (_by_seller(rows, key) | _by_seller(rows[late], key) for key in ("price", "units"))
    return MarketAt(quality, market_means(found) | sizes, found.cost | cost, *shown)


def _by_seller(rows: pd.DataFrame, column: str) -> dict[str, float]:
    return {str(name): float(mean) for name, mean in rows.groupby("seller")[column].mean().items()}


def market_qualities(found: Calibration, fit: Fit, at: Moment) -> dict[str, list[float]]:
    """Qualities by market, in seat order, of an average period without the promotion that is an event."""
    fitted = fit.fitted
    steady = fit.promotions.steady if fit.promotions else _without_event(fit)
    grown = dict.fromkeys(found.sellers, 0.0)
    grown |= {name: elapsed_at(len(found.sales.labels), at) * one.value for name, one in fitted.trends.items()}
    qualities: dict[str, list[float]] = {}
    for market in found.sales.markets:
        values = []
        for seller in found.sellers:
            base = float(fitted.quality.get((market, seller), math.nan)) + grown[seller]
            values.append(base + fit.moves[seller] + steady.get(seller, 0.0) if math.isfinite(base) else NEVER)
        qualities[market] = values
    return qualities


def _without_event(fit: Fit) -> dict[str, float]:
    """Mean utility by seller of promotions that are no event."""
    table = fit.design.table
    total = sum((one.value * table[name] for name, one in fit.fitted.promotions.items()), start=table["f"] * 0.0)
    return {str(name): float(value) for name, value in total.groupby(table["seller"]).mean().items()}


def market_means(found: Calibration) -> dict[str, float]:
    """Mean market size in units, by market."""
    means = found.size.groupby(found.sales.rows["market"]).mean()
    return {market: float(means[market]) for market in found.sales.markets}
