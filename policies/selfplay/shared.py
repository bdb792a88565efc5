"""One learner in several seats (parameter sharing): it sees, decides and learns for all of them at once.

What a seat sees is ordered from its own perspective, so one policy can play any seat (Gupta, Egorov & Kochenderfer
2017, "Cooperative multi-agent control using deep reinforcement learning"). Its rows are those of the first seat that
shares, then those of the second, and so on.

Dimensions: M rows of the market, S seats that share, F observation features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.simulation.decisions import Decisions, order_quantity
from market.state import Floats
from policies.config.selfplay import SharedOptions
from policies.learners.base import Learner
from policies.networks.architecture import build
from policies.networks.heads import Actor
from policies.selfplay.loop import SeatPlayer, SelfPlay
from policies.selfplay.seating import Seats


class Sharing:
    """The learner that seats share, and what it decided in this period.

    Args:
        decisions: of each seat that shares, by seat in order; each has its own ranges of prices and levels.
        indicator: append a one-hot number of the seat (S,) to what is seen.
    """

    def __init__(self, learner: Learner, decisions: dict[int, Decisions], indicator: bool) -> None:
        self.learner, self.decisions, self.indicator = learner, decisions, indicator
        self.seats = list(decisions)
        self.action: NDArray[Any] | None = None

    def stacked(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """What all seats see (M, N, F) as the learner's rows (S x M, F), with the indicator (S x M, F + S)."""
        rows = np.concatenate([observation[:, seat] for seat in self.seats])
        if not self.indicator:
            return rows
        which = np.repeat(np.eye(len(self.seats), dtype=np.float32), len(observation), axis=0)
        return np.concatenate([rows, which], axis=1)

    def act(self, observation: NDArray[np.float32], seat: int) -> NDArray[Any]:
        """The actions (M, ..) of a seat; the first seat that asks has all of them decided."""
        if seat == self.seats[0]:
            self.action = self.learner.act(self.stacked(observation), explore=True)
        assert self.action is not None
        return np.asarray(np.split(self.action, len(self.seats))[self.seats.index(seat)])


class SharedSeat(SeatPlayer):
    """A seat of those that share."""

    def __init__(self, sharing: Sharing, seat: int) -> None:
        self.sharing, self.seat = sharing, seat

    def act(self, batch: MarketBatch, seat: int, observation: NDArray[np.float32]) -> tuple[Floats, Floats]:
        """Decide for all rows with exploration."""
        price, level = self.sharing.decisions[seat].decode(self.sharing.act(observation, seat))
        return price, order_quantity(level, batch.state.on_hand[:, seat], batch.state.pipeline[:, seat].sum(1))

    def restart(self, rows: NDArray[np.bool_]) -> None:
        """Told of all seats at once: rows are those of the market, for every seat that shares."""
        if self.seat == self.sharing.seats[0]:
            self.sharing.learner.restart(np.tile(rows, len(self.sharing.seats)))

    def state_dict(self) -> dict[str, Any]:
        """The learner's state and what it decided last, kept by the first seat that shares."""
        if self.seat != self.sharing.seats[0]:
            return {}
        action = self.sharing.action
        return {
            "learner": self.sharing.learner.state_dict(),
            "action": None if action is None else torch.from_numpy(action.copy()),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where :meth:`state_dict` was taken."""
        if state:
            self.sharing.learner.load_state_dict(state["learner"])
            self.sharing.action = None if state["action"] is None else state["action"].numpy().copy()


class SharedPlay(SelfPlay):
    """Self-play in which some seats share a learner; others may have learners of their own."""

    def __init__(self, options: SharedOptions, seats: Seats) -> None:
        shared = _sharing_seats(options, seats)
        self.extra = len(shared) if options.indicator else 0
        learner, first = seats.learner(shared[0], seats=len(shared), extra=self.extra)
        if self.extra and not foldable(learner.network):
            raise UserError(
                "selfplay.indicator: needs a network whose first layer sees what the market shows and nothing else, so neither a recurrent one nor normalize_observations"
            )
        self.sharing = Sharing(learner, {k: _same_encoding(seats, k, first) for k in shared}, options.indicator)
        every, settings = range(len(seats.spec.sellers)), seats.config.training
        players = [SharedSeat(self.sharing, k) if k in shared else seats.sitting(k) for k in every]
        super().__init__(seats.spec, players, settings.markets, settings.budget, seats.seed)

    @property
    def learners(self) -> dict[int, Learner]:
        """By seat; the seats that share have the same one."""
        return super().learners | dict.fromkeys(self.sharing.seats, self.sharing.learner)

    def decisions(self, seat: int) -> Decisions:
        """How actions of the seat's learner become prices and orders."""
        return self.sharing.decisions[seat] if seat in self.sharing.seats else super().decisions(seat)

    def network(self, seat: int) -> Actor:
        """The learner's own; where it is told the seat, a copy that needs not be told."""
        network = super().network(seat)
        if seat not in self.sharing.seats or not self.extra:
            return network
        return without_indicator(network, self.sharing.seats.index(seat), self.extra)

    def _learn(
        self, observation: NDArray[np.float32], following: NDArray[np.float32], cut: NDArray[np.bool_]
    ) -> dict[int, dict[str, float]]:
        reports = super()._learn(observation, following, cut)
        sharing = self.sharing
        assert sharing.action is not None
        seen, then = sharing.stacked(observation), sharing.stacked(following)
        reward = np.concatenate([self.rewards[seat] for seat in sharing.seats])
        sharing.learner.progress(self.fraction)
        sharing.learner.remember(seen, sharing.action, reward, then, np.tile(cut, len(sharing.seats)))
        if report := sharing.learner.learn():
            reports |= dict.fromkeys(sharing.seats, report)
        return reports


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
    for seat in shared[1:]:
        if seats.player(seat) != seats.player(shared[0]):
            raise UserError(
                f"seats.{names[seat]}: {seats.player(seat)!r} is not what seats.{names[shared[0]]} has "
                f"({seats.player(shared[0])!r}); seats that share a learner need the same, selfplay.seats says which do"
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
