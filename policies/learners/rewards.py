"""What a learner is rewarded with: what it subtracts from its seat's profits, what it divides them by, and aversion to risk.

**Stock at cost.** An order is paid now and sold later, so to a critic that has learned nothing yet ordering is a loss. What
is learned from is therefore reward + *shaping*, Phi(s') - Phi(s), with the potential Phi = unit cost x inventory position
(on hand + on order) / reward scale: stock is an asset at cost until it is sold, as in any seller's books and in the
evaluation. A potential's differences add up to what it ends with less what it began with, so the average profit a period
is the same with them and without, and so is the policy that makes most of it (Ng, Harada & Russell 1999, "Policy invariance
under reward transformations", ICML, remark 1 on undiscounted returns). Of a period with ``sold`` units unit cost x
``sold`` is left of what was paid for goods.

Where values are discounted the difference is not gamma Phi(s') - Phi(s), which would leave the best *discounted* policy: that one
pays (1 - gamma) x unit cost a period on every unit in stock, beside the holding cost, for nothing that the market knows of.
On the monopoly of configs/ it earns 98.56 % of the best average at gamma .9 and 99.93 at .98 (`bazaar theory monopoly
--gamma 0.9`). On a seller solved whole at gamma .8 (``tests/learners/test_shaping.py``) it earns 96.3 %, with the difference
99.8. Evaluation and reports never see shaping. It is added after aversion to risk and before centring, so the tail of a period's profits is that of the profits
themselves.

:class:`RewardBaseline` centres rewards by their running mean and, with a :class:`ReturnScale`, normalises them.
:class:`CVaRReward` is that of a risk-averse actor-critic, for which the tail of a period's profits counts beside their
mean. CVaR of a profit R at level a is the largest value over v of E[v - (v - R)+ / a], and a v that reaches it is the
a-quantile of R (Rockafellar & Uryasev 2000, "Optimization of conditional value-at-risk", *J. Risk* 2(3), theorem 1). With
v at the running quantile, v - (v - r)+ / a is a reward like any other, whose mean is CVaR.

What that is: a static measure of one *period's* profit, over all periods alike. What it is not: CVaR of an episode's or
of the discounted profit, which no sum of rewards is. A loss spread thinly over a bad month weighs little here, one
that falls on single days weighs in full; lumpy orders, paid when they are placed, look like risk.

:class:`Tally` keeps accounts of what seats earned and were rewarded for. Dimensions: M rows, N sellers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from tianshou.utils import RunningMeanStd

from market.state import Flags, Floats
from policies.config.learners import Risk


class Tally:
    """Means of what each seat earned and was rewarded for since they were last taken, money a period."""

    def __init__(self, seats: int) -> None:
        self._begin(seats)

    def _begin(self, seats: int) -> None:
        self._profit, self._objective, self._periods = np.zeros(seats), np.zeros(seats), 0

    def add(self, profit: Floats, objectives: dict[int, Floats], rows: Mapping[int, Any]) -> None:
        """Count one period: profit (M, N), and (M,) for each seat with an objective of its own.

        ``rows``: by seat those that count; None, or a seat that is not there: all.
        """
        means = profit.mean(axis=0)
        some = {seat: which for seat, which in rows.items() if which is not None}
        for seat, which in some.items():
            means[seat] = profit[which, seat].mean()
        self._profit += means
        for seat, money in objectives.items():
            means[seat] = money[some.get(seat, slice(None))].mean()
        self._objective += means
        self._periods += 1

    def take(self) -> dict[int, dict[str, float]]:
        """By seat, ``profit`` and ``objective``, or nothing where no period was counted; begins anew."""
        if not self._periods:
            return {}
        figures = np.stack((self._profit, self._objective), axis=1) / self._periods
        self._begin(len(self._profit))
        return {seat: {"profit": own, "objective": all_told} for seat, (own, all_told) in enumerate(figures.tolist())}

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"profit": self._profit.tolist(), "objective": self._objective.tolist(), "periods": self._periods}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        self._profit, self._objective = np.array(state["profit"]), np.array(state["objective"])
        self._periods = state["periods"]


EPSILON = 1e-8
Rewards = TypeVar("Rewards", NDArray[np.float64], torch.Tensor)


class ReturnScale:
    """The standard deviation of discounted sums of rewards since an episode began, over all rows and periods.

    Rewards divided by it give values of order 1 whatever the market's money is (``VecNormalize`` of OpenAI Baselines;
    Tianshou's ``ret_rms`` does the same to returns at the time of an update).
    """

    def __init__(self, rows: int, gamma: float) -> None:
        self.gamma, self.returns, self.statistics = gamma, np.zeros(rows), RunningMeanStd()

    def see(self, reward: NDArray[np.floating], ended: Flags) -> None:
        """Take in one period's rewards (M,) and which rows' episodes end with it (M,)."""
        self.returns = self.gamma * self.returns + reward
        self.statistics.update(self.returns)
        self.returns[ended] = 0.0

    @property
    def sd(self) -> float:
        """The standard deviation; 1 before anything is seen."""
        return math.sqrt(float(self.statistics.var) + EPSILON)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values."""
        s = self.statistics
        found = {"mean": float(s.mean), "var": float(s.var), "count": int(s.count)}
        return found | {"returns": torch.from_numpy(self.returns.copy())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        s = self.statistics
        s.mean, s.var, s.count = state["mean"], state["var"], state["count"]
        self.returns = state["returns"].cpu().numpy().copy()


class RewardBaseline:
    """The exponentially forgetting mean of rewards, ``horizon`` transitions long; the plain mean until then.

    With a ``scale``, what is left is divided by the standard deviation of its discounted sums.
    """

    def __init__(self, on: bool, horizon: int = 200_000, scale: ReturnScale | None = None) -> None:
        self.on, self.horizon, self.scale = on, horizon, scale
        self.mean, self.count = 0.0, 0

    def adjusted(self, reward: Rewards) -> Rewards:
        """What rewards of any shape count for: themselves."""
        return reward

    def see(self, reward: NDArray[np.floating], ended: Flags, shaping: Floats | float = 0.0) -> None:
        """Take in one period's rewards and their shaping (M,), and which rows' episodes end with it (M,)."""
        shaped = self.adjusted(np.asarray(reward, np.float64)) + shaping
        if self.on:
            self.count = min(self.count + len(reward), self.horizon)
            self.mean += (float(shaped.mean()) - self.mean) * len(reward) / self.count
        if self.scale is not None:
            self.scale.see(shaped - self.mean, ended)

    def learned(self, reward: Rewards, shaping: Rewards | float = 0.0) -> Rewards:
        """Rewards as they are learned from, of any shape, that of their shaping."""
        centered = self.adjusted(reward) + shaping - self.mean
        return centered if self.scale is None else centered / self.scale.sd

    def scalars(self) -> dict[str, float]:
        """Where the statistics stand."""
        standing = {"reward_baseline": self.mean}
        return standing if self.scale is None else standing | {"return_sd": self.scale.sd}

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values."""
        state: dict[str, Any] = {"mean": self.mean, "count": self.count}
        return state if self.scale is None else state | {"scale": self.scale.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        self.mean, self.count = state["mean"], state["count"]
        if self.scale is not None:
            self.scale.load_state_dict(state["scale"])


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


class CVaRReward(RewardBaseline):
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

    def see(self, reward: NDArray[np.floating], ended: Flags, shaping: Floats | float = 0.0) -> None:
        """As its base's; the quantile is that of rewards without their shaping."""
        self.quantile.see(reward)
        super().see(reward, ended, shaping)

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
