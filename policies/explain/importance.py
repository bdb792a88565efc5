"""What a learned policy looks at: permutation importance of groups of features for its decisions.

Shuffle one group of the observation among the states, leave the rest, and see by how much the policy's price and
order-up-to level move on average (after Breiman 2001; scikit-learn's ``permutation_importance``). This is importance
for the decision, not for profit. What a seller remembers of earlier periods is a group of its own. Dimensions: D
states, F observation features, G groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from market.simulation.observation import feature_list
from market.spec.models import MarketSpec
from market.state import Floats
from policies.explain.states import RolloutStates, level_wanted, views
from policies.sellers.network_seller import NetworkSeller
from policies.sellers.protocol import Memory, View

REPEATS = 5
MOST = 4000  # states asked about
MEMORY = "what it remembers"


@dataclass(frozen=True)
class Importance:
    """How far decisions move when one group is shuffled: mean absolute change, and its standard deviation over repeats.

    ``price`` in money per unit; ``level`` in units, None without stock.
    """

    group: str
    price: float
    price_sd: float
    level: float | None = None
    level_sd: float | None = None


def groups(spec: MarketSpec, seat: int) -> dict[str, list[int]]:
    """Columns of a seat's observation by what they tell: stock on hand is one group, all of the calendar another."""
    found: dict[str, list[int]] = {}
    for column, feature in enumerate(feature_list(spec)):
        found.setdefault(_group(spec, seat, feature.name), []).append(column)
    return found


def _group(spec: MarketSpec, seat: int, name: str) -> str:
    own = {
        "own_on_hand": "own stock on hand",
        "own_price": "own last price",
        "own_sold": "own sales last period",
        "own_lost": "own lost sales last period",
        "own_reference": "own reference price",
        "own_demand_forecast": "forecast of own demand",
    }
    if name in own:
        return own[name]
    if name.startswith("own_arriving"):
        return "own stock on order"
    if name.startswith("event_"):
        return "own promotions" if name.startswith("event_own") else "rivals' promotions"
    if not name.startswith("rival_"):
        return "calendar"
    offset, what = name.removeprefix("rival_").split("_", 1)
    rival = spec.names[(seat + int(offset)) % len(spec.sellers)]
    told = {"price": "price", "reference": "reference price"}
    return f"{told.get(what, 'stock')} of {rival}"


class _Shuffled:
    """The policy as a scikit-learn estimator over (D, G) row numbers: of each group, whose features are shown.

    ``parts``: the columns of each group; None of the memory's.
    """

    def __init__(self, seller: NetworkSeller, view: View, memory: Memory, parts: list[list[int] | None]) -> None:
        self.seller, self.view, self.memory, self.parts = seller, view, memory, parts

    def fit(self, X: Any, y: Any = None) -> Self:
        """Nothing is fitted; scikit-learn asks for the method."""
        return self

    def predict(self, X: NDArray[np.int64]) -> Floats:
        """Price and level (D, 2)."""
        observation, memory = self.view.observation.copy(), self.memory
        for group, columns in enumerate(self.parts):
            if columns is None:
                memory = {name: array[X[:, group]] for name, array in self.memory.items()}
            else:
                observation[:, columns] = self.view.observation[X[:, [group]], columns]
        view = replace(self.view, observation=observation)
        return np.stack([self.seller.act(view, memory)[0], level_wanted(self.seller, view, memory)], axis=1)


def _minus_change(estimator: _Shuffled, X: NDArray[np.int64], y: Floats) -> Mapping[str, float]:
    change = np.abs(estimator.predict(X) - y).mean(0)
    return {"price": -float(change[0]), "level": -float(change[1])}


def importances(
    spec: MarketSpec,
    seller: NetworkSeller,
    states: RolloutStates,
    seat: int,
    memory: Memory | None = None,
    seed: int = 0,
) -> list[Importance]:
    """How much each group of features moves the decisions of a learned seller, largest first; groups that never
    vary are left out. Deterministic in ``seed``, which shuffles. ``memory``: what it remembered, arrays over D; None for
    one that remembers nothing.

    Example: a policy that posts 1 + 0.5 x (own last price, in its unit of -1 to 1) where half of the states have
    -1 and half 1: shuffled, half of them see the other value and move by 1, so 0.5; every other group 0.
    """
    from sklearn.inspection import permutation_importance

    rows_asked = np.linspace(0, len(states) - 1, min(MOST, len(states))).astype(int)
    chosen, remembered = states.at(rows_asked), {name: array[rows_asked] for name, array in (memory or {}).items()}
    view = _one_view(spec, chosen, seat)
    varying: dict[str, list[int] | None] = {
        name: columns for name, columns in groups(spec, seat).items() if np.ptp(view.observation[:, columns], 0).any()
    }
    if any((array != array[0]).any() for array in remembered.values()):
        varying[MEMORY] = None
    if not varying:
        return []
    policy = _Shuffled(seller, view, remembered, list(varying.values()))
    rows = np.repeat(np.arange(len(chosen))[:, None], len(varying), axis=1)
    found = permutation_importance(
        policy, rows, policy.predict(rows), scoring=_minus_change, n_repeats=REPEATS, random_state=seed
    )
    told = ("price", "level") if spec.stocked else ("price",)
    columns = [part.tolist() for what in told for part in (found[what].importances_mean, found[what].importances_std)]
    listed = [Importance(name, *figures) for name, *figures in zip(varying, *columns, strict=True)]
    own = spec.sellers[seat]
    width = own.prices[1] - own.prices[0] or 1.0, own.order_up_to[1] - own.order_up_to[0] or 1.0
    return sorted(listed, key=lambda one: -(one.price / width[0] + (one.level or 0.0) / width[1]))


def _one_view(spec: MarketSpec, states: RolloutStates, seat: int) -> View:
    """The views of all states in one; of what is beside the observation a learned seller needs the shapes only."""
    seen = [view.observation.copy() for _, view in views(spec, states, seat)]
    last = next(iter(views(spec, states.at(slice(0, 1)), seat)))[1]
    empty = np.zeros(len(states))
    return replace(last, observation=np.concatenate(seen), on_hand=empty, on_order=empty)
