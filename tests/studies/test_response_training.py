"""A response is trained against sellers that stay as they are: it learns, and the same seed gives the same one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from market.errors import UserError
from policies.config.run import RunConfig, read_config
from policies.sellers.protocol import Seller
from policies.sellers.rules.level_search import build
from policies.studies.exploit.best_response import ResponseTraining, score
from tests.helpers.small_run import DUOPOLY, ROOT, SMALL

CALVANO = ROOT / "configs" / "calvano.yaml"


def test_training_finds_the_best_response_to_a_constant_price() -> None:
    """Against 1.9 on a grid of 15 prices: within 1 % of the best of them."""
    config, rivals = market_of(CALVANO, LEARN, "nash", "constant(price=1.9)")
    saved = ResponseTraining(config, 0, "dqn", rivals, 30_000, 0, "cpu").run()
    posted = np.linspace(*config.market.sellers[0].prices, 15)
    rules = [build(f"constant(price={price})", config.market, 0) for price in posted]
    best = max(score(config, 0, one, rivals, 0) for one in rules)
    assert 0.99 * best <= saved.score <= best + 1e-12
    assert saved.trained <= 30_000 and saved.seller == "first" and saved.learner == "dqn"


LEARN = (
    "training.markets=32",
    "training.evaluations=6",
    "training.evaluation_episodes=2",
    "learners.dqn.warm_up=500",
    "learners.dqn.gamma=0.5",
)


def test_the_same_seed_trains_the_same_response() -> None:
    changes = (*SMALL, "training.evaluations=2")
    config, rivals = market_of(DUOPOLY, changes, "nash+base_stock", "undercut+base_stock")
    one, two, other = (ResponseTraining(config, 0, "ddpg", rivals, 6_000, seed, "cpu").run() for seed in (3, 3, 4))
    assert all((one.weights[name] == two.weights[name]).all() for name in one.weights) and one.score == two.score
    assert any((one.weights[name] != other.weights[name]).any() for name in one.weights)


def market_of(path: Path, changes: tuple[str, ...], *rules: str) -> tuple[RunConfig, list[Seller]]:
    config = read_config(path, changes)
    return config, [build(text, config.market, seat) for seat, text in enumerate(rules)]


def test_weights_that_are_no_numbers_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    config, rivals = market_of(CALVANO, LEARN, "nash", "nash")
    training = ResponseTraining(config, 0, "dqn", rivals, 600, 0, "cpu")
    with torch.no_grad():
        next(iter(training.learner.network.parameters())).fill_(float("nan"))
    with pytest.raises(UserError, match="seats.first: dqn diverged"):
        training.run()
