"""Who sits in a seat of the lockstep loop: a learner, a fixed competitor, or one in some rows and the other in the rest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from market.simulation.batch import MarketBatch
from market.simulation.decisions import Decisions, order_quantity
from market.state import Flags, Floats, Observation
from policies.common.torch_tools import to_arrays, to_tensors
from policies.learners.base import Learner
from policies.selfplay.seating import SeatedLearner
from policies.sellers.protocol import Memory, Seller, look, reset_rows

Rows = NDArray[np.int64]  # numbers of some rows of a batch


class SeatPlayer(ABC):
    """What sits in a seat, or in several: decides for all rows, and is told which rows begin an episode."""

    @property
    def learning(self) -> LearnerAtPlay | None:
        """The learner, where one plays."""
        return None

    @abstractmethod
    def act(self, batch: MarketBatch, seat: int, observation: Observation) -> tuple[Floats, Floats]:
        """Prices (M,) and quantities to order (M,), given what all seats see (M, N, F)."""

    @abstractmethod
    def restart(self, rows: Flags) -> None:
        """Rows (M,) whose episode begins anew."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything that the player's future depends on, as :mod:`policies.common.torch_tools` says."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where :meth:`state_dict` was taken."""


class LearnerAtPlay(SeatPlayer):
    """A learner, the seats that it plays, one or several (S), and what it decided in this period.

    Its rows are those of the first of its seats, then those of the second, and so on.

    Args:
        decisions: by seat in order; each has its own ranges of prices and levels.
        indicator: append a one-hot number of the seat (S,) to what is seen.
        rows: of the batch, in which it plays and of which it learns; None: all. M is their number.
    """

    def __init__(
        self, learner: Learner, decisions: dict[int, Decisions], indicator: bool = False, rows: Rows | None = None
    ) -> None:
        self.learner, self.decisions, self.indicator, self.rows = learner, decisions, indicator, rows
        self.seats = list(decisions)
        self.action: NDArray[Any] | None = None

    @property
    def learning(self) -> LearnerAtPlay:
        """Itself."""
        return self

    def own(self, array: NDArray[Any]) -> NDArray[Any]:
        """Its rows of what is given for all rows."""
        return array if self.rows is None else array[self.rows]

    def seen(self, observation: Observation) -> Observation:
        """What all seats see (M, N, F) as the learner's rows (S x M, F), with the indicator (S x M, F + S)."""
        rows = self._rows({seat: observation[:, seat] for seat in self.seats})
        if not self.indicator:
            return rows
        which = np.repeat(np.eye(len(self.seats), dtype=np.float32), len(rows) // len(self.seats), axis=0)
        return np.concatenate([rows, which], axis=1)

    def act(self, batch: MarketBatch, seat: int, observation: Observation) -> tuple[Floats, Floats]:
        """Decide for all rows with exploration; the first seat that asks has the actions of all decided and kept."""
        if seat == self.seats[0]:
            self.action = self.learner.act(self.seen(observation), explore=True)
        assert self.action is not None
        its = np.asarray(np.split(self.action, len(self.seats))[self.seats.index(seat)])
        price, level = self.decisions[seat].decode(its)
        on_hand, coming = self.own(batch.state.on_hand[:, seat]), self.own(batch.state.pipeline[:, seat])
        quantity = order_quantity(level, on_hand, coming.sum(1))
        whole = batch.spec.stocked and batch.spec.customers.mode == "sampled"
        return price, self.learner.in_units(quantity) if whole else quantity

    def restart(self, rows: Flags) -> None:
        """What the learner remembers does not reach from one episode into the next."""
        self.learner.restart(np.tile(self.own(rows), len(self.seats)))

    def learn(
        self,
        observation: Observation,
        rewards: dict[int, Floats],
        following: Observation,
        cut: Flags,
        stock_value: tuple[Floats, Floats],
    ) -> dict[str, float] | None:
        """Remember the period, rewards by seat, and run the updates that are due; what the learner reports of them.

        ``stock_value``: all seats' (M, N), of ``observation`` and of ``following``.
        """
        assert self.action is not None
        reward, cuts = self._rows(rewards), np.tile(self.own(cut), len(self.seats))
        before, after = (self._rows(value.T) for value in stock_value)
        self.learner.remember(
            self.seen(observation), self.action, reward, self.seen(following), cuts, stock_value=(before, after)
        )
        return self.learner.learn()

    def _rows(self, by_seat: Any) -> NDArray[Any]:
        """What is given by seat, for all rows each, as the learner's rows."""
        return _stacked([self.own(by_seat[seat]) for seat in self.seats])

    def state_dict(self) -> dict[str, Any]:
        """The learner's state, and the action that it is about to remember."""
        action = None if self.action is None else torch.from_numpy(self.action.copy())
        return {"learner": self.learner.state_dict(), "action": action}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where :meth:`state_dict` was taken."""
        self.learner.load_state_dict(state["learner"])
        self.action = None if state["action"] is None else state["action"].numpy().copy()


def _stacked(by_seat: list[NDArray[Any]]) -> NDArray[Any]:
    """(M, ..) of each seat as (S x M, ..); of a single seat as they are."""
    return by_seat[0] if len(by_seat) == 1 else np.concatenate(by_seat)


@dataclass(eq=False)
class FixedSeat(SeatPlayer):
    """A seat whose player follows rules. ``rows``: in which it plays, None in all."""

    seller: Seller
    memory: Memory
    rows: Rows | None = None

    def act(self, batch: MarketBatch, seat: int, observation: Observation) -> tuple[Floats, Floats]:
        """Decide for its rows."""
        view = look(batch, seat, observation)
        price, quantity, self.memory = self.seller.act(view if self.rows is None else view.take(self.rows), self.memory)
        return price, quantity

    def restart(self, rows: Flags) -> None:
        """Put the memory of rows that begin an episode back to the start."""
        self.memory = reset_rows(self.seller, self.memory, rows if self.rows is None else rows[self.rows])

    def state_dict(self) -> dict[str, Any]:
        """What the seller remembers of the running episodes."""
        return {"memory": to_tensors(self.memory)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where :meth:`state_dict` was taken."""
        self.memory = to_arrays(state["memory"])


class MixedSeat(SeatPlayer):
    """A seat that a learner plays in some rows and rules in the others."""

    def __init__(self, learner: LearnerAtPlay, rules: list[FixedSeat]) -> None:
        self.learner, self.rules = learner, rules

    @property
    def learning(self) -> LearnerAtPlay:
        """The learner."""
        return self.learner

    @property
    def _parts(self) -> list[Any]:
        return [self.learner, *self.rules]

    def act(self, batch: MarketBatch, seat: int, observation: Observation) -> tuple[Floats, Floats]:
        """Decide for all rows."""
        price, quantity = np.empty(batch.markets), np.empty(batch.markets)
        for part in self._parts:
            price[part.rows], quantity[part.rows] = part.act(batch, seat, observation)
        return price, quantity

    def restart(self, rows: Flags) -> None:
        """Rows whose episode begins anew."""
        for part in self._parts:
            part.restart(rows)

    def state_dict(self) -> dict[str, Any]:
        """The learner's state, and what rules remember of the running episodes."""
        return self.learner.state_dict() | {"rules": [one.state_dict() for one in self.rules]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where :meth:`state_dict` was taken."""
        self.learner.load_state_dict(state)
        for one, its in zip(self.rules, state["rules"], strict=True):
            one.load_state_dict(its)


Sitting = SeatedLearner | SeatPlayer | Seller


def seated(player: Sitting, seat: int, markets: int) -> SeatPlayer:
    """Who plays the seat in all rows, M = ``markets``, of what was given for it."""
    if isinstance(player, SeatPlayer):
        return player
    if isinstance(player, tuple):
        learner, decisions = player
        return LearnerAtPlay(learner, {seat: decisions})
    return FixedSeat(player, player.start(markets))
