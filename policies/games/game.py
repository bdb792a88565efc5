"""The empirical game of a tournament: regrets, Nash equilibria, coarse correlated equilibria. Pure functions.

Payoffs are an array (N, A_1, .., A_N): what each of N seats earns in every line-up, A_i candidates for seat i. A joint
distribution over line-ups is an array (A_1, .., A_N) that sums to 1; mixed strategies give the product of theirs.
Empirical game-theoretic analysis: Wellman, *Methods for Empirical Game-Theoretic Analysis* (2006).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from market.errors import Refusal
from market.state import Floats

TOLERANCE = 1e-9  # of a seat's range of payoffs


@dataclass(frozen=True)
class CoarseCorrelated:
    """A coarse correlated equilibrium: a joint distribution (A_1, .., A_N), payoffs (N,), largest regret."""

    joint: Floats
    payoffs: Floats
    regret: float


def product(strategies: Sequence[Floats]) -> Floats:
    """The joint distribution of independent mixed strategies. (.5, .5) and (0, 1): [[0, .5], [0, .5]]."""
    return np.asarray(reduce(np.multiply.outer, strategies), np.float64)


def expected(payoffs: Floats, joint: Floats) -> Floats:
    """Expected payoffs (N,) of a joint distribution."""
    return np.asarray((payoffs * joint).reshape(len(payoffs), -1).sum(1), np.float64)


def regrets(payoffs: Floats, joint: Floats) -> Floats:
    """What each seat would gain by the best single candidate instead of its part of ``joint``, (N,), never negative.

    The others keep playing their part of the distribution. All zero for mixed strategies: a Nash equilibrium; for any
    distribution: a coarse correlated one (Moulin & Vial 1978).

    Example: prisoner's dilemma with payoffs 3 for cooperation, 1 for defection, 5 and 0 for the two that differ. Both
    cooperate: each would gain 5 - 3 = 2. Both defect: 0, deviating would give 0 instead of 1.
    """
    found = []
    for seat, (own, value) in enumerate(zip(payoffs, expected(payoffs, joint), strict=True)):
        against = np.moveaxis(own, seat, 0).reshape(own.shape[seat], -1)
        found.append(max(float((against @ joint.sum(axis=seat).ravel()).max() - value), 0.0))
    return np.array(found)


# ------------------------------------------------------------------------------------------------ coarse correlated


def coarse_correlated(payoffs: Floats) -> CoarseCorrelated:
    """The coarse correlated equilibrium with the largest sum of payoffs, by linear programming (HiGHS).

    Variables are the line-ups' probabilities; for every seat and every candidate, playing it whatever is drawn must
    not pay more (Moulin & Vial 1978). There is one in every game, since every Nash equilibrium is one.

    Example: chicken with (6, 6), (2, 7), (7, 2), (0, 0): both swerving pays 12 in all, but each would gain by
    daring. Of mixtures that put p on both swerving and (1 - p) / 2 on each of the next two, daring always pays
    7 (p + (1 - p) / 2) = 3.5 + 3.5 p, the mixture 4.5 + 1.5 p, so p = 1/2: payoffs 5.25 each.
    """
    from scipy.optimize import linprog

    spread = float(np.ptp(payoffs)) or 1.0
    game = (payoffs - payoffs.min()) / spread
    limits = np.concatenate([_gains(own, seat) for seat, own in enumerate(game)])
    cells = game[0].size
    done = linprog(
        -game.reshape(len(game), -1).sum(0),
        A_ub=limits,
        b_ub=np.zeros(len(limits)),
        A_eq=np.ones((1, cells)),
        b_eq=[1.0],
        method="highs",
    )
    if done.x is None:
        raise Refusal(f"equilibria: the linear program was not solved ({done.message})")
    joint = np.where(done.x > TOLERANCE, done.x, 0.0).reshape(game.shape[1:])
    joint /= joint.sum()
    return CoarseCorrelated(joint, expected(payoffs, joint), float(regrets(payoffs, joint).max()))


def _gains(own: Floats, seat: int) -> Floats:
    """(A_i, line-ups): what a seat gains in each line-up by playing each of its candidates there instead."""
    instead = np.moveaxis(own, seat, 0)
    shape = (own.shape[seat], *own.shape)
    whole = np.broadcast_to(np.expand_dims(instead, seat + 1), shape)
    return np.asarray((whole - own).reshape(len(instead), -1), np.float64)
