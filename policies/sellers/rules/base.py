"""What the rules of a fixed competitor have in common: the seat they play, and a rule bound to it.

Dimensions: M markets side by side, N sellers, R = N - 1 rivals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated

import numpy as np
from pydantic import BeforeValidator

from market.demand.equilibrium import prices_in_range
from market.demand.logit import Logit
from market.errors import UserError
from market.spec.models import MarketSpec, SellerSpec
from market.state import Floats
from market.theory.best_response import best_response
from market.theory.newsvendor import mean_demand
from policies.sellers.protocol import Memory, View

LARGEST_LEVEL = 1e12


def no_memory(markets: int) -> Memory:
    """The memory of a rule that remembers nothing."""
    return {}


@dataclass(frozen=True)
class Rule:
    """A rule bound to a seat.

    ``decide`` takes the view and the seller's memory and returns its decision (M,) with the entries of the memory
    that change; ``start`` makes the rule's own entries, arrays over M.
    """

    decide: Callable[[View, Memory], tuple[Floats, Memory]]
    start: Callable[[int], Memory] = no_memory


@dataclass(frozen=True)
class Seat:
    """One seat of a market as its rules see it. Theory's prices are those within every seat's range."""

    spec: MarketSpec
    index: int

    @property
    def seller(self) -> SellerSpec:
        """The seat's costs and ranges."""
        return self.spec.sellers[self.index]

    @property
    def rivals(self) -> list[int]:
        """The rivals' seats from one's own onward, the order in which a view lists them."""
        count = len(self.spec.sellers)
        return [(self.index + offset) % count for offset in range(1, count)]

    @property
    def middle(self) -> float:
        """The middle of the price range, money per unit."""
        return sum(self.seller.prices) / 2

    @cached_property
    def nash(self) -> Floats:
        """Bertrand-Nash prices (N,), money per unit."""
        return self._top if self._captive else prices_in_range(self.spec)

    @cached_property
    def joint(self) -> Floats:
        """Joint-profit prices (N,), money per unit."""
        return self._top if self._captive else prices_in_range(self.spec, joint=True)

    @cached_property
    def lone(self) -> float:
        """The best price in the seat's range while no rival has anything to sell, money per unit."""
        low, high = self.seller.prices
        alone = among(Logit.of(self.spec), [self.index])
        return float(best_response(alone, np.array([[high]]), 0, low, high)[0])

    @property
    def _captive(self) -> bool:
        """Whether everybody buys from the one seller there is: only its range bounds its best price."""
        return len(self.spec.sellers) == 1 and self.spec.outside == -math.inf

    @property
    def _top(self) -> Floats:
        return np.array([self.seller.prices[1]])

    def clip(self, price: float) -> float:
        """The price in the seat's range nearest to ``price``."""
        return min(max(price, self.seller.prices[0]), self.seller.prices[1])

    def kept(self, level: float | Floats) -> float | Floats:
        """An order-up-to level moved into the seat's ``order_up_to`` range, units."""
        kept = np.clip(level, *self.seller.order_up_to)
        return float(kept) if np.ndim(kept) == 0 else np.asarray(kept)

    def kept_order(self, order: Floats, on_hand: Floats, on_order: Floats) -> Floats:
        """An order (M,) that leaves the inventory position inside the seat's ``order_up_to`` range, as a learner's does.

        Range [4, 12], a position of 10: at most 2; of 1: at least 3, and none where it is above 12.
        """
        low, high = self.seller.order_up_to
        position = on_hand + on_order
        return np.asarray(np.maximum(np.minimum(order, np.maximum(high - position, 0.0)), low - position))

    def posted(self, price: float) -> Floats:
        """Prices (N,): one's own, and the rivals' Nash prices. Raises :class:`UserError` where rivals have none."""
        prices = self.nash.copy() if self.rivals else np.zeros(1)
        prices[self.index] = price
        return prices

    def units(self, amount: float) -> float:
        """``amount`` in units that can be ordered: whole ones when customers are sampled."""
        return math.floor(amount + 0.5) if self.spec.customers.mode == "sampled" else amount

    def reference(self, price: float) -> Floats:
        """As :meth:`posted`, with the middle of the rivals' ranges where there are no Nash prices."""
        try:
            return self.posted(price)
        except UserError:
            prices = np.array([sum(seller.prices) / 2 for seller in self.spec.sellers])
            prices[self.index] = price
            return prices

    def mean_demand(self, price: float) -> float:
        """Mean units a period that first choose the seat at ``price``, rivals as in :meth:`reference`."""
        return mean_demand(self.spec, self.index, self.reference(price))

    def need_rivals_prices(self) -> None:
        """Raise :class:`UserError` when no rival's price can be seen."""
        if len(self.spec.sellers) == 1:
            raise UserError(f"needs a rival, and {self.spec.name} has one seller")
        if self.spec.visibility.rivals_prices == "hidden":
            raise UserError("needs the rivals' prices, and market.visibility.rivals_prices is hidden")

    def refuse_free_stock(self) -> None:
        """Raise :class:`UserError` when more stock is never worse, so that no level is best."""
        if self.seller.holding_cost <= 0:
            where = f"market.sellers.{self.index} ({self.seller.name}).holding_cost"
            raise UserError(f"{where} must be above 0: stock that costs nothing to hold has no best level")


def among(logit: Logit, seats: list[int]) -> Logit:
    """The same market with these sellers alone, in this order."""
    kept = {name: getattr(logit, name)[seats] for name in ("quality", "unit_cost")}
    return replace(logit, nodes=logit.nodes[:, seats], **kept)


@contextmanager
def place(where: str) -> Iterator[None]:
    """Put ``where`` before the message of a refusal that comes from inside."""
    try:
        yield
    except UserError as problem:
        raise UserError(f"{where}: {problem}") from None


def amount_or(*words: str | None, what: str = "a number of units") -> BeforeValidator:
    """A number, or one of ``words``: one message instead of one for each alternative."""
    named = [word for word in words if word is not None]

    def check(value: object) -> object:
        if value in words:
            return value
        try:
            number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            number = math.nan
        if not 0 <= number <= LARGEST_LEVEL:
            raise ValueError(f"must be {what} >= 0 or {' or '.join(named)}")
        return number

    return BeforeValidator(check)


Level = Annotated[float | str, amount_or("newsvendor", "best", "ample")]
Searched = Annotated[float | str, amount_or("best")]
Multiple = Annotated[float | str, amount_or("best", what="a number")]
Threshold = Annotated[float | str | None, amount_or("best", None)]
