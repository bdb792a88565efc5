"""League play: each learner in a market of its own, against rivals drawn from a population for every row and episode.

Prioritised fictitious self-play (Vinyals et al. 2019): the population holds the learners as they are now, past snapshots of
all of them, and fixed competitors; those that a learner finds hard are drawn more often (``policies.selfplay.matchmaking``). A fixed
share of rows meets each kind; which rivals a row has changes only when its episode ends.

What is evaluated and saved of a learner is the average of its weights over the last part of the run, and the best of
these is chosen by the worst shortfall against the fixed competitors (``policies.evaluation.selection``).

Dimensions: M rows of each learner, N sellers, C fixed competitors.
"""

from __future__ import annotations

from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from market.state import Floats
from policies.common.files import write_json
from policies.config.learners import LearnerOptions
from policies.config.selfplay import LeagueOptions
from policies.evaluation.selection import Shortfalls
from policies.learners.base import Learner
from policies.learners.optim import WeightAverage
from policies.networks.heads import Actor
from policies.selfplay.matchmaking import KINDS, DrawnMarket, PopulationPlay, RatedMatchmaker
from policies.selfplay.seating import Seats
from policies.sellers.network_seller import NetworkSeller
from policies.sellers.rules.compose import Rules
from policies.sellers.rules.usual import suited

USUAL = (
    "nash+base_stock",
    "collusive+base_stock",
    "cost_plus+base_stock",
    "cost_plus(margin=0.1)+forecast",
    "random(each=episode)+forecast",
    "trigger(periods=20)+forecast",
    "undercut+base_stock",
    "undercut(spread=0.2)+forecast",
)
PLAIN = LearnerOptions.model_validate({})  # pars in plain profit, as ratings are
DISTANCES = 20  # snapshots of a run by default


class League(PopulationPlay):
    """A market for each learner; beside it the average of its weights, which is what is evaluated and saved."""

    def __init__(self, options: LeagueOptions, seats: Seats) -> None:
        super().__init__(seats)
        self.options = options
        self.distance = options.distance or max(1, self.budget // DISTANCES)
        self.players = {seat: seats.learner(seat) for seat in seats.learning}
        self.averages = {seat: self._average(learner) for seat, (learner, _) in self.players.items()}
        self._add_present()
        self.matchmakers: dict[int, RatedMatchmaker] = {}
        for place, seat in enumerate(self.players):
            self._seat(seat, place * seats.config.training.markets)

    def _average(self, learner: Learner) -> WeightAverage:
        """Over a share of the run's periods."""
        a_period = len(self.players) * self.seats.config.training.markets
        return WeightAverage(learner.network, self.options.average * self.budget / a_period)

    def network(self, seat: int) -> Actor:
        """The average of the learner's weights over the last part of the run."""
        return self.averages[seat].network

    def _add_present(self) -> None:
        """The learners as they are, and the fixed competitors: made anew in every process."""
        for seat, (learner, decisions) in self.players.items():
            name = self.spec.names[seat]
            self.population.add(seat, "current", f"{name} (learning)", NetworkSeller(learner.network, decisions))
        for rules in self._competitors():
            for seat in self.players:
                self.population.add(seat, "fixed", rules.label, self.seats.line_ups.fixed(rules, seat))

    def _competitors(self) -> list[Rules]:
        """The fixed competitors of the population: none where no row meets them."""
        given, where = self.options.competitors, "selfplay.competitors"
        return self.seats.line_ups.listed(given, partial(suited, listed=USUAL), where) if self.options.fixed else []

    @cached_property
    def shortfalls(self) -> Shortfalls | None:
        """Against each fixed competitor of the population in all learners' seats."""
        seats, made, fixed = range(len(self.spec.sellers)), self.seats.line_ups, self.seats.fixed
        line_ups = [[fixed[k] if k in fixed else made.fixed(rules, k) for k in seats] for rules in self._competitors()]
        return Shortfalls(self.seats.config, self.seats.seed, line_ups) if line_ups else None

    def _pars(self, seat: int) -> Floats:
        """What the best fixed competitor earns in a seat against each of them in the others (C,)."""
        return np.array([] if self.shortfalls is None else self.shortfalls.pars(seat, PLAIN))

    def _seat(self, seat: int, first_row: int) -> None:
        drawn, rows = [k for k in self.players if k != seat], self.seats.config.training.markets
        pars = partial(self._pars, seat)
        matchmaker = RatedMatchmaker(self.population, seat, drawn, self.rng, self.options, rows, pars)
        # a market counts all its seats, the league those of learners only: their fractions must agree
        budget = self.budget * len(self.spec.sellers) // len(self.players)
        self.matchmakers[seat] = matchmaker
        self.markets[seat] = DrawnMarket(self.seats, self.players[seat], matchmaker, budget, first_row)

    def play_period(self) -> dict[int, dict[str, float]]:
        """One period in every row of every learner's market; snapshots are taken where they are due."""
        before, reports = self.done, super().play_period()
        for average in self.averages.values():
            average.add()
        if self.done // self.distance > before // self.distance:
            self._take_snapshots()
        return reports

    def _take_snapshots(self) -> None:
        self._add_snapshots()
        for seat in self.players:
            if len(self.population.of(seat, "snapshot")) > self.options.pool:
                self.population.left.add(self._leaves(seat))
        self.population.drop({number for market in self.markets.values() for number in market.playing()})
        for matchmaker in self.matchmakers.values():
            matchmaker.ratings.forget(set(self.population.members))

    def _leaves(self, seat: int) -> int:
        """The snapshot that goes; never the newest, which nobody has met."""
        *others, _ = self.population.of(seat, "snapshot")
        if self.options.evict == "oldest":
            return others[0]
        total = np.sum([m.chances(seat, "snapshot")[1] for k, m in self.matchmakers.items() if k != seat], axis=0)
        return others[int(np.argmin(total[:-1]))]

    def figures(self) -> dict[str, dict[str, float]]:
        """By learner: the hardest and the mean score of each kind of rival, and how concentrated its draws are."""
        return {self.spec.names[seat]: self._figures(matchmaker) for seat, matchmaker in self.matchmakers.items()}

    def _figures(self, matchmaker: RatedMatchmaker) -> dict[str, float]:
        found: dict[str, float] = {}
        for kind in KINDS:
            numbers = [n for seat in matchmaker.drawn for n in self.population.of(seat, kind)]
            known = [one for n in numbers if (one := matchmaker.ratings.of.get(n)) is not None]
            if known:
                found[f"{kind}_profit"] = float(np.mean([one.own for one in known]))
                found[f"{kind}_worst_profit"] = min(one.own for one in known)
                found[f"{kind}_margin"] = float(np.mean([one.own - one.theirs for one in known]))
            if len(numbers) > 1:
                found[f"{kind}_largest_weight"] = max(
                    float(matchmaker.chances(seat, kind)[1].max()) for seat in matchmaker.drawn
                )
        return found

    def write(self, folder: Path) -> None:
        """``pool/*.pt`` and ``league.json``: every member, what each learner earned against it, and its weight."""
        self.population.write(folder)
        table = [row for seat, matchmaker in self.matchmakers.items() for row in self._table(seat, matchmaker)]
        write_json(folder / "league.json", {"step": self.done, "snapshots_every": self.distance, "meetings": table})

    def _table(self, seat: int, matchmaker: RatedMatchmaker) -> list[dict[str, Any]]:
        places = [(rival, kind) for rival in matchmaker.drawn for kind in KINDS if self.population.of(rival, kind)]
        return [
            {
                "learner": self.spec.names[seat],
                "seat": self.spec.names[rival],
                "kind": kind,
                "member": self.population.members[number].label,
                "weight": float(chance),
                "profit": rated.own if rated else None,
                "its_profit": rated.theirs if rated else None,
                "episodes": rated.episodes if rated else 0.0,
            }
            for rival, kind in places
            for number, chance in zip(*matchmaker.chances(rival, kind), strict=True)
            for rated in [matchmaker.ratings.of.get(number)]
        ]

    def state_dict(self) -> dict[str, Any]:
        """As its base's, with ratings and averages."""
        return super().state_dict() | {
            "ratings": {str(seat): m.ratings.state_dict() for seat, m in self.matchmakers.items()},
            "averages": {str(seat): average.state_dict() for seat, average in self.averages.items()},
        }

    def _load_own(self, state: dict[str, Any]) -> None:
        for seat, matchmaker in self.matchmakers.items():
            matchmaker.ratings.load_state_dict(state["ratings"][str(seat)])
            self.averages[seat].load_state_dict(state["averages"][str(seat)])
