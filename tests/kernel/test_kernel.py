"""One period worked by hand, step by step, and the draws against scipy's distributions."""

from __future__ import annotations

from pathlib import Path

import numba
import numpy as np
import pytest
from scipy import stats

from market.kernel import randomness
from market.state import LEDGER, MARKET, SELLER
from tests.helpers.markets import EVERYBODY_BUYS, begun, customers_come, play, serve_in_stages

LEVEL = 0.001  # of significance of every statistical test; the seeds are fixed

BOTH_WAYS = pytest.mark.parametrize("stages", [False, True], ids=["one_by_one", "stages"])


# ------------------------------------------------------------------------------------ 1. arrivals of stock


@pytest.mark.parametrize("lead_time", [0, 1, 3])
def test_an_order_arrives_lead_time_periods_later(lead_time: int) -> None:
    batch = begun({"lead_time": lead_time, "stock": 5})
    customers_come(batch, 0)
    ledgers = [play(batch, order=7 if t == 0 else 0)[0, 0] for t in range(5)]
    assert [entry["received"] for entry in ledgers] == [7 if t == lead_time else 0 for t in range(5)]
    assert [entry["on_hand"] for entry in ledgers] == [12 if t >= lead_time else 5 for t in range(5)]
    assert [entry["on_order"] for entry in ledgers] == [7 if t < lead_time else 0 for t in range(5)]


def test_orders_in_the_pipeline_keep_their_order() -> None:
    batch = begun({"lead_time": 3}, {"lead_time": 1}, horizon=7)
    customers_come(batch, 0)
    orders = np.array([[1, 10], [2, 20], [3, 30], [4, 40], [0, 0], [0, 0], [0, 0]])
    received = np.array([play(batch, order=order)[0]["received"] for order in orders])
    assert received[:, 0].tolist() == [0, 0, 0, 1, 2, 3, 4]
    assert received[:, 1].tolist() == [0, 10, 20, 30, 40, 0, 0]


def test_arrivals_are_on_hand_before_the_next_decision() -> None:
    batch = begun({"lead_time": 1})
    customers_come(batch, 0)
    play(batch, order=7)
    assert batch.state.on_hand[0, 0] == 7 and batch.state.received[0, 0] == 7 and batch.on_order[0, 0] == 0


# ------------------------------------------------------------------------------------ 2. decisions


def test_prices_are_kept_inside_each_sellers_range() -> None:
    batch = begun({}, {"prices": [2, 5]})
    assert play(batch, price=[0.5, 9.0])[0]["price"].tolist() == [1.0, 5.0]
    assert play(batch, price=[3.5, 1.0])[0]["price"].tolist() == [3.0, 2.0]


@pytest.mark.parametrize(("asked", "ordered"), [(-3, 0), (2.4, 2), (2.5, 3), (3, 3)])
def test_orders_are_whole_units_and_not_negative(asked: float, ordered: float) -> None:
    assert play(begun({}), order=asked)["ordered"] == ordered


def test_orders_are_any_amount_in_the_fluid_limit() -> None:
    batch = begun({}, customers={"mode": "expected"})
    assert play(batch, order=2.4)["ordered"] == 2.4 and play(batch, order=-2.4)["ordered"] == 0


# ------------------------------------------------------------------------------------ 3. customers


@BOTH_WAYS
@pytest.mark.parametrize(
    ("stock", "basket", "customers", "sold", "lost"),
    [
        (5, 1, 3, 3, 0),
        (5, 1, 5, 5, 0),
        (5, 1, 7, 5, 2),
        (0, 1, 4, 0, 4),
        (5, 2, 2, 4, 0),
        (5, 2, 3, 5, 1),
        (5, 2, 4, 5, 3),
    ],
)
def test_what_is_wanted_and_not_in_stock_is_lost(stages, stock, basket, customers, sold, lost) -> None:
    """One seller and no outside option: every customer wants it; the last basket may be partial."""
    batch = begun({"stock": stock}, customers={"basket": basket}, **EVERYBODY_BUYS)
    serve_in_stages(batch, stages)
    customers_come(batch, customers)
    entry = play(batch)[0, 0]
    assert (entry["sold"], entry["lost"], entry["on_hand_left"]) == (sold, lost, stock - sold)
    assert entry["market_size"] == customers * basket


@BOTH_WAYS
@pytest.mark.parametrize("substitution", [0.0, 1.0])
def test_who_finds_its_seller_empty_goes_to_the_rival_or_home(stages: bool, substitution: float) -> None:
    batch = begun({"stock": 0}, {"stock": 100}, customers={"substitution": substitution}, **EVERYBODY_BUYS, markets=50)
    serve_in_stages(batch, stages)
    customers_come(batch, 10)
    ledger = play(batch)
    lost, sold = ledger["lost"][:, 0], ledger["sold"][:, 1]
    assert (sold == (10 if substitution else 10 - lost)).all()
    assert lost.min() < lost.max() <= 10 and (ledger["lost"][:, 1] == 0).all()


@BOTH_WAYS
def test_when_all_are_sold_out_every_customer_is_one_lost_sale(stages: bool) -> None:
    """Also after a period in which customers went to the rival: nothing of it is remembered."""
    batch = begun({"stock": 0}, {"stock": 99}, **EVERYBODY_BUYS, markets=20)
    serve_in_stages(batch, stages)
    customers_come(batch, 8)
    assert (play(batch)["sold"].sum(1) == 8).all()
    batch.state.on_hand[:] = 0
    ledger = play(batch)
    assert (ledger["sold"] == 0).all() and (ledger["lost"].sum(1) == 8).all()


@BOTH_WAYS
def test_with_no_outside_option_even_a_hopeless_offer_sells_when_it_is_the_last(stages: bool) -> None:
    batch = begun({"stock": 0}, {"stock": 100, "prices": [1, 2000]}, **EVERYBODY_BUYS)
    serve_in_stages(batch, stages)
    customers_come(batch, 10)
    assert play(batch, price=[2, 2000])[0]["sold"].tolist() == [0, 10]


def fluid(stocks: list[float], come: float, **changes) -> tuple[list[float], list[float]]:
    """What is sold and lost in one period of equally attractive sellers in expected mode."""
    behaviour = {"mode": "expected", "rate": come} | changes.pop("customers", {})
    ledger = play(begun(*({"stock": stock} for stock in stocks), customers=behaviour, **changes))[0]
    return ledger["sold"], ledger["lost"]


HALF = {"customers": {"substitution": 0.5}}


@pytest.mark.parametrize(
    ("stocks", "customers", "market", "sold", "lost"),
    [
        ([10, 10], 20, {}, [20 / 3, 20 / 3], [0, 0]),  # thirds: a, b, outside
        ([10, 10], 20, {"outside": "none"}, [10, 10], [0, 0]),
        ([4, 99], 20, {"outside": "none"}, [4, 16], [6, 0]),  # a is out after .4 of the period, its 6 go to b
        ([4, 99], 20, {"outside": "none"} | HALF, [4, 13], [6, 0]),  # 3 of the 6
        ([4, 99], 30, {}, [4, 13], [6, 0]),  # of a's 6, b and the outside option get half each
        (
            [4, 12],
            20,
            {"outside": "none"},
            [4, 12],
            [6, 2],
        ),  # b: 4 + 6 + 6 wanted; 8 of the last 12 served, 2 of its 6 lost
        # a out at .4; then b is asked for 6 + 3 and has 4, c sells 4 beside; the rest, 10/3 + 20/3, is c's
        ([4, 8, 99], 30, {"outside": "none"}, [4, 8, 18], [6, 10 / 3, 0]),
        # as before with half of the turned away: b is asked for 6 + 1.5 and has 4; then 2.8 + 5.6 / 2 at c
        ([4, 8, 99], 30, {"outside": "none"} | HALF, [4, 8, 13.6], [6, 2.8, 0]),
        ([4, 4, 99], 30, {"outside": "none"}, [4, 4, 22], [6, 6, 0]),  # two run out at the same moment
        ([4, 4, 99], 30, {"outside": "none"} | HALF, [4, 4, 16], [6, 6, 0]),
        ([0, 0, 99], 30, {"outside": "none"}, [0, 0, 30], [10, 10, 0]),
    ],
)
def test_fluid_stages_worked_by_hand(stocks, customers, market, sold, lost) -> None:
    got_sold, got_lost = fluid(stocks, customers, **market)
    np.testing.assert_allclose(got_sold, sold, rtol=1e-13)
    np.testing.assert_allclose(got_lost, lost, rtol=1e-13, atol=1e-13)


def test_fluid_baskets_count_in_units() -> None:
    sold, lost = fluid([4, 99], 8, customers={"basket": 2.5}, outside="none")  # as 20 units of one
    np.testing.assert_allclose([sold, lost], [[4, 16], [6, 0]], rtol=1e-13, atol=1e-13)


# ------------------------------------------------------------------------------------ 4. accounts


def test_every_cost_of_a_period_worked_by_hand() -> None:
    """On hand 10 + 7 ordered, 12 sold, 5 left: 12 x 2.5 - 7 x 1 - 3 - 5 x .5 - 0 - 4."""
    costs = {"order_cost": 3.0, "holding_cost": 0.5, "stockout_cost": 0.25, "price_change_cost": 4.0}
    batch = begun({"stock": 10, "reward_scale": 2.0} | costs, **EVERYBODY_BUYS)
    customers_come(batch, 12)
    first, second = play(batch, price=2.5, order=7)[0, 0], play(batch, price=2.5)[0, 0]
    names = ("revenue", "purchase_cost", "order_cost", "holding_cost", "stockout_cost", "price_change_cost", "profit")
    assert [first[name] for name in names] == [30, 7, 3, 2.5, 0, 4, 13.5]
    # then 5 on hand for 12 customers, no order, the same price: 5 x 2.5 - 7 x .25
    assert [second[name] for name in names] == [12.5, 0, 0, 0, 1.75, 0, 10.75]
    assert batch.reward[0, 0] == 10.75 / 2.0


@pytest.mark.parametrize(
    ("start", "posted", "cost"), [(None, 2.0, 0), (None, 2.5, 4), (2.5, 2.5, 0), (2.5, 2.0, 4), (3, 9, 0)]
)
def test_the_first_price_is_a_change_from_the_price_on_the_shelf(start, posted, cost) -> None:
    """The shelf shows start_price, or the middle of the range; what counts is the price kept inside the range."""
    batch = begun({"price_change_cost": 4.0, "start_price": start})
    assert play(batch, price=posted)["price_change_cost"] == cost
    assert play(batch, price=posted)["price_change_cost"] == 0


def test_goods_in_transit_are_paid_when_ordered_and_held_when_arrived() -> None:
    batch = begun({"lead_time": 1, "holding_cost": 0.5})
    customers_come(batch, 0)
    first, second = play(batch, order=6)[0, 0], play(batch)[0, 0]
    assert (first["purchase_cost"], first["holding_cost"]) == (6, 0)
    assert (second["purchase_cost"], second["holding_cost"]) == (0, 3)


@pytest.mark.parametrize("mode", ["sampled", "expected"])
def test_made_to_order_sells_what_is_wanted_and_pays_for_it(mode: str) -> None:
    seller = {"order_up_to": [0, 0], "unit_cost": 1.5}
    batch = begun(seller, inventory="make_to_order", customers={"mode": mode}, **EVERYBODY_BUYS)
    customers_come(batch, 20)
    entry = play(batch, price=2.5, order=99)[0, 0]
    assert [entry[name] for name in ("sold", "ordered", "received", "lost", "on_hand_left")] == [20, 20, 20, 0, 0]
    assert (entry["revenue"], entry["purchase_cost"], entry["profit"]) == (50, 30, 20)


# ------------------------------------------------------------------------------------ draws


@numba.njit
def _fill(draw, random, out, a, b, c):
    for k in range(out.shape[0]):
        out[k] = draw(random, 0, a, b, c)


@numba.njit
def _poisson(random, m, a, b, c):
    return randomness.poisson(random, m, a)


@numba.njit
def _binomial(random, m, a, b, c):
    return randomness.binomial(random, m, a, b)


@numba.njit
def _hypergeometric(random, m, a, b, c):
    return randomness.hypergeometric(random, m, a, b, c)


@numba.njit
def _normal(random, m, a, b, c):
    return randomness.normal(random, m)


@numba.njit
def _gamma(random, m, a, b, c):
    return randomness.gamma(random, m, a)


@numba.njit
def _beta(random, m, a, b, c):
    return randomness.beta(random, m, a, b)


def draws(sampler, *parameters: float, size: int = 40_000) -> np.ndarray:
    """Draws from one stream of the kernel's generator."""
    out = np.empty(size)
    _fill(sampler, np.array([2024], np.uint64), out, *(*parameters, 0.0, 0.0, 0.0)[:3])
    return out


def chi_square(values: np.ndarray, law) -> float:
    """P-value of whole-number draws under a discrete law, in cells of expectation 10 and more."""
    edges = np.unique(law.ppf(np.linspace(0, 1, 41)[1:-1]))
    expected = len(values) * np.diff(np.concatenate(([0.0], law.cdf(edges), [1.0])))
    observed = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
    while expected[-1] < 10:
        expected, observed = (np.append(x[:-2], x[-2:].sum()) for x in (expected, observed))
    return float(stats.chisquare(observed, expected).pvalue)


@pytest.mark.parametrize("mean", [0.3, 5, 9.99, 10, 60, 5000])
def test_poisson(mean: float) -> None:
    values = draws(_poisson, float(mean))
    assert (values == np.rint(values)).all()
    assert chi_square(values, stats.poisson(mean)) > LEVEL


@pytest.mark.parametrize(
    ("n", "p"), [(1, 0.5), (7, 0.2), (20, 0.9), (19, 0.5), (20, 0.5), (40, 0.26), (500, 0.3), (5000, 0.98)]
)
def test_binomial(n: int, p: float) -> None:
    values = draws(_binomial, float(n), p)
    assert values.min() >= 0 and values.max() <= n and (values == np.rint(values)).all()
    assert chi_square(values, stats.binom(n, p)) > LEVEL


@pytest.mark.parametrize(
    ("n", "p", "certain"), [(0, 0.5, 0), (9, 0.0, 0), (9, -1e-17, 0), (9, 1.0, 9), (9, 1 + 1e-15, 9)]
)
def test_binomial_at_its_ends(n: int, p: float, certain: int) -> None:
    assert (draws(_binomial, float(n), p, size=100) == certain).all()


@pytest.mark.parametrize(
    ("marked", "others", "drawn"),
    [
        (5, 5, 4),
        (3, 20, 10),
        (40, 2, 30),
        (6, 0, 4),
        (4000, 9000, 5000),
        (70_000, 30_000, 90_000),
        (3, 9_000, 5_000),
        (9_000, 9, 9_004),
        (900_000, 500_000, 20_000),
    ],
)
def test_hypergeometric(marked: int, others: int, drawn: int) -> None:
    values = draws(_hypergeometric, float(marked), float(others), float(drawn))
    if others == 0:
        assert (values == drawn).all()
    else:
        assert chi_square(values, stats.hypergeom(marked + others, marked, drawn)) > LEVEL


def test_normal() -> None:
    assert stats.kstest(draws(_normal), "norm").pvalue > LEVEL


@pytest.mark.parametrize("shape", [0.3, 1.0, 20.0])
def test_gamma(shape: float) -> None:
    assert stats.kstest(draws(_gamma, shape), stats.gamma(shape).cdf).pvalue > LEVEL


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (4.0, 1.0), (3.0, 18.0)])
def test_beta(a: float, b: float) -> None:
    assert stats.kstest(draws(_beta, a, b), stats.beta(a, b).cdf).pvalue > LEVEL


def test_uniform_numbers_lie_strictly_inside_0_and_1() -> None:
    assert randomness.unit(np.uint64(2**64 - 1)) < 1 and randomness.unit(np.uint64(0)) == 0
    values = draws(_uniform)
    assert values.min() > 0 and values.max() < 1 and stats.kstest(values, "uniform").pvalue > LEVEL


@numba.njit
def _uniform(random, m, a, b, c):
    return randomness.uniform(random, m)


def test_streams_differ_in_every_part_of_their_key() -> None:
    parts = [(s, e, t, p) for s in (0, 1, 7) for e in range(20) for t in range(50) for p in (1, 2)]
    keys = {randomness.key(np.uint64(s), e, t, np.uint64(p)) for s, e, t, p in parts}
    assert len(keys) == len(parts)


# ------------------------------------------------------------------------------------ records


def test_records_are_aligned_and_a_market_saved_without_goes_on_to_the_bit(tmp_path: Path) -> None:
    """numpy files do not keep alignment: what they hold is what was saved before records had it."""
    assert all(record.isalignedstruct for record in (MARKET, SELLER, LEDGER))
    batch, other = (begun({"stock": 5}, {"xi": 0.3}, seed=3) for _ in range(2))
    play(batch, price=1.5, order=9)
    np.savez(tmp_path / "saved.npz", **batch.save())
    with np.load(tmp_path / "saved.npz") as saved:
        assert not saved["ledger"].dtype.isalignedstruct and saved["ledger"].dtype == LEDGER
        other.load(saved)
    assert other.ledger.tobytes() == batch.ledger.tobytes() and other.ledger.dtype.isalignedstruct
    assert play(other, order=4).tobytes() == play(batch, order=4).tobytes()
