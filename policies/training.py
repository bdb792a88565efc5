"""`bazaar train`: play and learn, evaluate as it goes, judge at the end, and leave a folder that explains itself."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from market.equilibrium import reward_scales
from market.errors import Refusal
from market.metrics import summary
from market.render import draw_episode
from policies.bar import MakeBar, RunBar, TrainingBar
from policies.config import RunConfig, load_run
from policies.evaluation import Comparison
from policies.fixed import parse_rules
from policies.frozen import default_player
from policies.interrupt import careful, raise_swallowed
from policies.judge import judge_all, terminal
from policies.policy_map import training_maps
from policies.rehearsal import print_rehearsal
from policies.runs import choose_folder, describe, make_folder, saved_sellers, write_json
from policies.session import Training
from policies.table import comparison_rows
from policies.tracking import MARKET, Tracker

# Of a run, beside the one before anything is learned: drawing takes longer than an evaluation.
PICTURES = 5


@dataclass(frozen=True)
class TrainOrder:
    """What `bazaar train` was asked; ``given``: the configuration, where it has been read and changed already."""

    config: Path
    budget: int | None = None
    seed: int = 0
    device: str = "auto"
    changes: tuple[str, ...] = ()
    name: str | None = None
    runs: Path = Path("runs")
    command: str = ""
    given: RunConfig | None = None


def pick_device(wanted: str) -> str:
    """``cuda`` where there is one and it is wanted, else ``cpu``; on the CPU torch is kept to one thread.

    Two threads beside one busy process made an update of these small networks 15 times slower.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise Refusal("--device cuda: torch finds no CUDA device here; use --device auto or cpu")
    device = "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"
    if device == "cpu":
        torch.set_num_threads(1)
    return device


def device_name(device: str) -> str:
    """The device in words."""
    return f"cuda ({torch.cuda.get_device_name()})" if device == "cuda" else "cpu (1 torch thread)"


def train(order: TrainOrder, console: Console | None = None, bar: MakeBar = TrainingBar) -> Path:
    """Carry out `bazaar train`; returns the run's folder, which Ctrl-C leaves readable. ``bar`` shows the progress."""
    console = console or terminal()
    folder = choose_folder(order.runs, order.name, order.config, order.seed)
    changes = order.changes + ((f"training.budget={order.budget}",) if order.budget else ())
    config = order.given or load_run(order.config, changes)
    device = pick_device(order.device)
    console.print(f"setting up {config.market.name} ...", highlight=False)
    training = Training(config, order.seed, device)
    training.bar = bar
    try:
        with careful():
            make_folder(folder)
            fill(training, order, device, folder, console)
    except KeyboardInterrupt:
        with careful():
            raise KeyboardInterrupt(_interrupted(training, folder)) from None
    again = f"bazaar evaluate {shlex.quote(str(folder))}"
    page = f"bazaar report {shlex.quote(str(folder))}"
    charts = f"bazaar board {shlex.quote(str(order.runs))}"
    console.print(
        f"run: {folder}   report: {page}   judge again: {again}   charts: {charts}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return folder


def fill(training: Training, order: TrainOrder, device: str, folder: Path, console: Console) -> None:
    """Everything that a run's folder holds, first what tells of the run and what can be judged already."""
    config = training.config
    facts = {"seed": order.seed, "device": device_name(device), "config": str(order.config)}
    describe(folder, config, order.command, facts | {"reward_scale": reward_scales(config.market).tolist()})
    training.keep(folder, {})
    title = f"[bold]{config.market.name}[/]: {describe_seats(training)}; networks on {device_name(device)}"
    console.print(title, highlight=False)
    with Tracker(folder, config.market.names) as tracker:
        tracker.text("config", config.dump())
        learn(training, folder, tracker, console)
        if training.rehearsal is not None:
            print_rehearsal(training.rehearsal, config.market, config.evaluation, console)
        comparisons = final_judgement(training, folder, console)
        record_results(training, tracker, comparisons)


def _interrupted(training: Training, folder: Path) -> str:
    """Keep what was learned since the last evaluation, unscored, and say where it is."""
    if not training.complete:
        training.keep(folder, {})
    what = "the final table is missing, all else" if training.complete else "what was learned"
    return f"interrupted: {what} is in {folder}; bazaar evaluate {folder} judges it"


def describe_seats(training: Training) -> str:
    """Who plays, in one line."""
    spec, players = training.spec, []
    for seat, name in enumerate(spec.names):
        rules = training.config.seats.get(name, default_player(spec))
        players.append(training.learner_names.get(seat) or parse_rules(rules, f"seats.{name}", spec).label)
    return ", ".join(f"{name} = {player}" for name, player in zip(spec.names, players, strict=True))


def learn(training: Training, folder: Path, tracker: Tracker, console: Console) -> None:
    """Play and learn for the whole budget, evaluating at even distances, first before anything is learned."""
    settings, reported = training.config.training, set[int]()
    with training.bar(console, settings.budget) as bar:
        bar.phase("setting up")
        assess(training, folder, tracker)
        show(training, folder, tracker)
        pictured = 0
        for k in range(1, settings.evaluations + 1):
            until = settings.budget * k // settings.evaluations
            if until <= training.play.done:
                continue
            bar.phase("learning")
            reported |= practise(training, until, tracker, bar)
            bar.phase("evaluating")
            assess(training, folder, tracker)
            if k * PICTURES // settings.evaluations > pictured:
                pictured = k * PICTURES // settings.evaluations
                show(training, folder, tracker)
            if reported == set(training.learner_names):
                tracker.arrange()
    training.complete = True


def practise(training: Training, until: int, tracker: Tracker, bar: RunBar) -> set[int]:
    """Play periods until ``until`` seller-periods are done; record what the learners last reported, return who did."""
    reports: dict[int, dict[str, float]] = {}
    begun, first = time.perf_counter(), training.play.done
    while training.play.done < until:
        reports |= training.play.play_period()
        raise_swallowed()
        bar.advance_to(training.play.done)
    for seat, report in reports.items():
        tracker.scalars("training", training.play.done, training.spec.names[seat], report)
    for seat, earned in training.play.earned().items():
        tracker.scalars("training", training.play.done, training.spec.names[seat], earned)
    speed = (training.play.done - first) / max(time.perf_counter() - begun, 1e-9)
    tracker.scalars("training", training.play.done, MARKET, {"seller_periods_per_second": speed})
    return set(reports)


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
        if not training.play.learners[seat].options.plain:
            reached["objective_against_fixed"] = score
        tracker.scalars("evaluation", step, spec.names[seat], reached)
    for seller, own in training.play.figures().items():
        tracker.scalars(training.config.selfplay.mode, step, seller, own)
    training.keep(folder, scores)


def show(training: Training, folder: Path, tracker: Tracker) -> None:
    """Pictures of the policies as they are now: one episode of self-play, and each learner's policy map."""
    spec, step = training.spec, training.play.done
    picture = draw_episode(spec, training.episode)
    picture.savefig(folder / "episode.png")
    tracker.figure(step, "episode", picture)
    for name, policy in training_maps(spec, training.sellers(), list(training.learner_names)).items():
        tracker.figure(step, f"policy/{name}", policy)


def final_judgement(training: Training, folder: Path, console: Console) -> list[Comparison]:
    """The table of the best policies against fixed competitors on customers never seen."""
    subjects: dict[int, dict[str, Any]] = {
        saved.seat: {f"{name} ({saved.learner})": saved.sit(training.spec)}
        for name, saved in saved_sellers(folder).items()
    }
    sellers = {policy: policy for named in subjects.values() for policy in named}
    comparisons = judge_all(training.judge, subjects, None, None, console, sellers)
    write_json(folder / "evaluation.json", [row for one in comparisons for row in comparison_rows(one)])
    return comparisons


def record_results(training: Training, tracker: Tracker, comparisons: list[Comparison]) -> None:
    """hparams: the run's settings beside the final figures."""
    figures: dict[str, dict[str, float]] = {}
    if training.rehearsal is not None:
        figures["profit_gain"] = {MARKET: training.rehearsal.gain}
    for one in comparisons[: len(training.learner_names)]:
        for row in (row for row in comparison_rows(one) if row["judged"]):
            for metric in ("profit", "difference", "fill_rate", "conditional_value_at_risk"):
                if row.get(metric) is not None:
                    figures.setdefault(metric, {})[one.seat] = row[metric]
    options: dict[str, Any] = {
        "market": training.spec.name,
        "seed": training.seed,
        "selfplay": training.config.selfplay.mode,
    }
    options |= {f"seat/{training.spec.names[s]}": name for s, name in training.learner_names.items()}
    options |= training.config.training.model_dump()
    options |= {f"{name}/{k}": v for name, given in training.config.learners.items() for k, v in given.items()}
    tracker.hparams(training.play.done, options, figures)
