"""One training run: a market, its players, how good they are by now, and what is kept of them.

:class:`TrainingRun` plays and saves its sellers; which are the best of a run says :mod:`policies.evaluation.selection`.
:class:`TrainerState` is where the run's loop stands between evaluations: what it must know to go on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from market.errors import UserError
from market.metrics.summary import episode_profit
from market.state import Floats, Record
from policies.common.files import inside
from policies.common.progress import MakeBar, TrainingBar
from policies.common.seeding import row_seed
from policies.config.run import RunConfig
from policies.evaluation.line_ups import LineUps
from policies.evaluation.selection import ModelSelection
from policies.learners.build import NOBODY_LEARNS, check_learners
from policies.learners.default_decisions import with_decisions
from policies.learners.room import refuse_large_buffers
from policies.selfplay.base import Mode
from policies.selfplay.independent import independent
from policies.selfplay.league import League
from policies.selfplay.psro import PSRO
from policies.selfplay.seating import Seats
from policies.selfplay.shared import SharedPlay
from policies.sellers.checkpoint import finite, save_seller
from policies.sellers.network_seller import NetworkSeller
from policies.sellers.protocol import Seller
from policies.sellers.rollout import play
from policies.storage.run_folder import chosen_among_rivals
from policies.training.view import SelfPlaySummary

# The modes of self-play: a new one is a class of options (policies.config.selfplay), a Mode, and an entry here.
SELF_PLAY: dict[str, Callable[[Any, Seats], Mode]] = {
    "independent": independent,
    "shared": SharedPlay,
    "league": League,
    "psro": PSRO,
}


class TrainingRun:
    """One run: a market, its players, and what is kept of them.

    Args:
        config: the configuration; a learner that needs a grid and has none gets one (``policies.learners.default_decisions``).
        seed: of networks, exploration and customers.
        device: ``cpu`` or ``cuda``.
        folder: where copies of other runs' sellers may lie, who are rivals here.
    """

    def __init__(self, config: RunConfig, seed: int, device: str, folder: Path | None = None) -> None:
        self.config = config = with_decisions(config)
        self.spec, self.seed = config.market, seed
        self.line_ups = LineUps(config, seed)
        check_learners(config)
        self.seats = Seats(config, self.line_ups, seed, device, folder)
        if not self.seats.learning:  # asked before anything is searched, since that takes a while
            raise UserError(NOBODY_LEARNS)
        refuse_large_buffers(config, device)
        self.line_ups.check()
        self.play = SELF_PLAY[config.selfplay.mode](config.selfplay, self.seats)
        self.learner_names = self.seats.learning
        self.best: dict[int, float] = {}
        self.earned: dict[int, float] = {}
        self.self_play: SelfPlaySummary | None = None
        self.complete = False
        self.bar: MakeBar = TrainingBar
        self.episode: dict[str, Floats] = {}

    def greedy(self, seat: int) -> NetworkSeller:
        """The seat's learner as it would play now, without exploration."""
        return NetworkSeller(self.play.network(seat), self.play.decisions(seat))

    def sellers(self) -> list[Seller]:
        """Every seat's player as it would play now."""
        seats = range(len(self.spec.sellers))
        return [self.greedy(seat) if seat in self.learner_names else self.seats.fixed[seat] for seat in seats]

    def play_greedily(self) -> Record:
        """All sellers against each other without exploration, on the customers kept for choosing: (T, M, N)."""
        episodes = self.config.training.evaluation_episodes
        return play(self.spec, self.sellers(), markets=episodes, seed=row_seed(self.seed, "select"))

    def summarized(self, ledger: Record) -> SelfPlaySummary:
        """What :meth:`play_greedily` played, beside all seats at Nash and at joint-profit prices on the same customers."""
        settings, episodes = self.config.evaluation, ledger.shape[1]
        profit = episode_profit(ledger, self.spec, settings.warm_up, settings.salvage).mean(axis=0)
        price = ledger["price"][settings.warm_up :].mean(axis=(0, 1))
        return self._beside_ends(profit / (self.spec.horizon - settings.warm_up), price, episodes)

    def _beside_ends(self, profit: Floats, price: Floats, episodes: int) -> SelfPlaySummary:
        known = self.line_ups.profit_gain
        return SelfPlaySummary(profit, price, episodes, known, known.ends(row_seed(self.seed, "select"), episodes))

    def scores(self) -> dict[int, float]:
        """How good each learner is by now, as :meth:`policies.evaluation.selection.ModelSelection.evaluate` says.

        Profits against the rivals that they are evaluated against meanwhile are in ``earned``.
        """
        scores = {}
        for seat in self.learner_names:
            options = self.play.learners[seat].options
            scores[seat], self.earned[seat] = self.selection.evaluate(seat, self.greedy(seat), options)
        return scores

    @cached_property
    def selection(self) -> ModelSelection:
        """What best policies are chosen by; may be set before the first score."""
        return ModelSelection(self.config, self.seed, self._first_line_up(), self.play.shortfalls)

    def _first_line_up(self) -> list[Seller]:
        """The rivals that ``seats`` names where they are all fixed, else the first line-up, in every seat.

        A seat that is never anybody's rival is not searched for.
        """
        if chosen_among_rivals(self.config):
            return self.sellers()
        line_up, only = self.line_ups.chosen(None)[0], len(self.learner_names) == 1
        seats = range(len(self.spec.sellers))
        return [self.greedy(k) if only and k in self.learner_names else self.line_ups.fixed(line_up, k) for k in seats]

    def keep(self, folder: Path, scores: dict[int, float]) -> None:
        """Save every learner's latest policy, and its best when ``scores`` say that it is, with the profit it made."""
        for seat in self.learner_names:
            if not finite(self.play.network(seat).state_dict()):
                name = self.spec.names[seat]
                raise UserError(
                    f"seats.{name}: {self.learner_names[seat]} diverged, its weights are not finite; lower lr"
                )
            score = scores.get(seat, -np.inf)
            profit = self.earned[seat] if seat in scores else score
            self._save(folder, seat, profit, "latest")
            if score > self.best.get(seat, -np.inf) or seat not in self.best:
                self.best[seat] = score
                self._save(folder, seat, profit, "best")
        self.play.write(folder)

    def _save(self, folder: Path, seat: int, score: float, which: str) -> None:
        path = inside(folder / "checkpoints", f"{self.spec.names[seat]}.{which}.pt")
        network, decisions = self.play.network(seat), self.play.decisions(seat)
        save_seller(self.seats.saved(seat, decisions, network, self.play.done, score, path))

    def state_dict(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on, as :mod:`policies.common.torch_tools` says."""
        last = self.self_play
        figures = ("profit", "price")
        kept = None if last is None else {name: torch.from_numpy(getattr(last, name).copy()) for name in figures}
        episodes = 0 if last is None else last.episodes
        about = {"best": dict(self.best), "complete": self.complete, "rehearsal": kept, "episodes": episodes}
        return about | {"play": self.play.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where :meth:`state_dict` was taken, in a training made with the same arguments."""
        self.play.load_state_dict(state["play"])
        self.best, self.complete, kept = dict(state["best"]), state["complete"], state["rehearsal"]
        if kept is not None:
            self.self_play = self._beside_ends(kept["profit"].numpy(), kept["price"].numpy(), state["episodes"])


@dataclass
class TrainerState:
    """Counters of a run's loop.

    ``evaluated``: the number of the last evaluation, -1 before the one at the start. ``pictured``: pictures drawn
    since then. ``reports``: what learners last reported since the last evaluation, by seat; ``reported``: the seats
    that ever did. ``rollbacks``: of learners that diverged, as ``run.json`` lists them.
    """

    evaluated: int = -1
    pictured: int = 0
    reports: dict[int, dict[str, float]] = field(default_factory=dict)
    reported: list[int] = field(default_factory=list)
    rollbacks: list[dict[str, Any]] = field(default_factory=list)
