"""Reading states: YAML or JSON for one decision or a few, CSV or Parquet for many, in the fields that the market shows.

D rows, K fields.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from market.errors import UserError
from market.spec.loading import read_data, suggestion
from market.spec.models import MarketSpec, day_of
from market.state import Floats, Ints
from policies.deployment.fields import COST, DATE, LABEL, LOCATION, PERIOD, Field

TABLES: dict[str, Callable[[Path], pd.DataFrame]] = {".csv": pd.read_csv, ".parquet": pd.read_parquet}
TRUE, FALSE = ("true", "yes", "1", "1.0"), ("false", "no", "0", "0.0")
STATE = "state"  # what a mistake is told with where there is no file
HISTORY = "history"  # earlier states of the one that is decided, the oldest first


@dataclass(frozen=True)
class Given:
    """States as they were given: ``values`` (D, K) by field, ``cost`` (D,) money, NaN where there is none.

    ``location`` (D,): number of each row's. ``decision`` (D,): which decision a row belongs to; of rows of one the last
    is decided, those before are what happened earlier.
    """

    labels: list[str]
    values: Floats
    cost: Floats
    location: Ints
    decision: Ints

    @property
    def last(self) -> Ints:
        """The row of each decision that is decided."""
        return np.flatnonzero(np.append(self.decision[1:] != self.decision[:-1], True))


def read_states(path: Path, spec: MarketSpec, seat: int, fields: Sequence[Field], joined: bool) -> Given:
    """The states of a file.

    Args:
        joined: whether rows of one ``id`` are one decision's, the earliest first, as for a seller that remembers.

    Raises:
        UserError: a file that cannot be read, or a row with a field that is unknown, no number or out of the possible.
    """
    if reader := TABLES.get(path.suffix.lower()):
        return _given(list(_rows_of_a_table(path, reader)), str(path), spec, fields, joined, alike=True)
    return told_states(read_data(path), str(path), spec, seat, fields, joined)


def told_states(data: Any, place: str, spec: MarketSpec, seat: int, fields: Sequence[Field], joined: bool) -> Given:
    """A mapping, or a list of them, as :func:`read_states`; ``place`` is what a mistake is told with."""
    return _given(list(_entries(data, place, spec, seat)), place, spec, fields, joined)


def _given(
    rows: Sequence[tuple[str, Mapping[str, Any]]],
    where: str,
    spec: MarketSpec,
    fields: Sequence[Field],
    joined: bool,
    alike: bool = False,
) -> Given:
    """Rows with their places; ``alike``: they have the same columns."""
    if not rows:
        raise UserError(f"{where}: holds no state")
    when = any(field.name == PERIOD for field in fields)
    rows = [(place, dated(row, spec, f"{place}: ") if when else _undated(row)) for place, row in rows]
    known = [LABEL, COST, *([LOCATION] if len(spec.locations) > 1 else []), *(field.name for field in fields)]
    for place, row in rows[:1] if alike else rows:
        for name in row:
            if name not in known:
                raise UserError(f"{place}: {name}: unknown field{suggestion(name, known)}")
    values = np.array([[_cell(row.get(field.name), field, place) for field in fields] for place, row in rows])
    labels = [_text(row.get(LABEL)) for _, row in rows]
    decision = _decisions(labels if joined else [], len(rows), [place for place, _ in rows])
    cost = np.array([number(row.get(COST), f"{place}: {COST}") for place, row in rows])
    location = np.array([_location(row.get(LOCATION), spec, place) for place, row in rows], np.int64)
    return Given(labels, values.reshape(len(rows), len(fields)), cost, location, decision)


def _undated(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without the date, which says nothing where the market has no calendar."""
    return {key: value for key, value in row.items() if key != DATE} if DATE in row else row


def dated(row: Mapping[str, Any], spec: MarketSpec, place: str) -> Mapping[str, Any]:
    """A state that tells its ``date`` with the period in which that lies in its place; others as they are.

    Raises :class:`UserError` for what is no date, for one beside a period, and where the market does not know days.
    """
    if _empty(row.get(DATE)):
        return _undated(row)
    rest = {key: value for key, value in row.items() if key != DATE}
    if not _empty(rest.get(PERIOD)):
        raise UserError(f"{place}{DATE}: is given beside {PERIOD}: one of them says when")
    day, origin = day_of(row[DATE]), spec.estimated_from
    if day is None:
        raise UserError(f"{place}{DATE}: must be a date such as 2024-05-06, got {str(row[DATE])!r}")
    found = None if origin is None else origin.period_of(day, spec.period)
    if found is None or origin is None:
        raise UserError(f"{place}{DATE}: the market does not say on which day its calendar begins: give {PERIOD}")
    if found < 0:
        raise UserError(
            f"{place}{DATE}: must be {origin.first} or later, where the market's calendar begins, got {day}"
        )
    return rest | {PERIOD: found}


def _rows_of_a_table(path: Path, reader: Callable[[Path], pd.DataFrame]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every row with its place."""
    try:
        table = reader(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    names = [str(name) for name in table.columns]
    columns = [table[name].tolist() for name in table.columns]
    kind, first = ("line", 2) if reader is pd.read_csv else ("row", 1)
    for k, cells in enumerate(zip(*columns, strict=True)):
        yield f"{path}: {kind} {first + k}", dict(zip(names, cells, strict=True))


def _entries(data: Any, where: str, spec: MarketSpec, seat: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every state, what happened before it first, with its place; fields under their full names."""
    for k, entry in enumerate(data if isinstance(data, list) else [data]):
        place, label = (
            (f"{where} {k + 1}" if where == STATE else f"{where}: state {k + 1}", str(k + 1))
            if isinstance(data, list)
            else (where, "")
        )
        if not isinstance(entry, dict):
            raise UserError(f"{place}: must be a mapping of fields to values")
        earlier = entry.get(HISTORY) or []
        for j, one in enumerate(earlier if isinstance(earlier, list) else [earlier]):
            if not isinstance(one, dict):
                raise UserError(f"{place}: {HISTORY}.{j}: must be a mapping of fields to values")
            flat = _flat(one, spec, seat, f"{place}: {HISTORY}.{j}")
            yield f"{place}: {HISTORY}.{j}", flat | {LABEL: entry.get(LABEL, label)}
        now = {key: value for key, value in entry.items() if key != HISTORY}
        yield place, {LABEL: label} | _flat(now, spec, seat, place)


def _flat(entry: Mapping[str, Any], spec: MarketSpec, seat: int, place: str) -> dict[str, Any]:
    """A state's fields under their full names."""
    found: dict[str, Any] = {}
    for key, value in entry.items():
        if key == "on_order":
            found |= _on_order(value, spec.sellers[seat].lead_time, place)
        elif key in ("rivals", "events"):
            found |= _by_seller(key, value, place)
        else:
            found[str(key)] = value
    return found


def _on_order(value: Any, lead_time: int, place: str) -> dict[str, float]:
    """Orders on their way: ``[{arrives_in: 1, units: 4}]``; what arrives together is added up."""
    sums: dict[str, float] = {f"arriving_in_{slot}": 0.0 for slot in range(1, lead_time)}
    for k, one in enumerate(value if isinstance(value, list) else [value] if value is not None else []):
        at = f"{place}: on_order.{k}"
        if not isinstance(one, dict) or set(one) != {"arrives_in", "units"}:
            raise UserError(f"{at}: must be {{arrives_in: PERIODS, units: UNITS}}")
        name = f"arriving_in_{one['arrives_in']}"
        if name not in sums:
            most = f"from 1 to {lead_time - 1}" if lead_time > 1 else "nothing: what was ordered last is there by now"
            raise UserError(f"{at}.arrives_in: must be {most} (the market's lead time is {lead_time})")
        sums[name] += number(one["units"], f"{at}: units")
    return sums


def _by_seller(key: str, value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{place}: {key}: must be a mapping of sellers to what is known of them")
    found: dict[str, Any] = {}
    for name, own in value.items():
        if isinstance(own, list):
            own = {f"in_{ahead}": one for ahead, one in enumerate(own)}
        if not isinstance(own, dict):
            raise UserError(f"{place}: {key}.{name}: must be a mapping, such as {{price: 1.8}}")
        found |= {f"{key}.{name}.{inner}": one for inner, one in own.items()}
    return found


def _cell(value: Any, field: Field, place: str) -> float:
    """A field's cell as a number; NaN where it is empty."""
    if not field.flag or _empty(value):
        return number(value, f"{place}: {field.name}", field.least)
    word = str(value).strip().lower()
    if word not in (*TRUE, *FALSE):
        raise UserError(f"{place}: {field.name}: must be true or false, got {value!r}")
    return float(word in TRUE)


def number(value: Any, place: str, least: float = 0.0) -> float:
    """What was given as a number; NaN where nothing was. Raises :class:`UserError` with its ``place`` for anything else."""
    if _empty(value):
        return math.nan
    try:
        found = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found) or found < least:
        raise UserError(f"{place}: must be a number of at least {least:g}, got {value!r}")
    return found


def _empty(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _text(value: Any) -> str:
    return "" if _empty(value) else str(value)


def _location(value: Any, spec: MarketSpec, place: str) -> int:
    names = [one.name for one in spec.locations]
    if len(names) < 2:
        return 0
    if value not in names:
        raise UserError(f"{place}: {LOCATION}: must be one of {', '.join(names)}, got {value!r}")
    return names.index(value)


def _decisions(labels: Sequence[str], rows: int, places: Sequence[str]) -> Ints:
    """The number of each row's decision: rows of one label that follow one another, or each row by itself."""
    if not labels:
        return np.arange(rows)
    starts = [k == 0 or labels[k] != labels[k - 1] for k in range(rows)]
    seen: set[str] = set()
    for k in np.flatnonzero(starts).tolist():
        if labels[k] in seen:
            raise UserError(f"{places[k]}: {LABEL}: rows of {labels[k]!r} must follow one another, the earliest first")
        seen.add(labels[k])
    return np.cumsum(starts) - 1
