"""Rivals that are sellers already: those that a configuration seats, or another run's; and what fixed ones do, in words.

Dimension: N sellers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from policies.sellers.protocol import Seller
from policies.sellers.rules.compose import FixedSeller, Rules
from policies.sellers.rules.replenishment import MinMax
from policies.views.format import units

AS_SEATED = "as seated"


@dataclass(frozen=True)
class Seated:
    """Rivals that are sellers already, each with its name: those that a configuration seats, or another run's.

    Args:
        label: what the line-up is called.
        named: who sits where, by seat (N): what to call it, and the seller.
    """

    label: str
    named: Sequence[tuple[str, Seller]]

    @property
    def by_seat(self) -> dict[int, Seller]:
        """The sellers."""
        return {seat: seller for seat, (_, seller) in enumerate(self.named)}

    def others(self, seat: int) -> str:
        """The rivals of a seat in words."""
        return ", ".join(name for k, (name, _) in enumerate(self.named) if k != seat)

    def rules(self, seat: int) -> list[Rules] | None:
        """What the rivals of a seat follow, for every seat, where all of them follow rules; else None."""
        sellers = [seller for k, (_, seller) in enumerate(self.named) if k != seat]
        if not all(isinstance(one, FixedSeller) for one in sellers):
            return None
        nobody = next(one.rules for one in sellers if isinstance(one, FixedSeller))  # in the seat, where nobody looks
        return [one.rules if isinstance(one, FixedSeller) else nobody for _, one in self.named]


LineUp = Rules | Seated


def habits(seller: FixedSeller) -> str:
    """What a fixed competitor posts and how much it orders, in words: "posts 1.30, orders up to 23".

    Of rules whose price or level moves, those that its levels are worked out for: "posts about 1.30".
    """
    seat, price, rule = seller.seat, seller.usual_price, seller.rules.replenishment
    if price is None:
        return "follows what it sees"
    said = [f"posts {'' if seller.rules.pricing.constant else 'about '}{seat.clip(price):.4g}"]
    level = rule.aim(seat, lambda: price) if rule is not None else None
    if rule is not None and level is not None:
        low = f" from {units(rule.levels(seat, lambda: price)[0])} on down" if isinstance(rule, MinMax) else ""
        said.append(f"orders up to {units(level if rule.unbound else float(seat.kept(level)))}{low}")
    return ", ".join([*said, seller.kept] if seller.kept else said)


def told_rivals(names: Sequence[str], fixed: Mapping[int, Seller]) -> list[str]:
    """A line for each fixed competitor of a run: "right: constant+base_stock, posts 1.3, orders up to 23"."""
    known = {seat: one for seat, one in fixed.items() if isinstance(one, FixedSeller)}
    return [f"{names[seat]}: {one.label}, {habits(one)}" for seat, one in sorted(known.items())]
