"""The folder of several seeds: what it takes to go on with them, and how each stands.

``settings.yaml`` is the configuration of every seed, ``seeds.json`` all else. They are written before anything is
trained, so that whatever comes, the folder can go on.
"""

from __future__ import annotations

import json
import secrets
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from market.errors import UserError
from policies.common.files import write_json
from policies.config.orders import DeviceName
from policies.config.run import RunConfig, read_config
from policies.storage.run_folder import SEEDS, read_about, write_config
from policies.training.checkpointing import CheckpointOptions

SETTINGS = "settings.yaml"
DONE, OPEN = "done", "not finished"
PROOF = "proof"


def run_name(seed: int) -> str:
    """The folder of a seed's run in that of all."""
    return f"seed-{seed}"


@dataclass(frozen=True)
class SeedsPlan:
    """What was asked for. ``path``: the file that ``config`` was read from, before it was changed."""

    config: RunConfig
    path: str
    seeds: tuple[int, ...]
    device: DeviceName
    command: str
    checkpointing: CheckpointOptions
    processes: int | None


@dataclass
class SeedsFolder:
    """Where several seeds are trained; ``states``: how each ended; ``finished``: when all of it was done."""

    folder: Path
    plan: SeedsPlan
    proof: str = field(default_factory=lambda: secrets.token_hex(8))
    states: dict[int, str] = field(default_factory=dict)
    resumed: list[dict[str, Any]] = field(default_factory=list)
    finished: str | None = None

    @property
    def done(self) -> list[int]:
        """The seeds whose runs are finished, as these say themselves."""
        return [seed for seed in self.plan.seeds if "finished" in read_about(self.run(seed))]

    def run(self, seed: int) -> Path:
        """The folder of a seed's run."""
        return self.folder / run_name(seed)

    def resume_command(self) -> str:
        """What to type to go on with it."""
        return f"bazaar train --resume {shlex.quote(str(self.folder))}"

    def make(self) -> None:
        """Make the folder; raise :class:`OSError` where that cannot be."""
        self.folder.mkdir(parents=True)
        write_config(self.folder / SETTINGS, self.plan.config)
        self.write()

    def write(self) -> None:
        """Write ``seeds.json``."""
        plan = self.plan
        states = {str(seed): self.states.get(seed, OPEN) for seed in plan.seeds}
        facts: dict[str, Any] = {"command": plan.command, "config": plan.path, "seeds": states, "device": plan.device}
        facts |= {"checkpoint_every": plan.checkpointing.every, "on_nan": plan.checkpointing.on_nan}
        facts |= {"processes": plan.processes, PROOF: self.proof, "resumed": self.resumed}
        write_json(self.folder / SEEDS, facts | ({} if self.finished is None else {"finished": self.finished}))


def read_folder(folder: Path) -> SeedsFolder:
    """The folder as it stands.

    Raises :class:`UserError` where it does not say what it takes to go on, or a seed was begun with other settings.
    """
    several = _read(folder)
    for seed in several.plan.seeds:
        config = several.run(seed) / "config.yaml"
        if config.is_file() and config.read_bytes() != (folder / SETTINGS).read_bytes():
            raise UserError(f"{folder / SETTINGS}: differs from {config}; one of them was changed since, put it back")
    return several


def _read(folder: Path) -> SeedsFolder:
    path = folder / SEEDS
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        seeds = {int(seed): str(how) for seed, how in said["seeds"].items()}
        config, as_asked = read_config(folder / SETTINGS), (said["device"], said["command"])
        kept = CheckpointOptions(
            float(said["checkpoint_every"]), "rollback" if said["on_nan"] == "rollback" else "stop"
        )
        plan = SeedsPlan(config, said["config"], tuple(seeds), *as_asked, kept, said["processes"])
        return SeedsFolder(folder, plan, said[PROOF], seeds, said["resumed"], said.get("finished"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as problem:
        raise UserError(
            f"{path}: does not say what it takes to go on ({type(problem).__name__}: {problem}); each seed's run can "
            f"go on by itself: bazaar train --resume {shlex.quote(str(folder / run_name(0)))}, and so on"
        ) from None
