"""From the words of `bazaar train` to a new run, or to one that goes on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from market.errors import UserError
from policies.storage.run_folder import SEEDS
from policies.training.checkpointing import CheckpointOptions
from policies.training.resume import ResumeOrder, resume
from policies.training.train import TrainOrder, train

DECIDED = ("config", "seed", "seeds", "processes", "ray", "device", "set", "name", "runs")
MEANS = ("processes", "ray")  # of several seeds: they change no bit


def train_command(args: argparse.Namespace) -> None:
    """Carry out `bazaar train`, with or without ``--resume``."""
    keeping = {"every": args.checkpoint_every, "on_nan": args.on_nan}
    given = {name: value for name, value in keeping.items() if value is not None}
    if args.resume is not None:
        _go_on(args, given)
        return
    if args.config is None:
        raise UserError("the following arguments are required: CONFIG (or --resume RUN)")
    order = new_order(args, CheckpointOptions(**given))
    if args.seeds is None:
        train(order)
    else:
        from policies.studies.multi_seed.run import WorkerOptions, train_seeds

        train_seeds(order, args.seeds, WorkerOptions(args.processes, args.ray))


def _go_on(args: argparse.Namespace, keeping: dict[str, Any]) -> None:
    several = (args.resume / SEEDS).is_file()
    refuse_contradictions(args, MEANS if several else ())
    if not several:
        resume(ResumeOrder(args.resume, **keeping))
        return
    from policies.studies.multi_seed.run import ResumeSeeds, WorkerOptions, resume_seeds

    resume_seeds(ResumeSeeds(args.resume, **keeping), WorkerOptions(args.processes, args.ray))


def new_order(args: argparse.Namespace, keeping: CheckpointOptions) -> TrainOrder:
    """What a new run is to be."""
    chosen: dict[str, Any] = {
        name: getattr(args, name) for name in ("seed", "device") if getattr(args, name) is not None
    }
    return TrainOrder(
        args.config,
        args.budget,
        changes=tuple(args.set),
        name=args.name,
        runs=args.runs or Path("runs"),
        command=args.typed,
        keeping=keeping,
        **chosen,
    )


def refuse_contradictions(args: argparse.Namespace, allowed: Sequence[str] = ()) -> None:
    """Raise :class:`UserError` for options that a run which goes on has decided already, but for those ``allowed``."""
    for name in DECIDED:
        if name not in allowed and getattr(args, name) not in (None, []):
            what = "CONFIG" if name == "config" else f"--{name}"
            raise UserError(
                f"{what}: a run that goes on has its own settings, seed and device; --resume goes without it"
            )
    if args.budget is not None:
        raise UserError(
            "--budget: a run that goes on keeps its budget, since step sizes and exploration are functions of the share "
            "of it that is done: with another one the run so far would have been another"
        )
