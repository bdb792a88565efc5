"""The law of a period's demand against scipy, an integral, the market, and shares of theory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import nbinom, norm, poisson

from market.demand.logit import Logit, shares
from market.spec.models import MarketSpec
from market.theory.demand_law import DemandLaw, ample_level, demand_law
from policies.sellers.rollout import play
from policies.sellers.rules.level_search import build
from tests.helpers.duopoly import duopoly, everybody_buys
from tests.helpers.markets import a_market


def law(mean: float, dispersion: float = 0.0, basket: int = 1) -> DemandLaw:
    return DemandLaw(np.array([mean]), np.array([1.0]), dispersion, basket)


def test_one_mean_is_poisson_or_negative_binomial() -> None:
    k = np.arange(60)
    np.testing.assert_allclose(law(7.5).units(60), poisson.pmf(k, 7.5), rtol=1e-12, atol=1e-300)
    want = nbinom.pmf(k, 1 / 0.4, 1 / (1 + 0.4 * 7.5))
    np.testing.assert_allclose(law(7.5, dispersion=0.4).units(60), want, rtol=1e-12)


def test_baskets_are_sold_whole() -> None:
    units = law(2.0, basket=3).units(8)
    np.testing.assert_allclose(units[[0, 3, 6]], poisson.pmf([0, 1, 2], 2.0), rtol=1e-12)
    assert units[[1, 2, 4, 5, 7]].tolist() == [0.0] * 5
    assert law(2.0, basket=3).mean == 6.0


def lonely(**changes: Any) -> MarketSpec:
    """One seller of utility 1 - price, with a shock of standard deviation .6 in two parts."""
    seller = {"quality": 1.0, "xi": 0.48}
    return MarketSpec.parse(a_market(seller, **({"demand_shock": {"common": 0.36}} | changes)))


@pytest.mark.parametrize("rate", [8.0, 400.0])
def test_a_shock_to_utility_is_averaged_over_as_an_integral_is(rate: float) -> None:
    found = demand_law(lonely(customers={"rate": rate}), 0, [1.5])
    mass = found.units(int(1.2 * rate) + 40)

    def chance(z: float, count: int) -> float:
        return float(norm.pdf(z) * poisson.pmf(count, rate / (1 + np.exp(0.5 - 0.6 * z))))

    with np.errstate(under="ignore"):
        for count in (int(0.2 * rate), int(0.38 * rate), int(0.6 * rate)):
            want = quad(chance, -8, 8, args=(count,), limit=400, epsabs=1e-13)[0]
            assert mass[count] == pytest.approx(want, rel=2e-4)
    assert mass.sum() == pytest.approx(1.0, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(
    own=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    common=st.sampled_from([0.0, 0.2, 0.7]),
    nest=st.sampled_from([0.0, 0.4]),
    sd=st.sampled_from([0.0, 0.3]),
    price=st.floats(1, 3),
)
def test_the_mean_is_theorys_share_of_the_customers(
    own: float, common: float, nest: float, sd: float, price: float
) -> None:
    spec = duopoly({"xi": own}, nest=nest, demand_shock={"common": common}, customers={"rate": 20, "shock": {"sd": sd}})
    posted = [price, 2.0]
    want = 20 * shares(Logit.of(spec), posted)
    for seat in (0, 1):
        assert demand_law(spec, seat, posted).mean == pytest.approx(want[seat], rel=1e-5)


def test_the_market_draws_from_this_law() -> None:
    """Three sellers with shocks, dispersion and a market shock; nobody runs dry: frequencies and the law, chi-square."""
    customers = {"rate": 15.0, "dispersion": 0.3, "shock": {"sd": 0.3}}
    sellers = [{"quality": 2.0 + 0.2 * k, "xi": 0.4, "stock": 4000} for k in range(3)]
    spec = MarketSpec.parse(a_market(*sellers, customers=customers, demand_shock={"common": 0.3}, horizon=50))
    players = [build("constant(price=2)+constant_order(quantity=0)", spec, seat) for seat in range(3)]
    sold = play(spec, players, markets=2000, seed=4, fields=("sold", "lost"))
    assert sold["lost"].max() == 0
    size = 22
    for seat in range(3):
        chance = demand_law(spec, seat, [2.0] * 3).units(size)
        chance = np.append(chance, 1 - chance.sum())
        seen = np.bincount(np.minimum(sold["sold"][:, :, seat].astype(int), size).reshape(-1), minlength=size + 1)
        expected = chance * seen.sum()
        assert expected.min() > 5
        assert ((seen - expected) ** 2 / expected).sum() < 48.3  # 22 degrees of freedom, 1 in 1000


# ------------------------------------------------------------------------------------------------ ample stock


def test_the_ample_level_is_the_smallest_that_hardly_ever_runs_dry() -> None:
    assert ample_level(everybody_buys(0), 0, 2.0) == 23
    assert poisson.sf(23, 5) < 1e-9 < poisson.sf(22, 5)
    level = ample_level(everybody_buys(3), 0, 2.0)
    assert poisson.sf(level, 20) < 1e-9 < poisson.sf(level - 1, 20)
    level = ample_level(everybody_buys(1, dispersion=0.5), 0, 2.0)
    assert nbinom.sf(level, 4, 1 / 3.5) < 1e-9 < nbinom.sf(level - 1, 4, 1 / 3.5)
    assert ample_level(everybody_buys(0, basket=4), 0, 2.0) == 4 * 23


def test_the_ample_level_of_a_million_customers() -> None:
    """Their counts are not listed: a period's level is scipy's, that of more a bound; what lies beyond a count adds up."""
    large = ample_level(everybody_buys(0, rate=1e6), 0, 2.0)
    assert poisson.sf(large, 1e6) < 1e-9 < poisson.sf(large - 1, 1e6)
    clustered = ample_level(everybody_buys(0, rate=1e6, dispersion=0.5), 0, 2.0)
    assert nbinom.sf(clustered, 2, 1 / (1 + 5e5)) < 1e-9 < nbinom.sf(clustered - 1, 2, 1 / (1 + 5e5))
    longer = ample_level(everybody_buys(3, rate=1e6), 0, 2.0)
    assert poisson.isf(1e-9, 4e6) <= longer < 1.0001 * poisson.isf(1e-9, 4e6)
    shocked = demand_law(duopoly({"xi": 0.5}, customers={"rate": 300}), 0, [2.0, 2.0])
    beyond = [shocked.beyond(count) for count in range(300)]
    assert beyond == pytest.approx(1 - np.cumsum(shocked.baskets(300)), abs=1e-12)


@pytest.mark.parametrize("rate", [1e5, 1e9])
@pytest.mark.parametrize("lead_time", [1, 3])
def test_the_ample_level_of_several_large_periods_is_scarcely_too_high(rate: float, lead_time: int) -> None:
    """Beside the sum of negative binomials, which is one: never too low, at most two thousandths a period too high."""
    window = lead_time + 1
    exact = nbinom.isf(1e-9, 2 * window, 1 / (1 + 0.5 * rate))
    found = ample_level(everybody_buys(lead_time, rate=rate, dispersion=0.5), 0, 2.0)
    assert 0 <= found / exact - 1 < 0.002 * window


@pytest.mark.parametrize("own", [0.3, 0.6])
def test_summed_means_beside_the_table_of_counts(monkeypatch: pytest.MonkeyPatch, own: float) -> None:
    """Of some ten thousand units, where both can be: at most a thousandth a period too high."""
    spec = duopoly({"xi": own, "lead_time": 3}, customers={"rate": 6000})
    exact = ample_level(spec, 0, 2.0)
    monkeypatch.setattr("market.theory.demand_law.MOST_COUNTS", 0)
    assert 15_000 < exact <= ample_level(spec, 0, 2.0) < 1.004 * exact


def test_a_table_in_parts_is_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    found = demand_law(duopoly({"xi": 0.5}, customers={"rate": 300, "dispersion": 0.2}), 0, [2.0, 2.0])
    whole = found.units(1000)
    monkeypatch.setattr("market.theory.demand_law.MOST_CELLS", 200 * len(found.means))
    np.testing.assert_array_equal(found.units(1000), whole)


@pytest.mark.parametrize("dispersion", [0.0, 0.2])
def test_likely_counts_are_those_between_the_tails(dispersion: float) -> None:
    found = demand_law(duopoly({"xi": 0.1}, customers={"rate": 3000, "dispersion": dispersion}), 0, [2.0, 2.0])
    below = np.cumsum(found.baskets(8000))
    low, high = found.likely(1e-6)
    assert below[low - 1] <= 1e-6 < below[low]
    assert 1 - below[high] < 1e-6 <= 1 - below[high - 1]


def test_the_ample_level_takes_rivals_away_and_the_busiest_day() -> None:
    spec = duopoly()
    alone = 20 / (1 + np.exp(2 * 2.0 - 4.0))
    level = ample_level(spec, 0, 2.0)
    assert poisson.sf(level, 2 * alone) < 1e-9 < poisson.sf(level - 1, 2 * alone)
    week = everybody_buys(0, weekly=[0.5, 2.0])
    assert poisson.sf(ample_level(week, 0, 2.0), 10) < 1e-9 < poisson.sf(ample_level(week, 0, 2.0) - 1, 10)
    events = duopoly({"event_frequency": 0.2}, events={"effect": 1.0, "mean_length": 2})
    lifted = 20 / (1 + np.exp(2 * 2.0 - 5.0))
    assert poisson.sf(ample_level(events, 0, 2.0), 2 * lifted) < 1e-9


def test_the_ample_level_where_periods_depend_on_one_another_is_a_bound() -> None:
    free, tied = (
        duopoly({"xi": 0.5, "lead_time": 2}, demand_shock={"persistence": persistence}) for persistence in (0.0, 0.9)
    )
    assert ample_level(tied, 0, 2.0) > ample_level(free, 0, 2.0) + 20


def test_the_ample_level_of_the_fluid_limit() -> None:
    assert ample_level(everybody_buys(2, mode="expected"), 0, 2.0) == pytest.approx(15.0)


@pytest.mark.parametrize("persistence", [0.0, 0.8])
def test_ample_stock_never_runs_dry_though_a_rival_has_nothing(persistence: float) -> None:
    spec = duopoly(
        {"xi": 0.5}, demand_shock={"persistence": persistence}, customers={"rate": 20, "dispersion": 0.3}, horizon=100
    )
    sellers = [build("nash+base_stock(level=ample)", spec, 0), build("constant(price=1)+base_stock(level=0)", spec, 1)]
    lost = play(spec, sellers, markets=500, seed=6, fields=("lost",))["lost"]
    assert lost[3:, :, 0].max() == 0
    assert lost[3:, :, 1].min() >= 0 < lost[3:, :, 1].mean()
