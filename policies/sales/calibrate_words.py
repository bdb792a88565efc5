"""What the calibration's page says in sentences: the lead, choices, options, terms and sources. Plain text, no HTML."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from market.calibration.calibrate import Calibration
from market.calibration.logit import Estimate
from market.calibration.options import Options
from market.calibration.validation import BLOCK, FOLDS, Validation
from market.salesfile.table import Sales
from policies.sales.calibrate_figures import absent
from policies.views.format import MINUS, number

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


def options_words(options: Options) -> str:
    """The options that differ from what is usual, as typed."""
    usual = Options()
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
