"""One tuning trial: every configuration trained with every seed side by side, scored at even distances.

The seats' score is what :meth:`policies.training.run.TrainingRun.scores` gives, relative to a reference in the same episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from policies.common.interrupt import raise_swallowed
from policies.common.parallel import Say
from policies.common.seeding import row_seed
from policies.config.run import RunConfig, parse_run
from policies.evaluation.selection import ModelSelection
from policies.sellers.checkpoint import finite
from policies.sellers.protocol import Seller
from policies.sellers.rollout import mean_profit
from policies.sellers.rules.compose import compose, parse_rules
from policies.studies.tuning.space import Values, with_values
from policies.training.run import TrainingRun

NOTHING_EARNED = -1.0


@dataclass(frozen=True)
class Case:
    """One configuration as plain data; ``references``: rules' text in every seat, levels found."""

    name: str
    config: dict[str, Any]
    references: tuple[str, ...]

    def parsed(self) -> RunConfig:
        """The configuration."""
        return parse_run(self.config, self.name)

    def sellers(self, config: RunConfig) -> list[Seller]:
        """The reference's seller in every seat."""
        spec = config.market
        return [compose(parse_rules(text), spec, seat) for seat, text in enumerate(self.references)]


@dataclass(frozen=True)
class TrialSetup:
    """What all trials of a study share. ``rungs``: evaluations at even distances; ``worst`` of seeds, else the mean."""

    cases: tuple[Case, ...]
    seeds: tuple[int, ...]
    rungs: int
    worst: bool
    last: bool
    device: str


def reference_profit(config: RunConfig, sellers: Sequence[Seller], seed: int) -> list[float]:
    """What the references earn a period in every seat, in the episodes that learners are chosen on."""
    settings = config.evaluation
    episodes = config.training.evaluation_episodes
    counted, first = (settings.warm_up, settings.salvage), row_seed(seed, "select")
    return list(map(float, mean_profit(config.market, sellers, *counted, seed=first, markets=episodes)))


@dataclass
class Pair:
    """One configuration with one seed in training; ``gain`` of a seat: score less reference, over its size."""

    training: TrainingRun
    reference: list[float]
    gain: dict[int, float] = field(default_factory=dict)
    diverged: bool = False

    def advance(self, share: float, last: bool) -> float:
        """Train up to a share of the budget; the mean gain over learners, of the best evaluation so far or the last.

        A learner that diverged counts as one that falls short by all that the reference earns or loses, and none counts
        less.
        """
        until = self.training.config.training.budget * share
        while self.training.play.done < until and not self.diverged:
            self.training.play.play_period()
            raise_swallowed()
        play = self.training.play
        self.diverged |= not all(finite(play.network(seat).state_dict()) for seat in self.training.learner_names)
        if not self.diverged:
            self._take(self.training.scores(), last)
        return NOTHING_EARNED if self.diverged else float(np.mean(list(self.gain.values())))

    def _take(self, scores: dict[int, float], last: bool) -> None:
        for seat, score in scores.items():
            now = max((score - self.reference[seat]) / abs(self.reference[seat]), NOTHING_EARNED)
            self.gain[seat] = now if last else max(now, self.gain.get(seat, now))


def make_pair(case: Case, values: Values, seed: int, device: str) -> Pair:
    """The training of one configuration with a trial's values."""
    config = with_values(case.parsed(), values, case.name)
    training = TrainingRun(config, seed, device)
    sellers = case.sellers(config)
    training.selection = ModelSelection(config, seed, sellers)  # all trials against the same
    return Pair(training, reference_profit(config, sellers, seed))


def summed_up(gains: Sequence[Sequence[float]], worst: bool) -> float:
    """The objective of gains (configurations x seeds): the mean over configurations of the mean or worst seed's.

    [[0.1, 0.3], [0.2, 0.0]]: 0.15; of the worst seeds 0.05.
    """
    table = np.asarray(gains, np.float64)
    return float((table.min(axis=1) if worst else table.mean(axis=1)).mean())


def work(setup: TrialSetup, task: tuple[int, Values], say: Say) -> dict[str, Any]:
    """Train a trial until it is done or pruned; what it says at each rung is (rung, objective).

    Returns ``gains`` (configurations x seeds) at the last rung reached, ``rungs`` (the objective at each) and whether
    it was ``pruned``.
    """
    from policies.training.train import pick_device

    device = pick_device(setup.device)
    _, values = task
    pairs = [[make_pair(case, values, seed, device) for seed in setup.seeds] for case in setup.cases]
    reached: list[float] = []
    gains: list[list[float]] = []
    go_on = True
    while go_on and len(reached) < setup.rungs:
        share = (len(reached) + 1) / setup.rungs
        gains = [[pair.advance(share, setup.last) for pair in some] for some in pairs]
        reached.append(summed_up(gains, setup.worst))
        go_on = say((len(reached), reached[-1]))
    return {"gains": gains, "rungs": reached, "pruned": len(reached) < setup.rungs}
