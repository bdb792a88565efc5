"""MarketBatch: reproducible to the bit, exact in its books, and the exogenous tape has the laws of the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from market.errors import UserError
from market.simulation.batch import PARALLEL_FROM, MarketBatch
from market.spec.models import MarketSpec
from market.state import LEDGER, LEDGER_UNITS
from tests.helpers.markets import EVERYBODY_BUYS, a_market, begun, customers_come, play
from tests.helpers.story import STORY, in_parallel

LEVEL = 0.001  # of significance of every statistical test; the seeds are fixed


def story(markets: int = 1, seed: Any = 0, **changes: Any) -> MarketBatch:
    """A market with everything that is random in it, in which stock runs out now and then."""
    sellers = [{"xi": 0.3, "lead_time": k, "stock": 8, "event_frequency": 0.3, "holding_cost": 0.1} for k in range(3)]
    return begun(*sellers, markets=markets, seed=seed, **(STORY | changes))


def decisions(markets: int, periods: int, sellers: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.uniform(1, 3, (periods, markets, sellers)), rng.integers(0, 9, (periods, markets, sellers)).astype(float)


def run(batch: MarketBatch, price: np.ndarray, order: np.ndarray) -> list[bytes]:
    """Ledgers and observations of an episode, as bits."""
    return [batch.step(p, q).tobytes() + batch.observe().tobytes() for p, q in zip(price, order, strict=True)]


def bits(batch: MarketBatch) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in batch.save().items()}


# ------------------------------------------------------------------------------------ reproducible to the bit


@pytest.mark.parametrize("rate", [20.0, 300.0], ids=["one_by_one", "stages"])
def test_a_row_of_a_batch_is_the_single_market_with_its_seed(rate: float) -> None:
    rows, changes = 70, {"customers": STORY["customers"] | {"rate": rate}}
    price, order = decisions(rows, 6)
    batch = in_parallel(story(rows, seed=40, **changes))
    ledgers = [batch.step(p, q).copy() for p, q in zip(price, order, strict=True)]
    for m in range(0, rows, 3):
        single = story(1, seed=40 + m, **changes)
        for t in range(6):
            assert single.step(price[t, m : m + 1], order[t, m : m + 1]).tobytes() == ledgers[t][m].tobytes()


@pytest.fixture
def threads() -> Iterator[None]:
    before = numba.get_num_threads()
    yield
    numba.set_num_threads(before)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")
def test_the_number_of_threads_changes_no_bit(threads: None) -> None:
    decided = decisions(100, 6)
    results = [run(story(100), *decided)]
    for number in (1, 2):
        numba.set_num_threads(number)
        assert story(PARALLEL_FROM).serial == (number == 1)
        results.append(run(in_parallel(story(100)), *decided))
    assert results[0] == results[1] == results[2]


def test_the_order_of_rows_changes_no_bit() -> None:
    (price, order), backward = decisions(5, 6), np.arange(5)[::-1]
    batch, reversed_rows = story(5, seed=[3, 1, 4, 15, 9]), story(5, seed=[9, 15, 4, 1, 3])
    for t in range(6):
        ledger = batch.step(price[t], order[t]).copy()
        assert reversed_rows.step(price[t][backward], order[t][backward])[backward].tobytes() == ledger.tobytes()


def test_resetting_without_a_seed_goes_on_to_another_episode_and_with_a_seed_repeats() -> None:
    decided, batch = decisions(4, 6), story(4, seed=7)
    first = run(batch, *decided)
    batch.reset()
    second = run(batch, *decided)
    assert batch.state.episode.tolist() == [1, 1, 1, 1]
    assert all(one != other for one, other in zip(first, second, strict=True))
    batch.reset(seed=7)
    assert run(batch, *decided) == first
    batch.reset()
    assert run(batch, *decided) == second


def test_some_rows_are_reset_and_the_others_go_on() -> None:
    price, order = decisions(4, 6)
    batch, whole = story(4), story(4)
    for one in (batch, whole):
        one.step(price[0], order[0])
    batch.reset(rows=[1, 3])
    whole_again = story(4)
    whole_again.reset()
    for name, array in batch.save().items():
        if name != "ledger":
            assert array[[0, 2]].tobytes() == whole.save()[name][[0, 2]].tobytes()
            assert array[[1, 3]].tobytes() == whole_again.save()[name][[1, 3]].tobytes()


def test_rows_are_chosen_by_index_or_mask_and_seeded_one_by_one() -> None:
    by_index, by_mask = story(3), story(3)
    by_index.reset(rows=[2])
    by_mask.reset(rows=np.array([False, False, True]))
    assert bits(by_index) == bits(by_mask) and by_mask.state.episode.tolist() == [0, 0, 1]
    by_index.reset(seed=[5, 6], rows=[2, 0])
    assert by_index.state.seed.tolist() == [6, 1, 5] and by_index.state.episode.tolist() == [0, 0, 0]
    by_index.reset(rows=[])
    assert by_index.state.episode.tolist() == [0, 0, 0]


def test_a_saved_market_goes_on_to_the_bit() -> None:
    (price, order), batch = decisions(3, 6), story(3, seed=5)
    run(batch, price[:2], order[:2])
    saved = batch.save()
    ahead = run(batch, price[2:], order[2:])
    resumed = story(3, seed=99)
    run(resumed, price[:5], order[:5])
    resumed.load(saved)
    assert run(resumed, price[2:], order[2:]) == ahead
    for one in (batch, resumed):
        one.reset()
    assert bits(batch) == bits(resumed)


def test_what_is_saved_does_not_change_afterwards() -> None:
    batch = story()
    saved = batch.save()
    before = {name: array.copy() for name, array in saved.items()}
    run(batch, *decisions(1, 6))
    assert all(np.array_equal(saved[name], before[name]) for name in saved)


def test_other_decisions_face_the_same_customers() -> None:
    (price, order), one, other = decisions(8, 6), story(8), story(8)
    run(one, price, order)
    run(other, price[::-1], order[::-1])
    assert one.tape.customers.tobytes() == other.tape.customers.tobytes()
    assert one.tape.xi.tobytes() == other.tape.xi.tobytes() and one.tape.event.tobytes() == other.tape.event.tobytes()


def test_customers_who_come_one_by_one_have_the_same_tastes_whatever_is_in_stock() -> None:
    """First choices with ample stock: raising one price moves customers in one direction only, row by row."""
    cheap, dear = (begun({"stock": 99}, {"stock": 99}, markets=50) for _ in range(2))
    a, b = play(cheap, price=[2.0, 2.0])["sold"], play(dear, price=[2.4, 2.0])["sold"]
    assert (b[:, 0] <= a[:, 0]).all() and (b[:, 0] < a[:, 0]).any()


# ------------------------------------------------------------------------------------ the books, over random markets


def whole(low: int, high: int) -> st.SearchStrategy[float]:
    return st.integers(low, high).map(float)


def tenths(low: float, high: float) -> st.SearchStrategy[float]:
    return whole(round(10 * low), round(10 * high)).map(lambda k: k / 10)


@st.composite
def random_seller(draw: Any, expected: bool, stocked: bool) -> dict[str, Any]:
    cost, low = tenths(0, 3), draw(tenths(0.1, 3))
    seller = {key: draw(cost) for key in ("unit_cost", "price_change_cost")}
    seller |= {"quality": draw(tenths(-3, 6)), "prices": [low, low + draw(tenths(0, 4))]}
    seller |= {"xi": draw(st.sampled_from([0.0, 0.5])), "event_frequency": draw(st.sampled_from([0.0, 0.4]))}
    if not stocked:
        return seller | {"order_up_to": [0, 0]}
    stock = draw(whole(0, 25)) + (draw(tenths(0, 1)) if expected else 0)
    seller |= {key: draw(cost) for key in ("order_cost", "holding_cost", "stockout_cost")}
    return seller | {"lead_time": draw(st.integers(0, 3)), "stock": stock, "order_up_to": [0, draw(whole(0, 30))]}


@st.composite
def random_market(draw: Any) -> dict[str, Any]:
    expected, stocked = draw(st.booleans()), draw(st.booleans())
    sellers = draw(st.lists(random_seller(expected, stocked), min_size=1, max_size=4))
    customers = {
        "mode": "expected" if expected else "sampled",
        "rate": draw(st.sampled_from([0.5, 8.0, 40.0, 400.0])),
        "basket": draw(tenths(0.5, 4)) if expected else draw(whole(1, 4)),
        "substitution": draw(st.sampled_from([0.0, 0.4, 1.0])),
        "dispersion": draw(st.sampled_from([0.0, 0.7])),
        "weekly": draw(st.sampled_from([[], [0.5, 0, 2]])),
        "trend": draw(tenths(-0.1, 0.1)),
        "shock": {"sd": draw(st.sampled_from([0.0, 0.5])), "persistence": 0.5},
    }
    market = {"inventory": "stocked" if stocked else "make_to_order", "customers": customers}
    market |= {"nest": draw(st.sampled_from([0.0, 0.3, 0.9])), "price_form": draw(st.sampled_from(["log", "linear"]))}
    market |= {"outside": draw(st.sampled_from([0.0, 1.5, "none"])), "price_sensitivity": draw(tenths(0.1, 4))}
    market |= {"events": {"effect": draw(tenths(-1, 2)), "mean_length": 2, "announced": draw(st.integers(0, 2))}}
    seen = {"rivals_prices": draw(st.sampled_from(["last", "hidden"]))}
    seen |= {"rivals_stock": draw(st.sampled_from(["hidden", "flag", "level"]))}
    return a_market(*sellers, **market, visibility=seen)


ROWS = 3


@given(data=random_market(), seed=st.integers(0, 2**32))
@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_books_of_random_markets_close(data: dict[str, Any], seed: int) -> None:
    spec = MarketSpec.parse(data)
    batch, rng = MarketBatch(spec, ROWS, seed), np.random.default_rng(seed)
    batch.reset()
    opening, past_price = batch.state.on_hand.copy(), batch.state.price.copy()
    ordered = received = np.zeros((ROWS, len(spec.sellers)))
    for t in range(spec.horizon):
        seen = batch.observe()
        assert np.isfinite(seen).all() and all(
            batch.observation_space.contains(x) for x in seen.reshape(-1, seen.shape[2])
        )
        price, order = rng.uniform(0, 8, opening.shape), rng.uniform(0, 12, opening.shape) * (rng.random() < 0.7)
        ledger = batch.step(price, order).copy()
        assert all(np.isfinite(ledger[name]).all() for name in LEDGER.names)
        check_profit(spec, ledger, past_price)
        check_period(spec, ledger, batch.tape.customers[:, t])
        close(opening + ledger["received"], ledger["sold"] + ledger["on_hand_left"])
        ordered, received = ordered + ledger["ordered"], received + ledger["received"]
        close(ordered, received + ledger["on_order"])
        opening, past_price = ledger["on_hand_left"], ledger["price"]
        np.testing.assert_array_equal(batch.reward, ledger["profit"])  # reward_scale is 1


def close(one: Any, other: Any) -> None:
    np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-9)


def check_profit(spec: MarketSpec, ledger: Any, past_price: np.ndarray) -> None:
    """The identity of DESIGN section 2, from the ledger's quantities and the configuration alone."""
    for i, s in enumerate(spec.sellers):
        x = ledger[:, i]
        profit = x["price"] * x["sold"] - s.unit_cost * x["ordered"] - s.order_cost * (x["ordered"] > 0)
        profit -= s.holding_cost * x["on_hand_left"] + s.stockout_cost * x["lost"]
        profit -= s.price_change_cost * (x["price"] != past_price[:, i])
        close(x["profit"], profit)
        names = ("purchase_cost", "order_cost", "holding_cost", "stockout_cost", "price_change_cost")
        close(x["profit"], x["revenue"] - sum(x[name] for name in names))
        assert ((s.prices[0] <= x["price"]) & (x["price"] <= s.prices[1])).all()


def check_period(spec: MarketSpec, ledger: Any, customers: np.ndarray) -> None:
    """Nobody sells what is not there, nobody buys twice, and all who want something are served or counted as lost."""
    basket, sold, lost = spec.customers.basket, ledger["sold"], ledger["lost"]
    assert (sold >= 0).all() and (lost >= 0).all() and (ledger["on_hand_left"] >= 0).all()
    assert (sold <= ledger["on_hand"]).all()
    wanted, everybody = customers * basket, spec.outside == -np.inf
    close(ledger["market_size"], np.broadcast_to(wanted[:, None], sold.shape))
    rounding = 1e-9 * (1 + wanted)
    assert (sold.sum(1) <= wanted + rounding).all() and (lost.sum(1) <= 2 * wanted + rounding).all()
    no_second = spec.customers.substitution == 0 or len(spec.sellers) == 1
    if no_second:
        assert (sold.sum(1) + lost.sum(1) <= wanted + rounding).all()
    if everybody:
        assert (sold.sum(1) + lost.sum(1) >= wanted - rounding).all()
    if spec.customers.mode == "sampled":
        units = np.stack([sold, lost, ledger["on_hand"], ledger["ordered"], ledger["received"], ledger["on_order"]])
        assert (units == np.rint(units)).all() and (customers == np.rint(customers)).all()


def test_every_ledger_field_has_a_unit() -> None:
    assert tuple(LEDGER_UNITS) == LEDGER.names and all(LEDGER_UNITS.values())


# ------------------------------------------------------------------------------------ the tape


def test_customers_of_a_poisson_market() -> None:
    counts = begun({}, customers={"rate": 3.0}, markets=30_000, horizon=1).tape.customers[:, 0]
    assert chi_square(counts, stats.poisson(3.0)) > LEVEL


@pytest.mark.parametrize("dispersion", [0.25, 3.0])
def test_dispersed_customers_are_negative_binomial(dispersion: float) -> None:
    counts = begun({}, customers={"rate": 12.0, "dispersion": dispersion}, markets=30_000, horizon=1).tape.customers[
        :, 0
    ]
    size = 1 / dispersion
    assert chi_square(counts, stats.nbinom(size, size / (size + 12.0))) > LEVEL


def chi_square(values: np.ndarray, law: Any) -> float:
    """P-value of whole-number draws under a discrete law, in about 30 cells of like expectation."""
    edges = np.unique(law.ppf(np.linspace(0, 1, 31)[1:-1]))
    expected = len(values) * np.diff(np.concatenate(([0.0], law.cdf(edges), [1.0])))
    observed = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
    return float(stats.chisquare(observed, expected).pvalue)


def test_expected_customers_are_the_mean_and_have_no_dispersion() -> None:
    batch = begun({}, customers={"rate": 12.0, "dispersion": 3.0, "mode": "expected"}, markets=4)
    assert (batch.tape.customers == 12.0).all()


def test_seasons_and_trend_multiply_the_rate() -> None:
    calendar = {"weekly": [0.5, 1.0, 2.0], "yearly": {"amplitude": 0.4, "peak": 2.0, "length": 8.0}, "trend": 0.1}
    batch = begun({}, customers={"rate": 10.0, "mode": "expected"} | calendar, horizon=20)
    for t in range(20):
        expected = 10 * [0.5, 1.0, 2.0][t % 3] * (1 + 0.4 * np.cos(2 * np.pi * (t - 2) / 8)) * 1.1**t
        assert batch.tape.customers[0, t] == pytest.approx(expected, rel=1e-12)


def test_the_market_shock_has_mean_one_and_its_deviation_and_persistence() -> None:
    shock = {"sd": 0.5, "persistence": 0.7}
    batch = begun({}, customers={"rate": 10.0, "mode": "expected", "shock": shock}, markets=20_000, horizon=3)
    factor = batch.tape.customers / 10.0
    assert stats.ttest_1samp(factor[:, 2], 1.0).pvalue > LEVEL
    logs = np.log(factor) + 0.125
    for t in (0, 2):
        assert stats.kstest(logs[:, t], stats.norm(0, 0.5).cdf).pvalue > LEVEL
    assert correlation_is(logs[:, 0], logs[:, 1], 0.7) and correlation_is(logs[:, 0], logs[:, 2], 0.49)


def correlation_is(x: np.ndarray, y: np.ndarray, rho: float) -> bool:
    """Fisher's z-test of a correlation."""
    z = (np.arctanh(np.corrcoef(x, y)[0, 1]) - np.arctanh(rho)) * np.sqrt(len(x) - 3)
    return bool(2 * stats.norm.sf(abs(z)) > LEVEL)


def test_xi_has_its_deviation_persistence_and_correlation_between_sellers() -> None:
    shock = {"common": 0.3, "persistence": 0.6}
    batch = begun({"xi": 0.4}, {"xi": 0.0}, {"xi": 1.2}, demand_shock=shock, markets=20_000, horizon=3)
    xi = batch.tape.xi
    for i, sd in enumerate((0.5, 0.3, np.hypot(0.3, 1.2))):
        for t in (0, 2):
            assert stats.kstest(xi[:, t, i], stats.norm(0, sd).cdf).pvalue > LEVEL
        assert correlation_is(xi[:, 0, i], xi[:, 1, i], 0.6) and correlation_is(xi[:, 0, i], xi[:, 2, i], 0.36)
    assert correlation_is(xi[:, 2, 0], xi[:, 2, 2], 0.09 / (0.5 * np.hypot(0.3, 1.2)))
    assert correlation_is(xi[:, 1, 0], xi[:, 1, 1], 0.6)
    assert correlation_is(xi[:, 1, 0] - xi[:, 1, 1], xi[:, 1, 2] - xi[:, 1, 1], 0.0)


def test_events_have_their_frequency_and_mean_length_from_the_first_period_on() -> None:
    sellers = [{"event_frequency": f} for f in (0.26, 0.6, 0.0)]
    batch = begun(*sellers, events={"effect": 1, "mean_length": 2.5, "announced": 2}, markets=20_000, horizon=6)
    event = batch.tape.event.astype(bool)
    assert event.shape == (20_000, 6 + 2 + 1, 3) and not event[:, :, 2].any()
    for i, frequency in enumerate((0.26, 0.6)):
        for t in (0, 1, 8):
            assert stats.binomtest(int(event[:, t, i].sum()), 20_000, frequency).pvalue > LEVEL
        on = event[:, :-1, i]
        assert stats.binomtest(int((on & ~event[:, 1:, i]).sum()), int(on.sum()), 1 / 2.5).pvalue > LEVEL
    both = (event[:, 3, 0] & event[:, 3, 1]).sum()
    assert stats.binomtest(int(both), 20_000, 0.26 * 0.6).pvalue > LEVEL


def test_rows_episodes_and_periods_draw_independently() -> None:
    batch = begun({"xi": 1.0}, markets=4_000, horizon=2)
    first = batch.tape.xi[:, :, 0].copy()
    batch.reset()
    assert correlation_is(first[:-1, 0], first[1:, 0], 0.0)
    assert correlation_is(first[:, 0], first[:, 1], 0.0)
    assert correlation_is(first[:, 0], batch.tape.xi[:, 0, 0], 0.0)


# ------------------------------------------------------------------------------------ what bad input gets


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("price", "order", "message"),
    [
        ([[2, NAN, 2]], [[0, 0, 0]], r"price of seller b \(market 0\): must be a number up to 1e\+12, not nan"),
        ([[2, 2, INF]], [[0, 0, 0]], r"price of seller c"),
        ([[2, 2, 2]], [[0, 0, INF]], r"order of seller c \(market 0\): must be a number up to 1e\+12, not inf"),
        ([[2, 2, 2]], [[1e308, 1e308, 1e308]], "order of seller a"),
        ([[2, 2]], [[0, 0]], r"must have shape \(1, 3\), got \(1, 2\) and \(1, 2\)"),
        ([2, 2, 2], [0, 0, 0], r"must have shape \(1, 3\)"),
    ],
)
def test_decisions_that_are_none_are_refused_and_nothing_happens(price: Any, order: Any, message: str) -> None:
    batch = story()
    before = bits(batch)
    with pytest.raises(UserError, match=message):
        batch.step(np.array(price), np.array(order))
    assert bits(batch) == before


def test_stepping_past_the_end_or_before_the_beginning_is_refused() -> None:
    batch = MarketBatch(MarketSpec.parse(a_market({})), 2)
    with pytest.raises(UserError, match="call reset first"):
        play(batch)
    batch.reset()
    for _ in range(5):
        assert not batch.truncated.any()
        play(batch)
    assert batch.truncated.all()
    with pytest.raises(UserError, match="the episode of 5 periods is over"):
        play(batch)
    batch.reset(rows=batch.truncated)
    play(batch)


@pytest.mark.parametrize("seed", [-1, 1.5, "x", 2**64, True, None, [1, 2, 3], [1, -2], [[1, 2]]])
def test_seeds_that_are_none_are_refused(seed: Any) -> None:
    with pytest.raises(UserError, match="seed: "):
        MarketBatch(MarketSpec.parse(a_market({})), 2, seed)


def test_the_largest_seeds_are_seeds() -> None:
    batch = begun({}, markets=2, seed=2**64 - 1)
    assert batch.state.seed.tolist() == [2**64 - 1, 0]


@pytest.mark.parametrize("rows", [[2], [-1], [0.5], [True], [0, 0], [[0, 1]], ["a"]])
def test_rows_that_are_none_are_refused(rows: Any) -> None:
    with pytest.raises(UserError, match="rows: must be"):
        begun({}, markets=2).reset(rows=rows)


def test_no_markets_are_refused() -> None:
    with pytest.raises(UserError, match="markets: must be at least 1, got 0"):
        MarketBatch(MarketSpec.parse(a_market({})), 0)


def test_a_saved_market_that_does_not_fit_is_refused_and_nothing_is_overwritten() -> None:
    batch, other = story(2), story(3)
    before, saved = bits(batch), batch.save()
    with pytest.raises(UserError, match="saved market: seed does not fit 2 markets of market"):
        batch.load(other.save())
    with pytest.raises(UserError, match="saved market: xi does not fit"):
        batch.load({name: saved[name] for name in saved if name != "xi"})
    with pytest.raises(UserError, match="period must lie between 0 and 6"):
        batch.load(saved | {"period": np.array([0, 7])})
    assert bits(batch) == before


def test_the_callers_arrays_are_left_alone() -> None:
    batch = begun({"prices": [1, 2]}, **EVERYBODY_BUYS)
    customers_come(batch, 3)
    price, order = np.array([[9.0]]), np.array([[2.5]])
    batch.step(price, order)
    assert price.tolist() == [[9.0]] and order.tolist() == [[2.5]]
