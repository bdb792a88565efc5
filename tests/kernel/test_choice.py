"""Whom customers choose: closed formulas, and who buys when sellers run out, against an independent simulation.

The reference plays customers one at a time in plain Python, in the words of the model. It does not use the
formula for a second choice but what it must achieve, by rejection: see :func:`second_choice`.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from itertools import accumulate

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp

from tests.helpers.markets import begun, customers_come, play, serve_in_stages

LEVEL = 0.001  # of significance of every statistical test; the seeds are fixed

BOTH_WAYS = pytest.mark.parametrize("stages", [False, True], ids=["one_by_one", "stages"])


def nested_logit(utility: np.ndarray, outside: float, nest: float) -> np.ndarray:
    """Probability of every seller (Train 2009, ch. 4), utilities of -inf for those who are not offered."""
    inclusive = logsumexp(utility / (1 - nest))
    buys = np.exp((1 - nest) * inclusive - np.logaddexp((1 - nest) * inclusive, outside))
    return buys * np.exp(utility / (1 - nest) - inclusive)


def in_stock(utility, left) -> np.ndarray:
    return np.where(np.asarray(left) > 0, utility, -np.inf)


# ------------------------------------------------------------------------------------ first choices


@pytest.mark.parametrize("nest", [0.0, 0.5, 0.95])
@pytest.mark.parametrize("outside", [0.0, -1.5, "none"])
@pytest.mark.parametrize("price_form", ["linear", "log"])
def test_shares_follow_the_closed_formula(nest: float, outside, price_form: str) -> None:
    sellers = [{"quality": q, "order_up_to": [0, 0], "xi": 0.4} for q in (1.0, -0.5, 2.0)]
    sellers[1]["event_frequency"] = 0.5
    batch = begun(
        *sellers,
        price_sensitivity=1.7,
        nest=nest,
        outside=outside,
        price_form=price_form,
        events={"effect": 0.8, "mean_length": 2},
        inventory="make_to_order",
        customers={"mode": "expected", "rate": 1.0},
        markets=20,
    )
    price = np.array([1.2, 2.0, 2.9])
    utility = np.array([1.0, -0.5, 2.0]) - 1.7 * (np.log(price) if price_form == "log" else price)
    utility = utility + batch.tape.xi[:, 0] + 0.8 * batch.tape.event[:, 0]
    expected = [nested_logit(u, -np.inf if outside == "none" else outside, nest) for u in utility]
    np.testing.assert_allclose(play(batch, price=price)["sold"], expected, rtol=1e-12)


@BOTH_WAYS
@pytest.mark.parametrize("nest", [0.0, 0.5])
def test_sampled_first_choices_have_the_shares(stages: bool, nest: float) -> None:
    batch = begun(*({"quality": q, "stock": 999} for q in (2.5, 1.5, 2.0)), nest=nest, markets=5_000)
    serve_in_stages(batch, stages)
    customers_come(batch, 20)
    sold = play(batch)["sold"].sum(0)
    shares = nested_logit(np.array([0.5, -0.5, 0.0]), 0.0, nest)
    observed, chances = np.append(sold, 100_000 - sold.sum()), np.append(shares, 1 - shares.sum())
    assert stats.chisquare(observed, chances * 100_000).pvalue > LEVEL


@BOTH_WAYS
@pytest.mark.parametrize("outside", [0.0, "none"])
@pytest.mark.parametrize("nest", [0.0, 0.99])
@pytest.mark.parametrize("quality", [(92, 92), (92, -88), (-88, -88), (-88, 92)])
@pytest.mark.parametrize("mode", ["sampled", "expected"])
def test_extreme_utilities_are_served_with_finite_numbers(quality, nest, outside, stages, mode) -> None:
    """Utilities of +-90: the better of two has all customers until it is sold out, then the other, if that beats nothing."""
    sellers = [{"quality": q, "stock": 3} for q in quality]
    batch = begun(*sellers, nest=nest, outside=outside, customers={"mode": mode})
    serve_in_stages(batch, stages)
    customers_come(batch, 10)
    entry = play(batch)[0]
    assert np.isfinite(np.array(entry.tolist())).all()
    buyable = sum(3 for q in quality if q > 0 or outside == "none")
    np.testing.assert_allclose(entry["sold"].sum(), buyable, atol=1e-12)


# ------------------------------------------------------------------------------------ one seller has no stock


@BOTH_WAYS
@pytest.mark.parametrize("nest", [0.0, 0.16, 0.5])
@pytest.mark.parametrize("outside", [0.0, "none"])
def test_buyers_choose_as_if_only_the_sellers_in_stock_were_offered(stages: bool, nest: float, outside) -> None:
    """substitution = 1: what second choices must add up to (chi-square)."""
    quality, stock = np.array([3.0, 1.5, 2.0]), [0, 999, 999]
    sellers = [{"quality": q, "stock": s} for q, s in zip(quality, stock, strict=True)]
    batch = begun(*sellers, nest=nest, outside=outside, markets=5_000)
    serve_in_stages(batch, stages)
    customers_come(batch, 20)
    ledger = play(batch)
    sold, lost = ledger["sold"].sum(0), ledger["lost"].sum(0)
    outside = -np.inf if outside == "none" else outside
    offered = nested_logit(in_stock(quality - 2, stock), outside, nest)
    home = [] if outside == -np.inf else [1 - offered.sum()]
    observed = np.append(sold[1:], 100_000 - sold.sum()) if home else sold[1:]
    assert stats.chisquare(observed, np.append(offered[1:], home) * 100_000).pvalue > LEVEL
    assert stats.binomtest(int(lost[0]), 100_000, nested_logit(quality - 2, outside, nest)[0]).pvalue > LEVEL


@pytest.mark.parametrize("nest", [0.0, 0.5, 0.99])
def test_the_fluid_limit_chooses_as_if_only_the_sellers_in_stock_were_offered(nest: float) -> None:
    """At .99 the others weigh e^-800 of the best seller, who is out: no more than nothing, were it not for the care taken."""
    quality, stock = np.array([12.0, 3.99, 4.0]), [0, 999, 999]
    sellers = [{"quality": q, "stock": s} for q, s in zip(quality, stock, strict=True)]
    sold = play(begun(*sellers, nest=nest, customers={"mode": "expected"}))["sold"][0]
    np.testing.assert_allclose(sold, 20 * nested_logit(in_stock(quality - 2, stock), 0.0, nest), rtol=1e-12)


@pytest.mark.parametrize("nest", [0.0, 0.5])
def test_the_fluid_limit_is_where_many_customers_tend_to(nest: float) -> None:
    """A million customers, two of three sellers bind: within 6 standard deviations of a count of a million."""
    sellers = [{"quality": q, "stock": s} for q, s in ((2.5, 150_000), (2, 150_000), (1.8, 900_000))]
    ledgers = []
    for mode in ("sampled", "expected"):
        batch = begun(*sellers, nest=nest, customers={"mode": mode, "rate": 1e6, "substitution": 0.4})
        customers_come(batch, 1e6)
        ledgers.append(play(batch)[0])
    for field in ("sold", "lost"):
        np.testing.assert_allclose(ledgers[0][field], ledgers[1][field], atol=6 * 500)
    assert (ledgers[1]["lost"] > 10_000).tolist() == [True, True, False]


# ------------------------------------------------------------------------------------ sellers run out midway


def reference(rng, utility, nest: float, stock, basket: int, customers: int, substitution: float) -> tuple:
    """(sold, lost) of every seller in one period, customers one at a time, in the words of the model."""
    n, left, lost = len(utility), list(stock), [0] * len(utility)
    for _ in range(customers):
        choice = draw(rng, shares(utility, (True,) * n, nest))
        if choice == n:
            continue
        if left[choice] == 0:
            lost[choice] += basket
            choice = second_choice(rng, utility, nest, left) if rng.random() < substitution else n
            if choice == n:
                continue
        taken = min(basket, left[choice])
        left[choice] -= taken
        lost[choice] += basket - taken
    return (*(int(s - x) for s, x in zip(stock, left, strict=True)), *lost)


@lru_cache
def shares(utility: tuple, offered: tuple, nest: float) -> list[float]:
    """Probability of every seller, and of the outside option last, when some are offered."""
    sellers = nested_logit(np.where(offered, utility, -np.inf), 0.0, nest).tolist()
    return [*sellers, 1 - sum(sellers)]


def draw(rng, probability: list[float]) -> int:
    """The number of an option."""
    u = rng.random()
    return next((k for k, total in enumerate(accumulate(probability)) if u < total), len(probability) - 1)


def second_choice(rng, utility, nest: float, left) -> int:
    """Buyers must come out as (nested) logit over the sellers left, so draw until the first choice is not among them.

    Rejection instead of the formula: a customer is drawn anew from P(k | S) and kept with the probability that its
    first choice was sold out given that it picks k among S: 1 - P(k | A) / P(k | S).
    """
    if not any(left):
        return len(utility)
    n = len(utility)
    everyone, offered = shares(utility, (True,) * n, nest), shares(utility, tuple(x > 0 for x in left), nest)
    while True:
        choice = draw(rng, offered)
        if rng.random() < 1 - everyone[choice] / offered[choice]:
            return choice


def same_law(one: Counter, other: Counter, least: int = 20) -> float:
    """P-value that two histograms of outcomes come from one law; rare outcomes share a cell."""
    cells = {}
    for outcome in one.keys() | other.keys():
        cell = outcome if one[outcome] + other[outcome] >= least else "rare"
        was = cells.get(cell, (0, 0))
        cells[cell] = (was[0] + one[outcome], was[1] + other[outcome])
    return float(stats.chi2_contingency(np.array(list(cells.values())).T).pvalue)


def outcomes(sellers, stages: bool, come: int, rows: int, seed: int, **market) -> Counter:
    """How often every joint outcome (sold and lost of all sellers) comes about."""
    batch = begun(*sellers, markets=rows, seed=seed, horizon=1, **market)
    serve_in_stages(batch, stages)
    customers_come(batch, come)
    ledger = play(batch)
    return Counter(map(tuple, np.hstack([ledger["sold"], ledger["lost"]]).astype(int).tolist()))


MIDWAY = pytest.mark.parametrize(
    ("stock", "basket", "come", "nest", "substitution"),
    [
        ((3, 50), 1, 8, 0.0, 1.0),
        ((3, 4), 1, 9, 0.0, 0.4),
        ((4, 5), 3, 6, 0.5, 1.0),
        ((0, 2, 50), 1, 7, 0.5, 0.4),
        ((2, 3, 4), 1, 9, 0.5, 1.0),
        ((4, 5, 50), 3, 6, 0.0, 0.4),
        ((2, 2, 50), 1, 8, 0.5, 0.0),
        ((0, 3, 3), 1, 9, 0.0, 0.4),
        ((0, 1, 2), 1, 6, 0.8, 0.4),
    ],
)


def midway(stock) -> list[dict]:
    return [{"quality": q, "stock": s} for q, s in zip((2.8, 2.4, 2.0), stock, strict=False)]


@MIDWAY
def test_stages_equal_customer_by_customer_in_distribution(stock, basket, come, nest, substitution) -> None:
    market = {"nest": nest, "customers": {"basket": basket, "substitution": substitution}}
    rows = 150_000
    one_by_one = outcomes(midway(stock), False, come, rows, 1, **market)
    stages = outcomes(midway(stock), True, come, rows, 10**9, **market)
    assert same_law(one_by_one, stages) > LEVEL


@BOTH_WAYS
@pytest.mark.parametrize(
    ("stock", "basket", "come", "nest", "substitution"),
    [((3, 4), 1, 8, 0.0, 0.4), ((0, 2, 50), 1, 6, 0.5, 0.4), ((2, 3, 4), 3, 4, 0.5, 1.0)],
)
def test_both_ways_equal_an_independent_simulation(stages, stock, basket, come, nest, substitution) -> None:
    rng, utility = np.random.default_rng(5), (0.8, 0.4, 0.0)[: len(stock)]
    independent = Counter(reference(rng, utility, nest, stock, basket, come, substitution) for _ in range(10_000))
    market = {"nest": nest, "customers": {"basket": basket, "substitution": substitution}}
    assert same_law(independent, outcomes(midway(stock), stages, come, 100_000, 3, **market)) > LEVEL


@pytest.mark.parametrize("nest", [0.0, 0.5])
def test_many_customers_have_the_same_means_and_variances_both_ways(nest: float) -> None:
    """Large counts use the rejection samplers: 400 customers, two sellers bind, z-tests of means and variances."""
    sellers = [{"quality": q, "stock": s} for q, s in ((2.6, 90), (2.2, 110), (2.0, 999))]
    found = []
    for stages in (False, True):
        batch = begun(
            *sellers, nest=nest, customers={"substitution": 0.4}, markets=20_000, seed=10**6 * stages, horizon=1
        )
        serve_in_stages(batch, stages)
        customers_come(batch, 400)
        ledger = play(batch)
        found.append(np.hstack([ledger["sold"][:, 2:], ledger["lost"][:, :2]]))
    one, other = found
    assert (stats.ttest_ind(one, other).pvalue > LEVEL).all()
    spread = [(x - x.mean(0)) ** 2 for x in found]
    assert (stats.ttest_ind(*spread).pvalue > LEVEL).all()


# ------------------------------------------------------------------------------------ relabelling


@pytest.mark.parametrize("nest", [0.0, 0.5])
def test_relabelling_the_sellers_permutes_what_happens(nest: float) -> None:
    """Expected mode, three periods with stockouts and orders under way."""
    sellers = [
        {"name": "a", "quality": 2.6, "stock": 4, "lead_time": 1, "holding_cost": 0.1},
        {"name": "b", "quality": 2.2, "stock": 2, "lead_time": 0, "stockout_cost": 0.3, "prices": [1, 4]},
        {"name": "c", "quality": 2.0, "stock": 9, "lead_time": 2, "unit_cost": 1.2},
    ]
    price, order = np.array([1.9, 2.1, 1.7]), np.array([5.0, 1.0, 3.0])
    permutation = [2, 0, 1]
    market = {"nest": nest, "customers": {"mode": "expected", "substitution": 0.7}}
    batch, relabelled = begun(*sellers, **market), begun(*(sellers[k] for k in permutation), **market)
    for _ in range(3):
        ledger = play(batch, price, order)[0][permutation]
        other = play(relabelled, price[permutation], order[permutation])[0]
        np.testing.assert_allclose(other.tolist(), ledger.tolist(), rtol=1e-12, atol=1e-12)
        assert ledger["lost"].max() > 0
