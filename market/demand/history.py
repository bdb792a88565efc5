"""A sales file as a market's script: the shocks under which its prices give its sales, found by Berry's inversion.

P markets of the file, T periods, N sellers of the market.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from market.errors import UserError
from market.salesfile.options import ReadingOptions
from market.salesfile.table import PROMOTED, read_sales
from market.spec.models import MOST_CUSTOMERS, MarketSpec, TapeOptions
from market.state import NOT_OFFERED, Floats, Ints

if TYPE_CHECKING:
    import pandas as pd

Stamp = tuple[TapeOptions, int, int]  # a history without its fingerprint, and the file's time and size


@dataclass(frozen=True, eq=False)
class SalesArrays:
    """A sales file as arrays over its own J sellers; nan where it has no row."""

    markets: list[str]
    sellers: list[str]
    labels: list[str]
    sha256: str
    price: Floats  # (P, T, J) money per unit
    units: Floats  # (P, T, J)
    size: Floats | None  # (P, T) market size in units, nan where the file has no row
    promoted: NDArray[np.bool_]  # (P, T, J) whether a promotion is on
    line: Ints  # (P, T, J) of the file, 0 where there is none


@dataclass(frozen=True, eq=False)
class Replay:
    """A history ready to be played: what :class:`market.state.Script` takes, and the prices on record."""

    markets: list[str]
    labels: list[str]
    location: Ints  # (P,) index of each market's location, 0 without locations
    customers: Floats  # (P, T) mean number of customers
    utility: Floats  # (P, T, N) shock to utility
    event: NDArray[np.int8]  # (P, T, N) promotions, or (P, 0, N) where the market has no events
    price: Floats  # (P, T, N) the last on record; before the first, the first


def replay(spec: MarketSpec) -> Replay:
    """Read the history that ``spec.tape`` names, and recover its shocks with the parameters of ``spec``.

    Utilities are ``ln s_j - ln s_0 - rho ln s_(j|g) + outside`` (Berry 1994, *RAND* 25(2), eq. 28), of which
    :func:`settled_utility` is taken off; a seller without a sale is not offered. 50 and 25 of 100 units, plain logit:
    utilities ``ln 2`` and 0, as nothing bought is a quarter.

    Raises:
        UserError: with the key or the line: a file that cannot be read or has changed, a seller or a location that is
            missing, a horizon beyond its end, sales that reach the market's size, or prices outside a seat's range.
    """
    assert spec.tape is not None
    return _replay(spec, _stamp(spec.tape))


def pinned(spec: MarketSpec) -> MarketSpec:
    """The same market with its history checked and the file's SHA-256 in the key ``tape.sha256``; as it is without."""
    if spec.tape is None or spec.tape.sha256 is not None:
        return spec
    replay(spec)
    digest = _table(_stamp(spec.tape)).sha256
    return spec.model_copy(update={"tape": spec.tape.model_copy(update={"sha256": digest})})


def settled_utility(spec: MarketSpec, price: Floats, event: NDArray[np.bool_]) -> Floats:
    """What prices and events along histories (P, T, N) make of utility, shocks left out.

    With reference prices that includes ``weight (r - f(p))``, ``r`` as it goes along those prices. Quality 2, prices 1
    and 2 after a first price of 2, sensitivity 1, weight 2, memory 0.5: 2 - 1 + 2 (2 - 1) = 3, then 0 + 2 (1.5 - 2) = -1.
    """
    quality = np.array([seller.quality for seller in spec.sellers])
    paid = np.log(price) if spec.price_form == "log" else price
    effect = spec.events.effect if spec.events else 0.0
    utility = quality - spec.price_sensitivity * paid + effect * event
    if spec.prices_linger and spec.reference_price is not None:
        utility += spec.reference_price.weight * (_references(spec, paid, spec.reference_price.memory) - paid)
    return np.asarray(utility)


def _references(spec: MarketSpec, paid: Floats, memory: float) -> Floats:
    """Reference prices along ``paid`` = f(p) (P, T, N): begun where the market's state begins, at the first prices."""
    first = np.array([seller.first_price for seller in spec.sellers])
    reference = np.empty_like(paid)
    reference[:, 0] = np.log(first) if spec.price_form == "log" else first
    for t in range(1, paid.shape[1]):
        before = paid[:, t - 1]
        reference[:, t] = memory * (reference[:, t - 1] - before) + before
    return reference


def invert(spec: MarketSpec, units: Floats, size: Floats) -> Floats:
    """Utilities (..., N) that give ``units`` (..., N) of ``size`` (...), -inf where none is sold (see :func:`replay`)."""
    with np.errstate(divide="ignore"):
        log_units = np.log(units)
    total = units.sum(axis=-1, keepdims=True)
    nobody = np.log(size[..., None] - total)
    within = log_units - np.log(np.where(total > 0, total, 1.0))
    within = np.where(units > 0, within, 0.0)
    return np.asarray(log_units - nobody - spec.nest * within + spec.outside)


@lru_cache(maxsize=8)
def _replay(spec: MarketSpec, stamp: Stamp) -> Replay:
    table = _table(stamp)
    _check(spec, table)
    at = [table.sellers.index(name) for name in spec.names]
    price, units = table.price[..., at], np.nan_to_num(table.units[..., at])
    location = _locations(spec, table)
    size = _sizes(spec, table, location)
    _check_sizes(spec, table, units, size, table.line[..., at])
    _check_ranges(spec, price)
    shelf = np.array([seller.first_price for seller in spec.sellers])
    posted = _filled(price, shelf)
    promoted = table.promoted[..., at] & (spec.events is not None)
    utility = invert(spec, units, size) - settled_utility(spec, posted, promoted)
    event = promoted.astype(np.int8) if spec.events is not None else np.zeros((len(price), 0, len(at)), np.int8)
    utility = np.where(units > 0, utility, NOT_OFFERED)
    return Replay(table.markets, table.labels, location, size / spec.customers.basket, utility, event, posted)


def _stamp(tape: TapeOptions) -> Stamp:
    """What a file's content follows from: it is read again only when one of these has changed."""
    try:
        status = Path(tape.file).stat()
    except OSError as error:
        raise UserError(f"market.tape.file: {tape.file}: cannot be read ({error.strerror})") from None
    return tape.model_copy(update={"sha256": None}), status.st_mtime_ns, status.st_size


@lru_cache(maxsize=4)
def _table(stamp: Stamp) -> SalesArrays:
    import pandas as pd  # only a market with a history needs it

    tape = stamp[0]
    options = ReadingOptions(tape.columns, tape.where, tape.periods or (None, None), prefix="")
    try:
        sales = read_sales(Path(tape.file), options)
    except UserError as problem:
        raise UserError(f"market.tape: {problem}") from None
    markets, sellers, periods = sales.markets, sales.sellers, range(len(sales.labels))
    cells = pd.MultiIndex.from_product([markets, periods, sellers])
    rows = sales.rows.set_index(["market", "period", "seller"])

    def spread(values: pd.Series[float]) -> Floats:
        found = values.reindex(cells).to_numpy(np.float64)
        return np.asarray(found.reshape(len(markets), len(periods), len(sellers)))

    promoted = spread(rows[sales.promotions].max(axis=1)) >= PROMOTED
    numbers = pd.to_numeric(rows["line"].astype(str).str.rpartition(":")[2])  # of several files "shop.csv:2"
    line = np.nan_to_num(spread(numbers)).astype(np.int64)
    size = _one_size(Path(tape.file), spread(rows["market_size"]), line) if sales.has("market_size") else None
    price, units = spread(rows["price"]), spread(rows["units"])
    return SalesArrays(markets, sellers, sales.labels, sales.sha256, price, units, size, promoted, line)


def _one_size(file: Path, size: Floats, line: Ints) -> Floats:
    """The market size (P, T) that all rows of a market and period give."""
    largest = np.fmax.reduce(size, axis=-1)
    odd = size < largest[..., None]
    if odd.any():
        raise UserError(
            f"market.tape: {file}: line {line[odd].min()}: market_size must be the same for all sellers of a market "
            "and period"
        )
    return np.asarray(largest)


def _check(spec: MarketSpec, table: SalesArrays) -> None:
    tape = spec.tape
    assert tape is not None
    if tape.sha256 not in (None, table.sha256):
        raise UserError(
            f"market.tape.sha256: {tape.file} has changed: its SHA-256 is {table.sha256}, not {tape.sha256}"
        )
    for k, name in enumerate(spec.names):
        if name not in table.sellers:
            raise UserError(
                f"{spec.seat_place(k)}.name: {tape.file} has no such seller; it has {', '.join(table.sellers)}"
            )
    if spec.horizon > len(table.labels):
        raise UserError(
            f"market.horizon: {spec.horizon} goes beyond the {len(table.labels)} periods of {tape.file}: lower it"
        )


def _locations(spec: MarketSpec, table: SalesArrays) -> Ints:
    if not spec.locations:
        return np.zeros(len(table.markets), np.int64)
    names = [location.name for location in spec.locations]
    for market in table.markets:
        if market not in names:
            raise UserError(
                f"market.locations: market {market} of the sales file is not among {', '.join(names)}: add it, or "
                "leave locations out"
            )
    return np.array([names.index(market) for market in table.markets], np.int64)


def _sizes(spec: MarketSpec, table: SalesArrays, location: Ints) -> Floats:
    """Market sizes in units (P, T): the file's (their mean where it has no row), or the configuration's."""
    if table.size is None:
        base = spec.customers.rate * spec.customers.basket * np.array(spec.sizes)[location]
        return np.repeat(base[:, None], len(table.labels), axis=1)
    size = np.where(np.isnan(table.size), np.nanmean(table.size, axis=1)[:, None], table.size)
    if size.max() / spec.customers.basket > MOST_CUSTOMERS:
        raise UserError(f"market.tape: market_size comes to more than {MOST_CUSTOMERS:g} customers in a period")
    return size


def _check_sizes(spec: MarketSpec, table: SalesArrays, units: Floats, size: Floats, line: Ints) -> None:
    total = units.sum(axis=-1)
    if (total < size).all():
        return
    p, t = np.unravel_index(int(np.argmax(total / size)), total.shape)
    needed = float(total[p, t] * spec.customers.basket / size[p, t])
    place = f"line {line[p, t][line[p, t] > 0].min()} (market {table.markets[p]}, period {table.labels[t]})"
    if table.size is not None:
        remedy = f"market_size there must be above {total[p, t]:g}"
    else:
        remedy = f"customers.rate must be above {spec.customers.rate * needed / spec.customers.basket:.6g}"
    raise UserError(
        f"market.tape: {place}: {total[p, t]:g} units are sold in a market of {size[p, t]:g}, so that nobody would be "
        f"left who buys nothing: {remedy}"
    )


def _check_ranges(spec: MarketSpec, price: Floats) -> None:
    """A price that its seat may not post could not be replayed."""
    for k, seller in enumerate(spec.sellers):
        low, high = float(np.nanmin(price[..., k])), float(np.nanmax(price[..., k]))
        if low < seller.prices[0] or high > seller.prices[1]:
            needed = [min(low, seller.prices[0]), max(high, seller.prices[1])]
            raise UserError(
                f"{spec.seat_place(k)}.prices: [{seller.prices[0]:g}, {seller.prices[1]:g}] leaves out "
                f"prices of the history, from {low:g} to {high:g}: [{needed[0]:g}, {needed[1]:g}] would do"
            )


def _filled(price: Floats, shelf: Floats) -> Floats:
    """Prices (P, T, N) with gaps closed by the last one known, else the first, else ``shelf`` (N,)."""
    import pandas as pd

    filled = np.array([pd.DataFrame(place).ffill().bfill() for place in price], np.float64)
    return np.where(np.isnan(filled), shelf, filled)
