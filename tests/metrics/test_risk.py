"""Measures of risk against numbers worked out by hand, brute force and identities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import UserError
from market.metrics import risk

ONE_TO_TEN = [4.0, 10.0, 1.0, 7.0, 3.0, 2.0, 9.0, 5.0, 8.0, 6.0]
PROFITS = st.lists(st.integers(-20, 20), min_size=1, max_size=40)


def test_volatility() -> None:
    assert risk.volatility([1, 3, 1, 3]) == 1
    assert risk.volatility([[1, 5], [3, 5]]).tolist() == [1, 0]


def test_what_never_varies_has_no_variance() -> None:
    """The mean of a hundred times 1.1 is not 1.1 in floating point."""
    assert np.var(np.full(100, 1.1)) > 0
    assert risk.variance(np.full(100, 1.1)) == 0 and risk.volatility(np.full((100, 2), 0.1)).tolist() == [0, 0]


@given(PROFITS)
def test_variance_is_that_of_the_definition(profits: list[int]) -> None:
    mean = sum(profits) / len(profits)
    assert risk.variance(profits) == pytest.approx(sum((p - mean) ** 2 for p in profits) / len(profits), abs=1e-9)


def test_downside_deviation() -> None:
    assert risk.downside_deviation([5, -3, 1, -4]) == 2.5
    assert risk.downside_deviation([5, -3, 1, -4], target=1) == pytest.approx(np.sqrt(41) / 2)
    assert risk.downside_deviation([5, 3, 0]) == 0
    assert risk.downside_deviation([[5, -3], [1, -4]]) == pytest.approx([0, np.sqrt(12.5)])
    assert risk.downside_deviation([[5, -3], [1, -4]], axis=1) == pytest.approx([np.sqrt(4.5), np.sqrt(8)])


@given(PROFITS, st.integers(-10, 10))
def test_downside_and_upside_make_up_the_mean_square(profits: list[int], target: int) -> None:
    down = risk.downside_deviation(profits, target)
    up = risk.downside_deviation(-np.array(profits), -target)
    distance = np.array(profits) - target
    assert down**2 + up**2 == pytest.approx(np.mean(distance**2))


def test_downside_deviation_of_a_normal_variable() -> None:
    """Half of the variance of a symmetric variable lies below its mean; the test allows five standard errors."""
    draws = np.random.default_rng(0).normal(0.0, 2.0, 200_000)
    squares = np.minimum(draws, 0) ** 2
    assert abs(risk.downside_deviation(draws) ** 2 - 2.0) < 5 * squares.std() / np.sqrt(len(draws))


@pytest.mark.parametrize(
    ("level", "var", "cvar"),
    [(0.25, 3.0, 1.8), (0.2, 2.0, 1.5), (0.1, 1.0, 1.0), (0.05, 1.0, 1.0), (0.3, 3.0, 2.0), (1.0, 10.0, 5.5)],
)
def test_tail_risk(level: float, var: float, cvar: float) -> None:
    assert risk.value_at_risk(ONE_TO_TEN, level) == var
    assert risk.conditional_value_at_risk(ONE_TO_TEN, level) == pytest.approx(cvar)


def test_tail_risk_is_not_misled_by_rounding() -> None:
    """0.07 x 100 is 7.000000000000001 in floating point, and 7 outcomes are meant."""
    outcomes = np.arange(100.0)
    assert risk.value_at_risk(outcomes, 0.07) == 6
    assert risk.conditional_value_at_risk(outcomes, 0.07) == pytest.approx(3)


def test_tail_risk_along_an_axis() -> None:
    table = np.stack([ONE_TO_TEN, np.array(ONE_TO_TEN) + 100], axis=1)
    assert risk.value_at_risk(table, 0.25).tolist() == [3, 103]
    assert risk.conditional_value_at_risk(table.T, 0.25, axis=1) == pytest.approx([1.8, 101.8])


@given(st.lists(st.integers(-1_000_000, 1_000_000), min_size=1, max_size=40), st.floats(0.01, 1))
@settings(max_examples=100, deadline=None)
def test_tail_risk_is_ordered_and_coherent(profits: list[int], level: float) -> None:
    outcomes = np.array(profits) / 100
    var, cvar = risk.value_at_risk(outcomes, level), risk.conditional_value_at_risk(outcomes, level)
    slack = 1e-9 * (1 + np.abs(outcomes).max())
    assert outcomes.min() - slack <= cvar <= var + slack
    assert cvar <= outcomes.mean() + slack
    # Rockafellar & Uryasev: CVaR is the greatest of v - E[(v - X)+] / level, reached at v = VaR
    shortfall = np.maximum(var - outcomes, 0).mean() / level
    assert cvar == pytest.approx(var - shortfall, abs=1e-6 * (1 + np.abs(outcomes).max()))


@pytest.mark.parametrize(("level", "outcomes"), [(0.0, [1.0]), (1.5, [1.0]), (0.05, [])])
def test_tail_risk_refusals(level: float, outcomes: list[float]) -> None:
    for measure in (risk.value_at_risk, risk.conditional_value_at_risk):
        with pytest.raises(UserError, match="level: must be|at least one outcome"):
            measure(outcomes, level)


def spells(profits: list[int]) -> list[tuple[int, int]]:
    """Depth and length of every spell under water, by hand: from a peak until it is reached again."""
    found, peak, total = [], 0, 0
    depth = length = 0
    for gain in profits:
        total += gain
        if total >= peak:
            found.append((depth, length))
            peak, depth, length = total, 0, 0
        else:
            depth, length = max(depth, peak - total), length + 1
    return [*found, (depth, length)]


def test_drawdown_length() -> None:
    assert risk.drawdown([5, -3, 1, -4, 6, -1])[1] == 3
    assert risk.drawdown([-1, -1, -1])[1] == 3
    assert risk.drawdown([1, 0, 4])[1] == 0
    # A long shallow spell before the deep one, and after it: the deep one is meant.
    assert risk.drawdown([3, -1, 0, 0, 0, 1, -2, 2, -1, 0, 0, 0, 0])[1] == 2 - 1
    assert risk.drawdown([[5, -1], [-4, -1], [9, 3]])[1].tolist() == [1, 2]


@given(PROFITS)
@settings(max_examples=300)
def test_drawdowns_are_those_of_a_count_by_hand(profits: list[int]) -> None:
    depth, length = max(spells(profits), key=lambda spell: spell[0])
    assert risk.drawdown(profits) == (depth, length if depth else 0)


def test_drawdowns_of_many_sellers_are_those_of_each() -> None:
    profits = np.random.default_rng(3).normal(0, 1, (50, 6, 2))
    alone = [[risk.drawdown(profits[:, m, i])[1] for i in range(2)] for m in range(6)]
    assert np.array_equal(risk.drawdown(profits)[1], alone)
