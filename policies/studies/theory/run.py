"""`bazaar theory`: equilibrium prices, slopes of demand and exact optima of a market."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from market.errors import UserError
from policies.common.console import silent
from policies.common.files import refuse_unwritable, write_json
from policies.common.results import Records
from policies.config.command import ordered_by
from policies.config.orders import TheoryOrder
from policies.config.run import read_config
from policies.studies.theory.report import Say, theory_report
from policies.studies.theory.view import tables


@dataclass(frozen=True)
class TheoryResult(Records):
    """What theory says of a market; ``report`` has everything, and where something does not exist, why."""

    report: dict[str, Any]

    def records(self) -> list[dict[str, Any]]:
        """A row a seller: equilibrium and joint-profit prices, newsvendor level, and what the exact optimum earns."""
        rows = []
        for seat, name in enumerate(self.report["sellers"]):
            row: dict[str, Any] = {"seller": name}
            for outcome in ("nash", "joint"):
                figures = self.report[outcome]
                row |= {
                    f"{outcome}_{key}": figures[key][seat] if key in figures else None for key in ("price", "profit")
                }
            exact = self.report["exact"].get(name, {})
            row |= {"newsvendor_level": self.report["newsvendor"][seat].get("level")}
            row |= {"optimum": exact.get("average"), "upper_bound": exact.get("hindsight", {}).get("profit")}
            rows.append(row)
        return rows


@ordered_by(TheoryOrder)
def theory(order: TheoryOrder) -> TheoryResult:
    """Carry out `bazaar theory`: print the tables of a configuration, and write all figures to ``json``.

    Raises :class:`UserError` for a seat that there is not; what the market does not have is told with its reason.

    Example::

        from policies import theory

        print(theory("monopoly", prices=11).to_frame()[["seller", "nash_price", "optimum"]])
    """
    refuse_unwritable(order.json)
    console = order.console or silent()
    config = read_config(order.config, order.changes)
    spec, seat = config.market, order.seat
    if seat is not None and seat not in spec.names:
        raise UserError(f"--seat {seat}: the market's sellers are {', '.join(spec.names)}")
    seats = range(len(spec.sellers)) if seat is None else [spec.names.index(seat)]
    with _working(console, f"solving {spec.name}") as say:
        report = theory_report(config, seats, order.gamma, order.prices, say)
    for table in tables(spec, report):
        table.print(console)
    if order.json is not None:
        write_json(order.json, report)
    return TheoryResult(report)


@contextmanager
def _working(console: Console, title: str) -> Iterator[Say]:
    """Show what is being worked out; the title alone off a terminal."""
    if not console.is_terminal:
        console.print(f"{title} ...", highlight=False)
        yield lambda text: None
        return
    with console.status(title) as status:
        yield lambda text: status.update(f"{title}: {text}")
