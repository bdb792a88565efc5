"""`bazaar sales`: what people have, as a sales file that every other command reads as it stands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from market.errors import UserError
from market.salesfile.table import ONLY, Sales, read_sales
from policies.common.files import refuse_unwritable, write_csv
from policies.common.progress import phases
from policies.common.results import WrittenRecords
from policies.config.command import ordered_by
from policies.config.orders import TidySalesOrder
from policies.sales.reading import reading_options, steps_table
from policies.views.table import Cells, Column, Note, Table

DECIMALS = 6
MOST = 20  # sellers that are shown


class TidySales(WrittenRecords):
    """A sales file that was written: a row a period, market and seller."""


@ordered_by(TidySalesOrder)
def tidy_sales(order: TidySalesOrder) -> TidySales:
    """Carry out `bazaar sales`: read what is there, say what was made of it, and write one row a period, market and seller.

    Raises :class:`UserError` for a file that would be written over, what cannot be read, and what could be read in two
    ways, with the option that says how; nothing is written then.

    Example::

        from pathlib import Path
        from policies import tidy_sales

        text = "Datum;Artikel;Menge;Preis\\n02.01.2023;Tee;1.200;2,49 €\\n03.01.2023;Tee;1.100;2,59 €\\n"
        Path("export.csv").write_text(text, encoding="utf-8")
        print(tidy_sales("export.csv", output="tidy.csv").to_frame())
    """
    refuse_unwritable(order.output, order.force)
    if order.output.suffix.lower() != ".csv":
        raise UserError(f"--output {order.output}: must end with .csv")
    if order.query is not None and len(order.raw) != 1:
        raise UserError("--query: one database answers it; RAW must be its address, such as sqlite:///shop.db")
    paths = [Path(one) for one in order.raw]
    if any(path.resolve() == order.output.resolve() for path in paths):
        raise UserError(f"{order.output}: is what would be read; choose another name")
    query = (order.raw[0], order.query) if order.query is not None else None
    with phases(order.console, f"reading {', '.join(order.raw)}") as say:
        sales = read_sales(paths, reading_options(order), query, say)
    write_csv(order.output, tidy_rows(sales), "\n")
    if sales.steps:
        steps_table(sales).print(order.console)
    _about(sales).print(order.console)
    order.console.print(f"Written: {order.output}: {len(sales.rows):,} rows", highlight=False, markup=False)
    return TidySales(order.output)


def tidy_rows(sales: Sales) -> Iterator[dict[str, Any]]:
    """A row a period, market and seller, under Bazaar's names."""
    names = [
        name
        for name in sales.rows.columns
        if name not in ("line", "period") and (name, len(sales.markets)) != ("market", 1)
    ]
    if sales.markets != [ONLY] and "market" not in names:
        names.insert(0, "market")
    columns = [sales.rows[name].tolist() for name in names]
    for period, *cells in zip(sales.rows["period"].tolist(), *columns, strict=True):
        yield {"period": sales.labels[period]} | dict(zip(names, map(_cell, cells), strict=True))


def _cell(value: Any) -> Any:
    """Whole numbers without decimals, others to six of them."""
    if not isinstance(value, float):
        return value
    return int(value) if value.is_integer() else round(value, DECIMALS)


def _about(sales: Sales) -> Table:
    """A row a seller: in how many periods it is there, at what prices, and what it sells."""
    columns = [
        Column(""),
        Column("rows", "{:,.0f}"),
        Column("price", "{:.2f}"),
        Column("from", "{:.2f}"),
        Column("to", "{:.2f}"),
    ]
    columns += [Column(f"units a {sales.step}", "{:,.1f}"), Column("0 units", "{:.0%}")]
    groups = sales.rows.groupby("seller", observed=True)
    rows: list[list[Cells]] = []
    for name, own in groups:
        price, units = own["price"], own["units"]
        rows.append(
            [
                str(name),
                float(len(own)),
                float(price.mean()),
                float(price.min()),
                float(price.max()),
                float(units.mean()),
                float((units == 0).mean()),
            ]
        )
    notes = [Note(f"And {len(rows) - MOST} more sellers.")] if len(rows) > MOST else []
    markets = "" if sales.markets == [ONLY] else f", {len(sales.markets)} markets"
    first, last = sales.labels[0], sales.labels[-1]
    if sales.unused:
        notes.append(
            Note(f"Not used: {', '.join(sales.unused)}. A promotion that is left out changes every elasticity.", "note")
        )
    return Table(f"{len(sales.labels)} {sales.step}s, {first} to {last}{markets}", columns, rows[:MOST], notes)
