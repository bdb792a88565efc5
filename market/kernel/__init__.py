"""The marketplace's arithmetic as scalar functions that numba compiles: one period of one market, and what is built on it.

``period`` reads as the model does and calls the other files in the order of events; ``loops`` and ``qlearning`` have
the functions that Python calls, ``jit`` how all are compiled. Compiled functions live here (and in ``market.theory.bellman``).
"""

from market.kernel.choice import ABSENT
from market.kernel.inventory import SMOOTHING
from market.kernel.jit import compiled
from market.kernel.loops import (
    begin_parallel,
    begin_serial,
    observe_parallel,
    observe_serial,
    step_parallel,
    step_serial,
)
from market.kernel.observe import (
    CALENDAR,
    EVENT,
    FORECAST,
    IN_STOCK,
    LOG_REFERENCE,
    LOST,
    ON_HAND,
    PIPELINE,
    PRICE,
    REFERENCE,
    SIZE,
    SOLD,
)
from market.kernel.qlearning import learn_parallel, learn_serial

__all__ = [
    "ABSENT",
    "CALENDAR",
    "EVENT",
    "FORECAST",
    "IN_STOCK",
    "LOG_REFERENCE",
    "LOST",
    "ON_HAND",
    "PIPELINE",
    "PRICE",
    "REFERENCE",
    "SIZE",
    "SMOOTHING",
    "SOLD",
    "begin_parallel",
    "begin_serial",
    "compiled",
    "learn_parallel",
    "learn_serial",
    "observe_parallel",
    "observe_serial",
    "step_parallel",
    "step_serial",
]
