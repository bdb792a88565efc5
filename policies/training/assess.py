"""An evaluation as the run goes: how the sellers do against one another and against fixed competitors, and pictures."""

from __future__ import annotations

from pathlib import Path

from market.metrics.summary import summary
from market.simulation.render import draw_episode
from policies.common.files import writing
from policies.explain.policy_map import training_maps
from policies.training.run import Training
from policies.training.tracking import MARKET, Tracker


def assess(training: Training, folder: Path, tracker: Tracker) -> None:
    """Evaluate as the run goes: metrics and pictures of self-play, scores against fixed competitors, checkpoints."""
    spec, step = training.spec, training.play.done
    ledger, settings = training.rehearse(), training.config.evaluation
    counted = ledger[settings.warm_up :]
    figures = summary(ledger, spec, settings.warm_up, settings.salvage, level=settings.risk_level)
    for seat, name in enumerate(spec.names):
        tracker.scalars("evaluation", step, name, {metric: float(values[seat]) for metric, values in figures.items()})
        tracker.histogram(step, name, "price", counted["price"][:, :, seat])
        tracker.histogram(step, name, "order", counted["ordered"][:, :, seat])
    training.rehearsal = rehearsal = training.rehearsed(ledger)
    total = {"total_profit": float(figures["profit"].sum()), "profit_gain": rehearsal.gain}
    tracker.scalars("evaluation", step, MARKET, total)
    for name, gain in zip(spec.names, rehearsal.seat_gains, strict=True):
        tracker.scalars("evaluation", step, name, {"profit_gain": float(gain)})
    training.episode = {n: ledger[n][:, 0].copy() for n in ledger.dtype.names or ()}
    scores = training.scores()
    for seat, score in scores.items():
        reached = {"profit_against_fixed": training.earned[seat]}
        if training.choice.several:
            reached["worst_against_the_pool"] = score
        elif not training.play.learners[seat].options.plain:
            reached["objective_against_fixed"] = score
        tracker.scalars("evaluation", step, spec.names[seat], reached)
    for seller, own in training.play.figures().items():
        tracker.scalars(training.config.selfplay.mode, step, seller, own)
    training.keep(folder, scores)


def show(training: Training, folder: Path, tracker: Tracker) -> None:
    """Pictures of the policies as they are now: one episode of self-play, and each learner's policy map."""
    spec, step = training.spec, training.play.done
    picture = draw_episode(spec, training.episode)
    with writing(folder / "episode.png"):
        picture.savefig(folder / "episode.png")
    tracker.figure(step, "episode", picture)
    for name, policy in training_maps(spec, training.sellers(), list(training.learner_names)).items():
        tracker.figure(step, f"policy/{name}", policy)
