"""A market in which memory pays, the most that can be earned in it, and a seller that remembers as well as one can.

One seller posts prices, what is bought is produced. A demand shock xi to utility, AR(1) and never seen, moves the best
price; three customers a period come on average, so last period's sales say little about it and many periods' a lot.

Dimensions: M markets, G values of xi, P prices, T periods.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import norm, poisson

from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.state import Floats
from policies.config.run import RunConfig, parse_run
from policies.sellers.protocol import Memory, View

RATE, QUALITY, SENSITIVITY, COST, SD, PERSISTENCE = 3.0, 2.0, 2.0, 1.0, 2.0, 0.98
PRICES = np.linspace(1.2, 4.0, 8)
MOST_SOLD = 25  # a day: more are as good as never sold, whatever xi
HIDDEN = np.linspace(-4.5, 4.5, 121) * SD

MARKET: dict[str, Any] = {
    "name": "hidden_demand",
    "period": "day",
    "horizon": 200,
    "inventory": "make_to_order",
    "price_sensitivity": SENSITIVITY,
    "customers": {"rate": RATE},
    "demand_shock": {"common": SD, "persistence": PERSISTENCE},
    "sellers": [
        {
            "name": "shop",
            "quality": QUALITY,
            "unit_cost": COST,
            "prices": [float(PRICES[0]), float(PRICES[-1])],
            "grid": {"prices": len(PRICES)},
            "reward_scale": 1.0,
        }
    ],
}

# Nothing that the seller does today moves tomorrow's demand, so a long horizon of values only adds noise.
SHARED: dict[str, dict[str, Any]] = {
    "dqn": {"gamma": 0.5, "n_step": 1, "batch_size": 256, "replay_ratio": 0.5, "lr": 1e-3, "lr_final": 0.1},
    "a2c": {"gamma": 0.5, "lr_final": 0.1, "saturation": 0.0},
    "ddpg": {"gamma": 0.5, "batch_size": 256, "replay_ratio": 2.0, "lr": 1e-3, "lr_final": 0.1}
    | {"tau": 0.02, "noise_final": 0.05},
}
WITH: dict[str, list[dict[str, Any]]] = {
    "dqn": [{"recurrent": "gru"}, {"recurrent": "lstm"}],
    "a2c": [{"recurrent": "gru"}, {"recurrent": "lstm"}],
    "ddpg": [{"stack": 8}],
}


def memory_run(learner: str, budget: int, **options: Any) -> RunConfig:
    """The market with one learner."""
    player = {"learner": learner, **options} if options else learner
    training = {"budget": budget, "markets": 128, "evaluation_episodes": 128}
    data = {"market": MARKET, "seats": {"shop": player}, "training": training, "evaluation": {"warm_up": 20}}
    return parse_run(data, "memory_market")


def buying(price: Floats) -> Floats:
    """Share of customers that buy at each price, for every xi: (P, G)."""
    share: Floats = 1 / (1 + np.exp(-(QUALITY - SENSITIVITY * np.asarray(price)[:, None] + HIDDEN)))
    return share


def stationary() -> Floats:
    """Probabilities (G,) of xi in the long run, a normal distribution."""
    weights = norm.pdf(HIDDEN / SD)
    return np.asarray(weights / weights.sum())


def full_information_on(spec: MarketSpec, price: Floats, episodes: int, seed: int, warm_up: int) -> Floats:
    """The most that a seller who saw xi could earn a period, in the mean of each episode (M,): nothing moves xi."""
    batch = MarketBatch(spec, episodes, seed)
    batch.reset()
    xi = batch.tape.xi[:, warm_up:, 0]
    most = np.zeros_like(xi)
    for p in price:
        most = np.maximum(most, (p - COST) * RATE / (1 + np.exp(-(QUALITY - SENSITIVITY * p + xi))))
    return np.asarray(most.mean(axis=1))


def best_constant(price: Floats) -> tuple[float, float]:
    """The price that earns most for ever, and what it earns a period."""
    profit = (price - COST) * RATE * (buying(price) @ stationary())
    return float(price[profit.argmax()]), float(profit.max())


class Filter:
    """Posts what is best for its belief about xi, the exact posterior of all sales so far on a grid of xi.

    It does not try prices in order to learn, so it is a lower bound of what perfect memory earns.
    """

    @np.errstate(under="ignore")
    def __init__(self, price: Floats = PRICES) -> None:
        self.price, self.share = price, buying(price)
        self.profit = (price[:, None] - COST) * RATE * self.share
        # (P, most units + 1, G): sold units are Poisson, as buyers are drawn from a Poisson number of customers
        self.likelihood = poisson.pmf(np.arange(MOST_SOLD + 1)[:, None], RATE * self.share[:, None])
        step = norm.pdf((HIDDEN[None] - PERSISTENCE * HIDDEN[:, None]) / (SD * np.sqrt(1 - PERSISTENCE**2)))
        self.moves = step / step.sum(axis=1, keepdims=True)

    def start(self, markets: int) -> Memory:
        """The long-run distribution; no price posted yet."""
        return {"belief": np.tile(stationary(), (markets, 1)), "posted": np.full(markets, -1)}

    def act(self, view: View, memory: Memory) -> tuple[Floats, Floats, Memory]:
        """Bayes' rule with last period's sales, a step of xi, then the price that the belief thinks best."""
        posted, belief = memory["posted"], memory["belief"]
        with np.errstate(under="ignore"):
            told = belief * self.likelihood[posted, np.minimum(view.sold, MOST_SOLD).astype(int)]
            told = told / told.sum(axis=1, keepdims=True) @ self.moves
            belief = np.where(posted[:, None] < 0, belief, told)
            best = (belief @ self.profit.T).argmax(axis=1)
        return self.price[best], np.zeros(len(best)), {"belief": belief, "posted": best}
