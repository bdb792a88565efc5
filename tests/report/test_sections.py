"""Headlines, intervals and differences of the report, from rows of evaluation.json."""

from __future__ import annotations

from pathlib import Path

import pytest

from market.spec.models import MarketSpec
from policies.report.sections import Headline, _measured, bounds, half_width, to_best
from policies.views.format import number
from policies.views.table import Cell

SPEC = MarketSpec.load(Path(__file__).parents[2] / "configs" / "duopoly.yaml")

KEYS = ("probability_of_improvement", "price")
BEST = {"policy": "nash+base_stock", "profit": 5.0}


@pytest.mark.parametrize(
    ("low", "high", "verdict", "words"),
    [
        (0.1, 0.3, 1, "4.00 % more than the best fixed competitor, nash+base_stock (5.000)"),
        (-0.3, -0.1, -1, "4.00 % less than the best fixed competitor"),
        (-0.1, 0.3, 0, "no different, as far as can be told, from the best fixed competitor"),
    ],
)
def test_the_headline_follows_the_interval(low: float, high: float, verdict: int, words: str) -> None:
    gap = (low + high) / 2 if verdict == 0 else 0.2 * verdict
    row = {"policy": "left (dqn)", "profit": 5.2, "profit_half_width": 0.04, "difference": gap, "line_up": "nash"}
    said = Headline(SPEC, "left (dqn)", row | {"difference_low": low, "difference_high": high}, BEST)
    assert said.verdict == verdict and words in said.sentence
    assert said.sentence.startswith("left (dqn) earns 5.200 ± 0.040 a day, against nash in the other seat: ")


def test_rows_of_either_form_have_intervals() -> None:
    """A half-width, or two ends that need not lie evenly about the value."""
    assert bounds({"profit": 5.0, "profit_half_width": 0.5}, "profit") == (4.5, 5.5)
    assert bounds({"profit": 5.0, "profit_low": 4.0, "profit_high": 5.5, "profit_half_width": 0.75}, "profit") == (
        4.0,
        5.5,
    )
    assert (
        bounds({"profit": 5.0}, "profit") is None
        and bounds({"profit": None, "profit_half_width": None}, "profit") is None
    )
    assert half_width({"profit": 5.0, "profit_low": 4.0, "profit_high": 5.5}, "profit") == 0.75


def test_differences_are_shares_of_the_best_profit() -> None:
    row = {"policy": "x", "profit": 4.5, "difference": -0.5, "difference_half_width": 0.05}
    assert shown(to_best(row, BEST)) == "−10.00 % ± 1.00 %"
    assert shown(to_best(row, {"policy": "y", "profit": 0.0})) == "−0.5 ± 0.05" and to_best(row, None) == "–"


def test_nobody_is_better_than_itself() -> None:
    rows = {"x": 0.4, "y": 0.5, "z": 0.6}
    found = {
        name: _measured({"policy": name, "probability_of_improvement": p, "price": 2.0}, {"policy": "y"}, KEYS)
        for name, p in rows.items()
    }
    assert found == {"x": [0.4, 2.0], "y": [None, 2.0], "z": [0.6, 2.0]}


def shown(cell: Cell | str) -> str:
    assert isinstance(cell, Cell) and cell.form is not None
    return number(cell.value, cell.form, cell.half)
