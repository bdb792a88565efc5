"""Stock valued at cost in what is learned from, and nowhere else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from market.spec.models import MarketSpec
from policies.config.learners import Risk
from policies.learners.rewards import CVaRReward, ReturnScale, RewardBaseline
from tests.helpers.loops import learner, loop, market, rule
from tests.helpers.markets import a_market
from tests.helpers.probes import make

GAMMA = 0.9
MADE_TO_ORDER = MarketSpec.parse(
    a_market(*[{"order_up_to": [0, 0], "grid": {"prices": 4}}] * 2, horizon=12, inventory="make_to_order")
)


def remembered(spec: Any, name: str, periods: int = 9, **options: Any) -> tuple[Any, Any, list[dict[str, Any]]]:
    """A learner beside a rule: what its memory holds, the loop, and the ledgers and positions of its periods."""
    rival = rule(spec, 1, "undercut+forecast" if spec.stocked else "undercut")
    one = loop(spec, [learner(spec, 0, name, gamma=GAMMA, **options), rival])
    played: list[dict[str, Any]] = []
    step, batch = one.batch.step, one.batch

    def watched(*decisions: Any) -> Any:
        ledger = step(*decisions)
        end = (batch.state.on_hand + batch.on_order)[:, 0]
        played.append({name: ledger[name][:, 0].copy() for name in ledger.dtype.names or ()} | {"end": end})
        return ledger

    one.batch.step = watched  # type: ignore[method-assign, assignment]
    for _ in range(periods):
        one.play_period()
    return one.learners[0].memory.state_dict(), one, played


@pytest.mark.parametrize("name", ["dqn", "ddpg"])
def test_a_reward_and_its_shaping_are_the_margin_of_what_was_sold(name: str) -> None:
    """Profit + gamma c x' - c x = (p - c) sold - other costs - (1 - gamma) c x', x' the position at the period's end."""
    spec = market()
    kept, one, played = remembered(spec, name)
    unit, scale = spec.sellers[0].unit_cost, one.batch.reward_scale[0]
    assert unit > 0 and any(p["ordered"].any() for p in played)
    for t, p in enumerate(played):
        others = p["profit"] - p["price"] * p["sold"] + unit * p["ordered"]
        margin = (p["price"] - unit) * p["sold"] + others - (1 - GAMMA) * unit * p["end"]
        learned = (kept["rew"][:, t] + kept["shaping"][:, t]).numpy() * scale
        assert np.allclose(learned, margin)
        assert np.allclose(kept["rew"][:, t].numpy() * scale, p["profit"])


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        (market(), {"stock_at_cost": False}),
        (MADE_TO_ORDER, {}),
    ],
    ids=["off", "made to order"],
)
def test_there_is_none_where_it_is_off_and_where_nothing_is_stocked(spec: Any, options: Any) -> None:
    kept, _, _ = remembered(spec, "ddpg", **options)
    assert not kept["shaping"].any() and kept["rew"].any()


def small_market(shaped: bool) -> tuple[np.ndarray, np.ndarray]:
    """Values (X,) and best decisions (X,) of a seller by value iteration: stock x up to 8, order up to y, price 2 or 3.

    Four customers, each buys with probability .8 or .5; unit cost 1, order cost .4, holding cost .1; lost sales.
    """
    stock, prices, chance = np.arange(9), (2.0, 3.0), (0.8, 0.5)
    value = np.zeros(9)
    for _ in range(600):
        worth = np.full((9, 2, 9), -np.inf)
        for x in stock:
            for k, price in enumerate(prices):
                for y in range(x, 9):
                    demand = np.arange(5)
                    sold, p = np.minimum(demand, y), binom.pmf(demand, 4, chance[k])
                    reward = price * sold - (y - x) - 0.4 * (y > x) - 0.1 * (y - sold)
                    reward = reward + (GAMMA * (y - sold) - x if shaped else 0.0)
                    worth[x, k, y] = p @ (reward + GAMMA * value[y - sold])
        value = worth.max(axis=(1, 2))
    return value, worth.reshape(9, -1).argmax(axis=1)


def test_value_iteration_finds_the_same_best_decisions_with_it() -> None:
    """And values that are lower by the stock's worth, 1 a unit (Ng, Harada & Russell 1999, corollary 2)."""
    (plain, best), (shaped, also_best) = small_market(False), small_market(True)
    assert np.array_equal(best, also_best) and len(set(best.tolist())) > 2
    assert np.allclose(shaped, plain - np.arange(9), atol=1e-8)


def test_it_is_added_after_aversion_to_risk_and_centred_with_it() -> None:
    """Rewards 1 and 3 with the quantile at 2: -.5 and 2.5 (see ``adjusted``), shaping 1 and 2: .5 and 4.5."""
    averse = CVaRReward(Risk(cvar=0.25, weight=0.5), on=True)
    averse.quantile.value, averse.quantile.periods, averse.quantile.spread = 2.0, 10**9, 0.0
    averse.see(np.array([1.0, 3.0]), np.zeros(2, bool), np.array([1.0, 2.0]))
    assert averse.mean == pytest.approx(2.5)
    assert averse.learned(np.array([1.0, 3.0]), np.array([1.0, 2.0])).tolist() == pytest.approx([-2.0, 2.0])


def test_the_scale_of_returns_is_of_shaped_rewards() -> None:
    shaped, plain = (RewardBaseline(True, scale=ReturnScale(2, GAMMA)) for _ in range(2))
    for _ in range(3):
        shaped.see(np.array([1.0, 2.0]), np.zeros(2, bool), np.array([3.0, -1.0]))
        plain.see(np.array([4.0, 1.0]), np.zeros(2, bool))
    assert shaped.state_dict()["mean"] == plain.state_dict()["mean"]
    assert shaped.scale is not None and plain.scale is not None and shaped.scale.sd == plain.scale.sd


@pytest.mark.parametrize("name", ["dqn", "ddpg", "a2c"])
def test_discounting_is_the_learners_own(name: str) -> None:
    one = make(name, gamma=0.5)
    obs, ones = np.zeros((one.rows, 3), np.float32), np.ones(one.rows)
    one.remember(obs, one.act(obs), ones, obs, np.zeros(one.rows, bool), (2 * ones, 10 * ones))
    assert one.memory.latest("shaping").tolist() == [0.5 * 10 - 2] * one.rows
    assert one.memory.latest("rew").tolist() == [1.0] * one.rows
