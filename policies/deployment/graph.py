"""A trained seller from raw numbers to its decision as one graph: observation, network and decoding.

What the market's kernel shows a seat, its network makes of it and :class:`~market.simulation.decisions.Decisions` make of
that again, in torch's operations alone, so that it can be written down and played elsewhere. B rows, K fields, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from market.kernel import observe
from market.simulation.decisions import Decisions, Scale
from market.simulation.observation import Feature, calendar_features, compile_features, feature_list
from market.spec.models import MarketSpec
from market.state import Floats
from policies.deployment.fields import LOCATION, PERIOD, cycle_of, fields_of
from policies.networks.heads import Actor

ARRAYS = {
    observe.ON_HAND: "on_hand",
    observe.IN_STOCK: "on_hand",
    observe.PRICE: "price",
    observe.SOLD: "sold",
    observe.LOST: "lost",
    observe.PIPELINE: "pipeline",
    observe.EVENT: "event",
    observe.REFERENCE: "reference",
    observe.LOG_REFERENCE: "reference",
    observe.FORECAST: "smoothed",
}
STOCK = ("on_hand", "pipeline")
Raw = Callable[[Sequence[Tensor]], Tensor]


def input_names(spec: MarketSpec, seat: int) -> list[str]:
    """What the graph is told, in order: the state's fields, and the number of the location where there are several."""
    return [field.name for field in fields_of(spec, seat)] + [LOCATION] * (len(spec.locations) > 1)


class SellerGraph(nn.Module):
    """``forward(*inputs)`` -> ``(price, level, order, *memory)``.

    Inputs: numbers (B,) float64, in the order of :func:`input_names`, flags 1 and 0; then what the network remembers, in
    the order of ``memory``. Outputs: price in money per unit, the level that is ordered up to (0: no order) and the
    order, units, (B,) float64 each; then what it remembers next time.
    """

    def __init__(self, network: Actor, decisions: Decisions, spec: MarketSpec, seat: int) -> None:
        super().__init__()
        self.network, self.decisions, self.spec, self.seat = network, decisions, spec, seat
        self.fields = fields_of(spec, seat)
        self.names = input_names(spec, seat)
        self.memory = tuple(network.recall.start(1))
        self.register_buffer("calendar", torch.as_tensor(calendar_features(spec)))
        self.cycle = cycle_of(spec)
        self._columns = [self._column(k, feature) for k, feature in enumerate(feature_list(spec))]

    # -------------------------------------------------------------------------------------------- what it sees

    def _column(self, k: int, feature: Feature) -> Raw:
        """What feature k shows: clip((raw - shift) x scale, low, high)."""
        compiled, whose = compile_features(self.spec), (self.seat + feature.offset) % len(self.spec.sellers)
        shift, scale = float(compiled.shift[k, whose]), float(compiled.scale[k, whose])
        raw = self._raw(feature, whose, compiled.size)
        return lambda told: ((raw(told) - shift) * scale).clamp(feature.low, feature.high)

    def _raw(self, feature: Feature, whose: int, size: Floats) -> Raw:
        """Of a feature about a seller."""
        source, slot = feature.source, feature.slot
        if source == observe.CALENDAR:
            return lambda told: self._today(told)[:, slot]
        if source == observe.SIZE:
            self.register_buffer("size", torch.as_tensor(size))
            return lambda told: self.get_buffer("size")[told[self.names.index(LOCATION)].long()]
        at = self._place(ARRAYS[source], whose, 0 if source == observe.FORECAST else slot)
        if at is None:  # nothing is on its way for longer than the seat's lead time
            return lambda told: torch.zeros_like(told[0])
        if source == observe.IN_STOCK:
            return lambda told: (told[at] > 0).to(told[at].dtype)
        if source == observe.FORECAST:
            return lambda told: told[at] * self._today(told)[:, slot + whose]
        return lambda told: told[at]

    def _place(self, array: str, whose: int, slot: int) -> int | None:
        places = [field.place for field in self.fields]
        return places.index((array, whose, slot)) if (array, whose, slot) in places else None

    def _today(self, told: Sequence[Tensor]) -> Tensor:
        """The calendar's columns (B, C) in each row's period."""
        period = told[self.names.index(PERIOD)].long()
        if self.cycle is not None:
            period = torch.where(period < self.spec.horizon, period, period % self.cycle)
        return self.get_buffer("calendar")[period]

    # -------------------------------------------------------------------------------------------- what it does

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        told, remembered = inputs[: len(self.names)], inputs[len(self.names) :]
        seen = torch.stack([column(told) for column in self._columns], dim=1).float()
        body, after = self.network.recall(seen, dict(zip(self.memory, remembered, strict=True)))
        price, level = self._decoded(self.network.greedy(body))
        order = (level - self._position(told)).clamp(min=0.0)
        if self.spec.customers.mode == "sampled":
            order = torch.floor(order + 0.5)
        return price, level, order, *(after[name] for name in self.memory)

    def _decoded(self, action: Tensor) -> tuple[Tensor, Tensor]:
        """As :meth:`Decisions.decode`."""
        if self.decisions.encoding == "grid":
            prices, levels = (torch.as_tensor(axis) for axis in (self.decisions.prices, self.decisions.levels))
            return prices[action // len(levels)], levels[action % len(levels)]
        box = action.double().clamp(-1.0, 1.0)
        price = _value(self.decisions.price, box[:, 0])
        if not self.spec.stocked:
            return price, torch.zeros_like(price)
        level = _value(self.decisions.level, box[:, 1])
        return price, torch.where(box[:, 2] > 0, level, 0.0) if self.decisions.width > 2 else level

    def _position(self, told: Sequence[Tensor]) -> Tensor:
        """Units on hand and on their way (B,)."""
        mine = [
            told[k] for k, field in enumerate(self.fields) if field.place[0] in STOCK and field.place[1] == self.seat
        ]
        return torch.stack(mine).sum(dim=0) if mine else torch.zeros_like(told[0])


def _value(scale: Scale, number: Tensor) -> Tensor:
    """:meth:`Scale.value` of numbers (B,)."""
    down, up = (
        (1.0 - share * (a + (1.0 - a) * share * share))
        for share, a in zip((-number, number), scale.linear, strict=True)
    )
    return torch.where(number < 0, scale.low + scale.down * down, scale.high - scale.up * up)
