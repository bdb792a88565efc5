"""What a period earned a seller."""

from __future__ import annotations

from market.kernel.jit import compiled


@compiled(inline=True)
def account(market, sellers, state, ledger, m, i, market_size):
    """profit = revenue - purchase, order, holding, stockout and price-change cost: the one identity."""
    seller, entry = sellers[i], ledger[m, i]
    if not market.stocked:
        entry.ordered = state.sold[m, i]
        entry.received = state.sold[m, i]
        entry.on_hand = state.sold[m, i]
    entry.sold, entry.lost = state.sold[m, i], state.lost[m, i]
    entry.on_hand_left, entry.market_size = state.on_hand[m, i], market_size
    entry.on_order = 0.0
    for slot in range(state.pipeline.shape[2]):
        entry.on_order += state.pipeline[m, i, slot]
    entry.revenue = entry.price * entry.sold
    entry.purchase_cost = seller.unit_cost * entry.ordered
    entry.order_cost = seller.order_cost if entry.ordered > 0.0 else 0.0
    entry.holding_cost = seller.holding_cost * entry.on_hand_left
    entry.stockout_cost = seller.stockout_cost * entry.lost
    costs = entry.purchase_cost + entry.order_cost + entry.holding_cost
    entry.profit = entry.revenue - (costs + entry.stockout_cost + entry.price_change_cost)
    state.reward[m, i] = entry.profit / seller.reward_scale
