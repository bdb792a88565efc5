"""Policy-space response oracles: rounds of best responses to an equilibrium of the population.

Lanctot et al. (2017), "A unified game-theoretic approach to multiagent reinforcement learning", NeurIPS 30, algorithm
1: every learner trains against line-ups of its rivals drawn, row by row and episode by episode, from the equilibrium
of the empirical game of the population; the responses join the population, what is new is played, the game solved anew.
What a response gains against the equilibrium that it was trained against is a lower bound on the seat's regret; their
sum bounds NashConv from below.

Dimensions: M rows of each learner, N sellers, L seats that learn, R rows whose episode ends.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from market.simulation.decisions import Decisions
from market.state import Floats
from policies.common.files import write_json
from policies.common.seeding import rival_draws, row_seed
from policies.common.torch_tools import generator_state, restore_generator
from policies.config.selfplay import PSROOptions
from policies.evaluation.run_sellers import FILE
from policies.games.empirical_game import EmpiricalGame, LineUp
from policies.learners.base import Learner
from policies.networks.heads import Actor
from policies.selfplay.base import MARKET, Mode
from policies.selfplay.matchmaking import DrawnMarket, Members
from policies.selfplay.population import Member, Population
from policies.selfplay.seating import Player, Seats
from policies.sellers.protocol import Seller
from policies.sellers.rollout import mean_profit
from policies.storage.run_folder import POOL


class MixtureMatchmaker:
    """Whom one learner meets: line-ups of the equilibrium. Satisfies :class:`policies.selfplay.matchmaking.Matchmaker`."""

    def __init__(
        self, population: Population, game: EmpiricalGame, seats: list[int], seat: int, rng: np.random.Generator
    ) -> None:
        self.population, self.game, self.seats, self.seat, self.rng = population, game, seats, seat, rng

    def draw(self, rows: NDArray[np.intp]) -> Members:
        """Rivals (R, N) for rows that begin an episode."""
        found = np.full((len(rows), len(self.population.spec.sellers)), -1, np.int64)
        others = [seat for seat in self.seats if seat != self.seat]
        found[:, others] = self.game.rivals(self.seats.index(self.seat), self.rng.random(len(rows)))
        return found

    def ended(self, members: Members, profit: Floats, length: Floats) -> None:
        """Training teaches nothing about the game: line-ups are played for that."""

    def seller(self, number: int) -> Seller:
        """The seller of a member."""
        return self.population.members[number].seller


class PSRO(Mode):
    """Best responses of all learners' seats, trained at the same time, round by round.

    ``done`` counts the seller-periods of learners only. The policy that stands for a seat (:meth:`network`) is the
    response with the largest weight in the equilibrium; before the first round ends it is the learner.
    """

    def __init__(self, options: PSROOptions, seats: Seats) -> None:
        seats.need_learners(2, "psro")
        self.options, self.seats, self.spec = options, seats, seats.spec
        self.budget, self.done, self.round = seats.config.training.budget, 0, 0
        self.places = list(seats.learning)
        self.population, self.rng = Population(self.spec), rival_draws(seats.seed)
        self.game = EmpiricalGame(self._profits)
        self.rounds: list[dict[str, Any]] = []
        self._begin_population()
        self.players: dict[int, Player] = {}
        self.markets: dict[int, DrawnMarket] = {}
        self._begin_round()

    def _begin_population(self) -> None:
        listed = self.options.start or ("random+base_stock" if self.spec.stocked else "random",)
        for rules in self.seats.line_ups.parse(listed, "selfplay.start"):
            for seat in self.places:
                self.population.add(seat, "fixed", rules.label, self.seats.line_ups.fixed(rules, seat))
        self.game.extend(self._candidates())

    def _candidates(self) -> list[list[int]]:
        return [[one.number for one in self.population.members.values() if one.seat == seat] for seat in self.places]

    def _profits(self, line_up: LineUp) -> Floats:
        """What the learners' seats earn a period in a line-up of the population, on the customers kept for choosing."""
        sitting = dict(zip(self.places, (self.population.members[number].seller for number in line_up), strict=True))
        sellers = [sitting.get(k) or self.seats.fixed[k] for k in range(len(self.spec.sellers))]
        settings, seed = self.seats.config.evaluation, row_seed(self.seats.seed, "select")
        counted = settings.warm_up, settings.salvage
        return mean_profit(self.spec, sellers, *counted, seed=seed, markets=self.options.episodes)[self.places]

    # ---------------------------------------------------------------------------------------------------- rounds

    def _begin_round(self) -> None:
        last = self.players
        self.players = {seat: self._responder(seat, last.get(seat)) for seat in self.places}
        rows, all_seats = self.seats.config.training.markets, len(self.spec.sellers)
        # a market counts all its seats, schedules go by its budget: a warm learner's go on where the last one's ended
        budget = max(1, self.budget * all_seats // len(self.places))
        begun = self.done * all_seats // len(self.places) if self.options.warm_start else 0
        budget = budget if self.options.warm_start else max(1, budget // self.options.rounds)
        for place, seat in enumerate(self.places):
            self.markets[seat] = DrawnMarket(
                self.spec,
                seat,
                self.players[seat],
                [k for k in self.places if k != seat],
                self.seats.fixed,
                MixtureMatchmaker(self.population, self.game, self.places, seat, self.rng),
                rows,
                budget,
                self.seats.seed,
                (self.round * len(self.places) + place) * rows,
            )
            self.markets[seat].done = begun

    def _responder(self, seat: int, last: Player | None) -> Player:
        """A new learner, on the weights and optimisers of the seat's last one if it is to start warm."""
        learner, decisions = self.seats.learner(seat, number=self.round)
        if last is not None and self.options.warm_start:
            learner.take_over(last[0])
        return learner, decisions

    def play_period(self) -> dict[int, dict[str, float]]:
        """One period in every row of every learner's market; a round ends with its share of the budget."""
        reports: dict[int, dict[str, float]] = {}
        for market in self.markets.values():
            reports |= market.play_period()
            self.done += market.batch.markets
        if self.round < self.options.rounds and self.done * self.options.rounds >= self.budget * (self.round + 1):
            self._end_round()
        return reports

    def _end_round(self) -> None:
        for seat, (learner, decisions) in self.players.items():
            path = Path(f"response of {self.spec.names[seat]}")
            saved = self.seats.saved(seat, decisions, learner.network, self.done, float("-inf"), path)
            self.population.add_snapshot(saved)
        gains = self.game.extend(self._candidates())
        self.round += 1
        names = [self.spec.names[seat] for seat in self.places]
        self.rounds.append(
            {
                "round": self.round,
                "step": self.done,
                "nash_conv": float(np.maximum(gains, 0.0).sum()),
                "gain": dict(zip(names, gains.tolist(), strict=True)),
                "regret_in_the_game": self.game.regret,
                "weights": {name: self._weights(place) for place, name in enumerate(names)},
            }
        )
        if self.round < self.options.rounds:
            self._begin_round()

    def _weights(self, place: int) -> dict[str, float]:
        labels = [self.population.members[number].label for number in self.game.candidates[place]]
        return dict(zip(labels, self.game.weights(place).tolist(), strict=True))

    # -------------------------------------------------------------------------------------------- what comes out

    @property
    def learners(self) -> dict[int, Learner]:
        """Of the present round, by seat."""
        return {seat: learner for seat, (learner, _) in self.players.items()}

    def decisions(self, seat: int) -> Decisions:
        """How actions of the seat's learner become prices and orders."""
        return self.players[seat][1]

    def members(self, seat: int) -> list[tuple[Member, float]]:
        """The population of a seat, with the weight of each in the equilibrium."""
        place = self.places.index(seat)
        numbers, weights = self.game.candidates[place], self.game.weights(place).tolist()
        return [(self.population.members[number], weight) for number, weight in zip(numbers, weights, strict=True)]

    def network(self, seat: int) -> Actor:
        """The response with the largest weight in the equilibrium, the newest of equals."""
        responses = [(weight, one) for one, weight in self.members(seat) if one.saved is not None]
        if not responses:
            return self.learners[seat].network
        _, chosen = max(responses, key=lambda pair: (pair[0], pair[1].number))
        network: Any = chosen.seller
        return network.network  # type: ignore[no-any-return]

    def earned(self) -> dict[int, dict[str, float]]:
        """By learner, each in its own market, in the present round; nothing where that has just begun."""
        figures = {seat: market.earned().get(seat) for seat, market in self.markets.items()}
        return {seat: found for seat, found in figures.items() if found is not None}

    def figures(self) -> dict[str, dict[str, float]]:
        """Of the last round: what each response gained, the bound on NashConv, and the population's size."""
        if not self.rounds:
            return {}
        last = self.rounds[-1]
        found = {name: {"gain": gain} for name, gain in last["gain"].items()}
        market = {name: float(last[name]) for name in ("round", "nash_conv", "regret_in_the_game")}
        return found | {MARKET: market}

    def write(self, folder: Path) -> None:
        """``pool/*.pt`` and ``psro.json``: every round, the mixture of each seat, and the empirical game."""
        self.population.write(folder)
        seats = {self.spec.names[seat]: [_entry(*one) for one in self.members(seat)] for seat in self.places}
        content = {
            "step": self.done,
            "equilibrium": "nash" if len(self.places) == 2 else "coarse_correlated",
            "mixtures": seats,
            "payoffs": self.game.payoffs.tolist(),
            "rounds": self.rounds,
        }
        write_json(folder / FILE, content)

    def state_dict(self) -> dict[str, Any]:
        """Population, game, rounds, the markets of the present one with their learners, and the generator of draws."""
        return {
            "done": self.done,
            "round": self.round,
            "rounds": copy.deepcopy(self.rounds),
            "pool": self.population.state_dict(),
            "game": self.game.state_dict(),
            "generator": generator_state(self.rng),
            "markets": {str(seat): market.state_dict() for seat, market in self.markets.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where :meth:`state_dict` was taken."""
        self.done, self.rounds = state["done"], copy.deepcopy(state["rounds"])
        self.population.load_state_dict(state["pool"])
        self.game.load_state_dict(state["game"])
        self.round = min(state["round"], self.options.rounds - 1)
        self._begin_round()
        self.round = state["round"]
        for seat, market in self.markets.items():
            market.load_state_dict(state["markets"][str(seat)])
        restore_generator(self.rng, state["generator"])


def _entry(member: Member, weight: float) -> dict[str, Any]:
    """A member of a mixture: a file of the run's folder, or rules."""
    what = {"rules": member.label} if member.saved is None else {"file": f"{POOL}/{member.label}.pt"}
    return what | {"weight": weight}
