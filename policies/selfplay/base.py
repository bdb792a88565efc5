"""What every way of self-play offers to the run that drives it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from market.simulation.decisions import Decisions
from policies.evaluation.selection import Shortfalls
from policies.learners.base import Learner
from policies.networks.heads import Actor


class Mode(ABC):
    """Learners at play, one period at a time.

    ``budget`` and ``done`` count seller-periods (one seller, one period, one row).
    """

    budget: int
    done: int

    @property
    def fraction(self) -> float:
        """How much of the budget is done, 0 to 1."""
        return min(self.done / self.budget, 1.0)

    @property
    @abstractmethod
    def learners(self) -> dict[int, Learner]:
        """The learner of each seat that has one; seats may share one."""

    @abstractmethod
    def play_period(self) -> dict[int, dict[str, float]]:
        """One period in every row; returns what learners reported of updates, by seat."""

    @abstractmethod
    def decisions(self, seat: int) -> Decisions:
        """How actions of the seat's learner become prices and orders."""

    def network(self, seat: int) -> Actor:
        """Whose greedy action stands for the seat of a learner now."""
        return self.learners[seat].network

    @abstractmethod
    def earned(self) -> dict[int, dict[str, float]]:
        """By seat, the means of ``profit`` and ``objective`` while exploring since last asked, money a period."""

    @property
    def shortfalls(self) -> Shortfalls | None:
        """What best policies are chosen by; None: the first line-up that the configuration evaluates against."""
        return None

    def figures(self) -> dict[str, dict[str, float]]:
        """What the mode itself has to report now, by seller's name and by name of the figure."""
        return {}

    def write(self, folder: Path) -> None:  # noqa: B027, since most modes keep nothing there
        """Bring what the mode keeps in a run's folder up to date."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on, as :mod:`policies.common.torch_tools` says."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on exactly where :meth:`state_dict` was taken, in a mode made with the same arguments."""
