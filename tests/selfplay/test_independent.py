"""The last part of independent play: whom learners meet there, that nothing of theirs is lost, and going on with it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from policies.selfplay.independent import IndependentPlay
from policies.selfplay.loop import SelfPlay
from policies.training.run import TrainingRun
from tests.helpers.leagues import ROWS, config, play
from tests.helpers.states import equal

PERIOD = 2 * ROWS  # seller-periods
BUDGET = 50 * PERIOD
APART = {"mode": "independent", "apart": 0.2, "line_ups": 0.5}


def mode(periods: int, *players: Any, **options: Any) -> IndependentPlay:
    found = play(config(*(players or ("dqn", "ddpg")), selfplay=APART | options, budget=BUDGET), periods)
    assert isinstance(found, IndependentPlay)
    return found


def test_each_learner_has_a_market_of_its_own_in_the_last_fifth() -> None:
    one = mode(40)
    assert not one.markets and one.common.over and one.fraction == 0.8
    one.play_period()
    assert list(one.markets) == [0, 1] and one.fraction == 0.82
    assert [market.fraction for market in one.markets.values()] == [0.82, 0.82]
    assert all(market.learners[seat] is one.common.learners[seat] for seat, market in one.markets.items())
    assert {learner.fraction for learner in one.learners.values()} == {0.8}, "of when the period began, as ever"


def test_half_of_its_rows_meet_the_line_up_and_half_the_others_as_they_are() -> None:
    one = mode(41)
    for seat, market in one.markets.items():
        rival = 1 - seat
        kinds = [one.population.members[number].kind for number in market.members[:, rival]]
        assert abs(kinds.count("fixed") - kinds.count("current")) <= 2
        labels = {one.population.members[number].label for number in market.members[:, rival]}
        assert labels == {"nash+base_stock", f"{'ab'[rival]} (learning)"}
    first = one.markets[0].members.copy()
    for _ in range(30):
        one.play_period()
    kind = [[one.population.members[n].kind for n in members[:, 1]] for members in (first, one.markets[0].members)]
    assert kind[0] == kind[1], "a row keeps its kind of rival"


def test_a_learner_stores_as_many_transitions_as_before_and_none_reaches_from_one_market_into_the_other() -> None:
    one = mode(40)
    learner: Any = one.learners[1]
    memory = learner.memory
    assert learner.stored == 40 * ROWS
    index = memory.sample_indices(0)[-1:]
    assert bool(memory.take(index).ends.all())
    one.play_period()
    assert learner.stored == 41 * ROWS
    truncated = memory.take(memory.sample_indices(0))["truncated"].view(ROWS, 41)
    assert bool(truncated[:, 39].all())


def test_markets_of_their_own_have_customers_of_their_own() -> None:
    one = mode(45)
    arrivals = [m.batch.ledger["sold"] for m in (one.common, *one.markets.values())]
    assert not np.array_equal(arrivals[1], arrivals[2]) and not np.array_equal(arrivals[0], arrivals[1])


@pytest.mark.parametrize("players", [("dqn", "nash+base_stock"), ("nash", "ddpg", "undercut")])
def test_a_single_learner_has_its_rivals_to_the_end(players: Any) -> None:
    assert type(TrainingRun(config(*players), 0, "cpu").play) is SelfPlay


def test_without_a_last_part_it_is_the_loop_to_the_bit() -> None:
    """0 apart; and the common part with one is the same."""
    plain, apart = play(config("dqn", "ddpg", selfplay=APART | {"apart": 0}, budget=BUDGET), 30), mode(30)
    assert type(plain) is SelfPlay
    assert equal(plain.state_dict(), apart.common.state_dict())


@pytest.mark.parametrize("at", [20, 40, 45])
@pytest.mark.parametrize("players", [("dqn", "ddpg"), ("a2c", {"learner": "ddpg", "stack": 3}, "undercut")])
def test_it_goes_on_to_the_bit(at: int, players: Any) -> None:
    whole = mode(at, *players)
    kept = copy.deepcopy(whole.state_dict())
    other = mode(0, *players)
    other.load_state_dict(kept)
    for _ in range(50 - at):
        assert whole.play_period().keys() == other.play_period().keys()
    assert equal(whole.state_dict(), other.state_dict())
    assert whole.earned() == other.earned()
