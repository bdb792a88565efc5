"""The default story's market with everything in it, and a way to play it by several threads."""

from __future__ import annotations

from typing import Any

from market.simulation.batch import MarketBatch

STORY: dict[str, Any] = {
    "horizon": 6,
    "nest": 0.3,
    "customers": {
        "rate": 20.0,
        "dispersion": 0.2,
        "substitution": 0.7,
        "weekly": [1, 2],
        "shock": {"sd": 0.2, "persistence": 0.5},
    },
    "demand_shock": {"common": 0.3, "persistence": 0.6},
    "events": {"effect": 0.8, "mean_length": 2, "announced": 1},
}


def in_parallel(batch: MarketBatch) -> MarketBatch:
    """The batch, begun anew and from now on played by the build that uses all threads, however small it is."""
    batch.serial = False
    batch.reset(seed=batch.state.seed)
    return batch
