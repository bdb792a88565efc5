"""What is settled of an episode before it is drawn: a factor on customers and an addition to utility, by place."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from market.demand.history import NOT_OFFERED
from market.errors import UserError
from market.kernel.choice import ABSENT
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from tests.helpers.markets import begun, customers_come, play

CONFIGS = Path(__file__).parents[2] / "configs"
PLACES = [{"name": "small", "size": 0.5, "quality": [2.0]}, {"name": "large", "size": 4.0, "quality": [3.0]}]
# Computed before markets had scripts, on the same operations in the same order.
BEFORE = {"duopoly": "6874db3c25e2e050", "orange_juice": "533d64559bf1f6f9", "calvano": "79a37aa1710eafea"}


def digest(name: str, markets: int = 7) -> str:
    """A checksum of observations, ledgers and tapes of two episodes with random decisions."""
    spec = MarketSpec.load(CONFIGS / f"{name}.yaml")
    batch, seen, rng = MarketBatch(spec, markets, seed=3), hashlib.sha256(), np.random.default_rng(1)
    low, high = np.array([seller.prices for seller in spec.sellers]).T
    for _ in range(2):
        batch.reset()
        for _ in range(min(spec.horizon, 40)):
            seen.update(batch.observe().tobytes())
            price = low + (high - low) * rng.random((markets, len(low)))
            seen.update(batch.step(price, rng.integers(0, 12, size=price.shape).astype(float)).tobytes())
        for array in (batch.tape.customers, batch.tape.intensity, batch.tape.xi, batch.tape.event):
            seen.update(array.tobytes())
    return seen.hexdigest()[:16]


@pytest.mark.parametrize("name", BEFORE)
def test_a_market_without_a_script_plays_as_it_did_before_there_were_scripts(name: str) -> None:
    assert digest(name) == BEFORE[name]


def places(**changes: Any) -> dict[str, Any]:
    return {"season": [0.0, 0.25, -0.5], "locations": PLACES, "horizon": 7} | changes


def test_the_script_is_played_over_and_over_beside_the_shocks() -> None:
    batch = begun({"xi": 0.3}, demand_shock={"persistence": 0.9}, markets=40, **places(customers={"mode": "expected"}))
    plain = begun({"xi": 0.3}, demand_shock={"persistence": 0.9}, markets=40, horizon=7, customers={"mode": "expected"})
    place = batch.tape.place
    assert set(place.tolist()) == {0, 1}
    quality = np.where(place == 1, 1.0, 0.0)
    season = np.array([0, 0.25, -0.5, 0, 0.25, -0.5, 0])
    np.testing.assert_allclose(batch.tape.xi[:, :, 0], plain.tape.xi[:, :, 0] + quality[:, None] + season, atol=1e-12)
    np.testing.assert_allclose(batch.tape.intensity[:, 0], np.where(place == 1, 80.0, 10.0))
    np.testing.assert_array_equal(batch.tape.customers, batch.tape.intensity)


def test_each_place_is_as_likely_and_drawn_anew_for_every_episode() -> None:
    batch = begun({}, markets=4000, **places())
    first = batch.tape.place.copy()
    batch.reset()
    both = np.concatenate([first, batch.tape.place])
    assert stats.binomtest(int(both.sum()), len(both)).pvalue > 1e-4
    assert abs(np.corrcoef(first, batch.tape.place)[0, 1]) < 4 / np.sqrt(4000)


def test_a_row_of_a_batch_is_the_single_market_in_its_place() -> None:
    batch = begun({}, {}, markets=6, seed=5, **places(locations=[PLACES[k] | {"quality": [1, 2 + k]} for k in (0, 1)]))
    for _ in range(2):
        ledger = play(batch, order=5.0)
    for m in range(6):
        single = MarketBatch(batch.spec, 1, 5 + m)
        single.reset()
        for _ in range(2):
            alone = play(single, order=5.0)
        assert alone[0].tobytes() == ledger[m].tobytes() and single.tape.place[0] == batch.tape.place[m]
        assert single.observe().tobytes() == batch.observe()[m].tobytes()


def test_places_are_saved_and_foreign_ones_refused() -> None:
    batch, other = (begun({}, markets=9, seed=seed, **places()) for seed in (1, 50))
    saved = batch.save()
    other.load(saved)
    assert (other.tape.place == batch.tape.place).all()
    assert play(other, order=9.0).tobytes() == play(batch, order=9.0).tobytes()
    with pytest.raises(UserError, match="place must lie between 0 and 1"):
        other.load(saved | {"place": saved["place"] + 2})
    del saved["place"]
    with pytest.raises(UserError, match="place does not fit"):
        other.load(saved)


def test_what_was_saved_before_there_were_places_is_read() -> None:
    batch = begun({}, markets=3)
    saved = batch.save()
    del saved["place"]
    batch.load(saved)
    assert (batch.tape.place == 0).all()


@pytest.mark.parametrize("nest", [0.0, 0.5])
@pytest.mark.parametrize("changes", [{"inventory": "make_to_order"}, {}, {"customers": {"mode": "expected"}}])
def test_a_seller_that_is_not_offered_sells_exactly_nothing(nest: float, changes: dict[str, Any]) -> None:
    assert ABSENT > NOT_OFFERED
    made = {"order_up_to": [0, 0]} if changes.get("inventory") else {}
    batch = begun(made, made, nest=nest, markets=50, **changes)
    customers_come(batch, 1000.0)
    order = 0.0 if made else 400.0
    batch.tape.xi[:, 0, 1] = NOT_OFFERED
    ledger = play(batch, order=order)
    assert (ledger["sold"][:, 1] == 0).all() and (ledger["sold"][:, 0] > 300).all()
    batch.tape.xi[:, 1] = NOT_OFFERED
    ledger = play(batch, order=order)
    assert (ledger["sold"] == 0).all() and (ledger["lost"] == 0).all()


@pytest.mark.parametrize("customers", [40.0, 1000.0])
@pytest.mark.parametrize("mode", ["sampled", "expected"])
def test_a_sold_out_seller_sends_nobody_to_one_that_is_not_offered(mode: str, customers: float) -> None:
    batch = begun({}, {}, markets=50, customers={"mode": mode})
    customers_come(batch, customers)
    batch.tape.xi[:, 0, 1] = NOT_OFFERED
    ledger = play(batch, order=[3.0, 400.0])
    assert (ledger["sold"] == [3, 0]).all() and (ledger["lost"][:, 0] > 3).all() and (ledger["lost"][:, 1] == 0).all()
