"""A seller against fixed competitors: the same customers for everyone, paired intervals. Never imports Tianshou.

Every candidate sits in the same seat, faces the same line-up of rivals and the same customers (common random
numbers), so that the difference of two candidates is measured with far fewer episodes than either's profit.

Dimensions: E episodes, T periods, M episodes played side by side, N sellers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import stdtrit

from market.layout import Floats, Record
from market.metrics import conditional_value_at_risk, episode_profit, probability_of_loss, summary, value_at_risk
from market.spec import MarketSpec
from policies.config import Evaluation
from policies.seeds import row_seed
from policies.seller import Seller
from policies.simulate import play

BLOCK = 256
Tick = Callable[[str, int], None]


@dataclass
class Result:
    """One candidate in one seat against one line-up; ``profit`` (E,) is profit per period of each episode."""

    policy: str
    subject: bool
    profit: Floats = field(default_factory=lambda: np.zeros(0))
    blocks: list[dict[str, float]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def add(self, ledger: Record, spec: MarketSpec, seat: int, settings: Evaluation) -> None:
        """Take in a block of episodes, ledger (T, M, N)."""
        profit = episode_profit(ledger, spec, settings.warm_up, settings.salvage)[:, seat]
        self.profit = np.concatenate([self.profit, profit / (spec.horizon - settings.warm_up)])
        figures = summary(ledger, spec, settings.warm_up, settings.salvage)
        self.blocks.append({name: float(values[seat]) for name, values in figures.items()})
        self.sizes.append(len(profit))

    @property
    def mean(self) -> float:
        """Mean profit per period."""
        return float(self.profit.mean())

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
            "value_at_risk": float(value_at_risk(self.profit)),
            "conditional_value_at_risk": float(conditional_value_at_risk(self.profit)),
            "probability_of_loss": float(probability_of_loss(self.profit)),
        }
        return mean | tails


@dataclass(frozen=True)
class Comparison:
    """All candidates in one seat against one line-up."""

    seat: str
    line_up: str
    results: list[Result]


def interval(values: Floats) -> float:
    """Half-width of the 95 % interval of a mean over E independent episodes: t(E - 1) sd / sqrt(E); NaN for one.

    Example: 1, 2, 3 have mean 2 and standard deviation 1, t(2) = 4.303: 4.303 / sqrt(3) = 2.484.
    """
    if len(values) < 2:
        return float("nan")
    spread = values.std(ddof=1)
    # Without randomness all episodes are equal, and what rounding leaves of their spread is no uncertainty.
    if spread <= 1e-12 * np.abs(values).max():
        return 0.0
    return float(stdtrit(len(values) - 1, 0.975) * spread / np.sqrt(len(values)))


def compare(
    spec: MarketSpec,
    seat: int,
    candidates: Mapping[str, Seller],
    subjects: Sequence[str],
    rivals: Sequence[Seller],
    settings: Evaluation,
    seed: int,
    exactly: int | None = None,
    tick: Tick = lambda text, episodes: None,
) -> list[Result]:
    """Play every candidate in ``seat`` against ``rivals`` on the same customers.

    Args:
        candidates: by name; ``subjects`` are those judged, the others are fixed competitors to beat.
        rivals: a seller for every seat (the one in ``seat`` is not used).
        exactly: the number of episodes; None plays blocks until the subjects' paired interval is precise enough.
        tick: told what is played, for a progress bar.

    Returns:
        A result for every candidate, in the order given.
    """
    results = {name: Result(name, name in subjects) for name in candidates}
    most = exactly or settings.episodes
    for start in range(0, most, BLOCK):
        rows = min(BLOCK, most - start)
        for name, seller in candidates.items():
            seats = [seller if k == seat else rival for k, rival in enumerate(rivals)]
            ledger = play(spec, seats, markets=rows, seed=row_seed(seed, "evaluate") + start)
            results[name].add(ledger, spec, seat, settings)
            tick(name, rows)
        if exactly is None and precise(list(results.values()), settings.precision):
            break
    return list(results.values())


def best_fixed(results: Sequence[Result]) -> Result | None:
    """The fixed competitor with the highest mean profit, or None when there is none."""
    return max((result for result in results if not result.subject), key=lambda result: result.mean, default=None)


def difference(result: Result, best: Result) -> tuple[float, float]:
    """Mean paired difference in profit per period and the half-width of its 95 % interval."""
    paired = result.profit - best.profit
    return float(paired.mean()), interval(paired)


def precise(results: Sequence[Result], precision: float) -> bool:
    """Whether every subject's paired interval is at most ``precision`` of the best fixed competitor's profit wide.

    Where no fixed competitor was tried, the interval of the subject's own profit.
    """
    best = best_fixed(results)
    subjects = [result for result in results if result.subject]
    if best is None:
        return all(2 * interval(result.profit) <= precision * abs(result.mean) for result in subjects)
    return all(2 * difference(result, best)[1] <= precision * abs(best.mean) for result in subjects)
