"""Which fixed competitors can do well in a market: what is tried and what rivals play where a configuration says nothing.

Names are those of rules, read by :func:`policies.sellers.rules.compose.parse_rules`. What an order costs decides most:
where it costs nothing one orders every period (base stock, whose level follows what is known ahead), else seldom and much
(``min_max``). Dimension: N sellers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from market.errors import UserError
from market.metrics.summary import profit_a_period
from market.spec.models import MarketSpec
from market.state import Floats
from market.theory.mdp import StockStates
from market.theory.optimum import why_not
from market.theory.seasonal import knows_ahead
from policies.common.seeding import row_seed
from policies.sellers.protocol import Seller
from policies.sellers.rollout import COUNTED, play
from policies.sellers.rules.base import Seat
from policies.sellers.rules.level_search import LONGEST, build, settling

OPTIMAL = "optimal"
REPLAYED = "history"  # first in all lists of a market that replays a sales file: what was done in fact
MADE_COMPETITORS = ("nash", "best_response", "collusive", "undercut", "cost_plus")
MADE_PANEL = ("nash", "undercut", "match", "collusive", "trigger")
STOCKED_COMPETITORS = (
    "nash+base_stock(level=best)",
    "nash+capped_base_stock(level=best)",
    "nash+forecast",
    "best_response+base_stock",
    "cost_plus+base_stock",
    "collusive+base_stock(level=best)",
    "clearance+base_stock(level=best)",
)
STOCKED_PANEL = (
    "nash+base_stock(level=best)",
    "undercut+base_stock",
    "match+base_stock",
    "cost_plus+min_max",
    "collusive+base_stock",
)
SEASONAL = ("nash+seasonal_base_stock", "collusive+seasonal_base_stock")  # where something is known ahead
COSTLY_COMPETITORS = (
    "nash+min_max",
    "nash+min_max(s=best,S=best)",
    "nash+base_stock(level=best)",
    "nash+capped_base_stock(level=best)",
    "best_response+min_max",
    "cost_plus+min_max",
    "collusive+min_max",
    "clearance+min_max",
)
COSTLY_PANEL = ("nash+min_max", "undercut+min_max", "match+min_max", "cost_plus+base_stock", "collusive+min_max")

EPISODES = 64  # of the simulation that chooses a line-up
SELLS = 0.1  # of demand at Nash prices: a seller that sells less has left the market
# States times levels of an optimum that is solved in a second.
CHEAP = 40_000


def orders_cost(spec: MarketSpec) -> bool:
    """Whether an order costs any seller anything."""
    return spec.stocked and any(seller.order_cost > 0 for seller in spec.sellers)


def usual_competitors(spec: MarketSpec) -> tuple[str, ...]:
    """What is tried in an evaluated seat."""
    if not spec.stocked:
        return _replayed(spec, REPLAYED) + MADE_COMPETITORS
    listed: Sequence[str] = COSTLY_COMPETITORS if orders_cost(spec) else STOCKED_COMPETITORS
    if knows_ahead(spec):  # a forecast from what was sold is late where one can know
        listed = (*SEASONAL, *(rules for rules in listed if rules != "nash+forecast"))
    return (*_replayed(spec, f"{REPLAYED}+base_stock(level=best)"), *listed)


def usual_panel(spec: MarketSpec) -> tuple[str, ...]:
    """The line-ups of a panel, from kinds of rivals that differ."""
    listed = COSTLY_PANEL if orders_cost(spec) else STOCKED_PANEL
    return _replayed(spec, REPLAYED) + (listed if spec.stocked else MADE_PANEL)


def usual_line_ups(spec: MarketSpec) -> tuple[str, ...]:
    """What rivals play."""
    return _replayed(spec, REPLAYED) + (best_line_up(spec),)


def suited(spec: MarketSpec, listed: Sequence[str]) -> tuple[str, ...]:
    """Rules that order up to a level every period as they suit the market, after what was done in fact in a history.

    Where orders cost they become ``min_max``, and where no stock is held their prices alone are left.
    """
    if not spec.stocked:
        listed = [rules.partition("+")[0] for rules in listed]
    elif orders_cost(spec):
        listed = [rules.replace("+base_stock", "+min_max") for rules in listed]
    return (*_replayed(spec, REPLAYED), *listed)


def _replayed(spec: MarketSpec, rules: str) -> tuple[str, ...]:
    return (rules,) if spec.tape is not None else ()


def optimum_size(spec: MarketSpec, seat: int) -> int:
    """States times levels of the seat's exact optimum of stock and price; 0 where it has none."""
    if not spec.stocked or why_not(spec, seat) is not None:
        return 0
    top = int(spec.sellers[seat].order_up_to[1])
    return StockStates(top, spec.sellers[seat].lead_time).count * (top + 1)


def solved_cheaply(spec: MarketSpec, seat: int) -> bool:
    """Whether the seat has an exact optimum of stock and price that is solved in about a second."""
    return 0 < optimum_size(spec, seat) <= CHEAP


# ------------------------------------------------------------------------------------------------ the line-up


def line_ups_tried(spec: MarketSpec) -> tuple[str, ...]:
    """Nash prices, with each way to replenish that can do well in the market."""
    if not spec.stocked:
        return ("nash",)
    seasonal = ("nash+seasonal_base_stock",) if knows_ahead(spec) else ()
    return ("nash+base_stock(level=best)", *seasonal, *(("nash+min_max",) if orders_cost(spec) else ()))


@lru_cache(maxsize=64)
def best_line_up(spec: MarketSpec) -> str:
    """Of :func:`line_ups_tried` the one with which all sellers together earn most when all of them play it.

    Where there is but one nothing is simulated, and unless orders cost base stock is tried at theory's level, as the others
    are. All meet the same customers, whatever the seed of a run, so that all
    runs of a market are measured by the same rivals. One with which a seller leaves the market is not taken, unless all
    are such.
    """
    tried = line_ups_tried(spec)
    found = [] if len(tried) == 1 else [(rules, played) for rules in tried if (played := _try(spec, rules)) is not None]
    staying = [(rules, profit) for rules, (profit, stays) in found if stays]
    return (
        max(staying or [(rules, profit) for rules, (profit, _) in found], key=lambda one: one[1])[0]
        if found
        else tried[0]
    )


def _try(spec: MarketSpec, rules: str) -> tuple[float, bool] | None:
    """What all sellers earn a period with these rules, and whether all of them sell; None where they cannot play."""
    rules = rules if orders_cost(spec) else rules.replace("(level=best)", "")
    try:
        sellers = [build(rules, spec, seat) for seat in range(len(spec.sellers))]
    except UserError:
        return None
    profit, sells = together(spec, sellers)
    return profit, bool(sells.all())


def together(spec: MarketSpec, sellers: Sequence[Seller]) -> tuple[float, Floats]:
    """What all sellers earn a period together, money, and who of them sells (N,), in some episodes of a market.

    A seller sells if that is at least :data:`SELLS` of what would first choose it at Nash prices.
    """
    short = spec.certain.model_copy(update={"horizon": min(spec.horizon, LONGEST)})
    ledger = play(short, sellers, markets=EPISODES, seed=row_seed(0, "search"), fields=(*COUNTED, "sold"))
    warm_up = settling(short)
    profit = profit_a_period(ledger, short, warm_up).mean(axis=0)
    sold = ledger["sold"][warm_up:].mean(axis=(0, 1))
    return float(profit.sum()), np.asarray(sold >= SELLS * nash_demand(spec))


def nash_demand(spec: MarketSpec) -> Floats:
    """Mean units a period that first choose each seller at Nash prices (N,), 0 where there are no such prices."""
    try:
        at = [Seat(spec, seat) for seat in range(len(spec.sellers))]
        return np.array([one.mean_demand(float(one.nash[one.index])) for one in at])
    except UserError:
        return np.zeros(len(spec.sellers))
