"""What learners are rewarded for: by hand, by identities, through the loop, and in what it makes of prices."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from market.demand.equilibrium import monopoly_prices, nash_prices
from market.demand.logit import Logit
from market.errors import UserError
from market.metrics.risk import conditional_value_at_risk
from market.spec.models import MarketSpec
from policies.config.learners import DQNOptions, Mixture, Risk
from policies.config.run import parse_run
from policies.evaluation.selection import minus_best_rival, mixed, objective, standing
from policies.learners.build import after_profit, make_learner
from policies.learners.rewards import Tally
from policies.training.run import TrainingRun
from tests.helpers.markets import a_market

PERIOD = np.array([[5.0, 3.0, 8.0], [-2.0, 0.0, -1.0]])  # two rows, three sellers
MONEY = arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(2, 5)), elements=st.integers(-1000, 1000))


def test_a_period_by_hand() -> None:
    """Rows (5, 3, 8) and (-2, 0, -1): totals 16 and -3, best rivals of the first seat 8 and 0."""
    assert minus_best_rival(PERIOD, 0).tolist() == [-3, -2]
    assert minus_best_rival(PERIOD, 1).tolist() == [-5, 1]
    assert minus_best_rival(PERIOD, 2).tolist() == [3, -1]
    assert mixed(PERIOD, 0, 0.25).tolist() == [0.25 * 5 + 0.75 * 16, 0.25 * -2 + 0.75 * -3]
    assert objective(PERIOD, 2, "own").tolist() == [8, -1]
    assert objective(PERIOD, 2, Mixture(own=0)).tolist() == [16, -3]


@given(MONEY, st.sampled_from([0.0, 0.25, 0.5, 1.0]))
def test_a_mixture_goes_from_own_profit_to_the_total(profit: Any, own: float) -> None:
    seats = range(profit.shape[1])
    wanted = np.stack([mixed(profit, seat, own) for seat in seats], axis=1)
    assert np.allclose(mixed(profit, 0, 1.0), profit[:, 0]) and np.allclose(mixed(profit, 0, 0.0), profit.sum(1))
    assert np.allclose(wanted.sum(1), profit.sum(1) * (own + (1 - own) * len(seats)))


@given(MONEY, st.integers(-50, 50))
def test_only_the_best_of_a_period_is_ahead_of_its_best_rival(profit: Any, shift: int) -> None:
    ahead = np.stack([minus_best_rival(profit, seat) for seat in range(profit.shape[1])], axis=1)
    best = profit.max(axis=1, keepdims=True)
    assert ((ahead >= 0) == (profit == best)).all()
    assert np.array_equal(ahead, np.stack([minus_best_rival(profit + shift, s) for s in range(profit.shape[1])], 1))
    if profit.shape[1] == 2:
        assert not ahead.sum(axis=1).any()


@pytest.mark.parametrize("reward", ["best", 0.5, {"own": 1.5}, {"own": -0.1}, {"rivals": 1}, {"own": "x"}])
def test_rewards_that_are_none_are_refused_in_one_line(reward: Any) -> None:
    with pytest.raises(UserError) as refused:
        training({"reward": reward})
    assert str(refused.value).startswith(
        "learners.dqn.reward: must be own, minus_best_rival, or {own: w} with w from 0"
    )
    assert str(refused.value).count("\n") == 0


def test_a_monopolist_has_no_rival_to_beat() -> None:
    market, options = a_market({"grid": {"prices": 2, "levels": 2}}, horizon=20), {"reward": "minus_best_rival"}
    for learners, player in (({"dqn": options}, "dqn"), ({}, {"learner": "dqn", **options})):
        config = parse_run({"market": market, "seats": {"a": player}, "learners": learners}, "config")
        place = "learners.dqn" if learners else "seats.a"
        with pytest.raises(UserError, match=f"^{place}.reward: minus_best_rival needs a rival"):
            make_learner(config, 0, player, "cpu", 0)


def test_a_best_response_is_one_in_profit() -> None:
    config = SimpleNamespace(learners={"dqn": {"reward": {"own": 0.5}, "gamma": 0.9}})
    assert after_profit(config, "dqn") == {"learner": "dqn", "reward": "own", "risk": None}  # type: ignore[arg-type]
    assert after_profit(config, "a2c") == "a2c"  # type: ignore[arg-type]
    player = {"learner": "a2c", "lr": 0.1, "risk": {"cvar": 0.1}}
    assert after_profit(config, player) == player | {"reward": "own", "risk": None}  # type: ignore[arg-type]


def test_the_best_policy_is_the_best_by_its_own_objective() -> None:
    """Two periods, two episodes, seats (4, 1), (2, 5) and (0, 3), (6, 1); the first seat's stock change is worth 1."""
    profit = np.array([[[4.0, 1.0], [0.0, 3.0]], [[2.0, 5.0], [6.0, 1.0]]])  # (T, E, N)
    earned = profit[..., 0].sum(0) + 1  # 7 and 7
    assert standing(DQNOptions(), 0, profit, earned) == 3.5
    assert standing(DQNOptions(reward=Mixture(own=0)), 0, profit, earned) == (7 + 6 + 7 + 4) / 2 / 2
    minded = DQNOptions(reward="minus_best_rival", risk=Risk(cvar=0.5, weight=0.25))
    episodes = np.array([7 - 6, 7 - 4]) / 2
    assert standing(minded, 0, profit, earned) == 0.25 * conditional_value_at_risk(episodes, 0.5) + 0.75 * 1.0


def training(*options: dict[str, Any], seed: int = 0) -> TrainingRun:
    config = {
        "market": a_market(
            {}, {"unit_cost": 0.5}, customers={"mode": "expected"}, inventory="make_to_order", horizon=4
        ),
        "seats": {"a": "dqn", "b": "constant(price=2.5)"},
        "learners": {"dqn": {"hidden": [8], **options[0]}} if options else {},
        "training": {"markets": 4, "budget": 400, "evaluation_episodes": 4},
        "evaluation": {"warm_up": 0},
    }
    for seller in config["market"]["sellers"]:
        seller.pop("order_up_to")
        seller |= {"grid": {"prices": 3}, "reward_scale": 4.0}
    return TrainingRun(parse_run(config, "config"), seed, "cpu")


@pytest.mark.parametrize(
    ("reward", "wanted"),
    [
        ("own", lambda p: p[:, 0]),
        ("minus_best_rival", lambda p: p[:, 0] - p[:, 1]),
        ({"own": 0.25}, lambda p: p[:, 0] + 0.75 * p[:, 1]),
    ],
)
def test_the_loop_hands_each_learner_its_own(reward: Any, wanted: Any) -> None:
    """Remembered rewards, times the scale, are the objective of the ledger's profits; and so are the tally's means."""
    run = training({"reward": reward})
    seen, profits = [], []
    learner, step = run.play.learners[0], run.play.batch.step
    remember = learner.remember

    def watch(*arguments: Any, **more: Any) -> None:
        seen.append(arguments[2].copy())
        remember(*arguments, **more)

    def record(*arguments: Any) -> Any:
        ledger = step(*arguments)
        profits.append(ledger["profit"].copy())
        return ledger

    learner.remember, run.play.batch.step = watch, record  # type: ignore[method-assign, assignment]
    for _ in range(5):
        run.play.play_period()
    assert np.allclose(np.array(seen) * 4.0, [wanted(p) for p in profits])
    first, second = run.play.earned().values()
    assert first["profit"] == pytest.approx(np.mean(profits, axis=(0, 1))[0])
    assert first["objective"] == pytest.approx(np.mean([wanted(p) for p in profits]))
    assert second["objective"] == second["profit"] == pytest.approx(np.mean(profits, axis=(0, 1))[1])
    assert run.play.earned() == {}


def test_a_tally_goes_on_where_it_was_saved() -> None:
    one, other = Tally(3), Tally(3)
    one.add(PERIOD, {0: np.array([1.0, 3.0])}, {})
    other.load_state_dict(one.state_dict())
    other.add(PERIOD + 1, {0: np.array([5.0, 7.0])}, {})
    figures = other.take()
    assert figures[0] == {"profit": 2.0, "objective": 4.0} and figures[1]["profit"] == 2.0


@pytest.mark.slow
def test_prices_are_nash_for_own_profit_and_joint_for_the_market_total() -> None:
    """Two sellers of a market made to order (Calvano et al. 2020: 1.473 and 1.925); two seeds of each."""
    spec = market_of_two()
    nash, joint = nash_prices(Logit.of(spec))[0], monopoly_prices(Logit.of(spec))[0]
    assert joint - nash > 0.3
    for reward, price in (("own", nash), ({"own": 0}, joint)):
        for seed in range(2):
            assert learned_prices(reward, seed) == pytest.approx([price, price], abs=0.08), (reward, seed)


def market_of_two() -> MarketSpec:
    seller = {"quality": 8.0, "unit_cost": 1.0, "prices": [1.0, 3.0]}
    return MarketSpec.parse(
        {
            "inventory": "make_to_order",
            "horizon": 20,
            "price_sensitivity": 4.0,
            "customers": {"mode": "expected", "rate": 20.0},
            "sellers": [seller | {"name": name} for name in "ab"],
        }
    )


def learned_prices(reward: Any, seed: int) -> list[float]:
    """Greedy prices of two A2C sellers at the end of training."""
    config = parse_run(
        {
            "market": market_of_two().dump(),
            "seats": {"a": "a2c", "b": "a2c"},
            "learners": {
                "a2c": {"reward": reward, "gamma": 0.0, "hidden": [32], "lr": 5e-3, "lr_final": 0.1, "entropy": 0}
            },
            "training": {"budget": 400_000, "markets": 64, "evaluation_episodes": 8},
            "evaluation": {"warm_up": 0},
        },
        "config",
    )
    run = TrainingRun(config, seed, "cpu")
    while run.play.done < config.training.budget:
        run.play.play_period()
    price = run.play_greedily()["price"]
    return [float(p) for p in price[5:].mean(axis=(0, 1))]
