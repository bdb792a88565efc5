"""Trees that imitate policies: sentences are read back as a person would and played against the policy."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import r2_score

from market.simulation.decisions import Decisions
from market.simulation.observation import feature_list
from market.spec.models import MarketSpec
from policies.explain.decision_tree import HELD_OUT, DecisionTree, Sentence, grow_tree, r_squared
from policies.explain.features import StateFeature, natural_features, plain
from policies.explain.importance import groups, importances
from policies.explain.states import Rollout, greedy_rollout
from policies.networks.architecture import Architecture, build
from policies.sellers.network_seller import NetworkSeller
from policies.sellers.protocol import Memory, View
from tests.explain.test_policy_map import MADE, MONOPOLY, RICH, STOCK, fixed, network_seller
from tests.helpers.markets import a_market

LARGE = a_market({**STOCK, "stock": 20}, STOCK, horizon=60, customers={"rate": 60.0})


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


def holds(condition: str, features: dict[str, StateFeature]) -> np.ndarray:
    """A condition as it is printed, read by a person: which states it is true of."""
    for feature in features.values():
        if feature.some and condition == feature.some:
            return feature.values >= 1
        if feature.none and condition == feature.none:
            return feature.values < 1
    if between := re.fullmatch(r"(.+) from ([\d,]+) to ([\d,]+)", condition):
        values = features[between[1]].values
        return (values >= number(between[2])) & (values <= number(between[3]))
    if both := re.fullmatch(r"([\d.,]+) ≤ (.+) < ([\d.,]+)", condition):
        values = features[both[2]].values
        return (values >= number(both[1])) & (values < number(both[3]))
    name, sign, value = re.fullmatch(r"(.+) (≥|<|=) ([\d.,]+)", condition).groups()  # type: ignore[union-attr]
    values = features[name].values
    return {"≥": values >= number(value), "<": values < number(value), "=": values == number(value)}[sign]


def number(text: str) -> float:
    return float(text.replace(",", ""))


def read(told: DecisionTree, rollout: Rollout, seat: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the printed sentences say: how many apply to each state, the price, and the order-up-to level."""
    features = {one.name: one for one in natural_features(rollout.spec, rollout.states, seat)}
    size = len(rollout.states)
    applied, price, level = np.zeros(size, int), np.zeros(size), np.zeros(size)
    for sentence in told.sentences:
        when, what = re.fullmatch(r"(.+): (post .+) \(.+ of periods\)", sentence.text).groups()  # type: ignore[union-attr]
        conditions = [] if when == "Always" else when.removeprefix("If ").split(" and ")
        true = np.ones(size, bool)
        for condition in conditions:
            true &= holds(condition, features)
        decision = re.fullmatch(r"post ([\d.]+)(?:, order (?:up to ([\d,]+)|(nothing)))?", what)
        assert decision is not None
        applied += true
        price[true] = float(decision[1])
        level[true] = number(decision[2]) if decision[2] else 0.0
    return applied, price, level


# ------------------------------------------------------------------------------------------------ known policies


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
    assert [one.text for one in told.sentences] == ["Always: post 1.500, order up to 35 (100 % of periods)"]
    assert 0.7 < told.fidelity.both == told.fidelity.single < 1.0


def test_a_base_stock_rule_is_one_sentence() -> None:
    seller = fixed(MarketSpec.parse(LARGE), "constant(price=2)+base_stock(level=31)", "nash")[0]
    told = grow_tree(seller, rollout_with(seller), 0)
    assert [one.text for one in told.sentences] == ["Always: post 2.000, order up to 31 (100 % of periods)"]
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


# ------------------------------------------------------------------------------------------------ any policy


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


# ------------------------------------------------------------------------------------------------ words


@settings(max_examples=200)
@given(
    bounds=st.tuples(st.integers(0, 30), st.integers(0, 30)), value=st.integers(0, 40), open_end=st.sampled_from("lhn")
)
def test_words_of_whole_numbers_mean_what_the_tree_does(bounds: tuple[int, int], value: int, open_end: str) -> None:
    """low < value <= high, with thresholds at halves."""
    low, high = min(bounds) - 0.5, max(bounds) + 0.5
    low, high = (-math.inf if open_end == "l" else low), (math.inf if open_end == "h" else high)
    feature = StateFeature("units", np.array([float(value)]), whole=True)
    assert holds(feature.words(low, high), {"units": feature})[0] == (low < value <= high)


def test_words_of_flags_and_counts() -> None:
    flag = StateFeature(
        "rivals with a promotion now", np.array([0.0, 2.0]), True, "a rival's promotion now", "no promotion now"
    )
    assert flag.words(-math.inf, 0.5) == "no promotion now" and flag.words(0.5, math.inf) == "a rival's promotion now"
    assert flag.words(1.5, math.inf) == "rivals with a promotion now ≥ 2"
    price = StateFeature("lowest rival price", np.array([1.5]))
    assert price.words(-math.inf, 1.6234) == "lowest rival price < 1.623"
    assert price.words(1.5, 2.0) == "1.500 ≤ lowest rival price < 2.000"


@pytest.mark.parametrize(
    ("value", "text"), [(1.6234, "1.623"), (0.01234, "0.01234"), (12.346, "12.35"), (1234.5, "1,234"), (0.0, "0")]
)
def test_numbers_have_four_digits(value: float, text: str) -> None:
    assert plain(value) == text


def test_rare_sentences_are_not_said_to_cover_nothing() -> None:
    assert Sentence((), 2.0, 30.0, True, 0.001).text == "Always: post 2.000, order up to 30 (under 1 % of periods)"


def test_features_are_what_the_seat_is_shown() -> None:
    spec = MarketSpec.parse(RICH)
    met = greedy_rollout(spec, [network_seller(spec, k) for k in range(3)], episodes=8).states
    found = {one.name: one for one in natural_features(spec, met, 1)}
    assert np.array_equal(found["inventory position"].values, met.on_hand[:, 1] + met.pipeline[:, 1].sum(1))
    assert np.array_equal(found["lowest rival price"].values, np.minimum(met.price[:, 0], met.price[:, 2]))
    assert np.array_equal(found["own promotion next period"].values, met.event[:, 1, 1])
    assert np.array_equal(found["rivals with a promotion in 2 periods"].values, met.event[:, 2, [0, 2]].sum(1))
    assert found["period of the cycle of 3 (from 1)"].values.tolist()[:9] == [1.0] * 8 + [2.0]
    hidden = spec.model_copy(update={"visibility": spec.visibility.model_copy(update={"rivals_prices": "hidden"})})
    assert not [
        one.name for one in natural_features(hidden, met, 1) if "rival price" in one.name or "last price of" in one.name
    ]


# ------------------------------------------------------------------------------------------------ importances


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
