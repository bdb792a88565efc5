"""Does the fitted market sell what was sold in weeks that it has not seen?

Blocks of three periods are dealt to five folds in turn; each fold is fitted without its blocks and simulated on them,
at their real prices, promotions and market sizes, by the market's own kernel with shocks drawn anew. The last fifth of
the file is told too, as a warning only: real markets drift, and a market fitted to the years before need not hold for
the next. What is written, the market of the file's last quarter, is told against that quarter, also as a warning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from market.calibration.calibrate import Calibration
from market.calibration.comparison import REFITS, FitCheck, Held, Simulated, compare, compare_levels
from market.calibration.fit import LARGEST_RHO, Fit, ModelChoice, fit
from market.calibration.moment import elapsed_at, latest
from market.calibration.regression.design import ELAPSED, Design
from market.calibration.uncertainty import expected_units
from market.demand.script import tastes
from market.errors import UserError
from market.kernel.choice import ABSENT
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.state import NOT_OFFERED, Floats, Ints, Script

ROWS = 12_000  # parallel markets, shared by the file's markets
FEWEST_DRAWS, MOST_DRAWS = 50, 2_000
BLOCK, FOLDS, LAST = 3, 5, 0.2


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


def simulate(fit: Fit, table: pd.DataFrame, seed: int, most: int = MOST_DRAWS) -> Simulated:
    """Draw the units of every row of a design's table, up to ``most`` times, at its prices, promotions, season and market size.

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
    sold, place = _play(spec, script, price, seed, most)
    return Simulated(table, _by_place(sold, place, at))


def _cells(table: pd.DataFrame, sellers: list[str]) -> tuple[Ints, ...]:
    """Where each row of the table lies in arrays over places, periods and sellers."""
    markets, periods = (np.unique(table[name], return_inverse=True)[1] for name in ("market", "period"))
    seats = table["seller"].map({name: k for k, name in enumerate(sellers)})
    return tuple(np.asarray(axis, np.int64) for axis in (markets, periods, seats))


def _play(spec: MarketSpec, script: Script, price: Floats, seed: int, most: int) -> tuple[Floats, Ints]:
    """Units sold (R, T, N) of R rows, and the place (R,) that each row plays."""
    places, horizon, count = price.shape
    rows = int(np.clip(ROWS // places, min(FEWEST_DRAWS, most), most)) * places
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
class Validation:
    """``checks``: on the held-out blocks; ``last``: the same on the last fifth, where a failure only warns.

    ``level``: the market that is written, at the prices and promotions of the last quarter, against its units; none
    where it is that of the middle.
    ``rows``, ``last_rows``: how many were predicted. ``weeks``: by period and seller, ``units`` and what the market
    sold on average (``market``), all markets together, each period predicted by the fit that has not seen it.
    """

    checks: list[FitCheck]
    last: list[FitCheck]
    rows: int
    last_rows: int
    weeks: pd.DataFrame
    level: list[FitCheck] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether all checks on the held-out blocks hold."""
        return all(check.passed for check in self.checks)


def validate(found: Calibration, say: Callable[[str], None] = lambda phase: None) -> Validation:
    """Fit and simulate every fold, and the last fifth."""
    period, folds = found.fit.design.table["period"], []
    for k in range(FOLDS):
        say(f"held-out blocks, fold {k + 1} of {FOLDS}")
        folds.append(_hold_out(found, (period // BLOCK) % FOLDS == k, seed=k))
    say("the last fifth")
    last = [_hold_out(found, period >= (1 - LAST) * len(found.sales.labels), seed=FOLDS, unsure=REFITS)]
    level = compare_levels(_written(found)) if found.options.at == "end" else []
    return Validation(compare(found, folds), compare(found, last), _count(folds), _count(last), _weeks(folds), level)


def _written(found: Calibration) -> Held:
    """The market written, which stands still, over the last quarter: trends are those of its moment in every period."""
    table, periods = found.fit.design.table, len(found.sales.labels)
    late = table[table["period"] >= periods - latest(periods)].assign(**{ELAPSED: elapsed_at(periods, "end")})
    drawn = simulate(found.fit, late, FOLDS + 1)
    units = late.groupby("seller")["units"].sum()
    return Held(drawn, units / units.sum(), expected_units(found, drawn.table, REFITS))


def _weeks(held: list[Held]) -> pd.DataFrame:
    rows = [one.simulated.table.assign(market=one.simulated.units.mean(0, dtype=np.float64)) for one in held]
    return pd.concat(rows).groupby(["period", "seller"])[["units", "market"]].sum().reset_index()


def _count(held: list[Held]) -> int:
    return sum(len(one.simulated.table) for one in held)


def _hold_out(found: Calibration, held: pd.Series[bool], seed: int, unsure: int = 0) -> Held:
    """``unsure``: draws of what the fit leaves open."""
    design, sellers = found.fit.design, found.sellers
    try:
        fitted = _fit(design.keep(~held), found.choice, sellers, found.options.gamma)
    except UserError as problem:
        raise UserError(f"{found.sales.path}: --validate: fitting without held-out periods: {problem}") from None
    trained = design.table[~held].groupby("seller")["units"].sum()
    drawn = simulate(fitted, design.table[held], seed)
    here = replace(found, fit=fitted, choice=replace(found.choice, nested=fitted.fitted.rho is not None))
    return Held(drawn, trained / trained.sum(), expected_units(here, drawn.table, unsure))


def _fit(design: Design, choice: ModelChoice, sellers: list[str], gamma: bool) -> Fit:
    """A fold's fit, without the nest where its periods would put rho outside the model, as for the whole file."""
    found = fit(design, choice, sellers, gamma)
    if choice.nested and not 0 <= found.fitted.nest < LARGEST_RHO:
        found = fit(design, replace(choice, nested=False), sellers, gamma)
    if found.fitted.alpha.value <= 0:
        raise UserError(f"the price coefficient has the wrong sign (alpha {found.fitted.alpha.value:.3f})")
    return found
