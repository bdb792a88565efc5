"""The market through SuperSuit, Gymnasium and Tianshou's Collector: the same numbers as the batch itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray

from market.demand.equilibrium import nash_prices
from market.demand.logit import Logit
from market.envs.gym import SeatEnv, nash_and_base_stock
from market.envs.supersuit import vector_env
from market.envs.vector import SeatVectorEnv
from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.simulation.decisions import Decisions, order_quantity
from market.spec.loading import read_yaml
from market.spec.models import MarketSpec
from market.state import Floats
from market.theory.newsvendor import newsvendor_level

CONFIGS = Path(__file__).parents[2] / "configs"
DUOPOLY, CALVANO, MONOPOLY = (CONFIGS / f"{name}.yaml" for name in ("duopoly", "calvano", "monopoly"))


def spec_of(**changes: Any) -> MarketSpec:
    return MarketSpec.parse(read_yaml(DUOPOLY)["market"] | changes)


def play(batch: MarketBatch, encodings: list[Decisions], actions: NDArray[Any]) -> None:
    """Step a batch with actions (M, N, ...)."""
    decided = [encoding.decode(actions[:, i]) for i, encoding in enumerate(encodings)]
    price, level = (np.stack(part, axis=1) for part in zip(*decided, strict=True))
    batch.step(price, order_quantity(level, batch.state.on_hand, batch.on_order))


# ------------------------------------------------------------------------------------------------ SuperSuit


@pytest.mark.parametrize("actions", ["box", "gated", "grid"])
def test_supersuit_route_is_the_batch(actions: Any) -> None:
    """Two and a half episodes of 3 copies, bit for bit (rewards are float32 there), across SuperSuit's own resets."""
    spec = spec_of(horizon=20)
    route, batch = vector_env(spec, 3, actions, seed=5), MarketBatch(spec, 3, 5)
    encodings = [Decisions(spec, i, actions) for i in range(2)]
    seen, _ = route.reset()
    batch.reset()
    route.action_space.seed(0)
    for t in range(50):
        assert np.array_equal(seen, batch.observe().reshape(6, -1))
        given = np.array([route.action_space.sample() for _ in range(6)])
        play(batch, encodings, given.reshape(3, 2, *given.shape[1:]))
        seen, reward, terminated, truncated, infos = route.step(given)
        assert np.array_equal(reward, batch.reward.reshape(-1).astype(np.float32))
        assert [info["profit"] for info in infos] == batch.ledger["profit"].reshape(-1).tolist()
        assert not terminated.any()
        assert (truncated == ((t + 1) % 20 == 0)).all()
        if truncated.all():
            last = np.stack([info["terminal_observation"] for info in infos])
            assert np.array_equal(last, batch.observe().reshape(6, -1))
            batch.reset()
    assert t > 40


def test_supersuit_copies_are_different_markets() -> None:
    route = vector_env(DUOPOLY, 4)
    route.reset()
    action = np.zeros((8, 2), np.float32)
    sold = np.array([[info["sold"] for info in route.step(action)[4]] for _ in range(20)])
    assert len({tuple(column) for column in sold.T[::2]}) == 4


def test_supersuit_seeding_repeats() -> None:
    route, action = vector_env(DUOPOLY, 2, seed=8), np.zeros((4, 2), np.float32)

    def rewards(seed: int | None) -> list[float]:
        route.reset(seed=seed)
        return [float(x) for _ in range(10) for x in route.step(action)[1]]

    first = rewards(None)
    assert rewards(None) != first
    assert rewards(8) == first


def test_supersuit_refusals() -> None:
    with pytest.raises(UserError, match="copies: must be at least 1"):
        vector_env(DUOPOLY, 0)
    data = read_yaml(DUOPOLY)["market"]
    data["sellers"][1]["actions"] = "grid"
    with pytest.raises(UserError, match="SuperSuit needs one action space"):
        vector_env(MarketSpec.parse(data), 1, "seat")


# ------------------------------------------------------------------------------------------------ rivals


def test_default_rivals_play_nash_and_base_stock() -> None:
    spec = spec_of()
    price = nash_prices(Logit.of(spec))
    level = newsvendor_level(spec, 1, price)
    env = SeatEnv(spec, seat="left")
    env.reset(seed=0)
    env.step(np.zeros(2, np.float32))
    right = env.batch.ledger[0, 1]
    assert right["price"] == price[1]
    assert right["ordered"] == level - 10
    assert right["on_order"] + right["on_hand"] == level


def test_default_rivals_keep_to_their_ranges() -> None:
    data = read_yaml(DUOPOLY)["market"]
    data["sellers"][1] |= {"prices": [1.0, 1.2], "order_up_to": [0, 12]}
    data["sellers"][0] |= {"holding_cost": 0.0}
    batch = MarketBatch(MarketSpec.parse(data))
    batch.reset()
    price, quantity = nash_and_base_stock(batch.spec)(batch, batch.observe())
    assert price[0, 1] == 1.2
    assert quantity.tolist() == [[30.0, 2.0]]


def test_without_a_nash_price_rivals_must_be_given() -> None:
    data = read_yaml(DUOPOLY)["market"]
    data |= {"price_form": "log", "price_sensitivity": 0.5, "outside": "none"}
    data["sellers"] = [seller | {"reward_scale": 1.0} for seller in data["sellers"]]
    with pytest.raises(UserError, match="rivals: must be given, since "):
        SeatEnv(MarketSpec.parse(data))


def test_rivals_of_the_wrong_shape() -> None:
    env = SeatEnv(DUOPOLY, rivals=lambda batch, observation: (np.ones(2), np.ones(2)))
    env.reset()
    with pytest.raises(UserError, match=r"rivals: must decide prices and orders of shape \(1, 2\)"):
        env.step(np.zeros(2, np.float32))


def test_rivals_do_not_decide_for_the_learner_nor_see_another_batch() -> None:
    seen: list[Any] = []

    def rivals(batch: MarketBatch, observation: NDArray[np.float32]) -> tuple[Floats, Floats]:
        seen.append((int(batch.state.period[0]), observation.shape, observation[0, 1].copy()))
        return np.full((1, 2), 1.25), np.full((1, 2), 7.0)

    env = SeatEnv(DUOPOLY, seat=1, rivals=rivals)
    first, _ = env.reset(seed=0)
    _, reward, _, _, info = env.step(np.array([1, -1], np.float32))
    assert (info["price"], info["ordered"], info["seller"]) == (3.0, 0.0, "right")
    assert (env.batch.ledger[0, 0]["price"], env.batch.ledger[0, 0]["ordered"]) == (1.25, 7.0)
    assert seen[0][:2] == (0, (1, 2, len(env.batch.features)))
    assert np.array_equal(seen[0][2], first)
    assert reward == env.batch.reward[0, 1]


# ------------------------------------------------------------------------------------------------ Gymnasium


@pytest.mark.parametrize("config", [DUOPOLY, CALVANO, MONOPOLY], ids=lambda path: path.stem)
@pytest.mark.parametrize("actions", ["box", "gated", "grid"])
def test_gymnasium_check(config: Path, actions: Any) -> None:
    check_env(SeatEnv(config, actions=actions), skip_render_check=True)


def test_seat_env_is_the_batch() -> None:
    spec = spec_of(horizon=30)
    env, batch, own = SeatEnv(spec, "right", seed=4), MarketBatch(spec, 1, 4), Decisions(spec, 1)
    rivals, rng = nash_and_base_stock(spec), np.random.default_rng(0)
    for _ in range(2):
        seen, _ = env.reset()
        batch.reset()
        over = False
        while not over:
            assert np.array_equal(seen, batch.observe()[0, 1])
            action = rng.uniform(-1, 1, 2).astype(np.float32)
            price, quantity = (np.array(x) for x in rivals(batch, batch.observe()))
            price[:, 1], level = own.decode(action[None])
            quantity[:, 1] = order_quantity(level, batch.state.on_hand[:, 1], batch.on_order[:, 1])
            batch.step(price, quantity)
            seen, reward, terminated, over, info = env.step(action)
            assert (reward, terminated, over) == (batch.reward[0, 1], False, bool(batch.truncated[0]))
            assert info["profit"] == batch.ledger[0, 1]["profit"]


def test_seat_env_renders_a_table() -> None:
    env = SeatEnv(DUOPOLY, render_mode="ansi")
    assert "nothing sold yet" in str(env.render())
    env.reset()
    env.step(np.zeros(2, np.float32))
    assert "day 1 of 100" in str(env.render())
    assert SeatEnv(DUOPOLY).render() is None


def test_seat_env_refusals() -> None:
    env = SeatEnv(DUOPOLY)
    env.reset()
    with pytest.raises(UserError, match="left: NaN is not a decision"):
        env.step(np.array([np.nan, 0]))
    with pytest.raises(UserError, match=r"action: must have shape \(2,\), got \(4,\)"):
        env.step(np.zeros(4))
    for _ in range(100):
        env.step(np.zeros(2))
    with pytest.raises(UserError, match="is over"):
        env.step(np.zeros(2))
    with pytest.raises(UserError, match="seat: no seller 'middle', they are left, right"):
        SeatEnv(DUOPOLY, "middle")
    with pytest.raises(UserError, match="seat: must be 0 to 1, got 2"):
        SeatEnv(DUOPOLY, 2)
    with pytest.raises(UserError, match="render_mode: must be ansi"):
        SeatEnv(DUOPOLY, render_mode="rgb_array")


# ------------------------------------------------------------------------------------------------ Tianshou


def test_vector_rows_are_single_environments() -> None:
    """Row 2 of 4 with seed 6 is SeatEnv with seed 8, also across an episode's end."""
    spec = spec_of(horizon=15)
    many, one = SeatVectorEnv(spec, 4, "right", actions="box", seed=6), SeatEnv(spec, "right", seed=8)
    rng, (seen, infos), (single, _) = np.random.default_rng(1), many.reset(), one.reset()
    assert [info["env_id"] for info in infos] == [0, 1, 2, 3]
    for t in range(40):
        assert np.array_equal(seen[2], single)
        action = rng.uniform(-1, 1, (4, 2))
        seen, reward, terminated, truncated, infos = many.step(action, np.arange(4))
        single, own, _, over, _ = one.step(action[2])
        assert reward[2] == own
        assert not terminated.any()
        assert truncated.tolist() == [over] * 4 == [(t + 1) % 15 == 0] * 4
        if over:
            assert np.array_equal(seen[2], single)
            seen, _ = many.reset(np.arange(4))
            single, _ = one.reset()


@pytest.mark.parametrize("visit", [[0, 2], [2, 1, 0]])
def test_rows_that_wait_notice_nothing(visit: list[int]) -> None:
    spec = spec_of(horizon=10)
    many, twin = (SeatVectorEnv(spec, 4, actions="box", seed=3) for _ in range(2))
    many.reset()
    twin.reset()
    rng = np.random.default_rng(2)
    for _ in range(3):
        action = rng.uniform(-1, 1, (4, 2))
        many.step(action)
        twin.step(action)
    before, ledger = many.batch.save(), many.batch.ledger.copy()
    action = rng.uniform(-1, 1, (4, 2))
    partly = many.step(action[visit], visit)
    whole = twin.step(action)
    assert np.array_equal(partly[0], whole[0][visit])
    assert np.array_equal(partly[1], whole[1][visit])
    assert [info["env_id"] for info in partly[4]] == visit
    waiting = [row for row in range(4) if row not in visit]
    assert np.array_equal(many.batch.ledger[waiting], ledger[waiting])
    for name, array in many.batch.save().items():
        assert np.array_equal(array[waiting], before[name][waiting]), name
    late = many.step(action[waiting], waiting)
    assert np.array_equal(late[0], whole[0][waiting])
    assert np.array_equal(late[1], whole[1][waiting])


def test_a_row_that_is_over_may_wait() -> None:
    many = SeatVectorEnv(spec_of(horizon=2), 2, actions="box")
    many.reset()
    for _ in range(2):
        many.step(np.zeros((1, 2)), 0)
    with pytest.raises(UserError, match="the episode of a row is over"):
        many.step(np.zeros((1, 2)), 0)
    assert many.step(np.zeros((1, 2)), 1)[3].tolist() == [False]
    assert many.step(np.zeros((1, 2)), 1)[3].tolist() == [True]
    with pytest.raises(UserError, match="is over"):
        many.step(np.zeros((2, 2)))


def test_a_refused_step_leaves_rows_that_wait_as_they_were() -> None:
    many = SeatVectorEnv(spec_of(horizon=2), 2, actions="box")
    many.reset(0)
    with pytest.raises(UserError, match="NaN"):
        many.step(np.full((1, 2), np.nan), [0])
    assert many.batch.state.period.tolist() == [0, 2]


def test_vector_refusals() -> None:
    many = SeatVectorEnv(DUOPOLY, 3, actions="box")
    many.reset()
    for rows in ([0, 0], [3], [-1]):
        with pytest.raises(UserError, match="rows: must be different and from 0 to 2"):
            many.step(np.zeros((len(rows), 2)), rows)
    with pytest.raises(UserError, match=r"actions: 3 rows need shape \(3, 2\), got \(2, 2\)"):
        many.step(np.zeros((2, 2)))
    with pytest.raises(UserError, match=r"actions: 3 rows need shape \(3, 2\), got \(3, 4\)"):
        many.step(np.zeros((3, 4)))


def test_vector_seeding() -> None:
    many = SeatVectorEnv(DUOPOLY, 2, actions="box", seed=5)

    def rewards(start: Any) -> list[float]:
        start()
        return [float(x) for _ in range(5) for x in many.step(np.zeros((2, 2)))[1]]

    first = rewards(many.reset)
    assert rewards(many.reset) != first
    assert rewards(lambda: many.seed(5)) == first
    assert rewards(lambda: many.reset(seed=5)) == first
    many.close()


def learner_of(many: SeatVectorEnv) -> Any:
    """A small DQN for a seat."""
    from tianshou.algorithm import DQN
    from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
    from tianshou.algorithm.optim import AdamOptimizerFactory
    from tianshou.utils.net.common import Net

    assert isinstance(many.action_space, spaces.Discrete)
    shape = many.observation_space.shape
    net = Net(state_shape=shape, action_shape=int(many.action_space.n), hidden_sizes=[16])
    policy = DiscreteQLearningPolicy(model=net, action_space=many.action_space, eps_training=0.5)
    return DQN(policy=policy, optim=AdamOptimizerFactory(lr=1e-3), gamma=0.98)


def weights(learner: Any) -> NDArray[np.float32]:
    return np.concatenate([p.detach().numpy().ravel() for p in learner.policy.parameters()])


@pytest.mark.slow
def test_tianshou_collects_and_learns_on_a_seat() -> None:
    """Tianshou's own Collector and DQN: what lands in its buffer is what the batch played, and an update runs."""
    from tianshou.data import Collector, VectorReplayBuffer
    from tianshou.utils.torch_utils import policy_within_training_step

    many, twin = (SeatVectorEnv(spec_of(horizon=10), 4, "left", actions="grid", seed=1) for _ in range(2))
    learner = learner_of(many)
    collector = Collector(learner, many, VectorReplayBuffer(400, 4), exploration_noise=True)
    collector.reset()
    with policy_within_training_step(learner.policy):
        stats = collector.collect(n_step=100)
    assert (stats.n_collected_steps, stats.n_collected_episodes, list(stats.lens)) == (100, 8, [10] * 8)
    rows = collector.buffer[:]
    assert not rows.terminated.any()
    assert rows.truncated.sum() == 8
    seen, _ = twin.reset()
    for t, k in enumerate(np.flatnonzero(rows.info.env_id == 0)):
        assert np.array_equal(rows.obs[k], seen[0])
        seen, reward, _, truncated, _ = twin.step(np.full(4, rows.act[k]))
        assert rows.rew[k] == reward[0]
        assert np.array_equal(rows.obs_next[k], seen[0])
        assert rows.truncated[k] == truncated[0] == ((t + 1) % 10 == 0)
        if truncated[0]:
            seen, _ = twin.reset()
    before = weights(learner)
    with policy_within_training_step(learner.policy):
        learner.update(buffer=collector.buffer, sample_size=32)
    assert not np.array_equal(weights(learner), before)
    stats = collector.collect(n_episode=6)
    # four begun episodes have 5 periods to go; for the last two rows 0 and 1 play on while 2 and 3 wait
    assert (stats.n_collected_episodes, stats.n_collected_steps) == (6, 4 * 5 + 2 * 10)
    assert collector.collect(n_step=4, random=True).n_collected_steps == 4


def test_tianshou_trainer_runs_on_a_seat() -> None:
    from tianshou.data import Collector, VectorReplayBuffer
    from tianshou.trainer import OffPolicyTrainerParams

    train, test = (SeatVectorEnv(spec_of(horizon=10), m, actions="grid", seed=s) for m, s in ((4, 0), (2, 100)))
    learner = learner_of(train)
    before = weights(learner)
    collector = Collector(learner, train, VectorReplayBuffer(400, 4), exploration_noise=True)
    parameters = OffPolicyTrainerParams(
        training_collector=collector,
        test_collector=Collector(learner, test),
        max_epochs=1,
        epoch_num_steps=80,
        collection_step_num_env_steps=40,
        test_step_num_episodes=2,
        batch_size=16,
        update_step_num_gradient_steps_per_sample=0.1,
        verbose=False,
        show_progress=False,
    )
    outcome = learner.run_training(parameters)
    assert outcome.timing.total_time > 0
    assert (outcome.train_step, outcome.update_step) == (80, 2)
    assert not np.array_equal(weights(learner), before)
