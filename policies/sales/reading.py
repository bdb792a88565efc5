"""How commands on sales files read one, as typed, and which files they may write."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from market.errors import UserError
from market.salesfile.options import ReadingOptions
from market.salesfile.table import Sales, no_column, read_sales
from market.spec.loading import read_yaml
from policies.common.files import refuse_unwritable
from policies.config.orders import OVERWRITE, CalibrateOrder, ForecastOrder, ReadingOrder, SalesOrder
from policies.views.table import Column, Table

DECIDING = (
    "period",
    "missing",
    "returns",
    "decimal",
    "dates",
    "zone",
    "encoding",
    "add_up",
)  # options about rows and texts


def read_ordered(order: SalesOrder) -> tuple[Sales, dict[str, Any]]:
    """The sales file of an order, and how it was read: ``columns``, ``where`` and ``periods``, None where not given; ``decided``.

    What was made of the file on the way is printed.
    """
    options = reading_options(order)
    sales = read_sales(order.sales, options)
    if sales.steps:
        steps_table(sales).print(order.console)
    reading = {"columns": options.columns, "where": options.where, "decided": decided_by_options(order)}
    return sales, reading | {"periods": list(options.periods) if order.periods else None}


def reading_options(order: ReadingOrder) -> ReadingOptions:
    """What an order says of the reading."""
    columns = columns_option(order.columns) if order.columns else {}
    decided = {name: getattr(order, name) for name in DECIDING}
    return ReadingOptions(columns, where_option(order.where), periods_option(order.periods), **decided)


def decided_by_options(order: ReadingOrder) -> list[str]:
    """The options, as typed, that say how rows and texts are meant, and that a configuration's tape does not have."""
    asked = {name: getattr(order, name) for name in DECIDING if getattr(order, name) != getattr(ReadingOptions(), name)}
    return [f"--{name.replace('_', '-')}{'' if value is True else f' {value}'}" for name, value in asked.items()]


def steps_table(sales: Sales) -> Table:
    """What was made of a file, and how many rows each step touched."""
    rows = [[step.what, None if step.rows is None else f"{step.rows:,}"] for step in sales.steps]
    return Table(f"{sales.path.name} was read so", [Column(""), Column("rows")], rows, narrow="wrap")


def columns_option(text: str) -> dict[str, str]:
    """``period=week,seller=brand`` as a mapping of Bazaar's names to the file's; or a YAML file that has it.

    A name with a comma in it stands in double quotes, as in CSV: ``"units=sold, in pieces",price=price``.
    """
    if "=" not in text and Path(text).suffix in (".yaml", ".yml"):
        items = [f"{ours}={theirs}" for ours, theirs in read_yaml(Path(text)).items()]
    else:
        items = next(csv.reader([text], skipinitialspace=True))
    found: dict[str, str] = {}
    for item in items:
        ours, _, theirs = (part.strip() for part in item.partition("="))
        if not (ours and theirs):
            raise UserError(f"--columns: {item.strip()!r} must be NAME=COLUMN, such as period=week")
        if (problem := no_column(ours)) is not None:
            raise UserError(f"--columns: {problem}")
        if ours in found:
            raise UserError(f"--columns: {ours} is given twice")
        found[ours] = theirs
    return found


def where_option(items: tuple[str, ...]) -> dict[str, str]:
    """``("category=YOGURT",)`` as a mapping."""
    found = {}
    for item in items:
        column, equals, value = (part.strip() for part in item.partition("="))
        if not (column and equals and value):
            raise UserError(f"--where {item}: must be COLUMN=VALUE, such as category=YOGURT")
        if column in found:
            raise UserError(f"--where {column}: is given twice")
        found[column] = value
    return found


def periods_option(text: str | None) -> tuple[str | None, str | None]:
    """``2:52`` as its two ends, of which one may be left out; ``2024-02``, without a colon, is both."""
    if text is None:
        return None, None
    first, colon, last = (part.strip() for part in text.partition(":"))
    if not (first or last):
        raise UserError(f"--periods {text}: must be FIRST:LAST, such as 2:52 or 1991-01-01:, or one such as 1991-02")
    return first or None, (last if colon else first) or None


def refuse_outputs(order: CalibrateOrder | ForecastOrder, *names: str) -> None:
    """Raise :class:`UserError` for a file that the order names twice, that is the sales file, or that cannot be written."""
    asked = [path for name in names if (path := getattr(order, name)) is not None]
    if len({path.resolve() for path in asked}) < len(asked):
        *others, last = (f"--{name}" for name in names)
        raise UserError(f"{asked[-1]}: {', '.join(others)} and {last} must be different files")
    for path in asked:
        if path.resolve() == order.sales.resolve():
            raise UserError(f"{path}: is the sales file itself; choose another name")
        if isinstance(order.force, tuple):
            refuse_unwritable(path, OVERWRITE in order.force, f"--force {OVERWRITE}")
        else:
            refuse_unwritable(path, order.force)
