"""A seat's action space (grid or Box) <-> (price, order). Orders are given as order-up-to levels.

A Box action lies in [-1, 1]: first the price, then the level, each linear over its range. Where it is gated a third
number says whether to order at all: above 0 up to the level, else nothing, which is level 0. (A level alone orders in
every period in which something was sold, and what explores around a level orders always: where each order costs, that
is the difference between profit and loss.) A grid action is an index: price index x number of levels + level index;
its level 0, too, is no order. Made-to-order sellers decide a price only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from market.errors import UserError
from market.spec.models import MarketSpec, SellerSpec
from market.state import Floats


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
        else:
            raise UserError(f"{place}: actions must be {', '.join(BOXES)} or grid, got {self.encoding!r}")

    @property
    def axes(self) -> tuple[int, int] | None:
        """Prices x levels of a grid; None in the Box."""
        return (len(self.prices), len(self.levels)) if self.encoding == "grid" else None

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
        unit = (np.clip(box, -1.0, 1.0) + 1.0) / 2.0
        price = _between(self.seller.prices, unit[:, 0])
        level = _between(self.seller.order_up_to, unit[:, 1]) if width > 1 else np.zeros(len(unit))
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
        columns = [_unit(self.seller.prices, price)]
        if self.width > 1:
            columns.append(_unit(self.seller.order_up_to, level))
        if self.width > 2:
            columns.append(np.where(level > 0, 1.0, -1.0))
        return np.stack(columns, axis=1).astype(np.float32)


def _between(bounds: tuple[float, float], unit: Floats) -> Floats:
    return bounds[0] + (bounds[1] - bounds[0]) * unit


def _unit(bounds: tuple[float, float], value: Floats) -> Floats:
    width = bounds[1] - bounds[0]
    return np.clip(2 * (value - bounds[0]) / width - 1, -1, 1) if width else np.zeros_like(value)


def order_quantity(level: Floats, on_hand: Floats, on_order: Floats) -> Floats:
    """Order up to ``level``: the quantity that brings the inventory position (on hand + on order) to it."""
    return np.maximum(level - (on_hand + on_order), 0.0)
