"""The best response to rivals who remember last period's prices, against brute force over price paths and graphs."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import UserError
from market.simulation.decisions import Decisions
from market.simulation.observation import feature_list
from market.spec.models import Grid, MarketSpec
from market.state import Floats
from policies.networks.architecture import Architecture, build
from policies.sellers.network_seller import NetworkSeller
from policies.sellers.protocol import Memory, View
from policies.sellers.rollout import play
from policies.sellers.rules.level_search import build as rules
from policies.studies.exploit.exact import PriceCycle, best_cycle, best_price_cycle
from tests.helpers.small_run import ROOT

CALVANO = MarketSpec.load(ROOT / "configs" / "calvano.yaml")


def calvano(prices: int, **changes: Any) -> MarketSpec:
    """The market with so many prices on every grid, four times as far apart as to make the choice matter."""
    wide = {"grid": Grid(prices=prices), "prices": (1.1, 2.4)}
    sellers = tuple(seller.model_copy(update=wide) for seller in CALVANO.sellers)
    return CALVANO.model_copy(update={"sellers": sellers} | changes)


def a_policy(spec: MarketSpec, seed: int, seat: int = 1) -> NetworkSeller:
    """A network of random weights that decides on the seat's grid and reacts to everything it sees."""
    decisions, features = Decisions(spec, seat, "grid"), len(feature_list(spec))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(Architecture(kind="q", observation=features, actions=len(decisions.prices), hidden=(16,)))
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=1.5)
    return NetworkSeller(network.requires_grad_(False), decisions)


class Path:
    """Posts each row's path of prices (M, P + C): the first P once, the last C over and over."""

    def __init__(self, prices: Floats, once: int) -> None:
        self.prices, self.once = prices, once

    def start(self, markets: int) -> Memory:
        return {}

    def act(self, view: View, memory: Memory) -> tuple[Floats, Floats, Memory]:
        period, cycle = int(view.period[0]), self.prices.shape[1] - self.once
        at = period if period < self.once else self.once + (period - self.once) % cycle
        return self.prices[:, at], np.zeros(len(self.prices)), memory


def long_run(spec: MarketSpec, seller: Any, rival: Any, markets: int) -> Floats:
    """Mean profit (M,) of the first seat over 60 periods, which whole cycles of 1 to 6 periods fill."""
    return np.asarray(play(spec, [seller, rival], markets=markets)["profit"][40:, :, 0].mean(axis=0))


@pytest.mark.parametrize("seed", range(12))
def test_no_path_of_prices_earns_more_in_the_long_run(seed: int) -> None:
    """Three prices make three nodes: every one is reached in two periods, and no simple cycle is longer than three."""
    spec = calvano(3)
    rival = a_policy(spec, seed)
    best = best_price_cycle(spec, 0, {1: rival})
    brute = 0.0
    for length in (1, 2, 3):
        paths = np.array(list(product(best.prices, repeat=3 + length)))
        brute = max(brute, float(long_run(spec, Path(paths, 3), rival, len(paths)).max()))
    assert best.average == pytest.approx(brute, abs=1e-12)
    assert long_run(spec, best, rival, 2) == pytest.approx(best.average, abs=1e-12)


def test_the_rivals_above_are_worth_a_cycle() -> None:
    """Some of them are: else the test above would try constant prices only."""
    spec = calvano(3)
    cycles = [best_price_cycle(spec, 0, {1: a_policy(spec, seed)}) for seed in range(12)]
    lengths = {cycle_length(cycle) for cycle in cycles}
    assert lengths >= {1, 2}


def cycle_length(best: PriceCycle) -> int:
    node, seen = 0, list[int]()
    while node not in seen:
        seen.append(node)
        node = int(best.following[node])
    return len(seen) - seen.index(node)


def test_a_rival_that_matches_is_led_up() -> None:
    """By hand: ``match`` posts the seat's last price, so that a price held earns the symmetric profit: the joint price."""
    spec = calvano(14)
    best = best_price_cycle(spec, 0, {1: rules("match", spec, 1)})
    symmetric = play(spec, [Path(best.prices[:, None], 0)] * 2, markets=14)["profit"][5, :, 0]
    assert best.average == pytest.approx(symmetric.max())
    assert abs(long_run(spec, best, rules("match", spec, 1), 1)[0] - symmetric.max()) < 1e-12


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"customers": CALVANO.customers.model_copy(update={"mode": "sampled"})}, "second is learned and sees its own"),
        ({"customers": CALVANO.customers.model_copy(update={"weekly": (1.0, 2.0)})}, "changes with the calendar"),
    ],
)
def test_where_last_prices_are_not_all_the_reason_is_given(changes: dict[str, Any], reason: str) -> None:
    spec = calvano(5, **changes)
    with pytest.raises(UserError, match=reason):
        best_price_cycle(spec, 0, {1: a_policy(spec, 0)})


@pytest.mark.parametrize(
    ("rule", "reason"), [("trigger", "second remembers more"), ("random", "second draws its prices at random")]
)
def test_rules_with_a_memory_or_dice_are_refused(rule: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        best_price_cycle(CALVANO, 0, {1: rules(rule, CALVANO, 1)})


def test_a_rival_without_a_grid_may_have_too_many_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policies.studies.exploit.exact.MOST", 10)
    with pytest.raises(UserError, match="more than 10 different prices"):
        best_price_cycle(CALVANO, 0, {1: rules("match", CALVANO, 1)})


def test_sales_by_chance_do_not_matter_to_rules_that_look_at_prices() -> None:
    spec = calvano(9)
    sampled = spec.model_copy(update={"customers": spec.customers.model_copy(update={"mode": "sampled", "rate": 30.0})})
    plain, noisy = (best_price_cycle(one, 0, {1: rules("undercut", one, 1)}) for one in (spec, sampled))
    assert noisy.average == pytest.approx(30 * plain.average) and np.array_equal(noisy.price, plain.price)


@given(st.integers(1, 5), st.integers(1, 3), st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=80, deadline=None)
def test_the_best_cycle_is_the_best_of_all_policies(nodes: int, choices: int, random: Any, whole: bool) -> None:
    """Every stationary policy of small graphs, whole numbers among them, where cycles tie."""
    rng = np.random.default_rng(random.getrandbits(32))
    leads = rng.integers(0, nodes, (nodes, choices))
    earned = rng.integers(-2, 3, (nodes, choices)).astype(float) if whole else rng.normal(size=(nodes, choices))
    within = [0]
    for node in within:
        within += [int(to) for to in dict.fromkeys(leads[node].tolist()) if to not in within]
    number = {node: k for k, node in enumerate(within)}
    leads = np.array([[number[int(to)] for to in leads[node]] for node in within])
    earned = earned[within]

    def mean(policy: Any) -> float:
        node, seen, found = 0, dict[int, int](), list[float]()
        while node not in seen:
            seen[node] = len(found)
            found.append(float(earned[node, policy[node]]))
            node = int(leads[node, policy[node]])
        return float(np.mean(found[seen[node] :]))

    best = max(mean(policy) for policy in product(range(choices), repeat=len(within)))
    average, choice = best_cycle(earned, leads)
    assert average == pytest.approx(best, abs=1e-9) and mean(choice) == pytest.approx(best, abs=1e-9)


def test_the_worked_example() -> None:
    average, choice = best_cycle(np.array([[1.0, 0.0], [5.0, 2.0]]), np.array([[0, 1], [0, 1]]))
    assert average == 2.5 and choice.tolist() == [1, 0]
