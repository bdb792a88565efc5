"""A seller's stock: the orders it places, what arrives, and the demand that it may forecast orders by."""

from __future__ import annotations

import math

from market.kernel.jit import compiled

SMOOTHING = 0.2  # weight of the newest period in a demand forecast, as the forecast replenishment rule's default


@compiled(inline=True)
def decide(market, sellers, state, ledger, m, i, price, quantity):
    """Seller i posts a price (kept inside its range) and places an order (whole units in sampled mode)."""
    seller = sellers[i]
    posted = min(max(price, seller.price_low), seller.price_high)
    changed = posted != state.price[m, i]
    ordered = max(quantity, 0.0) if market.stocked else 0.0
    if not market.expected:
        ordered = math.floor(ordered + 0.5)
    entry = ledger[m, i]
    entry.received = state.received[m, i]
    if seller.lead_time == 0:
        state.on_hand[m, i] += ordered
        entry.received += ordered
    else:
        state.pipeline[m, i, seller.lead_time - 1] += ordered
    state.price[m, i] = posted
    entry.price, entry.ordered, entry.on_hand = posted, ordered, state.on_hand[m, i]
    entry.price_change_cost = seller.price_change_cost if changed else 0.0


@compiled(inline=True)
def receive(state, m, i):
    """The next period begins: what is due joins the stock on hand, the pipeline moves up."""
    slots = state.pipeline.shape[2]
    if slots == 0:
        return
    state.received[m, i] = state.pipeline[m, i, 0]
    state.on_hand[m, i] += state.received[m, i]
    for slot in range(1, slots):
        state.pipeline[m, i, slot - 1] = state.pipeline[m, i, slot]
    state.pipeline[m, i, slots - 1] = 0.0


@compiled()
def smooth_demand(tape, state, m, n, t):
    """Exponential smoothing of own demand, sold + lost, per unit of the calendar's factor (Brown 1959).

    A period to which the calendar sends nobody tells nothing.
    """
    factor = tape.factor[t]
    if factor > 0.0:
        for i in range(n):
            demand = (state.sold[m, i] + state.lost[m, i]) / factor
            state.smoothed[m, i] += SMOOTHING * (demand - state.smoothed[m, i])
