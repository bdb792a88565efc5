"""Lockstep loops on a small market."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from market.simulation.decisions import Decisions
from market.simulation.observation import feature_list
from market.spec.models import MarketSpec
from policies.learners.base import Learner
from policies.learners.registry import BUILDERS, build_learner
from policies.selfplay.loop import SelfPlay
from policies.sellers.protocol import Seller, View
from policies.sellers.rules.compose import compose, parse_rules
from tests.helpers.markets import a_market

ROWS, HORIZON, SEED = 8, 12, 3


ENCODING = {"dqn": "grid", "ddpg": "box", "a2c": "box"}


REPLAY = {"batch_size": 32, "replay_ratio": 4.0, "warm_up": 0}  # one update a period of 8 rows


OPTIONS: dict[str, dict[str, Any]] = {
    "dqn": REPLAY | {"target_update": 7},
    "ddpg": REPLAY,
    "a2c": {"segment": 5, "batch_size": 20, "clip": None, "repeat": 1},
}


def market(sellers: int = 2, **changes: Any) -> MarketSpec:
    stocked = {"lead_time": 1, "stock": 6, "holding_cost": 0.05, "grid": {"prices": 4, "levels": 4}}
    return MarketSpec.parse(a_market(*[stocked] * sellers, **{"horizon": HORIZON} | changes))


def learner(spec: MarketSpec, seat: int, name: str, *, seed: int = 0, **changes: Any) -> Any:
    """A learner and its encoding, as SelfPlay takes them."""
    decisions = Decisions(spec, seat, ENCODING[name])
    options = BUILDERS[name].options(hidden=(16,), **OPTIONS[name] | changes)
    sizes: dict[str, Any] = {"observation": len(feature_list(spec)), "action_space": decisions.space, "rows": ROWS}
    made = build_learner(name, options, seed=seed + seat, **sizes)
    return made, decisions


def rule(spec: MarketSpec, seat: int, text: str = "undercut+forecast") -> Seller:
    return compose(parse_rules(text, "rules", spec), spec, seat)


def loop(spec: MarketSpec, players: list[Any], seed: int = SEED, budget: int = 10**6) -> SelfPlay:
    return SelfPlay(spec, players, ROWS, budget, seed)


def play(one: SelfPlay, periods: int) -> SelfPlay:
    for _ in range(periods):
        one.play_period()
    return one


MIXED = ("dqn", "a2c", "ddpg", "undercut+base_stock")


def mixed(seed: int = 0, run: int = SEED) -> SelfPlay:
    spec = market(4)
    players = [
        learner(spec, seat, name, seed=seed) if name in BUILDERS else rule(spec, seat, name)
        for seat, name in enumerate(MIXED)
    ]
    return loop(spec, players, run)


class Ages:
    """A seller that remembers how many periods it has played since its row began."""

    def start(self, markets: int) -> dict[str, NDArray[Any]]:
        return {"age": np.zeros(markets)}

    def act(self, view: View, memory: dict[str, NDArray[Any]]) -> Any:
        assert np.array_equal(memory["age"], view.period)
        return np.full(ROWS, 2.0), np.full(ROWS, 4.0), {"age": memory["age"] + 1}


def weights(of: Learner) -> list[NDArray[Any]]:
    return [p.detach().numpy().copy() for p in of.algorithm.parameters()]


def same(a: list[NDArray[Any]], b: list[NDArray[Any]]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
