"""Trees that tell policies: sentences are read back as a person would and played against the policy."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import r2_score

from market.spec.models import MarketSpec
from policies.explain.decision_tree import HELD_OUT, DecisionTree, Sentence, grow_tree, r_squared
from policies.explain.features import natural_features
from policies.explain.states import Rollout, greedy_rollout
from policies.sellers.protocol import Memory, View
from tests.helpers.explained import (
    LARGE,
    MADE,
    MONOPOLY,
    RICH,
    fixed,
    holds,
    network_seller,
    number,
)


class Wobble:
    """Posts 1.5, and below an inventory position of 16 by chance sometimes 2.5: usually the same on both sides."""

    def start(self, markets: int) -> Memory:
        return {}

    def act(self, view: View, memory: Memory) -> tuple[Any, Any, Memory]:
        position = view.on_hand + view.on_order
        dear = (position < 16) & (view.noise % np.uint64(10) < 3)
        return np.where(dear, 2.5, 1.5), np.maximum(35.0 - position, 0), memory


class Threshold:
    """Posts 2.5 and orders up to 45 below an inventory position of 16, else posts 1.5 and orders up to 35."""

    def start(self, markets: int) -> Memory:
        return {}

    def act(self, view: View, memory: Memory) -> tuple[Any, Any, Memory]:
        position = view.on_hand + view.on_order
        short = position < 16
        return np.where(short, 2.5, 1.5), np.maximum(np.where(short, 45.0, 35.0) - position, 0), memory


def rollout_with(seller: Any, market: dict[str, Any] = LARGE, episodes: int = 16) -> Rollout:
    spec = MarketSpec.parse(market)
    rivals = fixed(spec, *["nash+base_stock"] * len(spec.sellers))[1:]
    return greedy_rollout(spec, [seller, *rivals], episodes=episodes, seed=1)


def whole(one: Sentence) -> str:
    return f"{one.when}: {one.what} ({one.covers} of periods)"


def read(told: DecisionTree, rollout: Rollout, seat: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the printed sentences say: how many apply to each state, the price, and the order-up-to level."""
    features = {one.name: one for one in natural_features(rollout.spec, rollout.states, seat)}
    size = len(rollout.states)
    applied, price, level = np.zeros(size, int), np.zeros(size), np.zeros(size)
    for sentence in told.sentences:
        conditions = [] if sentence.when == "Always" else sentence.when.removeprefix("If ").split(" and ")
        true = np.ones(size, bool)
        for condition in conditions:
            true &= holds(condition, features)
        decision = re.fullmatch(r"post ([\d.]+)(?:, order (?:up to ([\d,]+)|(nothing)))?", sentence.what)
        assert decision is not None
        applied += true
        price[true] = float(decision[1])
        level[true] = number(decision[2]) if decision[2] else 0.0
    return applied, price, level


# ---------------------------------------------------------------------------------------------- known policies


def test_a_policy_of_two_branches_is_told_exactly() -> None:
    told = grow_tree(Threshold(), rollout_with(Threshold()), 0)
    assert sorted((one.when, one.what) for one in told.sentences) == [
        ("If inventory position < 16", "post 2.500, order up to 45"),
        ("If inventory position from 16 to 34", "post 1.500, order up to 35"),
        ("If inventory position ≥ 35", "post 1.500, order nothing"),
    ]
    assert sum(one.share for one in told.sentences) == pytest.approx(1)
    assert told.fidelity.both == told.fidelity.price_r2 == told.fidelity.order_r2 == 1
    usual = max(told.sentences, key=lambda one: one.share)
    assert told.sentences[0] is usual and 0 < told.fidelity.single < 1


def test_sentences_that_would_say_the_same_are_one() -> None:
    told = grow_tree(Wobble(), rollout_with(Wobble()), 0)
    assert [whole(one) for one in told.sentences] == ["Always: post 1.500, order up to 35 (100 % of periods)"]
    assert 0.7 < told.fidelity.both == told.fidelity.single < 1.0


def test_a_price_outside_the_file_is_marked() -> None:
    seen = LARGE | {"sellers": [one | {"prices_on_file": [2.1, 3.0]} for one in LARGE["sellers"]]}
    seller = fixed(MarketSpec.parse(seen), "constant(price=2)+base_stock(level=19)", "nash")[0]
    told = grow_tree(seller, rollout_with(seller, seen), 0)
    assert told.sentences and all(one.what.startswith("post 2.000 †, order ") for one in told.sentences)


def test_a_base_stock_rule_is_one_sentence() -> None:
    wide = LARGE | {"sellers": [one | {"order_up_to": [0, 40]} for one in LARGE["sellers"]]}
    seller = fixed(MarketSpec.parse(wide), "constant(price=2)+base_stock(level=31)", "nash")[0]
    told = grow_tree(seller, rollout_with(seller, wide), 0)
    assert [whole(one) for one in told.sentences] == ["Always: post 2.000, order up to 31 (100 % of periods)"]
    assert (told.fidelity.price_r2, told.fidelity.both, told.fidelity.single) == (None, 1, 1)


def test_where_nothing_is_ordered_it_says_so() -> None:
    class Patient(Threshold):
        def act(self, view: View, memory: Memory) -> tuple[Any, Any, Memory]:
            position = view.on_hand + view.on_order
            return np.full(len(position), 2.0), np.where(position < 14, 40.0 - position, 0), memory

    told = grow_tree(Patient(), rollout_with(Patient()), 0)
    nothing = [one for one in told.sentences if one.what.endswith("order nothing")]
    assert [one.when for one in nothing] == ["If inventory position ≥ 14"]
    assert [one.what for one in told.sentences if one not in nothing] == ["post 2.000, order up to 40"]
    assert told.fidelity.order_close == 1


def test_made_to_order_only_prices_are_told() -> None:
    spec = MarketSpec.parse(MADE)
    sellers = [network_seller(spec, seat) for seat in range(2)]
    told = grow_tree(sellers[0], greedy_rollout(spec, sellers, episodes=8), 0)
    assert told.fidelity.order_close is None and all(one.level is None for one in told.sentences)
    assert re.fullmatch(r"post \d\.\d{3}", told.sentences[0].what)


# ---------------------------------------------------------------------------------------------- any policy


@pytest.mark.parametrize(("market", "seat"), [(RICH, 0), (RICH, 2), (LARGE, 0), (MONOPOLY, 0)])
def test_printed_sentences_are_as_faithful_as_claimed(market: dict[str, Any], seat: int) -> None:
    """Exactly one sentence applies to every state; fidelity worked out anew from the printed text."""
    spec = MarketSpec.parse(market)
    sellers = [network_seller(spec, k, k + 1) for k in range(len(spec.sellers))]
    rollout = greedy_rollout(spec, sellers, episodes=24, seed=2)
    told = grow_tree(sellers[seat], rollout, seat)
    assert len(told.sentences) > 1
    applied, price, level = read(told, rollout, seat)
    test = rollout.states.episode % HELD_OUT == HELD_OUT - 1
    assert (applied[test] == 1).mean() > 0.995  # a printed price is rounded, a few values lie that close to one
    assert told.held_out == test.sum() and told.grown_on == (~test).sum()
    near = np.abs(price - rollout.price[:, seat]) <= 0.01 * rollout.price[:, seat]
    position = rollout.states.position(seat)
    order = rollout.order[:, seat]
    close = np.abs(np.maximum(level - position, 0) - order) <= 0.05 * (position + order)[test].mean()
    assert near[test].mean() == pytest.approx(told.fidelity.price_close, abs=0.02)
    assert (near & close)[test].mean() == pytest.approx(told.fidelity.both, abs=0.03)
    assert told.fidelity.both >= told.fidelity.single - 0.1


def test_the_tree_repeats_to_the_bit() -> None:
    spec = MarketSpec.parse(RICH)
    sellers = [network_seller(spec, seat) for seat in range(3)]
    one, other = (grow_tree(sellers[1], greedy_rollout(spec, sellers, episodes=12, seed=4), 1) for _ in range(2))
    assert one == other


def test_one_episode_is_enough() -> None:
    told = grow_tree(Threshold(), rollout_with(Threshold(), episodes=1), 0)
    assert told.held_out > 0 and told.grown_on > 0


def test_a_deeper_tree_says_more() -> None:
    spec = MarketSpec.parse(RICH)
    sellers = [network_seller(spec, seat) for seat in range(3)]
    rollout = greedy_rollout(spec, sellers, episodes=40)
    flat, deep = (grow_tree(sellers[0], rollout, 0, depth) for depth in (1, 4))
    assert len(flat.sentences) <= 2 < len(deep.sentences) <= 16
    assert deep.fidelity.price_r2 is not None and flat.fidelity.price_r2 is not None
    assert deep.fidelity.price_r2 > flat.fidelity.price_r2


@given(st.lists(st.tuples(st.integers(-500, 500), st.integers(-500, 500)), min_size=3, max_size=20))
def test_r_squared_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    policy, tree = (np.array(part) / 100 for part in zip(*pairs, strict=True))
    assume(len(set(policy)) > 1)
    assert r_squared(policy, tree) == pytest.approx(r2_score(policy, tree), rel=1e-9, abs=1e-9)


def test_r_squared_of_what_hardly_varies_is_not_given() -> None:
    assert r_squared(np.array([1.0, 2, 3]), np.array([1.0, 2, 2])) == pytest.approx(0.5)
    assert r_squared(np.full(4, 2.0), np.zeros(4)) is None
    assert r_squared(np.array([2.0, 2.001]), np.zeros(2), least=0.002) is None


def test_rare_sentences_are_not_said_to_cover_nothing() -> None:
    assert whole(Sentence((), 2.0, 30.0, True, 0.001)) == "Always: post 2.000, order up to 30 (under 1 % of periods)"
