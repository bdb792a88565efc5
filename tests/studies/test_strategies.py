"""Limit cycles, re-matching and deviations against play by hand, a naive loop, and the market itself."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest

from market.spec.models import MarketSpec
from market.theory.price_game import PriceGame
from policies.evaluation.statistics import half_width, jackknife
from policies.studies.calvano.findings import one_period_equilibria
from policies.studies.calvano.strategies import (
    Strategies,
    impulse_response,
    long_run,
    long_run_from_anywhere,
    static_best_response,
)
from tests.helpers.markets import a_market


def a_game(*prices: list[float]) -> PriceGame:
    sellers = [{"order_up_to": [0, 0], "grid": {"prices": one}} for one in prices]
    plain = a_market(*sellers, inventory="make_to_order", customers={"mode": "expected", "rate": 10})
    return PriceGame.of(MarketSpec.parse(plain))


LOW, HIGH = 2.2, 2.7  # each seller earns more at LOW whatever the other posts, both earn more at HIGH, HIGH
DILEMMA = a_game([LOW, HIGH], [LOW, HIGH])
THREE = a_game([1.8, 2.4], [1.6, 2.2, 2.8], [2.0, 2.5])
UNEQUAL = a_game([1.8, 2.2, 2.6], [1.7, 2.4])
ANYTHING = pytest.mark.parametrize("game", [UNEQUAL, THREE], ids=["two", "three"])


def of_rules(game: PriceGame, *sessions: list[Any], start: int = 0) -> Strategies:
    """Strategies from functions of all sellers' last price indices."""
    index = game.index(np.arange(game.states)).tolist()
    table = np.array([[[rule(*last) for last in index] for rule in rules] for rules in sessions])
    return Strategies(game, table, np.full(len(sessions), start))


def random_strategies(game: PriceGame, sessions: int, seed: int) -> Strategies:
    rng = np.random.default_rng(seed)
    table = np.stack([rng.integers(0, count, (sessions, game.states)) for count in game.counts], axis=1)
    return Strategies(game, table, rng.integers(0, game.states, sessions))


def always(index: int) -> Any:
    return lambda *last: index


def copy_rival(seat: int) -> Any:
    return lambda *last: last[1 - seat]


def forgive_when_alike(*last: int) -> int:
    """HIGH where both posted the same, else LOW (Pavlov, or win-stay lose-shift)."""
    return int(last[0] == last[1])


# ------------------------------------------------------------------------------------ in the long run


def test_constant_prices_stay_what_they_are() -> None:
    strategies = of_rules(DILEMMA, [always(0), always(0)], [always(1), always(1)], start=1)
    ended = long_run(strategies, strategies.together(), strategies.state)
    assert ended.state.tolist() == [0, 3] and ended.length.tolist() == [1, 1]
    assert ended.price.tolist() == [[LOW, LOW], [HIGH, HIGH]]
    assert np.array_equal(ended.profit, DILEMMA.payoff[[0, 3]])


def test_two_who_copy_each_other_swap_their_prices_for_ever() -> None:
    strategies = of_rules(DILEMMA, [copy_rival(0), copy_rival(1)], start=1)
    ended = long_run(strategies, strategies.together(), strategies.state)
    assert ended.length.tolist() == [2] and ended.price[0] == pytest.approx([(LOW + HIGH) / 2] * 2)
    assert ended.profit[0] == pytest.approx((DILEMMA.payoff[1] + DILEMMA.payoff[2]) / 2)


def naive(strategies: Strategies, line_up: Any, state: int) -> tuple[list[int], Any]:
    """The cycle's states and mean profit, by playing until a state comes again."""
    game, seen = strategies.game, []
    while state not in seen:
        seen.append(state)
        posted = [int(strategies.table[m, i, state]) for i, m in enumerate(line_up)]
        state = int(np.ravel_multi_index(posted, tuple(game.counts)))
    cycle = seen[seen.index(state) :]
    return cycle, game.payoff[cycle].mean(axis=0)


@ANYTHING
def test_many_line_ups_at_once_end_where_each_would_alone(game: PriceGame) -> None:
    strategies = random_strategies(game, 12, 3)
    rng = np.random.default_rng(4)
    line_up = rng.integers(0, 12, (200, len(game.prices)))
    start = rng.integers(0, game.states, 200)
    ended = long_run(strategies, line_up, start)
    for p in range(200):
        cycle, profit = naive(strategies, line_up[p], start[p])
        assert ended.state[p] in cycle and ended.length[p] == len(cycle)
        assert ended.profit[p] == pytest.approx(profit, rel=1e-12)
    assert len(set(ended.length)) > 1


@ANYTHING
def test_from_anywhere_is_the_mean_over_all_starts(game: PriceGame) -> None:
    strategies = random_strategies(game, 4, 8)
    line_up = strategies.rematched()
    mean = long_run_from_anywhere(strategies, line_up, np.random.default_rng(0))
    for row, found in zip(line_up, mean, strict=True):
        each = [naive(strategies, row, state)[1] for state in range(game.states)]
        assert found == pytest.approx(np.mean(each, axis=0), rel=1e-12)


# ------------------------------------------------------------------------------------ re-matching


def test_two_seats_are_rematched_in_every_ordered_pair_of_sessions() -> None:
    strategies = random_strategies(UNEQUAL, 5, 0)
    assert sorted(map(tuple, strategies.rematched().tolist())) == sorted(permutations(range(5), 2))
    assert len(random_strategies(UNEQUAL, 1, 0).rematched()) == 0


@pytest.mark.parametrize("sessions", [2, 3, 4, 6])
def test_three_seats_are_rematched_with_three_sessions(sessions: int) -> None:
    line_up = random_strategies(THREE, sessions, 0).rematched()
    assert all(len(set(row)) == 3 for row in line_up.tolist())
    assert len(line_up) == len({tuple(row) for row in line_up.tolist()})
    assert (len(line_up) > 0) == (sessions > 2)
    if len(line_up):
        assert all((np.bincount(seat, minlength=sessions) == len(line_up) / sessions).all() for seat in line_up.T)


def test_sellers_bring_their_own_last_price() -> None:
    strategies = random_strategies(THREE, 3, 1)
    index = THREE.index(strategies.state)
    start = strategies.last_posted(np.array([[2, 0, 1]]))
    assert THREE.index(start)[0].tolist() == [index[2, 0], index[0, 1], index[1, 2]]


def test_the_jackknife_of_independent_values_is_the_t_interval() -> None:
    values = np.random.default_rng(0).normal(size=9)
    own = np.repeat(np.arange(9)[:, None], 2, axis=1)
    assert jackknife(values, own, 9) == pytest.approx(half_width(values), rel=1e-12)
    assert np.isnan(jackknife(values[:2], np.array([[0, 1], [1, 0]]), 2))
    assert np.isnan(jackknife(values[:1], own[:1], 1))


def test_the_jackknife_covers_means_over_pairs_as_often_as_it_says() -> None:
    """Pairs of values a_m + b_k + noise share sessions: an interval that takes them as independent is far too short."""
    rng = np.random.default_rng(1)
    pairs = random_strategies(UNEQUAL, 20, 0).rematched()
    covered = naive_covered = 0
    for _ in range(400):
        a, b = rng.normal(size=(2, 20))
        values = a[pairs[:, 0]] + b[pairs[:, 1]] + rng.normal(size=len(pairs))
        covered += abs(values.mean()) <= jackknife(values, pairs, 20)
        naive_covered += abs(values.mean()) <= half_width(values)
    assert 0.92 <= covered / 400 <= 0.98 and naive_covered / 400 < 0.7


# ------------------------------------------------------------------------------------ deviations


@ANYTHING
def test_the_best_reply_is_the_best_of_all_prices(game: PriceGame) -> None:
    for seat, count in enumerate(game.counts):
        for state in range(game.states):
            index = game.index(state)
            earned = []
            for a in range(count):
                index[seat] = a
                earned.append(game.payoff[np.ravel_multi_index(index, tuple(game.counts)), seat])
            assert static_best_response(game, np.array([seat]), game.index([state]))[0] == int(np.argmax(earned))


def test_equilibria_of_one_period_are_states_from_which_nobody_gains() -> None:
    assert one_period_equilibria(DILEMMA).tolist() == [0]
    for game in (UNEQUAL, THREE):
        expected = []
        for state in range(game.states):
            index = game.index([state])
            replies = [static_best_response(game, np.array([seat]), index)[0] for seat in range(len(game.counts))]
            expected += [state] if replies == index[0].tolist() else []
        assert one_period_equilibria(game).tolist() == expected


def test_sellers_who_forgive_when_alike_punish_for_one_period() -> None:
    """From (H, H): the deviator posts L; both see a difference and post L; both see the same and post H again."""
    strategies = of_rules(DILEMMA, [forgive_when_alike] * 2, start=3)
    impulse = impulse_response(strategies, 0.9, periods=4)
    assert impulse.deviator[0].tolist() == [HIGH, LOW, LOW, HIGH, HIGH]
    assert impulse.rivals[0].tolist() == [HIGH, HIGH, LOW, HIGH, HIGH]
    assert impulse.deviator_twin[0].tolist() == impulse.rivals_twin[0].tolist() == [HIGH] * 5
    assert (impulse.differs[0], impulse.returned[0], impulse.returned_ever[0]) == (1, 1, 1)
    tempted, punished, together = DILEMMA.payoff[1, 0], DILEMMA.payoff[0, 0], DILEMMA.payoff[3, 0]
    stays = together / (1 - 0.9)
    leaves = tempted + 0.9 * punished + 0.81 * stays
    assert impulse.worth[0] == pytest.approx(leaves / stays - 1, rel=1e-9)
    assert impulse.pays[0] == float(leaves > stays)


def test_sellers_who_copy_each_other_never_find_back() -> None:
    """From (H, H): (L, H), (H, L), (L, H) ... for ever; the twin stays at (H, H)."""
    strategies = of_rules(DILEMMA, [copy_rival(0), copy_rival(1)], start=3)
    impulse = impulse_response(strategies, 0.5, periods=5)
    assert impulse.deviator[0].tolist() == [HIGH, LOW, HIGH, LOW, HIGH, LOW]
    assert impulse.rivals[0].tolist() == [HIGH, HIGH, LOW, HIGH, LOW, HIGH]
    assert (impulse.returned[0], impulse.returned_ever[0]) == (0, 0)


def test_who_plays_the_best_response_anyway_does_not_deviate() -> None:
    impulse = impulse_response(of_rules(DILEMMA, [always(0), always(0)]), 0.95)
    assert (impulse.differs[0], impulse.worth[0], impulse.pays[0], impulse.returned[0]) == (0, 0, 0, 1)
    assert impulse.deviator.shape == (1, 16)


def test_every_phase_of_a_cycle_and_every_seat_counts_alike() -> None:
    """Seat 0 alternates, seat 1 posts LOW: phases (L, L) and (H, L). Seat 1 never changes by its best response."""
    strategies = of_rules(DILEMMA, [lambda a, b: 1 - a, always(0)])
    impulse = impulse_response(strategies, 0.95, periods=2)
    assert impulse.differs[0] == pytest.approx(1 / 4)  # seat 0 would have posted HIGH in one of its two phases
    middle = (LOW + HIGH) / 2
    # before: seat 0 is at L and at H, seat 1 at L twice; forced: L four times; then seat 0 goes to H, twice
    assert impulse.deviator[0] == pytest.approx([(middle + LOW) / 2, LOW, (HIGH + LOW) / 2])
