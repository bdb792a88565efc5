"""The market that newer sales are of: the old one with the new estimate's demand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from market.calibration.market_file import season_cycle
from market.calibration.moment import NEVER, MarketAt, market_at
from market.calibration.newer.refit import Refit, season_in
from market.calibration.uncertainty import MarketDraw
from market.spec.models import MarketSpec, day_of


def refitted(spec: MarketSpec, one: Refit) -> MarketSpec:
    """The market with the new estimate's demand; ranges, costs that the file does not tell, and what sellers see stay.

    A history that it replayed was that of the old sales, and goes. What the market lacks (a season, promotions) is not added: a seller that learned without could not see it.
    """
    found, at, newer = one.found, market_at(one.found), one.newer
    fitted, shocks = found.fit.fitted, found.fit.shocks
    cycle = season_cycle(found)
    season, taken = list(spec.season), 0.0
    if len(cycle) == len(spec.season) > 0:
        season = [cycle[(k - newer.phase - one.first) % len(cycle)] for k in range(len(cycle))]
    else:
        taken = season_in(spec, newer, one.first, newer.held, ())
    seats = [found.sellers.index(name) for name in spec.names]
    data: dict[str, Any] = spec.model_copy(update={"tape": None}).dump() | {
        "price_sensitivity": fitted.alpha.value, "nest": fitted.nest, "outside": 0.0, "season": season,
        "demand_shock": {"persistence": shocks.persistence, "common": shocks.common},
        "draws": [_draw(draw, seats) for draw in one.drawn.markets],
        "estimated_from": _origin(spec, one),
    }  # fmt: skip
    data["customers"] = data["customers"] | {"dispersion": shocks.dispersion} | _rate(spec, one, at)
    if not one.drawn.markets:
        data["uncertainty"] = "off"
    if fitted.weight is not None and spec.reference_price is not None:
        data["reference_price"] = data["reference_price"] | {"weight": fitted.weight.value}
    if spec.events is not None and found.fit.promotions is not None:
        event = found.fit.promotions
        data["events"] = data["events"] | {"effect": event.effect, "mean_length": event.mean_length}
    if spec.locations:
        data["locations"] = [_location(place, at, seats, taken) for place in data["locations"]]
    data["sellers"] = [_seller(own, one, at, seat, taken) for own, seat in zip(data["sellers"], seats, strict=True)]
    return MarketSpec.parse(data)


def _draw(draw: MarketDraw, seats: Sequence[int]) -> dict[str, Any]:
    quality = [draw.quality[k] for k in seats]
    return {"price_sensitivity": draw.alpha, "nest": draw.rho, "quality": quality, "shock": draw.shock}


def _origin(spec: MarketSpec, one: Refit) -> dict[str, Any]:
    """Its first period is where the calendar begins; the periods held out are new to it."""
    sales, before = one.newer.sales, spec.estimated_from
    if before is not None and sales.dates is None and day_of(before.last) is not None:
        return before.model_dump()  # numbers of decisions say nothing of days
    first = before.first if before is not None and one.newer.phase else sales.labels[0]
    known = {"file": sales.path.name, "sha256": sales.sha256, "first": first, "last": sales.labels[one.newer.held - 1]}
    return known | {"instruments": list(before.instruments if before is not None else ())}


def _rate(spec: MarketSpec, one: Refit, at: MarketAt) -> dict[str, float]:
    """Mean customers, where their number was estimated anew."""
    if not one.resized:
        return {}
    known = {place.name: place.size for place in spec.locations}
    return {
        "rate": float(np.mean([size / known.get(name, 1.0) for name, size in at.size.items()])) / spec.customers.basket
    }


def _location(place: dict[str, Any], at: MarketAt, seats: Sequence[int], taken: float) -> dict[str, Any]:
    if place["name"] not in at.quality:
        return place
    return place | {"quality": [max(at.quality[place["name"]][k] - taken, NEVER) for k in seats]}


def _seller(own: dict[str, Any], one: Refit, at: MarketAt, seat: int, taken: float) -> dict[str, Any]:
    rows, name = one.newer.sales.rows, own["name"]
    prices = rows.loc[rows["seller"] == name, "price"]
    found = own | {"quality": at.mean_quality(seat) - taken, "xi": one.found.fit.shocks.own[name]}
    found["prices_on_file"] = [float(prices.min()), float(prices.max())]
    if one.found.sales.has("cost"):
        found["unit_cost"] = at.cost[name]
    promoted = one.found.fit.promotions
    if promoted is not None and "event_frequency" in own:
        found["event_frequency"] = promoted.frequency[name]
    return found
