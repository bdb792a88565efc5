"""Pricing strategies with one period of memory, played against each other: limit cycles, re-matching, impulse responses.

A strategy is a table: the price index that a seat posts after every state (the prices posted last). Tables of tabular
Q-learning and of neural networks are looked at alike. All play is deterministic, on mean payoffs.

In an impulse response one seller leaves its strategy for one period; what its rivals do then shows punishment (Calvano et
al. 2020).

Dimensions: M sessions (or seeds) of training, N seats, S states, P line-ups, K periods from a deviation on, C cases: a
session, a phase of its limit cycle and a seat that deviates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market.state import Floats, Ints
from market.theory.price_game import PriceGame

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


PERIODS = 15
FAR = 500  # periods over which a deviation's discounted worth is added up


@dataclass(frozen=True, eq=False)
class SessionImpulse:
    """Per session, the mean over the phases of its cycle and over the seats, which deviate in turn.

    Prices (M, K + 1), the period before the deviation first: of the deviator and (the mean) of its rivals, each with
    its undeviated twin. Shares and worth (M,): ``differs``, cases in which the static best response was not what the
    seller did anyway; ``returned``, cases back on the old cycle after K periods, and ``returned_ever``; ``worth``, the
    deviator's discounted profit over that of its twin - 1, and ``pays``, cases in which that is above 0.
    """

    deviator: Floats
    rivals: Floats
    deviator_twin: Floats
    rivals_twin: Floats
    differs: Floats
    returned: Floats
    returned_ever: Floats
    worth: Floats
    pays: Floats


@dataclass(frozen=True, eq=False)
class _Cases:
    """Who deviates where: ``session``, ``state`` on the cycle and ``seat``, each (C,)."""

    session: Ints
    state: Ints
    seat: Ints


def static_best_response(game: PriceGame, seat: Ints, index: Ints) -> Ints:
    """The price index (C,) that earns the ``seat`` (C,) most this period while the others post ``index`` (C, N).

    Prices 1 and 2 that earn 3 and 4 against the rival's: 1, the index of price 2.
    """
    reply = np.empty(len(seat), np.int64)
    for i, count in enumerate(game.counts):
        own = seat == i
        without = index[own] @ game.stride - index[own, i] * game.stride[i]
        reply[own] = game.payoff[without[:, None] + np.arange(count) * game.stride[i], i].argmax(axis=1)
    return reply


def impulse_response(strategies: Strategies, delta: float, periods: int = PERIODS) -> SessionImpulse:
    """Force each seat of each session for one period to its static best response, and follow what comes.

    ``delta`` discounts the worth of the deviation; ``periods`` K from the deviation on are kept.
    """
    ended = long_run(strategies, strategies.together(), strategies.state)
    cases, on_cycle = _cases(strategies, ended), _on_cycle(strategies, ended)
    line_up = strategies.together()[cases.session]
    each = np.arange(len(cases.seat))
    planned = strategies.answer(line_up, cases.state)
    forced = planned.copy()
    forced[each, cases.seat] = static_best_response(strategies.game, cases.seat, planned)
    far = max(FAR, periods)
    path = _walk(strategies, line_up, cases.state, forced @ strategies.game.stride, far)
    twin = _walk(strategies, line_up, cases.state, planned @ strategies.game.stride, far)
    stays, leaves = (_present_value(strategies.game, states, cases.seat, delta) for states in (twin, path))
    kept, worth = slice(periods + 1), leaves / stays - 1.0
    figures = {
        "differs": (forced != planned).any(axis=1),
        "returned": on_cycle[cases.session, path[periods]],
        "returned_ever": on_cycle[cases.session, path[-1]],
        "worth": worth,
        "pays": worth > 1e-9,
    }
    for name, states in (("", path[kept]), ("_twin", twin[kept])):
        price = strategies.game.posted(states)
        own = price[:, each, cases.seat]
        figures["deviator" + name] = own.T
        figures["rivals" + name] = ((price.sum(axis=2) - own) / (price.shape[2] - 1)).T
    means = {name: _by_session(values, cases.session, len(strategies.table)) for name, values in figures.items()}
    return SessionImpulse(**means)


def _cases(strategies: Strategies, ended: LongRun) -> _Cases:
    """Every seat in every phase of every session's cycle."""
    seats, line_up, state = strategies.table.shape[1], strategies.together(), ended.state
    sessions, states = [], []
    for phase in range(ended.length.max()):
        within = np.flatnonzero(phase < ended.length)
        sessions.append(within)
        states.append(state[within])
        state = strategies.follow(line_up, state)
    session, at = np.concatenate(sessions), np.concatenate(states)
    return _Cases(np.tile(session, seats), np.tile(at, seats), np.repeat(np.arange(seats), len(session)))


def _on_cycle(strategies: Strategies, ended: LongRun) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """(M, S) whether a state lies on the session's limit cycle."""
    mark = np.zeros((len(strategies.table), strategies.game.states), np.bool_)
    cases = _cases(strategies, ended)
    mark[cases.session, cases.state] = True
    return mark


def _walk(strategies: Strategies, line_up: Ints, before: Ints, first: Ints, periods: int) -> Ints:
    """States (periods + 1, C): before, the first period's, and what follows by the strategies."""
    states = np.empty((periods + 1, len(before)), np.int64)
    states[0], states[1] = before, first
    for t in range(2, periods + 1):
        states[t] = strategies.follow(line_up, states[t - 1])
    return states


@np.errstate(under="ignore")
def _present_value(game: PriceGame, states: Ints, seat: Ints, delta: float) -> Floats:
    """The seat's discounted profit (C,) from the deviation on."""
    profit = game.payoff[states[1:], seat]
    return np.asarray(delta ** np.arange(len(profit)) @ profit)


def _by_session(values: Floats, session: Ints, sessions: int) -> Floats:
    """Means (M, ...) of cases (C, ...)."""
    total = np.zeros((sessions, *values.shape[1:]))
    np.add.at(total, session, values)
    count = np.bincount(session, minlength=sessions)
    return np.asarray(total / count.reshape(-1, *(1,) * (total.ndim - 1)))
