"""Who did better: mean ranks and Elo-like ratings of candidates for one seat, from the same customers. Pure functions.

Dimensions: A candidates for a seat, K line-ups of rivals that each of them met, E episodes (the same customers for
all), B bootstrap resamples of the episodes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from market.state import Floats

TIE = 1e-9  # of the larger profit: two that play the same differ by what sums of the same terms round to
MIDDLE, POINTS = 1500.0, 400.0
ITERATIONS = 100


def resampling(episodes: int, resamples: int, rng: np.random.Generator) -> Floats:
    """Weights (B, E) of the episodes in each bootstrap resample; each row sums to 1."""
    return np.asarray(rng.multinomial(episodes, np.full(episodes, 1 / episodes), size=resamples) / episodes)


def mean_ranks(means: Floats) -> Floats:
    """Mean rank of each candidate over line-ups: mean profits (.., A, K) to (.., A); 1 is best, ties share ranks.

    Example: profits 3, 5 against the first line-up and 4, 4 against the second: ranks 2, 1 and 1.5, 1.5, so 1.75 and
    1.25.
    """
    ranks = np.empty(means.shape[:-1])
    for i in range(means.shape[-2]):  # not all pairs at once: with thousands of resamples that is gigabytes
        better, level = _compared(means[..., i : i + 1, :], means, axis=-2)
        ranks[..., i] = (better + (level - 1) / 2 + 1).mean(axis=-1)
    return ranks


def _compared(mine: Floats, others: Floats, axis: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """How many of ``others`` along an axis are above and level with ``mine``, which broadcast against each other."""
    ahead, margin = others - mine, TIE * np.maximum(np.abs(mine), np.abs(others))
    return (ahead > margin).sum(axis), (np.abs(ahead) <= margin).sum(axis)


def wins(profit: Floats) -> Floats:
    """Duels won, (A, A, E): in how many of the K line-ups i earned more than j in an episode; equal profit is half.

    Profit (A, K, E). i and j never meet here: both played the same rivals and customers in the same seat.
    """
    count, _, episodes = profit.shape
    won = np.zeros((count, count, episodes))
    for i in range(count):
        ahead, level = _compared(profit, profit[i], axis=1)
        won[i] = ahead + 0.5 * level
        won[i, i] = 0.0
    return won


def ratings(won: Floats) -> Floats:
    """Elo-like ratings (A,) of maximum likelihood from duels won (A, A), mean 1500, logistic with 400 points.

    i beats j with probability 1 / (1 + 10^((R_j - R_i) / 400)) (Elo, *The Rating of Chessplayers*, 1978), which is the
    model of Bradley & Terry (1952) on another scale. One drawn duel of every two candidates is added, so that one who
    always wins has a finite rating, and candidates who never met in a seat are held together.

    Example: 75 duels won of 100, with the draw 75.5 of 101: odds 2.961, 400 log10(2.961) = 188.6 points apart:
    1594.3 and 1405.7.
    """
    count = len(won)
    won = won + 0.5 * (1 - np.eye(count))
    games, strength = won + won.T, np.zeros(count)
    for _ in range(ITERATIONS):
        chance = _chance(strength)
        slope = (won - games * chance).sum(1)
        curve = games * chance * chance.T
        step = np.linalg.solve(np.diag(curve.sum(1)) - curve + 1.0, slope)
        strength = _climb(won, strength, step)
        if np.abs(step).max() < 1e-10:
            break
    return np.asarray(MIDDLE + POINTS / np.log(10) * (strength - strength.mean()), np.float64)


def _chance(strength: Floats) -> Floats:
    """(A, A) probability that i beats j."""
    return np.asarray(1 / (1 + np.exp(np.clip(strength - strength[:, None], -500, 500))), np.float64)


def _climb(won: Floats, strength: Floats, step: Floats) -> Floats:
    """Newton's step, halved until the likelihood does not fall: far from the top it overshoots."""
    start, share = _likelihood(won, strength), 1.0
    while share > 1e-6 and _likelihood(won, strength + share * step) < start:
        share /= 2
    return strength + share * step


def _likelihood(won: Floats, strength: Floats) -> float:
    return float(-(won * np.logaddexp(0.0, strength - strength[:, None])).sum())
