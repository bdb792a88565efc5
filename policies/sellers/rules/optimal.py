"""The exact optimum as a rule's decisions: solved once for a market, a seat and its options, then looked up.

Rivals are taken to post their Bertrand-Nash prices for ever and never to run dry; alone, nothing is assumed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field

from market.spec.models import MarketSpec
from policies.sellers.rules.base import Rule, Seat

if TYPE_CHECKING:
    from market.theory.optimum import Optimum

# Solutions kept in memory: a stress test asks for one a scenario and seat.
KEPT = 64


def _count_or_grid(value: object) -> object:
    if value is None or value == "grid":
        return value
    try:
        number = 0 if isinstance(value, bool) else int(str(value))
    except ValueError:
        number = 0
    if not 1 <= number <= 10_000:
        raise ValueError("must be a count of prices from 1 to 10000, or grid: the seat's own prices and levels")
    return number


Discount = Annotated[float, Field(ge=0, lt=1)]
Prices = Annotated[int | Literal["grid"] | None, BeforeValidator(_count_or_grid)]


def joint_optimum(seat: Seat, gamma: float | None, prices: int | Literal["grid"] | None) -> Optimum:
    """The best prices and orders of a seat together."""
    return _solved(_dateless(seat.spec), seat.index, _rivals(seat), gamma, prices, None)


def best_orders(seat: Seat, price: float, gamma: float | None) -> Optimum:
    """The best orders of a seat that posts ``price`` for ever, money per unit."""
    return _solved(_dateless(seat.spec), seat.index, _rivals(seat), gamma, None, price)


def _rivals(seat: Seat) -> tuple[float, ...] | None:
    return tuple(seat.nash.tolist()) if len(seat.spec.sellers) > 1 else None


def _dateless(spec: MarketSpec) -> MarketSpec:
    """Where stock is held and there is an optimum, demand has no date: the horizon plays no part. Draws never do."""
    return spec.certain.model_copy(update={"horizon": 1}) if spec.stocked else spec.certain


@lru_cache(maxsize=KEPT)
def _solved(
    spec: MarketSpec,
    seat: int,
    rivals: tuple[float, ...] | None,
    gamma: float | None,
    prices: int | Literal["grid"] | None,
    price: float | None,
) -> Optimum:
    from market.theory.optimum import solve  # brings numba, and rules are read without

    levels: Literal["grid"] | None = "grid" if prices == "grid" else None
    posted = prices if price is None else [price]
    return solve(spec, seat, rivals_price=rivals, prices=posted, levels=levels, gamma=gamma)


PRICE, ORDER = 0, 1  # what an optimum decides


def optimum_rule(optimum: Optimum, part: int) -> Rule:
    """Post (:data:`PRICE`) or order (:data:`ORDER`) what the optimum does."""
    return Rule(lambda view, memory: (optimum.decide(view.on_hand, view.pipeline)[part], {}))
