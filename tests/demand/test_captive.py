"""Markets in which everybody buys: what the rules post and order there, and which of the usual lists can play."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy.stats import poisson

from market.errors import UserError
from market.spec.models import MarketSpec
from policies.cli.main import main
from policies.config.run import parse_run
from policies.evaluation.line_ups import LineUps
from policies.sellers.rollout import play
from policies.sellers.rules.base import Seat
from policies.sellers.rules.compose import compose, parse_rules
from policies.sellers.rules.usual import STOCKED_PANEL
from tests.helpers.known_optima import ZIPKIN, zipkin_market
from tests.helpers.markets import a_market


def captive(**changes: Any) -> MarketSpec:
    """One seller from whom everybody buys."""
    return MarketSpec.parse(
        a_market({"holding_cost": 0.1, "lead_time": 1, "order_up_to": [0, 200]} | changes, outside="none")
    )


@pytest.mark.parametrize("lead_time", [0, 2, 4])
@pytest.mark.parametrize("price", [1.5, 3.0])
def test_newsvendor_level_at_a_constant_price_is_poissons_quantile(lead_time: int, price: float) -> None:
    """20 customers a period, all of whom buy: the quantile of the critical ratio, underage over the sum of both."""
    spec = captive(lead_time=lead_time, stockout_cost=0.2)
    under = price - 1.0 + 0.2
    level = poisson.ppf(under / (under + 0.1), 20 * (lead_time + 1))
    rules = parse_rules(f"constant(price={price})+base_stock", "rules", spec)
    assert rules.replenishment is not None
    assert rules.replenishment.level_in(Seat(spec, 0), lambda: price) == level
    bought = play(spec, [compose(rules, spec, 0)], markets=4)
    assert (bought["price"] == price).all() and (bought["ordered"][0] == level).all()


def test_without_a_best_price_there_is_still_demand_at_a_constant_one() -> None:
    data = a_market({"holding_cost": 0.1}, price_form="log", price_sensitivity=0.5)
    spec = MarketSpec.parse(data)
    compose(parse_rules("constant(price=2)+base_stock"), spec, 0)
    with pytest.raises(UserError, match="with a log price no seller has a finite best price"):
        compose(parse_rules("nash+base_stock"), spec, 0)


def test_the_best_price_of_one_from_whom_everybody_buys_is_its_highest() -> None:
    """No price in the range earns more, on the same customers."""
    spec = captive(order_up_to=[0, 60])
    profit = [
        play(spec, [compose(parse_rules(f"constant(price={p})+base_stock(level=60)"), spec, 0)], markets=8)[
            "profit"
        ].mean()
        for p in np.linspace(1, 3, 9)
    ]
    assert np.argmax(profit) == 8
    for rules in ("nash", "collusive", "clearance"):
        assert compose(parse_rules(f"{rules}+base_stock"), spec, 0).rules.pricing.usual(Seat(spec, 0)) == 3


def test_zipkins_market_is_judged_without_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Capped base stock costs about 1 % more than the optimum there (Xin 2021), and no rule less than the optimum."""
    config, table = tmp_path / "zipkin.yaml", tmp_path / "table.json"
    config.write_text(yaml.safe_dump({"market": zipkin_market(9, 2)}))
    words = ["--seller", "constant(price=0)+base_stock", "--episodes", "1000", "--json", str(table)]
    assert main(["evaluate", str(config), *words]) == 0
    cost = {row["policy"]: (-row["profit"], row["profit_half_width"]) for row in json.loads(table.read_text())}
    assert "constant(price=0)+base_stock" in cost and cost["nash+base_stock(level=best)"][0] < 1.06 * ZIPKIN[9, 2]
    assert cost["nash+capped_base_stock"][0] == pytest.approx(1.01 * ZIPKIN[9, 2], rel=0.015)
    assert all(mean + 2 * half > ZIPKIN[9, 2] for mean, half in cost.values())
    capsys.readouterr()


def test_usual_lists_leave_out_what_cannot_play_and_lists_that_are_given_do_not() -> None:
    data = {"market": a_market({"holding_cost": 0.1}, {"holding_cost": 0.1}, outside="none", horizon=20)}
    line_ups = LineUps(parse_run(data, "here"), 0)
    line_ups.check()
    assert [one.label for one in line_ups.chosen("panel")] == [one for one in STOCKED_PANEL if "collusive" not in one]
    assert all(not one.label.startswith("collusive") for one in line_ups.competitors())
    listed = data | {"evaluation": {"panel": ["nash+base_stock", "collusive+base_stock"]}}
    with pytest.raises(UserError, match=r"evaluation\.panel\.1: collusive\+base_stock cannot play here.*set outside"):
        LineUps(parse_run(listed, "here"), 0).check()


def test_a_usual_list_of_which_nothing_can_play_is_refused_by_its_first() -> None:
    """Stock that costs nothing has no best level: the one usual line-up cannot play."""
    data = {"market": a_market({}, {}, horizon=20)}
    with pytest.raises(UserError, match=r"evaluation\.line_ups\.0: nash\+base_stock\(level=best\) cannot play here"):
        LineUps(parse_run(data, "here"), 0).chosen(None)
