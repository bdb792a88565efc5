"""Pricing rules of fixed competitors: what to post, from what was seen last period.

Options are money per unit or pure numbers, as each says. Whatever a rule wants, its seller posts the price in the
seat's range that is nearest to it. Rules that watch rivals leave out those that are seen to have nothing to sell
(:func:`on_sale`). Dimensions: M markets side by side, N sellers, R rivals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from market.demand.logit import Logit
from market.demand.script import recorded_prices
from market.errors import UserError
from market.spec.models import Model, NonNegative, Positive
from market.state import Floats
from market.theory.best_response import best_response
from policies.sellers.protocol import Memory, View
from policies.sellers.rules.base import Rule, Seat, among
from policies.sellers.rules.optimal import PRICE, Discount, Prices, joint_optimum, optimum_rule

Target = Callable[[], "float | Floats"]
# Shares are then off by 1e-5, and a rule that prices every period stays fast.
RESPONSE_NODES = 128


class PricingRule(Model):
    """Base of the pricing rules' options. By itself a rule that always posts its usual price."""

    rule: ClassVar[str]

    @property
    def constant(self) -> bool:
        """Whether the posted price never depends on what is seen: it is always :meth:`usual`."""
        return type(self).bind is PricingRule.bind

    def usual(self, seat: Seat) -> float:
        """The price that stock levels are worked out for, money per unit."""
        raise NotImplementedError

    def lowest(self, seat: Seat) -> float:
        """The price that ample stock is worked out for, money per unit."""
        return self.usual(seat)

    def bind(self, seat: Seat, target: Target) -> Rule:
        """The rule in a seat; ``target()`` is the order-up-to level of the seller's replenishment, units."""
        return always(self.usual(seat))


def always(price: float) -> Rule:
    """Post one price in every market and period."""

    def decide(view: View, memory: Memory) -> tuple[Floats, Memory]:
        return np.full(len(view.price), price), {}

    return Rule(decide)


class Constant(PricingRule):
    """One price for ever."""

    rule = "constant"
    price: NonNegative | None = Field(
        default=None,
        description="money per unit; default the seat's start_price, else the mean on record of a market.tape, "
        "else the middle of the price range",
    )

    def usual(self, seat: Seat) -> float:
        if self.price is not None:
            return inside(seat, self.price)
        if seat.seller.start_price is not None:
            return seat.seller.start_price
        on_record = recorded(seat)
        return seat.middle if on_record is None else seat.clip(float(on_record.mean()))


class CostPlus(PricingRule):
    """Unit cost plus a margin: ``unit_cost x (1 + margin)``."""

    rule = "cost_plus"
    margin: NonNegative = Field(default=0.5, description="share of unit cost that is added to it")

    def usual(self, seat: Seat) -> float:
        return seat.clip(seat.seller.unit_cost * (1 + self.margin))


class Match(PricingRule):
    """The lowest of the rivals' last prices; while none of them has stock, the best price of a seller alone."""

    rule = "match"

    def usual(self, seat: Seat) -> float:
        return seat.clip(lowest_nash(seat))

    def bind(self, seat: Seat, target: Target) -> Rule:
        seat.need_rivals_prices()

        def decide(view: View, memory: Memory) -> tuple[Floats, Memory]:
            lowest = lowest_on_sale(seat, view)
            return (np.where(np.isinf(lowest), seat.lone, lowest) if np.isinf(lowest).any() else lowest), {}

        return Rule(decide)


class Undercut(PricingRule):
    """The lowest of the rivals' last prices less a step, but never below cost plus a margin.

    While no rival has stock it posts the best price of a seller alone.
    With ``spread`` the step is the row's own, drawn anew for every episode: many undercutters in one, to train against.
    """

    rule = "undercut"
    step: Positive | None = Field(default=None, description="money per unit; default 2 % of the price range")
    spread: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="share of the price range below which an episode's step is drawn, uniformly"
    )
    margin: NonNegative = Field(default=0.05, description="floor: share of unit cost that is added to it")

    @model_validator(mode="after")
    def _one_step(self) -> Undercut:
        if self.step is not None and self.spread is not None:
            raise ValueError("step and spread: a step is given or drawn")
        return self

    def usual(self, seat: Seat) -> float:
        return seat.clip(max(lowest_nash(seat) - self._step(seat), self._floor(seat)))

    def _step(self, seat: Seat) -> float:
        """In money, the mean where it is drawn."""
        low, high = seat.seller.prices
        share = 0.02 if self.spread is None else self.spread / 2
        return share * (high - low) if self.step is None else self.step

    def _floor(self, seat: Seat) -> float:
        return seat.seller.unit_cost * (1 + self.margin)

    def bind(self, seat: Seat, target: Target) -> Rule:
        seat.need_rivals_prices()
        step, floor = self._step(seat), self._floor(seat)

        def below(view: View, step: float | Floats) -> Floats:
            lowest = lowest_on_sale(seat, view)
            price = np.maximum(lowest - step, floor)
            return np.where(np.isinf(lowest), seat.lone, price) if np.isinf(lowest).any() else price

        if self.spread is None:
            return Rule(lambda view, memory: (below(view, step), {}))

        def decide(view: View, memory: Memory) -> tuple[Floats, Memory]:
            kept = memory["undercut_step"]
            drawn = np.where(np.isnan(kept), 2 * step * uniform(view), kept)
            return below(view, drawn), {"undercut_step": drawn}

        return Rule(decide, lambda markets: {"undercut_step": np.full(markets, np.nan)})


class BestResponse(PricingRule):
    """The price that would earn most in a period if the rivals kept their last prices and nobody ran dry.

    Rivals that are seen to have nothing to sell are left out. Demand is averaged over ``xi``; events and one's own stock are not looked at. Refused where customers hold prices
    against a reference price: what is best then depends on prices that no seller need see.
    """

    rule = "best_response"

    def usual(self, seat: Seat) -> float:
        return float(seat.nash[seat.index])

    def bind(self, seat: Seat, target: Target) -> Rule:
        seat.need_rivals_prices()
        if seat.spec.prices_linger:
            raise UserError(
                "needs demand that depends on the period's prices alone, and market.reference_price.weight is above 0"
            )
        logit = Logit.of(seat.spec, limit=RESPONSE_NODES)
        low, high = seat.seller.prices

        def answer(prices: Floats, rivals: list[int]) -> Floats:
            """To prices (K, rivals) of these seats, the only ones on sale."""
            seen, row = np.unique(prices, axis=0, return_inverse=True)
            seats = sorted([seat.index, *rivals])
            price = np.full((len(seen), len(seats)), high)
            price[:, [seats.index(rival) for rival in rivals]] = seen
            own = seats.index(seat.index)
            return best_response(among(logit, seats), price, own, low, high)[row.reshape(-1)]

        def decide(view: View, memory: Memory) -> tuple[Floats, Memory]:
            prices, offered = rivals_prices(view), on_sale(seat, view)
            if offered.all():
                return answer(prices, seat.rivals), {}
            found = np.empty(len(prices))
            for pattern in np.unique(offered, axis=0):
                rows = (offered == pattern).all(axis=1)
                rivals = [rival for rival, there in zip(seat.rivals, pattern, strict=True) if there]
                found[rows] = answer(prices[rows][:, pattern], rivals)
            return found, {}

        return Rule(decide)


class Nash(PricingRule):
    """The Bertrand-Nash price."""

    rule = "nash"

    def usual(self, seat: Seat) -> float:
        return float(seat.nash[seat.index])


class Collusive(PricingRule):
    """The price that maximises the sellers' joint profit."""

    rule = "collusive"

    def usual(self, seat: Seat) -> float:
        return float(seat.joint[seat.index])


class Trigger(PricingRule):
    """The joint-profit price until a rival undercuts its own, then the Nash price for some periods (Friedman 1971).

    What rivals post while they are punished, before their first decision, or with nothing to sell, is not held against
    them.
    """

    rule = "trigger"
    periods: Annotated[int, Field(ge=1)] = Field(default=10, description="periods at the Nash price")
    tolerance: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.01, description="share of its joint-profit price by which a rival may be lower"
    )

    def usual(self, seat: Seat) -> float:
        return float(seat.joint[seat.index])

    def bind(self, seat: Seat, target: Target) -> Rule:
        seat.need_rivals_prices()
        joint, nash = (float(price[seat.index]) for price in (seat.joint, seat.nash))
        least = seat.joint[seat.rivals] * (1 - self.tolerance)

        def decide(view: View, memory: Memory) -> tuple[Floats, Memory]:
            undercut = memory["cooperated"] & ((rivals_prices(view) < least) & on_sale(seat, view)).any(axis=1)
            punish = np.where(undercut, self.periods, memory["punish"])
            after = {"punish": np.maximum(punish - 1, 0), "cooperated": punish == 0}
            return np.where(punish > 0, nash, joint), after

        return Rule(decide, lambda m: {"punish": np.zeros(m, np.int64), "cooperated": np.zeros(m, np.bool_)})


class Clearance(PricingRule):
    """Marks down when overstocked and up when scarce.

    ``price x (1 + strength x (normal - position) / level)``, at most ``depth`` away from ``price``: ``position`` is
    on hand + on order, ``level`` the order-up-to level of the seller's replenishment, and ``normal`` the position
    that it leaves to the next decision on average, level less mean demand of a period.
    """

    rule = "clearance"
    price: NonNegative | None = Field(
        default=None, description="money per unit at normal stock; default the Nash price"
    )
    strength: NonNegative = Field(default=0.5, description="share of the price per share of the level that is missing")
    depth: Annotated[float, Field(ge=0, lt=1)] = Field(default=0.2, description="most it moves, share of price")

    def usual(self, seat: Seat) -> float:
        return float(seat.nash[seat.index]) if self.price is None else inside(seat, self.price)

    def bind(self, seat: Seat, target: Target) -> Rule:
        if not seat.spec.stocked:
            raise UserError("needs stock, and market.inventory is make_to_order")
        price = self.usual(seat)
        level = np.maximum(target(), 1e-9)
        normal = np.maximum(level - seat.mean_demand(price), 0.0)

        def decide(view: View, memory: Memory) -> tuple[Floats, Memory]:
            missing = (normal - (view.on_hand + view.on_order)) / level
            return price * (1 + np.clip(self.strength * missing, -self.depth, self.depth)), {}

        return Rule(decide)


class Random(PricingRule):
    """Uniform over the price range, drawn from the row's own noise: anew every period, or once an episode and kept."""

    rule = "random"
    each: Literal["period", "episode"] = Field(default="period", description="how long a price stands")

    def usual(self, seat: Seat) -> float:
        return seat.middle

    def bind(self, seat: Seat, target: Target) -> Rule:
        low, high = seat.seller.prices
        if self.each == "period":
            return Rule(lambda view, memory: (low + (high - low) * uniform(view), {}))

        def decide(view: View, memory: Memory) -> tuple[Floats, Memory]:
            kept = memory["random_price"]
            price = np.where(np.isnan(kept), low + (high - low) * uniform(view), kept)
            return price, {"random_price": price}

        return Rule(decide, lambda markets: {"random_price": np.full(markets, np.nan)})


class History(PricingRule):
    """The price on record in the sales file that the market replays (``market.tape``).

    Where the file has no row of the seller, its last price on record, before the first the first. Stock levels are
    worked out for the mean price.
    """

    rule = "history"

    def usual(self, seat: Seat) -> float:
        return float(self._prices(seat).mean())

    def lowest(self, seat: Seat) -> float:
        return float(self._prices(seat).min())

    def _prices(self, seat: Seat) -> Floats:
        prices = recorded(seat)
        if prices is None:
            raise UserError(
                "needs the prices on record of a sales file, and the market has no market.tape: {file: ...}"
            )
        return prices

    def bind(self, seat: Seat, target: Target) -> Rule:
        self.usual(seat)
        return Rule(lambda view, memory: (known(view), {}))


class Optimal(PricingRule):
    """The exact optimum: price and order together, the best for every stock and pipeline (``market.theory.optimum``).

    Against rivals at constant Nash prices who never run dry; a single seller's optimum needs no such assumption.
    """

    rule = "optimal"
    gamma: Discount | None = Field(default=None, description="discount factor; default the average over periods")
    prices: Prices = Field(
        default=None,
        description="how many prices to choose from, evenly spaced; default 81; grid: the seat's own prices and levels",
    )

    def usual(self, seat: Seat) -> float:
        return joint_optimum(seat, self.gamma, self.prices).mean_price

    def bind(self, seat: Seat, target: Target) -> Rule:
        return optimum_rule(joint_optimum(seat, self.gamma, self.prices), PRICE)


def uniform(view: View) -> Floats:
    """A number in [0, 1) for each market: the noise's upper 53 bits."""
    return np.asarray((view.noise >> np.uint64(11)) * 2.0**-53)


def inside(seat: Seat, price: float) -> float:
    """A price that the user asked for by name must be one that the seat can post."""
    low, high = seat.seller.prices
    if not low <= price <= high:
        raise UserError(f"price {price:g} lies outside the seat's prices [{low:g}, {high:g}]")
    return price


def lowest_nash(seat: Seat) -> float:
    """The lowest of the rivals' Nash prices."""
    seat.need_rivals_prices()
    return float(seat.nash[seat.rivals].min())


def rivals_prices(view: View) -> Floats:
    """The rivals' last prices (M, R), which a rule that asks has been told are visible."""
    if view.rivals_price is None:
        raise UserError("the rivals' prices are hidden in this view")
    return view.rivals_price


def on_sale(seat: Seat, view: View) -> NDArray[np.bool_]:
    """Which rivals (M, R) may have something to sell in this period.

    One that is seen without stock has nothing, unless its orders arrive before the customers come (lead time 0). Where
    the rivals' stock is hidden, or goods are made to order, all may.
    """
    if view.rivals_in_stock is None:
        return np.ones(rivals_prices(view).shape, np.bool_)
    at_once = np.array([seat.spec.sellers[rival].lead_time == 0 for rival in seat.rivals])
    return np.asarray(view.rivals_in_stock | at_once)


def lowest_on_sale(seat: Seat, view: View) -> Floats:
    """The lowest last price (M,) of the rivals on sale; infinite where none is."""
    return np.asarray(np.where(on_sale(seat, view), rivals_prices(view), np.inf).min(axis=1))


def recorded(seat: Seat) -> Floats | None:
    """The seat's prices in the history that the market replays (places, periods), None without one."""
    prices = recorded_prices(seat.spec)
    return None if prices is None else prices[:, : seat.spec.horizon, seat.index]


def known(view: View) -> Floats:
    """The prices on record (M,), which a rule that asks has been told are there."""
    if view.recorded is None:
        raise UserError("no prices are on record in this view")
    return view.recorded.copy()


# In the order of this file; messages and documents list them so.
PRICING: dict[str, type[PricingRule]] = {kind.rule: kind for kind in PricingRule.__subclasses__()}
