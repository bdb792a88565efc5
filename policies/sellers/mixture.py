"""A seller that mixes: in every row it draws a member at the start of an episode, and plays it to the end.

Dimensions: M markets side by side, K members.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from market.spec.models import MarketSpec
from market.state import Floats
from policies.sellers.network_seller import NetworkSeller
from policies.sellers.protocol import Memory, Seller, View

UNDRAWN = -1


class MixtureSeller:
    """Plays a mixed strategy. Satisfies :class:`policies.sellers.protocol.Seller`.

    Which member a row gets is a function of its row seed, episode and seat, so all see the same draws.

    Args:
        members: the sellers, all of one seat.
        weights: (K,) how often each is drawn, any scale.
    """

    def __init__(self, members: Sequence[Seller], weights: ArrayLike) -> None:
        chances = np.asarray(weights, np.float64)
        kept = np.flatnonzero(chances > 0)
        self.members = [members[int(k)] for k in kept]
        self.weights = chances[kept] / chances[kept].sum()

    def start(self, markets: int) -> Memory:
        """Nobody drawn yet, and the memories of all members."""
        memory: Memory = {"member": np.full(markets, UNDRAWN, np.int64)}
        for k, one in enumerate(self.members):
            memory |= {f"{k}.{name}": array for name, array in one.start(markets).items()}
        return memory

    def act(self, view: View, memory: Memory) -> tuple[Floats, Floats, Memory]:
        """Price (M,) and quantity (M,) of each row's member."""
        member = np.where(memory["member"] == UNDRAWN, self._drawn(view.noise), memory["member"])
        after = {name: array.copy() for name, array in memory.items()} | {"member": member}
        price, quantity = np.empty(len(member)), np.empty(len(member))
        for k, one in enumerate(self.members):
            rows = np.flatnonzero(member == k)
            if len(rows):
                own = {name.split(".", 1)[1]: name for name in memory if name.startswith(f"{k}.")}
                price[rows], quantity[rows], kept = one.act(
                    view.take(rows), {short: memory[name][rows] for short, name in own.items()}
                )
                for short, array in kept.items():
                    after[own[short]][rows] = array
        return price, quantity, after

    def moved(self, spec: MarketSpec, home: MarketSpec, seat: int) -> MixtureSeller:
        """As :meth:`policies.sellers.network_seller.NetworkSeller.moved`; rules among the members stay as they are."""
        there = [one.moved(spec, home, seat) if isinstance(one, NetworkSeller) else one for one in self.members]
        other = MixtureSeller(there, self.weights)
        other.weights = self.weights  # to the bit, so that every row draws the same member
        return other

    def _drawn(self, noise: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Members (M,) by the noise of an episode's first period, scrambled: rules that randomise use it too."""
        with np.errstate(over="ignore"):
            bits = (noise ^ (noise >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
            bits = (bits ^ (bits >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
        uniform = (bits >> np.uint64(11)).astype(np.float64) / 2.0**53
        at = np.searchsorted(np.cumsum(self.weights), uniform, side="right")
        return np.asarray(np.minimum(at, len(self.weights) - 1), np.int64)
