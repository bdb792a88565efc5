"""Risk aversion where there is something to fear; the full table is risk_learning_table."""

from __future__ import annotations

import numpy as np
import pytest

from market.metrics.risk import conditional_value_at_risk
from policies.sellers.rules.level_search import build
from tests.experiments.risk_learning import Pair, configuration, earned, trained_pair


def test_the_market_pits_the_mean_against_the_tail() -> None:
    """Levels of 50 and 130 units, fixed: the low one earns more in the mean, the high one in the worst twentieth."""
    config = configuration("dqn", averse=False)
    low, high = (
        earned(config, build(f"constant(price=2)+base_stock(level={level})", config.market, 0))  # type: ignore[arg-type]
        for level in (50, 130)
    )
    pair = Pair(low, high)
    assert pair.bounds(tail=False)[1] < -1 and pair.bounds(tail=True)[0] > 10


def test_bounds_of_a_pair_whose_difference_is_constant() -> None:
    neutral = np.random.default_rng(0).normal(size=200)
    pair = Pair(neutral, neutral + 0.5)
    assert pair.bounds(tail=True) == pytest.approx((0.5, 0.5)) and pair.bounds(tail=False) == pytest.approx((0.5, 0.5))
    assert conditional_value_at_risk(pair.averse, 0.05) > conditional_value_at_risk(neutral, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("learner", ["dqn", "a2c", "ddpg"])
def test_the_averse_seller_has_the_higher_tail_and_the_lower_mean(learner: str) -> None:
    pair = trained_pair(learner, seed=0)
    assert pair.bounds(tail=True)[0] > 0 > pair.bounds(tail=False)[1]
