"""The lockstep buffer against Tianshou's ``VectorReplayBuffer``: the same storage, order, neighbours and returns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from policies.learners.numpy_memory import LockstepBuffer, generator_state, restore_generator
from tianshou.algorithm.algorithm_base import Algorithm
from tianshou.data import Batch, VectorReplayBuffer

F = 3

sizes = st.tuples(st.integers(1, 5), st.integers(1, 7), st.integers(1, 20), st.integers(0, 2**32 - 1))


def transitions(rows: int, count: int, seed: int, terminate: bool = True) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        {
            "obs": rng.random((rows, F), np.float32),
            "act": rng.integers(0, 9, rows),
            "rew": rng.normal(size=rows),
            "obs_next": rng.random((rows, F), np.float32),
            "truncated": rng.random(rows) < 0.2,
            "terminated": (rng.random(rows) < 0.1) & terminate,
        }
        for _ in range(count)
    ]


def filled(rows: int, length: int, count: int, seed: int) -> tuple[LockstepBuffer, VectorReplayBuffer]:
    ours, stock = LockstepBuffer(length, rows, F, seed=seed), VectorReplayBuffer(length * rows, rows)
    for step in transitions(rows, count, seed):
        ours.store(**step)
        stock.add(Batch(step, info=Batch()))
    return ours, stock


def test_stock_compiles() -> None:
    """Pays numba's compilation once, outside hypothesis' deadlines."""
    _, stock = filled(2, 3, 4, 0)
    assert len(stock.next(np.arange(6))) == 6


@settings(max_examples=60, deadline=None)
@given(sizes)
def test_equals_the_stock_buffer(case: tuple[int, int, int, int]) -> None:
    ours, stock = filled(*case)
    assert len(ours) == len(stock)
    assert np.array_equal(ours.subbuffer_edges, stock.subbuffer_edges)
    assert np.array_equal(ours.last_index, stock.last_index)
    assert np.array_equal(ours.unfinished_index(), stock.unfinished_index())
    for ask in (0, None):
        assert np.array_equal(ours.sample_indices(ask), stock.sample_indices(ask))
    assert len(ours.sample_indices(-1)) == 0
    stored = stock.sample_indices(0)
    assert np.array_equal(ours.next(stored), stock.next(stored))
    assert np.array_equal(ours.prev(stored), stock.prev(stored))
    assert int(ours.next(int(stored[0]))) == int(stock.next(int(stored[0])))
    ends = stock.done[stored] | np.isin(stored, stock.unfinished_index())
    assert np.array_equal(ours.ends(stored), ends)
    for name in ("obs", "act", "rew", "terminated", "truncated", "done", "obs_next"):
        a, b = getattr(ours, name), getattr(stock, name)
        assert a.dtype == b.dtype and a.shape == b.shape
        assert np.array_equal(a[stored], b[stored])
        assert np.array_equal(getattr(ours[:], name), getattr(stock[:], name))


@settings(max_examples=30, deadline=None)
@given(sizes, st.integers(1, 4))
def test_returns_and_advantages_equal(case: tuple[int, int, int, int], n_step: int) -> None:
    ours, stock = filled(*case)
    indices = stock.sample_indices(0)

    def value(buffer: Any, index: Any) -> torch.Tensor:
        return torch.as_tensor(buffer.obs_next[index].sum(1))

    returns, advantages = [], []
    for buffer in (ours, stock):
        batch = buffer[indices]
        after = Algorithm.compute_nstep_return(batch, buffer, indices, value, 0.9, n_step)
        returns.append(after.returns.numpy())
        v, v_next = batch.obs.sum(1), batch.obs_next.sum(1)
        advantages.append(Algorithm.compute_episodic_return(batch, buffer, indices, v_next, v, 0.9, 0.8)[1])
    assert np.array_equal(*returns)
    assert np.array_equal(*advantages)


@settings(max_examples=20, deadline=None)
@given(sizes, st.booleans(), st.integers(1, 6))
def test_goes_on_equal_after_reset(case: tuple[int, int, int, int], keep: bool, more: int) -> None:
    ours, stock = filled(*case)
    rows = case[0]
    for buffer in (ours, stock):
        buffer.reset(keep_statistics=keep)
    assert len(ours) == 0 and len(ours.unfinished_index()) == 0
    for step in transitions(rows, more, 1):
        ours.store(**step)
        stock.add(Batch(step, info=Batch()))
    stored = stock.sample_indices(0)
    assert np.array_equal(ours.sample_indices(0), stored)
    assert np.array_equal(ours.next(stored), stock.next(stored))
    assert np.array_equal(ours.prev(stored), stock.prev(stored))
    assert np.array_equal(ours.unfinished_index(), stock.unfinished_index())


@settings(max_examples=30, deadline=None)
@given(sizes)
def test_add_returns_what_the_stock_buffer_returns(case: tuple[int, int, int, int]) -> None:
    rows, length, count, seed = case
    ours, stock = LockstepBuffer(length, rows, F), VectorReplayBuffer(length * rows, rows)
    for k, step in enumerate(transitions(rows, count, seed)):
        a, b = (buffer.add(Batch(step, info=Batch()), np.arange(rows)) for buffer in (ours, stock))
        assert np.array_equal(a[0], b[0]), k
        assert np.allclose(a[1], b[1]) and np.array_equal(a[2], b[2]) and np.array_equal(a[3], b[3])


def test_add_refuses_some_of_the_rows() -> None:
    step = Batch(transitions(2, 1, 0)[0], info=Batch())
    with pytest.raises(ValueError, match="takes all its 3 rows at once"):
        LockstepBuffer(4, 3, F).add(step, np.array([0, 2]))


@pytest.mark.parametrize("count", [2, 5, 9])
def test_sampling_is_uniform_over_what_is_stored(count: int) -> None:
    rows, length = 3, 5
    ours, _ = filled(rows, length, count, 7)
    drawn = np.bincount(ours.sample_indices(30_000), minlength=rows * length)
    stored = ours.sample_indices(0)
    expected = 30_000 / len(stored)
    assert drawn.sum() == drawn[stored].sum()
    assert ((drawn[stored] - expected) ** 2 / expected).sum() < len(stored) + 6 * np.sqrt(2 * len(stored))


def test_same_seed_draws_the_same() -> None:
    a, b, c = (filled(2, 4, 6, seed)[0].sample_indices(50) for seed in (1, 1, 2))
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_an_empty_memory_has_nothing_to_sample() -> None:
    with pytest.raises(ValueError, match="empty"):
        LockstepBuffer(4, 3, F).sample_indices(2)


@pytest.mark.parametrize("name", ["obs", "rew", "obs_next", "act"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_refuses_what_is_not_finite(name: str, bad: float) -> None:
    memory = LockstepBuffer(4, 3, F, (2,), np.float32)
    step = transitions(3, 1, 0)[0] | {"act": np.zeros((3, 2), np.float32)}
    step[name][1] = bad
    with pytest.raises(ValueError, match=f"NaN or infinity in {name} of row 1"):
        memory.store(**step)
    assert len(memory) == 0


@pytest.mark.parametrize("count", [0, 3, 5, 8])
def test_state_round_trip_goes_on_exactly(count: int) -> None:
    rows, length = 3, 5
    first, _ = filled(rows, length, count, 3)
    second = LockstepBuffer(length, rows, F, seed=99)
    second.load_state_dict(first.state_dict())
    for step in transitions(rows, 4, 5):
        first.store(**step)
        second.store(**step)
        index = first.sample_indices(8)
        assert np.array_equal(index, second.sample_indices(8))
        assert np.array_equal(first[index].obs, second[index].obs)
        assert np.array_equal(first.next(index), second.next(index))
    assert np.array_equal(first.sample_indices(0), second.sample_indices(0))


def test_state_is_a_snapshot() -> None:
    memory, _ = filled(2, 4, 4, 1)
    state = memory.state_dict()
    before = state["obs"].copy()
    memory.store(**transitions(2, 1, 9)[0])
    assert np.array_equal(state["obs"], before)


def test_refuses_the_state_of_another_size() -> None:
    memory, _ = filled(2, 4, 4, 1)
    with pytest.raises(ValueError, match="memory's obs has shape"):
        LockstepBuffer(3, 2, F).load_state_dict(memory.state_dict())


def test_generator_state_round_trip() -> None:
    rng = np.random.default_rng(4)
    rng.integers(0, 9, 3, np.int32)
    words = generator_state(rng)
    expected = rng.integers(0, 9, 5, np.int32), rng.random(3)
    restore_generator(rng, words)
    assert np.array_equal(rng.integers(0, 9, 5, np.int32), expected[0])
    assert np.array_equal(rng.random(3), expected[1])
