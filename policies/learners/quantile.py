"""Quantile-regression DQN: Tianshou's, trimmed as the others are, and able to act on its lower quantiles.

Dabney, Rowland, Bellemare & Munos (2018), "Distributional reinforcement learning with quantile regression", AAAI. Each
action has Q quantiles of its discounted return, at levels (i + 1/2) / Q; an action is worth their weighted mean, with
equal weights (the mean return) or with more on the lower ones (CVaR). The next action of a target is chosen by the
same weights, so what is maximised is the tail of the return from each state on, given that one goes on likewise; that
is not CVaR of the return as seen from the start (Lim & Malik 2022, NeurIPS, on the difference).

Dimensions: B rows of a batch, K discrete actions, Q quantiles.
"""

from __future__ import annotations

from typing import Any

import torch
from tianshou.algorithm.modelfree.qrdqn import QRDQN
from torch import Tensor, nn

from policies.learners.algorithms import LeanReplay, Losses
from policies.learners.exploration import EpsilonGreedyPolicy
from policies.learners.rewards import RewardBaseline
from policies.networks.architecture import QuantileNetwork


class QuantilePolicy(EpsilonGreedyPolicy):
    """Epsilon-greedy on the network's weighting of its quantiles."""

    def compute_q_value(self, logits: Tensor, mask: Any) -> Tensor:
        """Quantiles (B, K, Q) to values (B, K)."""
        model: Any = self.model
        return super().compute_q_value(logits @ model.emphasis, mask)


def quantile_huber_loss(quantiles: Tensor, targets: Tensor, levels: Tensor, kappa: float) -> Tensor:
    """Equation 10 of Dabney et al.: quantiles (B, Q) at ``levels`` (Q,) against samples ``targets`` (B, Q') -> ().

    sum_i mean_j |level_i - [u_ij < 0]| L(u_ij) / kappa with u_ij = target_j - quantile_i, L(u) = u^2 / 2 up to kappa and
    kappa (|u| - kappa / 2) beyond, averaged over B; for kappa = 0 the pinball loss. The smaller kappa, the closer what
    is learned lies to quantiles, the larger, the closer to expectiles.

    Example: one quantile 1 at level 0.25, one target 3, kappa 1: u = 2, 0.25 x (2 - 0.5) = 0.375.
    """
    u = targets.unsqueeze(1) - quantiles.unsqueeze(2)
    size = u.abs() if kappa == 0 else nn.functional.smooth_l1_loss(u, torch.zeros_like(u), reduction="none", beta=kappa)
    weight = (levels[:, None] - (u.detach() <= 0).float()).abs()
    return (size * weight).mean(dim=2).sum(dim=1).mean()


class LeanQRDQN(LeanReplay, QRDQN[Any]):  # type: ignore[misc]  # sample_size is never None here
    """Tianshou's QR-DQN, the same numbers in fewer calls for ``kappa`` 1 and equal weights.

    ``double``: the online network chooses the next action, as Tianshou has it; else the target network does.
    """

    def __init__(self, *, baseline: RewardBaseline, kappa: float, double: bool, **options: Any) -> None:
        super().__init__(**options)
        self.baseline, self.periods = baseline, self.n_step
        self.kappa, self.is_double = kappa, double
        target: Any = self.model_old
        self._pair: tuple[QuantileNetwork, QuantileNetwork] = (self.policy.model, target.module)
        self._bodies = self._pair[0].body, self._pair[1].body
        self._levels = self.tau_hat.detach().flatten().to(self._bodies[0].device)

    def _value(self, obs_next: Tensor) -> Tensor:
        """The target's quantiles (B, Q) of its next action."""
        online, target = self._pair
        quantiles = target.quantiles(obs_next)
        chooser = online.quantiles(obs_next) if self.is_double else quantiles
        return _of_actions(quantiles, (chooser @ online.emphasis).argmax(dim=1))

    def _update_with_batch(self, batch: Any) -> Any:
        self._periodically_update_lagged_network_weights()
        online = self._pair[0]
        quantiles = _of_actions(online.quantiles(batch.obs), batch.act)
        loss = quantile_huber_loss(quantiles, batch.returns, self._levels, self.kappa)
        self.optim.step(loss)
        q = quantiles.detach()
        return Losses(tensors={"loss": loss.detach(), "mean_q": q.mean(), "tail_q": (q @ online.emphasis).mean()})


def _of_actions(quantiles: Tensor, action: Tensor) -> Tensor:
    """(B, K, Q) of actions (B,): (B, Q)."""
    return quantiles[torch.arange(len(action), device=action.device), action]
