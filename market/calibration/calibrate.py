"""From a sales file to a market: estimates, shocks, costs and warnings, everything that the configuration tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from market.calibration.checks import check_sales
from market.calibration.design import season_of
from market.calibration.fit import SIGNIFICANT, Fit, ModelChoice, choose, design_for, fit
from market.calibration.instruments import WEAK, said
from market.calibration.logit import Estimate, elasticities, estimate, implied_cost, load_pyblp
from market.calibration.market_size import OTHERS, market_sizes
from market.calibration.options import CalibrationOptions
from market.errors import UserError
from market.salesfile.findings import Findings
from market.salesfile.table import Sales
from market.state import Floats

IMPLIED = "ASSUMPTION: implied by a Bertrand equilibrium at the file's prices, mean"


@dataclass(frozen=True)
class AtSize:
    """The demand at another market size: ``size`` is the mean over markets, ``own`` the mean own elasticity."""

    size: float
    label: str
    alpha: float
    rho: float
    own: float


@dataclass(frozen=True)
class Calibration:
    """Everything found. ``price`` and ``share`` (N,): means by seller; ``elasticity`` (N, N) at them.

    ``tried``: the estimates that were compared; ``at_sizes``: the same at other market sizes; ``cost``: by seller.
    """

    sales: Sales
    options: CalibrationOptions
    size: pd.Series[float]
    choice: ModelChoice
    fit: Fit
    tried: list[Estimate]
    at_sizes: list[AtSize]
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
        _check_estimate(tried[-1], found)
        found.settle()
        say("fitting the market")
        design = design_for(sales, size, choice, options)
        fitted = fit(design, choice, sales.sellers, options.gamma, tried[-1])
        say("trying other market sizes")
        by_rule = options.size is None and not sales.has("market_size")
        at_sizes = _at_sizes(sales, size, choice, options, tried[-1]) if by_rule else []
    except UserError as problem:
        placed = str(problem).startswith(str(sales.path)) or "pip install" in str(problem)
        raise UserError(str(problem) if placed else f"{sales.path}: {problem}") from None
    price, share = _means(sales, size)
    one = fitted.fitted
    cost, source = _costs(sales, options, fitted, found)
    found.settle()
    for seller in fitted.shocks.lost:
        found.warning(f"seller {seller}: its own demand shocks come out below zero and are taken as 0")
    return Calibration(
        sales, options, size, choice, fitted, tried, at_sizes, price, share,
        elasticities(price, share, one.alpha.value, one.nest, one.form), cost, source, found.warnings,
    )  # fmt: skip


def _check_estimate(one: Estimate, found: Findings) -> None:
    alpha = one.alpha
    if alpha.value <= 0:
        # Not a doubt that --force could overrule: a market of such customers has no configuration.
        found.error(
            f"the price coefficient has the wrong sign (alpha {alpha.value:.3f}, standard error {alpha.error:.3f}): "
            "demand would rise with the price, and no market can be made of that; instruments may help (--iv)"
        )
    elif abs(alpha.t) < SIGNIFICANT:
        found.doubt(
            f"the price coefficient is not significant (alpha {alpha.value:.3f}, standard error {alpha.error:.3f}, "
            f"t {alpha.t:.2f}, below {SIGNIFICANT:g})"
        )
    if one.rho is not None and 0 <= one.rho.t < SIGNIFICANT:
        found.warning(
            f"rho {one.rho.value:.3f} (standard error {one.rho.error:.3f}) is not significant: where checks on "
            "held-out weeks fail, try --no-nest first"
        )
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


def _at_sizes(
    sales: Sales, size: pd.Series[float], choice: ModelChoice, options: CalibrationOptions, fitted: Estimate
) -> list[AtSize]:
    """The demand as calibrated, and the same model with the market size at other multiples of the busiest period."""
    total = sales.rows.groupby(["market", "period"])["units"].transform("sum")
    least = total.groupby(sales.rows["market"]).transform("max") + 1
    found = [_at_size(sales, size, fitted, options.size_factor)]
    for factor in OTHERS:
        other = (size * (factor / options.size_factor)).clip(lower=least)
        one = estimate(design_for(sales, other, choice, options), choice.nested, choice.instruments)
        found.append(_at_size(sales, other, one, factor))
    return found


def _at_size(sales: Sales, size: pd.Series[float], one: Estimate, factor: float) -> AtSize:
    price, share = _means(sales, size)
    own = np.diag(elasticities(price, share, one.alpha.value, one.nest, one.form))
    mean = float(size.groupby(sales.rows["market"]).mean().mean())
    return AtSize(mean, f"{factor:g} x busiest period", one.alpha.value, one.nest, float(own.mean()))


def _means(sales: Sales, size: pd.Series[float]) -> tuple[Floats, Floats]:
    """Mean price and share of the market size (N,) of each seller, over its rows."""
    rows = sales.rows.assign(share=sales.rows["units"] / size).groupby("seller")
    price, share = rows["price"].mean(), rows["share"].mean()
    return price.reindex(sales.sellers).to_numpy(np.float64), share.reindex(sales.sellers).to_numpy(np.float64)


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
                f"the unit cost of seller {seller} that a Bertrand equilibrium implies is {value:.2f}, below 0: demand "
                "is estimated too inelastic for such prices; give a column cost, --cost-share or instruments (--iv)"
            )
    return {seller: max(value, 0.0) for seller, value in cost.items()}, IMPLIED


def unit_costs(sales: Sales, options: CalibrationOptions, fitted: Fit, first: int = 0) -> dict[str, float]:
    """Mean unit cost, money, from a period on, by seller that is there; implied ones may be below 0."""
    rows = sales.rows[sales.rows["period"] >= first].groupby("seller")
    if options.cost_share is not None:
        return {str(k): options.cost_share * float(v) for k, v in rows["price"].mean().items()}
    if sales.has("cost"):
        return {str(k): float(v) for k, v in rows["cost"].mean().items()}
    table, one = fitted.design.sold, fitted.fitted
    table = table[table["period"] >= first]
    share, within = np.exp(table["share"]), np.exp(table["within"])
    implied = table["price"] * 0.0 + implied_cost(table["price"], share, within, one.alpha.value, one.nest, one.form)
    return {str(k): float(v) for k, v in implied.groupby(table["seller"]).mean().items()}
