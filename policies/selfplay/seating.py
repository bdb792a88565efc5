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
from policies.sellers.protocol import Seller
from policies.sellers.rules.base import place
from policies.sellers.rules.compose import parse_rules
from policies.storage.run_folder import saved_rival

SeatedLearner = tuple[Learner, Decisions]  # with how its actions become prices and orders


@dataclass(frozen=True)
class Seats:
    """A run's seats.

    Args:
        seed: of the run; learners get seeds of their own from it.
        device: ``cpu`` or ``cuda``.
        folder: where copies of other runs' sellers may lie.
    """

    config: RunConfig
    line_ups: LineUps
    seed: int
    device: str
    folder: Path | None = None

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
    def rivals(self) -> dict[int, SavedSeller]:
        """The sellers of other runs that the configuration seats."""
        found = {seat: saved_rival(self.config, seat, self.folder) for seat in range(len(self.spec.sellers))}
        return {seat: saved for seat, saved in found.items() if saved is not None}

    @cached_property
    def fixed(self) -> dict[int, Seller]:
        """Who does not learn: the fixed competitors that the configuration seats, and sellers of other runs."""
        return {seat: self._fixed(seat) for seat in range(len(self.spec.sellers)) if seat not in self.learning}

    def _fixed(self, seat: int) -> Seller:
        where = f"seats.{self.spec.names[seat]}"
        if seat in self.rivals:
            with place(where):
                return self.rivals[seat].sit(self.spec, seat, adapt=True)
        return self.line_ups.fixed(parse_rules(self.config.player(seat), where, self.spec), seat)

    def sitting(self, seat: int) -> SeatedLearner | Seller:
        """A learner made for the seat, or who does not learn there."""
        return self.learner(seat) if seat in self.learning else self.fixed[seat]

    def saved(
        self, seat: int, decisions: Decisions, network: Actor, trained: int, score: float, path: Path
    ) -> SavedSeller:
        """The seat's policy as it is to be saved; its weights are copies."""
        facts = {"encoding": decisions.encoding, "learner": self.learning[seat], "trained": trained, "score": score}
        return SavedSeller.of(network, self.spec, seat, path=path, **facts)
