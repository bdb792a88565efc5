"""A calibration as tables: the demand, elasticities, what each seller is like, and the held-out weeks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields

from market.calibration.calibrate import Calibration
from market.calibration.comparison import FitCheck
from market.calibration.moment import latest, market_at
from market.calibration.options import CalibrationOptions, Moment
from market.calibration.regression.instruments import said
from market.calibration.regression.logit import Coefficient
from market.calibration.robustness import own_interval
from market.calibration.uncertainty import Drawn
from market.calibration.validation import Validation
from policies.views.format import figure, number
from policies.views.page import told
from policies.views.table import Cell, Cells, Column, Note, Row, Table

RAISES, LOWERS = "0,114,178", "213,94,0"  # red, green and blue behind an elasticity above and below 0
STRONGEST = 0.5
MOST_WARNINGS = 12
RENAMED = {
    "form": "price",
    "instruments": "iv",
    "reference": "reference_price",
    "size_factor": "market_size_factor",
    "size": "market_size",
    "season_length": "season",
    "gamma": "overdispersion",
    "holding": "holding_cost",
}
# each of CalibrationOptions, and what asks for it
FLAGS = {one.name: RENAMED.get(one.name, one.name) for one in fields(CalibrationOptions)}


def tables(found: Calibration, checked: Validation | None) -> list[Table]:
    """Everything that a reader decides by; the report has the rest."""
    shown = [
        own_table(found),
        elasticity_table(found),
        coefficient_table(found),
        seller_table(found),
        hangs_table(found),
    ]
    notes = [Note(f"Warning: {text}{'' if text.endswith('?') else '.'}", "missing") for text in found.warnings]
    if len(notes) > MOST_WARNINGS:
        more = Note(f"And {len(notes) - MOST_WARNINGS} more warnings, which the configuration holds.")
        notes = [*notes[:MOST_WARNINGS], more]
    if checked is not None:
        held_out = f"Weeks held out: {checked.rows:,} rows predicted by fits without them"
        last = f"The last fifth: {checked.last_rows:,} rows (a failure here only warns)"
        shown += [check_table(checked.checks, held_out), check_table(checked.last, last)]
        if checked.level:
            shown.append(check_table(checked.level, level_title(found)))
        notes.append(Note(verdict(checked), "" if checked.passed else "missing"))
    return [*shown, Table("", (), (), notes)]


def title(found: Calibration) -> str:
    """The model in words."""
    one = found.fit.fitted
    instruments = [] if one.counts or one.instruments == ("f",) else [*map(said, one.instruments)]
    (text,) = told("calibration.txt", "model", one=one, instruments=instruments)
    return text


def coefficient_table(found: Calibration) -> Table:
    """Name, estimate, standard error and t."""
    one = found.fit.fitted
    named: dict[str, Coefficient | None] = {"price sensitivity (alpha)": one.alpha, "nest (rho)": one.rho}
    named["reference price (weight)"] = one.weight
    rows: list[list[Cells]] = []
    for name, value in (named | one.promotions).items():
        if value is not None:
            form = "{:.3g}" if 0 < abs(value.value) < 0.001 else "{:.4f}"  # as with prices in the thousands
            rows.append([name, Cell(value.value, form=form), Cell(value.error, form=form), value.t])
    columns = [Column(""), Column("estimate"), Column("se"), Column("t", "{:.1f}")]
    notes = [Note(text, "note") for text in told("calibration.txt", "coefficients", sizes=by_rule(found))]
    return Table(title(found), columns, rows, notes, narrow="wrap")


def seller_table(found: Calibration) -> Table:
    """One row a seller."""
    promotions, price = found.fit.promotions, "{:.3f}"
    columns = [Column("seller"), Column("price", price), Column("unit cost", price), Column("margin", "{:.1%}")]
    columns += [Column("share", "{:.2%}"), Column("xi", "{:.3f}")]
    columns += [Column("promoted", "{:.1%}")] if promotions else []
    rows: list[list[Cells]] = []
    for name, paid, share in zip(found.sellers, found.price.tolist(), found.share.tolist(), strict=True):
        cost, own = found.cost[name], found.fit.shocks.own[name]
        promoted = [promotions.frequency[name]] if promotions else []
        rows.append([name, paid, cost, 1 - cost / paid, share, own, *promoted])
    return Table("Sellers (means over the file; xi: own demand shock)", columns, rows, narrow="wrap")


def written_table(found: Calibration, drawn: Drawn) -> Table:
    """The market that is written, each seller beside what it is at the file's other moment, and what is left open."""
    at = found.options.at
    other: Moment = "middle" if at == "end" else "end"
    here, there = market_at(found), market_at(found, other)
    columns = [Column("seller"), Column("quality", "{:+.3f}"), Column(f"at the {other}", "{:+.3f}")]
    columns += [Column("unit cost", "{:.3f}"), Column(f"at the {other}", "{:.3f}", key="cost_there")]
    rows: list[list[Cells]] = [
        [name, *(one.mean_quality(seat) for one in (here, there)), here.cost[name], there.cost[name]]
        for seat, name in enumerate(found.sellers)
    ]
    (text,) = told("calibration.txt", "written", found=found, drawn=drawn, latest=latest(len(found.sales.labels)))
    return Table(
        f"Written: the market of the file's {at} (--at {at})", columns, rows, [Note(text, "note")], narrow="wrap"
    )


def elasticity_table(found: Calibration, numbered: bool = False) -> Table:
    """Of every seller's demand (down) to every price (across); ``numbered``: numbers for the names across."""
    names, called = found.sellers, found.sellers
    if numbered:
        names = [str(k) for k in range(1, len(called) + 1)]
        called = [f"{k} {name}" for k, name in zip(names, called, strict=True)]
    rows: list[list[Cells]] = [
        [name, *(Cell(value, shade=shade) for value, shade in zip(row, colours, strict=True))]
        for name, row, colours in zip(called, found.elasticity.tolist(), shades(found), strict=True)
    ]
    columns = [Column("demand of \\ price of"), *(Column(name, "{:+.3f}") for name in names)]
    title, left_out = (
        "Elasticities at mean prices and shares",
        "And {} sellers of smaller shares, whom --report FILE.html has.",
    )
    return Table(title, columns, rows, narrow="largest", size=found.share.tolist(), left_out=left_out)


def shades(found: Calibration) -> list[list[str]]:
    """A colour behind each elasticity, its strength by the root of its size."""
    largest = float(abs(found.elasticity).max()) or 1.0

    def shade(value: float) -> str:
        strength = STRONGEST * math.sqrt(abs(value) / largest)
        return f"rgba({RAISES if value > 0 else LOWERS},{strength:.2f})"

    return [[shade(float(value)) for value in row] for row in found.elasticity]


def own_table(found: Calibration) -> Table:
    """Every seller's own elasticity and its 95 % interval."""
    columns = [Column("seller"), Column("own elasticity", "{:.2f}"), Column("95% interval", align="left")]
    rows: list[list[Cells]] = []
    for seat, name in enumerate(found.sellers):
        value, low, high = own_interval(found.variants, seat)
        rows.append([name, value, f"{number(low, '{:.2f}')} to {number(high, '{:.2f}')}"])
    (text,) = told("calibration.txt", "intervals", sizes=by_rule(found))
    return Table("How customers react to a seller's own price", columns, rows, [Note(text, "note")], narrow="wrap")


def by_rule(found: Calibration) -> bool:
    """Whether the market size is the rule's, so that others are as good."""
    return any(one.kind == "size" for one in found.variants)


def hangs_table(found: Calibration) -> Table:
    """Own elasticity, mean over sellers, as calibrated and with one decision taken otherwise."""
    columns = [Column("", align="left"), Column("own elasticity", "{:.2f}"), Column("se", "{:.2f}")]
    columns += [Column("alpha", "{:.3f}"), Column("rho", "{:.3f}")]
    prices, lines = found.endogeneity, list(found.variants)
    if prices is not None:
        lines.insert(1, prices.least if found.options.instruments else prices.instrumented)
    rows = [
        Row([one.label, one.mean, one.mean_error, one.alpha, one.rho], "" if k else "best")
        for k, one in enumerate(lines)
    ]
    asked = bool(found.options.instruments)
    notes = [Note(text, "note") for text in told("calibration.txt", "hausman", prices=prices, asked=asked)]
    return Table("What the answer hangs on (means over sellers)", columns, rows, notes, narrow="wrap")


def check_table(checks: Sequence[FitCheck], title: str) -> Table:
    """Name, the file's figure, the market's, the rule, and whether it holds."""
    columns = [Column(""), Column("file", figure), Column("market", figure), Column("rule", align="left")]
    rows = []
    for one in checks:
        verdict, kind = ("ok", "holds") if one.passed else ("FAILS", "fails")
        rows.append(Row([one.name, one.real, one.market, one.rule, verdict], kind))
    return Table(title, [*columns, Column("", align="left")], rows, narrow="wrap")


def level_title(found: Calibration) -> str:
    """Of the checks of the market written."""
    periods = latest(len(found.sales.labels))
    return f"The market written, at the prices of the last {periods} periods (a failure here only warns)"


def verdict(checked: Validation) -> str:
    """The held-out weeks in one sentence, and what the last fifth adds."""
    (text,) = told("calibration.txt", "verdict", checks=checked.checks, last=checked.last, level=checked.level)
    return text
