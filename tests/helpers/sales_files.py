"""Sales files for tests: counts of a logit market with known parameters, drawn with numpy alone, and written as CSV.

Nothing of the project is imported here: what a calibration finds is compared with what this file put in.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

Row = dict[str, Any]
MONDAY = date(2023, 1, 2)


@dataclass(frozen=True)
class Truth:
    """A market of ``sellers`` over ``periods``: utility ``quality - alpha price + effect promo + shock``, outside 0.

    ``log``: alpha times the price's logarithm. ``size``: customers a period, by market. ``rho``: one nest of all.
    """

    sellers: tuple[str, ...] = ("ann", "bob", "cem")
    periods: int = 60
    markets: tuple[str, ...] = ()
    alpha: float = 1.5
    log: bool = False
    rho: float = 0.0
    effect: float = 0.0
    shock: float = 0.1
    size: float = 4000.0
    spread: float = 0.12
    level: float = 3.0
    quality: float | None = None
    cost: bool = False
    seed: int = 0
    names: Mapping[str, str] = field(default_factory=dict)


def shares(utility: np.ndarray[Any, Any], rho: float = 0.0) -> np.ndarray[Any, Any]:
    """Nested logit shares (N,) against an outside option of utility 0, all sellers in one nest."""
    weight = np.exp(utility / (1 - rho))
    inclusive = weight.sum() ** (1 - rho)
    return np.asarray(weight / weight.sum() * inclusive / (1 + inclusive))


def drawn(truth: Truth) -> list[Row]:
    """One row a market, period and seller, in this order; units are multinomial counts."""
    rng = np.random.default_rng(truth.seed)
    count = len(truth.sellers)
    middle = truth.alpha * (np.log(truth.level) if truth.log else truth.level)
    quality = (middle - 1.5 if truth.quality is None else truth.quality) + 0.2 * np.arange(count)
    rows: list[Row] = []
    for market in truth.markets or ("",):
        for t in range(truth.periods):
            price = (truth.level * np.exp(truth.spread * rng.standard_normal(count))).round(2)
            promo = (rng.random(count) < 0.2).astype(int) if truth.effect else np.zeros(count, int)
            paid = np.log(price) if truth.log else price
            utility = quality - truth.alpha * paid + truth.effect * promo + truth.shock * rng.standard_normal(count)
            share = shares(utility, truth.rho)
            units = rng.multinomial(int(truth.size), [*share, 1 - share.sum()])
            for k, seller in enumerate(truth.sellers):
                row: Row = {"market": market} if truth.markets else {}
                row |= {"period": t + 1, "seller": seller, "price": float(price[k]), "units": int(units[k])}
                row |= {"promo_flyer": int(promo[k])} if truth.effect else {}
                row |= {"cost": round(0.6 * float(price[k]) + 0.1 * rng.random(), 3)} if truth.cost else {}
                rows.append(row)
    return rows


def sound(**changes: Any) -> list[Row]:
    """A table in which nothing is wrong."""
    return drawn(replace(Truth(), **changes))


def changed(rows: Sequence[Row], at: Mapping[int, Row] | Callable[[int, Row], Row]) -> list[Row]:
    """The rows, some cells of them replaced: by their index, or by a function of index and row."""
    change = at if callable(at) else lambda k, row: at.get(k, {})
    return [row | change(k, row) for k, row in enumerate(rows)]


def csv_text(rows: Sequence[Row], heads: Iterable[str] | None = None) -> str:
    """The rows as CSV under the first row's names: row k stands in line k + 2."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    names = list(rows[0]) if heads is None else list(heads)
    writer.writerow(names)
    writer.writerows([row[name] for name in names] for row in rows)
    return file.getvalue()


def write_sales(folder: Path, rows: Sequence[Row] | str, name: str = "sales.csv") -> Path:
    """A file of the rows, or of the text as it is."""
    path = folder / name
    path.write_bytes((rows if isinstance(rows, str) else csv_text(rows)).encode())
    return path


def weekly(period: int) -> str:
    """The Monday of a week from 1 on."""
    return (MONDAY + timedelta(weeks=period - 1)).isoformat()


def monthly(period: int, day: int = 1) -> str:
    """A day of the month, from January 2020 = 1 on."""
    return date(2020 + (period - 1) // 12, (period - 1) % 12 + 1, day).isoformat()


def month_end(period: int) -> str:
    """The last day of the month, from January 2020 = 1 on."""
    return (date.fromisoformat(monthly(period + 1)) - timedelta(days=1)).isoformat()


def dated(rows: Sequence[Row], day: Callable[[int], str]) -> list[Row]:
    """The rows with dates for their whole numbers."""
    return [row | {"period": day(row["period"])} for row in rows]
