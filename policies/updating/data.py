"""What has been sold since a seller was trained: a sales file, or the log of the server that it decided for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from market.errors import UserError
from market.salesfile.table import ONLY, Sales, read_sales
from market.spec.models import MarketSpec, day_of
from policies.common.files import write_csv
from policies.config.orders import UpdateOrder
from policies.deployment.fields import DATE, PERIOD
from policies.sales.reading import reading_options, steps_table
from policies.sales.tidy import tidy_rows


@dataclass(frozen=True)
class NewData:
    """``phase``: of the first period in the calendar, None: by the file. ``source``: what the sales were read from."""

    sales: Sales
    source: str
    phase: int | None = None

    def write(self, file: Path) -> None:
        """Keep them as a sales file that every other command reads."""
        write_csv(file, tidy_rows(self.sales), "\n")


def new_data(order: UpdateOrder, spec: MarketSpec, seller: str) -> NewData:
    """Read what the order names.

    Raises :class:`UserError` for what cannot be read, and for a log that does not tell what all sellers sold.
    """
    if order.sales is not None:
        sales = read_sales(order.sales, reading_options(order))
        if sales.steps:
            steps_table(sales).print(order.console)
        return NewData(sales, str(order.sales))
    assert order.db is not None
    rows, phase = logged_sales(order.db, order.run, seller, spec)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "log.csv"
        write_csv(file, rows, "\n")
        sales = read_sales(file)
    source = order.db.rpartition("@")[2]  # without a password
    return NewData(replace(sales, path=Path(source)), source, phase)


def logged_sales(db: str, run: Path, seller: str, spec: MarketSpec) -> tuple[list[dict[str, Any]], int | None]:
    """Rows of a sales file from the decisions of a seller whose outcomes were told; and the first period's number.

    Outcomes that do not tell what all rivals asked and sold are left out. Units are what was wanted: sold, and lost where that was told. A decision's period is its state's, where states say it and
    it goes up; else decisions of a place are one period after the other, and the number is None.
    """
    entries = [one for one in _decisions(db, seller) if one["run"] == str(run.resolve())]
    settled = [one for one in entries if _is_whole(one["outcome"], seller, spec)]
    if not settled:
        raise UserError(
            f"{db}: holds no outcome of a decision of {seller} in {run} that tells price and sold of all rivals: "
            f"POST /v1/sellers/{seller}/outcomes tells them"
        )
    period, told = _periods(entries, spec)
    rows = [row for one in settled for row in _rows(one, period[one["decision"]], seller, spec)]
    return rows, min(row["period"] for row in rows) if told else None


def _decisions(db: str, seller: str) -> list[dict[str, Any]]:
    try:
        from policies.serving.log import DecisionLog, url_of
    except ImportError as error:
        raise UserError(f"{error.name} is missing: pip install 'bazaar-market[serve]'") from None
    log = DecisionLog(url_of(db), new=False)
    try:
        return list(log.all(seller))
    finally:
        log.close()


def _periods(entries: Iterable[Mapping[str, Any]], spec: MarketSpec) -> tuple[dict[int, int], bool]:
    """By decision its period, and whether states told it."""
    counted, told, places = dict[int, int](), dict[int, int](), dict[str, list[int]]()
    for one in entries:
        number, own = one["decision"], places.setdefault(_place(one), [])
        counted[number] = len(own)
        own.append(number)
        if (period := _told(one["state"], spec)) is not None:
            told[number] = period
    all_told = len(told) == len(counted)
    rises = all_told and all(told[a] < told[b] for own in places.values() for a, b in pairwise(own))
    return (told, True) if rises else (counted, False)


def _told(state: Mapping[str, Any], spec: MarketSpec) -> int | None:
    """The period that a state tells, as such or by its date."""
    if isinstance(period := state.get(PERIOD), int):
        return period
    day, origin = day_of(state.get(DATE)), spec.estimated_from
    return None if day is None or origin is None else origin.period_of(day, spec.period)


def _place(one: Mapping[str, Any]) -> str:
    return str(one["state"].get("location", ONLY))


def _is_whole(outcome: Mapping[str, Any] | None, seller: str, spec: MarketSpec) -> bool:
    """Whether it tells what a market is estimated from: what all of its sellers asked and sold."""
    rivals = {} if outcome is None else outcome.get("rivals", {})
    told = all({"price", "sold"} <= set(rivals.get(name, {})) for name in spec.names if name != seller)
    return outcome is not None and told


def _rows(one: Mapping[str, Any], period: int, seller: str, spec: MarketSpec) -> Iterable[dict[str, Any]]:
    outcome = one["outcome"]
    own = {"price": outcome.get("price", one["price"]), "sold": outcome["sold"] + outcome.get("lost", 0.0)}
    for name in spec.names:
        did = own if name == seller else outcome["rivals"][name]
        yield {"period": period, "market": _place(one), "seller": name, "price": did["price"], "units": did["sold"]}
