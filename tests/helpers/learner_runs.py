"""Learners on small probes: made, run and compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete

from policies.learners.base import Learner
from policies.learners.registry import BUILDERS, build_learner

ROWS = 64


GRID, BOX = Discrete(4), Box(-1, 1, (2,), np.float32)


SEATS = {"dqn": GRID, "a2c-box": BOX, "a2c-grid": GRID, "ddpg": BOX}


SMALL: dict[str, dict[str, Any]] = {
    "dqn": {"hidden": (32,), "buffer": 20_000, "batch_size": 64, "warm_up": 500, "replay_ratio": 2.0, "lr": 2e-3},
    "ddpg": {
        "hidden": (32,),
        "buffer": 20_000,
        "batch_size": 64,
        "warm_up": 500,
        "replay_ratio": 2.0,
        "lr": 2e-3,
        "critic_lr": 4e-3,
        "n_step": 1,
    },
    "a2c": {"hidden": (32,), "segment": 5, "batch_size": 160, "lr": 5e-3},
}


def make(seat: str, features: int = 4, rows: int = ROWS, seed: int = 0, **changes: Any) -> Learner:
    name = seat.split("-")[0]
    options = BUILDERS[name].options(**SMALL[name] | changes)
    return build_learner(name, options, observation=features, action_space=SEATS[seat], rows=rows, seed=seed)


def contexts(rng: np.random.Generator) -> np.ndarray:
    """One of four states a row, drawn anew each period, one-hot (M, 4)."""
    return np.eye(4, dtype=np.float32)[rng.integers(0, 4, ROWS)]


def identity_grid(obs: np.ndarray, action: np.ndarray) -> np.ndarray:
    """1 where the action is the state's number, else 0."""
    return (action == obs.argmax(1)).astype(float)


TARGETS = np.array([[-0.6, 0.5], [0.3, -0.4], [0.7, 0.1], [-0.2, -0.7]])


def identity_box(obs: np.ndarray, action: np.ndarray) -> np.ndarray:
    """1 at the state's own point of the box, less the squared distance to it."""
    carried_out = np.clip(action, -1, 1)
    return 1 - ((carried_out - TARGETS[obs.argmax(1)]) ** 2).sum(1)


def reward_of(seat: str) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    return identity_grid if SEATS[seat] is GRID else identity_box


def run(learner: Learner, seat: str, periods: int, start: int = 0, seed: int = 5, of: int | None = None) -> None:
    """Play periods ``start`` to ``start + periods`` of a run of ``of``; the environment's draws depend on the period."""
    reward = reward_of(seat)
    for t in range(start, start + periods):
        obs, following = (contexts(np.random.default_rng((seed, t + k))) for k in (0, 1))
        action = learner.act(obs)
        learner.progress(t / (of or periods))
        learner.remember(obs, action, reward(obs, action), following, np.full(ROWS, t % 10 == 9))
        learner.learn()


def weights(learner: Learner) -> list[np.ndarray]:
    return [p.detach().numpy().copy() for p in learner.algorithm.parameters()]


def same(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
