"""What PettingZoo's own tests leave out: every step of whole episodes, not the first one only.

``parallel_api_test`` never compares observations with the space and ``parallel_seed_test`` stops after a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo import ParallelEnv

Make = Callable[[], ParallelEnv[str, Any, Any]]


def check_full_horizon(make: Make, horizon: int, seed: int = 5, episodes: int = 2) -> None:
    """Play whole episodes with random actions in two environments side by side and look at everything.

    Raises :class:`AssertionError` that names the agent, the period and the breach: an observation outside its space or
    of another dtype, an array that the next step overwrites, a number that is not finite, a termination, an episode
    of another length, or a difference between the two environments.
    """
    one, other = make(), make()
    for environment in (one, other):
        for k, agent in enumerate(environment.possible_agents):
            environment.action_space(agent).seed(seed + k)
    for episode in range(episodes):
        begun = one.reset(seed=seed if episode == 0 else None), other.reset(seed=seed if episode == 0 else None)
        assert_same(begun[0], begun[1], f"episode {episode}, reset")
        observation = begun[0][0]
        check_observation(one, observation, f"episode {episode}, reset")
        for period in range(horizon):
            place = f"episode {episode}, period {period}"
            assert one.agents == one.possible_agents, f"{place}: agents are {one.agents}"
            kept = {agent: array.copy() for agent, array in observation.items()}
            actions = [{a: e.action_space(a).sample() for a in e.possible_agents} for e in (one, other)]
            outcome = one.step(actions[0])
            assert_same(observation, kept, f"{place}: an observation was overwritten by the next step")
            check_observation(one, outcome[0], place)
            check_outcome(one, outcome[1:], period + 1 == horizon, place)
            assert_same(outcome, other.step(actions[1]), place)
            observation = outcome[0]
        assert one.agents == [], f"episode {episode}: still {one.agents} after {horizon} periods"


def check_observation(environment: ParallelEnv[str, Any, Any], observation: dict[str, Any], place: str) -> None:
    """Every agent has an observation, finite and inside its space, of the space's shape and dtype."""
    assert list(observation) == environment.possible_agents, f"{place}: observations of {list(observation)}"
    for agent, array in observation.items():
        space = environment.observation_space(agent)
        assert isinstance(space, spaces.Box)
        assert array.dtype == space.dtype, f"{place}, {agent}: dtype {array.dtype}, not {space.dtype}"
        assert array.shape == space.shape, f"{place}, {agent}: shape {array.shape}, not {space.shape}"
        assert np.isfinite(array).all(), f"{place}, {agent}: not finite: {array}"
        assert space.contains(array), f"{place}, {agent}: outside its space: {array}"


def check_outcome(environment: ParallelEnv[str, Any, Any], outcome: tuple[Any, ...], last: bool, place: str) -> None:
    """Rewards and infos are finite, nothing terminates, and all are truncated at the end and no sooner."""
    rewards, terminations, truncations, infos = outcome
    agents = environment.possible_agents
    for name, given in zip(("rewards", "terminations", "truncations", "infos"), outcome, strict=True):
        assert list(given) == agents, f"{place}: {name} of {list(given)}"
    for agent in agents:
        assert math.isfinite(rewards[agent]), f"{place}, {agent}: reward {rewards[agent]}"
        assert terminations[agent] is False, f"{place}, {agent}: terminated"
        assert truncations[agent] is last, f"{place}, {agent}: truncated is {truncations[agent]}"
        for name, value in infos[agent].items():
            assert isinstance(value, str) or math.isfinite(value), f"{place}, {agent}: {name} is {value}"


def assert_same(one: Any, other: Any, place: str) -> None:
    """Equal through dictionaries, tuples and arrays, to the bit."""
    if isinstance(one, dict):
        assert isinstance(other, dict) and list(one) == list(other), f"{place}: differs in its keys"
        for key in one:
            assert_same(one[key], other[key], f"{place}, {key}")
    elif isinstance(one, tuple | list):
        assert len(one) == len(other), f"{place}: differs in length"
        for first, second in zip(one, other, strict=True):
            assert_same(first, second, place)
    else:
        assert type(one) is type(other), f"{place}: differs in type"
        assert np.array_equal(one, other), f"{place}: differs: {one} and {other}"
