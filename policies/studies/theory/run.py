"""`bazaar theory`: equilibrium prices, slopes of demand and exact optima of a market."""

from __future__ import annotations

from typing import Any

from policies.common.console import silent
from policies.common.files import refuse_unwritable, write_json
from policies.config.command import ordered_by
from policies.config.orders import TheoryOrder
from policies.config.run import read_config
from policies.studies.theory.view import show_theory


@ordered_by(TheoryOrder)
def theory(order: TheoryOrder) -> dict[str, Any]:
    """Carry out `bazaar theory`: print the tables of a configuration, and write all figures to ``json``."""
    refuse_unwritable(order.json)
    config = read_config(order.config, order.changes)
    report = show_theory(config, order.seat, order.gamma, order.prices, order.console or silent())
    if order.json is not None:
        write_json(order.json, report)
    return report
