"""Sales files of nested-logit markets whose parameters are known, by numpy alone.

ALPHA (log price), RHO, PROMO; shocks of utility: each seller's own of OWN, one in common of COMMON; SIZE customers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from market.salesfile.table import Sales
from market.state import Floats

ALPHA, RHO, PROMO, OWN, COMMON, SIZE = 2.5, 0.3, 0.7, 0.3, 0.15, 4000
Design = Literal["exogenous", "endogenous", "persistent"]
BASE = np.array([2.0, 2.5, 3.0, 3.6])  # usual prices


def lasting(chance: np.random.Generator, shape: tuple[int, int], persistence: float, sd: float) -> Floats:
    """AR(1) series (T, N) of that standard deviation."""
    x = chance.standard_normal(shape)
    for t in range(1, shape[0]):
        x[t] = persistence * x[t - 1] + np.sqrt(1 - persistence**2) * x[t]
    return x * sd


def shares(utility: Floats, rho: float) -> Floats:
    """Nested logit shares (T, N) against an outside option of utility 0."""
    weight = np.exp(utility / (1 - rho))
    inside = weight.sum(1, keepdims=True)
    return np.asarray(weight / inside * inside ** (1 - rho) / (1 + inside ** (1 - rho)))


def sales_of(
    design: Design,
    seed: int,
    markets: int = 5,
    periods: int = 104,
    size: int = SIZE,
    rho: float = RHO,
    level: float = 0.0,
) -> pd.DataFrame:
    """Columns period, market, seller, price, units, promo_x, cost and market_size.

    ``exogenous``: prices by chance; ``endogenous``: by cost and half of the shock, costs by chance; ``persistent``: shocks
    of persistence .7 and prices of .8. ``level`` is added to utilities: -3 sells a few units a row.
    """
    chance, frames = np.random.default_rng([7, seed]), []
    sellers, lasts = len(BASE), 0.7 if design == "persistent" else 0.0
    quality = np.array([-0.6, -0.4, -0.2, 0.0]) + ALPHA * np.log(BASE) + level
    for market in range(markets):
        shape = (periods, sellers)
        xi = lasting(chance, shape, lasts, OWN) + lasting(chance, (periods, 1), lasts, COMMON)
        cost = BASE * 0.6 * np.exp(lasting(chance, shape, 0.8, 0.15))
        promo = (chance.random(shape) < 0.15).astype(float)
        price = {
            "exogenous": np.log(BASE) + chance.normal(0, 0.15, shape) - 0.15 * promo,
            "endogenous": np.log(cost) + 0.5 + 0.5 * xi + chance.normal(0, 0.03, shape),
            "persistent": np.log(BASE) + lasting(chance, shape, 0.8, 0.18),
        }[design]
        utility = quality + chance.normal(0, 0.2, sellers) - ALPHA * price + PROMO * promo + xi
        share = shares(utility, rho)
        units = chance.multinomial(size, np.column_stack([share, 1 - share.sum(1)]))[:, :-1]
        at = np.indices(shape).reshape(2, -1)
        columns = {"units": units, "promo_x": promo, "price": np.exp(price).round(4), "cost": cost.round(4)}
        names = {"period": at[0] + 1, "market": f"m{market}", "seller": [f"s{k}" for k in at[1]]}
        frames.append(
            pd.DataFrame(names | {name: x.reshape(-1) for name, x in columns.items()} | {"market_size": size})
        )
    return pd.concat(frames, ignore_index=True)


def sales_in_memory(frame: pd.DataFrame) -> Sales:
    """The table as if it had been read from a file."""
    rows = frame.assign(period=frame["period"] - 1, line=range(2, len(frame) + 2), units=frame["units"].astype(float))
    rows = rows.sort_values(["market", "period", "seller"], kind="stable").reset_index(drop=True)
    return Sales(rows, [str(t) for t in sorted(frame["period"].unique())], None, "period", Path("x.csv"), "0" * 64)


def lay_out(table: pd.DataFrame, values: pd.Series[float], sellers: list[str]) -> Floats:
    """(R, N): a row for each market and period, NaN where a seller is not offered."""
    wide = values.groupby([table["market"], table["period"], table["seller"]]).first().unstack("seller")
    return np.asarray(wide.reindex(columns=sellers), np.float64)
