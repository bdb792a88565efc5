"""Series that sell in few periods: classes and laws by hand and by brute force, and forecasts that stock can go by."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from market.forecast.backtest import RARE, BacktestPlan, best
from market.forecast.intermittent import Compound, Pattern, pattern_of
from market.forecast.models import backtest, backtest_model, forecast
from market.forecast.series import Series
from policies.sales.forecast import as_data
from policies.sales.forecast_view import verdict
from tests.helpers.forecasts import a_file, printed, ran

PLAN = BacktestPlan(horizon=4, folds=5)


def bolts(seed: int, count: int = 200, chance: float = 0.12) -> np.ndarray:
    """Sold in 12 % of periods, 1 to 8 at a time: .54 a period on average."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(count) < chance, rng.integers(1, 9, count), 0).astype(float)


def test_the_four_classes() -> None:
    assert pattern_of(np.array([0.0, 0, 3, 0, 0, 5])) == Pattern(3.0, 1 / 16)
    assert Pattern(1.31, 0.48).kind == "smooth" and Pattern(1.31, 0.49).kind == "erratic"
    assert Pattern(1.32, 0.48).kind == "intermittent" and Pattern(1.32, 0.49).kind == "lumpy"
    assert [Pattern(interval, 0.1).rare for interval in (1.0, 1.31, 1.32, 9.0, math.inf)] == [
        False,
        False,
        True,
        True,
        False,
    ]
    assert not pattern_of(np.zeros(9)).rare and PLAN.candidates(np.zeros(9)) == PLAN.models


def test_the_law_by_hand() -> None:
    law = Compound.of(np.array([0.0, 4, 0, 2]), np.array([1.5, 0.0, 6.0]))
    assert law.chance.tolist() == [0.5, 0, 1] and law.factor.tolist() == [1, 1, 2]
    assert law.quantile(0.5).tolist() == [0, 0, 4]
    assert law.quantile(0.75).tolist() == [2, 0, 8] and law.quantile(0.76).tolist() == [4, 0, 8]
    nothing = Compound.of(np.zeros(5), np.array([3.0]))
    assert nothing.quantile(0.99).tolist() == [0] and nothing.crps(np.array([2.0])).tolist() == [2]


@pytest.mark.parametrize("mean", [0.0, 0.3, 1.9, 7.0])
def test_the_score_is_the_integral_between_the_law_and_what_came(mean: float) -> None:
    past = np.array([0.0, 1, 0, 0, 5, 2, 0])
    law = Compound.of(past, np.array([mean]))
    chance, size = min(mean / (8 / 3), 1), max(mean / (8 / 3), 1) * np.array([1.0, 2, 5])
    for came in (0.0, 2.0, 3.5, 20.0):
        x = np.linspace(-1, 25, 260_001)
        below = (1 - chance) * (x >= 0) + chance * (x[:, None] >= size).mean(axis=1)
        want = ((below - (x >= came)) ** 2).sum() * (x[1] - x[0])
        assert law.crps(np.array([came]))[0] == pytest.approx(want, abs=1e-3)


def test_several_periods_together_are_all_their_outcomes() -> None:
    """Three periods that sell 1 or 6 with 1/8 each: all 64 outcomes listed."""
    law = Compound.of(np.array([0.0, 0, 0, 0, 0, 0, 1, 6]), np.full(3, 7 / 8))
    every = np.sort([sum(one) for one in itertools.product([0] * 6 + [1, 6], repeat=3)])
    for q in (0.3, 0.6, 0.8, 0.97):
        assert law.together(q) == every[math.ceil(q * len(every)) - 1]


def test_tsb_and_croston_by_their_recursions() -> None:
    units = np.array([2.0, 0, 0, 4, 0, 1, 0, 0, 0, 3, 0, 0] * 3)
    size = interval = chance = math.nan
    last = 0
    for t, sold in enumerate(units, 1):
        happened = float(sold > 0)
        chance = happened if math.isnan(chance) else chance + 0.02 * (happened - chance)
        if sold:
            size = sold if math.isnan(size) else size + 0.1 * (sold - size)
            interval = t - last if math.isnan(interval) else interval + 0.1 * (t - last - interval)
            last = t
    for model, want in (
        ("TSB", size * chance),
        ("CrostonClassic", size / interval),
        ("CrostonSBA", 0.95 * size / interval),
    ):
        assert forecast(units, model, PLAN).mean == pytest.approx([want] * 4)


@pytest.mark.parametrize("seed", range(2))
def test_what_rarely_sells_is_not_forecast_as_nothing(seed: int) -> None:
    """The mean is .54; over four periods 95 % of the truth is no more than 7 or 8."""
    units = bolts(seed)
    found, failed = backtest(Series("bolt", None, 0, units), PLAN)
    assert not failed and found.measure == "scaled CRPS" and found.pattern.kind == "intermittent"
    assert [score.model for score in found.scores] == [
        "Naive",
        "HistoricAverage",
        "CrostonClassic",
        "CrostonSBA",
        "TSB",
    ]
    assert found.forecast.mean == pytest.approx(np.full(4, 0.54), rel=0.5)
    rng = np.random.default_rng(9)
    truth = np.where(rng.random((40_000, 4)) < 0.12, rng.integers(1, 9, (40_000, 4)), 0).sum(axis=1)
    assert found.forecast.together == pytest.approx(np.quantile(truth, 0.95), abs=3)


def test_tsb_forgets_what_has_gone_out_of_use_and_croston_does_not() -> None:
    units = np.concatenate([bolts(4, 100, 0.5), np.zeros(200)])
    tsb, croston = (forecast(units, model, PLAN).mean[0] for model in ("TSB", "CrostonSBA"))
    assert tsb < 0.1 and croston > 1.5


def test_periods_without_a_sale_choose_neither_nothing_nor_the_one_who_expects_least() -> None:
    """Naive has no error at all in the last 20 periods, none of which sold."""
    units = np.concatenate([bolts(4, 100), np.zeros(20)])
    found, _ = backtest(Series("bolt", None, 0, units), PLAN)
    naive = found.score("Naive")
    assert naive is not None and naive.error == 0 < found.chosen.error
    assert found.chosen.model == "TSB" and found.forecast.mean[0] > 0.2
    assert "Nothing was sold in any of the 5 folds, so that no error tells the models apart: TSB is" in verdict(found)
    assert best(found.scores, 2).model == "TSB"
    units[-1] = 2  # naive is 0 in all folds and nearest, but no law
    found, _ = backtest(Series("bolt", None, 0, units), PLAN)
    assert found.chosen.model != "Naive" and found.forecast.mean[0] > 0.2


@pytest.mark.parametrize("model", RARE)
def test_a_window_without_a_sale_has_a_score(model: str) -> None:
    units = np.zeros(40)
    units[[30, 33, 37]] = 4
    for fold in backtest_model(units, model, PLAN):
        assert fold.crps is not None and np.isfinite(fold.crps)


def test_the_kind_of_series_its_mean_and_its_upper_end_are_said(tmp_path: Path) -> None:
    units, often = bolts(0, 60), np.random.default_rng(1).poisson(40, 60)
    rows = [(t, name, 2, one[t]) for t in range(60) for name, one in (("bolt", units), ("nut", often))]
    result = ran(a_file(tmp_path, rows), horizon=4)
    flat = " ".join(printed(result, width=150).split())
    share = f"{(units > 0).mean():.0%}"
    assert f"bolt sells in {share} of the periods (" in flat and "nut sells in" not in flat
    assert "The 4 periods together:" in flat and "on average, with 95% no more than" in flat
    assert (
        "each one's model chosen by earlier folds alone: scaled CRPS" in flat and "MASE prefers a forecast of 0" in flat
    )
    bolt, nut = as_data(result)["series"]
    assert (bolt["pattern"]["kind"], bolt["measure"]) == (pattern_of(units).kind, "scaled CRPS")
    assert (nut["pattern"]["kind"], nut["measure"], nut["all_periods_high"]) == ("smooth", "MASE", None)
    lowest = min(bolt["backtest"], key=lambda score: score["crps"])
    assert lowest["crps"] == pytest.approx(next(s["crps"] for s in bolt["backtest"] if s["model"] == bolt["model"]))
    assert nut["backtest"][0]["crps"] is None and bolt["all_periods_high"] >= 4
