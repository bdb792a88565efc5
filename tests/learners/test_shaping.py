"""Stock valued at cost in what is learned from, and nowhere else."""

from __future__ import annotations

from functools import cache
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
    """A learner beside a rule: what its memory holds, the loop, and the ledgers of its periods."""
    rival = rule(spec, 1, "undercut+forecast" if spec.stocked else "undercut")
    one = loop(spec, [learner(spec, 0, name, gamma=GAMMA, **options), rival])
    played: list[dict[str, Any]] = []
    step = one.batch.step

    def watched(*decisions: Any) -> Any:
        ledger = step(*decisions)
        played.append({name: ledger[name][:, 0].copy() for name in ledger.dtype.names or ()})
        return ledger

    one.batch.step = watched  # type: ignore[method-assign, assignment]
    for _ in range(periods):
        one.play_period()
    return one.learners[0].memory.state_dict(), one, played


@pytest.mark.parametrize("name", ["dqn", "ddpg"])
def test_a_reward_and_its_shaping_are_the_margin_of_what_was_sold(name: str) -> None:
    """Profit + c x' - c x = (p - c) sold - other costs, x' the position at the period's end: x + ordered - sold."""
    spec = market()
    kept, one, played = remembered(spec, name)
    unit, scale = spec.sellers[0].unit_cost, one.batch.reward_scale[0]
    assert unit > 0 and any(p["ordered"].any() for p in played)
    for t, p in enumerate(played):
        others = p["profit"] - p["price"] * p["sold"] + unit * p["ordered"]
        margin = (p["price"] - unit) * p["sold"] + others
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


STOCK, PRICES, CHANCE, UNIT = range(9), (2.0, 3.0), (0.8, 0.5), 1.0
DECISIONS = [(x, k, y) for x in STOCK for k in (0, 1) for y in range(x, 9)]


@cache
def outcomes(x: int, k: int, y: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Chance, profit and stock left of ordering up to y units at the k-th price, x in stock, by number of buyers.

    Four customers, each buys with probability .8 at price 2, .5 at 3; unit cost 1, order cost .4, holding cost .1; lost sales.
    """
    wanted = np.arange(5)
    sold = np.minimum(wanted, y)
    profit = PRICES[k] * sold - UNIT * (y - x) - 0.4 * (y > x) - 0.1 * (y - sold)
    return binom.pmf(wanted, 4, CHANCE[k]), profit, y - sold


def best_decisions(gamma: float, shaped: bool) -> tuple[np.ndarray, float]:
    """The best (price, level) in each stock (X, 2) by value iteration, relative where gamma is 1, and its average profit."""
    value = np.zeros(9)
    for _ in range(200):
        worth = np.full((9, 2, 9), -np.inf)
        for x, k, y in DECISIONS:
            chance, profit, left = outcomes(x, k, y)
            worth[x, k, y] = chance @ (profit + shaped * UNIT * (left - x) + gamma * value[left])
        value = worth.max(axis=(1, 2)) - (worth[0].max() if gamma == 1 else 0.0)
    best = np.stack(np.unravel_index(worth.reshape(9, -1).argmax(axis=1), (2, 9)), axis=1)
    return best, average(best)


def average(best: np.ndarray) -> float:
    """Profit a period in the long run."""
    at, earned = np.full(9, 1 / 9), 0.0
    for _ in range(200):
        after, earned = np.zeros(9), 0.0
        for x in np.flatnonzero(at > 1e-12):
            chance, profit, left = outcomes(int(x), *best[x].tolist())
            earned += at[x] * float(chance @ profit)
            np.add.at(after, left, at[x] * chance)
        at = after
    return earned


def test_value_iteration_finds_the_same_best_decisions_with_it() -> None:
    """Of average profit; discounted, what is best with it comes closer to them than what is best without."""
    (plain, most), (shaped, same) = best_decisions(1.0, shaped=False), best_decisions(1.0, shaped=True)
    assert np.array_equal(plain, shaped) and most == same and len({tuple(d) for d in plain.tolist()}) > 2
    without, with_it = (best_decisions(0.8, shaped=one)[1] for one in (False, True))
    assert without < 0.99 * most and with_it > 0.998 * most


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
def test_every_learner_remembers_the_difference(name: str) -> None:
    one = make(name, gamma=0.5)
    obs, ones = np.zeros((one.rows, 3), np.float32), np.ones(one.rows)
    one.remember(obs, one.act(obs), ones, obs, np.zeros(one.rows, bool), (2 * ones, 10 * ones))
    assert one.memory.latest("shaping").tolist() == [8.0] * one.rows
    assert one.memory.latest("rew").tolist() == [1.0] * one.rows
