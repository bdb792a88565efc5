"""One seller of a market as a Gymnasium environment; the other seats are played by rivals.

Dimensions: M markets side by side (here one), N sellers, F observation features, T periods.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, SupportsFloat

import gymnasium
import numpy as np
from numpy.typing import NDArray

from market.demand.equilibrium import prices_in_range
from market.envs.parallel import FIELDS, ActionEncoding, as_spec, seat_encoding
from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.simulation.decisions import order_quantity
from market.spec.models import MarketSpec
from market.state import Floats, Observation
from market.theory.newsvendor import newsvendor_level

Rivals = Callable[[MarketBatch, Observation], tuple[Floats, Floats]]
"""The other seats: given the batch and its observation (M, N, F), prices and orders, both (M, N).

The column of the seat that learns is ignored. A rival with a memory starts it anew in the rows where
``batch.state.period`` is 0.
"""


def nash_and_base_stock(spec: MarketSpec) -> Rivals:
    """Rivals who post their Bertrand-Nash price and order up to their newsvendor level at these prices.

    Both are kept inside the seller's ranges; where stock costs nothing to hold the level is the top of its range.

    Raises:
        UserError: there is no Nash price; give rivals of your own then.
    """
    try:
        price = prices_in_range(spec)
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


class Focal:
    """One seat of a batch decided from outside, the others by ``rivals``."""

    def __init__(self, batch: MarketBatch, seat: int | str, rivals: Rivals | None, actions: ActionEncoding) -> None:
        spec = batch.spec
        self.batch, self.seat = batch, _seat_index(spec, seat)
        self.decisions = seat_encoding(actions, spec, self.seat)
        if rivals is None:
            rivals = nash_and_base_stock(spec) if len(spec.sellers) > 1 else _nobody
        self.rivals = rivals

    def step(self, action: NDArray[Any]) -> None:
        """Play one period in every row; ``action`` (M,) or (M, 1 to 3) is the seat's."""
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
        actions: ``box``, ``gated``, ``grid`` or the seat's own encoding (``seat``).
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
        self._focal = Focal(self.batch, seat, rivals, actions)
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
        info = dict(zip(FIELDS, self.batch.ledger[0, seat].item(), strict=True)) | {"seller": self.market.names[seat]}
        reward, over = float(self.batch.reward[0, seat]), bool(self.batch.truncated[0])
        return self._focal.observe()[0], reward, False, over, info

    def render(self) -> str | None:
        """A table of the last period, of all sellers."""
        if self.render_mode is None:
            return None
        from market.simulation.render import ansi

        begun = self.batch.state.episode[0] >= 0
        return ansi(self.market, self.batch.ledger[0], int(self.batch.state.period[0]) if begun else 0)
