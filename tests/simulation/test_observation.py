"""What a seller sees: every feature worked by hand, from every seat, and what stays hidden."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from market.simulation.batch import MarketBatch
from market.simulation.observation import feature_list
from market.spec.models import MarketSpec
from tests.helpers.markets import a_market, begun, customers_come, play


def seen(batch: MarketBatch, seat: int = 0) -> dict[str, float]:
    """A seat's observation by feature name."""
    return {f.name: float(x) for f, x in zip(batch.features, batch.observe()[0, seat], strict=True)}


UNLIKE = (
    {"prices": [1, 3], "order_up_to": [0, 20], "stock": 10, "lead_time": 3},
    {"prices": [2, 6], "order_up_to": [5, 40], "stock": 0, "lead_time": 1},
    {"prices": [4, 4], "order_up_to": [0, 0], "stock": 6},
)


def test_a_seats_own_numbers_are_shares_of_its_own_ranges() -> None:
    """Customers only want seller a: 12 of them, it has 10."""
    batch = begun({**UNLIKE[0], "quality": 60}, *UNLIKE[1:])
    customers_come(batch, 12)
    play(batch, price=[2.5, 3, 4], order=[7, 8, 0])
    customers_come(batch, 0)
    own = ("own_on_hand", "own_price", "own_sold", "own_lost", "own_arriving_in_1", "own_arriving_in_2")
    a, b, c = ({name: seen(batch, seat)[name] for name in own} for seat in range(3))
    assert a == dict(zip(own, (0, 0.5, 0.5, np.float32(0.1), 0, np.float32(0.35)), strict=True))
    assert b == dict(zip(own, (np.float32(0.2), -0.5, 0, 0, 0, 0), strict=True))
    # c may order nothing: shares of its mean demand were all four options alike, 20 / 4; its price cannot move
    assert {c["own_on_hand"], c["own_price"]} <= {0.0, np.float32((6 - batch.ledger["sold"][0, 2]) / 5)}
    play(batch, price=[2.5, 3, 4])
    assert seen(batch)["own_arriving_in_1"] == np.float32(0.35) and seen(batch)["own_sold"] == 0


def test_rivals_come_in_seat_order_from_ones_own_seat_onward_on_their_own_ranges() -> None:
    batch = begun(*UNLIKE, visibility={"rivals_stock": "level"})
    customers_come(batch, 0)
    play(batch, price=[1.5, 6.0, 4.0])
    price, stock = {0: -0.5, 1: 1.0, 2: 0.0}, {0: 10 / 20, 1: 0.0, 2: 6 / 5}
    for seat in range(3):
        now = seen(batch, seat)
        assert now["own_price"] == price[seat]
        for offset in (1, 2):
            assert now[f"rival_{offset}_price"] == price[(seat + offset) % 3]
            assert now[f"rival_{offset}_on_hand"] == np.float32(stock[(seat + offset) % 3])


def test_the_flag_says_whether_a_rival_has_stock_and_no_more() -> None:
    batch = begun(*UNLIKE)
    assert [seen(batch, 0)[f"rival_{k}_in_stock"] for k in (1, 2)] == [0, 1]
    assert [seen(batch, 1)[f"rival_{k}_in_stock"] for k in (1, 2)] == [1, 1]
    before = batch.observe()[0, 1].copy()
    batch.state.on_hand[0, 0] = 3
    np.testing.assert_array_equal(batch.observe()[0, 1], before)
    batch.state.on_hand[0, 0] = 0
    assert seen(batch, 1)["rival_2_in_stock"] == 0


@pytest.mark.parametrize(
    ("visibility", "names"),
    [
        ({}, ["rival_1_price", "rival_1_in_stock"]),
        ({"rivals_prices": "hidden"}, ["rival_1_in_stock"]),
        ({"rivals_stock": "hidden"}, ["rival_1_price"]),
        ({"rivals_stock": "level"}, ["rival_1_price", "rival_1_on_hand"]),
        ({"rivals_prices": "hidden", "rivals_stock": "hidden"}, []),
    ],
)
def test_visibility_switches(visibility: dict[str, Any], names: list[str]) -> None:
    features = feature_list(MarketSpec.parse(a_market({}, {}, visibility=visibility)))
    assert [f.name for f in features if f.name.startswith("rival")] == names


def test_hidden_prices_and_stock_do_not_show_anywhere() -> None:
    batch = begun({}, {}, visibility={"rivals_prices": "hidden", "rivals_stock": "hidden"})
    before = batch.observe()[0, 0].copy()
    batch.state.price[0, 1], batch.state.on_hand[0, 1], batch.state.sold[0, 1] = 2.9, 17, 5
    np.testing.assert_array_equal(batch.observe()[0, 0], before)


def test_the_pipeline_has_as_many_slots_for_all_as_the_longest_lead_time_needs() -> None:
    """What arrives in L periods was ordered after the observation, so L - 1 slots are seen."""
    for lead_times, slots in (((0, 0), 0), ((1, 0), 0), ((2, 1), 1), ((0, 4), 3)):
        features = feature_list(MarketSpec.parse(a_market(*({"lead_time": x} for x in lead_times))))
        names = [f.name for f in features if f.name.startswith("own_arriving")]
        assert names == [f"own_arriving_in_{k + 1}" for k in range(slots)]


def test_an_order_moves_up_the_pipeline_as_seen() -> None:
    batch = begun({"lead_time": 3, "stock": 2})
    customers_come(batch, 0)
    rows = []
    for t in range(4):
        play(batch, order=5 if t == 0 else 0)
        rows.append([seen(batch)[name] for name in ("own_arriving_in_2", "own_arriving_in_1", "own_on_hand")])
    late, now = 0.25, np.float32(0.35)
    assert rows == [[late, 0, np.float32(0.1)], [0, late, np.float32(0.1)], [0, 0, now], [0, 0, now]]


def test_the_calendar_is_seen_as_phases() -> None:
    customers = {"weekly": [1, 2, 1, 1], "yearly": {"amplitude": 0.1, "length": 8}, "trend": 0.01}
    batch = begun({}, customers=customers, horizon=4)
    names = ("week_sin", "week_cos", "year_sin", "year_cos", "elapsed")
    for t in range(5):
        now = [seen(batch)[name] for name in names]
        week, year = np.pi * t / 2, np.pi * t / 4
        np.testing.assert_allclose(now, [np.sin(week), np.cos(week), np.sin(year), np.cos(year), t / 4], atol=1e-7)
        if t < 4:
            play(batch)
    assert not set(names) & {f.name for f in feature_list(MarketSpec.parse(a_market({})))}


def test_events_are_announced_to_all_and_ones_own_come_first() -> None:
    batch = begun({}, {}, events={"effect": 1, "mean_length": 2, "announced": 2}, horizon=4)
    batch.tape.event[0] = np.array([[0, 1], [1, 0], [1, 1], [0, 1], [0, 0], [1, 0], [0, 0]])
    for t in range(5):
        for seat in range(2):
            now = seen(batch, seat)
            for ahead in range(3):
                own, rival = batch.tape.event[0, t + ahead, [seat, 1 - seat]]
                assert (now[f"event_own_in_{ahead}"], now[f"event_rival_1_in_{ahead}"]) == (own, rival)
        if t < 4:
            play(batch)


def test_an_event_that_is_seen_now_moves_this_periods_customers() -> None:
    market = {"events": {"effect": 2.0, "mean_length": 2}, "customers": {"mode": "expected"}}
    batch = begun({"stock": 99}, **market)
    batch.tape.event[0, :2, 0] = [0, 1]
    assert seen(batch)["event_own_in_0"] == 0 and play(batch)["sold"][0, 0] == pytest.approx(10)
    sold = play(batch)["sold"][0, 0]
    assert sold == pytest.approx(20 / (1 + np.exp(-2.0)))


def test_values_are_clipped_to_their_bounds() -> None:
    batch = begun({"stock": 1000}, {})
    assert seen(batch)["own_on_hand"] == 4.0
    assert batch.observation_space.contains(batch.observe()[0, 0])


def test_made_to_order_shows_no_stock() -> None:
    spec = MarketSpec.parse(a_market({"order_up_to": [0, 0]}, {"order_up_to": [0, 0]}, inventory="make_to_order"))
    assert [f.name for f in feature_list(spec)] == ["own_price", "own_sold", "rival_1_price"]


def test_every_feature_has_its_own_name_a_unit_and_bounds_and_the_space_is_theirs() -> None:
    batch = begun(*UNLIKE, events={"effect": 1, "mean_length": 2, "announced": 1}, customers={"weekly": [1, 2]})
    features = batch.features
    assert len({f.name for f in features}) == len(features) and all(f.unit and f.low < f.high for f in features)
    assert batch.observe().shape == (1, 3, len(features)) and batch.observe().dtype == np.float32
    assert batch.observation_space.low.tolist() == [f.low for f in features]
    assert batch.observation_space.high.tolist() == [f.high for f in features]
