"""Train one learner against sellers that no longer change: an approximate best response to them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from market.decisions import Decisions
from market.metrics import episode_profit
from market.spec import MarketSpec
from policies.checkpoint import SavedSeller, save_seller
from policies.config import RunConfig
from policies.interrupt import raise_swallowed
from policies.learner import Learner
from policies.players import make_learner
from policies.seeds import row_seed
from policies.selfplay import SelfPlay
from policies.seller import Seller
from policies.simulate import play
from policies.trained import TrainedSeller

Watch = Callable[[int], None]


def score(config: RunConfig, seat: int, seller: Seller, rivals: Sequence[Seller], seed: int) -> float:
    """Mean profit a period of ``seller`` in ``seat`` against ``rivals``, on the customers kept for choosing."""
    spec, settings = config.market, config.evaluation
    seats = [seller if k == seat else rival for k, rival in enumerate(rivals)]
    ledger = play(spec, seats, markets=config.training.evaluation_episodes, seed=row_seed(seed, "select"))
    profit = episode_profit(ledger, spec, settings.warm_up, settings.salvage)[:, seat]
    return float(profit.mean()) / (spec.horizon - settings.warm_up)


class ResponseTraining:
    """A learner in ``seat``, everybody else as ``rivals`` (one a seat, its own not used) for the whole run.

    Args:
        player: the seat's entry as in a configuration: a learner's name, or one with options.
        budget: seller-periods, all seats counted as in self-play.
        seed: of network, exploration and customers.
    """

    def __init__(
        self, config: RunConfig, seat: int, player: Any, rivals: Sequence[Seller], budget: int, seed: int, device: str
    ) -> None:
        self.config, self.seat, self.rivals, self.seed = config, seat, rivals, seed
        self.learner, self.decisions = make_learner(config, seat, player, device, seed * 1_000 + seat)
        players: list[tuple[Learner, Decisions] | Seller] = [
            (self.learner, self.decisions) if k == seat else rival for k, rival in enumerate(rivals)
        ]
        self.play = SelfPlay(config.market, players, config.training.markets, budget, seed)
        self.best_score = float("-inf")
        self.best: dict[str, torch.Tensor] = {}

    @property
    def spec(self) -> MarketSpec:
        """The market."""
        return self.config.market

    def run(self, watch: Watch = lambda done: None) -> TrainedSeller:
        """Train for the whole budget, keep the best of the configuration's number of evaluations, and return it."""
        for k in range(1, self.config.training.evaluations + 1):
            until = self.play.budget * k // self.config.training.evaluations
            while self.play.done < until:
                self.play.play_period()
                raise_swallowed()
                watch(self.play.done)
            self._assess()
        return self.response()

    def _assess(self) -> None:
        now = TrainedSeller(self.learner.network, self.decisions)
        reached = score(self.config, self.seat, now, self.rivals, self.seed)
        if reached > self.best_score or not self.best:
            weights = {
                name: tensor.detach().cpu().clone() for name, tensor in self.learner.network.state_dict().items()
            }
            self.best_score, self.best = reached, weights

    def response(self) -> TrainedSeller:
        """The best policy found, for good: its network no longer changes."""
        network = copy.deepcopy(self.learner.network).cpu()
        network.load_state_dict(self.best)
        network.requires_grad_(False).eval()
        return TrainedSeller(network, Decisions(self.spec, self.seat, self.decisions.encoding))

    def save(self, path: Path, learner: str) -> None:
        """Write the best policy found as a checkpoint."""
        save_seller(
            SavedSeller(
                path=path,
                seller=self.spec.names[self.seat],
                seat=self.seat,
                encoding=self.decisions.encoding,
                learner=learner,
                trained=self.play.done,
                score=self.best_score,
                architecture=self.learner.architecture,
                weights=self.best,
                market=self.spec,
            )
        )
