"""Learners that diverge: noticed where their losses or weights are no finite numbers, or far too large.

Looked at whenever losses are reported, before every evaluation, and before a checkpoint of the whole run is written,
so that no checkpoint holds a learner that is past saving.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import torch
from torch import Tensor

from market.demand.equilibrium import reward_scales
from market.errors import UserError
from policies.learners.base import Learner
from policies.training.run import TrainingRun

MOST_WEIGHT = 1e8  # float32 resolves units there: a step of any usual size changes nothing
MOST_REPORTED = 1e15
LARGE = 1e3  # rewards


class Diverged(Exception):
    """A learner is past saving. ``seat`` is None where the message alone tells."""

    def __init__(self, seat: int | None, message: str) -> None:
        super().__init__(message)
        self.seat = seat


def play_period(training: TrainingRun) -> dict[int, dict[str, float]]:
    """One period of play; raise :class:`Diverged` when a learner's report, or what it did, shows that it diverged."""
    try:
        reports = training.play.play_period()
    except (ValueError, ArithmeticError, RuntimeError) as error:
        check_learners(training)
        if isinstance(error, UserError):  # a decision that is no number, from weights that still are
            raise Diverged(_named(training, str(error)), f"{error} (step {training.play.done})") from None
        raise
    for seat, report in reports.items():
        for name, value in report.items():
            if not abs(value) <= MOST_REPORTED:
                raise _diverged(training, seat, f"its {name.replace('_', ' ')} is {value:g}")
    return reports


def _named(training: TrainingRun, message: str) -> int | None:
    names = [seat for seat in training.learner_names if f"seller {training.spec.names[seat]}" in message]
    return names[0] if len(names) == 1 else None


def check_learners(training: TrainingRun) -> None:
    """Raise :class:`Diverged` for the first learner whose weights or optimiser are not sound."""
    for seat, learner in training.play.learners.items():
        if problem := unsound(learner):
            raise _diverged(training, seat, problem)


def unsound(learner: Learner) -> str:
    """What is wrong with a learner's numbers, empty when nothing is."""
    if not _at_most(learner.algorithm.parameters(), MOST_WEIGHT):
        return f"its weights are not finite, or larger than {MOST_WEIGHT:g}"
    states = (state for optim in learner.algorithm._optimizers for state in optim._optim.state.values())
    kept = (value for state in states for value in state.values() if isinstance(value, Tensor))
    if not _at_most(chain(learner.algorithm.buffers(), kept), float("inf")):
        return "its optimiser or target networks are not finite"
    return ""


def _at_most(tensors: Iterable[Tensor], most: float) -> bool:
    """Whether all numbers are finite and at most ``most`` in size; one number is read back from the device."""
    sizes = [t.detach().abs().max().double() for t in tensors if t.is_floating_point() and t.numel()]
    largest = float(torch.stack(sizes).max()) if sizes else 0.0
    return largest <= most and largest != float("inf")


def advice(training: TrainingRun, seat: int | None) -> str:
    """What to change: the scale of rewards that are far above order one, which learners are made for; else the step size."""
    earned = 0.0 if seat is None else abs(training.earned.get(seat, 0.0))
    if seat is None or earned <= LARGE * (scale := reward_scales(training.spec)[seat]):
        return "lower its lr"
    key = f"{training.spec.seat_place(seat)}.reward_scale"
    return (
        f"its rewards are about {earned / scale:.0e}, profit over the scale {scale:g}: set {key} to about {earned:.2g}"
    )


def _diverged(training: TrainingRun, seat: int, problem: str) -> Diverged:
    place = f"seats.{training.spec.names[seat]}"
    return Diverged(seat, f"{place}: {training.learner_names[seat]} diverged at step {training.play.done}: {problem}")
