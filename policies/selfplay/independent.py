"""Every learner for itself: all in one market, and at the end each in a market of its own among whom it is judged by.

Learners that only ever meet one another end where their rivals' habits are, and are judged among rivals that have others:
three of them in a common market of flower shops lost up to half of their profits that way. In the last part of a run
each learner therefore has a market of its own. In some rows all rivals are the learners as they are, without
exploration; in the others they follow the rules of the line-ups that sellers are evaluated against. A learner learns in
its own market only, as many periods as before. Where one seat learns there is no such part: its rivals are what they are.

Dimensions: M rows, N sellers, L learners, R rows whose episode begins.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from market.simulation.decisions import Decisions
from policies.common.seeding import rival_draws
from policies.common.torch_tools import generator_state, restore_generator
from policies.config.selfplay import IndependentOptions
from policies.learners.base import Learner
from policies.selfplay.base import Mode
from policies.selfplay.loop import SelfPlay
from policies.selfplay.matchmaking import GOLDEN, DrawnMarket, Matchmaker, Members
from policies.selfplay.population import Population
from policies.selfplay.seating import Seats
from policies.sellers.network_seller import NetworkSeller


@dataclass
class LineUpMatchmaker(Matchmaker):
    """Draws all of a row's rivals at once: the learners as they are, or one of the line-ups.

    Args:
        rows: M.
        line_ups: share of rows that meet one; always the same rows, spread over the phases of an episode.
    """

    rows: InitVar[int]
    line_ups: InitVar[float]

    def __post_init__(self, rows: int, line_ups: float) -> None:
        self.among_rules: NDArray[np.bool_] = np.modf(np.arange(rows) * GOLDEN)[0] < line_ups

    def draw(self, rows: NDArray[np.intp]) -> Members:
        """Rivals (R, N)."""
        found = np.full((len(rows), len(self.population.spec.sellers)), -1, np.int64)
        which = self.rng.random(len(rows))
        for seat in self.drawn:
            rules, current = (np.array(self.population.of(seat, kind)) for kind in ("fixed", "current"))  # type: ignore[arg-type]
            chosen = rules[(which * len(rules)).astype(np.int64)]
            found[:, seat] = np.where(self.among_rules[rows], chosen, current[0])
        return found


def independent(options: IndependentOptions, seats: Seats) -> Mode:
    """The mode: one market only where a single seat learns, whose rivals are what they are, or where nothing is ``apart``."""
    return IndependentPlay(options, seats) if options.apart and len(seats.learning) > 1 else _together(seats)


def _together(seats: Seats, until: int | None = None) -> SelfPlay:
    players, settings = [seats.sitting(seat) for seat in range(len(seats.spec.sellers))], seats.config.training
    return SelfPlay(seats.spec, players, settings.markets, settings.budget, seats.seed, until=until)


class IndependentPlay(Mode):
    """Learners in one market, and in the run's last part in one each."""

    def __init__(self, options: IndependentOptions, seats: Seats) -> None:
        self.options, self.seats = options, seats
        self.budget, self.done = seats.config.training.budget, 0
        self.rng, self.population = rival_draws(seats.seed), Population(seats.spec)
        self.common = _together(seats, until=int((1 - options.apart) * self.budget))
        self.markets: dict[int, DrawnMarket] = {}

    @property
    def learners(self) -> dict[int, Learner]:
        """By seat."""
        return self.common.learners

    def decisions(self, seat: int) -> Decisions:
        """How actions of the seat's learner become prices and orders."""
        return self.common.decisions(seat)

    def play_period(self) -> dict[int, dict[str, float]]:
        """One period in every row of the common market, or of every learner's own."""
        if not self.common.over:
            reports = self.common.play_period()
        else:
            if not self.markets:
                self._part()
            reports = {}
            for market in self.markets.values():
                reports |= market.play_period()
        self.done += self.common.batch.reward.size
        return reports

    def _part(self) -> None:
        """Make a market for each learner, in which schedules go on where they stand."""
        line_ups, learning = self.seats.line_ups, list(self.learners)
        for seat in learning:
            name, learner = self.seats.spec.names[seat], self.learners[seat]
            now = NetworkSeller(learner.network, self.decisions(seat))
            self.population.add(seat, "current", f"{name} (learning)", now)
            for rules in line_ups.chosen(None):
                self.population.add(seat, "fixed", rules.label, line_ups.fixed(rules, seat))
        rows = self.seats.config.training.markets
        for place, seat in enumerate(learning):
            rivals = [k for k in learning if k != seat]
            matchmaker = LineUpMatchmaker(self.population, seat, rivals, self.rng, rows, self.options.line_ups)
            player = self.learners[seat], self.decisions(seat)
            market = DrawnMarket(self.seats, player, matchmaker, self.budget, (place + 1) * rows)
            market.done = self.common.done
            self.markets[seat] = market

    def earned(self) -> dict[int, dict[str, float]]:
        """By seat, each learner in its own market once it has one."""
        if not self.markets:
            return self.common.earned()
        return {seat: found[seat] for seat, market in self.markets.items() if (found := market.earned())}

    def state_dict(self) -> dict[str, Any]:
        """The markets, with their learners, and the generator of draws."""
        return {
            "done": self.done,
            "common": self.common.state_dict(),
            "generator": generator_state(self.rng),
            "markets": {str(seat): market.state_dict() for seat, market in self.markets.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where :meth:`state_dict` was taken."""
        self.done = state["done"]
        self.common.load_state_dict(state["common"])
        if state["markets"] and not self.markets:
            self._part()
        for seat, market in self.markets.items():
            market.load_state_dict(state["markets"][str(seat)])
        restore_generator(self.rng, state["generator"])
