"""The best stock level of a fixed competitor, found by simulation.

All candidates meet the same customers (common random numbers), side by side in one batch: a coarse grid is refined
around its best point until whole units are told apart. Deterministic: same market, rules and seed, same level.
Dimensions: C candidates, R rows a candidate, T periods, D options searched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.state import Floats
from policies.common.seeding import row_seed
from policies.config.run import usual_player
from policies.sellers.protocol import Seller
from policies.sellers.rollout import episode_profits
from policies.sellers.rules.base import Seat, place
from policies.sellers.rules.compose import FixedSeller, Rules, compose, parse_rules
from policies.sellers.rules.pricing import Constant
from policies.sellers.rules.replenishment import (
    BaseStock,
    CappedBaseStock,
    MinMax,
    ReplenishmentRule,
    SeasonalBaseStock,
    reorder,
)

LONGEST = 200  # periods played of one episode
PLAYED = 6400  # periods of customers a candidate meets at least
LEAST_ROWS = 64  # episodes a candidate
POINTS = {1: 17, 2: 8}  # candidates along an axis, by the number of options searched
ROUNDS = 12  # around a point inside the box
MOST_ROUNDS = 64
LEVELS = ("level", "s", "S")  # options that are inventory positions, which the seat's range bounds

Objective = Callable[[Floats], Floats]


def build(
    rules: Rules | str | Mapping[str, Any],
    spec: MarketSpec,
    seat: int,
    where: str | None = None,
    rivals: Sequence[Rules] | None = None,
    seed: int = 0,
) -> FixedSeller:
    """The seller of ``rules`` in a seat; levels given as ``best`` are searched by simulation.

    Args:
        where: the key path that messages begin with; default ``seats.NAME``.
        rivals: whom levels are searched against, rules for every seat (the one's own is not looked at); default
            see :func:`policies.sellers.rules.level_search.best_level`.
        seed: of the search.

    Example::

        from market.spec.models import MarketSpec
        from policies import build_rule

        spec = MarketSpec.load("duopoly")
        seller = build_rule("undercut(step=0.05)+base_stock(level=best)", spec, seat=0)
        print(seller.label)  # with the level that was found
    """
    where = where or f"seats.{spec.names[seat]}"
    parsed = parse_rules(rules, where, spec)
    if parsed.searched:
        parsed = best_level(spec, seat, parsed, rivals, seed, where)
    return compose(parsed, spec, seat, where)


def best_level(
    spec: MarketSpec,
    seat: int,
    rules: Rules,
    rivals: Sequence[Rules] | None = None,
    seed: int = 0,
    where: str | None = None,
) -> Rules:
    """Return the rules with every ``best`` replaced by the number of units that earns most a period.

    Profit is averaged over simulated episodes after a warm-up, with stock valued at unit cost when the count begins
    and when it ends, so that a short horizon does not favour low levels. Where episodes play draws of an estimate the
    level is that of the market as it is estimated.

    Args:
        rivals: rules for every seat (one's own is not looked at); default who sits in a seat of which nothing is said
            (``policies.config.run.usual_player``), and where there is no Nash price or newsvendor level, the middle of
            the price range with twice the mean demand of lead time + 1.
        seed: of the simulated customers, whose stream no training or evaluation uses.
        where: the key path that messages begin with; default ``seats.NAME``.
    """
    rules = rules.completed(spec)
    options, replenishment = rules.searched, rules.replenishment
    if replenishment is None or not options:
        return rules
    where = where or f"seats.{spec.names[seat]}"
    with place(f"{where}.replenishment.{replenishment.rule}"):
        Seat(spec, seat).refuse_free_stock()
    short = spec.certain.model_copy(update={"horizon": min(spec.horizon, LONGEST)})
    trial = Trial(short, seat, rules, replenishment, _rivals(short, seat, rivals), row_seed(seed, "search"), where)
    values = _search(trial)
    at = Seat(short, seat)
    found = replenishment.model_copy(
        update={name: at.kept(values[name]) if name in LEVELS else values[name] for name in options}
    )
    return rules.with_replenishment(found)


def _rivals(spec: MarketSpec, seat: int, rivals: Sequence[Rules] | None) -> list[Seller | None]:
    seats = range(len(spec.sellers))
    if rivals is not None:
        if len(rivals) != len(seats):
            raise UserError(f"rivals: {spec.name} has {len(seats)} seats, got rules for {len(rivals)}")
        return [None if k == seat else compose(rivals[k], spec, k) for k in seats]
    return [None if k == seat else _default_rival(spec, k) for k in seats]


def settling(spec: MarketSpec) -> int:
    """Periods at the beginning of an episode that a simulation does not count, until stocks have settled."""
    return min(spec.horizon // 4, 20 + 2 * spec.max_lead_time)


def _default_rival(spec: MarketSpec, seat: int) -> Seller:
    try:
        return compose(parse_rules(usual_player(spec, seat)), spec, seat)
    except UserError:
        at = Seat(spec, seat)
        level = 2 * at.mean_demand(at.middle) * (at.seller.lead_time + 1)
        return compose(Rules(pricing=Constant(price=at.middle), replenishment=BaseStock(level=level)), spec, seat)


@dataclass(frozen=True)
class Trial:
    """One seat's rules against given rivals, on the customers of ``seed``."""

    spec: MarketSpec
    seat: int
    rules: Rules
    replenishment: ReplenishmentRule
    rivals: Sequence[Seller | None]
    seed: int
    where: str

    def score(self, **values: Floats) -> Floats:
        """Mean profit a period (C,) of candidates, by option (C,)."""
        rows, count = max(LEAST_ROWS, PLAYED // self.spec.horizon), len(next(iter(values.values())))
        row_seeds = np.tile(np.uint64(self.seed) + np.arange(rows, dtype=np.uint64), count)
        batch = MarketBatch(self.spec, len(row_seeds), row_seeds)
        batch.serial = True
        own = self._candidate({name: np.repeat(value, rows) for name, value in values.items()})
        sellers = [rival or own for rival in self.rivals]
        profit = episode_profits(batch, sellers, settling(self.spec))[:, self.seat]
        return np.asarray(profit.reshape(count, rows).mean(axis=1))

    def _candidate(self, values: dict[str, Floats]) -> FixedSeller:
        at, rule = Seat(self.spec, self.seat), self.rules.pricing
        replenishment, level = self.replenishment.tried(at, partial(rule.usual, at), values)
        with place(f"{self.where}.pricing.{rule.rule}"):
            pricing = rule.bind(at, lambda: at.kept(level))
        return FixedSeller(self.rules, at, pricing, replenishment)


def _search(trial: Trial) -> dict[str, float]:
    """The best value of every option searched."""
    at, rule = Seat(trial.spec, trial.seat), trial.replenishment
    whole = trial.spec.customers.mode == "sampled"
    period = max(at.mean_demand(at.middle), 1.0 if whole else 1e-9)
    window = period * (at.seller.lead_time + 1)
    if isinstance(rule, MinMax):
        return _thresholds(trial, rule, window, whole)
    if isinstance(rule, SeasonalBaseStock):
        return {"factor": round(_best(lambda factor: trial.score(factor=factor), 2.0, whole=False), 3)}
    if not isinstance(rule, CappedBaseStock):
        return {"level": _best(lambda level: trial.score(level=level), 3 * window, whole)}
    if isinstance(rule.cap, float):
        return {"level": _level(trial, rule.cap, 3 * window, whole)}
    if isinstance(level := rule.level, float):
        return {"cap": _best(lambda cap: trial.score(level=np.full(len(cap), level), cap=cap), level, whole)}
    free = _level(trial, math.inf, 3 * window, whole)
    share = free / (at.seller.lead_time + 1)
    # A cap at the level never binds: base stock itself is among the candidates.
    low, high = np.array([free, 0.25 * share]), np.array([1.5 * free, free])
    level, cap = refine(lambda points: trial.score(level=points[:, 0], cap=points[:, 1]), low, high, whole).tolist()
    return {"level": level, "cap": min(cap, level)}


def _thresholds(trial: Trial, rule: MinMax, window: float, whole: bool) -> dict[str, float]:
    """The best ``s``, ``S`` or both, searched as ``s`` and the lot ``S - s``; one that is not given follows theory."""
    price = partial(trial.rules.pricing.usual, Seat(trial.spec, trial.seat))
    low, high = reorder(Seat(trial.spec, trial.seat), price)
    lot = max(high - low, 0.5 * window)

    def score(low: Floats, lot: Floats) -> Floats:
        return trial.score(s=low, S=low + lot)

    if rule.s == rule.S == "best":
        box = np.array([2 * window, 2 * lot])
        s, lot = refine(lambda points: score(points[:, 0], points[:, 1]), np.zeros(2), box, whole).tolist()
        return {"s": s, "S": s + lot}
    if rule.S == "best":
        s = low if rule.s is None else float(rule.s)
        return {"S": s + _best(lambda lots: score(np.full(len(lots), s), lots), 2 * lot, whole)}
    if rule.S is None:
        fixed = high - low
        return {"s": _best(lambda lows: score(lows, np.full(len(lows), fixed)), 2 * window, whole)}
    top = float(rule.S)
    return {"s": min(top, _best(lambda lows: score(np.minimum(lows, top), np.maximum(top - lows, 0.0)), top, whole))}


def _level(trial: Trial, cap: float, high: float, whole: bool) -> float:
    """The best level up to ``high`` under a cap."""
    return _best(lambda level: trial.score(level=level, cap=np.full(len(level), cap)), high, whole)


def _best(score: Objective, high: float, whole: bool) -> float:
    """The best from 0 to ``high`` of the one option that is searched."""
    return float(refine(lambda points: score(points[:, 0]), np.zeros(1), np.array([high]), whole)[0])


def refine(score: Objective, low: Floats, high: Floats, whole: bool) -> Floats:
    """Return the point (D,) of the box from ``low`` to ``high`` (D,) with the highest score.

    A grid over the box, then over the cells around its best point, until the cells are one unit (``whole``) or a
    2000th of ``high`` wide, or a ten-thousandth of the point itself. Where the best point lies on the upper edge of the first grids, the box moves up: a wide
    price range's middle may sell a thousandth of what the rule's own price sells.
    """
    finest = np.ones_like(high) if whole else np.maximum(high, 1e-9) / 2000
    closer = 0
    for _ in range(MOST_ROUNDS):
        axes = [_axis(a, b, POINTS[len(low)], whole) for a, b in zip(low, high, strict=True)]
        points = np.array(list(product(*axes)))
        best = np.asarray(points[np.argmax(score(points))])
        width = np.array([(axis[-1] - axis[0]) / max(len(axis) - 1, 1) for axis in axes])
        edge = best == np.array([axis[-1] for axis in axes])
        closer += not edge.any()
        if closer == ROUNDS or ((width <= np.maximum(finest, best / 10_000)).all() and not edge.any()):
            break
        span = np.array([axis[-1] - axis[0] for axis in axes])
        low, high = np.maximum(best - width, 0.0), best + np.where(edge, 2 * span, width)
    return best


def _axis(low: float, high: float, points: int, whole: bool) -> Floats:
    axis = np.linspace(low, high, points)
    return np.unique(np.rint(axis)) if whole else axis
