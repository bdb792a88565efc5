"""How the sellers of a run do against one another, beside what all would earn at Nash and at joint-profit prices.

Dimensions: N sellers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.console import Console

from market.spec.models import MarketSpec
from market.state import Floats
from policies.config.run import Evaluation
from policies.evaluation.profit_gain import ENDS, Ends, ProfitGain
from policies.evaluation.view import gain_text, played, print_table


@dataclass(frozen=True)
class SelfPlaySummary:
    """Mean profit a period and mean posted price of every seat, (N,) each, over ``episodes`` of self-play.

    ``ends`` are the references in the same episodes, None where ``references`` say why there are none.
    """

    profit: Floats
    price: Floats
    episodes: int
    references: ProfitGain
    ends: Ends | None

    @property
    def gain(self) -> float:
        """The market's profit gain; NaN where it is not defined."""
        return float("nan") if self.ends is None else self.ends.gain(float(self.profit.sum()))

    @property
    def seat_gains(self) -> Floats:
        """Each seat's profit gain (N,), NaN where it is not defined."""
        return np.full(len(self.profit), np.nan) if self.ends is None else self.ends.seat_gains(self.profit)


def print_rehearsal(found: SelfPlaySummary, spec: MarketSpec, settings: Evaluation, console: Console) -> None:
    """Every seller's profit and price beside the references, and the market's profit gain; nothing for one seller."""
    if len(spec.sellers) == 1:
        return
    heads = ["", f"profit a {spec.period}", "all at Nash", "all at joint", "price", "Nash", "joint", "profit gain"]
    cells = [_seat(found, k, name) for k, name in enumerate(spec.names)]
    cells.append(_market(found))
    print_table(
        "the trained sellers against one another, as they are at the end", heads, cells, [False] * len(cells), console
    )
    console.print(_how(found, spec, settings), style="dim", highlight=False)


def _seat(found: SelfPlaySummary, seat: int, name: str) -> list[str]:
    low_high = ["-", "-"] if found.ends is None else [f"{end[:, seat].mean():.4g}" for end in found.ends.both]
    posted = [f"{found.references.price[end][seat]:.3f}" if found.ends else "-" for end in ENDS]
    gain = gain_text(float(found.seat_gains[seat]))
    return [name, f"{found.profit[seat]:.4g}", *low_high, f"{found.price[seat]:.3f}", *posted, gain]


def _market(found: SelfPlaySummary) -> list[str]:
    ends = ["-", "-"] if found.ends is None else [f"{end.mean(axis=0).sum():.4g}" for end in found.ends.both]
    return ["market", f"{found.profit.sum():.4g}", *ends, "", "", "", gain_text(found.gain)]


def _how(found: SelfPlaySummary, spec: MarketSpec, settings: Evaluation) -> str:
    if found.ends is None:
        about = f"No profit gain: {found.references.problem}."
    else:
        stock = ", base stock at the level best there" if spec.stocked else ""
        about = (
            f"The references on the same customers{stock}. Profit gain: 0 at Nash, 1 at joint profit; of a seat only "
            "where joint prices raise its profit by over 5 %."
        )
    return (
        f"{played(found.episodes, spec, settings)}; the policies as they are at the end, without exploration. {about} "
        "One training seed.\n"
    )
