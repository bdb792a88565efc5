"""The replay memory against Tianshou's ``VectorReplayBuffer``, and what learners do with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tianshou.algorithm.algorithm_base import Algorithm, _gae

from policies.common.torch_tools import generator_state, restore_generator
from policies.learners.memory import TensorMemory
from policies.learners.updates import advantages, n_step_return
from tests.helpers.probes import feed, make, same, transitions, weights
from tests.helpers.stock_memory import StockMemory

F = 3
NAMES = ["dqn", "ddpg", "a2c"]
FIELDS = ("obs", "act", "rew", "obs_next", "truncated")
sizes = st.tuples(st.integers(1, 5), st.integers(1, 7), st.integers(1, 20), st.integers(0, 2**32 - 1))


def steps(rows: int, count: int, seed: int) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield {
            "obs": rng.random((rows, F), np.float32),
            "act": rng.integers(0, 9, rows),
            "rew": rng.normal(size=rows),
            "obs_next": rng.random((rows, F), np.float32),
            "truncated": rng.random(rows) < 0.2,
        }


def both(rows: int, length: int, count: int, seed: int, staged: bool = False) -> tuple[TensorMemory, StockMemory]:
    ours, stock = TensorMemory(length, rows, F, seed=seed, staged=staged), StockMemory(length, rows, seed)
    for step in steps(rows, count, seed):
        ours.store(**step)
        stock.store(**step)
    return ours, stock


def ends_of(stock: StockMemory, index: Any) -> Any:
    return stock.done[index] | np.isin(index, stock.unfinished_index())


def held_equal(ours: TensorMemory, stock: StockMemory, ask: int) -> None:
    """The same draw gives the same transitions, of the same types, with the same ends."""
    place, index = ours.sample_indices(ask), stock.sample_indices(ask)
    taken, batch = ours.take(place), stock[index]
    assert len(taken) == len(index)
    for name in FIELDS:
        mine = taken[name].numpy()
        assert mine.dtype == batch[name].dtype and np.array_equal(mine, batch[name])
    assert np.array_equal(taken.ends.numpy(), ends_of(stock, index))


# -------------------------------------------------------------------------------------------------------- the memory


def test_stock_compiles() -> None:
    """Pays numba's compilation once, outside hypothesis' deadlines."""
    _, stock = both(2, 3, 4, 0)
    assert len(stock.next(np.arange(6))) == 6


@settings(max_examples=60, deadline=None)
@given(sizes, st.booleans())
def test_holds_and_draws_what_the_stock_buffer_does(case: tuple[int, int, int, int], staged: bool) -> None:
    ours, stock = both(*case, staged)
    assert len(ours) == len(stock) and ours.length * ours.rows == stock.maxsize
    for ask in (0, 17):
        held_equal(ours, stock, ask)
    for name in FIELDS:
        assert np.array_equal(ours.latest(name).numpy(), getattr(stock, name)[stock.last_index])


@settings(max_examples=40, deadline=None)
@given(sizes, st.integers(1, 5))
def test_following_transitions_are_the_same_until_an_end(case: tuple[int, int, int, int], periods: int) -> None:
    ours, stock = both(*case)
    index, along = stock.sample_indices(0), ours.following(ours.sample_indices(0), periods)
    going = np.ones(len(index), bool)
    for n in range(periods):
        assert np.array_equal(ours.take(along[n])["rew"].numpy()[going], stock.rew[index][going])
        going &= ~ends_of(stock, index)
        index = stock.next(index)


@settings(max_examples=30, deadline=None)
@given(sizes, st.integers(1, 4))
def test_returns_and_advantages_equal(case: tuple[int, int, int, int], n_step: int) -> None:
    ours, stock = both(*case)
    index, place = stock.sample_indices(0), ours.sample_indices(0)
    batch, taken = stock[index], ours.take(place)

    def value(buffer: Any, index: Any) -> torch.Tensor:
        return torch.as_tensor(buffer.obs_next[index].sum(1))

    expected = Algorithm.compute_nstep_return(batch, stock, index, value, 0.9, n_step).returns.numpy().ravel()
    along = ours.following(place, n_step)
    whole = ours.take(along.flatten())
    ends = whole.ends.view(n_step, -1)
    reached = (~ends[:-1]).cumprod(0).sum(0, keepdim=True)
    last = torch.as_tensor(ours.take(along.gather(0, reached).flatten()).seen("obs_next").numpy().sum(1))
    found = n_step_return(whole["rew"].view(n_step, -1), ends, last, 0.9)
    assert np.array_equal(found.float().numpy(), expected.astype(np.float32))
    v, v_next = batch.obs.sum(1), batch.obs_next.sum(1)
    shape = (ours.rows, -1)
    gae = Algorithm.compute_episodic_return(batch, stock, index, v_next, v, 0.9, 0.8)[1]
    arrays = (taken["rew"], torch.from_numpy(v), torch.from_numpy(v_next), taken.ends)
    assert np.array_equal(advantages(*(a.view(shape) for a in arrays), 0.9, 0.8).flatten().numpy(), gae)


@settings(max_examples=20, deadline=None)
@given(sizes, st.integers(1, 6))
def test_goes_on_equal_after_reset(case: tuple[int, int, int, int], more: int) -> None:
    ours, stock = both(*case)
    ours.reset()
    stock.reset()
    assert len(ours) == 0
    for step in steps(case[0], more, 1):
        ours.store(**step)
        stock.store(**step)
    held_equal(ours, stock, 0)
    held_equal(ours, stock, 9)


@settings(max_examples=30, deadline=None)
@given(sizes, st.booleans())
def test_state_round_trip_goes_on_exactly(case: tuple[int, int, int, int], staged: bool) -> None:
    rows, length, _, seed = case
    first, _ = both(*case)
    second = TensorMemory(length, rows, F, seed=99, staged=staged)
    second.load_state_dict(first.state_dict())
    for step in steps(rows, 4, seed + 1):
        for memory in (first, second):
            memory.store(**step)
        index = first.sample_indices(8)
        assert torch.equal(index, second.sample_indices(8))
        for name in FIELDS:
            assert torch.equal(first.take(index)[name], second.take(index)[name])
    assert torch.equal(first.take(index).ends, second.take(index).ends)


@pytest.mark.parametrize("rows", [1, 2])
def test_state_is_a_snapshot(rows: int) -> None:
    memory, _ = both(rows, 4, 4, 1)
    state = memory.state_dict()
    before = {name: tensor.clone() for name, tensor in state.items()}
    memory.store(**next(steps(rows, 1, 9)))
    memory.sample_indices(3)
    assert all(torch.equal(state[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize("count", [2, 5, 9])
def test_sampling_is_uniform_over_what_is_stored(count: int) -> None:
    rows, length = 3, 5
    ours, _ = both(rows, length, count, 7)
    drawn = np.bincount(ours.sample_indices(30_000), minlength=rows * length)
    stored = ours.sample_indices(0).numpy()
    expected = 30_000 / len(stored)
    assert drawn.sum() == drawn[stored].sum()
    assert ((drawn[stored] - expected) ** 2 / expected).sum() < len(stored) + 6 * np.sqrt(2 * len(stored))


def test_same_seed_draws_the_same() -> None:
    a, b, c = (both(2, 4, 6, 1)[0] if seed == 1 else both(2, 4, 6, seed)[0] for seed in (1, 1, 2))
    drawn = [memory.sample_indices(50) for memory in (a, b, c)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_boxes_of_actions_and_one_copy_a_period(monkeypatch: pytest.MonkeyPatch) -> None:
    """Staged as for a device of its own: whatever the fields, a period goes over in one copy."""
    memory = TensorMemory(4, 3, F, (2,), np.float32, staged=True)
    copies: list[int] = []
    plain = torch.Tensor.copy_
    monkeypatch.setattr(torch.Tensor, "copy_", lambda *a, **k: copies.append(1) or plain(*a, **k))
    for k in range(6):
        step = next(steps(3, 1, k)) | {"act": np.full((3, 2), k + 0.25, np.float32)}
        memory.store(**step)
        assert len(copies) == k + 1
        for name in FIELDS:
            assert np.array_equal(memory.latest(name).numpy(), step[name])


@pytest.mark.parametrize("name", ["obs", "rew", "obs_next", "act"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_refuses_what_is_not_finite(name: str, bad: float) -> None:
    memory = TensorMemory(4, 3, F, (2,), np.float32)
    step = next(steps(3, 1, 0)) | {"act": np.zeros((3, 2), np.float32)}
    step[name][1] = bad
    with pytest.raises(ValueError, match=f"NaN or infinity in {name} of row 1: nothing was stored"):
        memory.store(**step)
    assert len(memory) == 0


def test_refuses_nothing_to_sample_no_room_and_the_state_of_another_size() -> None:
    with pytest.raises(ValueError, match="empty"):
        TensorMemory(4, 3, F).sample_indices(2)
    with pytest.raises(ValueError, match="at least 1 slot and 1 row, not 0 and 3"):
        TensorMemory(0, 3, F)
    memory, _ = both(2, 4, 4, 1)
    with pytest.raises(ValueError, match="memory's obs has shape|memory's rew has shape"):
        TensorMemory(3, 2, F).load_state_dict(memory.state_dict())


def test_generator_state_round_trip() -> None:
    rng = np.random.default_rng(4)
    rng.integers(0, 9, 3, np.int32)
    words = generator_state(rng)
    expected = rng.integers(0, 9, 5, np.int32), rng.random(3)
    for saved in (words, words.view(torch.uint64)):  # as some states recorded before have it
        restore_generator(rng, saved)
        assert np.array_equal(rng.integers(0, 9, 5, np.int32), expected[0])
        assert np.array_equal(rng.random(3), expected[1])


# -------------------------------------------------------------------------------------------------------- the targets


def test_n_step_returns_as_worked_by_hand() -> None:
    reward = torch.tensor([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]], dtype=torch.float64)
    ends = torch.tensor([[True, False, False], [False, True, False]])
    value = torch.tensor([10.0, 20.0, 30.0])
    assert n_step_return(reward, ends, value, 0.5).tolist() == [1 + 5.0, 1 + 1 + 5.0, 1 + 1 + 7.5]


def test_advantages_are_tianshous_to_the_bit() -> None:
    rng, shape = np.random.default_rng(0), (6, 9)
    reward, v, v_next = rng.normal(size=shape), *rng.normal(size=(2, *shape)).astype(np.float32)
    ends = rng.random(shape) < 0.2
    ends[:, -1] = True
    stock = _gae(v.ravel(), v_next.ravel(), reward.ravel(), ends.ravel(), 0.9, 0.8)
    ours = advantages(*(torch.from_numpy(a) for a in (reward, v, v_next, ends)), 0.9, 0.8)
    assert np.array_equal(ours.numpy().ravel(), stock)


# ------------------------------------------------------------------------------------------------------- the learning


@pytest.mark.parametrize("name", NAMES)
def test_goes_on_from_a_state_recorded_with_the_numpy_memory_of_0_1_0(name: str) -> None:
    """``recorded/numpy_memory.pt``: learners fed 12 periods, saved, fed 10 more; by the code that had that memory."""
    recorded = torch.load(Path(__file__).parent / "recorded/numpy_memory.pt", weights_only=True)[name]
    then: dict[str, Any] = {"gamma": 0.98}  # what was default
    ddpg = {"lr": 8e-4, "critic_lr": 1e-3, "tau": 0.04, "noise": 0.4, "noise_final": 0.02}
    a2c = {"lr": 1e-3, "clip": None, "repeat": 1}
    then |= {"dqn": {"replay_ratio": 2.0}, "a2c": a2c, "ddpg": ddpg}[name]
    learner = make(name, seed=9, memory="numpy", **recorded["options"] | then)
    learner.load_state_dict(recorded["state"])
    feed(learner, 10, start=12)
    assert learner.updates == recorded["updates"] > 0 and same(weights(learner), recorded["weights"])


READS = ("cpu", "numpy", "item", "tolist", "__float__", "__int__", "__bool__", "__array__")


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_read_back_while_remembering_and_updating(
    name: str, normalize: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a device each of these would wait for it. Only a report reads."""
    options: dict[str, Any] = {"report_every": 1000, "normalize_observations": normalize}
    options |= {"normalize_advantages": True, "batch_size": 20} if name == "a2c" else {"n_step": 3}
    learner = feed(make(name, max_grad_norm=0.5, loss="huber", **options), 50)
    actions = [learner.act(transitions(t)["obs"]) for t in range(50, 60)]

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a tensor was read back")

    before = learner.updates
    with monkeypatch.context() as patched:
        for read in READS:
            patched.setattr(torch.Tensor, read, refuse)
        for t, action in zip(range(50, 60), actions, strict=True):
            one = transitions(t)
            learner.remember(one["obs"], action, one["reward"], one["obs_next"], one["truncated"])
            learner.learn()
    assert learner.updates > before + 1
    with monkeypatch.context() as patched:
        patched.setattr(torch.Tensor, "__float__", refuse)
        with pytest.raises(AssertionError, match="read back"):
            learner.scalars()


@pytest.mark.parametrize("explore", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_actions_come_back_in_one_copy(name: str, explore: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    learner, copies, plain = make(name), [], torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: copies.append(1) or plain(tensor))
    learner.act(transitions(0)["obs"], explore)
    assert copies == [1]


@pytest.mark.parametrize("name", NAMES)
def test_many_markets_and_large_batches(name: str) -> None:
    rows = 4096
    options: dict[str, Any] = {"batch_size": rows}
    options |= {} if name == "a2c" else {"buffer": 4 * rows, "warm_up": 0, "n_step": 2, "replay_ratio": 1.0}
    learner = feed(make(name, rows=rows, **options), 6)
    assert learner.stored == 6 * rows and learner.updates == (1 if name == "a2c" else 6)
    assert all(torch.isfinite(w).all() for w in weights(learner))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_a_gpu_learns_what_the_cpu_does(name: str) -> None:
    """From the same transitions, within what 32-bit arithmetic allows."""
    learners = [make(name, device=device, normalize_observations=True) for device in ("cpu", "cuda")]
    assert learners[1].memory.device.type == "cuda"
    for t in range(40):
        one = transitions(t)
        action = learners[0].act(one["obs"])
        assert learners[1].act(one["obs"]).shape == action.shape
        for learner in learners:
            learner.remember(one["obs"], action, one["reward"], one["obs_next"], one["truncated"])
            learner.learn()
    assert learners[0].updates == learners[1].updates > 0
    for a, b in zip(*map(weights, learners), strict=True):
        assert torch.allclose(a, b.cpu(), atol=1e-3)
