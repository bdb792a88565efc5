"""How weights move: a step of Adam, an average of weights over training, and the schedules of step sizes and exploration.

:class:`FusedAdam` does the same bits as torch's step in a third of the time. For networks as small as a seller's the
arithmetic of a step takes 20 µs, walking through modules, parameter groups and profiling hooks six times as long.

The policy of a :class:`WeightAverage` fluctuates less than that of any moment (Polyak & Juditsky 1992; of networks,
Izmailov et al. 2018, "Averaging weights leads to wider optima and better generalization", UAI).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from policies.networks.heads import Actor


def clip_by_norm(gradients: list[Tensor], norm: float) -> None:
    """As ``torch.nn.utils.clip_grad_norm_`` with the L2 norm, on gradients that are there and on one device."""
    total = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    torch._foreach_mul_(gradients, (norm / (total + 1e-6)).clamp(max=1.0))


class FusedAdam:
    """Takes the place of ``step`` of one of Tianshou's optimisers around a fused ``torch.optim.Adam``.

    Adam's own state is used and kept, so saving and loading are as ever. Where a weight has no gradient, or no state
    yet, torch's own step is taken.
    """

    def __init__(self, optim: Any) -> None:
        self.optim, self.adam = optim, optim._optim
        self.weights: list[Tensor] = self.adam.param_groups[0]["params"]
        self._state: Any = None

    @staticmethod
    def suits(optim: Any) -> bool:
        """Whether it is a fused Adam with one group of weights."""
        adam = optim._optim
        return type(adam) is torch.optim.Adam and len(adam.param_groups) == 1 and adam.defaults["fused"]

    def step(self, loss: Tensor) -> None:
        """Move the weights down the loss's gradient, and no others."""
        for weight in self.weights:
            weight.grad = None
        loss.backward(inputs=self.weights)  # type: ignore[no-untyped-call]
        self.descend([weight.grad for weight in self.weights if weight.grad is not None])

    @torch.no_grad()
    def descend(self, gradients: list[Tensor]) -> None:
        """Adam's step by gradients, one a weight, clipped first where that is asked for."""
        if (norm := self.optim._max_grad_norm) is not None:
            clip_by_norm(gradients, norm)
        if len(gradients) < len(self.weights) or not self._known():
            self.adam.step()
            return
        torch._foreach_add_(self._steps, 1)
        group, moments = self.adam.param_groups[0], (self._means, self._squares)
        beta1, beta2 = group["betas"]
        settings = {name: group[name] for name in ("lr", "weight_decay", "eps", "amsgrad", "maximize")}
        torch._fused_adam_(self.weights, gradients, *moments, [], self._steps, beta1=beta1, beta2=beta2, **settings)

    def _known(self) -> bool:
        """Whether Adam's state is at hand; it is another one after loading, and none before the first step."""
        if self.adam.state is not self._state:
            if len(self.adam.state) < len(self.weights):
                return False
            self._state = self.adam.state
            kept = [self._state[weight] for weight in self.weights]
            self._steps, self._means, self._squares = (
                [state[key] for state in kept] for key in ("step", "exp_avg", "exp_avg_sq")
            )
        return True


class WeightAverage:
    """An exponential average of a network's weights; of the first ``steps`` a plain mean.

    Args:
        network: whose weights are averaged; it is not changed.
        steps: how many calls of :meth:`add` an average reaches back, 1 or more.

    Weights 4, 2, 3 with ``steps`` 2: 4, then 3, then 3.
    """

    def __init__(self, network: Actor, steps: float) -> None:
        self.of, self.steps, self.added = network, max(steps, 1.0), 0
        self.network = copy.deepcopy(network)

    @torch.no_grad()
    def add(self) -> None:
        """Take in the network as it is now."""
        self.added += 1
        pace = 1.0 / min(self.added, self.steps)
        for mean, now in zip(self.network.state_dict().values(), self.of.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, pace)
            else:
                mean.copy_(now)

    def state_dict(self) -> dict[str, Any]:
        """The average and how many went into it."""
        return {"weights": self.network.state_dict(), "added": self.added}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back :meth:`state_dict`."""
        self.network.load_state_dict(state["weights"])
        self.added = state["added"]


SHAPES: dict[str, Callable[[float, float, float], float]] = {
    "constant": lambda start, final, x: start,
    "linear": lambda start, final, x: start + (final - start) * x,
    "cosine": lambda start, final, x: final + (start - final) * 0.5 * (1.0 + math.cos(math.pi * x)),
    "exponential": lambda start, final, x: start * (final / start) ** x if start else 0.0,
}


def anneal(shape: str, start: float, final: float, x: float) -> float:
    """The value at ``x`` of the way, 0 to 1, from ``start`` to ``final``, neither below zero; never below zero itself.

    ``constant`` stays at ``start``. ``cosine`` is half a period of it (Loshchilov and Hutter 2017, equation 5, without
    restarts). ``exponential`` loses the same share in equal times, so it cannot end at 0.
    """
    return max(SHAPES[shape](start, final, x), 0.0)
