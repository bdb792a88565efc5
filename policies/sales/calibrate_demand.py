"""What was estimated, on the calibration's page: demand, elasticities, sellers, shocks and the market size. N sellers."""

from __future__ import annotations

import math
from collections.abc import Iterator

from market.calibration.calibrate import Calibration
from market.calibration.design import TREND
from market.calibration.logit import Coefficient, Estimate
from market.calibration.market_size import rule
from policies.sales.calibrate_figures import interval, lifts
from policies.sales.calibrate_words import choice, cost_words, proper, spaced
from policies.sales.calibration_charts import curves_chart, season_chart, unit
from policies.sales.calibration_table import coefficient_rows, seller_heads, seller_rows, title
from policies.views.format import DASH, number
from policies.views.page import Page

MOST_LETTERS = 90  # of all sellers' names beside one another
HEADS = {"price": "mean price", "share": "share of market size", "xi": "own shock (xi)", "promoted": "periods promoted"}
RAISES, LOWERS = "0,114,178", "213,94,0"  # red, green and blue behind an elasticity above and below 0
STRONGEST = 0.5


def demand_section(page: Page, found: Calibration) -> None:
    """Coefficients, season, trends, and the models that were compared."""
    page.section("demand", "Demand")
    one = found.fit.fitted
    estimates = [_named([proper(cell) for cell in row], found) for row in coefficient_rows(one)]
    page.paragraph(f"{title(found).replace('R2', 'R²')}.")
    page.table(("", "estimate", "standard error", "t"), estimates, "Coefficients")
    chart = season_chart(found)
    if chart is not None:
        page.chart(chart)
    if one.trends:
        trends = [_trend(found.sellers[int(name.removeprefix(TREND))], value) for name, value in one.trends.items()]
        heads = ("seller", "utility over the file", "standard error", "95 % interval")
        page.table(heads, trends, "Trends, from the first period to the last")
    page.heading("Models compared")
    tried = list({id(fit): fit for fit in found.tried}.values())
    columns = {
        "price": [fit.form for fit in tried],
        "with": [_with(fit) for fit in tried],
        "alpha (standard error)": [_estimate(fit.alpha) for fit in tried],
        "rho (standard error)": [_estimate(fit.rho) for fit in tried],
        "R² within": [number(fit.r2, "{:.3f}") for fit in tried],
        "": ["chosen" if fit is found.tried[-1] else "" for fit in tried],
    }
    if all(fit.rho is None for fit in tried):
        del columns["rho (standard error)"]
    rows = list(zip(*columns.values(), strict=True))
    page.table(list(columns), rows, judged=[bool(row[-1]) for row in rows], text=(1, len(columns) - 1))
    page.paragraph(" ".join(choice(found)))


def _named(row: list[str], found: Calibration) -> list[str]:
    """Promotions called by what they are."""
    return [f"promotion {row[0]}" if row[0] in found.fit.fitted.promotions else row[0], *row[1:]]


def _trend(name: str, one: Coefficient) -> list[str]:
    low, high = (number(value, "{:+.3f}") for value in interval(one))
    return [name, number(one.value, "{:+.3f}"), number(one.error, "{:.3f}"), f"{low} to {high}"]


def _with(one: Estimate) -> str:
    parts = ["nest"] * (one.rho is not None) + ["reference price"] * (one.weight is not None)
    return ", ".join(parts) or DASH


def _estimate(one: Coefficient | None) -> str:
    return DASH if one is None else f"{number(one.value, '{:.3f}')} ({number(one.error, '{:.3f}')})"


def elasticity_section(page: Page, found: Calibration) -> None:
    """The matrix and the demand curves."""
    page.section("elasticities", "Elasticities")
    matrix, names = found.elasticity, found.sellers
    crowded = sum(map(len, names)) > MOST_LETTERS
    heads = [f"{k}" for k in range(1, len(names) + 1)] if crowded else names
    called = [f"{k} {name}" for k, name in enumerate(names, 1)] if crowded else names
    rows = [[name, *(number(float(v), "{:+.3f}") for v in row)] for name, row in zip(called, matrix, strict=True)]
    page.table(("demand of \\ price of", *heads), rows, "At mean prices and shares", shades=shades(found))
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
    page.paragraph("Means over the file's rows. Prices and costs: the file's money, for one unit.", "note")


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
    columns = {
        "market size": [one.label.replace(" x ", " × ") for one in sizes],
        "mean units": [f"{one.size:,.0f}" for one in sizes],
        "alpha": [number(one.alpha, "{:.3f}") for one in sizes],
        "rho": [number(one.rho, "{:.3f}") for one in sizes],
        "mean own elasticity": [number(one.own, "{:.3f}") for one in sizes],
    }
    if found.fit.fitted.rho is None:
        del columns["rho"]
    rows = list(zip(*columns.values(), strict=True))
    page.table(list(columns), rows, "The same model at other market sizes", [one is found.at_sizes[0] for one in sizes])
    owns = [one.own for one in found.at_sizes]
    page.paragraph(
        f"Over these sizes the mean own elasticity goes from {number(min(owns), '{:.2f}')} to "
        f"{number(max(owns), '{:.2f}')}. What the size does decide is how many customers come from outside, rather "
        "than from rivals, when a price falls."
    )
