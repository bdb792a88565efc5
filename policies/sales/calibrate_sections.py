"""The calibration's page, what it begins and ends with: cards, warnings, held-out weeks, data and method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from market.calibration.calibrate import Calibration
from market.calibration.validation import Check, Validation
from policies.sales.calibrate_figures import own_elasticity
from policies.sales.calibrate_words import (
    SOURCES,
    counted,
    gaps_words,
    how_held_out,
    options_words,
    proper,
    reading_words,
    spaced,
    span,
    terms,
)
from policies.sales.calibration_charts import scatter_chart, weeks_chart
from policies.sales.calibration_table import check_rows, verdict
from policies.views.format import number
from policies.views.page import Page

MOST_CARDS = 12
HOLDS, FAILS = "✓ holds", "✗ fails"


def cards_section(page: Page, found: Calibration) -> None:
    """Own elasticity, price and margin of each seller."""
    page.section("sellers-at-a-glance", "How strongly do customers react to prices?")
    if len(found.sellers) <= MOST_CARDS:
        cards = "".join(_card(found, seat) for seat in range(len(found.sellers)))
        page.html(f'<div class="cards">{cards}</div>')
    known = "shares" if found.fit.fitted.rho is None else "rho and shares"
    source = "implied by the demand, see Sellers" if not _cost_known(found) else "see Sellers"
    page.paragraph(
        "Own elasticity: the change of a seller's units, in per cent, when its own price rises by one per cent, at mean "
        f"prices and shares. Its interval takes alpha's standard error alone (delta method), {known} as known. "
        f"Unit costs: {source}.",
        "note",
    )


def _card(found: Calibration, seat: int) -> str:
    value, low, high = own_elasticity(found, seat)
    name, price = found.sellers[seat], float(found.price[seat])
    cost = found.cost[name]
    caption = f"own elasticity, 95 % interval {number(low, '{:.2f}')} to {number(high, '{:.2f}')}"
    implied = "implied margin" if not _cost_known(found) else "margin"
    sentence = (
        f"Mean price {number(price, '{:,.2f}')}, unit cost {number(cost, '{:,.2f}')}, {implied} "
        f"{number(1 - cost / price, '{:.0%}')}."
    )
    return (
        f'<div class="card"><div class="who">{escape(name)}</div>'
        f'<div class="figure">{escape(number(value, "{:.2f}"))}</div><div class="caption">{escape(caption)}</div>'
        f"<p>{escape(spaced(sentence))}</p></div>"
    )


def _cost_known(found: Calibration) -> bool:
    return found.sales.has("cost") or found.options.cost_share is not None


def warnings_section(page: Page, found: Calibration) -> None:
    """Every warning."""
    if found.warnings:
        page.section("warnings", "Warnings")
        items = "".join(f"<li>{escape(_sentence(text))}</li>" for text in found.warnings)
        page.html(f'<ul class="missing">{items}</ul>')


def _sentence(text: str) -> str:
    begun = f"{text[:1].upper()}{text[1:]}" if text.split(" ", 1)[0].isalpha() else text
    return begun if begun.endswith("?") else f"{begun}."


def checks_section(page: Page, found: Calibration, checked: Validation | None) -> None:
    """The held-out weeks."""
    page.section("checks", "Does the market sell what was sold?")
    if checked is None:
        page.paragraph(
            "This is not known: the market was not checked on weeks that it was not fitted to. Calibrate again with "
            "--validate before relying on it.",
            "missing",
        )
        return
    page.paragraph(verdict(checked), "" if checked.passed else "missing")
    _checks(page, checked.checks, f"{counted(checked.rows, 'row')} held out, predicted by fits without them")
    page.paragraph(how_held_out(), "note")
    page.chart(weeks_chart(found, checked))
    page.chart(scatter_chart(found, checked))
    page.heading("The last fifth of the file")
    page.paragraph(
        "The same, with a market fitted to the first four fifths only. A failure here only warns: real markets drift, and "
        "a market fitted to the past need not hold for what comes next."
    )
    _checks(page, checked.last, f"{counted(checked.last_rows, 'row')} of the last fifth")


def _checks(page: Page, checks: Sequence[Check], caption: str) -> None:
    words = {"ok": HOLDS, "FAILS": FAILS}
    rows = [[*(spaced(proper(cell)) for cell in row[:-1]), words[row[-1]]] for row in check_rows(checks)]
    kinds = ["holds" if check.passed else "fails" for check in checks]
    page.table(("check", "file", "market", "rule", "verdict"), rows, caption, text=(3, 4), kinds=kinds)


def data_section(page: Page, found: Calibration, reading: Mapping[str, Any]) -> None:
    """Where the numbers come from, terms and sources."""
    page.section("data", "Data and method")
    sales = found.sales
    read = reading_words(reading)
    page.definitions(
        {
            "file": str(sales.path),
            "sha256": sales.sha256,
            "rows": f"{len(sales.rows):,}, of which {found.fit.fitted.rows:,} take part in the regression",
            "sellers": ", ".join(found.sellers),
            "markets": "one" if len(sales.markets) == 1 else f"{len(sales.markets):,}: {_some(sales.markets)}",
            "periods": span(sales),
            "gaps": gaps_words(sales),
            **({"read with": read} if read else {}),
            "options": options_words(found.options),
        }
    )
    page.heading("Terms")
    page.definitions(terms(found))
    page.heading("Sources")
    page.html(f"<ul>{''.join(f'<li>{escape(source)}</li>' for source in SOURCES)}</ul>")


def _some(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
