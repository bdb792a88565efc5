"""Numbers as the terminal and as a page shows them."""

from __future__ import annotations

import math

from market.spec.models import SellerSpec
from policies.views.format import amount, column_form, counted, number, off_file, posted, small, spaced


def test_amounts_on_the_terminal() -> None:
    assert amount(4.7312, half=0.0431) == "4.731 ± 0.043"
    assert amount(0.0812, "{:+.2%}", 0.0025) == "+8.12% ± 0.25%"
    assert amount(1.5, "{:+.4g}", 0.25) == "+1.5 ± 0.25"
    assert amount(2.5, lambda value: f"{value:.0f} M", 0.5) == "2 M ± 0 M"
    assert amount(1.0, half=math.nan) == "1" and amount(math.nan, half=1.0) == "-" and amount(None) == "-"


def test_numbers_in_a_page() -> None:
    assert number(-0.0812, "{:+.2%}", 0.0025) == "−8.12 % ± 0.25 %"
    assert number(123456.7) == "123,457" and number(True) == "–" and number(None) == "–"


def test_numbers_counts_and_columns() -> None:
    assert number(-1234.5, "{:,.1f}") == "−1,234.5" and number(0.123, "{:.1%}") == "12.3 %"
    assert number(None) == number(float("nan")) == number(True) == "–" and number(123456.7) == "123,457"
    assert column_form([5.321, 4.65]).format(4.65) == "4.650" and column_form([152.4]).format(3) == "3.0"
    assert column_form([]).format(0) == "0.000" and column_form([12345.0]).format(12345.0) == "12,345"
    assert small(0.00006) == "less than 0.001" and small(0.0123) == "0.012"
    assert counted(1, "row") == "1 row" and counted(1200, "row") == "1,200 rows"
    assert spaced("5% of 3") == spaced("5 % of 3") == "5\u00a0% of 3"


def test_prices_outside_the_file_are_marked() -> None:
    base = {"quality": 1.0, "unit_cost": 1.0, "prices": [1, 9]}
    known = SellerSpec.model_validate(base | {"name": "x", "prices_on_file": [2.0, 3.5]})
    unknown = SellerSpec.model_validate(base | {"name": "y"})
    assert [posted(known)(price) for price in (1.999, 2.0, 3.5, 5.775)] == ["1.999 †", "2.000", "3.500", "5.775 †"]
    assert amount(5.775, posted(known, "{:.2f}")) == "5.78 †" and posted(unknown)(99.0) == "99.000"
    assert off_file([(known, 3.0), (unknown, 99.0), (known, None)]) == ""
    assert (
        off_file([(known, 5.775)])
        == "† outside the prices on file (x 2 to 3.5): what customers do there nobody has seen."
    )
