"""Every measure against numbers worked out by hand, and against the market's own accounts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market import metrics
from market.batch import MarketBatch
from market.errors import Refusal
from market.layout import LEDGER
from market.spec import MarketSpec, read_yaml

CONFIGS = Path(__file__).parents[1] / "configs"
DUOPOLY, CALVANO = (MarketSpec.load(CONFIGS / f"{name}.yaml") for name in ("duopoly", "calvano"))
ONE_TO_TEN = [4.0, 10.0, 1.0, 7.0, 3.0, 2.0, 9.0, 5.0, 8.0, 6.0]


def test_service() -> None:
    assert metrics.stockout_rate([0, 2, 0, 1]) == 0.5
    assert metrics.fill_rate([8, 10], [2, 0]) == 0.9
    assert metrics.market_share([3, 5], [10, 30]) == 0.2


def test_inventory_turnover() -> None:
    per_period = metrics.inventory_turnover(sold=[6, 4], on_hand=[10, 8], on_hand_left=[4, 4])
    assert per_period == pytest.approx(5 / 6.5)
    assert 52 * per_period == pytest.approx(40)


def test_bullwhip() -> None:
    assert metrics.bullwhip([0, 8, 0, 8], [3, 5, 3, 5], [0, 0, 0, 0]) == 16
    demand = np.array([2.0, 9.0, 4.0, 4.0, 7.0, 2.0])
    assert metrics.bullwhip(np.roll(demand, 1), demand - 1, np.ones(6)) == pytest.approx(1)


def test_ratios_of_nothing_are_not_numbers() -> None:
    nothing = np.zeros((3, 2))
    for ratio in (
        metrics.fill_rate(nothing, nothing),
        metrics.market_share(nothing, nothing),
        metrics.inventory_turnover(nothing, nothing, nothing),
        metrics.bullwhip(nothing, nothing + 4, nothing),
    ):
        assert np.isnan(ratio).tolist() == [True, True]


def test_volatility() -> None:
    assert metrics.volatility([1, 3, 1, 3]) == 1
    assert metrics.volatility([[1, 5], [3, 5]]).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("level", "var", "cvar"),
    [(0.25, 3.0, 1.8), (0.2, 2.0, 1.5), (0.1, 1.0, 1.0), (0.05, 1.0, 1.0), (0.3, 3.0, 2.0), (1.0, 10.0, 5.5)],
)
def test_tail_risk(level: float, var: float, cvar: float) -> None:
    assert metrics.value_at_risk(ONE_TO_TEN, level) == var
    assert metrics.conditional_value_at_risk(ONE_TO_TEN, level) == pytest.approx(cvar)


def test_tail_risk_is_not_misled_by_rounding() -> None:
    """0.07 x 100 is 7.000000000000001 in floating point, and 7 outcomes are meant."""
    outcomes = np.arange(100.0)
    assert metrics.value_at_risk(outcomes, 0.07) == 6
    assert metrics.conditional_value_at_risk(outcomes, 0.07) == pytest.approx(3)


def test_tail_risk_along_an_axis() -> None:
    table = np.stack([ONE_TO_TEN, np.array(ONE_TO_TEN) + 100], axis=1)
    assert metrics.value_at_risk(table, 0.25).tolist() == [3, 103]
    assert metrics.conditional_value_at_risk(table.T, 0.25, axis=1) == pytest.approx([1.8, 101.8])


@given(st.lists(st.integers(-1_000_000, 1_000_000), min_size=1, max_size=40), st.floats(0.01, 1))
@settings(max_examples=100, deadline=None)
def test_tail_risk_is_ordered_and_coherent(profits: list[int], level: float) -> None:
    outcomes = np.array(profits) / 100
    var, cvar = metrics.value_at_risk(outcomes, level), metrics.conditional_value_at_risk(outcomes, level)
    slack = 1e-9 * (1 + np.abs(outcomes).max())
    assert outcomes.min() - slack <= cvar <= var + slack
    assert cvar <= outcomes.mean() + slack
    # Rockafellar & Uryasev: CVaR is the greatest of v - E[(v - X)+] / level, reached at v = VaR
    shortfall = np.maximum(var - outcomes, 0).mean() / level
    assert cvar == pytest.approx(var - shortfall, abs=1e-6 * (1 + np.abs(outcomes).max()))


@pytest.mark.parametrize(("level", "outcomes"), [(0.0, [1.0]), (1.5, [1.0]), (0.05, [])])
def test_tail_risk_refusals(level: float, outcomes: list[float]) -> None:
    for measure in (metrics.value_at_risk, metrics.conditional_value_at_risk):
        with pytest.raises(Refusal, match="level: must be|at least one outcome"):
            measure(outcomes, level)


def test_maximum_drawdown() -> None:
    assert metrics.maximum_drawdown([5, -3, 1, -4, 6]) == 6
    assert metrics.maximum_drawdown([-2, -3, 9]) == 5
    assert metrics.maximum_drawdown([1, 0, 4]) == 0
    assert metrics.maximum_drawdown([[1, -1], [-4, -1], [9, -1]]).tolist() == [4, 3]


def test_probability_of_loss() -> None:
    assert metrics.probability_of_loss([4, -1, 0, 2]) == 0.25


# ------------------------------------------------------------------------------------------------ episodes


def worked_example() -> tuple[MarketSpec, np.ndarray]:
    """Unit cost 2, opening stock 10; see the docstring of ``episode_profit``."""
    data = read_yaml(CONFIGS / "monopoly.yaml")["market"]
    data["sellers"][0] |= {"unit_cost": 2.0, "prices": [3, 6], "quality": 10.0, "stock": 10}
    ledger = np.zeros((2, 1, 1), LEDGER)
    ledger["profit"][:, 0, 0] = 22, 7
    ledger["on_hand_left"][:, 0, 0] = 4, 3
    ledger["on_order"][:, 0, 0] = 4, 9
    return MarketSpec.parse(data), ledger


def test_episode_profit_worked_example() -> None:
    spec, ledger = worked_example()
    assert metrics.episode_profit(ledger, spec, salvage=0.5) == [[31]]
    assert metrics.episode_profit(ledger, spec, warm_up=1, salvage=0.5) == [[11]]
    assert metrics.episode_profit(ledger, spec, salvage=0.0) == [[29]]
    assert metrics.stock_change(ledger, spec) == [[2]]


def test_a_dictionary_is_a_ledger_too() -> None:
    spec, ledger = worked_example()
    plain = {field: ledger[field] for field in LEDGER.names or ()}
    assert metrics.episode_profit(plain, spec, 1, 0.5) == [[11]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"warm_up": 2}, "warm_up: must be at least 0 and below the 2 periods played, got 2"),
        ({"warm_up": -1}, "warm_up: must be at least 0"),
        ({"salvage": 1.2}, "salvage: must be from 0 to 1"),
        ({"salvage": float("nan")}, "salvage: must be from 0 to 1"),
    ],
)
def test_episode_profit_refusals(change: dict[str, Any], message: str) -> None:
    spec, ledger = worked_example()
    with pytest.raises(Refusal, match=message):
        metrics.episode_profit(ledger, spec, **change)


def played(spec: MarketSpec, markets: int = 8, periods: int = 60, seed: int = 0) -> np.ndarray:
    """The ledger (T, M, N) of random play."""
    batch, rng = MarketBatch(spec, markets, seed), np.random.default_rng(seed)
    batch.reset()
    shape = markets, len(spec.sellers)
    return np.stack([batch.step(rng.uniform(1, 3, shape), rng.uniform(0, 15, shape)).copy() for _ in range(periods)])


@pytest.mark.parametrize("lead_time", [0, 1, 3])
@pytest.mark.parametrize("warm_up", [0, 1, 17])
def test_at_full_salvage_goods_cost_when_sold(lead_time: int, warm_up: int) -> None:
    """Purchases less the growth of stock are the units sold, so profit is margins less the other costs."""
    data = read_yaml(CONFIGS / "duopoly.yaml")["market"]
    data["sellers"][0]["lead_time"] = lead_time
    spec = MarketSpec.parse(data)
    ledger = played(spec)
    counted = ledger[warm_up:]
    costs = sum(counted[name] for name in ("order_cost", "holding_cost", "stockout_cost", "price_change_cost"))
    margins = counted["revenue"] - 1.0 * counted["sold"] - costs
    assert metrics.episode_profit(ledger, spec, warm_up, 1.0) == pytest.approx(margins.sum(axis=0))


def test_made_to_order_has_no_stock_to_credit() -> None:
    ledger = played(CALVANO)
    assert np.array_equal(metrics.stock_change(ledger, CALVANO), np.zeros((8, 2)))
    assert np.array_equal(metrics.episode_profit(ledger, CALVANO), ledger["profit"].sum(axis=0))


def test_summary() -> None:
    ledger = played(DUOPOLY)
    got = metrics.summary(ledger, DUOPOLY, warm_up=10, salvage=0.5)
    counted = ledger[10:]
    per_period = metrics.episode_profit(ledger, DUOPOLY, 10, 0.5) / 50
    expected = {
        "profit": per_period.mean(0),
        "revenue": counted["revenue"].mean((0, 1)),
        "order_cost": counted["order_cost"].mean((0, 1)),
        "price": counted["price"].mean((0, 1)),
        "fill_rate": counted["sold"].sum((0, 1)) / (counted["sold"] + counted["lost"]).sum((0, 1)),
        "stockout_rate": (counted["lost"] > 0).mean((0, 1)),
        "market_share": counted["sold"].sum((0, 1)) / counted["market_size"].sum((0, 1)),
        "volatility": counted["profit"].std(0).mean(0),
        "value_at_risk": per_period.min(0),
        "conditional_value_at_risk": per_period.min(0),
        "maximum_drawdown": metrics.maximum_drawdown(counted["profit"]).mean(0),
        "probability_of_loss": (per_period < 0).mean(0),
    }
    for name, value in expected.items():
        assert got[name] == pytest.approx(value), name
    assert all(value.shape == (2,) for value in got.values())
    assert np.isfinite(list(got.values())).all()


def test_summary_of_one_episode_equals_its_parts() -> None:
    ledger = played(DUOPOLY, markets=1)
    got, row = metrics.summary(ledger, DUOPOLY), ledger[:, 0]
    assert got["inventory_turnover"] == pytest.approx(
        metrics.inventory_turnover(row["sold"], row["on_hand"], row["on_hand_left"])
    )
    assert got["bullwhip"] == pytest.approx(metrics.bullwhip(row["ordered"], row["sold"], row["lost"]))
    assert np.array_equal(got["profit"], got["conditional_value_at_risk"])


def test_summary_without_stock_leaves_its_measures_out() -> None:
    stocked, made_to_order = (set(metrics.summary(played(spec), spec)) for spec in (DUOPOLY, CALVANO))
    stock = {"on_hand", "lost"}
    assert stocked - made_to_order == stock | {"stockout_rate", "fill_rate", "inventory_turnover", "bullwhip"}
    assert made_to_order < stocked
