"""Periods of a sales file as whole numbers: integers as they are, ISO dates by their usual step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from market.sales.findings import Findings, named

if TYPE_CHECKING:
    import pandas as pd

MONTH = 30  # days: steps of 28 to 31 that keep the day of the month are months


def index_periods(raw: pd.Series[str], lines: pd.Series[int], found: Findings) -> tuple[pd.Series[int], Calendar]:
    """The index of each row's period, from 0, and what stands behind it.

    Integers 40, 41, 43 become 0, 1, 3. Dates a week apart do so too: the step is the commonest difference.
    """
    import pandas as pd

    numbers = pd.to_numeric(raw, errors="coerce")
    if numbers.notna().all() and (numbers % 1 == 0).all():
        first = int(numbers.min())
        index = numbers.astype("int64") - first
        return index, Calendar([str(first + t) for t in range(int(index.max()) + 1)], None, "period")
    dates = pd.to_datetime(raw, format="ISO8601", errors="coerce")
    if dates.isna().any():
        bad = lines[dates.isna()]
        found.error(
            f"{named('line', bad)}: period must be an integer or an ISO date in every row (got {raw[bad.index[0]]!r})"
        )
        found.settle()
    return _index_dates(dates, lines, found)


class Calendar:
    """Labels of periods 0 .. T - 1; their dates, or None when periods are integers; and the step's name."""

    def __init__(self, labels: list[str], dates: pd.DatetimeIndex | None, step: str) -> None:
        self.labels, self.dates, self.step = labels, dates, step


def _index_dates(
    dates: pd.Series[pd.Timestamp], lines: pd.Series[int], found: Findings
) -> tuple[pd.Series[int], Calendar]:
    import pandas as pd

    known = pd.DatetimeIndex(sorted(dates.unique()))
    if len(known) > 1 and known.day.nunique() == 1 and 28 <= (known[1:] - known[:-1]).days.min() <= 31:
        months = (dates.dt.year * 12 + dates.dt.month).astype("int64")
        index = months - int(months.min())
        every = pd.date_range(known[0], periods=int(index.max()) + 1, freq=pd.DateOffset(months=1))
        return index, Calendar([day.date().isoformat() for day in every], every, "month")
    step = int(pd.Series((known[1:] - known[:-1]).days).mode().iloc[0]) if len(known) > 1 else 1
    days = (dates - known[0]).dt.days
    if step < 1 or (days % step != 0).any():
        off = lines[days % max(step, 1) != 0]
        found.error(
            f"{named('line', off)}: dates must lie a whole number of steps apart; the commonest step here is {step} "
            f"days from {known[0].date()} on"
        )
        found.settle()
    index = (days // step).astype("int64")
    every = pd.date_range(known[0], periods=int(index.max()) + 1, freq=f"{step}D")
    name = {1: "day", 7: "week"}.get(step, f"{step} days")
    return index, Calendar([day.date().isoformat() for day in every], every, name)
