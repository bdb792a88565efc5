"""The population of sellers that learners meet: the learners as they are, what they were before, and fixed competitors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from market.spec.models import MarketSpec
from policies.common.files import inside
from policies.sellers.checkpoint import SavedSeller, checked, save_seller
from policies.sellers.protocol import Seller
from policies.storage.run_folder import POOL

MemberKind = Literal["current", "snapshot", "fixed"]


@dataclass(frozen=True)
class Member:
    """One seller of the population, in the one seat that it can play. ``saved``: what a snapshot is, None of others."""

    number: int
    seat: int
    kind: MemberKind
    label: str
    seller: Seller
    saved: SavedSeller | None = None


class Population:
    """Members by number. Those that have left stay until no row plays them any more."""

    def __init__(self, spec: MarketSpec) -> None:
        self.spec = spec
        self.members: dict[int, Member] = {}
        self.left: set[int] = set()
        self._next = 0
        self._written: set[int] = set()

    def add(self, seat: int, kind: MemberKind, label: str, seller: Seller, saved: SavedSeller | None = None) -> Member:
        """Take in a seller."""
        member = Member(self._next, seat, kind, label, seller, saved)
        self.members[self._next] = member
        self._next += 1
        return member

    def add_snapshot(self, saved: SavedSeller) -> Member:
        """Take in a learner as it is now; ``saved`` must hold weights of its own."""
        label = f"{saved.seller}.{saved.trained}"
        return self.add(saved.seat, "snapshot", label, saved.sit(self.spec), saved)

    def of(self, seat: int, kind: MemberKind) -> list[int]:
        """The numbers of the members that can be drawn for a seat, oldest first."""
        members = ((number, one) for number, one in self.members.items() if number not in self.left)
        return [number for number, one in members if one.seat == seat and one.kind == kind]

    def drop(self, playing: set[int]) -> None:
        """Forget members that have left and are in no row."""
        for number in self.left - playing:
            del self.members[number]
        self.left &= playing

    def write(self, folder: Path) -> None:
        """Save snapshots that are not in the run's folder yet, ``pool/SELLER.TRAINED.pt``."""
        place = folder / POOL
        place.mkdir(exist_ok=True)
        for member in self.members.values():
            if member.saved is not None and member.number not in self._written:
                save_seller(replace(member.saved, path=inside(place, f"{member.label}.pt")))
                self._written.add(member.number)

    def state_dict(self) -> dict[str, Any]:
        """Snapshots with their weights; the others are made anew by whoever made them."""
        kept = {str(number): one.saved for number, one in self.members.items() if one.saved is not None}
        snapshots = {number: saved.header | {"weights": saved.weights} for number, saved in kept.items()}
        return {"snapshots": snapshots, "left": sorted(self.left), "next": self._next, "written": sorted(self._written)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back :meth:`state_dict` in a population that holds the same other members."""
        self.members = {number: member for number, member in self.members.items() if member.saved is None}
        for number, plain in state["snapshots"].items():
            self._next = int(number)
            self.add_snapshot(_saved(plain, self.spec))
        self.members = dict(sorted(self.members.items()))
        self.left, self._next, self._written = set(state["left"]), state["next"], set(state["written"])


def _saved(plain: dict[str, Any], spec: MarketSpec) -> SavedSeller:
    header = {key: value for key, value in plain.items() if key != "weights"}
    return checked(Path(f"pool of {plain['seller']}"), header, spec, plain["weights"], "the state does not fit")
