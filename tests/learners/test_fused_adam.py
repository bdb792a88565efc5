"""Our step of Adam against torch's own, bit for bit."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from policies.learners.optim import FusedAdam, clip_by_norm
from tests.helpers.probes import feed, make, same, weights


def pair(norm: float | None) -> tuple[nn.Module, Any, nn.Module, Any]:
    """A network with our step, and its copy with torch's Adam."""
    torch.manual_seed(0)
    one = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 1))
    other = copy.deepcopy(one)
    adams = [torch.optim.Adam(net.parameters(), lr=1e-2, fused=True) for net in (one, other)]
    return one, FusedAdam(SimpleNamespace(_optim=adams[0], _max_grad_norm=norm)), other, adams[1]


def go(one: nn.Module, ours: Any, other: nn.Module, adam: Any, norm: float | None, steps: range) -> None:
    for k in steps:
        x = torch.randn(32, 5, generator=torch.Generator().manual_seed(k))
        for group in (ours.adam.param_groups[0], adam.param_groups[0]):
            group["lr"] = 1e-2 / (k + 1)
        ours.step((one(x) - x.sum(1, keepdim=True)).square().mean())
        adam.zero_grad()
        (other(x) - x.sum(1, keepdim=True)).square().mean().backward()
        if norm is not None:
            nn.utils.clip_grad_norm_(other.parameters(), norm)
        adam.step()


@pytest.mark.parametrize("norm", [None, 0.1, 3.0])
def test_steps_are_torchs_to_the_bit(norm: float | None) -> None:
    one, ours, other, adam = pair(norm)
    go(one, ours, other, adam, norm, range(30))
    assert same(list(one.parameters()), list(other.parameters()))
    kept = [(a.state[p], b.state[q]) for a, b in [(ours.adam, adam)] for p, q in zip(a.state, b.state, strict=True)]
    assert len(kept) == 4 and all(
        torch.equal(a[key], b[key]) for a, b in kept for key in ("step", "exp_avg", "exp_avg_sq")
    )


def test_goes_on_after_loading_a_state() -> None:
    one, ours, other, adam = pair(None)
    go(one, ours, other, adam, None, range(10))
    states = copy.deepcopy([ours.adam.state_dict(), one.state_dict()])
    go(one, ours, other, adam, None, range(10, 20))
    after = [p.clone() for p in one.parameters()]
    for net, optimiser in ((one, ours.adam), (other, adam)):
        optimiser.load_state_dict(copy.deepcopy(states[0]))
        net.load_state_dict(states[1])
    go(one, ours, other, adam, None, range(10, 20))
    assert same(after, list(one.parameters())) and same(after, list(other.parameters()))


def test_clipping_is_torchs_to_the_bit() -> None:
    for norm in (0.01, 1.0, 100.0):
        gradients = [torch.randn(n, generator=torch.Generator().manual_seed(n)) for n in (3, 40, 500)]
        parameters = [nn.Parameter(torch.zeros_like(g)) for g in gradients]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient.clone()
        nn.utils.clip_grad_norm_(parameters, norm)
        clip_by_norm(gradients, norm)
        assert same(gradients, [p.grad for p in parameters if p.grad is not None])


@pytest.mark.parametrize("name", ["dqn", "ddpg", "a2c"])
def test_learners_end_with_the_weights_of_tianshous_optimisers(name: str) -> None:
    ours, stock = make(name, max_grad_norm=0.2), make(name, max_grad_norm=0.2)
    for optim in stock.algorithm._optimizers:
        assert optim.__dict__.pop("step").__self__.optim is optim
    if name == "ddpg":  # whose actor's loss must leave no gradient in the critic
        plain = stock.algorithm.policy_optim.step
        critic = list(stock.algorithm.critic.parameters())
        stock.algorithm.policy_optim.step = lambda loss: (plain(loss), [setattr(p, "grad", None) for p in critic])
    for learner in (ours, stock):
        feed(learner, 60)
    assert ours.updates == stock.updates > 5 and same(weights(ours), weights(stock))
