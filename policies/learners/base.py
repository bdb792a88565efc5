"""Learners: Tianshou's algorithms behind four verbs, ``act``, ``remember``, ``learn``, ``progress``.

Glossary, as everywhere in this project:

- *row*: one of the M markets simulated side by side; *period*: one step of it; *transition*: one row's period as one
  seller saw it, (observation, action, reward, next observation, whether the episode was cut there).
- *update*: one call of the algorithm's ``update`` (DQN, DDPG: one batch and one gradient step a network; A2C: one
  segment, ``repeat`` passes in minibatches). *Replay ratio*: transitions drawn for updates per transition stored.
- *segment*: the periods of all rows that A2C learns from at once, and then forgets.
- *fraction*: how much of the run is done, 0 to 1. Every schedule is a function of it and of nothing else.
- *epsilon*: probability of a random action (DQN). *noise*: standard deviation added to actions in [-1, 1] (DDPG).
- *n-step return*: n rewards discounted, then the target network's value. An episode's end is a horizon
  (``truncated``): values bootstrap across it, and it is never ``terminated``.
- *reward baseline*: the running mean reward; subtracting it from every reward leaves the best policy as it is, since
  nothing terminates, and takes the constant mean / (1 - gamma) out of what the networks must learn.
- *return scale*: the running standard deviation of discounted sums of (centered) rewards, which rewards are divided by
  when ``normalize_returns`` is on. Baseline, scale and the observations' moments are read when an update is made, so
  what lies in a memory is as it came from the market.

Dimensions: M rows, F observation features, A components of a box action, B rows of a batch, N periods of an n-step
return. Each learner owns its random generators, so the learners of a market do not disturb one another.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray
from tianshou.utils.torch_utils import policy_within_training_step
from torch import Tensor

from market.state import Flags, Floats, Observation
from policies.common.torch_tools import generator_state, restore_generator
from policies.learners.memory import TensorMemory
from policies.learners.optim import anneal
from policies.learners.rewards import RewardBaseline
from policies.learners.updates import Losses
from policies.networks.architecture import Architecture
from policies.networks.encoders import Frames, FrameStack
from policies.networks.heads import Actor
from policies.networks.normalizer import Moments, Usual, share


@dataclass(frozen=True)
class LearnerSetup:
    """What a builder is given."""

    options: Any
    observation: int  # numbers that the networks are shown: W
    action_space: Box | Discrete
    rows: int
    device: torch.device
    rng: np.random.Generator  # for exploration
    memory_seed: int
    grid: tuple[int, int] | None = None  # prices x levels of discrete actions
    listed: bool = False  # whether the grid's values are listed, where they matter, and do not span whole ranges
    gate: bool = False  # whether the last component of a box action says whether to order
    usual: Usual | None = None  # what networks are shown (W,), as theory expects it; None: as it comes

    @property
    def normalize(self) -> bool:
        """Whether networks bring what they are shown to one scale."""
        return self.options.normalize_observations or self.usual is not None


def memory_sizes(setup: LearnerSetup, length: int) -> tuple[Any, ...]:
    """The arguments of a :class:`TensorMemory` of so many periods."""
    space = setup.action_space
    shape, kind = ((), np.int64) if isinstance(space, Discrete) else (space.shape, np.float32)
    return length, setup.rows, setup.observation, shape, kind, setup.memory_seed, setup.device


class Learner(ABC):
    """One seat's learner in M rows. Built by :func:`build_learner`.

    ``counters``: by name the algorithm's attributes that its own ``state_dict()`` leaves out.
    """

    algorithm: Any
    memory: TensorMemory
    counters: ClassVar[dict[str, str]] = {}

    def __init__(self, setup: LearnerSetup, algorithm: Any, network: Actor, length: int) -> None:
        self.options, self.rows = setup.options, setup.rows
        self.algorithm, self.policy = algorithm, algorithm.policy
        self.baseline: RewardBaseline = algorithm.baseline
        self.network: Actor = network
        algorithm.configure(setup.options)
        self._seen = Moments(setup.observation, setup.device) if setup.options.normalize_observations else None
        if network.normalizer is not None:
            share(algorithm, network.normalizer)
            if self._seen is None and setup.usual is not None:
                network.normalizer.set(setup.usual)
        self.frames = FrameStack(network.recall, setup.rows) if isinstance(network.recall, Frames) else None
        self.memory = self._make_memory(setup, length)
        self.stored, self.updates, self.fraction, self.rate = 0, 0, 0.0, 1.0
        self._losses: Losses | None = None
        self._groups = [(group, group["lr"]) for group in self._param_groups()]
        self.progress(0.0)

    def _make_memory(self, setup: LearnerSetup, length: int) -> TensorMemory:
        return TensorMemory(*memory_sizes(setup, length))

    def _param_groups(self) -> list[dict[str, Any]]:
        return [group for optim in self.algorithm._optimizers for group in optim._optim.param_groups]

    @property
    def architecture(self) -> Architecture:
        """What a saved seller needs beside ``network.state_dict()``."""
        return self.network.architecture

    @abstractmethod
    def _act(self, seen: Observation, explore: bool) -> NDArray[Any]:
        """Actions for what the networks are shown (M, W): the observations, or stacks of them."""

    def _look(self, seen: Observation) -> Tensor:
        """What the network's body sees (M, W) of what the networks are shown."""
        return self.network.body.tensor(seen)

    def act(self, obs: Observation, explore: bool = True) -> NDArray[Any]:
        """Actions for observations (M, F), as they are to be remembered: int64 (M,), or float32 (M, A).

        A Gaussian head's actions may lie outside [-1, 1]: clip them where they are carried out. A learner with a
        memory takes the observations into it, so every period is shown once, and :meth:`restart` tells of cuts.
        """
        return self._act(obs if self.frames is None else self.frames.push(obs), explore)

    def in_units(self, quantity: Floats) -> Floats:
        """Quantities (M,) that it wants, in the whole units that a market takes while it explores; the market rounds the rest."""
        return quantity

    def restart(self, rows: Flags) -> None:
        """Forget what lies before now in the rows (M,) whose episode begins anew."""
        if self.frames is not None:
            self.frames.restart(rows)

    @abstractmethod
    def _learn(self) -> bool:
        """Run the updates that are due; whether there were any."""

    def remember(
        self,
        obs: Observation,
        action: NDArray[Any],
        reward: Floats,
        obs_next: Observation,
        truncated: Flags,
        stock_value: tuple[Floats, Floats] | None = None,
    ) -> None:
        """Store one period: obs, obs_next (M, F), action as :meth:`act` gave it, reward (M,), truncated (M,).

        ``stock_value``: unit cost x inventory position / reward scale, of obs and of obs_next, (M,) each; where stock is
        learned from at its cost, their difference is the reward's shaping (``policies.learners.rewards``).
        """
        if self.frames is not None:
            obs, obs_next = self.frames.shown, self.frames.following(obs_next)
        shaping: Floats | float = 0.0
        if stock_value is not None and self.options.stock_at_cost:
            before, after = stock_value
            shaping = after - before
        self.memory.store(obs, action, reward, obs_next, truncated, shaping)
        self.baseline.see(reward, truncated, shaping)
        if self._seen is not None and self.network.normalizer is not None:
            self._seen.see(self.memory.latest("obs"))
            self.network.normalizer.set(self._seen)
        self.stored += self.rows

    def learn(self) -> dict[str, float] | None:
        """Run the updates that are due; every ``report_every``-th of them also returns :meth:`scalars`."""
        before = self.updates
        if not self._learn() or self.updates // self.options.report_every == before // self.options.report_every:
            return None
        return self.scalars()

    def progress(self, fraction: float) -> None:
        """Set step sizes and exploration to where the run is, ``fraction`` from 0 to 1 (clamped)."""
        self.fraction = min(max(fraction, 0.0), 1.0)
        factor = anneal(self.options.lr_schedule, 1.0, self.options.lr_final, self.fraction)
        for group, lr in self._groups:
            group["lr"] = lr * factor * self.rate
        self._explore_at(self.fraction)

    def slow_down(self, rate: float) -> None:
        """Multiply all step sizes by ``rate`` from now on, in place of the factor of an earlier call."""
        self.rate = rate
        self.progress(self.fraction)

    @abstractmethod
    def _explore_at(self, fraction: float) -> None:
        """Set what the learner explores with."""

    def scalars(self) -> dict[str, float]:
        """The last update's losses, and where the schedules stand."""
        losses = self._losses.get_loss_stats_dict() if self._losses else {}
        standing = {"learning_rate": self._groups[0][0]["lr"], "updates": float(self.updates)}
        return losses | standing | self.baseline.scalars() | self._exploration()

    @abstractmethod
    def _exploration(self) -> dict[str, float]:
        """What the learner explores with, by name."""

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on exactly: tensors and plain values only, so it loads without pickle."""
        return {
            "algorithm": copy.deepcopy(self.algorithm.state_dict()),
            "memory": self.memory.state_dict(),
            "generator": generator_state(self.policy.rng),
            "counters": {"stored": self.stored, "updates": self.updates, "fraction": self.fraction},
            "baseline": self.baseline.state_dict(),
            "frames": self.frames.state_dict() if self.frames is not None else {},
            "seen": self._seen.state_dict() if self._seen is not None else {},
            "own": {name: getattr(self.algorithm, attribute) for name, attribute in self.counters.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where :meth:`state_dict` was taken, in a learner built with the same arguments."""
        self._load_algorithm(state["algorithm"])
        self.memory.load_state_dict(state["memory"])
        restore_generator(self.policy.rng, state["generator"])
        self.stored, self.updates = state["counters"]["stored"], state["counters"]["updates"]
        self.baseline.load_state_dict(state["baseline"])
        if self.frames is not None:
            self.frames.load_state_dict(state["frames"])
        if self._seen is not None:
            self._seen.load_state_dict(state["seen"])
        for name, attribute in self.counters.items():
            setattr(self.algorithm, attribute, state["own"][name])
        self.progress(state["counters"]["fraction"])

    def _load_algorithm(self, state: dict[str, Any]) -> None:
        # Tianshou's load_state_dict pops the optimisers from what it is given, and torch's keep what they are given
        self.algorithm.load_state_dict(copy.deepcopy(state))
        self._groups = [(group, lr) for group, (_, lr) in zip(self._param_groups(), self._groups, strict=True)]

    def begin_with(self, weights: Mapping[str, Tensor]) -> None:
        """Begin with a saved network's weights in place of random ones; what values them, a critic, has still to learn."""
        self.network.load_state_dict(weights)
        for pair in getattr(getattr(self.algorithm, "_lagged_networks", None), "_lagged_network_pairs", ()):
            pair.target.load_state_dict(pair.source.state_dict())

    def take_over(self, other: Learner) -> None:
        """Begin with the weights, optimisers and running scales of a learner built alike; the memory stays its own."""
        self._load_algorithm(other.algorithm.state_dict())
        self.baseline.load_state_dict(copy.deepcopy(other.baseline.state_dict()))
        if self._seen is not None and other._seen is not None:
            self._seen.load_state_dict(copy.deepcopy(other._seen.state_dict()))
        self.progress(self.fraction)


class ReplayLearner(Learner):
    """A learner with a replay buffer: one update per ``batch_size / replay_ratio`` transitions after the warm-up."""

    def _act(self, seen: Observation, explore: bool) -> NDArray[Any]:
        with torch.no_grad():
            action: NDArray[Any] = self.network.greedy(self._look(seen)).cpu().numpy()
        if not explore:
            return action
        with policy_within_training_step(self.policy):
            return np.asarray(self.policy.add_exploration_noise(action, None))

    def _learn(self) -> bool:
        options = self.options
        after = max(self.stored - options.warm_up, 0)
        due = int(after * options.replay_ratio / options.batch_size) - self.updates
        with policy_within_training_step(self.policy):
            for _ in range(due):
                self._losses = self.algorithm.update(self.memory, sample_size=options.batch_size)
        self.updates += due
        return due > 0
