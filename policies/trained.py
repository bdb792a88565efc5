"""A saved seller in a seat: a plain torch network that decides greedily. Needs no Tianshou."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from market.decisions import Decisions, order_quantity
from market.layout import Floats
from policies.networks import greedy
from policies.seller import Memory, View


class TrainedSeller:
    """Plays a network's greedy action. Satisfies :class:`policies.seller.Seller`; it remembers nothing.

    Args:
        network: as ``policies.networks.build`` makes it.
        decisions: the seat's encoding, by which actions become prices and order-up-to levels.
    """

    def __init__(self, network: torch.nn.Module, decisions: Decisions) -> None:
        self.network, self.decisions = network, decisions

    def start(self, markets: int) -> Memory:
        """Nothing to remember."""
        return {}

    def act(self, view: View, memory: Memory) -> tuple[Floats, Floats, Memory]:
        """Price (M,) and quantity (M,) of the greedy action."""
        price, quantity = carry_out(self.decisions, greedy(self.network, view.observation), view)
        return price, quantity, memory


def carry_out(decisions: Decisions, action: NDArray[np.generic], view: View) -> tuple[Floats, Floats]:
    """What an action means in the market: a price and the quantity that reaches the order-up-to level."""
    price, level = decisions.decode(action)
    return price, order_quantity(level, view.on_hand, view.on_order)
