"""Pricing strategies with one period of memory, played against each other: limit cycles and re-matching.

A strategy is a table: the price index that a seat posts after every state (the prices posted last). Tables of tabular
Q-learning and of neural networks are judged alike. All play is deterministic, on mean payoffs.

Dimensions: M sessions (or seeds) of training, N seats, S states, P line-ups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from market.state import Floats
from market.theory.price_game import Ints, PriceGame

MOST_STARTS = 100_000


@dataclass(frozen=True, eq=False)
class Strategies:
    """What was learned in M sessions: ``table`` (M, N, S) price indices, ``state`` (M,) where each session stopped."""

    game: PriceGame
    table: Ints
    state: Ints

    def answer(self, line_up: Ints, state: Ints) -> Ints:
        """Price indices (P, N) that line-ups (P, N) post after states (P,); seat i's strategy is of session line_up[:, i]."""
        return np.asarray(self.table[line_up, np.arange(line_up.shape[1]), state[:, None]])

    def follow(self, line_up: Ints, state: Ints) -> Ints:
        """The states (P,) after one period."""
        return np.asarray(self.answer(line_up, state) @ self.game.stride)

    def together(self) -> Ints:
        """The line-ups (M, N) of sellers that were trained together."""
        return np.repeat(np.arange(len(self.table))[:, None], self.table.shape[1], axis=1)

    def rematched(self) -> Ints:
        """Line-ups (P, N) of sellers of different sessions only: seat k from session m + k d, all m and d.

        With two seats these are all ordered pairs of different sessions; none with one seat or fewer sessions than
        seats. Three sessions, two seats: (0, 1), (1, 2), (2, 0), (0, 2), (1, 0), (2, 1).
        """
        sessions, seats = self.table.shape[:2]
        shift, first = (axis.ravel() for axis in np.mgrid[1:sessions, :sessions])
        line_up = (first[:, None] + shift[:, None] * np.arange(seats)) % max(sessions, 1)
        apart = (np.diff(np.sort(line_up, axis=1), axis=1) > 0).all(axis=1)
        return np.asarray(line_up[apart] if seats > 1 else line_up[:0])

    def last_posted(self, line_up: Ints) -> Ints:
        """The states (P,) in which every seller has posted what it posted last in its own session."""
        index = self.game.index(self.state)
        return np.asarray(index[line_up, np.arange(line_up.shape[1])] @ self.game.stride)


@dataclass(frozen=True, eq=False)
class LongRun:
    """Where line-ups end: ``state`` (P,) on the limit cycle, its ``length`` (P,), mean ``profit`` and ``price`` (P, N)."""

    state: Ints
    length: Ints
    profit: Floats
    price: Floats


def long_run(strategies: Strategies, line_up: Ints, start: Ints) -> LongRun:
    """Play line-ups (P, N) from states (P,) until they repeat themselves, and take the mean over the cycle.

    Floyd's tortoise and hare: the hare moves two states a period and meets the tortoise on the cycle, where both wait
    for the others'.
    """
    game = strategies.game
    slow = strategies.follow(line_up, start)
    fast = strategies.follow(line_up, slow)
    while (apart := slow != fast).any():
        slow = np.where(apart, strategies.follow(line_up, slow), slow)
        fast = np.where(apart, strategies.follow(line_up, strategies.follow(line_up, fast)), fast)
    profit, price = game.payoff[slow].copy(), game.posted(slow)
    length, state = np.ones(len(slow), np.int64), strategies.follow(line_up, slow)
    while (going := state != slow).any():
        profit[going] += game.payoff[state[going]]
        price[going] += game.posted(state[going])
        length += going
        state = np.where(going, strategies.follow(line_up, state), state)
    return LongRun(slow, length, profit / length[:, None], price / length[:, None])


def long_run_from_anywhere(strategies: Strategies, line_up: Ints, rng: np.random.Generator) -> Floats:
    """Mean profit (P, N) of line-ups (P, N) in the long run, over the states that they may start from.

    Over all states where that is at most :data:`MOST_STARTS` walks, else over states drawn for each line-up.
    """
    states, each = strategies.game.states, max(1, MOST_STARTS // max(len(line_up), 1))
    every = np.tile(np.arange(states), len(line_up))
    start = every if each >= states else rng.integers(0, states, each * len(line_up))
    walks = np.repeat(line_up, len(start) // len(line_up), axis=0)
    profit = long_run(strategies, walks, start).profit
    return np.asarray(profit.reshape(len(line_up), -1, profit.shape[1]).mean(axis=1))


def jackknife(values: Floats, line_up: Ints, sessions: int) -> float:
    """Half-width of the 95 % interval of the mean of ``values`` (P,) over line-ups (P, N), by leaving out sessions.

    Line-ups share sessions, so they are not independent; sessions are (Arvesen 1969; Efron & Stein 1981):
    ``t(M - 1) sqrt((M - 1) / M sum_m (mean without m - their mean)^2)``. For one value a session it is the usual t interval.
    NaN where leaving out a session leaves nothing.
    """
    without = []
    for m in range(sessions):
        kept = (line_up != m).all(axis=1)
        if not kept.any():
            return float("nan")
        without.append(values[kept].mean())
    spread = np.sum((np.array(without) - np.mean(without)) ** 2) * (sessions - 1) / sessions
    return float(stdtrit(sessions - 1, 0.975) * np.sqrt(spread)) if sessions > 1 else float("nan")
