"""How much more a seat could earn against the others as they are: its regret, and the sum over all seats, NashConv.

What a response earns more than the present policy is a lower bound on regret, as a better response may exist; that
of an exact best response is regret itself. NashConv is the sum over seats, 0 in a Nash equilibrium and in no other
line-up (Lanctot et al. 2017, "A unified game-theoretic approach to multiagent reinforcement learning", NeurIPS 30,
section 2). Money a period; E episodes, the same customers for everybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from market.layout import Floats
from policies.evaluation import Result
from policies.statistics import Interval, mean_interval

PRESENT, EXACT = "present policy", "exact best response"
NEGLIGIBLE = 1e-4  # of the present profit


@dataclass(frozen=True)
class Tried:
    """A response that was tried on the customers kept for choosing; ``kind``: trained, rules or present."""

    policy: str
    kind: str
    profit: float


@dataclass(frozen=True)
class Regret:
    """What one seat could earn more.

    Args:
        seller: the seat's name; ``present`` what sits there.
        found: the name of the response that was chosen among ``tried``, on customers used for nothing else.
        results: the present policy, the response found and, where there is one, the exact best response, by name.
        why_not: why there is no exact best response; empty where there is one.
        among: what the exact best response is the best of; ``long_run`` what it earns a period in the long run.
        learners, budget, seed: how responses were trained.
    """

    seller: str
    present: str
    found: str
    results: dict[str, Result]
    why_not: str = ""
    among: str = ""
    long_run: float = float("nan")
    tried: Sequence[Tried] = ()
    learners: tuple[str, ...] = ()
    budget: int = 0
    seed: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def solved(self) -> bool:
        """Whether there is an exact best response."""
        return EXACT in self.results

    @property
    def exact(self) -> bool:
        """Whether regret is that of an exact best response: there is one, and nothing found earns more."""
        return self.response == EXACT

    @property
    def profit(self) -> float:
        """What the present policy earns."""
        return self.results[PRESENT].mean

    def difference(self, policy: str) -> Floats:
        """What a response earned more than the present policy in each episode (E,)."""
        return np.asarray(self.results[policy].profit - self.results[PRESENT].profit)

    def gap(self, policy: str) -> Interval:
        """The mean of :meth:`difference` with its interval."""
        return mean_interval(self.difference(policy), scale=float(np.abs(self.results[PRESENT].profit).max()))

    @cached_property
    def response(self) -> str:
        """The response that shows the largest regret.

        One that was found may show more than the exact one, which is the best on its own prices in the long run:
        what it earns more in the periods before both are in the same cycle is neglected.
        """
        best = max((p for p in self.results if p != PRESENT), key=lambda p: self.results[p].mean)
        if self.solved and self.results[best].mean - self.results[EXACT].mean <= NEGLIGIBLE * abs(self.profit):
            return EXACT
        return best

    @cached_property
    def measured(self) -> Interval:
        """What the response earns more, as measured: below 0 where nothing better than the present policy was found."""
        return self.gap(self.response)

    @property
    def bound(self) -> Interval:
        """Regret, or a lower bound on it. Never negative: the present policy is a response to the others too."""
        return at_least_zero(self.measured)

    def plain(self) -> dict[str, Any]:
        """As JSON has it.

        ``regret`` (``_low``, ``_high``: 95 % interval; ``_share``: of the present policy's ``profit``) is a ``bound``,
        "lower" or "exact"; ``difference`` is what was measured of ``response``, negative where it earns less;
        ``responses`` are the profits of those judged and ``tried`` the profits on the customers kept for choosing;
        ``found`` and ``exact_response`` give the figures of both kinds of response, None where there is none.
        """
        bound, measured = self.bound, self.measured
        return {
            "seller": self.seller,
            "present": self.present,
            "response": self.response,
            "bound": "exact" if self.exact else "lower",
            "exact": self.exact,
            "why_not_exact": self.why_not or None,
            "trained": "+".join(self.learners),
            "budget": self.budget,
            "seed": self.seed,
            "episodes": len(self.difference(self.response)),
            "profit": self.profit,
            "regret": bound.value,
            "regret_low": plain(bound.low),
            "regret_high": plain(bound.high),
            "regret_share": bound.value / abs(self.profit) if self.profit else None,
            "difference": measured.value,
            "difference_half_width": plain(measured.half),
            "responses": {policy: result.mean for policy, result in self.results.items()},
            "found": self._figures(self.found),
            "exact_response": self._figures(EXACT) | self._about_exact() if self.solved else None,
            "tried": {one.policy: one.profit for one in self.tried},
        } | self.extra

    def _figures(self, policy: str) -> dict[str, Any]:
        gap = self.gap(policy)
        figures = {"policy": policy, "profit": self.results[policy].mean, "difference": gap.value}
        return figures | {"difference_low": plain(gap.low), "difference_high": plain(gap.high)}

    def _about_exact(self) -> dict[str, Any]:
        return {"among": self.among, "long_run_profit": plain(self.long_run)}


@dataclass(frozen=True)
class NashConv:
    """The sum of all seats' regrets; ``exact`` how many of them are exact. With any other it is a lower bound."""

    total: Interval
    share: float
    exact: int
    regrets: dict[str, float]

    def plain(self) -> dict[str, Any]:
        """As JSON has it; ``nash_conv_share`` is of the profit of all seats."""
        return {
            "nash_conv": self.total.value,
            "nash_conv_low": plain(self.total.low),
            "nash_conv_high": plain(self.total.high),
            "nash_conv_share": plain(self.share),
            "bound": "exact" if self.exact == len(self.regrets) else "lower",
            "exact_seats": self.exact,
            "regrets": self.regrets,
        }


def nash_conv(regrets: Sequence[Regret]) -> NashConv:
    """Add up the regrets of all seats.

    The interval is of the sum of the seats' differences in the episodes that all of them played, so that what episodes
    have in common is counted; seats where nothing better was found add 0, as their bound is 0.

    Example: differences 1, 3 and -1, -1 over two episodes: regrets 2 and 0, NashConv 2.
    """
    adding = [one.difference(one.response) for one in regrets if one.bound.value > 0]
    fewest = min((len(each) for each in adding), default=0)
    value = sum(one.bound.value for one in regrets)
    profit = sum(one.profit for one in regrets)
    total = Interval(0.0, 0.0, 0.0)
    if adding:
        scale = max(float(np.abs(one.results[PRESENT].profit).max()) for one in regrets)
        common = mean_interval(np.sum([each[:fewest] for each in adding], axis=0), scale=scale)
        moved = value - common.value  # the value is of all episodes that each seat played
        total = at_least_zero(Interval(value, common.low + moved, common.high + moved))
    named = {one.seller: one.bound.value for one in regrets}
    return NashConv(total, value / abs(profit) if profit else float("nan"), sum(one.exact for one in regrets), named)


def at_least_zero(measured: Interval) -> Interval:
    """The interval of a quantity that cannot be negative."""
    return Interval(*(max(x, 0.0) if np.isfinite(x) else x for x in (measured.value, measured.low, measured.high)))


def plain(value: float) -> float | None:
    """A number that JSON has, or None."""
    return float(value) if np.isfinite(value) else None
