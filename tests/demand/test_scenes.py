"""Places with a taste of their own, and draws of an estimate: what episodes play, and what theory makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from market.demand.equilibrium import prices_of
from market.demand.logit import Logit, shares
from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.theory.upper_bound import profit_bound
from tests.helpers.markets import a_market, begun, play

SHOCKED = {"xi": 0.4, "stock": 8}
TASTE = {"price_sensitivity": 1.7, "nest": 0.3}
SHOCK = {"common": 0.2, "persistence": 0.5}
DRAWS = [
    {"price_sensitivity": 0.8, "quality": [0.1, -0.2]},
    {"price_sensitivity": 1.4, "nest": 0.4, "quality": [0.0, 0.3], "shock": 0.5},
]


def market(**changes: Any) -> MarketSpec:
    return MarketSpec.parse(a_market(SHOCKED, SHOCKED, demand_shock=SHOCK, **changes))


def played(spec: MarketSpec, rows: int = 6) -> Any:
    """Ledgers of two episodes (2, T, M, N)."""
    batch = MarketBatch(spec, rows, seed=3)
    episodes = []
    for _ in range(2):
        batch.reset()
        episodes.append(np.stack([play(batch, [1.8, 2.1], 4.0) for _ in range(spec.horizon)]))
    return np.stack(episodes)


@pytest.mark.parametrize("customers", [{}, {"rate": 400.0}, {"mode": "expected"}])
def test_a_market_whose_only_place_has_a_taste_is_the_market_with_it(customers: dict[str, Any]) -> None:
    place = {"name": "here", "quality": [2.0, 2.0]} | TASTE
    own, same = market(locations=[place], customers=customers), market(customers=customers, **TASTE)
    assert played(own).tobytes() == played(same).tobytes()
    np.testing.assert_array_equal(prices_of(own), prices_of(same))
    assert played(market(customers=customers)).tobytes() != played(same).tobytes()


def test_a_draw_is_the_market_with_its_numbers() -> None:
    draw = DRAWS[1]
    drawn = market(draws=[draw], uncertainty="on")
    sellers = [SHOCKED | {"quality": 2.0 + more, "xi": 0.2} for more in draw["quality"]]
    taste = {key: draw[key] for key in TASTE}
    same = MarketSpec.parse(a_market(*sellers, demand_shock=SHOCK | {"common": 0.1}, **taste))
    there, here = played(drawn), played(same)
    for name in ("sold", "lost", "profit"):
        np.testing.assert_array_equal(there[name], here[name])


def test_a_batch_over_places_and_draws_is_single_markets_of_each() -> None:
    places = [{"name": "x", "size": 0.5, "quality": [1, 2]}, {"name": "y", "size": 2, "quality": [2, 1]}]
    spec = market(locations=places, draws=DRAWS, uncertainty="on", season=[0.2, -0.2])
    batch = MarketBatch(spec, 40, seed=11)
    batch.reset()
    at = batch.tape.place.copy()
    assert set(at.tolist()) == {0, 1, 2, 3}
    np.testing.assert_array_equal(batch.tape.price_sensitivity, np.array([0.8, 0.8, 1.4, 1.4])[at])
    np.testing.assert_array_equal(batch.tape.nest, np.array([0.0, 0.0, 0.4, 0.4])[at])
    ledger = np.stack([play(batch, [1.8, 2.1], 4.0) for _ in range(spec.horizon)])
    for row in range(0, 40, 7):
        alone = MarketBatch(spec, 1, seed=11 + row)
        alone.reset()
        assert (
            np.stack([play(alone, [1.8, 2.1], 4.0) for _ in range(spec.horizon)])[:, 0].tobytes()
            == ledger[:, row].tobytes()
        )


def test_a_saved_batch_goes_on_with_the_taste_of_its_place() -> None:
    spec = market(draws=DRAWS, uncertainty="on")
    batch, other = MarketBatch(spec, 8, seed=1), MarketBatch(spec, 8, seed=99)
    batch.reset(), other.reset()
    play(batch)
    other.load(batch.save())
    assert "nest" not in batch.save()
    assert play(other, 1.9, 3.0).tobytes() == play(batch, 1.9, 3.0).tobytes()


def test_shares_of_a_place_are_those_of_its_taste() -> None:
    """Expected customers, no shocks: units over customers are the shares that theory has at the same taste."""
    places = [
        {"name": "x", "quality": [2.0, 1.0], "price_sensitivity": 0.7},
        {"name": "y", "quality": [2.0, 1.0]} | TASTE,
    ]
    made = {"order_up_to": [0, 0]}
    batch = begun(made, made, locations=places, inventory="make_to_order", customers={"mode": "expected"}, markets=20)
    sold = play(batch, [1.5, 2.0])["sold"] / 20.0
    for k, taste in enumerate(({"price_sensitivity": 0.7}, TASTE)):
        same = MarketSpec.parse(a_market({"quality": 2.0}, {"quality": 1.0}, **taste))
        np.testing.assert_allclose(sold[batch.tape.place == k][0], shares(Logit.of(same), [1.5, 2.0]), rtol=1e-12)


def test_theory_takes_the_centre() -> None:
    places = [
        {"name": "x", "quality": [2, 2], "price_sensitivity": 1.0},
        TASTE | {"name": "y", "size": 3, "quality": [2, 2]},
    ]
    assert market(locations=places).centre == pytest.approx(((1.0 + 3 * 1.7) / 4, 3 * 0.3 / 4))
    on, off = market(draws=DRAWS, uncertainty="on"), market(draws=DRAWS)
    assert on.centre == (1.0, 0.0) and on.certain == off
    np.testing.assert_array_equal(prices_of(on), prices_of(market()))
    assert played(off).tobytes() == played(market()).tobytes()


def test_the_upper_bound_knows_the_place() -> None:
    place = {"name": "here", "quality": [2.0, 2.0]} | TASTE
    found = []
    for spec in (market(locations=[place]), market(**TASTE)):
        batch = MarketBatch(spec, 5, seed=2)
        batch.reset()
        found.append(profit_bound(batch, 0))
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"uncertainty": "on"}, "market: uncertainty: on needs draws"),
        ({"draws": [{"price_sensitivity": 1, "quality": [1]}]}, r"draws.0.quality must have 2 numbers.*got 1"),
        ({"draws": [{"price_sensitivity": 0, "quality": [1, 1]}]}, "draws.0.price_sensitivity: must be greater than 0"),
        ({"draws": [{"price_sensitivity": 1, "nest": 1, "quality": [1, 1]}]}, "draws.0.nest: must be less than 1"),
        (
            {"draws": DRAWS, "locations": [TASTE | {"name": "x", "quality": [1, 1]}]},
            "a price_sensitivity or nest of their own do not go together with draws",
        ),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        market(**changes)


def test_on_and_off_as_yaml_reads_them() -> None:
    """YAML 1.1 reads on and off as true and false."""
    assert market(draws=DRAWS, uncertainty=True).uncertainty == "on"
    spec = market(draws=DRAWS, uncertainty=False)
    assert spec.uncertainty == "off" and MarketSpec.parse(spec.dump()) == spec
