"""A seat's action space (grid or Box) <-> (price, order). Orders are given as order-up-to levels.

A Box action lies in [-1, 1]: first the price, then the level, each linear over its range, or finer around the seat's
``center`` where it has one (:class:`Scale`). Where it is gated a third
number says whether to order at all: above 0 up to the level, else nothing, which is level 0. (A level alone orders in
every period in which something was sold, and what explores around a level orders always: where each order costs, that
is the difference between profit and loss.) A grid action is an index: price index x number of levels + level index;
its level 0, too, is no order. Made-to-order sellers decide a price only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from market.errors import UserError
from market.spec.models import MarketSpec, SellerSpec
from market.state import Floats

if TYPE_CHECKING:
    from gymnasium import spaces


def axis_values(axis: int | tuple[float, ...], bounds: tuple[float, float]) -> Floats:
    """The values along one axis of a grid: evenly spaced over the range, or as listed."""
    if isinstance(axis, tuple):
        return np.array(axis, np.float64)
    return np.linspace(bounds[0], bounds[1], axis) if axis > 1 else np.array([bounds[1]], np.float64)


BOXES = {"box": 2, "gated": 3}  # numbers of a stocked seat's decision


class Decisions:
    """One seat's encoding of decisions; ``encoding`` is ``box`` (two numbers), ``gated`` (three) or ``grid``.

    Example: prices [1, 3], order_up_to [0, 20]: Box action (0, -1) is price 2, level 0; gated (0, 1, 0.1) is price 2,
    level 20, and (0, 1, -0.1) price 2 and no order; on a grid of 3 prices x 2 levels action 3 = 1 * 2 + 1 is price 2,
    level 20.
    """

    def __init__(self, spec: MarketSpec, seat: int, encoding: str | None = None) -> None:
        from gymnasium import spaces  # rules, which have none, are read without

        self.seller: SellerSpec = spec.sellers[seat]
        self.stocked = spec.stocked
        self.encoding = encoding or self.seller.actions
        place = spec.seat_place(seat)
        if self.stocked and self.seller.order_up_to[1] == 0:
            raise UserError(
                f"{place}.order_up_to: must be [low, high] with high above 0, or the seat could never order"
            )
        self.space: spaces.Space[Any]
        if self.encoding == "grid":
            if self.seller.grid is None:
                raise UserError(f"{place}.grid: a seat that decides on a grid needs grid: {{prices: ..., levels: ...}}")
            self.prices = axis_values(self.seller.grid.prices, self.seller.prices)
            self.levels = axis_values(self.seller.grid.levels, self.seller.order_up_to) if self.stocked else np.zeros(1)
            self.space = spaces.Discrete(len(self.prices) * len(self.levels))
        elif self.encoding in BOXES:
            self.width = BOXES[self.encoding] if self.stocked else 1
            self.space = spaces.Box(-1.0, 1.0, (self.width,), np.float32)
            center = self.seller.center
            self.price = Scale(self.seller.prices, None if center is None else center.price)
            self.level = Scale(self.seller.order_up_to, None if center is None else center.level, OF_LEVEL)
        else:
            raise UserError(f"{place}: actions must be {', '.join(BOXES)} or grid, got {self.encoding!r}")

    @property
    def axes(self) -> tuple[int, int] | None:
        """Prices x levels of a grid; None in the Box."""
        return (len(self.prices), len(self.levels)) if self.encoding == "grid" else None

    @property
    def listed(self) -> bool:
        """Whether a grid's values are listed one by one, where they matter, and not so many spread over the whole range."""
        grid = self.seller.grid
        if self.encoding != "grid" or grid is None:
            return False
        return isinstance(grid.prices, tuple) and (isinstance(grid.levels, tuple) or not self.stocked)

    def decode(self, action: NDArray[Any]) -> tuple[Floats, Floats]:
        """Actions (M,) on a grid or (M, 1 to 3) in the Box to prices (M,) and order-up-to levels (M,), 0 for no order.

        Values outside the Box are clipped; NaN or an index outside the grid raises :class:`UserError`.
        """
        if self.encoding == "grid":
            return self._decode_grid(np.asarray(action))
        width, box = self.width, np.asarray(action, np.float64)
        if box.ndim not in (1, 2) or box.shape[-1] != width:
            raise UserError(f"action of seller {self.seller.name}: must have shape (M, {width}), got {box.shape}")
        box = box.reshape(-1, width)
        if np.isnan(box).any():
            raise UserError(f"action of seller {self.seller.name}: NaN is not a decision")
        inside = np.clip(box, -1.0, 1.0)
        price = self.price.value(inside[:, 0])
        level = self.level.value(inside[:, 1]) if width > 1 else np.zeros(len(box))
        return price, np.where(box[:, 2] > 0, level, 0.0) if width > 2 else level

    def _decode_grid(self, action: NDArray[Any]) -> tuple[Floats, Floats]:
        if action.dtype.kind == "f" and not (np.isfinite(action).all() and np.array_equal(action, np.rint(action))):
            raise UserError(f"action of seller {self.seller.name}: a grid takes whole numbers, not {action!r}")
        index = action.astype(np.int64).reshape(-1)
        size = len(self.prices) * len(self.levels)
        if ((index < 0) | (index >= size)).any():
            raise UserError(f"action of seller {self.seller.name}: must be 0 to {size - 1}, got {index!r}")
        return self.prices[index // len(self.levels)], self.levels[index % len(self.levels)]

    def encode(self, price: Floats, level: Floats) -> NDArray[Any]:
        """The action nearest to prices (M,) and levels (M,): float32 (M, 1 to 3) or int64 (M,)."""
        price, level = np.atleast_1d(price), np.atleast_1d(level)
        if self.encoding == "grid":
            nearest_price = np.abs(price[:, None] - self.prices).argmin(1)
            nearest_level = np.abs(level[:, None] - self.levels).argmin(1)
            return np.asarray(nearest_price * len(self.levels) + nearest_level, np.int64)
        columns = [self.price.number(price)]
        if self.width > 1:
            columns.append(self.level.number(level))
        if self.width > 2:
            columns.append(np.where(level > 0, 1.0, -1.0))
        return np.stack(columns, axis=1).astype(np.float32)


LEAST_SLOPE = 0.05  # of the range, a unit of action at a center near an end
OF_LEVEL = 0.6  # the same, of a level's way down: without it A2C earned less (tests/experiments/learning_table.md)


class Scale:
    """What a number in [-1, 1] means on a range [low, high]: linear, or fine around a center and coarse far from it.

    Without a center linear over the range. Else at the share u of the way to an end at distance L, of which a L = s are
    linear: c +- L (a u + (1 - a) u^3). The slope s is the shorter of the two ways, but 5 % of the range and the share
    ``least`` of the way down at least, and a is at most 1: a way shorter than s is linear. All of the range is in reach,
    and what explores around the center stays near it.
    ``linear``: a of the way down and of the way up.
    Range [0, 200], center 20, s = 20: -1 is 0, -.5 is 10, .5 is 20 + 180 (.0556 + .1111) = 50, 1 is 200.
    """

    def __init__(self, bounds: tuple[float, float], center: float | None = None, least: float = 0.0) -> None:
        self.low, self.high = bounds
        middle = (self.low + self.high) / 2 if center is None else center
        self.down, self.up = middle - self.low, self.high - middle
        slope = max(min(self.down, self.up), least * self.down, LEAST_SLOPE * (self.high - self.low))
        self.linear = tuple(min(slope / way, 1.0) if way else 1.0 for way in (self.down, self.up))

    def value(self, number: Floats) -> Floats:
        """Values (M,) of numbers (M,) in [-1, 1]."""
        down, up = self._left(-number, 0), self._left(number, 1)
        return np.asarray(np.where(number < 0, self.low + self.down * down, self.high - self.up * up))

    def one(self, number: float) -> float:
        """:meth:`value` of one number, the same bits."""
        if number < 0:
            return float(self.low + self.down * self._left(-number, 0))
        return float(self.high - self.up * self._left(number, 1))

    def _left(self, share: Any, side: int) -> Any:
        """What is left of the way to an end."""
        linear = self.linear[side]
        return 1.0 - share * (linear + (1.0 - linear) * share * share)

    def number(self, value: Floats) -> Floats:
        """The numbers (M,) of values (M,), which are clipped to the range; 0 where it is a single point."""
        if self.low == self.high:
            return np.zeros_like(value)
        away = np.clip(value, self.low, self.high) - (self.low + self.down)
        down, up = (
            _cubic_root(np.abs(away) / (way or 1.0), a)
            for way, a in zip((self.down, self.up), self.linear, strict=True)
        )
        return np.clip(np.where(away < 0, -down, up), -1.0, 1.0)


def _cubic_root(share: Floats, linear: float) -> Floats:
    """The u of a u + (1 - a) u^3 = ``share``, a = ``linear`` in (0, 1]: the equation's one real root."""
    if linear == 1.0:
        return share
    p, q = linear / (1 - linear), share / (1 - linear)
    half = np.sqrt(p / 3)
    return np.asarray(2 * half * np.sinh(np.arcsinh(q / (2 * half**3)) / 3))


def order_quantity(level: Floats, on_hand: Floats, on_order: Floats) -> Floats:
    """Order up to ``level``: the quantity that brings the inventory position (on hand + on order) to it."""
    return np.maximum(level - (on_hand + on_order), 0.0)
