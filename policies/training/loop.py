"""A run's loop: play and learn, evaluate at even distances, keep the run's state; from wherever the run stands.

A periodic evaluation is how the sellers do against one another and against fixed competitors, and sometimes pictures.
"""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from market.metrics.summary import summary
from market.simulation.render import draw_episode
from policies.common.files import writing
from policies.common.interrupt import deferred, raise_swallowed
from policies.common.progress import RunBar
from policies.evaluation.profit_gain import ENDS
from policies.explain.policy_map import training_maps
from policies.storage.run_folder import WHOLE_MARKET
from policies.training.checkpointing import Checkpointer
from policies.training.divergence import Diverged, check_learners, play_period
from policies.training.run import TrainingRun
from policies.training.tracking import Tracker


def periodic_evaluation(training: TrainingRun, folder: Path, tracker: Tracker) -> None:
    """Evaluate as the run goes: metrics and pictures of self-play, scores against fixed competitors, checkpoints."""
    spec, step = training.spec, training.play.done
    ledger, settings = training.play_greedily(), training.config.evaluation
    counted = ledger[settings.warm_up :]
    figures = summary(ledger, spec, settings.warm_up, settings.salvage, level=settings.risk_level)
    concentration = float(figures.pop("hhi")[0])  # of the market: the same for every seller
    for seat, name in enumerate(spec.names):
        tracker.scalars("evaluation", step, name, {metric: float(values[seat]) for metric, values in figures.items()})
        tracker.histogram(step, name, "price", counted["price"][:, :, seat])
        tracker.histogram(step, name, "order", counted["ordered"][:, :, seat])
    training.self_play = played = training.summarized(ledger)
    total = {"total_profit": float(figures["profit"].sum()), "profit_gain": played.gain, "hhi": concentration}
    tracker.scalars("evaluation", step, WHOLE_MARKET, total)
    for name, gain in zip(spec.names, played.seat_gains, strict=True):
        tracker.scalars("evaluation", step, name, {"profit_gain": float(gain)})
    for end, profit in zip(ENDS, played.ends.both, strict=True) if played.ends else ():
        for seat, name in enumerate(spec.names):
            tracker.scalars("evaluation", step, name, {f"{end}_profit": float(profit[:, seat].mean())})
    training.episode = {n: ledger[n][:, 0].copy() for n in ledger.dtype.names or ()}
    scores = training.scores()
    for seat, score in scores.items():
        reached = {"profit_against_fixed": training.earned[seat]}
        if training.selection.several:
            reached["worst_against_the_pool"] = score
        elif not training.play.learners[seat].options.plain:
            reached["objective_against_fixed"] = score
        tracker.scalars("evaluation", step, spec.names[seat], reached)
    for seller, own in training.play.figures().items():
        tracker.scalars(training.config.selfplay.mode, step, seller, own)
    training.keep(folder, scores)


def show(training: TrainingRun, folder: Path, tracker: Tracker) -> None:
    """Pictures of the policies as they are now: one episode of self-play, and each learner's policy map."""
    spec, step = training.spec, training.play.done
    picture = draw_episode(spec, training.episode)
    with writing(folder / "episode.png"):
        picture.savefig(folder / "episode.png")
    tracker.figure(step, "episode", picture)
    for name, policy in training_maps(spec, training.sellers(), list(training.learner_names)).items():
        tracker.figure(step, f"policy/{name}", policy)


# Of a run, beside the one before anything is learned: drawing takes longer than an evaluation.
PICTURES = 3


def learn(checkpointer: Checkpointer, console: Console) -> None:
    """Play and learn for what is left of the budget, evaluating at even distances, first before anything is learned.

    Raises :class:`~market.errors.UserError` when a learner diverges and its run is to stop then, and
    :class:`~policies.common.interrupt.Stopped` where Ctrl-C finds the run in a state that can be kept.
    """
    with checkpointer.training.bar(console, checkpointer.training.config.training.budget) as bar:
        while not checkpointer.training.complete:
            try:
                _go_on(checkpointer, bar)
            except Diverged as problem:
                checkpointer.recover(problem)


def _go_on(checkpointer: Checkpointer, bar: RunBar) -> None:
    training, state = checkpointer.training, checkpointer.state
    settings = training.config.training
    if state.evaluated < 0:
        bar.phase("setting up")
        evaluate(checkpointer, 0)
    while state.evaluated < settings.evaluations:
        k = state.evaluated + 1
        until = settings.budget * k // settings.evaluations
        if training.play.done >= until:
            state.evaluated = k
            continue
        bar.phase("learning")
        train_until(checkpointer, until, bar)
        bar.phase("evaluating")
        with deferred():
            evaluate(checkpointer, k)
        raise_swallowed()
    training.complete = True


def train_until(checkpointer: Checkpointer, until: int, bar: RunBar) -> None:
    """Play periods until ``until`` seller-periods are done; record what the learners last reported.

    Checkpoints lie between periods, and never at the end, where an evaluation is due.
    """
    training, tracker, state = checkpointer.training, checkpointer.tracker, checkpointer.state
    begun, first = time.perf_counter(), training.play.done
    while training.play.done < until:
        with deferred():
            state.reports |= play_period(training)
        bar.advance_to(training.play.done)
        if training.play.done < until:
            raise_swallowed()
            if checkpointer.due():
                with deferred():
                    checkpointer.save()
    for seat, report in state.reports.items():
        tracker.scalars("training", training.play.done, training.spec.names[seat], report)
    for seat, earned in training.play.earned().items():
        tracker.scalars("training", training.play.done, training.spec.names[seat], earned)
    speed = (training.play.done - first) / max(time.perf_counter() - begun, 1e-9)
    tracker.scalars("training", training.play.done, WHOLE_MARKET, {"seller_periods_per_second": speed})
    state.reported = sorted({*state.reported, *state.reports})
    state.reports = {}


def evaluate(checkpointer: Checkpointer, k: int) -> None:
    """The k-th evaluation, its pictures where they are due, and a checkpoint of the whole run."""
    training, state = checkpointer.training, checkpointer.state
    check_learners(training)
    periodic_evaluation(training, checkpointer.folder, checkpointer.tracker)
    pictured = k * PICTURES // training.config.training.evaluations
    if k == 0 or pictured > state.pictured:
        state.pictured = pictured
        show(training, checkpointer.folder, checkpointer.tracker)
    if set(state.reported) == set(training.learner_names):
        checkpointer.tracker.arrange()
    state.evaluated = k
    checkpointer.save_at_evaluation()
