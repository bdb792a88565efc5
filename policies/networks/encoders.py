"""What a network knows of earlier periods: nothing, the last observations, or the state of a recurrent cell.

An :class:`Encoder` stands before the body of every actor and makes what the body sees of the observation and of a
*state*, tensors over rows by name, which is all that lasts from one period to the next. While a learner plays, a
:class:`FrameStack` holds the last observations of its rows.

Dimensions: M rows, B rows of a batch, F observation features, W = width of what the body sees, H units of a cell, T
periods of a sequence.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from market.state import Flags, Observation
from policies.networks.normalizer import Normalizer

Hidden = dict[str, Tensor]
Arrays = dict[str, NDArray[Any]]  # a state outside of torch: what a seller remembers, over M rows
CellKind = Literal["none", "gru", "lstm"]


class Encoder(nn.Module, ABC):
    """(B, F), state -> (B, W), state. ``width`` is W; ``normalizer`` scales observations where the body cannot."""

    width: int
    normalizer: Normalizer | None

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width, self.normalizer = width, None

    @abstractmethod
    def start(self, rows: int, device: torch.device | None = None) -> Hidden:
        """The state (rows, ...) at the start of an episode."""

    @abstractmethod
    def forward(self, obs: Tensor, state: Hidden) -> tuple[Tensor, Hidden]:
        """What the body sees of one period (B, W), and the state to go on with."""


class NoMemory(Encoder):
    """The observation alone."""

    def start(self, rows: int, device: torch.device | None = None) -> Hidden:
        return {}

    def forward(self, obs: Tensor, state: Hidden) -> tuple[Tensor, Hidden]:
        return obs, state


class Frames(Encoder):
    """The last ``stack`` observations, oldest first: W = stack x F.

    In the first periods of an episode its first observation stands for those that were never made. Zeros would be
    observations like any other (a price in the middle of its range, say), of a market that nobody was in.
    """

    def __init__(self, observation: int, stack: int) -> None:
        super().__init__(observation * stack)
        self.observation, self.stack = observation, stack

    def start(self, rows: int, device: torch.device | None = None) -> Hidden:
        frames = torch.zeros((rows, self.stack - 1, self.observation), device=device)
        return {"frames": frames, "begun": torch.zeros(rows, dtype=torch.bool, device=device)}

    def forward(self, obs: Tensor, state: Hidden) -> tuple[Tensor, Hidden]:
        now = obs[:, None]
        before = torch.where(state["begun"][:, None, None], state["frames"], now)
        frames = torch.cat((before, now), dim=1)
        return frames.flatten(1), {"frames": frames[:, 1:], "begun": torch.ones_like(state["begun"])}


class RecurrentCell(Encoder):
    """A GRU (Cho et al. 2014) or an LSTM (Hochreiter & Schmidhuber 1997) beside the observation: W = F + H.

    The body sees the observation itself too, so that what needs no memory is learned as without one.
    """

    def __init__(self, observation: int, kind: CellKind, units: int, normalize: bool = False) -> None:
        super().__init__(observation + units)
        self.normalizer = Normalizer(observation) if normalize else None
        self.units, self.names = units, ("hidden", "cell") if kind == "lstm" else ("hidden",)
        self.cell = CELLS[kind](observation, units)
        if kind == "lstm":
            with torch.no_grad():  # forget little at first (Jozefowicz, Zaremba & Sutskever 2015)
                self.cell.bias_ih[units : 2 * units].fill_(1.0)

    def start(self, rows: int, device: torch.device | None = None) -> Hidden:
        return {name: torch.zeros((rows, self.units), device=device) for name in self.names}

    def forward(self, obs: Tensor, state: Hidden) -> tuple[Tensor, Hidden]:
        seen = obs if self.normalizer is None else self.normalizer(obs)
        state = self._advance(seen, state)
        return torch.cat((seen, state["hidden"]), dim=-1), state

    def _advance(self, seen: Tensor, state: Hidden) -> Hidden:
        if len(self.names) == 1:
            return {"hidden": self.cell(seen, state["hidden"])}
        return dict(zip(self.names, self.cell(seen, (state["hidden"], state["cell"])), strict=True))

    def sequence(self, obs: Tensor, begins: Tensor, state: Hidden) -> tuple[Tensor, Hidden]:
        """All periods of sequences at once.

        Args:
            obs: (T, B, F).
            begins: (T, B) whether an episode begins with the period: the state before it is then the start.
            state: before the first period, (B, H) each.

        Returns what the body sees (T, B, W), and the state after every period, (T, B, H) each.
        """
        seen = obs if self.normalizer is None else self.normalizer(obs)
        goes_on, states = (~begins).to(seen.dtype).unsqueeze(-1), []
        for x, keep in zip(seen.unbind(), goes_on.unbind(), strict=True):
            state = self._advance(x, {name: tensor * keep for name, tensor in state.items()})
            states.append(state)
        after = {name: torch.stack([one[name] for one in states]) for name in self.names}
        return torch.cat((seen, after["hidden"]), dim=-1), after


CELLS: dict[str, Callable[[int, int], Any]] = {"gru": nn.GRUCell, "lstm": nn.LSTMCell}


def make_encoder(observation: int, cell: CellKind, units: int, stack: int, normalize: bool) -> Encoder:
    """The encoder that an architecture asks for; ``normalize`` concerns cells, other bodies scale what they see."""
    if cell != "none":
        return RecurrentCell(observation, cell, units, normalize)
    return Frames(observation, stack) if stack > 1 else NoMemory(observation)


def restarted(state: Hidden, rows: Tensor) -> Hidden:
    """The state with the rows (B,) whose episode begins anew put back to the start, which is zeros for every encoder."""
    return {name: tensor.masked_fill(rows.reshape(-1, *(1,) * (tensor.ndim - 1)), 0) for name, tensor in state.items()}


class FrameStack:
    """Stacks of M rows. What a learner stores are whole stacks: ``stack`` times the memory, and nothing to look up."""

    def __init__(self, encoder: Frames, rows: int) -> None:
        self.encoder, self.state = encoder, encoder.start(rows)
        self.shown = np.zeros((rows, encoder.width), np.float32)

    def push(self, obs: Observation) -> Observation:
        """Take in a period's observations (M, F); returns what is shown (M, W), also kept as ``shown``."""
        seen, self.state = self.encoder(torch.as_tensor(obs), self.state)
        self.shown = seen.numpy()
        return self.shown

    def following(self, obs_next: Observation) -> Observation:
        """What would be shown (M, W) if the next observations were ``obs_next`` (M, F) in the same episodes."""
        seen: Observation = self.encoder(torch.as_tensor(obs_next), self.state)[0].numpy()
        return seen

    def restart(self, rows: Flags) -> None:
        """Forget the rows (M,) whose episode begins anew."""
        self.state = restarted(self.state, torch.as_tensor(rows))

    def state_dict(self) -> dict[str, Tensor]:
        """As it stands between two periods."""
        return {name: tensor.clone() for name, tensor in self.state.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        self.state = {name: state[name].clone() for name in self.state}
