"""A saved seller in a seat: a plain torch network that decides greedily, in its own market or in another one.

A policy sees another market than the one it learned in through an :class:`ObservationAdapter`. Features are matched by
name: what the policy never saw is dropped, what this market does not show is filled with a neutral value
(:func:`neutral`), and what both have is put on the scale that the policy learned, ranges being those of its own market.
Needs no Tianshou.

Dimensions: M markets side by side, N sellers, F features shown here, G features the policy sees, A components of an action.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from market.simulation.decisions import Decisions, order_quantity
from market.simulation.observation import Feature, compile_features, feature_list
from market.spec.models import MarketSpec
from market.state import Floats
from policies.networks.architecture import decide, empty_memory
from policies.networks.heads import Actor
from policies.sellers.protocol import Memory, View


@dataclass(frozen=True, eq=False)
class ObservationAdapter:
    """``clip(observation[column] x scale + shift, low, high)`` for each of G features; column -1 takes the ``shift``."""

    column: NDArray[np.int64]  # (G,)
    scale: NDArray[np.float32]  # (G,)
    shift: NDArray[np.float32]  # (G,)
    low: NDArray[np.float32]  # (G,)
    high: NDArray[np.float32]  # (G,)

    @classmethod
    def between(cls, learned: MarketSpec, its_seat: int, here: MarketSpec, seat: int) -> Self:
        """From what ``seat`` of ``here`` shows to what ``its_seat`` of ``learned`` showed.

        A stock of 30 is shown as 1.5 under a top level of 20; to a policy that learned under 40 it is 0.75. Rivals are matched by
        their names where both markets have the same, else by their distance from the seat.
        """
        wanted, shown = feature_list(learned), feature_list(here)
        by_name = set(learned.names) == set(here.names) and learned.names[its_seat] == here.names[seat]
        at = {_of_whom(feature, here, seat, by_name): k for k, feature in enumerate(shown)}
        column = np.array([at.get(_of_whom(feature, learned, its_seat, by_name), -1) for feature in wanted], np.int64)
        ours, theirs = _units(learned, its_seat), _units(here, seat)
        scale, shift = np.zeros(len(wanted)), np.zeros(len(wanted))
        for k, feature in enumerate(wanted):
            if column[k] < 0:
                shift[k] = neutral(feature, here)
                continue
            (middle, per_unit), (middle_here, per_unit_here) = ours[k], theirs[column[k]]
            scale[k] = per_unit / per_unit_here
            shift[k] = (middle_here - middle) * per_unit
        low, high = np.array([[feature.low, feature.high] for feature in wanted]).T
        return cls(column, *(part.astype(np.float32) for part in (scale, shift, low, high)))

    def see(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Observations (M, F) as the policy knows them, (M, G)."""
        seen: NDArray[np.float32] = observation[:, self.column] * self.scale + self.shift
        return np.clip(seen, self.low, self.high)


def _of_whom(feature: Feature, spec: MarketSpec, seat: int, by_name: bool) -> tuple[str, str]:
    """What a feature is of, and whose: a seller's name, or how far from the seat."""
    whose = f"rival_{feature.offset}" if feature.offset else "own"
    who = spec.names[(seat + feature.offset) % len(spec.names)] if by_name else whose
    return feature.name.replace(whose, "", 1), who


def neutral(feature: Feature, here: MarketSpec) -> float:
    """What a policy is told of a feature that ``here`` does not show.

    0: a price in the middle of its range, no units, no event, no phase of the calendar; a rival in stock, 1. A rival
    that ``here`` does not have posts its top price, 1, and has no stock, 0, as one that has left a market.
    """
    if feature.offset >= len(here.sellers):
        return 1.0 if feature.name.endswith(("_price", "_reference")) else 0.0
    return 1.0 if feature.name.endswith("_in_stock") else 0.0


def _units(spec: MarketSpec, seat: int) -> list[tuple[float, float]]:
    """For every feature of a seat the raw value that is shown as 0, and how much is shown per raw unit."""
    compiled, count = compile_features(spec), len(spec.sellers)
    rows: Floats = np.stack([compiled.shift, compiled.scale], axis=-1)
    return [tuple(rows[f, (seat + offset) % count]) for f, offset in enumerate(compiled.offset)]


class NetworkSeller:
    """Plays a network's greedy action. Satisfies :class:`policies.sellers.protocol.Seller`; it remembers what its network does.

    Args:
        network: as ``policies.networks.architecture.build`` makes it.
        decisions: the seat's encoding, by which actions become prices and order-up-to levels.
        adapters: through which it looks at the market it sits in, nearest the market first; none where it is the
            market that it learned in.
    """

    def __init__(self, network: Actor, decisions: Decisions, adapters: tuple[ObservationAdapter, ...] = ()) -> None:
        self.network, self.decisions, self.adapters = network, decisions, adapters

    def start(self, markets: int) -> Memory:
        """What its network remembers when an episode begins: nothing, unless it is recurrent or stacks observations."""
        return empty_memory(self.network, markets)

    def act(self, view: View, memory: Memory) -> tuple[Floats, Floats, Memory]:
        """Price (M,) and quantity (M,) of the greedy action."""
        action, memory = decide(self.network, self.seen(view), memory)
        return *carry_out(self.decisions, action, view), memory

    def seen(self, view: View) -> NDArray[np.float32]:
        """What the network is shown of a view, (M, F of the market that it learned in)."""
        observation = view.observation
        for adapter in self.adapters:
            observation = adapter.see(observation)
        return observation

    def moved(self, spec: MarketSpec, home: MarketSpec, seat: int) -> NetworkSeller:
        """The same seller in ``seat`` of ``spec``, a variant of the market ``home`` in whose ``seat`` it sits now.

        It keeps its own ranges and grid, and sees ``spec`` through a :class:`ObservationAdapter`.
        """
        adapter = ObservationAdapter.between(home, seat, spec, seat)
        return NetworkSeller(self.network, self.decisions, (adapter, *self.adapters))


def carry_out(decisions: Decisions, action: NDArray[np.generic], view: View) -> tuple[Floats, Floats]:
    """What an action means in the market: a price and the quantity that reaches the order-up-to level."""
    price, level = decisions.decode(action)
    return price, order_quantity(level, view.on_hand, view.on_order)
