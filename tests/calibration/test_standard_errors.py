"""Standard errors against statsmodels, against their definition written out, and against what they promise."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from market.calibration.regression.design import COST, Season, build_design, with_costs
from market.calibration.regression.logit import design_columns, estimate, parameters, regression
from market.calibration.regression.standard_errors import LAGS, by_period, long_run, slope_scores, small_sample, within
from tests.helpers.extras import needs
from tests.helpers.truths import ALPHA, lasting, sales_in_memory, sales_of


@pytest.fixture(scope="module")
def panel() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Regressors (R, 2), outcome (R,), fixed effect (R,) and period (R,), some rows missing."""
    chance, periods, units = np.random.default_rng(3), 60, 5
    x = np.stack([lasting(chance, (periods, units), 0.8, 1.0), chance.normal(size=(periods, units))], axis=-1)
    y = x @ [1.5, -0.5] + lasting(chance, (periods, units), 0.6, 1.0) + lasting(chance, (periods, 1), 0.6, 0.5)
    there = chance.random((periods, units)) > 0.1
    period, effect = np.nonzero(there)
    return x[there], y[there], effect, period


def test_bartletts_sum_over_eight_lags_is_that_of_statsmodels(panel: tuple[np.ndarray, ...]) -> None:
    sm = pytest.importorskip("statsmodels.api")
    x, y, effect, period = panel
    dummies = np.column_stack([x, np.eye(5)[effect]])
    theirs = sm.OLS(y, dummies).fit(
        cov_type="hac-groupsum", cov_kwds={"time": period, "maxlags": LAGS, "use_correction": False}
    )
    rest = y - dummies @ theirs.params
    rows = long_run(by_period(slope_scores(x, x, rest, effect), period))
    np.testing.assert_allclose(rows.T @ rows, theirs.cov_params()[:2, :2], rtol=1e-9)


def test_a_covariance_with_instruments_is_its_definition_written_out(panel: tuple[np.ndarray, ...]) -> None:
    x, y, effect, period = panel
    z = x + np.random.default_rng(4).normal(size=x.shape)
    zc, xc, yc = within(z, effect), within(x, effect), within(y[:, None], effect)[:, 0]
    projected = zc @ np.linalg.inv(zc.T @ zc) @ zc.T @ xc
    bread = np.linalg.inv(projected.T @ projected)
    rest = yc - xc @ (bread @ projected.T @ yc)
    meat = np.zeros((2, 2))
    for t in range(60):
        for s in range(60):
            weight = max(1 - abs(t - s) / (LAGS + 1), 0)
            one, other = (sum(projected[i] * rest[i] for i in np.flatnonzero(period == k)) for k in (t, s))
            meat += weight * np.outer(one, other)
    rows = long_run(by_period(slope_scores(x, z, rest, effect), period))
    np.testing.assert_allclose(rows.T @ rows, bread @ meat @ bread, rtol=1e-9)


def test_what_lasts_is_taken_off_and_put_back() -> None:
    """By hand: sums 1, .5, .25 have a = (.5 + .125) / (1 + .25) = .5, so that 2, 0, 0 are left."""
    rows = long_run(np.array([[1.0], [0.5], [0.25]]), ["one"], lags=0)
    np.testing.assert_allclose(rows[:, 0], [2.0, 0.0, 0.0])
    np.testing.assert_allclose(long_run(np.ones((2, 1)), lags=1).T @ long_run(np.ones((2, 1)), lags=1), [[3.0]])


def test_a_period_without_rows_is_a_period_of_zeros() -> None:
    assert by_period(np.array([[1.0], [2.0], [4.0]]), np.array([3, 3, 5])).tolist() == [[3.0], [0.0], [4.0]]


def test_the_factor_of_short_files_by_hand() -> None:
    b = 9 / 104
    wanted = (1.96 + 2.9694 * b + 0.416 * b**2 - 0.5324 * b**3) / 1.96 * np.sqrt(104 / 103 * 500 / 480)
    assert small_sample(500, 20, 104) == pytest.approx(wanted) and small_sample(10**9, 1, 10**6) == pytest.approx(
        1, 1e-4
    )


@needs("pyblp")
def test_errors_of_an_estimate_are_those_of_its_scores() -> None:
    sales = sales_in_memory(sales_of("persistent", 1, markets=2, periods=60))
    design = build_design(sales, sales.rows["market_size"].astype(float), "log", Season(), trend=False)
    one, columns = estimate(design, True), design_columns(design, True)
    x, z, absorbed = regression(design, columns, one.instruments)
    summed = by_period(slope_scores(x, z, one.xi.to_numpy(), absorbed.effect), design.sold["period"].to_numpy())
    rows = long_run(summed, ["price", "price", "promotion"]) * small_sample(len(x), parameters(columns, absorbed), 60)
    assert one.rho is not None and list(columns) == ["within", "f", "promo_x"]
    wanted = np.sqrt((rows**2).sum(0))
    assert [one.rho.error, one.alpha.error, one.promotions["promo_x"].error] == pytest.approx(wanted.tolist())


def test_intervals_hold_where_shocks_and_prices_last_and_those_of_plain_clusters_do_not() -> None:
    """The regression alone, 150 panels of 104 periods; tests/experiments/price_coefficient.py has whole calibrations."""
    held, plain = 0, 0
    for seed in range(150):
        chance = np.random.default_rng([5, seed])
        x, e = lasting(chance, (104, 4), 0.8, 1.0), lasting(chance, (104, 4), 0.7, 1.0)
        effect, period = np.tile(np.arange(4), 104), np.repeat(np.arange(104), 4)
        x, y = within(x.reshape(-1, 1), effect), within((2.0 * x + e).reshape(-1, 1), effect)[:, 0]
        found = float(x[:, 0] @ y / (x[:, 0] @ x[:, 0]))
        summed = by_period(slope_scores(x, x, y - found * x[:, 0], effect), period)
        error = np.sqrt((long_run(summed, ["slope"]) ** 2).sum()) * small_sample(416, 5, 104)
        held += abs(found - 2.0) < 1.96 * error
        plain += abs(found - 2.0) < 1.96 * np.sqrt((summed**2).sum())
    assert 0.90 <= held / 150 <= 0.98 and plain / 150 < 0.85


# ------------------------------------------------------------------------------------------------ instruments


@needs("pyblp")
def test_under_instruments_the_nests_term_is_instrumented_by_rivals_costs() -> None:
    """Eight files whose prices follow shocks: alpha and rho on average, and least squares far off."""
    found, least = [], []
    for seed in range(8):
        sales = sales_in_memory(sales_of("endogenous", seed))
        design = build_design(sales, sales.rows["market_size"].astype(float), "log", Season(), trend=False)
        one = estimate(with_costs(design, sales.rows["cost"]), True, (COST,))
        assert one.rho is not None and one.instruments == (COST, f"rivals_{COST}", "rivals_promo_x")
        found.append((one.alpha.value, one.rho.value))
        least.append(estimate(design, True).alpha.value)
    assert np.mean(found, axis=0) == pytest.approx([ALPHA, 0.3], abs=0.07)
    assert np.mean(least) < 1.5


# ------------------------------------------------------------------------------------------------ many sellers


@needs("pyblp")
@pytest.mark.parametrize("nested", [True, False])
def test_taking_trends_off_is_a_regression_with_a_column_a_seller(nested: bool) -> None:
    """Two-stage least squares on dummies and trends written out, errors by their scores; some rows and a cell are missing."""
    frame = sales_of("persistent", 3, markets=3, periods=60)
    frame = frame[~((frame["seller"] == "s1") & (frame["market"] == "m2"))].sample(frac=0.9, random_state=1)
    sales = sales_in_memory(frame)
    design = build_design(sales, sales.rows["market_size"].astype(float), "log", Season(60, 20))
    one, table = estimate(replace(design, trends=("s1", "s2", "s3")), nested), design.sold
    columns = ["within"] * nested + ["f", "promo_x"]
    x = [table[name].to_numpy() for name in columns] + [(table["season"] == name).to_numpy(float) for name in "12"]
    time = table["period"].to_numpy() / 60
    dense = np.column_stack([*x, *(time * (table["seller"] == name) for name in ("s1", "s2", "s3"))])
    dummies = pd.get_dummies(table["market"] + table["seller"]).to_numpy(float)
    regressors = np.hstack([dense, dummies])
    others = np.column_stack([table[name] for name in design.rivals[: 2 * nested]] or [np.zeros((len(table), 0))])
    z = np.hstack([regressors[:, nested:], others])
    projected = z @ np.linalg.lstsq(z, regressors, rcond=None)[0]
    y = (table["share"] - table["outside"]).to_numpy()
    wanted = np.linalg.solve(projected.T @ regressors, projected.T @ y)
    rest = y - regressors @ wanted
    scores = (projected * rest[:, None]) @ np.linalg.inv(projected.T @ regressors).T
    kinds = ["price"] * (1 + nested) + ["calendar"] * 3 + ["trend"] * 3
    rows = long_run(by_period(scores[:, : len(kinds)], table["period"].to_numpy()), kinds)
    errors = np.sqrt((rows**2).sum(0)) * small_sample(len(table), regressors.shape[1], 60)
    np.testing.assert_allclose(one.beta, wanted[: len(kinds)], rtol=1e-9)
    np.testing.assert_allclose(one.xi, rest, atol=1e-9)
    assert one.alpha.error == pytest.approx(errors[int(nested)], rel=1e-9)
    assert [trend.error for trend in one.trends.values()] == pytest.approx(errors[-3:], rel=1e-9)
    assert list(one.trends) == ["s1", "s2", "s3"]


def test_a_trend_a_seller_takes_no_column_a_seller() -> None:
    """Memory at its peak, of 200 sellers with a trend: some copies of the table, none of them times the sellers."""
    sellers, periods = 200, 50
    frame = pd.DataFrame({"period": np.repeat(np.arange(1, periods + 1), sellers), "market": "m"})
    frame["seller"] = np.tile([f"s{k:03}" for k in range(sellers)], periods)
    frame["price"] = np.exp(np.random.default_rng(1).normal(0, 0.2, len(frame)))
    frame["units"] = (50 * frame["price"] ** -2).round() + 1
    sales = sales_in_memory(frame)
    tracemalloc.start()
    try:
        design = build_design(sales, sales.rows["units"] * 0 + 1e5, "log", Season())
        regression(design, design_columns(design, nested=True), ("f", "rivals_f"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(design.trends) == sellers
    assert peak < 0.5 * 8 * sellers * len(frame), "half of one column a seller"
