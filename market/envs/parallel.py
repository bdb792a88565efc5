"""The market as a PettingZoo environment: a thin view of a :class:`~market.simulation.batch.MarketBatch` of one.

Sellers decide at the same time, so :func:`parallel_env` is the native form; :func:`env` is the turn-based (AEC) one.
Agents are ``seller_0``, ``seller_1``, ... in the order of the configuration; brand names are in ``infos``.
N sellers, F observation features, T periods.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.conversions import parallel_to_aec
from pettingzoo.utils.wrappers import OrderEnforcingWrapper

from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.simulation.decisions import Decisions
from market.spec.models import MarketSpec
from market.state import LEDGER_UNITS, Floats, Observation

ActionEncoding = Literal["box", "gated", "grid", "seat"]
ByAgent = dict[str, Any]

FIELDS = tuple(LEDGER_UNITS)


def as_spec(spec: MarketSpec | str | Path) -> MarketSpec:
    """A spec as given, or the ``market:`` part of the YAML file at that path."""
    return spec if isinstance(spec, MarketSpec) else MarketSpec.load(spec)


def seat_encoding(actions: str, spec: MarketSpec, seat: int) -> Decisions:
    """The encoding of one seat's decisions: ``box``, ``gated`` or ``grid``, or the seat's own for ``seat``."""
    if actions not in get_args(ActionEncoding):
        raise UserError(f"actions: must be box, gated, grid or seat, got {actions!r}")
    return Decisions(spec, seat, None if actions == "seat" else actions)


class _OneBox:
    """``Decisions.decode`` of one Box action on plain floats: the same bits in a tenth of the time."""

    def __init__(self, decisions: Decisions) -> None:
        self.price, self.level, self.shape = decisions.price, decisions.level, decisions.space.shape

    def __call__(self, action: Any) -> tuple[float, float]:
        action = np.asarray(action)
        if action.shape != self.shape or action.dtype.kind not in "fiu":
            raise UserError(f"must be {self.shape} numbers, got shape {action.shape} of {action.dtype}")
        numbers = action.tolist()
        if any(map(math.isnan, numbers)):
            raise UserError("NaN is not a decision")
        price = self.price.one(min(max(numbers[0], -1.0), 1.0))
        if len(numbers) == 1 or (len(numbers) == 3 and not numbers[2] > 0):
            return price, 0.0
        return price, self.level.one(min(max(numbers[1], -1.0), 1.0))


class _OneCell:
    """``Decisions.decode`` of one grid action: a look-up."""

    def __init__(self, decisions: Decisions) -> None:
        index = np.arange(int(decisions.space.n))  # type: ignore[attr-defined]
        price, level = decisions.decode(index)
        self.cells = list(zip(price.tolist(), level.tolist(), strict=True))

    def __call__(self, action: Any) -> tuple[float, float]:
        number = np.asarray(action)
        if number.size != 1 or number.dtype.kind not in "fiu":
            raise UserError(f"must be one whole number, got shape {number.shape} of {number.dtype}")
        index = number.item()
        if not math.isfinite(index) or index != int(index) or not 0 <= index < len(self.cells):
            raise UserError(f"must be a whole number from 0 to {len(self.cells) - 1}, got {index}")
        return self.cells[int(index)]


class BazaarParallelEnv(ParallelEnv[str, Observation, Any]):  # type: ignore[misc]  # untyped base
    """One market for PettingZoo; every seller posts a price and orders up to a level at the same time.

    Args:
        spec: the market, or the path of a YAML file with a ``market:`` part.
        actions: ``box``: Box(-1, 1) float32 of (price, order-up-to level) for every seat; ``gated``: with a third number,
            above 0 to order at all (for markets where an order costs); ``grid``: Discrete for every seat; ``seat``: each
            seat's own encoding (many wrappers want all seats alike).
        render_mode: None, ``ansi`` (a table of the last period) or ``rgb_array`` (a picture of the episode so far).
        seed: of the first episode; ``reset()`` without a seed goes on to the next one.

    Attributes:
        batch: the :class:`~market.simulation.batch.MarketBatch` of one market behind it.
        spec: the :class:`~market.spec.models.MarketSpec`.
        state_space: Box of :meth:`state`.

    Rewards are profit divided by the seat's reward scale. Nothing terminates; every agent is truncated after T periods.

    Example::

        env = parallel_env("configs/duopoly.yaml")
        observations, infos = env.reset(seed=1)
        while env.agents:
            actions = {agent: env.action_space(agent).sample() for agent in env.agents}
            observations, rewards, terminations, truncations, infos = env.step(actions)

    Raises:
        UserError: an unknown encoding or render mode, or a spec that does not hold together.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "bazaar_v0",
        "render_modes": ["ansi", "rgb_array"],
        "is_parallelizable": True,
        "render_fps": 4,
    }

    def __init__(
        self,
        spec: MarketSpec | str | Path,
        actions: ActionEncoding = "box",
        render_mode: str | None = None,
        seed: int = 0,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise UserError(f"render_mode: must be ansi, rgb_array or None, got {render_mode!r}")
        self.spec, self.render_mode = as_spec(spec), render_mode
        self.batch = MarketBatch(self.spec, 1, seed)
        self.possible_agents = [f"seller_{seat}" for seat in range(len(self.spec.sellers))]
        self.agents: list[str] = []
        encodings = [seat_encoding(actions, self.spec, seat) for seat in range(len(self.possible_agents))]
        self._decoders = [_OneCell(d) if d.encoding == "grid" else _OneBox(d) for d in encodings]
        self.action_spaces = {a: d.space for a, d in zip(self.possible_agents, encodings, strict=True)}
        one = self.batch.observation_space
        self.observation_spaces = {agent: spaces.Box(one.low, one.high) for agent in self.possible_agents}
        wide = np.tile(one.low, len(encodings)), np.tile(one.high, len(encodings))
        self.state_space = spaces.Box(*wide)
        self._price, self._quantity = np.zeros((1, len(encodings))), np.zeros((1, len(encodings)))
        self._played: list[NDArray[Any]] = []

    def observation_space(self, agent: str) -> spaces.Box:
        """The Box of one seat's F numbers; names and units are in ``batch.features``."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """The seat's Box or Discrete."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: ByAgent | None = None) -> tuple[dict[str, Observation], ByAgent]:
        """Begin the next episode, or with a seed the first episode of that seed. ``options`` has none."""
        self.batch.reset(seed)
        self.agents = self.possible_agents[:]
        self._played = []
        names = zip(self.agents, self.spec.names, strict=True)
        return self._observe(), {agent: {"seller": name} for agent, name in names}

    def step(self, actions: ByAgent) -> tuple[dict[str, Observation], ByAgent, ByAgent, ByAgent, ByAgent]:
        """Play one period.

        Args:
            actions: one for every agent; Box values outside [-1, 1] are clipped.

        Returns:
            observations, rewards, terminations (all False), truncations, and infos: the period's ledger as floats,
            in the units of ``market.state.LEDGER_UNITS``, and ``seller``, the brand name.

        Raises:
            UserError: a missing, foreign or NaN action, or an episode that is over or not begun.
        """
        agents = self.agents
        if not agents:
            raise UserError("step: the episode is over (or not begun): call reset first")
        self._decide(actions)
        ledger = self.batch.step(self._price, self._quantity)[0]
        if self.render_mode == "rgb_array":
            self._played.append(ledger.copy())
        over = bool(self.batch.state.period[0] >= self.spec.horizon)
        if over:
            self.agents = []
        rewards = dict(zip(agents, self.batch.reward[0].tolist(), strict=True))
        infos: ByAgent = {}
        for agent, name, row in zip(agents, self.spec.names, ledger.tolist(), strict=True):
            infos[agent] = info = dict(zip(FIELDS, row, strict=True))
            info["seller"] = name
        return self._observe(), rewards, dict.fromkeys(agents, False), dict.fromkeys(agents, over), infos

    def _decide(self, actions: ByAgent) -> None:
        """Set the price and the order, up to the level decided, of every seat."""
        if len(actions) != len(self.possible_agents):
            foreign = [agent for agent in actions if agent not in self.action_spaces]
            if foreign:
                raise UserError(f"action of {foreign[0]}: no such seller, they are {', '.join(self.possible_agents)}")
        state = self.batch.state
        position = (state.on_hand + state.pipeline.sum(2))[0].tolist()
        for seat, (agent, decode) in enumerate(zip(self.possible_agents, self._decoders, strict=True)):
            try:
                price, level = decode(actions[agent])
            except KeyError:
                raise UserError(f"action of {agent} ({self.spec.names[seat]}): missing") from None
            except ValueError as problem:  # a UserError, or what numpy says of a ragged list
                raise UserError(f"action of {agent} ({self.spec.names[seat]}): {problem}") from None
            self._price[0, seat] = price
            self._quantity[0, seat] = max(level - position[seat], 0.0)

    def _observe(self) -> dict[str, Observation]:
        return dict(zip(self.possible_agents, self.batch.observe()[0].copy(), strict=True))

    def state(self) -> Observation:
        """All seats' observations one after the other (N * F,): what a centralised critic may see."""
        return np.concatenate(self.batch.observe()[0])

    def history(self) -> dict[str, Floats]:
        """The ledger of the episode so far as (T, N) arrays; kept only when ``render_mode`` is ``rgb_array``."""
        shape = (len(self._played), len(self.possible_agents))
        rows = np.stack(self._played) if self._played else np.zeros(shape, self.batch.ledger.dtype)
        return {field: rows[field] for field in FIELDS}

    def render(self) -> str | NDArray[np.uint8] | None:
        """A table of the last period (``ansi``) or a picture of the episode so far, (height, width, 3) ``uint8``."""
        if self.render_mode is None:
            warnings.warn("render() needs parallel_env(..., render_mode='ansi' or 'rgb_array')", stacklevel=2)
            return None
        from market.simulation import render

        if self.render_mode == "ansi":
            begun = self.batch.state.episode[0] >= 0
            return render.ansi(self.spec, self.batch.ledger[0], int(self.batch.state.period[0]) if begun else 0)
        return render.rgb_array(self.spec, self.history())


parallel_env = BazaarParallelEnv  # the name that PettingZoo's own environments have


def env(
    spec: MarketSpec | str | Path, actions: ActionEncoding = "box", render_mode: str | None = None, seed: int = 0
) -> AECEnv[str, Observation | None, Any]:
    """The same market turn by turn (AEC): the period is played when the last seller has moved.

    Actions outside the Box are clipped and NaN is refused by the market itself, so no wrapper does it again.
    """
    return OrderEnforcingWrapper(parallel_to_aec(BazaarParallelEnv(spec, actions, render_mode, seed)))
