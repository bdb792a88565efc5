"""Tabular Q-learning sellers with one period of memory, in the market's own periods (Watkins & Dayan 1992).

s is the state (the price indices that all sellers posted last, as one number), a the price index that seller i posts,
m the row (a session of learning).
"""

from __future__ import annotations

import math

import numba
import numpy as np

from market.kernel.jit import compiled
from market.kernel.period import play_period
from market.kernel.randomness import GOLDEN, LEARNERS, key, mix, unit
from market.kernel.tape import begin_episode


@compiled()
def learn_serial(markets, sellers, script, tape, state, scratch, ledger, price, quantity, tables, rules, rows, most):
    for r in range(rows.shape[0]):
        learn_session(
            markets[0], sellers, script, tape, state, scratch, ledger, rows[r], price, quantity, tables, rules[0], most
        )


@compiled(parallel=True)
def learn_parallel(markets, sellers, script, tape, state, scratch, ledger, price, quantity, tables, rules, rows, most):
    for r in numba.prange(rows.shape[0]):
        learn_session(
            markets[0], sellers, script, tape, state, scratch, ledger, rows[r], price, quantity, tables, rules[0], most
        )


@compiled()
def learn_session(market, sellers, script, tape, state, scratch, ledger, m, price, quantity, tables, rule, most):
    """Row m for ``most`` periods, or until its greedy policies were unchanged for ``rule.stable``, or ``rule.longest``."""
    stream = key(state.seed[m], 0, 0, LEARNERS)
    for _ in range(most):
        if tables.unchanged[m] >= rule.stable or tables.age[m] >= rule.longest:
            return
        turn_page(market, sellers, script, tape, state, scratch, m, price)
        learn_period(market, sellers, tape, state, scratch, ledger, m, price, quantity, tables, rule, stream)


@compiled(inline=True)
def turn_page(market, sellers, script, tape, state, scratch, m, price):
    """Begin row m's next episode when this one is over: new customers, but the prices on the shelf stay."""
    if state.period[m] < tape.customers.shape[1]:
        return
    begin_episode(market, sellers, script, tape, state, scratch, m)
    for i in range(sellers.shape[0]):
        state.price[m, i] = price[m, i]


@compiled(inline=True)
def learn_period(market, sellers, tape, state, scratch, ledger, m, price, quantity, tables, rule, stream):
    """All sellers of row m post, the market plays its period, all learn from their profit (Watkins & Dayan 1992)."""
    n, s, age = sellers.shape[0], tables.state[m], tables.age[m]
    epsilon = math.exp(-rule.beta * age)
    following = 0
    for i in range(n):
        a = explore(tables, epsilon, mix(stream + np.uint64(age * n + i) * GOLDEN), m, i)
        tables.action[m, i] = a
        price[m, i] = tables.price[i, a]
        following += a * tables.stride[i]
    play_period(market, sellers, tape, state, scratch, ledger, m, price, quantity)
    changed = False
    for i in range(n):
        best_next = tables.q[m, i, following, tables.greedy[m, i, following]]
        target = ledger[m, i].profit + rule.delta * best_next
        changed |= improve(tables, rule.alpha, m, i, s, tables.action[m, i], target)
    tables.state[m] = following
    tables.age[m] = age + 1
    tables.unchanged[m] = 0 if changed else tables.unchanged[m] + 1


@compiled(inline=True)
def explore(tables, epsilon, bits, m, i):
    """Seller i's price index: any with probability epsilon, else the greedy one; one uniform number decides both."""
    u = unit(bits)
    if u < epsilon:
        return int(u / epsilon * tables.actions[i])
    return tables.greedy[m, i, tables.state[m]]


@compiled(inline=True)
def improve(tables, alpha, m, i, s, a, target):
    """Q(s, a) <- (1 - alpha) Q(s, a) + alpha target; whether the greedy price in s changes by it.

    Only when the greedy price's own value falls must the others be looked at.
    """
    old, best = tables.q[m, i, s, a], tables.greedy[m, i, s]
    value = (1.0 - alpha) * old + alpha * target
    tables.q[m, i, s, a] = value
    if a == best:
        if value < old:
            best = first_best(tables, m, i, s)
    elif value > tables.q[m, i, s, best] or (value == tables.q[m, i, s, best] and a < best):
        best = a
    changed = best != tables.greedy[m, i, s]
    tables.greedy[m, i, s] = best
    return changed


@compiled(inline=True)
def first_best(tables, m, i, s):
    """The first of seller i's best price indices in state s."""
    best = 0
    for a in range(1, tables.actions[i]):
        if tables.q[m, i, s, a] > tables.q[m, i, s, best]:
            best = a
    return best
