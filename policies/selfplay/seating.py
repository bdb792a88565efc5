"""Who sits where, as a run's configuration has it: makes the seats' learners and fixed competitors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from market.simulation.decisions import Decisions
from market.spec.models import MarketSpec
from policies.config.run import RunConfig
from policies.evaluation.line_ups import LineUps
from policies.learners.base import Learner
from policies.learners.build import learner_name, make_learner
from policies.networks.heads import Actor
from policies.sellers.checkpoint import SavedSeller
from policies.sellers.rules.compose import FixedSeller, parse_rules

SeatedLearner = tuple[Learner, Decisions]  # with how its actions become prices and orders


@dataclass(frozen=True)
class Seats:
    """A run's seats.

    Args:
        seed: of the run; learners get seeds of their own from it.
        device: ``cpu`` or ``cuda``.
    """

    config: RunConfig
    line_ups: LineUps
    seed: int
    device: str

    @property
    def spec(self) -> MarketSpec:
        """The market."""
        return self.config.market

    @cached_property
    def learning(self) -> dict[int, str]:
        """The names of the learners, by seat."""
        named = {k: learner_name(self.config.player(k), f"seats.{name}") for k, name in enumerate(self.spec.names)}
        return {seat: name for seat, name in named.items() if name is not None}

    def learner(self, seat: int, number: int = 0, seats: int = 1, extra: int = 0) -> SeatedLearner:
        """The ``number``-th learner of a seat; it plays ``seats`` seats and sees ``extra`` numbers more than usual."""
        seed = self.seed * 1_000 + seat if number == 0 else (self.seed * 1_000 + seat) * 1_000 + number
        return make_learner(self.config, seat, self.config.player(seat), self.device, seed, seats, extra)

    @cached_property
    def fixed(self) -> dict[int, FixedSeller]:
        """The fixed competitors that the configuration seats."""
        return {
            seat: self.line_ups.fixed(parse_rules(self.config.player(seat), f"seats.{name}", self.spec), seat)
            for seat, name in enumerate(self.spec.names)
            if seat not in self.learning
        }

    def sitting(self, seat: int) -> SeatedLearner | FixedSeller:
        """A learner made for the seat, or its fixed competitor."""
        return self.learner(seat) if seat in self.learning else self.fixed[seat]

    def saved(
        self, seat: int, decisions: Decisions, network: Actor, trained: int, score: float, path: Path
    ) -> SavedSeller:
        """The seat's policy as it is to be saved; its weights are copies."""
        facts = {"encoding": decisions.encoding, "learner": self.learning[seat], "trained": trained, "score": score}
        return SavedSeller.of(network, self.spec, seat, path=path, **facts)
