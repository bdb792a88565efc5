"""Averages of weights over training: the policy of an average fluctuates less than that of any moment.

Polyak & Juditsky (1992); of networks, Izmailov et al. (2018), "Averaging weights leads to wider optima and better
generalization", UAI.
"""

from __future__ import annotations

import copy
from typing import Any

import torch

from policies.networks.architecture import Actor


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
