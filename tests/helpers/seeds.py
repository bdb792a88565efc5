"""Several seeds: what befalls them while they train, and what their runs leave."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policies.studies.multi_seed import run as seeds_course
from policies.studies.multi_seed.worker import Moved, SeedsSetup
from policies.training.checkpointing import CheckpointOptions

OFTEN = CheckpointOptions(every=1e-9)  # at every moment that allows one, however fast the machine is


def resumed(run: Path) -> list[int]:
    """The steps from which a run went on."""
    return [one["step"] for one in json.loads((run / "run.json").read_text()).get("resumed", [])]


def hears(patch: pytest.MonkeyPatch, seed: int, least: int, act: Callable[[Path], None]) -> None:
    """Do something once when a seed says that it has come so far and learns on."""
    real, met = seeds_course._Runs.said, list[int]()

    def said(self: Any, task: int, what: Any) -> Any:
        answer = real(self, task, what)
        far = isinstance(what, Moved) and what.done >= least and what.phase == "learning"
        if self.seeds[task] == seed and far and not met:
            met.append(seed)
            act(self.several.run(seed))
        return answer

    patch.setattr(seeds_course._Runs, "said", said)


def part(patch: pytest.MonkeyPatch) -> None:
    """Let those who train not see the folder: as on another machine."""
    patch.setattr(seeds_course, "SeedsSetup", lambda *given: replace(SeedsSetup(*given), proof="of another folder"))


def files(run: Path) -> set[str]:
    """The names of a run's files, but for events, whose names tell the time."""
    found = (path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file())
    return {name for name in found if "tfevents" not in name}


def kill(run: Path) -> None:
    """Kill the process that trains a run, as the run's lock names it."""
    os.kill(int((run / "state" / "lock").read_text()), signal.SIGKILL)
