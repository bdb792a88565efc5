"""Customers come one by one: a first choice, and where it is sold out a lost sale and perhaps a second choice.

The usual way, without a data-dependent branch until a seller is out of stock; ``stages`` serves crowds.
"""

from __future__ import annotations

import numpy as np

from market.kernel.choice import second_choices
from market.kernel.jit import compiled
from market.kernel.randomness import GOLDEN, SUBSTITUTE, mix, unit


@compiled(inline=True)
def serve_one_by_one(market, state, scratch, m, n, customers, stream):
    """Customers come one by one; one whose first choice is short of stock is a lost sale and may choose again."""
    left, basket, served_by = scratch.left, market.basket, -1
    accumulate(scratch.first, scratch.threshold, m, n, n - 1 if scratch.weight[m, n] == 0.0 else -1)
    for customer in range(int(customers)):
        bits = mix(stream + np.uint64(customer) * GOLDEN)
        choice = pick(scratch.threshold, m, n, unit(bits))
        if left[m, choice] >= basket:
            left[m, choice] -= basket
            continue
        if take_what_is_left(market, state, scratch, m, choice):
            continue
        in_stock = count_in_stock(scratch, m, n)
        if in_stock != served_by:
            served_by = in_stock
            choose_again(market, scratch, m, n)
        u = unit(mix(bits ^ SUBSTITUTE))
        if u < market.substitution:
            choice = pick(scratch.again, m, n, u / market.substitution)
            if choice < n:
                take_what_is_left(market, state, scratch, m, choice)


@compiled(inline=True)
def accumulate(probability, threshold, m, n, last):
    """Set the thresholds of a uniform number; from seller ``last`` on they are never met (-1: none is)."""
    total = 0.0
    for i in range(n):
        total += probability[m, i]
        threshold[m, i] = 2.0 if 0 <= last <= i else total


@compiled(inline=True)
def pick(threshold, m, n, u):
    """The option whose interval holds u: the number of thresholds that u has passed (no branch)."""
    choice = 0
    for i in range(n):
        choice += u >= threshold[m, i]
    return choice


@compiled(inline=True)
def take_what_is_left(market, state, scratch, m, i):
    """A customer takes a basket, or what there is, from seller i; the rest is lost. Whether it got anything."""
    taken = min(market.basket, scratch.left[m, i])
    scratch.left[m, i] -= taken
    state.lost[m, i] += market.basket - taken
    return taken > 0.0


@compiled(inline=True)
def count_in_stock(scratch, m, n):
    """How many sellers have stock; within a period this only falls, so it tells when second choices change."""
    count = 0
    for i in range(n):
        count += scratch.left[m, i] > 0.0
    return count


@compiled()
def choose_again(market, scratch, m, n):
    """Set the thresholds of a second choice among the sellers in stock."""
    second_choices(market, scratch, m, n)
    last = -1
    if scratch.weight[m, n] == 0.0:
        for i in range(n):
            if scratch.left[m, i] > 0.0:
                last = i
    accumulate(scratch.second, scratch.again, m, n, last)
