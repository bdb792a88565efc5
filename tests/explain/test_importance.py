"""Permutation importance: the mean move of a decision, worked out by hand where the policy is linear."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from market.simulation.decisions import Decisions
from market.simulation.observation import feature_list
from market.spec.models import MarketSpec
from policies.explain.importance import groups, importances
from policies.explain.states import greedy_rollout
from policies.networks.architecture import Architecture, build
from policies.sellers.network_seller import NetworkSeller
from tests.helpers.explained import (
    MADE,
    RICH,
    STOCK,
    fixed,
    network_seller,
)
from tests.helpers.markets import a_market


def linear_seller(spec: MarketSpec, weights: dict[str, tuple[float, float]]) -> NetworkSeller:
    """Box action = weights x observation, clipped: (for price, for level) by feature name."""
    features = [feature.name for feature in feature_list(spec)]
    network = build(Architecture(kind="gaussian", observation=len(features), actions=2, hidden=()))
    with torch.no_grad():
        for weight in network.parameters():
            weight.zero_()
        matrix = dict(network.named_parameters())["body.layers.0.weight"]
        for name, pair in weights.items():
            matrix[:, features.index(name)] = torch.tensor(pair)
    return NetworkSeller(network.requires_grad_(False), Decisions(spec, 0))


def test_importance_is_the_mean_move_of_a_decision() -> None:
    """price = 2 + 0.5 x own price as seen, level = 10 + 10 x 0.2 x stock as seen; shuffled values are like two at random."""
    spec = MarketSpec.parse(a_market(STOCK, STOCK, horizon=40))
    mover = fixed(spec, "random+base_stock(level=18)", "random+base_stock(level=18)")
    met = greedy_rollout(spec, mover, episodes=32).states
    found = {
        one.group: one
        for one in importances(spec, linear_seller(spec, {"own_price": (0.5, 0.0), "own_on_hand": (0, 0.2)}), met, 0)
    }
    seen = np.clip(met.price[:, 0] - 2, -1, 1)
    pairs = 0.5 * np.abs(seen[:, None] - seen).mean()
    assert found["own last price"].price == pytest.approx(pairs, rel=0.05) and found["own last price"].level == 0
    stock = met.on_hand[:, 0] / 20
    assert found["own stock on hand"].level == pytest.approx(10 * 0.2 * np.abs(stock[:, None] - stock).mean(), rel=0.05)
    assert found["own stock on hand"].price == 0 and found["price of b"].price == found["price of b"].level == 0
    assert next(iter(found)) == "own last price"


def test_the_example_of_two_values() -> None:
    """Half of the states see -1 and half 1: shuffled, half of them see the other and move by 1."""
    spec = MarketSpec.parse(a_market(STOCK, STOCK, horizon=10))
    met = greedy_rollout(spec, fixed(spec, "nash", "nash"), episodes=200).states
    met.price[:, 0] = np.where(np.arange(len(met)) % 2, 1.0, 3.0)
    found = importances(spec, linear_seller(spec, {"own_price": (0.5, 0.0)}), met, 0)
    assert found[0].group == "own last price" and found[0].price == pytest.approx(0.5, rel=0.05)


def test_importances_repeat_to_the_bit_and_leave_the_global_generator_alone() -> None:
    spec = MarketSpec.parse(RICH)
    sellers = [network_seller(spec, seat) for seat in range(3)]
    met = greedy_rollout(spec, sellers, episodes=6).states
    before = np.random.get_state()[1].copy()  # type: ignore[index,union-attr]
    one, other = (importances(spec, sellers[2], met, 2, seed=7) for _ in range(2))
    assert one == other and len(one) > 8
    assert np.array_equal(before, np.random.get_state()[1])  # type: ignore[index]


def test_every_column_of_the_observation_is_in_one_group() -> None:
    spec = MarketSpec.parse(RICH)
    found = groups(spec, 1)
    assert sorted(column for columns in found.values() for column in columns) == list(range(len(feature_list(spec))))
    names = [feature.name for feature in feature_list(spec)]
    assert [names[k] for k in found["price of c"]] == ["rival_1_price"]
    assert [names[k] for k in found["own stock on order"]] == ["own_arriving_in_1", "own_arriving_in_2"]
    assert {names[k] for k in found["calendar"]} == {"week_sin", "week_cos", "year_sin", "year_cos", "elapsed"}
    assert len(found["own promotions"]) == 3 and len(found["rivals' promotions"]) == 6


def test_what_never_varies_has_no_importance() -> None:
    spec = MarketSpec.parse(MADE)
    met = greedy_rollout(spec, fixed(spec, "nash", "nash"), episodes=3).states
    met.sold[:] = met.sold[0]
    met.price[:] = met.price[0]
    seller = network_seller(spec, 0)
    assert importances(spec, seller, met, 0) == []
