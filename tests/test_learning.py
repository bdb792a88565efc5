"""Slow: learners against known optima and fixed competitors, one seed a market; the full table is learning_table."""

from __future__ import annotations

import pytest
from learning import CONFIGS, average_profit, gaps_to_best_fixed, monopoly, train_best
from optimum import discounted_policy_average, optimal_average

from policies.config import load_run

BUDGET = 2_000_000
FINE = {"prices": 81, "levels": 36}


def test_value_iteration_agrees_with_the_market() -> None:
    """The market itself, played with one fixed decision, earns what the model of the optimum says of it."""
    from learning import average_profit as measure

    from policies.search import build

    config = monopoly("dqn", BUDGET, prices=1, levels=1)
    seller = build("constant(price=3.0)+base_stock(level=35)", config.market, 0)
    mean, error = measure(config, seller)  # type: ignore[arg-type]
    assert abs(mean - optimal_average(config.market)) < 3.3 * error


def test_the_discount_costs_next_to_nothing() -> None:
    market = monopoly("dqn", BUDGET).market
    assert discounted_policy_average(market, 0.98) > 0.998 * optimal_average(market)


@pytest.mark.slow
@pytest.mark.parametrize(("learner", "grid", "share"), [("dqn", {}, 0.98), ("ddpg", FINE, 0.98), ("a2c", FINE, 0.97)])
def test_a_learner_comes_near_the_optimum_of_the_monopoly(learner: str, grid: dict[str, int], share: float) -> None:
    """DQN against the optimum of its own grid, box learners against that of a grid ten times finer."""
    config = monopoly(learner, BUDGET)
    (seller,) = train_best(config, seed=0).values()
    mean, _ = average_profit(config, seller)
    assert mean > share * optimal_average(monopoly(learner, BUDGET, **grid).market)


@pytest.mark.slow
def test_orange_juice_learners_earn_more_than_the_best_fixed_competitor() -> None:
    config = load_run(CONFIGS / "orange_juice.yaml")
    gaps = gaps_to_best_fixed(config, train_best(config, seed=0), seed=0)
    assert all(mean > half for mean, half in gaps.values()), gaps
