"""One period of one market, the same for every market of a batch:

1. **Arrivals**: orders that are due join the stock on hand, and sellers observe the market.
2. **Decisions**: every seller posts a price and places an order, before any sees what the others decided.
3. **Customers** choose by nested logit and buy what is in stock.
4. **Accounts**: what each seller sold and lost becomes revenue, costs and profit.
5. **Memory**: customers get used to the prices, sellers to the demand.

A step is 2 to 5 and then the next period's 1, since between two steps sellers observe.

Symbols of the whole package: m market, i and k sellers, n number of sellers, t period. Arguments are the records and
tuples of arrays of ``market.state``; nothing is allocated.
"""

from __future__ import annotations

import math

from market.kernel.accounts import account
from market.kernel.choice import adapt_references, first_choices, utilities
from market.kernel.customers import serve_one_by_one
from market.kernel.inventory import decide, receive, smooth_demand
from market.kernel.jit import compiled
from market.kernel.randomness import CUSTOMERS, key
from market.kernel.stages import serve_in_stages, spread


@compiled(inline=True)
def play_period(market, sellers, tape, state, scratch, ledger, m, price, quantity):
    """Market m plays its period at the prices and orders [m, i]; the head of this file numbers the events."""
    n, t = sellers.shape[0], state.period[m]
    customers = tape.customers[m, t]

    # 2. Decisions
    for i in range(n):
        decide(market, sellers, state, ledger, m, i, price[m, i], quantity[m, i])

    # 3. Customers
    utilities(market, sellers, tape, state, scratch, m, t)
    first_choices(market, scratch, m, n)
    serve_customers(market, state, scratch, m, n, customers)

    # 4. Accounts
    for i in range(n):
        account(market, sellers, state, ledger, m, i, customers * market.basket)

    # 5. Memory, of those markets where anybody has one
    if market.reference_weight > 0.0:
        adapt_references(market, state, m, n)
    if state.smoothed.shape[1] > 0:
        smooth_demand(tape, state, m, n, t)

    # 1. Arrivals of the next period
    state.period[m] = t + 1
    for i in range(n):
        receive(state, m, i)


@compiled(inline=True)
def serve_customers(market, state, scratch, m, n, customers):
    """All customers of the period: set what each seller sold, lost and has left."""
    stream = key(state.seed[m], state.episode[m], state.period[m], CUSTOMERS)
    for i in range(n):
        scratch.left[m, i] = state.on_hand[m, i] if market.stocked else math.inf
        state.lost[m, i] = 0.0
    scratch.left[m, n] = math.inf
    if not market.stocked:
        spread(market, scratch, m, n, customers, scratch.first, scratch.wanting, stream, 1)
        for i in range(n):
            state.sold[m, i] = scratch.wanting[m, i] * market.basket
        return
    if market.expected or customers >= market.direct_from:
        serve_in_stages(market, state, scratch, m, n, customers, stream)
    else:
        serve_one_by_one(market, state, scratch, m, n, customers, stream)
    for i in range(n):
        state.sold[m, i] = state.on_hand[m, i] - scratch.left[m, i]
        state.on_hand[m, i] = scratch.left[m, i]
