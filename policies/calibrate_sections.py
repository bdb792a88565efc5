"""The sections of the calibration's page, each writing onto it. N sellers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from market.sales.calibration import Calibration
from market.sales.estimate import Coefficient, Estimate
from market.sales.sizes import rule
from market.sales.validation import Check, Validation
from policies.calibrate_charts import curves_chart, scatter_chart, season_chart, unit, weeks_chart
from policies.calibrate_figures import interval, lifts, own_elasticity
from policies.calibrate_view import check_rows, coefficient_rows, seller_heads, seller_rows, title, verdict
from policies.calibrate_words import (
    SOURCES,
    choice,
    cost_words,
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
from policies.report_page import Page
from policies.report_words import DASH, number

MOST_CARDS = 12
HOLDS, FAILS = "✓ holds", "✗ fails"
HEADS = {"price": "mean price", "share": "share of market size", "xi": "own shock (xi)", "promoted": "periods promoted"}
RAISES, LOWERS = "0,114,178", "213,94,0"  # red, green and blue behind an elasticity above and below 0
STRONGEST = 0.5


def cards_section(page: Page, found: Calibration) -> None:
    """Own elasticity, price and margin of each seller."""
    page.section("sellers-at-a-glance", "How strongly do customers react to prices?")
    if len(found.sellers) <= MOST_CARDS:
        cards = "".join(_card(found, seat) for seat in range(len(found.sellers)))
        page.html(f'<div class="cards">{cards}</div>')
    source = "implied by the demand, see Sellers" if not _cost_known(found) else "see Sellers"
    page.paragraph(
        "Own elasticity: the change of a seller's units, in per cent, when its own price rises by one per cent, at mean "
        "prices and shares. Its interval takes alpha's standard error alone (delta method), rho and shares as known. "
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


def demand_section(page: Page, found: Calibration) -> None:
    """Coefficients, season, trends, and the models that were compared."""
    page.section("demand", "Demand")
    one = found.fit.fitted
    rows = [_named([proper(cell) for cell in row], found) for row in coefficient_rows(one)]
    page.paragraph(f"{title(found).replace('R2', 'R²')}.")
    page.table(("", "estimate", "standard error", "t"), rows, "Coefficients")
    chart = season_chart(found)
    if chart is not None:
        page.chart(chart)
    if one.trends:
        trends = [_trend(name, value) for name, value in zip(found.sellers, one.trends.values(), strict=True)]
        heads = ("seller", "utility over the file", "standard error", "95 % interval")
        page.table(heads, trends, "Trends, from the first period to the last")
    page.heading("Models compared")
    columns = ("price", "nest", "alpha (standard error)", "rho (standard error)", "R² within", "")
    tried = list({id(fit): fit for fit in found.tried}.values())
    chosen = [fit is found.tried[-1] for fit in tried]
    page.table(columns, [_model(fit, fit is found.tried[-1]) for fit in tried], judged=chosen, text=(1, 5))
    page.paragraph(" ".join(choice(found)))


def _named(row: list[str], found: Calibration) -> list[str]:
    """Promotions called by what they are."""
    return [f"promotion {row[0]}" if row[0] in found.fit.fitted.promotions else row[0], *row[1:]]


def _trend(name: str, one: Coefficient) -> list[str]:
    low, high = (number(value, "{:+.3f}") for value in interval(one))
    return [name, number(one.value, "{:+.3f}"), number(one.error, "{:.3f}"), f"{low} to {high}"]


def _model(one: Estimate, chosen: bool) -> list[str]:
    def both(value: Coefficient | None) -> str:
        return DASH if value is None else f"{number(value.value, '{:.3f}')} ({number(value.error, '{:.3f}')})"

    nest = "all sellers" if one.rho is not None else "none"
    nest += "" if one.weight is None else ", reference price"
    return [one.form, nest, both(one.alpha), both(one.rho), number(one.r2, "{:.3f}"), "chosen" if chosen else ""]


def elasticity_section(page: Page, found: Calibration) -> None:
    """The matrix and the demand curves."""
    page.section("elasticities", "Elasticities")
    matrix, names = found.elasticity, found.sellers
    rows = [[name, *(number(float(v), "{:+.3f}") for v in row)] for name, row in zip(names, matrix, strict=True)]
    page.table(("demand of \\ price of", *names), rows, "At mean prices and shares", shades=shades(found))
    own, cross = (number(float(matrix[k, 0]), "{:+.2f}") for k in (0, 1))
    page.paragraph(
        spaced(
            f"Read down a column: when {names[0]}'s price rises by 1 %, its own units change by {own} % and those of "
            f"{names[1]} by {cross} %. Orange lowers demand, blue raises it."
            + (
                " With all sellers in one nest or none, every rival gains in the same proportion."
                if len(names) > 2
                else ""
            )
        )
    )
    page.chart(curves_chart(found))


def shades(found: Calibration) -> list[list[str]]:
    """A colour behind each elasticity, its strength by the root of its size."""
    largest = float(abs(found.elasticity).max()) or 1.0

    def shade(value: float) -> str:
        strength = STRONGEST * math.sqrt(abs(value) / largest)
        return f"rgba({RAISES if value > 0 else LOWERS},{strength:.2f})"

    return [["", *(shade(float(value)) for value in row)] for row in found.elasticity]


def sellers_section(page: Page, found: Calibration) -> None:
    """One row a seller, and where its cost comes from."""
    page.section("sellers", "Sellers")
    heads = [HEADS.get(head, head) for head in seller_heads(found)]
    rows = [[spaced(proper(cell)) for cell in row] for row in seller_rows(found)]
    page.table(heads, [[name, *cells[1:]] for name, cells in zip(found.sellers, rows, strict=True)])
    page.paragraph(cost_words(found))
    page.paragraph("Means over the file's rows; prices and costs in the file's money a unit.", "note")


def shocks_section(page: Page, found: Calibration) -> None:
    """What varies beside prices: shocks, counting noise, promotions."""
    page.section("shocks", "Shocks and promotions")
    page.table(("", "estimate", "what it means"), list(_shock_rows(found)), text=(2,))
    promotions = found.fit.promotions
    if promotions is None:
        with_columns = bool(found.sales.promotions)
        page.paragraph(
            "No promotion of the file raises demand, so the market has none."
            if with_columns
            else "The file has no promotions, so the market has none."
        )
        return
    effect, length = number(promotions.effect, "{:+.3f}"), number(promotions.mean_length, "{:.2f}")
    page.heading(f"Promotions ({promotions.column})")
    page.paragraph(
        f"The market's promotion is {promotions.column}, the column that explains most: it adds {effect} to a seller's "
        f"utility and lasts {length} {unit(found)}s on average."
    )
    rows = [
        [
            name,
            number(promotions.frequency[name], "{:.1%}"),
            number(lift.own, "{:+.0%}"),
            number(lift.rivals, "{:+.1%}"),
        ]
        for name, lift in lifts(found).items()
    ]
    page.table(("seller", f"{unit(found)}s promoted", "own units then", "rivals' units then"), rows)
    page.paragraph(
        "Units: what is expected with the promotion beside what is expected without, from mean prices and shares.",
        "note",
    )


def _shock_rows(found: Calibration) -> Iterator[list[str]]:
    shocks, each = found.fit.shocks, unit(found)
    if found.options.gamma:
        meaning = "variance of the number of customers, of mean 1, that moves all sellers together"
        yield ["overdispersion of customers", number(shocks.dispersion, "{:.4f}"), meaning]
    else:
        meaning = "standard deviation of the utility that moves all sellers of a market together"
        yield ["common shock", number(shocks.common, "{:.3f}"), meaning]
    own = [value for value in shocks.own.values()]
    spread = " to ".join(dict.fromkeys(number(value, "{:.3f}") for value in (min(own), max(own))))
    yield ["own shocks", spread, "standard deviation of each seller's own part; by seller in the table of sellers"]
    meaning = f"how much of a shock is left a {each} later"
    yield ["persistence", number(shocks.persistence, "{:.2f}"), meaning]
    meaning = "of the variance that prices, promotions, season and trend do not explain; the rest is shocks"
    yield ["counting noise", number(100 * shocks.noise, "{:.2g}" if shocks.noise < 0.1 else "{:.0f}") + " %", meaning]


def size_section(page: Page, found: Calibration) -> None:
    """The rule and what others would give."""
    page.section("size", "Market size")
    taken = rule(found.sales, found.options.size_factor, found.options.size).replace(" x ", " × ")
    page.paragraph(
        f"How many units all customers of a {unit(found)} could buy, those who buy nothing included: {taken}."
        + (" Sales do not tell it, so this is an assumption." if found.at_sizes else "")
    )
    if not found.at_sizes:
        return
    sizes = sorted(found.at_sizes, key=lambda one: one.size)
    rows = [
        [
            one.label.replace(" x ", " × "),
            f"{one.size:,.0f}",
            *(number(value, "{:.3f}") for value in (one.alpha, one.rho, one.own)),
        ]
        for one in sizes
    ]
    heads = ("market size", "mean units", "alpha", "rho", "mean own elasticity")
    page.table(heads, rows, "The same model at other market sizes", [one is found.at_sizes[0] for one in sizes])
    owns = [one.own for one in found.at_sizes]
    page.paragraph(
        f"Over these sizes the mean own elasticity goes from {number(min(owns), '{:.2f}')} to "
        f"{number(max(owns), '{:.2f}')}. What the size does decide is how many customers come from outside, rather "
        "than from rivals, when a price falls."
    )


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
