"""One seller of many markets side by side, as Tianshou's Collector and trainers expect a vector environment.

Dimensions: M markets side by side, N sellers, R <= M rows asked for, F observation features, T periods.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from market.envs.gym import Focal, Rivals
from market.envs.parallel import ActionEncoding, as_spec
from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.state import Floats, Ints, Observation


class SeatVectorEnv:
    """One seat of M markets as the vector environment that Tianshou 2's Collector and trainers expect.

    It is duck-typed (``isinstance`` with Tianshou's ``BaseVectorEnv`` is False, and the Collector does not ask), so
    this package does not import Tianshou. ``step`` advances the rows asked for and no others; the Collector resets
    rows when they are done, and a row that waits does so with its episode, its customers and its ledger untouched.

    Args:
        spec: the market, or the path of its YAML file.
        markets: M, how many rows; row m has seed + m.
        seat: which seller learns, by number or name.
        rivals: who plays the other seats, see :data:`Rivals`; by default :func:`nash_and_base_stock`.
        actions: ``box``, ``gated``, ``grid`` or the seat's own encoding (``seat``).
        seed: of row 0, or (M,) seeds.

    Example::

        train = SeatVectorEnv("configs/duopoly.yaml", markets=64, seat="left", actions="grid")
        collector = Collector(algorithm, train, VectorReplayBuffer(64 * 1000, 64))
        collector.reset()
        collector.collect(n_step=64 * 10)
    """

    is_async = False

    def __init__(
        self,
        spec: MarketSpec | str | Path,
        markets: int,
        seat: int | str = 0,
        rivals: Rivals | None = None,
        actions: ActionEncoding = "seat",
        seed: ArrayLike = 0,
    ) -> None:
        self.batch = MarketBatch(as_spec(spec), markets, seed)
        self._focal = Focal(self.batch, seat, rivals, actions)
        self.seat, self.env_num = self._focal.seat, markets
        self.action_space: spaces.Space[Any] = self._focal.decisions.space
        self.observation_space = self.batch.observation_space

    def __len__(self) -> int:
        return self.env_num

    def reset(
        self, env_id: ArrayLike | None = None, seed: ArrayLike | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, NDArray[Any]]:
        """Begin the next episode of rows ``env_id`` (all by default): observations (R, F) and infos (R,)."""
        rows = self._rows(env_id)
        self.batch.reset(seed, rows)
        return self._focal.observe()[rows], infos_of(rows)

    def step(
        self, action: ArrayLike, id: ArrayLike | None = None
    ) -> tuple[Observation, Floats, NDArray[np.bool_], NDArray[np.bool_], NDArray[Any]]:
        """Play one period in rows ``id`` (all by default), whose actions these are.

        Returns:
            observations (R, F), rewards (R,), terminated (R,) all False, truncated (R,), infos (R,) with ``env_id``.

        Raises:
            UserError: NaN, a misshapen action, a row that does not exist or comes twice, or one whose episode is over.
        """
        rows, given = self._rows(id), np.asarray(action)
        if given.shape != (wanted := (len(rows), *(self.action_space.shape or ()))):
            raise UserError(f"actions: {len(rows)} rows need shape {wanted}, got {given.shape}")
        if len(rows) == self.env_num and (rows == np.arange(self.env_num)).all():
            self._focal.step(given)
        else:
            self._step_some(rows, given)
        reward = self.batch.reward[rows, self.seat].copy()
        over = self.batch.truncated[rows]
        return self._focal.observe()[rows], reward, np.zeros(len(rows), np.bool_), over, infos_of(rows)

    def _step_some(self, rows: Ints, given: NDArray[Any]) -> None:
        """Step every row and put those that wait back as they were: the others do not see the difference."""
        if (self.batch.state.period[rows] >= self.batch.spec.horizon).any():
            raise UserError("step: the episode of a row is over (or not begun): reset it first")
        waiting = np.setdiff1d(np.arange(self.env_num), rows)
        kept = [(array, array[waiting].copy()) for array in (*self.batch.state, self.batch.ledger)]
        every = np.zeros((self.env_num, *given.shape[1:]), given.dtype)
        every[rows] = given
        period = self.batch.state.period
        period[waiting] = np.minimum(period[waiting], self.batch.spec.horizon - 1)
        try:
            self._focal.step(every)
        finally:
            for array, before in kept:
                array[waiting] = before

    def seed(self, seed: ArrayLike) -> None:
        """Begin the first episode of these seeds in every row."""
        self.batch.reset(seed)

    def close(self) -> None:
        """Nothing is held that needs closing."""

    def _rows(self, rows: ArrayLike | None) -> Ints:
        if rows is None:
            return np.arange(self.env_num)
        which = np.atleast_1d(np.asarray(rows, np.int64))
        if len(np.unique(which)) < len(which) or (which < 0).any() or (which >= self.env_num).any():
            raise UserError(f"rows: must be different and from 0 to {self.env_num - 1}, got {which.tolist()}")
        return which


def infos_of(rows: Ints) -> NDArray[Any]:
    """One dictionary a row, in the form of Tianshou's own vector environments."""
    return np.array([{"env_id": row} for row in rows.tolist()], dtype=object)
