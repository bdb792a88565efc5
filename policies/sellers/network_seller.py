"""A saved seller in a seat: a plain torch network that decides greedily. Needs no Tianshou."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from market.simulation.decisions import Decisions, order_quantity
from market.spec.models import MarketSpec
from market.state import Floats
from policies.networks.architecture import decide, empty_memory
from policies.sellers.lens import ObservationAdapter
from policies.sellers.protocol import Memory, View


class NetworkSeller:
    """Plays a network's greedy action. Satisfies :class:`policies.sellers.protocol.Seller`; it remembers what its network does.

    Args:
        network: as ``policies.networks.architecture.build`` makes it.
        decisions: the seat's encoding, by which actions become prices and order-up-to levels.
        lenses: through which it looks at the market it sits in, nearest the market first; none where it is the
            market that it learned in.
    """

    def __init__(
        self, network: torch.nn.Module, decisions: Decisions, lenses: tuple[ObservationAdapter, ...] = ()
    ) -> None:
        self.network, self.decisions, self.lenses = network, decisions, lenses

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
        for lens in self.lenses:
            observation = lens.see(observation)
        return observation

    def moved(self, spec: MarketSpec, home: MarketSpec, seat: int) -> NetworkSeller:
        """The same seller in ``seat`` of ``spec``, a variant of the market ``home`` in whose ``seat`` it sits now.

        It keeps its own ranges and grid, and sees ``spec`` through a :class:`~policies.sellers.lens.ObservationAdapter`.
        """
        lens = ObservationAdapter.between(home, seat, spec, seat)
        return NetworkSeller(self.network, self.decisions, (lens, *self.lenses))


def carry_out(decisions: Decisions, action: NDArray[np.generic], view: View) -> tuple[Floats, Floats]:
    """What an action means in the market: a price and the quantity that reaches the order-up-to level."""
    price, level = decisions.decode(action)
    return price, order_quantity(level, view.on_hand, view.on_order)
