"""`bazaar train --resume RUN`: go on from a run's last checkpoint, to the weights of a run that was never stopped."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from market.errors import UserError
from policies.common.console import say
from policies.common.files import timestamp
from policies.common.interrupt import careful
from policies.common.progress import MakeBar, TrainingBar
from policies.config.command import ordered_by
from policies.config.orders import OnNan, ResumeOrder
from policies.config.run import RunConfig
from policies.evaluation.run_sellers import Run
from policies.learners.build import what_is_learned
from policies.storage.run_folder import ABOUT, STATE, add_about, open_run, read_about, versions
from policies.storage.training_state import RunState, tidy
from policies.storage.work_folder import differences, locked, named
from policies.training.checkpointing import CheckpointOptions, config_digest
from policies.training.run import TrainingRun
from policies.training.train import carry_on, device_name, disk_errors, pick_device


@ordered_by(ResumeOrder)
def resume(order: ResumeOrder) -> Run:
    """Carry out `bazaar train --resume` on a single run.

    Raises :class:`UserError` when the folder is not a run's, was made without whole-run checkpoints, has been changed,
    or is being trained by another process.

    Example::

        from policies import resume

        run = resume("runs/first")  # which was finished: there is nothing left to train
        print(run.metrics())
    """
    return Run(resume_run(order, order.console))


def resume_run(order: ResumeOrder, console: Console, bar: MakeBar = TrainingBar) -> Path:
    """The same; returns the folder. ``bar`` shows the progress."""
    folder = order.run
    about = _about(folder)
    if "finished" in about:
        tidy(folder)
        say(console, f"{folder}: was finished on {about['finished']}; there is nothing left to train")
        return folder
    config = open_run(folder)
    on_nan: OnNan = "rollback" if about.get("on_nan") == "rollback" else "stop"
    checkpoints = CheckpointOptions(order.checkpoint_every or CheckpointOptions.every, order.on_nan or on_nan)
    with careful(), disk_errors(folder), locked(folder):
        state = RunState(folder).load(console)
        if state is not None and state["config"] != config_digest(folder):
            raise UserError(
                f"{folder / 'config.yaml'}: was changed since the run began; put it back, or begin a new run"
            )
        _refuse_other_seed(folder, about["seed"], state)
        refuse_other_learning(folder, config)
        anew = "has no checkpoint of the whole run yet; it begins again"
        say(console, f"{folder}: " + (f"goes on from step {state['step']}" if state else anew))
        _warn_of_versions(about, console)
        device = pick_device(_device(about, console))
        training = TrainingRun(config, about["seed"], device, folder)
        training.bar = bar
        at = timestamp()
        now = {"at": at, "step": state["step"] if state else 0, "device": device_name(device)}
        past = [*about.get("resumed", []), now]
        add_about(folder, resumed=past, learning=what_is_learned(config))
        carry_on(training, folder, checkpoints, console, state)
    return folder


def _about(folder: Path) -> dict[str, Any]:
    """What ``run.json`` says; raise :class:`UserError` where the folder holds no run that can go on."""
    if not folder.is_dir():
        raise UserError(f"--resume {folder}: there is no such run")
    open_run(folder)
    about = read_about(folder)
    if not isinstance(about.get("seed"), int):
        raise UserError(f"{folder / ABOUT}: does not say the run's seed, so the run cannot go on; begin it anew")
    if "finished" not in about and not (folder / STATE).is_dir():
        raise UserError(
            f"{folder}: was made without checkpoints of the whole run ({STATE}/), so it cannot go on; "
            f"bazaar train {shlex.quote(str(folder / 'config.yaml'))} --seed {about['seed']} repeats it"
        )
    return about


def refuse_other_learning(folder: Path, config: RunConfig) -> None:
    """Raise :class:`UserError` where the rest of a run would be learned otherwise than what there is of it."""
    about, now = read_about(folder), what_is_learned(config)
    then = about.get("learning", {})
    if then == now or not RunState(folder).files():
        return
    changed = list(differences(then, now)) if then.get("recipe") == now["recipe"] else []
    why = f" (then / now: {named(changed)})" if changed else ""
    version, place = about.get("versions", {}).get("bazaar-market", "unknown"), shlex.quote(str(folder))
    raise UserError(
        f"{folder}: was begun by another version of bazaar ({version}), whose learners learn otherwise{why}, so it "
        f"cannot go on; bazaar evaluate {place} evaluates what it has learned, bazaar train "
        f"{shlex.quote(str(folder / 'config.yaml'))} --seed {about.get('seed', 0)} trains it anew"
    )


def _device(about: dict[str, Any], console: Console) -> str:
    """The run's own, since another device computes other bits; where it is not here the CPU, which is said."""
    begun_on = str(about.get("device", ""))
    if begun_on.startswith("cuda") and not torch.cuda.is_available():
        here = "torch finds no CUDA device here: it goes on on the CPU, whose bits differ from those of a GPU"
        say(console, f"warning: the run was begun on {begun_on}, and {here}")
        return "cpu"
    return "cuda" if begun_on.startswith("cuda") else "cpu"


def _refuse_other_seed(folder: Path, said: int, state: dict[str, Any] | None) -> None:
    begun = said if state is None else state.get("seed", said)  # states of earlier versions do not say
    if begun != said:
        raise UserError(
            f"{folder / ABOUT}: says seed {said}, and the run was begun with seed {begun}; put it back, or begin a new run"
        )


def _warn_of_versions(about: dict[str, Any], console: Console) -> None:
    """Other versions may round otherwise."""
    then, now = about.get("versions", {}), versions()
    changed = [f"{name} {then[name]} -> {now[name]}" for name in now if name in then and then[name] != now[name]]
    if changed:
        say(console, f"warning: not the versions that the run began with ({', '.join(changed)}): bits may differ")
