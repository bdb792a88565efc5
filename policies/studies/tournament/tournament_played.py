"""What a tournament has played: every line-up's profits, by seat and by resample.

Dimensions: N sellers, A candidates for a seat, K sets of rivals, E episodes, B bootstrap resamples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from market.spec.models import MarketSpec
from market.state import Floats
from policies.games import ranking
from policies.studies.tournament.entries import Policy
from policies.studies.tournament.schedule import LineUp, Plan

RESAMPLES = 400
RESAMPLING = 5  # key of the resampling's generator


@dataclass(frozen=True)
class Played:
    """Everything that was played: ``profits`` are those per period of each episode, (E, N) a cell."""

    spec: MarketSpec
    policies: Sequence[Policy]
    plan: Plan
    profits: Mapping[LineUp, Floats]
    episodes: int
    seed: int

    @property
    def labels(self) -> list[str]:
        """Who takes part."""
        return [policy.label for policy in self.policies]

    def seat(self, seat: int) -> Floats:
        """Profit of each candidate of a seat against each set of rivals, (A, K, E)."""
        plan = self.plan
        return np.array(
            [[self.profits[one][:, seat] for one in plan.line_ups(seat, own)] for own in plan.candidates[seat]]
        )

    def weights(self) -> Floats | None:
        """Bootstrap resamples of the episodes, (B, E); None of one episode."""
        if self.episodes < 2:
            return None
        return ranking.resampling(self.episodes, RESAMPLES, np.random.default_rng((self.seed, RESAMPLING)))


def plain(value: Any) -> Any:
    """Numbers as Python's own; what is not known (NaN) becomes None."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
