"""What `bazaar theory` prints, and its figures."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from policies.config.run import RunConfig
from policies.studies.theory.run import theory_report
from policies.studies.theory.view import tables


def shown(config: RunConfig, width: int = 100, **given: Any) -> tuple[str, dict[str, Any]]:
    """What is printed, and the figures."""
    file, spec = io.StringIO(), config.market
    seats = [spec.names.index(given["seat"])] if "seat" in given else range(len(spec.sellers))
    report = theory_report(config, seats, given.get("gamma"), given.get("prices"), lambda text: None)
    for table in tables(spec, report):
        table.print(Console(file=file, width=width))
    return file.getvalue(), report
