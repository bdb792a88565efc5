"""The table of a stress test: shifts down, candidates across, in each cell the profit and what was kept of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from policies.config.run import RunConfig
from policies.evaluation.scenarios import UNCHANGED
from policies.views.table import groups, heading, width

Row = dict[str, Any]


def print_stress(rows: Sequence[Row], config: RunConfig, console: Console) -> None:
    """Print the rows of ``policies.evaluation.stress``: in several tables where the terminal has no room for all candidates."""
    names = list(dict.fromkeys(row["policy"] for row in rows))
    shifts = list(dict.fromkeys(row["shift"] for row in rows))
    cells = {(row["shift"], row["policy"]): _cell(row) for row in rows}
    best = {shift: _best([row for row in rows if row["shift"] == shift]) for shift in shifts}
    first = ["", *shifts]
    columns = [[heading(name), *(cells.get((shift, name), "") for shift in shifts)] for name in names]
    title = f"{rows[0]['seat']} under stress: profit a {config.market.period}, and the share of it that is kept"
    for group in groups(columns, console.width - width(first)):
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
        table.add_column("", no_wrap=True)
        for k in group:
            table.add_column(columns[k][0], justify="right", no_wrap=True)
        for line, shift in enumerate(shifts, start=1):
            marked = [_marked(columns[k][line], names[k] in best[shift]) for k in group]
            table.add_row(shift, *marked, end_section=line == 1)
        console.print(table)
        title = ""
    for text in [*_weakest(rows, names), *_reasons(rows)]:
        console.print(text, highlight=False)
    console.print(_how(rows[0], config, len(names)), style="dim", highlight=False)


def _cell(row: Row) -> str:
    if row["profit"] is None:
        return "-"
    half, profit = row["profit_half_width"], f"{row['profit']:.4g}"
    if row["shift"] == UNCHANGED:
        return profit if half is None else f"{profit} ± {half:.2g}"
    return f"{profit}  {_kept(row)}" if row["kept"] is not None else f"{profit}  {_difference(row)}"


def _kept(row: Row) -> str:
    half = row["kept_half_width"]
    return f"{row['kept']:6.1%}" + ("" if half is None else f" ± {half:.1%}")


def _difference(row: Row) -> str:
    if row["difference"] is None:
        return ""
    half = row["difference_half_width"]
    return f"({row['difference']:+.4g}" + (")" if half is None else f" ± {half:.2g})")


def _best(rows: Sequence[Row]) -> set[str]:
    """Whose profit is highest, where there is anybody to compare with."""
    known = [row for row in rows if row["profit"] is not None]
    top = max((row["profit"] for row in known), default=0.0)
    return {row["policy"] for row in known if row["profit"] == top} if len(rows) > 1 else set()


def _marked(text: str, best: bool) -> Text:
    return Text(text, style="bold" if best else "")


def _weakest(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    """Under which shift each candidate keeps least."""
    lines = []
    for name in names:
        kept = [row for row in rows if row["policy"] == name and row["kept"] is not None]
        kept = [row for row in kept if row["shift"] != UNCHANGED]
        if kept:
            worst = min(kept, key=lambda row: float(row["kept"]))
            lines.append(f"{name} keeps least under {worst['shift']}: {_kept(worst).strip()} of its profit.")
    return lines


def _reasons(rows: Sequence[Row]) -> list[str]:
    return [f"- {row['policy']}, {row['shift']}: {row['reason']}." for row in rows if row["reason"]]


def _how(row: Row, config: RunConfig, candidates: int) -> str:
    spec, settings = config.market, config.evaluation
    skipped = f", the first {settings.warm_up} skipped" if settings.warm_up else ""
    gone = " A rival that leaves posts its top price, has no stock and sells nothing." if len(spec.sellers) > 1 else ""
    bold = " Bold: the highest profit of the row." if candidates > 1 else ""
    return (
        "Sellers, rules and rivals stay as they were made for the unchanged market: nobody is trained, priced or "
        f"stocked anew. {row['episodes']} episodes of {spec.horizon} {spec.period}s{skipped}, the same seeds of "
        "customers in every cell; 95 % intervals, those of the share kept paired. Price sensitivity changes with qualities "
        f"as they are, so demand at the old prices falls or rises with it.{gone}{bold}\n"
    )
