"""The exact dynamic programme of one seat: modified policy iteration on a :class:`MDP`.

Modified policy iteration (Puterman 1994, sections 6.5 and 8.7) with damped steps ``v + 0.95 (T v - v)``, which is
the aperiodicity transformation (Schweitzer 1971; Puterman, section 8.5.4): without it orders that come back every
lead time can make values swing for ever. What the answer is worth does not rest on it: for every ``v``, the best
average lies between the least and the greatest entry of ``T v - v`` (Odoni 1969).

The inner loops are scalar code that numba compiles and caches, like the kernel, and separate from it: they call no
compiled function of another file, nor does the kernel call them. Nothing is allocated in them. A state is a *tail*
(what arrives in 1, 2, .. L - 1 periods) and the units on hand; states of one tail lie one after the other, by units on
hand. T tails, S states, P prices, J levels, X = top + 1 where no inventory position exceeds top; money a period.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from market.errors import UserError
from market.kernel.jit import compiled
from market.state import Floats, Ints

DAMPING = 0.95
TOLERANCE = 1e-9
EVALUATIONS = 20  # sweeps that follow the present decisions, which cost far less than looking for better ones
PATIENT = 100  # improvements after which every sweep improves, as plain value iteration, which always settles
ROUNDS = 20_000
PACED, SLACK = 500, 4.0  # sweeps between two looks at the pace, and how many times too slow it may be


class MDP(NamedTuple):
    """One seat's decision problem as arrays."""

    first: Ints  # (T,) the tail's state with nothing on hand
    room: Ints  # (T,) the most units on hand beside the tail
    after: Ints  # (T, X) the next state when nothing is left and q are ordered
    levels: Ints  # (J,) order-up-to levels, ascending
    charge: Floats  # (X,) purchase and order cost of q units, money
    reward: Floats  # (P, X) expected revenue less holding and stockout cost with x units for sale, money
    demand: Floats  # (P, X) probability that demand is X - 1 - k units
    dry: Floats  # (P, X) probability that demand is at least x units
    least: Ints  # (P,) demands below it hardly happen
    most: Ints  # (P,) nor do demands above it
    at_once: int  # 1 where an order arrives before the period's customers (lead time 0)


@compiled()
def expected(mdp: MDP, value: Floats, p: int, x: int, base: int) -> float:
    """The mean value of the next state after posting price p with x units for sale; ``base``: where nothing is left.

    Four sums side by side, which the processor adds at the same time.
    """
    left = max(1, x - mdp.most[p])
    last = x - mdp.least[p]
    shift = mdp.demand.shape[1] - 1 - x
    a, b, c, d = mdp.dry[p, x] * value[base], 0.0, 0.0, 0.0
    while left + 3 <= last:
        a += mdp.demand[p, shift + left] * value[base + left]
        b += mdp.demand[p, shift + left + 1] * value[base + left + 1]
        c += mdp.demand[p, shift + left + 2] * value[base + left + 2]
        d += mdp.demand[p, shift + left + 3] * value[base + left + 3]
        left += 4
    while left <= last:
        a += mdp.demand[p, shift + left] * value[base + left]
        left += 1
    return float((a + b) + (c + d))


@compiled()
def worth(mdp: MDP, discount: float, value: Floats, t: int, x: int, p: int, q: int) -> float:
    """Expected profit of the period plus the discounted value of what follows: tail t, x on hand, price p, order q."""
    on_sale = x + q if mdp.at_once else x
    base = 0 if mdp.at_once else mdp.after[t, q]
    return float(mdp.reward[p, on_sale] - mdp.charge[q] + discount * expected(mdp, value, p, on_sale, base))


@compiled()
def improve(mdp: MDP, discount: float, value: Floats, out: Floats, price: Ints, order: Ints) -> None:
    """``out`` = the value (S,) of the best decision in every state, which ``price`` and ``order`` (S,) then hold.

    Of equally good decisions the lowest price at the lowest level.
    """
    top = mdp.charge.shape[0] - 1
    for t in range(mdp.first.shape[0]):
        for x in range(mdp.room[t] + 1):
            s, position, before = mdp.first[t] + x, x + top - mdp.room[t], -1
            best = -np.inf
            for j in range(mdp.levels.shape[0]):
                q = max(mdp.levels[j] - position, 0)
                if q == before:
                    continue
                before = q
                for p in range(mdp.reward.shape[0]):
                    total = worth(mdp, discount, value, t, x, p, q)
                    if total > best:
                        best, price[s], order[s] = total, p, q
            out[s] = best


@compiled()
def evaluate(mdp: MDP, discount: float, value: Floats, out: Floats, price: Ints, order: Ints) -> None:
    """``out`` = the value (S,) of playing the given decisions for a period."""
    for t in range(mdp.first.shape[0]):
        for x in range(mdp.room[t] + 1):
            s = mdp.first[t] + x
            out[s] = worth(mdp, discount, value, t, x, price[s], order[s])


@compiled()
def flow(mdp: MDP, share: Floats, out: Floats, price: Ints, order: Ints) -> None:
    """``out`` = how probability ``share`` (S,) is spread over states a period later."""
    out[:] = 0.0
    for t in range(mdp.first.shape[0]):
        for x in range(mdp.room[t] + 1):
            s = mdp.first[t] + x
            if share[s] < 1e-18:
                continue
            p, q = price[s], order[s]
            on_sale = x + q if mdp.at_once else x
            base = 0 if mdp.at_once else mdp.after[t, q]
            out[base] += share[s] * mdp.dry[p, on_sale]
            shift = mdp.demand.shape[1] - 1 - on_sale
            for left in range(max(1, on_sale - mdp.most[p]), on_sale - mdp.least[p] + 1):
                out[base + left] += share[s] * mdp.demand[p, shift + left]


@dataclass(frozen=True, eq=False)
class Solution:
    """The best decisions of an :class:`MDP`.

    ``price`` (an index) and ``order`` (units) are (S,); ``value`` (S,) is the expected discounted profit from each
    state, or without a discount its advantage over state 0; ``bounds`` enclose the best average profit a period, or
    with a discount factor gamma ``(1 - gamma) x`` the value of every state less what the solution says.
    """

    price: Ints
    order: Ints
    value: Floats
    bounds: tuple[float, float]


@np.errstate(under="ignore")
def best_decisions(mdp: MDP, gamma: float | None) -> Solution:
    """Solve an :class:`MDP` for average (None) or discounted profit, to 1e-9 of its largest reward.

    Raises :class:`UserError` where 20,000 sweeps do not bring the bounds that close, or by their pace never will: where
    stock hardly ever moves, values spread from state to state as rarely.
    """
    states = int(mdp.first[-1] + mdp.room[-1]) + 1
    value, out = np.zeros(states), np.zeros(states)
    price, order = np.zeros(states, np.int64), np.zeros(states, np.int64)
    discount, width = 1.0 if gamma is None else gamma, math.inf
    tolerance = TOLERANCE * max(float(np.abs(mdp.reward).max()), 1e-9)
    for sweep in range(ROUNDS):
        improve(mdp, discount, value, out, price, order)
        low, high = float((out - value).min()), float((out - value).max())
        if high - low <= tolerance:
            return Solution(price, order, _settled(out, value, low, high, gamma), (low, high))
        if sweep % PACED == 0:
            if sweep and _still_to_go(width, high - low, tolerance) > SLACK * ROUNDS:
                break
            width = high - low
        value += DAMPING * (out - value)
        for _ in range(EVALUATIONS if sweep < PATIENT else 0):
            evaluate(mdp, discount, value, out, price, order)
            value += DAMPING * (out - value)
        # A constant does not change what is best, and taking it off keeps the digits for what does.
        value -= value[0]
    raise UserError(f"the exact optimum did not settle: its average lies between {low:.6g} and {high:.6g}")


def _still_to_go(before: float, now: float, tolerance: float) -> float:
    """Sweeps until bounds that were ``before`` apart, and ``now``, :data:`PACED` sweeps later, are, are close: a geometric pace."""
    return PACED * math.log(tolerance / now) / math.log(now / before) if now < before else math.inf


def _settled(out: Floats, value: Floats, low: float, high: float, gamma: float | None) -> Floats:
    """Values of all states: with a discount, MacQueen's (1966) extrapolation of the last step."""
    if gamma is None:
        return np.asarray(out - out[0])
    return np.asarray(out + gamma / (1.0 - gamma) * 0.5 * (low + high))


@np.errstate(under="ignore")
def long_run(mdp: MDP, price: Ints, order: Ints, start: int) -> Floats:
    """The share of periods (S,) that decisions (S,) spend in each state in the long run, from state ``start`` on."""
    share = np.zeros(len(price))
    share[start] = 1.0
    out = np.zeros_like(share)
    for _ in range(ROUNDS):
        flow(mdp, share, out, price, order)
        moved = float(np.abs(out - share).sum())
        share += DAMPING * (out - share)
        if moved < 1e-11:
            break
    share[share < 1e-16] = 0.0
    return np.asarray(share / share.sum())


def average(mdp: MDP, price: Ints, order: Ints, share: Floats) -> float:
    """The mean profit a period of decisions (S,) that spend ``share`` (S,) of their periods in each state."""
    nothing, out = np.zeros_like(share), np.empty_like(share)
    evaluate(mdp, 0.0, nothing, out, price, order)
    return float(share @ out)
