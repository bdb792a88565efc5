"""What one seat could earn more against the others as they are: its regret, and all that was tried to find it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from market.layout import Floats
from policies.evaluation import Result, interval

PRESENT, EXACT = "present policy", "exact best response"


@dataclass(frozen=True)
class Regret:
    """What one seat could earn more, money a period.

    ``results`` are all responses played on the same customers; ``response`` names the one that was chosen on other
    customers (the exact one where there is one); ``difference`` (E,) is what it earned more than the present policy in
    each episode; ``exact`` whether it is the exact best response, ``why_not`` the reason where there is none.
    """

    seller: str
    present: str
    response: str
    exact: bool
    why_not: str
    trained: str
    budget: int
    results: list[Result] = field(default_factory=list)
    difference: Floats = field(default_factory=lambda: np.zeros(0))

    @property
    def bound(self) -> float:
        """Regret, or a lower bound on it: never negative, since the present policy is a response as well."""
        return max(0.0, float(self.difference.mean()))

    @property
    def profit(self) -> float:
        """What the present policy earns a period."""
        return next(result.mean for result in self.results if result.policy == PRESENT)

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        half = interval(self.difference)
        return {
            "seller": self.seller,
            "present": self.present,
            "response": self.response,
            "exact": self.exact,
            "why_not_exact": self.why_not or None,
            "trained": self.trained,
            "budget": self.budget,
            "episodes": len(self.difference),
            "profit": self.profit,
            "regret": self.bound,
            "difference": float(self.difference.mean()),
            "difference_half_width": half if np.isfinite(half) else None,
            "responses": {result.policy: result.mean for result in self.results},
        }
