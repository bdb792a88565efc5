"""Observations brought to one scale inside a network, so that a saved seller carries the scale with it.

A learner's networks share one :class:`Normalizer`. It has the :class:`Usual` values that theory expects, or the
:class:`Moments` of what its learner has seen; both are of 64 bits, the network gets them rounded to 32. Dimensions: M rows, B rows of a batch, F observation features.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

CLIP = 10.0  # standard deviations
EPSILON = 1e-8


class Normalizer(nn.Module):
    """(B, F) -> (x - mean) / sqrt(variance), within ±:data:`CLIP`; leaves x as it is until :meth:`set` is called."""

    mean: Tensor
    variance: Tensor
    _factor: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("variance", torch.ones(features))
        self.register_buffer("_factor", torch.ones(features), persistent=False)  # every forward pass needs it
        self.register_load_state_dict_post_hook(_refresh)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        return torch.sub(x, self.mean).mul_(self._factor).clamp_(-CLIP, CLIP)

    def refresh(self) -> None:
        """Make the factor of the variance as it is now."""
        self._factor = torch.rsqrt(self.variance + EPSILON)

    def set(self, known: Moments | Usual) -> None:
        """Take over what has been seen, or is expected."""
        self.mean.copy_(known.mean)
        self.variance.copy_(known.variance)
        self.refresh()


def _refresh(module: nn.Module, _keys: object) -> None:
    assert isinstance(module, Normalizer)
    module.refresh()


class Usual(NamedTuple):
    """What observations usually are: the middle of each number (F,), and the square of its usual distance from there."""

    mean: Tensor
    variance: Tensor


class Moments:
    """Mean and variance (F,) of all rows seen, by the parallel algorithm of Chan, Golub and LeVeque (1983)."""

    def __init__(self, features: int, device: torch.device) -> None:
        self.count = 0
        self.mean = torch.zeros(features, dtype=torch.float64, device=device)
        self.variance = torch.ones_like(self.mean)

    def see(self, x: Tensor) -> None:
        """Take in rows (M, F)."""
        variance, mean = torch.var_mean(x.double(), dim=0, correction=0)
        total, away = self.count + len(x), mean - self.mean
        old, new = self.count / total, len(x) / total
        self.mean = self.mean + away * new
        self.variance = self.variance * old + variance * new + away.square() * (old * new)
        self.count = total

    def state_dict(self) -> dict[str, Tensor | int]:
        """What has been seen."""
        return {"count": self.count, "mean": self.mean.cpu(), "variance": self.variance.cpu()}

    def load_state_dict(self, state: dict[str, Tensor | int]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        self.count = int(state["count"])
        self.mean, self.variance = (torch.as_tensor(state[k]).to(self.mean.device) for k in ("mean", "variance"))


def share(root: nn.Module, normalizer: Normalizer) -> None:
    """Let every network under ``root`` use the one normalizer, target networks too: they lag in weights only."""
    for module in root.modules():
        if module._modules.get("normalizer") is not None:
            module.normalizer = normalizer
