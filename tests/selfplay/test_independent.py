"""Independent play: whom learners meet in which rows, that nothing of the others' rows is theirs, and going on with it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from policies.selfplay.loop import SelfPlay
from policies.selfplay.players import LearnerAtPlay, MixedSeat
from policies.training.run import TrainingRun
from tests.helpers.leagues import HORIZON, ROWS, config, play
from tests.helpers.states import equal

OWN = ROWS // 4


def mode(periods: int, *players: Any, line_ups: float = 0.25, seed: int = 0) -> SelfPlay:
    given = config(*(players or ("dqn", "ddpg", "undercut")), selfplay={"mode": "independent", "line_ups": line_ups})
    found = play(given, periods, seed)
    assert isinstance(found, SelfPlay)
    return found


def stepped(one: SelfPlay) -> tuple[Any, Any]:
    """Ledger and rewards of one more period, of rows that begin anew after it too."""
    seen: list[Any] = []
    step = one.batch.step

    def watched(*decided: Any) -> Any:
        ledger = step(*decided)
        seen.extend((ledger.copy(), one.batch.reward.copy()))
        return ledger

    one.batch.step = watched  # type: ignore[method-assign]
    one.play_period()
    one.batch.step = step  # type: ignore[method-assign]
    return seen[0], seen[1]


def rows_of(one: SelfPlay, seat: int) -> list[int]:
    learning = one.seats[seat].learning
    assert isinstance(learning, LearnerAtPlay) and learning.rows is not None
    return list(learning.rows.tolist())


def test_learners_share_some_rows_and_each_has_others_of_its_own() -> None:
    one = mode(0)
    common = set(range(ROWS - OWN))
    first, second = set(rows_of(one, 0)), set(rows_of(one, 1))
    assert first & second == common and len(first) == len(second) == ROWS
    assert first | second == set(range(one.batch.markets)) and one.batch.markets == ROWS + OWN


def test_rules_play_a_seat_in_the_rows_that_are_another_learners() -> None:
    """At constant Nash prices there, at what the learner drew elsewhere; the fixed seat plays its rules in all rows."""
    one = mode(3)
    price = stepped(one)[0]["price"]
    elsewhere = np.setdiff1d(np.arange(one.batch.markets), rows_of(one, 0))
    nash = TrainingRun(config("nash+base_stock", "dqn", "undercut"), 0, "cpu").seats.fixed[0].usual_price
    assert len(elsewhere) == OWN and price[elsewhere, 0] == pytest.approx(np.full(OWN, nash))
    assert len(set(price[rows_of(one, 0), 0].tolist())) > 1


def test_a_learner_remembers_its_own_rows_and_what_they_earned() -> None:
    one = mode(0)
    seen: list[Any] = []
    for _ in range(5):
        observation = one._observation.copy()
        seen.append((observation, stepped(one)[1]))
    for seat in (0, 1):
        memory, rows = one.learners[seat].memory, rows_of(one, seat)
        taken = memory.take(memory.sample_indices(0))
        for period, (observation, reward) in enumerate(seen):
            np.testing.assert_array_equal(taken["obs"].numpy().reshape(ROWS, 5, -1)[:, period], observation[rows, seat])
            kept = taken["rew"].numpy().reshape(ROWS, 5)[:, period]
            np.testing.assert_allclose(kept, reward[rows, seat], rtol=1e-6)


def test_the_budget_counts_a_learners_rows_and_so_do_the_figures_of_exploring() -> None:
    one = mode(2)
    assert one.done == 2 * 3 * ROWS
    one.earned()
    profit, earned = stepped(one)[0]["profit"], one.earned()
    for seat in (0, 1):
        assert earned[seat]["profit"] == pytest.approx(profit[rows_of(one, seat), seat].mean())


def test_rows_of_every_kind_are_in_all_phases_of_an_episode() -> None:
    """A block's rows end their first episodes evenly over the horizon, as those of a run without blocks do."""
    one = mode(0)
    cuts = one._first_cut
    common, own = ROWS - OWN, OWN
    for start, count in ((0, common), (common, own), (common + own, own)):
        assert cuts[start : start + count].tolist() == [k * HORIZON // count for k in range(count)]


@pytest.mark.parametrize("players", [("dqn", "nash+base_stock"), ("nash", "ddpg", "undercut")])
def test_a_single_learner_has_the_rivals_of_its_configuration(players: Any) -> None:
    one = mode(0, *players)
    assert one.batch.markets == ROWS and not any(isinstance(player, MixedSeat) for player in one.seats)


def test_without_line_ups_learners_meet_one_another_only_and_with_nothing_else_rules_only() -> None:
    assert mode(0, line_ups=0).batch.markets == ROWS
    alone = mode(0, line_ups=1)
    assert alone.batch.markets == 2 * ROWS and not set(rows_of(alone, 0)) & set(rows_of(alone, 1))


@pytest.mark.parametrize("players", [("dqn", "ddpg"), ("a2c", {"learner": "ddpg", "stack": 3}, "undercut(spread=0.2)")])
def test_it_goes_on_to_the_bit(players: Any) -> None:
    whole = mode(17, *players)
    kept = copy.deepcopy(whole.state_dict())
    other = mode(0, *players)
    other.load_state_dict(kept)
    for _ in range(20):
        assert whole.play_period().keys() == other.play_period().keys()
    assert equal(whole.state_dict(), other.state_dict())
    assert whole.earned() == other.earned()
