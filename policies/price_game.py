"""The exact best response to rivals whose prices depend on the last prices alone: dynamic programming over them.

It exists where goods are made to order, demand is deterministic and the rivals decide on grids, as in the market of
Calvano et al. (2020): what a rival sees is then a function of the prices that all posted last, so those prices are
the whole state. A learned policy can so be held against the truth, where its memory matters most.

N sellers, K_i prices on seller i's grid, S = product of K_i states, A = K_seat decisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from market.batch import MarketBatch
from market.decisions import Decisions
from market.errors import Refusal
from market.layout import Floats
from market.optimum import why_not
from market.spec import MarketSpec
from policies.seller import Memory, Seller, View, look
from policies.trained import TrainedSeller

MOST_STATES = 3_000
# So near to 1 that in a deterministic game of so few states the discounted optimum is also the best cycle.
PATIENCE = 0.99999
ROUNDS = 200


@dataclass(frozen=True, eq=False)
class PriceResponse:
    """Posts the best price after every combination of last prices. Satisfies :class:`policies.seller.Seller`.

    ``table`` (S,) holds prices, money per unit; ``grids`` the prices of every seller in seat order; a state's number
    counts the seats' price indices in seat order, the last seat fastest.
    """

    seat: int
    grids: list[Floats]
    table: Floats

    def start(self, markets: int) -> Memory:
        """Nothing to remember."""
        return {}

    def act(self, view: View, memory: Memory) -> tuple[Floats, Floats, Memory]:
        """Price (M,) by the last prices (off a grid: the nearest on it); orders nothing."""
        count = len(self.grids)
        if view.rivals_price is None:
            raise Refusal("the rivals' prices are hidden in this view")
        last = np.empty((len(view.price), count))
        last[:, self.seat] = view.price
        last[:, [(self.seat + offset) % count for offset in range(1, count)]] = view.rivals_price
        at = np.zeros(len(last), np.int64)
        for k, grid in enumerate(self.grids):
            at = at * len(grid) + np.abs(last[:, k, None] - grid).argmin(axis=1)
        return self.table[at], np.zeros(len(at)), memory


def price_response(spec: MarketSpec, seat: int, sellers: Sequence[Seller]) -> PriceResponse:
    """Return the best response of ``seat``, on its own grid, to ``sellers`` (one a seat; its own is not looked at).

    Policy iteration (Howard 1960) on the deterministic game that the rivals leave: the rivals' next prices follow
    from the last ones, found by asking them after every combination of prices has been posted once.

    Raises:
        Refusal: with the reason where last prices are not the whole state.
    """
    _refuse_other_states(spec, seat, sellers)
    grids = [Decisions(spec, k, "grid").prices for k in range(len(spec.sellers))]
    sizes = [len(grid) for grid in grids]
    states = int(np.prod(sizes))
    if states > MOST_STATES:
        raise Refusal(f"no exact best response: {states:,} combinations of prices, more than {MOST_STATES:,}")
    corners = np.stack(np.meshgrid(*grids, indexing="ij"), axis=-1).reshape(states, len(grids))
    replies = _replies(spec, seat, sellers, corners)
    following, earned = np.empty((states, sizes[seat]), np.int64), np.empty((states, sizes[seat]))
    profit = _profit(spec, seat, corners)
    for a, price in enumerate(grids[seat]):
        replies[:, seat] = price
        at = np.zeros(states, np.int64)
        for k, grid in enumerate(grids):
            at = at * len(grid) + np.abs(replies[:, k, None] - grid).argmin(axis=1)
        following[:, a], earned[:, a] = at, profit[at]
    return PriceResponse(seat, grids, grids[seat][_best_cycle(following, earned)])


def _refuse_other_states(spec: MarketSpec, seat: int, sellers: Sequence[Seller]) -> None:
    reason = why_not(spec, seat)
    if spec.sellers[seat].price_change_cost > 0:
        reason = "price_change_cost is above 0"
    if spec.stocked:
        reason = "sellers hold stock, and learned rivals' prices depend on theirs"
    elif spec.customers.mode != "expected" or _random(spec):
        reason = "learned rivals see sales, which chance has a part in"
    elif spec.visibility.rivals_prices == "hidden":
        reason = "market.visibility.rivals_prices is hidden"
    for k, seller in enumerate(sellers):
        on_grid = isinstance(seller, TrainedSeller) and seller.decisions.encoding == "grid"
        if reason is None and k != seat and not on_grid:
            reason = f"{spec.names[k]} does not decide on a grid of prices"
    if reason is None and spec.sellers[seat].grid is None:
        reason = f"{spec.names[seat]} has no grid of prices"
    if reason is not None:
        raise Refusal(f"no exact best response: {reason}")


def _random(spec: MarketSpec) -> bool:
    customers = spec.customers
    moving = customers.weekly or customers.yearly or customers.trend or customers.surges or customers.shock.sd
    return bool(moving or spec.demand_shock.common or any(seller.xi for seller in spec.sellers))


def _replies(spec: MarketSpec, seat: int, sellers: Sequence[Seller], corners: Floats) -> Floats:
    """What everybody but ``seat`` posts after the prices (S, N)."""
    batch = MarketBatch(spec.model_copy(update={"horizon": 2}), len(corners))
    batch.reset()
    batch.step(corners, np.zeros_like(corners))
    observation, replies = batch.observe(), corners.copy()
    for k, seller in enumerate(sellers):
        if k != seat:
            replies[:, k] = seller.act(look(batch, k, observation), seller.start(len(corners)))[0]
    return replies


def _profit(spec: MarketSpec, seat: int, corners: Floats) -> Floats:
    """The seat's profit (S,) of a period at prices (S, N), by the market itself."""
    batch = MarketBatch(spec.model_copy(update={"horizon": 1}), len(corners))
    batch.reset()
    return np.asarray(batch.step(corners, np.zeros_like(corners))["profit"][:, seat].copy())


def _best_cycle(following: np.ndarray, earned: Floats) -> np.ndarray:
    """The best decision (S,) in every state of a deterministic game: next states and rewards (S, A)."""
    states = np.arange(len(earned))
    chosen = earned.argmax(axis=1)
    for _ in range(ROUNDS):
        moves = np.zeros((len(states), len(states)))
        moves[states, following[states, chosen]] = PATIENCE
        value = np.linalg.solve(np.eye(len(states)) - moves, earned[states, chosen])
        worth = earned + PATIENCE * value[following]
        better = worth.max(axis=1) > worth[states, chosen] + 1e-9 * np.abs(value).max()
        if not better.any():
            break
        chosen = np.where(better, worth.argmax(axis=1), chosen)
    return np.asarray(chosen)
