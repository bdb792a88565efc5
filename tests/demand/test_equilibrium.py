"""Shares, slopes and reference prices against formulas, brute force, simulation and published figures."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.demand.equilibrium import equilibrium_prices, monopoly_prices, nash_prices, reward_scales
from market.demand.logit import Logit, diversion_ratios, elasticities, profits, share_jacobian, shares
from market.demand.script import calendar
from market.errors import UserError
from market.spec.models import MarketSpec
from market.theory.best_response import best_response
from tests.helpers.markets import nash_profits
from tests.helpers.qualities import solve_qualities

JUICE_PRICES = np.array([1.7358, 2.2412, 2.8705])
JUICE_SHARES = np.array([0.06165, 0.05954, 0.04716])


def market(sellers: list[dict[str, Any]], **keys: Any) -> MarketSpec:
    full = [{"name": f"s{k}", "prices": [0.5, 9.0], **seller} for k, seller in enumerate(sellers)]
    rest = {"horizon": 52, "price_sensitivity": 1.0, "customers": {"rate": 100.0}, **keys}
    return MarketSpec.parse({**rest, "sellers": full})


def calvano() -> MarketSpec:
    seller = {"quality": 2 / 0.25, "unit_cost": 1.0}
    return market([seller, seller], price_sensitivity=1 / 0.25, customers={"rate": 1.0})


def orange_juice() -> MarketSpec:
    """Three brands with the data's own unit costs; qualities are left to be solved."""
    costs, frequency, own = (1.1795, 1.6649, 2.0385), (0.26, 0.27, 0.16), (0.625, 0.448, 0.299)
    sellers = [
        {"quality": 0.0, "unit_cost": c, "event_frequency": f, "xi": x}
        for c, f, x in zip(costs, frequency, own, strict=True)
    ]
    return market(
        sellers,
        price_form="log",
        price_sensitivity=2.5057,
        nest=0.1555,
        customers={"rate": 5120.0},
        demand_shock={"common": 0.336},
        events={"effect": 0.81, "mean_length": 2.4},
    )


def shocked(nest: float = 0.3, log: bool = False) -> Logit:
    sellers = [
        {"quality": q, "unit_cost": c, "xi": x} for q, c, x in ((1.5, 0.5, 0.5), (2.5, 1.0, 0.0), (2.0, 0.8, 0.3))
    ]
    form = {"price_form": "log" if log else "linear", "price_sensitivity": 2.5 if log else 1.2}
    return Logit.of(market(sellers, nest=nest, outside=0.4, demand_shock={"common": 0.4}, **form))


def gradient(logit: Logit, price: np.ndarray, ownership: np.ndarray) -> np.ndarray:
    """Profit gradient over the share, from the public shares and slopes only."""
    share, slopes = shares(logit, price), share_jacobian(logit, price)
    return np.asarray(1.0 + (ownership * slopes.T * (price - logit.unit_cost)).sum(axis=1) / share)


def test_two_published_prices_of_calvano_et_al() -> None:
    logit = Logit.of(calvano())
    assert nash_prices(logit).round(4).tolist() == [1.4729, 1.4729]
    assert monopoly_prices(logit).round(4).tolist() == [1.9250, 1.9250]


def test_shares_are_the_formula_written_out() -> None:
    logit = Logit.of(market([{"quality": q, "unit_cost": 0.0} for q in (1.0, 2.0)], nest=0.25, outside=0.5))
    price = (1.2, 0.7)
    x = [math.exp((q - p) / 0.75) for q, p in zip((1.0, 2.0), price, strict=True)]
    buys = sum(x) ** 0.75 / (math.exp(0.5) + sum(x) ** 0.75)
    np.testing.assert_allclose(shares(logit, price), [buys * v / sum(x) for v in x], rtol=1e-14)


def test_plain_logit_shares_are_those_of_simulated_choices() -> None:
    spec = market(
        [{"quality": 1.0, "unit_cost": 0.0, "xi": 0.8}, {"quality": 0.2, "unit_cost": 0.0}],
        demand_shock={"common": 0.5},
        outside=0.3,
    )
    price, count, rng = np.array([1.5, 0.9]), 400_000, np.random.default_rng(3)
    xi = 0.5 * rng.standard_normal((count, 1)) + np.array([0.8, 0.0]) * rng.standard_normal((count, 2))
    utility = np.column_stack([np.array([1.0, 0.2]) - price + xi, np.full(count, 0.3)]) + rng.gumbel(size=(count, 3))
    seen = np.bincount(utility.argmax(axis=1), minlength=3)[:2] / count
    expected = shares(Logit.of(spec), price)
    assert (np.abs(seen - expected) < 4 * np.sqrt(expected * (1 - expected) / count)).all()
    assert (np.abs(shares(Logit.of(spec, xi=False), price) - expected) > 8 * np.sqrt(0.25 / count)).any()


@pytest.mark.parametrize("sellers", [1, 2, 3, 7])
@pytest.mark.parametrize("common", [0.0, 0.5])
def test_average_over_xi_and_events_is_that_of_simulated_shocks(sellers: int, common: float) -> None:
    spec = market(
        [
            {"quality": 0.3 * k, "unit_cost": 0.0, "xi": 0.2 * k, "event_frequency": 0.2 * (k == 1)}
            for k in range(sellers)
        ],
        demand_shock={"common": common},
        events={"effect": 0.9, "mean_length": 2.0},
        nest=0.2,
    )
    logit, price, rng = Logit.of(spec, events=True), np.ones(sellers), np.random.default_rng(5)
    own, frequency = np.array([[s.xi, s.event_frequency] for s in spec.sellers]).T
    count = 100_000
    xi = common * rng.standard_normal((count, 1)) + own * rng.standard_normal((count, sellers))
    xi = xi + 0.9 * (rng.random((count, sellers)) < frequency)
    each = np.array(
        [shares(replace(logit, nodes=part, weights=np.ones(len(part)) / len(part)), price) for part in np.split(xi, 50)]
    )
    error = each.std(axis=0, ddof=1) / math.sqrt(len(each)) + 1e-4 * (sellers > 4) + 1e-12
    assert (np.abs(shares(logit, price) - each.mean(axis=0)) < 4.5 * error).all()
    assert logit.weights.sum() == pytest.approx(1.0, abs=1e-12)


def test_node_rules_converge_as_promised() -> None:
    spec = orange_juice()
    quality = np.array([-1.3, -0.6, -0.1])
    exact, usual, fast = (
        shares(replace(Logit.of(spec, limit=n), quality=quality), JUICE_PRICES) for n in (9000, 1024, 128)
    )
    np.testing.assert_allclose(usual, exact, rtol=1e-9)
    np.testing.assert_allclose(fast, exact, rtol=1e-5)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("nest", [0.0, 0.6])
def test_slopes_are_finite_differences_of_shares(log: bool, nest: float) -> None:
    logit, price, step = shocked(nest, log), np.array([1.3, 1.9, 1.1]), 1e-5
    moves = step * np.eye(3)
    numeric = ((shares(logit, price + moves) - shares(logit, price - moves)) / (2 * step)).T
    np.testing.assert_allclose(share_jacobian(logit, price), numeric, rtol=1e-7, atol=1e-9)


def test_elasticities_and_diversion_of_the_plain_logit_by_hand() -> None:
    logit = Logit.of(market([{"quality": 2.0, "unit_cost": 0.0}, {"quality": 2.0, "unit_cost": 0.0}]))
    np.testing.assert_allclose(elasticities(logit, [2.0, 2.0]), [[-4 / 3, 2 / 3], [2 / 3, -4 / 3]], rtol=1e-12)
    np.testing.assert_allclose(diversion_ratios(logit, [2.0, 2.0]), [[0.5, 0.5], [0.5, 0.5]], rtol=1e-12)


def test_shares_take_any_leading_shape_and_extreme_utilities() -> None:
    logit = shocked()
    stack = np.random.default_rng(0).uniform(1, 3, (4, 5, 3))
    assert shares(logit, stack).shape == (4, 5, 3) and share_jacobian(logit, stack).shape == (4, 5, 3, 3)
    np.testing.assert_array_equal(shares(logit, stack)[2, 3], shares(logit, stack[2, 3]))
    far = shares(logit, [1.0, 1.0, 2000.0])
    assert far[2] == 0.0 and 0 < far[:2].sum() < 1
    everyone = replace(logit, outside=-math.inf)
    assert shares(everyone, [1.0, 2.0, 3.0]).sum() == pytest.approx(1.0, abs=1e-14)


def test_symmetric_nash_meets_its_closed_form() -> None:
    sellers = [{"quality": 1.0, "unit_cost": 0.7}] * 4
    linear = Logit.of(market(sellers, price_sensitivity=1.5, outside="none"))
    np.testing.assert_allclose(nash_prices(linear), 0.7 + 1 / (1.5 * (1 - 1 / 4)), rtol=1e-12)
    nested = Logit.of(market(sellers, price_sensitivity=3.0, outside="none", price_form="log", nest=0.2))
    elasticity = 3.0 / 0.8 * (1 - 1 / 4)
    np.testing.assert_allclose(nash_prices(nested), 0.7 / (1 - 1 / elasticity), rtol=1e-12)


@pytest.mark.parametrize("log", [False, True])
def test_joint_prices_of_the_plain_logit_meet_their_closed_form(log: bool) -> None:
    logit = Logit.of(
        market(
            [{"quality": q, "unit_cost": c} for q, c in ((1.0, 0.5), (2.0, 1.5), (0.5, 1.0))],
            price_sensitivity=2.5,
            price_form="log" if log else "linear",
        )
    )
    price = monopoly_prices(logit)
    gain = ((price - logit.unit_cost) * shares(logit, price)).sum()
    np.testing.assert_allclose(
        price, (logit.unit_cost + gain) * 2.5 / 1.5 if log else logit.unit_cost + 0.4 + gain, rtol=1e-11
    )


def test_lone_seller_with_a_price_of_two_above_cost() -> None:
    logit = Logit.of(market([{"quality": 3.0, "unit_cost": 1.0}], nest=0.4))
    assert nash_prices(logit) == pytest.approx([3.0], abs=1e-12)
    assert monopoly_prices(logit) == pytest.approx([3.0], abs=1e-12)
    assert best_response(logit, [[7.0]], 0) == pytest.approx([3.0], abs=1e-9)


seller_strategy = st.fixed_dictionaries(
    {
        "quality": st.floats(-3, 6),
        "unit_cost": st.floats(0.1, 3),
        "xi": st.sampled_from([0.0, 0.3, 0.8]),
    }
)
market_strategy = st.fixed_dictionaries(
    {
        "price_form": st.sampled_from(["linear", "log"]),
        "price_sensitivity": st.floats(1.6, 6),
        "nest": st.sampled_from([0.0, 0.3, 0.7]),
        "outside": st.floats(-2, 2),
        "demand_shock": st.fixed_dictionaries({"common": st.sampled_from([0.0, 0.5])}),
    }
)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(seller_strategy, min_size=1, max_size=4), market_strategy)
def test_no_seller_gains_by_leaving_nash_and_no_owner_by_leaving_joint(
    sellers: list[dict[str, Any]], keys: Any
) -> None:
    logit = Logit.of(market(sellers, **keys), limit=128)
    count = len(sellers)
    nash, joint = nash_prices(logit), monopoly_prices(logit)
    assert np.abs(gradient(logit, nash, np.eye(count))).max() < 1e-10
    assert np.abs(gradient(logit, joint, np.ones((count, count)))).max() < 1e-10
    assert profits(logit, joint).sum() >= profits(logit, nash).sum() * (1 - 1e-12)
    for seat in range(count):
        assert best_response(logit, nash[None], seat) == pytest.approx(nash[seat], rel=1e-8)
        deviations = np.repeat(nash[None], 60, axis=0)
        deviations[:, seat] = logit.unit_cost[seat] + (nash - logit.unit_cost)[seat] * np.geomspace(0.05, 50, 60)
        assert (profits(logit, deviations)[:, seat] <= profits(logit, nash)[seat] * (1 + 1e-12)).all()


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(seller_strategy, min_size=2, max_size=4), market_strategy, st.integers(0, 1), st.integers(0, 10**6))
def test_best_response_is_the_best_price_of_a_grid(
    sellers: list[dict[str, Any]], keys: Any, seat: int, seed: int
) -> None:
    logit = Logit.of(market(sellers, **keys), limit=32)
    rivals = np.random.default_rng(seed).uniform(0.5, 6.0, (2, len(sellers)))
    low, high = logit.unit_cost[seat], logit.unit_cost[seat] + 8.0
    answer = best_response(logit, rivals, seat, low, high)
    grid = np.linspace(low, high, 2001)
    for row, price in zip(rivals, answer, strict=True):
        tried = np.repeat(row[None], len(grid), axis=0)
        tried[:, seat] = grid
        assert price == pytest.approx(grid[profits(logit, tried)[:, seat].argmax()], abs=0.6 * (grid[1] - grid[0]))


def test_best_response_keeps_to_its_bounds_and_ignores_its_own_old_price() -> None:
    logit, rivals = shocked(), np.array([[1.0, 1.5, 2.0], [3.0, 1.5, 2.0]])
    free = best_response(logit, rivals, 0)
    assert free[0] == free[1]
    assert best_response(logit, rivals, 0, high=0.9).tolist() == [0.9, 0.9]
    assert best_response(logit, rivals, 0, low=5.0, high=6.0).tolist() == [5.0, 5.0]
    assert best_response(logit, rivals, 0, high=0.3).tolist() == [0.3, 0.3]


def test_ownership_of_a_part_lies_between_nash_and_joint() -> None:
    logit = shocked(0.3, log=True)
    merged = equilibrium_prices(logit, [[1, 1, 0], [1, 1, 0], [0, 0, 1]])
    assert (nash_prices(logit) < merged).all() and (merged < monopoly_prices(logit)).all()


def test_relabelling_sellers_permutes_prices() -> None:
    spec = market(
        [{"quality": q, "unit_cost": 0.5 * q, "xi": x} for q, x in ((1.0, 0.2), (2.0, 0.6), (3.0, 0.4))],
        demand_shock={"common": 0.3},
    )
    turned = spec.model_copy(update={"sellers": tuple(spec.sellers[k] for k in (2, 0, 1))})
    np.testing.assert_allclose(nash_prices(Logit.of(turned)), nash_prices(Logit.of(spec))[[2, 0, 1]], rtol=1e-11)


def test_scaling_money_scales_prices_and_profits() -> None:
    def at(scale: float) -> Logit:
        sellers = [{"quality": q, "unit_cost": c * scale, "xi": 0.3} for q, c in ((2.0, 1.0), (3.0, 1.5))]
        return Logit.of(market(sellers, price_sensitivity=2.0 / scale))

    np.testing.assert_allclose(nash_prices(at(10.0)), 10 * nash_prices(at(1.0)), rtol=1e-11)
    np.testing.assert_allclose(profits(at(10.0), [20.0, 30.0]), 10 * profits(at(1.0), [2.0, 3.0]), rtol=1e-11)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("outside", [0.0, "none"])
def test_solved_qualities_give_the_shares_back(log: bool, outside: Any) -> None:
    logit = replace(shocked(0.3, log), outside=-math.inf if outside == "none" else outside)
    target, price = np.array([0.5, 0.3, 0.2 if outside == "none" else 0.1]), np.array([1.0, 2.0, 1.5])
    quality = solve_qualities(target, price, logit)
    np.testing.assert_allclose(shares(replace(logit, quality=quality), price), target, rtol=1e-11)
    if outside == "none":
        assert quality.mean() == pytest.approx(0.0, abs=1e-9)


def test_solving_one_quality_by_hand() -> None:
    logit = Logit.of(market([{"quality": 0.0, "unit_cost": 0.0}]))
    assert solve_qualities([0.5], [3.0], logit) == pytest.approx([3.0], abs=1e-12)


@pytest.mark.parametrize(("outside", "target"), [(0.0, [0.5, 0.5]), (0.0, [0.5, 0.0]), (-math.inf, [0.5, 0.4])])
def test_shares_that_no_quality_gives_are_refused(outside: float, target: list[float]) -> None:
    logit = replace(Logit.of(calvano()), outside=outside)
    with pytest.raises(UserError, match="target shares must be positive and sum to"):
        solve_qualities(target, [1.0, 1.0], logit)


def test_elasticities_of_sellers_whom_nobody_can_afford_are_no_numbers_and_no_warnings() -> None:
    logit = Logit.of(
        market([{"quality": 2.0, "unit_cost": 0.0}, {"quality": 2.0, "unit_cost": 0.0}], price_sensitivity=1e12)
    )
    for found in (elasticities(logit, [2.0, 2.0]), diversion_ratios(logit, [2.0, 2.0])):
        assert found.shape == (2, 2) and not np.isfinite(found).any()


def test_orange_juice_elasticities_and_diversion_are_the_published_estimates() -> None:
    logit = Logit.of(orange_juice(), xi=False)
    logit = replace(logit, quality=solve_qualities(JUICE_SHARES, JUICE_PRICES, logit))
    rows = [[-2.644, 0.312, 0.247], [0.323, -2.655, 0.247], [0.323, 0.312, -2.72]]
    np.testing.assert_allclose(elasticities(logit, JUICE_PRICES), rows, atol=6e-4)
    np.testing.assert_allclose(np.diagonal(diversion_ratios(logit, JUICE_PRICES)), [0.788, 0.785, 0.766], atol=6e-4)


def test_orange_juice_prices_are_those_computed_independently() -> None:
    logit = Logit.of(orange_juice(), xi=False)
    logit = replace(logit, quality=solve_qualities(JUICE_SHARES, JUICE_PRICES, logit))
    nash, joint = nash_prices(logit), monopoly_prices(logit)
    assert nash.round(3).tolist() == [1.894, 2.632, 3.209]
    assert joint.round(3).tolist() == [2.237, 2.969, 3.533]
    assert profits(logit, nash).round().tolist() == [192, 202, 224]
    assert profits(logit, joint)[0] < profits(logit, nash)[0]


def test_average_shares_lie_above_those_at_zero_shock_in_orange_juice() -> None:
    logit, still = (Logit.of(orange_juice(), xi=xi) for xi in (True, False))
    quality = solve_qualities(JUICE_SHARES, JUICE_PRICES, logit)
    np.testing.assert_allclose(quality, [-1.28139, -0.58858, -0.11794], atol=1e-5)
    too_low = 1 - shares(replace(still, quality=quality), JUICE_PRICES) / JUICE_SHARES
    np.testing.assert_allclose(too_low, [0.186, 0.103, 0.051], atol=6e-4)


def test_market_size_is_the_mean_over_the_horizon() -> None:
    customers = {"rate": 10.0, "basket": 3, "weekly": [1.0, 2.0], "trend": 0.1}
    spec = market([{"quality": 1.0, "unit_cost": 0.5}], horizon=3, customers=customers)
    np.testing.assert_allclose(calendar(spec, [0, 1, 2]), [1.0, 2.2, 1.21], rtol=1e-14)
    assert Logit.of(spec).size == pytest.approx(10 * 3 * (1 + 2.2 + 1.21) / 3, rel=1e-14)
    yearly = {"rate": 1.0, "yearly": {"amplitude": 0.5, "peak": 1.0, "length": 4.0}}
    spec = market([{"quality": 1.0, "unit_cost": 0.5}], customers=yearly)
    np.testing.assert_allclose(calendar(spec, [0, 1, 2, 3]), [1.0, 1.5, 1.0, 0.5], atol=1e-14)


@pytest.mark.parametrize(
    ("sellers", "keys", "rule"),
    [
        (1, {"outside": "none"}, "single seller without an outside option"),
        (1, {"price_form": "log", "price_sensitivity": 1.0}, "price_sensitivity exceeds 1, got 1"),
        (2, {"price_form": "log", "price_sensitivity": 0.7, "nest": 0.3}, r"exceeds 0.7 \(1 - nest\), got 0.7"),
        (2, {"price_form": "log", "price_sensitivity": 1.9, "outside": "none"}, "no finite prices"),
    ],
)
def test_markets_without_nash_prices_are_refused(sellers: int, keys: dict[str, Any], rule: str) -> None:
    logit = Logit.of(market([{"quality": 1.0, "unit_cost": 1.0}] * sellers, **keys))
    with pytest.raises(UserError, match=rule):
        nash_prices(logit)


@pytest.mark.parametrize(
    ("keys", "rule"),
    [
        ({"outside": "none"}, "no finite joint-profit prices: set outside"),
        ({"price_form": "log", "price_sensitivity": 1.0}, "joint-profit prices unless price_sensitivity exceeds 1"),
    ],
)
def test_markets_without_joint_prices_are_refused(keys: dict[str, Any], rule: str) -> None:
    logit = Logit.of(market([{"quality": 1.0, "unit_cost": 1.0}] * 2, **keys))
    with pytest.raises(UserError, match=rule):
        monopoly_prices(logit)


def test_infinite_best_responses_are_refused_or_meet_the_bound() -> None:
    flat = Logit.of(market([{"quality": 1.0, "unit_cost": 1.0}] * 2, price_form="log", price_sensitivity=0.9))
    with pytest.raises(UserError, match="no finite best response"):
        best_response(flat, [[2.0, 2.0]], 0)
    assert best_response(flat, [[2.0, 2.0]], 0, high=8.0) == pytest.approx([8.0])
    alone = Logit.of(market([{"quality": 1.0, "unit_cost": 1.0}], outside="none"))
    with pytest.raises(UserError, match="set outside"):
        best_response(alone, [[2.0]], 0)
    assert best_response(alone, [[2.0]], 0, high=8.0).tolist() == [8.0]


def test_reward_scale_is_the_nash_profit_unless_given() -> None:
    spec = market([{"quality": 2.0, "unit_cost": 1.0}, {"quality": 2.0, "unit_cost": 1.0, "reward_scale": 7.0}])
    scales = reward_scales(spec)
    assert scales[1] == 7.0 and scales[0] == nash_profits(spec)[0]
    assert scales[0] == pytest.approx(profits(Logit.of(spec), nash_prices(Logit.of(spec)))[0])


def test_reward_scales_that_must_be_given_are_refused_by_name() -> None:
    tiny = [{"quality": 3.0, "unit_cost": 1.0}, {"quality": -4.0, "unit_cost": 1.0}]
    with pytest.raises(UserError, match=r"market.sellers.1 \(s1\).reward_scale: .* below 5% of the mean"):
        reward_scales(market(tiny))
    flat = [{"quality": 1.0, "unit_cost": 1.0, "reward_scale": 3.0}, {"quality": 1.0, "unit_cost": 1.0}]
    keys = {"price_form": "log", "price_sensitivity": 0.5}
    with pytest.raises(UserError, match=r"market.sellers.1 \(s1\).reward_scale: must be given, since with a log price"):
        reward_scales(market(flat, **keys))
    flat[1]["reward_scale"] = 4.0
    assert reward_scales(market(flat, **keys)).tolist() == [3.0, 4.0]


def test_prices_of_forty_sellers_take_memory_of_a_few_of_their_rows() -> None:
    """All their directions and scans at once would take forty times thirty-one rows of 64 nodes, 100 MB."""
    nodes = 0.2 * np.random.default_rng(0).normal(size=(64, 40))
    quality, cost, weights = 2 + 0.02 * np.arange(40), np.ones(40), np.full(64, 1 / 64)
    logit = Logit(quality, cost, 2.0, False, 0.0, 0.0, 1.0, nodes, weights)
    tracemalloc.start()
    try:
        price = nash_prices(logit)
        assert tracemalloc.get_traced_memory()[1] < 2e7
    finally:
        tracemalloc.stop()
    for seat in (0, 39):
        assert best_response(logit, price[None], seat)[0] == pytest.approx(price[seat], rel=1e-8)
