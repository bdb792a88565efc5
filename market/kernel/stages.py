"""Many customers at once: the process of ``customers`` in stages that last until the next seller runs out.

Exact in distribution where customers are sampled, and the fluid limit where they are expected: then every draw is its
mean. ``which`` numbers a period's draws, so that each has a stream of its own.
"""

from __future__ import annotations

import math

import numpy as np

from market.kernel.choice import second_choices
from market.kernel.jit import compiled
from market.kernel.randomness import SUBSTITUTE, beta, binomial, hypergeometric, mix


@compiled()
def serve_in_stages(market, state, scratch, m, n, customers, stream):
    """Serve all customers of the period in at most n + 1 stages.

    First choices are counted directly; between two stockouts all streams are thinned by the moment of the next one.
    """
    spread(market, scratch, m, n, customers, scratch.first, scratch.wanting, stream, 1)
    turned_away = 0.0
    for stage in range(n + 1):
        which = 8 * n * (stage + 1)
        for i in range(n):
            if scratch.left[m, i] <= 0.0:
                turned_away += turn_away(market, state, scratch, m, i)
        idle = turned_away
        for i in range(n):
            scratch.turned[m, i] = 0.0
        if turned_away > 0.0:
            second_choices(market, scratch, m, n)
            again = share_of(market, scratch, m, turned_away, market.substitution, stream, which)
            idle += spread(market, scratch, m, n, again, scratch.second, scratch.turned, stream, which + 1) - again
        winner = run_out(market, scratch, m, n, stream, which + 2 * n)
        if winner < 0:
            for i in range(n):
                sell(market, state, scratch, m, i, scratch.wanting[m, i] + scratch.turned[m, i])
            return
        turned_away = idle - share_of(market, scratch, m, idle, scratch.moment[m, winner], stream, which + 3 * n)
        for i in range(n):
            turned_away += serve_stage(market, state, scratch, m, i, winner, stream, which + 4 * n + 2 * i + 1)
        scratch.left[m, winner] = 0.0


@compiled()
def share_of(market, scratch, m, count, p, stream, which):
    """How many of ``count`` customers do a thing of probability p: drawn, or the mean in the fluid limit."""
    if market.expected:
        return count * min(max(p, 0.0), 1.0)
    scratch.random[m] = mix(stream + np.uint64(which) * SUBSTITUTE)
    return binomial(scratch.random, m, count, p)


@compiled()
def spread(market, scratch, m, n, count, probability, into, stream, which):
    """Send ``count`` customers to the n sellers (multinomial, by conditional binomials); return the rest."""
    rest, mass = count, 1.0
    for i in range(n):
        p = probability[m, i]
        if market.expected:
            into[m, i] = count * p
        else:
            into[m, i] = share_of(market, scratch, m, rest, p / mass if mass > 0.0 else 1.0, stream, which + i)
        rest -= into[m, i]
        mass -= p
    return max(rest, 0.0)


@compiled()
def run_out(market, scratch, m, n, stream, which):
    """Find the first seller to sell out: set every seller's moment (2 = not at all), return the first, or -1.

    Requests come at independent uniform moments, so the c-th of r comes at a Beta(c, r - c + 1) moment. That
    c = r requests take exactly what there is counts too: whoever comes later chooses among the others.
    """
    winner, soonest = -1, 1.5
    for i in range(n):
        scratch.moment[m, i] = 2.0
        requests = scratch.wanting[m, i] + scratch.turned[m, i]
        stock = scratch.left[m, i] / market.basket
        if stock <= 0.0:
            continue
        if market.expected:
            if requests > stock:
                scratch.moment[m, i] = stock / requests
        elif requests >= math.ceil(stock):
            stock = math.ceil(stock)
            scratch.random[m] = mix(stream + np.uint64(which + i) * SUBSTITUTE)
            scratch.moment[m, i] = beta(scratch.random, m, stock, requests - stock + 1.0)
        if scratch.moment[m, i] < soonest:
            winner, soonest = i, scratch.moment[m, i]
    return winner


@compiled()
def turn_away(market, state, scratch, m, i):
    """Seller i is sold out: all who still want it are lost sales; return how many customers they are."""
    wanting = scratch.wanting[m, i]
    scratch.wanting[m, i] = 0.0
    state.lost[m, i] += wanting * market.basket
    return wanting


@compiled()
def serve_stage(market, state, scratch, m, i, winner, stream, which):
    """Serve seller i until ``winner`` sells out; return its second-choice customers who come only later."""
    if scratch.left[m, i] <= 0.0:
        return 0.0
    before = served_before(market, scratch, m, i, winner, stream, which)
    wanted_it_first = first_among(market, scratch, m, i, before, stream, which + 1)
    sell(market, state, scratch, m, i, before)
    scratch.wanting[m, i] -= wanted_it_first
    return scratch.turned[m, i] - (before - wanted_it_first)


@compiled()
def served_before(market, scratch, m, i, winner, stream, which):
    """How many of seller i's requests came before ``winner`` sold out."""
    requests = scratch.wanting[m, i] + scratch.turned[m, i]
    moment, own = scratch.moment[m, winner], scratch.moment[m, i]
    capacity = scratch.left[m, i] / market.basket
    if market.expected:
        return capacity if i == winner else requests * moment
    capacity = math.ceil(capacity)
    if i == winner:
        return capacity
    if own <= 1.0:
        return share_of(market, scratch, m, capacity - 1.0, moment / own, stream, which)
    return share_of(market, scratch, m, requests, moment, stream, which)


@compiled()
def first_among(market, scratch, m, i, before, stream, which):
    """How many of the ``before`` requests served at i were first choices (the others had been turned away)."""
    wanting, turned = scratch.wanting[m, i], scratch.turned[m, i]
    if turned <= 0.0:
        return before
    if market.expected:
        return before * wanting / (wanting + turned)
    scratch.random[m] = mix(stream + np.uint64(which) * SUBSTITUTE)
    return hypergeometric(scratch.random, m, wanting, turned, before)


@compiled()
def sell(market, state, scratch, m, i, requests):
    """Hand out up to ``requests`` baskets; what the last basket lacks is lost."""
    units = requests * market.basket
    taken = min(units, scratch.left[m, i])
    scratch.left[m, i] -= taken
    state.lost[m, i] += units - taken
