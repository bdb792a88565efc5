"""What a decision is worth: the market played on from a state, by the policy, by the best fixed rule, and as last period.

All on the same customers: paired, so that differences are told by far fewer episodes. What the state does not tell (the
rivals' stock and orders, demand shocks) is as after some periods of greedy play, another in every episode; what it does
tell is put in its place. E episodes, H periods.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from market.simulation.batch import MarketBatch
from market.state import Floats, Ints
from policies.common.progress import Tick, unseen
from policies.deployment.decider import Decided, Decider
from policies.evaluation.statistics import Interval, mean_interval
from policies.explain.states import RolloutStates, put
from policies.sellers.protocol import Memory, Seller, look

EPISODES, PERIODS = 512, 30
SAME = "as last period"


@dataclass(frozen=True)
class Outlook:
    """Expected profit a period over the next ``periods``, by who decides; ``gaps``: the policy's less each other's, paired."""

    periods: int
    episodes: int
    profit: dict[str, Interval]
    gaps: dict[str, Interval]


def outlook(
    decider: Decider,
    decided: Decided,
    k: int,
    periods: int = PERIODS,
    episodes: int = EPISODES,
    seed: int = 0,
    tick: Tick = unseen,
) -> Outlook:
    """What decision ``k`` is expected to earn; its first period is played as decided, rails and all.

    Profit counts stock gained or lost at unit cost, as evaluation does with a salvage of 1; at the cost that the state gives.
    Fewer periods where the episode ends before.
    """
    spec, seat = decider.spec, decider.seat
    now = decided.states.at(slice(k, k + 1))
    periods = min(periods, spec.horizon - int(now.period[0]))
    start = _around(decider, now, np.random.default_rng(seed).integers(len(decider.rollout.states), size=episodes))
    seller, cost = spec.sellers[seat], float(decided.cost[k])
    rules_of_same = f"constant(price={float(np.clip(now.price[0, seat], *seller.prices))!r})"
    if spec.stocked:
        again = np.clip(now.position(seat)[0] + now.sold[0, seat], 0.0, seller.order_up_to[1])
        rules_of_same += f"+base_stock(level={float(again)!r})"
    same = decider.fixed(rules_of_same, SAME)
    mine = {name: np.repeat(array[k : k + 1], episodes, axis=0) for name, array in decided.memory[0].items()}
    rules = {name: np.repeat(array[k : k + 1], episodes, axis=0) for name, array in decided.memory[1].items()}
    players: dict[str, tuple[Seller, Memory, tuple[float, float] | None]] = {
        decider.run.players[seat].label: (decider.seller, mine, (float(decided.price[k]), float(decided.order[k]))),
        decider.rule.label: (decider.rule, rules, (float(decided.rule[0][k]), float(decided.rule[1][k]))),
        SAME: (same, same.start(episodes), None),
    }
    found = {}
    for name, player in players.items():
        found[name] = _played(decider, player, start, periods, seed, cost)
        tick(name, episodes)
    own, *_ = found.values()
    gaps = {name: mean_interval(own - values) for name, values in found.items() if values is not own}
    return Outlook(periods, episodes, {name: mean_interval(values) for name, values in found.items()}, gaps)


@dataclass(frozen=True)
class _Start:
    """Where episodes begin: states (E,), and what the others remember there."""

    states: RolloutStates
    memories: tuple[Memory, ...]


def _around(decider: Decider, now: RolloutStates, rows: Ints) -> _Start:
    """States met in greedy play (``rows`` of them), in which all that a state tells is as in ``now`` (1,)."""
    rollout, spec, seat = decider.rollout, decider.spec, decider.seat
    states = rollout.states.at(rows)  # copies, by an array of rows
    hidden = states.on_hand.copy()
    for field in decider.fields:
        field.put(states, np.repeat(field.values(now), len(rows)))
    states.period[:], states.place[:] = now.period, now.place
    if spec.stocked and spec.visibility.rivals_stock == "flag":
        others = [k for k in range(len(spec.sellers)) if k != seat]
        there = now.on_hand[:, others] > 0
        states.on_hand[:, others] = np.where(there, np.maximum(hidden[:, others], 1.0), 0.0)
    memories = tuple({name: array[rows] for name, array in one.items()} for one in rollout.memories)
    return _Start(states, memories)


def _played(
    decider: Decider,
    player: tuple[Seller, Memory, tuple[float, float] | None],
    start: _Start,
    periods: int,
    seed: int,
    cost: float,
) -> Floats:
    """Profit a period (E,) of the seat, money, where a unit costs it ``cost``."""
    spec, seat, episodes = decider.spec, decider.seat, len(start.states)
    seller, memory, first = player
    sellers = [seller if k == seat else one for k, one in enumerate(decider.run.sellers)]
    memories = [memory if k == seat else one for k, one in enumerate(start.memories)]
    batch = MarketBatch(spec, episodes, seed)
    batch.reset()
    put(batch, start.states)
    dearer, earned = cost - spec.sellers[seat].unit_cost, np.zeros(episodes)
    opening = start.states.position(seat) if spec.stocked else 0.0
    price, order = np.empty((episodes, len(sellers))), np.empty((episodes, len(sellers)))
    for period in range(periods):
        observation = batch.observe()
        for k, one in enumerate(sellers):
            if k == seat and period == 0 and first is not None:
                price[:, k], order[:, k] = first
                continue
            price[:, k], order[:, k], memories[k] = one.act(look(batch, k, observation), memories[k])
        ledger = batch.step(price, order)
        earned += ledger["profit"][:, seat] - dearer * ledger["ordered"][:, seat]
    left = batch.state.on_hand[:, seat] + batch.on_order[:, seat] if spec.stocked else 0.0
    return np.asarray((earned + cost * (left - opening)) / periods, np.float64)
