"""How the sellers of a run do against one another, beside what all would earn at Nash and at joint-profit prices.

Dimensions: N sellers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market.spec.models import MarketSpec
from market.state import Floats
from policies.config.run import Evaluation
from policies.evaluation.profit_gain import ENDS, Ends, ProfitGain
from policies.evaluation.view import LEAST, gain_text
from policies.views.page import footnote
from policies.views.table import Cells, Column, Table


@dataclass(frozen=True)
class SelfPlaySummary:
    """Mean profit a period and mean posted price of every seat, (N,) each, over ``episodes`` of self-play.

    ``ends`` are the references in the same episodes, None where ``profit_gain`` says why there are none.
    """

    profit: Floats
    price: Floats
    episodes: int
    profit_gain: ProfitGain
    ends: Ends | None

    @property
    def gain(self) -> float:
        """The market's profit gain; NaN where it is not defined."""
        return float("nan") if self.ends is None else self.ends.gain(float(self.profit.sum()))

    @property
    def seat_gains(self) -> Floats:
        """Each seat's profit gain (N,), NaN where it is not defined."""
        return np.full(len(self.profit), np.nan) if self.ends is None else self.ends.seat_gains(self.profit)


def tables(found: SelfPlaySummary, spec: MarketSpec, settings: Evaluation) -> list[Table]:
    """Every seller's profit and price beside the references, and the market's profit gain; nothing for one seller."""
    if len(spec.sellers) == 1:
        return []
    price = "{:.3f}"
    columns = [Column(""), Column(f"profit a {spec.period}"), Column("all at Nash"), Column("all at joint")]
    columns += [Column("price", price, important=True), Column("Nash", price), Column("joint", price)]
    columns += [Column("profit gain", gain_text, important=True)]
    rows = [*(_seat(found, k, name) for k, name in enumerate(spec.names)), _market(found)]
    title = "the trained sellers against one another, as they are at the end"
    how = footnote("evaluation.txt", "self_play", found=found, spec=spec, settings=settings)
    return [Table(title, columns, rows, [how], least=LEAST)]


def _seat(found: SelfPlaySummary, seat: int, name: str) -> list[Cells]:
    ends: list[Cells] = [None, None] if found.ends is None else [float(end[:, seat].mean()) for end in found.ends.both]
    posted = [float(found.profit_gain.price[end][seat]) if found.ends else None for end in ENDS]
    gain = float(found.seat_gains[seat])
    return [name, float(found.profit[seat]), *ends, float(found.price[seat]), *posted, gain]


def _market(found: SelfPlaySummary) -> list[Cells]:
    both = [None, None] if found.ends is None else [float(end.mean(axis=0).sum()) for end in found.ends.both]
    return ["market", float(found.profit.sum()), *both, "", "", "", found.gain]
