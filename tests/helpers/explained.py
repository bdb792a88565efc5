"""Markets whose sellers' policies are explained, sellers with random weights, and conditions read as a person would."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from market.simulation.decisions import Decisions
from market.simulation.observation import feature_list
from market.spec.models import MarketSpec
from policies.explain.features import StateFeature
from policies.explain.states import Rollout, greedy_rollout
from policies.networks.architecture import Architecture, build
from policies.sellers.network_seller import NetworkSeller
from policies.sellers.protocol import Memory, Seller, View
from policies.sellers.rules.level_search import build as build_rules
from tests.helpers.markets import a_market

STOCK = {"holding_cost": 0.1, "stock": 8, "lead_time": 1}

RICH = a_market(
    {**STOCK, "lead_time": 3, "event_frequency": 0.2},
    {**STOCK, "event_frequency": 0.3, "prices": [1.2, 2.5]},
    {**STOCK, "lead_time": 2},
    horizon=12,
    events={"effect": 0.5, "mean_length": 2.0, "announced": 2},
    visibility={"rivals_prices": "last", "rivals_stock": "level"},
    customers={"weekly": [1, 2, 0.5], "yearly": {"amplitude": 0.3, "length": 30}, "trend": 0.01},
)

DUOPOLY = a_market(STOCK, STOCK, horizon=20)

MONOPOLY = a_market(STOCK, horizon=20)

MADE = a_market(
    {"order_up_to": [0, 0]},
    {"order_up_to": [0, 0]},
    inventory="make_to_order",
    horizon=6,
    customers={"mode": "expected"},
)


def network_seller(spec: MarketSpec, seat: int, seed: int = 0) -> NetworkSeller:
    """A seller whose network holds random weights, large enough that what it sees matters."""
    decisions = Decisions(spec, seat)
    shape = Architecture(kind="deterministic", observation=len(feature_list(spec)), actions=decisions.space.shape[0])
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build(shape)
    with torch.no_grad():
        for weights in network.parameters():
            weights.mul_(2.0)
    return NetworkSeller(network.requires_grad_(False), decisions)


def fixed(spec: MarketSpec, *rules: str) -> list[Seller]:
    return [build_rules(one, spec, seat) for seat, one in enumerate(rules)]


def duopoly(*rules: str) -> Rollout:
    spec = MarketSpec.parse(DUOPOLY)
    return greedy_rollout(spec, fixed(spec, *rules), episodes=8, seed=3, warm_up=2)


class Recorder:
    """Plays a seller and keeps copies of the views it is shown; without one it posts 2 and orders nothing."""

    def __init__(self, seller: Seller | None = None) -> None:
        self.seller, self.seen = seller, list[View]()

    def start(self, markets: int) -> Memory:
        return {}

    def act(self, view: View, memory: Memory) -> tuple[Any, Any, Memory]:
        parts = {f.name: getattr(view, f.name) for f in fields(view)}
        self.seen.append(View(**{name: None if part is None else part.copy() for name, part in parts.items()}))
        return self.seller.act(view, memory) if self.seller else (np.full(len(view.price), 2.0), 0 * view.price, {})


LARGE = a_market({**STOCK, "stock": 20}, STOCK, horizon=60, customers={"rate": 60.0})


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
