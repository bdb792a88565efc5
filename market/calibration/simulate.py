"""A fitted market run at the real prices of weeks on record: the market's own kernel, with shocks drawn anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from market.calibration.fit import Fit
from market.calibration.shocks import Shocks
from market.kernel import ABSENT
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.state import NOT_OFFERED, Floats, Script

if TYPE_CHECKING:
    import pandas as pd

ROWS = 12_000  # parallel markets, shared by the file's markets
MOST_DRAWS = 2_000


@dataclass(frozen=True)
class Simulated:
    """Units drawn for every row of a table: ``units`` (D, rows of the table), D draws."""

    table: pd.DataFrame
    units: Floats


def market_of(fit: Fit, shocks: Shocks, prices: tuple[float, float], rate: float, horizon: int) -> MarketSpec:
    """The fitted market made to order, qualities 0: what differs between places and periods comes by a script."""
    fitted = fit.fitted
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


def simulate(fit: Fit, shocks: Shocks, table: pd.DataFrame, seed: int) -> Simulated:
    """Draw the units of every row of a design's table, at its prices, promotions, season and market size.

    ``shocks`` are those of ``fit``, or others that a control puts in their place. Periods that lie apart in the file
    follow one another here, which matters only as far as shocks last.
    """
    table = table[np.isfinite(fit.utility(table))]
    sellers, at = list(shocks.own), _cells(table, list(shocks.own))
    shape = tuple(int(axis.max()) + 1 for axis in at[:2]) + (len(sellers),)
    price, offset = np.ones(shape), np.full(shape, NOT_OFFERED)
    price[at] = table["price"]
    offset[at] = fit.utility(table) + fit.fitted.alpha.value * table["f"]
    size = np.zeros(shape[:2])
    size[at[:2]] = table["size"]
    rate = float(size[size > 0].mean())
    price = np.where(offset > ABSENT, price, float(table["price"].min()))
    prices = float(table["price"].min()), float(table["price"].max())
    spec = market_of(fit, shocks, prices, rate, shape[1])
    nothing = np.zeros((shape[0], 0, shape[2]), np.int8), np.zeros((shape[0], 0))
    script = Script(np.full(shape[1], rate), size / rate, offset, *nothing)
    sold, place = _play(spec, script, price, seed)
    return Simulated(table, _by_place(sold, place, at))


def _cells(table: pd.DataFrame, sellers: list[str]) -> tuple[NDArray[np.int64], ...]:
    """Where each row of the table lies in arrays over places, periods and sellers."""
    markets, periods = (np.unique(table[name], return_inverse=True)[1] for name in ("market", "period"))
    seats = table["seller"].map({name: k for k, name in enumerate(sellers)})
    return tuple(np.asarray(axis, np.int64) for axis in (markets, periods, seats))


def _play(spec: MarketSpec, script: Script, price: Floats, seed: int) -> tuple[Floats, NDArray[np.int64]]:
    """Units sold (R, T, N) of R rows, and the place (R,) that each row plays."""
    places, horizon, count = price.shape
    rows = int(np.clip(ROWS // places, 50, MOST_DRAWS)) * places
    batch = MarketBatch(spec, rows, seed, script=script)
    batch.reset()
    sold, nothing = np.empty((rows, horizon, count), np.float32), np.zeros((rows, count))
    for t in range(horizon):
        sold[:, t] = batch.step(price[batch.tape.place, t], nothing)["sold"]
    return sold, batch.tape.place.copy()


def _by_place(sold: Floats, place: NDArray[np.int64], at: tuple[NDArray[np.int64], ...]) -> Floats:
    """(D, rows of the table): as many draws as the place with the fewest rows has."""
    order = np.argsort(place, kind="stable")
    counts = np.bincount(place, minlength=int(at[0].max()) + 1)
    draws, first = int(counts.min()), np.cumsum(counts) - counts
    picked = order[first[:, None] + np.arange(draws)]  # (P, D)
    return np.stack([sold[picked[:, d]][at] for d in range(draws)])
