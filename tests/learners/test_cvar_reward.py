"""Risk-adjusted rewards: by hand, against CVaR itself, and what actor-critics make of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from market.metrics.risk import conditional_value_at_risk
from policies.config.learners import Risk
from policies.learners.rewards import CVaRReward, RewardBaseline, RunningQuantile
from tests.helpers.learner_runs import BOX, ROWS, SEATS, make, run, same, weights
from tests.helpers.probes import greedy

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_reward_by_hand() -> None:
    """v = 2, level 1/4: a reward of 1 falls short by 1 and counts 2 - 4 = -2; 3 counts 2. Half of that, half of itself."""
    averse = CVaRReward(Risk(cvar=0.25, weight=0.5), on=False)
    averse.quantile.value = 2.0
    assert averse.adjusted(np.array([1.0, 3.0])).tolist() == [-0.5, 2.5]
    assert averse.learned(torch.tensor([[1.0], [3.0]])).tolist() == [[-0.5], [2.5]]
    averse.mean = 1.0
    assert averse.learned(np.array([1.0, 3.0])).tolist() == [-1.5, 1.5]


@given(
    st.lists(st.integers(-50, 50), min_size=1, max_size=40),
    st.floats(0.05, 1.0),
    st.integers(0, 100).map(lambda percent: percent / 100),
    st.integers(-60, 60),
)
def test_the_mean_is_cvar_where_v_is_the_quantile_and_less_elsewhere(
    profits: list[int], level: float, weight: float, elsewhere: int
) -> None:
    outcomes = np.array(profits, np.float64)
    averse = CVaRReward(Risk(cvar=level, weight=weight), on=False)
    averse.quantile.value = float(np.quantile(outcomes, level, method="inverted_cdf"))
    cvar = float(conditional_value_at_risk(outcomes, level))
    best = weight * cvar + (1 - weight) * outcomes.mean()
    assert averse.adjusted(outcomes).mean() == pytest.approx(best, abs=1e-6)
    averse.quantile.value = float(elsewhere)
    assert averse.adjusted(outcomes).mean() <= best + 1e-6


DRAWS: dict[str, Any] = {
    "normal": lambda rng, rows: 5 + 2 * rng.standard_normal(rows),
    "money": lambda rng, rows: 1e4 * rng.exponential(size=rows),
    "rare loss": lambda rng, rows: np.where(rng.random(rows) < 0.02, -50.0, 1.0) + 0.1 * rng.standard_normal(rows),
}


@pytest.mark.parametrize("rows", [1, 256])
@pytest.mark.parametrize("level", [0.05, 0.25, 0.75])
@pytest.mark.parametrize("draw", DRAWS)
def test_the_running_quantile_finds_the_quantile(draw: str, level: float, rows: int) -> None:
    """The share of rewards below it is the level, also after all rewards have moved and been stretched."""
    rng, running = np.random.default_rng(0), RunningQuantile(level)
    periods = 40_000 if rows == 1 else 3_000
    for stretch in (1.0, 3.0):
        for _ in range(periods):
            running.see(stretch * (DRAWS[draw](rng, rows) + 1))
        below = (stretch * (DRAWS[draw](rng, 100_000) + 1) < running.value).mean()
        assert below == pytest.approx(level, abs=0.03 if rows == 256 else 0.06)


RISK = Risk(cvar=0.2, weight=0.9)
ACTOR_CRITICS = [seat for seat in SEATS if not seat.startswith("dqn")]


@pytest.mark.parametrize("seat", ACTOR_CRITICS)
def test_it_resumes_bit_for_bit(seat: str) -> None:
    first, second = make(seat, risk=RISK), make(seat, seed=77, risk=RISK)
    run(first, seat, 33, of=60)
    second.load_state_dict(first.state_dict())
    for learner in (first, second):
        run(learner, seat, 27, start=33, of=60)
    assert same(weights(first), weights(second)) and first.scalars() == second.scalars()
    assert isinstance(first.baseline, CVaRReward) and first.baseline.quantile.periods == 60
    assert not same(weights(first), weights(_neutral(seat)))


def _neutral(seat: str) -> Any:
    learner = make(seat)
    assert type(learner.baseline) is RewardBaseline
    run(learner, seat, 60)
    return learner


STATE = np.ones((ROWS, 1), np.float32)


@pytest.mark.parametrize("risk", [None, Risk(cvar=0.2)])
@pytest.mark.parametrize("seat", ACTOR_CRITICS)
def test_the_tail_prefers_what_is_safe_and_the_mean_what_is_risky(seat: str, risk: Risk | None) -> None:
    """A stake x from 0 to 1 wins x, or one time in five loses x: 0.6 x in the mean, -x in the worst fifth."""
    learner, rng = make(seat, 1, gamma=0.0, risk=risk), np.random.default_rng(3)
    for t in range(500):
        learner.progress(t / 500)
        action = learner.act(STATE)
        won = np.where(rng.random(ROWS) < 0.2, -1.0, 1.0)
        learner.remember(STATE, action, stake(seat, action) * won, STATE, np.ones(ROWS, bool))
        learner.learn()
    staked = stake(seat, greedy(learner.network, STATE[:1]))[0]
    assert staked > 0.9 if risk is None else staked < 0.1


def stake(seat: str, action: np.ndarray) -> np.ndarray:
    return np.asarray((action[:, 0].clip(-1, 1) + 1) / 2 if SEATS[seat] is BOX else action / 3)
