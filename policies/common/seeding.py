"""Disjoint streams of row seeds: what a seller is trained on, chosen on and evaluated on never meet."""

from __future__ import annotations

from typing import Literal

import numpy as np

PURPOSES = {"train": 1, "select": 2, "evaluate": 3, "search": 4, "draw": 5}


def row_seed(seed: int, purpose: Literal["train", "select", "evaluate", "search"]) -> int:
    """The first row's seed for a purpose; row m gets this plus m. 63 bits, so streams do not overlap in practice."""
    bits = np.random.SeedSequence((seed, PURPOSES[purpose])).generate_state(1, np.uint64)[0]
    return int(bits >> np.uint64(1))


def rival_draws(seed: int) -> np.random.Generator:
    """The generator that rivals are drawn by in a run of this seed."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, PURPOSES["draw"]))))
