"""A learner that begins with a saved seller: it decides as that one does, and goes on from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from market.errors import UserError
from market.simulation.observation import feature_list
from policies.config.run import RunConfig, parse_run
from policies.learners.base import Learner
from policies.learners.build import make_learner, what_is_learned
from policies.learners.default_decisions import with_decisions
from policies.sellers.checkpoint import SavedSeller, save_seller

SELLER = {
    "name": "shop", "quality": 4.0, "unit_cost": 1.0, "prices": [1, 3], "order_up_to": [0, 40], "holding_cost": 0.02, "stock": 10
}  # fmt: skip
MARKET: dict[str, Any] = {"horizon": 20, "price_sensitivity": 2.0, "customers": {"rate": 20}, "sellers": [SELLER]}
KINDS: dict[str, dict[str, Any]] = {
    "dqn": {"learner": "dqn"},
    "quantiles": {"learner": "dqn", "quantiles": 8},
    "a2c": {"learner": "a2c"},
    "ddpg": {"learner": "ddpg"},
    "gru": {"learner": "a2c", "recurrent": "gru", "recurrent_size": 4},
    "stack": {"learner": "ddpg", "stack": 2},
}


def run_of(player: dict[str, Any], market: dict[str, Any] = MARKET) -> RunConfig:
    return with_decisions(parse_run({"market": market, "seats": {"shop": player}, "training": {"markets": 8}}, "test"))


def learner_of(config: RunConfig, seed: int) -> Learner:
    return make_learner(config, 0, config.player(0), "cpu", seed)[0]


def saved(config: RunConfig, path: Path) -> SavedSeller:
    learner, decisions = make_learner(config, 0, config.player(0), "cpu", 1)
    facts = {"encoding": decisions.encoding, "learner": config.player(0)["learner"], "trained": 1, "score": 0.0}
    found = SavedSeller.of(learner.network, config.market, 0, path=path, **facts)
    save_seller(found)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_it_decides_as_the_saved_one(kind: str, tmp_path: Path) -> None:
    config, file = run_of(KINDS[kind]), tmp_path / "shop.pt"
    saved(config, file)
    begun = learner_of(run_of(KINDS[kind] | {"begin_from": str(file)}), 2)
    other, same = learner_of(config, 2), learner_of(config, 1)
    seen = np.random.default_rng(0).random((8, len(feature_list(config.market))), np.float32)
    first = same.act(seen, explore=False)
    assert np.array_equal(begun.act(seen, explore=False), first)
    if kind not in ("dqn", "quantiles"):
        assert not np.array_equal(other.act(seen, explore=False), first)
    for pair in getattr(getattr(begun.algorithm, "_lagged_networks", None), "_lagged_network_pairs", ()):
        for one, target in zip(pair.source.state_dict().values(), pair.target.state_dict().values(), strict=True):
            assert torch.equal(one, target)


def test_a_gaussian_head_tries_out_as_much_as_it_is_told(tmp_path: Path) -> None:
    file = tmp_path / "shop.pt"
    saved(run_of(KINDS["a2c"]), file)
    begun: Any = learner_of(run_of(KINDS["a2c"] | {"begin_from": str(file), "initial_sd": 0.25}), 2)
    assert begun.network.log_sd.exp().tolist() == pytest.approx([0.25, 0.25])


@pytest.mark.parametrize(
    ("seller", "player", "what"),
    [
        ({}, {"hidden": [8]}, "network"),
        ({"lead_time": 2}, {}, "network, what it sees, center"),
        ({"prices": [1, 4]}, {}, "prices"),
        ({"center": {"price": 2.0, "level": 20.0}}, {}, "center"),
        ({}, {"learner": "dqn"}, "network, decisions, grid, center"),
    ],
)
def test_another_kind_of_seller_is_refused(
    seller: dict[str, Any], player: dict[str, Any], what: str, tmp_path: Path
) -> None:
    file = tmp_path / "shop.pt"
    saved(run_of(KINDS["ddpg"]), file)
    config = run_of(KINDS["ddpg"] | player | {"begin_from": str(file)}, MARKET | {"sellers": [SELLER | seller]})
    with pytest.raises(UserError, match=f"seats.shop.begin_from: .*is a seller of another kind: {what} are not"):
        learner_of(config, 0)


def test_no_file_and_a_foreign_one_are_told(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_text("x")
    for name, message in (("nosuch.pt", "cannot be read"), ("x.pt", "is damaged or not a seller saved by bazaar")):
        config = run_of({"learner": "dqn", "begin_from": str(tmp_path / name)})
        with pytest.raises(UserError, match=f"seats.shop.begin_from: .*{message}"):
            learner_of(config, 0)


def test_runs_of_versions_without_it_go_on() -> None:
    learned = what_is_learned(run_of(KINDS["dqn"]))["seats"]["shop"]
    assert "begin_from" not in learned
