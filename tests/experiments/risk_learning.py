"""What risk aversion buys: the same learner neutral and averse, on the same customers.

Dimensions: E episodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from market.metrics.risk import conditional_value_at_risk
from market.metrics.summary import episode_profit
from market.state import Floats
from policies.config.run import RunConfig, read_config
from policies.sellers.network_seller import NetworkSeller
from policies.sellers.rollout import play
from tests.helpers.learning import FRESH, train_best

MARKET = Path(__file__).with_name("cold_snap.yaml")
RISK = {"cvar": 0.05}
# Both sellers of a pair learn with these, which the table was made with, whatever the defaults are by now.
SMALL_BATCHES = {"batch_size": 256, "replay_ratio": 0.5, "lr_final": 0.1}
SHARED: dict[str, dict[str, object]] = {
    # a network of quantiles has no values as sums of parts, so the neutral one of the pair has none either
    "dqn": SMALL_BATCHES | {"lr": 1e-3, "n_step": 3, "axes": False},
    "ddpg": SMALL_BATCHES | {"lr": 1e-3, "tau": 0.02, "noise_final": 0.05},
    "a2c": {"lr_final": 0.1, "saturation": 0.0},
}
LEVEL = 0.05
EPISODES = 4096
RESAMPLED = 2000


def configuration(learner: str, averse: bool, **changes: object) -> RunConfig:
    """The market of cold snaps with one learner in it."""
    config = read_config(MARKET, [f"seats.merchant={learner}", *(f"{key}={value}" for key, value in changes.items())])
    options = SHARED[learner] | ({"risk": RISK} if averse else {})
    return config.model_copy(update={"learners": {learner: options}})


def earned(config: RunConfig, seller: NetworkSeller) -> Floats:
    """Profit a period of each episode (E,), on customers that no run has seen."""
    spec, settings = config.market, config.evaluation
    ledger = play(spec, [seller], markets=EPISODES, seed=FRESH, fields=("profit", "on_hand_left", "on_order"))
    profit = episode_profit(ledger, spec, settings.warm_up, settings.salvage)[:, 0]
    return np.asarray(profit / (spec.horizon - settings.warm_up))


@dataclass(frozen=True)
class Pair:
    """A neutral and an averse seller in the same episodes (E,), and bounds of averse less neutral, 95 %."""

    neutral: Floats
    averse: Floats

    def bounds(self, tail: bool) -> tuple[float, float]:
        """Of the difference in mean profit, or in CVaR; by resampling episodes, both sellers' together."""
        rng = np.random.default_rng(0)
        found = []
        for _ in range(RESAMPLED):
            drawn = rng.integers(0, len(self.neutral), len(self.neutral))
            pair = self.averse[drawn], self.neutral[drawn]
            one, other = (conditional_value_at_risk(p, LEVEL) if tail else p.mean() for p in pair)
            found.append(float(one) - float(other))
        low, high = np.quantile(found, [0.025, 0.975])
        return float(low), float(high)


def trained_pair(learner: str, seed: int) -> Pair:
    """Train both and play them."""
    profits = []
    for averse in (False, True):
        config = configuration(learner, averse)
        (seller,) = train_best(config, seed).values()
        profits.append(earned(config, seller))
    return Pair(*profits)
