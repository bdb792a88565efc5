"""Prices and levels for a learner that needs a grid and whose seller has none: placed by theory, where they matter.

A grid over the whole of a wide range has few values near the best ones; these lie around what theory says of the seat.
"""

from __future__ import annotations

import math

import numpy as np

from market.demand.equilibrium import prices_in_range
from market.errors import UserError
from market.spec.models import Grid, MarketSpec
from market.state import Floats
from market.theory.newsvendor import newsvendor_level
from market.theory.reorder import economic_order
from policies.config.run import RunConfig
from policies.learners.build import encoding_of, learner_name
from policies.sellers.rules.base import Seat

PRICES, LEVELS = 13, 17
DOWN, UP = 0.18, 0.3  # of the Nash price, but no more of its markup than
OF_MARKUP = (0.5, 0.9)  # these: where margins are thin a few percent of the price are all of the profit
LOWEST, HIGHEST = 0.3, 2.2  # levels, of the one in their middle
GROWTH = 1.5  # distances from the middle grow as this power of the number of steps
ORDER_SHARE = 0.6  # of the economic order on top of the newsvendor level


def with_grids(config: RunConfig) -> RunConfig:
    """The configuration with a grid for every learner that needs one and whose seller has none."""
    market = config.market
    for seat in range(len(market.sellers)):
        market = _with_grid(config, market, seat, config.player(seat))
    return config if market is config.market else config.model_copy(update={"market": market})


def with_grid(config: RunConfig, seat: int, player: object) -> RunConfig:
    """The configuration with a grid for ``seat`` where the learner ``player`` needs one there and there is none."""
    market = _with_grid(config, config.market, seat, player)
    return config if market is config.market else config.model_copy(update={"market": market})


def _with_grid(config: RunConfig, market: MarketSpec, seat: int, player: object) -> MarketSpec:
    name, seller = market.names[seat], market.sellers[seat]
    learner = learner_name(player, f"seats.{name}")
    if learner is None or seller.grid is not None or encoding_of(config, seat, learner) != "grid":
        return market
    sellers = list(market.sellers)
    sellers[seat] = seller.model_copy(update={"grid": grid_of(config.market, seat)})
    return market.model_copy(update={"sellers": tuple(sellers)})


def grid_of(spec: MarketSpec, seat: int) -> Grid:
    """13 prices x 17 order-up-to levels around the seat's Bertrand-Nash price and newsvendor level.

    Prices evenly from .82 to 1.3 times the Nash price, no further down than half of its markup and no further up than
    .9 of it. Levels from .3 to 2.2 times the newsvendor level, their distance growing away from it as the power 1.5
    (steps of 1, 1.83, 2.37 ... near the middle); where an order costs, their middle is .6 of an economic order
    ``sqrt(2 d K / h)`` above the newsvendor level, and 0 is one of them: no order. Whole units, at least one apart,
    when customers are sampled. All inside the seat's ranges; where theory has no answer, evenly over them.
    Cost 1, Nash price 2 and newsvendor level 27: prices 1.64, 1.72, ... 2.6, levels 8, 12, ... 26, 27, 28, ... 59.
    """
    prices = _values(_prices(spec, seat), spec.sellers[seat].prices)
    if not spec.stocked:
        return Grid(prices=tuple(prices))
    seller, whole = spec.sellers[seat], spec.customers.mode == "sampled"
    levels = _values(_levels(spec, seat), seller.order_up_to, whole)
    if seller.order_cost > 0:
        levels = sorted({0.0, *levels})
    return Grid(prices=tuple(prices), levels=tuple(levels))


def _prices(spec: MarketSpec, seat: int) -> Floats:
    low, high = spec.sellers[seat].prices
    try:
        nash = float(prices_in_range(spec)[seat])
    except UserError:
        return np.linspace(low, high, PRICES)
    markup = nash - spec.sellers[seat].unit_cost
    down, up = DOWN * nash, UP * nash
    if markup > 0:
        down, up = min(down, OF_MARKUP[0] * markup), min(up, OF_MARKUP[1] * markup)
    return np.linspace(max(low, nash - down), min(high, nash + up), PRICES)


def _levels(spec: MarketSpec, seat: int) -> Floats:
    seller = spec.sellers[seat]
    count, (low, high) = LEVELS - (seller.order_cost > 0), seller.order_up_to
    middle = _middle_level(spec, seat)
    if middle is None or not (LOWEST * middle < high and HIGHEST * middle > low):
        return np.linspace(low, high, count)
    below, above = (1 - LOWEST) * middle, (HIGHEST - 1) * middle

    def steps(level: float) -> float:
        """Of the way from the middle to an end, in -1 to 1."""
        share = (level - middle) / (above if level > middle else below)
        return math.copysign(abs(share) ** (1 / GROWTH), share)

    at = np.linspace(steps(max(low, LOWEST * middle)), steps(min(high, HIGHEST * middle)), count)
    return np.asarray(middle + np.where(at > 0, above, -below) * np.abs(at) ** GROWTH)


def _middle_level(spec: MarketSpec, seat: int) -> float | None:
    """None where theory has none, or it is no stock at all."""
    place, seller = Seat(spec, seat), spec.sellers[seat]
    try:
        price = float(place.nash[seat])
        level = newsvendor_level(spec, seat, place.posted(price))
    except UserError:
        return None
    if level > 0 and seller.order_cost > 0:
        level += ORDER_SHARE * economic_order(place.mean_demand(price), seller.order_cost, seller.holding_cost)
    return level if level > 0 else None


def _values(values: Floats, bounds: tuple[float, float], whole: bool = False) -> list[float]:
    """Ascending, different and inside ``bounds``; rounded to whole units at least one apart, or to what can be read."""
    if whole:
        low, high = math.ceil(bounds[0]), math.floor(bounds[1])
        return [float(unit) for unit in _apart(np.floor(values + 0.5), low, high)] if low <= high else [bounds[1]]
    step = float(np.diff(values).min()) if len(values) > 1 else 0.0
    digits = 1 - math.floor(math.log10(step)) if step > 0 else 12
    return sorted({min(max(round(float(value), digits), bounds[0]), bounds[1]) for value in values})


def _apart(values: Floats, low: int, high: int) -> list[int]:
    """Ascending values as whole numbers at least one apart: the closest pair stays, others move away from it."""
    middle = int(np.diff(values).argmin()) if len(values) > 1 else 0
    units = [int(value) for value in values]
    for k in range(middle + 1, len(units)):
        units[k] = max(units[k], units[k - 1] + 1)
    for k in range(middle - 1, -1, -1):
        units[k] = min(units[k], units[k + 1] - 1)
    return [unit for unit in units if low <= unit <= high]
