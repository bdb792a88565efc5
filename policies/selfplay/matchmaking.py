"""Whom a learner meets: a market whose rivals are drawn row by row from a population, and stay for an episode.

:class:`DrawnMarket` is that market, a :class:`Matchmaker` decides who is drawn. The league's, :class:`RatedMatchmaker`,
gives each row a kind of rival, and of that kind draws by how hard the learner finds it. That is prioritised fictitious
self-play (Vinyals et al. 2019, "Grandmaster level in StarCraft II using multi-agent reinforcement learning", *Nature*
575, methods): a rival B is drawn with probability proportional to f(P[A beats B]), f(x) = (1 - x)^p. A market has no
winner, so x is here how easy a rival is among those of its kind: the score of the learner against it, moved onto 0 (the
worst of the scores) to 1 (the best). :class:`Ratings` keeps the scores.

Dimensions: M rows of the learner, N sellers, R rows whose episode ends, K members of a kind, C fixed competitors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from market.simulation.batch import MarketBatch
from market.simulation.decisions import Decisions
from market.spec.models import MarketSpec
from market.state import Floats
from policies.common.torch_tools import to_arrays, to_tensors
from policies.config.selfplay import LeagueOptions as Options
from policies.evaluation.selection import relative
from policies.learners.base import Learner
from policies.selfplay.loop import Player, SeatPlayer, SelfPlay
from policies.selfplay.population import Kind, Population
from policies.sellers.protocol import Memory, Seller, look

Members = NDArray[np.int64]


class Matchmaker(Protocol):
    """Decides whom one learner meets. Numbers are those of a population's members."""

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
    """A seat played by a member of the population in each row; rows are grouped by member, and each decides once.

    ``members`` (M, N) is the market's own, shared by its seats.
    """

    def __init__(self, seat: int, matchmaker: Matchmaker, members: Members) -> None:
        self.seat, self.matchmaker, self.members = seat, matchmaker, members
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
            decided = self.matchmaker.seller(number).act(
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
        return {name: array.copy() for name, array in self.matchmaker.seller(number).start(len(self.members)).items()}

    def restart(self, rows: NDArray[np.bool_]) -> None:
        """Rows whose members may have changed: their memories begin anew."""
        self._group()
        for number, memory in self.memories.items():
            own = rows & (self.members[:, self.seat] == number)
            if memory and own.any():
                for name, array in self.matchmaker.seller(number).start(len(rows)).items():
                    memory[name][own] = array[own]

    def state_dict(self) -> dict[str, Any]:
        """The memories of the members that play, by number."""
        return {str(number): to_tensors(memory) for number, memory in self.memories.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back :meth:`state_dict`, the members being those of then."""
        self.memories = {int(number): to_arrays(memory) for number, memory in state.items()}
        self._groups = []


class DrawnMarket(SelfPlay):
    """M rows in which one learner plays its seat, and ``drawn`` seats are played by whom ``matchmaker`` draws.

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
        matchmaker: Matchmaker,
        markets: int,
        budget: int,
        seed: int,
        first_row: int,
    ) -> None:
        self.seat, self.matchmaker = seat, matchmaker
        self.members: Members = matchmaker.draw(np.arange(markets))
        others: dict[int, Player] = {**fixed, **{k: DrawnSeat(k, matchmaker, self.members) for k in drawn}}
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
            self.matchmaker.ended(self.members[cut], profit, periods / self.batch.spec.horizon)
            self.members[rows] = self.matchmaker.draw(rows)
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
        """Take back :meth:`state_dict`; the population must hold its members already."""
        own = to_arrays(state["drawn"])
        self.members[:], self._earned[:], self._played[:] = own["members"], own["earned"], own["played"]
        super().load_state_dict(state)


UNKNOWN = 0.5  # how easy a rival is taken to be that was never met


def ease(scores: Floats) -> Floats:
    """How easy each rival (K,) is, 0 the hardest to 1 the easiest; NaN scores (never met) and ties are 0.5.

    Scores 2, 6, 5 and one unknown: 0, 1, 0.75, 0.5.
    """
    known = np.isfinite(scores)
    found = np.full(len(scores), UNKNOWN)
    if known.any() and np.ptp(scores[known]) > 0:
        found[known] = (scores[known] - scores[known].min()) / np.ptp(scores[known])
    return found


def weights(scores: Floats, hardness: float, uniform: float) -> Floats:
    """Probabilities (K,) of being drawn: ``uniform`` / K + (1 - ``uniform``) f / sum f, f = (1 - ease)^hardness.

    Scores 2, 6, 5, hardness 2, uniform 0.2: f = 1, 0, 1/16, so 1/15 + .8 x 16/17 = .8196, .0667, .1137.
    """
    hard = (1.0 - ease(scores)) ** hardness
    return np.asarray(uniform / len(scores) + (1.0 - uniform) * hard / hard.sum(), np.float64)


@dataclass
class Rating:
    """What a learner and one rival earned in their episodes: means, and how many episodes stand behind them."""

    own: float = 0.0
    theirs: float = 0.0
    episodes: float = 0.0


@dataclass
class Ratings:
    """One learner's ratings of rivals, by number of the population's member.

    Money a period. Means forget: an episode weighs 1 / ``memory`` once that many have been seen, so that they follow
    the learner. One that was cut short counts by its length.
    """

    memory: int
    of: dict[int, Rating] = field(default_factory=dict)

    def see(self, member: int, own: Floats, theirs: Floats, length: Floats) -> None:
        """Take in episodes that ended: profits a period (R,) and lengths (R,), 1 a whole episode."""
        rating, seen = self.of.setdefault(member, Rating()), float(length.sum())
        rating.episodes = min(rating.episodes + seen, float(self.memory))
        pace = min(seen / rating.episodes, 1.0)
        rating.own += pace * (float(np.average(own, weights=length)) - rating.own)
        rating.theirs += pace * (float(np.average(theirs, weights=length)) - rating.theirs)

    def scores(self, members: list[int], margin: bool) -> Floats:
        """The learner's profit against each member (K,), with ``margin`` less the member's; NaN where never met."""
        known = [self.of.get(number, Rating()) for number in members]
        scores = [one.own - (one.theirs if margin else 0.0) if one.episodes else np.nan for one in known]
        return np.array(scores)

    def forget(self, members: set[int]) -> None:
        """Drop what is not among ``members``."""
        self.of = {number: rating for number, rating in self.of.items() if number in members}

    def state_dict(self) -> dict[str, list[float]]:
        """By number of the member."""
        return {str(number): [one.own, one.theirs, one.episodes] for number, one in self.of.items()}

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        """Take back :meth:`state_dict`."""
        self.of = {int(number): Rating(*values) for number, values in state.items()}


KINDS: tuple[Kind, ...] = get_args(Kind)
GOLDEN = (np.sqrt(5) - 1) / 2


def kinds_of_rows(rows: int, options: Options) -> NDArray[np.int64]:
    """Which kind of rival each row meets, an index of :data:`KINDS` (M,): always the same.

    Kinds are spread evenly over rows, and so over the phases of an episode (multiples of the golden ratio modulo 1).
    """
    at = np.modf(np.arange(rows) * GOLDEN)[0]
    return np.asarray(np.searchsorted(np.cumsum([options.current, options.snapshots]), at, side="right"), np.int64)


class RatedMatchmaker:
    """Draws rivals by the learner's own ratings. Satisfies :class:`policies.selfplay.matchmaking.Matchmaker`.

    Args:
        drawn: the seats whose players are drawn.
        pars: what the best fixed competitor earns in the learner's seat against each that is in the population (C,), when all
            other learners' seats follow its rules; with three sellers or more a yardstick, since seats are drawn singly.
    """

    def __init__(
        self,
        population: Population,
        seat: int,
        drawn: list[int],
        options: Options,
        rows: int,
        rng: Any,
        pars: Callable[[], Floats],
    ) -> None:
        self.population, self.seat, self.drawn, self.options = population, seat, drawn, options
        self.rng, self.pars = rng, pars
        self.kinds = kinds_of_rows(rows, options)
        self.ratings = Ratings(options.memory)

    def chances(self, seat: int, kind: Kind) -> tuple[list[int], Floats]:
        """The members of a kind that can sit in a rival's seat, and the probability that each is drawn (K,)."""
        members, o = self.population.of(seat, kind), self.options
        scores = self.ratings.scores(members, o.measure == "margin")
        if o.measure == "regret" and o.hardness and kind == "fixed" and np.isfinite(scores).any():
            scores = relative(scores, self.pars())
        return members, weights(scores, o.hardness, o.uniform)

    def draw(self, rows: NDArray[np.intp]) -> Members:
        """Rivals (R, N) for rows that begin an episode, each seat by itself; until there are snapshots, learners."""
        found = np.full((len(rows), len(self.population.spec.sellers)), -1, np.int64)
        uniform = self.rng.random((len(rows), len(self.drawn)))
        for column, seat in enumerate(self.drawn):
            for index, kind in enumerate(KINDS):
                own = np.flatnonzero(self.kinds[rows] == index)
                if not len(own):
                    continue
                members, chances = self.chances(seat, kind if self.population.of(seat, kind) else "current")
                at = np.searchsorted(np.cumsum(chances), uniform[own, column], side="right")
                found[own, seat] = np.array(members)[np.minimum(at, len(members) - 1)]
        return found

    def ended(self, members: Members, profit: Floats, length: Floats) -> None:
        """Rate everybody who was met."""
        for seat in self.drawn:
            for number in np.unique(members[:, seat]):
                met = members[:, seat] == number
                self.ratings.see(int(number), profit[met, self.seat], profit[met, seat], length[met])

    def seller(self, number: int) -> Seller:
        """The seller of a member."""
        return self.population.members[number].seller
