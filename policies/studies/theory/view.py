"""What theory says of a market, as tables: equilibrium prices, slopes of demand, levels of stock and exact optima."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from market.spec.models import MarketSpec
from market.theory.optimum import PRICES
from policies.views.format import off_file, posted
from policies.views.page import told
from policies.views.table import Cell, Cells, Column, Note, Row, Table

FEW = 9  # prices; with fewer the optimum of a range is a matter of luck
ELASTICITIES = "Elasticities at {}: % of demand (row) per % of price (column)"
DIVERSION = "Diversion at {}: where customers go whom a price rise (row) drives off"


def tables(spec: MarketSpec, report: dict[str, Any]) -> list[Table]:
    """Everything of :func:`policies.studies.theory.run.theory_report`; what there is not, with its reason."""
    newsvendor = [_newsvendor(spec, report)] if spec.stocked else []
    return [*_outcomes(spec, report), *_slopes(spec, report["slopes"]), *newsvendor, _exact(spec, report)]


# ------------------------------------------------------------------------------------------------ prices


def _outcomes(spec: MarketSpec, report: dict[str, Any]) -> Iterator[Table]:
    if len(spec.sellers) == 1:
        yield _outcome(spec, report["nash"], "The monopoly price")
    else:
        yield _outcome(spec, report["nash"], "Bertrand-Nash prices: no seller gains by moving its own")
        yield _outcome(spec, report["joint"], "Joint-profit prices: what one owner of all would post")
    bound = any(_bound(report[key]) for key in ("nash", "joint"))
    notes = told("theory.txt", "prices", spec=spec, bound=bound)
    yield Table("", (), (), [Note(f"{text}\n", "note") for text in notes])


def _bound(outcome: dict[str, Any]) -> bool:
    """Whether a price range makes other prices of it."""
    return "why" not in outcome and outcome["without_ranges"] != outcome["price"]


def _outcome(spec: MarketSpec, outcome: dict[str, Any], title: str) -> Table:
    if "why" in outcome:
        return Table("", (), (), [Note(f"{title.partition(':')[0]}: none, since {outcome['why']}.\n")])
    columns = [Column(""), Column("unit cost"), Column("price", "{:.4f}"), Column("margin", "{:.4f}")]
    columns += [
        Column("Lerner index", "{:.1%}"),
        Column("share", "{:.2%}"),
        Column(f"profit a {spec.period}", "{:.5g}"),
    ]
    names = ("margin", "lerner", "share", "profit")
    bound = _bound(outcome)
    if bound:
        columns.insert(3, Column("without ranges", "{:.4f}"))
    rows, last = [], len(spec.sellers) - 1
    for k, seller in enumerate(spec.sellers):
        free = [outcome["without_ranges"][k]] if bound else []
        shown = Cell(outcome["price"][k], form=posted(seller, "{:.4f}"))
        rows.append(
            Row([seller.name, seller.unit_cost, shown, *free, *(outcome[name][k] for name in names)], rule=k == last)
        )
    if last > 0:
        empty = [""] * (5 if bound else 4)
        rows.append(Row(["all", *empty, sum(outcome["share"]), sum(outcome["profit"])]))
    seen = off_file(zip(spec.sellers, outcome["price"], strict=True))
    return Table(title, columns, rows, [Note(f"{seen}\n", "note")] if seen else [], narrow="wrap")


# ------------------------------------------------------------------------------------------------ slopes


def _slopes(spec: MarketSpec, slopes: dict[str, Any]) -> Iterator[Table]:
    prices = [Column(f"price of {name}", "{:+.3f}") for name in spec.names]
    yield _matrix(ELASTICITIES.format(slopes["at"]), spec.names, prices, slopes["elasticities"], slopes["share"])
    if len(spec.sellers) > 1:
        ways = [Column(f"to {name}", "{:.1%}") for name in [*spec.names, "nobody"]]
        yield _matrix(DIVERSION.format(slopes["at"]), spec.names, ways, slopes["diversion"], slopes["share"])


def _matrix(
    title: str, names: list[str], columns: list[Column], values: list[list[float | None]], share: list[float]
) -> Table:
    rows = [[name, *row] for name, row in zip(names, values, strict=True)]
    left_out = "And {} sellers of smaller shares, whom --json FILE has."
    return Table(title, [Column(""), *columns], rows, narrow="largest", size=share, left_out=left_out)


# ------------------------------------------------------------------------------------------------ stock


def _newsvendor(spec: MarketSpec, report: dict[str, Any]) -> Table:
    columns = [Column(""), Column(f"demand a {spec.period}"), Column("lead time", "{:.0f}")]
    columns += [Column("service level", "{:.2%}"), Column("order up to", "{:.5g}")]
    found = dict(zip(spec.names, report["newsvendor"], strict=True))
    names = ("demand", "lead_time", "service_level", "level")
    rows = [[name, *(row[key] for key in names)] for name, row in found.items() if "why" not in row]
    notes = [Note(f"{name}: no newsvendor level, since {row['why']}.") for name, row in found.items() if "why" in row]
    service = [Note(f"{text}\n", "note") for text in told("theory.txt", "stock", spec=spec)]
    title = f"Newsvendor levels at {report['slopes']['at']}"
    return Table(title, columns, rows, [*notes, *service], narrow="wrap")


# ------------------------------------------------------------------------------------------------ exact optima


def _exact(spec: MarketSpec, report: dict[str, Any]) -> Table:
    discounts = [row["discounted"]["gamma"] for row in report["exact"].values() if "why" not in row]
    loses = f"gamma {discounts[0]:g} loses" if discounts else "gamma loses"
    columns = [Column(""), Column("optimum", "{:.6g}"), Column("on its own grid", "{:.6g}"), Column(loses, "{:.2%}")]
    columns += [Column("hindsight bound", "{:.5g}"), Column("bound / optimum", "{:+.1%}")]
    title = "The exact optimum" if len(spec.sellers) == 1 else "Exact best response to Nash prices with ample stock"
    rows = [[name, *_exact_cells(row)] for name, row in report["exact"].items()]
    sentences: dict[str, list[str]] = {}
    for name, row in report["exact"].items():
        (sentence,) = told("theory.txt", "found", spec=spec, row=row, seller=spec.sellers[spec.names.index(name)])
        sentences.setdefault(sentence, []).append(name)
    notes = [Note(f"{', '.join(names)}: {sentence}") for sentence, names in sentences.items()]
    notes += [Note(line, "note") for line in _how(spec, report["exact"])]
    return Table(f"{title}: profit a {spec.period}", columns, rows, notes, narrow="wrap")


def _exact_cells(row: dict[str, Any]) -> list[Cells]:
    bound = row["hindsight"]
    known = "why" not in bound
    shown = Cell(bound["profit"], bound["half_width"]) if known else None
    if "why" in row:
        return [None, None, None, shown, None]
    lost, average = row["lost_to_discounting"], row["average"]
    ratio = bound["profit"] / average - 1 if known and average > 0 else None
    grid = row["grid"]["average"] if "grid" in row else None
    return [average, grid, None if lost is None else max(lost, 0.0), shown, ratio]


def _how(spec: MarketSpec, exact: dict[str, Any]) -> list[str]:
    """The notes below the table of optima."""
    tried = sorted({row["prices"] or PRICES for row in exact.values() if "why" not in row})
    bounds = [row["hindsight"] for row in exact.values()]
    episodes = next((bound["episodes"] for bound in bounds if "why" not in bound), 0)
    return told("theory.txt", "optima", spec=spec, tried=tried, few=FEW, episodes=episodes)
