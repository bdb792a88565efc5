"""Saved sellers on disk: written aside and moved into place, read without pickle.

A file holds tensors and plain values only (``torch.load(weights_only=True)`` refuses anything else): the network's
description and weights, and the market and seat it was trained for.
"""

from __future__ import annotations

import os
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from market.decisions import Decisions
from market.errors import Refusal
from market.observation import feature_list
from market.spec import MarketSpec
from policies.networks import Architecture, build
from policies.trained import TrainedSeller

FORMAT = 1


@dataclass(frozen=True)
class SavedSeller:
    """What a file holds: a greedy policy and where it belongs."""

    path: Path
    seller: str
    seat: int
    encoding: str
    learner: str
    trained: int
    score: float
    architecture: Architecture
    weights: dict[str, torch.Tensor]
    market: MarketSpec

    def sit(self, spec: MarketSpec, seat: int | None = None) -> TrainedSeller:
        """Put the policy into a seat of ``spec``; raise :class:`Refusal` that says what differs when it does not fit."""
        place = self.seat if seat is None else seat
        if differences := self._differences(spec, place):
            raise Refusal(f"{self.path}: the policy of {self.seller} does not fit this market: {'; '.join(differences)}")
        network = build(self.architecture)
        network.load_state_dict(self.weights)
        network.eval()
        return TrainedSeller(network, Decisions(spec, place, self.encoding))

    def _differences(self, spec: MarketSpec, seat: int) -> list[str]:
        if seat >= len(spec.sellers):
            return [f"seat {seat} of {len(spec.sellers)}"]
        mine, theirs = ([f.name for f in feature_list(s)] for s in (self.market, spec))
        found = []
        if missing := [name for name in mine if name not in theirs]:
            found.append(f"it sees {', '.join(missing)}, which this market does not show")
        if extra := [name for name in theirs if name not in mine]:
            found.append(f"it never saw {', '.join(extra)}")
        trained, here = self.market.sellers[self.seat], spec.sellers[seat]
        for key in ("prices", "order_up_to") + (("grid",) if self.encoding == "grid" else ()):
            if getattr(trained, key) != getattr(here, key):
                found.append(f"{key} was {_plain(getattr(trained, key))}, here it is {_plain(getattr(here, key))}")
        return found


def _plain(value: Any) -> str:
    return str(value.model_dump(exclude_none=True)) if hasattr(value, "model_dump") else str(value)


def save_seller(saved: SavedSeller) -> None:
    """Write ``saved`` to its path atomically: a reader sees the old file or the new one, never half of one."""
    content = {
        "format": FORMAT,
        "seller": saved.seller,
        "seat": saved.seat,
        "encoding": saved.encoding,
        "learner": saved.learner,
        "trained": saved.trained,
        "score": saved.score,
        "architecture": saved.architecture.model_dump(mode="json"),
        "market": saved.market.dump(),
        "weights": {name: tensor.detach().cpu() for name, tensor in saved.weights.items()},
    }
    aside = saved.path.with_suffix(".part")
    with open(aside, "wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, saved.path)


def load_seller(path: str | Path) -> SavedSeller:
    """Read a saved seller; raise :class:`Refusal` when the file is missing, damaged or not one of ours."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise Refusal(f"{path}: cannot be read ({error.strerror or error})") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, zipfile.BadZipFile, KeyError, ValueError):
        raise Refusal(f"{path}: is damaged or is not a seller saved by bazaar") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise Refusal(f"{path}: is not a seller saved by this version of bazaar (format {FORMAT})")
    return _read(Path(path), content)


def _read(path: Path, content: dict[str, Any]) -> SavedSeller:
    try:
        return SavedSeller(
            path=path,
            architecture=Architecture.model_validate(content["architecture"]),
            market=MarketSpec.parse(content["market"], f"{path}: market"),
            **{key: content[key] for key in ("seller", "seat", "encoding", "learner", "trained", "score", "weights")},
        )
    except (KeyError, ValueError) as error:
        raise Refusal(f"{path}: is damaged or is not a seller saved by bazaar ({error})") from None
