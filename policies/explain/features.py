"""What a seller sees of a state, in natural units and words: what a person would decide on.

Only what the market's visibility shows the seat is used. Dimensions: D states, N sellers, K features.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from market.demand.script import location_of_place
from market.simulation.observation import forecast_windows
from market.spec.models import MarketSpec
from market.state import Floats
from policies.explain.states import RolloutStates

MANY_RIVALS = 3  # up to so many, each rival's own price is a feature beside the lowest


@dataclass(frozen=True)
class StateFeature:
    """One thing that a decision may depend on.

    ``values`` (D,). ``whole``: counts and units, so that thresholds are whole numbers. ``some`` and ``none``: the words
    for at least one and for none of what is counted, where there are better ones than "NAME >= 1".
    """

    name: str
    values: Floats
    whole: bool = False
    some: str = ""
    none: str = ""

    def words(self, low: float, high: float) -> str:
        """The condition ``low < value <= high`` in words; either bound may be infinite, not both.

        A whole number above 13.5 and up to 20.5 is "NAME from 14 to 20", a price above 1.5 and up to 2 is
        "1.500 ≤ NAME < 2.000" (a tree's thresholds lie between the values that it was grown on).
        """
        if self.some and low < 1 and high < 1:
            return self.none
        if self.some and 0 <= low < 1 and high == math.inf:
            return self.some
        least, below = self._edge(low), self._edge(high)
        if high == math.inf:
            return f"{self.name} ≥ {least}"
        if low == -math.inf:
            return f"{self.name} < {below}"
        if not self.whole:
            return f"{least} ≤ {self.name} < {below}"
        first, last = math.floor(low) + 1, math.floor(high)
        return f"{self.name} = {first:,}" if first == last else f"{self.name} from {first:,} to {last:,}"

    def _edge(self, threshold: float) -> str:
        if not math.isfinite(threshold):
            return ""
        return f"{math.floor(threshold) + 1:,}" if self.whole else plain(threshold)


def plain(value: float) -> str:
    """A number with four significant digits. 1.6234: 1.623; 0.012345: 0.01234 or 0.01235; 1234.5: 1,234."""
    if value == 0:
        return "0"
    decimals = 3 - math.floor(math.log10(abs(value)))
    return f"{value:,.{min(max(decimals, 0), 9)}f}"


def natural_features(spec: MarketSpec, met: RolloutStates, seat: int) -> list[StateFeature]:
    """The features of a seat in states D; those that never change are left out."""
    found = [
        *_own(spec, met, seat),
        *_rivals(spec, met, seat),
        *_events(spec, met, seat),
        *_calendar(spec, met),
        *_place(spec, met),
    ]
    return [feature for feature in found if np.ptp(feature.values) > 0]


def _own(spec: MarketSpec, met: RolloutStates, seat: int) -> Iterator[StateFeature]:
    whole = spec.customers.mode == "sampled"
    if spec.stocked:
        yield StateFeature("inventory position", met.position(seat), whole)
        if spec.sellers[seat].lead_time > 1:
            yield StateFeature("stock on hand", met.on_hand[:, seat], whole)
            for slot in range(spec.sellers[seat].lead_time - 1):
                yield StateFeature(f"units arriving in {slot + 1}", met.pipeline[:, seat, slot], whole)
        yield StateFeature("units lost last period", met.lost[:, seat], whole)
    yield StateFeature("own last price", met.price[:, seat])
    if spec.prices_linger:
        yield StateFeature("own reference price", _in_money(spec, met.reference[:, seat]))
    yield StateFeature("units sold last period", met.sold[:, seat], whole)
    if spec.forecasts:
        ahead = forecast_windows(spec)[met.period, seat]
        yield StateFeature("forecast of demand over lead time + 1", met.smoothed[:, seat] * ahead)


def _rivals(spec: MarketSpec, met: RolloutStates, seat: int) -> Iterator[StateFeature]:
    rivals = [k for k in range(len(spec.sellers)) if k != seat]
    if not rivals:
        return
    if spec.visibility.rivals_prices == "last":
        yield StateFeature("lowest rival price", met.price[:, rivals].min(1))
        if 1 < len(rivals) <= MANY_RIVALS:
            for k in rivals:
                yield StateFeature(f"last price of {spec.names[k]}", met.price[:, k])
    if spec.stocked and spec.visibility.rivals_stock != "hidden":
        stocked = (met.on_hand[:, rivals] > 0).sum(1).astype(np.float64)
        one, several = ("the rival has stock", "the rival is out of stock"), ("a rival has stock", "no rival has stock")
        yield StateFeature("rivals in stock", stocked, True, *(one if len(rivals) == 1 else several))
    if spec.stocked and spec.visibility.rivals_stock == "level":
        yield StateFeature("stock of all rivals", met.on_hand[:, rivals].sum(1), spec.customers.mode == "sampled")


def _in_money(spec: MarketSpec, reference: Floats) -> Floats:
    return np.exp(reference) if spec.price_form == "log" else reference


def _events(spec: MarketSpec, met: RolloutStates, seat: int) -> Iterator[StateFeature]:
    if spec.events is None:
        return
    rivals = [k for k in range(len(spec.sellers)) if k != seat]
    for ahead in range(spec.announced + 1):
        when = "now" if ahead == 0 else f"next {spec.period}" if ahead == 1 else f"in {ahead} {spec.period}s"
        words = f"own promotion {when}", f"no own promotion {when}"
        yield StateFeature(words[0], met.event[:, ahead, seat].astype(np.float64), True, *words)
        if rivals:
            count = met.event[:, ahead, rivals].sum(1).astype(np.float64)
            words = f"a rival's promotion {when}", f"no rival's promotion {when}"
            yield StateFeature(f"rivals with a promotion {when}", count, True, *words)


def _calendar(spec: MarketSpec, met: RolloutStates) -> Iterator[StateFeature]:
    customers, period = spec.customers, spec.period

    def phase(what: str, length: int) -> StateFeature:
        return StateFeature(f"{period} of the {what} of {length} (from 1)", np.asarray(met.period % length + 1.0), True)

    if customers.weekly:
        yield phase("cycle", len(customers.weekly))
    if customers.yearly:
        of_the_year = np.asarray(met.period % customers.yearly.length, np.float64)
        yield StateFeature(f"{period} of the year (from 0)", of_the_year)
    if spec.season:
        yield phase("season", len(spec.season))
    if customers.trend:
        yield StateFeature(f"{period}s since the start", met.period.astype(np.float64), True)


def _place(spec: MarketSpec, met: RolloutStates) -> Iterator[StateFeature]:
    if len(spec.locations) > 1:
        yield StateFeature("size of the location", np.array(spec.sizes)[location_of_place(spec)[met.place]])
