"""What customers choose: (nested) multinomial logit over the sellers and the outside option.

Train, *Discrete Choice Methods with Simulation*, 2nd ed., ch. 3-4. Index n of a row of weights or probabilities is
the outside option; rho is ``scratch.nest[m]``, the parameter of the one nest of all sellers in the place that is played.
"""

from __future__ import annotations

import math

from market.kernel.jit import compiled

ABSENT = -1e5  # a shock to utility at or below this: the seller is not offered, so that nobody at all buys from it


@compiled(inline=True)
def felt_price(market, price):
    """f(p): the price, or its logarithm."""
    return math.log(price) if market.log_price else price


@compiled(inline=True)
def utilities(market, sellers, tape, state, scratch, m, t):
    """Set u_i / (1 - rho) of every seller, and rho itself.

    u_i = quality_i - price_sensitivity f(p_i) + events_it + xi_it + reference weight x (r_it - f(p_i)).
    """
    sensitivity, nest = tape.price_sensitivity[m], tape.nest[m]
    scratch.nest[m] = nest
    for i in range(sellers.shape[0]):
        price = felt_price(market, state.price[m, i])
        utility = sellers[i].quality - sensitivity * price + tape.xi[m, t, i]
        if tape.event[m, t, i]:
            utility += market.event_effect
        scratch.exponent[m, i] = utility / (1.0 - nest) if tape.xi[m, t, i] > ABSENT else -math.inf
    if market.reference_weight > 0.0:
        hold_against_reference(market, state, scratch, m, sellers.shape[0])


@compiled()
def hold_against_reference(market, state, scratch, m, n):
    """Add weight (r_it - f(p_i)) to every seller's utility; in a function of its own, so that others' loops stay fast."""
    for i in range(n):
        gain = state.reference[m, i] - felt_price(market, state.price[m, i])
        scratch.exponent[m, i] += market.reference_weight * gain / (1.0 - scratch.nest[m])


@compiled()
def adapt_references(market, state, m, n):
    """r <- memory r + (1 - memory) f(p), written so that a price held for good leaves r = f(p) to the bit."""
    for i in range(n):
        price = felt_price(market, state.price[m, i])
        state.reference[m, i] = market.reference_memory * (state.reference[m, i] - price) + price


@compiled(inline=True)
def weigh(market, scratch, m, n, all_sellers):
    """Set the weights exp(u_i / (1 - rho)) of all sellers, or of those in stock, and of the outside option (index n).

    The largest exponent is taken off before exp, so no utility overflows; shares do not change.
    """
    top = -1e300
    for i in range(n):
        if all_sellers or scratch.left[m, i] > 0.0:
            top = max(top, scratch.exponent[m, i])
    for i in range(n):
        if all_sellers or scratch.left[m, i] > 0.0:
            scratch.weight[m, i] = math.exp(scratch.exponent[m, i] - top)
    scratch.weight[m, n] = math.exp(min(market.outside - (1.0 - scratch.nest[m]) * top, 700.0))


@compiled(inline=True)
def buy_probability(nest, inclusive, outside):
    """P(some seller) = S^(1-rho) / (S^(1-rho) + e^u0), S the sum of weights offered (Train 2009, eq. 4.5)."""
    if inclusive <= 0.0:
        return 0.0
    attraction = inclusive if nest == 0.0 else inclusive ** (1.0 - nest)
    return attraction / (attraction + outside)


@compiled(inline=True)
def first_choices(market, scratch, m, n):
    """Probability of each seller being the first choice among all; index n is the outside option."""
    weigh(market, scratch, m, n, True)
    inclusive, outside = 0.0, scratch.weight[m, n]
    for i in range(n):
        inclusive += scratch.weight[m, i]
    buys = buy_probability(scratch.nest[m], inclusive, outside)
    if inclusive == 0.0:  # no seller is offered
        inclusive = 1.0
    for i in range(n):
        scratch.first[m, i] = buys * scratch.weight[m, i] / inclusive
    scratch.first[m, n] = 1.0 - buys if outside > 0.0 else 0.0


@compiled(inline=True)
def inclusive_in_stock(scratch, m, n):
    """The sum of the weights of the sellers in stock."""
    inclusive = 0.0
    for i in range(n):
        if scratch.left[m, i] > 0.0:
            inclusive += scratch.weight[m, i]
    return inclusive


@compiled()
def second_choices(market, scratch, m, n):
    """Probability of each second choice k in stock: [P(k|S) - P(k|A)] / sum over j not in S of P(j|A)."""
    inclusive, turned = inclusive_in_stock(scratch, m, n), 0.0
    if inclusive < 1e-200:  # next to whom is sold out these weigh nothing: weigh them anew among themselves
        weigh(market, scratch, m, n, False)
        inclusive = inclusive_in_stock(scratch, m, n)
    for i in range(n):
        if scratch.left[m, i] <= 0.0:
            turned += scratch.first[m, i]
    buys = buy_probability(scratch.nest[m], inclusive, scratch.weight[m, n])
    for i in range(n):
        scratch.second[m, i] = 0.0
        if scratch.left[m, i] > 0.0 and turned > 0.0 and inclusive > 0.0:
            within = buys * scratch.weight[m, i] / inclusive
            scratch.second[m, i] = max(0.0, within - scratch.first[m, i]) / turned
