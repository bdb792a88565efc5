"""The calibration as one HTML page: what was fitted, whether it holds, and everything that it rests on.

The calibration's page, what it begins and ends with: cards, warnings, held-out weeks, data and method.

What the calibration's page says in sentences: the lead, choices, options, terms and sources. Plain text, no HTML.

What was estimated, on the calibration's page: demand, elasticities, sellers, shocks and the market size. N sellers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from market.calibration.calibrate import Calibration
from market.calibration.design import TREND
from market.calibration.logit import Coefficient, Estimate
from market.calibration.market_size import rule
from market.calibration.options import CalibrationOptions
from market.calibration.validation import BLOCK, FOLDS, Check, Validation
from market.salesfile.table import Sales
from policies.sales.calibration_charts import (
    absent,
    curves_chart,
    interval,
    lifts,
    own_elasticity,
    scatter_chart,
    season_chart,
    unit,
    weeks_chart,
)
from policies.sales.calibration_table import check_rows, coefficient_rows, seller_heads, seller_rows, title, verdict
from policies.views.format import DASH, MINUS, number
from policies.views.page import Page

SOURCES = (
    "Berry (1994), Estimating discrete-choice models of product differentiation, RAND Journal of Economics 25.",
    "Berry, Levinsohn & Pakes (1995), Automobile prices in market equilibrium, Econometrica 63.",
    "Conlon & Gortmaker (2020), Best practices for differentiated products demand estimation with PyBLP, RAND J. Econ. 51.",
    "Train (2009), Discrete Choice Methods with Simulation, 2nd ed., ch. 3 and 4: logit, nested logit, elasticities.",
)

FLAGS: Mapping[str, Callable[[Any], str]] = {
    "form": lambda value: f"--price {value}",
    "nest": lambda value: "--no-nest",
    "instruments": lambda value: f"--iv {','.join(value)}",
    "reference": lambda value: f"--reference-price {value:g}",
    "size_factor": lambda value: f"--market-size-factor {value:g}",
    "size": lambda value: f"--market-size {value:g}",
    "season_length": lambda value: f"--season {value}",
    "trend": lambda value: "--no-trend",
    "gamma": lambda value: "--overdispersion",
    "force": lambda value: "--force",
    "inventory": lambda value: f"--inventory {value}",
    "lead_time": lambda value: f"--lead-time {value}",
    "holding": lambda value: f"--holding-cost {value:g}",
    "cost_share": lambda value: f"--cost-share {value:g}",
    "replay": lambda value: "--replay",
}


def proper(text: str) -> str:
    """The same with proper minus signs before numbers."""
    return text.replace("-", MINUS) if text[:1] in "-+" and text[1:2].isdigit() else text


def spaced(text: str) -> str:
    """``5%`` as ``5 %``, and no new line between them."""
    return re.sub(r"(?<=\d) ?%", "\u00a0%", text)


def counted(count: int, thing: str) -> str:
    """``1 market``, ``83 markets``."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def model(one: Estimate) -> str:
    """The demand model's name."""
    form = "the logarithm of price" if one.form == "log" else "price"
    return f"{'nested logit' if one.rho is not None else 'logit'} in {form}"


def lead(found: Calibration, checked: Validation | None, reading: Mapping[str, Any]) -> str:
    """What was fitted to what, and whether it holds."""
    sales = found.sales
    several = len(sales.markets) > 1
    where = f"{counted(len(sales.sellers), 'seller')} in {counted(len(sales.markets), 'market')}"
    kept = "; ".join(f"{column} {value}" for column, value in (reading.get("where") or {}).items())
    return (
        f"A {model(found.fit.fitted)}, fitted to {counted(len(sales.rows), 'row')} of {sales.path.name}{kept and f' ({kept})'}: "
        f"{where if several else counted(len(sales.sellers), 'seller') + ' in one market'}, {span(sales)}. "
        f"{held(checked)}"
    )


def span(sales: Sales) -> str:
    """How many periods, from when to when."""
    thing = sales.step if sales.step in ("day", "week", "month", "period") else "period"
    steps = "" if sales.step == thing else f" of {sales.step}"
    return f"{counted(len(sales.labels), thing)}{steps} from {sales.labels[0]} to {sales.labels[-1]}"


def held(checked: Validation | None) -> str:
    """The held-out checks in a sentence."""
    if checked is None:
        return "It has not been checked on weeks that it was not fitted to (--validate does that)."
    failed = [check.name for check in checked.checks if not check.passed]
    if not failed:
        return f"All {len(checked.checks)} checks on weeks held out of the fit hold."
    fail = "fails" if len(failed) == 1 else "fail"
    return f"{len(failed)} of {len(checked.checks)} checks on weeks held out of the fit {fail}: {'; '.join(failed)}."


def how_held_out() -> str:
    """What the checks did."""
    return (
        f"Blocks of {BLOCK} periods in a row were dealt to {FOLDS} folds, and each fold was predicted by a market fitted "
        "without it, at the real prices, promotions and market sizes. Shares are of all units sold; their error is, in the column of the file, what the shares of the weeks "
        "fitted would give. Own and rivals' price: "
        "slopes of a log-log regression, once on what was sold and once on what the market sold."
    )


def choice(found: Calibration) -> Iterator[str]:
    """Why this model and no other, a sentence each."""
    options, one = found.options, found.fit.fitted
    yield _form_words(found)
    if one.rho is not None:
        yield (
            "The nest of all sellers was kept: rho, estimated with instruments, lies inside [0, 0.95). Its R² is of "
            "another left-hand side (less the nest's part) and is not comparable with that of a model without."
        )
    elif not options.nest:
        yield "There is no nest, as asked (--no-nest)."
    else:
        yield "The nest was tried and left out; the warnings say why."
    if one.weight is not None:
        yield f"A reference price of memory {one.memory:g} takes part, as asked; alpha is that of a price held for good."
    price = [name for name in one.instruments if name == "f"]
    yield (
        "Prices were taken as set without regard to the period's demand shock (least squares in the price)."
        if price
        else f"The price was instrumented by {', '.join(options.instruments)}."
    )


def _form_words(found: Calibration) -> str:
    one = found.fit.fitted
    chosen = "the logarithm of price" if one.form == "log" else "price as it is (linear)"
    if found.options.form != "auto":
        return f"Utility falls with {chosen}, as asked (--price {one.form})."
    fits = {tried.form: tried.r2 for tried in reversed(found.tried) if tried.rho is None and tried.weight is one.weight}
    fits = fits or {tried.form: tried.r2 for tried in reversed(found.tried) if tried.rho is None}
    other = next((r2 for form, r2 in fits.items() if form != one.form), None)
    if other is None or one.form not in fits:
        return f"Utility falls with {chosen}."
    return (
        f"Utility falls with {chosen}, which explains more than the other form: R² {number(fits[one.form], '{:.3f}')} "
        f"against {number(other, '{:.3f}')} without a nest."
    )


def cost_words(found: Calibration) -> str:
    """Where unit costs come from."""
    if found.options.cost_share is not None:
        return spaced(f"Unit costs are an assumption: {found.options.cost_share:.0%} of each seller's mean price.")
    if found.sales.has("cost"):
        return "Unit costs are the means of the file's column cost."
    return (
        "Unit costs are not in the file. They are those at which every price of the file would be its seller's best "
        "reply (Bertrand competition, each seller for itself), averaged over the rows: an implication of the estimated "
        "demand, not a measurement. If sellers price otherwise, margins are wrong."
    )


def options_words(options: CalibrationOptions) -> str:
    """The options that differ from what is usual, as typed."""
    usual = CalibrationOptions()
    given = [words(value) for name, words in FLAGS.items() if (value := getattr(options, name)) != getattr(usual, name)]
    return " ".join(given) or "none: everything as it is by default"


def reading_words(reading: Mapping[str, Any]) -> str:
    """How the file was read, as typed: names of columns, rows and periods kept."""
    columns, where = reading.get("columns") or {}, reading.get("where") or {}
    parts = [f"--columns {','.join(f'{ours}={theirs}' for ours, theirs in columns.items())}"] if columns else []
    parts += [f"--where {column}={value}" for column, value in where.items()]
    if reading.get("periods"):
        parts.append("--periods " + ":".join(bound or "" for bound in reading["periods"]))
    return " ".join(parts)


def gaps_words(sales: Sales) -> str:
    """Gaps of the file, and rows without a sale."""
    missing, zero = absent(sales), int((sales.rows["units"] == 0).sum())
    gaps = (
        "none: every seller has a row in every period of its markets"
        if missing == 0
        else f"{counted(missing, 'row')} missing ({missing / (missing + len(sales.rows)):.1%} of a file without gaps); a seller "
        "without a row is not offered in that period"
    )
    return spaced(gaps) + (f"; {counted(zero, 'row')} sold nothing" if zero else "")


def terms(found: Calibration) -> dict[str, str]:
    """The page's words and their meaning, those that this calibration uses."""
    one = found.fit.fitted
    alpha = "its logarithm" if one.form == "log" else "one unit of money"
    words = {
        "utility": "What a customer weighs a seller by, without unit: buying nothing is worth 0. While most customers "
        "buy nothing, 0.1 more utility sells about 10 % more"
        + ("." if one.rho is None else ", and inside a nest more."),
        "alpha": f"How much utility falls per unit of price; here a unit of {alpha}."
        + (" An own elasticity is about −alpha for a seller with a small share." if one.form == "log" else ""),
    }
    if one.rho is not None:
        words["rho"] = (
            "How much closer sellers are to one another than to buying nothing: 0 they are not (plain logit), near 1 "
            "customers only move between sellers."
        )
    if one.weight is not None:
        words["reference price"] = (
            "A smoothed past price: customers who are used to a low one buy less at the same price."
        )
    return words | {
        "xi": "Demand shocks: what moves a seller's utility in a period beside prices, promotions, season and trend; a "
        "common part and each seller's own, as standard deviations.",
        "within R²": "The share of the variation of utility, inside each seller and market, that price, promotions, "
        "season and trend explain.",
        "share of the market size": "Units over all units that the customers of a period could buy, those who buy nothing "
        "included. Not the share among sellers.",
        "counting noise": "Units are whole numbers of random customers: of 25 expected, 20 or 30 are nothing special. It "
        "is taken off the residuals before the shocks are measured.",
        "standard errors": "Clustered by period: rows of one period share what happened in it. ± 1.96 of them is a 95 % "
        "interval.",
    }


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


def page(found: Calibration, checked: Validation | None, output: str, reading: Mapping[str, Any] | None = None) -> Page:
    """The page: what was found, and whether the market sells what was sold.

    Args:
        checked: the held-out weeks, None where they were not asked for.
        output: the configuration's name, which stands in the title.
        reading: how the file was read, as on the command line: columns, where, periods.
    """
    made = Page(
        f"{output}: a market from {found.sales.path.name}", lead(found, checked, reading or {}), command="calibrate"
    )
    cards_section(made, found)
    warnings_section(made, found)
    checks_section(made, found, checked)
    demand_section(made, found)
    elasticity_section(made, found)
    sellers_section(made, found)
    shocks_section(made, found)
    size_section(made, found)
    data_section(made, found, reading or {})
    return made
