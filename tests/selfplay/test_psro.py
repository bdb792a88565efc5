"""PSRO: the empirical game by hand, a price duopoly whose equilibrium is known, and mixtures as sellers."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from market.errors import UserError
from market.simulation.decisions import Decisions
from market.state import Floats
from policies.common.torch_tools import one_torch_thread
from policies.config.run import RunConfig, parse_run
from policies.evaluation.run_sellers import as_trained, load_mixture
from policies.games.empirical_game import EmpiricalGame
from policies.selfplay.psro import PSRO
from policies.sellers.checkpoint import load_seller
from policies.sellers.mixture import MixtureSeller
from policies.sellers.protocol import Memory, Seller, View
from policies.sellers.rollout import play
from policies.sellers.rules.level_search import build
from policies.training.run import TrainingRun
from tests.helpers.markets import a_market

# ------------------------------------------------------------------------------------------------ the empirical game

ROCK_PAPER_SCISSORS = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], np.float64)


def zero_sum(line_up: tuple[int, ...]) -> Floats:
    """Members 0, 1, 2 of the first seat against 10, 11, 12 of the second."""
    value = ROCK_PAPER_SCISSORS[line_up[0], line_up[1] - 10]
    return np.array([value, -value])


def test_responses_are_gains_against_the_old_equilibrium_and_the_new_one_is_solved() -> None:
    """Rock alone; then paper for both: each gains 1. Then scissors, which gain 1 against paper; then thirds."""
    game = EmpiricalGame(zero_sum)
    assert game.extend([[0], [10]]).tolist() == [0, 0] and game.joint.tolist() == [[1]]
    assert game.extend([[0, 1], [10, 11]]).tolist() == [1, 1]
    assert game.joint.tolist() == [[0, 0], [0, 1]] and game.regret == 0
    assert game.extend([[0, 1, 2], [10, 11, 12]]).tolist() == [1, 1]
    assert game.weights(0) == pytest.approx([1 / 3] * 3) and game.weights(1) == pytest.approx([1 / 3] * 3)
    assert game.payoffs.tolist() == [ROCK_PAPER_SCISSORS.tolist(), (-ROCK_PAPER_SCISSORS).tolist()]
    again = EmpiricalGame(zero_sum)
    again.load_state_dict(json.loads(json.dumps(game.state_dict())))
    assert np.array_equal(again.joint, game.joint) and np.array_equal(again.payoffs, game.payoffs)


def test_line_ups_are_played_once() -> None:
    played = []

    def count(line_up: tuple[int, ...]) -> Floats:
        played.append(line_up)
        return zero_sum(line_up)

    game = EmpiricalGame(count)
    for size in (1, 2, 3):
        game.extend([list(range(size)), list(range(10, 10 + size))])
    assert sorted(played) == sorted(product(range(3), range(10, 13)))


def test_rivals_are_drawn_as_often_as_the_equilibrium_plays_them() -> None:
    game = EmpiricalGame(lambda line_up: np.zeros(3))
    game.extend([[0, 1], [2, 3], [4]])
    game.joint = np.array([[0.5, 0.0], [0.2, 0.3]])[:, :, None]
    assert game.weights(0).tolist() == [0.5, 0.5] and game.weights(1).tolist() == [0.7, 0.3]
    assert game.rivals(0, np.array([0.0, 0.69, 0.71, 0.999])) == [[2, 4], [2, 4], [3, 4], [3, 4]]
    assert game.rivals(2, np.array([0.1, 0.6, 0.8])) == [[0, 2], [1, 2], [1, 3]]


# --------------------------------------------------------------------------------------------------- a price duopoly

PRICES = 10
FAST = {"hidden": [16], "batch_size": 32, "warm_up": 200, "replay_ratio": 1.0, "gamma": 0.0, "lr": 3e-3, "n_step": 1}


def duopoly(budget: int = 48_000, **selfplay: Any) -> RunConfig:
    seat = {"order_up_to": [0, 0], "grid": {"prices": PRICES}, "actions": "grid", "quality": 3.0}
    data = {
        "market": a_market(
            seat, seat, horizon=10, inventory="make_to_order", price_sensitivity=2.0, outside=0.0,
            customers={"mode": "expected", "rate": 10.0},
        ),
        "seats": {"a": "dqn", "b": "dqn"},
        "learners": {"dqn": FAST},
        "selfplay": {"mode": "psro", "episodes": 1, "start": ["constant(price=3)"], "rounds": 4} | selfplay,
        "training": {"budget": budget, "markets": 16, "evaluation_episodes": 1},
        "evaluation": {"warm_up": 1, "line_ups": ["nash"]},
    }  # fmt: skip
    return parse_run(data, "here")


def trained(config: RunConfig, seed: int = 0) -> PSRO:
    one_torch_thread()
    mode = TrainingRun(config, seed, "cpu").play
    assert isinstance(mode, PSRO)
    while mode.done < mode.budget:
        mode.play_period()
    return mode


def stage_game(config: RunConfig) -> tuple[Floats, Floats]:
    """The grid's prices, and seat a's profit a period (PRICES, PRICES) at every pair of constant ones."""
    spec = config.market
    posted = Decisions(spec, 0, "grid").prices
    sellers = [[build(f"constant(price={p})", spec, seat) for p in posted] for seat in (0, 1)]
    profit = [[play(spec, [mine, theirs])["profit"][1:, 0, 0].mean() for theirs in sellers[1]] for mine in sellers[0]]
    return posted, np.array(profit)


@pytest.mark.slow
@pytest.mark.parametrize("warm_start", [True, False])
def test_a_price_duopoly_comes_to_its_equilibrium(warm_start: bool) -> None:
    """From the highest price on, responses step down to the grid's only equilibrium, and nothing gains there."""
    config = duopoly(warm_start=warm_start)
    posted, profit = stage_game(config)
    equilibria = [i for i in range(PRICES) if profit[:, i].argmax() == i]
    assert len(equilibria) == 1 and profit[:, -1].argmax() not in (equilibria[0], PRICES - 1)
    mode = trained(config)
    assert mode.round == 4 and [len(one) for one in mode.game.candidates] == [5, 5]
    first, last = mode.rounds[0], mode.rounds[-1]
    # the first responses answer the highest price: both gain what the best answer of the grid gains
    exact = profit[:, -1].max() - profit[-1, -1]
    assert first["nash_conv"] == pytest.approx(2 * exact, rel=1e-3)
    assert last["nash_conv"] < 0.02 * first["nash_conv"] and last["regret_in_the_game"] == pytest.approx(0, abs=1e-9)
    for seat in (0, 1):
        ((member, _),) = [(one, weight) for one, weight in mode.members(seat) if weight > 0]
        sellers: list[Seller] = [member.seller, build(f"constant(price={posted[equilibria[0]]})", config.market, 1)]
        ledger = play(config.market, sellers if seat == 0 else [sellers[0], sellers[1]])
        assert ledger["price"][2:, 0, 0] == pytest.approx(posted[equilibria[0]])
        assert mode.network(seat) is getattr(member.seller, "network")  # noqa: B009
        assert member.label in last["weights"]["ab"[seat]]


def test_the_same_seed_is_the_same_run() -> None:
    one, two, other = (trained(duopoly(9_600, rounds=2), seed) for seed in (0, 0, 1))
    assert one.rounds == two.rounds and one.game.state_dict() == two.game.state_dict()
    for seat in (0, 1):
        weights = [mode.network(seat).state_dict() for mode in (one, two, other)]
        assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
        assert any(not torch.equal(weights[0][k], weights[2][k]) for k in weights[0])


def test_a_warm_response_begins_on_the_last_ones_weights_and_schedules_go_on() -> None:
    config = duopoly(rounds=2)
    mode = TrainingRun(config, 0, "cpu").play
    assert isinstance(mode, PSRO)
    while mode.round == 0:
        mode.play_period()
    learner, last = mode.learners[0], mode.population.members[mode.game.candidates[0][-1]]
    assert last.saved is not None and learner.stored == 0
    assert all(torch.equal(tensor, last.saved.weights[k]) for k, tensor in learner.network.state_dict().items())
    assert mode.markets[0].fraction == pytest.approx(mode.fraction)
    cold = TrainingRun(duopoly(rounds=2, warm_start=False), 0, "cpu").play
    assert isinstance(cold, PSRO)
    while cold.round == 0:
        cold.play_period()
    weights = cold.population.members[cold.game.candidates[0][-1]].saved
    assert weights is not None and cold.markets[0].fraction == 0
    assert any(not torch.equal(t, weights.weights[k]) for k, t in cold.learners[0].network.state_dict().items())


# ----------------------------------------------------------------------------------------------------------- mixtures


class Remembers:
    """Posts a price, and remembers how many periods it has been playing for."""

    def __init__(self, price: float) -> None:
        self.price = price

    def start(self, markets: int) -> Memory:
        return {"age": np.zeros(markets)}

    def act(self, view: View, memory: Memory) -> tuple[Floats, Floats, Memory]:
        assert np.array_equal(memory["age"], view.period)
        count = len(view.period)
        return np.full(count, self.price), np.zeros(count), {"age": memory["age"] + 1}


def test_a_mixture_draws_once_an_episode_by_row_and_keeps_memories_apart() -> None:
    config = duopoly()
    mixed = MixtureSeller([Remembers(1.5), Remembers(2.5), Remembers(9.0)], [1, 3, 0])
    rival = build("constant(price=2)", config.market, 1)
    price: NDArray[Any] = play(config.market, [mixed, rival], markets=4_000, seed=7)["price"][:, :, 0]
    assert (price == price[0]).all() and set(np.unique(price).tolist()) == {1.5, 2.5}
    assert (price[0] == 2.5).mean() == pytest.approx(0.75, abs=4 * np.sqrt(0.1875 / 4_000))
    alone = [play(config.market, [mixed, rival], seed=7 + row)["price"][:, 0, 0] for row in range(20)]
    assert np.array_equal(np.stack(alone, axis=1), price[:, :20])


def test_a_runs_folder_gives_its_mixture_back(tmp_path: Path) -> None:
    config = duopoly(rounds=2)
    mode = trained(config)
    mode.write(tmp_path)
    content = json.loads((tmp_path / "psro.json").read_text())
    assert len(content["rounds"]) == 2 and content["equilibrium"] == "nash"
    assert np.array(content["payoffs"]).shape == (2, 3, 3)
    files = [entry["file"] for entry in content["mixtures"]["a"] if "file" in entry]
    assert len(files) == 2 and all(load_seller(tmp_path / file).seller == "a" for file in files)
    home, find = load_seller(tmp_path / files[-1]), as_trained(mode.seats.line_ups, 0)
    loaded = load_mixture(tmp_path, home, find).sit(config.market)
    rival = build("constant(price=2)", config.market, 1)
    own = MixtureSeller(*zip(*((one.seller, weight) for one, weight in mode.members(0)), strict=True))
    both = [play(config.market, [one, rival], markets=50)["price"] for one in (loaded, own)]
    assert np.array_equal(*both)
    with pytest.raises(UserError, match="holds no mixture of c"):
        load_mixture(tmp_path, replace(home, seller="c"), find)


def test_what_a_round_found_is_reported() -> None:
    mode = trained(duopoly(rounds=2))
    figures = mode.figures()
    assert figures["(market)"]["round"] == 2 and figures["(market)"]["nash_conv"] == mode.rounds[-1]["nash_conv"]
    assert set(figures) == {"a", "b", "(market)"}


def test_a_round_that_has_just_begun_has_earned_nothing_yet() -> None:
    """An evaluation may fall on the first moment of a round, before its markets have played a period."""
    mode = TrainingRun(duopoly(rounds=2), 0, "cpu").play
    assert isinstance(mode, PSRO) and mode.earned() == {}
    while mode.round == 0:
        mode.play_period()
    assert mode.earned() == {}
    mode.play_period()
    assert set(mode.earned()) == {0, 1} and mode.earned() == {}
