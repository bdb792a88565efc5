"""Rewards of a risk-averse actor-critic: the tail of a period's profits counts, not only their mean.

CVaR of a profit R at level a is the largest value over v of E[v - (v - R)+ / a], and a v that reaches it is the
a-quantile of R (Rockafellar & Uryasev 2000, "Optimization of conditional value-at-risk", *J. Risk* 2(3), theorem 1).
With v at the running quantile, v - (v - r)+ / a is a reward like any other, whose mean is CVaR.

What it is: a static measure of one *period's* profit, over all periods alike. What it is not: CVaR of an episode's or
of the discounted profit, which no sum of rewards is. A loss spread thinly over a bad month weighs little here, one
that falls on single days weighs in full; lumpy orders, paid when they are placed, look like risk.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.config.objectives import Risk
from policies.learners.running import ReturnScale, RewardBaseline, Rewards

STEP = 0.05  # of the spread: what one period may move the quantile by, at most
TRANSITIONS = 2_000  # over which a single row's steps are spread


class RunningQuantile:
    """The ``level`` quantile of rewards, forgetting: v moves up the gradient of v - (v - r)+ / level in v.

    That gradient, 1 - [share of rewards below v] / level, vanishes at the quantile (Robbins & Monro 1951). Steps are in
    units of the rewards' mean distance from v, so that their money does not matter; the first ones fall as 1 / t.
    """

    def __init__(self, level: float) -> None:
        self.level = level
        self.value, self.spread, self.periods = 0.0, 0.0, 0

    def see(self, reward: NDArray[np.floating]) -> None:
        """Take in one period's rewards (M,)."""
        if not self.periods:
            self.value = float(np.quantile(reward, self.level))
        self.periods += 1
        rate = max(1 / self.periods, min(len(reward) / TRANSITIONS, STEP))
        self.spread += rate * (float(np.abs(reward - self.value).mean()) - self.spread)
        self.value += rate * self.spread * (self.level - float((reward < self.value).mean()))

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"value": self.value, "spread": self.spread, "periods": self.periods}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        self.value, self.spread, self.periods = state["value"], state["spread"], state["periods"]


class RiskBaseline(RewardBaseline):
    """As its base, of (1 - weight) r + weight (v - (v - r)+ / level); rewards that lie in a memory follow v."""

    def __init__(self, risk: Risk, on: bool, scale: ReturnScale | None = None) -> None:
        super().__init__(on, scale=scale)
        self.risk, self.quantile = risk, RunningQuantile(risk.cvar)

    def adjusted(self, reward: Rewards) -> Rewards:
        """What rewards of any shape count for.

        With v = 2, level 0.25 and weight 0.5, a reward of 1 counts 0.5 x 1 + 0.5 x (2 - 1 / 0.25) = -0.5, one of 3
        counts 0.5 x 3 + 0.5 x 2 = 2.5.
        """
        weight, v = self.risk.weight, self.quantile.value
        below = (reward - v).clip(max=0)
        return (1 - weight) * reward + weight * (v + below / self.risk.cvar)

    def see(self, reward: NDArray[np.floating], ended: NDArray[np.bool_]) -> None:
        """Take in one period's rewards (M,) and which rows' episodes end with it (M,)."""
        self.quantile.see(reward)
        super().see(self.adjusted(np.asarray(reward, np.float64)), ended)

    def learned(self, reward: Rewards) -> Rewards:
        """Rewards as they are learned from."""
        return super().learned(self.adjusted(reward))

    def scalars(self) -> dict[str, float]:
        """Where the statistics stand."""
        return super().scalars() | {"reward_quantile": self.quantile.value}

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values."""
        return super().state_dict() | {"quantile": self.quantile.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        super().load_state_dict(state)
        self.quantile.load_state_dict(state["quantile"])
