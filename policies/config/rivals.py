"""A seller that another run trained, as a rival: ``seats: {right: {run: runs/first, seller: left}}``. Needs no torch."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from market.errors import UserError
from market.spec.loading import parse_model
from market.spec.models import Model
from policies.common.files import plain_name


class TrainedRival(Model):
    """A seat that a seller of another run takes: as it is now, it learns no more."""

    run: str = Field(min_length=1, description="the other run's folder, from this file's folder or from where you are")
    seller: str | None = Field(default=None, description="which of its sellers; null: the one called as the seat is")
    checkpoint: Literal["best", "latest"] = Field(default="best", description="at its best or its latest evaluation")
    sha256: str | None = Field(
        default=None, description="of the saved seller, which a run writes so that nobody else is taken for it"
    )

    @field_validator("seller")
    @classmethod
    def _plain(cls, seller: str | None) -> str | None:
        if seller is not None and not plain_name(seller):
            raise ValueError("must be a seller's name")
        return seller

    @property
    def file(self) -> Path:
        """Where the seller is saved."""
        return Path(self.run) / "checkpoints" / f"{self.seller}.{self.checkpoint}.pt"

    @property
    def label(self) -> str:
        """What tables call it: "left of first"."""
        return f"{self.seller} of {Path(self.run).name}"

    def is_file(self, path: Path) -> bool:
        """Whether a file holds the seller that was meant."""
        return path.is_file() and self.sha256 in (None, digest(path))


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def trained_rival(entry: Any, seat: str, where: str = "seats") -> TrainedRival | None:
    """The rival that an entry of ``seats`` takes from another run, None where it is a learner or rules.

    Raises :class:`UserError` for an entry with a key ``run`` that is none.
    """
    if not isinstance(entry, dict) or "run" not in entry or "learner" in entry:
        return None
    found = parse_model(TrainedRival, entry, f"{where}.{seat}")
    return found if found.seller else found.model_copy(update={"seller": seat})


def pinned_rival(entry: Any, seat: str, file: Path) -> Any:
    """The entry of a configuration's ``file`` with all that says who is meant, which is looked up now; others as they are.

    Raises :class:`UserError` for a folder that is no run's, and for a seller that it does not hold.
    """
    rival = trained_rival(entry, seat, f"{file}: seats")
    if rival is None or rival.sha256 is not None:
        return entry
    where = f"{file}: seats.{seat}"
    near = [folder.resolve() for folder in (file.parent / rival.run, Path(rival.run)) if folder.is_dir()]
    runs = [folder for folder in near if (folder / "config.yaml").is_file()]
    if not runs:
        what = "it has no config.yaml; of a folder of several seeds name one" if near else "there is no such folder"
        raise UserError(f"{where}.run: {rival.run} is not a run: {what}")
    found = rival.model_copy(update={"run": str(runs[0])})
    if not found.file.is_file():
        ending = f".{found.checkpoint}.pt"
        there = sorted(path.name.removesuffix(ending) for path in found.file.parent.glob(f"*{ending}"))
        raise UserError(
            f"{where}.seller: {rival.run} has no saved seller called {found.seller} (checkpoints/{found.file.name}); "
            f"it has {', '.join(there) or 'none'}"
        )
    return found.model_copy(update={"sha256": digest(found.file)}).model_dump()
