"""The game of one period on the sellers' price grids, its payoffs played in the market itself.

Dimensions: N sellers, A_i prices of seller i, S states = product of the A_i.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from market.demand.equilibrium import prices_in_range
from market.demand.logit import Logit, profits
from market.demand.script import varies
from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.simulation.decisions import Decisions
from market.spec.models import MarketSpec
from market.state import Floats, Ints
from market.theory.newsvendor import profit_gain

MOST_A_SESSION = 20_000_000  # numbers in Q tables; four sellers of 15 prices have 3 million
FEWEST_PERIODS = 1_000  # that a payoff is averaged over where it is random
TAPE_NUMBERS = 20_000_000  # that combinations of prices played side by side may take


@dataclass(frozen=True, eq=False)
class PriceGame:
    """The game of one period on the sellers' price grids, with its payoffs taken from the market itself.

    ``prices``: one grid (A_i,) per seller; ``stride`` (N,): a state is the sum of price index x stride, the last
    seller's index moving fastest; ``payoff`` (S, N): mean profit a period when that state's prices are posted;
    ``nash`` and ``joint`` (N,): profits at the Bertrand-Nash and the joint-profit prices (in the sellers' ranges, not bound to the grids).
    Two sellers of 15 prices each: 225 states, state 16 = 1 x 15 + 1 is both at their second price.
    """

    spec: MarketSpec
    prices: tuple[Floats, ...]
    stride: Ints
    payoff: Floats
    nash: Floats
    joint: Floats

    @classmethod
    def of(cls, spec: MarketSpec, seed: int = 0) -> PriceGame:
        """Play every combination of prices; ``seed`` matters where demand is random.

        Raises :class:`UserError` with the place where the market is stocked or has reference prices, a seat has no grid,
        or there are no Nash or joint-profit prices.
        """
        prices = price_grids(spec)
        counts = np.array([len(grid) for grid in prices])
        stride = np.append(np.cumprod(counts[:0:-1])[::-1], 1).astype(np.int64)
        logit = Logit.of(spec)
        references = (profits(logit, prices_in_range(spec, joint)) for joint in (False, True))
        return cls(spec, prices, stride, mean_payoffs(spec, prices, seed), *references)

    @property
    def counts(self) -> Ints:
        """(N,) number of prices of each seller."""
        return np.array([len(grid) for grid in self.prices], np.int64)

    @property
    def states(self) -> int:
        """S."""
        return len(self.payoff)

    @property
    def shelf(self) -> int:
        """The state nearest to the prices on the shelf before anybody has decided."""
        nearest = [
            np.abs(grid - s.first_price).argmin() for grid, s in zip(self.prices, self.spec.sellers, strict=True)
        ]
        return int(np.dot(nearest, self.stride))

    def index(self, state: ArrayLike) -> Ints:
        """Price indices (..., N) of states (...)."""
        return np.asarray(np.asarray(state)[..., None] // self.stride % self.counts, np.int64)

    def posted(self, state: ArrayLike) -> Floats:
        """Prices (..., N) of states (...), money per unit."""
        index = self.index(state)
        return np.stack([grid[index[..., i]] for i, grid in enumerate(self.prices)], axis=-1)

    def gain(self, profit: ArrayLike) -> Floats:
        """Calvano's Delta (...) of profits (..., N): 0 at Bertrand-Nash, 1 at joint profit, of the sellers' total."""
        profit = np.asarray(profit, np.float64)
        flat = [profit_gain(one, self.nash, self.joint) for one in profit.reshape(-1, profit.shape[-1])]
        return np.array(flat).reshape(profit.shape[:-1])


def price_grids(spec: MarketSpec) -> tuple[Floats, ...]:
    """Each seat's prices; raise :class:`UserError` where memory of prices alone is no state, or a grid is missing."""
    if spec.stocked:
        raise UserError(
            "market.inventory: tabular sellers remember prices and nothing else, so stock would be hidden from them; "
            "they need inventory: make_to_order"
        )
    if (spec.tape is not None or len(spec.locations) > 1) and (reason := varies(spec)):
        raise UserError(f"{reason}, and tabular sellers remember prices and nothing else")
    if spec.prices_linger:
        raise UserError(
            "market.reference_price.weight: is above 0, so that prices posted before move the payoffs of a period, and "
            "prices on a grid are no game of one period; leave reference_price out"
        )
    if spec.visibility.rivals_prices == "hidden":
        raise UserError(
            "market.visibility.rivals_prices: tabular sellers remember their rivals' prices; they need last"
        )
    grids = tuple(Decisions(spec, seat, "grid").prices for seat in range(len(spec.sellers)))
    for seat, grid in enumerate(grids):
        if len(np.unique(grid)) < len(grid):
            raise UserError(f"{spec.seat_place(seat)}.grid.prices: must be different prices")
    states = math.prod(len(grid) for grid in grids)
    if states * len(grids) * max(map(len, grids)) > MOST_A_SESSION:
        shape = " x ".join(str(len(grid)) for grid in grids)
        raise UserError(f"market.sellers: {shape} prices are {states:,} states; too many for a table, use fewer prices")
    return grids


def mean_payoffs(spec: MarketSpec, prices: tuple[Floats, ...], seed: int = 0) -> Floats:
    """Mean profit a period (S, N) of every combination of prices, from the market in its fluid limit.

    Over an episode, or more of them where utilities or the number of customers are random (all combinations face the
    same shocks). Costs of changing prices are left out: each combination is posted for ever.
    """
    fluid = spec.model_copy(update={"customers": spec.customers.model_copy(update={"mode": "expected"})})
    posted = np.stack([axis.ravel() for axis in np.meshgrid(*prices, indexing="ij")], axis=1)
    parts = -(-posted.size * 2 * spec.horizon // TAPE_NUMBERS)
    return np.concatenate([_mean_profit(fluid, part, seed) for part in np.array_split(posted, parts)])


def _mean_profit(spec: MarketSpec, posted: Floats, seed: int) -> Floats:
    """The same for some combinations of prices (S, N), side by side."""
    batch = MarketBatch(spec, len(posted), np.full(len(posted), seed, np.uint64))
    sure = not (spec.customers.shock.sd or spec.demand_shock.common or any(s.xi for s in spec.sellers) or spec.events)
    episodes = 1 if sure else -(-FEWEST_PERIODS // spec.horizon)
    total = np.zeros_like(posted)
    for _ in range(episodes):
        batch.reset()
        for _ in range(spec.horizon):
            ledger = batch.step(posted, np.zeros_like(posted))
            total += ledger["profit"] + ledger["price_change_cost"]
    return np.asarray(total / (episodes * spec.horizon))
