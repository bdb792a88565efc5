"""A calibration on the terminal: the demand, elasticities, what each seller is like, and the held-out weeks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from market.calibration.calibrate import Calibration
from market.calibration.instruments import said
from market.calibration.logit import Coefficient, Estimate
from market.calibration.validation import Check, Validation
from policies.views.format import DASH

MOST_WARNINGS = 12


def print_calibration(found: Calibration, checked: Validation | None, console: Console) -> None:
    """Everything that a reader decides by; the report has the rest."""
    for heads, rows, title in tables(found, checked):
        _print(console, title, heads, rows)
    for warning in found.warnings[:MOST_WARNINGS]:
        console.print(
            f"Warning: {warning}{'' if warning.endswith('?') else '.'}", highlight=False, markup=False, style="yellow"
        )
    if len(found.warnings) > MOST_WARNINGS:
        console.print(f"And {len(found.warnings) - MOST_WARNINGS} more warnings, which the configuration holds.")
    if checked is not None:
        console.print(verdict(checked), highlight=False, markup=False, style="" if checked.passed else "yellow")


Rows = Sequence[Sequence[str]]


def tables(found: Calibration, checked: Validation | None) -> Iterator[tuple[Sequence[str], Rows, str]]:
    """Heads, rows and title of every table, the first column words."""
    yield ("", "estimate", "se", "t"), list(coefficient_rows(found.fit.fitted)), title(found)
    yield seller_heads(found), list(seller_rows(found)), "Sellers (means over the file; xi: own demand shock)"
    heads = ("demand of \\ price of", *found.sellers)
    matrix = [
        [name, *(f"{value:+.3f}" for value in row)] for name, row in zip(found.sellers, found.elasticity, strict=True)
    ]
    yield heads, matrix, "Elasticities at mean prices and shares"
    if found.at_sizes:
        rows = [
            [one.label, f"{one.size:,.0f}", f"{one.alpha:.3f}", f"{one.rho:.3f}", f"{one.own:.3f}"]
            for one in found.at_sizes
        ]
        yield ("market size", "units", "alpha", "rho", "own elasticity"), rows, "How much the market size matters"
    if checked is not None:
        heads = ("", "file", "market", "rule", "")
        yield heads, check_rows(checked.checks), f"Weeks held out: {checked.rows:,} rows predicted by fits without them"
        yield heads, check_rows(checked.last), f"The last fifth: {checked.last_rows:,} rows (a failure here only warns)"


def title(found: Calibration) -> str:
    """The model in words."""
    one = found.fit.fitted
    form = "log price" if one.form == "log" else "linear price"
    nest = "nested logit" if one.rho else "logit"
    seasons = f"{len(one.season)} seasons" if one.season else "no season"
    how = "" if one.instruments in ((), ("f",)) else f", instruments: {', '.join(map(said, one.instruments))}"
    return (
        f"{nest[0].upper()}{nest[1:]} in {form}: {one.rows:,} rows, {one.clusters} periods, {seasons}, R2 within "
        f"{one.r2:.3f}{how}"
    )


def coefficient_rows(one: Estimate) -> Iterator[list[str]]:
    """Name, estimate, standard error clustered by period, and t."""
    named: dict[str, Coefficient | None] = {"price sensitivity (alpha)": one.alpha, "nest (rho)": one.rho}
    named["reference price (weight)"] = one.weight
    for name, value in (named | one.promotions).items():
        if value is not None:
            small = 0 < abs(value.value) < 0.001  # as with prices in the thousands
            shown = [f"{one:.3g}" if small else f"{one:.4f}" for one in (value.value, value.error)]
            yield [name, *shown, f"{value.t:.1f}"]


def seller_heads(found: Calibration) -> tuple[str, ...]:
    """Columns of the sellers' table."""
    promoted = ("promoted",) if found.fit.promotions else ()
    return ("seller", "price", "unit cost", "margin", "share", "xi", *promoted)


def seller_rows(found: Calibration) -> Iterator[list[str]]:
    """One row a seller."""
    for k, name in enumerate(found.sellers):
        price, cost = float(found.price[k]), found.cost[name]
        row = [name, f"{price:.3f}", f"{cost:.3f}", f"{1 - cost / price:.1%}", f"{found.share[k]:.2%}"]
        row.append(f"{found.fit.shocks.own[name]:.3f}")
        yield [*row, f"{found.fit.promotions.frequency[name]:.1%}"] if found.fit.promotions else row


def check_rows(checks: Sequence[Check]) -> list[list[str]]:
    """Name, the file's figure, the market's, the rule, and whether it holds."""
    return [
        [one.name, amount(one.real), amount(one.market), one.rule, "ok" if one.passed else "FAILS"] for one in checks
    ]


def amount(value: float) -> str:
    """Large figures without decimals; a dash for what is not there."""
    if not math.isfinite(value):
        return DASH
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3f}"


def verdict(checked: Validation) -> str:
    """The held-out weeks in one sentence."""
    failed = [one.name for one in checked.checks if not one.passed]
    if not failed:
        return f"All checks on held-out weeks hold.{_drift(checked)}"
    fail, them = ("fails", "it") if len(failed) == 1 else ("fail", "them")
    number = f"{len(failed)} of {len(checked.checks)} checks on held-out weeks {fail}"
    return f"{number} ({'; '.join(failed)}). Do not rely on results that depend on {them}."


def _drift(checked: Validation) -> str:
    """What the last fifth adds to the sentence."""
    failed = [one.name for one in checked.last if not one.passed]
    if not failed:
        return " So do those on the last fifth."
    return f" Predicted from what came before, the last fifth fails on: {', '.join(failed)}. Markets drift."


def _print(console: Console, heading: str, heads: Sequence[str], rows: Rows) -> None:
    console.print(heading, highlight=False, markup=False, style="italic")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    words = {0} | {k for k, name in enumerate(heads) if name in ("rule", "") and k > 0}
    for k, name in enumerate(heads):
        table.add_column(name, justify="left" if k in words else "right", no_wrap=k == 0)
    for row in rows:
        bad = row[-1] == "FAILS"
        table.add_row(*(text.replace("[", "\\[") for text in row), style="yellow" if bad else None)
    console.print(table)
