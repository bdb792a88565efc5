"""Saved sellers on disk: written aside and moved into place, read without pickle.

A file holds tensors and plain values only (``torch.load(weights_only=True)`` refuses anything else): the network's
description and weights, and the market and seat it was trained for.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
from gymnasium.spaces import Discrete
from pydantic import Field

from market.errors import UserError
from market.simulation.decisions import Decisions
from market.simulation.observation import feature_list
from market.spec.loading import parse_model
from market.spec.models import MarketSpec, Model
from policies.common.files import write_file
from policies.networks.architecture import Architecture, build
from policies.networks.heads import Actor
from policies.sellers.network_seller import NetworkSeller, ObservationAdapter
from policies.sellers.protocol import Seller

FORMAT = 1
FOREIGN = "is damaged or not a seller saved by bazaar"


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

    @classmethod
    def of(cls, network: Actor, spec: MarketSpec, seat: int, **facts: Any) -> Self:
        """A seat's network as it is now: its weights are copies. ``facts``: path, encoding, learner, trained, score."""
        weights = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
        own: dict[str, Any] = {"seller": spec.names[seat], "seat": seat, "architecture": network.architecture}
        return cls(weights=weights, market=spec, **own, **facts)

    @property
    def header(self) -> dict[str, Any]:
        """The plain values, those of the market apart."""
        plain = {name: getattr(self, name) for name in _Header.model_fields}
        return plain | {"architecture": self.architecture.model_dump(mode="json")}

    @property
    def kind(self) -> str:
        """What tables call it beside its name: its learner."""
        return self.learner

    @property
    def title(self) -> str:
        """What tables call it."""
        return f"{self.seller} ({self.kind})"

    def sit(self, spec: MarketSpec, seat: int | None = None, adapt: bool = False) -> Seller:
        """Put the policy into a seat of ``spec``.

        With ``adapt`` the market may differ from the one it was trained in: it keeps the ranges and the grid of its
        training, and features are matched by name (:class:`~policies.sellers.network_seller.ObservationAdapter` says how).

        Raises:
            UserError: it does not fit, in words that say what differs. With ``adapt`` only where there is no such seat,
                or one market holds stock and the other does not.
        """
        place = self.seat if seat is None else seat
        if differences := self._obstacles(spec, place) or ([] if adapt else self._differences(spec, place)):
            raise UserError(
                f"{self.path}: the policy of {self.seller} does not fit this market: {'; '.join(differences)}"
            )
        if not adapt:
            return NetworkSeller(self._network(), Decisions(self._decided(spec, place), place, self.encoding))
        adapter = ObservationAdapter.between(self.market, self.seat, spec, place)
        return NetworkSeller(self._network(), Decisions(self.market, self.seat, self.encoding), (adapter,))

    def _decided(self, spec: MarketSpec, seat: int) -> MarketSpec:
        """``spec`` in which the seat decides as in training: a seller's own matter, whatever the market says."""
        trained = self.market.sellers[self.seat]
        own = {"center": trained.center, "grid": trained.grid}
        sellers = tuple(one.model_copy(update=own) if k == seat else one for k, one in enumerate(spec.sellers))
        return spec.model_copy(update={"sellers": sellers})

    def _network(self) -> Actor:
        with torch.device("meta"):
            network = build(self.architecture)
        try:
            network.load_state_dict(self.weights, assign=True)
        except RuntimeError:
            raise UserError(f"{self.path}: is damaged: its weights do not fit the network that it describes") from None
        return network.requires_grad_(False).eval()

    def _obstacles(self, spec: MarketSpec, seat: int) -> list[str]:
        """What no adapting can help."""
        if seat >= len(spec.sellers):
            return [f"seat {seat} of {len(spec.sellers)}"]
        if spec.stocked != self.market.stocked:
            return [f"inventory was {self.market.inventory}, here it is {spec.inventory}"]
        return []

    def _differences(self, spec: MarketSpec, seat: int) -> list[str]:
        mine, theirs = ([f.name for f in feature_list(s)] for s in (self.market, spec))
        found = []
        if missing := [name for name in mine if name not in theirs]:
            found.append(f"it sees {', '.join(missing)}, which this market does not show")
        if extra := [name for name in theirs if name not in mine]:
            found.append(f"it never saw {', '.join(extra)}")
        trained, here = self.market.sellers[self.seat], spec.sellers[seat]
        for key in ("prices", "order_up_to"):
            if getattr(trained, key) != getattr(here, key):
                found.append(f"{key} was {_plain(getattr(trained, key))}, here it is {_plain(getattr(here, key))}")
        return found


def _plain(value: Any) -> str:
    return str(value.model_dump(exclude_none=True)) if hasattr(value, "model_dump") else str(value)


def save_seller(saved: SavedSeller) -> None:
    """Write ``saved`` to its path atomically: a reader sees the old file or the new one, never half of one."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in saved.weights.items()}
    content = {"format": FORMAT} | saved.header | {"market": saved.market.dump(), "weights": weights}
    content["digest"] = _digest(content)
    file = io.BytesIO()  # torch itself writes to a full disk without saying which file
    torch.save(content, file)
    write_file(saved.path, file.getvalue())


def _digest(content: dict[str, Any]) -> str:
    """SHA-256 of everything in a file: torch itself does not notice a flipped bit in a weight."""
    plain = {key: value for key, value in content.items() if key not in ("weights", "digest")}
    found = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    for name, tensor in sorted(content["weights"].items()):
        found.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return found.hexdigest()


def load_seller(path: str | Path) -> SavedSeller:
    """Read a saved seller; raise :class:`UserError` when the file is missing, damaged or not one of ours."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception:  # noqa: BLE001
        # What torch raises on foreign bytes depends on the bytes: any error at all means that it is not ours.
        raise UserError(f"{path}: {FOREIGN}") from None
    if not isinstance(content, dict) or "format" not in content:
        raise UserError(f"{path}: {FOREIGN}")
    if content["format"] != FORMAT:
        raise UserError(f"{path}: was saved in format {content['format']!r}, this version of bazaar reads {FORMAT}")
    return _read(Path(path), content)


class _Header(Model):
    """The plain values of a file."""

    seller: str
    seat: Annotated[int, Field(ge=0)]
    encoding: Literal["box", "gated", "grid"]
    learner: str
    trained: Annotated[int, Field(ge=0)]
    score: float
    architecture: Architecture


def _read(path: Path, content: dict[str, Any]) -> SavedSeller:
    plain = {key: value for key, value in content.items() if key not in ("format", "weights", "market", "digest")}
    try:
        spec = MarketSpec.parse(content.get("market"), f"{path}: {FOREIGN}: market")
        found = checked(path, plain, spec, content.get("weights"))
    except RecursionError:
        raise UserError(f"{path}: {FOREIGN}") from None
    if content.get("digest") != _digest(content):
        raise UserError(f"{path}: is damaged: its contents are not those that were saved")
    return found


def checked(path: Path, plain: dict[str, Any], spec: MarketSpec, weights: Any, fault: str = FOREIGN) -> SavedSeller:
    """A seller of ``spec`` from its plain values and weights, as they were read from a file that anybody may have written.

    Raises :class:`UserError` with the ``fault`` where one of them contradicts the rest.
    """
    header = parse_model(_Header, plain, f"{path}: {fault}: header")
    if problem := _misfit(header, spec, weights):
        raise UserError(f"{path}: {fault}: {problem}")
    return SavedSeller(
        path=path, weights=weights, market=spec, **{key: getattr(header, key) for key in _Header.model_fields}
    )


def _misfit(header: _Header, spec: MarketSpec, weights: object) -> str | None:
    """What in a file contradicts the rest of it."""
    if header.seat >= len(spec.sellers):
        return f"seat {header.seat} of {len(spec.sellers)}"
    if header.seller != spec.names[header.seat]:
        return f"it is called {header.seller!r}, and the seat is that of {spec.names[header.seat]}"
    if not header.learner.isidentifier():
        return f"its learner is called {header.learner!r}"
    if header.architecture.observation != len(feature_list(spec)):
        return f"the network sees {header.architecture.observation} numbers, the market shows {len(feature_list(spec))}"
    space = Decisions(spec, header.seat, header.encoding).space
    if header.architecture.actions != (space.n if isinstance(space, Discrete) else space.shape[0]):  # type: ignore[index]
        return f"the network's {header.architecture.actions} actions are not those of its seat"
    if not isinstance(weights, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in weights.values()):
        return "it holds no weights"
    return None if finite(weights) else "its weights are not all finite numbers of 32 bits"


def finite(weights: dict[str, torch.Tensor]) -> bool:
    """Whether every weight is a finite number: those of a learner that diverged are not."""
    return all(tensor.dtype == torch.float32 and bool(torch.isfinite(tensor).all()) for tensor in weights.values())
