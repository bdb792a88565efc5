"""The pieces of a calibration against closed forms, finite differences and brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.calibration.comparison import log_log
from market.calibration.fit import _contradiction, corrections, expected_shares, shares
from market.calibration.market_size import market_sizes
from market.calibration.regression.absorbed import absorb
from market.calibration.regression.design import Season, cells, references
from market.calibration.regression.instruments import first_stage
from market.calibration.regression.logit import Coefficient, Estimate, elasticities, implied_cost
from market.calibration.shocks import Shocks, fit_promotions, fit_shocks
from market.demand.equilibrium import nash_prices
from market.demand.logit import Logit
from market.spec.models import MarketSpec
from tests.helpers.truths import lay_out

NAMES = ["a", "b", "c"]


def estimate(xi: pd.Series, rho: float = 0.0, **promotions: float) -> Estimate:
    one = Coefficient(2.0, 0.1)
    named = {name: Coefficient(value, 0.1) for name, value in promotions.items()}
    nest = Coefficient(rho, 0.1) if rho else None
    return Estimate("log", one, nest, None, None, named, {}, {}, xi, xi, 0.5, len(xi), 30, ())


# ---------------------------------------------------------------------------------------------- elasticities


def test_elasticities_of_one_seller_by_hand() -> None:
    assert elasticities([2.0], [0.25], 3.0, 0.0, "log") == pytest.approx(np.array([[-2.25]]))
    assert elasticities([2.0], [0.25], 3.0, 0.0, "linear") == pytest.approx(np.array([[-4.5]]))
    assert implied_cost(2.0, 0.25, 1.0, 3.0, 0.0, "log") == pytest.approx(2 * (1 - 1 / 2.25))


@given(
    st.lists(st.floats(-3, 2), min_size=2, max_size=4), st.floats(0.3, 4), st.floats(0, 0.9), st.sampled_from(["log", "linear"])
)  # fmt: skip
def test_elasticities_are_the_slopes_of_the_shares(quality: list[float], alpha: float, rho: float, form: str) -> None:
    price = np.linspace(1.0, 2.0, len(quality))

    def demand(p: np.ndarray) -> np.ndarray:
        term = np.log(p) if form == "log" else p
        return shares((np.array(quality) - alpha * term)[None], rho)[0]

    found, step = elasticities(price, demand(price), alpha, rho, form), 1e-5
    for k in range(len(price)):
        up, down = price.copy(), price.copy()
        up[k], down[k] = price[k] * np.exp(step), price[k] * np.exp(-step)
        slope = (np.log(demand(up)) - np.log(demand(down))) / (2 * step)
        assert found[:, k] == pytest.approx(slope, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("form", ["log", "linear"])
@pytest.mark.parametrize("rho", [0.0, 0.4])
def test_implied_costs_are_those_at_which_the_prices_are_nash(form: str, rho: float) -> None:
    sellers = [
        {"name": name, "quality": q, "unit_cost": c, "prices": [0.1, 50]}
        for name, q, c in zip(NAMES, (1.0, 1.5, 0.5), (1.0, 1.3, 0.8), strict=True)
    ]
    spec = MarketSpec.parse(
        {"horizon": 10, "inventory": "make_to_order", "price_form": form, "price_sensitivity": 2.5, "nest": rho,
         "customers": {"rate": 100}, "sellers": sellers}
    )  # fmt: skip
    price = nash_prices(Logit.of(spec))
    term = np.log(price) if form == "log" else price
    share = shares((np.array([1.0, 1.5, 0.5]) - 2.5 * term)[None], rho)[0]
    assert implied_cost(price, share, share / share.sum(), 2.5, rho, form) == pytest.approx([1.0, 1.3, 0.8], rel=1e-7)


# ---------------------------------------------------------------------------------------------- shares and levels


def test_shares_by_hand_and_with_a_seller_that_is_absent() -> None:
    assert shares(np.array([[0.0, 0.0]]), 0.0)[0] == pytest.approx([1 / 3, 1 / 3])
    assert shares(np.array([[0.0, np.nan]]), 0.5)[0] == pytest.approx([1 / 2, 0.0])
    both = np.exp(0.5 * np.log(2.0))  # two equal sellers in one nest of rho 0.5 weigh the square root of two
    assert shares(np.array([[0.0, 0.0]]), 0.5)[0] == pytest.approx([both / (1 + both) / 2] * 2)


def table_of(units: np.ndarray, size: float = 1000.0) -> pd.DataFrame:
    """A design's table of units (T, N) of one market."""
    rows = [("all", t, NAMES[k], float(q), size) for t, row in enumerate(units) for k, q in enumerate(row)]
    table = pd.DataFrame(rows, columns=["market", "period", "seller", "units", "size"])
    sold = table.groupby("period")["units"].transform("sum")
    table["share"], table["outside"] = np.log(table["units"] / size), np.log((size - sold) / size)
    return table


def test_a_level_without_shocks_is_the_log_odds() -> None:
    table = table_of(np.array([[30.0]]), size=100)
    move = corrections(table, pd.Series([0.0]), 0.0, Shocks(0.0, {"a": 0.0}, 0.0, 0.0, 0.0))
    assert move["a"] == pytest.approx(np.log(3 / 7))


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.8, 0.94])
def test_levels_make_expected_totals_those_of_the_file_with_shocks_and_absent_sellers(rho: float) -> None:
    chance = np.random.default_rng(1)
    table = table_of(chance.integers(5, 80, (60, 3)).astype(float))
    table = table[~((table["seller"] == "b") & (table["period"] % 4 == 0))].reset_index(drop=True)
    utility = pd.Series(chance.normal(-3, 0.5, len(table)))
    shocks = Shocks(0.3, {"a": 0.4, "b": 0.2, "c": 0.6}, 0.0, 0.0, 0.0)
    shocks = Shocks((1 - rho) * 0.3, {k: (1 - rho) * v for k, v in shocks.own.items()}, 0.0, 0.0, 0.0)
    move = corrections(table, utility, rho, shocks)
    moved = utility + table["seller"].map(move)
    z = np.random.default_rng(2).standard_normal((4000, 4))  # other draws, and many more
    xi = (1 - rho) * (z[:, :3] * [0.4, 0.2, 0.6] + 0.3 * z[:, 3:])
    wide = moved.groupby([table["period"], table["seller"]]).first().unstack().to_numpy()
    expected = 1000 * sum(shares(wide + one, rho).sum(0) for one in xi) / len(xi)
    assert expected == pytest.approx(table.groupby("seller")["units"].sum().to_numpy(), rel=0.03)


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_expected_shares_of_rows_are_those_of_a_table_laid_out(rho: float) -> None:
    chance = np.random.default_rng(4)
    table = table_of(np.ones((20, 3))).sample(frac=0.7, random_state=1)
    utility, xi = pd.Series(chance.normal(0, 5, len(table)), table.index), chance.normal(0, 1, (5, 3))
    utility.iloc[3] = np.nan
    found = utility * 0 + expected_shares(utility.to_numpy(), *cells(table, NAMES), rho, xi)
    wide = lay_out(table, utility, NAMES)
    wanted = lay_out(table, found.fillna(0.0), NAMES)
    mean = sum(shares(wide + one, rho) for one in xi) / len(xi)
    assert np.allclose(mean[np.isfinite(wanted)], wanted[np.isfinite(wanted)], rtol=1e-12)


# ---------------------------------------------------------------------------------------------- shocks


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_counting_noise_alone_is_recognised_as_no_shock(rho: float) -> None:
    """Poisson counts of fixed means: the inverted utilities vary, and all of that is counting."""
    chance = np.random.default_rng(3)
    units = chance.poisson([40.0, 25.0, 60.0], (4000, 3)).astype(float)
    table = table_of(np.maximum(units, 1), 400.0)
    sold = table.groupby("period")["units"].transform("sum")
    delta = table["share"] - table["outside"] - rho * np.log(table["units"] / sold)
    xi = delta - delta.groupby(table["seller"]).transform("mean")
    found = fit_shocks(table, estimate(xi, rho), NAMES)
    assert found.noise == pytest.approx(1.0, abs=0.05)
    assert found.common < 0.05 and max(found.own.values()) < 0.07
    assert xi.std() > 0.12, "so that the test can fail"


def test_common_own_and_lasting_parts_are_told_apart() -> None:
    chance = np.random.default_rng(4)
    periods, persistence = 20_000, 0.6

    def lasting(sd: float) -> np.ndarray:
        z = np.empty(periods)
        z[0] = chance.normal()
        for t in range(1, periods):
            z[t] = persistence * z[t - 1] + np.sqrt(1 - persistence**2) * chance.normal()
        return sd * z

    common = lasting(0.3)
    xi = np.stack([common + lasting(sd) for sd in (0.2, 0.4, 0.1)], axis=1)
    table = table_of(np.full((periods, 3), 1e7), 1e9)  # so many units that counting makes no noise
    found = fit_shocks(table, estimate(pd.Series(xi.reshape(-1))), NAMES)
    assert found.common == pytest.approx(0.3, abs=0.02)
    assert list(found.own.values()) == pytest.approx([0.2, 0.4, 0.1], abs=0.02)
    assert found.persistence == pytest.approx(persistence, abs=0.03)


# ---------------------------------------------------------------------------------------------- the table


def test_reference_prices_by_hand() -> None:
    table = pd.DataFrame({"market": "all", "seller": "a", "f": [2.0, 1.0, 1.0, 3.0]})
    assert references(table, 0.5).tolist() == [2.0, 2.0, 1.5, 1.25]
    assert references(table, 0.0).tolist() == [2.0, 2.0, 1.0, 1.0]


def test_seasons_are_counted_in_cycles() -> None:
    season = Season(52, 4)
    assert season.count == 13
    assert season.index(pd.Series([0, 3, 4, 51, 52, 55, 56])).tolist() == [0, 0, 1, 12, 0, 0, 1]


def test_promotions_by_hand() -> None:
    on = [0, 1, 1, 0, 0, 0, 1, 0, 0, 0]  # in two runs of 2 and 1
    table = pd.DataFrame({"market": "all", "seller": "a", "period": range(10), "promo": on, "other": [0.0, 1.0] * 5})
    found = fit_promotions(table, estimate(pd.Series(np.zeros(10)), promo=0.8, other=0.1), ["a"])
    assert found is not None and found.column == "promo"
    assert (found.effect, found.mean_length, found.frequency) == (0.8, 1.5, {"a": 0.3})
    assert found.steady["a"] == pytest.approx(0.05), "the other promotion, in half of the periods"


def test_a_market_size_by_the_rule_by_hand() -> None:
    from types import SimpleNamespace

    from market.salesfile.findings import Findings

    rows = pd.DataFrame({"market": "all", "period": [0, 0, 1], "units": [30.0, 40.0, 50.0], "line": [2, 3, 4]})
    sales = SimpleNamespace(rows=rows, has=lambda name: False, labels=["0", "1"])
    assert market_sizes(sales, Findings("x")).tolist() == [105.0] * 3  # type: ignore[arg-type]


def test_the_log_log_regression_is_that_of_dummies() -> None:
    chance = np.random.default_rng(6)
    table = table_of(chance.integers(1, 80, (50, 3)).astype(float))
    table["price"] = np.exp(chance.normal(0, 0.2, len(table)))
    logs = np.log(table["price"]).to_numpy().reshape(50, 3)
    rivals = (logs.sum(1, keepdims=True) - logs) / 2
    dummies = np.tile(np.eye(3), (50, 1))
    x = np.column_stack([logs.reshape(-1), rivals.reshape(-1), dummies])
    wanted = np.linalg.lstsq(x, np.log(table["units"].to_numpy()), rcond=None)[0][:2]
    assert log_log(table)(table["units"].to_numpy()) == pytest.approx(tuple(wanted))


def test_the_first_stages_f_of_one_instrument_is_its_clustered_t_squared() -> None:
    """Against the sandwich written out for one regressor (Cameron & Miller 2015, eq. 11)."""
    chance = np.random.default_rng(8)
    table = pd.DataFrame({"market": "all", "seller": "a", "period": np.repeat(np.arange(40), 3)})
    common = np.repeat(chance.normal(0, 1, 40), 3)
    table["z"] = chance.normal(0, 1, 120) + common
    y = 0.5 * table["z"].to_numpy() + chance.normal(0, 1, 120) + common
    z = table["z"].to_numpy() - table["z"].mean()
    slope = z @ (y - y.mean()) / (z @ z)
    rest = y - y.mean() - slope * z
    clustered = sum((z[k : k + 3] @ rest[k : k + 3]) ** 2 for k in range(0, 120, 3)) / (z @ z) ** 2
    assert first_stage(table, {}, ["z"], y, absorb(table)) == pytest.approx(slope**2 / clustered)


def test_an_instrument_that_says_nothing_is_weak_and_a_good_one_is_not() -> None:
    chance = np.random.default_rng(9)
    table = pd.DataFrame({"market": "all", "seller": "a", "period": np.arange(400)})
    table["good"], table["bad"], known = chance.normal(0, 1, 400), chance.normal(0, 1, 400), chance.normal(0, 1, 400)
    y = table["good"].to_numpy() + known + chance.normal(0, 1, 400)
    assert first_stage(table, {"known": known}, ["bad"], y, absorb(table)) < 8
    assert first_stage(table, {"known": known}, ["good"], y, absorb(table)) > 100


# ---------------------------------------------------------------------------------------------- nests below zero


@pytest.mark.parametrize(("rho", "error", "kinds"), [(-0.13, 0.02, True), (-0.13, 0.1, False), (1.8, 3.8, False)])
def test_a_nest_that_is_certainly_below_zero_is_explained(rho: float, error: float, kinds: bool) -> None:
    one = replace(estimate(pd.Series([0.1, -0.1])), rho=Coefficient(rho, error))
    assert ("customers are of several kinds" in str(_contradiction(one))) == kinds
