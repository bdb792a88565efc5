"""Where theory expects a seat to play: the middle of its decisions, and the scale of what it sees.

The market shows units as shares of the top of a seller's ``order_up_to``, and prices from -1 to 1 over its range. Ranges are
often wide: of a stock of 100 under a top of 5,000, or a rival who goes 3 % below its usual price in a range of one to
three times the cost, a network would see next to nothing. Dimensions: N sellers, F features.
"""

from __future__ import annotations

from functools import cache, partial

import numpy as np

from market.demand.equilibrium import prices_in_range
from market.errors import UserError
from market.kernel import observe
from market.simulation.observation import Feature, feature_list, stock_scale
from market.spec.models import MarketSpec
from market.state import Floats
from market.theory.newsvendor import newsvendor_level
from market.theory.reorder import economic_order
from policies.sellers.rules.base import Seat

ORDER_SHARE = 0.6  # of the economic order on top of the newsvendor level
UNITS = (observe.ON_HAND, observe.PIPELINE, observe.SOLD, observe.LOST, observe.FORECAST)
PRICES = (observe.PRICE, observe.REFERENCE, observe.LOG_REFERENCE)
OF_LEVEL, OF_PRICE, OF_MARKUP = 1.1, 0.3, 0.9  # as far as a grid by theory goes above the Nash price, of which half
ONE = 0.0, 1.0  # as the market shows it


def nash_price(spec: MarketSpec, seat: int, joint: bool = False) -> float | None:
    """The seat's Bertrand-Nash or joint-profit price; None where there is none that is finite."""
    try:
        return float(prices_in_range(spec, joint)[seat])
    except UserError:
        return None


def middle_level(spec: MarketSpec, seat: int) -> float | None:
    """The newsvendor level, units, where an order costs and .6 of an economic order on top; None where theory has none, or it is 0."""
    place, seller = Seat(spec, seat), spec.sellers[seat]
    try:
        price = float(place.nash[seat])
        level = newsvendor_level(spec, seat, place.posted(price))
    except UserError:
        return None
    if level > 0 and seller.order_cost > 0:
        level += ORDER_SHARE * economic_order(place.mean_demand(price), seller.order_cost, seller.holding_cost)
    return level if level > 0 else None


def usual_observation(spec: MarketSpec, seat: int) -> tuple[Floats, Floats] | None:
    """The middle of each number that a seat sees and its usual distance from there, (F,) each; None where all stay.

    Units: 0, and 1.1 times the newsvendor level. Prices: the Nash price, and .15 of it, at most .45
    of its markup. Never farther than the ranges go: narrow ones stay as they are.
    Of a top of 5,000 and a level of 500: a distance of .11, 550 units.
    """
    count, units, prices = len(spec.sellers), cache(partial(_units, spec)), cache(partial(_prices, spec))

    def of(feature: Feature) -> tuple[float, float]:
        whose = (seat + feature.offset) % count
        if feature.source in UNITS:
            return units(whose)
        return prices(whose) if feature.source in PRICES else ONE

    found = np.array([of(feature) for feature in feature_list(spec)])
    return None if (found == ONE).all() else (found[:, 0], found[:, 1])


def _units(spec: MarketSpec, seat: int) -> tuple[float, float]:
    middle = middle_level(spec, seat) if spec.stocked else None
    return ONE if middle is None else (0.0, min(1.0, OF_LEVEL * middle / stock_scale(spec, seat)))


def _prices(spec: MarketSpec, seat: int) -> tuple[float, float]:
    (low, high), nash = spec.sellers[seat].prices, nash_price(spec, seat)
    if nash is None or high <= low:
        return ONE
    markup, half = nash - spec.sellers[seat].unit_cost, (high - low) / 2
    away = OF_PRICE * nash if markup <= 0 else min(OF_PRICE * nash, OF_MARKUP * markup)
    return (nash - (low + high) / 2) / half, min(1.0, 0.5 * away / half)
