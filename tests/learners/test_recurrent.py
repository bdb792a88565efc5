"""Recurrent DQN and A2C: their numbers against torch's own layers and loops in plain Python, and what they learn."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from pydantic import ValidationError
from tianshou.utils.torch_utils import policy_within_training_step
from torch import Tensor, nn

from policies.config.learners import A2COptions, DQNOptions
from policies.learners.base import Learner
from policies.learners.memory import SequenceMemory, Sequences
from policies.learners.recurrent import returns_along
from policies.learners.registry import BUILDERS, build_learner
from policies.networks.encoders import restarted
from tests.helpers import probes

ROWS = probes.ROWS
SMALL: dict[str, dict[str, Any]] = {
    "dqn": {"recurrent_size": 5, "sequence": 6, "burn_in": 3, "batch_size": 24, "buffer": 640, "warm_up": 64},
    "a2c": {"recurrent_size": 5, "segment": 6, "batch_size": 32},
}
CASES = [(name, cell) for name in SMALL for cell in ("gru", "lstm")]


def make(name: str, cell: str = "gru", seed: int = 0, **changes: Any) -> Any:
    options = BUILDERS[name].options(**{"hidden": (8,), "recurrent": cell} | SMALL[name] | changes)
    actions = probes.SPACES[name]
    grid = (2, 2) if name == "dqn" else None
    sizes: dict[str, Any] = {"observation": probes.FEATURES, "action_space": actions, "rows": ROWS, "grid": grid}
    return build_learner(name, options, seed=seed, **sizes)


def transitions(period: int) -> dict[str, Any]:
    """As the probes', on one scale."""
    one = probes.transitions(period)
    return one | {name: ((one[name] - [0, 50, -3]) / [1, 10, 0.01]).astype(np.float32) for name in ("obs", "obs_next")}


def feed(learner: Learner, periods: int, start: int = 0, learn: bool = True) -> Any:
    for t in range(start, start + periods):
        one = transitions(t)
        learner.progress(t / 100)
        action = learner.act(one["obs"])
        learner.remember(one["obs"], action, one["reward"], one["obs_next"], one["truncated"])
        if learn:
            learner.learn()
        if one["truncated"].any():
            learner.restart(one["truncated"])
    return learner


def layer_of(recall: Any) -> Any:
    """torch's layer over sequences on the cell's own weights, so that gradients arrive there."""
    kind: Any = nn.LSTM if len(recall.names) == 2 else nn.GRU
    layer = kind(recall.cell.input_size, recall.units)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        delattr(layer, f"{name}_l0")
        setattr(layer, f"{name}_l0", getattr(recall.cell, name))
    return layer


def step(layer: Any, obs: Tensor, state: Any) -> Any:
    """One period of one row: the output (H,) and the state after."""
    out, state = layer(obs[None], state)
    return out[0], state


def start_of(recall: Any, state: dict[str, Tensor], row: int) -> Any:
    parts = [state[name][row : row + 1] for name in recall.names]
    return tuple(parts) if len(parts) == 2 else parts[0]


def zeros(recall: Any) -> Any:
    return start_of(recall, recall.start(1), 0)


def detached(state: Any) -> Any:
    return tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()


# ----------------------------------------------------------------------------------------------------------- sequences


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_sequences_are_what_was_played_with_the_states_it_was_played_with(cell: str) -> None:
    """The memory is full and has been overwritten; with weights as they were, unrolling gives every stored state."""
    learner = make("dqn", cell)
    feed(learner, 93, learn=False)
    memory: SequenceMemory = learner.memory
    assert memory.periods == memory.length == 40
    drawn = memory.draw(50, 12)
    told = [transitions(t) for t in range(93)]
    starts = {tuple(one["obs"][row].tolist()): (t, row) for t, one in enumerate(told) for row in range(ROWS)}
    found = [starts[tuple(first.tolist())] for first in drawn.obs[0]]
    assert min(t for t, _ in found) >= 53 and max(t for t, _ in found) <= 81 and len({t for t, _ in found}) > 15
    for k, (t, row) in enumerate(found):
        for name, key in (("obs", "obs"), ("rew", "reward"), ("obs_next", "obs_next"), ("truncated", "truncated")):
            assert np.array_equal(getattr(drawn, name)[:, k].numpy(), np.stack([o[key][row] for o in told[t : t + 12]]))
    seen, after = learner.network.recall.sequence(drawn.obs, drawn.begins, drawn.state)
    assert torch.equal(
        learner.network.greedy(seen[0]), learner.network.greedy(learner.network.recall(drawn.obs[0], drawn.state)[0])
    )
    later = {(t, row): k for k, (t, row) in enumerate(found)}
    pairs = [
        (k, later[t + d, row], d) for k, (t, row) in enumerate(found) for d in range(1, 12) if (t + d, row) in later
    ]
    assert len(pairs) > 20
    for k, other, d in pairs:
        for name in learner.network.recall.names:
            unrolled = restarted({name: after[name][d - 1]}, drawn.truncated[d - 1])[name][k]
            assert torch.allclose(unrolled, drawn.state[name][other], atol=1e-6)


def test_sequences_begin_everywhere_equally_often() -> None:
    """5 places x 16 rows: of 16,000 draws each has 200, with a standard deviation of 14."""
    learner = make("dqn")
    feed(learner, 16, learn=False)
    first = learner.memory.draw(16_000, 12).obs[0].numpy()
    _, counts = np.unique(first, axis=0, return_counts=True)
    assert len(counts) == 5 * ROWS and counts.min() > 140 and counts.max() < 265
    with pytest.raises(ValueError, match="holds 16 periods: none of its sequences is 17 long"):
        learner.memory.draw(1, 17)


def test_returns_along_a_sequence_stop_at_cuts_and_at_its_end() -> None:
    rng = np.random.default_rng(0)
    reward, value = rng.normal(size=(2, 9, 4))
    ends = rng.random((9, 4)) < 0.25
    ends[-1] = True
    for periods in (1, 3, 12):
        found = returns_along(torch.tensor(reward), torch.tensor(ends), torch.tensor(value), periods, 0.9).numpy()
        for b in range(4):
            for t in range(9):
                total, discount, k = 0.0, 1.0, t
                for k in range(t, t + periods):
                    total += discount * reward[k, b]
                    discount *= 0.9
                    if ends[k, b]:
                        break
                assert found[t, b] == pytest.approx(total + discount * value[k, b])


# ---------------------------------------------------------------------------------------------------------------- DQN


def q_values(network: Any, drawn: Sequences, b: int, burn_in: int, burn_gradient: bool = False) -> tuple[Any, Any]:
    """Of one sequence through torch's layer, period by period: Q of what was seen, and of what followed."""
    layer, state = layer_of(network.recall), start_of(network.recall, drawn.state, b)
    now, following = [], []
    for t in range(len(drawn.obs)):
        if t and drawn.truncated[t - 1, b]:
            state = zeros(network.recall)
        if t == burn_in and not burn_gradient:
            state = detached(state)
        out, state = step(layer, drawn.obs[t, b], state)
        with torch.no_grad():
            ahead, _ = step(layer, drawn.obs_next[t, b], detached(state))
            following.append(network.body(torch.cat((drawn.obs_next[t, b], ahead))[None])[0])
        now.append(network.body(torch.cat((drawn.obs[t, b], out))[None])[0])
    return torch.stack(now[burn_in:]), torch.stack(following[burn_in:])


@pytest.mark.parametrize(("cell", "burn_in", "double"), [("gru", 3, True), ("lstm", 3, False), ("gru", 0, True)])
def test_an_update_of_dqn_is_that_of_a_loop_over_periods(cell: str, burn_in: int, double: bool) -> None:
    learner = make("dqn", cell, burn_in=burn_in, double=double, n_step=2, gamma=0.9, loss="huber", huber_delta=0.3)
    feed(learner, 40)
    online, target = learner.network, learner.algorithm.model_old.module
    online.load_state_dict(
        {
            k: v + 0.3 * torch.randn(v.shape, generator=torch.Generator().manual_seed(1))
            for k, v in online.state_dict().items()
        }
    )
    drawn = learner.memory.draw(5, burn_in + 6)
    assert drawn.truncated.any()
    losses = []
    for gradient in (False, True):
        total = torch.zeros(())
        for b in range(5):
            q, ahead = q_values(online, drawn, b, burn_in, gradient)
            _, valued = q_values(target, drawn, b, burn_in)
            ends = drawn.truncated[burn_in:, b].clone()
            ends[-1] = True
            reward = learner.baseline.learned(drawn.rew[burn_in:, b])
            for t in range(6):
                goal, discount, k = 0.0, 1.0, t
                for k in (t, t + 1):
                    goal, discount = goal + discount * float(reward[k]), discount * 0.9
                    if ends[k]:
                        break
                goal += discount * float(valued[k][(ahead if double else valued)[k].argmax()])
                error = q[t, drawn.act[burn_in + t, b]] - goal
                total = total + nn.functional.huber_loss(error, torch.zeros(()), delta=0.3)
        losses.append(total / 30)
    wanted, through = (torch.autograd.grad(loss, list(online.parameters())) for loss in losses)
    with policy_within_training_step(learner.policy):
        told = learner.algorithm.learn_from(drawn).get_loss_stats_dict()
    assert told["loss"] == pytest.approx(float(losses[0].detach()), rel=1e-5)
    for p, one in zip(online.parameters(), wanted, strict=True):
        assert p.grad is not None and torch.allclose(p.grad, one, atol=1e-6)
    if burn_in:
        assert max(float((a - b).abs().max()) for a, b in zip(wanted, through, strict=True)) > 1e-4


def test_dqn_learns_once_it_holds_a_sequence_and_from_as_much_as_the_replay_ratio_says() -> None:
    learner = make("dqn", warm_up=0, replay_ratio=0.5)
    feed(learner, 8)
    assert learner.updates == 0
    feed(learner, 32, start=8)
    assert learner.updates == 40 * ROWS // 2 // 24


# ---------------------------------------------------------------------------------------------------------------- A2C


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_an_update_of_a2c_is_that_of_a_loop_over_periods(cell: str) -> None:
    options = {"batch_size": None, "gamma": 0.9, "gae_lambda": 0.8, "entropy": 0.02, "normalize_advantages": False} | {
        "max_grad_norm": None,
        "repeat": 1,  # at a ratio of 1 the clipped objective's gradient is the plain one's
    }
    learner = make("a2c", cell, **options)
    feed(learner, 15)  # two segments, and half of one
    feed(learner, 2, start=15, learn=False)
    one = transitions(17)
    action = learner.act(one["obs"])
    learner.remember(one["obs"], action, one["reward"], one["obs_next"], one["truncated"])
    told = [transitions(t) for t in range(12, 18)]
    actions = learner.memory.take(learner.memory.sample_indices(0))["act"].view(ROWS, 6, -1)
    actor, critic = learner.network, learner.algorithm.critic
    actor_start, critic_start = learner._first, learner.algorithm.begun
    total, critic_end = torch.zeros(()), []
    for row in range(ROWS):
        obs, follows = (torch.as_tensor(np.stack([o[k][row] for o in told])) for k in ("obs", "obs_next"))
        cut = [bool(o["truncated"][row]) for o in told]
        states = [start_of(actor.recall, actor_start, row), start_of(critic.recall, critic_start, row)]
        layers, log_ps, values, ahead = [layer_of(n.recall) for n in (actor, critic)], [], [], []
        for t in range(6):
            if t and cut[t - 1]:
                states = [zeros(actor.recall), zeros(critic.recall)]
            seen, states[0] = step(layers[0], obs[t], states[0])
            mean, sd = actor.body(torch.cat((obs[t], seen))), actor.log_sd.exp()
            log_ps.append(torch.distributions.Normal(mean, sd).log_prob(actions[row, t]).sum())
            valued, states[1] = step(layers[1], obs[t], states[1])
            values.append(critic.body(torch.cat((obs[t], valued)))[0])
            then, _ = step(layers[1], follows[t], states[1])
            ahead.append(float(critic.body(torch.cat((follows[t], then)))[0].detach()))
        critic_end.append(zeros(critic.recall) if cut[-1] else states[1])
        running = 0.0
        for t in reversed(range(6)):
            reward = float(learner.baseline.learned(torch.tensor(told[t]["reward"][row])))
            running = reward + 0.9 * ahead[t] - float(values[t].detach()) + (0 if cut[t] else 0.9 * 0.8 * running)
            goal = running + float(values[t].detach())
            total = total - log_ps[t] * running + 0.5 * (values[t] - goal) ** 2
    entropy = torch.distributions.Normal(0.0, actor.log_sd.exp()).entropy().sum()
    weights = [*actor.parameters(), *critic.parameters()]
    loss = total / (6 * ROWS) - learner.algorithm.ent_coef * entropy
    wanted = torch.autograd.grad(loss, weights)
    learner.learn()
    for p, gradient in zip(weights, wanted, strict=True):
        assert p.grad is not None and torch.allclose(p.grad, gradient, atol=2e-5)
    for row, end in enumerate(critic_end):
        state = start_of(critic.recall, learner.algorithm.begun, row)
        pairs = zip(state, end, strict=True) if cell == "lstm" else [(state, end)]
        assert all(torch.allclose(a, b.detach(), atol=1e-6) for a, b in pairs)


# ----------------------------------------------------------------------------------------------- what every one can do


@pytest.mark.parametrize(("name", "cell"), CASES)
def test_same_seed_same_bits_and_another_seed_others(name: str, cell: str) -> None:
    one, two, other = (feed(make(name, cell, seed), 47) for seed in (0, 0, 1))
    assert one.updates > 5 and probes.same(probes.weights(one), probes.weights(two))
    assert not probes.same(probes.weights(one), probes.weights(other))


@pytest.mark.parametrize("periods", [21, 24])  # in the middle of a segment of 6, and between two
@pytest.mark.parametrize(("name", "cell"), CASES)
def test_goes_on_to_the_bit(name: str, cell: str, periods: int) -> None:
    changes = {"normalize_observations": True, "normalize_returns": True}
    straight = feed(make(name, cell, **changes), 60)
    begun, resumed = feed(make(name, cell, **changes), periods), feed(make(name, cell, seed=5, **changes), 13)
    kept = io.BytesIO()
    torch.save(begun.state_dict(), kept)
    kept.seek(0)
    resumed.load_state_dict(torch.load(kept, weights_only=True))
    feed(resumed, 60 - periods, start=periods)
    assert straight.updates == resumed.updates > 5 and probes.same(probes.weights(straight), probes.weights(resumed))
    saved, same = straight.state_dict(), resumed.state_dict()
    assert all(torch.equal(saved["remembered"][k], same["remembered"][k]) for k in saved["remembered"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (lambda: DQNOptions(recurrent="gru", stack=2), "a network has one or the other"),
        (lambda: DQNOptions(recurrent="gru", batch_size=8), "batch_size 8 must not be below sequence 16"),
        (lambda: DQNOptions(recurrent="lstm", quantiles=8), "without a cell only; use stack"),
        (lambda: A2COptions(recurrent="rnn"), "'none', 'gru' or 'lstm'"),
    ],
)
def test_options_that_do_not_suit_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        options()


def test_a_memory_too_short_for_a_sequence_is_refused() -> None:
    with pytest.raises(ValueError, match=r"keeps 8 periods of 16 rows: must be burn_in \+ sequence, 9, or more"):
        make("dqn", buffer=128, warm_up=0)


# ------------------------------------------------------------------------------------------------- what they remember

LAG, SIGNS = 2, 3


def remembered_share(learner: Any, discrete: bool, periods: int, rows: int = 32) -> float:
    """Train on a task that pays 1 for naming the sign shown LAG periods ago; the share it then names without
    exploration. Signs are drawn anew each period: nobody without a memory names more than a third."""
    rng = np.random.default_rng(3)
    signs = rng.integers(0, SIGNS, (periods + 40, rows))
    eye, right = np.eye(SIGNS, dtype=np.float32), []
    target = np.array([-0.7, 0.0, 0.7])
    for t in range(LAG, periods + 39):
        learner.progress(min(t / periods, 1.0))
        testing = t >= periods
        action = learner.act(eye[signs[t]], explore=not testing)
        wanted = signs[t - LAG]
        named = action if discrete else np.abs(np.clip(action[:, :1], -1, 1) - target).argmin(axis=1)
        reward = (
            (named == wanted).astype(float) if discrete else -((np.clip(action[:, 0], -1, 1) - target[wanted]) ** 2)
        )
        if testing:
            right.append((named == wanted).mean())
            continue
        learner.remember(eye[signs[t]], action, reward, eye[signs[t + 1]], np.zeros(rows, bool))
        learner.learn()
    return float(np.mean(right))


TASK: dict[str, dict[str, Any]] = {
    "dqn": {"batch_size": 128, "sequence": 8, "burn_in": 4, "warm_up": 500, "replay_ratio": 4.0, "gamma": 0.0, "lr": 5e-3, "buffer": 10_000, "n_step": 1, "lr_final": 0.1},
    "a2c": {"segment": 8, "batch_size": 256, "lr": 3e-3, "gamma": 0.0, "entropy": 0.03, "repeat": 4, "lr_final": 0.1},
    "ddpg": {"batch_size": 128, "warm_up": 500, "replay_ratio": 4.0, "gamma": 0.0, "lr": 2e-3, "critic_lr": 5e-3, "buffer": 10_000, "lr_final": 0.1},
}  # fmt: skip


def task_learner(name: str, seed: int, **memory: Any) -> Any:
    space = Discrete(SIGNS) if name != "ddpg" else Box(-1, 1, (1,), np.float32)
    options = BUILDERS[name].options(**{"hidden": (32,)} | TASK[name] | memory)
    return build_learner(name, options, observation=SIGNS, action_space=space, rows=32, seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "memory"),
    [
        ("dqn", {"recurrent": "gru", "recurrent_size": 32}),
        ("dqn", {"recurrent": "lstm", "recurrent_size": 32}),
        ("a2c", {"recurrent": "gru", "recurrent_size": 32}),
        ("a2c", {"recurrent": "lstm", "recurrent_size": 32}),
        ("ddpg", {"stack": LAG + 1}),
    ],
)
def test_what_was_seen_two_periods_ago_is_remembered_by_those_that_can(name: str, memory: dict[str, Any]) -> None:
    discrete, periods = name != "ddpg", 1200 if name == "a2c" else 400
    shares = [remembered_share(task_learner(name, seed, **memory), discrete, periods) for seed in range(3)]
    without = remembered_share(task_learner(name, 0), discrete, periods)
    print(name, memory, shares, without)
    assert min(shares) > 0.9 and without < 0.45
