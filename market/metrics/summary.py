"""All measures of a ledger at once, and the glossary: what each is called, its unit and what it is in a line.

A ledger is anything indexed by field name that gives arrays (T, M, N): the stacked ledgers of a
:class:`~market.simulation.batch.MarketBatch`, or a dictionary. Time is the first axis everywhere. T periods, M markets
(one episode each), N sellers. Money and units are those of ``market.state.LEDGER_UNITS``; where a unit says "period",
the market says what a period is (``MarketSpec.period``: a day, a week). Documents and pages take their glossaries from
here; ``glossary.yaml`` holds the words. The measures themselves are pure functions of arrays, in :mod:`market.metrics.risk` and
:mod:`market.metrics.service`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import yaml

from market.errors import UserError
from market.metrics import risk, service
from market.metrics.risk import LEVEL
from market.spec.models import MarketSpec
from market.state import Floats, Ledger

_WORDS: dict[str, dict[str, str]] = yaml.safe_load((Path(__file__).parent / "glossary.yaml").read_text("utf-8"))
GLOSSARY = {name: (about["unit"], about["is"]) for name, about in _WORDS.items()}
HIGHER_IS_BETTER = frozenset(name for name, about in _WORDS.items() if about.get("better") == "higher")
LOWER_IS_BETTER = frozenset(name for name, about in _WORDS.items() if about.get("better") == "lower")

COSTS = ("purchase_cost", "order_cost", "holding_cost", "stockout_cost", "price_change_cost")
MEANS = ("revenue", *COSTS, "price", "ordered", "on_hand", "sold", "lost")


def _window(ledger: Ledger, warm_up: int) -> int:
    length = len(ledger["profit"])
    if not 0 <= warm_up < length:
        raise UserError(f"warm_up: must be at least 0 and below the {length} periods played, got {warm_up}")
    return length - warm_up


def stock_change(ledger: Ledger, spec: MarketSpec, warm_up: int = 0) -> Floats:
    """Units by which the inventory position (on hand + on order) grew in the periods after ``warm_up``, (M, N).

    Opening stock is the position at the end of period ``warm_up - 1``, or the spec's ``stock`` without a warm-up.
    """
    _window(ledger, warm_up)
    position = np.asarray(ledger["on_hand_left"]) + np.asarray(ledger["on_order"])
    opening = position[warm_up - 1] if warm_up else np.array([seller.stock for seller in spec.sellers])
    return np.asarray(position[-1] - opening, np.float64)


def episode_profit(ledger: Ledger, spec: MarketSpec, warm_up: int = 0, salvage: float = 1.0) -> Floats:
    """Profit of each episode as evaluation counts it, money: (M, N) of a ledger (T, M, N).

    The periods' profits after the first ``warm_up``, plus stock left at the end (on hand and on order) less opening
    stock, both at ``salvage`` x unit cost. So a seller is neither paid for running its stock down at the end nor
    charged for the first fill of its shelf.

    Example: unit cost 2, opening stock 10. Period 1: order 4, sell 6 at 5, profit 30 - 8 = 22, position 8. Period 2:
    order 9, sell 5, profit 25 - 18 = 7, position 12. With salvage 0.5: 22 + 7 + 0.5 x 2 x (12 - 10) = 31; with
    warm_up 1: 7 + 0.5 x 2 x (12 - 8) = 11.

    Raises:
        UserError: ``warm_up`` leaves no period, or ``salvage`` is not within 0 and 1.
    """
    if not 0 <= salvage <= 1:
        raise UserError(f"salvage: must be from 0 to 1, a share of unit cost, got {salvage}")
    value = salvage * np.array([seller.unit_cost for seller in spec.sellers])
    earned = np.sum(np.asarray(ledger["profit"])[warm_up:], axis=0)
    return np.asarray(earned + value * stock_change(ledger, spec, warm_up), np.float64)


def profit_a_period(ledger: Ledger, spec: MarketSpec, warm_up: int = 0, salvage: float = 1.0) -> Floats:
    """:func:`episode_profit` over the periods that it counts: (M, N) of a ledger (T, M, N), money a period."""
    return np.asarray(episode_profit(ledger, spec, warm_up, salvage) / (spec.horizon - warm_up), np.float64)


def summary(
    ledger: Ledger, spec: MarketSpec, warm_up: int = 0, salvage: float = 1.0, level: float = LEVEL
) -> dict[str, Floats]:
    """Every measure of every seller over M episodes, each (N,), under the names of :data:`GLOSSARY`.

    ``profit`` is :func:`episode_profit` / periods. Means, rates and ratios pool all periods and episodes. What follows
    the order of periods (volatilities, downside deviation below 0, drawdown, price changes) is worked out in each
    episode and averaged over episodes, and so is ``hhi``, which all sellers share. ``value_at_risk`` and
    ``conditional_value_at_risk`` at ``level`` are over episodes, of their profit per period; those of a ``period_`` are
    over all periods of all episodes, of the ledger's profit. Measures of stock are left out where there is none (made
    to order).

    Raises:
        UserError: as :func:`episode_profit`, or ``level`` is not above 0 and at most 1.
    """
    periods = _window(ledger, warm_up)
    fields = {*MEANS, "profit", "on_hand_left", "market_size", "received"}
    # Columns of records lie far apart in memory: each is copied once, which makes all that follows faster.
    seen = {field: np.ascontiguousarray(np.asarray(ledger[field])[warm_up:], np.float64) for field in fields}
    totals = {field: column.sum(axis=0) for field, column in seen.items()}
    per_period = episode_profit(ledger, spec, warm_up, salvage) / periods
    means = [name for name in MEANS if spec.stocked or name not in ("on_hand", "lost")]
    measures = {"profit": per_period.mean(axis=0)}
    measures |= {name: totals[name].mean(axis=0) / periods for name in means}
    measures["market_share"] = service.market_share(totals["sold"], totals["market_size"])
    if spec.stocked:
        measures |= _service(seen, totals)
    before = np.asarray(ledger["price"])[warm_up - 1] if warm_up else [seller.first_price for seller in spec.sellers]
    measures["price_volatility"] = service.price_volatility(seen["price"]).mean(axis=0)
    measures["price_changes"] = service.price_changes(seen["price"], before).mean(axis=0)
    measures["hhi"] = np.full(len(spec.sellers), _mean_of_known(service.hhi(seen["revenue"])))
    return measures | _risk(seen["profit"], per_period, level)


def _service(seen: Mapping[str, Floats], totals: Mapping[str, Floats]) -> dict[str, Floats]:
    """The measures of stock, of columns (T, M, N) and their sums over time (M, N)."""
    stock = totals["on_hand"], totals["on_hand_left"]
    ordered, sold, lost = (seen[name].reshape(-1, totals["sold"].shape[-1]) for name in ("ordered", "sold", "lost"))
    return {
        "stockout_rate": service.stockout_rate(seen["lost"], (0, 1)),
        "cycle_service_level": service.cycle_service_level(seen["received"], seen["lost"], (0, 1)),
        "fill_rate": service.fill_rate(totals["sold"], totals["lost"]),
        "inventory_turnover": service.inventory_turnover(totals["sold"], *stock),
        "days_of_supply": service.days_of_supply(totals["sold"], totals["lost"], *stock),
        "bullwhip": service.bullwhip(ordered, sold, lost),
    }


def _risk(profit: Floats, per_period: Floats, level: float) -> dict[str, Floats]:
    """The measures of risk, of period profits (T, M, N) and of episodes' mean profits (M, N)."""
    pooled = profit.reshape(-1, profit.shape[-1])
    depth, length = risk.drawdown(profit)
    return {
        "volatility": risk.volatility(profit).mean(axis=0),
        "downside_deviation": risk.downside_deviation(profit).mean(axis=0),
        "value_at_risk": risk.value_at_risk(per_period, level),
        "conditional_value_at_risk": risk.conditional_value_at_risk(per_period, level),
        "period_value_at_risk": risk.value_at_risk(pooled, level),
        "period_conditional_value_at_risk": risk.conditional_value_at_risk(pooled, level),
        "maximum_drawdown": depth.mean(axis=0),
        "drawdown_length": length.mean(axis=0),
        "probability_of_loss": risk.probability_of_loss(per_period),
    }


def _mean_of_known(values: Floats) -> float:
    """The mean of what is not NaN; NaN where nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
