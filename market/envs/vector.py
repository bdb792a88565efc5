"""The same market for other people's training code: SuperSuit, Gymnasium and Tianshou's stock Collector.

Dimensions: M markets side by side, N sellers, R <= M rows asked for, F observation features, T periods.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, SupportsFloat

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from market.demand.equilibrium import prices_of
from market.envs.parallel import FIELDS, ActionEncoding, BazaarParallelEnv, Observation, as_spec, seat_encoding
from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.simulation.decisions import order_quantity
from market.spec.models import MarketSpec
from market.state import Floats
from market.theory.newsvendor import newsvendor_level

Rivals = Callable[[MarketBatch, Observation], tuple[Floats, Floats]]
"""The other seats: given the batch and its observation (M, N, F), prices and orders, both (M, N).

The column of the seat that learns is ignored. A rival with a memory starts it anew in the rows where
``batch.state.period`` is 0.
"""


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
        raise UserError("actions: SuperSuit needs one action space for all seats: take box, or grids of one size")
    many = concat_vec_envs_v1(pettingzoo_env_to_vec_env_v1(one), copies, num_cpus=0, base_class="gymnasium")
    for k, copy in enumerate(many.vec_envs):
        copy.par_env.batch.state.seed[0] = seed + k
    return many  # type: ignore[no-any-return]


def nash_and_base_stock(spec: MarketSpec) -> Rivals:
    """Rivals who post their Bertrand-Nash price and order up to their newsvendor level at these prices.

    Both are kept inside the seller's ranges; where stock costs nothing to hold the level is the top of its range.

    Raises:
        UserError: there is no Nash price; give rivals of your own then.
    """
    low, high = np.array([seller.prices for seller in spec.sellers]).T
    try:
        price = np.clip(prices_of(spec), low, high)
    except UserError as problem:
        raise UserError(f"rivals: must be given, since {problem}") from None
    level = np.array([_base_stock(spec, seat, price) for seat in range(len(price))])

    def decide(batch: MarketBatch, observation: Observation) -> tuple[Floats, Floats]:
        quantity = order_quantity(level, batch.state.on_hand, batch.on_order)
        return np.broadcast_to(price, quantity.shape), quantity

    return decide


def _base_stock(spec: MarketSpec, seat: int, price: Floats) -> float:
    seller = spec.sellers[seat]
    if not spec.stocked:
        return 0.0
    best = newsvendor_level(spec, seat, price) if seller.holding_cost else seller.order_up_to[1]
    return min(max(best, seller.order_up_to[0]), seller.order_up_to[1])


def _nobody(batch: MarketBatch, observation: Observation) -> tuple[Floats, Floats]:
    return np.zeros((batch.markets, 1)), np.zeros((batch.markets, 1))


class _Focal:
    """One seat of a batch decided from outside, the others by ``rivals``."""

    def __init__(self, batch: MarketBatch, seat: int | str, rivals: Rivals | None, actions: ActionEncoding) -> None:
        spec = batch.spec
        self.batch, self.seat = batch, _seat_index(spec, seat)
        self.decisions = seat_encoding(actions, spec, self.seat)
        if rivals is None:
            rivals = nash_and_base_stock(spec) if len(spec.sellers) > 1 else _nobody
        self.rivals = rivals

    def step(self, action: NDArray[Any]) -> None:
        """Play one period in every row; ``action`` (M,) or (M, 1 or 2) is the seat's."""
        batch, seat = self.batch, self.seat
        price, quantity = (np.array(x, np.float64) for x in self.rivals(batch, batch.observe()))
        expected = (batch.markets, len(batch.spec.sellers))
        if price.shape != expected or quantity.shape != expected:
            raise UserError(f"rivals: must decide prices and orders of shape {expected}, got {price.shape}")
        price[:, seat], level = self.decisions.decode(action)
        quantity[:, seat] = order_quantity(level, batch.state.on_hand[:, seat], batch.on_order[:, seat])
        batch.step(price, quantity)

    def observe(self) -> Observation:
        """(M, F), a copy."""
        return self.batch.observe()[:, self.seat].copy()


def _seat_index(spec: MarketSpec, seat: int | str) -> int:
    if isinstance(seat, str):
        if seat not in spec.names:
            raise UserError(f"seat: no seller {seat!r}, they are {', '.join(spec.names)}")
        return spec.names.index(seat)
    if not 0 <= seat < len(spec.sellers):
        raise UserError(f"seat: must be 0 to {len(spec.sellers) - 1}, got {seat}")
    return seat


class SeatEnv(gymnasium.Env[Observation, Any]):
    """One seller of a market as a Gymnasium environment, for Stable-Baselines3, CleanRL and the like.

    Args:
        spec: the market, or the path of its YAML file.
        seat: which seller learns, by number or name.
        rivals: who plays the other seats, see :data:`Rivals`; by default :func:`nash_and_base_stock`.
        actions: ``box``, ``grid`` or the seat's own encoding (``seat``).
        render_mode: None or ``ansi``.
        seed: of the first episode; ``reset()`` without a seed goes on to the next one.

    ``info`` is the seat's ledger of the period as floats, in the units of ``market.state.LEDGER_UNITS``. Episodes
    are truncated after T periods, never terminated. (Gymnasium owns the name ``spec``: the market's is ``market``.)
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi"], "render_fps": 4}  # type: ignore[misc]

    def __init__(
        self,
        spec: MarketSpec | str | Path,
        seat: int | str = 0,
        rivals: Rivals | None = None,
        actions: ActionEncoding = "box",
        render_mode: str | None = None,
        seed: int = 0,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise UserError(f"render_mode: must be ansi or None, got {render_mode!r}")
        self.market, self.render_mode = as_spec(spec), render_mode
        self.batch = MarketBatch(self.market, 1, seed)
        self._focal = _Focal(self.batch, seat, rivals, actions)
        self.action_space = self._focal.decisions.space
        self.observation_space = self.batch.observation_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin the next episode, or with a seed the first episode of that seed. ``options`` has none."""
        super().reset(seed=seed)
        self.batch.reset(seed)
        return self._focal.observe()[0], {"seller": self.market.names[self._focal.seat]}

    def step(self, action: Any) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        """Play one period; raise :class:`UserError` for NaN, a misshapen action or an episode that is over."""
        shape = self.action_space.shape
        if np.shape(action) != shape:
            raise UserError(f"action: must have shape {shape}, got {np.shape(action)}")
        self._focal.step(np.asarray(action)[None])
        seat = self._focal.seat
        info = dict(zip(FIELDS, self.batch.ledger[0, seat].item(), strict=True))
        info["seller"] = self.market.names[seat]
        reward, over = float(self.batch.reward[0, seat]), bool(self.batch.truncated[0])
        return self._focal.observe()[0], reward, False, over, info

    def render(self) -> str | None:
        """A table of the last period, of all sellers."""
        if self.render_mode is None:
            return None
        from market.simulation.render import ansi

        begun = self.batch.state.episode[0] >= 0
        return ansi(self.market, self.batch.ledger[0], int(self.batch.state.period[0]) if begun else 0)


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
        actions: ``box``, ``grid`` or the seat's own encoding (``seat``).
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
        seed: int | ArrayLike = 0,
    ) -> None:
        self.batch = MarketBatch(as_spec(spec), markets, seed)
        self._focal = _Focal(self.batch, seat, rivals, actions)
        self.seat, self.env_num = self._focal.seat, markets
        self.action_space: spaces.Space[Any] = self._focal.decisions.space
        self.observation_space = self.batch.observation_space

    def __len__(self) -> int:
        return self.env_num

    def reset(
        self,
        env_id: int | ArrayLike | None = None,
        seed: int | ArrayLike | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, NDArray[Any]]:
        """Begin the next episode of rows ``env_id`` (all by default): observations (R, F) and infos (R,)."""
        rows = self._rows(env_id)
        self.batch.reset(seed, rows)
        return self._focal.observe()[rows], _infos(rows)

    def step(
        self, action: ArrayLike, id: int | ArrayLike | None = None
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
        return self._focal.observe()[rows], reward, np.zeros(len(rows), np.bool_), over, _infos(rows)

    def _step_some(self, rows: NDArray[np.int64], given: NDArray[Any]) -> None:
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

    def seed(self, seed: int | ArrayLike) -> None:
        """Begin the first episode of these seeds in every row."""
        self.batch.reset(seed)

    def close(self) -> None:
        """Nothing is held that needs closing."""

    def _rows(self, rows: int | ArrayLike | None) -> NDArray[np.int64]:
        if rows is None:
            return np.arange(self.env_num)
        which = np.atleast_1d(np.asarray(rows, np.int64))
        if len(np.unique(which)) < len(which) or (which < 0).any() or (which >= self.env_num).any():
            raise UserError(f"rows: must be different and from 0 to {self.env_num - 1}, got {which.tolist()}")
        return which


def _infos(rows: NDArray[np.int64]) -> NDArray[Any]:
    """One dictionary a row, in the form of Tianshou's own vector environments."""
    return np.array([{"env_id": row} for row in rows.tolist()], dtype=object)
