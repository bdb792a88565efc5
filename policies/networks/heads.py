"""The modules of actors and critics: one actor a kind of decision, critics.

Dimensions: B rows of a batch (M when the market asks), F observation features, K discrete actions, A components of
a box action. An actor's ``recall`` makes what its body sees (B, W) of observations and of what it remembers
(:mod:`policies.networks.encoders`); of one that remembers nothing, W = F. All other methods of an actor take what the body
sees. ``forward(seen, state, info)`` returns ``(output, state)``, which is all that Tianshou's policies ask of a network.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from policies.networks.encoders import make_encoder
from policies.networks.normalizer import Normalizer
from policies.networks.perceptrons import GridPerceptron, PartsPerceptron, Perceptron

if TYPE_CHECKING:
    from policies.networks.architecture import Architecture

LOG_SQRT_2PI = 0.5 * float(np.log(2 * np.pi))


class Actor(nn.Module, ABC):
    """An actor's trunk and what all actors share.

    ``recall``, its encoder, ``body``, ``layers`` and ``normalizer`` are keys of saved state dicts: they keep their names.
    """

    def __init__(self, architecture: Architecture, last_gain: float = 1.0) -> None:
        super().__init__()
        self.architecture = architecture
        a = architecture
        self.recall = make_encoder(a.observation, a.cell, a.cell_size, a.stack, a.normalize)
        outputs, own_scale = a.actions * a.quantiles, a.normalize and a.cell == "none"
        self.body = Perceptron(self.recall.width, outputs, a.hidden, last_gain, own_scale)

    @property
    def normalizer(self) -> Normalizer | None:
        """What brings its observations to one scale, where there is one."""
        return self.recall.normalizer or self.body.normalizer

    def forward(self, obs: Tensor | NDArray[Any], state: Any = None, info: Any = None) -> tuple[Any, Any]:
        """``(output, state)`` of what the body sees, as Tianshou's policies ask."""
        return self.body(self.body.tensor(obs)), state

    @abstractmethod
    def greedy(self, obs: Tensor) -> Tensor:
        """The action without exploration: (B, W) -> int64 (B,) or float32 (B, A) in [-1, 1]."""


class QNetwork(Actor):
    """(B, W) -> the value Q (B, K) of each discrete action."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        a = architecture
        if a.axes is not None:
            own_scale, width = a.normalize and a.cell == "none", self.recall.width
            if a.degree is None:
                self.body = PartsPerceptron(width, a.axes, a.hidden, own_scale, a.knots)
            else:
                self.body = GridPerceptron(width, a.axes, a.hidden, a.degree, own_scale)

    def greedy(self, obs: Tensor) -> Tensor:
        q: Tensor = self.body(obs)
        return q.argmax(dim=1)


class QuantileNetwork(Actor):
    """(B, W) -> Q quantiles (B, K, Q) of each discrete action's return, at levels (i + 1/2) / Q.

    ``emphasis`` (Q,): the weights by which quantiles make an action's value, saved with the network.
    """

    emphasis: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture)
        self.register_buffer("emphasis", torch.full((architecture.quantiles,), 1 / architecture.quantiles))

    def quantiles(self, obs: Tensor) -> Tensor:
        """Of what the body sees (B, W): (B, K, Q)."""
        found: Tensor = self.body(obs)
        return found.reshape(-1, self.architecture.actions, self.architecture.quantiles)  # graphs know no len()

    def forward(self, obs: Tensor | NDArray[Any], state: Any = None, info: Any = None) -> tuple[Any, Any]:
        return self.quantiles(self.body.tensor(obs)), state

    def greedy(self, obs: Tensor) -> Tensor:
        return (self.quantiles(obs) @ self.emphasis).argmax(dim=1)


class CategoricalActor(Actor):
    """(B, W) -> unnormalised log-probabilities (B, K) of discrete actions; nearly uniform at first."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture, last_gain=0.01)

    def greedy(self, obs: Tensor) -> Tensor:
        logits: Tensor = self.body(obs)
        return logits.argmax(dim=1)

    def evaluate(self, obs: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probability (B,) of integer actions (B,), and the mean entropy (), in nats; 0, as none is out of range."""
        log_p = torch.log_softmax(self.body(obs), dim=1)
        chosen = log_p.gather(1, action.long().unsqueeze(1)).squeeze(1)
        return chosen, -(log_p.exp() * log_p).sum(1).mean(), torch.zeros_like(chosen[0])

    @torch.no_grad()
    def sample(self, obs: Tensor | NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.int64]:
        """Actions (M,) drawn by inverting the cumulative distribution, with one uniform number a row."""
        p = torch.softmax(self.body(self.body.tensor(obs)), dim=1).cumsum(1)
        uniform = self.body.tensor(rng.random((len(p), 1), np.float32))
        drawn: NDArray[np.int64] = (p < uniform * p[:, -1:]).sum(1).cpu().numpy()
        return drawn


class GaussianActor(Actor):
    """(B, W) -> mean (B, A), unbounded, and standard deviation (B, A), the same in every state.

    Actions are stored as drawn and clipped to [-1, 1] only when carried out.
    """

    def __init__(self, architecture: Architecture, initial_sd: float = 0.5) -> None:
        super().__init__(architecture, last_gain=0.01)
        self.log_sd = nn.Parameter(torch.full((architecture.actions,), float(np.log(initial_sd))))

    def forward(self, obs: Tensor | NDArray[Any], state: Any = None, info: Any = None) -> tuple[Any, Any]:
        mean = self.body(self.body.tensor(obs))
        return (mean, self.log_sd.exp().expand_as(mean)), state

    def greedy(self, obs: Tensor) -> Tensor:
        mean: Tensor = self.body(obs)
        return mean.clamp(-1.0, 1.0)

    def evaluate(self, obs: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-density (B,) of unclipped actions (B, A), entropy (), in nats, and the means' squared way out of range ()."""
        return self._gaussian(self.body(obs), action)

    def _gaussian(self, mean: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z = (action - mean) * (-self.log_sd).exp()
        constant = (self.log_sd + LOG_SQRT_2PI).sum()
        outside = torch.relu(mean.abs() - 1).square().mean()
        return -0.5 * z.square().sum(1) - constant, constant + 0.5 * len(self.log_sd), outside

    @torch.no_grad()
    def sample(self, obs: Tensor | NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Actions (M, A), unclipped."""
        both: NDArray[np.float32] = torch.cat((self.body(self.body.tensor(obs)), self.log_sd.exp()[None])).cpu().numpy()
        mean, sd = both[:-1], both[-1]
        drawn: NDArray[np.float32] = np.add(mean, sd * rng.standard_normal(mean.shape, np.float32), dtype=np.float32)
        return drawn


class GatedGaussianActor(GaussianActor):
    """As its base, but for the last component, the gate: 1 (order) or -1 (do not), drawn with the logit that the body gives.

    A state's gate can be certain while prices are still tried; a Gaussian's deviation is the same in every state.
    """

    def __init__(self, architecture: Architecture, initial_sd: float = 0.5) -> None:
        super().__init__(architecture, initial_sd)
        self.log_sd = nn.Parameter(self.log_sd.detach()[:-1].clone())

    def forward(self, obs: Tensor | NDArray[Any], state: Any = None, info: Any = None) -> tuple[Any, Any]:
        raise NotImplementedError("a gated actor has no single distribution: use sample and evaluate")

    def evaluate(self, obs: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As the base's; the gate adds its own log-probability and entropy."""
        output = self.body(obs)
        log_p, entropy, outside = self._gaussian(output[:, :-1], action[:, :-1])
        logit = output[:, -1]
        log_gate = nn.functional.logsigmoid(torch.where(action[:, -1] > 0, logit, -logit))
        gate_entropy = nn.functional.softplus(logit) - logit * logit.sigmoid()
        return log_p + log_gate, entropy + gate_entropy.mean(), outside

    @torch.no_grad()
    def sample(self, obs: Tensor | NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Actions (M, A), the gate 1 or -1, the others unclipped."""
        output, sd = self.body(self.body.tensor(obs)).cpu().numpy(), self.log_sd.exp().cpu().numpy()
        drawn = output[:, :-1] + sd * rng.standard_normal((len(output), len(sd)), np.float32)
        order = rng.random(len(output)) < 1 / (1 + np.exp(-output[:, -1]))
        return np.column_stack((drawn, np.where(order, 1.0, -1.0))).astype(np.float32)


class DeterministicActor(Actor):
    """(B, W) -> action (B, A) in [-1, 1] through tanh; near the middle at first."""

    max_action = 1.0

    def __init__(self, architecture: Architecture) -> None:
        super().__init__(architecture, last_gain=0.1)

    def forward(self, obs: Tensor | NDArray[Any], state: Any = None, info: Any = None) -> tuple[Any, Any]:
        return torch.tanh(self.body(self.body.tensor(obs))), state

    def greedy(self, obs: Tensor) -> Tensor:
        return torch.tanh(self.body(obs))


class ValueCritic(nn.Module):
    """(B, F) -> the value V (B, 1) of a state."""

    def __init__(self, observation: int, hidden: tuple[int, ...], normalize: bool = False) -> None:
        super().__init__()
        self.body = Perceptron(observation, 1, hidden, normalize=normalize)

    def forward(self, obs: Tensor | NDArray[Any]) -> Tensor:
        value: Tensor = self.body(self.body.tensor(obs))
        return value


class ActionValueCritic(nn.Module):
    """(B, F), (B, A) -> the value Q (B, 1) of a state and an action."""

    def __init__(self, observation: int, actions: int, hidden: tuple[int, ...], normalize: bool = False) -> None:
        super().__init__()
        self.normalizer = Normalizer(observation) if normalize else None
        self.body = Perceptron(observation + actions, 1, hidden)

    def forward(self, obs: Tensor | NDArray[Any], action: Tensor | NDArray[Any], info: Any = None) -> Tensor:
        seen = self.body.tensor(obs)
        if self.normalizer is not None:
            seen = self.normalizer(seen)
        value: Tensor = self.body(torch.cat((seen, self.body.tensor(action)), dim=1))
        return value


ACTORS: dict[str, Callable[[Architecture], Actor]] = {
    "q": QNetwork,
    "quantile": QuantileNetwork,
    "categorical": CategoricalActor,
    "gaussian": GaussianActor,
    "gated_gaussian": GatedGaussianActor,
    "deterministic": DeterministicActor,
}
