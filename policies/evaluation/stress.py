"""Stress tests: sellers as they are, in a market that has changed since they were made.

Every entrant plays in one seat against the same rivals, in the unchanged market and under each scenario of
:mod:`policies.evaluation.scenarios`, on the same customers as in an evaluation. Nobody is trained or worked out anew: a learned
seller keeps its network, a rule the prices and levels of the unchanged market. That is the test.

Dimensions: E episodes, M of them played side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from rich.console import Console

from market.errors import UserError
from market.spec.models import MarketSpec
from market.state import Floats
from policies.common.files import jsonable
from policies.common.progress import Tick, progress
from policies.common.seeding import row_seed
from policies.config.run import RunConfig
from policies.evaluation.compare import BLOCK
from policies.evaluation.scenarios import UNCHANGED, Absent, Scenario, scenarios
from policies.evaluation.statistics import half_width
from policies.evaluation.view_risk import stress_table
from policies.sellers.protocol import Memory, Seller, View
from policies.sellers.rollout import episode_profits

EPISODES = 512
# What a seller that meets a market of another shape than it was made for may fall over.
MISFITS = (UserError, ArithmeticError, LookupError, RuntimeError, ValueError)


@runtime_checkable
class Movable(Protocol):
    """A seller that has to be told when its market changes, as :class:`policies.sellers.network_seller.NetworkSeller` has."""

    def moved(self, spec: MarketSpec, home: MarketSpec, seat: int) -> Seller:
        """The same seller in the same seat of ``spec``, a variant of ``home``."""
        ...


@dataclass(frozen=True)
class Named:
    """A seller whose failures say who failed."""

    name: str
    seller: Seller

    def start(self, markets: int) -> Memory:
        """The seller's own."""
        return self.seller.start(markets)

    def act(self, view: View, memory: Memory) -> tuple[Floats, Floats, Memory]:
        """The seller's own decision; raises :class:`UserError` with its name where it cannot decide."""
        try:
            return self.seller.act(view, memory)
        except MISFITS as problem:
            raise UserError(f"{self.name}: {problem}") from None


@dataclass(frozen=True)
class Stress:
    """One seat of one market against one line-up: what all scenarios and entrants have in common.

    Args:
        config: the unchanged market, for which all sellers were made, and how profit is counted.
        rivals: a seller for every seat (the one in ``seat`` is not used).
        seed: of the customers; the same as an evaluation's gives the same customers.
        episodes: E for every cell.
    """

    config: RunConfig
    seat: int
    rivals: Sequence[Seller]
    seed: int
    episodes: int = EPISODES

    def run(self, entrants: Mapping[str, Seller], console: Console) -> list[dict[str, Any]]:
        """Play every entrant, made for the seat of the unchanged market, under every scenario; print the table.

        Returns a row for every scenario and entrant, in that order, the unchanged market first: seat, scenario, policy,
        episodes, reason (why there are no figures, else None), and the figures of :func:`figures`. On Ctrl-C the
        console gets the scenarios that are finished.
        """
        finished: list[dict[str, Any]] = []
        try:
            with progress(console, f"stress tests in the seat of {self.home.names[self.seat]}") as tick:
                for rows in self.rows(entrants, tick):
                    finished += rows
        finally:
            if finished:
                stress_table(finished, self.config).print(console)
        return finished

    @property
    def home(self) -> MarketSpec:
        """The unchanged market."""
        return self.config.market

    def line_up(self, scenario: Scenario, market: MarketSpec, name: str, entrant: Seller) -> list[Seller]:
        """A seller for every seat of a shifted market."""
        seats: list[Seller] = []
        for k, rival in enumerate(self.rivals):
            if k == scenario.absent:
                seats.append(Absent(market, k))
                continue
            who, seller = (name, entrant) if k == self.seat else (market.names[k], rival)
            moved = seller.moved(market, self.home, k) if isinstance(seller, Movable) else seller
            seats.append(Named(who, moved))
        return seats

    def profit(self, scenario: Scenario, name: str, entrant: Seller, tick: Tick) -> Floats:
        """Profit a period of each episode (E,); raises :class:`UserError` where somebody cannot play the scenario."""
        if scenario.market is None:
            raise UserError(scenario.problem)
        seats, settings = self.line_up(scenario, scenario.market, name, entrant), self.config.evaluation
        first, found, counted = row_seed(self.seed, "evaluate"), [], (settings.warm_up, settings.salvage)
        for start in range(0, self.episodes, BLOCK):
            rows = min(BLOCK, self.episodes - start)
            profit = episode_profits(scenario.market, seats, *counted, seed=first + start, markets=rows)
            found.append(profit[:, self.seat])
            tick(f"{scenario.name}, {name}", rows)
        return np.concatenate(found)

    def rows(self, entrants: Mapping[str, Seller], tick: Tick) -> Iterator[list[dict[str, Any]]]:
        """For each scenario a row for every entrant; the unchanged market comes first."""
        unchanged: dict[str, Floats | None] = {}
        for scenario in scenarios(self.home, self.seat, self.config.evaluation.warm_up):
            rows = []
            for name, entrant in entrants.items():
                profit, reason = self._try(scenario, name, entrant, tick)
                if scenario.name == UNCHANGED:
                    unchanged[name] = profit
                about: dict[str, Any] = {"seat": self.home.names[self.seat], "shift": scenario.name, "policy": name}
                about |= {"episodes": self.episodes, "reason": reason}
                rows.append(about | figures(profit, unchanged[name]))
            yield rows

    def _try(self, scenario: Scenario, name: str, entrant: Seller, tick: Tick) -> tuple[Floats | None, str | None]:
        try:
            return self.profit(scenario, name, entrant, tick), None
        except UserError as problem:
            return None, str(problem)


def figures(profit: Floats | None, unchanged: Floats | None) -> dict[str, float | None]:
    """Profit a period, the difference to the unchanged market and the share kept, each with its half-width at 95 %.

    The share kept is the ratio of means ``r = mean(profit) / mean(unchanged)`` of paired episodes (E,), its interval
    that of the ratio estimator, of the mean of ``(profit - r unchanged) / mean(unchanged)`` (Cochran 1977, section
    2.11). None where it cannot be had: nothing was played, or the unchanged profit is not clearly above 0.
    Profits 6, 9 and 9 of 10, 14 and 16: 8 of 13.33, so 60 % kept; residuals 0, 0.6 and -0.6 over 13.33, so
    ± t(2) x 0.045 / sqrt(3) = 11.2 % (t(2) = 4.303).
    """
    names = ("profit", "profit_half_width", "difference", "difference_half_width", "kept", "kept_half_width")
    row: dict[str, Any] = dict.fromkeys(names)
    if profit is None:
        return row
    row |= {"profit": float(profit.mean()), "profit_half_width": half_width(profit)}
    if unchanged is not None:
        change, base = profit - unchanged, float(unchanged.mean())
        row |= {"difference": float(change.mean()), "difference_half_width": half_width(change)}
        if base > 0 and not half_width(unchanged) >= base:  # one episode has no interval, and NaN is not >= anything
            kept = float(profit.mean()) / base
            row |= {"kept": kept, "kept_half_width": _ratio_half_width(profit, unchanged, kept)}
    return jsonable(row)


def _ratio_half_width(profit: Floats, unchanged: Floats, kept: float) -> float:
    residual = (profit - kept * unchanged) / unchanged.mean()
    # Where every episode kept as much, what rounding leaves of the residuals is no uncertainty.
    settled = len(residual) > 1 and np.abs(residual).max() < 1e-12 * (1 + abs(kept))
    return 0.0 if settled else half_width(residual)
