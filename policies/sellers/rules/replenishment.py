"""Replenishment rules of fixed competitors: how much to order, from one's own stock and demand.

Levels are order-up-to levels on the inventory position (on hand + on order), units. Whatever a rule wants, its seller
keeps to the seat's ``order_up_to`` range (:meth:`policies.sellers.rules.base.Seat.kept_order`). In sampled mode levels
are rounded to whole units. Dimension: M markets side by side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator
from scipy.special import ndtri

from market.errors import UserError
from market.simulation.decisions import order_quantity
from market.spec.models import Model, NonNegative
from market.state import Floats
from market.theory.demand_law import ample_level
from market.theory.newsvendor import demand_quantile, newsvendor_level
from market.theory.reorder import reorder_levels
from market.theory.seasonal import seasonal_levels
from policies.sellers.protocol import Memory, View
from policies.sellers.rules.base import Level, Multiple, Rule, Searched, Seat, Threshold
from policies.sellers.rules.optimal import ORDER, Discount, best_orders, joint_optimum, optimum_rule
from policies.sellers.rules.pricing import Optimal, PricingRule

Price = Callable[[], float]
# Of a normal variable: its standard deviation over its mean absolute deviation.
SD_OVER_MAD = math.sqrt(math.pi / 2)


class ReplenishmentRule(Model):
    """Base of the replenishment rules' options."""

    rule: ClassVar[str]

    @property
    def searched(self) -> tuple[str, ...]:
        """The options that are to be found by simulation (``policies.sellers.rules.level_search``) before the rule can play."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) == "best")

    def level_in(self, seat: Seat, price: Price) -> float | Floats:
        """The level that the rule orders up to, or would; ``price()`` is the seller's usual price."""
        return newsvendor(seat, price)

    @property
    def unbound(self) -> bool:
        """Whether the seat's ``order_up_to`` range is of no matter to the rule."""
        return False

    def kept_level(self, seat: Seat, price: Price) -> float | Floats:
        """:meth:`level_in` as the seat's range allows it."""
        level = self.level_in(seat, price)
        return level if self.unbound else seat.kept(level)

    def aim(self, seat: Seat, price: Price) -> float | None:
        """The level that is aimed at, where it is a number that the seat's range may bind; None for other rules."""
        level = self.level_in(seat, price)
        return float(level) if np.ndim(level) == 0 else None

    def tried(self, seat: Seat, price: Price, values: Mapping[str, Floats]) -> tuple[Rule, Floats]:
        """The rule with searched options at ``values``, one for each market (M,), and the level it orders up to (M,)."""
        raise NotImplementedError

    def bind(self, seat: Seat, price: Price) -> Rule:
        """The rule in a seat."""
        raise NotImplementedError

    def beside(self, seat: Seat, pricing: PricingRule) -> Rule:
        """The rule in a seat whose prices ``pricing`` decides."""
        return self.bind(seat, partial(pricing.usual, seat))


def order_up_to(level: float | Floats, cap: float | Floats = math.inf) -> Rule:
    """Order up to ``level``, at most ``cap`` a period; either may differ between markets (M,)."""
    return Rule(lambda view, memory: (np.minimum(order_quantity(_all(level), view.on_hand, view.on_order), cap), {}))


def _all(level: float | Floats) -> Floats:
    return np.asarray(level, np.float64)


class BaseStock(ReplenishmentRule):
    """Order up to a level every period (Zipkin 2000, section 9.4)."""

    rule = "base_stock"
    level: Level = Field(
        default="newsvendor",
        description="units; newsvendor: for demand over lead time + 1 periods at the seller's usual price; "
        "best: found by simulation; ample: so many that it never runs dry, whatever rivals do (below 1 in 10^9), "
        "beyond the seat's order_up_to too",
    )

    @property
    def unbound(self) -> bool:
        return self.level == "ample"

    def level_in(self, seat: Seat, price: Price) -> float | Floats:
        if self.level == "ample":
            return ample_level(seat.spec, seat.index, price())
        return newsvendor(seat, price) if self.level == "newsvendor" else seat.units(found(self.level, "level"))

    def bind(self, seat: Seat, price: Price) -> Rule:
        return order_up_to(self.level_in(seat, price))

    def beside(self, seat: Seat, pricing: PricingRule) -> Rule:
        return self.bind(seat, partial(pricing.lowest if self.level == "ample" else pricing.usual, seat))

    def tried(self, seat: Seat, price: Price, values: Mapping[str, Floats]) -> tuple[Rule, Floats]:
        return order_up_to(values["level"]), values["level"]


class SeasonalBaseStock(ReplenishmentRule):
    """Base stock whose level follows the calendar, the season and announced events over lead time + 1 periods.

    The newsvendor level of these very periods (:class:`market.theory.seasonal.SeasonalLevels`), at the seller's usual
    price and the rivals' Nash prices. Where nothing is known ahead it is the newsvendor level.
    """

    rule = "seasonal_base_stock"
    factor: Multiple = Field(default=1.0, description="multiple of that level; best: found by simulation")

    def level_in(self, seat: Seat, price: Price) -> float | Floats:
        """The level at a usual time."""
        return seat.units(found(self.factor, "factor") * newsvendor(seat, price))

    def bind(self, seat: Seat, price: Price) -> Rule:
        return self._ordering(seat, price, found(self.factor, "factor"))

    def tried(self, seat: Seat, price: Price, values: Mapping[str, Floats]) -> tuple[Rule, Floats]:
        factor = values["factor"]
        return self._ordering(seat, price, factor), np.asarray(factor * newsvendor(seat, price))

    def _ordering(self, seat: Seat, price: Price, factor: float | Floats) -> Rule:
        newsvendor(seat, price)  # its refusals tell the way out
        known = seasonal_levels(seat.spec, seat.index, seat.posted(price()))
        from_own = [(k - seat.index) % len(seat.spec.sellers) for k in range(len(seat.spec.sellers))]

        def decide(view: View, memory: Memory) -> tuple[Floats, Memory]:
            if isinstance(known, float):
                level = np.full(len(view.on_hand), known)
            else:
                level = known.levels(view.period, view.event[:, :, from_own])
            level = factor * level
            if seat.spec.customers.mode == "sampled":
                level = np.floor(level + 0.5)
            return order_quantity(level, view.on_hand, view.on_order), {}

        return Rule(decide)


class MinMax(ReplenishmentRule):
    """(s, S): when the position is at or below ``s``, order up to ``S`` (Scarf 1960).

    By default both are Hadley and Whitin's levels for lost sales (:func:`market.theory.reorder.reorder_levels`): the
    larger the order, the lower ``s``. Without an order cost that is base stock at the newsvendor level.
    """

    rule = "min_max"
    s: Threshold = Field(
        default=None,
        description="units; default S less theory's order, or Hadley and Whitin's level; best: found by simulation",
    )
    S: Threshold = Field(default=None, description="units; default s plus theory's order; best: found by simulation")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if isinstance(self.s, float) and isinstance(self.S, float) and self.s > self.S:
            raise ValueError(f"S must be at least s, got s {self.s:g} and S {self.S:g}")
        return self

    def levels(self, seat: Seat, price: Price) -> tuple[float, float]:
        """``s`` and ``S``, units."""
        if self.s is not None and self.S is not None:
            return seat.units(found(self.s, "s")), seat.units(found(self.S, "S"))
        usual, top = reorder(seat, price)
        if self.S is not None:
            high = found(self.S, "S")
            return seat.units(max(high - (top - usual), 0.0)), seat.units(high)
        low = usual if self.s is None else found(self.s, "s")
        return seat.units(low), seat.units(low + top - usual)

    def level_in(self, seat: Seat, price: Price) -> float | Floats:
        return self.levels(seat, price)[1]

    def bind(self, seat: Seat, price: Price) -> Rule:
        return min_max(*self.levels(seat, price))

    def tried(self, seat: Seat, price: Price, values: Mapping[str, Floats]) -> tuple[Rule, Floats]:
        return min_max(values["s"], values["S"]), values["S"]


def min_max(low: float | Floats, high: float | Floats) -> Rule:
    """Order up to ``high`` at or below a position of ``low``; either may differ between markets (M,)."""

    def decide(view: View, memory: Memory) -> tuple[Floats, Memory]:
        due = view.on_hand + view.on_order <= low
        return np.where(due, order_quantity(_all(high), view.on_hand, view.on_order), 0.0), {}

    return Rule(decide)


class CappedBaseStock(ReplenishmentRule):
    """Order up to a level, but at most ``cap`` a period: hard to beat where sales are lost (Xin 2021, OR 69)."""

    rule = "capped_base_stock"
    level: Searched = Field(default="best", description="units; best: found by simulation")
    cap: Searched = Field(default="best", description="units a period; best: found by simulation")

    def level_in(self, seat: Seat, price: Price) -> float | Floats:
        return seat.units(found(self.level, "level"))

    def bind(self, seat: Seat, price: Price) -> Rule:
        return order_up_to(self.level_in(seat, price), seat.units(found(self.cap, "cap")))

    def tried(self, seat: Seat, price: Price, values: Mapping[str, Floats]) -> tuple[Rule, Floats]:
        return order_up_to(values["level"], values["cap"]), values["level"]


class ConstantOrder(ReplenishmentRule):
    """The same quantity every period, whatever is in stock."""

    rule = "constant_order"
    quantity: NonNegative | None = Field(
        default=None, description="units a period; default mean demand at the seller's usual price"
    )

    def aim(self, seat: Seat, price: Price) -> float | None:
        return None

    def bind(self, seat: Seat, price: Price) -> Rule:
        wanted = seat.mean_demand(price()) if self.quantity is None else self.quantity
        quantity = seat.units(wanted)
        return Rule(lambda view, memory: (np.full(len(view.on_hand), quantity), {}))


class Forecast(ReplenishmentRule):
    """Base stock that follows an exponentially smoothed forecast of one's own demand, sold + lost.

    Level = ``(l + 1) mean + z(service) sqrt(l + 1) sd`` over lead time ``l`` + 1 periods; mean and mean absolute
    deviation are smoothed, and ``sd = sqrt(pi / 2) x deviation`` as for a normal variable (Brown 1959; Silver, Pyke
    and Thomas 2017, section 3.9). Both begin at what theory expects at the seller's usual price.
    """

    rule = "forecast"
    smoothing: Annotated[float, Field(gt=0, le=1)] = Field(default=0.2, description="weight of the newest period")
    service: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.95, description="probability that stock lasts, from which z follows"
    )

    def level_in(self, seat: Seat, price: Price) -> float | Floats:
        mean, deviation = expected_demand(seat, price())
        return seat.units(float(self._level(seat, np.array(mean), np.array(deviation))))

    def _level(self, seat: Seat, mean: Floats, deviation: Floats) -> Floats:
        window = seat.seller.lead_time + 1
        spread = float(ndtri(self.service)) * math.sqrt(window) * SD_OVER_MAD
        level = np.maximum(window * mean + spread * deviation, 0.0)
        return np.floor(level + 0.5) if seat.spec.customers.mode == "sampled" else level

    def bind(self, seat: Seat, price: Price) -> Rule:
        mean, deviation = expected_demand(seat, price())

        def decide(view: View, memory: Memory) -> tuple[Floats, Memory]:
            # Nothing has been seen when an episode begins: the zeros in the view are not demand.
            weight = np.where(view.period > 0, self.smoothing, 0.0)
            error = view.sold + view.lost - memory["demand"]
            missed = np.abs(error) - memory["deviation"]
            after = {"demand": memory["demand"] + weight * error, "deviation": memory["deviation"] + weight * missed}
            level = self._level(seat, after["demand"], after["deviation"])
            return order_quantity(level, view.on_hand, view.on_order), after

        return Rule(decide, lambda m: {"demand": np.full(m, mean), "deviation": np.full(m, deviation)})


class OptimalOrders(ReplenishmentRule):
    """The exact best order for every stock and pipeline, at one price for ever (``market.theory.optimum``).

    Against rivals at constant Nash prices who never run dry. Beside the pricing rule ``optimal`` it is that rule's
    own half, with that rule's options.
    """

    rule = "optimal"
    gamma: Discount | None = Field(default=None, description="discount factor; default the average over periods")

    def level_in(self, seat: Seat, price: Price) -> float | Floats:
        raise UserError("needs replenishment with one order-up-to level, and that of optimal depends on the pipeline")

    def aim(self, seat: Seat, price: Price) -> float | None:
        return None

    def bind(self, seat: Seat, price: Price) -> Rule:
        return optimum_rule(best_orders(seat, price(), self.gamma), ORDER)

    def beside(self, seat: Seat, pricing: PricingRule) -> Rule:
        if isinstance(pricing, Optimal):
            return optimum_rule(joint_optimum(seat, pricing.gamma, pricing.prices), ORDER)
        if not pricing.constant:
            raise UserError(
                f"needs a price that never changes, and {pricing.rule} changes it: give constant, cost_plus, nash or "
                "collusive, or optimal alone, which decides both"
            )
        return super().beside(seat, pricing)


def newsvendor(seat: Seat, price: Price) -> float:
    """The newsvendor level at the seller's usual price and the rivals' Nash prices, units."""
    try:
        return seat.units(newsvendor_level(seat.spec, seat.index, seat.posted(price())))
    except UserError as problem:
        raise UserError(f"{problem}; or give a level in units") from None


def reorder(seat: Seat, price: Price) -> tuple[float, float]:
    """Theory's reorder point and order-up-to level at the seller's usual price and the rivals' Nash prices, units."""
    if seat.seller.holding_cost <= 0:
        raise UserError(
            "needs s and S in units, since holding_cost is 0: stock that costs nothing to hold has no bound"
        )
    return reorder_levels(seat.spec, seat.index, seat.reference(price()))


def expected_demand(seat: Seat, price: float) -> tuple[float, float]:
    """Mean units a period at ``price`` and their mean absolute deviation, from the quantile one sd above the mean."""
    mean = seat.mean_demand(price)
    above = demand_quantile(seat.spec, seat.index, seat.reference(price), 1, 0.8413)
    return mean, max(above - mean, 0.0) / SD_OVER_MAD


def found(value: float | str, option: str) -> float:
    """A number, which ``best`` has to be turned into before a rule plays."""
    if isinstance(value, str):
        raise UserError(f"{option}: {value} must be searched first (policies.sellers.rules.level_search.best_level)")
    return value


# In the order of this file; messages and documents list them so.
REPLENISHMENT: dict[str, type[ReplenishmentRule]] = {kind.rule: kind for kind in ReplenishmentRule.__subclasses__()}
