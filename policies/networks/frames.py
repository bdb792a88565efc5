"""The last observations that a learner's networks are shown, of all its rows.

Dimensions: M rows, F observation features, W = stack x F.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from policies.networks.encoders import Frames, restarted


class FrameStack:
    """Stacks of M rows. What a learner stores are whole stacks: ``stack`` times the memory, and nothing to look up."""

    def __init__(self, recall: Frames, rows: int) -> None:
        self.recall, self.state = recall, recall.start(rows)
        self.shown = np.zeros((rows, recall.width), np.float32)

    def push(self, obs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take in a period's observations (M, F); returns what is shown (M, W), also kept as ``shown``."""
        seen, self.state = self.recall(torch.as_tensor(obs), self.state)
        self.shown = seen.numpy()
        return self.shown

    def following(self, obs_next: NDArray[np.float32]) -> NDArray[np.float32]:
        """What would be shown (M, W) if the next observations were ``obs_next`` (M, F) in the same episodes."""
        seen: NDArray[np.float32] = self.recall(torch.as_tensor(obs_next), self.state)[0].numpy()
        return seen

    def restart(self, rows: NDArray[np.bool_]) -> None:
        """Forget the rows (M,) whose episode begins anew."""
        self.state = restarted(self.state, torch.as_tensor(rows))

    def state_dict(self) -> dict[str, Tensor]:
        """As it stands between two periods."""
        return {name: tensor.clone() for name, tensor in self.state.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        self.state = {name: state[name].clone() for name in self.state}
