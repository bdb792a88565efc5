"""A sales file written by a market whose parameters are known: what calibration must find again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec

NAMES = ("ant", "bee", "cat")


def known_market(**changes: Any) -> dict[str, Any]:
    """Three sellers made to order, nested logit in log price, with shocks and promotions."""
    quality = dict(zip(NAMES, (-1.2, -0.9, -1.5), strict=True))
    own = dict(zip(NAMES, (0.3, 0.2, 0.25), strict=True))
    sellers = [
        {"name": name, "quality": quality[name], "unit_cost": 1.0, "prices": [1.0, 4.0], "xi": own[name],
         "event_frequency": 0.2, "reward_scale": 1.0}
        for name in NAMES
    ]  # fmt: skip
    return {
        "horizon": 120,
        "inventory": "make_to_order",
        "price_form": "log",
        "price_sensitivity": 2.5,
        "nest": 0.3,
        "customers": {"rate": 4000},
        "demand_shock": {"persistence": 0.4, "common": 0.2},
        "events": {"effect": 0.6, "mean_length": 2.0},
        "sellers": sellers,
    } | changes


def record(spec: MarketSpec, markets: int, seed: int = 0, steps: int = 4) -> pd.DataFrame:
    """Sales of ``markets`` rows at prices that change by chance every ``steps`` periods and are cut in events.

    Columns period, market, seller, price, units, promo_event and market_size (what customers would buy on average).
    """
    batch, chance = MarketBatch(spec, markets, seed), np.random.default_rng(seed)
    batch.reset()
    count, rows = len(spec.sellers), []
    base = np.array([2.0, 2.3, 1.8, 2.6, 2.2])[:count]
    nothing = np.zeros((markets, count))
    for t in range(spec.horizon):
        if t % steps == 0:
            regular = base * np.exp(chance.normal(0, 0.18, (markets, count)))
        event = batch.tape.event[:, t].astype(float) if spec.events else nothing
        price = np.round(np.clip(regular * (1 - 0.15 * event * chance.random((markets, count))), 1.0, 4.0), 3)
        sold = batch.step(price, nothing)["sold"]
        for m in range(markets):
            for k, name in enumerate(spec.names):
                rows.append((t, f"m{m}", name, price[m, k], int(sold[m, k]), event[m, k]))
    frame = pd.DataFrame(rows, columns=["period", "market", "seller", "price", "units", "promo_event"])
    if not spec.events:
        frame = frame.drop(columns="promo_event")
    frame["market_size"] = spec.customers.rate
    return frame


def write(frame: pd.DataFrame, folder: Path, name: str = "sales.csv") -> Path:
    """The table as a CSV file."""
    path = folder / name
    frame.to_csv(path, index=False)
    return path
