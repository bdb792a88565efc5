"""What a learner's decisions mean whose seller says nothing of it: placed by theory, where they matter.

Ranges are often wide (a price of one to three times the cost, levels up to a year's sales). A grid over all of one has
few values near the best ones, and a learner in a box that begins in its middle orders five times too much, finds that
stock only costs money, and stays without. Grids therefore lie around what theory says of the seat, and the middle of a
box is there (``training.start: middle``: the middle of the ranges).
"""

from __future__ import annotations

import math

import numpy as np

from market.spec.models import Center, Grid, MarketSpec
from market.state import Floats
from policies.config.run import RunConfig
from policies.learners.build import encoding_of, learner_name
from policies.learners.seat_theory import middle_level, nash_price

PRICES, LEVELS = 17, 17
PRICES_ALONE = 25  # where nothing else is decided
DOWN, UP = 0.18, 0.3  # of the Nash price, but no more of its markup than
OF_MARKUP = (0.5, 0.9)  # these: where margins are thin a few percent of the price are all of the profit
BEYOND = 1.1  # of the way up to the joint-profit price, which rivals may post: a seller must be able to follow
AT_MOST = 3  # times as far up as without: where all must buy, the joint-profit price is infinite
LOWEST, HIGHEST = 0.3, 2.2  # levels, of the one in their middle
GROWTH = 1.5  # distances from the middle, of prices and levels, grow as this power of the number of steps


def with_decisions(config: RunConfig) -> RunConfig:
    """The configuration with a grid, or the center of a box, for every learner whose seller has none."""
    market = config.market
    for seat in range(len(market.sellers)):
        market = _with_decision(config, market, seat, config.player(seat))
    return config if market is config.market else config.model_copy(update={"market": market})


def with_decision(config: RunConfig, seat: int, player: object) -> RunConfig:
    """The configuration with what the learner ``player`` needs in ``seat`` and is not given there."""
    market = _with_decision(config, config.market, seat, player)
    return config if market is config.market else config.model_copy(update={"market": market})


def _with_decision(config: RunConfig, market: MarketSpec, seat: int, player: object) -> MarketSpec:
    name, seller = market.names[seat], market.sellers[seat]
    learner = learner_name(player, f"seats.{name}")
    if learner is None:
        return market
    found: Grid | Center | None = None
    key = "grid" if encoding_of(config, seat, learner) == "grid" else "center"
    if key == "grid" and seller.grid is None:
        found = grid_of(config.market, seat)
    elif key == "center" and seller.center is None and config.training.start == "rules":
        found = center_of(config.market, seat)
    if found is None:
        return market
    sellers = list(market.sellers)
    sellers[seat] = seller.model_copy(update={key: found})
    return market.model_copy(update={"sellers": tuple(sellers)})


def grid_of(spec: MarketSpec, seat: int) -> Grid:
    """17 prices x 17 order-up-to levels, made to order 25 prices, around the seat's Bertrand-Nash price and newsvendor level.

    Prices from .82 to 1.3 times the Nash price, no further down than half of its markup and no further up than .9 of it,
    but up to 1.1 times the way to the joint-profit price (and no more than three times as far). Levels from .3 to 2.2
    times the newsvendor level. The distance of both from their middle grows as the power 1.5 (steps of 1, 1.83, 2.37 ...
    near it). Where an order costs, the levels' middle is .6 of an economic order ``sqrt(2 d K / h)`` above the newsvendor
    level, and 0 is one of them: no order. Whole units, at least one apart, when customers are sampled. All inside the seat's ranges; where theory has no answer, evenly over them.
    Cost 1, Nash price 2 and newsvendor level 27: prices 1.64, 1.71, ... 1.98, 2, 2.03, ... 2.6, levels 8, 12, ... 26, 27, 28, ... 59.
    """
    prices = _values(_prices(spec, seat), spec.sellers[seat].prices)
    if not spec.stocked:
        return Grid(prices=tuple(prices))
    seller, whole = spec.sellers[seat], spec.customers.mode == "sampled"
    levels = _values(_levels(spec, seat), seller.order_up_to, whole)
    if seller.order_cost > 0:
        levels = sorted({0.0, *levels})
    return Grid(prices=tuple(prices), levels=tuple(levels))


def center_of(spec: MarketSpec, seat: int) -> Center | None:
    """The seat's Bertrand-Nash price and the level in the middle of :func:`grid_of`'s.

    The middle of the levels' range where theory has no level; None where it has no price.
    """
    price = nash_price(spec, seat)
    if price is None:
        return None
    seller, level = spec.sellers[seat], middle_level(spec, seat) if spec.stocked else 0.0
    if level is None:
        level = sum(seller.order_up_to) / 2
    return Center(price=_readable(price, seller.prices), level=_readable(level, seller.order_up_to))


def _readable(value: float, bounds: tuple[float, float]) -> float:
    """Five digits, inside ``bounds``."""
    return min(max(float(f"{value:.5g}"), bounds[0]), bounds[1])


def _prices(spec: MarketSpec, seat: int) -> Floats:
    (low, high), nash = spec.sellers[seat].prices, nash_price(spec, seat)
    count = PRICES if spec.stocked else PRICES_ALONE
    if nash is None:
        return np.linspace(low, high, count)
    markup = nash - spec.sellers[seat].unit_cost
    down, up = DOWN * nash, UP * nash
    if markup > 0:
        down, up = min(down, OF_MARKUP[0] * markup), min(up, OF_MARKUP[1] * markup)
    joint = nash_price(spec, seat, joint=True)
    up = min(max(up, BEYOND * ((math.inf if joint is None else joint) - nash)), AT_MOST * up)
    return _around(nash, (nash - down, nash + up), (low, high), count)


def _levels(spec: MarketSpec, seat: int) -> Floats:
    seller = spec.sellers[seat]
    count, (low, high) = LEVELS - (seller.order_cost > 0), seller.order_up_to
    middle = middle_level(spec, seat)
    if middle is None or not (LOWEST * middle < high and HIGHEST * middle > low):
        return np.linspace(low, high, count)
    return _around(middle, (LOWEST * middle, HIGHEST * middle), (low, high), count)


def _around(middle: float, ends: tuple[float, float], bounds: tuple[float, float], count: int) -> Floats:
    """Values between ``ends``, or those of ``bounds`` that lie within; the nearer to the middle, the denser."""
    below, above = middle - ends[0], ends[1] - middle

    def steps(value: float) -> float:
        """Of the way from the middle to an end, in -1 to 1."""
        share = 0.0 if value == middle else (value - middle) / (above if value > middle else below)
        return math.copysign(abs(share) ** (1 / GROWTH), share)

    at = np.linspace(steps(max(bounds[0], ends[0])), steps(min(bounds[1], ends[1])), count)
    return np.asarray(middle + np.where(at > 0, above, -below) * np.abs(at) ** GROWTH)


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
