"""What a seller may see: names, units, bounds and scaling of every feature, in one place.

A seat sees its rivals in seat order from its own seat onward, so one policy can play any seat. Values are of
order one and always inside their bounds. Dimensions: T periods, N sellers, F features.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from market.demand.logit import Logit, shares
from market.demand.script import known_calendar, largest_size, location_of_place, observed_sizes, place_customers
from market.kernel import observe
from market.spec.models import MarketSpec
from market.state import Features, Floats

STOCK_BOUND = 4.0
NODES = 128  # of the average over xi that a forecast begins at: off by 1e-5


class Feature(NamedTuple):
    """One number a seat sees: value = clip((raw - shift) * scale, low, high)."""

    name: str
    unit: str
    source: int
    offset: int
    slot: int
    low: float
    high: float


def feature_list(spec: MarketSpec) -> list[Feature]:
    """Every feature of a seat's observation, in order. Slot k of the pipeline arrives in k + 1 periods.

    Stock, sales and lost sales are shown per unit of the order-up-to range's top, prices from -1 to 1 over the
    range of the seller observed, and so are reference prices (where ``memory`` is 0 they are the last prices). A
    forecast is of the units wanted in lead time + 1 periods (:func:`forecast_windows`).
    """
    rivals = [feature for offset in range(1, len(spec.sellers)) for feature in _rival(spec, offset)]
    return [*_own(spec), *rivals, *_around(spec)]


def _own(spec: MarketSpec) -> Iterator[Feature]:
    if spec.stocked:
        yield Feature("own_on_hand", "of its top level", observe.ON_HAND, 0, 0, 0, STOCK_BOUND)
    yield Feature("own_price", "of its price range", observe.PRICE, 0, 0, -1, 1)
    yield Feature("own_sold", "of its top level, last period", observe.SOLD, 0, 0, 0, STOCK_BOUND)
    if spec.stocked:
        yield Feature("own_lost", "of its top level, last period", observe.LOST, 0, 0, 0, STOCK_BOUND)
        for slot in range(spec.max_lead_time - 1):
            yield Feature(f"own_arriving_in_{slot + 1}", "of its top level", observe.PIPELINE, 0, slot, 0, STOCK_BOUND)
    yield from _reference(spec, 0)
    if spec.forecasts:  # bounded as the sales of as many periods are
        high, first = STOCK_BOUND * (spec.max_lead_time + 1), len(_calendar_columns(spec))
        yield Feature(
            "own_demand_forecast", "of its top level, over lead time + 1", observe.FORECAST, 0, first, 0, high
        )


def _rival(spec: MarketSpec, offset: int) -> Iterator[Feature]:
    name = _whose(offset)
    if spec.visibility.rivals_prices == "last":
        yield Feature(f"{name}_price", "of its price range", observe.PRICE, offset, 0, -1, 1)
        yield from _reference(spec, offset)
    if spec.stocked and spec.visibility.rivals_stock == "flag":
        yield Feature(f"{name}_in_stock", "0 or 1", observe.IN_STOCK, offset, 0, 0, 1)
    if spec.stocked and spec.visibility.rivals_stock == "level":
        yield Feature(f"{name}_on_hand", "of its top level", observe.ON_HAND, offset, 0, 0, STOCK_BOUND)


def _whose(offset: int) -> str:
    return f"rival_{offset}" if offset else "own"


def _reference(spec: MarketSpec, offset: int) -> Iterator[Feature]:
    if spec.prices_linger and spec.reference_price is not None and spec.reference_price.memory > 0:
        source = observe.LOG_REFERENCE if spec.price_form == "log" else observe.REFERENCE
        yield Feature(f"{_whose(offset)}_reference", "of its price range", source, offset, 0, -1, 1)


def _around(spec: MarketSpec) -> Iterator[Feature]:
    """What is no seller's: the calendar, the place, and everybody's events."""
    for k, name in enumerate(_calendar_columns(spec)):
        yield Feature(name, "phase", observe.CALENDAR, 0, k, -1, 1)
    if len(spec.locations) > 1:
        yield Feature("location_size", "log, to the geometric mean, of the largest log", observe.SIZE, 0, 0, -1, 1)
    for offset in range(len(spec.sellers) if spec.events else 0):
        for ahead in range(spec.announced + 1):
            yield Feature(f"event_{_whose(offset)}_in_{ahead}", "0 or 1", observe.EVENT, offset, ahead, 0, 1)


def _calendar_columns(spec: MarketSpec) -> dict[str, Floats]:
    t = np.arange(spec.horizon + 1, dtype=np.float64)
    columns: dict[str, Floats] = {}
    yearly = spec.customers.yearly
    cycles = {"week": len(spec.customers.weekly), "year": yearly.length if yearly else 0, "season": len(spec.season)}
    for name, length in cycles.items():
        if length:
            angle = 2 * np.pi * t / length
            columns |= {f"{name}_sin": np.sin(angle), f"{name}_cos": np.cos(angle)}
    if spec.customers.trend:
        columns["elapsed"] = t / spec.horizon
    return columns


def calendar_features(spec: MarketSpec) -> Floats:
    """The calendar as observed: (T + 1, columns), phases of the week, year and season and the share of T elapsed.

    Where sellers observe forecasts, :func:`forecast_windows` follow, which features are made of.
    """
    columns = list(_calendar_columns(spec).values())
    columns += list(forecast_windows(spec).T) if spec.forecasts else []
    return np.stack(columns, axis=1) if columns else np.zeros((spec.horizon + 1, 0))


def forecast_windows(spec: MarketSpec) -> Floats:
    """Return the sum of the calendar's factors over the periods t .. t + lead time (T + 1, N), on beyond the horizon.

    A forecast of demand is this times the seller's smoothed demand a period at a factor of 1: simple exponential
    smoothing (Brown 1959) of sold + lost, each period's divided by its factor, begun at :func:`usual_demand`.
    Weekly factors 1, 3, lead time 2: 1 + 3 + 1 = 5, then 7.
    """
    lead_times = [seller.lead_time for seller in spec.sellers]
    factor = known_calendar(spec, np.arange(spec.horizon + 1 + max(lead_times)))
    ahead = np.lib.stride_tricks.sliding_window_view(factor, max(lead_times) + 1)
    return np.stack([ahead[:, : lead_time + 1].sum(axis=1) for lead_time in lead_times], axis=1)


def usual_demand(spec: MarketSpec) -> Floats:
    """Return what theory expects each seller to sell a period at a factor of 1 (P, N), units, all at their first prices.

    Of a history it takes the market's size alone, not what was sold. 20 customers, a basket of 2, two sellers of
    utility 0 beside an outside option of 0: 40 / 3 each; in a location of size 3 it is 40.
    """
    first = [seller.first_price for seller in spec.sellers]
    seasonless = {"season": ()} if spec.tape is not None else {}
    kinds = [{"locations": (location,)} for location in spec.locations] or [{}]
    alone = [spec.model_copy(update={"tape": None, **seasonless, **kind}) for kind in kinds]
    share = np.stack([shares(Logit.of(one, events=True, limit=NODES), first) for one in alone])
    units = place_customers(spec) * spec.customers.basket
    return np.asarray(units[:, None] * share[location_of_place(spec)])


def stock_scale(spec: MarketSpec, seat: int) -> float:
    """Units that stock features of a seat are divided by: the top of its order-up-to range, or a mean demand where most come."""
    share = spec.customers.rate * largest_size(spec) * spec.customers.basket / (len(spec.sellers) + 1)
    return spec.sellers[seat].order_up_to[1] or max(share, 1.0)


def compile_features(spec: MarketSpec) -> Features:
    """The feature list as the arrays that the kernel reads."""
    features = feature_list(spec)
    shift = np.zeros((len(features), len(spec.sellers)))
    scale = np.ones_like(shift)
    for f, feature in enumerate(features):
        for i, seller in enumerate(spec.sellers):
            if feature.source in (observe.PRICE, observe.REFERENCE, observe.LOG_REFERENCE):
                low, high = seller.prices
                shift[f, i] = (low + high) / 2
                scale[f, i] = 2 / (high - low) if high > low else 1.0
            elif feature.source in (observe.ON_HAND, observe.PIPELINE, observe.SOLD, observe.LOST, observe.FORECAST):
                scale[f, i] = 1 / stock_scale(spec, i)
    return Features(
        source=np.array([f.source for f in features], np.int64),
        offset=np.array([f.offset for f in features], np.int64),
        slot=np.array([f.slot for f in features], np.int64),
        shift=shift,
        scale=scale,
        low=np.array([f.low for f in features], np.float64),
        high=np.array([f.high for f in features], np.float64),
        size=observed_sizes(spec),
    )
