"""Decisions within rails (:class:`policies.config.rails.Rails`), and which of them bound. D decisions."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from market.state import Floats
from policies.config.rails import Rails

SAME = 1e-9  # of a price or an order: what rounding leaves moves nothing


@dataclass
class Railed:
    """Prices and orders (D,) on their way through the rails; ``bound``: of each decision the rails that moved it, and by how much."""

    price: Floats
    order: Floats
    bound: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.price, self.order = self.price.copy(), self.order.copy()
        self.bound = self.bound or [[] for _ in self.price]

    def move(self, rail: str, what: str, to: Floats) -> None:
        """Take values ``to`` (D,) for the ``price`` or the ``order``."""
        before: Floats = getattr(self, what)
        for k in np.flatnonzero(np.abs(to - before) > SAME * np.maximum(np.abs(before), 1.0)):
            self.bound[k].append(f"{rail}: {what} {before[k]:.4g} to {to[k]:.4g}")
        setattr(self, what, to)


def within_price(rails: Rails, railed: Railed, last: Floats, rivals: Floats | None, cost: Floats) -> None:
    """Prices as the rails have them. ``last`` (D,), ``rivals`` (D, R) or None, ``cost`` (D,): money per unit."""
    low, high = np.zeros_like(last), np.full_like(last, np.inf)

    def keep(rail: str, least: Floats, most: Floats) -> None:
        nonlocal low, high
        # Where nothing of the earlier range is left, the nearest end of the later one is all that is.
        low, high = np.clip(low, least, most), np.clip(high, least, most)
        railed.move(rail, "price", np.clip(railed.price, least, most))

    if rails.rivals is not None and rivals is not None:
        middle = np.median(rivals, axis=1)
        keep("rivals", middle * (1 - rails.rivals), middle * (1 + rails.rivals))
    if rails.change is not None:
        least, most = last * (1 - rails.change), last * (1 + rails.change)
        if rails.on_change == "hold":
            far = (railed.price < least) | (railed.price > most)
            railed.move("change", "price", np.where(far, last, railed.price))
            low, high = np.where(far, last, low), np.where(far, last, high)
        keep("change", least, most)
    if rails.price is not None:
        keep("price", np.full_like(last, rails.price[0]), np.full_like(last, rails.price[1]))
    if rails.endings:
        railed.move("endings", "price", _ending(railed.price, low, high, rails.endings))
        for k in np.flatnonzero(~_ends(railed.price, rails.endings)):
            railed.bound[k].append(f"endings: no such price from {low[k]:.4g} to {high[k]:.4g}")
    if rails.margin is not None:
        floor = cost * (1 + rails.margin)
        above = _ending_from(floor, rails.endings) if rails.endings else floor
        railed.move("margin", "price", np.where(railed.price < floor - SAME, above, railed.price))


def _ends(price: Floats, endings: tuple[float, ...]) -> NDArray[np.bool_]:
    """Which prices (D,) have such an ending."""
    off = (price[:, None] - np.asarray(endings) + 0.5) % 1 - 0.5
    return np.asarray((np.abs(off) <= SAME * np.maximum(price, 1.0)[:, None]).any(1))


def _ending(price: Floats, low: Floats, high: Floats, endings: tuple[float, ...]) -> Floats:
    """The nearest prices with such an ending between ``low`` and ``high``; as they are where there is none."""
    whole = np.floor(price)[:, None, None] + np.arange(-1, 2)[:, None]
    tried = (whole + np.asarray(endings)).reshape(len(price), -1)
    far = np.where(
        (tried < low[:, None] - SAME) | (tried > high[:, None] + SAME) | (tried <= 0),
        np.inf,
        np.abs(tried - price[:, None]),
    )
    best = far.argmin(1)
    rows = np.arange(len(price))
    return np.where(np.isfinite(far[rows, best]), tried[rows, best], price)


def _ending_from(floor: Floats, endings: tuple[float, ...]) -> Floats:
    """The lowest prices with such an ending that are not below the ``floor``. .50 at 1.30: 1.50; at 1.60: 2.50."""
    tried = (np.floor(floor)[:, None, None] + np.arange(2)[:, None] + np.asarray(endings)).reshape(len(floor), -1)
    return np.asarray(np.where(tried < floor[:, None] - SAME, np.inf, tried).min(1), np.float64)


def within_order(rails: Rails, railed: Railed, position: Floats, usual: float, cost: Floats) -> None:
    """Orders as the rails have them.

    Args:
        position: (D,) units on hand and on order.
        usual: units that the seller usually sells a period.
        cost: (D,) money per unit.
    """
    if rails.multiple is not None:
        railed.move("multiple", "order", np.floor(railed.order / rails.multiple + 0.5) * rails.multiple)
    if rails.least_order is not None:
        small = railed.order < rails.least_order
        kept = np.where(railed.order >= rails.least_order / 2, _up(rails.least_order, rails.multiple), 0.0)
        railed.move("least_order", "order", np.where(small & (railed.order > 0), kept, railed.order))
    caps = {
        "supply": None if rails.supply is None else np.maximum(rails.supply * usual - position, 0.0),
        "order": None if rails.order is None else np.full_like(railed.order, rails.order),
        "budget": None if rails.budget is None else rails.budget / np.maximum(cost, 1e-12),
    }
    for rail, most in caps.items():
        if most is not None:
            railed.move(rail, "order", np.where(railed.order > most, _down(most, rails), railed.order))


def _up(units: float, multiple: float | None) -> float:
    return units if multiple is None else float(np.ceil(units / multiple - SAME) * multiple)


def _down(most: Floats, rails: Rails) -> Floats:
    """The largest order up to ``most`` (D,) that is whole and a multiple; none where that is less than an order has at least."""
    step = rails.multiple or 1.0
    found = np.floor(most / step + SAME) * step
    return np.where(found < (rails.least_order or 0.0), 0.0, found)
