"""Value iteration on a :class:`~market.theory.bellman.Chain`: best decisions, and what given decisions come to.

Modified policy iteration (Puterman 1994, sections 6.5 and 8.7) with damped steps ``v + 0.95 (T v - v)``, which is
the aperiodicity transformation (Schweitzer 1971; Puterman, section 8.5.4): without it orders that come back every
lead time can make values swing for ever. What the answer is worth does not rest on it: for every ``v``, the best
average lies between the least and the greatest entry of ``T v - v`` (Odoni 1969).
S states; money a period throughout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market.errors import Refusal
from market.state import Floats
from market.theory.bellman import Chain, Ints, evaluate, flow, improve

DAMPING = 0.95
TOLERANCE = 1e-9
EVALUATIONS = 20  # sweeps that follow the present decisions, which cost far less than looking for better ones
PATIENT = 100  # improvements after which every sweep improves, as plain value iteration, which always settles
ROUNDS = 20_000


@dataclass(frozen=True, eq=False)
class Solution:
    """The best decisions of a chain.

    ``price`` (an index) and ``order`` (units) are (S,); ``value`` (S,) is the expected discounted profit from each
    state, or without a discount its advantage over state 0; ``bounds`` enclose the best average profit a period, or
    with a discount factor gamma ``(1 - gamma) x`` the value of every state less what the solution says.
    """

    price: Ints
    order: Ints
    value: Floats
    bounds: tuple[float, float]


@np.errstate(under="ignore")
def best_decisions(chain: Chain, gamma: float | None) -> Solution:
    """Solve the chain for average (None) or discounted profit, to 1e-9 of its largest reward.

    Raises :class:`Refusal` where 20,000 sweeps do not bring the bounds that close.
    """
    states = int(chain.first[-1] + chain.room[-1]) + 1
    value, out = np.zeros(states), np.zeros(states)
    price, order = np.zeros(states, np.int64), np.zeros(states, np.int64)
    discount = 1.0 if gamma is None else gamma
    tolerance = TOLERANCE * max(float(np.abs(chain.reward).max()), 1e-9)
    for sweep in range(ROUNDS):
        improve(chain, discount, value, out, price, order)
        low, high = float((out - value).min()), float((out - value).max())
        if high - low <= tolerance:
            return Solution(price, order, _settled(out, value, low, high, gamma), (low, high))
        value += DAMPING * (out - value)
        for _ in range(EVALUATIONS if sweep < PATIENT else 0):
            evaluate(chain, discount, value, out, price, order)
            value += DAMPING * (out - value)
        # A constant does not change what is best, and taking it off keeps the digits for what does.
        value -= value[0]
    raise Refusal(f"the exact optimum did not settle: its average lies between {low:.6g} and {high:.6g}")


def _settled(out: Floats, value: Floats, low: float, high: float, gamma: float | None) -> Floats:
    """Values of all states: with a discount, MacQueen's (1966) extrapolation of the last step."""
    if gamma is None:
        return np.asarray(out - out[0])
    return np.asarray(out + gamma / (1.0 - gamma) * 0.5 * (low + high))


@np.errstate(under="ignore")
def long_run(chain: Chain, price: Ints, order: Ints, start: int) -> Floats:
    """The share of periods (S,) that decisions (S,) spend in each state in the long run, from state ``start`` on."""
    share = np.zeros(len(price))
    share[start] = 1.0
    out = np.zeros_like(share)
    for _ in range(ROUNDS):
        flow(chain, share, out, price, order)
        moved = float(np.abs(out - share).sum())
        share += DAMPING * (out - share)
        if moved < 1e-11:
            break
    share[share < 1e-16] = 0.0
    return np.asarray(share / share.sum())


def average(chain: Chain, price: Ints, order: Ints, share: Floats) -> float:
    """The mean profit a period of decisions (S,) that spend ``share`` (S,) of their periods in each state."""
    nothing, out = np.zeros_like(share), np.empty_like(share)
    evaluate(chain, 0.0, nothing, out, price, order)
    return float(share @ out)
