"""Theory where an episode may be one of many locations in many seasons: too many for a rule over shocks in each."""

from __future__ import annotations

import numpy as np
import pytest

from market.demand.equilibrium import nash_prices, prices_of
from market.demand.logit import Logit, shares
from market.spec.models import MarketSpec
from market.theory.demand_law import MOST_POINTS, demand_law, normal_points

PLACES, PRICE = 40, np.array([1.8, 2.0, 2.2])


def market() -> MarketSpec:
    """Three sellers with shocks in 40 locations of different size and qualities, and 13 seasons."""
    chance = np.random.default_rng(0)
    sellers = [
        {"name": name, "quality": 0.0, "unit_cost": 1.0, "prices": [1.0, 5.0], "xi": xi, "reward_scale": 1.0}
        for name, xi in zip("abc", (0.5, 0.4, 0.3), strict=True)
    ]
    places = [
        {"name": f"p{k}", "size": float(size), "quality": quality.tolist()}
        for k, (size, quality) in enumerate(
            zip(np.exp(chance.normal(0, 0.5, PLACES)), chance.normal(-1, 0.6, (PLACES, 3)), strict=True)
        )
    ]
    return MarketSpec.parse(
        {
            "horizon": 52,
            "inventory": "make_to_order",
            "price_form": "log",
            "price_sensitivity": 2.5,
            "nest": 0.2,
            "customers": {"rate": 1000},
            "demand_shock": {"common": 0.3},
            "season": [round(float(x), 3) for x in chance.normal(0, 0.2, 13)],
            "locations": places,
            "sellers": sellers,
        }
    )


def brute_shares(spec: MarketSpec, draws: int = 4000) -> np.ndarray:
    """By location and season, with independent normal draws in each: size-weighted shares at PRICE, plain numpy."""
    chance, total, mass = np.random.default_rng(1), np.zeros(3), 0.0
    own = np.array([seller.xi for seller in spec.sellers])
    for place in spec.locations:
        for season in spec.season:
            xi = chance.normal(0, 1, (draws // 13, 3)) * own + 0.3 * chance.normal(0, 1, (draws // 13, 1))
            utility = np.array(place.quality) + season - 2.5 * np.log(PRICE) + xi
            inside = np.exp(utility / 0.8).sum(1, keepdims=True)
            buys = inside**0.8 / (1 + inside**0.8)
            total += place.size * (buys * np.exp(utility / 0.8) / inside).mean(0)
            mass += place.size
    return total / mass


def test_shares_are_the_size_weighted_mean_over_all_locations_and_seasons() -> None:
    spec = market()
    assert shares(Logit.of(spec), PRICE) == pytest.approx(brute_shares(spec), rel=0.01)


def test_prices_hardly_move_with_sixteen_times_the_nodes() -> None:
    spec = market()
    assert nash_prices(Logit.of(spec)) == pytest.approx(nash_prices(Logit.of(spec, limit=2**14)), rel=1e-3)


def test_prices_are_solved_once_and_cannot_be_written_to() -> None:
    spec = market()
    assert prices_of(spec) is prices_of(market())
    with pytest.raises(ValueError, match="read-only"):
        prices_of(spec)[0] = 1.0


def test_demands_mean_is_that_of_all_locations_though_each_meets_some_shocks_only() -> None:
    spec = market()
    assert len(normal_points(spec)[1]) * PLACES * 13 > MOST_POINTS, "so that points are dealt out"
    mean_size = np.mean([place.size for place in spec.locations])
    wanted = 1000 * mean_size * shares(Logit.of(spec, limit=2**14), PRICE)
    for seat in range(3):
        assert demand_law(spec, seat, PRICE).mean == pytest.approx(wanted[seat], rel=2e-3)
