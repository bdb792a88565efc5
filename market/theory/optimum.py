"""The exact optimum of one seat: best prices and orders for every stock and pipeline, by value iteration.

It exists where nothing but the seat's own stock carries over from one period to the next: the rivals' prices are
constant and they never run dry, and shocks are independent over time. Then the units that first choose the seat are
independent given its price (:mod:`market.theory.demand_law`), and the state is what is on hand and on its way.

``profit = price sold - unit_cost ordered - order_cost [ordered > 0] - holding_cost left - stockout_cost lost``, as the
market's ledger has it: an order is paid when it is placed. N sellers, M rows, S states, P prices, J levels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from market.demand.logit import Logit, profits
from market.demand.script import varies
from market.errors import UserError
from market.simulation.decisions import axis_values
from market.spec.models import MarketSpec
from market.state import Floats, Ints
from market.theory.bellman import average, best_decisions, long_run
from market.theory.best_response import best_response
from market.theory.mdp import StockStates, build_mdp, posted_prices, refuse_states, with_price

GridAxis = int | Sequence[float] | Literal["grid"] | None

PRICES = 81
VISITED = 1e-6


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best stationary policy of one seat, as tables over its states, and what it earns.

    ``price`` and ``order`` (S,) are the decisions, money per unit and units; ``visits`` (S,) the share of periods
    spent in each state in the long run, from the opening stock on; ``average`` the policy's mean profit a period over
    them, money; ``bounds`` enclose the best average of all policies on the same prices and levels (with a discount
    factor ``gamma`` they enclose ``(1 - gamma)`` x the best discounted profit from the opening stock, and ``value``
    is that discounted profit; without, ``value`` is nan).
    """

    seat: int
    gamma: float | None
    states: StockStates
    price: Floats
    order: Floats
    visits: Floats
    average: float
    value: float
    bounds: tuple[float, float]

    def decide(self, on_hand: ArrayLike, pipeline: ArrayLike) -> tuple[Floats, Floats]:
        """Price (M,) and quantity to order (M,) at units on hand (M,) and on their way (M, slots).

        A state that no table has (more stock than any level asks for) plays as the nearest one; units on their way
        that the table leaves out count against the order.
        """
        at, beside = self.states.locate(on_hand, pipeline)
        return self.price[at], np.maximum(self.order[at] - beside, 0.0)

    @property
    def prices_posted(self) -> tuple[float, float]:
        """The lowest and the highest price, of the states that matter (more than 1 period in a million)."""
        posted = self.price[self.visits > VISITED]
        return float(posted.min()), float(posted.max())

    @property
    def mean_price(self) -> float:
        """The mean price over periods."""
        return float(self.visits @ self.price)

    @property
    def levels_ordered_to(self) -> tuple[float, float]:
        """The lowest and the highest inventory position that an order is placed up to, in the same states."""
        orders = (self.visits > VISITED) & (self.order > 0)
        reached = (self.states.position + self.order)[orders]
        return (float(reached.min()), float(reached.max())) if len(reached) else (0.0, 0.0)


def solve(
    spec: MarketSpec,
    seat: int,
    *,
    rivals_price: ArrayLike | None = None,
    prices: GridAxis = None,
    levels: GridAxis = None,
    gamma: float | None = None,
) -> Optimum:
    """Return the policy of ``seat`` that earns most, rivals at constant prices and always in stock.

    Args:
        rivals_price: what all sellers post (N,), the seat's own entry not looked at; default Bertrand-Nash prices
            inside every seat's range.
        prices: what the seat may post: a count, evenly spaced over its range (default 81), the prices themselves, or
            ``"grid"``, those of its own grid. Made to order, the default adds the exact best response.
        levels: order-up-to levels likewise; default every whole number of the seat's range. An order is any level
            less the inventory position, so with every whole number it is any quantity.
        gamma: the discount factor, 0 <= gamma < 1; default None, the average over an endless horizon.

    Example: a newsvendor. Everyone buys at price 4, cost 0, Poisson demand of mean 5, holding cost 1, lead time 0:
    order up to the 4 / 5 quantile, 7, every period, and earn ``4 E min(D, 7) - E (7 - D)+``.

    Raises:
        UserError: the state does not suffice (:func:`why_not` has the reason), or there are too many states.
    """
    reason = why_not(spec, seat, gamma)
    if reason is not None:
        raise UserError(f"{spec.seat_place(seat)}: no exact optimum: {reason}")
    posted = posted_prices(spec, rivals_price)
    if not spec.stocked:
        return _made_to_order(spec, seat, posted, prices, gamma)
    wanted = _axis(spec, seat, prices, "prices", PRICES)
    mdp, states = build_mdp(spec, seat, posted, wanted, _levels(spec, seat, levels))
    found = best_decisions(mdp, gamma)
    start = int(states.locate([spec.sellers[seat].stock], [[]])[0][0])
    visits = long_run(mdp, found.price, found.order, start)
    earned = average(mdp, found.price, found.order, visits)
    value = math.nan if gamma is None else float(found.value[start])
    slack = found.bounds[1] - found.bounds[0]
    bounds = found.bounds if gamma is None else ((1 - gamma) * value - slack, (1 - gamma) * value + slack)
    order = found.order.astype(np.float64)
    return Optimum(seat, gamma, states, wanted[found.price], order, visits, earned, value, bounds)


def why_not(spec: MarketSpec, seat: int, gamma: float | None = None) -> str | None:
    """Return why the seat has no exact optimum on its stock and pipeline alone, or None where it has one."""
    seller = spec.sellers[seat]
    if gamma is not None and not 0 <= gamma < 1:
        return f"gamma must be from 0 to below 1, got {gamma:g}"
    if reason := varies(spec):
        return reason
    if spec.demand_shock.persistence > 0 and (spec.demand_shock.common > 0 or any(s.xi > 0 for s in spec.sellers)):
        return "market.demand_shock.persistence is above 0, so that past sales tell of the next period's demand"
    if spec.events and spec.events.effect and any(s.event_frequency > 0 for s in spec.sellers):
        return "events (market.sellers.*.event_frequency) are seen and last, so that the stock is not the whole state"
    if spec.prices_linger:
        return "market.reference_price.weight is above 0, so that past prices would belong to the state"
    if seller.price_change_cost > 0 and (spec.stocked or gamma is not None):
        return "price_change_cost is above 0, so that the last price would belong to the state"
    if spec.stocked:
        return _why_not_stocked(spec, seat)
    return None


def _why_not_stocked(spec: MarketSpec, seat: int) -> str | None:
    customers = spec.customers
    if customers.mode == "expected":
        return "customers.mode is expected, where stock comes in parts of units"
    if customers.shock.sd > 0 and customers.shock.persistence > 0:
        return "customers.shock.persistence is above 0, so that past sales tell of the next period's demand"
    if len(set(customers.weekly)) > 1 or customers.trend or (customers.yearly and customers.yearly.amplitude):
        return "demand changes with the calendar (customers.weekly, yearly or trend), so that the state has a date"
    if customers.surges:
        return "customers.surges change demand at given dates, so that the state has a date"
    if spec.sellers[seat].order_up_to[1] == 0:
        return "order_up_to must be [low, high] with high above 0, or the seat could never order"
    return None


def _made_to_order(spec: MarketSpec, seat: int, posted: Floats, prices: GridAxis, gamma: float | None) -> Optimum:
    """Nothing carries over: the price that earns most in a period, for ever."""
    logit, bounds = Logit.of(spec), spec.sellers[seat].prices
    wanted = _axis(spec, seat, prices, "prices", PRICES)
    if prices is None:
        wanted = np.append(wanted, best_response(logit, posted[None], seat, *bounds))
    earned = profits(logit, np.stack([with_price(posted, seat, price) for price in wanted]))[:, seat]
    best = int(np.argmax(earned))
    profit, price = float(earned[best]), wanted[best : best + 1]
    value = math.nan if gamma is None else profit / (1.0 - gamma)
    one = StockStates(0, 0)
    return Optimum(seat, gamma, one, price, np.zeros(1), np.ones(1), profit, value, (profit, profit))


def _axis(spec: MarketSpec, seat: int, given: GridAxis, axis: Literal["prices", "levels"], count: int) -> Floats:
    """The values of one decision, ascending."""
    seller = spec.sellers[seat]
    bounds = seller.prices if axis == "prices" else seller.order_up_to
    if isinstance(given, str):
        if seller.grid is None:
            raise UserError(f"{spec.seat_place(seat)}.grid: a grid is asked for and the seat has none")
        return np.unique(axis_values(getattr(seller.grid, axis), bounds))
    values = axis_values(count if given is None else given if isinstance(given, int) else tuple(given), bounds)
    if len(values) == 0 or values.min() < bounds[0] or values.max() > bounds[1]:
        raise UserError(f"{spec.seat_place(seat)}.{axis}: must lie inside [{bounds[0]:g}, {bounds[1]:g}]")
    return np.unique(values)


def _levels(spec: MarketSpec, seat: int, given: GridAxis) -> Ints:
    low, high = spec.sellers[seat].order_up_to
    if given is None:
        refuse_states(spec, seat, math.floor(high))
        return np.arange(math.ceil(low), math.floor(high) + 1)
    return np.unique(np.floor(_axis(spec, seat, given, "levels", 1) + 0.5)).astype(np.int64)
