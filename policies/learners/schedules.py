"""Schedules: how a step size, or the strength of exploration, goes from its first value to its last."""

from __future__ import annotations

import math
from collections.abc import Callable

SHAPES: dict[str, Callable[[float, float, float], float]] = {
    "constant": lambda start, final, x: start,
    "linear": lambda start, final, x: start + (final - start) * x,
    "cosine": lambda start, final, x: final + (start - final) * 0.5 * (1.0 + math.cos(math.pi * x)),
    "exponential": lambda start, final, x: start * (final / start) ** x if start else 0.0,
}


def anneal(shape: str, start: float, final: float, x: float) -> float:
    """The value at ``x`` of the way, 0 to 1, from ``start`` to ``final``, neither below zero; never below zero itself.

    ``constant`` stays at ``start``. ``cosine`` is half a period of it (Loshchilov and Hutter 2017, equation 5, without
    restarts). ``exponential`` loses the same share in equal times, so it cannot end at 0.
    """
    return max(SHAPES[shape](start, final, x), 0.0)
