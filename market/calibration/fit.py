"""One fit of a file's rows: demand, shocks, promotions and level corrections, with choices that a fold can repeat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from market.calibration.design import Design, build_design, price_term, usual_season
from market.calibration.levels import corrections
from market.calibration.logit import Estimate, can_nest, estimate, predict
from market.calibration.options import Options
from market.calibration.promotions import Promotions, fit_promotions
from market.calibration.shocks import Shocks, fit_shocks
from market.errors import Refusal
from market.salesfile.findings import Findings
from market.salesfile.table import Sales

if TYPE_CHECKING:
    import pandas as pd

LARGEST_RHO = 0.95
SIGNIFICANT = 2.0


@dataclass(frozen=True)
class Choice:
    """What was decided by the whole file: folds and other market sizes are fitted the same way."""

    form: str
    nested: bool
    memory: float | None
    instruments: tuple[str, ...]


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


def design_for(sales: Sales, size: pd.Series[float], choice: Choice, options: Options) -> Design:
    """The regression's table for a choice, with the price's instruments as columns."""
    season = usual_season(sales, options.season_length)
    design = build_design(sales, size, choice.form, season, choice.memory, options.trend)
    if "cost" in options.instruments:
        design.table["instrument_cost"] = price_term(design.table["cost"].clip(lower=1e-9), choice.form)
    return design


def fit(design: Design, choice: Choice, sellers: list[str], gamma: bool = False, known: Estimate | None = None) -> Fit:
    """Demand (``known`` where it is estimated already), shocks, promotions and level corrections of a design's rows."""
    fitted = known or estimate(design, choice.nested, choice.instruments)
    shocks = fit_shocks(design.sold, fitted, sellers, gamma)
    moves = corrections(design.table, predict(fitted, design.table), fitted.nest, shocks)
    return Fit(design, fitted, shocks, moves, fit_promotions(design.table, fitted, sellers))


def choose(sales: Sales, size: pd.Series[float], options: Options, found: Findings) -> tuple[Choice, list[Estimate]]:
    """Decide price form, nest and reference price; returns every estimate that was looked at, the chosen one last.

    The price's form is the one with the smaller residuals (both explain the same left-hand side). A nest with rho
    outside [0, 0.95) and a reference price of negative weight contradict the model: they are left out, and it is said.
    """
    tried: list[Estimate] = []
    forms = ("linear", "log") if options.form == "auto" else (options.form,)
    instruments = _instruments(sales, options, found)
    for form in forms:
        tried.append(_estimate(sales, size, Choice(form, False, options.reference, instruments), options))
    best = max(tried, key=lambda one: one.r2)
    for attempt in _simpler(Choice(best.form, options.nest, options.reference, instruments)):
        if (attempt.form, attempt.nested, attempt.memory) == (best.form, False, best.memory):
            tried.append(best)
        else:
            design = design_for(sales, size, attempt, options)
            if attempt.nested and not can_nest(design, attempt.instruments):
                found.warning(
                    "no nest: it needs instruments (rivals' prices or promotions that vary), and has none left"
                )
                continue
            tried.append(estimate(design, attempt.nested, attempt.instruments))
        problem = _contradiction(tried[-1])
        if problem is None:
            return attempt, tried
        found.warning(problem)
    raise Refusal(
        f"{sales.path}: no model of the demand fits"
    )  # pragma: no cover - the last attempt has no contradiction


def _simpler(choice: Choice) -> Iterator[Choice]:
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
            "refitted without the nest"
        )
    if one.weight is not None and one.weight.value < 0:
        return (
            f"the reference price's weight is estimated as {one.weight.value:.3f} (standard error "
            f"{one.weight.error:.3f}), below 0: refitted without it"
        )
    return None


def _estimate(sales: Sales, size: pd.Series[float], choice: Choice, options: Options) -> Estimate:
    return estimate(design_for(sales, size, choice, options), choice.nested, choice.instruments)


def _instruments(sales: Sales, options: Options, found: Findings) -> tuple[str, ...]:
    """Columns of the design that stand for the price."""
    if "cost" in options.instruments and not sales.has("cost"):
        found.error("--iv cost: the file has no column cost (name it with --columns cost=COLUMN)")
    if "promotions" in options.instruments and not any(sales.rows[name].nunique() > 1 for name in sales.promotions):
        found.error("--iv promotions: the file has no promo_* columns that vary")
    found.settle()
    columns = {
        "cost": ["instrument_cost"],
        "rivals": ["rivals_f"],
        "promotions": [f"rivals_{name}" for name in sales.promotions if sales.rows[name].nunique() > 1],
    }
    return tuple(column for name in options.instruments for column in columns[name])
