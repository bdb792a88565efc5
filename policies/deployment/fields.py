"""What a state is told in: every field by name, with its unit, what is taken where it is missing, and an example.

A field is what the market's observation of the seat needs, in natural units. N sellers, L longest lead time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from market.simulation.observation import calendar_features
from market.spec.models import MarketSpec
from market.state import Floats
from policies.explain.states import RolloutStates

ROUNDED = 1e-5  # of a value: what writing it in six digits may move
NEEDED = math.nan  # there is nothing that could be taken
LABEL, COST, PERIOD, DATE, LOCATION = "id", "unit_cost", "period", "date", "location"


@dataclass(frozen=True)
class Field:
    """One number of a state.

    ``place``: where it stands in the arrays of states: the array's name, and the seat, slot or periods ahead behind it.
    ``missing``: what is taken where it is not given, NaN where nothing can be; ``flag``: true or false; ``reach``: what
    is no great difference in it, at least; ``log``: the market keeps its logarithm.
    """

    name: str
    unit: str
    place: tuple[str, int, int]
    missing: float = NEEDED
    flag: bool = False
    least: float = 0.0
    reach: float = 1.0
    log: bool = False

    def values(self, met: RolloutStates) -> Floats:
        """This field in states (D,)."""
        array, seat, slot = self.place
        found: NDArray[Any] = getattr(met, array)
        if array == "pipeline":
            found = found[:, seat, slot]
        elif array == "event":
            found = found[:, slot, seat]
        elif found.ndim > 1:
            found = found[:, seat]
        if array == "reference" and self.log:
            found = np.exp(found)
        return np.asarray(found > 0 if self.flag else found, np.float64)

    def said(self, value: float) -> str:
        """A value as people write it."""
        return ("false", "true")[int(value > 0)] if self.flag else f"{value:.6g}"

    def put(self, states: RolloutStates, values: Floats) -> None:
        """Write values (D,) where they belong."""
        array, seat, slot = self.place
        target = getattr(states, array)
        values = np.log(values) if array == "reference" and self.log else values
        if array == "pipeline":
            target[:, seat, slot] = values
        elif array == "event":
            target[:, slot, seat] = values
        elif target.ndim > 1:
            target[:, seat] = values
        else:
            target[:] = values


def fields_of(spec: MarketSpec, seat: int) -> list[Field]:
    """Every field of a seat's state, in the order in which it is asked."""
    return [*_when(spec), *_own(spec, seat), *_rivals(spec, seat), *_events(spec, seat)]


def _when(spec: MarketSpec) -> Iterator[Field]:
    if calendar_features(spec).shape[1]:
        yield Field(PERIOD, f"{spec.period}s since the calendar's first", ("period", 0, 0))


def cycle_of(spec: MarketSpec) -> int | None:
    """Periods after which the calendar is the same again; None where it never is, or not within an episode."""
    yearly = spec.customers.yearly
    if spec.customers.trend or (yearly and yearly.length != int(yearly.length)):
        return None
    lengths = [len(spec.customers.weekly), len(spec.season), int(yearly.length) if yearly else 0]
    cycle = math.lcm(*(length for length in lengths if length))
    return cycle if cycle <= spec.horizon else None


def _own(spec: MarketSpec, seat: int) -> Iterator[Field]:
    if spec.stocked:
        yield Field("on_hand", "units, what has arrived today among them", ("on_hand", seat, 0))
        for slot in range(spec.sellers[seat].lead_time - 1):
            yield Field(f"arriving_in_{slot + 1}", "units on their way", ("pipeline", seat, slot), 0.0)
    yield Field("price", f"money per unit, last {spec.period}", ("price", seat, 0), reach=_reach(spec, seat))
    yield Field("sold", f"units, last {spec.period}", ("sold", seat, 0))
    if spec.stocked:
        yield Field("lost", f"units wanted and not there, last {spec.period}", ("lost", seat, 0), 0.0)
    yield from _reference(spec, seat, "reference")
    if spec.forecasts:
        yield Field("demand", f"units a {spec.period}, smoothed, at a calendar factor of 1", ("smoothed", seat, 0))


def _rivals(spec: MarketSpec, seat: int) -> Iterator[Field]:
    count = len(spec.sellers)
    for rival in ((seat + offset) % count for offset in range(1, count)):
        of = f"rivals.{spec.names[rival]}"
        if spec.visibility.rivals_prices == "last":
            unit = f"money per unit, last {spec.period}"
            yield Field(f"{of}.price", unit, ("price", rival, 0), reach=_reach(spec, rival))
            yield from _reference(spec, rival, f"{of}.reference")
        if spec.stocked and spec.visibility.rivals_stock == "flag":
            yield Field(f"{of}.in_stock", "true or false", ("on_hand", rival, 0), 1.0, flag=True)
        if spec.stocked and spec.visibility.rivals_stock == "level":
            yield Field(f"{of}.on_hand", "units", ("on_hand", rival, 0))


def _reference(spec: MarketSpec, seat: int, name: str) -> Iterator[Field]:
    if spec.prices_linger and spec.reference_price is not None and spec.reference_price.memory > 0:
        log = spec.price_form == "log"
        unit, reach = "money per unit, smoothed past price", _reach(spec, seat)
        yield Field(name, unit, ("reference", seat, 0), reach=reach, log=log)


def _reach(spec: MarketSpec, seat: int) -> float:
    """Half of a seller's price range."""
    low, high = spec.sellers[seat].prices
    return (high - low) / 2


def _events(spec: MarketSpec, seat: int) -> Iterator[Field]:
    count = len(spec.sellers)
    for other in ((seat + offset) % count for offset in range(count) if spec.events):
        for ahead in range(spec.announced + 1):
            name = f"events.{spec.names[other]}.in_{ahead}"
            yield Field(name, "true or false: a promotion", ("event", other, ahead), 0.0, flag=True)


@dataclass(frozen=True)
class Met:
    """What the seller met in greedy play of its run: by field the least, the middle and the most."""

    ranges: dict[str, tuple[float, float, float]]

    @classmethod
    def of(cls, fields: list[Field], met: RolloutStates) -> Met:
        """By every field."""
        found = {field.name: field.values(met) for field in fields}
        return cls({name: (float(v.min()), float(np.median(v)), float(v.max())) for name, v in found.items()})

    def example(self, field: Field) -> float:
        """A value that is usual: the middle one."""
        return self.ranges[field.name][1]

    def beyond(self, field: Field, values: Floats) -> Floats:
        """How far values (D,) lie outside what was met, as a share of that range's width; 0 inside, and of what is missing.

        The width is that of the field's ``reach`` at least: a rival that posted one price throughout is none that may not
        post another. A flag is never far from the other one.
        """
        low, _, high = self.ranges[field.name]
        width = np.inf if field.flag else max(high - low, field.reach, 1e-9)
        off = np.nan_to_num(np.maximum(np.maximum(low - values, values - high), 0.0))
        off = np.where(off <= ROUNDED * max(abs(low), abs(high)), 0.0, off)
        return np.where(off > 0, np.maximum(off / width, 1e-9), 0.0)
