"""`bazaar train`: play and learn, evaluate as it goes and at the end, and leave a folder that explains itself."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Any, Literal

import torch
from rich.console import Console

from market.demand.equilibrium import reward_scales
from market.errors import UserError
from market.spec.models import MarketSpec
from policies.common.console import say, say_onward
from policies.common.files import timestamp, write_json
from policies.common.interrupt import Stopped, careful
from policies.common.progress import MakeBar, TrainingBar
from policies.common.torch_tools import one_torch_thread
from policies.config.command import ordered_by
from policies.config.orders import TrainOrder
from policies.config.run import RunConfig, read_config
from policies.evaluation.compare import Comparison
from policies.evaluation.evaluate import Evaluator
from policies.evaluation.run_sellers import Run, seated
from policies.learners.build import what_is_learned
from policies.sellers.rules.compose import parse_rules
from policies.sellers.seated import AS_SEATED, told_rivals
from policies.storage.run_folder import (
    WHOLE_MARKET,
    add_about,
    choose_folder,
    chosen_among_rivals,
    describe,
    keep_rivals,
    make_folder,
    saved_sellers,
)
from policies.storage.training_state import RunState
from policies.storage.work_folder import locked
from policies.training.checkpointing import Checkpointer, CheckpointOptions
from policies.training.divergence import Diverged
from policies.training.loop import learn
from policies.training.run import TrainingRun
from policies.training.tracking import Tracker, muted_writer_threads
from policies.training.view import tables


def pick_device(wanted: str) -> Literal["cpu", "cuda"]:
    """``cuda`` where there is one and it is wanted, else ``cpu``; on the CPU torch is kept to one thread."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no CUDA device here; use --device auto or cpu")
    device: Literal["cpu", "cuda"] = "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"
    if device == "cpu":
        one_torch_thread()
    return device


def device_name(device: str) -> str:
    """The device in words."""
    return f"cuda ({torch.cuda.get_device_name()})" if device == "cuda" else "cpu (1 torch thread)"


@ordered_by(TrainOrder)
def train(order: TrainOrder) -> Run:
    """Carry out `bazaar train`: play and learn, evaluate as it goes and at the end.

    Raises:
        UserError: a configuration that cannot be trained, a folder that exists, or a disk that is full.
        KeyboardInterrupt: on Ctrl-C, which leaves a folder that can be read and gone on with.

    Example::

        from policies import train

        less = ["training.evaluations=2", "evaluation.episodes=32", "evaluation.line_ups=[nash+base_stock]"]
        run = train("duopoly", budget=20_000, name="first", device="cpu", changes=less)
        print(run.folder, run.to_frame()[["seat", "policy", "profit"]])
    """
    return Run(train_run(order, order.console))


def train_run(order: TrainOrder, console: Console, bar: MakeBar = TrainingBar, config: RunConfig | None = None) -> Path:
    """The same; returns the folder. ``bar`` shows the progress; ``config``: the configuration, where it has been read already."""
    folder = choose_folder(order.runs, order.name, order.config, order.seed)
    changes = order.changes + ((f"training.budget={order.budget}",) if order.budget else ())
    config = config or read_config(order.config, changes)
    device = pick_device(order.device)
    _warn_of_numpy_memories(config, console)
    console.print(f"setting up {config.market.name} ...", highlight=False)
    training = TrainingRun(config, order.seed, device, order.config.parent)
    training.bar = bar
    say_decisions(config.market, training.spec, console)
    with careful(), disk_errors(folder, nothing_yet=lambda: not training.play.done):
        make_folder(folder, "checkpoints")
        with locked(folder):
            facts = {"seed": order.seed, "device": device_name(device), "config": str(order.config)}
            facts |= {"reward_scale": reward_scales(config.market).tolist(), "on_nan": order.on_nan}
            facts |= {"learning": what_is_learned(config)}
            describe(folder, training.config, order.command, facts)
            keep_rivals(folder, training.config, training.seats.rivals)
            carry_on(training, folder, CheckpointOptions(order.checkpoint_every, order.on_nan), console)
    return folder


def _warn_of_numpy_memories(config: RunConfig, console: Console) -> None:
    seats = {f"seats.{name}": player for name, player in config.seats.items() if isinstance(player, dict)}
    for place, options in ({f"learners.{name}": given for name, given in config.learners.items()} | seats).items():
        if options.get("memory") == "numpy":
            said = f"warning: {place}.memory: numpy has gone; transitions are kept as tensors, and the same is learned"
            say(console, said)


def say_decisions(given: MarketSpec, used: MarketSpec, console: Console) -> None:
    """Which decisions were chosen for sellers whose market gives them no grid, or no center."""
    for before, after in zip(given.sellers, used.sellers, strict=True):
        if before.grid is None and after.grid is not None:
            axes = {"prices": after.grid.prices, "levels": after.grid.levels if used.stocked else ()}
            said = [
                f"{len(v)} {k} from {min(v):g} to {max(v):g}" for k, v in axes.items() if isinstance(v, tuple) and v
            ]
            placed = f"grid of {after.name}, placed by theory since none is given: {' x '.join(said)}"
            console.print(placed, highlight=False, markup=False)
        if before.center is None and after.center is not None:
            level = f", level {after.center.level:.4g}" if used.stocked else ""
            say(console, f"{after.name} begins where theory says: price {after.center.price:.4g}{level}")


def carry_on(
    training: TrainingRun,
    folder: Path,
    checkpoints: CheckpointOptions,
    console: Console,
    state: dict[str, Any] | None = None,
) -> None:
    """Train and evaluate from the start, or from a ``state`` of the whole run, to the end."""
    players, device = describe_seats(training), device_name(training.seats.device)
    console.print(f"[bold]{training.spec.name}[/]: {players}; networks on {device}", highlight=False)
    for line in told_rivals(training.spec.names, training.seats.fixed):
        console.print(line, highlight=False)
    for seat, saved in training.seats.rivals.items():
        whose = f"{saved.title} of {training.config.player(seat)['run']}, after {saved.trained:,} seller-periods"
        console.print(f"{training.spec.names[seat]}: {whose}; it learns no more", highlight=False)
    mark = state["tracker"] if state else None
    with muted_writer_threads(), Tracker(folder, training.spec.names, mark) as tracker:
        checkpointer = Checkpointer(training, tracker, folder, checkpoints, console)
        try:
            if state is None:
                training.keep(folder, {})
                tracker.text("config", training.config.dump())
            else:
                checkpointer.restore(state)
            learn(checkpointer, console)
            evaluate_at_the_end(training, tracker, folder, console)
        except KeyboardInterrupt as stop:
            with careful():
                raise KeyboardInterrupt(_interrupted(checkpointer, isinstance(stop, Stopped))) from None
    add_about(folder, finished=timestamp())
    RunState(folder).forget()
    say_what_next(folder, console)


def evaluate_at_the_end(training: TrainingRun, tracker: Tracker, folder: Path, console: Console) -> None:
    """The final tables, on screen and in the run's files."""
    if training.self_play is not None:
        for table in tables(training.self_play, training.spec, training.config.evaluation):
            table.print(console)
    record_results(training, tracker, final_evaluation(training, folder, console))


def say_what_next(folder: Path, console: Console) -> None:
    """Where the run is, and which commands read it."""
    place, runs = shlex.quote(str(folder)), shlex.quote(str(folder.parent))
    onward = (
        f"report: bazaar report {place}",
        f"evaluate again: bazaar evaluate {place}",
        f"charts: bazaar board {runs}",
    )
    say_onward(console, f"run: {folder}", *onward)


def _interrupted(checkpointer: Checkpointer, between_periods: bool) -> str:
    """Keep what was learned since the last evaluation, unscored, and say where it is and how to go on."""
    training, folder = checkpointer.training, shlex.quote(str(checkpointer.folder))
    if between_periods and not training.complete:
        try:
            checkpointer.save()
            training.keep(checkpointer.folder, {})
        except Diverged as problem:
            return f"interrupted: {problem}; bazaar train --resume {folder} goes on from step {checkpointer.step}"
    what = "the final table is missing, all else" if training.complete else "what was learned"
    onward = "begins it again" if checkpointer.step is None else f"goes on from step {checkpointer.step}"
    return (
        f"interrupted: {what} is in {checkpointer.folder}; bazaar train --resume {folder} {onward}, "
        f"bazaar evaluate {folder} evaluates it as it is"
    )


@contextmanager
def disk_errors(folder: Path, several: bool = False, nothing_yet: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Turn what the disk refuses into a :class:`UserError` that names the file and what to do.

    ``several``: the folder holds several runs, each with checkpoints of its own. ``nothing_yet``: whether nothing has been
    learned, and the folder is new, so that it goes and its name is free again.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        what = f"{error.filename or folder}: cannot be written or read ({error.strerror or error})"
        if nothing_yet():
            rmtree(folder, ignore_errors=True)
        if not folder.exists():
            raise UserError(
                f"{what}; nothing was learned yet, so there is no {folder}: make room, and try again"
            ) from None
        onward = "its last good checkpoint" if several or RunState(folder).files() else "the beginning"
        raise UserError(
            f"{what}; make room, or allow it to be written, then bazaar train --resume {shlex.quote(str(folder))} goes "
            f"on from {onward}"
        ) from None


def describe_seats(training: TrainingRun) -> str:
    """Who plays, in one line."""
    spec, players = training.spec, []
    for seat, name in enumerate(spec.names):
        rival, rules = training.config.rival(seat), training.config.player(seat)
        fixed = rival.label if rival else ""
        players.append(training.learner_names.get(seat) or fixed or parse_rules(rules, f"seats.{name}", spec).label)
    return ", ".join(f"{name} = {player}" for name, player in zip(spec.names, players, strict=True))


def final_evaluation(training: TrainingRun, folder: Path, console: Console) -> list[Comparison]:
    """The table of the best policies against fixed competitors on customers never seen."""
    entrants: dict[int, dict[str, Any]] = {
        saved.seat: {f"{name} ({saved.learner})": saved.sit(training.spec)}
        for name, saved in saved_sellers(folder).items()
    }
    sellers = {policy: policy for named in entrants.values() for policy in named}
    rivals = seated(folder, AS_SEATED, training.line_ups) if len(training.spec.sellers) > 1 else None
    comparisons = Evaluator(training.line_ups.certain, entrants, console, seated=rivals).compare(sellers)
    write_json(folder / "evaluation.json", [row for one in comparisons for row in one.rows()])
    return comparisons


def record_results(training: TrainingRun, tracker: Tracker, comparisons: list[Comparison]) -> None:
    """hparams: the run's settings beside the final figures."""
    figures: dict[str, dict[str, float]] = {}
    if training.self_play is not None:
        figures["profit_gain"] = {WHOLE_MARKET: training.self_play.gain}
    first: dict[str, Comparison] = {}
    for one in sorted(comparisons, key=lambda one: bool(one.rivals)):  # those that other runs have too come first
        first.setdefault(one.seat, one)
    for one in first.values():
        for row in (row for row in one.rows() if row["judged"]):
            for metric in ("profit", "difference", "fill_rate", "conditional_value_at_risk"):
                if row.get(metric) is not None:
                    figures.setdefault(metric, {})[one.seat] = row[metric]
    among = chosen_among_rivals(training.config)  # so are the profits of the evaluations on the way
    beside: dict[str, Comparison] = {}
    for one in sorted(comparisons, key=lambda one: bool(one.rivals) != among):
        beside.setdefault(one.seat, one)
    for one in beside.values():
        if one.best is not None:
            for step in (0, training.play.done):  # a level line in the chart
                tracker.scalars("evaluation", step, one.seat, {"best_fixed_profit": one.best.mean})
    mode = training.config.selfplay.mode
    # TensorBoard shows the first five by name: the market, who sat in each seat, the seed and the mode, then the rest.
    seats = ", ".join(training.learner_names.get(seat, "rules") for seat in range(len(training.spec.sellers)))
    options: dict[str, Any] = {"market": training.spec.name, "seats": seats, "seed": training.seed, "selfplay": mode}
    options |= {f"set/{name}/{k}": v for name, given in training.config.learners.items() for k, v in given.items()}
    options |= {f"training/{name}": value for name, value in training.config.training.model_dump().items()}
    tracker.hparams(training.play.done, options, figures)
