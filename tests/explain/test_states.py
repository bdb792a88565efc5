"""States that sellers meet: they are put before a seller exactly as it met them."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch

from market.spec.models import MarketSpec
from policies.explain import states
from policies.explain.states import ask, greedy_rollout, level_wanted, typical, views
from policies.sellers.protocol import View
from tests.helpers.explained import (
    DUOPOLY,
    MADE,
    MONOPOLY,
    RICH,
    Recorder,
    duopoly,
    fixed,
    network_seller,
)


@pytest.mark.parametrize("plain", [RICH, DUOPOLY, MONOPOLY, MADE])
def test_sellers_are_put_before_exactly_what_they_met(plain: dict[str, Any]) -> None:
    """Every part of the view, to the bit, but the random bits of rules that randomise."""
    spec = MarketSpec.parse(plain)
    recorders = [Recorder(network_seller(spec, seat, seat)) for seat in range(len(spec.sellers))]
    rollout = greedy_rollout(spec, recorders, episodes=6, seed=5)
    assert len(np.unique(rollout.price[:, 0])) > min(20, len(rollout.price) / 12)
    for seat, recorder in enumerate(recorders):
        ((_, staged),) = views(spec, rollout.states, seat)
        for name in (f.name for f in fields(View) if f.name != "noise"):
            met = [getattr(view, name) for view in recorder.seen]
            if met[0] is None:
                assert getattr(staged, name) is None
            else:
                assert np.array_equal(np.concatenate(met), getattr(staged, name)), name


@pytest.mark.parametrize("plain", [RICH, MADE])
def test_asked_again_a_network_decides_as_it_did(plain: dict[str, Any]) -> None:
    """Up to the rounding of float32, which depends on how many rows a matrix product has."""
    spec = MarketSpec.parse(plain)
    sellers = [network_seller(spec, seat, seat) for seat in range(len(spec.sellers))]
    rollout = greedy_rollout(spec, sellers, episodes=6, seed=5)
    for seat, seller in enumerate(sellers):
        price, order = ask(spec, seller, rollout.states, seat, rollout.memories[seat])
        assert np.allclose(price, rollout.price[:, seat], rtol=1e-6)
        # Made to order, the ledger books what was sold as ordered.
        assert np.array_equal(order, rollout.order[:, seat] if spec.stocked else 0 * order)


def test_rules_with_a_memory_are_asked_with_the_memory_of_then() -> None:
    rollout = duopoly("nash+forecast", "undercut(step=0.1)+forecast")
    assert rollout.memories[0]
    spec = rollout.spec
    for seat, seller in enumerate(fixed(spec, "nash+forecast", "undercut(step=0.1)+forecast")):
        price, order = ask(spec, seller, rollout.states, seat, rollout.memories[seat])
        assert np.array_equal(price, rollout.price[:, seat]) and np.array_equal(order, rollout.order[:, seat])


def test_states_in_small_parts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = MarketSpec.parse(RICH)
    sellers = fixed(spec, *["undercut(step=0.1)+base_stock(level=15)"] * 3)
    rollout = greedy_rollout(spec, sellers, episodes=4)
    whole = ask(spec, sellers[1], rollout.states, 1, {})
    assert np.ptp(whole[0]) > 0 < np.ptp(whole[1])
    monkeypatch.setattr(states, "CELLS", 5 * spec.horizon)
    assert len(list(views(spec, rollout.states, 1))) == -(-len(rollout.states) // 5)
    assert np.array_equal(whole, ask(spec, sellers[1], rollout.states, 1, {}))


def test_warm_up_is_left_out_and_long_episodes_are_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = MarketSpec.parse(DUOPOLY)
    sellers = fixed(spec, "nash", "nash")
    assert set(greedy_rollout(spec, sellers, episodes=2, warm_up=7).states.period) == set(range(7, 20))
    monkeypatch.setattr(states, "KEPT_PERIODS", 4)
    assert sorted(set(greedy_rollout(spec, sellers, episodes=2, warm_up=7).states.period)) == [7, 11, 15, 19]


def test_a_learned_sellers_level_is_known_where_it_orders_nothing() -> None:
    spec = MarketSpec.parse(MONOPOLY)
    seller = network_seller(spec, 0)
    met = greedy_rollout(spec, [seller], episodes=2).states
    full = replace(met, on_hand=met.on_hand + 60.0)
    ((_, view),) = views(spec, full, 0)
    level = level_wanted(seller, view, {})
    assert (seller.act(view, {})[1] == 0).all()
    decoded = seller.decisions.decode(seller.network.greedy(torch.as_tensor(view.observation)).numpy())[1]
    assert np.allclose(level, decoded, atol=1e-4) and (level < 60).all()


def test_typical_is_a_value_that_was_met() -> None:
    assert typical(np.array([7, 1, 2, 2])) == 2
    assert typical(np.array([True, False, True])).item() is True
    assert typical(np.array([[1.0, 5.0], [3.0, 4.0], [2.0, 6.0]])).tolist() == [2.0, 5.0]
