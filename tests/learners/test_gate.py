"""Learners whose last decision is whether to order: what they draw, and what they learn of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from torch.distributions import Bernoulli, Normal

from policies.learners.base import Learner
from policies.learners.registry import BUILDERS, build_learner
from policies.networks.architecture import Architecture, build
from tests.helpers.learner_runs import ROWS

BOX = Box(-1.0, 1.0, (3,), np.float32)

pytestmark = pytest.mark.usefixtures("one_thread")


def make(name: str, **options: Any) -> Learner:
    small: dict[str, Any] = {"hidden": [32], "gamma": 0.0}
    small |= {} if name == "a2c" else {"warm_up": 256, "buffer": 20_000}
    given = BUILDERS[name].options.model_validate(small | options)
    return build_learner(name, given, observation=2, action_space=BOX, rows=ROWS, gate=True)


def test_densities_of_a_gated_actor_are_those_of_a_gaussian_and_a_coin() -> None:
    learner = make("a2c", initial_sd=0.3)
    network: Any = learner.network
    with torch.no_grad():
        network.body._run[-1].bias.copy_(torch.tensor([0.2, -0.4, 0.7]))
    obs = np.zeros((20_000, 2), np.float32)
    action = network.sample(obs, np.random.default_rng(0))
    assert set(action[:, 2].tolist()) == {1.0, -1.0}
    with torch.no_grad():
        output, drawn = network.body(torch.as_tensor(obs)), torch.as_tensor(action)
        log_p, entropy, _ = network.evaluate(torch.as_tensor(obs), drawn)
    normal, coin = Normal(output[:, :2], network.log_sd.exp().detach()), Bernoulli(logits=output[:, 2])
    wanted = normal.log_prob(drawn[:, :2]).sum(1) + coin.log_prob((drawn[:, 2] > 0).float())
    assert torch.allclose(log_p, wanted, atol=1e-5)
    assert float(entropy) == pytest.approx(float((normal.entropy().sum(1) + coin.entropy()).mean()), abs=1e-5)
    assert float(-log_p.mean()) == pytest.approx(float(entropy), abs=0.03)
    assert (action[:, 2] > 0).mean() == pytest.approx(float(output[0, 2].sigmoid()), abs=0.01)
    assert action[:, :2].std(axis=0) == pytest.approx([0.3, 0.3], abs=0.01)


def test_a_gaussian_gate_saved_before_is_rebuilt() -> None:
    """Sellers of versions in which the gate was a third Gaussian number keep their three deviations."""
    old = build(Architecture(kind="gaussian", observation=2, actions=3))
    new = build(Architecture(kind="gated_gaussian", observation=2, actions=3))
    assert old.state_dict()["log_sd"].shape == (3,) and new.state_dict()["log_sd"].shape == (2,)
    assert new.greedy(torch.zeros(5, 2)).shape == (5, 3)


def test_noise_turns_half_as_many_gates_as_it_draws() -> None:
    learner = make("ddpg", noise=0.4, noise_final=0.4)
    obs = np.random.default_rng(1).normal(size=(20_000, 2)).astype(np.float32)
    policy: Any = learner.policy
    plain = learner.act(obs, explore=False)
    noisy = policy.add_exploration_noise(plain, None)
    assert set(noisy[:, 2].tolist()) == {1.0, -1.0}
    assert (np.sign(noisy[:, 2]) != np.sign(plain[:, 2])).mean() == pytest.approx(0.2, abs=0.01)


def test_a_gate_is_worth_what_the_critic_gives_for_open_and_closed_by_its_probability() -> None:
    learner = make("ddpg")
    algorithm: Any = learner.algorithm
    obs, action = torch.randn(8, 2), torch.rand(8, 3) * 2 - 1
    ways = []
    for way in (1.0, -1.0):
        at = action.clone()
        at[:, 2] = way
        ways.append(algorithm.critic(obs, at).squeeze(1))
    share = (1 + action[:, 2]) / 2
    wanted = share * ways[0] + (1 - share) * ways[1]
    assert torch.allclose(algorithm._worth(obs, action), wanted, atol=1e-6)


@pytest.mark.parametrize("name", ["a2c", "ddpg"])
def test_learns_in_which_states_to_open(name: str) -> None:
    """State 1 pays 1 for an open gate, state 0 costs 1, and the first number is best at +.5 or -.5: greedily known."""
    learner = make(name)
    rng = np.random.default_rng(0)
    obs = np.eye(2, dtype=np.float32)[rng.integers(0, 2, ROWS)]
    for period in range(1500):
        learner.progress(period / 1500)
        action = learner.act(obs)
        sign = 2 * obs[:, 1] - 1
        reward = np.where(action[:, 2] > 0, sign, 0.0) - (action[:, 0] - 0.5 * sign) ** 2
        following = np.eye(2, dtype=np.float32)[rng.integers(0, 2, ROWS)]
        learner.remember(obs, action, reward, following, np.zeros(ROWS, bool))
        learner.learn()
        obs = following
    greedy = learner.act(np.eye(2, dtype=np.float32), explore=False)
    assert (greedy[:, 2] > 0).tolist() == [False, True]
    assert greedy[:, 0] == pytest.approx([-0.5, 0.5], abs=0.1)
