"""The PettingZoo environment: the API, every step of whole episodes, and equality with the batch behind it."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, seed_test

from market.envs.parallel import FIELDS, BazaarParallelEnv, env, parallel_env
from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.simulation.decisions import Decisions, order_quantity
from market.spec.loading import read_yaml
from market.spec.models import MarketSpec
from market.state import LEDGER_UNITS
from tests.helpers.checks import check_full_horizon

CONFIGS = Path(__file__).parents[2] / "configs"
DUOPOLY = CONFIGS / "duopoly.yaml"


def three_sellers() -> MarketSpec:
    """Three unlike sellers, every kind of feature, lead times 0, 1 and 3, and a seat on a grid among Box seats."""
    data = read_yaml(DUOPOLY)["market"]
    left = data["sellers"][0]
    data["horizon"] = 40
    data["visibility"] = {"rivals_stock": "level"}
    data["customers"] |= {"weekly": [0.8, 1.2], "yearly": {"amplitude": 0.3}, "trend": 0.01, "dispersion": 0.2}
    data["events"] = {"effect": 0.5, "mean_length": 2, "announced": 2}
    data["demand_shock"] = {"persistence": 0.5, "common": 0.2}
    data["sellers"] = [
        left | {"name": "a", "lead_time": 0, "event_frequency": 0.3, "xi": 0.5},
        left | {"name": "b", "lead_time": 3, "quality": 4.5, "actions": "grid"},
        left | {"name": "c", "lead_time": 1, "unit_cost": 1.2, "price_change_cost": 0.1},
    ]
    return MarketSpec.parse(data)


def made_to_order() -> MarketSpec:
    """Calvano's market, not begun at mid-range prices: api_test warns of observations that are all 0."""
    data = read_yaml(CONFIGS / "calvano.yaml")["market"]
    data["sellers"] = [seller | {"start_price": 1.9} for seller in data["sellers"]]
    return MarketSpec.parse(data)


MARKETS = {name: MarketSpec.load(CONFIGS / f"{name}.yaml") for name in ("duopoly", "monopoly", "orange_juice")}
MARKETS |= {"made to order": made_to_order(), "three sellers": three_sellers()}
EVERY_MARKET = pytest.mark.parametrize("spec", MARKETS.values(), ids=MARKETS.keys())


def sampled(environment: BazaarParallelEnv) -> dict[str, Any]:
    return {agent: environment.action_space(agent).sample() for agent in environment.possible_agents}


def still(environment: BazaarParallelEnv) -> dict[str, Any]:
    return {a: np.zeros(environment.action_space(a).shape, np.float32) for a in environment.possible_agents}


@EVERY_MARKET
def test_parallel_api(spec: MarketSpec) -> None:
    parallel_api_test(parallel_env(spec), num_cycles=130)


@EVERY_MARKET
def test_aec_api(spec: MarketSpec) -> None:
    api_test(env(spec), num_cycles=300)


@pytest.mark.parametrize("actions", ["box", "gated", "grid"])
def test_seeding(actions: Any) -> None:
    parallel_seed_test(lambda: parallel_env(DUOPOLY, actions), num_cycles=50)
    seed_test(lambda: env(DUOPOLY, actions), num_cycles=50)


@EVERY_MARKET
def test_whole_episodes(spec: MarketSpec) -> None:
    check_full_horizon(lambda: parallel_env(spec, "seat"), spec.horizon)
    check_full_horizon(lambda: parallel_env(spec, "box"), spec.horizon, seed=11)


class Broken(BazaarParallelEnv):
    """Breaks one promise in period 30 of an episode, as ``self.fault`` says."""

    fault = ""
    made = 0

    def __init__(self) -> None:
        super().__init__(DUOPOLY)
        Broken.made += 1
        self.copy = Broken.made

    def step(self, actions: dict[str, Any]) -> Any:
        observations, rewards, terminations, truncations, infos = super().step(actions)
        if self.batch.state.period[0] == 30:
            agent = "seller_1"
            if self.fault == "nan":
                observations[agent][0] = np.nan
            elif self.fault == "outside":
                observations[agent][-1] = 1.5
            elif self.fault == "dtype":
                observations[agent] = observations[agent].astype(np.float64)
            elif self.fault == "unlike":
                rewards[agent] += self.copy
            elif self.fault == "reward":
                rewards[agent] = float("inf")
            elif self.fault == "info":
                infos[agent]["profit"] = float("nan")
            elif self.fault == "terminated":
                terminations[agent] = True
            elif self.fault == "short":
                truncations[agent] = True
            elif self.fault == "missing":
                del observations[agent]
        return observations, rewards, terminations, truncations, infos

    def _observe(self) -> dict[str, Any]:
        if self.fault == "buffer":
            return dict(zip(self.possible_agents, self.batch.observe()[0], strict=True))
        return super()._observe()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("nan", "period 29, seller_1: not finite"),
        ("outside", "period 29, seller_1: outside its space"),
        ("dtype", "period 29, seller_1: dtype float64"),
        ("unlike", "period 29, seller_1: differs"),
        ("reward", "period 29, seller_1: reward inf"),
        ("info", "period 29, seller_1: profit is nan"),
        ("terminated", "period 29, seller_1: terminated"),
        ("short", "period 29, seller_1: truncated is True"),
        ("missing", r"period 29: observations of \['seller_0'\]"),
        ("buffer", "period 0: an observation was overwritten"),
    ],
)
def test_the_check_catches(fault: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Broken, "fault", fault)
    with pytest.raises(AssertionError, match=message):
        check_full_horizon(Broken, 100)


def test_the_check_passes_what_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Broken, "fault", "none")
    check_full_horizon(Broken, 100, episodes=1)


def test_the_check_wants_the_right_horizon() -> None:
    with pytest.raises(AssertionError, match="period 98, seller_0: truncated is False"):
        check_full_horizon(lambda: parallel_env(DUOPOLY), 99)


@EVERY_MARKET
def test_is_a_row_of_a_batch(spec: MarketSpec) -> None:
    """Row 2 of a batch with seed 7 and the environment with seed 9: observations, rewards and ledgers, bit for bit."""
    single, batch, seats = parallel_env(spec, "seat", seed=9), MarketBatch(spec, 4, 7), range(len(spec.sellers))
    encodings = [Decisions(spec, seat) for seat in seats]
    for _ in range(2):
        observations, _ = single.reset()
        batch.reset()
        for _ in range(spec.horizon):
            assert np.array_equal(np.stack(list(observations.values())), batch.observe()[2])
            actions = sampled(single)
            decided = [encodings[i].decode(np.asarray(actions[f"seller_{i}"])[None]) for i in seats]
            price = np.tile(np.array([p[0] for p, _ in decided]), (4, 1))
            level = np.array([v[0] for _, v in decided])
            batch.step(price, order_quantity(level, batch.state.on_hand, batch.on_order))
            observations, rewards, _, _, infos = single.step(actions)
            assert list(rewards.values()) == batch.reward[2].tolist()
            rows = [[infos[agent][field] for field in FIELDS] for agent in single.possible_agents]
            assert rows == [list(row) for row in batch.ledger[2].tolist()]


def test_spaces() -> None:
    spec = three_sellers()
    for actions, kinds in {"box": "bbb", "grid": "ggg", "seat": "bgb"}.items():
        environment = parallel_env(spec, actions)  # type: ignore[arg-type]
        for agent, kind in zip(environment.possible_agents, kinds, strict=True):
            space = environment.action_space(agent)
            assert space is environment.action_space(agent)
            assert space == (spaces.Discrete(99) if kind == "g" else spaces.Box(-1, 1, (2,), np.float32))
            assert environment.observation_space(agent) is environment.observation_space(agent)
            assert environment.observation_space(agent) == environment.batch.observation_space
    assert parallel_env(MARKETS["made to order"]).action_space("seller_0") == spaces.Box(-1, 1, (1,), np.float32)


def test_agents_of_one_environment_do_not_sample_alike() -> None:
    environment = parallel_env(DUOPOLY)
    assert environment.action_space("seller_0") is not environment.action_space("seller_1")


def test_episodes_differ_and_a_seed_repeats() -> None:
    environment = parallel_env(DUOPOLY, seed=3)

    def sales(seed: int | None) -> list[float]:
        environment.reset(seed=seed)
        return [environment.step(still(environment))[4]["seller_0"]["sold"] for _ in range(30)]

    first, second, again, other = sales(None), sales(None), sales(3), sales(4)
    assert first == again
    assert first != second
    assert first != other
    assert sales(None) != other


def test_global_state_is_all_observations() -> None:
    for environment in (parallel_env(three_sellers()), env(three_sellers())):
        environment.reset(seed=1)
        state = environment.state()
        assert environment.state_space.contains(state)
        seen = [environment.unwrapped._observe()[agent] for agent in environment.possible_agents]
        assert np.array_equal(state, np.concatenate(seen))
        assert state.base is None


def test_info_is_the_ledger_in_named_units() -> None:
    environment = parallel_env(DUOPOLY)
    _, infos = environment.reset(seed=0)
    assert infos == {"seller_0": {"seller": "left"}, "seller_1": {"seller": "right"}}
    info = environment.step({"seller_0": np.array([0, -1], np.float32), "seller_1": np.array([1, 0], np.float32)})[4]
    assert set(info["seller_0"]) == {*LEDGER_UNITS, "seller"}
    assert (info["seller_0"]["price"], info["seller_1"]["price"]) == (2.0, 3.0)
    assert (info["seller_0"]["ordered"], info["seller_1"]["ordered"]) == (0.0, 10.0)
    left = info["seller_0"]
    assert left["profit"] == pytest.approx(2 * left["sold"] - 0.02 * (10 - left["sold"]) - 0.1 * left["lost"])
    assert all(type(value) is float for name, value in left.items() if name != "seller")


def test_a_closed_gate_orders_nothing() -> None:
    """The stock at the start is 10; up to 40 is 30 more, and only where the third number is above 0."""
    environment = parallel_env(DUOPOLY, "gated")
    environment.reset(seed=0)
    info = environment.step({"seller_0": np.array([0, 1, 0.2]), "seller_1": np.array([0, 1, 0.0])})[4]
    assert (info["seller_0"]["ordered"], info["seller_1"]["ordered"]) == (30.0, 0.0)
    decided = [Decisions(environment.spec, seat, "gated") for seat in range(2)]
    for _ in range(20):
        actions = sampled(environment)
        info = environment.step(actions)[4]
        for agent, one in zip(environment.possible_agents, decided, strict=True):
            price, level = one.decode(actions[agent])
            assert info[agent]["price"] == price[0] and (info[agent]["ordered"] == 0 or level[0] > 0)


def test_actions_outside_the_box_are_clipped() -> None:
    environment = parallel_env(DUOPOLY)
    environment.reset(seed=0)
    info = environment.step({"seller_0": np.array([9.0, np.inf]), "seller_1": [-9, -9]})[4]
    assert (info["seller_0"]["price"], info["seller_0"]["ordered"]) == (3.0, 30.0)
    assert (info["seller_1"]["price"], info["seller_1"]["ordered"]) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("actions", "given", "message"),
    [
        ("box", np.array([0.0, np.nan]), r"action of seller_1 \(right\): NaN is not a decision"),
        ("box", np.zeros(3), r"action of seller_1 \(right\): must be \(2,\) numbers, got shape \(3,\)"),
        ("box", np.array(["a", "b"]), r"action of seller_1 \(right\): must be \(2,\) numbers"),
        ("box", [[0], [0, 1]], r"action of seller_1 \(right\)"),
        ("box", None, r"action of seller_1 \(right\)"),
        ("grid", 99, r"action of seller_1 \(right\): must be a whole number from 0 to 98, got 99"),
        ("grid", -1, r"from 0 to 98, got -1"),
        ("grid", 1.5, r"from 0 to 98, got 1.5"),
        ("grid", np.nan, r"from 0 to 98, got nan"),
        ("grid", np.array([1, 2]), r"must be one whole number, got shape \(2,\)"),
    ],
)
def test_refused_actions(actions: Any, given: Any, message: str) -> None:
    environment = parallel_env(DUOPOLY, actions)
    environment.reset(seed=0)
    sound = environment.action_space("seller_0").sample()
    with pytest.raises(UserError, match=message):
        environment.step({"seller_0": sound, "seller_1": given})
    assert environment.batch.state.period[0] == 0


def test_turn_based_market_refuses_too() -> None:
    market = env(DUOPOLY)
    market.reset(seed=0)
    market.step(np.zeros(2, np.float32))
    with pytest.raises(UserError, match=r"action of seller_1 \(right\): NaN"):
        market.step(np.full(2, np.nan, np.float32))


def test_every_seller_must_act_and_nobody_else() -> None:
    environment = parallel_env(DUOPOLY)
    environment.reset(seed=0)
    with pytest.raises(UserError, match=r"action of seller_1 \(right\): missing"):
        environment.step({"seller_0": np.zeros(2)})
    with pytest.raises(UserError, match="action of seller_7: no such seller, they are seller_0, seller_1"):
        environment.step({**still(environment), "seller_7": np.zeros(2)})


def test_a_finished_episode_is_not_stepped() -> None:
    environment = parallel_env(DUOPOLY)
    with pytest.raises(UserError, match="over .or not begun.: call reset first"):
        environment.step(still(environment))
    environment.reset()
    while environment.agents:
        environment.step(still(environment))
    with pytest.raises(UserError, match="over .or not begun.: call reset first"):
        environment.step(still(environment))
    environment.reset()
    environment.step(still(environment))


def test_grid_actions_mean_what_decisions_say() -> None:
    environment = parallel_env(DUOPOLY, "grid")
    environment.reset(seed=0)
    # 11 prices from 1 to 3, 9 levels from 0 to 40: 5 * 9 + 4 is price 2, level 20, of which 10 are there
    info = environment.step({"seller_0": 49, "seller_1": np.array([98])})[4]
    assert (info["seller_0"]["price"], info["seller_0"]["ordered"]) == (2.0, 10.0)
    assert (info["seller_1"]["price"], info["seller_1"]["ordered"]) == (3.0, 30.0)


def test_refused_settings() -> None:
    with pytest.raises(UserError, match="actions: must be box, gated, grid or seat"):
        parallel_env(DUOPOLY, "boxes")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="render_mode: must be"):
        parallel_env(DUOPOLY, render_mode="human")
    with pytest.raises(UserError, match="grid: a seat that decides on a grid needs"):
        data = read_yaml(DUOPOLY)["market"]
        del data["sellers"][1]["grid"]
        parallel_env(MarketSpec.parse(data), "grid")
    with pytest.raises(UserError, match="seed: must be a whole number"):
        parallel_env(DUOPOLY).reset(seed=-1)


@pytest.mark.parametrize(
    "copied", [lambda one: pickle.loads(pickle.dumps(one)), copy.deepcopy], ids=["pickled", "copied"]
)
def test_a_copy_made_in_mid_episode_goes_on_as_the_original_does(copied: Callable[[Any], Any]) -> None:
    """To the end and through the next episode, whatever the original did meanwhile."""
    environment = parallel_env(three_sellers(), "seat")
    environment.reset(seed=2)
    for agent in environment.possible_agents:
        environment.action_space(agent).seed(0)
    environment.step(sampled(environment))
    twin = copied(environment)
    actions = [sampled(environment) for _ in range(60)]
    one, other = (list(played(each, actions)) for each in (environment, twin))
    assert len(one) == 60 and one == other


def played(environment: BazaarParallelEnv, actions: Sequence[dict[str, Any]]) -> Iterator[Any]:
    for decided in actions:
        if not environment.agents:
            environment.reset()
        observations, rewards, _, _, infos = environment.step(decided)
        yield {agent: seen.tolist() for agent, seen in observations.items()}, rewards, infos


def test_a_copy_made_in_the_middle_of_a_turn_goes_on_as_the_original_does() -> None:
    environment = env(DUOPOLY)
    environment.reset(seed=2)
    for moved in ([0.3, 0.1], [-0.2, 0.4], [0.1, 0.2]):  # a period, and half of the next
        environment.step(np.array(moved, np.float32))
    twin = copy.deepcopy(environment)
    for one in (environment, twin):
        one.step(np.array([-0.2, 0.4], np.float32))
    assert environment.agent_selection == twin.agent_selection == "seller_0"
    assert environment.rewards == twin.rewards and environment.infos == twin.infos
    assert environment.rewards["seller_0"] != 0


def test_turn_by_turn_every_seller_gets_the_rewards_of_the_market_played_at_once() -> None:
    """Those of a period are handed out when the last seller has moved: none is missed, the last period's neither."""
    together, in_turn = parallel_env(DUOPOLY), env(DUOPOLY)
    together.reset(seed=4)
    in_turn.reset(seed=4)
    rng, wanted, got = np.random.default_rng(0), list[list[float]](), {agent: list[float]() for agent in in_turn.agents}
    actions = dict[str, Any]()
    for agent in in_turn.agent_iter():
        _, reward, _, truncated, _ = in_turn.last()
        got[agent].append(float(reward))
        actions[agent] = None if truncated else rng.uniform(-1, 1, 2).astype(np.float32)
        in_turn.step(actions[agent])
        if len(actions) == 2 and not truncated:
            wanted.append(list(together.step(actions)[1].values()))
            actions.clear()
    assert [list(pair) for pair in zip(*(rewards[1:] for rewards in got.values()), strict=True)] == wanted
    assert len(wanted) == together.spec.horizon


def test_a_step_costs_few_calls_of_python() -> None:
    """What makes it fast: 22 calls today, while a loop in Python over the duopoly's 20 customers would add as many.

    How many seller-periods a second that is, `bazaar bench` says.
    """
    environment = parallel_env(DUOPOLY)
    actions = still(environment)
    environment.reset()
    environment.step(actions)
    calls: list[str] = []

    def note(frame: Any, event: str, _: Any) -> None:
        if event == "call":
            calls.append(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        environment.step(actions)
    finally:
        sys.setprofile(before)
    assert len(calls) <= 35, calls
