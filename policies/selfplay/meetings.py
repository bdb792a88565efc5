"""Whom one learner of a league meets: kinds of rivals by row, members of a kind by how hard it finds them.

Dimensions: M rows of the learner, N sellers, R rows whose episode ends, K members of a kind, C fixed competitors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from market.state import Floats
from policies.config.selfplay import League as Options
from policies.evaluation.selection import relative
from policies.selfplay.matchmaking import Members
from policies.selfplay.pfsp import Ratings, weights
from policies.selfplay.population import Kind, Pool
from policies.sellers.protocol import Seller

KINDS: tuple[Kind, ...] = get_args(Kind)
GOLDEN = (np.sqrt(5) - 1) / 2


def kinds_of_rows(rows: int, options: Options) -> NDArray[np.int64]:
    """Which kind of rival each row meets, an index of :data:`KINDS` (M,): always the same.

    Kinds are spread evenly over rows, and so over the phases of an episode (multiples of the golden ratio modulo 1).
    """
    at = np.modf(np.arange(rows) * GOLDEN)[0]
    return np.asarray(np.searchsorted(np.cumsum([options.current, options.snapshots]), at, side="right"), np.int64)


class Meetings:
    """Draws rivals by the learner's own ratings. Satisfies :class:`policies.selfplay.matchmaking.Draws`.

    Args:
        drawn: the seats whose players are drawn.
        pars: what the best fixed competitor earns in the learner's seat against each that is in the pool (C,), when all
            other learners' seats follow its rules; with three sellers or more a yardstick, since seats are drawn singly.
    """

    def __init__(
        self, pool: Pool, seat: int, drawn: list[int], options: Options, rows: int, rng: Any, pars: Callable[[], Floats]
    ) -> None:
        self.pool, self.seat, self.drawn, self.options, self.rng, self.pars = pool, seat, drawn, options, rng, pars
        self.kinds = kinds_of_rows(rows, options)
        self.ratings = Ratings(options.memory)

    def chances(self, seat: int, kind: Kind) -> tuple[list[int], Floats]:
        """The members of a kind that can sit in a rival's seat, and the probability that each is drawn (K,)."""
        members, o = self.pool.of(seat, kind), self.options
        scores = self.ratings.scores(members, o.measure == "margin")
        if o.measure == "regret" and o.hardness and kind == "fixed" and np.isfinite(scores).any():
            scores = relative(scores, self.pars())
        return members, weights(scores, o.hardness, o.uniform)

    def draw(self, rows: NDArray[np.intp]) -> Members:
        """Rivals (R, N) for rows that begin an episode, each seat by itself; until there are snapshots, learners."""
        found = np.full((len(rows), len(self.pool.spec.sellers)), -1, np.int64)
        uniform = self.rng.random((len(rows), len(self.drawn)))
        for column, seat in enumerate(self.drawn):
            for index, kind in enumerate(KINDS):
                own = np.flatnonzero(self.kinds[rows] == index)
                if not len(own):
                    continue
                members, chances = self.chances(seat, kind if self.pool.of(seat, kind) else "current")
                at = np.searchsorted(np.cumsum(chances), uniform[own, column], side="right")
                found[own, seat] = np.array(members)[np.minimum(at, len(members) - 1)]
        return found

    def ended(self, members: Members, profit: Floats, length: Floats) -> None:
        """Rate everybody who was met."""
        for seat in self.drawn:
            for number in np.unique(members[:, seat]):
                met = members[:, seat] == number
                self.ratings.see(int(number), profit[met, self.seat], profit[met, seat], length[met])

    def seller(self, number: int) -> Seller:
        """The seller of a member."""
        return self.pool.members[number].seller
