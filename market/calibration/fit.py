"""One fit of a file's rows: demand, shocks, promotions and level corrections, with choices that a fold can repeat.

Level corrections move each seller's quality so that the market sells, on average over its shocks, what was sold. The
regression fits mean log shares; a mean of logarithms is not the logarithm of a mean, zeros have no logarithm and
residuals are not quite normal. Moving qualities until expected units over the file's rows are the observed ones is the
inversion of Berry, Levinsohn and Pakes (1995), eq. 6.8, at the level of totals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import ndtri

from market.calibration.costs import known_costs, no_instrument
from market.calibration.options import CalibrationOptions
from market.calibration.regression.counts import counted, few
from market.calibration.regression.design import (
    COST,
    Design,
    build_design,
    cells,
    season_of,
    with_costs,
    without_price,
)
from market.calibration.regression.logit import Estimate, can_nest, controlled, estimate, predict
from market.calibration.shocks import Promotions, Shocks, fit_promotions, fit_shocks
from market.errors import UserError
from market.salesfile.findings import Findings
from market.salesfile.table import Sales
from market.state import Floats, Ints

DRAWS = 256
ROUNDS = 500
CLOSE = 1e-6
LARGEST_RHO = 0.95
SIGNIFICANT = 2.0
SEVERAL_KINDS = (
    "; so far below 0 it says that sellers draw less from one another, and more from those who buy nothing, than in any market "
    "of one kind of customers: where customers are of several kinds, some patient and some not, own and cross elasticities "
    "come out too large (a tenth and a fifth in a simulated file of two kinds); calibrate the kinds apart where the file "
    "tells them (--where, a column market)"
)


def corrections(
    table: pd.DataFrame, utility: pd.Series[float], rho: float, shocks: Shocks, points: int = DRAWS
) -> dict[str, float]:
    """Utility to add to each seller's quality.

    Args:
        table: every row offered, with market, period, seller, units and size.
        utility: its mean utility without shocks.
        points: how many of xi are averaged over, a power of two.

    Example: no shocks, one seller of 30 units in a market of 100 and utility 0 (share 1/2): ``ln(3 / 7) = -0.847``.
    """
    sellers, xi = list(shocks.own), draws(shocks, points)
    cell, seat = cells(table, sellers)
    mean, size = utility.to_numpy(np.float64), table["size"].to_numpy(np.float64)
    target = np.bincount(seat, np.where(np.isfinite(mean), table["units"], 0.0), len(sellers))
    move = np.zeros(len(sellers))
    for _ in range(ROUNDS):
        sold = np.bincount(seat, size * expected_shares(mean + move[seat], cell, seat, rho, xi), len(sellers))
        step = np.where((target > 0) & (sold > 0), np.log(np.maximum(target, 1e-300) / np.maximum(sold, 1e-300)), 0.0)
        move = move + (1 - rho) * step  # a share moves by 1 / (1 - rho) of its utility within the nest
        if np.abs(step).max() < CLOSE:
            break
    return dict(zip(sellers, move.tolist(), strict=True))


def draws(shocks: Shocks, points: int = DRAWS) -> Floats:
    """Points (Q, N) of xi: scrambled Sobol points of a fixed seed and their mirror images."""
    from scipy.stats import qmc

    own = np.array(list(shocks.own.values()))
    if shocks.common == 0 and not own.any():
        return np.zeros((1, len(own)))
    half = ndtri(np.clip(qmc.Sobol(len(own) + 1, rng=0).random(points // 2), 1e-9, 1 - 1e-9))
    z = np.concatenate([half, -half])
    z /= z.std(0)
    return np.asarray(z[:, 1:] * own + z[:, :1] * shocks.common)


@np.errstate(under="ignore")
def expected_shares(utility: Floats, cell: Ints, seat: Ints, rho: float, xi: Floats) -> Floats:
    """Shares (R,) of the market size, averaged over draws ``xi`` (Q, N); 0 where ``utility`` (R,) is NaN.

    ``cell`` (R,): rows of one number are a market and period; ``seat`` (R,): whose shock moves it. As :func:`shares`.
    """
    exponent = np.where(np.isfinite(utility), utility, -np.inf) / (1 - rho)
    top = np.full(int(cell.max()) + 1, -700.0)
    np.maximum.at(top, cell, exponent)
    exponent -= top[cell]
    total = np.zeros_like(exponent)
    for shock in xi:
        weight = np.exp(np.minimum(exponent + (shock / (1 - rho))[seat], 700.0))
        inside = np.maximum(np.bincount(cell, weight, len(top)), 1e-300)
        buys = 1.0 / (1.0 + np.exp(np.clip(-(1 - rho) * (np.log(inside) + top), -700, 700)))
        total += weight * (buys / inside)[cell]
    return total / len(xi)


@np.errstate(under="ignore")
def shares(utility: Floats, rho: float) -> Floats:
    """(Nested) logit shares (R, N) against an outside option of utility 0; 0 where the utility is NaN."""
    exponent = np.where(np.isfinite(utility), utility, -np.inf) / (1 - rho)
    top = np.maximum(exponent.max(1, keepdims=True), -700.0)
    weight = np.exp(exponent - top)
    inside = weight.sum(1, keepdims=True)
    log_inclusive = (1 - rho) * (np.log(np.maximum(inside, 1e-300)) + top)
    buys = 1.0 / (1.0 + np.exp(np.clip(-log_inclusive, -700, 700)))
    return np.asarray(buys * weight / np.maximum(inside, 1e-300))


@dataclass(frozen=True)
class ModelChoice:
    """What was decided by the whole file: folds and other market sizes are fitted the same way.

    ``counts``: units are taken as counts (:mod:`market.calibration.regression.counts`) and not by their logarithms.
    """

    form: str
    nested: bool
    memory: float | None
    instruments: tuple[str, ...]
    counts: bool = False


@dataclass(frozen=True)
class Fit:
    """A fitted market. ``moves``: utility added to each seller's quality so that totals are right."""

    design: Design
    fitted: Estimate
    shocks: Shocks
    moves: dict[str, float]
    promotions: Promotions | None

    def utility(self, table: pd.DataFrame) -> pd.Series[float]:
        """Mean utility of every row of a design's table, level corrections included."""
        return predict(self.fitted, table) + table["seller"].map(self.moves).fillna(0.0)


def design_for(sales: Sales, size: pd.Series[float], choice: ModelChoice, options: CalibrationOptions) -> Design:
    """The regression's table for a choice, with the price's instruments as columns.

    Where instruments stand for the price, rivals' prices are instruments of the nest only if they are named too.
    """
    season = season_of(sales, options.season_length)
    design = build_design(sales, size, choice.form, season, choice.memory, options.trend)
    if choice.instruments and "rivals" not in options.instruments:
        design = replace(design, rivals=without_price(design.rivals))
    design = with_costs(design, known_costs(sales)) if "cost" in options.instruments else design
    return as_chosen(design, choice)


def as_chosen(design: Design, choice: ModelChoice) -> Design:
    """Rows whose units are counts by their own expected units, with a nest or without; others as they are."""
    return counted(design, choice.nested) if choice.counts else design


def fit(
    design: Design, choice: ModelChoice, sellers: list[str], gamma: bool = False, known: Estimate | None = None
) -> Fit:
    """Demand (``known`` where it is estimated already), shocks, promotions and level corrections of a design's rows."""
    design = as_chosen(design, choice) if known is None else design  # a fold's rows do not know the others' units
    fitted = known or estimate(design, choice.nested, choice.instruments)
    shocks = fit_shocks(design.sold, fitted, sellers, gamma)
    moves = corrections(design.table, predict(fitted, design.table), fitted.nest, shocks)
    return Fit(design, fitted, shocks, moves, fit_promotions(design.table, fitted, sellers))


def choose(
    sales: Sales, size: pd.Series[float], options: CalibrationOptions, found: Findings
) -> tuple[ModelChoice, list[Estimate]]:
    """Decide price form, nest and reference price; returns every estimate that was looked at, the chosen one last.

    The price's form is the one with the smaller residuals (both explain the same left-hand side); with instruments those
    of the control function, since least squares have the smallest of all. A nest with rho outside [0, 0.95) and a reference price of negative weight contradict the model: they are left
    out, and it is said.
    """
    instruments = _instruments(sales, options, found)
    tried, counts = _forms(sales, size, options, instruments)
    best = (
        tried[0] if len(tried) == 1 else max(tried, key=lambda one: _explained(sales, size, options, one, instruments))
    )
    for attempt in _simpler(ModelChoice(best.form, options.nest, options.reference, instruments, counts)):
        if (attempt.form, attempt.nested, attempt.memory) == (best.form, False, best.memory):
            tried.append(best)
        else:
            design = design_for(sales, size, replace(attempt, nested=False), options)
            if attempt.nested and not can_nest(design, instruments):
                found.warning(f"no nest: it needs instruments ({_nest_instruments(options)}), and has none left")
                continue
            try:
                tried.append(estimate(as_chosen(design, attempt), attempt.nested, instruments))
            except UserError:
                if not (counts and attempt.nested):
                    raise
                found.warning("no nest: with one, no demand was found that the file's counts would be of")
                continue
        problem = _contradiction(tried[-1])
        if problem is None:
            return attempt, tried
        found.warning(problem)
    raise AssertionError("the last attempt has neither a nest nor a reference price, and so no contradiction")


def _forms(
    sales: Sales, size: pd.Series[float], options: CalibrationOptions, instruments: tuple[str, ...]
) -> tuple[list[Estimate], bool]:
    """The demand by form of the price, without a nest; and whether units were taken as counts."""
    forms = ("linear", "log") if options.form == "auto" else (options.form,)

    def by(counts: bool) -> list[Estimate]:
        plain = [ModelChoice(form, False, options.reference, instruments, counts) for form in forms]
        return [estimate(design_for(sales, size, one, options), False, instruments) for one in plain]

    if few(sales) and not instruments:
        try:
            return by(counts=True), True
        except UserError:  # a promotion with which nothing was ever sold, say: logarithms leave such rows out
            pass
    return by(counts=False), False


def _explained(
    sales: Sales, size: pd.Series[float], options: CalibrationOptions, one: Estimate, instruments: tuple[str, ...]
) -> float:
    """R2 by which forms of the price are compared, without a nest."""
    if not instruments:
        return one.r2
    design = design_for(sales, size, ModelChoice(one.form, False, options.reference, instruments), options)
    return controlled(design, False, instruments).r2


def _nest_instruments(options: CalibrationOptions) -> str:
    if not options.instruments or "rivals" in options.instruments:
        return "rivals' prices or promotions that vary"
    return (
        "rivals' costs or promotions that vary; their prices are, as the price is, no instruments without --iv rivals"
    )


def _simpler(choice: ModelChoice) -> Iterator[ModelChoice]:
    """The choice, and what is left when its nest, its reference price or both go."""
    yield choice
    if choice.nested:
        yield replace(choice, nested=False)
    if choice.memory is not None:
        yield replace(choice, nested=False, memory=None)


def _contradiction(one: Estimate) -> str | None:
    if one.rho is not None and not 0 <= one.rho.value < LARGEST_RHO:
        return (
            f"rho is estimated as {one.rho.value:.3f} (standard error {one.rho.error:.3f}), outside [0, {LARGEST_RHO}): "
            f"refitted without the nest{SEVERAL_KINDS if one.rho.t <= -SIGNIFICANT else ''}"
        )
    if one.weight is not None and one.weight.value < 0:
        return (
            f"the reference price's weight is estimated as {one.weight.value:.3f} (standard error "
            f"{one.weight.error:.3f}), below 0: refitted without it"
        )
    return None


def _instruments(sales: Sales, options: CalibrationOptions, found: Findings) -> tuple[str, ...]:
    """Columns of the design that stand for the price."""
    if "cost" in options.instruments and not sales.has("cost"):
        found.error("--iv cost: the file has no column cost (name it with --columns cost=COLUMN)")
    elif "cost" in options.instruments and (problem := no_instrument(sales)) is not None:
        found.error(f"--iv cost: {problem}: leave it out")
    if "promotions" in options.instruments and not any(sales.rows[name].nunique() > 1 for name in sales.promotions):
        found.error("--iv promotions: the file has no promo_* columns that vary")
    found.settle()
    columns = {
        "cost": [COST],
        "rivals": ["rivals_f"],
        "promotions": [f"rivals_{name}" for name in sales.promotions if sales.rows[name].nunique() > 1],
    }
    return tuple(column for name in options.instruments for column in columns[name])
