"""A learner on random transitions, for tests of what its options do to an update."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from tianshou.utils.torch_utils import policy_within_training_step

from policies.learners.base import Learner
from policies.learners.registry import BUILDERS, build_learner
from policies.networks.architecture import decide, empty_memory

ROWS, FEATURES = 16, 3
SPACES: dict[str, Any] = {"dqn": Discrete(4), "ddpg": Box(-1, 1, (2,), np.float32), "a2c": Box(-1, 1, (2,), np.float32)}
SMALL: dict[str, dict[str, Any]] = {
    "dqn": {"buffer": 640, "batch_size": 32, "warm_up": 64},
    "ddpg": {"buffer": 640, "batch_size": 32, "warm_up": 64},
    "a2c": {"segment": 5, "batch_size": None, "normalize_advantages": False, "repeat": 1},
}


def make(name: str, seed: int = 0, rows: int = ROWS, device: str = "cpu", **changes: Any) -> Learner:
    """A small learner on :data:`SPACES`."""
    options = BUILDERS[name].options(**{"hidden": (8,)} | SMALL[name] | changes)
    sizes: dict[str, Any] = {"observation": FEATURES, "action_space": SPACES[name], "rows": rows}
    return build_learner(name, options, device=device, seed=seed, **sizes)


def transitions(period: int, rows: int = ROWS, scale: float = 1.0) -> dict[str, Any]:
    """Observations on different scales, rewards, and episodes that end, at a period."""
    rng = np.random.default_rng((11, period))
    obs, following = (rng.normal([0, 50, -3], [1, 10, 0.01], (rows, FEATURES)).astype(np.float32) for _ in range(2))
    return {
        "obs": obs,
        "reward": scale * (rng.normal(3, 1, rows) + obs[:, 0]),
        "obs_next": following,
        "truncated": rng.random(rows) < 0.1,
    }


def feed(learner: Learner, periods: int, start: int = 0, learn: bool = True, scale: float = 1.0) -> Learner:
    """Let it act on, remember and learn from periods ``start`` and after."""
    for t in range(start, start + periods):
        one = transitions(t, learner.rows, scale)
        learner.progress(t / 100)
        action = learner.act(one["obs"])
        learner.remember(one["obs"], action, one["reward"], one["obs_next"], one["truncated"])
        if learn:
            learner.learn()
    return learner


def next_batch(learner: Learner) -> Any:
    """What its next update will learn from; the learner goes on as if nobody had looked."""
    memory: Any = learner.memory
    before = memory.rng.bit_generator.state
    batch = learner.algorithm.drawn(memory, learner.options.batch_size or 0)
    memory.rng.bit_generator.state = before
    return batch


def update(learner: Learner) -> None:
    """One update of the algorithm itself."""
    o = learner.options
    arguments = (o.batch_size, o.repeat) if hasattr(o, "repeat") else (o.batch_size,)
    with policy_within_training_step(learner.policy):
        learner.algorithm.update(learner.memory, *arguments)


def weights(learner: Learner) -> list[torch.Tensor]:
    """All parameters, target networks included."""
    return [p.detach().clone() for p in learner.algorithm.parameters()]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    """Whether the bits are equal."""
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def greedy(network: torch.nn.Module, obs: Any) -> Any:
    """The actions without exploration in the first period of an episode."""
    return decide(network, obs, empty_memory(network, len(obs)))[0]


def twin(module: torch.nn.Module) -> Any:
    """A copy that can be trained beside it."""
    return copy.deepcopy(module)
