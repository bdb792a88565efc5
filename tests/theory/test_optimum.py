"""The exact optimum against a published table, enumeration of all policies, another solver, and the market itself."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson

from market.demand.equilibrium import nash_prices
from market.demand.logit import Logit, profits
from market.errors import UserError
from market.spec.models import MarketSpec
from market.theory import bellman
from market.theory.mdp import StockStates
from market.theory.optimum import Optimum, solve, why_not
from policies.sellers.rollout import play
from policies.sellers.rules.level_search import build
from tests.helpers.duopoly import duopoly, made_to_order
from tests.helpers.optimum import discounted_policy_average, optimal_average
from tests.helpers.policy_average import policy_average
from tests.helpers.zipkin import assert_inside, zipkin

# Zipkin (2008), Old and New Methods for Lost-Sales Inventory Systems, Operations Research 56(5): Poisson demand of
# mean 5, holding cost 1; optimal average cost by lost-sales penalty, at lead times 1, 2, 3, 4.
ZIPKIN = {
    4: (4.04, 4.40, 4.60, 4.73),
    9: (5.44, 6.09, 6.53, 6.84),
    19: (6.68, 7.66, 8.36, 8.89),
    39: (7.84, 9.11, 10.04),
}
CASES = [(penalty, lead_time, cost) for penalty, row in ZIPKIN.items() for lead_time, cost in enumerate(row, 1)]


@pytest.mark.parametrize(("penalty", "lead_time", "cost"), CASES)
def test_zipkins_table(penalty: int, lead_time: int, cost: float) -> None:
    best = solve(zipkin(penalty, lead_time), 0)
    assert abs(5 * penalty - best.average - cost) <= 0.005
    assert best.bounds[1] - best.bounds[0] < 1e-7
    assert best.bounds[0] - 1e-9 <= best.average <= best.bounds[1] + 1e-9


@pytest.mark.parametrize(("penalty", "lead_time", "cost"), CASES)
def test_the_market_played_with_the_optimum_costs_what_zipkins_table_says(
    penalty: int, lead_time: int, cost: float
) -> None:
    spec = zipkin(penalty, lead_time, horizon=450)
    ledger = play(spec, [build("optimal", spec, 0)], markets=300, seed=8, fields=("profit", "on_hand_left", "lost"))
    profit = ledger["profit"][50:, :, 0].mean(axis=0)
    assert_inside(5 * penalty - profit, cost, 0.005)
    # The same cost without the luck in the number of customers: a narrower interval around the exact figure.
    paid = (ledger["on_hand_left"] + penalty * ledger["lost"])[50:, :, 0].mean(axis=0)
    assert_inside(paid, 5 * penalty - solve(spec, 0).average)


def test_the_penalty_may_be_a_price_or_a_stockout_cost() -> None:
    half = zipkin(4, 2, stockout_cost=5)
    assert 20 - solve(half, 0).average == pytest.approx(45 - solve(zipkin(9, 2), 0).average, abs=1e-7)
    dear = zipkin(6, 2, unit_cost=2)  # price - unit cost; what is lost is not bought
    assert 20 - solve(dear, 0).average == pytest.approx(20 - solve(zipkin(4, 2), 0).average, abs=1e-7)


# ---------------------------------------------------------------------------------- brute force, on small games

State = tuple[int, ...]
Choice = tuple[float, int]


@lru_cache
def chances(mean: float) -> list[float]:
    """Of 0, 1, .. 59 customers."""
    return [float(p) for p in poisson.pmf(np.arange(60), mean)]


def next_states(spec: MarketSpec, state: State, choice: Choice) -> Iterator[tuple[float, State, float]]:
    """Chance, next state and profit of every demand, written from the model: (on hand, arriving in 1, 2 ..)."""
    seller, (price, order) = spec.sellers[0], choice
    coming = [*state[1:], *[0] * (seller.lead_time - len(state[1:]))]
    on_hand = state[0]
    if seller.lead_time == 0:
        on_hand += order
    else:
        coming[seller.lead_time - 1] += order
    share = 1.0
    if spec.outside > -np.inf:
        share = 1 / (1 + np.exp(spec.price_sensitivity * price - seller.quality))
    for demand, chance in enumerate(chances(spec.customers.rate * share)):
        sold = min(on_hand, demand)
        left = on_hand - sold
        profit = price * sold - seller.unit_cost * order - seller.order_cost * (order > 0)
        profit -= seller.holding_cost * left + seller.stockout_cost * (demand - sold)
        arrived = (left + coming[0], *coming[1:]) if coming else (left,)
        yield chance, arrived, profit


def chain_of(
    spec: MarketSpec, states: list[State], decide: Callable[[State], Choice]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Expected profit (S,) and transitions (S, S) of a policy."""
    number = {state: k for k, state in enumerate(states)}
    profit, moves = np.zeros(len(states)), np.zeros((len(states), len(states)))
    for k, state in enumerate(states):
        for chance, after, earned in next_states(spec, state, decide(state)):
            profit[k] += chance * earned
            moves[k, number[after]] += chance
    return profit, moves


def long_run_average(profit: np.ndarray[Any, Any], moves: np.ndarray[Any, Any]) -> float:
    """Stationary law of a chain with one recurrent class: share = share P, shares add up to 1."""
    equations = moves.T - np.eye(len(moves))
    equations[-1] = 1.0
    return float(np.linalg.solve(equations, np.eye(len(moves))[-1]) @ profit)


def reachable(spec: MarketSpec, decide: Callable[[State], Choice]) -> list[State]:
    """States that a policy meets from an empty start."""
    start: State = (0,) * max(spec.sellers[0].lead_time, 1)
    found, todo = {start}, [start]
    while todo:
        state = todo.pop()
        new = {after for _, after, _ in next_states(spec, state, decide(state))} - found
        found |= new
        todo += new
    return sorted(found)


def tiny(lead_time: int, top: int, **market: Any) -> MarketSpec:
    shop = {"name": "shop", "quality": 2.0, "unit_cost": 0.5, "holding_cost": 0.2, "stockout_cost": 0.3}
    shop |= {"lead_time": lead_time, "prices": [1.0, 2.0], "order_up_to": [0, top], "order_cost": 0.25}
    data = {"horizon": 10, "price_sensitivity": 1.2, "customers": {"rate": 2}, "sellers": [shop]}
    return MarketSpec.parse(data | market)


@pytest.mark.parametrize(("lead_time", "top"), [(0, 3), (1, 3), (2, 2), (3, 1)])
@pytest.mark.parametrize("gamma", [None, 0.9])
def test_no_policy_at_all_earns_more(lead_time: int, top: int, gamma: float | None) -> None:
    """Every policy of a small game, one by one; the best of them is the optimum."""
    spec, prices = tiny(lead_time, top), (1.0, 2.0)
    width = max(lead_time, 1)
    states = [s for s in itertools.product(range(top + 1), repeat=width) if sum(s) <= top]
    options = [[(p, q) for p in prices for q in range(top - sum(s) + 1)] for s in states]
    best = solve(spec, 0, prices=2, gamma=gamma)
    parts = {(s, c): chain_of(spec, states, lambda state, c=c: c if sum(state) + c[1] <= top else (1.0, 0))  # type: ignore[misc]
             for k, s in enumerate(states) for c in options[k]}  # fmt: skip
    scores = []
    for policy in itertools.product(*options):
        rows = [parts[s, c] for s, c in zip(states, policy, strict=True)]
        profit = np.array([rows[k][0][k] for k in range(len(states))])
        moves = np.array([rows[k][1][k] for k in range(len(states))])
        if gamma is None:
            scores.append(long_run_average(profit, moves))
        else:
            scores.append(float(np.linalg.solve(np.eye(len(states)) - gamma * moves, profit)[0]))
    assert len(scores) == np.prod([len(o) for o in options])
    assert max(scores) == pytest.approx(best.average if gamma is None else best.value, abs=1e-7)


@pytest.mark.parametrize(
    ("lead_time", "level", "cap", "cost"),
    [(1, 12, 99, 4.1628), (2, 16, 99, 4.6386), (3, 20, 99, 4.9750)]
    + [(1, 12, 6, 4.0654), (2, 17, 5, 4.4057), (3, 21, 5, 4.6308)],
)
def test_the_average_of_a_given_policy(lead_time: int, level: int, cap: int, cost: float) -> None:
    """(Capped) base stock, by value flow over the solver's states and by brute force over the states it meets."""
    spec = zipkin(4, lead_time)

    def order(state: State) -> Choice:
        return 4.0, max(0, min(level - sum(state), cap))

    states = reachable(spec, order)
    assert 20 - long_run_average(*chain_of(spec, states, order)) == pytest.approx(cost, abs=1e-4)
    assert 20 - rule_average(spec, level, cap) == pytest.approx(cost, abs=1e-4)


def rule_average(spec: MarketSpec, level: int, cap: int = 99) -> float:
    def decide(on_hand: np.ndarray[Any, Any], coming: np.ndarray[Any, Any]) -> Any:
        wanted = np.maximum(level - on_hand - coming.sum(axis=1), 0)
        return np.full(len(on_hand), spec.sellers[0].prices[0]), np.minimum(wanted, cap)

    return policy_average(spec, 0, decide, top=level)


@pytest.mark.parametrize(
    ("lead_time", "plain", "capped"), [(1, 4.1628, 4.0654), (2, 4.6386, 4.4057), (3, 4.9750, 4.6308)]
)
def test_the_best_base_stock_and_the_best_capped_base_stock(lead_time: int, plain: float, capped: float) -> None:
    """The best of each kind, whose averages brute force confirms above."""
    spec = zipkin(4, lead_time)
    best = 20 - max(rule_average(spec, level) for level in range(8, 26))
    limited = 20 - max(rule_average(spec, level, cap) for level in range(10, 26) for cap in range(4, 8))
    assert best == pytest.approx(plain, abs=1e-4)
    assert limited == pytest.approx(capped, abs=1e-4)
    assert 20 - solve(spec, 0).average < limited < best


def test_a_policy_that_orders_beyond_the_top_is_told_so() -> None:
    with pytest.raises(UserError, match="the policy orders up to 50 units; give top=50"):
        policy_average(zipkin(4, 1), 0, lambda x, q: (np.full(len(x), 4.0), 50 - x))


# ------------------------------------------------------------------------------------------------ other solvers


@pytest.fixture(scope="module")
def monopoly() -> MarketSpec:
    return MarketSpec.load("configs/monopoly.yaml")


def test_the_monopoly_as_another_solver_has_it(monopoly: MarketSpec) -> None:
    best = solve(monopoly, 0, prices="grid", levels="grid")
    assert best.average == pytest.approx(optimal_average(monopoly), abs=1e-7)
    for gamma in (0.9, 0.98):
        discounted = solve(monopoly, 0, prices="grid", levels="grid", gamma=gamma)
        assert discounted.average == pytest.approx(discounted_policy_average(monopoly, gamma), abs=1e-7)
        assert discounted.average < best.average
        assert discounted.bounds[0] <= (1 - gamma) * discounted.value <= discounted.bounds[1]


def test_the_discounted_value_is_what_the_market_pays(monopoly: MarketSpec) -> None:
    best = solve(monopoly, 0, gamma=0.9)
    ledger = play(monopoly, [build("optimal(gamma=0.9)", monopoly, 0)], markets=4000, seed=5, fields=("profit",))
    worth = np.tensordot(0.9 ** np.arange(monopoly.horizon), ledger["profit"][:, :, 0], axes=1)
    assert_inside(worth, best.value, 0.9**monopoly.horizon * 100)


def test_a_finer_grid_is_never_worse(monopoly: MarketSpec) -> None:
    averages = [solve(monopoly, 0, prices=count).average for count in (5, 9, 17, 33)]  # each holds the one before
    assert averages == sorted(averages)
    assert solve(monopoly, 0, prices=17, levels=[5, 10, 25]).average < averages[2]


def test_a_newsvendor_by_hand() -> None:
    spec = zipkin(4, 0)
    best = solve(spec, 0)
    sold = sum(min(d, 7) * poisson.pmf(d, 5) for d in range(80))
    assert best.average == pytest.approx(4 * sold - (7 - sold), abs=1e-9)
    assert best.decide([0, 3, 7, 9], np.zeros((4, 1)))[1].tolist() == [7, 4, 0, 0]


@pytest.mark.parametrize("make", ["calvano", "log", "xi"])
def test_made_to_order_takes_the_best_price_of_all(make: str) -> None:
    spec = {
        "calvano": MarketSpec.load("configs/calvano.yaml"),
        "log": made_to_order(price_form="log", customers={"rate": 20, "weekly": [1, 2], "dispersion": 0.5}),
        "xi": made_to_order(demand_shock={"common": 0.5}, customers={"rate": 20, "mode": "expected"}),
    }[make]
    best, logit = solve(spec, 0), Logit.of(spec)
    rivals = np.tile(np.clip(nash_prices(logit), *np.array([s.prices for s in spec.sellers]).T), (20001, 1))
    rivals[:, 0] = np.linspace(*spec.sellers[0].prices, 20001)
    scanned = profits(logit, rivals)[:, 0]
    assert best.average >= scanned.max()
    assert best.average == pytest.approx(scanned.max(), rel=1e-7)
    assert best.mean_price == pytest.approx(rivals[scanned.argmax(), 0], abs=2e-4)
    grid = made_to_order().model_copy(update={"sellers": spec.sellers})
    if spec.sellers[0].grid:
        assert solve(spec, 0, prices="grid").mean_price in np.linspace(1.4277, 1.9703, 15)
    assert solve(grid, 0, gamma=0.5).value == pytest.approx(2 * solve(grid, 0).average)


# ------------------------------------------------------------------------------------------------ the market itself

HELD = {"holding_cost": 0.1}
RICH = {"price_sensitivity": 2.0, "nest": 0.4, "demand_shock": {"common": 0.3}}
MARKETS = {
    "lead time 0": duopoly({"lead_time": 0, "order_cost": 2.0} | HELD),
    "lead time 2": duopoly({"lead_time": 2} | HELD),
    "shocks to utility": duopoly({"xi": 0.5} | HELD, demand_shock={"common": 0.4}),
    "dispersion": duopoly(HELD, customers={"rate": 20, "dispersion": 0.3, "shock": {"sd": 0.3}}),
    "baskets": duopoly(HELD | {"stock": 11}, customers={"rate": 8, "basket": 3, "substitution": 0.5}),
    "log price": duopoly(HELD, nest=0.4, price_form="log", price_sensitivity=3.0),
    "all": duopoly({"xi": 0.5, "order_up_to": [0, 60]} | HELD, **RICH, customers={"rate": 12, "dispersion": 0.3, "basket": 2}),
}  # fmt: skip


@pytest.mark.parametrize("name", MARKETS)
def test_the_market_pays_what_the_solver_says(name: str) -> None:
    spec = MARKETS[name].model_copy(update={"horizon": 300})
    sellers = [build("optimal(prices=13)", spec, 0), build("nash+base_stock(level=ample)", spec, 1)]
    ledger = play(spec, sellers, markets=400, seed=21, fields=("profit", "lost"))
    assert_inside(ledger["profit"][50:, :, 0].mean(axis=0), solve(spec, 0, prices=13).average)
    assert ledger["lost"][50:, :, 1].max() == 0


# ------------------------------------------------------------------------------------------------ what is refused


def changed(**market: Any) -> MarketSpec:
    return duopoly(**market)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (changed(customers={"rate": 20, "mode": "expected"}), "customers.mode is expected, where stock comes in parts"),
        (changed(seller={"xi": 0.3}, demand_shock={"persistence": 0.5}), "market.demand_shock.persistence is above 0"),
        (changed(customers={"rate": 20, "shock": {"sd": 0.2, "persistence": 0.5}}), "customers.shock.persistence is "),
        (
            changed(seller={"event_frequency": 0.1}, events={"effect": 1.0, "mean_length": 2}),
            "events (market.sellers.*.event_frequency) are seen and last",
        ),
        (changed(customers={"rate": 20, "weekly": [1, 2]}), "demand changes with the calendar"),
        (
            changed(customers={"rate": 20, "surges": [{"start": 3, "length": 2, "factor": 2.0}]}),
            "customers.surges change demand at given",
        ),
        (changed(customers={"rate": 20, "yearly": {"amplitude": 0.1}}), "demand changes with the calendar"),
        (changed(customers={"rate": 20, "trend": 0.001}), "demand changes with the calendar"),
        (changed(seller={"price_change_cost": 0.1}), "price_change_cost is above 0, so that the last price would"),
        (changed(seller={"order_up_to": [0, 0]}), "order_up_to must be [low, high] with high above 0"),
    ],
)
def test_where_the_state_does_not_suffice_the_reason_is_given(spec: MarketSpec, reason: str) -> None:
    with pytest.raises(UserError) as refused:
        solve(spec, 1)
    assert str(refused.value).startswith(f"market.sellers.1 (right): no exact optimum: {reason}")
    assert str(why_not(spec, 1)).startswith(reason)
    assert "\n" not in str(refused.value)


def test_what_changes_nothing_is_not_refused() -> None:
    """A shock of no size may persist, a week of equal days is no week, and a rival's price may cost it to change."""
    same = changed(demand_shock={"persistence": 0.5}, customers={"rate": 10, "weekly": [2, 2]})
    assert solve(same, 0, prices=9).average == pytest.approx(solve(duopoly(), 0, prices=9).average, abs=1e-7)
    data = duopoly().dump()
    data["sellers"][1]["price_change_cost"] = 1.0
    assert why_not(MarketSpec.parse(data), 0) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prices": [0.5]}, r"prices: must lie inside \[1, 3\]"),
        ({"levels": [41]}, r"levels: must lie inside \[0, 40\]"),
        ({"prices": "grid"}, "grid: a grid is asked for and the seat has none"),
        ({"gamma": 1.0}, "gamma must be from 0 to below 1, got 1"),
        ({"rivals_price": [1.0]}, "rivals_price: needs a price for each of 2 sellers"),
    ],
)
def test_bad_options_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        solve(duopoly(), 0, **given)


def test_what_does_not_fit_is_refused_with_its_size() -> None:
    with pytest.raises(
        UserError, match=r"lead time 6 and up to 40 units has 9,366,819 states, more than 4,000,000: low"
    ):
        solve(zipkin(4, 6), 0)
    wide = duopoly({"order_up_to": [0, 4000]}, customers={"rate": 5000})
    with pytest.raises(UserError, match=r"has 4,001 states x 81 prices x 4,001 levels, .* give fewer prices or levels"):
        solve(wide, 0)


@pytest.mark.parametrize(("top", "levels"), [(1_000_000_000, None), (3_000_000, 3)])
def test_an_optimum_too_large_is_refused_before_anything_of_its_size_is_made(top: int, levels: int | None) -> None:
    """A billion levels alone take 8 GB, and demand of three million units by means a hundred."""
    spec = duopoly({"order_up_to": [0, top], "lead_time": 1, "xi": 0.2}, customers={"rate": top / 2})
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match="the exact optimum of lead time 1 and up to"):
            solve(spec, 0, levels=levels)
        assert tracemalloc.get_traced_memory()[1] < 2e8
    finally:
        tracemalloc.stop()


# ------------------------------------------------------------------------------------------------ tables and states


@given(top=st.integers(0, 6), lead_time=st.integers(0, 4))
def test_states_are_numbered_without_gaps(top: int, lead_time: int) -> None:
    states = StockStates(top, lead_time)
    width = max(lead_time, 1)
    every = [s for s in itertools.product(range(top + 1), repeat=width) if sum(s) <= top]
    assert states.count == len(every)
    assert states.index(np.array(every)).tolist() == list(range(len(every)))
    assert states.position.tolist() == [sum(s) for s in every]
    assert states.first.tolist() == [k for k, s in enumerate(every) if s[-1] == 0]
    after = states.after()
    for t, tail in enumerate(states.tails.tolist()):
        for order in range(top + 1):
            if sum(tail) + order > top:
                assert after[t, order] == -1
            elif lead_time < 2:
                assert every[after[t, order]] == (order,)
            else:
                assert every[after[t, order]] == (*tail[1:], order, tail[0])


def test_more_stock_than_the_table_plays_as_the_nearest_state(monopoly: MarketSpec) -> None:
    best = solve(monopoly, 0)
    price, order = best.decide([35, 36, 500, 10, 10, -1], np.array([[0], [0], [0], [0], [4], [0]]))
    assert price[0] == price[1] == price[2]
    assert order[:3].tolist() == [0, 0, 0]
    # What a longer lead time leaves on its way counts against the order.
    assert order[4] == max(order[3] - 4, 0)
    assert order[5] == best.order[0] + 1


def test_the_pipeline_decides_what_is_ordered() -> None:
    best = solve(zipkin(4, 3), 0)
    same = best.decide([15, 3, 3], np.array([[0, 0, 0], [12, 0, 0], [0, 12, 0]]))[1]
    assert len(set(same.tolist())) > 1  # one inventory position, different orders
    more = best.decide([3] * 4, np.array([[0, 0, 0], [6, 0, 0], [6, 6, 0], [12, 12, 0]]))[1]
    assert more.tolist() == sorted(more, reverse=True)
    assert more[0] > more[3] == 0


def test_visits_describe_the_policy(monopoly: MarketSpec) -> None:
    best: Optimum = solve(monopoly, 0)
    assert best.visits.sum() == pytest.approx(1.0)
    ledger = play(monopoly, [build("optimal", monopoly, 0)], markets=500, seed=2, fields=("price", "on_hand"))[50:]
    assert_inside(ledger["price"][:, :, 0].mean(axis=0), best.mean_price)
    low, high = best.prices_posted
    assert low <= ledger["price"].min()
    assert high >= np.quantile(ledger["price"], 0.999)
    on_hand = np.arange(best.states.top + 1)
    assert_inside(ledger["on_hand"][:, :, 0].mean(axis=0), float(best.visits @ on_hand))


def test_the_rivals_prices_matter() -> None:
    spec = duopoly()
    cheap, usual, dear = (solve(spec, 0, rivals_price=[0, p], prices=21).average for p in (1.3, 1.9, 2.8))
    assert cheap < usual < dear
    nash = np.clip(nash_prices(Logit.of(spec)), 1, 3)
    assert solve(spec, 0, prices=9).average == solve(spec, 0, prices=9, rivals_price=nash).average


def test_opening_stock_above_every_level_only_takes_longer() -> None:
    spec = zipkin(4, 1, stock=30)
    assert 20 - rule_average(spec, 12) == pytest.approx(4.1628, abs=1e-4)
    assert solve(spec, 0, levels=13).average == pytest.approx(solve(zipkin(4, 1), 0, levels=13).average, abs=1e-7)


def test_a_market_whose_stock_hardly_moves_is_given_up_by_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of dispersion 1e6 one period in a hundred thousand has customers, so values would need as many sweeps to spread."""
    sweeps, real = [0], bellman.improve

    def counted(*given: Any) -> None:
        sweeps[0] += 1
        real(*given)

    monkeypatch.setattr(bellman, "improve", counted)
    spec = duopoly(customers={"rate": 20, "dispersion": 1e6})
    with pytest.raises(UserError, match="did not settle: its average lies between"):
        solve(spec, 0, prices=3, levels=5)
    assert sweeps[0] <= 4 * bellman.PACED
