"""Named changes of a market for stress tests: each is the market with one thing changed and nothing else.

Reward scales are pinned to the unchanged market's, so that no change is refused for want of a Nash price.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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

Change = Callable[[dict[str, Any]], None]


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
    found += [_scenario(name, still, change) for name, change in _changes(spec, warm_up)]
    others = [k for k in range(len(spec.sellers)) if k != seat]
    found += [_scenario(f"{spec.names[k]} leaves", still, _leaving(k), k) for k in others]
    return [_unless_replayed(scenario, spec) for scenario in found]


def _unless_replayed(scenario: Scenario, spec: MarketSpec) -> Scenario:
    """A history is recovered anew in every market: what changes demand would still give its sales at its prices."""
    undone = spec.tape is not None and (scenario.absent is not None or scenario.name.startswith(("demand ", "price ")))
    return replace(scenario, market=None, problem=REPLAYED) if undone else scenario


def _scenario(name: str, spec: MarketSpec, change: Change, absent: int | None = None) -> Scenario:
    data = spec.dump()
    change(data)
    try:
        return Scenario(name, MarketSpec.parse(data), absent)
    except UserError as problem:
        return Scenario(name, None, absent, str(problem))


def _changes(spec: MarketSpec, warm_up: int) -> Iterator[tuple[str, Change]]:
    for percent in (30, -30):
        yield f"demand {percent:+d} %", _rate(1 + percent / 100)
    for percent in (25, -25):
        yield f"price sensitivity {percent:+d} %", _sensitivity(1 + percent / 100)
    if spec.stocked:
        yield "lead time +1", _later
    yield "unit cost +10 %", _dearer
    length = min(SHOCK, spec.horizon - warm_up)
    start = warm_up + (spec.horizon - warm_up - length) // 2
    for word, factor in (("doubled", 2.0), ("halved", 0.5)):
        yield f"demand {word} for {length} {spec.period}s", _surge(start, length, factor)


def _rate(factor: float) -> Change:
    def change(data: dict[str, Any]) -> None:
        data["customers"]["rate"] *= factor

    return change


def _sensitivity(factor: float) -> Change:
    def change(data: dict[str, Any]) -> None:
        data["price_sensitivity"] *= factor

    return change


def _later(data: dict[str, Any]) -> None:
    for seller in data["sellers"]:
        seller["lead_time"] += 1


def _dearer(data: dict[str, Any]) -> None:
    for seller in data["sellers"]:
        seller["unit_cost"] *= 1.1


def _surge(start: int, length: int, factor: float) -> Change:
    def change(data: dict[str, Any]) -> None:
        surge = {"start": start, "length": length, "factor": factor}
        data["customers"]["surges"] = [*data["customers"].get("surges", ()), surge]

    return change


def _leaving(seat: int) -> Change:
    """Nobody wants it and it has no stock; its events go on, as other sellers' are drawn from the same stream."""

    def change(data: dict[str, Any]) -> None:
        seller = data["sellers"][seat]
        seller |= {"quality": NOBODY_BUYS, "stock": 0.0, "start_price": seller["prices"][1]}
        for location in data.get("locations", ()):
            location["quality"][seat] = NOBODY_BUYS

    return change
