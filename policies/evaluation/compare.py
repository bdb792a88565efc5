"""A seller against fixed competitors: the same customers for everyone, paired intervals. Never imports Tianshou.

Every candidate sits in the same seat, faces the same line-up of rivals and the same customers (common random
numbers), so that the difference of two candidates is measured with far fewer episodes than either's profit.

Dimensions: E episodes, T periods, M episodes played side by side, N sellers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from market.metrics.risk import LEVEL, conditional_value_at_risk, probability_of_loss, value_at_risk
from market.metrics.summary import profit_a_period, summary
from market.spec.models import MarketSpec
from market.state import Floats, Ledger
from policies.common.files import jsonable
from policies.common.progress import Tick, unseen
from policies.common.seeding import row_seed
from policies.config.run import Evaluation
from policies.evaluation.over_draws import OverDraws
from policies.evaluation.profit_gain import Ends
from policies.evaluation.statistics import NOTHING, UNKNOWN, Interval, half_width, improvement, mean_interval
from policies.sellers.protocol import Seller
from policies.sellers.rollout import play_columns, rows_at_once

BLOCK = 256  # episodes between two looks at how precise the figures are
LARGE_BLOCK = 512  # where the number of episodes is given: fewer and longer calls
LEAST_MARGIN = 0.05  # profit as a share of revenue, below which percentages of it say nothing


@dataclass
class Result:
    """One candidate in one seat against one line-up.

    ``profit`` (E,) is the candidate's profit per period of each episode, ``total`` (E,) that of all sellers together.
    Tails are taken at ``level``. A ``reference`` is no competitor to beat: it knows the market as no seller could.
    """

    policy: str
    entrant: bool
    profit: Floats = field(default_factory=lambda: np.zeros(0))
    blocks: list[dict[str, float]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    total: Floats = field(default_factory=lambda: np.zeros(0))
    level: float = LEVEL
    reference: bool = False

    def add(self, ledger: Ledger, spec: MarketSpec, seat: int, settings: Evaluation) -> None:
        """Take in a block of episodes, ledger of (T, M, N)."""
        earned = profit_a_period(ledger, spec, settings.warm_up, settings.salvage)
        self.profit = np.concatenate([self.profit, earned[:, seat]])
        self.total = np.concatenate([self.total, earned.sum(axis=1)])
        figures = summary(ledger, spec, settings.warm_up, settings.salvage, level=self.level)
        self.blocks.append({name: float(values[seat]) for name, values in figures.items()})
        self.sizes.append(len(earned))

    @property
    def mean(self) -> float:
        """Mean profit per period."""
        return float(self.profit.mean())

    @property
    def base(self) -> float | None:
        """What differences to it are shares of, money a period; None: they are shown as money (:func:`share_base`)."""
        return share_base(self.mean, self.revenue)

    @property
    def revenue(self) -> float:
        """Mean revenue per period, money; 0 where it was not counted."""
        return self._mean("revenue") if self.blocks else 0.0

    def _mean(self, name: str) -> float:
        """Mean of a measure over blocks that have it (NaN: where nothing was wanted there is no fill rate)."""
        known = [(b[name], size) for b, size in zip(self.blocks, self.sizes, strict=True) if np.isfinite(b[name])]
        weight = sum(size for _, size in known)
        return sum(value * size for value, size in known) / weight if known else float("nan")

    def summary(self) -> dict[str, float]:
        """Every measure of the candidate: means over blocks of episodes, and the tails over all episodes."""
        mean = {name: self._mean(name) for name in self.blocks[0]}
        tails = {
            "profit": self.mean,
            "value_at_risk": float(value_at_risk(self.profit, self.level)),
            "conditional_value_at_risk": float(conditional_value_at_risk(self.profit, self.level)),
            "probability_of_loss": float(probability_of_loss(self.profit)),
        }
        return mean | tails


def share_base(profit: float, revenue: float) -> float | None:
    """What a difference to this profit is a share of: the profit itself, or None where the difference is money instead.

    A percentage of a profit near or below zero says nothing: it is money where the profit is below 5 % of the revenue.
    Profit 3 of revenue 40: 3, and 1 less is -33 %. Profit 1.9, or -5, of revenue 40: None, and 1 less is -1.
    """
    return profit if profit > 0 and profit >= LEAST_MARGIN * revenue else None


@dataclass(frozen=True)
class Standing:
    """What is printed of a candidate beside its measures, money a period.

    ``gap`` is the paired difference to the best fixed competitor and ``better`` the share of episodes in which the
    candidate earns more than it (None and NaN where there is none); ``gain`` the market's profit gain, NaN if undefined.
    """

    profit: Interval
    gap: Interval | None
    better: float
    gain: float


@dataclass(frozen=True)
class Comparison:
    """All candidates in one seat against one line-up.

    Args:
        rivals: who they are, where the line-up's name does not say it.
        precision: that was asked for, a share of profit; None: that of the settings.
        ends: the references of profit gain in the same episodes; None where there are none, ``no_gain`` says why.
        sellers: N of the market.
        changed: what differs from the market that the sellers were trained in, as given.
        left_out: states times levels of an exact optimum that is too large to stand beside; 0 where none is missed.
        draws: by entrant, the same over what the market's estimate leaves open; empty where it has no draws.
    """

    seat: str
    line_up: str
    results: list[Result]
    ends: Ends | None = None
    rivals: str = ""
    precision: float | None = None
    no_gain: str = ""
    sellers: int = 1
    changed: tuple[str, ...] = ()
    left_out: int = 0
    draws: Mapping[str, OverDraws] = field(default_factory=dict)

    @cached_property
    def best(self) -> Result | None:
        """The fixed competitor with the highest mean profit, or None when there is none."""
        return best_fixed(self.results)

    @cached_property
    def standings(self) -> dict[str, Standing]:
        """By candidate."""
        return {result.policy: self._standing(result) for result in self.results}

    def _standing(self, result: Result) -> Standing:
        gap, better = None, float("nan")
        if self.best is not None:
            gap = gap_interval(result, self.best)
            better = improvement(paired(result, self.best), np.zeros_like(self.best.profit))
        gain = float("nan") if self.ends is None else self.ends.gain(float(result.total.mean()))
        return Standing(mean_interval(result.profit), gap, better, gain)

    def rows(self) -> list[dict[str, Any]]:
        """One plain row a candidate with every measure, best first; NaN becomes None. ``table`` is ``comparison``."""
        best = self.best.policy if self.best else None
        rows = []
        for result in sorted(self.results, key=lambda r: -r.mean):
            standing = self.standings[result.policy]
            row: dict[str, Any] = {"table": "comparison", "seat": self.seat, "line_up": self.line_up}
            row |= {"policy": result.policy, "judged": result.entrant, "episodes": len(result.profit)}
            row |= {"rivals": self.rivals} if self.rivals else {}
            row |= {"reference": True} if result.reference else {}
            row |= standing.profit.figures("profit") | (standing.gap or UNKNOWN).figures("difference")
            row |= {"best_fixed": best, "probability_of_improvement": standing.better}
            row |= self.draws[result.policy].figures() if result.policy in self.draws else {}
            row |= {"profit_gain": standing.gain} if self.sellers > 1 else {}
            row |= {"changed": "; ".join(self.changed)} if self.changed else {}
            rows.append(jsonable(row | result.summary()))
        return rows


def compare(
    spec: MarketSpec,
    seat: int,
    candidates: Mapping[str, Seller],
    entrants: Sequence[str],
    rivals: Sequence[Seller],
    settings: Evaluation,
    seed: int,
    exactly: int | None = None,
    tick: Tick = unseen,
    references: Collection[str] = (),
) -> list[Result]:
    """Play every candidate in ``seat`` against ``rivals`` on the same customers.

    Args:
        candidates: by name; ``entrants`` are those evaluated, the others are fixed competitors to beat.
        rivals: a seller for every seat (the one in ``seat`` is not used).
        exactly: the number of episodes; None plays blocks until the entrants' paired interval is precise enough.
        tick: told what is played, for a progress bar.
        references: those of the candidates that are shown, but no competitors to beat.

    Returns:
        A result for every candidate, in the order given.
    """
    level = settings.risk_level
    results = {name: Result(name, name in entrants, level=level, reference=name in references) for name in candidates}
    most = exactly or settings.episodes
    block = rows_at_once(spec, BLOCK if exactly is None else LARGE_BLOCK)
    for start in range(0, most, block):
        rows = min(block, most - start)
        for name, seller in candidates.items():
            seats = [seller if k == seat else rival for k, rival in enumerate(rivals)]
            tick(name, 0)
            ledger = play_columns(spec, seats, markets=rows, seed=row_seed(seed, "evaluate") + start)
            results[name].add(ledger, spec, seat, settings)
            tick(name, rows)
        if exactly is None and start + rows >= BLOCK and precise(list(results.values()), settings.precision):
            break
    return list(results.values())


def best_fixed(results: Sequence[Result]) -> Result | None:
    """The fixed competitor with the highest mean profit, or None when there is none."""
    fixed = (result for result in results if not result.entrant and not result.reference)
    return max(fixed, key=lambda result: result.mean, default=None)


def gap_interval(result: Result, best: Result) -> Interval:
    """The mean paired difference in profit per period with its bootstrap interval."""
    return mean_interval(paired(result, best), scale=float(np.abs(best.profit).max()))


def paired(result: Result, best: Result) -> Floats:
    """The difference in each episode (E,); what rounding leaves where both earn the same is none."""
    gap = result.profit - best.profit
    return np.asarray(np.where(np.abs(gap) <= NOTHING * np.abs(best.profit), 0.0, gap))


def precise(results: Sequence[Result], precision: float) -> bool:
    """Whether every entrant's paired interval is at most ``precision`` of the best fixed competitor's profit wide.

    A profit near or below zero counts as :data:`LEAST_MARGIN` of its revenue.

    Where no fixed competitor was tried, the interval of the entrant's own profit.
    """
    best = best_fixed(results)
    entrants = [result for result in results if result.entrant]
    if best is None:
        return all(2 * half_width(result.profit) <= precision * abs(result.mean) for result in entrants)
    size = precision * max(abs(best.mean), LEAST_MARGIN * best.revenue)
    return all(2 * half_width(result.profit - best.profit) <= size for result in entrants)
