"""What theory says of a market, as tables: equilibrium prices, slopes of demand, levels of stock and exact optima."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from market.spec.models import MarketSpec
from market.theory.optimum import PRICES
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
    note = "With unlimited stock, averaged over demand shocks"
    note += ", without events" if any(s.event_frequency for s in spec.sellers) else ""
    notes = [f"{note}; margin = price - unit cost, Lerner index = margin / price.\n"]
    if spec.prices_linger and spec.reference_price is not None:
        notes.append(_held_for_good(spec.price_sensitivity, spec.reference_price.weight))
    yield Table("", (), (), [Note(text, "note") for text in notes])


def _held_for_good(sensitivity: float, weight: float) -> str:
    return (
        "All of theory is of prices held for good, to which reference prices have come: Nash, joint profit, "
        "elasticities and stock levels. A change of price from one period to the next moves utility by "
        f"{sensitivity + weight:g} a unit of price (price sensitivity {sensitivity:g} + reference weight {weight:g}).\n"
    )


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
    rows = []
    for k, seller in enumerate(spec.sellers):
        price = outcome["price"][k]
        shown = price if outcome["in_range"][k] else f"{price:.4f} *"
        cells = [seller.name, seller.unit_cost, shown, *(outcome[name][k] for name in names)]
        rows.append(Row(cells, rule=k == len(spec.sellers) - 1))
    if len(spec.sellers) > 1:
        rows.append(Row(["all", "", "", "", "", sum(outcome["share"]), sum(outcome["profit"])]))
    outside = "* outside the seller's price range, whose nearest end is what the rules post.\n"
    return Table(title, columns, rows, [] if all(outcome["in_range"]) else [Note(outside, "note")], narrow="wrap")


# ------------------------------------------------------------------------------------------------ slopes


def _slopes(spec: MarketSpec, slopes: dict[str, Any]) -> Iterator[Table]:
    prices = [Column(f"price of {name}", "{:+.3f}") for name in spec.names]
    yield _matrix(ELASTICITIES.format(slopes["at"]), spec.names, prices, slopes["elasticities"])
    if len(spec.sellers) > 1:
        ways = [Column(f"to {name}", "{:.1%}") for name in [*spec.names, "nobody"]]
        yield _matrix(DIVERSION.format(slopes["at"]), spec.names, ways, slopes["diversion"])


def _matrix(title: str, names: list[str], columns: list[Column], values: list[list[float | None]]) -> Table:
    rows = [[name, *row] for name, row in zip(names, values, strict=True)]
    return Table(title, [Column(""), *columns], rows, narrow="split")


# ------------------------------------------------------------------------------------------------ stock


def _newsvendor(spec: MarketSpec, report: dict[str, Any]) -> Table:
    columns = [Column(""), Column(f"demand a {spec.period}"), Column("lead time", "{:.0f}")]
    columns += [Column("service level", "{:.2%}"), Column("order up to", "{:.5g}")]
    found = dict(zip(spec.names, report["newsvendor"], strict=True))
    names = ("demand", "lead_time", "service_level", "level")
    rows = [[name, *(row[key] for key in names)] for name, row in found.items() if "why" not in row]
    notes = [Note(f"{name}: no newsvendor level, since {row['why']}.") for name, row in found.items() if "why" in row]
    title = f"Newsvendor levels at {report['slopes']['at']}"
    return Table(title, columns, rows, [*notes, Note(_service(spec), "note")], narrow="wrap")


def _service(spec: MarketSpec) -> str:
    events = ", events included" if any(s.event_frequency for s in spec.sellers) else ""
    return (
        "Service level = (margin + stockout cost) / (margin + stockout cost + holding cost): the quantile of demand "
        f"over lead time + 1 {spec.period}s{events}.\n"
    )


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
        sentences.setdefault(_in_words(spec, row), []).append(name)
    notes = [Note(f"{', '.join(names)}: {sentence}") for sentence, names in sentences.items()]
    notes += [Note(line, "note") for line in _how(spec, report, bool(discounts))]
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


def _in_words(spec: MarketSpec, row: dict[str, Any]) -> str:
    if "why" in row:
        return f"no exact optimum, since {row['why']}."
    low, high, mean = (row[key] for key in ("lowest_price", "highest_price", "mean_price"))
    posts = f"posts {low:.4f}" if low == high else f"posts {low:.4g} to {high:.4g}, {mean:.4g} on average"
    if not spec.stocked:
        return f"{posts}."
    low, high = row["lowest_level"], row["highest_level"]
    orders = f"orders up to {high:g}" if low == high else f"orders up to {low:g} to {high:g} units"
    return f"{posts}, and {orders}, by stock and pipeline{_grid_of(row)}."


def _grid_of(row: dict[str, Any]) -> str:
    if row["levels"] is None:
        return ""
    return f" ({row['prices']} prices x {row['levels']} levels: all levels are too many)"


def _how(spec: MarketSpec, report: dict[str, Any], solved: bool) -> Iterator[str]:
    """The notes below the table of optima."""
    episodes = next(
        (row["hindsight"]["episodes"] for row in report["exact"].values() if "why" not in row["hindsight"]), 0
    )
    if solved and spec.stocked:
        tried = sorted({row["prices"] or PRICES for row in report["exact"].values() if "why" not in row})
        yield (
            f"Optimum: the best long-run average, by value iteration over {' or '.join(map(str, tried))} prices of the "
            "range and every whole level. gamma loses: what a learner that discounts so gives up at best."
        )
        if tried[0] < FEW:
            yield "So few prices miss the best one: leave --prices out for a finer optimum."
    if not solved:
        yield "`bazaar exploit` trains a response where there is no exact one."
    if episodes:
        loose = "; it is loose: 3 to 34 % above the true optimum in the orange-juice market" if spec.stocked else ""
        yield (
            "Hindsight bound: what no seller exceeds on average, not even one that knows all shocks ahead, against "
            f"these rivals{loose}. {episodes} episodes, 95 % interval."
        )
