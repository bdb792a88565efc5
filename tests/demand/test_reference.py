"""Reference prices: the term by hand, its steady state, what sellers see of it, and what refuses to ignore it."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.demand.equilibrium import nash_prices
from market.demand.logit import Logit, profits
from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.simulation.observation import feature_list
from market.spec.models import MarketSpec
from market.theory.demand_law import ample_level, reference_lift
from market.theory.newsvendor import newsvendor_level
from market.theory.optimum import solve
from market.theory.price_game import PriceGame
from market.theory.upper_bound import profit_bound
from policies.config.run import RunConfig
from policies.evaluation.run_sellers import RunSellers
from policies.explain.importance import groups
from policies.explain.policy_map import typical_state
from policies.explain.states import greedy_rollout, views
from policies.report.sections import about_market
from policies.sellers.network_seller import ObservationAdapter
from policies.sellers.rules.compose import parse_rules
from policies.sellers.rules.level_search import build
from policies.studies.calvano.tabular_q import TabularSellers
from policies.studies.deviate.run import find_deviation
from policies.studies.exploit.exact import best_price_cycle, exact_best_response
from tests.helpers.duopoly import duopoly, everybody_buys, made_to_order
from tests.helpers.markets import a_market, begun, play
from tests.helpers.policy_average import policy_average
from tests.helpers.story import STORY, in_parallel

ON = {"reference_price": {"weight": 2.0, "memory": 0.5}}
FLUID: dict[str, Any] = {"inventory": "make_to_order", "customers": {"rate": 20.0, "mode": "expected"}}
SEAT = {"order_up_to": [0, 0]}


def fluid(**changes: Any) -> MarketBatch:
    """Two equal sellers, 20 customers without chance, first price 2, at which utility is 0."""
    return begun(SEAT, SEAT, **(FLUID | changes))


def logit(*utility: float) -> list[float]:
    """Of 20 customers, beside an outside option of utility 0."""
    weights = [math.exp(u) for u in utility]
    return [20 * w / (1 + sum(weights)) for w in weights]


# ------------------------------------------------------------------------------------------------ the term itself


def test_two_periods_by_hand() -> None:
    """Price 2, quality 2, sensitivity 1, weight 2: r = 2, then 2 / 2 + 1 / 2 = 1.5 of the seller that cut to 1."""
    batch = fluid(**ON)
    assert play(batch, [1.0, 2.0])["sold"][0] == pytest.approx(logit(2 - 1 + 2 * (2 - 1), 0), rel=1e-12)
    assert batch.state.reference[0].tolist() == [1.5, 2.0]
    assert play(batch, [1.25, 3.0])["sold"][0] == pytest.approx(
        logit(2 - 1.25 + 2 * (1.5 - 1.25), 2 - 3 + 2 * (2 - 3)), rel=1e-12
    )
    assert batch.state.reference[0].tolist() == [1.375, 2.5]


def test_a_log_price_has_a_log_reference() -> None:
    batch = fluid(price_form="log", **ON)
    at_two = 2 - math.log(2)
    assert play(batch, [1.0, 2.0])["sold"][0] == pytest.approx(logit(2 + 2 * math.log(2), at_two), rel=1e-12)
    assert batch.state.reference[0] == pytest.approx([math.log(2) / 2, math.log(2)], rel=1e-15)
    used_to = at_two + 2 * (math.log(2) / 2 - math.log(2))
    assert play(batch, 2.0)["sold"][0] == pytest.approx(logit(used_to, at_two), rel=1e-12)


@given(st.floats(0.1, 5.0), st.floats(0.0, 0.95), st.floats(1.0, 1.9))
@settings(max_examples=25, deadline=None)
def test_after_a_cut_the_old_price_sells_less_by_the_closed_form(weight: float, memory: float, cut: float) -> None:
    """Utility falls by weight (1 - memory) (p - cut), and so the log odds against the outside option."""
    batch = begun(SEAT, **FLUID, reference_price={"weight": weight, "memory": memory})
    before = play(batch, 2.0)["sold"].item()
    play(batch, cut)
    after = play(batch, 2.0)["sold"].item()
    assert after < before
    odds = [math.log(sold / (20 - sold)) for sold in (before, after)]
    assert odds[1] - odds[0] == pytest.approx(-weight * (1 - memory) * (2 - cut), rel=1e-9)


@pytest.mark.parametrize("form", ["linear", "log"])
@pytest.mark.parametrize("memory", [0.0, 0.3, 0.9])
def test_prices_held_for_good_are_the_market_without_the_term_to_the_bit(memory: float, form: str) -> None:
    term = {"reference_price": {"weight": 3.0, "memory": memory}}
    sellers = [{"start_price": price, "stock": 20.0, "lead_time": 1} for price in (1.7, 2.3)]
    batches = [begun(*sellers, markets=5, price_form=form, **more) for more in (term, {})]
    for _ in range(5):
        ledgers = [play(batch, [1.7, 2.3], 4.0).tobytes() for batch in batches]
        assert ledgers[0] == ledgers[1]


def test_from_any_first_price_demand_comes_to_that_of_the_price_held() -> None:
    batch = fluid(horizon=60, **ON)
    gap = [abs(play(batch, [1.5, 2.5])["sold"][0] - logit(0.5, -0.5)).max() for _ in range(60)]
    assert gap[0] > 1 and gap[-1] < 1e-12
    assert np.all(np.diff(gap[:20]) < 0)


@pytest.mark.parametrize("off", [{}, {"reference_price": {"weight": 0.0, "memory": 0.5}}])
def test_without_weight_nothing_is_kept_or_seen(off: dict[str, Any]) -> None:
    batch, plain = (begun({"stock": 9}, {"stock": 9}, markets=3, **changes) for changes in (off, {}))
    assert batch.state.reference.size == 0
    assert "reference" not in batch.save()
    assert [f.name for f in batch.features] == [f.name for f in plain.features]
    for price in (1.2, 2.9, 2.0):
        assert play(batch, price, 5).tobytes() == play(plain, price, 5).tobytes()
        assert batch.observe().tobytes() == plain.observe().tobytes()


# ------------------------------------------------------------------------------------------------ bits


def story(markets: int, seed: Any = 40) -> MarketBatch:
    """The market of the batch's own tests, with everything that is random in it, and reference prices."""
    sellers = [{"xi": 0.3, "lead_time": k, "stock": 8, "event_frequency": 0.3} for k in range(3)]
    return begun(*sellers, markets=markets, seed=seed, **(STORY | ON))


PRICES = st.lists(st.lists(st.floats(1, 3), min_size=3, max_size=3), min_size=6, max_size=6)


@given(PRICES, st.integers(0, 2**40))
@settings(max_examples=15, deadline=None)
def test_a_row_of_a_batch_is_the_single_market(prices: list[list[float]], seed: int) -> None:
    batch, last = in_parallel(story(7, seed)), story(1, seed + 6)
    for price in prices:
        together, alone = play(batch, price, 3.0), play(last, price, 3.0)
        assert together[6].tobytes() == alone[0].tobytes()
        assert batch.observe()[6].tobytes() == last.observe()[0].tobytes()
    assert batch.state.reference[6].tobytes() == last.state.reference[0].tobytes()


def test_a_saved_market_goes_on_to_the_same_bits() -> None:
    batch, other = story(4), story(4, seed=9)
    play(batch, [1.1, 2.9, 2.0], 3.0)
    saved = batch.save()
    other.load(saved)
    for price in ([2.0, 2.0, 1.5], [1.0, 3.0, 2.0]):
        assert play(batch, price, 2.0).tobytes() == play(other, price, 2.0).tobytes()
        assert batch.observe().tobytes() == other.observe().tobytes()
    del saved["reference"]
    with pytest.raises(UserError, match="reference does not fit 4 markets"):
        other.load(saved)


def test_an_episode_begins_at_the_first_price() -> None:
    batch = begun({"start_price": 1.25}, horizon=2, **ON)
    play(batch, 3.0)
    play(batch, 3.0)
    assert batch.state.reference.item() != 1.25
    batch.reset()
    assert batch.state.reference.item() == 1.25


# ------------------------------------------------------------------------------------------------ what is seen


@pytest.mark.parametrize("form", ["linear", "log"])
def test_reference_prices_are_seen_on_the_scale_of_prices(form: str) -> None:
    batch = begun(SEAT, {"prices": [2, 6], **SEAT}, price_form=form, **FLUID, **ON)
    play(batch, [1.0, 6.0])
    seen = dict(zip([f.name for f in batch.features], batch.observe()[0, 0], strict=True))

    def mean(a: float, b: float) -> float:
        return math.sqrt(a * b) if form == "log" else (a + b) / 2

    assert seen["own_reference"] == pytest.approx(mean(2, 1) - 2, abs=1e-6)
    assert seen["rival_1_reference"] == pytest.approx((mean(4, 6) - 4) / 2, abs=1e-6)


def test_without_memory_the_last_price_says_it_all() -> None:
    spec = fluid(reference_price={"weight": 2.0, "memory": 0.0}).spec
    assert not [f.name for f in feature_list(spec) if "reference" in f.name]


def test_hidden_prices_hide_the_rivals_reference() -> None:
    names = [f.name for f in feature_list(fluid(visibility={"rivals_prices": "hidden"}, **ON).spec)]
    assert "own_reference" in names and "rival_1_reference" not in names


def test_what_policies_are_asked_is_what_they_saw() -> None:
    """Situations hold the reference price: put before a seller again, they show the same observation."""
    spec = story(1).spec
    sellers = [build("random+base_stock(level=6)", spec, k) for k in range(3)]
    met = greedy_rollout(spec, sellers, episodes=3).states
    batch = MarketBatch(spec, 3, 0)
    batch.reset()
    assert np.ptp(met.reference) > 0
    assert typical_state(met).reference.shape == (1, 3)
    (view,) = [view.observation.copy() for _, view in views(spec, met, 1)]
    k = [f.name for f in batch.features].index("own_reference")
    assert view[:, k] == pytest.approx(met.reference[:, 1] - 2, abs=1e-6)


def test_reference_prices_have_groups_of_their_own_and_a_neutral_value() -> None:
    with_term, without = fluid(**ON).spec, fluid().spec
    assert {"own reference price", "reference price of b"} <= set(groups(with_term, 0))
    adapter, names = ObservationAdapter.between(with_term, 0, without, 0), [f.name for f in feature_list(with_term)]
    seen = adapter.see(np.array([[0.3, 0.1, 0.7]], np.float32))[0]
    assert dict(zip(names, seen, strict=True))["own_reference"] == 0
    assert "reference price of weight 2, memory 0.5" in about_market(with_term)


# ------------------------------------------------------------------------------------------------ theory


def test_theory_is_that_of_prices_held_for_good() -> None:
    spec, plain = (duopoly({"holding_cost": 0.2}, **more) for more in (ON, {}))
    price = nash_prices(Logit.of(spec))
    assert price.tolist() == nash_prices(Logit.of(plain)).tolist()
    assert newsvendor_level(spec, 0, price) == newsvendor_level(plain, 0, price)
    held = {"start_price": 2.3} | SEAT
    batch = begun(held, held, **FLUID, **ON)
    assert play(batch, 2.3)["profit"][0] == pytest.approx(profits(Logit.of(batch.spec), [2.3, 2.3]), rel=1e-12)


def test_theory_says_so() -> None:
    from tests.helpers.theory_shown import shown

    text, _ = shown(RunConfig(market=made_to_order(**ON)))
    flat = " ".join(text.split())
    assert "All of theory is of prices held for good, to which reference prices have come" in flat
    assert "+ reference weight 2)" in flat
    assert "no exact optimum, since market.reference_price.weight is above 0" in flat
    assert "held for good" not in shown(RunConfig(market=made_to_order()))[0]


def test_ample_stock_lasts_through_the_first_periods_of_a_low_price() -> None:
    spec = everybody_buys(0).model_copy(update={"outside": 0.0})
    on = MarketSpec.parse(spec.dump() | {"reference_price": {"weight": 2.0, "memory": 0.9}})
    first = on.sellers[0].first_price
    assert reference_lift(on, 0, first - 0.5) == pytest.approx(1.0)
    assert reference_lift(on, 0, first) == reference_lift(on, 0, first + 1) == 0
    assert ample_level(on, 0, first - 0.5) > ample_level(spec, 0, first - 0.5)
    assert ample_level(on, 0, first) == ample_level(spec, 0, first)


# ------------------------------------------------------------------------------------------------ refusals

GRID = {"grid": {"prices": 3}, **SEAT}


def on_grids() -> MarketSpec:
    return fluid(sellers=a_market(GRID, GRID)["sellers"], **ON).spec


def begun_bound() -> Any:
    batch = fluid(**ON)
    return profit_bound(batch, 0)


NO_STATE = r"market.reference_price.weight is above 0, so that past prices would belong to the state"
NO_GAME = r"market.reference_price.weight: is above 0, so that prices posted before move the payoffs of a period"
NOT_MYOPIC = (
    "seats.first.pricing.best_response: needs demand that depends on the period's prices alone, and "
    "market.reference_price.weight is above 0"
)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: solve(duopoly(**ON), 0), f"no exact optimum: {NO_STATE}"),
        (lambda: solve(made_to_order(**ON), 0, gamma=0.9), f"no exact optimum: {NO_STATE}"),
        (lambda: policy_average(duopoly(**ON), 0, lambda on, due: (on, on)), f"no exact average: {NO_STATE}"),
        (lambda: exact_best_response(made_to_order(**ON), 0, [parse_rules("nash")] * 2), NO_STATE),
        (lambda: best_price_cycle(on_grids(), 0, {1: build("match", on_grids(), 1)}), NO_STATE),
        (lambda: build("optimal", made_to_order(**ON), 0), NO_STATE),
        (lambda: build("nash+optimal", duopoly(**ON), 0), NO_STATE),
        (begun_bound, "market.reference_price.weight is above 0, so that demand depends on past prices"),
        (lambda: PriceGame.of(on_grids()), NO_GAME),
        (lambda: TabularSellers(on_grids()), NO_GAME),
        (lambda: build("best_response", made_to_order(**ON), 0), NOT_MYOPIC),
    ],
)
def test_what_is_exact_without_the_term_refuses_it_by_name(ask: Callable[[], Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        ask()


def test_a_deviation_to_the_best_response_says_why_there_is_none() -> None:
    run = cast(RunSellers, SimpleNamespace(spec=made_to_order(**ON)))
    with pytest.raises(UserError, match="--to best_response: .*needs demand that depends on the period's prices alone"):
        find_deviation(run, 0, "best_response", 0)


@pytest.mark.parametrize(
    ("given_price", "said"),
    [
        ({"weight": -1, "memory": 0.5}, "market.reference_price.weight: must be greater than or equal to 0"),
        ({"weight": 101, "memory": 0.5}, "market.reference_price.weight: must be less than or equal to 100"),
        ({"weight": 1, "memory": 1}, "market.reference_price.memory: must be less than 1"),
        ({"weight": 1}, "market.reference_price.memory: this key is required"),
        ({"weight": 1, "memorry": 0.5, "memory": 0}, r"memorry: unknown key \(did you mean memory"),
    ],
)
def test_terms_that_cannot_be_are_refused(given_price: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said):
        MarketSpec.parse(a_market({}, reference_price=given_price))


def test_the_term_survives_yaml() -> None:
    spec = fluid(**ON).spec
    assert MarketSpec.parse(spec.dump()) == spec and spec.prices_linger
