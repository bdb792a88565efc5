"""A market of one learner whose rivals are drawn row by row from a pool, and stay for an episode.

Dimensions: M rows, N sellers, R rows whose episode ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from market.simulation.batch import MarketBatch
from market.simulation.decisions import Decisions
from market.spec.models import MarketSpec
from market.state import Floats
from policies.common.torch_tools import to_arrays, to_tensors
from policies.learners.base import Learner
from policies.selfplay.loop import Player, SeatPlayer, SelfPlay
from policies.sellers.protocol import Memory, Seller, look

Members = NDArray[np.int64]


class Draws(Protocol):
    """Decides whom one learner meets. Numbers are those of a pool's members."""

    def draw(self, rows: NDArray[np.intp]) -> Members:
        """Members (R, N) for rows that begin an episode; what stands in a seat that draws nobody is not looked at."""
        ...

    def ended(self, members: Members, profit: Floats, length: Floats) -> None:
        """Told of episodes that end: who played (R, N), profit a period (R, N), share of the horizon (R,)."""
        ...

    def seller(self, number: int) -> Seller:
        """The seller of a member."""
        ...


class DrawnSeat(SeatPlayer):
    """A seat played by a member of the pool in each row; rows are grouped by member, and each decides once.

    ``members`` (M, N) is the market's own, shared by its seats.
    """

    def __init__(self, seat: int, draws: Draws, members: Members) -> None:
        self.seat, self.draws, self.members = seat, draws, members
        self.memories: dict[int, Memory] = {}
        self._groups: list[tuple[int, NDArray[np.intp]]] = []

    def act(self, batch: MarketBatch, seat: int, observation: NDArray[np.float32]) -> tuple[Floats, Floats]:
        """Decide for all rows."""
        if not self._groups:
            self._group()
        view = look(batch, seat, observation)
        price, quantity = np.empty(batch.markets), np.empty(batch.markets)
        for number, rows in self._groups:
            memory = self.memories[number]
            decided = self.draws.seller(number).act(
                view.take(rows), {name: array[rows] for name, array in memory.items()}
            )
            price[rows], quantity[rows] = decided[0], decided[1]
            for name, array in decided[2].items():
                memory[name][rows] = array
        return price, quantity

    def _group(self) -> None:
        own = self.members[:, self.seat]
        self._groups = [(int(number), np.flatnonzero(own == number)) for number in np.unique(own)]
        for number, _ in self._groups:
            if number not in self.memories:
                self.memories[number] = self._fresh(number)
        self.memories = {number: self.memories[number] for number, _ in self._groups}

    def _fresh(self, number: int) -> Memory:
        return {name: array.copy() for name, array in self.draws.seller(number).start(len(self.members)).items()}

    def restart(self, rows: NDArray[np.bool_]) -> None:
        """Rows whose members may have changed: their memories begin anew."""
        self._group()
        for number, memory in self.memories.items():
            own = rows & (self.members[:, self.seat] == number)
            if memory and own.any():
                for name, array in self.draws.seller(number).start(len(rows)).items():
                    memory[name][own] = array[own]

    def state_dict(self) -> dict[str, Any]:
        """The memories of the members that play, by number."""
        return {str(number): to_tensors(memory) for number, memory in self.memories.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back :meth:`state_dict`, the members being those of then."""
        self.memories = {int(number): to_arrays(memory) for number, memory in state.items()}
        self._groups = []


class DrawnMarket(SelfPlay):
    """M rows in which one learner plays its seat, and ``drawn`` seats are played by whom ``draws`` says.

    Args:
        fixed: sellers of the seats that neither learn nor are drawn.
        first_row: added to row seeds, so that markets of one run have customers of their own.
    """

    def __init__(
        self,
        spec: MarketSpec,
        seat: int,
        player: tuple[Learner, Decisions],
        drawn: list[int],
        fixed: Mapping[int, Seller],
        draws: Draws,
        markets: int,
        budget: int,
        seed: int,
        first_row: int,
    ) -> None:
        self.seat, self.draws = seat, draws
        self.members: Members = draws.draw(np.arange(markets))
        others: dict[int, Player] = {**fixed, **{k: DrawnSeat(k, draws, self.members) for k in drawn}}
        players = [player if k == seat else others[k] for k in range(len(spec.sellers))]
        super().__init__(spec, players, markets, budget, seed, first_row)
        self._earned, self._played = np.zeros((markets, len(spec.sellers))), np.zeros(markets)

    def _watch(self, cut: NDArray[np.bool_]) -> None:
        """Keep accounts of every row's episode; where it ends, tell who earned what, and draw anew."""
        self._earned += self.batch.ledger["profit"]
        self._played += 1
        if cut.any():
            rows, periods = np.flatnonzero(cut), self._played[cut]
            profit = self._earned[cut] / periods[:, None]
            self.draws.ended(self.members[cut], profit, periods / self.batch.spec.horizon)
            self.members[rows] = self.draws.draw(rows)
            self._earned[cut], self._played[cut] = 0.0, 0.0

    def playing(self) -> set[int]:
        """The members in any row now."""
        return {
            int(number)
            for seat in self.seats
            if isinstance(seat, DrawnSeat)
            for number in np.unique(self.members[:, seat.seat])
        }

    def state_dict(self) -> dict[str, Any]:
        """As the base's, with who plays in each row and what it has earned so far."""
        own = {"members": self.members, "earned": self._earned, "played": self._played}
        return super().state_dict() | {"drawn": to_tensors(own)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back :meth:`state_dict`; the pool must hold its members already."""
        own = to_arrays(state["drawn"])
        self.members[:], self._earned[:], self._played[:] = own["members"], own["earned"], own["played"]
        super().load_state_dict(state)
