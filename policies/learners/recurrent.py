"""Learners with recurrent networks: what they remember while they play, and what of it they learn from.

Dimensions: M rows, F observation features, W = F + H numbers that a network's body sees, H units of a cell.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Discrete
from numpy.typing import NDArray
from tianshou.utils.torch_utils import policy_within_training_step
from torch import Tensor

from policies.learners.base import A2CLearner, DQNLearner, Learner, Setup
from policies.learners.memory import TensorMemory
from policies.learners.recurrent_a2c import RecurrentA2C
from policies.learners.recurrent_dqn import RecurrentDQN
from policies.learners.running import RewardBaseline
from policies.learners.sequences import SequenceMemory
from policies.networks.architecture import Actor
from policies.networks.encoders import State, restarted


class Remembering(Learner):
    """A learner whose network has a state (M, H), which goes on from period to period while it plays."""

    state: State
    before: State  # the state that the last decision was made with

    def _begin(self) -> None:
        self.state = self.before = self.network.recall.start(self.rows, self.network.body.device)

    def _look(self, obs: NDArray[np.float32]) -> Tensor:
        """What the body sees (M, W) of a period; the state goes on."""
        self.before = self.state
        with torch.no_grad():
            found: tuple[Tensor, State] = self.network.recall(self.network.body.tensor(obs), self.state)
        seen, self.state = found
        return seen

    def restart(self, rows: NDArray[np.bool_]) -> None:
        """Forget what lies before now in the rows (M,) whose episode begins anew."""
        self.state = restarted(self.state, torch.as_tensor(rows, device=self.network.body.device))

    def state_dict(self) -> dict[str, Any]:
        """As every learner's, with the network's state."""
        return super().state_dict() | {"remembered": _plain(self.state)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where :meth:`state_dict` was taken."""
        super().load_state_dict(state)
        self.state = _restored(state["remembered"], self.state)


class RecurrentDQNLearner(Remembering, DQNLearner):
    """Epsilon-greedy on a grid; learns from sequences."""

    algorithm: RecurrentDQN
    memory: SequenceMemory

    def __init__(self, setup: Setup, algorithm: Any, network: Actor, baseline: RewardBaseline, length: int) -> None:
        memory: Any = SequenceMemory(
            start=network.recall.start(setup.rows, setup.device),
            length=length,
            rows=setup.rows,
            observation=setup.observation,
            seed=setup.memory_seed,
            device=setup.device,
        )
        super().__init__(replace(setup, buffer=memory), algorithm, network, baseline, length)
        self._begin()

    def _act(self, seen: NDArray[np.float32], explore: bool) -> NDArray[Any]:
        with torch.no_grad():
            action: NDArray[Any] = self.network.greedy(self._look(seen)).cpu().numpy()
        if not explore:
            return action
        with policy_within_training_step(self.policy):
            return np.asarray(self.policy.add_exploration_noise(action, None))

    def remember(self, obs: Any, action: Any, reward: Any, obs_next: Any, truncated: Any) -> None:
        """Store one period, and the state that it was decided with."""
        self.memory.note(self.before)
        super().remember(obs, action, reward, obs_next, truncated)

    def _learn(self) -> bool:
        return self.memory.periods >= self.algorithm.burn_in + self.algorithm.sequence and super()._learn()


class RecurrentA2CLearner(Remembering, A2CLearner):
    """Draws from its own distribution; learns from each segment as sequences."""

    algorithm: RecurrentA2C
    memory: TensorMemory

    def __init__(self, setup: Setup, algorithm: Any, network: Actor, baseline: RewardBaseline, length: int) -> None:
        discrete = isinstance(setup.action_space, Discrete)
        shape, kind = ((), np.int64) if discrete else (setup.action_space.shape, np.float32)
        sizes: Any = (length, setup.rows, setup.observation, shape, kind, setup.memory_seed, setup.device)
        memory: Any = TensorMemory(*sizes)
        super().__init__(replace(setup, buffer=memory), algorithm, network, baseline, length)
        self._begin()
        self._first = self.state

    def _act(self, seen: NDArray[np.float32], explore: bool) -> NDArray[Any]:
        shown = self._look(seen)
        if not len(self.memory):
            self._first = self.before
        network: Any = self.network
        with torch.no_grad():
            if explore:
                return np.asarray(network.sample(shown, self.policy.rng))
            return np.asarray(network.greedy(shown).cpu().numpy())

    def _update(self) -> Any:
        o = self.options
        return self.algorithm.update(self.memory, o.batch_size, o.repeat, self._first)

    def state_dict(self) -> dict[str, Any]:
        """As every learner's, with the states that the segment began with."""
        return super().state_dict() | {"first": _plain(self._first), "critic": _plain(self.algorithm.begun)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where :meth:`state_dict` was taken."""
        super().load_state_dict(state)
        self._first = _restored(state["first"], self._first)
        self.algorithm.begun = _restored(state["critic"], self.algorithm.begun)


def _plain(state: State) -> State:
    return {name: tensor.cpu().clone() for name, tensor in state.items()}


def _restored(saved: State, like: State) -> State:
    return {name: saved[name].clone().to(tensor.device) for name, tensor in like.items()}
