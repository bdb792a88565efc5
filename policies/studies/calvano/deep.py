"""DQN and A2C sellers in the market of the tabular ones: trained by self-play, then read off as strategy tables.

Dimensions: M seeds, N seats, S states.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.simulation.observation import feature_list
from market.spec.models import MarketSpec
from market.state import Ints
from market.theory.price_game import PriceGame
from policies.common.interrupt import raise_swallowed
from policies.config.run import RunConfig
from policies.sellers.protocol import Seller, look
from policies.studies.calvano.strategies import Strategies

LEARNERS = ("dqn", "a2c")


def refuse_more_than_prices(spec: MarketSpec) -> None:
    """Raise :class:`UserError` where what a seller sees is more than last period's prices, so that no table says all."""
    known = ("own_price", "own_sold")
    other = [f.name for f in feature_list(spec) if f.name not in known and not f.name.endswith("_price")]
    if other:
        raise UserError(
            f"{spec.name}: its sellers see {other[0]}, so their play is no table of last prices; use --seeds 0"
        )
    random = spec.demand_shock.common or spec.customers.shock.sd or any(seller.xi for seller in spec.sellers)
    if random or spec.customers.mode == "sampled" or spec.customers.trend:
        raise UserError(f"{spec.name}: units sold are random, so sellers see more than last prices; use --seeds 0")


def strategy_table(seller: Seller, game: PriceGame, seat: int) -> Ints:
    """The seller's price index (S,) after every state, asked in the market itself: one row posts one state's prices."""
    batch = MarketBatch(game.spec, game.states)
    batch.reset()
    posted = game.posted(np.arange(game.states))
    batch.step(posted, np.zeros_like(posted))
    price, _, _ = seller.act(look(batch, seat, batch.observe()), seller.start(batch.markets))
    return np.asarray(np.abs(price[:, None] - game.prices[seat]).argmin(axis=1), np.int64)


def deep_config(config: RunConfig, learner: str, gamma: float, budget: int | None) -> RunConfig:
    """The configuration with ``learner`` in every seat, on the seats' grids, at the tabular sellers' discount factor."""
    grids = [seller.model_copy(update={"actions": "grid"}) for seller in config.market.sellers]
    options = {**config.learners.get(learner, {}), "gamma": gamma}
    if options.get("recurrent", "none") != "none" or options.get("stack", 1) != 1:
        raise UserError(f"learners.{learner}: sellers that remember have no table of last prices; use --seeds 0")
    training = config.training.model_copy(update={"budget": budget or config.training.budget})
    return config.model_copy(
        update={
            "market": config.market.model_copy(update={"sellers": tuple(grids)}),
            "seats": dict.fromkeys(config.market.names, learner),
            "learners": {learner: options},
            "training": training,
        }
    )


def train_pair(config: RunConfig, game: PriceGame, seed: int, advance: Callable[[int], None]) -> Ints:
    """Train the configuration's learners against each other and return their tables (N, S).

    ``advance`` is told the seller-periods done since it was told last.
    """
    from policies.training.run import TrainingRun  # brings Tianshou, which tabular sellers do without

    training = TrainingRun(config, seed, "cpu")
    while training.play.done < config.training.budget:
        before = training.play.done
        training.play.play_period()
        raise_swallowed()
        advance(training.play.done - before)
    return np.stack([strategy_table(training.greedy(seat), game, seat) for seat in range(len(game.prices))])


def as_strategies(game: PriceGame, tables: list[Ints]) -> Strategies:
    """What was learned with several seeds; play goes on from the shelf's first prices."""
    return Strategies(game, np.stack(tables), np.full(len(tables), game.shelf))
