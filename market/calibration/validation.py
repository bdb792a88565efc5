"""Does the fitted market sell what was sold in weeks that it has not seen?

Blocks of three periods are dealt to five folds in turn; each fold is fitted without its blocks and simulated on them,
at their real prices, promotions and market sizes, by the market's own kernel with shocks drawn anew. The last fifth of
the file is told too, as a warning only: real markets drift, and a market fitted to the years before need not hold for
the next.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from market.calibration.calibrate import Calibration
from market.calibration.checks import common_divisor
from market.calibration.fit import LARGEST_RHO, Fit, ModelChoice, fit
from market.calibration.regression.design import Design
from market.demand.script import tastes
from market.errors import UserError
from market.kernel.choice import ABSENT
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.state import NOT_OFFERED, Floats, Ints, Script

ROWS = 12_000  # parallel markets, shared by the file's markets
MOST_DRAWS = 2_000
BLOCK, FOLDS, LAST = 3, 5, 0.2
LEVEL = 0.9
REFITS = 20  # simulated histories that elasticities are estimated on
TOTAL, SHARE, OWN, RIVAL, COVERAGE, BUSIEST = 0.05, 0.07, 0.15, 0.15, 0.85, 0.02


@dataclass(frozen=True)
class Simulated:
    """Units drawn for every row of a table: ``units`` (D, rows of the table), D draws."""

    table: pd.DataFrame
    units: Floats


def market_of(fit: Fit, prices: tuple[float, float], rate: float, horizon: int) -> MarketSpec:
    """The fitted market made to order, qualities 0: what differs between places and periods comes by a script."""
    fitted, shocks = fit.fitted, fit.shocks
    low, high = prices
    sellers = [
        {"name": f"s{k}", "quality": 0.0, "unit_cost": 0.0, "prices": [low, high], "xi": own, "reward_scale": 1.0}
        for k, own in enumerate(shocks.own.values())
    ]
    return MarketSpec.parse(
        {
            "horizon": horizon,
            "inventory": "make_to_order",
            "price_form": fitted.form,
            "price_sensitivity": fitted.alpha.value,
            "nest": fitted.nest,
            "customers": {"rate": rate, "dispersion": shocks.dispersion},
            "demand_shock": {"persistence": shocks.persistence, "common": shocks.common},
            "sellers": sellers,
        }
    )


def simulate(fit: Fit, table: pd.DataFrame, seed: int) -> Simulated:
    """Draw the units of every row of a design's table, at its prices, promotions, season and market size.

    Periods that lie apart in the file follow one another here, which matters only as far as shocks last.
    """
    table = table[np.isfinite(fit.utility(table))]
    at = _cells(table, list(fit.shocks.own))
    shape = tuple(int(axis.max()) + 1 for axis in at[:2]) + (len(fit.shocks.own),)
    price, offset = np.ones(shape), np.full(shape, NOT_OFFERED)
    price[at] = table["price"]
    offset[at] = fit.utility(table) + fit.fitted.alpha.value * table["f"]
    size = np.zeros(shape[:2])
    size[at[:2]] = table["size"]
    rate = float(size[size > 0].mean())
    price = np.where(offset > ABSENT, price, float(table["price"].min()))
    prices = float(table["price"].min()), float(table["price"].max())
    spec = market_of(fit, prices, rate, shape[1])
    events, usual = np.zeros((shape[0], 0, shape[2]), np.int8), np.zeros((shape[0], 0))
    script = Script(np.full(shape[1], rate), size / rate, offset, events, tastes(spec, shape[0]), usual)
    sold, place = _play(spec, script, price, seed)
    return Simulated(table, _by_place(sold, place, at))


def _cells(table: pd.DataFrame, sellers: list[str]) -> tuple[Ints, ...]:
    """Where each row of the table lies in arrays over places, periods and sellers."""
    markets, periods = (np.unique(table[name], return_inverse=True)[1] for name in ("market", "period"))
    seats = table["seller"].map({name: k for k, name in enumerate(sellers)})
    return tuple(np.asarray(axis, np.int64) for axis in (markets, periods, seats))


def _play(spec: MarketSpec, script: Script, price: Floats, seed: int) -> tuple[Floats, Ints]:
    """Units sold (R, T, N) of R rows, and the place (R,) that each row plays."""
    places, horizon, count = price.shape
    rows = int(np.clip(ROWS // places, 50, MOST_DRAWS)) * places
    batch = MarketBatch(spec, rows, seed, [script])
    batch.reset()
    sold, nothing = np.empty((rows, horizon, count), np.float32), np.zeros((rows, count))
    for t in range(horizon):
        sold[:, t] = batch.step(price[batch.tape.place, t], nothing)["sold"]
    return sold, batch.tape.place.copy()


def _by_place(sold: Floats, place: Ints, at: tuple[Ints, ...]) -> Floats:
    """(D, rows of the table): as many draws as the place with the fewest rows has."""
    order = np.argsort(place, kind="stable")
    counts = np.bincount(place, minlength=int(at[0].max()) + 1)
    draws, first = int(counts.min()), np.cumsum(counts) - counts
    picked = order[first[:, None] + np.arange(draws)]  # (P, D)
    return np.stack([sold[picked[:, d]][at] for d in range(draws)])


@dataclass(frozen=True)
class FitCheck:
    """One line of the table: the file's figure, the market's, the rule and whether it holds."""

    name: str
    real: float
    market: float
    rule: str
    passed: bool


@dataclass(frozen=True)
class Validation:
    """``checks``: on the held-out blocks; ``last``: the same on the last fifth, where a failure only warns.

    ``rows``, ``last_rows``: how many were predicted. ``weeks``: by period and seller, ``units`` and what the market
    sold on average (``market``), all markets together, each period predicted by the fit that has not seen it.
    """

    checks: list[FitCheck]
    last: list[FitCheck]
    rows: int
    last_rows: int
    weeks: pd.DataFrame

    @property
    def passed(self) -> bool:
        """Whether all checks on the held-out blocks hold."""
        return all(check.passed for check in self.checks)


@dataclass(frozen=True)
class Held:
    """Held-out rows, their draws, and shares by seller in the weeks fitted."""

    simulated: Simulated
    trained: pd.Series[float]


def validate(found: Calibration, say: Callable[[str], None] = lambda phase: None) -> Validation:
    """Fit and simulate every fold, and the last fifth."""
    period, folds = found.fit.design.table["period"], []
    for k in range(FOLDS):
        say(f"held-out blocks, fold {k + 1} of {FOLDS}")
        folds.append(_hold_out(found, (period // BLOCK) % FOLDS == k, seed=k))
    say("the last fifth")
    last = [_hold_out(found, period >= (1 - LAST) * len(found.sales.labels), seed=FOLDS)]
    return Validation(compare(found, folds), compare(found, last), _count(folds), _count(last), _weeks(folds))


def _weeks(held: list[Held]) -> pd.DataFrame:
    rows = [one.simulated.table.assign(market=one.simulated.units.mean(0, dtype=np.float64)) for one in held]
    return pd.concat(rows).groupby(["period", "seller"])[["units", "market"]].sum().reset_index()


def _count(held: list[Held]) -> int:
    return sum(len(one.simulated.table) for one in held)


def _hold_out(found: Calibration, held: pd.Series[bool], seed: int) -> Held:
    design, sellers = found.fit.design, found.sellers
    try:
        fitted = _fit(design.keep(~held), found.choice, sellers, found.options.gamma)
    except UserError as problem:
        raise UserError(f"{found.sales.path}: --validate: fitting without held-out periods: {problem}") from None
    trained = design.table[~held].groupby("seller")["units"].sum()
    return Held(simulate(fitted, design.table[held], seed), trained / trained.sum())


def _fit(design: Design, choice: ModelChoice, sellers: list[str], gamma: bool) -> Fit:
    """A fold's fit, without the nest where its periods would put rho outside the model, as for the whole file."""
    found = fit(design, choice, sellers, gamma)
    if choice.nested and not 0 <= found.fitted.nest < LARGEST_RHO:
        found = fit(design, replace(choice, nested=False), sellers, gamma)
    if found.fitted.alpha.value <= 0:
        raise UserError(f"the price coefficient has the wrong sign (alpha {found.fitted.alpha.value:.3f})")
    return found


def compare(found: Calibration, held: list[Held]) -> list[FitCheck]:
    """All checks on held-out rows pooled over folds."""
    table = pd.concat([one.simulated.table for one in held])
    draws = min(len(one.simulated.units) for one in held)
    units = np.concatenate([one.simulated.units[:draws] for one in held], axis=1)
    real, mean = table["units"].to_numpy(np.float64), units.mean(0, dtype=np.float64)
    low, high = np.quantile(units, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    covered = float(((low <= real) & (real <= high)).mean())
    rows = found.sales.rows
    total_units = rows.groupby(["market", "period"])["units"].transform("sum")
    busiest = float((total_units / found.size).groupby(rows["market"]).max().mean())
    # Nothing else tells that a market is far too large: its nest takes over what the outside option should do.
    rule = f"at least {BUSIEST:.0%}: else who buys nothing is not known"
    divisor = max(common_divisor(group["units"]) for _, group in found.sales.rows.groupby("seller"))
    return [
        _near("units in total", real.sum(), mean.sum(), TOTAL, relative=True),
        *_share_checks(table["seller"], real, mean, held),
        *_elasticity_checks(table, units),
        FitCheck(f"rows in their {LEVEL:.0%} intervals", LEVEL, covered, f"at least {COVERAGE}", covered >= COVERAGE),
        FitCheck("busiest period's units of the market size", busiest, math.nan, rule, busiest >= BUSIEST),
        FitCheck(
            "largest number that divides all units of a seller", divisor, math.nan, "1: counts of one", divisor == 1
        ),
    ]


def _near(name: str, real: float, market: float, most: float, relative: bool = False) -> FitCheck:
    """Whether the market's figure is at most so far off, as a share of the file's where ``relative``."""
    off = abs(market / real - 1) if relative else abs(market - real)
    return FitCheck(name, real, market, f"within {most:.0%}" if relative else f"within {most}", bool(off <= most))


def _share_checks(seller: pd.Series[str], real: Floats, mean: Floats, held: list[Held]) -> list[FitCheck]:
    """Each seller's share of the units, and the mean error over folds beside that of the weeks fitted."""
    sums = pd.DataFrame({"real": real, "market": mean}, index=seller.index).groupby(seller).sum()
    sums /= sums.sum()
    checks = [_near(f"share of {name}", row["real"], row["market"], SHARE) for name, row in sums.T.to_dict().items()]
    errors = np.array([_share_errors(one) for one in held]).mean(0)
    rule = "no larger than with the shares of the weeks fitted"
    checks.append(
        FitCheck("error of shares, mean over folds", errors[1], errors[0], rule, bool(errors[0] <= errors[1]))
    )
    return checks


def _share_errors(held: Held) -> tuple[float, float]:
    """The largest error of a share, by the market and by the shares of the weeks fitted."""
    table = held.simulated.table.assign(market=held.simulated.units.mean(0, dtype=np.float64))
    sums = table.groupby("seller")[["units", "market"]].sum()
    sums /= sums.sum()
    naive = held.trained.reindex(sums.index).fillna(0.0)
    return float((sums["market"] - sums["units"]).abs().max()), float((naive - sums["units"]).abs().max())


def _elasticity_checks(table: pd.DataFrame, units: Floats) -> list[FitCheck]:
    real = log_log(table, table["units"].to_numpy(np.float64))
    simulated = np.mean([log_log(table, draw.astype(np.float64)) for draw in units[:REFITS]], axis=0)
    own = _near("own price, log-log", real[0], float(simulated[0]), OWN, relative=True)
    return [own, _near("rivals' mean price, log-log", real[1], float(simulated[1]), RIVAL)]


def log_log(table: pd.DataFrame, units: Floats) -> tuple[float, float]:
    """Least squares of ln units on ln own price and mean ln price of rivals, with seller x market effects.

    Rows without a sale are left out. Where there are no rivals their coefficient is 0.
    """
    log_price = np.log(table["price"])
    group = log_price.groupby([table["market"], table["period"]])
    rivals = (group.transform("sum") - log_price) / (group.transform("size") - 1).clip(lower=1)
    frame = pd.DataFrame({"own": log_price, "rivals": rivals})[units > 0]
    frame["y"] = np.log(units[units > 0])
    kept = table[units > 0]
    centred = frame - frame.groupby([kept["market"], kept["seller"]]).transform("mean")
    x, *_ = np.linalg.lstsq(centred[["own", "rivals"]].to_numpy(), centred["y"].to_numpy(), rcond=None)
    return float(x[0]), float(x[1])
