"""Quantile DQN: its loss by hand and against stock Tianshou, the distribution it learns, and what its tail prefers."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from market.errors import UserError
from market.metrics.risk import conditional_value_at_risk
from policies.config.learners import DQNOptions, Risk
from policies.learners.base import Learner
from policies.learners.dqn import LeanQRDQN, quantile_huber_loss
from policies.learners.registry import build_learner
from policies.networks.architecture import Architecture, build, tail_emphasis
from policies.networks.heads import QuantileNetwork
from tests.helpers.learner_runs import GRID, ROWS, SMALL, make, run, same, weights
from tests.helpers.probes import greedy
from tests.helpers.stock_memory import stock

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(("kappa", "loss"), [(1.0, 1.25), (0.5, 1.5), (0.0, 1.75)])
def test_the_loss_by_hand(kappa: float, loss: float) -> None:
    """Quantiles 0 and 1 at levels 1/4 and 3/4, targets -1 and 3: u is -1, 3 and -2, 2, weighted 3/4, 1/4 and 1/4, 3/4.

    kappa 1: (0.5 x 3/4 + 2.5 x 1/4) / 2 + (1.5 x 1/4 + 1.5 x 3/4) / 2; with kappa 1/2 sizes are |u| - 1/4, else |u|.
    """
    quantiles, targets = torch.tensor([[0.0, 1.0]]), torch.tensor([[-1.0, 3.0]])
    assert float(quantile_huber_loss(quantiles, targets, torch.tensor([0.25, 0.75]), kappa)) == pytest.approx(loss)


def test_the_loss_is_stock_tianshous_for_kappa_1() -> None:
    """The lines of ``QRDQN._update_with_batch``, on draws of everything."""
    draw = torch.Generator().manual_seed(0)
    quantiles, targets = (3 * torch.randn(5, n, generator=draw) for n in (8, 8))
    levels = (torch.arange(8) + 0.5) / 8
    current, target = quantiles.unsqueeze(2), targets.unsqueeze(1)
    distance = torch.nn.functional.smooth_l1_loss(target.expand(5, 8, 8), current.expand(5, 8, 8), reduction="none")
    weight = (levels.view(1, -1, 1) - (target - current).le(0.0).float()).abs()
    expected = (distance * weight).sum(-1).mean(1).mean()
    assert float(quantile_huber_loss(quantiles, targets, levels, 1.0)) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("n_step", [1, 3])
@pytest.mark.filterwarnings("ignore:Using a target size")  # stock Tianshou silences it when it is made
def test_trimmed_updates_give_stock_numbers(n_step: int) -> None:
    changes: dict[str, Any] = {
        "quantiles": 8,
        "kappa": 1.0,
        "n_step": n_step,
        "n_step_final": n_step,
        "center_rewards": False,
    }
    lean, other = make("dqn", **changes), stock(make("dqn", **changes))
    run(lean, "dqn", 60)
    run(other, "dqn", 60)
    assert other.updates == lean.updates > 10
    for a, b in zip(weights(lean), weights(other), strict=True):
        assert np.allclose(a, b, rtol=0, atol=1e-4)
    moved = zip(lean.network.parameters(), make("dqn", **changes).network.parameters(), strict=True)
    assert min(float((a - b).detach().abs().max()) for a, b in moved) > 1e-2


def test_learns_what_each_state_asks_for() -> None:
    learner = make("dqn", quantiles=8)
    run(learner, "dqn", 40)
    assert learner.updates > 10
    assert greedy(learner.network, np.eye(4, dtype=np.float32)).tolist() == list(range(4))


STATE = np.ones((ROWS, 1), np.float32)


def play_bandit(learner: Learner, reward: Any, periods: int) -> Learner:
    """One state, again and again; ``reward`` of actions (M,) and a generator."""
    rng = np.random.default_rng(3)
    for t in range(periods):
        learner.progress(t / periods)
        action = learner.act(STATE)
        learner.remember(STATE, action, reward(action, rng), STATE, np.ones(ROWS, bool))
        learner.learn()
    return learner


def test_quantiles_become_those_of_the_rewards() -> None:
    """Exponential rewards of mean 1: the quantile at level t is -log(1 - t). All four arms pay the same."""
    learner = make("dqn", 1, gamma=0.0, n_step=1, quantiles=8, kappa=0.0, center_rewards=False, lr=5e-3, lr_final=0.0)
    play_bandit(learner, lambda action, rng: rng.exponential(size=ROWS), 1200)
    network: Any = learner.network
    found = network.quantiles(torch.ones(1, 1))[0].mean(dim=0).detach().numpy()
    levels = (np.arange(8) + 0.5) / 8
    assert np.abs(found - -np.log(1 - levels)).max() < 0.1


def safe_or_risky(action: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Arms 0 and 1 pay 0.4, arms 2 and 3 pay 1 or, one time in five, -1: 0.6 in the mean, -1 in the worst fifth."""
    return np.where(action < 2, 0.4, np.where(rng.random(len(action)) < 0.2, -1.0, 1.0))


@pytest.mark.parametrize(("options", "risky"), [({"quantiles": 10}, True), ({"risk": Risk(cvar=0.2)}, False)])
def test_the_tail_prefers_the_safe_arm_and_the_mean_the_risky_one(options: dict[str, Any], risky: bool) -> None:
    learner = play_bandit(make("dqn", 1, gamma=0.0, n_step=1, lr_final=0.0, **options), safe_or_risky, 300)
    assert (greedy(learner.network, STATE[:1])[0] >= 2) == risky


@given(
    st.lists(st.integers(-100, 100), min_size=1, max_size=30), st.floats(0.05, 1.0), st.sampled_from([0.0, 0.5, 1.0])
)
def test_emphasis_makes_cvar_of_equally_likely_outcomes(outcomes: list[int], level: float, weight: float) -> None:
    ordered = np.sort(np.array(outcomes, np.float64))
    found = float(tail_emphasis(len(ordered), level, weight).double() @ torch.from_numpy(ordered))
    # with fewer outcomes than 1 / level, both are the worst of them
    wanted = weight * float(conditional_value_at_risk(ordered, level)) + (1 - weight) * ordered.mean()
    assert found == pytest.approx(wanted, abs=1e-3)


def test_emphasis_by_hand() -> None:
    assert tail_emphasis(4, 0.375, 1.0).tolist() == pytest.approx([2 / 3, 1 / 3, 0, 0])
    assert tail_emphasis(4, 0.25, 0.5).tolist() == pytest.approx([0.625, 0.125, 0.125, 0.125])


def test_it_resumes_bit_for_bit_and_sits_without_its_learner() -> None:
    changes = {"risk": Risk(cvar=0.25, weight=0.5), "quantiles": 8}
    first, second = make("dqn", **changes), make("dqn", seed=77, **changes)
    run(first, "dqn", 33, of=60)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second.load_state_dict(torch.load(file, weights_only=True))
    for learner in (first, second):
        run(learner, "dqn", 27, start=33, of=60)
    assert same(weights(first), weights(second)) and first.scalars() == second.scalars()
    plain = build(Architecture.model_validate_json(first.architecture.model_dump_json()))
    assert isinstance(plain, QuantileNetwork) and plain.architecture.quantiles == 8
    plain.load_state_dict(first.network.state_dict())
    obs = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    assert np.array_equal(greedy(plain, obs), first.act(obs, explore=False))
    assert torch.equal(plain.emphasis, tail_emphasis(8, 0.25, 0.5))


def test_the_policy_draws_as_the_learner_does() -> None:
    """Tianshou's Collector asks the policy, whose values weigh quantiles as the learner does."""
    from tianshou.data import Batch

    learner = make("dqn", risk=Risk(cvar=0.25))
    obs = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32)
    with torch.no_grad():
        act = learner.policy(Batch(obs=obs, info=Batch())).act
    assert np.array_equal(np.asarray(act), learner.act(obs, explore=False))


def test_the_next_action_is_chosen_by_the_tail() -> None:
    """Made so that the mean prefers action 0 and the tail action 1; double: by the online network alone."""
    learner = make("dqn", 1, quantiles=4, risk=Risk(cvar=0.25))
    algorithm: Any = learner.algorithm
    rows = torch.tensor([[0.0, 9.0, 9.0, 9.0], [1.0, 1.0, 1.0, 1.0], [-5.0] * 4, [-5.0] * 4])
    for network, shift in zip(algorithm._pair, (0.0, 0.5), strict=True):
        last = network.body.layers[-1]
        with torch.no_grad():
            last.weight.zero_()
            last.bias.copy_((rows + shift).flatten())
    assert algorithm._value(torch.ones(2, 1)).tolist() == [[1.5] * 4] * 2
    algorithm._pair[0].emphasis.fill_(0.25)
    assert algorithm._value(torch.ones(2, 1)).tolist() == [[0.5, 9.5, 9.5, 9.5]] * 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"quantiles": 1}, "greater than or equal to 2"),
        ({"risk": {"cvar": 0.01}}, "quantiles 32 are too few for the tail of risk.cvar 0.01"),
        ({"risk": {"cvar": 0.1}, "quantiles": 8}, "must be at least 1 / cvar"),
        ({"risk": {"cvar": 0}}, "greater than 0"),
        ({"risk": {"cvar": 0.1, "weight": 2}}, "less than or equal to 1"),
        ({"risk": {"weight": 0.5}}, "Field required"),
    ],
)
def test_options_that_make_no_sense_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DQNOptions(**values)


def test_a_network_of_too_many_outputs_is_refused_before_memory_is_taken() -> None:
    from policies.learners.build import _refuse_large_network

    _refuse_large_network((64, 64), 10_000 * 32, "learners.dqn")
    with pytest.raises(UserError, match=r"learners.dqn.hidden: .* with its 10,000,000 outputs \(actions x quantiles\)"):
        _refuse_large_network((64, 64), 10_000 * 1000, "learners.dqn")


def test_without_risk_and_quantiles_it_is_the_dqn_of_before() -> None:
    plain = build_learner("dqn", DQNOptions(**SMALL["dqn"]), observation=4, action_space=GRID, rows=ROWS)
    assert plain.architecture.kind == "q" and not isinstance(plain.algorithm, LeanQRDQN)
