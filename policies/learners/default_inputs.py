"""What a learner's networks make of the numbers that its seat sees: brought to one scale by theory.

The market shows units as shares of the top of a seller's ``order_up_to``, and prices from -1 to 1 over its range. Ranges are
often wide: of a stock of 100 under a top of 5,000, or a rival who goes 3 % below its usual price in a range of one to
three times the cost, a network would see next to nothing. Dimensions: N sellers, F features.
"""

from __future__ import annotations

from functools import cache, partial

import numpy as np

from market.kernel import observe
from market.simulation.observation import Feature, feature_list, stock_scale
from market.spec.models import MarketSpec
from market.state import Floats
from policies.learners.default_decisions import OF_MARKUP, UP, middle_level, nash_price

UNITS = (observe.ON_HAND, observe.PIPELINE, observe.SOLD, observe.LOST, observe.FORECAST)
PRICES = (observe.PRICE, observe.REFERENCE, observe.LOG_REFERENCE)
OF_LEVEL, OF_WAY = 1.1, 0.5
ONE = 0.0, 1.0  # as the market shows it


def usual_observation(spec: MarketSpec, seat: int) -> tuple[Floats, Floats] | None:
    """The middle of each number that a seat sees and its usual distance from there, (F,) each; None where all stay.

    Units: 0, and 1.1 times the newsvendor level. Prices: the Nash price, and half of how far :func:`grid_of` goes above it
    (.15 of the price, at most .45 of the markup). Never farther than the ranges go, so that ordinary ones stay as they are.
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
    away = UP * nash if markup <= 0 else min(UP * nash, OF_MARKUP[1] * markup)
    return (nash - (low + high) / 2) / half, min(1.0, OF_WAY * away / half)
