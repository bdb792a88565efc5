"""Running moments of observations and of returns against numpy's own over all that was seen; what they do to learning."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from policies.learners.base import Learner
from policies.learners.rewards import ReturnScale
from policies.networks.architecture import Architecture, build
from policies.networks.normalizer import CLIP, Moments, Normalizer
from policies.sellers.checkpoint import finite, load_seller
from policies.training.run import TrainingRun
from tests.helpers.learning import monopoly
from tests.helpers.probes import feed, greedy, make, next_batch, same, transitions, weights

NAMES = ["dqn", "ddpg", "a2c"]
BOTH: dict[str, Any] = {"normalize_observations": True, "normalize_returns": True}


def seen(periods: int) -> np.ndarray:
    """Every observation of so many periods, (all rows, F)."""
    return np.concatenate([transitions(t)["obs"] for t in range(periods)]).astype(np.float64)


# ----------------------------------------------------------------------------------------------------- observations


def test_moments_are_those_of_all_rows_at_once() -> None:
    rng = np.random.default_rng(0)
    parts = [rng.normal([1e6, -3, 0], [1, 100, 1e-4], (n, 3)) for n in (1, 7, 256, 2)]
    moments = Moments(3, torch.device("cpu"))
    for part in parts:
        moments.see(torch.from_numpy(part))
    everything = np.concatenate(parts)
    assert moments.count == 266
    assert moments.mean.numpy() == pytest.approx(everything.mean(0), rel=1e-12)
    assert moments.variance.numpy() == pytest.approx(everything.var(0), rel=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_all_networks_of_a_learner_hold_the_moments_of_what_it_remembers(name: str) -> None:
    learner = feed(make(name, normalize_observations=True), 40)
    mean, var = seen(40).mean(0), seen(40).var(0)
    holders = [m for m in learner.algorithm.modules() if isinstance(m, Normalizer)]
    assert holders and len({id(m) for m in holders}) == 1 and learner.network.normalizer is holders[0]
    assert {"mean", "variance"} == holders[0].state_dict().keys()
    assert holders[0].mean.numpy() == pytest.approx(mean, rel=1e-6, abs=1e-6)
    assert holders[0].variance.numpy() == pytest.approx(var, rel=1e-5)
    assert finite(learner.network.state_dict())


@pytest.mark.parametrize("name", NAMES)
def test_the_network_sees_what_numpy_would_have_scaled(name: str) -> None:
    learner, plain = feed(make(name, normalize_observations=True), 40), make(name)
    plain.network.load_state_dict({k: v for k, v in learner.network.state_dict().items() if "normalizer" not in k})
    raw = transitions(99)["obs"]
    raw[0] = 1e9
    scaled = np.clip((raw - seen(40).mean(0)) / seen(40).std(0), -CLIP, CLIP).astype(np.float32)
    with torch.no_grad():
        ours = learner.network.body(torch.from_numpy(raw))
        assert torch.allclose(ours, plain.network.body(torch.from_numpy(scaled)), atol=2e-3)
        assert not torch.allclose(ours, plain.network.body(torch.from_numpy(raw)), atol=0.05)


def test_the_critic_of_actions_scales_observations_only() -> None:
    learner, plain = feed(make("ddpg", normalize_observations=True), 40), make("ddpg")
    critics = [one.algorithm.critic for one in (learner, plain)]
    critics[1].load_state_dict({k: v for k, v in critics[0].state_dict().items() if "normalizer" not in k})
    raw, action = transitions(99)["obs"], np.full((16, 2), 0.5, np.float32)
    scaled = ((raw - seen(40).mean(0)) / seen(40).std(0)).astype(np.float32)
    with torch.no_grad():
        assert torch.allclose(critics[0](raw, action), critics[1](scaled, action), atol=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_only_remembering_moves_the_moments(name: str) -> None:
    learner = feed(make(name, normalize_observations=True), 40)
    plain = build(Architecture.model_validate_json(learner.architecture.model_dump_json()))
    plain.load_state_dict(learner.network.state_dict())
    before = {k: v.clone() for k, v in plain.state_dict().items()}
    for t in range(50, 60):
        obs = transitions(t)["obs"]
        assert np.array_equal(greedy(plain, obs), learner.act(obs, explore=False))
        learner.act(obs)
        learner.learn()
    normalizer = learner.network.normalizer
    assert normalizer is not None and torch.equal(normalizer.mean, before["body.normalizer.mean"])
    assert all(torch.equal(v, before[k]) for k, v in plain.state_dict().items())


def test_a_saved_seller_carries_its_scale(tmp_path: Path) -> None:
    config = monopoly("dqn", 10**5)
    config = config.model_copy(update={"learners": {"dqn": {"normalize_observations": True, "warm_up": 0}}})
    training = TrainingRun(config, 0, "cpu")
    for _ in range(30):
        training.play.play_period()
    (tmp_path / "checkpoints").mkdir()
    training.keep(tmp_path, {})
    saved = load_seller(next((tmp_path / "checkpoints").glob("*.latest.pt")))
    assert saved.architecture.normalize
    seller, learner = saved.sit(config.market), training.play.learners[0]
    memory: Any = learner.memory
    obs = memory.take(memory.sample_indices(0)).seen("obs").numpy()
    mean, var = (saved.weights[f"body.normalizer.{k}"].numpy() for k in ("mean", "variance"))
    assert mean == pytest.approx(obs.mean(0, np.float64), abs=1e-5)
    assert var == pytest.approx(obs.var(0, np.float64), rel=1e-4, abs=1e-9)
    assert np.array_equal(greedy(seller.network, obs), learner.act(obs, explore=False))


# ---------------------------------------------------------------------------------------------------------- returns


def test_the_scale_is_the_standard_deviation_of_discounted_sums() -> None:
    rng, gamma, sums = np.random.default_rng(1), 0.9, []
    scale, running = ReturnScale(4, gamma), [0.0] * 4
    for _ in range(50):
        reward, ended = rng.normal(2, 3, 4), rng.random(4) < 0.2
        scale.see(reward, ended)
        for row in range(4):
            running[row] = running[row] * gamma + reward[row]
            sums.append(running[row])
            running[row] = 0.0 if ended[row] else running[row]
    assert scale.sd == pytest.approx(np.std(sums), rel=1e-7)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_updates_learn_from_rewards_so_divided(name: str, center: bool) -> None:
    """Beside a learner without, whose rewards are divided by hand in its memory."""
    options: dict[str, Any] = {"center_rewards": center, "lr": 1e-2}
    options |= {"gae_lambda": 0.9} if name == "a2c" else {"n_step": 3}
    ours = feed(make(name, normalize_returns=True, **options), 5, learn=False)
    plain = feed(make(name, **options), 5, learn=False)
    sd = ours.baseline.scale.sd  # type: ignore[union-attr]
    assert ours.scalars()["return_sd"] == sd > 1.2
    plain_memory: Any = plain.memory
    rewards = plain_memory.places["rew"].of(plain_memory._records)
    rewards.copy_((rewards - plain.baseline.mean) / sd)
    plain.baseline.mean = 0.0
    one, other = next_batch(ours), next_batch(plain)
    assert torch.allclose(one.returns, other.returns, rtol=1e-6)
    assert name != "a2c" or torch.allclose(one.adv, other.adv, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_unit_of_money_does_not_matter_to_normalized_returns(name: str) -> None:
    cents, euros = (feed(make(name, normalize_returns=True), 60, scale=scale) for scale in (1024.0, 1.0))
    assert cents.updates == euros.updates > 5
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(weights(cents), weights(euros), strict=True))
    plain = [feed(make(name), 60, scale=scale) for scale in (1024.0, 1.0)]
    assert not all(torch.allclose(a, b, atol=1e-3) for a, b in zip(*map(weights, plain), strict=True))


# ------------------------------------------------------------------------------------------------- both, and resuming


@pytest.mark.parametrize("name", NAMES)
def test_resumes_bit_for_bit(name: str) -> None:
    first, second = make(name, **BOTH), make(name, seed=9, **BOTH)
    feed(first, 33)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second.load_state_dict(torch.load(file, weights_only=True))
    for learner in (first, second):
        feed(learner, 27, start=33)
    assert same(weights(first), weights(second)) and first.scalars() == second.scalars()
    a, b = (learner.network.state_dict() for learner in (first, second))
    assert all(torch.equal(a[k], b[k]) for k in a)


def shown(periods: int, learner: Learner) -> float:
    """Mean reward at the end of learning which of four states it is in, shown on a scale that hides it."""
    rng, eye = np.random.default_rng(3), np.eye(4)
    for t in range(periods):
        state = rng.integers(0, 4, learner.rows)
        obs = (1e-3 * eye[state][:, :3] + 5).astype(np.float32)
        action = learner.act(obs)
        learner.progress(t / periods)
        learner.remember(obs, action, 1.0 * (action == state), obs, np.zeros(learner.rows, bool))
        learner.learn()
    states = (1e-3 * eye[:, :3] + 5).astype(np.float32)
    return float((learner.act(states, explore=False) == np.arange(4)).mean())


def test_normalized_observations_show_what_a_scale_hides() -> None:
    options: dict[str, Any] = {"gamma": 0.0, "hidden": (32,), "lr": 3e-3, "replay_ratio": 2.0, "rows": 32}
    assert shown(300, make("dqn", normalize_observations=True, **options)) == 1.0
    assert shown(300, make("dqn", **options)) < 1.0
