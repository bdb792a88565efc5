"""What several comparisons say together: of one seat against several line-ups, and of several training runs.

Dimensions: E episodes, S line-ups, R training runs of one seller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from market.state import Floats
from policies.common.files import jsonable
from policies.evaluation.compare import Comparison, Result, share_base
from policies.evaluation.statistics import (
    UNKNOWN,
    Interval,
    improvement,
    improvement_over_runs,
    interquartile_mean,
    stratified,
)


@dataclass(frozen=True)
class Overall:
    """A candidate over all line-ups, money a period.

    ``gap`` and ``better`` are paired with the competitor that is the best over all line-ups. ``worst`` is the line-up
    in which the candidate falls most behind whatever fixed competitor is the best there, and ``behind`` by what share
    of that one's profit (below 0; money where some such profit is too small, see :func:`in_money`).
    """

    policy: str
    entrant: bool
    profit: Interval
    gap: Interval | None
    better: float
    worst: str
    behind: float


@dataclass(frozen=True)
class AcrossLineUps:
    """One seat's comparisons against several line-ups, in all of which the same candidates met the same customers."""

    comparisons: Sequence[Comparison]

    @property
    def seat(self) -> str:
        """The name of the seat."""
        return self.comparisons[0].seat

    def profits(self, policy: str) -> list[Floats]:
        """A candidate's profit in each episode of each line-up."""
        return [found(comparison, policy).profit for comparison in self.comparisons]

    @cached_property
    def best(self) -> str | None:
        """The fixed competitor with the highest mean over line-ups of its mean profit."""
        fixed = [one.policy for one in self.comparisons[0].results if not one.entrant and not one.reference]
        return max(fixed, key=self._mean, default=None)

    def _mean(self, policy: str) -> float:
        return float(np.mean([profit.mean() for profit in self.profits(policy)]))

    @property
    def base(self) -> float | None:
        """What differences to the best fixed competitor are shares of; None: they are money."""
        if self.best is None:
            return None
        revenue = np.mean([found(comparison, self.best).revenue for comparison in self.comparisons])
        return share_base(self._mean(self.best), float(revenue))

    @property
    def in_money(self) -> bool:
        """Whether what one is behind the best of each line-up is money."""
        return in_money(self.comparisons)

    @cached_property
    def standings(self) -> list[Overall]:
        """Every candidate, best first; without references, which are not played against all line-ups."""
        every = [self._overall(result) for result in self.comparisons[0].results if not result.reference]
        return sorted(every, key=lambda overall: -overall.profit.value)

    def _overall(self, result: Result) -> Overall:
        mine = self.profits(result.policy)
        gap, better = None, float("nan")
        if self.best is not None:
            theirs = self.profits(self.best)
            gap = stratified([a - b for a, b in zip(mine, theirs, strict=True)])
            better = float(np.mean([improvement(a, b) for a, b in zip(mine, theirs, strict=True)]))
        shares = shares_of_best(self.comparisons, result.policy)
        k = int(np.argmin(shares)) if np.isfinite(shares).all() else 0
        profit = stratified(mine)
        return Overall(
            result.policy, result.entrant, profit, gap, better, self.comparisons[k].line_up, float(shares[k])
        )

    def rows(self) -> list[dict[str, Any]]:
        """Plain rows for JSON and CSV, best first; ``table`` is ``line_ups``."""
        about = {"table": "line_ups", "seat": self.seat, "line_up": f"mean of {len(self.comparisons)} line-ups"}
        return [
            jsonable(
                about
                | {"policy": one.policy, "judged": one.entrant}
                | one.profit.figures("profit")
                | (one.gap or UNKNOWN).figures("difference")
                | {"best_fixed": self.best, "probability_of_improvement": one.better}
                | {"worst_line_up": one.worst, "behind_best_fixed_there": one.behind}
            )
            for one in self.standings
        ]


def found(comparison: Comparison, policy: str) -> Result:
    """A candidate's result."""
    return next(result for result in comparison.results if result.policy == policy)


def shares_of_best(comparisons: Sequence[Comparison], policy: str) -> list[float]:
    """How much more a candidate earns in each than the best fixed competitor there, as a share of that one's profit.

    All are money where one could be no share (:func:`in_money`); NaN without a fixed competitor. Profit 11 against 10: 0.1.
    """
    money = in_money(comparisons)
    return [_to_best(comparison, policy, money) for comparison in comparisons]


def in_money(comparisons: Sequence[Comparison]) -> bool:
    """Whether the best fixed competitor of some comparison earns too little for a percentage of it to say anything."""
    return any(comparison.best is not None and comparison.best.base is None for comparison in comparisons)


def _to_best(comparison: Comparison, policy: str, money: bool) -> float:
    if comparison.best is None:
        return float("nan")
    gap = found(comparison, policy).mean - comparison.best.mean
    return gap if money else gap / comparison.best.mean


@dataclass(frozen=True)
class AcrossRuns:
    """One seller's training runs in one seat, over all line-ups; ``scores`` (R, S) are shares of the best's profit."""

    seat: str
    seller: str
    policies: tuple[str, ...]
    comparisons: Sequence[Comparison]

    @cached_property
    def scores(self) -> Floats:
        """Each run's difference to the best fixed competitor of each line-up, as a share of that one's profit, or money."""
        return np.array([shares_of_best(self.comparisons, policy) for policy in self.policies])

    @property
    def in_money(self) -> bool:
        """Whether scores are money and no shares."""
        return in_money(self.comparisons)

    @cached_property
    def middle(self) -> Interval:
        """The interquartile mean of the scores."""
        return interquartile_mean(self.scores)

    @cached_property
    def improvement(self) -> Interval:
        """The probability that a run earns more than the best fixed competitor, whose score is 0."""
        return improvement_over_runs(self.scores)

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest run, each the mean over line-ups."""
        means = self.scores.mean(axis=1)
        return float(means.min()), float(means.max())

    def row(self) -> dict[str, Any]:
        """A plain row for JSON and CSV; ``table`` is ``runs``."""
        low, high = self.ends
        about: dict[str, Any] = {"table": "runs", "seat": self.seat}
        about |= {"line_up": "; ".join(c.line_up for c in self.comparisons)}
        about |= {"policy": self.seller, "judged": True, "runs": len(self.policies)}
        chance = self.improvement.figures("probability_of_improvement")
        middle = self.middle.figures("interquartile_mean")
        return jsonable(about | middle | chance | {"lowest_run": low, "highest_run": high})


def training_runs(comparisons: Sequence[Comparison], sellers: Mapping[str, str]) -> list[AcrossRuns]:
    """The comparisons of one seat by the seller that its entrants are training runs of (``sellers``: by policy)."""
    groups: dict[str, list[str]] = {}
    for result in comparisons[0].results:
        if result.entrant and result.policy in sellers:
            groups.setdefault(sellers[result.policy], []).append(result.policy)
    seat = comparisons[0].seat
    return [AcrossRuns(seat, seller, tuple(policies), comparisons) for seller, policies in groups.items()]
