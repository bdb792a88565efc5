"""What a set of trained sellers shows: profit gain, the same re-matched, prices, impulse response; as plain data too.

Dimensions: M sessions (of tabular learners) or seeds (of networks), N seats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from market.state import Floats, Ints
from market.theory.price_game import PriceGame
from policies.evaluation.statistics import half_width, half_widths, jackknife
from policies.studies.calvano.strategies import (
    SessionImpulse,
    Strategies,
    impulse_response,
    long_run,
    long_run_from_anywhere,
)


@dataclass(frozen=True)
class Contender:
    """Whose strategies are looked at: ``key`` names files, ``unit`` is what an interval is taken over, a session or a seed."""

    key: str
    name: str
    unit: str
    delta: float
    settings: Mapping[str, Any]
    expected: str = ""
    expected_rematched: str = ""


@dataclass(frozen=True, eq=False)
class Finding:
    """All figures of one contender. ``gain`` (M,), ``price`` and ``profit`` (M, N) are long-run means, half-widths are of
    95 % intervals over sessions, NaN where there are too few. ``rematched`` starts from any state alike,
    ``rematched_last`` from the prices that the sellers posted last."""

    contender: Contender
    gain: Floats
    price: Floats
    profit: Floats
    cycle: Ints
    line_ups: int
    rematched: float
    rematched_half: float
    rematched_last: float
    impulse: SessionImpulse

    @property
    def sessions(self) -> int:
        """M."""
        return len(self.gain)

    @property
    def gain_half(self) -> float:
        """Half-width of the 95 % interval of the mean gain over sessions."""
        return half_width(self.gain)


def find(contender: Contender, strategies: Strategies, seed: int) -> Finding:
    """Look at strategies in the long run, re-matched, and after a deviation; ``seed`` draws starts of re-matched play."""
    game, own = strategies.game, strategies.together()
    ended = long_run(strategies, own, strategies.state)
    pairs = strategies.rematched()
    anywhere = last = np.full(0, np.nan)
    if len(pairs):
        rng = np.random.Generator(np.random.PCG64(seed))
        anywhere = game.gain(long_run_from_anywhere(strategies, pairs, rng))
        last = game.gain(long_run(strategies, pairs, strategies.last_posted(pairs)).profit)
    return Finding(
        contender=contender,
        gain=game.gain(ended.profit),
        price=ended.price,
        profit=ended.profit,
        cycle=ended.length,
        line_ups=len(pairs),
        rematched=_mean(anywhere),
        rematched_half=jackknife(anywhere, pairs, len(own)),
        rematched_last=_mean(last),
        impulse=impulse_response(strategies, contender.delta),
    )


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")


def one_period_equilibria(game: PriceGame) -> Ints:
    """States in which every seller's price is best against the others' on the grids: Nash equilibria in pure prices."""
    index = game.index(np.arange(game.states))
    stable = np.ones(game.states, np.bool_)
    for i, count in enumerate(game.counts):
        base = np.arange(game.states) - index[:, i] * game.stride[i]
        choices = game.payoff[base[:, None] + np.arange(count) * game.stride[i], i]
        stable &= game.payoff[:, i] >= choices.max(axis=1)
    return np.flatnonzero(stable)


def plain_finding(finding: Finding) -> dict[str, Any]:
    """Everything as numbers and lists for JSON, NaN as None; paths are means over sessions with their half-widths."""
    contender, impulse = finding.contender, finding.impulse
    row: dict[str, Any] = {"sellers": contender.key, "unit": contender.unit, "number": finding.sessions}
    row |= {"settings": dict(contender.settings)}
    row |= {"profit_gain": float(finding.gain.mean()), "profit_gain_half_width": finding.gain_half}
    row |= {"profit_gain_lowest": float(finding.gain.min()), "profit_gain_highest": float(finding.gain.max())}
    row |= {"rematched": finding.rematched, "rematched_half_width": finding.rematched_half}
    row |= {"rematched_line_ups": finding.line_ups, "rematched_from_last_prices": finding.rematched_last}
    row |= {"price": finding.price.mean(axis=0).tolist(), "profit": finding.profit.mean(axis=0).tolist()}
    row |= {"each_profit_gain": finding.gain.tolist(), "each_cycle_length": finding.cycle.tolist()}
    paths = {field.name: path_figures(getattr(impulse, field.name)) for field in fields(impulse)}
    row["impulse"] = {name: {"mean": mean, "half_width": half} for name, (mean, half) in paths.items()}
    return row


def path_figures(values: Floats) -> tuple[Floats, Floats]:
    """Mean (...) over sessions of figures (M, ...), and the half-widths of its 95 % interval."""
    return np.asarray(values.mean(axis=0)), half_widths(values, axis=0)
