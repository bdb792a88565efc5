"""Learners on probe environments with a known optimum; determinism, resuming, schedules, and stock Tianshou's numbers."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tianshou.utils.torch_utils import policy_within_training_step

from policies.config.learners import A2COptions, DDPGOptions, DQNOptions
from policies.learners.base import Learner
from policies.learners.ddpg import LeanDDPG
from policies.learners.dqn import LeanDQN
from policies.learners.registry import BUILDERS, build_learner
from policies.networks.architecture import Architecture, build
from tests.helpers.learner_runs import (
    BOX,
    GRID,
    ROWS,
    SEATS,
    SMALL,
    contexts,
    make,
    reward_of,
    run,
    same,
    weights,
)
from tests.helpers.probes import greedy
from tests.helpers.stock_memory import stock, stock_policy

pytestmark = pytest.mark.usefixtures("one_thread")

Reward = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


# ---------------------------------------------------------------------------------------------------- what they learn


@pytest.mark.parametrize(("seat", "periods"), [("dqn", 400), ("a2c-grid", 800), ("a2c-box", 800), ("ddpg", 600)])
def test_learns_what_each_state_asks_for(seat: str, periods: int) -> None:
    learner = make(seat, gamma=0.9)
    run(learner, seat, periods)
    states = np.eye(4, dtype=np.float32)
    assert reward_of(seat)(states, greedy(learner.network, states)).min() > 0.97


@pytest.mark.parametrize("seat", list(SEATS))
def test_an_untrained_learner_knows_nothing(seat: str) -> None:
    states = np.eye(4, dtype=np.float32)
    assert reward_of(seat)(states, greedy(make(seat).network, states)).min() < 0.9


def play_patience(seat: str, gamma: float) -> Learner:
    """State 0: one side of the action space pays 0.5 now, the other 1 in the next period (state 1), where nothing else
    does; then state 0 again. Waiting pays when ``gamma`` exceeds one half."""
    changes: dict[str, Any] = {"gamma": gamma, "center_rewards": False}
    learner = make(seat, features=3, **changes)
    state = np.zeros(ROWS, int)
    eye = np.eye(3, dtype=np.float32)
    for t in range(400):
        learner.progress(t / 400)
        action = learner.act(eye[state])
        patient = action >= 2 if SEATS[seat] is GRID else action[:, 0] > 0
        reward = np.where(state == 0, np.where(patient, 0.0, 0.5), np.where(state == 1, 1.0, 0.0))
        following = np.where(state == 0, np.where(patient, 1, 2), 0)
        learner.remember(eye[state], action, reward, eye[following], np.zeros(ROWS, bool))
        learner.learn()
        state = following
    return learner


@pytest.mark.parametrize("seat", list(SEATS))
@pytest.mark.parametrize(("gamma", "waits"), [(0.2, False), (0.9, True)])
def test_waits_only_when_the_future_counts(seat: str, gamma: float, waits: bool) -> None:
    learner = play_patience(seat, gamma)
    action = greedy(learner.network, np.eye(3, dtype=np.float32)[:1])
    assert (action[0] >= 2 if SEATS[seat] is GRID else action[0, 0] > 0) == waits


@torch.no_grad()
def value_of(learner: Learner) -> float:
    obs = torch.ones((1, 4))
    if isinstance(learner.algorithm, LeanDQN):
        return float(learner.algorithm.policy.model(obs)[0].max())
    if isinstance(learner.algorithm, LeanDDPG):
        return float(learner.algorithm.critic(obs, learner.algorithm.policy.actor(obs)[0]))
    return float(learner.algorithm.critic(obs))


@pytest.mark.parametrize("seat", list(SEATS))
@pytest.mark.parametrize(("centered", "value"), [(False, 4.0), (True, 0.0)])
def test_values_bootstrap_across_the_horizon(seat: str, centered: bool, value: float) -> None:
    """1 a period for ever at gamma 0.75 is worth 4, though episodes are cut every other period; 0 when centered."""
    tuned: dict[str, Any] = {"dqn": {"target_update": 5}, "ddpg": {"tau": 0.2, "critic_lr": 5e-3}}.get(seat, {})
    learner = make(seat, gamma=0.75, center_rewards=centered, **{"lr": 5e-3} | tuned)
    obs = np.ones((ROWS, 4), np.float32)
    for t in range(400):
        learner.remember(obs, learner.act(obs), np.ones(ROWS), obs, np.full(ROWS, t % 2 == 1))
        learner.learn()
    assert value_of(learner) == pytest.approx(value, abs=0.15)


def test_a2c_learns_from_segments_smaller_than_its_usual_batch() -> None:
    options = BUILDERS["a2c"].options()
    learner = build_learner("a2c", options, observation=4, action_space=BOX, rows=1)
    obs = np.ones((1, 4), np.float32)
    for _ in range(options.segment):
        learner.remember(obs, learner.act(obs), np.ones(1), obs, np.zeros(1, np.bool_))
        learner.learn()
    assert learner.updates == 1


@pytest.mark.parametrize("seat", ["a2c-grid", "a2c-box"])
def test_a_minibatch_of_one_is_learned_from_too(seat: str) -> None:
    """Its standard deviation is 0, or not defined: advantages are scaled before they are cut up."""
    learner = make(seat, batch_size=SMALL["a2c"]["segment"] * ROWS - 1, normalize_advantages=True)
    before = weights(learner)
    run(learner, seat, 10)
    assert learner.updates == 2 and not same(before, weights(learner))
    assert all(np.isfinite(array).all() for array in weights(learner))


# ------------------------------------------------------------------------------------------ determinism and resuming


@pytest.mark.parametrize("seat", list(SEATS))
def test_same_seed_same_weights(seat: str) -> None:
    learners = [make(seat, seed=seed) for seed in (3, 3, 4)]
    for k, learner in enumerate(learners):
        torch.manual_seed(k)
        np.random.seed(k)
        run(learner, seat, 40)
    assert same(weights(learners[0]), weights(learners[1]))
    assert not same(weights(learners[0]), weights(learners[2]))


def test_leaves_global_generators_alone() -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    for seat in SEATS:
        run(make(seat), seat, 20)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])


@pytest.mark.parametrize("seat", list(SEATS))
def test_resumes_bit_for_bit_from_a_file_without_pickle(seat: str) -> None:
    first, second = make(seat), make(seat, seed=77)
    run(first, seat, 33, of=60)  # within a segment of A2C
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second.load_state_dict(torch.load(file, weights_only=True))
    assert same(weights(first), weights(second))
    for learner in (first, second):
        run(learner, seat, 27, start=33, of=60)
    assert same(weights(first), weights(second))
    assert first.scalars() == second.scalars()


def test_state_is_a_snapshot_and_may_be_loaded_twice() -> None:
    learner = make("dqn")
    run(learner, "dqn", 30)
    state = learner.state_dict()
    at_save = weights(learner)
    for _ in range(2):
        run(learner, "dqn", 10, start=30)
        assert not same(weights(learner), at_save)
        learner.load_state_dict(state)
        assert same(weights(learner), at_save)


@pytest.mark.parametrize("seat", list(SEATS))
def test_a_saved_seller_is_weights_and_architecture(seat: str) -> None:
    learner = make(seat)
    run(learner, seat, 20)
    plain = build(Architecture.model_validate_json(learner.architecture.model_dump_json()))
    plain.load_state_dict(learner.network.state_dict())
    obs = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    action = greedy(plain, obs)
    assert np.array_equal(action, learner.act(obs, explore=False))
    if SEATS[seat] is GRID:
        assert action.dtype == np.int64 and action.shape == (9,) and action.max() < 4
    else:
        assert action.dtype == np.float32 and action.shape == (9, 2) and np.abs(action).max() <= 1


# ------------------------------------------------------------------------------------------------ stock Tianshou's numbers


@pytest.mark.parametrize("n_step", [1, 3])
@pytest.mark.parametrize("seat", list(SEATS))
def test_trimmed_updates_give_stock_numbers(seat: str, n_step: int) -> None:
    changes: dict[str, Any] = {"center_rewards": False, "report_every": 1}
    changes |= {} if seat.startswith("dqn") else {"saturation": 0.0}
    if seat.startswith("a2c"):  # one minibatch, since stock Tianshou shuffles by numpy's global generator
        changes |= {"normalize_advantages": False, "batch_size": None}
        changes |= {"clip": None, "repeat": 1} if n_step == 1 else {}  # as published; else beside Tianshou's PPO
    else:
        changes |= {"n_step": n_step} | ({"n_step_final": n_step} if seat == "dqn" else {})
    lean, other = make(seat, **changes), stock(make(seat, **changes))
    run(lean, seat, 60)
    run(other, seat, 60)
    assert other.updates == lean.updates > 10
    for a, b in zip(weights(lean), weights(other), strict=True):
        assert np.allclose(a, b, rtol=0, atol=1e-4)
    moved = zip(lean.network.parameters(), make(seat, **changes).network.parameters(), strict=True)
    assert min(float((a - b).detach().abs().max()) for a, b in moved) > 1e-2


def test_updating_outside_a_training_step_is_refused() -> None:
    learner = make("dqn")
    run(learner, "dqn", 10)
    with pytest.raises(RuntimeError, match="within policy_within_training_step"):
        learner.algorithm.update(learner.memory, sample_size=8)


def test_the_policy_draws_as_the_learner_does() -> None:
    """Tianshou's Collector asks the policy; the numbers are those of ``act``."""
    from tianshou.data import Batch

    obs = contexts(np.random.default_rng(1))
    for seat in SEATS:
        ours, theirs = make(seat), stock_policy(make(seat))
        with torch.no_grad(), policy_within_training_step(theirs):
            act = theirs(Batch(obs=obs, info=Batch())).act
            act = theirs.add_exploration_noise(np.asarray(act), None)
        assert np.array_equal(ours.act(obs), act), seat


# --------------------------------------------------------------------------------------------- schedules and reports


def test_schedules_reach_their_ends_and_stay() -> None:
    dqn = make("dqn", lr=1e-3, lr_final=0.25, epsilon=0.8, epsilon_final=0.1, epsilon_fraction=0.5)
    ddpg = make("ddpg", critic_lr=4e-3, lr=2e-3, lr_final=0.5, noise=0.6, noise_final=0.2, noise_fraction=0.25)
    a2c = make("a2c-box", entropy=0.02, entropy_final=0.01)
    expected = [(0, 1e-3, 0.8, 0.6, 0.02), (0.25, 0.8125e-3, 0.45, 0.2, 0.0175), (0.5, 0.625e-3, 0.1, 0.2, 0.015)]
    expected += [(1, 0.25e-3, 0.1, 0.2, 0.01), (3, 0.25e-3, 0.1, 0.2, 0.01)]
    for fraction, lr, epsilon, noise, entropy in expected:
        for learner in (dqn, ddpg, a2c):
            learner.progress(fraction)
        assert dqn.scalars()["learning_rate"] == pytest.approx(lr)
        assert dqn.scalars()["epsilon"] == pytest.approx(epsilon)
        assert ddpg.scalars()["noise"] == pytest.approx(noise)
        assert a2c.scalars()["entropy_weight"] == pytest.approx(entropy)
    rates = [group["lr"] for o in ddpg.algorithm._optimizers for group in o._optim.param_groups]
    assert sorted(rates) == pytest.approx([1e-3, 2e-3])


def test_returns_are_longer_while_it_explores() -> None:
    """Of rewards 1, 2, 4 with gamma .5 and values of 0 after them: 1 + 1 + 1, and 1 alone from half of the run on."""
    dqn = make("dqn", n_step=3, n_step_final=1, gamma=0.5, epsilon_fraction=0.5, center_rewards=False)
    obs, nothing = np.zeros((ROWS, 4), np.float32), np.zeros(ROWS, bool)
    for reward in (1.0, 2.0, 4.0):
        dqn.remember(obs, np.zeros(ROWS, np.int64), np.full(ROWS, reward), obs, nothing)
    with torch.no_grad():
        for parameter in dqn.algorithm.model_old.parameters():
            parameter.zero_()
    found = {}
    for fraction in (0.0, 0.49, 0.5, 1.0):
        dqn.progress(fraction)
        found[fraction] = round(float(dqn.algorithm.drawn(dqn.memory, 2_000).returns.min()), 6)
    assert found == {0.0: 3.0, 0.49: 3.0, 0.5: 1.0, 1.0: 1.0}


@pytest.mark.parametrize(("ratio", "expected"), [(0.5, 6), (1.0, 12), (2.0, 25)])
def test_replay_ratio_sets_the_number_of_updates(ratio: float, expected: int) -> None:
    learner = make("dqn", warm_up=320, batch_size=128, replay_ratio=ratio, report_every=1)
    reports = 0
    for t in range(30):
        obs = contexts(np.random.default_rng(t))
        learner.remember(obs, learner.act(obs), np.ones(ROWS), obs, np.zeros(ROWS, bool))
        report = learner.learn()
        reports += report is not None
        assert t >= 5 or report is None  # 320 transitions are five periods
    assert learner.updates == expected == int((30 * ROWS - 320) * ratio / 128)
    assert reports == min(expected, 25)
    assert {"loss", "mean_q", "epsilon", "learning_rate"} <= set(learner.scalars())


def test_reports_come_every_few_updates() -> None:
    learner = make("a2c-box", report_every=3)
    obs = contexts(np.random.default_rng(0))
    told = []
    for t in range(30):
        learner.remember(obs, learner.act(obs), np.ones(ROWS), obs, np.zeros(ROWS, bool))
        if report := learner.learn():
            assert {"actor_loss", "critic_loss", "entropy", "learning_rate"} <= set(report)
            told.append(t)
    assert told == [14, 29]
    assert len(learner.memory) == 0


def test_epsilon_is_the_share_of_random_actions() -> None:
    learner = make("dqn", epsilon=0.4, epsilon_final=0.4)
    obs = np.repeat(contexts(np.random.default_rng(0)), 100, axis=0)
    changed = (learner.act(obs) != learner.act(obs, explore=False)).mean()
    assert changed == pytest.approx(0.4 * 3 / 4, abs=0.03)


def test_noise_has_its_standard_deviation_and_stays_in_the_box() -> None:
    learner = make("ddpg", noise=0.1, noise_final=0.1)
    obs = np.repeat(contexts(np.random.default_rng(0)), 100, axis=0)
    assert (learner.act(obs) - learner.act(obs, explore=False)).std() == pytest.approx(0.1, abs=0.005)
    assert np.abs(make("ddpg", noise=3, noise_final=3).act(obs)).max() == 1


@pytest.mark.parametrize("seat", ["a2c-box", "a2c-grid"])
def test_a2c_draws_from_the_distribution_it_evaluates(seat: str) -> None:
    learner = make(seat, initial_sd=0.3)
    obs = np.repeat(np.eye(4, dtype=np.float32)[:1], 20_000, axis=0)
    action = learner.act(obs)
    with torch.no_grad():
        log_p, entropy, _ = learner.network.evaluate(torch.as_tensor(obs), torch.as_tensor(action))  # type: ignore[operator]
        stock = stock_policy(learner).dist_fn(learner.network(obs)[0])
        assert torch.allclose(log_p, stock.log_prob(torch.as_tensor(action)), atol=1e-5)
        assert float(entropy) == pytest.approx(float(stock.entropy().mean()), abs=1e-5)
    assert float(-log_p.mean()) == pytest.approx(float(entropy), abs=0.03)
    if seat == "a2c-box":
        assert action.std(axis=0) == pytest.approx([0.3, 0.3], abs=0.01)


# ------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("options", "values", "message"),
    [
        (DQNOptions, {"buffer": 500, "batch_size": 100, "warm_up": 501}, "updates would never begin"),
        (DQNOptions, {"buffer": 100, "batch_size": 101, "warm_up": 0}, "batch_size 101 must not exceed buffer 100"),
        (DQNOptions, {"epsilon": 0.1, "epsilon_final": 0.2}, "epsilon_final 0.2 must not exceed epsilon 0.1"),
        (DQNOptions, {"gamma": 1.0}, "less than 1"),
        (DQNOptions, {"replay_ratio": 0}, "greater than 0"),
        (DQNOptions, {"tau": 0.1}, "Extra inputs are not permitted"),
        (DDPGOptions, {"noise": 0.1, "noise_final": 0.2}, "noise_final 0.2 must not exceed noise 0.1"),
        (DDPGOptions, {"lr": float("nan")}, "finite number"),
        (A2COptions, {"entropy": 0.1, "entropy_final": 0.2}, "entropy_final 0.2 must not exceed entropy 0.1"),
        (A2COptions, {"hidden": (0,)}, "greater than 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        options(**values)


@pytest.mark.parametrize(
    ("seat", "space", "changes", "message"),
    [
        ("dqn", BOX, {}, "dqn needs a grid of actions"),
        ("ddpg", GRID, {}, "ddpg needs a box of actions"),
        ("a2c", BOX, {"batch_size": 321}, "batch_size 321 must not exceed a segment: 5 periods x 64 rows"),
        (
            "dqn",
            GRID,
            {"buffer": 640, "warm_up": 0, "n_step": 10},
            "keeps 10 periods of 64 rows: must be more than n_step",
        ),
    ],
)
def test_learners_that_do_not_fit_are_refused(seat: str, space: Any, changes: dict[str, Any], message: str) -> None:
    options = BUILDERS[seat].options(**SMALL[seat] | changes)
    with pytest.raises(ValueError, match=message):
        build_learner(seat, options, observation=4, action_space=space, rows=ROWS)


def test_unknown_networks_are_refused() -> None:
    with pytest.raises(ValidationError, match="unknown network 'lstm'"):
        Architecture(kind="lstm", observation=3, actions=2)


def test_every_option_is_documented() -> None:
    for builder in BUILDERS.values():
        assert all(field.description for field in builder.options.model_fields.values())


def test_nan_is_refused_when_it_comes_in() -> None:
    learner = make("dqn")
    obs = contexts(np.random.default_rng(0))
    reward = np.ones(ROWS)
    reward[7] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity in rew of row 7"):
        learner.remember(obs, learner.act(obs), reward, obs, np.zeros(ROWS, bool))


def test_means_out_of_range_come_back_by_the_penalty_alone() -> None:
    """Rewards do not depend on actions here; means of 1.5 and -0.5 are a mean square of 1/8 out of range."""
    ends = {}
    for weight in (0.0, 1.0):
        learner = make("a2c-box", saturation=weight, entropy=0.0)
        last = learner.network.body._run[-1]  # type: ignore[union-attr, operator, index]
        with torch.no_grad():
            last.weight.zero_()
            last.bias.copy_(torch.tensor([1.5, -0.5][: len(last.bias)]))
        obs = torch.as_tensor(contexts(np.random.default_rng(0)))
        _, _, outside = learner.network.evaluate(obs, learner.network(obs)[0][0])  # type: ignore[operator]
        assert outside.item() == pytest.approx(0.25 / len(last.bias))
        for t in range(60):
            learner.progress(t / 60)
            seen = contexts(np.random.default_rng(t))
            action = learner.act(seen)
            learner.remember(seen, action, np.zeros(ROWS), seen, np.zeros(ROWS, bool))
            learner.learn()
        ends[weight] = learner.network(obs)[0][0][:, 0].max().item()
    assert ends[1.0] < 1.2 < ends[0.0]


def test_a2c_orders_whole_units_whose_mean_is_what_it_wants() -> None:
    learner = make("a2c-box")
    wanted = np.array([0.0, 0.3, 2.0, 7.75])
    drawn = np.stack([learner.in_units(wanted) for _ in range(4_000)])
    assert ((drawn == np.floor(wanted)) | (drawn == np.ceil(wanted))).all()
    assert drawn.mean(axis=0) == pytest.approx(wanted, abs=5 * 0.5 / 4_000**0.5)
