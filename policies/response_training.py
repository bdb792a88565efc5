"""Train one learner against sellers that no longer change: an approximate best response to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from market.decisions import Decisions
from market.errors import Refusal
from market.metrics import episode_profit
from policies.checkpoint import SavedSeller, finite
from policies.config import RunConfig
from policies.interrupt import raise_swallowed
from policies.learner import Learner
from policies.players import after_profit, learner_name, make_learner
from policies.seeds import row_seed
from policies.selfplay import SelfPlay
from policies.seller import Seller
from policies.simulate import play
from policies.trained import TrainedSeller

Watch = Callable[[int], None]


def silent(done: int) -> None:
    """Shows nothing."""


def score(config: RunConfig, seat: int, seller: Seller, rivals: Sequence[Seller], seed: int) -> float:
    """Mean profit a period of ``seller`` in ``seat`` against ``rivals``, on the customers kept for choosing."""
    spec, settings = config.market, config.evaluation
    seats = [seller if k == seat else rival for k, rival in enumerate(rivals)]
    fields = ("profit", "on_hand_left", "on_order")
    episodes = config.training.evaluation_episodes
    ledger = play(spec, seats, markets=episodes, seed=row_seed(seed, "select"), fields=fields)
    profit = episode_profit(ledger, spec, settings.warm_up, settings.salvage)[:, seat]
    return float(profit.mean()) / (spec.horizon - settings.warm_up)


class ResponseTraining:
    """A learner in ``seat``, everybody else as ``rivals`` (one a seat, its own not used) for the whole run.

    Args:
        player: the seat's entry as in a configuration: a learner's name, or one with options, of which ``reward`` and
            ``risk`` do not count: a best response is one in mean profit.
        budget: seller-periods, all seats counted as in self-play.
        seed: of network, exploration and customers.

    Raises:
        Refusal: the learner's options or the seat's decisions do not suit.
    """

    def __init__(
        self, config: RunConfig, seat: int, player: Any, rivals: Sequence[Seller], budget: int, seed: int, device: str
    ) -> None:
        self.config, self.seat, self.rivals, self.seed = config, seat, rivals, seed
        self.name = learner_name(player, f"seats.{config.market.names[seat]}") or ""
        self.learner, self.decisions = make_learner(
            config, seat, after_profit(config, player), device, seed * 1_000 + seat
        )
        players: list[tuple[Learner, Decisions] | Seller] = [
            (self.learner, self.decisions) if k == seat else rival for k, rival in enumerate(rivals)
        ]
        self.play = SelfPlay(config.market, players, config.training.markets, budget, seed)
        self.best: SavedSeller | None = None

    def run(self, watch: Watch = silent, phase: Callable[[str], None] = lambda name: None) -> SavedSeller:
        """Train for the whole budget and return the best of the configuration's number of evaluations.

        Raises :class:`Refusal` when weights were not finite whenever they were looked at.
        """
        for k in range(1, self.config.training.evaluations + 1):
            until = self.play.budget * k // self.config.training.evaluations
            if until <= self.play.done:
                continue
            phase("learning")
            while self.play.done < until:
                self.play.play_period()
                raise_swallowed()
                watch(self.play.done)
            phase("evaluating")
            self._assess()
        if self.best is None:
            name = self.config.market.names[self.seat]
            raise Refusal(f"seats.{name}: {self.name} diverged, its weights are not finite; lower lr")
        return self.best

    def _assess(self) -> None:
        weights = self.learner.network.state_dict()
        if not finite(weights):
            return
        now = TrainedSeller(self.learner.network, self.decisions)
        reached = score(self.config, self.seat, now, self.rivals, self.seed)
        if self.best is None or reached > self.best.score:
            kept = {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
            self.best = self._saved(kept, reached)

    def _saved(self, weights: dict[str, torch.Tensor], reached: float) -> SavedSeller:
        """Complete but for its path."""
        return SavedSeller(
            path=Path(f"response of {self.config.market.names[self.seat]}"),
            seller=self.config.market.names[self.seat],
            seat=self.seat,
            encoding=self.decisions.encoding,
            learner=self.name,
            trained=self.play.done,
            score=reached,
            architecture=self.learner.architecture,
            weights=weights,
            market=self.config.market,
        )


def at_path(saved: SavedSeller, path: Path) -> SavedSeller:
    """The same to be saved at ``path``."""
    return replace(saved, path=path)
