"""The exact best response to rivals whose next price follows from last period's prices alone, made to order.

Such rivals (memory 1: a learner on a grid before deterministic demand, or rules such as ``undercut`` and ``match``) turn
the market into a graph. Its nodes are the prices that the rivals are about to post; a node's edges are the prices that
the seat may post against them, each leading to what the rivals post next. What the seat can earn a period in the long
run is the largest mean of a cycle that it can reach: Karp (1978), "A characterization of the minimum cycle mean in a
digraph", *Discrete Mathematics* 23, theorem 1.

A prices of the seat, B nodes, N sellers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from market.batch import MarketBatch
from market.decisions import axis_values
from market.equilibrium import Logit, calendar, profits
from market.errors import Refusal
from market.layout import Floats
from market.optimum import PRICES, why_not
from market.spec import MarketSpec
from policies.fixed import FixedSeller
from policies.seller import Memory, Seller, View, look

MOST = 500  # nodes; Karp's theorem takes their third power
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PriceCycle:
    """A seller that posts ``price`` (B,) at each node and goes on to node ``following`` (B,); it begins at node 0.

    ``average``: its profit a period in the long run, money, the most that any policy on the same ``prices`` (A,) can
    earn. It need not look at anything, since nothing that the rivals do can surprise it.
    """

    price: Floats
    following: Ints
    average: float
    prices: Floats

    def start(self, markets: int) -> Memory:
        """At the node of the rivals' first prices."""
        return {"node": np.zeros(markets, np.int64)}

    def act(self, view: View, memory: Memory) -> tuple[Floats, Floats, Memory]:
        """Price (M,), no order, and the node that follows."""
        node = memory["node"]
        return self.price[node], np.zeros(len(node)), {"node": self.following[node]}


def best_price_cycle(
    spec: MarketSpec, seat: int, rivals: Mapping[int, Seller], prices: Floats | None = None
) -> PriceCycle:
    """Return the policy of ``seat`` that earns most a period in the long run, beginning where an episode begins.

    Args:
        rivals: every other seat's seller.
        prices: what the seat may post (A,); default its own grid where it decides on one, else 81 prices evenly spaced.

    Example: the rival posts 2 after it saw 2, else 1. A seat that earns 3 by posting 1 against 2, 2 by posting 2
    against 2 and 0 against 1 posts 2 for ever: 2 a period, where 1 in turn with anything else gives (3 + 0) / 2.

    Raises:
        Refusal: a rival's next price depends on more than the last prices, or takes too many values.
    """
    if reason := _why_not(spec, seat, rivals):
        raise Refusal(reason)
    seller = spec.sellers[seat]
    if prices is None:
        grid = seller.grid.prices if seller.grid is not None and seller.actions == "grid" else PRICES
        prices = np.unique(axis_values(grid, seller.prices))
    nodes, leads = _graph(spec, seat, rivals, prices)
    logit = Logit.of(spec)
    earned = np.stack([profits(logit, _posted(spec, seat, prices, node))[:, seat] for node in nodes])  # (B, A)
    average, choice = best_cycle(earned, leads)
    at = np.arange(len(nodes))
    return PriceCycle(prices[choice], leads[at, choice], average, prices)


def _why_not(spec: MarketSpec, seat: int, rivals: Mapping[int, Seller]) -> str | None:
    """Why no memory of one period suffices, or None."""
    if spec.stocked:
        return "market.inventory is stocked, where what follows depends on everybody's stock"
    if reason := why_not(spec, seat, 0.5):
        return reason
    if np.ptp(calendar(spec, np.arange(spec.horizon))) > 0:
        return "demand changes with the calendar (customers.weekly, yearly, trend or surges)"
    customers, shock = spec.customers, spec.demand_shock
    noisy = customers.mode == "sampled" or customers.shock.sd > 0
    noisy |= shock.common > 0 or any(one.xi > 0 for one in spec.sellers)
    for k, rival in rivals.items():
        if rival.start(1):
            return f"{spec.names[k]} remembers more than the last prices"
        if noisy and not isinstance(rival, FixedSeller):
            return f"{spec.names[k]} is learned and sees its own sales, which are random here"
    return None


def _posted(spec: MarketSpec, seat: int, own: Floats, node: Floats) -> Floats:
    """All sellers' prices (A, N): the seat's own (A,) beside the rivals' (N, its own entry not looked at)."""
    posted = np.repeat(node[None], len(own), axis=0)
    posted[:, seat] = own
    return posted


def _graph(spec: MarketSpec, seat: int, rivals: Mapping[int, Seller], prices: Floats) -> tuple[Floats, Ints]:
    """Nodes (B, N), the first one's prices first, and the node (B, A) that each of the seat's prices leads to."""
    batch = MarketBatch(spec, len(prices))
    batch.reset()
    nodes = list(_answers(batch, rivals)[:1])
    number, leads = {nodes[0].tobytes(): 0}, list[list[int]]()
    while len(leads) < len(nodes):
        batch.reset(seed=0)
        batch.step(_posted(spec, seat, prices, nodes[len(leads)]), np.zeros((len(prices), len(nodes[0]))))
        answers = _answers(batch, rivals)
        if not leads:
            _refuse_random(batch, rivals, answers)
        for answer in answers:
            if number.setdefault(answer.tobytes(), len(nodes)) == len(nodes):
                nodes.append(answer)
        if len(nodes) > MOST:
            raise Refusal(f"the rivals post more than {MOST} different prices, as they do not decide on a grid")
        leads.append([number[answer.tobytes()] for answer in answers])
    return np.stack(nodes), np.array(leads, np.int64)


def _answers(batch: MarketBatch, rivals: Mapping[int, Seller]) -> Floats:
    """What the rivals post in each row now (A, N)."""
    observation, found = batch.observe(), np.zeros_like(batch.state.price)
    for k, rival in rivals.items():
        found[:, k] = rival.act(look(batch, k, observation), rival.start(batch.markets))[0]
    return found


def _refuse_random(batch: MarketBatch, rivals: Mapping[int, Seller], answers: Floats) -> None:
    """Other random bits must leave the answers as they are."""
    batch.state.seed[:] += np.uint64(1)
    again = _answers(batch, rivals)
    for k in rivals:
        if not np.array_equal(again[:, k], answers[:, k]):
            raise Refusal(f"{batch.spec.names[k]} draws its prices at random")


def best_cycle(earned: Floats, leads: Ints) -> tuple[float, Ints]:
    """Return the largest mean of a cycle within reach of node 0, and a choice (B,) at each node that attains it.

    Args:
        earned: (B, A) what each choice at each node earns.
        leads: (B, A) the node that it leads to. All nodes must be within reach of node 0.

    Example: node 0 stays for 1 or goes to node 1 for 0, node 1 goes back for 5 or stays for 2: 2.5, going round.
    """
    count = len(earned)
    weight, choice = np.full((count, count), -np.inf), np.zeros((count, count), np.int64)
    for k in range(earned.shape[1]):  # the best of the choices that lead to the same node
        at = np.arange(count), leads[:, k]
        better = earned[:, k] > weight[at]
        weight[at] = np.where(better, earned[:, k], weight[at])
        choice[at] = np.where(better, k, choice[at])
    best = _largest_cycle_mean(weight)
    potential = _longest_to_best_cycle(weight - best)
    to = np.argmax(weight - best + potential, axis=1)
    return best, choice[np.arange(count), to]


def _largest_cycle_mean(weight: Floats) -> float:
    """Karp's theorem: ``max_v min_k (D_n(v) - D_k(v)) / (n - k)``, ``D_k(v)`` the longest walk of k edges from node 0."""
    count = len(weight)
    longest = np.full((count + 1, count), -np.inf)
    longest[0, 0] = 0.0
    for k in range(count):
        longest[k + 1] = (longest[k][:, None] + weight).max(axis=0)
    ends = np.isfinite(longest[count])
    left = (count - np.arange(count))[:, None]
    means = np.where(np.isfinite(longest[:count, ends]), (longest[count, ends] - longest[:count, ends]) / left, np.inf)
    return float(means.min(axis=0).max())


def _longest_to_best_cycle(reduced: Floats) -> Floats:
    """The longest walk (B,) from each node to a best cycle, of weights less the best mean: no cycle is then positive.

    -inf where there is none. Floyd (1962); a node is on a best cycle where the longest way back to itself is 0.
    """
    walk = reduced.copy()
    for k in range(len(walk)):
        walk = np.maximum(walk, walk[:, k : k + 1] + walk[k : k + 1])
    scale = float(np.abs(reduced[np.isfinite(reduced)]).max())
    back = np.diagonal(walk)
    on_cycle = back >= back.max() - 1e-9 * max(scale, 1e-300)
    np.fill_diagonal(walk, np.maximum(back, 0.0))
    return np.asarray(walk[:, on_cycle].max(axis=1))
