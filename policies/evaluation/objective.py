"""What a learner is rewarded for: its own profit, or one that minds its rivals'. Needs neither torch nor Tianshou.

Rewards are mixed in money and only then divided by the seat's reward scale. Evaluation and reports show plain profit
whatever the reward. Dimensions: E episodes, T periods, N sellers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from market.metrics.risk import conditional_value_at_risk
from market.state import Floats
from policies.config.learners import LearnerOptions, Mixture, Reward


def minus_best_rival(profit: ArrayLike, seat: int) -> Floats:
    """Profit of ``seat`` minus that of the rival who earned most, money: (..., N) -> (...), N at least 2.

    Profits 5, 3, 8 of one period: the first seat has 5 - 8 = -3, the second -5, the third 3. Two sellers who both want
    this play a zero-sum game (relative performance: Vega-Redondo 1997, *Econometrica* 65(2)).
    """
    money = np.asarray(profit, np.float64)
    return np.asarray(money[..., seat] - np.delete(money, seat, axis=-1).max(axis=-1))


def mixed(profit: ArrayLike, seat: int, own: float) -> Floats:
    """``own`` x the seat's profit + (1 - ``own``) x the market's total, money: (..., N) -> (...).

    Profits 5, 3, 8 at ``own`` 0.25: the first seat has 0.25 x 5 + 0.75 x 16 = 13.25. At 0 all sellers want joint
    profit; in between, rivals' profit counts 1 - ``own`` times one's own (Edgeworth's coefficient of cooperation).
    """
    money = np.asarray(profit, np.float64)
    return np.asarray(own * money[..., seat] + (1 - own) * money.sum(axis=-1))


def objective(profit: ArrayLike, seat: int, reward: Reward) -> Floats:
    """What ``seat`` is rewarded for in each period, money: (..., N) -> (...)."""
    if isinstance(reward, Mixture):
        return mixed(profit, seat, reward.own)
    if reward == "minus_best_rival":
        return minus_best_rival(profit, seat)
    return np.asarray(np.asarray(profit)[..., seat], np.float64)


def standing(options: LearnerOptions, seat: int, profit: Floats, earned: Floats) -> float:
    """How good a learner is by its own lights, money a period: what its best policy is chosen by.

    The mean over episodes of :func:`objective`; with ``risk``, (1 - weight) x that mean + weight x CVaR over episodes.

    Args:
        profit: (T, E, N), the ledger's, of the periods that count.
        earned: (E,) the seat's own profit of those periods with its stock's change valued, as evaluation counts it.
    """
    minded = objective(profit, seat, options.reward) - profit[..., seat]
    episodes = earned + minded.sum(axis=0)
    mean = float(episodes.mean()) / len(profit)
    if options.risk is None:
        return mean
    weight: float = options.risk.weight
    tail = float(conditional_value_at_risk(episodes, options.risk.cvar)) / len(profit)
    return weight * tail + (1 - weight) * mean
