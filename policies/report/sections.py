"""What the report shows of a run's results and of the run itself: headlines, tables, facts. Its text is a template."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from market.demand.equilibrium import prices_in_range
from market.errors import UserError
from market.metrics.summary import GLOSSARY
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.state import Floats
from policies.common.seeding import row_seed
from policies.evaluation import statistics
from policies.report.data import (
    ReportedRun,
    Spread,
    Together,
    best_competitor,
    best_fixed_row,
    evaluated_row,
    row_base,
)
from policies.views.format import DASH, column_form, number, off_file, posted
from policies.views.page import sentences
from policies.views.table import Cell, Cells, Column, Note, Row, Table

EvaluationRow = Mapping[str, Any]  # of evaluation.json
AMOUNT = ""  # a column of amounts: as many decimals as its largest needs, see column_form

# What the headline table shows of a row of evaluation.json beside profit: key, heading, format.
MEASURED = {
    "probability_of_improvement": ("better in", "{:.0%}"),
    "profit_gain": ("profit gain", "{:.2f}"),
    "price": ("price", "{:.3f}"),
    "market_share": ("share", "{:.1%}"),
    "fill_rate": ("fill rate", "{:.1%}"),
    "stockout_rate": ("stockouts", "{:.1%}"),
    "conditional_value_at_risk": ("CVaR", AMOUNT),
    "maximum_drawdown": ("drawdown", AMOUNT),
}
EXPLAINED = ("price", "market_share", "fill_rate", "stockout_rate", "conditional_value_at_risk", "maximum_drawdown")
STOCK = ("order_cost", "holding_cost", "stockout_cost", "lead_time", "stock")


# ------------------------------------------------------------------------------------------------ headlines


@dataclass(frozen=True)
class Headline:
    """A learned seller beside the best fixed competitor in its seat: rows of evaluation.json, None where there is none.

    ``found``: its mean profit in the episodes that the report played itself, said where there is no row.
    """

    spec: MarketSpec
    label: str
    row: EvaluationRow | None
    best: EvaluationRow | None
    found: float | None = None

    @property
    def gap(self) -> tuple[float, float] | None:
        """The 95 % interval of the difference to the best fixed competitor; None where it is not known."""
        return bounds(self.row, "difference") if self.row is not None and self.best is not None else None

    @property
    def verdict(self) -> int:
        """1, -1 or 0: that interval lies above 0, below, or holds it or is not known."""
        low, high = self.gap or (0.0, 0.0)
        return int(low > 0) - int(high < 0)

    @property
    def figure(self) -> str:
        """The difference to the best fixed competitor, else the profit."""
        if self.row is None or self.gap is None:
            return number(self.found if self.row is None else self.row["profit"])
        cell = to_best(self.row, self.best)
        return cell if isinstance(cell, str) else number(cell.value, cell.form or "", cell.half)

    @property
    def caption(self) -> str:
        """What the figure is."""
        return "to the best fixed competitor" if self.gap else f"profit a {self.spec.period}"

    @property
    def sentence(self) -> str:
        """What is said first of the seller."""
        size = ""
        if self.row is not None and self.best is not None and self.gap is not None:
            scale, difference = row_base(self.best), abs(float(self.row["difference"]))
            size = number(difference) if scale is None else number(difference / scale, "{:.2%}")
        form = column_form([self.row["profit"]]) if self.row else ""
        half = half_width(self.row, "profit") if self.row else None
        rivals = rivals_of(self.row) if self.row else ""
        return sentences("headline.html", one=self, spec=self.spec, size=size, form=form, half=half, rivals=rivals)


def headlines(run: ReportedRun, spreads: Sequence[Spread]) -> list[Headline]:
    """One for each learned seller."""
    found = {spread.player.name: float(spread.profits[spread.player.label].mean()) for spread in spreads}
    return [
        Headline(run.spec, one.label, evaluated_row(run, one), best_fixed_row(run, one), found.get(one.name))
        for one in run.learners
    ]


def bounds(row: EvaluationRow, key: str) -> tuple[float, float] | None:
    """The 95 % interval of a figure of evaluation.json: its two ends, or a half-width; None where it has none."""
    low, high = row.get(f"{key}_low"), row.get(f"{key}_high")
    if isinstance(low, int | float) and isinstance(high, int | float):
        return float(low), float(high)
    value, half = row.get(key), row.get(f"{key}_half_width")
    if isinstance(value, int | float) and isinstance(half, int | float):
        return float(value) - float(half), float(value) + float(half)
    return None


def half_width(row: EvaluationRow, key: str) -> float | None:
    """Half the width of a figure's interval."""
    ends = bounds(row, key)
    return None if ends is None else (ends[1] - ends[0]) / 2


def to_best(row: EvaluationRow, best: EvaluationRow | None) -> Cell | str:
    """The difference to the best fixed competitor, as a share of its profit; money where that is too small for it."""
    if best is None or row.get("policy") == best.get("policy") or row.get("difference") is None:
        return DASH
    scale, half = row_base(best), half_width(row, "difference")
    if scale is None:
        return Cell(row["difference"], half, form="{:+.4g}")
    return Cell(row["difference"] / scale, half and half / scale, form="{:+.2%}")


# ------------------------------------------------------------------------------------------------ tables


def comparisons(run: ReportedRun) -> list[Table]:
    """The tables of evaluation.json: the rows of one seat against one line-up together, in the order written."""
    found: dict[tuple[Any, ...], list[EvaluationRow]] = {}
    for row in run.rows:
        found.setdefault((row["seat"], row.get("line_up")), []).append(row)
    return [_comparison(run.spec, rows) for rows in found.values()]


def _comparison(spec: MarketSpec, rows: Sequence[EvaluationRow]) -> Table:
    shown = {key: about for key, about in MEASURED.items() if any(row.get(key) is not None for row in rows)}
    best = best_competitor(rows)
    against = "" if len(spec.sellers) == 1 else f", against {rivals_of(rows[0])}"
    columns = [Column(""), _amounts(f"profit a {spec.period}", rows, "profit"), Column("to best fixed")]
    seller = spec.sellers[spec.names.index(str(rows[0]["seat"]))]
    for key, (head, form) in shown.items():
        written = posted(seller, form) if form and key == "price" else form
        columns.append(Column(head, written) if written else _amounts(head, rows, key))
    ranked = sorted(rows, key=lambda row: -float(row["profit"]))
    cells = [
        [_named(row), Cell(row["profit"], half_width(row, "profit")), to_best(row, best), *_measured(row, best, shown)]
        for row in ranked
    ]
    kinds = ["judged" if row.get("judged") else "" for row in ranked]
    seen = off_file((seller, row.get("price")) for row in rows)
    notes = [Note(seen, "note")] if seen else []
    return Table(f"In the seat of {rows[0]['seat']}{against}", columns, list(map(Row, cells, kinds)), notes)


def _measured(row: EvaluationRow, best: EvaluationRow | None, shown: Iterable[str]) -> list[Any]:
    """The row's figures; the best competitor is not better or worse than itself."""
    itself = best is not None and row.get("policy") == best.get("policy")
    return [None if itself and key == "probability_of_improvement" else row.get(key) for key in shown]


def rivals_of(row: EvaluationRow) -> str:
    """Whom a row was played against: rules, or who they are and why they are rivals."""
    return f"{row['rivals']}, {row['line_up']}" if row.get("rivals") else str(row.get("line_up"))


def _named(row: EvaluationRow) -> str:
    return f"{row['policy']} (knows the market)" if row.get("reference") else str(row["policy"])


def _amounts(heading: str, rows: Sequence[EvaluationRow], key: str) -> Column:
    return Column(heading, column_form(row.get(key) for row in rows))


def evaluated(run: ReportedRun) -> str:
    """How many episodes stand behind the rows of evaluation.json: a number, or the least and the most."""
    known = {row["episodes"] for row in run.rows if row.get("episodes")}
    return " to ".join(f"{n:,}" for n in sorted({min(known), max(known)})) if known else "some"


def together_table(run: ReportedRun, together: Together) -> Table:
    """What the run's sellers earn and post against each other, beside theory's prices."""
    spec, figures = run.spec, together.figures
    prices = {"mean price": figures["price"], "Nash price": _theory(spec, joint=False)}
    prices |= {"joint-profit price": _theory(spec, joint=True)}
    rates = {"market_share": ("share", "{:.1%}"), "fill_rate": ("fill rate", "{:.1%}"), "on_hand": ("stock", "{:.1f}")}
    rates = {key: column for key, column in rates.items() if key in figures}
    profit = Column(f"profit a {spec.period}", column_form(together.profits.mean(axis=0).tolist()))
    columns = [Column(""), profit, *(Column(name, "{:.3f}") for name in prices)]
    rows = []
    for player in run.players:
        k, own = player.seat, together.profits[:, player.seat]
        cells: list[Cells] = [player.label, Cell(float(own.mean()), statistics.half_width(own))]
        form = posted(spec.sellers[k])
        cells += [None if price is None else Cell(float(price[k]), form=form) for price in prices.values()]
        rows.append(Row([*cells, *(figures[key][k] for key in rates)], "judged" if player.learner else ""))
    who = "The seller alone" if len(spec.sellers) == 1 else "All sellers of the run together"
    title = f"{who}, {len(together.profits):,} episodes, each as it was at its best evaluation"
    pairs = (
        (spec.sellers[p.seat], price[p.seat]) for p in run.players for price in prices.values() if price is not None
    )
    notes = [Note(seen, "note")] if (seen := off_file(pairs)) else []
    return Table(title, [*columns, *(Column(*about) for about in rates.values())], rows, notes)


def _theory(spec: MarketSpec, joint: bool) -> Floats | None:
    try:
        return prices_in_range(spec, joint)
    except UserError:
        return None


def seller_table(spec: MarketSpec) -> Table:
    """What each seller is by the configuration."""
    stocked = [key for key in STOCK if spec.stocked and any(getattr(seller, key) for seller in spec.sellers)]
    shown = ["quality", "unit_cost", *stocked]
    rows = [
        [one.name, *(getattr(one, key) for key in shown), "{:g} to {:g}".format(*one.prices)] for one in spec.sellers
    ]
    columns = [Column(""), *(Column(key.replace("_", " "), "{:g}") for key in shown), Column("prices")]
    if spec.stocked:
        columns.append(Column("order up to"))
        rows = [[*row, "{:,g} to {:,g}".format(*one.order_up_to)] for row, one in zip(rows, spec.sellers, strict=True)]
    return Table("", columns, rows)


# ------------------------------------------------------------------------------------------------ the run


def promotions(spec: MarketSpec, seed: int) -> Floats | None:
    """When promotions are on in the first evaluation episode (T, N); None in a market without any."""
    if not _promoted(spec):
        return None
    batch = MarketBatch(spec, 1, row_seed(seed, "evaluate"))
    batch.reset()
    shown: Floats = batch.tape.event[0, : spec.horizon].astype(float)
    return shown


def _promoted(spec: MarketSpec) -> bool:
    return spec.events is not None and any(seller.event_frequency for seller in spec.sellers)


def about_market(spec: MarketSpec) -> str:
    """The market in a sentence or two."""
    replayed = spec.tape and Path(spec.tape.file).name
    return sentences("market.html", spec=spec, replayed=replayed, promoted=_promoted(spec))


def measures(spec: MarketSpec) -> dict[str, str]:
    """The measures that mean something in the market, and what they are."""
    short = {"conditional_value_at_risk": "CVaR", "maximum_drawdown": "drawdown"}
    shown = [key for key in EXPLAINED if spec.stocked or key not in ("fill_rate", "stockout_rate")]
    return {short.get(key, key.replace("_", " ")): f"{GLOSSARY[key][1]} ({GLOSSARY[key][0]})" for key in shown}
