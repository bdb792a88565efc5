"""Intervals against closed forms, Student's t and simulation; figures over runs by hand and by brute force."""

from __future__ import annotations

import tracemalloc
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import mannwhitneyu, norm, t

from policies.evaluation import statistics
from policies.evaluation.statistics import (
    Interval,
    expanded_level,
    improvement,
    improvement_over_runs,
    interquartile_mean,
    mean_interval,
    stratified,
)

Z = float(norm.ppf(0.975))


def covers(found: Interval, truth: float) -> bool:
    return found.low <= truth <= found.high


def test_sign_half_and_scale_by_hand() -> None:
    assert [Interval(2, 1, 3).sign, Interval(-2, -3, -1).sign, Interval(1, 0, 2).sign] == [1, -1, 0]
    assert Interval(2, 1, 4).half == 1.5 and Interval(2, 1, 4).scaled(2) == Interval(1, 0.5, 2)
    assert Interval(1.0, np.nan, np.nan).sign == 0


def test_one_sample_has_no_interval_and_equal_ones_no_uncertainty() -> None:
    assert np.isnan(mean_interval([1.0]).half) and mean_interval([1.0]).value == 1.0
    assert mean_interval(np.full(50, 0.1)).half == 0.0
    assert mean_interval(np.full(50, 0.1) * (1 + 1e-16 * np.arange(50))).half == 0.0
    assert mean_interval([1e-15, 2e-15], scale=100.0).half == 0.0 < mean_interval([1e-15, 2e-15]).half
    assert np.isnan(stratified([[1.0], [2.0, 3.0]]).half) and stratified([[1.0, 1.0], [2.0, 2.0]]).half == 0.0


def test_three_samples_by_hand() -> None:
    """Of 27 resamples of 1, 2, 3 one has mean 1 and one 3; t(2) takes the percentiles as far as that."""
    assert mean_interval([1.0, 2.0, 3.0]) == Interval(2.0, 1.0, 3.0)


def test_expanded_level_by_hand() -> None:
    assert expanded_level(10) == pytest.approx(1 - 2 * norm.cdf(-np.sqrt(10 / 9) * t.ppf(0.975, 9)), rel=1e-9)
    assert expanded_level(10) == pytest.approx(0.983, abs=5e-4)
    assert expanded_level(10**6) == pytest.approx(0.95, abs=1e-5)


def test_same_samples_same_interval_whatever_else_is_random() -> None:
    samples = np.random.default_rng(1).normal(size=100)
    state = np.random.get_state()[1].copy()  # type: ignore[union-attr, index]
    first = mean_interval(samples)
    assert mean_interval(samples) == first and mean_interval(samples + 1).value == pytest.approx(first.value + 1)
    assert np.array_equal(np.random.get_state()[1], state)  # type: ignore[index]


@pytest.mark.parametrize("episodes", [12, 64])
def test_agrees_with_student_for_normal_samples(episodes: int) -> None:
    draws = np.random.default_rng(episodes).normal(3.0, 2.0, (100, episodes))
    student = t.ppf(0.975, episodes - 1) * draws.std(axis=1, ddof=1) / np.sqrt(episodes)
    assert np.mean([mean_interval(row).half for row in draws] / student) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("law", ["normal", "exponential"])
def test_95_percent_of_intervals_cover_the_truth(law: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "MOST", statistics.LEAST)
    rng = np.random.default_rng(2)
    draws = rng.normal(3.0, 2.0, (600, 100)) if law == "normal" else rng.exponential(3.0, (600, 100))
    covered = np.mean([covers(mean_interval(row), 3.0) for row in draws])
    assert covered == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 600))


def test_memory_is_bounded() -> None:
    samples = np.random.default_rng(3).normal(size=4096)
    mean_interval(samples)
    tracemalloc.start()
    mean_interval(samples)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * 2**20  # all resamples at once would be 64 MB


def test_strata_of_the_same_episodes_against_the_closed_form() -> None:
    rng = np.random.default_rng(5)
    common = rng.normal(0, 2, 800)
    strata = [common + rng.normal(0, 1, 800), common[:500] + rng.normal(0, 1, 500)]
    # What each episode adds to the mean of means, given how far each stratum played.
    parts = [np.pad((s - s.mean()) / len(s), (0, 800 - len(s))) for s in strata]
    error = np.sqrt(np.square(sum(parts)).sum()) / 2
    found = stratified(strata)
    assert found.half == pytest.approx(Z * error, rel=0.05)
    assert found.value == pytest.approx((strata[0].mean() + strata[1].mean()) / 2)
    assert stratified([[1.0, 3.0], [10.0, 30.0, 20.0]]).value == 11.0


def test_drawing_the_same_episodes_covers_the_truth_where_they_are_the_same() -> None:
    rng = np.random.default_rng(6)
    together = []
    for _ in range(80):
        common = rng.normal(1.0, 1.0, 40)
        strata = [common + rng.normal(0, 0.3, 40) for _ in range(4)]
        together.append(covers(stratified(strata), 1.0))
    assert np.mean(together) == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 80))


def test_improvement_by_hand() -> None:
    assert improvement([3, 2, 1], [1, 2, 3]) == 0.5
    assert improvement([3, 2, 1], [1, 1, 1]) == pytest.approx(2.5 / 3)


@settings(max_examples=50, deadline=None)
@given(st.data(), st.integers(1, 20))
def test_what_one_wins_the_other_loses(data: st.DataObject, count: int) -> None:
    values = arrays(np.int64, count, elements=st.integers(-3, 3))
    one, other = data.draw(values), data.draw(values)
    assert improvement(one, other) + improvement(other, one) == pytest.approx(1)


def test_improvement_over_runs_is_the_mean_of_mann_whitney_statistics() -> None:
    x = np.random.default_rng(7).integers(-2, 3, (6, 3))
    by_line_up = [mannwhitneyu(x[:, s], [0]).statistic / 6 for s in range(3)]
    found = improvement_over_runs(x)
    assert found.value == pytest.approx(np.mean(by_line_up)) and found.low < found.value < found.high
    assert improvement_over_runs([[-1.0], [1.0]]) == Interval(0.5, 0.0, 1.0)
    assert improvement_over_runs([[1.0], [1.5]]) == Interval(1.0, 1.0, 1.0)
    assert np.isnan(improvement_over_runs([[1.0]]).half)


def test_interquartile_mean_by_hand() -> None:
    assert interquartile_mean(np.arange(1.0, 9.0)[:, None]).value == 4.5
    assert interquartile_mean(np.arange(1.0, 9.0).reshape(4, 2)).value == 4.5
    outlier = np.array([[1.0], [2.0], [3.0], [1000.0]])
    assert interquartile_mean(outlier).value == 2.5
    assert interquartile_mean([[1.0], [2.0], [6.0]]).value == 3.0
    assert np.isnan(interquartile_mean([[1.0, 2.0]]).half)


def test_runs_are_drawn_whole() -> None:
    """Each run is good against one line-up and bad against the other: no draw of whole runs is better than another."""
    assert interquartile_mean([[0.0, 10.0], [10.0, 0.0]]) == Interval(5.0, 5.0, 5.0)
    assert improvement_over_runs([[-5.0, 5.0], [5.0, -5.0]]) == Interval(0.5, 0.5, 0.5)


def test_interval_of_an_interquartile_mean_by_enumeration() -> None:
    """All 256 resamples of four runs; their percentiles at the expanded level are what drawing 9,999 of them finds."""
    scores = np.array([0.0, 1.0, 3.0, 10.0])
    every = np.sort([np.sort(draw)[1:3].mean() for draw in product(scores, repeat=4)])
    low, high = np.quantile(every, [(1 - expanded_level(4)) / 2, (1 + expanded_level(4)) / 2], method="inverted_cdf")
    found = interquartile_mean(scores[:, None])
    assert (found.low, found.high) == (low, high) == (0.0, 10.0)
    assert found.value == 2.0
