"""What an answer hangs on is said, costs that are wrong or say nothing are named, and wrong fits are found out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from market.calibration.calibrate import Calibration, calibrate
from market.calibration.comparison import log_log
from market.calibration.costs import costs_to_average, known_costs, no_instrument
from market.calibration.market_file import configuration
from market.calibration.options import CalibrationOptions
from market.calibration.regression.design import cells
from market.calibration.regression.logit import Coefficient, Estimate
from market.calibration.robustness import Variant, nash_to_file, nest_by_size
from market.calibration.shocks import _counting, fit_shocks
from market.calibration.validation import validate
from market.demand.equilibrium import nash_prices
from market.demand.logit import Logit
from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from tests.helpers.extras import needs
from tests.helpers.truths import lasting, sales_in_memory, sales_of

BY_COST = CalibrationOptions(form="log", instruments=("cost",))


def small(design: str = "endogenous", seed: int = 1) -> pd.DataFrame:
    return sales_of(design, seed, markets=2, periods=60)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------ costs


def costs(*values: float) -> pd.DataFrame:
    price = np.linspace(1.0, 2.0, len(values))
    return pd.DataFrame(
        {"period": range(1, len(values) + 1), "market": "m", "seller": "a", "price": price, "units": 5, "cost": values}
    )


def test_costs_that_are_not_known_or_far_off_by_hand() -> None:
    sales = sales_in_memory(costs(1.0, 1.2, 0.0, 4.0, 0.3))
    assert known_costs(sales).fillna(-1).tolist() == [1.0, 1.2, -1, -1, -1], (
        "of 1.1 in the middle, a third and three times"
    )
    assert costs_to_average(sales).fillna(-1).tolist() == [1.0, 1.2, -1, 4.0, 0.3]
    assert costs_to_average(sales_in_memory(costs(0.0, 0.0))).tolist() == [0.0, 0.0], "a good that costs nothing"


@pytest.mark.parametrize("digits", [2, 8])
def test_a_cost_that_is_a_share_of_the_price_is_no_instrument(digits: int) -> None:
    frame = small("exogenous")
    assert no_instrument(sales_in_memory(frame)) is None
    frame["cost"] = (0.6 * frame["price"]).round(digits)
    assert "same share of the price" in str(no_instrument(sales_in_memory(frame)))
    assert "seller a has no costs" in str(no_instrument(sales_in_memory(costs(0.0, 0.0, 0.0))))


@needs("pyblp")
def test_one_cost_of_zero_changes_nothing_but_its_row_and_is_named() -> None:
    frame = small()
    right = calibrate(sales_in_memory(frame), BY_COST)
    frame.loc[100, "cost"] = 0.0
    found = calibrate(sales_in_memory(frame), BY_COST)
    assert found.fit.fitted.rows == right.fit.fitted.rows - 1
    assert found.fit.fitted.alpha.value == pytest.approx(right.fit.fitted.alpha.value, abs=0.1)
    assert found.cost == pytest.approx(right.cost, rel=0.01)
    line = sales_in_memory(frame).rows.query("cost == 0")["line"].item()
    assert any(one.startswith(f"line {line}: cost is 0") for one in found.warnings)
    with pytest.raises(UserError, match="--iv cost: cost is the same share of the price"):
        calibrate(sales_in_memory(frame.assign(cost=frame["price"] / 2)), BY_COST)


@needs("pyblp")
def test_an_instrument_that_says_nothing_beside_others_is_named() -> None:
    frame = small()
    frame["cost"] = frame.groupby("seller")["cost"].transform("mean")
    with pytest.raises(
        UserError, match="note: --iv: cost says nothing that the other columns do not say already: left out"
    ):
        calibrate(sales_in_memory(frame), replace(BY_COST, instruments=("cost", "rivals"), nest=False))


# ------------------------------------------------------------------------------------------------ endogeneity


@needs("pyblp")
def test_hausmans_test_is_told_wherever_there_are_costs() -> None:
    found = calibrate(sales_in_memory(small()), CalibrationOptions(form="log"))
    assert found.endogeneity is not None and found.endogeneity.t > 10
    assert found.endogeneity.least.mean > found.endogeneity.instrumented.mean + 0.7
    assert any(one.startswith("prices look set with regard to demand") for one in found.warnings)
    calm = calibrate(sales_in_memory(small("exogenous").assign(cost=lambda t: t["price"] ** 0.5)), CalibrationOptions())
    assert calm.endogeneity is None, "the root of the price is a share of its logarithm"
    assert calibrate(sales_in_memory(small().drop(columns="cost")), CalibrationOptions()).endogeneity is None


@needs("pyblp")
def test_least_squares_on_endogenous_prices_are_found_out_and_the_right_fit_is_not() -> None:
    sales = sales_in_memory(small())
    wrong, right = (validate(calibrate(sales, one)) for one in (CalibrationOptions(form="log"), BY_COST))
    assert "own price, log-log by costs" in {check.name for check in wrong.checks if not check.passed}
    assert right.passed, [check for check in right.checks if not check.passed]


def test_slopes_by_costs_are_two_stage_least_squares_written_out() -> None:
    frame = small().query("market == 'm0'").reset_index(drop=True)
    log_price, log_cost = (np.log(frame[name]).to_numpy().reshape(60, 4) for name in ("price", "cost"))

    def both(x: np.ndarray) -> np.ndarray:
        others = (x.sum(1, keepdims=True) - x) / 3
        return np.column_stack([(one - one.mean(0)).reshape(-1) for one in (x, others)])

    y = np.log(frame["units"].to_numpy(float)).reshape(60, 4)
    y = (y - y.mean(0)).reshape(-1)
    wanted = np.linalg.solve(both(log_cost).T @ both(log_price), both(log_cost).T @ y)
    found = log_log(frame, np.log(frame["cost"]))(frame["units"].to_numpy(float))
    assert found == pytest.approx(tuple(wanted))


# ------------------------------------------------------------------------------------------------ what is said


def line(kind: str, rho: float, t: float) -> Variant:
    return Variant(kind, kind, 100.0, 2.0, rho, t, [-2.0], [0.1])


def test_a_nest_that_only_the_size_makes_is_said() -> None:
    taken = line("as calibrated", 0.4, 4.8)
    assert nest_by_size([taken, line("size", 0.3, 3.0), line("trend", 0.0, 0.1)]) is None
    assert "rho 0.40 (t 4.8)" in str(nest_by_size([taken, line("size", -0.1, -0.6)]))
    assert "rho 0.40 as calibrated, 0.20 with size" in str(nest_by_size([taken, line("size", 0.2, 2.4)]))
    assert nest_by_size([line("as calibrated", 0.1, 1.0), line("size", -0.1, -0.6)]) is None


@pytest.mark.parametrize("form, rho", [("log", 0.3), ("linear", 0.0)])
def test_prices_that_are_nash_are_one_times_nash(form: str, rho: float) -> None:
    quality, cost = np.array([1.0, 1.5]), np.array([1.0, 1.3])
    market = Logit(quality, cost, 2.5, form == "log", rho, 0.0, 1.0, np.zeros((1, 2)), np.ones(1))
    price = nash_prices(market)
    weight = np.exp((quality - 2.5 * (np.log(price) if form == "log" else price)) / (1 - rho))
    share = weight / weight.sum() * weight.sum() ** (1 - rho) / (1 + weight.sum() ** (1 - rho))
    none = pd.Series(dtype=float)
    nest = Coefficient(rho, 0.1) if rho else None
    one = Estimate(form, Coefficient(2.5, 0.1), nest, None, None, {}, {}, {}, none, none, 0.5, 9, 9, ())
    assert nash_to_file(price, share, cost, one) == pytest.approx([1.0, 1.0], rel=1e-6)
    found = nash_to_file(2 * price, share, cost, one)
    assert found is not None and found.max() < 1.0, "twice the price at the same shares is more than best replies"


# ------------------------------------------------------------------------------------------------ small counts


def test_counting_noise_is_that_of_the_matrix_of_each_period() -> None:
    chance, names = np.random.default_rng(2), ["a", "b", "c"]
    units = chance.integers(1, 30, (40, 3)).astype(float)
    rows = [("m", t, names[k], units[t, k], 200.0) for t in range(40) for k in range(3) if (t + k) % 5]
    table = pd.DataFrame(rows, columns=["market", "period", "seller", "units", "size"])
    total, count = np.zeros((3, 3)), np.zeros((3, 3))
    for _, group in table.groupby("period"):
        at, q = [names.index(name) for name in group["seller"]], group["units"].to_numpy()
        g = 0.7 * np.diag(1 / q) + 0.3 / q.sum() + 1 / (200.0 - q.sum())
        total[np.ix_(at, at)] += g @ np.diag(q) @ g.T
        count[np.ix_(at, at)] += 1
    np.testing.assert_allclose(_counting(table, cells(table, names), 0.3, 3), total / count)


def test_persistence_under_counting_noise_is_told_by_two_lags() -> None:
    periods, chance = 30_000, np.random.default_rng(3)
    shock = lasting(chance, (periods, 2), 0.6, 0.3)
    units = np.full((periods, 2), 4.0)
    xi = pd.Series((shock + chance.normal(0, 0.5, shock.shape)).reshape(-1))
    rows = [("m", t, "ab"[k], units[t, k], 1e5) for t in range(periods) for k in range(2)]
    table = pd.DataFrame(rows, columns=["market", "period", "seller", "units", "size"])
    table["outside"] = np.log((1e5 - 8.0) / 1e5)
    none = Coefficient(2.0, 0.1)
    one = Estimate("log", none, None, None, None, {}, {}, {}, xi, xi, 0.5, len(xi), periods, ())
    found = fit_shocks(table, one, ["a", "b"])
    assert found.noise > 0.5 and found.persistence == pytest.approx(0.6, abs=0.06)


# ------------------------------------------------------------------------------------------------ what is written


def written(found: Calibration) -> MarketSpec:
    return MarketSpec.parse(yaml.safe_load(configuration(found))["market"])


@needs("pyblp")
@pytest.mark.parametrize("seed", range(2))
def test_every_market_that_is_written_builds_and_sells_whatever_its_sellers_are(seed: int, tmp_path: Path) -> None:
    """Sellers of every size, the smallest a hundredth and less of the largest; stocked or made to order."""
    chance = np.random.default_rng(seed)
    frame = sales_of("exogenous", seed, markets=1 + seed % 2, periods=40, size=40_000)
    factor = dict(zip(sorted(frame["seller"].unique()), 10.0 ** chance.uniform(-2.5, 0, 4), strict=True))
    frame["units"] = (frame["units"] * frame["seller"].map(factor)).round().astype(int) + 8
    frame["cost"] *= chance.uniform(0.3, 1.6)
    options = CalibrationOptions(
        inventory="stocked" if seed % 2 else "make_to_order", force=("not-significant", "negative-cost")
    )
    spec = written(calibrate(sales_in_memory(frame.drop(columns="market_size")), options))
    batch = MarketBatch(spec, markets=4, seed=0)
    batch.reset()
    assert np.isfinite(batch.reward_scale).all() and (batch.reward_scale > 0).all()
    ledger = batch.step(np.full((4, 4), [seller.start_price for seller in spec.sellers]), np.full((4, 4), 10.0))
    assert np.isfinite(ledger["profit"] / batch.reward_scale).all()


@needs("pyblp")
def test_a_seller_too_small_for_its_own_scale_gets_one() -> None:
    frame = sales_of("exogenous", 3, markets=1, periods=60, size=400_000, rho=0.0).drop(columns=["cost", "market_size"])
    frame.loc[frame["seller"] == "s0", "units"] = frame.loc[frame["seller"] == "s0", "units"] // 50
    spec = written(calibrate(sales_in_memory(frame), CalibrationOptions(form="log", nest=False)))
    given = [seller.reward_scale for seller in spec.sellers]
    assert given[0] is not None and given[1:] == [None, None, None]
    scales = MarketBatch(spec, markets=1, seed=0).reward_scale
    assert 0.01 * scales.max() < scales[0] < 0.2 * scales.max(), "a twentieth of the mean"
