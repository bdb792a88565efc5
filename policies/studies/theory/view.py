"""`bazaar theory`: equilibrium prices, slopes of demand and exact optima of a market, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from market.errors import UserError
from market.spec.models import MarketSpec
from market.theory.optimum import PRICES
from policies.config.run import RunConfig
from policies.studies.theory.report import Say, theory_report

FEW = 9  # prices; with fewer the optimum of a range is a matter of luck


def show_theory(
    config: RunConfig, seat: str | None, gamma: float | None, prices: int | None, console: Console
) -> dict[str, Any]:
    """Print everything that theory says of the market of ``config``, and return it as plain data.

    Args:
        seat: the name of the seller whose exact optimum is wanted; None: all of them.
        gamma: discount factor of the discounted optimum; None: the learners' default.
        prices: how many prices the exact optimum chooses from; None: 81.

    Raises:
        UserError: no such seat. What the market itself does not have is printed with its reason.
    """
    spec = config.market
    if seat is not None and seat not in spec.names:
        raise UserError(f"--seat {seat}: the market's sellers are {', '.join(spec.names)}")
    seats = range(len(spec.sellers)) if seat is None else [spec.names.index(seat)]
    with working(console, f"solving {spec.name}") as say:
        report = theory_report(config, seats, gamma, prices, say)
    _print_outcomes(spec, report, console)
    _print_slopes(spec, report, console)
    _print_newsvendor(spec, report, console)
    _print_exact(spec, report, console)
    return report


@contextmanager
def working(console: Console, title: str) -> Iterator[Say]:
    """Show what is being worked out; the title alone off a terminal."""
    if not console.is_terminal:
        console.print(f"{title} ...", highlight=False)
        yield lambda text: None
        return
    with console.status(title) as status:
        yield lambda text: status.update(f"{title}: {text}")


def _table(console: Console, title: str, heads: Sequence[str]) -> Table:
    """A table of sellers; its title is a line of its own, which may be wider than the table."""
    if title:
        _say(console, title, "bold")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("", no_wrap=True)
    for head in heads:
        table.add_column(head, justify="right")
    return table


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(text, highlight=False, markup=False, style=style)


# ------------------------------------------------------------------------------------------------ prices


def _print_outcomes(spec: MarketSpec, report: dict[str, Any], console: Console) -> None:
    if len(spec.sellers) == 1:
        _print_outcome(spec, report["nash"], "The monopoly price", console)
    else:
        _print_outcome(spec, report["nash"], "Bertrand-Nash prices: no seller gains by moving its own", console)
        _print_outcome(spec, report["joint"], "Joint-profit prices: what one owner of all would post", console)
    note = "With unlimited stock, averaged over demand shocks"
    note += ", without events" if any(s.event_frequency for s in spec.sellers) else ""
    _say(console, f"{note}; margin = price - unit cost, Lerner index = margin / price.\n", "dim")
    if spec.prices_linger and spec.reference_price is not None:
        _say(console, _held_for_good(spec.price_sensitivity, spec.reference_price.weight), "dim")


def _held_for_good(sensitivity: float, weight: float) -> str:
    return (
        "All of theory is of prices held for good, to which reference prices have come: Nash, joint profit, "
        "elasticities and stock levels. A change of price from one period to the next moves utility by "
        f"{sensitivity + weight:g} a unit of price (price sensitivity {sensitivity:g} + reference weight {weight:g}).\n"
    )


def _print_outcome(spec: MarketSpec, outcome: dict[str, Any], title: str, console: Console) -> None:
    if "why" in outcome:
        _say(console, f"{title.partition(':')[0]}: none, since {outcome['why']}.\n")
        return
    heads = ["unit cost", "price", "margin", "Lerner index", "share", f"profit a {spec.period}"]
    table = _table(console, title, heads)
    for k, seller in enumerate(spec.sellers):
        mark = "" if outcome["in_range"][k] else " *"
        table.add_row(
            seller.name,
            f"{seller.unit_cost:.4g}",
            f"{outcome['price'][k]:.4f}{mark}",
            f"{outcome['margin'][k]:.4f}",
            f"{outcome['lerner'][k]:.1%}",
            f"{outcome['share'][k]:.2%}",
            f"{outcome['profit'][k]:.5g}",
        )
    if len(spec.sellers) > 1:
        table.add_section()
        table.add_row("all", "", "", "", "", f"{sum(outcome['share']):.2%}", f"{sum(outcome['profit']):.5g}")
    console.print(table)
    if not all(outcome["in_range"]):
        _say(console, "* outside the seller's price range, whose nearest end is what the rules post.\n", "dim")


# ------------------------------------------------------------------------------------------------ slopes


def _print_slopes(spec: MarketSpec, report: dict[str, Any], console: Console) -> None:
    slopes = report["slopes"]
    title = f"Elasticities at {slopes['at']}: % of demand (row) per % of price (column)"
    _print_matrix(title, spec.names, [f"price of {n}" for n in spec.names], slopes["elasticities"], "{:+.3f}", console)
    if len(spec.sellers) == 1:
        return
    title = f"Diversion at {slopes['at']}: where customers go whom a price rise (row) drives off"
    heads = [f"to {name}" for name in [*spec.names, "nobody"]]
    _print_matrix(title, spec.names, heads, slopes["diversion"], "{:.1%}", console)


def _print_matrix(
    title: str,
    names: Sequence[str],
    heads: Sequence[str],
    rows: Sequence[Sequence[float | None]],
    form: str,
    to: Console,
) -> None:
    """A matrix in as many tables as the width asks for."""
    room = max(to.width - max(map(len, names)) - 4, 20)
    beside = max(1, room // (max(map(len, heads)) + 2))
    for start in range(0, len(heads), beside):
        table = _table(to, title if start == 0 else "", heads[start : start + beside])
        for name, row in zip(names, rows, strict=True):
            table.add_row(name, *("-" if x is None else form.format(x) for x in row[start : start + beside]))
        to.print(table)


# ------------------------------------------------------------------------------------------------ stock


def _print_newsvendor(spec: MarketSpec, report: dict[str, Any], console: Console) -> None:
    if not spec.stocked:
        return
    heads = [f"demand a {spec.period}", "lead time", "service level", "order up to"]
    reasons = []
    table = _table(console, f"Newsvendor levels at {report['slopes']['at']}", heads)
    for name, row in zip(spec.names, report["newsvendor"], strict=True):
        if "why" in row:
            reasons.append(f"{name}: no newsvendor level, since {row['why']}.")
            continue
        cells = f"{row['demand']:.4g}", f"{row['lead_time']}", f"{row['service_level']:.2%}", f"{row['level']:.5g}"
        table.add_row(name, *cells)
    if table.row_count:
        console.print(table)
    for reason in reasons:
        _say(console, reason)
    _say(console, _service(spec), "dim")


def _service(spec: MarketSpec) -> str:
    events = ", events included" if any(s.event_frequency for s in spec.sellers) else ""
    return (
        "Service level = (margin + stockout cost) / (margin + stockout cost + holding cost): the quantile of demand "
        f"over lead time + 1 {spec.period}s{events}.\n"
    )


# ------------------------------------------------------------------------------------------------ exact optima


def _print_exact(spec: MarketSpec, report: dict[str, Any], console: Console) -> None:
    discounts = [row["discounted"]["gamma"] for row in report["exact"].values() if "why" not in row]
    loses = f"gamma {discounts[0]:g} loses" if discounts else "gamma loses"
    heads = ["optimum", "on its own grid", loses, "hindsight bound", "bound / optimum"]
    alone = len(spec.sellers) == 1
    title = "The exact optimum" if alone else "Exact best response to Nash prices with ample stock"
    table = _table(console, f"{title}: profit a {spec.period}", heads)
    for name, row in report["exact"].items():
        table.add_row(name, *_exact_cells(row))
    console.print(table)
    sentences: dict[str, list[str]] = {}
    for name, row in report["exact"].items():
        sentences.setdefault(_in_words(spec, row), []).append(name)
    for sentence, names in sentences.items():
        _say(console, f"{', '.join(names)}: {sentence}")
    for line in _how(spec, report, bool(discounts)):
        _say(console, line, "dim")


def _exact_cells(row: dict[str, Any]) -> list[str]:
    bound = row["hindsight"]
    known = "why" not in bound
    shown = f"{bound['profit']:.5g} ± {bound['half_width']:.2g}" if known else "-"
    if "why" in row:
        return ["-", "-", "-", shown, "-"]
    lost = row["lost_to_discounting"]
    ratio = bound["profit"] / row["average"] - 1 if known and row["average"] > 0 else None
    return [
        f"{row['average']:.6g}",
        f"{row['grid']['average']:.6g}" if "grid" in row else "-",
        "-" if lost is None else f"{max(lost, 0.0):.2%}",
        shown,
        "-" if ratio is None else f"{ratio:+.1%}",
    ]


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
