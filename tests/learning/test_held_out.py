"""The held-out markets can be trained in, and what is measured on them is put together right."""

from __future__ import annotations

from typing import Any

import pytest

from policies.evaluation.line_ups import LineUps
from policies.learners.build import check_learners
from tests.experiments.held_out import LEARNERS, configured, market, names, seated
from tests.experiments.held_out_view import Run, tables

ORDERS_COST = {"bakery", "flowers", "timber", "workwear"}
LARGE = {"phone_cases", "sugar", "tuna"}  # whose equilibrium takes seconds


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else []) for name in names()]
)
def test_accepted(name: str) -> None:
    """Learners may sit there, and there are rules for every seat."""
    config = configured(name, seated(name, LEARNERS.split(","), 0))
    check_learners(config)
    LineUps(config, 0).check()
    assert config.market.name == name
    costs = any(seller.order_cost for seller in config.market.sellers)
    assert costs == (name in ORDERS_COST)


def test_every_learner_takes_every_seat() -> None:
    for name in names():
        runs = [seated(name, ["dqn", "ddpg", "a2c"], rotation) for rotation in range(3)]
        assert all({run[k] for run in runs} == {"dqn", "ddpg", "a2c"} for k in runs[0])
        assert len(runs[0]) == min(len(market(name)["sellers"]), 3 if len(market(name)["sellers"]) > 4 else 4)
    assert seated("petrol", ["a2c"], 0, alone=1) == {1: "a2c"}


def _row(learner: str, gap: float, best: float = 10.0) -> dict[str, Any]:
    about = {"seat": "left", "learner": learner, "competitor": "nash", "profit": best + gap, "best": best, "gap": gap}
    return about | {"half": 0.01, "revenue": 100.0, "fill": None, "price": 2.0, "optimum": None}


def test_tables_by_hand() -> None:
    """Two seats of a learner at +1 % and -1 %, one whose best rule earns 4 % of its revenue: that one in money."""
    runs = [Run("one", False, 10.0, [_row("dqn", 0.1), _row("a2c", 0.2)]), Run("one", False, 20.0, [_row("dqn", -0.1)])]
    runs.append(Run("two", True, 5.0, [_row("dqn", -3.0, best=4.0)]))
    lines = list(tables(runs, [Run("one", False, 1.0, [_row("dqn", -0.5)])]))
    assert "| dqn | no order cost | 2 | +0.00% | -1.00% | 1 of 2 | 1 | - | -5.00%, -5.00% |" in lines
    assert "| dqn | order cost | 1 | - | - | - | - | 0, 1 | - |" in lines
    assert "| one | dqn | 2 | +0.00% | -1.00% | 1 of 2 | 1 | - | 15 | - | -5.00%, -5.00% |" in lines
    assert "| two | dqn | 1 | - | - | - | - | -3 | 5 | - | - |" in lines
