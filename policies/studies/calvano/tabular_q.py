"""Tabular Q-learning sellers with one period of memory, as in Calvano et al. (2020), driven by the market's kernel.

A seller's state is what all sellers posted last period, as indices on their price grids. Works in any market made to
order whose sellers have price grids; every session is a row of its own, with its own randomness.

Dimensions: M sessions, N sellers, A the most prices of a seller, S states = product of the sellers' prices.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from market.errors import UserError
from market.kernel import qlearning
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec, Model
from market.state import Floats, Ints
from market.theory.price_game import PriceGame

MOST_NUMBERS = 250_000_000  # in all Q tables together: 2 GB


class TabularOptions(Model):
    """How the sellers learn; the defaults are Calvano et al.'s (2020) main experiment.

    ``alpha`` step size, ``beta`` decay of exploration (a random price with probability ``exp(-beta t)``), ``delta``
    discount factor, ``initial``: Q starts at a price's mean payoff over the rivals' prices / (1 - delta), or at zero.
    A session ends after ``stable`` periods in which no seller's greedy price changed in any state, or at ``longest``.
    """

    alpha: Annotated[float, Field(gt=0, le=1)] = 0.15
    beta: Annotated[float, Field(ge=0, le=1)] = 4e-6
    delta: Annotated[float, Field(ge=0, lt=1)] = 0.95
    initial: Literal["payoff", "zero"] = "payoff"
    stable: Annotated[int, Field(ge=1)] = 100_000
    longest: Annotated[int, Field(ge=1, le=10**12)] = 1_000_000_000


RULE = np.dtype([("alpha", "f8"), ("beta", "f8"), ("delta", "f8"), ("stable", "i8"), ("longest", "i8")])


class Tables(NamedTuple):
    """What the kernel's learners read and write."""

    q: Floats  # (M, N, S, A) value of a price index in a state
    greedy: Ints  # (M, N, S) index of the best price, the first where several are
    state: Ints  # (M,) what was posted last
    action: Ints  # (M, N) price index posted last
    age: Ints  # (M,) periods learned
    unchanged: Ints  # (M,) periods since a greedy price changed
    price: Floats  # (N, A) money per unit, NaN beyond a seller's own
    actions: Ints  # (N,) number of prices
    stride: Ints  # (N,) state = sum over sellers of price index x stride


def refuse_too_many(game: PriceGame, sessions: int) -> None:
    """Raise :class:`UserError` for a number of sessions that tables cannot be made for."""
    if sessions < 1:
        raise UserError(f"sessions: must be at least 1, got {sessions}")
    numbers = game.payoff.size * int(game.counts.max())
    if sessions * numbers > MOST_NUMBERS:
        most = MOST_NUMBERS // numbers
        raise UserError(f"sessions: {sessions} tables of {numbers:,} numbers do not fit into memory; {most} do")


class TabularSellers:
    """M independent sessions of Q-learning sellers in every seat of one market.

    Args:
        game: the market on its price grids, or the market's spec.
        sessions: M.
        options: how they learn.
        seed: session m gets row seed + m, or an array of M row seeds; exploration and customers follow from it.

    Raises:
        UserError: a market where tables cannot play, or tables that do not fit into memory.

    Example::

        sellers = TabularSellers(MarketSpec.load("configs/calvano.yaml"), sessions=100)
        while not sellers.finished.all():
            sellers.run(10_000)     # a part of a second, so that it can be watched and interrupted
        sellers.greedy              # (M, N, S) index of each seller's price in every state
    """

    def __init__(
        self,
        game: PriceGame | MarketSpec,
        sessions: int = 1,
        options: TabularOptions | None = None,
        seed: int | ArrayLike = 0,
    ) -> None:
        self.game = game if isinstance(game, PriceGame) else PriceGame.of(game)
        self.options = options or TabularOptions()
        refuse_too_many(self.game, sessions)
        shape = (sessions, len(self.game.prices), self.game.states, int(self.game.counts.max()))
        self._batch = MarketBatch(self.game.spec, sessions, seed)
        self._rule = np.array([tuple(getattr(self.options, name) for name in RULE.names or ())], RULE)
        self.tables = _fresh_tables(self.game, self.options, shape)
        self._price, self._quantity = np.zeros(shape[:2]), np.zeros(shape[:2])
        self._price[:] = [seller.first_price for seller in self.game.spec.sellers]
        self.serial = sessions == 1 or numba.get_num_threads() == 1

    @property
    def greedy(self) -> Ints:
        """(M, N, S) index of the price that each seller holds best in every state."""
        return self.tables.greedy

    @property
    def converged(self) -> NDArray[np.bool_]:
        """(M,) whether every seller's greedy prices have stayed the same for ``stable`` periods."""
        return np.asarray(self.tables.unchanged >= self.options.stable)

    @property
    def finished(self) -> NDArray[np.bool_]:
        """(M,) whether a session has converged or reached its longest."""
        return np.asarray(self.converged | (self.tables.age >= self.options.longest))

    def run(self, periods: int) -> None:
        """Let every unfinished session learn for at most ``periods``; sessions run side by side on all threads."""
        batch, rows = self._batch, np.flatnonzero(~self.finished)
        learn: Any = qlearning.learn_serial if self.serial else qlearning.learn_parallel
        (script,) = batch._scripts
        market = (batch._market, batch._sellers, script, batch.tape, batch.state, batch._scratch, batch.ledger)
        learn(*market, self._price, self._quantity, self.tables, self._rule, rows, periods)


def _fresh_tables(game: PriceGame, options: TabularOptions, shape: tuple[int, ...]) -> Tables:
    price = np.full((shape[1], shape[3]), np.nan)
    for i, grid in enumerate(game.prices):
        price[i, : len(grid)] = grid
    q = np.zeros(shape)
    if options.initial == "payoff":
        q[:] = first_values(game, options.delta)[None, :, None, :]
    best = q[0, :, 0].argmax(axis=1)
    return Tables(
        q=q,
        greedy=np.broadcast_to(best[None, :, None], shape[:3]).astype(np.int64, order="C"),
        state=np.full(shape[0], game.shelf, np.int64),
        action=np.zeros(shape[:2], np.int64),
        age=np.zeros(shape[0], np.int64),
        unchanged=np.zeros(shape[0], np.int64),
        price=price,
        actions=game.counts,
        stride=game.stride,
    )


def first_values(game: PriceGame, delta: float) -> Floats:
    """Q at the start, (N, A): the price's mean payoff over all prices of the rivals / (1 - delta), -inf beyond.

    Calvano et al. (2020), eq. 8: what a seller would earn against rivals that post at random. Payoffs 1 and 3 against
    the rival's two prices, delta 0.5: 4.
    """
    index = game.index(np.arange(game.states))
    values = np.full((len(game.prices), int(game.counts.max())), -np.inf)
    for i, count in enumerate(game.counts):
        for a in range(count):
            values[i, a] = game.payoff[index[:, i] == a, i].mean() / (1.0 - delta)
    return values
