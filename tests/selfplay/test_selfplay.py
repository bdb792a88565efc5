"""The lockstep loop: against Tianshou's own trainer, against a re-enactment, and its bookkeeping."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.trainer import OffPolicyTrainer, OffPolicyTrainerParams, OnPolicyTrainer, OnPolicyTrainerParams

from market.envs.vector import SeatVectorEnv
from market.simulation.batch import MarketBatch
from market.simulation.decisions import Decisions, order_quantity
from market.spec.models import MarketSpec
from policies.common.seeding import row_seed
from policies.learners.a2c import A2CLearner
from policies.learners.base import Learner
from policies.learners.registry import BUILDERS
from policies.selfplay.players import FixedSeat
from policies.sellers.protocol import look, reset_rows
from tests.helpers.loops import (
    ENCODING,
    HORIZON,
    MIXED,
    OPTIONS,
    ROWS,
    SEED,
    Ages,
    learner,
    loop,
    market,
    mixed,
    play,
    rule,
    same,
    weights,
)
from tests.helpers.markets import a_market
from tests.helpers.stock_memory import stock

pytestmark = pytest.mark.usefixtures("one_thread")

CONSTANT = {"lr_final": 1.0, "center_rewards": False, "stock_at_cost": False}
SCHEDULES: dict[str, dict[str, float]] = {
    "dqn": {"epsilon": 0.3, "epsilon_final": 0.3},
    "ddpg": {"noise": 0.3, "noise_final": 0.3},
    "a2c": {"entropy": 0.01, "entropy_final": 0.01},
}


def made_to_order(sellers: int = 2) -> MarketSpec:
    seat = {"order_up_to": [0, 0], "grid": {"prices": 4}}
    return MarketSpec.parse(a_market(*[seat] * sellers, horizon=HORIZON, inventory="make_to_order"))


# --------------------------------------------------------------------------------------- against Tianshou's trainer


class Focal(SeatVectorEnv):
    """Seat 0 against the rule in seat 1, with first episodes cut short as the loop cuts them."""

    def __init__(self, spec: MarketSpec, actions: Any, staggered: bool) -> None:
        seller = rule(spec, 1)
        memory = seller.start(ROWS)

        def rivals(batch: MarketBatch, observation: NDArray[np.float32]) -> Any:
            nonlocal memory
            memory = reset_rows(seller, memory, batch.state.period == 0)
            decided = seller.act(look(batch, 1, observation), memory)
            memory = decided[2]
            return [np.stack((np.zeros(ROWS), part), axis=1) for part in decided[:2]]

        super().__init__(spec, ROWS, 0, rivals, actions, row_seed(SEED, "train"))
        self.first = np.arange(ROWS) * HORIZON // ROWS if staggered else np.zeros(ROWS)

    def step(self, action: ArrayLike, id: Any = None) -> Any:
        observation, reward, terminated, truncated, infos = super().step(action, id)
        cut = (self.batch.state.episode == 0) & (self.batch.state.period == self.first)
        return observation, reward, terminated, truncated | cut, infos


PERIODS, SLOTS = 60, 25


def with_stock_parts(name: str) -> tuple[Any, Decisions]:
    """A learner with Tianshou's own update and buffer, which wraps around, and its encoding."""
    slots = {} if name == "a2c" else {"buffer": SLOTS * ROWS}
    made, decisions = learner(market(), 0, name, **CONSTANT | SCHEDULES[name] | slots)
    np.random.seed(0)  # Tianshou's A2C shuffles by it
    return stock(made), decisions


def by_the_loop(name: str) -> Learner:
    spec = market()
    one = play(loop(spec, [with_stock_parts(name), rule(spec, 1)]), PERIODS)
    return one.learners[0]


def by_tianshou(name: str, staggered: bool = True) -> Learner:
    made, decisions = with_stock_parts(name)
    env = Focal(market(), decisions.encoding, staggered)
    collector = Collector(made.algorithm, env, made.memory, exploration_noise=True)
    options = {
        "training_collector": collector,
        "max_epochs": 1,
        "epoch_num_steps": PERIODS * ROWS,
        "batch_size": made.options.batch_size,
        "verbose": False,
        "show_progress": False,
    }
    if name == "a2c":
        segment = OnPolicyTrainerParams(collection_step_num_env_steps=OPTIONS[name]["segment"] * ROWS, **options)
        OnPolicyTrainer(made.algorithm, segment).run()
    else:
        a_period = {"collection_step_num_env_steps": ROWS, "update_step_num_gradient_steps_per_sample": 1 / ROWS}
        OffPolicyTrainer(made.algorithm, OffPolicyTrainerParams(**a_period, **options)).run()
    return made


@pytest.mark.parametrize("name", ["dqn", "ddpg", "a2c"])
def test_one_learner_ends_with_the_weights_of_tianshous_trainer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """60 periods of 8 rows, bit for bit: weights, target networks included, and the whole memory.

    On one side SelfPlay with a learner in seat 0. On the other Tianshou 2.0.1's Collector and trainer as they come,
    on SeatVectorEnv, with the networks and policy of a learner built alike; nothing of the learner's ``act``,
    ``remember`` or ``learn`` runs there, nor of SelfPlay. Both have Tianshou's own update and VectorReplayBuffer (it
    wraps around), a rival with a memory, first episodes cut short, and schedules held constant, since the trainer has
    none; orders are rounded by the market alone, as the trainer's are.
    """
    monkeypatch.setattr(A2CLearner, "in_units", Learner.in_units)
    ours, theirs = by_the_loop(name), by_tianshou(name)
    assert same(weights(ours), weights(theirs))
    fresh = learner(market(), 0, name)[0]
    assert not same(weights(ours), weights(fresh))
    if name != "a2c":
        mine, other = (cast(VectorReplayBuffer, one.memory) for one in (ours, theirs))
        for field in ("obs", "act", "rew", "obs_next", "truncated"):
            assert np.array_equal(getattr(mine, field), getattr(other, field))
        assert mine.truncated.any() and not mine.terminated.any()


def test_the_comparison_with_tianshou_sees_a_difference_in_when_episodes_begin() -> None:
    assert not same(weights(by_the_loop("dqn")), weights(by_tianshou("dqn", staggered=False)))


# ------------------------------------------------------------------------------------------------------ re-enactment


def test_what_learners_remember_is_what_happened() -> None:
    """Played again by hand on a batch of the same seed, with the actions remembered: the same memory, bit for bit."""
    spec, periods = market(3), 30
    names = ("dqn", "ddpg", "dqn")
    one = play(loop(spec, [learner(spec, seat, name) for seat, name in enumerate(names)]), periods)
    memories: list[Any] = [one.learners[seat].memory for seat in range(3)]
    kept = [memory.state_dict() for memory in memories]
    encodings = [Decisions(spec, seat, ENCODING[name]) for seat, name in enumerate(names)]
    batch = MarketBatch(spec, ROWS, row_seed(SEED, "train"))
    batch.reset()
    for t in range(periods):
        seen = batch.observe().copy()
        decided = [encoding.decode(kept[seat]["act"][:, t]) for seat, encoding in enumerate(encodings)]
        price, level = (np.stack(part, axis=1) for part in zip(*decided, strict=True))
        batch.step(price, order_quantity(level, batch.state.on_hand, batch.on_order))
        following, ends = batch.observe(), kept[0]["truncated"][:, t]
        for seat in range(3):
            assert np.array_equal(kept[seat]["obs"][:, t], seen[:, seat])
            assert np.array_equal(kept[seat]["rew"][:, t], batch.reward[:, seat])
            assert np.array_equal(kept[seat]["obs_next"][:, t], following[:, seat])
            assert np.array_equal(kept[seat]["truncated"][:, t], ends)
        batch.reset(rows=np.flatnonzero(ends))
    assert kept[0]["truncated"].sum() > 2 * ROWS


def test_first_episodes_are_staggered_and_later_ones_whole() -> None:
    spec = market()
    one, ended = loop(spec, [rule(spec, 0), learner(spec, 1, "dqn")]), np.zeros((4 * HORIZON, ROWS), bool)
    for t in range(len(ended)):
        episode = one.batch.state.episode.copy()
        one.play_period()
        ended[t] = one.batch.state.episode > episode
    for row in range(ROWS):
        first = row * HORIZON // ROWS or HORIZON
        assert np.flatnonzero(ended[:, row]).tolist() == list(range(first - 1, len(ended), HORIZON))
    assert len(set(one.batch.state.period.tolist())) == ROWS
    memory: Any = one.learners[1].memory
    assert np.array_equal(memory.state_dict()["truncated"], ended.T)


# ------------------------------------------------------------------------------------------------------ who learns


def test_all_learners_of_a_mixed_market_learn() -> None:
    one = mixed()
    before = {seat: weights(player) for seat, player in one.learners.items()}
    play(one, 20)
    assert list(before) == [0, 1, 2]
    for seat, player in one.learners.items():
        changed = [not np.array_equal(a, b) for a, b in zip(before[seat], weights(player), strict=True)]
        assert all(changed), f"{MIXED[seat]}: {changed}"
        assert player.updates == (4 if MIXED[seat] == "a2c" else 20)


def test_same_seed_same_weights_and_another_seed_others() -> None:
    first, again, otherwise = (play(mixed(run=run), 30) for run in (SEED, SEED, SEED + 1))
    for seat in range(3):
        assert same(weights(first.learners[seat]), weights(again.learners[seat]))
        assert not same(weights(first.learners[seat]), weights(otherwise.learners[seat]))
    other_learners = play(mixed(seed=50), 30)
    assert not same(weights(first.learners[0]), weights(other_learners.learners[0]))


def test_threads_change_no_bit_and_few_rows_use_none() -> None:
    serial, parallel = mixed(), mixed()
    assert serial.batch.serial
    parallel.batch.serial = False
    for one in (serial, parallel):
        play(one, 15)
    for seat in range(3):
        assert same(weights(serial.learners[seat]), weights(parallel.learners[seat]))


def test_schedules_follow_the_share_of_the_budget_done() -> None:
    spec = market()
    one = loop(spec, [learner(spec, 0, "dqn", epsilon=1.0, epsilon_final=0.0), rule(spec, 1)], budget=ROWS * 2 * 40)
    for done, epsilon in ((11, 0.5), (31, 0.0), (100, 0.0)):
        play(one, done - one.done // (ROWS * 2))
        assert one.learners[0].policy.eps_training == epsilon  # as the period's updates saw it: 10, 30 of 40 done
    assert one.fraction == 1.0


# ----------------------------------------------------------------------------------------------- seats and counting


def test_a_fixed_sellers_memory_begins_again_with_its_row() -> None:
    spec = market()
    one = loop(spec, [learner(spec, 0, "dqn"), Ages()])
    seat = one.seats[1]
    assert isinstance(seat, FixedSeat)
    restarts = 0
    for _ in range(3 * HORIZON):
        before = seat.memory["age"].copy()
        one.play_period()
        assert np.array_equal(seat.memory["age"], one.batch.state.period)
        restarts += int((seat.memory["age"] <= before).sum())
    assert restarts >= 3 * ROWS - 1


@pytest.mark.parametrize("names", [("dqn",), ("ddpg", "a2c"), ("a2c", "undercut+base_stock", "ddpg")])
def test_seller_periods_are_counted(names: tuple[str, ...]) -> None:
    spec = market(len(names))
    players = [learner(spec, k, n) if n in BUILDERS else rule(spec, k, n) for k, n in enumerate(names)]
    one = play(loop(spec, players), 17)
    assert one.done == 17 * ROWS * len(names)
    assert sorted(one.learners) == [k for k, name in enumerate(names) if name in BUILDERS]
    assert {player.stored for player in one.learners.values()} == {17 * ROWS}


def test_made_to_order_sellers_learn_prices() -> None:
    spec = made_to_order(3)
    one = loop(spec, [learner(spec, seat, name) for seat, name in enumerate(("ddpg", "a2c", "dqn"))])
    before = {seat: weights(player) for seat, player in one.learners.items()}
    for _ in range(15):
        one.play_period()
        ledger = one.batch.ledger
        assert np.array_equal(ledger["ordered"], ledger["sold"]) and not ledger["lost"].any()
    memory: Any = one.learners[0].memory
    assert memory.latest("act").shape[1:] == (1,)
    assert all(not same(before[seat], weights(player)) for seat, player in one.learners.items())
