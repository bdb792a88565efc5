"""The memory on a learner's device: the lockstep buffer's transitions, and the same learning."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from policies.learners.numpy_memory import LockstepBuffer
from tianshou.algorithm.algorithm_base import _gae

from policies.learners.memory import TensorMemory
from policies.learners.updates import advantages, n_step_return
from tests.helpers.probes import feed, make, next_batch, same, transitions, weights

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


def both(rows: int, length: int, count: int, seed: int, staged: bool = False) -> tuple[LockstepBuffer, TensorMemory]:
    ours, tensors = LockstepBuffer(length, rows, F, seed=seed), TensorMemory(length, rows, F, seed=seed, staged=staged)
    for step in steps(rows, count, seed):
        ours.store(**step)
        tensors.store(**step)
    return ours, tensors


def held_equal(ours: LockstepBuffer, tensors: TensorMemory, ask: int) -> None:
    """The same draw gives the same transitions, of the same types, with the same ends."""
    index, place = ours.sample_indices(ask), tensors.sample_indices(ask)
    taken, batch = tensors.take(place), ours[index]
    assert len(taken) == len(index)
    for name in FIELDS:
        mine = taken[name].numpy()
        assert mine.dtype == batch[name].dtype and np.array_equal(mine, batch[name])
    assert np.array_equal(taken.ends.numpy(), ours.ends(index))


# -------------------------------------------------------------------------------------------------------- the memory


@settings(max_examples=60, deadline=None)
@given(sizes, st.booleans())
def test_holds_and_draws_what_the_lockstep_buffer_does(case: tuple[int, int, int, int], staged: bool) -> None:
    ours, tensors = both(*case, staged)
    assert len(ours) == len(tensors) and ours.maxsize == tensors.maxsize and ours.last_slot == tensors.last_slot
    for ask in (0, 17):
        held_equal(ours, tensors, ask)
    for name in FIELDS:
        assert np.array_equal(tensors.latest(name).numpy(), ours._arrays[name][:, ours.last_slot])


@settings(max_examples=40, deadline=None)
@given(sizes, st.integers(1, 5))
def test_following_transitions_are_the_same_until_an_end(case: tuple[int, int, int, int], periods: int) -> None:
    ours, tensors = both(*case)
    index, along = ours.sample_indices(0), tensors.following(tensors.sample_indices(0), periods)
    going = np.ones(len(index), bool)
    for n in range(periods):
        assert np.array_equal(tensors.take(along[n])["rew"].numpy()[going], ours.rew[index][going])
        going &= ~ours.ends(index)
        index = ours.next(index)


@settings(max_examples=30, deadline=None)
@given(sizes, st.booleans())
def test_each_reads_the_others_state(case: tuple[int, int, int, int], staged: bool) -> None:
    rows, length, _, seed = case
    ours, tensors = both(*case)
    read = TensorMemory(length, rows, F, seed=1, staged=staged)
    read.load_state_dict(ours.state_dict())
    back = LockstepBuffer(length, rows, F, seed=2)
    back.load_state_dict(tensors.state_dict())
    for step in steps(rows, 4, seed + 1):
        for memory in (ours, tensors, read, back):
            memory.store(**step)  # type: ignore[attr-defined]
        for one, other in ((ours, read), (back, tensors)):
            held_equal(one, other, 9)


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
def test_refuses_what_is_not_finite(name: str) -> None:
    memory = TensorMemory(4, 3, F, (2,), np.float32)
    step = next(steps(3, 1, 0)) | {"act": np.zeros((3, 2), np.float32)}
    step[name][1] = np.nan
    with pytest.raises(ValueError, match=f"NaN or infinity in {name} of row 1: nothing was stored"):
        memory.store(**step)
    assert len(memory) == 0


def test_refuses_nothing_to_sample_no_room_and_the_state_of_another_size() -> None:
    with pytest.raises(ValueError, match="empty"):
        TensorMemory(4, 3, F).sample_indices(2)
    with pytest.raises(ValueError, match="at least 1 slot and 1 row, not 0 and 3"):
        TensorMemory(0, 3, F)
    _, memory = both(2, 4, 4, 1)
    with pytest.raises(ValueError, match="memory's obs has shape|memory's rew has shape"):
        TensorMemory(3, 2, F).load_state_dict(memory.state_dict())


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


@pytest.mark.parametrize("changes", [{}, {"normalize_observations": True, "normalize_returns": True}])
@pytest.mark.parametrize("n_step", [1, 3])
@pytest.mark.parametrize("name", ["dqn", "ddpg"])
def test_ends_with_the_same_weights_to_the_bit(name: str, n_step: int, changes: dict[str, Any]) -> None:
    options = {"n_step": n_step, "replay_ratio": 2.0, "buffer": 320} | changes
    arrays, tensors = (feed(make(name, memory=kind, **options), 80) for kind in ("numpy", "device"))
    assert isinstance(tensors.memory, TensorMemory) and isinstance(arrays.memory, LockstepBuffer)
    assert arrays.updates == tensors.updates > 70
    assert same(weights(arrays), weights(tensors))


@pytest.mark.parametrize(
    "changes", [{"normalize_advantages": False}, {"normalize_advantages": True, "batch_size": 20, "repeat": 2}]
)
def test_a2c_ends_with_the_same_weights(changes: dict[str, Any]) -> None:
    """To the bit; where advantages are normalised, but for the order in which their mean is summed."""
    arrays, tensors = (feed(make("a2c", memory=kind, lr=1e-2, **changes), 80) for kind in ("numpy", "device"))
    assert arrays.updates == tensors.updates == 16
    pairs = list(zip(weights(arrays), weights(tensors), strict=True))
    assert all(torch.allclose(a, b, rtol=1e-6, atol=1e-6) for a, b in pairs)
    assert changes["normalize_advantages"] or all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_the_same(name: str) -> None:
    one, other = (next_batch(feed(make(name, memory=kind), 5, learn=False)) for kind in ("numpy", "device"))
    for field in ("obs", "act", "returns", *(["adv"] if name == "a2c" else [])):
        a, b = one[field], other[field]
        assert a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b), field
    assert other.obs.is_contiguous()


@pytest.mark.parametrize("kinds", [("numpy", "device"), ("device", "numpy"), ("device", "device")])
@pytest.mark.parametrize("name", NAMES)
def test_resumes_exactly_from_either_memorys_state(name: str, kinds: tuple[str, str]) -> None:
    first, second = (make(name, seed=k, memory=kind) for k, kind in enumerate(kinds))
    feed(first, 33)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second.load_state_dict(torch.load(file, weights_only=True))
    for learner in (first, second):
        feed(learner, 27, start=33)
    assert same(weights(first), weights(second)) and first.scalars() == second.scalars()


READS = ("cpu", "numpy", "item", "tolist", "__float__", "__int__", "__bool__", "__array__")


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_read_back_while_remembering_and_updating(
    name: str, normalize: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a device each of these would wait for it. Only a report reads."""
    options: dict[str, Any] = {"report_every": 1000, "normalize_observations": normalize}
    options |= {"normalize_advantages": True, "batch_size": 20} if name == "a2c" else {"n_step": 3}
    learner = feed(make(name, memory="device", max_grad_norm=0.5, loss="huber", **options), 50)
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
    learner, copies, plain = make(name, memory="device"), [], torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: copies.append(1) or plain(tensor))
    learner.act(transitions(0)["obs"], explore)
    assert copies == [1]


@pytest.mark.parametrize("name", NAMES)
def test_many_markets_and_large_batches(name: str) -> None:
    rows = 4096
    options: dict[str, Any] = {"batch_size": rows, "memory": "device"}
    options |= {} if name == "a2c" else {"buffer": 4 * rows, "warm_up": 0, "n_step": 2, "replay_ratio": 1.0}
    learner = feed(make(name, rows=rows, **options), 6)
    assert learner.stored == 6 * rows and learner.updates == (1 if name == "a2c" else 6)
    assert all(torch.isfinite(w).all() for w in weights(learner))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_a_gpu_learns_what_the_cpu_does(name: str) -> None:
    """From the same transitions, within what 32-bit arithmetic allows; `memory: auto` lies on the GPU."""
    options: dict[str, Any] = {"normalize_observations": True, "memory": "auto"}
    learners = [make(name, device=device, **options) for device in ("cpu", "cuda")]
    assert isinstance(learners[1].memory, TensorMemory) and learners[1].memory.device.type == "cuda"
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
