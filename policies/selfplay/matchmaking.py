"""Whom a learner meets: a market whose rivals are drawn row by row from a population, and stay for an episode.

:class:`DrawnMarket` is that market, a :class:`Matchmaker` decides who is drawn, and :class:`PopulationPlay` is a mode that
has such a market for each learner. The league's, :class:`RatedMatchmaker`,
gives each row a kind of rival, and of that kind draws by how hard the learner finds it. That is prioritised fictitious
self-play (Vinyals et al. 2019, "Grandmaster level in StarCraft II using multi-agent reinforcement learning", *Nature*
575, methods): a rival B is drawn with probability proportional to f(P[A beats B]), f(x) = (1 - x)^p. A market has no
winner, so x is here how easy a rival is among those of its kind: the score of the learner against it, moved onto 0 (the
worst of the scores) to 1 (the best). :class:`Ratings` keeps the scores.

Dimensions: M rows of the learner, N sellers, R rows whose episode ends, K members of a kind, C fixed competitors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.simulation.decisions import Decisions
from market.state import Flags, Floats, Observation
from policies.common.seeding import rival_draws
from policies.common.torch_tools import generator_state, restore_generator, to_arrays, to_tensors
from policies.config.selfplay import LeagueOptions
from policies.evaluation.selection import relative
from policies.learners.base import Learner
from policies.selfplay.base import Mode
from policies.selfplay.loop import SelfPlay
from policies.selfplay.players import SeatPlayer, Sitting
from policies.selfplay.population import MemberKind, Population
from policies.selfplay.seating import SeatedLearner, Seats
from policies.sellers.protocol import Memory, Seller, look, reset_rows

Members = NDArray[np.int64]


@dataclass
class Matchmaker(ABC):
    """Decides whom the learner of ``seat`` meets in the seats that are ``drawn``. Numbers are those of members."""

    population: Population
    seat: int
    drawn: list[int]
    rng: np.random.Generator

    @abstractmethod
    def draw(self, rows: NDArray[np.intp]) -> Members:
        """Members (R, N) for rows that begin an episode; what stands in a seat that draws nobody is not looked at."""

    def ended(self, members: Members, profit: Floats, length: Floats) -> None:  # noqa: B027, since not all learn of it
        """Told of episodes that end: who played (R, N), profit a period (R, N), share of the horizon (R,)."""

    def seller(self, number: int) -> Seller:
        """The seller of a member."""
        return self.population.members[number].seller


class DrawnSeat(SeatPlayer):
    """A seat played by a member of the population in each row; rows are grouped by member, and each decides once.

    ``members`` (M, N) is the market's own, shared by its seats.
    """

    def __init__(self, seat: int, matchmaker: Matchmaker, members: Members) -> None:
        self.seat, self.matchmaker, self.members = seat, matchmaker, members
        self.memories: dict[int, Memory] = {}
        self._groups: list[tuple[int, NDArray[np.intp]]] = []

    def act(self, batch: MarketBatch, seat: int, observation: Observation) -> tuple[Floats, Floats]:
        """Decide for all rows."""
        if not self._groups:
            self._group()
        view = look(batch, seat, observation)
        price, quantity = np.empty(batch.markets), np.empty(batch.markets)
        for number, rows in self._groups:
            memory = self.memories[number]
            own = {name: array[rows] for name, array in memory.items()}
            price[rows], quantity[rows], kept = self.matchmaker.seller(number).act(view.take(rows), own)
            for name, array in kept.items():
                memory[name][rows] = array
        return price, quantity

    def _group(self) -> None:
        own = self.members[:, self.seat]
        self._groups = [(int(number), np.flatnonzero(own == number)) for number in np.unique(own)]
        self.memories = {number: self.memories.get(number) or self._fresh(number) for number, _ in self._groups}

    def _fresh(self, number: int) -> Memory:
        return {name: array.copy() for name, array in self.matchmaker.seller(number).start(len(self.members)).items()}

    def restart(self, rows: Flags) -> None:
        """Rows whose members may have changed: their memories begin anew."""
        self._group()
        for number, memory in self.memories.items():
            own = rows & (self.members[:, self.seat] == number)
            if own.any():
                self.memories[number] = reset_rows(self.matchmaker.seller(number), memory, own)

    def state_dict(self) -> dict[str, Any]:
        """The memories of the members that play, by number."""
        return {str(number): to_tensors(memory) for number, memory in self.memories.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back :meth:`state_dict`, the members being those of then."""
        self.memories = {int(number): to_arrays(memory) for number, memory in state.items()}
        self._groups = []


class DrawnMarket(SelfPlay):
    """M rows in which one learner plays its seat, and others are played by whom ``matchmaker`` draws.

    Args:
        first_row: added to row seeds, so that markets of one run have customers of their own.
    """

    def __init__(
        self, seats: Seats, player: SeatedLearner, matchmaker: Matchmaker, budget: int, first_row: int
    ) -> None:
        markets, every = seats.config.training.markets, range(len(seats.spec.sellers))
        self.matchmaker = matchmaker
        self.members: Members = matchmaker.draw(np.arange(markets))
        rivals = {k: DrawnSeat(k, matchmaker, self.members) for k in matchmaker.drawn}
        others: dict[int, Sitting] = {**seats.fixed, **rivals}
        players = [player if k == matchmaker.seat else others[k] for k in every]
        super().__init__(seats.spec, players, markets, budget, seats.seed, first_row)
        self._earned, self._played = np.zeros((markets, len(every))), np.zeros(markets)

    def _watch(self, cut: Flags) -> None:
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
        return set(self.members[:, self.matchmaker.drawn].ravel().tolist())

    def state_dict(self) -> dict[str, Any]:
        """As the base's, with who plays in each row and what it has earned so far."""
        own = {"members": self.members, "earned": self._earned, "played": self._played}
        return super().state_dict() | {"drawn": to_tensors(own)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back :meth:`state_dict`; the population must hold its members already."""
        own = to_arrays(state["drawn"])
        self.members[:], self._earned[:], self._played[:] = own["members"], own["earned"], own["played"]
        super().load_state_dict(state)


class PopulationPlay(Mode):
    """Learners in a market each, against rivals that all of them draw from one population.

    ``done`` counts the seller-periods of learners only: those of rivals that are drawn teach nobody.
    """

    def __init__(self, seats: Seats) -> None:
        if (count := len(seats.learning)) < 2:
            mode = seats.config.selfplay.mode
            raise UserError(f"selfplay.mode: {mode} needs 2 seats or more that learn, there are {count}")
        self.seats, self.spec = seats, seats.spec
        self.budget, self.done = seats.config.training.budget, 0
        self.population, self.rng = Population(self.spec), rival_draws(seats.seed)
        self.players: dict[int, SeatedLearner] = {}
        self.markets: dict[int, DrawnMarket] = {}

    @property
    def learners(self) -> dict[int, Learner]:
        """By seat."""
        return {seat: learner for seat, (learner, _) in self.players.items()}

    def decisions(self, seat: int) -> Decisions:
        """How actions of the seat's learner become prices and orders."""
        return self.players[seat][1]

    def play_period(self) -> dict[int, dict[str, float]]:
        """One period in every row of every learner's market."""
        reports: dict[int, dict[str, float]] = {}
        for market in self.markets.values():
            reports |= market.play_period()
            self.done += market.batch.markets
        return reports

    def earned(self) -> dict[int, dict[str, float]]:
        """By learner, each in its own market; nothing where that has just begun."""
        return {seat: found[seat] for seat, market in self.markets.items() if (found := market.earned())}

    def _add_snapshots(self) -> None:
        """The learners as they are now join the population."""
        for seat, (learner, decisions) in self.players.items():
            path = Path(f"snapshot of {self.spec.names[seat]}")
            saved = self.seats.saved(seat, decisions, learner.network, self.done, float("-inf"), path)
            self.population.add_snapshot(saved)

    def state_dict(self) -> dict[str, Any]:
        """Population, markets with learners and who plays in every row, and the generator of draws."""
        return {
            "done": self.done,
            "pool": self.population.state_dict(),
            "generator": generator_state(self.rng),
            "markets": {str(seat): market.state_dict() for seat, market in self.markets.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where :meth:`state_dict` was taken."""
        self.done = state["done"]
        self.population.load_state_dict(state["pool"])
        self._load_own(state)
        for seat, market in self.markets.items():
            market.load_state_dict(state["markets"][str(seat)])
        restore_generator(self.rng, state["generator"])

    @abstractmethod
    def _load_own(self, state: dict[str, Any]) -> None:
        """Take back what the mode keeps beside the population, which is there, and the markets, which are loaded next."""


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


KINDS: tuple[MemberKind, ...] = get_args(MemberKind)
GOLDEN = (np.sqrt(5) - 1) / 2


def kinds_of_rows(rows: int, options: LeagueOptions) -> NDArray[np.int64]:
    """Which kind of rival each row meets, an index of :data:`KINDS` (M,): always the same.

    Kinds are spread evenly over rows, and so over the phases of an episode (multiples of the golden ratio modulo 1).
    """
    at = np.modf(np.arange(rows) * GOLDEN)[0]
    return np.asarray(np.searchsorted(np.cumsum([options.current, options.snapshots]), at, side="right"), np.int64)


@dataclass
class RatedMatchmaker(Matchmaker):
    """Draws rivals by the learner's own ratings, each seat by itself.

    Args:
        pars: what the best fixed competitor earns in the learner's seat against each that is in the population (C,), when all
            other learners' seats follow its rules; with three sellers or more a yardstick, since seats are drawn singly.
    """

    options: LeagueOptions
    rows: InitVar[int]
    pars: Callable[[], Floats]

    def __post_init__(self, rows: int) -> None:
        self.kinds = kinds_of_rows(rows, self.options)
        self.ratings = Ratings(self.options.memory)

    def chances(self, seat: int, kind: MemberKind) -> tuple[list[int], Floats]:
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
