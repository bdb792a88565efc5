"""The table of learners: a new Tianshou algorithm is one entry here, and one with its options in ``KINDS``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete, Space
from tianshou.algorithm.optim import TorchOptimizerFactory
from torch import nn

from market.errors import UserError
from market.state import Floats
from policies.config.learners import KINDS, Kind, LearnerOptions, Risk
from policies.learners.a2c import A2CLearner, LeanA2C, SamplingPolicy
from policies.learners.base import Learner, LearnerSetup
from policies.learners.ddpg import DDPGLearner, LeanDDPG, NoisyPolicy
from policies.learners.dqn import DQNLearner, EpsilonGreedyPolicy, LeanDQN, LeanQRDQN, QuantilePolicy
from policies.learners.recurrent import (
    RecurrentA2C,
    RecurrentA2CLearner,
    RecurrentCritic,
    RecurrentDQN,
    RecurrentDQNLearner,
)
from policies.learners.rewards import CVaRReward, ReturnScale, RewardBaseline
from policies.networks.architecture import Architecture, build, tail_emphasis
from policies.networks.heads import ActionValueCritic, Actor, GaussianActor, ValueCritic
from policies.networks.normalizer import Usual

DEGREE = 6  # of the polynomials along prices and levels: 4 and 8 lost more in single runs of 1,000,000
KNOTS = 5  # along prices and along levels, whose values share parts, of a grid that spans the ranges


def _build_dqn(setup: LearnerSetup) -> Learner:
    o, quantiles = setup.options, setup.options.learned_quantiles
    _need(isinstance(setup.action_space, Discrete), f"dqn needs a grid of actions, this seat has {setup.action_space}")
    if quantiles is None:
        network = _actor("q", setup, axes=setup.grid if o.axes else None)
    else:
        network = _actor("quantile", setup, quantiles)
        if o.risk is not None:
            network.emphasis.copy_(tail_emphasis(quantiles, o.risk.cvar, o.risk.weight))  # type: ignore[operator]
    kind = EpsilonGreedyPolicy if quantiles is None else QuantilePolicy
    shared: dict[str, Any] = {
        "policy": kind(rng=setup.rng, model=network, action_space=setup.action_space),
        "optim": _adam(o.lr),
        "gamma": o.gamma,
        "n_step_return_horizon": o.n_step,
        "target_update_freq": o.target_update,
        "baseline": _baseline(setup, None if quantiles else o.risk),
    }
    if o.recurrent != "none":
        recurrent = RecurrentDQN(is_double=o.double, burn_in=o.burn_in, sequence=o.sequence, **shared)
        return RecurrentDQNLearner(setup, recurrent, network, _replay_length(setup))
    if quantiles is None:
        return DQNLearner(setup, LeanDQN(is_double=o.double, **shared), network, _replay_length(setup))
    algorithm = LeanQRDQN(num_quantiles=quantiles, double=o.double, kappa=o.kappa, **shared)
    return DQNLearner(setup, algorithm, network, _replay_length(setup))


def _build_ddpg(setup: LearnerSetup) -> Learner:
    o = setup.options
    _need(isinstance(setup.action_space, Box), f"ddpg needs a box of actions, this seat has {setup.action_space}")
    network = _actor("deterministic", setup)
    sizes = setup.observation, network.architecture.actions, o.hidden, setup.normalize
    algorithm = LeanDDPG(
        policy=NoisyPolicy(rng=setup.rng, gate=setup.gate, actor=network, action_space=setup.action_space),
        policy_optim=_adam(o.lr),
        critic=ActionValueCritic(*sizes).to(setup.device),
        critic_optim=_adam(o.critic_lr),
        tau=o.tau,
        gamma=o.gamma,
        n_step_return_horizon=o.n_step,
        saturation=o.saturation,
        gate=setup.gate,
        baseline=_baseline(setup, o.risk),
    )
    return DDPGLearner(setup, algorithm, network, _replay_length(setup))


def _build_a2c(setup: LearnerSetup) -> Learner:
    o = setup.options
    _need(
        "batch_size" not in o.model_fields_set or (o.batch_size or 0) <= o.segment * setup.rows,
        f"a2c's batch_size {o.batch_size} must not exceed a segment: {o.segment} periods x {setup.rows} rows",
    )
    gaussian = "gated_gaussian" if setup.gate else "gaussian"
    network = _actor(gaussian if isinstance(setup.action_space, Box) else "categorical", setup)
    if isinstance(network, GaussianActor):
        nn.init.constant_(network.log_sd, math.log(o.initial_sd))
    shared: dict[str, Any] = {
        "policy": SamplingPolicy(rng=setup.rng, actor=network, action_space=setup.action_space),
        "optim": _adam(o.lr),
        "vf_coef": o.value,
        "gae_lambda": o.gae_lambda,
        "gamma": o.gamma,
        "normalize_advantages": o.normalize_advantages,
        "saturation": o.saturation,
        "clip": o.clip,
        "baseline": _baseline(setup, o.risk),
    }
    sizes = o.hidden, setup.normalize
    if o.recurrent == "none":
        critic = ValueCritic(setup.observation, *sizes).to(setup.device)
        return A2CLearner(setup, LeanA2C(critic=critic, **shared), network, o.segment)
    recalling = RecurrentCritic(setup.observation, o.recurrent, o.recurrent_size, *sizes).to(setup.device)
    algorithm = RecurrentA2C(rows=setup.rows, critic=recalling, **shared)
    return RecurrentA2CLearner(setup, algorithm, network, o.segment)


class Builder(NamedTuple):
    """One entry of the table: what options an algorithm takes, and how a learner is made from them."""

    options: type[LearnerOptions]
    build: Callable[[LearnerSetup], Learner]


BUILDERS: dict[str, Builder] = {
    "dqn": Builder(KINDS["dqn"].options, _build_dqn),
    "a2c": Builder(KINDS["a2c"].options, _build_a2c),
    "ddpg": Builder(KINDS["ddpg"].options, _build_ddpg),
}


def register_learner(
    name: str, options: type[LearnerOptions], build: Callable[[LearnerSetup], Learner], encodings: tuple[str, ...]
) -> None:
    """Let configurations name a learner of your own.

    It is known in this process, not in those that train several seeds or search options.

    Args:
        options: what ``learners.NAME`` may say.
        build: makes the learner; see :class:`policies.learners.base.Learner`.
        encodings: of decisions that it can use, ``grid`` or ``box`` (with a gate where an order costs), the first where
            the seat asks for another.

    Raises :class:`UserError` for a name that is taken.

    Example::

        from policies import register_learner, train
        from policies.config.learners import DQNOptions
        from policies.learners.registry import BUILDERS

        class Hasty(DQNOptions):
            gamma: float = 0.5

        register_learner("hasty", Hasty, BUILDERS["dqn"].build, ("grid",))
        less = ["seats.left=hasty", "training.evaluations=2", "evaluation.episodes=32"]
        print(train("duopoly", budget=6_000, name="hasty", device="cpu", changes=less).config.seats)
    """
    if name in BUILDERS or not name.isidentifier():
        why = "there is a learner of that name" if name in BUILDERS else "must be a plain name"
        raise UserError(f"{name}: {why}")
    BUILDERS[name], KINDS[name] = Builder(options, build), Kind(options, encodings)


def build_learner(
    name: str,
    options: LearnerOptions,
    *,
    observation: int,
    action_space: Space[Any],
    rows: int,
    device: str = "cpu",
    seed: int = 0,
    grid: tuple[int, int] | None = None,
    listed: bool = False,
    gate: bool = False,
    usual: tuple[Floats, Floats] | None = None,
) -> Learner:
    """Make a learner for one seat; ValueError where options and action space do not suit it.

    Args:
        name: a key of :data:`BUILDERS`.
        options: of that entry's options model.
        observation: F.
        action_space: Discrete(K), or Box(-1, 1, (A,)).
        rows: M.
        device: where networks live and updates run.
        seed: of the networks' first weights, of exploration and of sampling; torch's global generator is untouched.
        grid: prices x levels, where discrete actions are numbered by them, for networks that make use of it.
        listed: whether that grid's values are listed, where they matter: then values are smooth from one to the next.
        gate: whether the last component of a box action says whether to order.
        usual: the middle of each observed number and its usual distance from there, (F,) each, to which networks bring
            observations unless they do so by what they have seen; None: observations are of one scale as they come.
    """
    init, explore, memory = (int(s) for s in np.random.SeedSequence(seed).generate_state(3, np.uint64))
    setup = LearnerSetup(
        options=options,
        observation=observation * options.stack,
        action_space=action_space,  # type: ignore[arg-type]
        rows=rows,
        device=torch.device(device),
        rng=np.random.Generator(np.random.PCG64(explore)),
        memory_seed=memory,
        grid=grid,
        listed=listed,
        gate=gate,
        usual=None if usual is None else _stacked(*usual, options.stack),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(init >> 1)
        return BUILDERS[name].build(setup)


def _stacked(middle: Floats, distance: Floats, stack: int) -> Usual:
    return Usual(*(torch.as_tensor(np.tile(part, stack)) for part in (middle, distance**2)))


def _need(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _actor(kind: str, setup: LearnerSetup, quantiles: int = 1, axes: tuple[int, int] | None = None) -> Actor:
    space = setup.action_space
    actions = int(space.n) if isinstance(space, Discrete) else space.shape[0]
    o = setup.options
    network = Architecture(
        kind=kind,
        observation=setup.observation // o.stack,
        actions=actions,
        hidden=o.hidden,
        normalize=setup.normalize,
        stack=o.stack,
        quantiles=quantiles,
        axes=axes,
        degree=DEGREE if axes is not None and setup.listed else None,
        knots=KNOTS if axes is not None and not setup.listed else 0,
        cell=getattr(o, "recurrent", "none"),
        cell_size=getattr(o, "recurrent_size", 64),
    )
    return build(network).to(setup.device)


def _baseline(setup: LearnerSetup, risk: Risk | None) -> RewardBaseline:
    o = setup.options
    scale = ReturnScale(setup.rows, o.gamma) if o.normalize_returns else None
    return RewardBaseline(o.center_rewards, scale=scale) if risk is None else CVaRReward(risk, o.center_rewards, scale)


def _replay_length(setup: LearnerSetup) -> int:
    o = setup.options
    length = int(o.buffer // setup.rows)
    message = f"a buffer of {o.buffer} keeps {length} periods of {setup.rows} rows: must be more than n_step {o.n_step}"
    _need(length > o.n_step, message)
    if getattr(o, "recurrent", "none") != "none":
        needed = o.burn_in + o.sequence
        _need(length >= needed, f"{message.split(':')[0]}: must be burn_in + sequence, {needed}, or more")
    return length


def _adam(lr: float) -> TorchOptimizerFactory:
    return TorchOptimizerFactory(torch.optim.Adam, lr=lr, fused=True)
