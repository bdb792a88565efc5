"""Equilibria against games whose solutions are known, and against nashpy; ranks and ratings against closed forms."""

from __future__ import annotations

from itertools import product as every
from typing import Any

import nashpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from market.errors import UserError
from policies.evaluation.statistics import half_widths, percentile_half_width
from policies.games import equilibria as nash
from policies.games.equilibria import (
    coarse_correlated,
    expected,
    nash_equilibria,
    product,
    regrets,
    sureness,
    undominated,
)
from policies.games.ranking import mean_ranks, ratings, resampling, wins

DILEMMA = [[[3, 0], [5, 1]], [[3, 5], [0, 1]]]
PENNIES = [[[1, -1], [-1, 1]], [[-1, 1], [1, -1]]]
SEXES = [[[3, 0], [0, 2]], [[2, 0], [0, 3]]]
ROCK = [[0, -1, 1], [1, 0, -1], [-1, 1, 0]]
CHICKEN = [[[6, 2], [7, 0]], [[6, 7], [2, 0]]]
# Nisan et al. (2007), section 3.2, and its degenerate variant in section 3.6.
BOOK = [[[3, 3], [2, 5], [0, 6]], [[3, 2], [2, 6], [3, 1]]]
BOOK_DEGENERATE = [[[3, 3], [2, 5], [0, 6]], [[3, 3], [2, 6], [3, 1]]]


def payoffs(game: Any) -> Any:
    return np.array(game, float)


def brute_regret(game: Any, joint: Any) -> float:
    """The largest gain of any seat by any fixed candidate, cell by cell."""
    worst = 0.0
    for seat, count in enumerate(joint.shape):
        for deviation in range(count):
            gain = 0.0
            for at in every(*map(range, joint.shape)):
                instead = (*at[:seat], deviation, *at[seat + 1 :])
                gain += joint[at] * (game[(seat, *instead)] - game[(seat, *at)])
            worst = max(worst, gain)
    return worst


KNOWN = {
    "prisoner's dilemma": (DILEMMA, [([0, 1], [0, 1])]),
    "matching pennies": (PENNIES, [([0.5, 0.5], [0.5, 0.5])]),
    "battle of the sexes": (SEXES, [([1, 0], [1, 0]), ([0, 1], [0, 1]), ([0.6, 0.4], [0.4, 0.6])]),
    "rock, paper, scissors": ([ROCK, (-payoffs(ROCK)).tolist()], [([1 / 3] * 3, [1 / 3] * 3)]),
    "chicken": (CHICKEN, [([1, 0], [0, 1]), ([0, 1], [1, 0]), ([2 / 3, 1 / 3], [2 / 3, 1 / 3])]),
    "the book's": (
        BOOK,
        [([1, 0, 0], [1, 0]), ([0.8, 0.2, 0], [2 / 3, 1 / 3]), ([0, 1 / 3, 2 / 3], [1 / 3, 2 / 3])],
    ),
}


def found(game: Any) -> list[tuple[list[float], ...]]:
    known = nash_equilibria(payoffs(game)).equilibria
    return sorted(tuple(np.round(one, 9).tolist() for one in pair.strategies) for pair in known)


@pytest.mark.parametrize("name", KNOWN)
def test_known_games_have_their_known_equilibria(name: str) -> None:
    game, solution = KNOWN[name]
    assert found(game) == sorted(tuple(np.round(one, 9).tolist() for one in pair) for pair in solution)
    solved = nash_equilibria(payoffs(game))
    assert solved.complete and not solved.degenerate


def test_payoffs_and_order_of_the_battle_of_the_sexes() -> None:
    solved = nash_equilibria(payoffs(SEXES)).equilibria
    assert [len(np.flatnonzero(one.strategies[0])) for one in solved] == [1, 1, 2]
    np.testing.assert_allclose(solved[2].payoffs, [1.2, 1.2])  # 0.4 x 3 and 0.4 x 3


def test_a_degenerate_game_gives_the_ends_of_its_continua() -> None:
    """Row 1 is a best response to (1 - q, q) for all q up to 1/3, and the column seat does not mind."""
    assert found(BOOK_DEGENERATE) == sorted(
        [([1.0, 0.0, 0.0], [1.0, 0.0])]
        + [([1.0, 0.0, 0.0], [round(2 / 3, 9), round(1 / 3, 9)])]
        + [([0.0, round(1 / 3, 9), round(2 / 3, 9)], [round(1 / 3, 9), round(2 / 3, 9)])]
    )
    solved = nash_equilibria(payoffs(BOOK_DEGENERATE))
    assert solved.degenerate and solved.complete


@pytest.mark.parametrize("size", [2, 3])
def test_where_nothing_matters_every_pure_pair_is_an_extreme_equilibrium(size: int) -> None:
    solved = nash_equilibria(np.full((2, size, size), 7.0))
    assert len(solved.equilibria) == size**2 and solved.degenerate and solved.complete


def test_equal_candidates_are_both_listed() -> None:
    """Two identical policies that beat a third: four pure equilibria."""
    best = [[2, 2, 2], [2, 2, 2], [1, 1, 1]]
    solved = nash_equilibria(payoffs([best, np.transpose(best)]))
    assert len(solved.equilibria) == 4 and solved.degenerate


def test_what_is_beaten_everywhere_goes_first_and_then_what_is_beaten_by_what_is_left() -> None:
    rows, columns = undominated(payoffs([[[3, 2], [2, 1], [1, 9]], [[1, 0], [1, 0], [1, 0]]]))
    assert (rows.tolist(), columns.tolist()) == ([0], [0])
    assert [one.tolist() for one in undominated(payoffs(PENNIES))] == [[0, 1], [0, 1]]


games = st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(0, 10**6))


@settings(max_examples=60, deadline=None)
@given(games)
def test_random_games_agree_with_vertex_enumeration_and_have_no_regret(shape: tuple[int, int, int]) -> None:
    rows, columns, seed = shape
    game = np.random.default_rng(seed).normal(50, 10, (2, rows, columns))
    solved = nash_equilibria(game)
    assert len(solved.equilibria) % 2 == 1  # Wilson (1971): almost every game has an odd number
    for one in solved.equilibria:
        assert brute_regret(game, product(one.strategies)) < 1e-7
        assert one.regret < 1e-7
    if min(rows, columns) > 1:
        with np.errstate(all="ignore"):
            others = nash.distinct(list(nashpy.Game(*(game - game.min() + 1)).vertex_enumeration()))
        assert len(others) == len(solved.equilibria)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 4), st.integers(0, 10**6))
def test_equilibria_of_games_full_of_ties_have_no_regret(size: int, seed: int) -> None:
    game = np.random.default_rng(seed).integers(0, 3, (2, size, size)).astype(float)
    solved = nash_equilibria(game).equilibria
    assert solved and max(brute_regret(game, product(one.strategies)) for one in solved) < 1e-7


def test_rounding_loses_no_equilibrium_as_it_does_in_nashpy() -> None:
    """The first 6 x 6 game that such a comparison met: vertex enumeration finds 5, nashpy's own supports 4."""
    game = np.random.default_rng(0).random((2, 6, 6))
    with np.errstate(all="ignore"):
        vertices = list(nashpy.Game(*game).vertex_enumeration())
    assert len(nash_equilibria(game).equilibria) == len(vertices) == 5


def test_the_unit_of_money_changes_no_equilibrium() -> None:
    game = np.random.default_rng(3).random((2, 4, 4))
    assert found(game) == found(game * np.array([1e6, 1e-6])[:, None, None] + np.array([5.0, -3.0])[:, None, None])


def test_too_many_supports_leave_the_list_incomplete(monkeypatch: pytest.MonkeyPatch) -> None:
    game = payoffs([ROCK, (-payoffs(ROCK)).tolist()])
    monkeypatch.setattr(nash, "MOST_SUPPORTS", 9)
    solved = nash_equilibria(game)
    assert not solved.complete and solved.equilibria == []


def test_one_seat_has_its_best_and_three_are_refused() -> None:
    solved = nash_equilibria(payoffs([[1, 4, 2]]))
    assert [one.strategies[0].tolist() for one in solved.equilibria] == [[0, 1, 0]]
    with pytest.raises(UserError, match="one or two seats, this game has 3"):
        nash_equilibria(np.zeros((3, 2, 2, 2)))


# ------------------------------------------------------------------------------------------------ joint distributions


def test_regrets_of_the_dilemma() -> None:
    game = payoffs(DILEMMA)
    np.testing.assert_allclose(regrets(game, product([np.array([1.0, 0]), np.array([1.0, 0])])), [2, 2])
    np.testing.assert_allclose(regrets(game, product([np.array([0, 1.0]), np.array([0, 1.0])])), [0, 0])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 3), min_size=2, max_size=4), st.integers(0, 10**6))
def test_regrets_are_those_of_a_count_cell_by_cell(shape: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    game, joint = rng.normal(size=(len(shape), *shape)), rng.random(shape)
    joint /= joint.sum()
    assert regrets(game, joint).max() == pytest.approx(brute_regret(game, joint), abs=1e-9)


def test_the_best_coarse_correlated_equilibrium_of_chicken() -> None:
    """Worked in the docstring: half on swerving both, a quarter on each of the next two."""
    solved = coarse_correlated(payoffs(CHICKEN))
    np.testing.assert_allclose(solved.joint, [[0.5, 0.25], [0.25, 0]], atol=1e-9)
    np.testing.assert_allclose(solved.payoffs, [5.25, 5.25])


def test_the_dilemma_has_no_other_coarse_correlated_equilibrium() -> None:
    np.testing.assert_allclose(coarse_correlated(payoffs(DILEMMA)).joint, [[0, 0], [0, 1]], atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=3, max_size=3), st.integers(0, 10**6))
def test_coarse_correlated_equilibria_of_three_seats_have_no_regret(shape: list[int], seed: int) -> None:
    game = np.random.default_rng(seed).normal(500, 40, (3, *shape))
    solved = coarse_correlated(game)
    assert solved.joint.sum() == pytest.approx(1) and (solved.joint >= 0).all()
    assert brute_regret(game, solved.joint) < 1e-4 and solved.regret < 1e-4
    np.testing.assert_allclose(solved.payoffs, expected(game, solved.joint))


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 4), st.integers(0, 10**6))
def test_no_nash_equilibrium_has_more_welfare(size: int, seed: int) -> None:
    game = np.random.default_rng(seed).normal(size=(2, size, size))
    most = max(one.payoffs.sum() for one in nash_equilibria(game).equilibria)
    assert coarse_correlated(game).payoffs.sum() >= most - 1e-6


# ------------------------------------------------------------------------------------------------ how sure


def test_sureness_counts_the_resamples_in_which_the_candidates_make_an_equilibrium() -> None:
    game = payoffs(DILEMMA)
    other = game.copy()
    other[:, 0, 0] = 9.0  # cooperation pays: defection is still an equilibrium, and cooperation is one as well
    cooperate = [np.array([1.0, 0]), np.array([1.0, 0])]
    sure = sureness(np.stack([game, game, other, other]), product(cooperate), cooperate)
    assert sure.share == 0.5
    assert sure.regret_high == pytest.approx(2.0)  # in half of them each would gain 2
    defect = [np.array([0, 1.0]), np.array([0, 1.0])]
    assert sureness(np.stack([game, other]), product(defect), defect).share == 1.0


def test_sureness_of_mixed_and_of_joint_distributions() -> None:
    mixed = nash_equilibria(payoffs(SEXES)).equilibria[2]
    changed = payoffs(SEXES) * 1.1
    changed[0, 0, 0] = 2.0  # other probabilities, the same supports
    resampled = np.stack([payoffs(SEXES), changed])
    sure = sureness(resampled, product(mixed.strategies), mixed.strategies)
    assert sure.share == 1.0 and sure.regret_high > 0
    assert np.isnan(sureness(resampled, product(mixed.strategies)).share)


# ------------------------------------------------------------------------------------------------ ranking


def test_mean_ranks_share_ties() -> None:
    np.testing.assert_allclose(mean_ranks(payoffs([[3, 4], [5, 4]])), [1.75, 1.25])


def test_duels_won_are_counted_by_episode_and_rivals() -> None:
    profit = payoffs([[[1, 5], [2, 2]], [[2, 4], [2, 1]]])  # candidates x rivals x episodes
    won = wins(profit)
    np.testing.assert_allclose(won[0, 1], [0.5, 2.0])
    np.testing.assert_allclose(won[0, 1] + won[1, 0], [2, 2])


def test_what_plays_the_same_ties_although_sums_of_money_differ_in_a_last_bit() -> None:
    """Two of three candidates earn .1 + .2 and .3: ranks 1.5 each, ratings equal; of a game both are in equilibria."""
    first, last_bit = 0.3, 0.1 + 0.2
    assert first != last_bit
    profit = payoffs([[[first] * 50], [[last_bit] * 50], [[0.2] * 50]])
    np.testing.assert_allclose(mean_ranks(profit.mean(axis=-1)), [1.5, 1.5, 3])
    np.testing.assert_allclose(mean_ranks(payoffs([[[1e-6], [2e-6], [-1e9]]])), [[2, 1, 3]])  # each pair's own scale
    rated = ratings(wins(profit).sum(axis=-1))
    assert rated[0] == pytest.approx(rated[1], abs=1e-9) and rated[2] < rated[0]
    game = payoffs([[[first, first], [last_bit, last_bit]], [[first, last_bit], [first, last_bit]]])
    found = nash_equilibria(game)
    assert len(found.equilibria) == 4 and found.complete


def test_two_ratings_are_a_logarithm_of_the_odds() -> None:
    half = 200 * np.log10(75.5 / 25.5)  # 94.28 points
    np.testing.assert_allclose(ratings(payoffs([[0, 75], [25, 0]])), [1500 + half, 1500 - half])
    high, low = ratings(payoffs([[0, 1000], [0, 0]]))
    assert high - low == pytest.approx(400 * np.log10(1000.5 / 0.5))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-800, 800), min_size=2, max_size=6))
def test_ratings_recover_the_strengths_that_made_the_results(strengths: list[int]) -> None:
    """Expected results of 10^9 duels a pair, beside which the drawn one hardly counts."""
    true = np.array(strengths) - np.mean(strengths)
    won = 1e9 / (1 + 10 ** ((true - true[:, None]) / 400))
    np.fill_diagonal(won, 0)
    np.testing.assert_allclose(ratings(won) - 1500, true, atol=0.01)


def test_ratings_of_those_who_always_win_stay_finite_and_in_order() -> None:
    order = ratings(1e6 * np.triu(np.ones((5, 5)), 1))
    assert np.isfinite(order).all() and (np.diff(order) < 0).all() and order.mean() == pytest.approx(1500)


def test_half_widths_are_students() -> None:
    values = np.random.default_rng(0).normal(size=(3, 50))
    low, high = stats.t.interval(0.95, 49, loc=values.mean(1), scale=stats.sem(values, axis=1))
    np.testing.assert_allclose(half_widths(values), (high - low) / 2)
    assert half_widths(np.array([[1.0, 2, 3], [0.1 + 0.2, 0.3, 0.3]])).tolist() == pytest.approx([2.484, 0], abs=1e-3)
    assert np.isnan(half_widths(np.ones((1, 1)))).all()


def test_resampled_means_spread_as_the_mean_does() -> None:
    values = np.random.default_rng(1).normal(size=400)
    weights = resampling(400, 4000, np.random.default_rng(2))
    np.testing.assert_allclose(weights.sum(1), 1)
    # 4,000 resamples leave about 2 % of a half-width to chance (1.1 % standard error of an sd, tails a little more).
    assert percentile_half_width(weights @ values) == pytest.approx(1.96 * values.std() / 20, rel=0.06)
