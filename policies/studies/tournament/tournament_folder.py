"""A tournament's folder: what is played in it, so that a second call goes on with it or is refused."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from market.errors import Refusal
from policies.common.progress import progress
from policies.config.run import RunConfig
from policies.evaluation.line_ups import Judge
from policies.storage.run_folder import choose_folder, write_json
from policies.studies.tournament.entries import Policy, differences
from policies.studies.tournament.play import Learned, Setup
from policies.studies.tournament.schedule import Plan

FORMAT = 1
MOST_CELLS = 1024
ABOUT = "tournament.json"


@dataclass(frozen=True)
class TournamentOrder:
    """What `bazaar tournament` was asked. An entry that is a folder is a run, any other is rules.

    ``config`` is needed where only rules are given; ``name`` defaults to one made of what is played; ``processes`` to
    the cores; ``ray``: the address of a Ray, or auto; ``most_cells`` bounds line-ups of three and more seats.
    """

    entries: tuple[str, ...]
    config: Path | None = None
    episodes: int = 1000
    seed: int = 0
    checkpoint: str = "best"
    name: str | None = None
    runs: Path = Path("runs")
    processes: int | None = None
    ray: str | None = None
    most_cells: int = MOST_CELLS
    json: Path | None = None


def what_is_played(
    order: TournamentOrder, config: RunConfig, policies: Sequence[Policy], line_ups: Plan
) -> dict[str, Any]:
    """Everything that decides what the cells hold, as plain data."""
    names, settings = config.market.names, config.evaluation
    inputs = {
        "format": FORMAT,
        "market": config.market.dump(),
        "evaluation": {"warm_up": settings.warm_up, "salvage": settings.salvage},
        "episodes": order.episodes,
        "seed": order.seed,
        "most_cells": order.most_cells if line_ups.sampled else None,
        "policies": [
            {"label": policy.label, "digest": policy.digest, "seats": [names[s] for s in policy.seats]}
            for policy in policies
        ],
    }
    return dict(json.loads(json.dumps(inputs)))


def find_folder(order: TournamentOrder, inputs: dict[str, Any]) -> Path:
    """The tournament's folder, which may hold part of it already; raises :class:`Refusal` when it holds another."""
    digest = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:8]
    market = re.sub(r"[^\w.-]+", "_", inputs["market"]["name"])[:40]
    name = order.name if order.name is not None else f"tournament-{market}-{digest}"
    folder = order.runs / name
    try:
        return choose_folder(order.runs, name, folder, order.seed)
    except Refusal:
        if Path(name).name != name or not (folder / ABOUT).is_file():
            raise
    found = list(differences(_listed(about(folder)["inputs"]), _listed(inputs), ""))
    if found:
        shown = "; ".join(one.removeprefix(".") for one in found[:3])
        raise Refusal(f"{folder}: is another tournament, choose another --name. It differs in {shown} (there / here)")
    return folder


def _listed(inputs: dict[str, Any]) -> dict[str, Any]:
    """Policies under their labels, so that a difference names one policy and not the whole list; order counts."""
    try:
        named = {one["label"]: one for one in inputs["policies"]}
        return inputs | {"policies": named, "order": ", ".join(named)}
    except (KeyError, TypeError):
        return inputs


def about(folder: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        return about | {"inputs": about["inputs"], "levels": about["levels"]}
    except (ValueError, KeyError, TypeError):
        raise Refusal(f"{folder / ABOUT}: is damaged; remove the folder or choose another --name") from None


def found_levels(config: RunConfig, policies: Sequence[Policy], seed: int, console: Console) -> list[Any]:
    """For every policy of rules its text by seat, levels searched where they are ``best``; None for learned ones."""
    judge, names = Judge(config, seed), config.market.names
    with progress(console, "setting up the tournament") as tick:
        return [
            policy.rules and {names[seat]: judge.fixed(policy.rules, seat, tick).label for seat in policy.seats}
            for policy in policies
        ]


def begin(folder: Path, inputs: dict[str, Any], levels: list[Any], policies: Sequence[Policy]) -> None:
    """Make the folder, all at once: copies of the learned policies, so that runs may go on, and what is played."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".tournament-"))
    try:
        (aside / "cells").mkdir()
        (aside / "sellers").mkdir()
        for number, (policy, said) in enumerate(zip(policies, inputs["policies"], strict=True), 1):
            if policy.saved is not None:
                content = policy.content
                if hashlib.sha256(content).hexdigest() != said["digest"]:
                    raise Refusal(f"{policy.run}: changed while it was read; call the tournament again")
                (aside / "sellers" / f"{number}{policy.suffix}").write_bytes(content)
        write_json(aside / ABOUT, {"inputs": inputs, "levels": levels})
        aside.chmod(0o755)
        aside.rename(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def set_up(order: TournamentOrder, config: RunConfig, policies: Sequence[Policy], folder: Path) -> Setup:
    settings, names = config.evaluation, config.market.names
    levels = about(folder)["levels"]
    entries = tuple(
        Learned.read(folder / "sellers" / f"{number}{policy.suffix}")
        if policy.saved is not None
        else {seat: levels[number - 1][names[seat]] for seat in policy.seats}
        for number, policy in enumerate(policies, 1)
    )
    return Setup(config.market, entries, order.episodes, order.seed, settings.warm_up, settings.salvage)
