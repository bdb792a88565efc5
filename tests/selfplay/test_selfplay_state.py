"""The loop's state: what is saved goes on as if it had never stopped, bit for bit, and loads without pickle."""

from __future__ import annotations

import numpy as np
import pytest

from market.errors import UserError
from policies.common.torch_tools import to_arrays, to_tensors
from policies.selfplay.loop import SelfPlay
from policies.selfplay.players import FixedSeat, LearnerAtPlay
from tests.helpers.loops import HORIZON, Ages, learner, loop, market, mixed, play, rule, same, weights
from tests.helpers.states import equal, through_a_file

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("periods", [0, 1, 17, 40])
def test_a_loop_goes_on_from_its_state_as_if_it_had_not_stopped(periods: int) -> None:
    first = play(mixed(), periods)
    state = through_a_file(first.state_dict())
    again = mixed(seed=9, run=77)  # nothing of what it was made with may survive
    again.load_state_dict(state)
    assert equal(again.state_dict(), state)
    play(first, 2 * HORIZON)
    assert not equal(first.state_dict(), state)
    assert equal(play(again, 2 * HORIZON).state_dict(), first.state_dict())
    for seat, player in first.learners.items():
        assert same(weights(player), weights(again.learners[seat])) and player.updates


def test_a_state_is_a_copy() -> None:
    one = play(mixed(), 9)
    state, kept = one.state_dict(), one.state_dict()
    play(one, 5)
    assert equal(state, kept)
    again = mixed()
    again.load_state_dict(state)
    play(again, 5)
    assert equal(state, kept)


def test_what_fixed_sellers_remember_is_part_of_it() -> None:
    def of_ages() -> SelfPlay:
        return loop(market(), [learner(market(), 0, "dqn"), Ages()])

    first, again = play(of_ages(), 7), of_ages()
    again.load_state_dict(through_a_file(first.state_dict()))
    play(again, HORIZON)  # Ages itself checks its memory in every period
    seats = play(first, HORIZON).seats[1], again.seats[1]
    assert isinstance(seats[0], FixedSeat) and isinstance(seats[1], FixedSeat)
    assert np.array_equal(seats[0].memory["age"], seats[1].memory["age"])


def test_the_action_to_be_remembered_is_part_of_it() -> None:
    first, again = play(mixed(), 3), mixed()
    again.load_state_dict(first.state_dict())
    for a, b in zip(first.seats, again.seats, strict=True):
        if isinstance(a, LearnerAtPlay):
            assert isinstance(b, LearnerAtPlay)
            one, other = a.action, b.action
            assert one is not None and other is not None
            assert one.dtype == other.dtype and np.array_equal(one, other)


def test_another_markets_state_is_refused() -> None:
    state = play(mixed(), 2).state_dict()
    pair = loop(market(), [learner(market(), 0, "dqn"), rule(market(), 1)])
    with pytest.raises(UserError, match="saved loop: 4 seats do not fit the 2 of this market"):
        pair.load_state_dict(state)
    longer = market(4, horizon=HORIZON + 1)
    other = loop(longer, [learner(longer, 0, "dqn")] + [rule(longer, seat) for seat in (1, 2, 3)])
    with pytest.raises(UserError, match="does not fit"):
        other.load_state_dict(state)


def test_records_and_large_words_survive_as_tensors() -> None:
    record = np.zeros((2, 3), [("a", "f8"), ("b", "f8")])
    record["b"] = np.arange(6).reshape(2, 3)
    arrays = {"record": record, "seed": np.array([2**64 - 1], np.uint64), "flag": np.array([True, False])}
    back = to_arrays(through_a_file(to_tensors(arrays)), like=arrays)
    assert all(back[k].dtype == arrays[k].dtype and np.array_equal(back[k], arrays[k]) for k in arrays)
