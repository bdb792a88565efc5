"""A seller against a fixed competitor over what an estimate of the market leaves open.

Both play every draw of the market, on the same customers; rules are those made for the market as it is estimated. The
spread of the differences holds the customers' noise and the estimate's.

D draws, E episodes of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from market.simulation.batch import MarketBatch, compile_script
from market.spec.models import Draw, MarketSpec
from market.state import Floats, Script
from policies.common.progress import Tick, unseen
from policies.common.seeding import row_seed
from policies.config.run import Evaluation
from policies.evaluation.statistics import Interval, improvement, order_interval
from policies.sellers.protocol import Seller
from policies.sellers.rollout import episode_profits, rows_at_once

LEAST = 16  # episodes of a draw


@dataclass(frozen=True)
class OverDraws:
    """``gap`` (D,): by draw, mean profit a period, money, less that of the competitor; ``episodes`` of each draw."""

    gap: Floats
    episodes: int

    @cached_property
    def interval(self) -> Interval:
        """Mean over draws, and the ends of an interval that holds a further draw's difference with 95 %."""
        return order_interval(self.gap)

    @property
    def beats(self) -> float:
        """The probability that the seller earns more than the competitor: the share of draws."""
        return improvement(self.gap, np.zeros_like(self.gap))

    def figures(self) -> dict[str, float]:
        """Its entries in a row of plain data."""
        figures = self.interval.figures("difference_over_draws")
        return figures | {"probability_over_draws": self.beats, "draws": len(self.gap)}


def episodes_of_a_draw(spec: MarketSpec, episodes: int) -> int:
    """Over all draws as many as of the estimate, and not fewer than 16 of each that memory has room for."""
    return rows_at_once(spec, max(LEAST, -(-episodes // max(len(spec.draws), 1))))


def over_draws(
    spec: MarketSpec,
    seat: int,
    sellers: Mapping[str, Seller],
    best: Seller,
    rivals: Sequence[Seller],
    settings: Evaluation,
    seed: int,
    episodes: int,
    tick: Tick = unseen,
) -> dict[str, OverDraws]:
    """Play ``sellers`` and ``best`` in ``seat`` against ``rivals`` in every draw of ``spec``.

    Args:
        spec: the market as it is estimated, with its draws.
        episodes: of each draw.
        tick: told what is played, for a progress bar.
    """
    mean: dict[str, list[float]] = {name: [] for name in ("", *sellers)}
    side_by_side = max(1, rows_at_once(spec, episodes * len(spec.draws)) // episodes)
    customers = np.uint64(row_seed(seed, "evaluate")) + np.arange(episodes, dtype=np.uint64)
    for first in range(0, len(spec.draws), side_by_side):
        scripts = [_script(spec, draw) for draw in spec.draws[first : first + side_by_side]]
        rows = np.tile(customers, len(scripts))
        for name, seller in {"": best, **sellers}.items():
            tick(name or "the best fixed competitor", 0)
            seats = [seller if k == seat else rival for k, rival in enumerate(rivals)]
            batch = MarketBatch(spec, len(rows), rows, scripts)
            profit = episode_profits(batch, seats, settings.warm_up, settings.salvage)[:, seat]
            mean[name] += profit.reshape(len(scripts), episodes).mean(axis=1).tolist()
            tick(name or "the best fixed competitor", len(rows))
    return {name: OverDraws(np.array(mean[name]) - np.array(mean[""]), episodes) for name in sellers}


def _script(spec: MarketSpec, draw: Draw) -> Script:
    """What is settled of every episode where the market is as drawn."""
    return compile_script(spec.model_copy(update={"draws": (draw,), "uncertainty": "on"}))
