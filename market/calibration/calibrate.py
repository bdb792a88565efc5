"""From a sales file to a market: estimates, shocks, costs and warnings, everything that the configuration tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from market.calibration.checks import check_sales, zeros_left_out
from market.calibration.costs import costs_to_average
from market.calibration.fit import SIGNIFICANT, Fit, ModelChoice, choose, design_for, fit
from market.calibration.market_size import market_sizes
from market.calibration.options import CalibrationOptions
from market.calibration.regression.design import season_of
from market.calibration.regression.instruments import WEAK, said
from market.calibration.regression.logit import Estimate, elasticities, implied_cost, load_pyblp
from market.calibration.robustness import Endogeneity, Variant, endogeneity, means, nash_to_file, nest_by_size, variants
from market.calibration.shocks import DROWNED
from market.errors import UserError
from market.salesfile.findings import Findings, listed
from market.salesfile.table import Sales
from market.state import Floats

FEW_UNITS = 8  # a row, on average: with fewer, logarithms give shocks and elasticities that are too small
HARDLY = 0.8  # of the residuals' variance, where units are taken as counts, which tell shocks longer
FAR_FROM_NASH = 1.75  # times the file's prices, or the file's so many times Nash prices
IMPLIED = "ASSUMPTION: implied by a Bertrand equilibrium at the file's prices, mean"


@dataclass(frozen=True)
class Calibration:
    """Everything found. ``price`` and ``share`` (N,): means by seller; ``elasticity`` (N, N) at them.

    ``tried``: the estimates that were compared; ``variants``: the one taken, and with one decision taken otherwise;
    ``endogeneity``: whether prices look set with regard to demand, None where nothing tells; ``cost``: by seller.
    """

    sales: Sales
    options: CalibrationOptions
    size: pd.Series[float]
    choice: ModelChoice
    fit: Fit
    tried: list[Estimate]
    variants: list[Variant]
    endogeneity: Endogeneity | None
    price: Floats
    share: Floats
    elasticity: Floats
    cost: dict[str, float]
    cost_source: str
    warnings: list[str]

    @property
    def sellers(self) -> list[str]:
        """In seat order."""
        return self.sales.sellers


def calibrate(
    sales: Sales, options: CalibrationOptions, say: Callable[[str], None] = lambda phase: None
) -> Calibration:
    """Fit a market to a sales file.

    Args:
        say: told the phase that begins.

    Raises:
        UserError: pyblp is missing, or what the checks of the file or of the estimates forbid.
    """
    load_pyblp()
    found = Findings(str(sales.path), options.force)
    say("checking the file")
    if sales.unused:
        found.warning(
            f"columns that are not used: {', '.join(sales.unused)} (a promotion is used when it is named: --columns "
            "promo_NAME=COLUMN)"
        )
    check_sales(sales, found)
    size = market_sizes(sales, found, options.size_factor, options.size)
    if (options.season_length or 1) > 1 and season_of(sales, options.season_length).length == 1:
        found.warning(
            f"--season {options.season_length}: left out, since {len(sales.labels)} periods are not two cycles"
        )
    say("choosing the demand model")
    try:
        choice, tried = choose(sales, size, options, found)
        if not choice.counts:
            zeros_left_out(sales, found)
        lost = [name for name in choice.instruments if name not in tried[-1].instruments]
        _check_estimate(tried[-1], lost, found)
        found.settle()
        say("fitting the market")
        design = design_for(sales, size, choice, options)
        fitted = fit(design, choice, sales.sellers, options.gamma, tried[-1])
        say("looking at what the answer hangs on")
        others, prices = variants(sales, size, choice, options, tried[-1]), endogeneity(sales, size, choice, options)
    except UserError as problem:
        placed = str(problem).startswith(str(sales.path)) or "pip install" in str(problem)
        raise UserError(str(problem) if placed else f"{sales.path}: {problem}") from None
    price, share = means(sales, size)
    one = fitted.fitted
    cost, source = _costs(sales, options, fitted, found)
    found.settle()
    _check_answer(others, prices, options, found)
    if source != IMPLIED:
        _check_prices(price, share, cost, one, sales.sellers, found)
    _check_counts(sales, choice, fitted, found)
    if fitted.shocks.lost:
        several = "s" if len(fitted.shocks.lost) > 1 else ""
        found.warning(
            f"seller{several} {listed(fitted.shocks.lost)}: own demand shocks come out below zero and are taken as 0"
        )
    return Calibration(
        sales, options, size, choice, fitted, tried, others, prices, price, share,
        elasticities(price, share, one.alpha.value, one.nest, one.form), cost, source, found.warnings,
    )  # fmt: skip


def _check_estimate(one: Estimate, lost: list[str], found: Findings) -> None:
    alpha = one.alpha
    if alpha.value <= 0:
        # Not a doubt that --force could overrule: a market of such customers has no configuration.
        found.error(
            f"the price coefficient has the wrong sign (alpha {alpha.value:.3f}, standard error {alpha.error:.3f}): "
            "demand would rise with the price, and no market can be made of that; instruments may help (--iv)"
        )
    elif abs(alpha.t) < SIGNIFICANT:
        found.doubt(
            "not-significant",
            f"the price coefficient is not significant (alpha {alpha.value:.3f}, standard error {alpha.error:.3f}, "
            f"t {alpha.t:.2f}, below {SIGNIFICANT:g})",
        )
    if one.rho is not None and 0 <= one.rho.t < SIGNIFICANT:
        found.warning(
            f"rho {one.rho.value:.3f} (standard error {one.rho.error:.3f}) is not significant: where checks on "
            "held-out weeks fail, try --no-nest first"
        )
    for name in lost:
        found.warning(f"--iv: {said(name)} says nothing that the other columns do not say already: left out")
    for name, f in one.first_stage.items():
        if f < WEAK:
            found.warning(
                f"the instruments tell little about the {said(name)} (first-stage F {f:.1f}, below {WEAK:g}): its "
                "coefficient and standard error are not to be relied on"
            )
    if one.form == "log" and 0 < alpha.value <= 1:
        found.warning(
            f"log price with alpha {alpha.value:.3f} <= 1: revenue grows with every price, so there is no finite "
            "joint-profit price"
        )


def _check_answer(
    others: list[Variant], prices: Endogeneity | None, options: CalibrationOptions, found: Findings
) -> None:
    """What the answer hangs on, where it hangs on a decision that the file does not tell."""
    if (problem := nest_by_size(others)) is not None:
        found.warning(problem)
    if prices is not None and not options.instruments and abs(prices.t) >= SIGNIFICANT:
        found.warning(
            f"prices look set with regard to demand (Hausman's test by cost: t {prices.t:.1f}): own elasticities are "
            f"{prices.least.mean:.2f} on average by least squares and {prices.instrumented.mean:.2f} by --iv cost, which is "
            "right if costs move prices and not customers"
        )


def _check_counts(sales: Sales, choice: ModelChoice, fitted: Fit, found: Findings) -> None:
    """Units so few that logarithms and their counting noise are not what the method takes them for."""
    mean, noise = float(sales.rows["units"].mean()), fitted.shocks.noise
    of = f"a row sells {mean:.1f} units on average, and counting makes {noise:.0%} of what is not explained: "
    if not choice.counts and mean < FEW_UNITS:
        found.warning(
            f"{of}how large demand shocks are and how long they last cannot be told, and elasticities come out too small (rows "
            f"of {FEW_UNITS} units and more tell them): sum periods, or places, before calibrating"
        )
    elif noise > (HARDLY if choice.counts else DROWNED):
        found.warning(f"{of}how large demand shocks are and how long they last can hardly be told (elasticities can)")


def _check_prices(
    price: Floats, share: Floats, cost: dict[str, float], one: Estimate, sellers: list[str], found: Findings
) -> None:
    """Sellers whose Nash prices at their costs are far from what they ask: the market is not theirs, or costs are wrong."""
    own = np.diag(elasticities(price, share, one.alpha.value, one.nest, one.form))
    inelastic = [name for name, value in zip(sellers, own, strict=True) if value > -1.0]
    words = ""
    if inelastic:
        words = f"demand is inelastic (own elasticity {own.max():.2f}, of {listed(inelastic)}): revenue grows with the price"
    ratio = nash_to_file(price, share, np.array([cost[name] for name in sellers]), one)
    if ratio is not None and max(ratio.max(), 1.0 / ratio.min()) > FAR_FROM_NASH:
        words += f"{'; ' if words else ''}Nash prices at these unit costs are {ratio.min():.2g} to {ratio.max():.2g} times the file's"
    if words:
        found.warning(
            f"{words}: these prices are not those of sellers who compete as this market's would; look at --iv, at trends and "
            "at what else moves with prices"
        )


def _costs(sales: Sales, options: CalibrationOptions, fitted: Fit, found: Findings) -> tuple[dict[str, float], str]:
    """Mean unit cost by seller and where it comes from: the options, the file, or what a Bertrand equilibrium implies."""
    cost, share = unit_costs(sales, options, fitted), options.cost_share
    if share is not None:
        return cost, f"ASSUMPTION: {share:.0%} of the mean price"
    if sales.has("cost"):
        return cost, "mean of the file's"
    for seller, value in cost.items():
        if value < 0:
            found.doubt(
                "negative-cost",
                f"the unit cost of seller {seller} that a Bertrand equilibrium implies is {value:.2f}, below 0: demand "
                "is estimated too inelastic for such prices; give a column cost, --cost-share or instruments (--iv)",
            )
    return {seller: max(value, 0.0) for seller, value in cost.items()}, IMPLIED


def unit_costs(sales: Sales, options: CalibrationOptions, fitted: Fit, first: int = 0) -> dict[str, float]:
    """Mean unit cost, money, from a period on, by seller that is there; implied ones may be below 0."""
    at = sales.rows["period"] >= first
    rows = sales.rows[at].groupby("seller")
    if options.cost_share is not None:
        return {str(k): options.cost_share * float(v) for k, v in rows["price"].mean().items()}
    if sales.has("cost"):
        return {
            str(k): float(v)
            for k, v in costs_to_average(sales)[at].groupby(sales.rows["seller"]).mean().dropna().items()
        }
    table, one = fitted.design.sold, fitted.fitted
    table = table[table["period"] >= first]
    share, within = np.exp(table["share"]), np.exp(table["within"])
    implied = table["price"] * 0.0 + implied_cost(table["price"], share, within, one.alpha.value, one.nest, one.form)
    return {str(k): float(v) for k, v in implied.groupby(table["seller"]).mean().items()}
