"""Seasons and locations: what sellers see, what theory makes of them, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.demand.equilibrium import monopoly_prices, nash_prices, reward_scales
from market.demand.logit import Logit, profits, shares
from market.errors import UserError
from market.spec.models import MarketSpec
from market.theory.demand_law import ample_level, demand_law
from market.theory.newsvendor import demand_quantile, mean_demand
from market.theory.optimum import solve, why_not
from market.theory.price_game import PriceGame
from tests.helpers.markets import a_market, begun, nash_profits, play

PLACES = [{"name": "north", "size": 0.5, "quality": [1.5, 2.5]}, {"name": "south", "size": 2.0, "quality": [4.0, 2.0]}]
QUALITIES = st.lists(st.floats(-1, 4), min_size=2, max_size=2)


def market(*sellers: dict[str, Any], **changes: Any) -> MarketSpec:
    return MarketSpec.parse(a_market(*(sellers or ({}, {})), **changes))


def alone(place: dict[str, Any], season: float = 0.0, **changes: Any) -> MarketSpec:
    """The market of one place and one phase of the season by itself."""
    sellers = [{"quality": quality + season} for quality in place["quality"]]
    return market(*sellers, customers={"rate": 20.0 * place["size"]}, **changes)


# ------------------------------------------------------------------------------------------ what is seen


def test_sellers_see_the_phase_of_the_season() -> None:
    batch = begun({}, season=[0.1, 0.2, 0.0, -0.3], horizon=9)
    at = [feature.name for feature in batch.features].index("season_sin")
    assert batch.features[at + 1].name == "season_cos"
    for t in range(5):
        np.testing.assert_allclose(
            batch.observe()[0, 0, at : at + 2], [np.sin(np.pi / 2 * t), np.cos(np.pi / 2 * t)], atol=1e-6
        )
        play(batch)


def test_sellers_see_the_size_of_their_location() -> None:
    sizes = {"a": 1.0, "b": 1.0, "c": 8.0}
    places = [{"name": name, "size": size, "quality": [2.0]} for name, size in sizes.items()]
    batch = begun({}, locations=places, markets=60)
    at = [feature.name for feature in batch.features].index("location_size")
    assert set(batch.tape.place.tolist()) == {0, 1, 2}
    np.testing.assert_allclose(batch.observe()[:, 0, at], np.array([-0.5, -0.5, 1.0])[batch.tape.place], atol=1e-6)
    assert batch.observation_space.contains(batch.observe()[0, 0])


def test_sales_are_seen_per_unit_of_a_mean_demand_where_most_come() -> None:
    """20 customers x 8 between two sellers and nobody: 160 / 3."""
    places = [{"name": name, "size": size, "quality": [2.0, 2.0]} for name, size in (("x", 1.0), ("y", 8.0))]
    made = {"order_up_to": [0, 0]}
    batch = begun(made, made, locations=places, inventory="make_to_order", customers={"mode": "expected"}, markets=20)
    at = [feature.name for feature in batch.features].index("own_sold")
    sold = play(batch)["sold"]
    np.testing.assert_allclose(batch.observe()[..., at], sold / (160 / 3), rtol=1e-6)
    np.testing.assert_allclose(sold[:, 0], np.where(batch.tape.place == 0, 20 / 3, 160 / 3))


def test_one_location_or_equal_sizes_tell_nothing() -> None:
    assert "location_size" not in [f.name for f in begun({}, {}, locations=PLACES[:1]).features]
    batch = begun({}, {}, locations=[place | {"size": 3.0} for place in PLACES], markets=9)
    at = [feature.name for feature in batch.features].index("location_size")
    assert (batch.observe()[:, :, at] == 0).all()


# ------------------------------------------------------------------------------------------ what theory makes of it


@given(st.tuples(QUALITIES, QUALITIES), st.floats(0.1, 9), st.sampled_from([0.0, 0.6]), st.floats(0.5, 3))
def test_shares_are_the_two_markets_own_weighted_by_size(
    qualities: tuple[list[float], list[float]], size: float, nest: float, price: float
) -> None:
    places = [{"name": name, "size": s, "quality": q} for name, s, q in zip("xy", (1.0, size), qualities, strict=True)]
    both, posted = Logit.of(market(locations=places, nest=nest)), [price, 2.0]
    each = [Logit.of(alone(place, nest=nest)) for place in places]
    mean = sum(one.size * shares(one, posted) for one in each) / sum(one.size for one in each)
    np.testing.assert_allclose(shares(both, posted), mean, rtol=1e-12)
    np.testing.assert_allclose(profits(both, posted), sum(profits(one, posted) for one in each) / 2, rtol=1e-12)


def test_a_season_weighs_by_the_customers_of_its_periods() -> None:
    season, weekly = [0.5, -1.0], [1.0, 3.0]
    spec = market(season=season, customers={"weekly": weekly}, horizon=4)
    each = [shares(Logit.of(alone({"size": 1.0, "quality": [2.0, 2.0]}, s)), [2.0, 2.5]) for s in season]
    np.testing.assert_allclose(shares(Logit.of(spec), [2.0, 2.5]), (each[0] + 3 * each[1]) / 4, rtol=1e-12)


def test_shocks_are_averaged_over_in_every_scene() -> None:
    own = {"xi": 0.4}
    spec = market(own, own, locations=PLACES, season=[0.3, -0.3], horizon=6)
    each = [
        (place["size"], shares(Logit.of(market(*({"quality": q + s} | own for q in place["quality"]))), [2.0, 2.5]))
        for place in PLACES
        for s in spec.season
    ]
    mean = sum(size * share for size, share in each) / sum(size for size, _ in each)
    np.testing.assert_allclose(shares(Logit.of(spec), [2.0, 2.5]), mean, rtol=1e-6)


def brute_profit(spec: MarketSpec, price: np.ndarray, seat: int) -> np.ndarray:
    """Mean profit over the strata, from their formula: logit shares, no nest, sizes as customers."""
    total = np.zeros(price.shape[:-1])
    places = spec.locations or (None,)
    for place in places:
        quality = np.array(place.quality if place else [seller.quality for seller in spec.sellers])
        for season in spec.season or (0.0,):
            weight = np.exp(quality + season - spec.price_sensitivity * price)
            share = weight[..., seat] / (1.0 + weight.sum(axis=-1))
            total += (place.size if place else 1.0) * share * (price[..., seat] - spec.sellers[seat].unit_cost)
    return total * spec.customers.rate / len(places) / len(spec.season or (0.0,))


@pytest.mark.parametrize("changes", [{"locations": PLACES}, {"season": [1.5, -1.5]}])
def test_nash_and_joint_prices_are_those_of_a_brute_force_search(changes: dict[str, Any]) -> None:
    spec = market({"quality": 2.0}, {"quality": 3.0}, horizon=4, **changes)
    grid, nash = np.linspace(1.0, 5.0, 4001), np.array([2.0, 2.0])
    for _ in range(60):
        for seat in (0, 1):
            tried = np.repeat(nash[None], len(grid), axis=0)
            tried[:, seat] = grid
            nash[seat] = grid[brute_profit(spec, tried, seat).argmax()]
    found = nash_prices(Logit.of(spec))
    np.testing.assert_allclose(found, nash, atol=1.1e-3)
    np.testing.assert_allclose(nash_profits(spec), [brute_profit(spec, found, seat) for seat in (0, 1)], rtol=1e-12)
    coarse = np.linspace(1.5, 5.0, 351)
    pairs = np.stack(np.meshgrid(coarse, coarse, indexing="ij"), axis=-1)
    joint = sum(brute_profit(spec, pairs, seat) for seat in (0, 1))
    best = pairs[np.unravel_index(joint.argmax(), joint.shape)]
    np.testing.assert_allclose(monopoly_prices(Logit.of(spec)), best, atol=0.011)


def test_reward_scales_are_the_mean_nash_profits() -> None:
    free = {"reward_scale": None, "prices": [1, 9]}
    spec = market(free, free, locations=PLACES)
    np.testing.assert_allclose(reward_scales(spec), nash_profits(spec))


def test_simulated_profit_is_theorys() -> None:
    made = {"order_up_to": [0, 0]}
    spec = market(
        made,
        made,
        inventory="make_to_order",
        locations=PLACES,
        season=[0.5, -0.5],
        horizon=4,
        customers={"mode": "expected"},
    )
    batch = begun(
        made,
        made,
        inventory="make_to_order",
        locations=PLACES,
        season=[0.5, -0.5],
        horizon=4,
        customers={"mode": "expected"},
        markets=4000,
    )
    earned = sum(play(batch, [2.0, 2.5])["profit"] for _ in range(4)) / 4
    want = profits(Logit.of(spec), [2.0, 2.5])
    error = earned.std(axis=0) / np.sqrt(len(earned))
    assert (np.abs(earned.mean(axis=0) - want) < 4 * error).all()
    north = profits(Logit.of(market(*({"quality": q} for q in (1.5, 2.5)), season=[0.5, -0.5], horizon=4)), [2.0, 2.5])
    np.testing.assert_allclose(earned[batch.tape.place == 0][0], north / 2, rtol=1e-9)


def test_demand_of_a_window_mixes_locations() -> None:
    spec = market(locations=PLACES, season=[1.0, -1.0], horizon=4)
    posted, means = np.array([2.0, 2.0]), []
    for place in PLACES:
        for season in spec.season:
            one = alone(place, season)
            means.append(one.customers.rate * shares(Logit.of(one), posted)[0])
    assert mean_demand(spec, 0, posted, periods=2) == pytest.approx(2 * np.mean(means), rel=1e-3)
    expected = market(locations=PLACES, customers={"mode": "expected"})
    north, south = (20 * p["size"] * shares(Logit.of(alone(p)), posted)[0] for p in PLACES)
    assert demand_quantile(expected, 0, posted, 1, 0.4) == pytest.approx(north)
    assert demand_quantile(expected, 0, posted, 1, 0.6) == pytest.approx(south)


def test_the_law_of_demand_mixes_seasons_and_locations() -> None:
    spec = market(locations=PLACES, season=[1.0, -1.0])
    each = [demand_law(alone(place, season), 0, [2.0, 2.0]) for place in PLACES for season in (1.0, -1.0)]
    np.testing.assert_allclose(
        demand_law(spec, 0, [2.0, 2.0]).units(40),
        np.mean([law.units(40) for law in each], axis=0),
        rtol=1e-3,
        atol=1e-9,
    )
    assert demand_law(spec, 0, [2.0, 2.0]).mean == pytest.approx(np.mean([law.mean for law in each]), rel=1e-9)


def test_the_ample_level_is_that_of_the_busiest_season_and_location() -> None:
    spec = market(locations=PLACES, season=[1.0, -1.0])
    assert ample_level(spec, 0, 2.0) == ample_level(alone(PLACES[1], 1.0), 0, 2.0)
    assert ample_level(spec, 0, 2.0) > ample_level(alone(PLACES[1], 0.0), 0, 2.0)


# ------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"locations": PLACES}, "market.locations makes episodes differ, so that the state has a place"),
        ({"season": [0.0, 1.0]}, "market.season changes utilities with the calendar, so that the state has a date"),
    ],
)
def test_exact_machinery_refuses_by_name(changes: dict[str, Any], said: str) -> None:
    for inventory in ({}, {"inventory": "make_to_order"}):
        seller = {"order_up_to": [0, 0]} if inventory else {}
        spec = market(seller, seller, **changes, **inventory)
        assert why_not(spec, 0) == said
        with pytest.raises(UserError, match=f"no exact optimum: {said}"):
            solve(spec, 0)


def test_one_location_and_a_level_season_have_an_exact_optimum() -> None:
    made = {"order_up_to": [0, 0]}
    spec = market(made, made, inventory="make_to_order", locations=PLACES[1:], season=[0.5, 0.5])
    want = market(*({"quality": q + 0.5} | made for q in (4.0, 2.0)), inventory="make_to_order", customers={"rate": 40})
    assert solve(spec, 0).average == pytest.approx(solve(want, 0).average)


def test_tabular_sellers_refuse_locations() -> None:
    grid = {"order_up_to": [0, 0], "grid": {"prices": 3}}
    with pytest.raises(UserError, match="market.locations makes episodes differ.*tabular sellers remember prices"):
        PriceGame.of(market(grid, grid, inventory="make_to_order", locations=PLACES))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"season": [101]}, r"market.season.0: must be less than or equal to 100"),
        ({"season": 0.5}, r"market.season: must be a list"),
        ({"locations": [PLACES[0], PLACES[0]]}, "locations must have different names, got north, north"),
        (
            {"locations": [{"name": "x", "quality": [1.0]}]},
            r"locations.0 \(x\).quality must have 2 numbers, one a seller, got 1",
        ),
        (
            {"locations": [{"name": "x", "size": 0, "quality": [1, 2]}]},
            "market.locations.0.size: must be greater than 0",
        ),
        ({"locations": [{"name": "x"}]}, "market.locations.0.quality: this key is required"),
        ({"locations": [{"name": "", "quality": [1, 2]}]}, "market.locations.0.name"),
        ({"locations": [PLACES[0] | {"sise": 2}]}, r"market.locations.0.sise: unknown key \(did you mean size"),
        (
            {"locations": [{"name": "x", "size": 1e8, "quality": [1, 2]}]},
            r"customers come to more than 1e\+09 in a period: lower locations' size, rate, trend or horizon",
        ),
    ],
)
def test_seasons_and_locations_that_cannot_be_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        market(**changes)


def test_seasons_and_locations_survive_yaml() -> None:
    spec = market(locations=PLACES, season=[0.05, -0.1])
    assert MarketSpec.parse(spec.dump()) == spec and spec.season == (0.05, -0.1)
