"""Ways of self-play: what a configuration may ask for, shared learners against stacked rows, and the league's draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from market.errors import UserError
from market.metrics.summary import episode_profit
from market.simulation.decisions import order_quantity
from policies.common.seeding import row_seed
from policies.config.run import parse_run
from policies.config.selfplay import LeagueOptions
from policies.selfplay.loop import SelfPlay
from policies.selfplay.matchmaking import KINDS, DrawnSeat, Ratings, ease, kinds_of_rows, weights
from policies.selfplay.shared import SharedPlay, without_indicator
from policies.sellers.network_seller import NetworkSeller
from policies.sellers.rollout import play as simulate
from policies.training.run import TrainingRun
from tests.helpers.leagues import HORIZON, ROWS, config, league, play
from tests.helpers.states import equal, through_a_file


def network_weights(mode: Any) -> list[NDArray[Any]]:
    return [p.detach().numpy().copy() for learner in mode.learners.values() for p in learner.algorithm.parameters()]


def same(a: list[NDArray[Any]], b: list[NDArray[Any]]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# ----------------------------------------------------------------------------------------------------- configuration


def test_a_mode_is_a_word_or_a_mapping_and_is_dumped_in_full() -> None:
    short, long = config("dqn", "dqn", selfplay="league"), config("dqn", "dqn", selfplay={"mode": "league"})
    assert short == long and short.selfplay == LeagueOptions()
    assert config("dqn", "dqn").selfplay.mode == "independent"
    other = config("dqn", "dqn", selfplay={"mode": "league", "pool": 3, "distance": "2e3"})
    assert parse_run(other.dump(), "again") == other and other.dump()["selfplay"]["distance"] == 2_000


@pytest.mark.parametrize(
    ("selfplay", "message"),
    [
        ("leage", "here: selfplay.mode: unknown mode 'leage'; the modes are independent, shared, league, psro"),
        ({"pool": 3}, "here: selfplay: must be a mode, or a mapping with the key mode"),
        ({"mode": "league", "pol": 3}, r"here: selfplay\.pol: unknown key \(did you mean pool\?\)"),
        ({"mode": "shared", "pool": 3}, "here: selfplay.pool: unknown key"),
        ({"mode": "league", "fixed": 0.5}, "current, snapshots and fixed must add up to 1, not 0.9"),
        ({"mode": "psro", "rounds": 0}, "here: selfplay.rounds: must be greater than 0"),
    ],
)
def test_a_wrong_mode_is_refused_with_its_key(selfplay: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        config("dqn", "dqn", selfplay=selfplay)


@pytest.mark.parametrize(
    ("players", "selfplay", "message"),
    [
        (("dqn", "ddpg"), "shared", r"seats\.b: 'ddpg' is not what seats\.a has \('dqn'\)"),
        (("dqn", "nash"), "shared", "selfplay.seats: needs two different seats or more to share a learner, not a"),
        (("dqn", "dqn"), {"mode": "shared", "seats": ["a", "z"]}, "selfplay.seats.1: 'z' is no learner's seat"),
        (("dqn", "nash"), "league", "selfplay.mode: league needs 2 seats or more that learn, there are 1"),
        (
            ("dqn", "dqn"),
            {"mode": "league", "competitors": ["nsh"]},
            r"selfplay\.competitors\.0\.pricing: unknown rule",
        ),
    ],
)
def test_a_mode_that_the_seats_do_not_allow_is_refused(players: Any, selfplay: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        TrainingRun(config(*players, selfplay=selfplay), 0, "cpu")


def test_seats_that_share_have_the_gate_where_an_order_costs_in_one_of_them() -> None:
    data = config("ddpg", "ddpg", selfplay="shared").dump()
    data["market"]["sellers"][1]["order_cost"] = 2.0
    shared = TrainingRun(parse_run(data, "here"), 0, "cpu").play
    assert [shared.decisions(seat).encoding for seat in range(2)] == ["gated", "gated"]


def test_seats_that_share_need_grids_of_one_size() -> None:
    one = config("dqn", "dqn", selfplay="shared").dump()
    one["market"]["sellers"][1]["grid"]["prices"] = 5
    with pytest.raises(UserError, match=r"market\.sellers\.1 \(b\)\.grid: has 5 prices x 4 levels, a has 4 x 4"):
        TrainingRun(parse_run(one, "here"), 0, "cpu")


def test_independent_play_is_the_loop_that_it_was() -> None:
    assert type(play(config("dqn", "nash"), 1)) is SelfPlay


# ------------------------------------------------------------------------------------------------------------ shared


@pytest.mark.parametrize("name", ["dqn", "ddpg", "a2c", {"learner": "ddpg", "stack": 3}])
def test_a_shared_learner_learns_what_one_over_stacked_rows_learns(name: Any) -> None:
    """A learner of 2 x M rows driven by hand, on a batch of the same seed, seat a's rows above seat b's: bit for bit."""
    one = config(name, name, "undercut", selfplay={"mode": "shared", "seats": ["b", "a"]})
    shared = play(one, 40)
    assert isinstance(shared, SharedPlay) and shared.learners[0] is shared.learners[1]
    fresh = TrainingRun(one, 0, "cpu").play
    assert isinstance(fresh, SharedPlay)
    learner, batch, rival = fresh.learners[0], fresh.batch, fresh.seats[2]
    first_cut = np.arange(ROWS) * HORIZON // ROWS
    unit = np.array([seller.unit_cost for seller in one.market.sellers]) / batch.reward_scale
    for period in range(40):
        seen = batch.observe().copy()
        action = learner.act(np.concatenate([seen[:, 0], seen[:, 1]]))
        price, quantity = np.empty((ROWS, 3)), np.empty((ROWS, 3))
        for seat, part in ((0, action[:ROWS]), (1, action[ROWS:])):
            price[:, seat], level = fresh.decisions(seat).decode(part)
            wanted = order_quantity(level, batch.state.on_hand[:, seat], batch.on_order[:, seat])
            quantity[:, seat] = learner.in_units(wanted)
        price[:, 2], quantity[:, 2] = rival.act(batch, 2, seen)
        value = [batch.state.on_hand + batch.on_order]
        batch.step(price, quantity)
        value.append(batch.state.on_hand + batch.on_order)
        then = batch.observe().copy()
        cut = batch.truncated | ((batch.state.episode == 0) & (batch.state.period == first_cut))
        learner.progress(period * ROWS * 3 / one.training.budget)
        stacked = [np.concatenate([array[:, 0], array[:, 1]]) for array in (seen, batch.reward, then)]
        at_cost = [np.concatenate([(units * unit)[:, 0], (units * unit)[:, 1]]) for units in value]
        learner.remember(*stacked[:1], action, *stacked[1:], np.concatenate([cut, cut]), (at_cost[0], at_cost[1]))
        learner.learn()
        if cut.any():
            batch.reset(rows=np.flatnonzero(cut))
            rival.restart(cut)
            learner.restart(np.concatenate([cut, cut]))
    assert learner.updates > 0 and learner.stored == 2 * 40 * ROWS
    assert same(network_weights(shared), network_weights(fresh))


def test_the_indicator_tells_the_seat_and_saved_sellers_need_none() -> None:
    mode = play(config("ddpg", "ddpg", selfplay={"mode": "shared", "indicator": True}), 30)
    learner = mode.learners[0]
    memory: Any = learner.memory
    seen = memory.state_dict()["obs"].numpy()
    assert (seen[:ROWS, :, -2:] == (1, 0)).all() and (seen[ROWS:, :, -2:] == (0, 1)).all()
    observation = mode.batch.observe()[:, 0]
    for which in range(2):
        told = np.concatenate([observation, np.tile(np.eye(2, dtype=np.float32)[which], (ROWS, 1))], axis=1)
        alone = without_indicator(learner.network, which, 2)
        assert alone.architecture.observation == observation.shape[1]
        wanted = learner.act(told, explore=False)
        assert np.allclose(alone.greedy(torch.as_tensor(observation)).numpy(), wanted, atol=1e-6)
    first, second = (mode.network(seat).greedy(torch.as_tensor(observation)) for seat in (0, 1))
    assert not torch.allclose(first, second)


def test_others_learn_beside_those_that_share() -> None:
    mode = play(config("dqn", "a2c", "dqn", selfplay={"mode": "shared", "seats": ["a", "c"]}), 20)
    assert mode.learners[0] is mode.learners[2] and mode.learners[1].rows == ROWS
    assert mode.learners[0].updates and mode.learners[1].updates and mode.done == 20 * ROWS * 3


# ------------------------------------------------------------------------------------------------ prioritised draws


def test_hard_rivals_are_drawn_more_often_by_hand() -> None:
    """Scores 2, 6, 5, one unknown: ease 0, 1, 3/4, 1/2. Squared shortfalls 1, 0, 1/16, 1/4, their sum 21/16."""
    scores = np.array([2.0, 6.0, 5.0, np.nan])
    assert ease(scores).tolist() == [0, 1, 0.75, 0.5]
    wanted = 0.05 + 0.8 * np.array([16, 0, 1, 4]) / 21
    assert weights(scores, 2.0, 0.2) == pytest.approx(wanted, abs=1e-15)
    assert weights(scores, 0.0, 0.2).tolist() == [0.25] * 4
    assert weights(np.array([3.0, 3.0]), 1.0, 0.0).tolist() == [0.5, 0.5] and weights(np.array([np.nan]), 1, 0) == 1


def test_ratings_are_means_until_they_forget() -> None:
    """Two episodes of 1 and 3, then half of one of 8: (1 + 3 + 4) / 2.5 = 3.2; then memory 2 keeps half of it."""
    ratings = Ratings(memory=3)
    ratings.see(7, np.array([1.0, 3.0]), np.array([5.0, 5.0]), np.ones(2))
    ratings.see(7, np.array([8.0]), np.array([5.0]), np.array([0.5]))
    assert ratings.scores([7, 8], False)[0] == pytest.approx(3.2) and np.isnan(ratings.scores([7, 8], False)[1])
    assert ratings.scores([7], True)[0] == pytest.approx(-1.8)
    ratings.see(7, np.array([6.2]), np.array([5.0]), np.array([1.0]))
    assert ratings.scores([7], False)[0] == pytest.approx(3.2 + (6.2 - 3.2) / 3)
    again = Ratings(memory=3)
    again.load_state_dict(ratings.state_dict())
    assert again == ratings


# ------------------------------------------------------------------------------------------------------------ league


@pytest.mark.parametrize("made", [False, True])
def test_of_the_usual_competitors_those_that_can_play_are_taken(made: bool) -> None:
    """Who does not see rivals' prices cannot undercut them; asked for by name, that is refused."""
    blind = {"visibility": {"rivals_prices": "hidden"}, "made": made}
    mode = play(config("dqn", "dqn", selfplay="league", **blind), HORIZON)
    labels = {mode.population.members[number].label for seat in (0, 1) for number in mode.population.of(seat, "fixed")}
    assert "nash" in {label.partition("+")[0] for label in labels} and len(labels) == 5
    assert not any(label.startswith(("undercut", "trigger")) for label in labels)
    with pytest.raises(UserError, match=r"selfplay\.competitors\.0: undercut"):
        play(config("dqn", "dqn", selfplay={"mode": "league", "competitors": ["undercut"]}, **blind), 0)


def test_rows_are_shared_out_among_kinds() -> None:
    kinds = kinds_of_rows(1_000, LeagueOptions(current=0.5, snapshots=0.2, fixed=0.3))
    assert np.bincount(kinds) == pytest.approx([500, 200, 300], abs=2)
    for part in np.split(kinds, 10):
        assert np.bincount(part) == pytest.approx([50, 20, 30], abs=2)


def test_a_rows_rivals_change_only_when_its_episode_ends() -> None:
    mode, changes, ends = league(0), 0, 0
    for _ in range(6 * HORIZON):
        before = {seat: (m.members.copy(), m.batch.state.episode.copy()) for seat, m in mode.markets.items()}
        mode.play_period()
        for seat, market in mode.markets.items():
            members, episode = before[seat]
            changed = (market.members != members).any(1)
            assert not (changed & (market.batch.state.episode == episode)).any()
            changes, ends = changes + int(changed.sum()), ends + int((market.batch.state.episode != episode).sum())
    assert ends > changes > ends / 4


def test_every_row_meets_the_kind_that_is_its_own_and_everybody_is_met() -> None:
    mode, met = league(0), dict[int, set[int]]()
    for _ in range(12 * HORIZON):
        mode.play_period()
        for seat, market in mode.markets.items():
            drawn = market.members[:, 1 - seat]
            met.setdefault(seat, set()).update(drawn.tolist())
            for row, number in enumerate(drawn):
                member, wanted = mode.population.members[number], KINDS[mode.matchmakers[seat].kinds[row]]
                assert member.seat == 1 - seat
                assert member.kind == wanted or (wanted == "snapshot" and mode.done < 900)
    for seat, numbers in met.items():
        assert {*mode.population.of(1 - seat, "current"), *mode.population.of(1 - seat, "fixed")} <= numbers
        assert any(number not in mode.population.members for number in numbers), "no snapshot has left"
    assert all(len(mode.population.of(seat, "snapshot")) == 2 for seat in (0, 1))


def test_drawn_rivals_decide_as_they_would_alone() -> None:
    """Prices and orders of every row are those of its member acting on the whole market."""
    mode = league(40)
    market = mode.markets[0]
    seen, seat = market.batch.observe().copy(), market.seats[1]
    assert isinstance(seat, DrawnSeat)
    from policies.sellers.protocol import look

    kept = {number: {k: v.copy() for k, v in memory.items()} for number, memory in seat.memories.items()}
    price, quantity = seat.act(market.batch, 1, seen)
    assert len(kept) >= 4
    for number, memory in kept.items():
        rows = market.members[:, 1] == number
        whole = mode.population.members[number].seller.act(look(market.batch, 1, seen), memory)
        assert price[rows] == pytest.approx(whole[0][rows]) and quantity[rows] == pytest.approx(whole[1][rows])


def test_ratings_are_the_profits_of_the_episodes_played() -> None:
    """Added up by hand from the ledgers of whole episodes and those cut short."""
    mode = league(0, snapshots=0.0, current=0.0, fixed=1.0, memory=10**6)
    earned, length = np.zeros((ROWS, 2)), np.zeros(ROWS)
    totals: dict[int, list[float]] = {}
    market = mode.markets[1]
    for _ in range(5 * HORIZON):
        members, episode = market.members[:, 0].copy(), market.batch.state.episode.copy()
        mode.play_period()
        earned += market.batch.ledger["profit"]
        length += 1
        for row in np.flatnonzero(market.batch.state.episode != episode):
            own = totals.setdefault(int(members[row]), [0.0, 0.0, 0.0])
            for k, amount in enumerate((*earned[row, ::-1], length[row])):
                own[k] += amount
            earned[row], length[row] = 0.0, 0.0
    rated = mode.matchmakers[1].ratings.of
    assert set(rated) == set(totals) and len(totals) == 3
    for number, (own, theirs, periods) in totals.items():
        assert rated[number].own == pytest.approx(own / periods) and rated[number].theirs == pytest.approx(
            theirs / periods
        )
        assert rated[number].episodes == pytest.approx(periods / HORIZON)


def test_the_hardest_fixed_competitor_is_the_one_that_somebody_else_earns_most_against() -> None:
    """Regret is a share of par: what the best competitor in the seat earns against it, played here once more."""
    mode = league(6 * HORIZON, hardness=2.0, uniform=0.1)
    for seat, matchmaker in mode.matchmakers.items():
        members, chances = matchmaker.chances(1 - seat, "fixed")
        own = np.array([matchmaker.ratings.of[number].own for number in members])
        rivals = [mode.population.members[number].seller for number in members]
        candidates = [mode.population.members[number].seller for number in mode.population.of(seat, "fixed")]
        par = []
        for rival in rivals:
            seats = [(one, rival) if seat == 0 else (rival, one) for one in candidates]
            ledgers = [simulate(mode.spec, pair, markets=4, seed=row_seed(0, "select")) for pair in seats]
            par.append(max(episode_profit(one, mode.spec, 2, 1.0)[:, seat].mean() for one in ledgers) / (HORIZON - 2))
        regret = (np.array(par) - own) / np.maximum(np.abs(par), 0.1 * np.abs(par).max())
        hard = ((regret - regret.min()) / np.ptp(regret)) ** 2
        assert chances == pytest.approx(0.1 / 3 + 0.9 * hard / hard.sum(), rel=1e-9)
        by_profit = weights(own, 2.0, 0.1)
        assert np.abs(chances - by_profit).max() > 0.01


def test_only_learners_seller_periods_count_and_schedules_keep_pace() -> None:
    mode = play(config("dqn", "ddpg", "nash", selfplay="league", budget=16_000), 50)
    assert mode.done == 50 * ROWS * 2
    assert mode.learners[0].rows == ROWS and mode.learners[0].stored == 50 * ROWS
    assert [m.fraction for m in mode.markets.values()] == pytest.approx([mode.fraction] * 2, abs=1e-3)


def test_the_same_seed_is_the_same_league_and_learners_have_customers_of_their_own() -> None:
    one, two, other = league(60), league(60), league(60, seed=1)
    assert same(network_weights(one), network_weights(two)) and not same(network_weights(one), network_weights(other))
    assert all(np.array_equal(one.markets[k].members, two.markets[k].members) for k in (0, 1))
    seeds = np.concatenate([market.batch.state.seed for market in one.markets.values()])
    assert len(set(seeds.tolist())) == 2 * ROWS


def test_a_snapshot_stays_as_it_was_and_the_present_learner_does_not() -> None:
    mode = league(30)
    observation = torch.as_tensor(mode.markets[0].batch.observe()[:, 0].copy())
    snapshot = mode.population.members[mode.population.of(0, "snapshot")[-1]]
    current = mode.population.members[mode.population.of(0, "current")[0]]
    assert isinstance(snapshot.seller, NetworkSeller) and isinstance(current.seller, NetworkSeller)
    before = snapshot.seller.network.body(observation)  # type: ignore[operator, union-attr]
    for _ in range(10):
        mode.play_period()
    assert torch.equal(before, snapshot.seller.network.body(observation))  # type: ignore[operator, union-attr]
    assert current.seller.network is mode.learners[0].network


def test_the_oldest_or_the_easiest_snapshot_leaves() -> None:
    mode = league(0, evict="oldest", pool=1)
    mode._take_snapshots()
    (first,) = mode.population.of(0, "snapshot")
    mode._take_snapshots()
    assert first not in mode.population.of(0, "snapshot") and len(mode.population.of(0, "snapshot")) == 1
    mode = league(0, pool=3)
    for _ in range(3):
        mode._take_snapshots()
    numbers = mode.population.of(0, "snapshot")
    for number, profit in zip(numbers, (1.0, 9.0, 5.0), strict=True):
        mode.matchmakers[1].ratings.see(number, np.array([profit]), np.zeros(1), np.ones(1))
    mode._take_snapshots()
    assert mode.population.of(0, "snapshot")[:2] == [numbers[0], numbers[2]]


def test_what_a_league_leaves_in_a_runs_folder(tmp_path: Path) -> None:
    import json

    from policies.sellers.checkpoint import load_seller

    mode = league(60)
    mode.write(tmp_path)
    table = json.loads((tmp_path / "league.json").read_text())["meetings"]
    for learner in ("a", "b"):
        for kind in KINDS:
            own = [row for row in table if row["learner"] == learner and row["kind"] == kind]
            assert sum(row["weight"] for row in own) == pytest.approx(1)
            assert all(row["seat"] != learner for row in own)
    files = sorted((tmp_path / "pool").iterdir())
    assert {load_seller(path).seller for path in files} == {"a", "b"} and len(files) >= 4
    assert {row["member"] for row in table if row["kind"] == "snapshot"} <= {path.stem for path in files}
    figures = mode.figures()
    assert figures["a"]["fixed_worst_profit"] <= figures["a"]["fixed_profit"]


# ------------------------------------------------------------------------------------------------------------- state


STATES: dict[str, Any] = {
    "shared": (("dqn", "dqn", "undercut"), {"mode": "shared", "seats": ["a", "b"]}),
    "shared with a2c beside": (("ddpg", "a2c", "ddpg"), {"mode": "shared", "seats": ["a", "c"], "indicator": True}),
    "league": (("dqn", "ddpg", "undercut"), {"mode": "league", "distance": 400, "pool": 2}),
    "league with memories": (
        ({"learner": "a2c", "recurrent": "gru"}, {"learner": "ddpg", "stack": 3}),
        {"mode": "league", "distance": 400, "pool": 2},
    ),
    "psro": (("dqn", "ddpg", "a2c"), {"mode": "psro", "rounds": 9, "episodes": 2, "start": ["nash", "cost_plus"]}),
    "psro from scratch": (("dqn", "ddpg"), {"mode": "psro", "rounds": 9, "episodes": 2, "warm_start": False}),
}


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("periods", [0, 29])
def test_a_mode_goes_on_from_its_state_as_if_it_had_not_stopped(name: str, periods: int) -> None:
    players, selfplay = STATES[name]
    one = config(*players, selfplay=selfplay, budget=9_000)
    first = play(one, periods)
    state = through_a_file(first.state_dict())
    again = TrainingRun(one, 0, "cpu").play
    again.load_state_dict(state)
    assert equal(again.state_dict(), state)
    for _ in range(45 if periods else 15):
        assert first.play_period() == again.play_period()
    assert equal(again.state_dict(), first.state_dict()) and not equal(first.state_dict(), state)
