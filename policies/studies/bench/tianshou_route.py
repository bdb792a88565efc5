"""The yardstick of `bazaar bench`: the same market on Tianshou's stock multi-agent route.

``PettingZooEnv`` over the turn-based market, ``MultiAgentOffPolicyAlgorithm``, ``Collector`` and ``OffPolicyTrainer``
as they come. What it learns is wrong (see DESIGN: the round's rewards are on the last mover's row, and exploration is
off while it collects); only its speed is measured. Where nothing is said, values are Tianshou's own defaults.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from tianshou.algorithm.modelfree.dqn import DQN, DiscreteQLearningPolicy
from tianshou.algorithm.multiagent.marl import MultiAgentOffPolicyAlgorithm
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, CollectStats, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.env.pettingzoo_env import PettingZooEnv
from tianshou.trainer import OffPolicyTrainer, OffPolicyTrainerParams
from tianshou.utils.net.common import Net

from market.envs.parallel import env
from market.spec.models import MarketSpec


class StockRoute:
    """DQN sellers of one market, trained by Tianshou's own trainer.

    Args:
        spec: the market; every seat needs the same grid.
        markets: copies of it in Tianshou's ``DummyVectorEnv``.
        hidden: units of each hidden layer.
        batch: transitions of each seller per update, on average: an update draws ``sellers x batch`` from the buffer
            that all sellers share, so that it is as much learning as one update of each of our learners.
        replay_ratio: transitions drawn per transition stored.
        buffer: transitions kept.
        collect: transitions of all sellers between two rounds of updates.
    """

    def __init__(
        self,
        spec: MarketSpec,
        *,
        markets: int,
        hidden: tuple[int, ...],
        batch: int,
        replay_ratio: float,
        buffer: int,
        collect: int = 2048,
    ) -> None:
        drawn = batch * len(spec.sellers)
        one = _turn_based(spec, 0)
        copies = DummyVectorEnv([partial(_turn_based, spec, row) for row in range(markets)])
        self.algorithm = MultiAgentOffPolicyAlgorithm(algorithms=[_dqn(one, hidden) for _ in one.agents], env=one)
        self.collector: Collector[CollectStats] = Collector(
            self.algorithm, copies, VectorReplayBuffer(buffer, markets), exploration_noise=True
        )
        parameters = OffPolicyTrainerParams(
            training_collector=self.collector,
            max_epochs=1,
            epoch_num_steps=collect,
            collection_step_num_env_steps=collect,
            update_step_num_gradient_steps_per_sample=replay_ratio / drawn,
            batch_size=drawn,
            multi_agent_return_reduction=lambda returns: returns.mean(axis=1),
            verbose=False,
            show_progress=False,
        )
        self.trainer = OffPolicyTrainer(self.algorithm, parameters)
        self.trainer.reset()

    def train(self) -> int:
        """Collect once and update; returns the seller-periods played (each move of a seller is one)."""
        before = self.collector.collect_step
        self.trainer.execute_epoch()
        return int(self.collector.collect_step - before)


def _turn_based(spec: MarketSpec, seed: int) -> PettingZooEnv:
    return PettingZooEnv(env(spec, "grid", seed=seed))


def _dqn(one: PettingZooEnv, hidden: tuple[int, ...]) -> DQN[Any]:
    network = Net(
        state_shape=one.observation_space.shape, action_shape=int(one.action_space.n), hidden_sizes=list(hidden)
    )
    policy = DiscreteQLearningPolicy(model=network, action_space=one.action_space, eps_training=0.1, eps_inference=0.1)
    return DQN(policy=policy, optim=AdamOptimizerFactory(lr=1e-3), gamma=0.98, target_update_freq=50)
