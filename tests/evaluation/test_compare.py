"""Intervals and comparisons: paired, covering, and never NaN where there is nothing to be uncertain of."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from market.metrics.risk import conditional_value_at_risk
from market.spec.models import MarketSpec
from policies.config.run import Evaluation, read_config
from policies.evaluation import compare as evaluation
from policies.evaluation.compare import Comparison, Result, best_fixed, compare, gap_interval, precise, share_base
from policies.evaluation.profit_gain import Ends
from policies.evaluation.statistics import Interval, half_width
from policies.evaluation.view import comparison_table, difference
from policies.sellers.rollout import play, play_columns, rows_at_once
from policies.sellers.rules.level_search import build
from policies.views.format import amount
from tests.helpers.small_run import DUOPOLY


def result(policy: str, profit: list[float], entrant: bool = False) -> Result:
    return Result(policy, entrant, np.array(profit))


def test_interval_by_hand() -> None:
    assert half_width(np.array([1.0, 2.0, 3.0])) == pytest.approx(4.302653 / np.sqrt(3), rel=1e-6)
    assert np.isnan(half_width(np.array([1.0])))


def test_no_randomness_is_no_uncertainty() -> None:
    assert half_width(np.full(50, 0.1)) == 0.0
    assert half_width(np.full(50, 0.1) * (1 + 1e-16 * np.arange(50))) == 0.0
    assert half_width(np.zeros(3)) == 0.0


@pytest.mark.parametrize("episodes", [5, 64])
def test_95_percent_of_intervals_cover_the_truth(episodes: int) -> None:
    draws = np.random.default_rng(episodes).normal(3.0, 2.0, (4000, episodes))
    covered = np.mean([abs(row.mean() - 3.0) <= half_width(row) for row in draws])
    assert 0.95 - 0.014 < covered < 0.95 + 0.014  # four standard errors


def test_best_and_difference_by_hand() -> None:
    judged, low, high = result("new", [2, 4, 6], True), result("low", [1, 1, 1]), result("high", [1, 3, 5])
    assert best_fixed([judged, low, high]) is high
    assert best_fixed([judged]) is None
    assert gap_interval(judged, high) == Interval(1.0, 1.0, 1.0)


def test_an_optimum_that_is_left_out_is_left_out_in_words() -> None:
    config = read_config(DUOPOLY)
    row = {"price": 1.8, "revenue": 9.0}
    found = Comparison("left", "nash", [Result("x", False, np.array([1.0, 2.0]), [row], [2])], left_out=8_000_000)
    said = [" ".join(note.text.split()) for note in comparison_table(found, config.market, config.evaluation).notes]
    assert any("Without the exact optimum: 8e+06 pairs of stock and level are too many" in text for text in said)


def test_a_percentage_of_next_to_nothing_is_money() -> None:
    """Revenue 40: a profit of 2 is 5 % of it."""
    assert share_base(3.0, 40.0) == 3.0 and share_base(2.0, 40.0) == 2.0
    assert share_base(1.99, 40.0) is None and share_base(-5.0, 40.0) is None and share_base(0.0, 0.0) is None
    poor = Result("poor", False, np.array([1.0, 2.0]), [{"revenue": 40.0}], [2])
    assert poor.revenue == 40.0 and poor.base is None and result("bare", [1.0, 2.0]).base == 1.5
    gap = Interval(-1.0, -1.5, -0.5)
    money, share = (amount(cell.value, str(cell.form), cell.half) for cell in map(partial(difference, gap), (None, 4)))
    assert (money, share) == ("-1 ± 0.5", "-25.00% ± 12.50%")


def test_near_zero_profit_need_not_be_known_to_the_share_of_itself() -> None:
    """Half a per cent of 5 % of the revenue of 4,000 is 1."""
    best = Result("best", False, np.zeros(4), [{"revenue": 4000.0}], [4])
    assert precise([result("new", [0.0, 0.1, 0.2, 0.3], True), best], 0.005)
    assert not precise([result("new", [0.0, 3.0, 6.0, 9.0], True), best], 0.005)


def test_what_knows_the_market_is_no_competitor_to_beat(spec: MarketSpec) -> None:
    rivals = [build("nash+min_max", spec, seat) for seat in range(2)]
    candidates = {"mine": rivals[0], "rule": rivals[0], "optimal": build("optimal", spec, 0)}
    settings = Evaluation(warm_up=10)
    found = compare(spec, 0, candidates, ["mine"], rivals, settings, 0, 64, references=["optimal"])
    assert [one.reference for one in found] == [False, False, True]
    assert found[2].mean > found[1].mean and best_fixed(found) is found[1]
    rows = {row["policy"]: row for row in Comparison("left", "x", found, sellers=2).rows()}
    assert rows["optimal"]["reference"] and rows["optimal"]["best_fixed"] == "rule" and "reference" not in rows["rule"]


def test_precise_means_an_interval_of_that_share_of_profit() -> None:
    best = result("best", [100.0] * 4)
    judged = result("new", [101.0, 102.0, 103.0, 104.0], True)
    width = 2 * half_width(judged.profit) / 100
    assert precise([judged, best], width * 1.001) and not precise([judged, best], width * 0.999)
    assert precise([result("new", [0.0, 0.0], True), result("best", [0.0, 0.0])], 0.005)


def test_measures_weigh_blocks_by_their_episodes_and_leave_out_what_is_not_defined() -> None:
    one = Result("a", True, np.array([1.0, 2.0, 3.0, 4.0]), [{"x": 1.0, "y": np.nan}, {"x": 5.0, "y": 2.0}], [3, 1])
    assert one.summary()["x"] == 2.0 and one.summary()["y"] == 2.0


@pytest.fixture(name="spec", scope="module")
def _spec() -> MarketSpec:
    return read_config(DUOPOLY, ["market.horizon=30"]).market


def played(spec: MarketSpec, seed: int = 0, episodes: int | None = 64, precision: float = 0.005) -> list[Result]:
    rules = {"judged": "constant(price=1.9)+base_stock(level=16)", "fixed": "constant(price=1.8)+base_stock(level=18)"}
    candidates = {name: build(text, spec, 0) for name, text in rules.items()}
    rivals = [build("constant(price=1.8)+base_stock(level=18)", spec, seat) for seat in range(2)]
    settings = Evaluation(episodes=1024, precision=precision)
    return compare(spec, 0, candidates, ["judged"], rivals, settings, seed, episodes)


def test_same_seed_same_numbers_and_another_seed_others(spec: MarketSpec) -> None:
    one, again, other = (played(spec, seed)[0] for seed in (0, 0, 1))
    assert np.array_equal(one.profit, again.profit) and one.summary() == again.summary()
    assert not np.array_equal(one.profit, other.profit)


def test_candidates_meet_the_same_customers(spec: MarketSpec) -> None:
    judged, fixed = played(spec)
    assert half_width(judged.profit - fixed.profit) < 0.5 * half_width(judged.profit)
    assert np.corrcoef(judged.profit, fixed.profit)[0, 1] > 0.8


def test_play_stops_when_it_is_precise_enough_or_at_the_most(spec: MarketSpec) -> None:
    assert len(played(spec, episodes=None, precision=0.5)[0].profit) == 256
    assert len(played(spec, episodes=None, precision=1e-9)[0].profit) == 1024
    assert len(played(spec, episodes=300)[0].profit) == 300


def test_intervals_of_the_difference_cover_the_truth(spec: MarketSpec) -> None:
    judged, fixed = played(spec, seed=7, episodes=1000)
    paired = judged.profit - fixed.profit
    truth = paired.mean()
    covered = np.mean([abs(part.mean() - truth) <= half_width(part) for part in paired.reshape(100, 10)])
    assert covered >= 0.87  # of 100 intervals 95 are expected; fewer than 87 come once in a thousand times


def test_standings_by_hand() -> None:
    judged, fixed = result("new", [2, 4, 6], True), result("old", [1, 4, 7])
    judged.total, fixed.total = np.array([5.0, 5.0, 5.0]), np.array([4.0, 4.0, 4.0])
    ends = Ends(np.full((3, 2), 2.0), np.full((3, 2), 4.0))
    found = Comparison("left", "x", [judged, fixed], ends, sellers=2).standings
    assert found["new"].profit.value == 4 and found["new"].better == 0.5
    assert found["new"].gap is not None and (found["new"].gap.value, found["new"].gap.sign) == (0, 0)
    assert (found["new"].gain, found["old"].gain) == (0.25, 0.0)
    alone = Comparison("left", "x", [judged]).standings["new"]
    assert alone.gap is None and np.isnan(alone.better) and np.isnan(alone.gain)


def test_what_rounding_leaves_of_a_difference_is_no_uncertainty() -> None:
    profit = 100 + np.random.default_rng(0).normal(size=50)
    same = gap_interval(result("a", list(profit * (1 + 1e-16))), result("b", list(profit)))
    assert same.half == 0


def test_totals_are_of_all_sellers(spec: MarketSpec) -> None:
    judged, _ = played(spec, episodes=8)
    sellers = [build(f"constant(price={price})+base_stock(level={level})", spec, k)
               for k, (price, level) in enumerate(((1.9, 16), (1.8, 18)))]  # fmt: skip
    ledger = play(spec, sellers, markets=8, seed=evaluation.row_seed(0, "evaluate"))
    assert judged.total == pytest.approx(evaluation.profit_a_period(ledger, spec, 10, 1.0).sum(axis=1))


def test_columns_are_the_fields_of_the_ledger(spec: MarketSpec) -> None:
    sellers = [build("nash+base_stock", spec, k) for k in range(2)]
    ledger, columns = (made(spec, sellers, seed=4, markets=6) for made in (play, play_columns))
    part = play(spec, sellers, seed=4, markets=6, fields=("profit", "lost"))
    assert set(columns) == set(ledger.dtype.names or ())
    for name, column in columns.items():
        assert np.array_equal(column, ledger[name])
    assert part.dtype.names == ("profit", "lost") and np.array_equal(part["lost"], ledger["lost"])


def test_the_size_of_blocks_changes_no_episode(spec: MarketSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = played(spec, episodes=60)
    monkeypatch.setattr(evaluation, "LARGE_BLOCK", 7)
    parts = played(spec, episodes=60)
    for one, other in zip(whole, parts, strict=True):
        assert np.array_equal(one.profit, other.profit) and np.array_equal(one.total, other.total)
        assert one.summary()["fill_rate"] == pytest.approx(other.summary()["fill_rate"], rel=2e-3)
        assert one.summary()["price"] == pytest.approx(other.summary()["price"])


def test_long_episodes_are_played_in_small_blocks_and_stop_no_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = read_config(DUOPOLY, ["market.horizon=30"]).market
    assert rows_at_once(spec, 256) == 256
    assert rows_at_once(spec.model_copy(update={"horizon": 10**6}), 256) == 1
    monkeypatch.setattr("policies.sellers.rollout.LARGEST_LEDGER", 100 * 60)
    assert rows_at_once(spec, 256) == 100
    assert len(played(spec, episodes=None, precision=0.5)[0].profit) == 300  # the first block beyond 256


def test_tails_are_taken_at_the_level_asked_for(spec: MarketSpec) -> None:
    rivals = [build("constant(price=1.8)+base_stock(level=18)", spec, seat) for seat in range(2)]
    settings = Evaluation(risk_level=0.25)
    (only,) = compare(spec, 0, {"a": rivals[0]}, ["a"], rivals, settings, 0, 64)
    figures, profit = only.summary(), np.sort(only.profit)
    assert figures["conditional_value_at_risk"] == pytest.approx(profit[:16].mean())
    assert figures["value_at_risk"] == profit[15]
    assert figures["conditional_value_at_risk"] > float(conditional_value_at_risk(only.profit))
