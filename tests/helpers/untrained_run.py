"""Folders of runs whose networks never learned: what tests of meeting sellers need, without training any."""

from __future__ import annotations

from pathlib import Path

import torch
import yaml
from gymnasium.spaces import Discrete

from market.simulation.decisions import Decisions
from market.simulation.observation import feature_list
from policies.config.run import read_config
from policies.networks.architecture import Architecture, build
from policies.sellers.checkpoint import SavedSeller, save_seller
from tests.helpers.small_run import DUOPOLY

PLAYERS = {"dqn": ("grid", "q"), "ddpg": ("box", "deterministic")}


def untrained_run(folder: Path, *changes: str, seed: int = 0, config: Path = DUOPOLY) -> Path:
    """A run's folder with a random greedy policy for each learner that the configuration's seats name."""
    (folder / "checkpoints").mkdir(parents=True)
    run = read_config(config, changes)
    (folder / "config.yaml").write_text(yaml.safe_dump(run.dump()))
    for seat, name in enumerate(run.market.names):
        learner = str(run.seats.get(name))
        if learner not in PLAYERS:
            continue
        encoding, kind = PLAYERS[learner]
        space = Decisions(run.market, seat, encoding).space
        actions = int(space.n) if isinstance(space, Discrete) else int(space.shape[0])  # type: ignore[index]
        architecture = Architecture(kind=kind, observation=len(feature_list(run.market)), actions=actions, hidden=(8,))
        for which, trained in (("best", 1), ("latest", 2)):
            with torch.random.fork_rng():
                torch.manual_seed(100 * seed + 10 * seat + trained)
                weights = build(architecture).state_dict()
            path = folder / "checkpoints" / f"{name}.{which}.pt"
            facts = (name, seat, encoding, learner, trained, 0.0)
            save_seller(SavedSeller(path, *facts, architecture, weights, run.market))
    return folder
