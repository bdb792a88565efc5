"""Equilibria of a game whose payoffs are a table: regrets, coarse correlated ones, all Nash ones, and how sure they are.

Payoffs are an array (N, A_1, .., A_N): what each of N seats earns in every line-up, A_i candidates for seat i. A joint
distribution over line-ups is an array (A_1, .., A_N) that sums to 1; mixed strategies give the product of theirs.
Empirical game-theoretic analysis: Wellman, *Methods for Empirical Game-Theoretic Analysis* (2006). Pure functions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from market.errors import UserError
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
        raise UserError(f"equilibria: the linear program was not solved ({done.message})")
    joint = np.where(done.x > TOLERANCE, done.x, 0.0).reshape(game.shape[1:])
    joint /= joint.sum()
    return CoarseCorrelated(joint, expected(payoffs, joint), float(regrets(payoffs, joint).max()))


def _gains(own: Floats, seat: int) -> Floats:
    """(A_i, line-ups): what a seat gains in each line-up by playing each of its candidates there instead."""
    instead = np.moveaxis(own, seat, 0)
    shape = (own.shape[seat], *own.shape)
    whole = np.broadcast_to(np.expand_dims(instead, seat + 1), shape)
    return np.asarray((whole - own).reshape(len(instead), -1), np.float64)


MOST_SUPPORTS = 3_000_000
MOST_FOR_VERTICES = 16  # strategies of both seats together: beyond it nashpy's enumeration takes minutes


@dataclass(frozen=True)
class Equilibrium:
    """One equilibrium: mixed strategies by seat, expected payoffs (N,), and the largest gain of any deviation."""

    strategies: tuple[Floats, ...]
    payoffs: Floats
    regret: float


@dataclass(frozen=True)
class NashSet:
    """What was found. ``complete``: these are all, or, where the game is ``degenerate``, all extreme ones."""

    equilibria: list[Equilibrium]
    complete: bool
    degenerate: bool


def nash_equilibria(payoffs: Floats) -> NashSet:
    """All Nash equilibria of one or two seats, pure ones first, then by total payoff.

    Candidates that another one beats against everything go first (they are in no equilibrium, and neither are those
    beaten once they are gone). What is left is solved by support enumeration (Nisan et al., *Algorithmic Game Theory*,
    2007, algorithm 3.4) on the supports themselves: nashpy's own misses equilibria by rounding, 1 of 5 in a random
    game of 6 x 6. In a degenerate game equilibria come in continua, of which nashpy's vertex enumeration
    (algorithm 3.5) adds the extreme points. Each is kept only if no seat can gain more than 1e-9 of its range of
    payoffs. Where there are too many supports, only the smaller ones are tried (most games have equilibria there:
    Porter, Nudelman & Shoham 2008).

    Example: matching pennies, [[1, -1], [-1, 1]] and its negative: one equilibrium, (.5, .5) for both, payoffs 0.

    Raises:
        UserError: more than two seats.
    """
    if len(payoffs) == 1:
        return _best_alone(payoffs)
    if len(payoffs) != 2:
        raise UserError(
            f"equilibria: Nash equilibria are enumerated for one or two seats, this game has {len(payoffs)}"
        )
    rows, columns = undominated(payoffs)
    game = _scaled(payoffs[:, rows][:, :, columns])
    largest = _largest_support(*game.shape[1:])
    every = largest == min(game.shape[1:])
    found = distinct(_checked(game, _by_support(game, largest)))
    degenerate = (every and len(found) % 2 == 0) or any(_is_degenerate(game, pair) for pair in found)
    extreme = _by_vertex(game) if degenerate else None
    if extreme is not None:
        found = distinct([*found, *_checked(game, extreme)])
    wide = [(_put(x, rows, payoffs.shape[1]), _put(y, columns, payoffs.shape[2])) for x, y in found]
    complete = every and (extreme is not None or not degenerate)
    return NashSet(sorted((_equilibrium(payoffs, pair) for pair in wide), key=_order), complete, degenerate)


def _best_alone(payoffs: Floats) -> NashSet:
    best = np.flatnonzero(payoffs[0] >= payoffs[0].max() - TOLERANCE * _spread(payoffs[0]))
    pure = np.eye(payoffs.shape[1])[best]
    return NashSet([_equilibrium(payoffs, (one,)) for one in pure], True, len(best) > 1)


def _equilibrium(payoffs: Floats, strategies: tuple[Floats, ...]) -> Equilibrium:
    joint = product(strategies)
    return Equilibrium(strategies, expected(payoffs, joint), float(regrets(payoffs, joint).max()))


def _order(one: Equilibrium) -> tuple[int, float, list[list[float]]]:
    size = sum(int((x > 0).sum()) for x in one.strategies)
    return size, -float(one.payoffs.sum()), [(-x).tolist() for x in one.strategies]


def undominated(payoffs: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns that survive iterated removal of what another pure candidate beats against everything left."""
    kept = [np.arange(count) for count in payoffs.shape[1:]]
    while True:
        before = [len(one) for one in kept]
        for seat in (0, 1):
            own = payoffs[seat][np.ix_(*kept)]
            own = own if seat == 0 else own.T
            beaten = (own[None] > own[:, None] + TOLERANCE * _spread(payoffs[seat])).all(-1).any(1)
            kept[seat] = kept[seat][~beaten]
        if [len(one) for one in kept] == before:
            return kept[0], kept[1]


def _scaled(payoffs: Floats) -> Floats:
    """Every seat's payoffs moved onto 0 .. 1, which changes no equilibrium: so that one tolerance fits all money."""
    spread = np.array([_spread(own) for own in payoffs])[:, None, None]
    return np.asarray((payoffs - payoffs.min(axis=(1, 2), keepdims=True)) / spread, np.float64)


def _spread(own: Floats) -> float:
    """A seat's range of payoffs, 1e-3 of the largest at least: where all play the same, all that is left is rounding."""
    return max(float(np.ptp(own)), 1e-3 * float(np.abs(own).max())) or 1.0


def _largest_support(rows: int, columns: int) -> int:
    """The largest size up to which all pairs of supports of equal size can be tried."""
    pairs = np.cumsum([math.comb(rows, k) * math.comb(columns, k) for k in range(1, min(rows, columns) + 1)])
    return max(1, int((pairs <= MOST_SUPPORTS).sum()))


StrategyPair = tuple[Floats, Floats]


def _by_support(game: Floats, largest: int) -> Iterator[StrategyPair]:
    """For every pair of supports of equal size the strategies that make the other seat indifferent on its own."""
    count, other = game.shape[1:]
    for size in range(1, largest + 1):
        columns = np.array(list(combinations(range(other), size)))
        for rows in combinations(range(count), size):
            blocks = np.moveaxis(game[:, rows][:, :, columns], 2, 1)
            x, y = _indifferent(blocks[1]), _indifferent(np.swapaxes(blocks[0], 1, 2))
            for k in np.flatnonzero((x > TOLERANCE).all(1) & (y > TOLERANCE).all(1)):
                yield _put(x[k], np.array(rows), count), _put(y[k], columns[k], other)


def _indifferent(blocks: Floats) -> Floats:
    """Weights (S, k) of the k rows of each block (S, k, k) that make its columns pay the same; NaN where none do."""
    count, size, _ = blocks.shape
    system = np.zeros((count, size + 1, size + 1))
    system[:, :size, :size] = np.swapaxes(blocks, 1, 2)
    system[:, :size, size], system[:, size, :size] = -1.0, 1.0
    right = np.zeros((count, size + 1, 1))
    right[:, size] = 1.0
    try:
        return np.asarray(np.linalg.solve(system, right)[:, :size, 0], np.float64)
    except np.linalg.LinAlgError:
        if count == 1:
            return np.full((1, size), np.nan)
        return np.concatenate([_indifferent(blocks[k : k + 1]) for k in range(count)])


def _by_vertex(game: Floats) -> list[StrategyPair] | None:
    """nashpy's enumeration of vertex pairs, unchecked; None where the game is too large or its geometry fails."""
    if sum(game.shape[1:]) > MOST_FOR_VERTICES:
        return None
    import nashpy
    from scipy.spatial import QhullError

    try:
        # Its polytopes are bounded only where all payoffs are above 0; its arithmetic may divide by 0.
        with np.errstate(all="ignore"):
            return list(nashpy.Game(*(game + 1.0)).vertex_enumeration())
    except (QhullError, TypeError):
        return None


def _checked(game: Floats, pairs: Iterable[StrategyPair]) -> list[StrategyPair]:
    """Those that are equilibria, probabilities cleaned of rounding."""
    kept = []
    for pair in pairs:
        if [len(one) for one in pair] != list(game.shape[1:]) or not all(np.isfinite(one).all() for one in pair):
            continue
        x, y = (np.where(one > TOLERANCE, one, 0.0) for one in pair)
        x, y = x / x.sum(), y / y.sum()
        if regrets(game, product((x, y))).max() <= TOLERANCE:
            kept.append((x, y))
    return kept


def distinct(pairs: Sequence[StrategyPair]) -> list[StrategyPair]:
    """Without those that another one before them equals up to 1e-6."""
    kept: list[StrategyPair] = []
    for pair in pairs:
        if not any(max(np.abs(a - b).max() for a, b in zip(pair, old, strict=True)) < 1e-6 for old in kept):
            kept.append(pair)
    return kept


def _is_degenerate(game: Floats, pair: StrategyPair) -> bool:
    """Whether more candidates are best responses than the other seat plays (von Stengel 2002)."""
    x, y = pair
    worth = game[0] @ y, x @ game[1]
    return any(
        int((value >= value.max() - TOLERANCE).sum()) > int((other > 0).sum())
        for value, other in zip(worth, (y, x), strict=True)
    )


def _put(weights: Floats, at: NDArray[np.intp], count: int) -> Floats:
    whole = np.zeros(count)
    whole[at] = weights
    return whole


# ------------------------------------------------------------------------------------------------ how sure


@dataclass(frozen=True)
class Sureness:
    """Over bootstrap resamples of the episodes.

    ``share``: of those in which the same candidates make an equilibrium (NaN where that is not defined: supports of
    unequal size, or a joint distribution). ``regret_high``: 95 % of the resamples give these very probabilities a
    largest regret of at most this.
    """

    share: float
    regret_high: float


def sureness(resampled: Floats, joint: Floats, strategies: Sequence[Floats] = ()) -> Sureness:
    """How sure an equilibrium is, given payoffs of B resamples (B, N, A_1, .., A_N)."""
    high = float(np.quantile([regrets(payoffs, joint).max() for payoffs in resampled], 0.95))
    supports = [np.flatnonzero(one > 0) for one in strategies]
    if not supports or len({len(support) for support in supports}) > 1:
        return Sureness(float("nan"), high)
    return Sureness(float(np.mean([_supports_one(payoffs, supports) for payoffs in resampled])), high)


def _supports_one(payoffs: Floats, supports: Sequence[NDArray[np.intp]]) -> bool:
    """Whether some equilibrium has exactly these supports, of one or two seats."""
    if len(supports) == 1:
        return bool(payoffs[0][supports[0]].min() >= payoffs[0].max())
    rows, columns = supports
    game = _scaled(payoffs)
    block = game[:, rows][:, :, columns]
    x, y = _indifferent(block[1][None])[0], _indifferent(block[0].T[None])[0]
    if not ((x > TOLERANCE).all() and (y > TOLERANCE).all()):
        return False
    joint = product((_put(x, rows, game.shape[1]), _put(y, columns, game.shape[2])))
    return bool(regrets(game, joint).max() <= TOLERANCE)
