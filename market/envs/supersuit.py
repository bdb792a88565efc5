"""One policy in every seat through SuperSuit: its own vector environment, and that as Tianshou's trainers expect one.

Dimensions: E = copies x N environments, one a seat; F observation features; R <= E rows asked for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import ArrayLike, NDArray

from market.envs.parallel import ActionEncoding, BazaarParallelEnv
from market.envs.vector import infos_of
from market.errors import UserError
from market.spec.models import MarketSpec
from market.state import Floats, Observation


def vector_env(
    spec: MarketSpec | str | Path, copies: int, actions: ActionEncoding = "box", seed: int = 0
) -> gymnasium.vector.VectorEnv[Any, Any, Any]:
    """``copies`` markets through SuperSuit: one policy, shared by all seats, sees copies x N environments.

    Entry ``k * N + i`` of every array is seat i of copy k, which is bit for bit row k of
    ``MarketBatch(spec, copies, seed)``. What to know of SuperSuit 3.11:

    - Its clones start as one market copied: here copy k gets seed + k (as its ``reset(seed=s)`` gives s + k).
    - It resets by itself: the step that ends an episode returns the next one's first observation; the last one of
      the old is ``infos[k * N + i]["terminal_observation"]``. Only truncations are ever set, as ``uint8``.
    - It hands on infos of agents only. All seats need one action space, so ``actions="seat"`` wants them alike.
    - It runs in this process. Its worker processes are slower for a market as quick as this one, and a process
      forked after numba has used its threads dies: take a larger :class:`~market.simulation.batch.MarketBatch` instead.
    """
    from supersuit import concat_vec_envs_v1, pettingzoo_env_to_vec_env_v1

    if copies < 1:
        raise UserError(f"copies: must be at least 1, got {copies}")
    one = BazaarParallelEnv(spec, actions, None, seed)
    if any(space != one.action_space("seller_0") for space in one.action_spaces.values()):
        raise UserError(
            "actions: SuperSuit needs one action space for all seats: take box or gated, or grids of one size"
        )
    many = concat_vec_envs_v1(pettingzoo_env_to_vec_env_v1(one), copies, num_cpus=0, base_class="gymnasium")
    for k, copy in enumerate(many.vec_envs):
        copy.par_env.batch.state.seed[0] = seed + k
    return many  # type: ignore[no-any-return]


class SharedVectorEnv:
    """:func:`vector_env` as Tianshou 2's Collector expects a vector environment.

    Environment ``k * N + i`` is seat i of market k; all step together. SuperSuit begins the next episode by itself, so
    ``reset`` of those that are done returns what it has begun, and ``step`` the last observation of the old one.
    Duck-typed as :class:`market.envs.vector.SeatVectorEnv` is.

    Args:
        spec: the market, or the path of its YAML file.
        copies: how many markets; copy k has seed + k.
        actions: ``box``, ``gated``, or ``grid`` where all seats' grids are of one size.
    """

    is_async = False

    def __init__(
        self, spec: MarketSpec | str | Path, copies: int, actions: ActionEncoding = "box", seed: int = 0
    ) -> None:
        self.vector = vector_env(spec, copies, actions, seed)
        self.env_num = int(self.vector.num_envs)
        # SuperSuit's vector environment has a single environment's spaces under these names
        self.action_space, self.observation_space = self.vector.action_space, self.vector.observation_space
        self._seen: Observation | None = None

    def __len__(self) -> int:
        return self.env_num

    def reset(
        self, env_id: ArrayLike | None = None, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, NDArray[Any]]:
        """Observations (R, F) and infos (R,) of environments ``env_id``, which begin an episode; all by default."""
        if env_id is None or self._seen is None:
            self._seen = np.array(self.vector.reset(seed=seed)[0], np.float32)
        rows = np.arange(self.env_num) if env_id is None else np.atleast_1d(np.asarray(env_id, np.int64))
        return self._seen[rows].copy(), infos_of(rows)

    def step(
        self, action: ArrayLike, id: ArrayLike | None = None
    ) -> tuple[Observation, Floats, NDArray[np.bool_], NDArray[np.bool_], NDArray[Any]]:
        """Play one period: observations (E, F), rewards, terminated (all False), truncated and infos (E,).

        Raises:
            UserError: an action is missing; the seats of a market decide at the same time.
        """
        rows = np.arange(self.env_num) if id is None else np.atleast_1d(np.asarray(id, np.int64))
        if not np.array_equal(rows, np.arange(self.env_num)):
            raise UserError(f"step: all {self.env_num} environments step together, in order; got {len(rows)}")
        seen, reward, terminated, truncated, infos = self.vector.step(np.asarray(action))
        self._seen, following = np.array(seen, np.float32), np.array(seen, np.float32)
        for row in np.flatnonzero(truncated):
            following[row] = infos[row]["terminal_observation"]  # type: ignore[index]
        flags = (np.asarray(flag, np.bool_) for flag in (terminated, truncated))
        return following, np.array(reward, np.float64), *flags, infos_of(rows)  # type: ignore[return-value]

    def seed(self, seed: int) -> None:
        """Begin the first episode of this seed in market 0, of the next in market 1, and so on."""
        self.reset(seed=seed)

    def close(self) -> None:
        """End the environments."""
        self.vector.close()
