"""One seat's decision problem as arrays: demand at every price, what a period earns, and where stock moves.

N sellers, P prices, J levels, X = top + 1 where no inventory position exceeds top.
"""

from __future__ import annotations

import numpy as np

from market.demand.equilibrium import calendar
from market.errors import Refusal
from market.spec.models import MarketSpec
from market.state import Floats
from market.theory.bellman import Chain
from market.theory.demand_law import DemandLaw, demand_law
from market.theory.stock_states import Ints, StockStates

MOST_STATES = 4_000_000
# Multiplications of one sweep that looks for better decisions: some 4 seconds, and it takes about ten of them.
MOST_WORK = 1e10
NEGLIGIBLE = 1e-15


def build_chain(spec: MarketSpec, seat: int, posted: Floats, prices: Floats, levels: Ints) -> tuple[Chain, StockStates]:
    """Return the seat's decision problem as arrays, and its states.

    ``posted`` (N,) are the rivals' prices; the seat may post ``prices`` (P,) and order up to ``levels`` (J,).
    Raises :class:`Refusal` with the size where there are too many states or decisions.
    """
    seller = spec.sellers[seat]
    top = int(max(levels.max(), seller.stock))
    states = StockStates(top, seller.lead_time)

    def law_at(price: float) -> DemandLaw:
        return demand_law(spec, seat, with_price(posted, seat, price), float(calendar(spec, 0)))

    _refuse_size(spec, seat, states, levels, len(prices), law_at(float(prices.min())))
    laws = [law_at(price) for price in prices.tolist()]
    demand = np.stack([law.units(top + 1) for law in laws])
    dry = np.clip(1.0 - np.cumsum(demand, axis=1) + demand, 0.0, 1.0)
    least, most = (np.array(ends) for ends in zip(*map(_likely, demand), strict=True))
    quantity = np.arange(top + 1)
    chain = Chain(
        first=states.first,
        room=states.room,
        after=states.after(),
        levels=levels,
        charge=seller.unit_cost * quantity + seller.order_cost * (quantity > 0),
        reward=_rewards(spec, seat, prices, laws, dry),
        demand=np.ascontiguousarray(demand[:, ::-1]),
        dry=dry,
        least=least,
        most=most,
        at_once=int(seller.lead_time == 0),
    )
    return chain, states


def _rewards(spec: MarketSpec, seat: int, prices: Floats, laws: list[DemandLaw], dry: Floats) -> Floats:
    """Expected revenue less holding and stockout cost (P, X): ``E sold = sum_(d = 1..x) P(D >= d)``."""
    seller = spec.sellers[seat]
    sold = np.cumsum(dry, axis=1) - dry[:, :1]
    left = np.arange(dry.shape[1]) - sold
    lost = np.array([law.mean for law in laws])[:, None] - sold
    return np.asarray(prices[:, None] * sold - seller.holding_cost * left - seller.stockout_cost * lost)


def _refuse_size(
    spec: MarketSpec, seat: int, states: StockStates, levels: Ints, prices: int, widest: DemandLaw
) -> None:
    """``widest``: the demand whose law has most values, that of the lowest price."""
    seller, count = spec.sellers[seat], states.count
    place = (
        f"{seat_place(spec, seat)}: the exact optimum of lead time {seller.lead_time} and up to {states.top} units has"
    )
    if count > MOST_STATES:
        raise Refusal(f"{place} {count:,} states, more than {MOST_STATES:,}: lower order_up_to or lead_time")
    low, high = _likely(widest.units(states.top + 1))
    work = prices * _choices(states, levels) * min(high - low + 1, states.top / states.slots + 1)
    if work > MOST_WORK:
        raise Refusal(
            f"{place} {count:,} states x {prices:,} prices x {len(levels):,} levels, {work:.2g} multiplications a "
            f"sweep, more than {MOST_WORK:.0e}: give fewer prices or levels, or lower order_up_to"
        )


def _likely(mass: Floats) -> tuple[int, int]:
    """The smallest and the largest demand that are not negligible; beyond the last unit all are."""
    (seen,) = np.nonzero(mass > NEGLIGIBLE)
    return (int(seen[0]), int(seen[-1])) if len(seen) else (len(mass), len(mass))


def _choices(states: StockStates, levels: Ints) -> int:
    """How many pairs of a state and an order there are."""
    position, held = np.unique(states.position, return_counts=True)
    higher = len(levels) - np.searchsorted(levels, position, side="right")
    return int(held @ (higher + (levels[0] <= position)))


def with_price(posted: Floats, seat: int, price: float) -> Floats:
    """Prices (N,) with the seat's own replaced."""
    changed = posted.copy()
    changed[seat] = price
    return changed


def seat_place(spec: MarketSpec, seat: int) -> str:
    """The key path of a seat, as messages begin."""
    return f"market.sellers.{seat} ({spec.sellers[seat].name})"
