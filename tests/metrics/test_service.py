"""Measures of service, stock, prices and concentration: by hand, by brute force, and as identities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.metrics import service

PERIODS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30)
UNITS = st.lists(st.integers(0, 30), min_size=4, max_size=4)


def test_service() -> None:
    assert service.stockout_rate([0, 2, 0, 1]) == 0.5
    assert service.fill_rate([8, 10], [2, 0]) == 0.9
    assert service.market_share([3, 5], [10, 30]) == 0.2


def test_inventory_turnover() -> None:
    per_period = service.inventory_turnover(sold=[6, 4], on_hand=[10, 8], on_hand_left=[4, 4])
    assert per_period == pytest.approx(5 / 6.5)
    assert 52 * per_period == pytest.approx(40)


def test_bullwhip() -> None:
    assert service.bullwhip([0, 8, 0, 8], [3, 5, 3, 5], [0, 0, 0, 0]) == 16
    demand = np.array([2.0, 9.0, 4.0, 4.0, 7.0, 2.0])
    assert service.bullwhip(np.roll(demand, 1), demand - 1, np.ones(6)) == pytest.approx(1)


def test_ratios_of_nothing_are_not_numbers() -> None:
    nothing = np.zeros((3, 2))
    for ratio in (
        service.fill_rate(nothing, nothing),
        service.market_share(nothing, nothing),
        service.inventory_turnover(nothing, nothing, nothing),
        service.bullwhip(nothing, nothing + 4, nothing),
    ):
        assert np.isnan(ratio).tolist() == [True, True]


def test_days_of_supply() -> None:
    assert service.days_of_supply(sold=[6, 4], lost=[0, 3], on_hand=[10, 8], on_hand_left=[4, 4]) == 1
    assert np.isnan(service.days_of_supply([0], [0], [5], [5]))


@given(UNITS, UNITS, UNITS)
def test_days_of_supply_times_turnover_is_the_fill_rate(sold: list[int], lost: list[int], left: list[int]) -> None:
    on_hand = np.add(left, sold)
    turnover = service.inventory_turnover(sold, on_hand, left)
    days = service.days_of_supply(sold, lost, on_hand, left)
    if sum(sold):
        assert days * turnover == pytest.approx(float(service.fill_rate(sold, lost)))


# ------------------------------------------------------------------------------------------------ cycles


def test_cycle_service_level() -> None:
    received, lost = [0, 5, 0, 0, 4, 2], np.array([1, 0, 0, 3, 0, 1])
    assert service.cycle_service_level(received, lost) == 0.5
    assert service.stockout_rate(lost) == 0.5
    lost[2] = 1
    assert service.cycle_service_level(received, lost) == 0.5
    assert service.stockout_rate(lost) == pytest.approx(4 / 6)


@pytest.mark.parametrize("received", [[0, 0, 0], [0, 4, 0], [4, 0, 0]])
def test_without_a_complete_cycle_there_is_no_service_level(received: list[int]) -> None:
    assert np.isnan(service.cycle_service_level(received, [0, 1, 0]))


def cycles_by_hand(periods: list[tuple[bool, bool]]) -> tuple[int, int]:
    """Cut the periods at every arrival; the first and the last piece are no complete cycles."""
    pieces: list[list[bool]] = [[]]
    for arrived, short in periods:
        if arrived:
            pieces.append([])
        pieces[-1].append(short)
    complete = pieces[1:-1]
    return len(complete), sum(not any(piece) for piece in complete)


@given(PERIODS)
def test_cycles_are_those_of_a_count_by_hand(periods: list[tuple[bool, bool]]) -> None:
    received, lost = np.array(periods).T * 3.0
    cycles, clean = service.replenishment_cycles(received, lost)
    assert (cycles, clean) == cycles_by_hand(periods)


def test_cycles_of_all_episodes_are_pooled() -> None:
    """Two episodes: 1 clean cycle of 2 and 1 of 1, so 2 of 3 and not the mean of a half and one."""
    received = np.array([[1, 1], [1, 0], [1, 1]])[..., None]
    lost = np.array([[0, 0], [1, 0], [0, 0]])[..., None]
    assert service.cycle_service_level(received, lost)[:, 0].tolist() == [0.5, 1.0]
    assert service.cycle_service_level(received, lost, (0, 1)).tolist() == [2 / 3]


def test_when_an_order_arrives_every_period_cycles_are_periods() -> None:
    lost = np.random.default_rng(1).random((40, 5)) < 0.3
    level = service.cycle_service_level(np.ones((40, 5)), lost)
    assert level == pytest.approx(1 - service.stockout_rate(lost[:-1]))


# ------------------------------------------------------------------------------------------------ prices


def test_price_volatility_and_changes() -> None:
    assert service.price_volatility([2, 4, 2, 4]) == 1
    assert service.price_volatility(np.full((9, 2), 1.1)).tolist() == [0, 0]
    assert service.price_changes([2, 2, 3, 2]) == 2
    assert service.price_changes([2, 2, 3, 2], before=1) == 3
    assert service.price_changes([[1, 1], [1, 2], [2, 1]], before=[1, 2]).tolist() == [1, 3]


# ------------------------------------------------------------------------------------------------ concentration


def test_hhi() -> None:
    assert service.hhi([[60, 40]]) == pytest.approx(0.52)
    assert service.hhi([[30, 40], [30, 0]]) == pytest.approx(0.52)
    assert service.hhi([[0, 7, 0]]) == 1
    assert np.isnan(service.hhi(np.zeros((3, 2))))


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=6).filter(any))
def test_hhi_is_one_over_n_plus_the_spread_of_shares(revenue: list[int]) -> None:
    shares = np.array(revenue) / sum(revenue)
    index = float(service.hhi([revenue]))
    assert index == pytest.approx(1 / len(shares) + len(shares) * shares.var())
    assert 1 / len(shares) - 1e-12 <= index <= 1 + 1e-12
