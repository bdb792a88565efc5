"""Where a run stands between its evaluations: what its loop must know to go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Course:
    """Counters of a run's loop.

    ``evaluated``: the number of the last evaluation, -1 before the one at the start. ``pictured``: pictures drawn
    since then. ``reports``: what learners last reported since the last evaluation, by seat; ``reported``: the seats
    that ever did. ``rollbacks``: of learners that diverged, as ``run.json`` lists them.
    """

    evaluated: int = -1
    pictured: int = 0
    reports: dict[int, dict[str, float]] = field(default_factory=dict)
    reported: list[int] = field(default_factory=list)
    rollbacks: list[dict[str, Any]] = field(default_factory=list)

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        for name, value in Course(**state).state_dict().items():
            setattr(self, name, value)
