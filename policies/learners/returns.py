"""What learners with a memory on their device learn towards: n-step returns and advantages, computed there.

The arithmetic is that of Tianshou's ``_nstep_return`` and ``_gae``, operation by operation, in 64 bits.
Dimensions: N periods of an n-step return, B rows of a batch, M rows of a market, L periods of a segment.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from policies.learners.memory import TensorMemory, Transitions

Learned = Callable[[Tensor], Tensor]  # rewards as they come from the market -> as they are learned from


def replay_targets(
    memory: TensorMemory, index: Tensor, periods: int, gamma: float, learned: Learned, value: Callable[[Tensor], Tensor]
) -> tuple[Transitions, Tensor]:
    """The transitions at ``index`` (B,), followed by others, and their n-step returns (B,) or (B, Q) in 64 bits.

    ``value``: (B,) or (B, Q) of next observations (B, F), by the target network.
    """
    along = memory.following(index, periods)
    taken = memory.take(along.flatten())
    ends = taken.ends.view(periods, -1)
    last = taken
    if periods > 1:
        reached = (~ends[:-1]).cumprod(0).sum(0, keepdim=True)
        last = memory.take(along.gather(0, reached).flatten())
    rewards = learned(taken["rew"]).view(periods, -1)
    return taken, n_step_return(rewards, ends, value(last.seen("obs_next")), gamma)


def n_step_return(reward: Tensor, ends: Tensor, value: Tensor, gamma: float) -> Tensor:
    """Rewards (N, B) discounted until the first period that ends, and from there on ``value`` (B,) or (B, Q), as is returned."""
    returns, discount = torch.zeros_like(reward[0]), torch.ones_like(reward[0])
    for n in range(len(reward) - 1, -1, -1):
        returns = reward[n] + gamma * returns.masked_fill(ends[n], 0.0)
        discount = gamma * discount.masked_fill(ends[n], 1.0)
    shape = (-1, *[1] * (value.ndim - 1))
    return value.double() * discount.view(shape) + returns.view(shape)


def advantages(
    reward: Tensor, value: Tensor, value_next: Tensor, ends: Tensor, gamma: float, gae_lambda: float
) -> Tensor:
    """Generalised advantages (M, L) of consecutive periods (Schulman et al. 2016, equation 16); all arguments (M, L)."""
    delta = reward + value_next.double() * gamma - value
    discount = (~ends).double() * (gamma * gae_lambda)
    found, running = torch.empty_like(delta), torch.zeros_like(delta[:, 0])
    for t in range(delta.shape[1] - 1, -1, -1):
        running = delta[:, t] + discount[:, t] * running
        found[:, t] = running
    return found
