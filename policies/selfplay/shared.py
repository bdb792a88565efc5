"""One learner in several seats (parameter sharing): it sees, decides and learns for all of them at once.

What a seat sees is ordered from its own perspective, so one policy can play any seat (Gupta, Egorov & Kochenderfer
2017, "Cooperative multi-agent control using deep reinforcement learning").
"""

from __future__ import annotations

import torch

from market.errors import UserError
from market.simulation.decisions import Decisions
from policies.config.selfplay import SharedOptions
from policies.learners.build import encoding_of
from policies.networks.architecture import build
from policies.networks.heads import Actor
from policies.selfplay.loop import SelfPlay
from policies.selfplay.players import LearnerAtPlay
from policies.selfplay.seating import Seats


class SharedPlay(SelfPlay):
    """Self-play in which some seats share a learner; others may have learners of their own."""

    def __init__(self, options: SharedOptions, seats: Seats) -> None:
        shared = _sharing_seats(options, seats)
        self.extra = len(shared) if options.indicator else 0
        names = seats.learning  # where an order costs in one of the seats all have the gate
        lead = max(shared, key=lambda seat: encoding_of(seats.config, seat, names[seat]) == "gated")
        learner, first = seats.learner(lead, seats=len(shared), extra=self.extra)
        if self.extra and not foldable(learner.network):
            raise UserError(
                "selfplay.indicator: needs a network whose first layer sees what the market shows and nothing else, so neither a recurrent one nor normalize_observations"
            )
        decisions = {k: _same_encoding(seats, k, first) for k in shared}
        self.sharing = LearnerAtPlay(learner, decisions, options.indicator)
        every, settings = range(len(seats.spec.sellers)), seats.config.training
        players = [self.sharing if k in shared else seats.sitting(k) for k in every]
        super().__init__(seats.spec, players, settings.markets, settings.budget, seats.seed)

    def network(self, seat: int) -> Actor:
        """The learner's own; where it is told the seat, a copy that needs not be told."""
        network = super().network(seat)
        if seat not in self.sharing.seats or not self.extra:
            return network
        return without_indicator(network, self.sharing.seats.index(seat), self.extra)


def _sharing_seats(options: SharedOptions, seats: Seats) -> list[int]:
    """The seats that share, in order; raise :class:`UserError` where the configuration gives them different learners."""
    names = seats.spec.names
    given = [names[seat] for seat in seats.learning] if options.seats is None else options.seats
    for k, name in enumerate(given):
        if name not in names or names.index(name) not in seats.learning:
            learning = ", ".join(names[seat] for seat in seats.learning)
            raise UserError(f"selfplay.seats.{k}: {name!r} is no learner's seat; those are {learning}")
    shared = sorted({names.index(name) for name in given})
    if len(shared) < 2 or len(shared) < len(given):
        raise UserError(f"selfplay.seats: needs two different seats or more to share a learner, not {', '.join(given)}")
    first = seats.config.player(shared[0])
    for seat in shared[1:]:
        if (player := seats.config.player(seat)) != first:
            raise UserError(
                f"seats.{names[seat]}: {player!r} is not what seats.{names[shared[0]]} has ({first!r}); seats that share "
                "a learner need the same, selfplay.seats says which do"
            )
    return shared


def _same_encoding(seats: Seats, seat: int, first: Decisions) -> Decisions:
    """The seat's own encoding of the shared learner's actions; raise :class:`UserError` where they are not the same."""
    own, place = Decisions(seats.spec, seat, first.encoding), f"market.sellers.{seat} ({seats.spec.names[seat]})"
    if first.encoding == "grid" and (len(own.prices), len(own.levels)) != (len(first.prices), len(first.levels)):
        raise UserError(
            f"{place}.grid: has {len(own.prices)} prices x {len(own.levels)} levels, {first.seller.name} has "
            f"{len(first.prices)} x {len(first.levels)}; seats that share a learner need the same"
        )
    return own


FIRST = "body.layers.0"


def foldable(network: Actor) -> bool:
    """Whether an indicator can be taken out of the network: what it sees goes straight into its first layer."""
    weight = network.state_dict().get(f"{FIRST}.weight")
    plain = network.architecture.observation
    return weight is not None and weight.shape[1] == plain and network.normalizer is None


def without_indicator(network: Actor, which: int, extra: int) -> Actor:
    """The network of one seat, which needs no indicator: its column of the first layer's weights joins the biases.

    W (x, e_s) + b = W_x x + (b + w_s): the same function of x, rounding apart.
    """
    own = network.architecture.model_copy(update={"observation": network.architecture.observation - extra})
    weights = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
    first = weights[f"{FIRST}.weight"]
    weights[f"{FIRST}.weight"] = first[:, : own.observation].contiguous()
    weights[f"{FIRST}.bias"] = weights[f"{FIRST}.bias"] + first[:, own.observation + which]
    with torch.device("meta"):
        alone = build(own)
    alone.load_state_dict(weights, assign=True)
    return alone.requires_grad_(False).eval()
