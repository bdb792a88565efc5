"""What the pictures of a forecast have in common: which series, and which periods of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from market.forecast.backtest import Outlook
from market.simulation.render import COLOURS
from market.state import Floats
from policies.sales.forecast_view import percent

if TYPE_CHECKING:
    from policies.sales.forecast import Forecasts

MOST = 24  # panels of a picture
LEAST_SHOWN = 26  # periods of history
HUES = len(COLOURS) - 1  # colours of forecasts: the last is black, as what was sold is
SHOWN = 4  # horizons of history, where that is more


@dataclass(frozen=True)
class Panel:
    """One series: its last periods (P,) with the units sold, and the periods ahead (H,), as dates or numbers.

    ``tried``: periods and forecasts of the chosen model's folds, as far back as the panel goes.
    """

    outlook: Outlook
    past: Sequence[Any]
    units: Floats
    ahead: Sequence[Any]
    tried: Sequence[tuple[Sequence[Any], Floats]]

    @property
    def title(self) -> str:
        """The series and its model; not the model's MASE, which chose it and so is optimistic."""
        return f"{self.outlook.series.name} ({self.outlook.chosen.model})"


def panels_of(result: Forecasts) -> list[Panel]:
    """A panel for each of the first :data:`MOST` series."""
    every = _axis(result)
    return [_panel(outlook, every, result.plan.horizon) for outlook in result.outlooks[:MOST]]


def _panel(outlook: Outlook, every: list[Any], horizon: int) -> Panel:
    series, periods = outlook.series, len(every) - horizon
    units = series.units[-max(LEAST_SHOWN, SHOWN * horizon) :]
    first = periods - len(units)
    begins = [(series.start + fold.begin, fold.forecast.mean) for fold in outlook.chosen.folds]
    tried = [(every[begin : begin + horizon], mean) for begin, mean in begins if begin >= first]
    return Panel(outlook, every[first:periods], units, every[periods:], tried)


def _axis(result: Forecasts) -> list[Any]:
    """All periods to the last ahead: numpy dates, or whole numbers."""
    labels = [*result.sales.labels, *result.ahead]
    return [int(label) if result.sales.dates is None else np.datetime64(label) for label in labels]


def heading(result: Forecasts) -> str:
    """What the pictures show, in one sentence."""
    hidden = len(result.outlooks) - MOST
    more = f"; the first {MOST} of {len(result.outlooks)} series" if hidden > 0 else ""
    interval = f"{percent(result.plan.level)} interval"
    return f"Units a {result.step}, {result.plan.horizon} {result.unit} ahead with {interval}{more}"


KEY = "Black: sold. In colour: forecast and interval; dashed or dotted: what the same model forecast in the backtest."
