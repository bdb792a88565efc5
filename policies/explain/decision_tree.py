"""A policy in words: a shallow decision tree that imitates it, read out as sentences, and how faithful they are.

The tree is a least-squares regression tree (Breiman, Friedman, Olshen & Stone 1984; scikit-learn's) of price and
order-up-to level together, on what the seller sees in natural units, in states of greedy play. Each leaf says its
median price and level. Fidelity is measured on episodes that the tree was not grown on. Dimensions: D states,
N sellers, K features, leaves one sentence each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from market.spec.models import MarketSpec
from market.state import Floats
from policies.explain.features import StateFeature, natural_features, plain
from policies.explain.states import Rollout, RolloutStates, level_wanted, views
from policies.sellers.protocol import Seller
from policies.views.format import OFF_FILE

DEPTH = 3
LEAST_SHARE = 0.01  # of the states that a sentence must cover
PRUNED = 0.01  # splits that explain less of the (scaled) variance are not made
HELD_OUT = 4  # every fourth episode is kept to measure fidelity on
PRICE_CLOSE, LEVEL_CLOSE = 0.01, 0.05


@dataclass(frozen=True)
class Sentence:
    """One leaf: when, what, and in which share of the held-out states.

    "If inventory position < 14", "post 1.550, order up to 31", which ``covers`` "23 %" of them.
    """

    conditions: tuple[str, ...]
    price: float
    level: float | None
    orders: bool
    share: float
    mark: str = ""  # after a price outside those on file

    @property
    def when(self) -> str:
        """The conditions in words."""
        return f"If {' and '.join(self.conditions)}" if self.conditions else "Always"

    @property
    def what(self) -> str:
        """The decision in words."""
        price = f"post {plain(self.price)}{self.mark}"
        if self.level is None:
            return price
        return f"{price}, {f'order up to {self.level:,.0f}' if self.orders else 'order nothing'}"

    @property
    def covers(self) -> str:
        """The share in words."""
        return f"{self.share:.0%}".replace("%", " %") if self.share >= 0.005 else "under 1 %"


@dataclass(frozen=True)
class Fidelity:
    """How well the sentences tell the policy, on held-out states.

    ``price_r2`` and ``order_r2`` are R squared, ``1 - sum (policy - tree)^2 / sum (policy - its mean)^2``, None where
    the policy varies by less than a thousandth of its range; ``price_close`` is the share of states with the
    tree's price within 1 % of the price posted, ``order_close`` with its order within 5 % of the mean inventory
    position after ordering; ``both`` with both. The tree's order brings the inventory position to its level.
    ``order_r2`` and ``order_close`` are None without stock. ``single``: what ``both`` is of one sentence alone, the
    median price and level, so what a tree has to beat.
    """

    price_r2: float | None
    price_close: float
    order_r2: float | None
    order_close: float | None
    both: float
    single: float


@dataclass(frozen=True)
class DecisionTree:
    """A policy's sentences, most frequent first, and their fidelity, measured in ``held_out`` states."""

    sentences: tuple[Sentence, ...]
    fidelity: Fidelity
    depth: int
    grown_on: int
    held_out: int


def grow_tree(seller: Seller, rollout: Rollout, seat: int, depth: int = DEPTH) -> DecisionTree:
    """Tell the policy of ``seat``, played by ``seller``, in at most 2^depth sentences. Deterministic.

    With a single episode every fourth state is held out instead.

    Example: a base-stock rule with a constant price has one sentence, "Always: post 2.000, order up to 31 (100 % of
    periods)", and fidelity 1.
    """
    grown = _grown(seller, rollout, seat, depth)
    test, decided, leaves, told = grown.test, grown.decided, grown.leaves, grown.told
    sentences = list(grown.sentences.values())
    said = np.array([told[leaf] for leaf in leaves[test]])
    usual = np.broadcast_to(np.median(decided[~test], axis=0), said.shape)
    if len({one.what for one in sentences}) == 1:  # all leaves say the same once rounded
        sentences, said = [replace(sentences[0], conditions=(), share=1.0)], usual
    fidelity = _fidelity(rollout, seat, test, said, usual)
    ranked = tuple(sorted(sentences, key=lambda one: -one.share))
    return DecisionTree(ranked, fidelity, depth, int((~test).sum()), int(test.sum()))


def sentence_for(seller: Seller, rollout: Rollout, seat: int, state: RolloutStates, depth: int = DEPTH) -> Sentence:
    """The sentence of :func:`grow_tree` that applies in a state (1,)."""
    grown = _grown(seller, rollout, seat, depth)
    both = rollout.states.joined(state)
    own = {feature.name: feature.values[-1:] for feature in natural_features(rollout.spec, both, seat)}
    # A feature that changes only there was no feature when the tree was grown.
    columns = np.stack([own[feature.name] for feature in grown.features], 1) if grown.features else np.zeros((1, 1))
    return grown.sentences[int(grown.tree.apply(columns)[0])]


@dataclass(frozen=True)
class _Grown:
    """A tree and what it was grown on: ``leaves`` (D,) and ``decided`` by state, what is ``told`` and the sentence by leaf."""

    tree: Any
    features: list[StateFeature]
    test: NDArray[np.bool_]
    decided: Floats
    leaves: NDArray[np.int64]
    told: dict[int, Floats]
    sentences: dict[int, Sentence]


def _grown(seller: Seller, rollout: Rollout, seat: int, depth: int) -> _Grown:
    met = rollout.states
    features = natural_features(rollout.spec, met, seat)
    columns = np.stack([feature.values for feature in features], 1) if features else np.zeros((len(met), 1))
    decided = _decisions(seller, rollout, seat)
    group = met.episode if met.episode.max() > 0 else np.arange(len(met))
    test = group % HELD_OUT == HELD_OUT - 1
    tree = _grow(columns[~test], decided[~test], _scales(rollout.spec, seat, decided), depth)
    leaves = np.asarray(tree.apply(columns))
    told = {leaf: np.median(decided[~test & (leaves == leaf)], axis=0) for leaf in np.unique(leaves[~test])}
    sentences = {}
    for leaf, conditions in _paths(tree.tree_, features):
        there = leaves == leaf
        level = float(told[leaf][1]) if rollout.spec.stocked else None
        orders = level != 0 and bool((rollout.order[there & ~test, seat] > 0).mean() > 0.05)
        share, price = float(there[test].mean()), float(told[leaf][0])
        mark = f" {OFF_FILE}" if rollout.spec.sellers[seat].off_file(price) else ""
        sentences[leaf] = Sentence(conditions, price, level, orders, share, mark)
    return _Grown(tree, features, test, decided, leaves, told, sentences)


def _decisions(seller: Seller, rollout: Rollout, seat: int) -> Floats:
    """Price and order-up-to level (D, 2), or price alone (D, 1)."""
    price = rollout.price[:, seat]
    if not rollout.spec.stocked:
        return price[:, None]
    level = np.empty(len(price))
    for part, view in views(rollout.spec, rollout.states, seat):
        level[part] = level_wanted(seller, view, {k: v[part] for k, v in rollout.memories[seat].items()})
    if rollout.spec.customers.mode == "sampled":
        # Of the inventory position in whole units, which the market's rounding of the order makes of it.
        level = np.floor(level + 0.5)
    return np.stack([price, level], axis=1)


def _scales(spec: MarketSpec, seat: int, decided: Floats) -> Floats:
    """What decisions are divided by, so that price and level count alike: their spread, or 1 % of the range if more."""
    own = spec.sellers[seat]
    widths = np.array([own.prices[1] - own.prices[0], own.order_up_to[1] - own.order_up_to[0]])[: decided.shape[1]]
    return np.asarray(np.maximum(np.maximum(decided.std(0), 0.01 * widths), 1e-12))


def _grow(columns: Floats, decided: Floats, scales: Floats, depth: int) -> Any:
    from sklearn.tree import DecisionTreeRegressor

    least = max(1, int(LEAST_SHARE * len(columns)))
    tree = DecisionTreeRegressor(max_depth=depth, min_samples_leaf=least, min_impurity_decrease=PRUNED, random_state=0)
    return tree.fit(columns, decided / scales)


def _paths(tree: Any, features: Sequence[StateFeature]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Every leaf of scikit-learn's tree with the conditions on the way to it, each feature's bounds once."""
    todo: list[tuple[int, dict[int, tuple[float, float]]]] = [(0, {})]
    while todo:
        node, bounds = todo.pop()
        left, right = int(tree.children_left[node]), int(tree.children_right[node])
        if left == right:
            yield node, tuple(features[k].words(*bound) for k, bound in bounds.items())
            continue
        k, threshold = int(tree.feature[node]), float(tree.threshold[node])
        low, high = bounds.get(k, (-np.inf, np.inf))
        todo.append((right, bounds | {k: (max(low, threshold), high)}))
        todo.append((left, bounds | {k: (low, min(high, threshold))}))


def _fidelity(rollout: Rollout, seat: int, test: NDArray[np.bool_], said: Floats, usual: Floats) -> Fidelity:
    """Of what the sentences say (D, 1 or 2) in the states of ``test``, and of the ``usual`` decision alone."""
    own, price = rollout.spec.sellers[seat], rollout.price[test, seat]
    near, order = _near(rollout, seat, test, said)
    single = np.logical_and.reduce([part for part in _near(rollout, seat, test, usual) if part is not None])
    price_r2 = r_squared(price, said[:, 0], 0.001 * (own.prices[1] - own.prices[0]))
    close, alone = float(near.mean()), float(single.mean())
    if order is None:
        return Fidelity(price_r2, close, None, None, close, alone)
    least = 0.001 * (own.order_up_to[1] - own.order_up_to[0])
    order_r2 = r_squared(rollout.order[test, seat], _told(rollout, seat, test, said), least)
    return Fidelity(price_r2, close, order_r2, float(order.mean()), float((near & order).mean()), alone)


def _told(rollout: Rollout, seat: int, test: NDArray[np.bool_], said: Floats) -> Floats:
    return np.maximum(said[:, 1] - rollout.states.position(seat)[test], 0.0)


def _near(
    rollout: Rollout, seat: int, test: NDArray[np.bool_], said: Floats
) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
    """Where the price is close, and where the order is (None without stock)."""
    price = rollout.price[test, seat]
    near = np.abs(said[:, 0] - price) <= PRICE_CLOSE * np.abs(price) + 1e-12
    if not rollout.spec.stocked:
        return near, None
    order = rollout.order[test, seat]
    reached = float((rollout.states.position(seat)[test] + order).mean())
    return near, np.abs(_told(rollout, seat, test, said) - order) <= LEVEL_CLOSE * reached + 1e-12


@np.errstate(under="ignore")
def r_squared(policy: Floats, tree: Floats, least: float = 0.0) -> float | None:
    """R squared of the tree's decisions (D,); None where the policy's standard deviation is ``least`` or less.

    1, 2, 3 told as 1, 2, 2: the squares left over sum to 1 and those about the mean to 2, so 0.5.
    """
    total = float(((policy - policy.mean()) ** 2).sum())
    if total <= len(policy) * (least**2 + 1e-24 * float((policy**2).mean())):
        return None
    return 1 - float(((policy - tree) ** 2).sum()) / total
