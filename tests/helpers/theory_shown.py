"""What `bazaar theory` prints, and its figures."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from policies.config.run import RunConfig
from policies.studies.theory.view import show_theory


def shown(config: RunConfig, width: int = 100, **given: Any) -> tuple[str, dict[str, Any]]:
    """What is printed, and the figures."""
    file = io.StringIO()
    options = {"seat": None, "gamma": None, "prices": None} | given
    report = show_theory(config, console=Console(file=file, width=width), **options)
    return file.getvalue(), report
