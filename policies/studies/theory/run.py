"""`bazaar theory`: equilibrium prices, slopes of demand and exact optima of a market.

:func:`theory_report` has them as plain data, which the tables show and the JSON file holds. N sellers. Everything that
does not exist carries the reason instead (key ``why``). Needs neither torch nor Tianshou.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from market.demand.equilibrium import prices_in_range, prices_of
from market.demand.logit import Logit, diversion_ratios, elasticities, profits, shares
from market.errors import UserError
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from market.state import Floats
from market.theory.newsvendor import mean_demand, newsvendor_level, service_level
from market.theory.optimum import PRICES, GridAxis, Optimum, solve, why_not
from market.theory.upper_bound import profit_bound
from policies.common.files import refuse_unwritable, write_json
from policies.common.progress import phases
from policies.common.results import Records
from policies.common.seeding import row_seed
from policies.config.command import ordered_by
from policies.config.learners import LearnerOptions
from policies.config.orders import TheoryOrder
from policies.config.run import RunConfig, read_config, seats_called
from policies.evaluation.statistics import half_width
from policies.studies.theory.view import tables

Say = Callable[[str], None]

EPISODES = 256  # tapes that the hindsight bound is averaged over, at most
MOST_PERIODS = 500_000  # of all of them: long episodes need fewer for the same mean
# Prices and levels that are tried in turn where all of them are too many.
COARSER: tuple[tuple[int, int | None], ...] = ((41, None), (81, 101), (41, 101), (21, 101), (21, 41), (11, 21))


@dataclass(frozen=True)
class TheoryResult(Records):
    """What theory says of a market; ``report`` has everything, and where something does not exist, why."""

    report: dict[str, Any]

    def records(self) -> list[dict[str, Any]]:
        """A row a seller: equilibrium and joint-profit prices, newsvendor level, and what the exact optimum earns."""
        rows, nothing = [], [None] * len(self.report["sellers"])
        for seat, name in enumerate(self.report["sellers"]):
            row: dict[str, Any] = {"seller": name}
            for outcome, key in product(("nash", "joint"), ("price", "profit")):
                row[f"{outcome}_{key}"] = self.report[outcome].get(key, nothing)[seat]
            exact = self.report["exact"].get(name, {})
            row |= {"newsvendor_level": self.report["newsvendor"][seat].get("level")}
            row |= {"optimum": exact.get("average"), "upper_bound": exact.get("hindsight", {}).get("profit")}
            rows.append(row)
        return rows


@ordered_by(TheoryOrder)
def theory(order: TheoryOrder) -> TheoryResult:
    """Carry out `bazaar theory`: print the tables of a configuration, and write all figures to ``json``.

    Raises :class:`UserError` for a seat that there is not; what the market does not have is told with its reason.

    Example::

        from policies import theory

        print(theory("monopoly", prices=11).to_frame()[["seller", "nash_price", "optimum"]])
    """
    refuse_unwritable(order.json)
    config = read_config(order.config, order.changes)
    spec = config.market
    seats = seats_called(order.seat, spec)
    with phases(order.console, f"solving {spec.name}", lines=False) as say:
        report = theory_report(config, seats, order.gamma, order.prices, say)
    for table in tables(spec, report):
        table.print(order.console)
    write_json(order.json, report)
    return TheoryResult(report)


def theory_report(
    config: RunConfig, seats: Sequence[int], gamma: float | None, prices: int | None, say: Say
) -> dict[str, Any]:
    """Return every figure, of the market as it is estimated; the exact part for ``seats``.

    ``say`` is told what is being worked out.
    """
    config = config.model_copy(update={"market": config.market.certain})
    spec = config.market
    say("equilibrium prices")
    logit = Logit.of(spec)
    nash, joint = (_prices(spec, joint) for joint in (False, True))
    at, known = _reference(spec, nash)
    report: dict[str, Any] = {"market": spec.name, "period": spec.period, "sellers": spec.names}
    report |= {"nash": _outcome(logit, nash), "joint": _outcome(logit, joint)}
    report["slopes"] = {
        "at": known,
        "price": at.tolist(),
        "share": shares(logit, at).tolist(),
        "elasticities": elasticities(logit, at).tolist(),
        "diversion": _diversion(logit, at) if len(at) > 1 else None,
    }
    report["newsvendor"] = [_newsvendor(spec, seat, at) for seat in range(len(spec.sellers))]
    report["exact"] = {spec.names[seat]: _exact(config, seat, gamma, prices, say) for seat in seats}
    return report


def _prices(spec: MarketSpec, joint: bool) -> tuple[Floats, Floats] | str:
    """Inside the sellers' ranges and without them, or why there are none."""
    try:
        return prices_in_range(spec, joint), prices_of(spec, joint)
    except UserError as problem:
        return str(problem)


def _reference(spec: MarketSpec, nash: tuple[Floats, Floats] | str) -> tuple[Floats, str]:
    """The prices at which slopes are shown."""
    if isinstance(nash, str):
        return np.array([sum(seller.prices) / 2 for seller in spec.sellers]), "the middle of the price ranges"
    return nash[0], "Bertrand-Nash prices" if len(nash[0]) > 1 else "the monopoly price"


def _outcome(logit: Logit, found: tuple[Floats, Floats] | str) -> dict[str, Any]:
    """``without_ranges``: the same prices if every seller could post any."""
    if isinstance(found, str):
        return {"why": found}
    price, free = found
    return {
        "price": price.tolist(),
        "margin": (price - logit.unit_cost).tolist(),
        "lerner": ((price - logit.unit_cost) / price).tolist(),
        "share": shares(logit, price).tolist(),
        "profit": profits(logit, price).tolist(),
        "without_ranges": free.tolist(),
    }


def _diversion(logit: Logit, price: Floats) -> list[list[float | None]]:
    """To every seller, and to the outside option last; None to oneself."""
    ratio = diversion_ratios(logit, price).tolist()
    return [[None if k == j else row[j] for j in range(len(row))] + [row[k]] for k, row in enumerate(ratio)]


def _newsvendor(spec: MarketSpec, seat: int, price: Floats) -> dict[str, Any]:
    seller = spec.sellers[seat]
    try:
        level = newsvendor_level(spec, seat, price)
    except UserError as problem:
        return {"why": str(problem)}
    costs = (float(price[seat]), seller.unit_cost, seller.holding_cost, seller.stockout_cost)
    return {
        "demand": mean_demand(spec, seat, price),
        "lead_time": seller.lead_time,
        "service_level": service_level(*costs),
        "level": level,
    }


def _exact(config: RunConfig, seat: int, gamma: float | None, prices: int | None, say: Say) -> dict[str, Any]:
    """The seat's optimum against Nash prices with ample stock, and the bound from hindsight; or why there is none."""
    spec, name = config.market, config.market.names[seat]
    reason = why_not(spec, seat, gamma)
    found: dict[str, Any] = {}
    if reason is None:
        try:
            found = _solutions(spec, seat, gamma, prices, say)
        except UserError as problem:
            reason = str(problem).removeprefix(f"market.sellers.{seat} ({name}): ")
    if reason is not None:
        found = {"why": reason}
    say(f"{name}: bound from hindsight")
    return found | {"hindsight": _upper_bound(config, seat)}


def _solutions(spec: MarketSpec, seat: int, gamma: float | None, prices: int | None, say: Say) -> dict[str, Any]:
    name, seller = spec.names[seat], spec.sellers[seat]
    say(f"{name}: best average profit")
    best, asked = _finest(spec, seat, prices)
    found: dict[str, Any] = _described(best) | {"prices": asked[0], "levels": asked[1]}
    discount = float(LearnerOptions.model_fields["gamma"].default) if gamma is None else gamma
    say(f"{name}: best profit discounted by {discount:g}")
    patient = solve(spec, seat, prices=asked[0], levels=asked[1], gamma=discount) if spec.stocked else best
    found["discounted"] = _described(patient) | {"gamma": discount, "value": patient.value if spec.stocked else None}
    found["lost_to_discounting"] = 1.0 - patient.average / best.average if best.average > 0 else None
    if seller.grid is not None:
        say(f"{name}: best average profit on its own grid")
        found["grid"] = _described(solve(spec, seat, prices="grid", levels="grid" if spec.stocked else None))
    return found


def _finest(spec: MarketSpec, seat: int, prices: int | None) -> tuple[Optimum, tuple[GridAxis, GridAxis]]:
    """The optimum on the prices asked for and every whole level, or on the finest grid that fits."""
    try:
        return solve(spec, seat, prices=prices), (prices, None)
    except UserError as problem:
        refused = problem
    for count, levels in COARSER:
        if count <= (prices or PRICES):
            try:
                return solve(spec, seat, prices=count, levels=levels), (count, levels)
            except UserError:
                continue
    raise refused


def _described(optimum: Optimum) -> dict[str, Any]:
    return {
        "average": optimum.average,
        "lowest_price": optimum.prices_posted[0],
        "highest_price": optimum.prices_posted[1],
        "mean_price": optimum.mean_price,
        "lowest_level": optimum.levels_ordered_to[0],
        "highest_level": optimum.levels_ordered_to[1],
    }


def _upper_bound(config: RunConfig, seat: int) -> dict[str, Any]:
    """Profit a period that not even a seller who knows the tape exceeds on average, and its 95 % half-width."""
    spec, skipped = config.market, config.evaluation.warm_up
    try:
        episodes = max(2, min(EPISODES, MOST_PERIODS // spec.horizon))
        batch = MarketBatch(spec, episodes, row_seed(0, "evaluate"))
        batch.reset()
        bound = profit_bound(batch, seat, warm_up=skipped) / (spec.horizon - skipped)
    except UserError as problem:
        return {"why": str(problem)}
    return {"profit": float(bound.mean()), "half_width": half_width(bound), "episodes": episodes}
