"""Commands on orders that are made already."""

from __future__ import annotations

from typing import Any

import attrs

from policies.config.command import Order


def carry_out(command: Any, order: Order, console: Any = None) -> Any:
    """What the command makes of an order, as the command line has it do."""
    return command.__wrapped__(attrs.evolve(order, console=console))
