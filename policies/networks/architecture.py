"""What it takes to rebuild a learned seller's network, and its decisions without exploration.

A saved seller is a state_dict and an :class:`Architecture`, nothing more. Dimensions: M rows, F observation features, A
components of a box action.
"""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, field_validator, model_validator
from torch import Tensor

from market.state import Observation
from policies.networks.encoders import Arrays, CellKind
from policies.networks.heads import ACTORS, Actor


class Architecture(BaseModel):
    """What it takes to rebuild an actor: JSON-able through pydantic's ``model_dump`` and ``model_validate``.

    ``kind``: a key of :data:`ACTORS`. ``observation``: F. ``actions``: K of a discrete actor, A of a box actor.
    ``normalize``: whether it holds a :class:`~policies.networks.normalizer.Normalizer` of its observations. ``cell``,
    ``cell_size``: of a recurrent network, its kind and units. ``stack``: how many of the last observations it sees.
    ``quantiles``: Q of each action's return, of a network that has them. ``axes``: prices x levels of a grid whose
    values are polynomials (:class:`~policies.networks.perceptrons.GridPerceptron`), and their ``degree``, or without one
    sums of parts (:class:`~policies.networks.perceptrons.PartsPerceptron`), and ``knots``: of their shared parts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    observation: PositiveInt
    actions: PositiveInt
    hidden: tuple[PositiveInt, ...] = (64, 64)
    normalize: bool = False
    cell: CellKind = "none"
    cell_size: PositiveInt = 64
    stack: PositiveInt = 1
    quantiles: PositiveInt = 1
    axes: tuple[PositiveInt, PositiveInt] | None = None
    degree: PositiveInt | None = None
    knots: NonNegativeInt = 0

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in ACTORS:
            raise ValueError(f"unknown network {kind!r}: must be one of {', '.join(ACTORS)}")
        return kind

    @model_validator(mode="after")
    def _fits(self) -> Architecture:
        if self.cell != "none" and self.stack > 1:
            raise ValueError("a network has either a recurrent cell or a stack of observations")
        if self.axes is not None and (self.kind != "q" or self.axes[0] * self.axes[1] != self.actions):
            raise ValueError(f"axes {self.axes} are of a q network of {self.axes[0] * self.axes[1]} actions")
        return self


def tail_emphasis(quantiles: int, level: float, weight: float) -> Tensor:
    """Weights (Q,) of quantiles for (1 - weight) x mean + weight x CVaR at ``level``; each stands for 1 / Q.

    Of 4 quantiles at level 0.375 the lowest counts in full and the second half: (2/3, 1/3, 0, 0) with weight 1.
    """
    tail = (level * quantiles - torch.arange(quantiles)).clamp(0, 1) / (level * quantiles)
    return weight * tail + (1 - weight) / quantiles


def build(architecture: Architecture) -> Actor:
    """The actor that ``architecture`` describes, freshly initialised from torch's global generator, on the CPU."""
    return ACTORS[architecture.kind](architecture)


@torch.no_grad()
def decide(actor: Actor, obs: Observation, memory: Arrays) -> tuple[NDArray[Any], Arrays]:
    """The actions without exploration for observations (M, F), and what to remember, arrays over M.

    Actions are int64 (M,), or float32 (M, A) in [-1, 1]. ``memory`` is as :func:`empty_memory` makes it.
    """
    state = {name: torch.as_tensor(array, device=actor.body.device) for name, array in memory.items()}
    seen, state = actor.recall(actor.body.tensor(obs), state)
    action: NDArray[Any] = actor.greedy(seen).cpu().numpy()
    return action, {name: tensor.cpu().numpy() for name, tensor in state.items()}


def empty_memory(actor: Actor, rows: int) -> Arrays:
    """What an actor remembers when an episode begins, arrays over M = ``rows``."""
    return {name: tensor.numpy() for name, tensor in actor.recall.start(rows).items()}
