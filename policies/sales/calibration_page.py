"""The calibration as one HTML page: what was fitted, whether it holds, and everything that it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from market.calibration.calibrate import Calibration
from market.calibration.validation import Validation
from policies.sales.calibrate_demand import (
    demand_section,
    elasticity_section,
    sellers_section,
    shocks_section,
    size_section,
)
from policies.sales.calibrate_sections import cards_section, checks_section, data_section, warnings_section
from policies.sales.calibrate_words import lead
from policies.views.page import Page


def page(found: Calibration, checked: Validation | None, output: str, reading: Mapping[str, Any] | None = None) -> Page:
    """The page: what was found, and whether the market sells what was sold.

    Args:
        checked: the held-out weeks, None where they were not asked for.
        output: the configuration's name, which stands in the title.
        reading: how the file was read, as on the command line: columns, where, periods.
    """
    made = Page(
        f"{output}: a market from {found.sales.path.name}", lead(found, checked, reading or {}), command="calibrate"
    )
    cards_section(made, found)
    warnings_section(made, found)
    checks_section(made, found, checked)
    demand_section(made, found)
    elasticity_section(made, found)
    sellers_section(made, found)
    shocks_section(made, found)
    size_section(made, found)
    data_section(made, found, reading or {})
    return made
