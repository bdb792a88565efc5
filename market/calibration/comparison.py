"""Held-out rows against what a fitted market sells there, each figure with the tolerance that the file's own noise asks for.

A figure may be off by the most that harms nobody (``TOTAL``, ``SHARE``, ...) or by ``FAR`` standard deviations of what it
would be by chance if the market were right, whichever is more: its shocks and counts, from the simulated draws, and what the
fit leaves open. Elasticities are compared by the same regression on the file and on what the market sells; where costs can
stand for the price, by two-stage least squares in both, so that a market fitted to prices that follow demand is found out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from market.calibration.calibrate import Calibration
from market.calibration.checks import common_divisor
from market.calibration.costs import known_costs
from market.calibration.regression.standard_errors import within
from market.state import Floats

LEVEL = 0.9
REFITS = 40  # simulated histories that elasticities and tolerances are worked out on
TOTAL, SHARE, OWN, RIVAL, COVERAGE, BUSIEST = 0.05, 0.07, 0.15, 0.15, 0.85, 0.02
HARMLESS = 0.002  # error of a share
FAR = 3.0  # standard deviations


@dataclass(frozen=True)
class FitCheck:
    """One line of the table: the file's figure, the market's, the rule and whether it holds."""

    name: str
    real: float
    market: float
    rule: str
    passed: bool


@dataclass(frozen=True)
class Simulated:
    """Units drawn for every row of a table: ``units`` (D, rows of the table), D draws."""

    table: pd.DataFrame
    units: Floats


@dataclass(frozen=True)
class Held:
    """Held-out rows, their draws, shares by seller in the weeks fitted, and what the fit leaves open.

    ``unsure``: expected units (E, rows) by E draws of the fit's parameters; none (0, rows) where folds are pooled, since
    there each row is predicted from the others and such errors cancel out.
    """

    simulated: Simulated
    trained: pd.Series[float]
    unsure: Floats


@dataclass(frozen=True)
class _Pooled:
    """Rows of several folds: ``real`` and ``mean`` (R,), ``drawn`` (D, R); ``chance`` (C, R): what might have been sold."""

    table: pd.DataFrame
    real: Floats
    mean: Floats
    drawn: Floats
    chance: Floats

    def noise(self, figure: Callable[[Floats], float]) -> float:
        """Standard deviation of a figure of units (R,) by chance, if the market were right."""
        return float(np.std([figure(row) for row in self.chance]))


def compare(found: Calibration, held: list[Held]) -> list[FitCheck]:
    """All checks on held-out rows pooled over folds."""
    all_, rows = _pool(held), found.sales.rows
    total_units = rows.groupby(["market", "period"])["units"].transform("sum")
    busiest = float((total_units / found.size).groupby(rows["market"]).max().mean())
    # Nothing else tells that a market is far too large: its nest takes over what the outside option should do.
    rule = f"at least {BUSIEST:.0%}: else who buys nothing is not known"
    divisor = max(common_divisor(group["units"]) for _, group in rows.groupby("seller"))
    return [
        _total_check(all_),
        *_share_checks(all_, held),
        *_elasticity_checks(found, all_),
        _coverage_check(all_),
        FitCheck("busiest period's units of the market size", busiest, math.nan, rule, busiest >= BUSIEST),
        FitCheck(
            "largest number that divides all units of a seller", divisor, math.nan, "1: counts of one", divisor == 1
        ),
    ]


def compare_levels(held: Held) -> list[FitCheck]:
    """Units in total and each seller's share of them."""
    all_ = _pool([held])
    return [_total_check(all_), *_shares_of_sellers(all_)]


def _total_check(all_: _Pooled) -> FitCheck:
    noise = all_.noise(lambda units: float(units.sum() / all_.mean.sum()))
    return _near("units in total", all_.real.sum(), all_.mean.sum(), TOTAL, noise, relative=True)


def _pool(held: list[Held]) -> _Pooled:
    table = pd.concat([one.simulated.table for one in held])
    draws = min(len(one.simulated.units) for one in held)
    units = np.concatenate([one.simulated.units[:draws] for one in held], axis=1)
    chance = np.concatenate([_chance(one)[:draws] for one in held], axis=1)
    return _Pooled(table, table["units"].to_numpy(np.float64), units.mean(0, dtype=np.float64), units, chance)


def _chance(one: Held) -> Floats:
    """What might have been sold (C, R) were the market right: draws, moved by what the fit leaves open."""
    drawn = one.simulated.units[:REFITS].astype(np.float64)
    if not len(one.unsure):
        return drawn
    mean = np.maximum(one.simulated.units.mean(0, dtype=np.float64), 1e-9)
    return np.asarray(drawn * np.resize(one.unsure, drawn.shape) / mean)


def _near(name: str, real: float, market: float, most: float, noise: float, relative: bool = False) -> FitCheck:
    """Whether the market's figure is at most so far off, as a share of the file's where ``relative``, as ``noise`` is."""
    off = abs(market / real - 1) if relative else abs(market - real)
    allowed = max(most, FAR * noise)
    words = f"within {allowed:.0%}" if relative else f"within {allowed:.2g}"
    return FitCheck(name, real, market, words + (" (noise)" if allowed > most else ""), bool(off <= allowed))


def _share_checks(all_: _Pooled, held: list[Held]) -> list[FitCheck]:
    """Each seller's share of the units, and the mean error over folds beside that of the weeks fitted."""
    errors = np.array([_share_errors(one) for one in held]).mean(0)
    most = max(errors[1], HARMLESS, errors[2])
    rule = "no larger than with the shares of the weeks fitted, or by chance"
    error = FitCheck("error of shares, mean over folds", errors[1], errors[0], rule, bool(errors[0] <= most))
    return [*_shares_of_sellers(all_), error]


def _shares_of_sellers(all_: _Pooled) -> list[FitCheck]:
    seller, checks = all_.table["seller"].to_numpy(), []
    for name in sorted(set(seller)):
        own = seller == name

        def share(units: Floats, own: np.ndarray = own) -> float:
            return float(units[own].sum() / units.sum())

        checks.append(_near(f"share of {name}", share(all_.real), share(all_.mean), SHARE, all_.noise(share)))
    return checks


def _share_errors(held: Held) -> tuple[float, float, float]:
    """The largest error of a share: by the market, by the shares of the weeks fitted, and by chance were the market right."""
    table = held.simulated.table
    sellers, seat = np.unique(table["seller"], return_inverse=True)

    def shares(units: Floats) -> Floats:
        sums = np.bincount(seat, units, len(sellers))
        return np.asarray(sums / sums.sum())

    real, drawn = shares(table["units"].to_numpy(np.float64)), held.simulated.units
    market = shares(drawn.mean(0, dtype=np.float64))
    naive = held.trained.reindex(sellers).fillna(0.0).to_numpy(np.float64)
    by_chance = np.array([np.abs(shares(row) - market).max() for row in _chance(held)])
    return (
        float(np.abs(market - real).max()),
        float(np.abs(naive - real).max()),
        float(by_chance.mean() + FAR * by_chance.std()),
    )


def _coverage_check(all_: _Pooled) -> FitCheck:
    low, high = np.quantile(all_.drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)

    def covered(units: Floats) -> float:
        return float(((low <= units) & (units <= high)).mean())

    chance = [covered(row) for row in all_.chance]
    least, real = min(COVERAGE, float(np.mean(chance) - FAR * np.std(chance))), covered(all_.real)
    noise = " (noise)" if least < COVERAGE else ""
    name, rule = f"rows in their {LEVEL:.0%} intervals", f"at least {least:.2g}{noise}"
    return FitCheck(name, LEVEL, real, rule, real >= least)


def _elasticity_checks(found: Calibration, all_: _Pooled) -> list[FitCheck]:
    """Both slopes of the log-log regression; none under instruments that the regression cannot use as well."""
    by = found.endogeneity.names if found.endogeneity is not None else ()
    if found.options.instruments and "cost" not in by:
        return []
    cost = known_costs(found.sales).reindex(all_.table.index).map(math.log) if "cost" in by else None
    slopes = log_log(all_.table, cost)
    real = slopes(all_.real)
    drawn, chance = (np.array([slopes(row) for row in rows]) for rows in (all_.drawn[:REFITS], all_.chance))
    noise = chance.std(0)
    market, words = drawn.mean(0), " by costs" if cost is not None else ""
    return [
        _near(f"own price, log-log{words}", real[0], market[0], OWN, float(noise[0] / abs(real[0])), relative=True),
        _near(f"rivals' mean price, log-log{words}", real[1], market[1], RIVAL, float(noise[1])),
    ]


def log_log(table: pd.DataFrame, log_cost: pd.Series[float] | None = None) -> Callable[[Floats], tuple[float, float]]:
    """Slopes of ln units on ln own price and mean ln price of rivals, with seller x market effects, as a function of units.

    Rows without a sale are left out. Where there are no rivals their coefficient is 0. ``log_cost``: of each row, its
    instruments are then it and its mean over rivals; rows where either is NaN are left out.
    """
    log_price = np.log(table["price"])
    columns = [log_price, _of_rivals(table, log_price)]
    columns += [] if log_cost is None else [log_cost, _of_rivals(table, log_cost)]
    known = np.column_stack([column.to_numpy(np.float64) for column in columns])
    group = (table["market"] + " " + table["seller"]).factorize()[0].astype(np.int64)

    def slopes(units: Floats) -> tuple[float, float]:
        kept = (units > 0) & np.isfinite(known).all(1)
        y = np.log(np.asarray(units[kept], np.float64))
        centred = within(np.column_stack([known[kept], y]), np.unique(group[kept], return_inverse=True)[1])
        x, y = centred[:, :2], centred[:, -1]
        z = x if log_cost is None else centred[:, 2:4]
        found, *_ = np.linalg.lstsq(z.T @ x, z.T @ y, rcond=None)
        return float(found[0]), float(found[1])

    return slopes


def _of_rivals(table: pd.DataFrame, values: pd.Series[float]) -> pd.Series[float]:
    """Mean over the rivals of the same market and period that are known; 0 where there are none."""
    group = values.groupby([table["market"], table["period"]])
    others = group.transform("count") - values.notna()
    return (group.transform("sum") - values.fillna(0.0)) / others.clip(lower=1)
