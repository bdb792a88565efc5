"""Running statistics of a learner's rewards: what it subtracts from them, and what it divides them by.

Dimensions: M rows.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from tianshou.utils import RunningMeanStd

EPSILON = 1e-8
Rewards = TypeVar("Rewards", NDArray[np.float64], torch.Tensor)


class ReturnScale:
    """The standard deviation of discounted sums of rewards since an episode began, over all rows and periods.

    Rewards divided by it give values of order 1 whatever the market's money is (``VecNormalize`` of OpenAI Baselines;
    Tianshou's ``ret_rms`` does the same to returns at the time of an update).
    """

    def __init__(self, rows: int, gamma: float) -> None:
        self.gamma, self.returns, self.statistics = gamma, np.zeros(rows), RunningMeanStd()

    def see(self, reward: NDArray[np.floating], ended: NDArray[np.bool_]) -> None:
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

    def see(self, reward: NDArray[np.floating], ended: NDArray[np.bool_]) -> None:
        """Take in one period's rewards (M,) and which rows' episodes end with it (M,)."""
        if self.on:
            self.count = min(self.count + len(reward), self.horizon)
            self.mean += (float(reward.mean()) - self.mean) * len(reward) / self.count
        if self.scale is not None:
            self.scale.see(reward - self.mean, ended)

    def learned(self, reward: Rewards) -> Rewards:
        """Rewards as they are learned from."""
        centered = reward - self.mean
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
