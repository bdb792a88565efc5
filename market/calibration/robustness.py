"""What an answer hangs on: the same demand with one decision taken otherwise, and whether prices look endogenous.

Elasticities, and not coefficients, are compared: a coefficient's meaning changes with the market size and with the form of
the price, an elasticity's does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from market.calibration.costs import no_instrument
from market.calibration.fit import SIGNIFICANT, ModelChoice, as_chosen, design_for
from market.calibration.market_size import OTHERS, busiest_but_for_chance
from market.calibration.options import CalibrationOptions
from market.calibration.regression.design import COST
from market.calibration.regression.instruments import WEAK
from market.calibration.regression.logit import LEFT, Estimate, can_nest, controlled, elasticities, estimate, own_errors
from market.calibration.regression.standard_errors import NORMAL
from market.demand.equilibrium import nash_prices
from market.demand.logit import Logit
from market.errors import UserError
from market.salesfile.table import Sales
from market.state import Floats

TAKEN = "as calibrated"
HANGS = 2 / 3  # of the nest is left at another size: files without any nest can have as much


@dataclass(frozen=True)
class Variant:
    """The demand with one decision taken otherwise.

    ``size``: units, mean over markets; ``alpha``, ``rho`` None without a nest; ``t`` of rho; ``own`` (N,) own elasticities
    at mean prices and shares, ``error`` (N,) their standard errors. ``kind``: size, or the decision.
    """

    label: str
    kind: str
    size: float
    alpha: float
    rho: float | None
    t: float
    own: list[float]
    error: list[float]

    @property
    def mean(self) -> float:
        """Own elasticity, mean over sellers."""
        return float(np.mean(self.own))

    @property
    def mean_error(self) -> float:
        """Its standard error: sellers' own move together, with alpha and rho."""
        return float(np.mean(self.error))


@dataclass(frozen=True)
class Endogeneity:
    """Prices as set with regard to demand or not. ``t``: of Hausman's test; ``names``: the instruments, as asked for.

    ``least`` and ``instrumented``: the demand by least squares and with the instruments.
    """

    names: tuple[str, ...]
    t: float
    least: Variant
    instrumented: Variant


def means(sales: Sales, size: pd.Series[float]) -> tuple[Floats, Floats]:
    """Mean price and share of the market size (N,) of each seller, over its rows."""
    rows = sales.rows.assign(share=sales.rows["units"] / size).groupby("seller")
    price, share = rows["price"].mean(), rows["share"].mean()
    return price.reindex(sales.sellers).to_numpy(np.float64), share.reindex(sales.sellers).to_numpy(np.float64)


def variant(sales: Sales, size: pd.Series[float], one: Estimate, label: str, kind: str) -> Variant:
    """An estimate as a line of the table."""
    price, share = means(sales, size)
    own = np.diag(elasticities(price, share, one.alpha.value, one.nest, one.form))
    rho, t = (None, 0.0) if one.rho is None else (one.rho.value, one.rho.t)
    mean = float(size.groupby(sales.rows["market"]).mean().mean())
    return Variant(label, kind, mean, one.alpha.value, rho, t, own.tolist(), own_errors(price, share, one).tolist())


def variants(
    sales: Sales, size: pd.Series[float], choice: ModelChoice, options: CalibrationOptions, fitted: Estimate
) -> list[Variant]:
    """The demand as calibrated first, then with another trend, nest, form or size; what cannot be estimated is left out."""
    found = [variant(sales, size, fitted, TAKEN, TAKEN)]
    for label, kind, other, choice_, options_ in _others(sales, size, choice, options):
        try:
            design = design_for(sales, other, replace(choice_, nested=False), options_)
            if choice_.nested and not can_nest(design, choice_.instruments):
                continue
            one = estimate(as_chosen(design, choice_), choice_.nested, choice_.instruments)
        except UserError:
            continue
        found.append(variant(sales, other, one, label, kind))
    return found


def _others(
    sales: Sales, size: pd.Series[float], choice: ModelChoice, options: CalibrationOptions
) -> Iterator[tuple[str, str, pd.Series[float], ModelChoice, CalibrationOptions]]:
    trend = "without trends (--no-trend)" if options.trend else "with trends"
    yield trend, "trend", size, choice, replace(options, trend=not options.trend)
    nest = "without the nest (--no-nest)" if choice.nested else "with a nest"
    yield nest, "nest", size, replace(choice, nested=not choice.nested), options
    form = "linear" if choice.form == "log" else "log"
    yield f"--price {form}", "price", size, replace(choice, form=form), options
    if options.size is None and not sales.has("market_size"):
        if choice.counts:
            label = "market size: the busiest period's, but for chance"
            yield label, "size", busiest_but_for_chance(sales), choice, options
        total = sales.rows.groupby(["market", "period"])["units"].transform("sum")
        least = total.groupby(sales.rows["market"]).transform("max") + 1
        for factor in OTHERS:
            other = (size * (factor / options.size_factor)).clip(lower=least)
            yield f"market size {factor:g} x busiest period", "size", other, choice, options


def endogeneity(
    sales: Sales, size: pd.Series[float], choice: ModelChoice, options: CalibrationOptions
) -> Endogeneity | None:
    """Hausman's test by the instruments asked for, else by the file's costs; None without either."""
    names, instruments = options.instruments, choice.instruments
    if not names:
        if not sales.has("cost") or no_instrument(sales) is not None:
            return None
        names, instruments = ("cost",), (COST,)
    asked = replace(options, instruments=names)
    try:
        with_them = replace(choice, instruments=instruments, counts=False)
        design = design_for(sales, size, with_them, asked)
        nested = choice.nested and can_nest(design, instruments)
        one, t = estimate(design, nested, instruments), controlled(design, nested, instruments).promotions[LEFT].t
        plain = design_for(sales, size, replace(with_them, instruments=()), replace(options, instruments=()))
        least = estimate(plain, choice.nested and can_nest(plain))
    except UserError:
        return None
    if one.first_stage["f"] < WEAK:
        return None
    by = f"--iv {','.join(names)}"
    return Endogeneity(
        names, t, variant(sales, size, least, "least squares (no --iv)", "instruments"),
        variant(sales, size, one, by, "instruments"),
    )  # fmt: skip


def own_interval(found: list[Variant], seat: int) -> tuple[float, float, float]:
    """A seller's own elasticity and its 95 % interval, market sizes that the file allows as well included.

    By the delta method (:func:`market.calibration.regression.logit.own_errors`) at the size taken and at the others that were tried,
    from the lowest end to the highest. One size, elasticity -2 and standard error 0.2: -2.39 to -1.61.
    """
    sizes = [one for one in found if one.kind in (TAKEN, "size")]
    ends = [one.own[seat] + side * NORMAL * one.error[seat] for one in sizes for side in (-1, 1)]
    return found[0].own[seat], min(ends), max(ends)


def nest_by_size(found: list[Variant]) -> str | None:
    """A nest that is there at the size taken and not, or hardly, at another one that the file allows as well."""
    taken = found[0]
    if taken.rho is None or taken.t < SIGNIFICANT:
        return None
    others = [one for one in found if one.kind == "size"]
    without = [one for one in others if one.t < SIGNIFICANT]
    if not without:
        least = min(others, key=lambda one: one.rho or 0.0, default=taken)
        if (least.rho or 0.0) > HANGS * taken.rho:
            return None
        means = sorted([taken.mean, *(one.mean for one in others)])
        return (
            f"how much of a nest there is hangs on the market size: rho {taken.rho:.2f} as calibrated, {least.rho or 0.0:.2f} with "
            f"{least.label}, and a size that is too large looks like a nest where there is none; own elasticities hang on it "
            f"less ({means[0]:.2f} to {means[-1]:.2f} on average): give the size if you know it, or --no-nest if you know no "
            "reason for one"
        )
    return (
        f"the nest is found only because of the market size: rho {taken.rho:.2f} (t {taken.t:.1f}) as calibrated, "
        f"{without[0].rho:.2f} (t {without[0].t:.1f}) with {without[0].label}: --no-nest if you know no reason for one"
    )


def nash_to_file(price: Floats, share: Floats, cost: Floats, one: Estimate) -> Floats | None:
    """Bertrand-Nash prices at those unit costs over the file's mean prices (N,); None where there are none.

    Example: prices that are Nash at those costs: ones.
    """
    term = np.log(price) if one.form == "log" else price
    utility = np.log(share) - np.log(1.0 - share.sum()) - one.nest * np.log(share / share.sum())
    market = Logit(
        utility + one.alpha.value * term, cost, one.alpha.value, one.form == "log", one.nest, 0.0, 1.0,
        np.zeros((1, len(price))), np.ones(1),
    )  # fmt: skip
    try:
        return np.asarray(nash_prices(market) / price)
    except UserError:
        return None
