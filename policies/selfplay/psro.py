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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from market.state import Floats
from policies.common.files import write_json
from policies.common.seeding import row_seed
from policies.config.selfplay import PSROOptions
from policies.evaluation.run_sellers import FILE
from policies.games.empirical_game import EmpiricalGame, Profile
from policies.networks.heads import Actor
from policies.selfplay.matchmaking import DrawnMarket, Matchmaker, Members, PopulationPlay
from policies.selfplay.population import Member
from policies.selfplay.seating import SeatedLearner, Seats
from policies.sellers.network_seller import NetworkSeller
from policies.sellers.rollout import mean_profit
from policies.storage.run_folder import POOL, WHOLE_MARKET


@dataclass
class MixtureMatchmaker(Matchmaker):
    """Draws line-ups of the equilibrium, all seats together; what training shows teaches nothing about the game."""

    game: EmpiricalGame
    place: int

    def draw(self, rows: NDArray[np.intp]) -> Members:
        """Rivals (R, N) for rows that begin an episode."""
        found = np.full((len(rows), len(self.population.spec.sellers)), -1, np.int64)
        found[:, self.drawn] = self.game.rivals(self.place, self.rng.random(len(rows)))
        return found


class PSRO(PopulationPlay):
    """Best responses of all learners' seats, trained at the same time, round by round.

    The policy that stands for a seat (:meth:`network`) is the response with the largest weight in the equilibrium;
    before the first round ends it is the learner.
    """

    def __init__(self, options: PSROOptions, seats: Seats) -> None:
        super().__init__(seats)
        self.options, self.round = options, 0
        self.places = list(seats.learning)
        self.game = EmpiricalGame(self._profits)
        self.rounds: list[dict[str, Any]] = []
        self._begin_population()
        self._begin_round()

    def _begin_population(self) -> None:
        listed = self.options.start or ("random+base_stock" if self.spec.stocked else "random",)
        for rules in self.seats.line_ups.parse(listed, "selfplay.start"):
            for seat in self.places:
                self.population.add(seat, "fixed", rules.label, self.seats.line_ups.fixed(rules, seat))
        self.game.extend(self._candidates())

    def _candidates(self) -> list[list[int]]:
        return [[one.number for one in self.population.members.values() if one.seat == seat] for seat in self.places]

    def _profits(self, line_up: Profile) -> Floats:
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
            drawn, first_row = [k for k in self.places if k != seat], (self.round * len(self.places) + place) * rows
            matchmaker = MixtureMatchmaker(self.population, seat, drawn, self.rng, self.game, place)
            self.markets[seat] = DrawnMarket(self.seats, self.players[seat], matchmaker, budget, first_row)
            self.markets[seat].done = begun

    def _responder(self, seat: int, last: SeatedLearner | None) -> SeatedLearner:
        """A new learner, on the weights and optimisers of the seat's last one if it is to start warm."""
        learner, decisions = self.seats.learner(seat, number=self.round)
        if last is not None and self.options.warm_start:
            learner.take_over(last[0])
        return learner, decisions

    def play_period(self) -> dict[int, dict[str, float]]:
        """One period in every row of every learner's market; a round ends with its share of the budget."""
        reports = super().play_period()
        if self.round < self.options.rounds and self.done * self.options.rounds >= self.budget * (self.round + 1):
            self._end_round()
        return reports

    def _end_round(self) -> None:
        self._add_snapshots()
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
                "weights": {self.spec.names[seat]: self._weights(seat) for seat in self.places},
            }
        )
        if self.round < self.options.rounds:
            self._begin_round()

    def _weights(self, seat: int) -> dict[str, float]:
        return {one.label: weight for one, weight in self.members(seat)}

    # -------------------------------------------------------------------------------------------- what comes out

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
        assert isinstance(chosen.seller, NetworkSeller)
        return chosen.seller.network

    def figures(self) -> dict[str, dict[str, float]]:
        """Of the last round: what each response gained, the bound on NashConv, and the population's size."""
        if not self.rounds:
            return {}
        last = self.rounds[-1]
        found = {name: {"gain": gain} for name, gain in last["gain"].items()}
        market = {name: float(last[name]) for name in ("round", "nash_conv", "regret_in_the_game")}
        return found | {WHOLE_MARKET: market}

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
        """As its base's, of the present round, with the rounds before and the game."""
        own = {"round": self.round, "rounds": copy.deepcopy(self.rounds), "game": self.game.state_dict()}
        return super().state_dict() | own

    def _load_own(self, state: dict[str, Any]) -> None:
        self.rounds = copy.deepcopy(state["rounds"])
        self.game.load_state_dict(state["game"])
        self.round = min(state["round"], self.options.rounds - 1)
        self._begin_round()
        self.round = state["round"]


def _entry(member: Member, weight: float) -> dict[str, Any]:
    """A member of a mixture: a file of the run's folder, or rules."""
    what = {"rules": member.label} if member.saved is None else {"file": f"{POOL}/{member.label}.pt"}
    return what | {"weight": weight}
