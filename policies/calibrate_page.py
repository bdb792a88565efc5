"""The calibration as one HTML page."""

from __future__ import annotations

from market.sales.calibration import Calibration
from market.sales.validation import Validation
from policies.calibrate_view import tables, verdict
from policies.report_page import Page


def page(found: Calibration, checked: Validation | None, output: str) -> Page:
    """The page: what was found, and whether the market sells what was sold."""
    made = Page(f"{output}: a market from {found.sales.path.name}", "", command="calibrate")
    made.section("demand", "Demand")
    for heads, rows, title in tables(found, checked):
        made.table(heads, rows, title)
    for warning in found.warnings:
        made.paragraph(f"{warning}.", "missing")
    if checked is not None:
        made.paragraph(verdict(checked))
    return made
