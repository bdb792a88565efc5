"""What all seats would earn at Nash prices and at joint-profit prices: the two ends that profit gain is measured by.

Both are simulated in the market itself, on the customers of whatever is compared with them: theory's own profits leave
stock out. Where stock is held both replenish by base stock at the level that is best at those prices, found by
simulation: newsvendor levels would cost one end more than the other, and what is left would pass for collusion. Where
orders cost so much that the best level is to order nothing, both replenish by ``min_max``.
Dimensions: E episodes, N sellers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from market.errors import UserError
from market.spec.models import MarketSpec
from market.state import Floats
from market.theory.newsvendor import profit_gain, seat_profit_gain
from policies.common.progress import Tick, unseen
from policies.config.run import Evaluation
from policies.sellers.protocol import Seller
from policies.sellers.rollout import episode_profits, rows_at_once
from policies.sellers.rules.base import Seat
from policies.sellers.rules.compose import Rules, compose
from policies.sellers.rules.level_search import best_level
from policies.sellers.rules.pricing import Collusive, Nash, PricingRule
from policies.sellers.rules.replenishment import BaseStock, MinMax, ReplenishmentRule
from policies.sellers.rules.usual import orders_cost, together

BLOCK = 512
REPLAYED = (
    "market.tape replays a history, so that every period is another market, and no prices are Nash or joint-profit "
    "prices in all of them"
)

End = Literal["nash", "joint"]
ENDS: tuple[End, ...] = ("nash", "joint")


@dataclass(frozen=True)
class Ends:
    """Profit a period of every seat (E, N) in the same episodes, all at Nash and all at joint-profit prices."""

    nash: Floats
    joint: Floats

    @property
    def both(self) -> tuple[Floats, Floats]:
        """The two of them in the order of :data:`ENDS`."""
        return self.nash, self.joint

    def gain(self, total: float) -> float:
        """The market's profit gain, of the sellers' ``total`` profit a period in these episodes; NaN if undefined.

        Means over episodes: a total of 5 between Nash 4 and joint 8 is 0.25 (DESIGN: Calvano's Delta of the market).
        """
        return profit_gain(total, self.nash.mean(axis=0), self.joint.mean(axis=0))

    def seat_gains(self, profit: Floats) -> Floats:
        """Each seat's profit gain (N,) of mean profits a period (N,); NaN where joint prices raise it by under 5 %."""
        return seat_profit_gain(profit, self.nash.mean(axis=0), self.joint.mean(axis=0))


@dataclass
class ProfitGain:
    """Plays both ends in one market and keeps what was played; episodes counted as ``settings`` say.

    ``problem`` tells why there is no profit gain (one seller, a market that replays a history, or no such prices or
    stock levels), else it is empty.
    """

    spec: MarketSpec
    settings: Evaluation
    problem: str = ""
    ordering: str = "base stock at the level best there"
    price: dict[End, Floats] = field(default_factory=dict)  # (N,) each, money per unit
    _sellers: dict[End, list[Seller]] = field(default_factory=dict)
    _played: dict[tuple[End, int], Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.spec.sellers) == 1:
            self.problem = "one seller has no rivals to collude with"
            return
        if self.spec.tape is not None:
            self.problem = REPLAYED
            return
        try:
            self._set_both(BaseStock(level="best"))
            if orders_cost(self.spec) and self._leaves():
                self.ordering = "min_max"
                self._set_both(MinMax())
        except UserError as problem:
            self.problem = str(problem)

    def _set_both(self, ordering: ReplenishmentRule) -> None:
        self._set("nash", Nash(), ordering)
        self._set("joint", Collusive(), ordering)

    def _set(self, end: End, pricing: PricingRule, ordering: ReplenishmentRule) -> None:
        seats, rules = range(len(self.spec.sellers)), Rules(pricing=pricing).completed(self.spec)
        players = [rules] * len(seats)
        if self.spec.stocked:
            searched = rules.with_replenishment(ordering)
            players = [best_level(self.spec, k, searched, [rules] * len(seats), where="profit gain") for k in seats]
        self._sellers[end] = [compose(players[k], self.spec, k, "profit gain") for k in seats]
        self.price[end] = np.array([pricing.usual(Seat(self.spec, k)) for k in seats])

    def _leaves(self) -> bool:
        """Whether orders cost so much that a seller who orders every period does best to order nothing."""
        return not all(together(self.spec, sellers)[1].all() for sellers in self._sellers.values())

    def ends(self, seed: int, episodes: int, tick: Tick = unseen) -> Ends | None:
        """Both references in the episodes of row seeds ``seed`` .. ``seed + episodes - 1``, or None with a problem."""
        if self.problem:
            return None
        return Ends(self._profit("nash", seed, episodes, tick), self._profit("joint", seed, episodes, tick))

    def _profit(self, end: End, seed: int, episodes: int, tick: Tick) -> Floats:
        known = self._played.get((end, seed), np.zeros((0, len(self.spec.sellers))))
        block = rows_at_once(self.spec, BLOCK)
        for start in range(len(known), episodes, block):
            tick(f"all at {end} prices", 0)
            rows = min(block, episodes - start)
            counted = self.settings.warm_up, self.settings.salvage
            profit = episode_profits(self.spec, self._sellers[end], *counted, seed=seed + start, markets=rows)
            known = np.concatenate([known, profit])
        self._played[end, seed] = known
        return known[:episodes]
