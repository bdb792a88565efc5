"""Losses, gradient clipping and schedules, against torch's own classes and numbers worked by hand."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from policies.config.learners import A2COptions, DDPGOptions, DQNOptions
from policies.config.run import read_config
from policies.learners.base import Learner
from policies.learners.build import seat_options
from policies.learners.optim import SHAPES, anneal
from policies.learners.registry import BUILDERS
from tests.helpers.probes import feed, make, next_batch, same, twin, update, weights

NAMES = ["dqn", "ddpg", "a2c"]

# ------------------------------------------------------------------------------------------------ losses and clipping


def loss_class(learner: Learner) -> nn.Module:
    o = learner.options
    return nn.HuberLoss(delta=o.huber_delta) if o.loss == "huber" else nn.MSELoss()


def dqn_gradients(learner: Learner) -> list[tuple[nn.Module, nn.Module]]:
    """The learner's network beside a copy with the gradients that its next update should have."""
    batch, copy = next_batch(learner), twin(learner.network)
    q = copy(batch.obs)[0][torch.arange(len(batch.obs)), batch.act]
    loss_class(learner)(q, batch.returns.flatten()).backward()
    return [(learner.network, copy)]


def ddpg_gradients(learner: Learner) -> list[tuple[nn.Module, nn.Module]]:
    batch, actor, critic = next_batch(learner), twin(learner.network), twin(learner.algorithm.critic)
    loss_class(learner)(critic(batch.obs, batch.act), batch.returns).backward()
    update(learner)  # the actor climbs the critic as it is after its own step
    score = learner.algorithm.critic(batch.obs, actor(batch.obs)[0]).mean()
    (-score).backward(inputs=list(actor.parameters()))
    return [(learner.algorithm.critic, critic), (learner.network, actor)]


def a2c_gradients(learner: Learner) -> list[tuple[nn.Module, nn.Module]]:
    batch, both, o = next_batch(learner), twin(learner.algorithm.optim._module), learner.options
    mean, sd = both.actor(batch.obs)[0]
    normal = torch.distributions.Normal(mean, sd)
    gain = (normal.log_prob(batch.act).sum(1) * batch.adv).mean()
    error = loss_class(learner)(both.critic(batch.obs).flatten(), batch.returns)
    (o.value * error - gain - learner.algorithm.ent_coef * normal.entropy().sum(1).mean()).backward()
    return [(learner.algorithm.optim._module, both)]


EXPECTED: dict[str, Any] = {"dqn": dqn_gradients, "ddpg": ddpg_gradients, "a2c": a2c_gradients}


def gradients(module: nn.Module) -> list[Tensor]:
    return [p.grad.clone() for p in module.parameters() if p.grad is not None]


@pytest.mark.parametrize("norm", [None, 0.05, 1e6])
@pytest.mark.parametrize("loss", ["mse", "huber"])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_torchs_own_loss_and_clipping(name: str, loss: str, norm: float | None) -> None:
    own: dict[str, Any] = {} if name == "dqn" else {"saturation": 0.0}
    learner = feed(make(name, loss=loss, huber_delta=0.7, max_grad_norm=norm, **own), 5, learn=False)
    pairs = EXPECTED[name](learner)
    if name != "ddpg":
        update(learner)
    for ours, copy in pairs:
        before = torch.cat([g.flatten() for g in gradients(copy)]).norm()
        if norm is not None:
            nn.utils.clip_grad_norm_([p for p in copy.parameters() if p.grad is not None], norm)
        assert (norm == 0.05) == (norm is not None and bool(before > norm))  # that it is clipped, or not
        for one, other in zip(gradients(ours), gradients(copy), strict=True):
            assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def test_huber_is_half_the_square_within_and_linear_beyond() -> None:
    learner = make("dqn", loss="huber", huber_delta=2.0)
    error = torch.tensor([[0.5], [2.0], [5.0]])
    by_hand = [0.5 * 0.5**2, 0.5 * 2.0**2, 2.0 * (5.0 - 1.0)]
    assert [float(learner.algorithm.value_loss(e, torch.zeros(1))) for e in error] == pytest.approx(by_hand)


@pytest.mark.parametrize("name", NAMES)
def test_large_errors_sway_huber_less(name: str) -> None:
    """Returns a thousand times as large: the first values' gradient grows with mse and not with huber."""
    sizes = {}
    for loss in ("mse", "huber"):
        learner = feed(make(name, loss=loss, max_grad_norm=None), 5, learn=False, scale=1e3)
        update(learner)
        critic = learner.algorithm.critic if name != "dqn" else learner.network
        sizes[loss] = max(float(g.abs().max()) for g in gradients(critic))
    assert sizes["huber"] < 100 < sizes["mse"] / 5


# --------------------------------------------------------------------------------------------------------- schedules

BY_HAND = {  # from 8 to 2, at 0, a quarter, half and all of the way
    "constant": [8, 8, 8, 8],
    "linear": [8, 6.5, 5, 2],
    "cosine": [8, 2 + 6 * 0.5 * (1 + 2**-0.5), 5, 2],
    "exponential": [8, 8 / 2**0.5, 4, 2],
}


@pytest.mark.parametrize("shape", list(SHAPES))
def test_schedules_are_as_worked_by_hand(shape: str) -> None:
    assert [anneal(shape, 8, 2, x) for x in (0, 0.25, 0.5, 1)] == pytest.approx(BY_HAND[shape])


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize(("start", "final"), [(1.0, 1e-300), (3e-4, 1e-12), (0.0, 0.0), (0.5, 0.5)])
def test_schedules_fall_and_never_below_zero(shape: str, start: float, final: float) -> None:
    values = [anneal(shape, start, final, x) for x in np.linspace(0, 1, 1001)]
    assert min(values) >= 0 and all(b <= a * (1 + 1e-12) for a, b in pairwise(values))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", list(SHAPES))
def test_step_sizes_follow_their_schedule(name: str, shape: str) -> None:
    learner = make(name, lr=8e-3, lr_final=0.25, lr_schedule=shape)
    for fraction, expected in zip((0, 0.25, 0.5, 1, 7), [*BY_HAND[shape], BY_HAND[shape][-1]], strict=True):
        learner.progress(fraction)
        assert learner.scalars()["learning_rate"] == pytest.approx(expected * 1e-3)
        rates = {group["lr"] for optim in learner.algorithm._optimizers for group in optim._optim.param_groups}
        assert expected * 1e-3 == pytest.approx(min(rates) if name != "ddpg" else max(rates))


@pytest.mark.parametrize(("name", "what"), [("dqn", "epsilon"), ("ddpg", "noise")])
def test_exploration_may_fall_exponentially(name: str, what: str) -> None:
    options = {what: 0.8, f"{what}_final": 0.2, f"{what}_fraction": 0.5, f"{what}_schedule": "exponential"}
    learner = make(name, **options)
    for fraction, expected in ((0, 0.8), (0.25, 0.4), (0.5, 0.2), (1, 0.2)):
        learner.progress(fraction)
        assert learner.scalars()[what] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("options", "values", "key"),
    [
        (A2COptions, {"lr_schedule": "exponential", "lr_final": 0}, "lr_final"),
        (DQNOptions, {"epsilon_schedule": "exponential", "epsilon_final": 0}, "epsilon_final"),
        (DDPGOptions, {"noise_schedule": "exponential", "noise_final": 0}, "noise_final"),
    ],
)
def test_an_exponential_schedule_cannot_end_at_zero(options: Any, values: dict[str, Any], key: str) -> None:
    with pytest.raises(ValidationError, match=f"{key} must be above 0 for an exponential schedule"):
        options(**values)


@pytest.mark.parametrize("name", NAMES)
def test_resumes_exactly_with_every_option_on(name: str) -> None:
    options: dict[str, Any] = {"loss": "huber", "huber_delta": 0.5, "max_grad_norm": 0.3, "lr_schedule": "cosine"}
    options |= {"dqn": {"epsilon_schedule": "exponential"}, "ddpg": {"noise_schedule": "exponential"}}.get(name, {})
    first, second, plain = make(name, **options), make(name, seed=5, **options), feed(make(name), 60)
    feed(first, 33)
    second.load_state_dict(first.state_dict())
    for learner in (first, second):
        feed(learner, 27, start=33)
    assert first.scalars() == second.scalars() and first.updates == plain.updates > 5
    assert same(weights(first), weights(second)) and not same(weights(first), weights(plain))


def test_defaults_are_mean_squares_without_clipping() -> None:
    """A2C apart, whose norm of one half is that of its paper's code."""
    chosen = {name: BUILDERS[name].options() for name in NAMES}
    assert {o.loss for o in chosen.values()} == {"mse"} and {o.lr_schedule for o in chosen.values()} == {"linear"}
    assert [chosen[name].max_grad_norm for name in NAMES] == [None, None, 0.5]


@pytest.mark.parametrize("given", ["auto", "numpy", "device"])
def test_the_memory_that_older_configurations_name_is_read_and_says_nothing(given: str) -> None:
    assert DQNOptions.model_validate({"memory": given, "gamma": 0.9}) == DQNOptions(gamma=0.9)
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        DQNOptions.model_validate({"memory": f"{given}s"})


# ------------------------------------------------------------------------------------------------ what was left out


@pytest.mark.parametrize(
    "market, changes, lr",
    [
        ("monopoly", ("training.budget=3e6",), 0.001),
        ("monopoly", ("training.budget=1e6",), 0.003),
        ("monopoly", ("training.budget=1e5",), 0.003),
        ("duopoly", ("training.budget=3e6",), 0.002),
        ("monopoly", ("training.budget=3e6", "learners.a2c.lr=0.003"), 0.003),
        ("monopoly", ("training.budget=3e6", "learners.a2c={clip: null, repeat: 1, lr: 0.001}"), 0.001),
    ],
)
def test_a2c_steps_less_far_where_there_are_more_steps(market: str, changes: tuple[str, ...], lr: float) -> None:
    """.003 x 1,000,000 / the periods of a seller; a step size that is given stays as it is."""
    config = read_config(market, changes)
    options, _, _ = seat_options(config, 0, "a2c", "a2c")
    assert options.lr == pytest.approx(lr, rel=1e-12)
    others = [seat_options(config, 0, name, name)[0] for name in ("dqn", "ddpg")]
    assert [one.lr for one in others] == [DQNOptions().lr, DDPGOptions().lr]
