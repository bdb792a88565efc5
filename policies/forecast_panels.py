"""What the pictures of a forecast have in common: which series, and which periods of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from market.layout import Floats
from market.sales.outlook import Outlook
from policies.forecast_view import percent

if TYPE_CHECKING:
    from policies.forecast_command import Forecasts

MOST = 24  # panels of a picture
LEAST_SHOWN = 26  # periods of history
SHOWN = 4  # horizons of history, where that is more


@dataclass(frozen=True)
class Panel:
    """One series: its last periods (P,) with the units sold, and the periods ahead (H,), as dates or numbers."""

    outlook: Outlook
    past: Sequence[Any]
    units: Floats
    ahead: Sequence[Any]

    @property
    def title(self) -> str:
        """The series and its model."""
        return f"{self.outlook.series.name} ({self.outlook.chosen.model}, MASE {self.outlook.chosen.mase:.2f})"

    @property
    def joined(self) -> tuple[Sequence[Any], Floats, Floats, Floats]:
        """Periods, mean, low and high ahead, from the last unit sold on, so that nothing lies between (H + 1,)."""
        last, ahead = self.units[-1:], self.outlook.forecast
        columns = (np.concatenate([last, part]) for part in (ahead.mean, ahead.low, ahead.high))
        mean, low, high = columns
        return [self.past[-1], *self.ahead], mean, low, high


def panels_of(result: Forecasts) -> list[Panel]:
    """A panel for each of the first :data:`MOST` series."""
    every = _axis(result)
    horizon, periods = result.plan.horizon, len(result.sales.labels)
    found = []
    for outlook in result.outlooks[:MOST]:
        units = outlook.series.units[-max(LEAST_SHOWN, SHOWN * horizon) :]
        found.append(Panel(outlook, every[periods - len(units) : periods], units, every[periods:]))
    return found


def _axis(result: Forecasts) -> list[Any]:
    """All periods to the last ahead: numpy dates, or whole numbers."""
    labels = [*result.sales.labels, *result.ahead]
    return [int(label) if result.sales.dates is None else np.datetime64(label) for label in labels]


def heading(result: Forecasts) -> str:
    """What the pictures show, in one sentence."""
    hidden = len(result.outlooks) - MOST
    more = f"; the first {MOST} of {len(result.outlooks)} series" if hidden > 0 else ""
    return f"Units sold, and {result.plan.horizon} {result.unit} ahead with {percent(result.plan.level)} interval{more}"
