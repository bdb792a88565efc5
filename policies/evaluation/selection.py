"""How good learners are by now, by their own lights: what best policies are chosen by. Needs neither torch nor Tianshou.

A learner is rewarded for its own profit, or for one that minds its rivals'. Rewards are mixed in money and only then
divided by the seat's reward scale; evaluation and reports show plain profit whatever the reward.

In self-play the rivals change, so profit among learners says little. Each learner is evaluated against fixed rivals, on
customers that neither training nor the final table uses: those that the configuration seats where a single seller
learns, else the first line-up that it evaluates against, or several where a mode trains against several.

Dimensions: L line-ups, N sellers, E episodes, T periods.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from market.metrics.risk import conditional_value_at_risk
from market.metrics.summary import episode_profit
from market.state import Floats
from policies.common.seeding import row_seed
from policies.config.learners import LearnerOptions, Mixture, Reward
from policies.config.run import RunConfig
from policies.sellers.protocol import Seller
from policies.sellers.rollout import play

LEAST = 0.1  # of the largest par: what a shortfall is divided by at least


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


def played(
    config: RunConfig, seed: int, seat: int, seller: Seller, line_up: Sequence[Seller], options: LearnerOptions
) -> tuple[float, float]:
    """Standing (:func:`standing`) and mean profit of a seller in a seat, both money a period."""
    settings, spec = config.evaluation, config.market
    seats = [seller if k == seat else rival for k, rival in enumerate(line_up)]
    episodes = config.training.evaluation_episodes
    ledger = play(spec, seats, markets=episodes, seed=row_seed(seed, "select"))
    earned = episode_profit(ledger, spec, settings.warm_up, settings.salvage)[:, seat]
    profit = float(earned.mean()) / (spec.horizon - settings.warm_up)
    return standing(options, seat, ledger["profit"][settings.warm_up :], earned), profit


@dataclass
class Shortfalls:
    """What a seller falls short of, against ``line_ups``: L lists of a seller for every seat.

    The par of a seat against a line-up is the best standing that any line-up's seller for that seat has against it.
    """

    config: RunConfig
    seed: int
    line_ups: Sequence[Sequence[Seller]]
    _pars: dict[tuple[int, LearnerOptions | None], list[float]] = field(default_factory=dict)

    def pars(self, seat: int, options: LearnerOptions) -> list[float]:
        """Of a seat against each line-up (L), money a period."""
        at = seat, None if options.plain else options
        if at not in self._pars:
            self._pars[at] = [
                max(played(self.config, self.seed, seat, other[seat], line_up, options)[0] for other in self.line_ups)
                for line_up in self.line_ups
            ]
        return self._pars[at]

    def worst(self, seat: int, seller: Seller, options: LearnerOptions) -> float:
        """The least, over line-ups, of a seller's standing less par, as a share of par's size.

        Standings 9 and 3 where pars are 10 and 2: -0.1 and 0.5, so -0.1.
        """
        found = [played(self.config, self.seed, seat, seller, line_up, options)[0] for line_up in self.line_ups]
        return float(relative(found, self.pars(seat, options)).min())


def relative(standings: ArrayLike, pars: ArrayLike) -> Floats:
    """Standings less par as a share of par's size (L); a size below a tenth of the largest counts as that."""
    par = np.asarray(pars, np.float64)
    return np.asarray((np.asarray(standings) - par) / np.maximum(np.abs(par), LEAST * np.abs(par).max()), np.float64)


@dataclass
class ModelSelection:
    """Evaluates learners against fixed rivals, the same for all its time.

    Args:
        first: a seller for every seat (N), against whom profits are reported.
        several: what scores are made of; None: standings against the first.
    """

    config: RunConfig
    seed: int
    first: Sequence[Seller]
    several: Shortfalls | None = None

    def evaluate(self, seat: int, seller: Seller, options: LearnerOptions) -> tuple[float, float]:
        """The score of a seller in a seat, and its mean profit against the first line-up, money a period.

        The score is the learner's standing against the first line-up, money a period, or, against several, the worst
        shortfall.
        """
        own, profit = played(self.config, self.seed, seat, seller, self.first, options)
        return own if self.several is None else self.several.worst(seat, seller, options), profit
