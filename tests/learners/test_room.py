"""Buffers that do not fit are refused before they are made; what they take is what memories have, byte by byte."""

from __future__ import annotations

from typing import Any

import pytest

from market.errors import UserError
from policies.common.torch_tools import free_bytes
from policies.learners import room
from policies.learners.room import COPIES, buffers, refuse_large_buffers
from policies.training.run import TrainingRun
from tests.helpers.leagues import config

PLAYERS: dict[str, tuple[list[Any], Any]] = {
    "discrete and box": (["dqn", "ddpg"], "independent"),
    "cells": (
        [{"learner": "dqn", "recurrent": "gru", "recurrent_size": 8, "sequence": 4, "burn_in": 2}, "a2c"],
        "independent",
    ),
    "two states": (
        [{"learner": "dqn", "recurrent": "lstm", "recurrent_size": 4, "sequence": 4, "burn_in": 2}],
        "independent",
    ),
    "stacked": ([{"learner": "ddpg", "stack": 3}, "nash"], "independent"),
    "shared": (["dqn", "dqn"], "shared"),
    "shared with an indicator": (["ddpg", "ddpg"], {"mode": "shared", "indicator": True}),
}


@pytest.mark.parametrize("players", PLAYERS)
def test_the_bytes_are_those_of_the_memories_that_are_made(players: str) -> None:
    seated, mode = PLAYERS[players]
    one = config(*seated, selfplay=mode)
    training = TrainingRun(one, 0, "cpu")
    memories = {id(one.memory): one.memory for one in training.play.learners.values() if hasattr(one.options, "buffer")}
    bytes_of_one = []
    for memory in memories.values():
        made = memory._records.nbytes + sum(state.nbytes for state in getattr(memory, "_states", {}).values())
        bytes_of_one.append(made / (memory.length * memory.rows))
    assert [(one.transitions, one.size) for one in buffers(training.config)] == [(2_000, size) for size in bytes_of_one]


def test_all_seats_together_must_fit_with_what_a_checkpoint_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    one = TrainingRun(config("dqn", "ddpg", budget=10**9), 0, "cpu").config
    sizes = [buffer.size for buffer in buffers(one)]
    enough = (1 + COPIES) * 2_000 * sum(sizes)
    monkeypatch.setattr(room, "free_bytes", lambda device: enough)
    refuse_large_buffers(one, "cpu")
    monkeypatch.setattr(room, "free_bytes", lambda device: enough - 1)
    with pytest.raises(
        UserError, match=r"^learners\.(dqn|ddpg)\.buffer: .* of 2 learners .*: at most 1,999 transitions each fit$"
    ):
        refuse_large_buffers(one, "cpu")
    with pytest.raises(UserError, match="at most 1,999 transitions each fit"):
        TrainingRun(one, 0, "cpu")


def test_what_a_run_never_fills_takes_no_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    one = TrainingRun(config("dqn", budget=500), 0, "cpu").config
    (buffer,) = buffers(one)
    monkeypatch.setattr(
        room, "free_bytes", lambda device: 2_000 * buffer.size
    )  # as it is made; 500 are filled, 2000 with copies
    refuse_large_buffers(one, "cpu")
    monkeypatch.setattr(room, "free_bytes", lambda device: 2_000 * buffer.size - 1)
    with pytest.raises(UserError, match="at most "):
        refuse_large_buffers(one, "cpu")


def test_a_gpu_holds_the_buffers_and_the_machine_their_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    one = TrainingRun(config("dqn", budget=10**9), 0, "cpu").config
    (buffer,) = buffers(one)
    free = {"cuda": 2_000 * buffer.size, "cpu": COPIES * 2_000 * buffer.size}
    monkeypatch.setattr(room, "free_bytes", lambda device: free[device])
    refuse_large_buffers(one, "cuda")
    free["cuda"] -= 1
    with pytest.raises(UserError, match="of the GPU's memory, .*at most 1,999 transitions each fit"):
        refuse_large_buffers(one, "cuda")


def test_a_system_that_does_not_say_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "free_bytes", lambda device: None)
    refuse_large_buffers(config("dqn", budget=10**9), "cpu")


def test_what_is_free_is_less_than_there_is() -> None:
    found = free_bytes("cpu")
    assert found is None or 10**6 < found < 10**14
