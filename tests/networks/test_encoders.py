"""What networks remember: stacks and cells against torch's own layers and numbers written down, in sellers and learners."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from market.simulation.decisions import Decisions
from market.simulation.observation import feature_list
from market.spec.models import MarketSpec
from policies.explain.importance import MEMORY, importances
from policies.explain.policy_map import draw_policy_map, policy_map
from policies.explain.states import greedy_rollout, typical_memory
from policies.learners.registry import BUILDERS, build_learner
from policies.networks.architecture import Architecture, build, decide, empty_memory
from policies.networks.encoders import Frames, RecurrentCell, restarted
from policies.sellers.checkpoint import SavedSeller, load_seller, save_seller
from policies.sellers.network_seller import NetworkSeller
from policies.sellers.protocol import Memory, View, reset_rows
from policies.sellers.rollout import play
from tests.helpers import probes
from tests.helpers.markets import a_market
from tests.helpers.probes import greedy

T, B, F, H = 7, 5, 3, 4
REMEMBERING: list[dict[str, Any]] = [{"cell": "gru"}, {"cell": "lstm"}, {"stack": 3}]


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None]


# ---------------------------------------------------------------------------------------------------------- the stack


def test_a_stack_holds_the_last_observations_and_repeats_the_first_before_them() -> None:
    frames = Frames(observation=1, stack=3)
    state, shown = frames.start(2), []
    for seen in (column(1, 10), column(2, 20), column(3, 30), column(4, 40)):
        stacked, state = frames(seen, state)
        shown.append(stacked.tolist())
    assert shown[0] == [[1, 1, 1], [10, 10, 10]] and shown[1] == [[1, 1, 2], [10, 10, 20]]
    assert shown[2] == [[1, 2, 3], [10, 20, 30]] and shown[3] == [[2, 3, 4], [20, 30, 40]]
    state = restarted(state, torch.tensor([False, True]))
    assert frames(column(5, 50), state)[0].tolist() == [[3, 4, 5], [50, 50, 50]]


# ----------------------------------------------------------------------------------------------------------- the cells


def torch_twin(cell: RecurrentCell) -> Any:
    """torch's layer over sequences with the same weights."""
    layer: Any = (nn.LSTM if len(cell.names) == 2 else nn.GRU)(F, H)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(layer, f"{name}_l0").data.copy_(getattr(cell.cell, name).data)
    return layer


def by_hand(layer: Any, obs: torch.Tensor, begins: torch.Tensor, start: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Every sequence alone through torch's layer, cut into the episodes it is made of: the outputs (T, B, H)."""
    out = torch.empty(T, B, H)
    for b in range(B):
        cuts = [0, *(t for t in range(1, T) if begins[t, b]), T]
        for first, last in pairwise(cuts):
            fresh = first > 0 or bool(begins[0, b])
            state = tuple(torch.zeros(1, H) if fresh else part[b : b + 1] for part in start)
            piece = obs[first:last, b]
            out[first:last, b] = layer(piece, state if len(state) == 2 else state[0])[0]
    return out


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_sequences_are_torchs_own_layer_with_the_state_put_back_where_an_episode_begins(kind: Any) -> None:
    torch.manual_seed(0)
    cell = RecurrentCell(F, kind, H)
    obs, start = torch.randn(T, B, F, requires_grad=True), {name: torch.randn(B, H) for name in cell.names}
    begins = torch.rand(T, B) < 0.3
    begins[0] = torch.tensor([True, False, True, False, False])
    seen, after = cell.sequence(obs, begins, start)
    wanted = by_hand(torch_twin(cell), obs, begins, tuple(start.values()))
    assert torch.allclose(seen[..., F:], wanted, atol=1e-6) and torch.equal(seen[..., :F], obs)
    assert torch.equal(after["hidden"], seen[..., F:])
    slope, same = (
        torch.autograd.grad((w * weight).sum(), obs)[0]
        for w, weight in ((seen[..., F:], wanted.detach()), (wanted, wanted.detach()))
    )
    assert torch.allclose(slope, same, atol=1e-5) and slope.abs().max() > 0.01


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_acting_step_by_step_sees_what_the_sequence_sees(kind: Any) -> None:
    torch.manual_seed(1)
    cell = RecurrentCell(F, kind, H, normalize=True)
    assert cell.normalizer is not None
    cell.normalizer.mean.fill_(0.5)
    obs, begins, state = torch.randn(T, B, F), torch.rand(T, B) < 0.3, cell.start(B)
    whole, after = cell.sequence(obs, begins, state)
    for t in range(T):
        seen, state = cell(obs[t], restarted(state, begins[t]))
        assert torch.allclose(seen, whole[t], atol=1e-7) and torch.allclose(seen[:, :F], obs[t] - 0.5, atol=1e-6)
        assert all(torch.allclose(state[name], after[name][t], atol=1e-7) for name in cell.names)


def test_a_network_has_one_kind_of_memory() -> None:
    with pytest.raises(ValidationError, match="either a recurrent cell or a stack"):
        Architecture(kind="q", observation=3, actions=2, cell="gru", stack=2)


def test_a_network_saved_before_there_were_memories_is_rebuilt() -> None:
    old = {"kind": "gaussian", "observation": 3, "actions": 2, "hidden": [8]}
    network = build(Architecture.model_validate(old))
    assert list(network.state_dict()) == [
        "log_sd",
        *(f"body.layers.{k}.{n}" for k in (0, 1) for n in ("weight", "bias")),
    ]
    assert empty_memory(network, 4) == {}


# -------------------------------------------------------------------------------------------------------- in a market


def market() -> MarketSpec:
    stocked = {"lead_time": 1, "stock": 6, "holding_cost": 0.05, "grid": {"prices": 4, "levels": 4}}
    return MarketSpec.parse(a_market(stocked, stocked, horizon=12))


def seller(spec: MarketSpec, seat: int = 0, seed: int = 0, **memory: Any) -> NetworkSeller:
    shape = Architecture(
        kind="deterministic", observation=len(feature_list(spec)), actions=2, hidden=(8,), cell_size=6, **memory
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build(shape)
        for name, tensor in network.named_parameters():
            tensor.data.mul_(2.0 if "body" in name else 3.0)  # so that what it remembers moves what it does
    return NetworkSeller(network.requires_grad_(False), Decisions(spec, seat, "box"))


class Witness:
    """A seller that keeps what it was shown and what it decided."""

    def __init__(self, inner: NetworkSeller) -> None:
        self.inner, self.start = inner, inner.start
        self.observations: list[np.ndarray] = []
        self.prices: list[np.ndarray] = []

    def act(self, view: View, memory: Memory) -> Any:
        self.observations.append(view.observation.copy())
        decided = self.inner.act(view, memory)
        self.prices.append(decided[0])
        return decided


@pytest.mark.parametrize("memory", REMEMBERING)
def test_a_seller_in_a_market_carries_its_networks_memory(memory: dict[str, Any]) -> None:
    """Its last price is that of the whole history shown to the network at once."""
    spec = market()
    witness = Witness(seller(spec, **memory))
    play(spec, [witness, seller(spec, 1, seed=1)], markets=3)
    network: Any = witness.inner.network
    history = torch.as_tensor(np.stack(witness.observations))
    if isinstance(network.recall, Frames):
        last = torch.cat(tuple(history[-3:]), dim=1)
    else:
        out, _ = torch_sequence(network.recall, history)
        last = torch.cat((history[-1], out[-1]), dim=1)
    price, _ = witness.inner.decisions.decode(network.greedy(last).detach().numpy())
    assert np.allclose(witness.prices[-1], price, atol=1e-5)
    alone, _ = witness.inner.decisions.decode(greedy(network, witness.observations[-1]))
    assert np.abs(alone - price).max() > 1e-3


def torch_sequence(recall: Any, history: torch.Tensor) -> Any:
    layer: Any = (nn.LSTM if len(recall.names) == 2 else nn.GRU)(history.shape[2], recall.units)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(layer, f"{name}_l0").data.copy_(getattr(recall.cell, name).data)
    return layer(history)


@pytest.mark.parametrize("memory", REMEMBERING)
def test_rows_that_begin_anew_forget_and_the_others_do_not(memory: dict[str, Any]) -> None:
    spec = market()
    one = seller(spec, **memory)
    rng = np.random.default_rng(0)
    seen = rng.uniform(-1, 1, (3, 4, len(feature_list(spec)))).astype(np.float32)
    remembered = one.start(4)
    for obs in seen[:2]:
        remembered = decide(one.network, obs, remembered)[1]
    cut = np.array([True, False, True, False])
    action, _ = decide(one.network, seen[2], reset_rows(one, remembered, cut))
    fresh, going = greedy(one.network, seen[2]), decide(one.network, seen[2], remembered)[0]
    assert np.allclose(action, np.where(cut[:, None], fresh, going), atol=1e-6)
    assert np.abs(fresh - going).max(axis=1).min() > 1e-4


@pytest.mark.parametrize("memory", REMEMBERING)
def test_a_seller_with_a_memory_is_saved_and_read(memory: dict[str, Any], tmp_path: Path) -> None:
    spec = market()
    one = seller(spec, **memory)
    network: Any = one.network
    facts = (spec.names[0], 0, "box", "ddpg", 1, 0.0)
    save_seller(SavedSeller(tmp_path / "a.pt", *facts, network.architecture, network.state_dict(), spec))
    again = load_seller(tmp_path / "a.pt").sit(spec)
    ledgers = [play(spec, [each, seller(spec, 1, seed=1)], markets=4) for each in (one, again)]
    assert (ledgers[0]["price"] == ledgers[1]["price"]).all() and np.ptp(ledgers[0]["price"][:, :, 0]) > 0


# --------------------------------------------------------------------------------------------------- what it is shown as


@pytest.mark.parametrize("memory", REMEMBERING)
def test_maps_and_importances_tell_that_it_remembers(memory: dict[str, Any]) -> None:
    spec = market()
    sellers = [seller(spec, **memory), seller(spec, 1, seed=1)]
    rollout = greedy_rollout(spec, sellers, episodes=8)
    found = {one.group: one for one in importances(spec, sellers[0], rollout.states, 0, rollout.memories[0])}
    assert found[MEMORY].price > 1e-3
    chart = policy_map("mine", sellers[0], rollout, 0, 3, 3)
    assert "typical one" in chart.memory and "typical one" in draw_policy_map(chart)._suptitle.get_text()  # type: ignore[attr-defined]
    stranger = policy_map("other", sellers[1], rollout, 0, 3, 3)
    assert stranger.memory == ""
    with_other = policy_map("mine", seller(spec, cell="gru"), replace(rollout, memories=({}, {})), 0, 3, 3)
    assert with_other.memory == "as in the first period of an episode"


def test_the_typical_memory_is_one_that_was_met() -> None:
    spec = market()
    met = {"hidden": np.array([[0.0, 1.0], [0.4, 0.5], [0.9, 0.1], [1.0, 0.0]], np.float32)}  # mean (.575, .4)
    assert typical_memory(seller(spec, cell="gru"), met)["hidden"].tolist() == [met["hidden"][1].tolist()]


# --------------------------------------------------------------------------------------------------------- in a learner


def stacked(name: str, seed: int = 0, **changes: Any) -> Any:
    return probes.make(name, seed, stack=3, **changes)


def feed(learner: Any, periods: int, start: int = 0, learn: bool = True) -> list[dict[str, Any]]:
    """Consistent episodes: what follows a period is what the next one shows, unless the row was cut."""
    told = []
    for t in range(start, start + periods):
        one = probes.transitions(t)
        action = learner.act(one["obs"])
        learner.remember(one["obs"], action, one["reward"], one["obs_next"], one["truncated"])
        if learn:
            learner.learn()
        if one["truncated"].any():
            learner.restart(one["truncated"])
        told.append(one)
    return told


@pytest.mark.parametrize("name", ["ddpg", "dqn", "a2c"])
def test_a_learner_stores_the_stacks_that_it_was_shown(name: str) -> None:
    learner = stacked(name, **({"segment": 40} if name == "a2c" else {}))
    told = feed(learner, 30, learn=False)
    taken = learner.memory.take(learner.memory.sample_indices(0))
    obs, following = (taken[name].numpy().reshape(probes.ROWS, 30, -1) for name in ("obs", "obs_next"))
    for row in range(probes.ROWS):
        begun = 0
        for t, one in enumerate(told):
            frames = [told[max(k, begun)]["obs"][row] for k in (t - 2, t - 1, t)]
            after = [told[max(k, begun)]["obs"][row] for k in (t - 1, t)] + [one["obs_next"][row]]
            assert (obs[row, t] == np.concatenate(frames)).all() and (following[row, t] == np.concatenate(after)).all()
            begun = t + 1 if one["truncated"][row] else begun


@pytest.mark.parametrize("name", ["ddpg", "dqn", "a2c"])
def test_a_stacked_learner_is_the_plain_one_of_a_market_that_shows_stacks(name: str) -> None:
    """Same first weights, same draws: the same bits."""
    learner = stacked(name, normalize_observations=True)
    options = BUILDERS[name].options(
        **{"hidden": (8,)} | probes.SMALL[name] | {"normalize_observations": True, "memory": "device"}
    )
    space, wide = probes.SPACES[name], 3 * probes.FEATURES
    plain = build_learner(name, options, observation=wide, action_space=space, rows=probes.ROWS)
    frames, state = Frames(probes.FEATURES, 3), Frames(probes.FEATURES, 3).start(probes.ROWS)
    for t in range(40):
        one = probes.transitions(t)
        seen, state = frames(torch.as_tensor(one["obs"]), state)
        follows = frames(torch.as_tensor(one["obs_next"]), state)[0].numpy()
        state = restarted(state, torch.as_tensor(one["truncated"]))
        action = plain.act(seen.numpy())
        plain.remember(seen.numpy(), action, one["reward"], follows, one["truncated"])
        plain.learn()
    feed(learner, 40)
    assert learner.updates == plain.updates > 3
    assert probes.same(probes.weights(learner), probes.weights(plain))
    rebuilt = build(Architecture.model_validate_json(learner.architecture.model_dump_json()))
    rebuilt.load_state_dict(learner.network.state_dict())
    assert rebuilt.architecture.observation == probes.FEATURES and rebuilt.architecture.stack == 3


@pytest.mark.parametrize("name", ["ddpg", "dqn", "a2c"])
def test_a_stacked_learner_goes_on_to_the_bit(name: str) -> None:
    straight, begun, resumed = stacked(name), stacked(name), stacked(name, seed=9)
    feed(straight, 53)
    feed(begun, 23)
    kept = io.BytesIO()
    torch.save(begun.state_dict(), kept)
    kept.seek(0)
    resumed.load_state_dict(torch.load(kept, weights_only=True))
    feed(resumed, 30, start=23)
    assert probes.same(probes.weights(straight), probes.weights(resumed)) and straight.updates > 3
