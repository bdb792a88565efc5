"""Named changes of a market for stress tests: each is the market with one thing changed and nothing else.

Reward scales are pinned to the unchanged market's, so that no change is refused for want of a Nash price.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from market.demand.equilibrium import reward_scales
from market.errors import UserError
from market.spec.models import MarketSpec
from market.state import Floats
from policies.sellers.protocol import Memory, View

UNCHANGED = "unchanged market"
SHOCK = 3  # periods
NOBODY_BUYS = -100.0  # the lowest utility that a spec takes
REPLAYED = "market.tape recovers its shocks from the sales of history, so that a change of demand would be undone"


@dataclass(frozen=True)
class Scenario:
    """One row of a stress test: the market, or why there is none; ``absent`` is the seat of a rival that has left."""

    name: str
    market: MarketSpec | None
    absent: int | None = None
    problem: str = ""


class Absent:
    """A seller that has left: posts its top price and orders nothing. Satisfies :class:`policies.sellers.protocol.Seller`."""

    def __init__(self, spec: MarketSpec, seat: int) -> None:
        self.price = spec.sellers[seat].prices[1]

    def start(self, markets: int) -> Memory:
        """Nothing to remember."""
        return {}

    def act(self, view: View, memory: Memory) -> tuple[Floats, Floats, Memory]:
        """The top price (M,) and no order (M,)."""
        return np.full(len(view.price), self.price), np.zeros(len(view.price)), memory


def pinned(spec: MarketSpec) -> MarketSpec:
    """The same market with every reward scale given as the number that it resolves to, money a period."""
    sellers = [
        seller.model_copy(update={"reward_scale": float(scale)})
        for seller, scale in zip(spec.sellers, reward_scales(spec), strict=True)
    ]
    return spec.model_copy(update={"sellers": tuple(sellers)})


def scenarios(spec: MarketSpec, seat: int, warm_up: int = 0) -> list[Scenario]:
    """The unchanged market, then every scenario that means something in it.

    Args:
        spec: the unchanged market.
        seat: the seat under test; each of the others leaves in one scenario.
        warm_up: periods that are not counted; a demand shock comes in the middle of those that are.

    Returns:
        Demand and price sensitivity up and down, lead time + 1 (where stock is held), unit cost + 10 % (all sellers),
        each rival leaving, and a demand shock of three periods up and down.
    """
    still = pinned(spec)
    found = [Scenario(UNCHANGED, still)]
    found += [_scenario(name, data) for name, data in _changed(still, warm_up)]
    found += [_scenario(f"{name} leaves", _without(still, k), k) for k, name in enumerate(spec.names) if k != seat]
    return [_unless_replayed(scenario, spec) for scenario in found]


def _unless_replayed(scenario: Scenario, spec: MarketSpec) -> Scenario:
    """A history is recovered anew in every market: what changes demand would still give its sales at its prices."""
    undone = spec.tape is not None and (scenario.absent is not None or scenario.name.startswith(("demand ", "price ")))
    return replace(scenario, market=None, problem=REPLAYED) if undone else scenario


def _scenario(name: str, data: dict[str, Any], absent: int | None = None) -> Scenario:
    try:
        return Scenario(name, MarketSpec.parse(data), absent)
    except UserError as problem:
        return Scenario(name, None, absent, str(problem))


def _changed(spec: MarketSpec, warm_up: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names, and the market's plain data with one thing changed."""
    data = spec.dump()
    customers, sellers = data["customers"], data["sellers"]
    for percent in (30, -30):
        more = customers | {"rate": customers["rate"] * (1 + percent / 100)}
        yield f"demand {percent:+d} %", data | {"customers": more}
    for percent in (25, -25):
        yield f"price sensitivity {percent:+d} %", _sensitive(data, 1 + percent / 100)
    if spec.stocked:
        yield "lead time +1", data | {"sellers": [one | {"lead_time": one["lead_time"] + 1} for one in sellers]}
    yield "unit cost +10 %", data | {"sellers": [one | {"unit_cost": one["unit_cost"] * 1.1} for one in sellers]}
    length = min(SHOCK, spec.horizon - warm_up)
    start = warm_up + (spec.horizon - warm_up - length) // 2
    for word, factor in (("doubled", 2.0), ("halved", 0.5)):
        surges = [*customers.get("surges", ()), {"start": start, "length": length, "factor": factor}]
        yield f"demand {word} for {length} {spec.period}s", data | {"customers": customers | {"surges": surges}}


def _sensitive(data: dict[str, Any], factor: float) -> dict[str, Any]:
    """The market's price sensitivity and those of locations and draws, times ``factor``."""

    def scaled(one: dict[str, Any]) -> dict[str, Any]:
        own = one.get("price_sensitivity")
        return one if own is None else one | {"price_sensitivity": own * factor}

    places = {key: [scaled(one) for one in data[key]] for key in ("locations", "draws")}
    return scaled(data) | places


def _without(spec: MarketSpec, seat: int) -> dict[str, Any]:
    """Nobody wants the seller, it has no stock; its events go on, as other sellers' are drawn from the same stream."""
    data = spec.dump()
    seller = data["sellers"][seat]
    seller |= {"quality": NOBODY_BUYS, "stock": 0.0, "start_price": seller["prices"][1]}
    for location in data.get("locations", ()):
        location["quality"][seat] = NOBODY_BUYS
    return data
