"""What an estimate leaves open: markets drawn from the sampling distribution of the price coefficient, nest, qualities
and shocks.

Each estimate is, to first order, a sum over rows of its scores (:mod:`market.calibration.regression.standard_errors`). Seller j's
level given the slopes: the sum of ``w_i e_i``, weights so that they are its mean; the residuals' variance: the sum of
``e_i^2 / R`` less its mean. A draw is the sum of the long-run rows of these scores, each times an independent standard
normal (the multiplier bootstrap; van der Vaart and Wellner 1996, section 2.9), jointly normal with the covariance that the
standard errors are of. Everything else of a draw follows from its slopes as it does for the estimate itself.

R rows, K slopes (trends included), N sellers, G long-run rows, D draws.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from market.calibration.calibrate import Calibration
from market.calibration.fit import LARGEST_RHO, Fit, corrections, draws, expected_shares
from market.calibration.moment import MarketAt, market_at, market_qualities
from market.calibration.regression.absorbed import score_sums
from market.calibration.regression.design import WEIGHT, Design, cells
from market.calibration.regression.logit import (
    Estimate,
    design_columns,
    kinds,
    names,
    parameters,
    predict,
    regression,
    unpack,
)
from market.calibration.regression.standard_errors import (
    by_period,
    by_period_and,
    long_run,
    slope_scores,
    small_sample,
)
from market.calibration.shocks import Shocks, fit_shocks
from market.state import Floats, Ints

DRAWS = 39  # from the lowest to the highest of so many is a 95 % interval: (n - 1) / (n + 1)
SEED = 12
TRIES = 100  # times as many, where impossible ones are drawn anew
GROUPS, POINTS = 250, 32  # markets x periods, and points of xi, by which a draw's totals are made right


@dataclass(frozen=True)
class MarketDraw:
    """A market that the estimate leaves open: ``quality`` (N,) is added to each seller's, ``shock`` times the xi's sd."""

    alpha: float
    rho: float
    quality: list[float]
    shock: float


@dataclass(frozen=True)
class Drawn:
    """``markets``: the draws. ``refused``: draws without meaning (alpha <= 0, rho outside [0, .95)), drawn anew."""

    markets: list[MarketDraw]
    refused: int


def draw_markets(found: Calibration, count: int = DRAWS) -> Drawn:
    """Draw markets as likely as the estimate leaves them: same file, same draws.

    The normal law is cut off where no market is: a draw of ``alpha <= 0`` or rho outside [0, .95) is drawn anew. Price
    form, season, events and reference price stay as estimated. None are drawn where hardly any would be a market.
    """
    kept, refused = _drawn(found, count)
    return Drawn(list(_markets(found, kept)), refused) if len(kept) == count else Drawn([], refused)


def _drawn(found: Calibration, count: int) -> tuple[list[tuple[Floats, Estimate]], int]:
    """Draws of levels (N,) and the residuals' variance, with the estimate at the slopes drawn; and how many were refused."""
    base, design = found.fit.fitted, found.fit.design
    columns = design_columns(design, found.choice.nested)
    scores = influence(found, columns)
    rng, kept = np.random.default_rng(SEED), list[tuple[Floats, Estimate]]()
    tried, beta = 0, base.beta
    while len(kept) < count and tried < TRIES * count:
        moved = rng.standard_normal(len(scores)) @ scores
        tried += 1
        drawn = beta + moved[: len(beta)]
        if _possible(columns, drawn):
            one = unpack(design, columns, drawn, np.zeros((len(beta), len(beta))), base.instruments)
            kept.append((moved[len(beta) :], one))
    return kept, tried - len(kept)


def expected_units(found: Calibration, table: pd.DataFrame, count: int) -> Floats:
    """Expected units (D, rows) of a design's rows by D draws of what the fit leaves open."""
    fit, units = found.fit, np.empty((count, len(table)))
    (cell, seat), xi = cells(table, found.sellers), draws(fit.shocks, POINTS)
    for row, (moved, one) in zip(units, _drawn(found, count)[0] if count else [], strict=False):
        utility = (predict(one, table) + table["seller"].map(fit.moves)).to_numpy(np.float64) + moved[:-1][seat]
        row[:] = expected_shares(utility, cell, seat, one.nest, xi) * table["size"]
    return units


def _possible(columns: dict[str, Floats], beta: Floats) -> bool:
    at: dict[str, float] = dict(zip(columns, beta.tolist(), strict=False))  # trends come behind
    return at["f"] + at.get("reference", 0.0) < 0 and 0 <= at.get("within", 0.0) < LARGEST_RHO


def influence(found: Calibration, columns: dict[str, Floats]) -> Floats:
    """Long-run rows (G, K + N + 1) of the slopes, of each seller's level given them, and of the residuals' variance."""
    design, one, count = found.fit.design, found.fit.fitted, len(found.sellers)
    table = design.sold
    x, z, absorbed = regression(design, columns, one.instruments)
    e, period = np.asarray(one.xi, np.float64), table["period"].to_numpy()
    seat = cells(table, found.sellers)[1]
    raw = np.column_stack(list(columns.values()))
    summed = np.hstack(
        [
            score_sums(raw, slope_scores(x, z, e, absorbed.effect, absorbed.weight), e, absorbed, period),
            by_period_and(_level_weights(design, seat, count) * e, period, seat, count),
            by_period(_about_mean(e, absorbed.weight)[:, None], period),
        ]
    )
    rows = long_run(summed, [*kinds(names(design, columns)), *["level"] * count, "variance"])
    return np.asarray(rows * small_sample(len(table), parameters(columns, absorbed), len(summed)))


def _about_mean(e: Floats, weight: Floats | None) -> Floats:
    """(R,): what each row adds to the mean square of residuals less that mean; of counts by weights as the shocks' is."""
    of = np.ones(len(e)) if weight is None else weight**2
    mean = float(of @ e**2 / of.sum())
    return np.asarray(of * (e**2 - mean) / of.sum())


def _level_weights(design: Design, seat: Ints, count: int) -> Floats:
    """(R,): a seller's level is its markets' mean residual, weighted by their sizes, as its quality is."""
    table = design.sold
    effects = table.groupby(["market", "seller"])
    weight = (effects["size"].transform("mean") / effects["size"].transform("size")).to_numpy(np.float64)
    if design.counted:  # its markets' mean residuals are weighted too
        weight *= (table[WEIGHT] / effects[WEIGHT].transform("mean")).to_numpy(np.float64)
    return np.asarray(weight / np.bincount(seat, weight, count)[seat])


def _markets(found: Calibration, drawn: list[tuple[Floats, Estimate]]) -> Iterator[MarketDraw]:
    """The draws' markets: totals are made right in each as they are for the estimate, on the same rows."""
    at, rows = market_at(found), _some(found.fit.design.table)
    here, before = _quality(found, at, found.fit, rows), variance(found.fit.shocks)
    for moved, one in drawn:
        shocks = fit_shocks(found.fit.design.sold, one, found.sellers, found.options.gamma)
        there = _quality(found, at, replace(found.fit, fitted=one, shocks=shocks), rows)
        now = max(variance(shocks) + float(moved[-1]), 0.0)
        factor = math.sqrt(now / before) if before > 0 else 1.0
        yield MarketDraw(one.alpha.value, one.nest, (there - here + moved[:-1]).tolist(), factor)


def variance(shocks: Shocks) -> float:
    """Of a seller's shocks, mean over sellers: the common part's and its own."""
    return float(shocks.common**2 + np.mean(np.square(list(shocks.own.values()))))


def _quality(found: Calibration, at: MarketAt, fit: Fit, rows: pd.DataFrame) -> Floats:
    """Each seller's quality (N,) at that moment, of an average period with its promotions; corrections by ``rows``."""
    moves = corrections(rows, predict(fit.fitted, rows), fit.fitted.nest, fit.shocks, POINTS)
    fit = replace(fit, moves=moves, promotions=None)
    moment = replace(at, quality=market_qualities(found, fit, found.options.at))
    return np.array([moment.mean_quality(seat) for seat in range(len(found.sellers))])


def _some(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of every so many-th market and period, all sellers among them."""
    number = table.groupby(["market", "period"]).ngroup()
    every = max(int(number.max()) // GROUPS, 1)
    some = table[number % every == 0]
    return some if some["seller"].nunique() == table["seller"].nunique() else table
