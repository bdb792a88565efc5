"""Keeps a run's whole state while it goes, and goes back to it: after a kill, or when a learner has diverged.

When checkpoints are written changes no bit of the run: taking a state only reads.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from market.errors import UserError
from policies.common.console import say
from policies.common.files import inside, write_file
from policies.config.orders import OnNan
from policies.storage.run_folder import add_about
from policies.storage.training_state import RunState
from policies.training.divergence import Diverged, advice, check_learners
from policies.training.run import TrainerState, TrainingRun
from policies.training.tracking import Tracker

SHARE = 0.02  # of the time that checkpoints at evaluations may take
ROLLBACKS = 5
SELLERS = "checkpoints"


@dataclass(frozen=True)
class CheckpointOptions:
    """How a run is kept: seconds between checkpoints of the whole run, and what to do when a learner diverges."""

    every: float = 60.0
    on_nan: OnNan = "stop"


@dataclass
class Checkpointer:
    """One run's training, its loop's counters and its files, saved and restored together."""

    training: TrainingRun
    tracker: Tracker
    folder: Path
    options: CheckpointOptions
    console: Console
    state: TrainerState = field(default_factory=TrainerState)
    step: int | None = None  # of the last checkpoint
    _written: float = field(default_factory=time.monotonic)
    _cost: float = 0.0  # seconds that the last one took

    def due(self) -> bool:
        """Whether it is time for a checkpoint between evaluations."""
        return time.monotonic() - self._written >= self.options.every

    def save_at_evaluation(self) -> None:
        """A checkpoint at an evaluation: always at the first and the last, else unless it would cost too much time."""
        ends = self.state.evaluated in (0, self.training.config.training.evaluations)
        if ends or self.due() or time.monotonic() - self._written >= self._cost / SHARE:
            self.save()

    def save(self) -> None:
        """Write a checkpoint of the whole run.

        Raises :class:`~policies.training.divergence.Diverged`, before anything is written, when a learner is past saving, and
        :class:`OSError` that names the file where the disk refuses; the checkpoint before is intact then.
        """
        begun = time.monotonic()
        check_learners(self.training)
        RunState(self.folder).save(self._state())
        self.step = self.training.play.done
        self._written = time.monotonic()
        self._cost = self._written - begun

    def _state(self) -> dict[str, Any]:
        learners = self.training.play.learners
        return {
            "step": self.training.play.done,
            "config": config_digest(self.folder),
            "seed": self.training.seed,
            "tracker": self.tracker.state_dict(),
            "training": self.training.state_dict(),
            "course": asdict(self.state),
            "rates": {seat: learner.rate for seat, learner in learners.items()},
            "sellers": {path.name: _bytes(path) for path in sorted((self.folder / SELLERS).glob("*.pt"))},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state; the tracker must be at its mark. Raises :class:`UserError` where it does not fit."""
        sellers = {inside(self.folder / SELLERS, name): content for name, content in state["sellers"].items()}
        try:
            self.training.load_state_dict(state["training"])
            self.state = TrainerState(**state["course"])
            for seat, learner in self.training.play.learners.items():
                learner.slow_down(state["rates"][seat])
        except (KeyError, TypeError, ValueError, RuntimeError) as problem:
            raise UserError(
                f"{self.folder}: its state was written by another version of bazaar and does not fit ({problem})"
            ) from None
        for path, content in sellers.items():
            write_file(path, content.numpy().tobytes())
        self.step = state["step"]

    def recover(self, problem: Diverged) -> None:
        """After a learner diverged: go back and halve its learning rate, or raise :class:`UserError`, as was asked."""
        good = RunState(self.folder).load(self.console)
        last = f"the last good checkpoint is of step {self.step}"
        where = last if good is not None else "there is no good checkpoint yet"
        if self.options.on_nan == "stop" or good is None:
            again = "" if good is None else f"; bazaar train --resume {self.folder} --on-nan rollback goes on from it"
            raise UserError(f"{problem}; {where}{again}; else {advice(self.training, problem.seat)}")
        if problem.seat is None or len(self.state.rollbacks) >= ROLLBACKS:
            times = len(self.state.rollbacks)
            wayout = advice(self.training, problem.seat)
            tried = f"after {times} rollbacks" if times else "whose learner is unknown"
            raise UserError(f"{problem}, {tried}; {where}; {wayout}, or clip its gradients (max_grad_norm)")
        self._roll_back(good, problem.seat, str(problem))

    def _roll_back(self, good: dict[str, Any], seat: int, problem: str) -> None:
        before, learner = self.state.rollbacks, self.training.play.learners[seat]
        self.tracker.rewind(good["tracker"])
        self.restore(good)
        learner.slow_down(learner.rate / 2)
        name, step = self.training.spec.names[seat], self.training.play.done
        self.state.rollbacks = [*before, {"step": step, "seller": name, "rate": learner.rate}]
        said = f"{problem}; back to step {step} with its learning rate x {learner.rate:g}"
        say(self.console, f"warning: {said}")
        add_about(self.folder, rollbacks=self.state.rollbacks)
        self.tracker.scalars("training", step, name, {"rollbacks": float(len(self.state.rollbacks))})
        self.save()


def config_digest(folder: Path) -> str:
    """SHA-256 of a run's config.yaml: a run goes on only with the settings that it began with."""
    return hashlib.sha256((folder / "config.yaml").read_bytes()).hexdigest()


def _bytes(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.frombuffer(path.read_bytes(), np.uint8).copy())
