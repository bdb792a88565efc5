"""What an episode earned, by hand and against the market's own accounts; and all measures of a ledger at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from market.errors import UserError
from market.metrics import summary as metrics
from market.simulation.batch import MarketBatch
from market.spec.loading import read_yaml
from market.spec.models import MarketSpec
from market.state import LEDGER

CONFIGS = Path(__file__).parents[2] / "configs"
DUOPOLY, CALVANO = (MarketSpec.load(CONFIGS / f"{name}.yaml") for name in ("duopoly", "calvano"))


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
    with pytest.raises(UserError, match=message):
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
        "cycle_service_level": metrics.cycle_service_level(counted["received"], counted["lost"], (0, 1)),
        "bullwhip": counted["ordered"].var((0, 1)) / (counted["sold"] + counted["lost"]).var((0, 1)),
        "volatility": counted["profit"].std(0).mean(0),
        "downside_deviation": np.sqrt((np.minimum(counted["profit"], 0) ** 2).mean(0)).mean(0),
        "price_volatility": counted["price"].std(0).mean(0),
        "price_changes": (np.diff(ledger["price"][9:], axis=0) != 0).sum(0).mean(0),
        "value_at_risk": per_period.min(0),
        "conditional_value_at_risk": per_period.min(0),
        "period_value_at_risk": np.sort(counted["profit"].reshape(-1, 2), axis=0)[19],
        "period_conditional_value_at_risk": np.sort(counted["profit"].reshape(-1, 2), axis=0)[:20].mean(0),
        "maximum_drawdown": metrics.maximum_drawdown(counted["profit"]).mean(0),
        "drawdown_length": metrics.drawdown_length(counted["profit"]).mean(0),
        "probability_of_loss": (per_period < 0).mean(0),
    }
    for name, value in expected.items():
        assert got[name] == pytest.approx(value), name
    revenue = counted["revenue"].sum(0)
    hhi = ((revenue / revenue.sum(1, keepdims=True)) ** 2).sum(1).mean()
    assert got["hhi"] == pytest.approx([hhi, hhi])
    assert got["days_of_supply"] * got["inventory_turnover"] == pytest.approx(got["fill_rate"])
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


def test_the_level_of_the_tails_can_be_chosen() -> None:
    ledger = played(DUOPOLY)
    got = metrics.summary(ledger, DUOPOLY, level=0.5)
    per_period = np.sort(metrics.episode_profit(ledger, DUOPOLY) / 60, axis=0)
    periods = np.sort(ledger["profit"].reshape(-1, 2), axis=0)
    assert got["value_at_risk"] == pytest.approx(per_period[3])
    assert got["conditional_value_at_risk"] == pytest.approx(per_period[:4].mean(0))
    assert got["period_value_at_risk"] == pytest.approx(periods[239])
    assert got["period_conditional_value_at_risk"] == pytest.approx(periods[:240].mean(0))
    with pytest.raises(UserError, match="level: must be above 0"):
        metrics.summary(ledger, DUOPOLY, level=0)


@pytest.mark.parametrize("warm_up", [0, 25])
def test_price_changes_are_what_the_market_charges_for(warm_up: int) -> None:
    """The change to the first price counts too, against the price on the shelf before it."""
    data = read_yaml(CONFIGS / "duopoly.yaml")["market"]
    for seller in data["sellers"]:
        seller["price_change_cost"] = 0.25
    spec = MarketSpec.parse(data)
    batch, rng = MarketBatch(spec, 4), np.random.default_rng(0)
    batch.reset()
    ledger = np.stack([batch.step(rng.choice([1.0, 2.0], (4, 2)), np.zeros((4, 2))).copy() for _ in range(60)])
    charged = ledger["price_change_cost"][warm_up:].sum(0).mean(0)
    got = metrics.summary(ledger, spec, warm_up)["price_changes"]
    assert 0.25 * got == pytest.approx(charged) and 0 < got.min() <= got.max() < 60 - warm_up


def test_a_market_that_sells_nothing_has_no_concentration() -> None:
    ledger = np.zeros((3, 2, 2), LEDGER)
    assert np.isnan(metrics.summary(ledger, DUOPOLY)["hhi"]).all()
    ledger["revenue"][0, 0] = 3, 1
    assert metrics.summary(ledger, DUOPOLY)["hhi"].tolist() == [0.625, 0.625]


def test_every_measure_has_a_unit_and_a_meaning() -> None:
    names = set(metrics.summary(played(DUOPOLY), DUOPOLY))
    assert names == set(metrics.MEASURES)
    assert names > metrics.HIGHER_IS_BETTER | metrics.LOWER_IS_BETTER
    assert not metrics.HIGHER_IS_BETTER & metrics.LOWER_IS_BETTER
    assert all(unit and len(meaning.split()) > 1 for unit, meaning in metrics.MEASURES.values())


def test_summary_without_stock_leaves_its_measures_out() -> None:
    stocked, made_to_order = (set(metrics.summary(played(spec), spec)) for spec in (DUOPOLY, CALVANO))
    stock = {"on_hand", "lost", "stockout_rate", "cycle_service_level", "fill_rate", "inventory_turnover"}
    assert stocked - made_to_order == stock | {"days_of_supply", "bullwhip"}
    assert made_to_order < stocked
