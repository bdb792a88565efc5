"""What of a market moved: its parameters estimated anew from newer sales.

Each parameter, estimated from the new periods alone, less the market's own, over the root of both variances; it moved where that
is beyond the normal quantile of a 5 % test of all of them together (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from market.calibration.calibrate import Calibration, calibrate
from market.calibration.checks import FEWEST_PERIODS
from market.calibration.market_file import season_cycle
from market.calibration.moment import market_at
from market.calibration.newer.newest import LEVEL
from market.calibration.newer.periods import NewerSales, usual_sizes
from market.calibration.options import CalibrationOptions
from market.calibration.regression.logit import Coefficient
from market.calibration.uncertainty import Drawn, draw_markets
from market.spec.models import MarketSpec


@dataclass(frozen=True)
class Change:
    """A parameter: the market's and the newer periods', with standard errors."""

    name: str
    before: Coefficient
    now: Coefficient

    @property
    def z(self) -> float:
        """The difference over the root of both variances."""
        return (self.now.value - self.before.value) / max(math.hypot(self.before.error, self.now.error), 1e-12)


@dataclass(frozen=True)
class Refit:
    """What newer periods say.

    ``changes``: by parameter, estimated from the new periods but those held out; ``found``, ``drawn``: the market's new
    estimate, of the file's periods from ``first`` to those held out; ``resized``: whether the market's customers were too few
    for what was sold. ``remarks`` say why.
    """

    newer: NewerSales
    changes: list[Change]
    found: Calibration
    drawn: Drawn
    first: int
    resized: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def far(self) -> float:
        """The |z| from which on a parameter moved."""
        return float(ndtri(1 - LEVEL / 2 / max(len(self.changes), 1)))

    @property
    def moved(self) -> list[Change]:
        """Parameters that moved beyond their standard errors."""
        return [one for one in self.changes if abs(one.z) > self.far]


def refit(
    spec: MarketSpec, newer: NewerSales, force: tuple[str, ...] = (), say: Callable[[str], None] = lambda phase: None
) -> Refit:
    """Estimate the market anew, the newest periods left out: from all periods, or, where parameters moved, from the new ones.

    Old and new periods together would be of neither market where parameters moved. Nothing is known to have moved where the new
    periods are too few to be estimated from alone. Price form, nest, reference price, season and instruments are those of the
    market, its customers too unless more was sold than they could buy: then a rule makes them larger (as `bazaar calibrate`
    does), and utilities, which count from who buys nothing, cannot be compared.

    Raises :class:`UserError` for whatever calibrating refuses.
    """
    say("estimating from the new periods")
    remarks: list[str] = []
    fixed = _sized(spec, newer, remarks)
    resized, alone = bool(remarks), newer.held - newer.new
    if newer.new and alone < FEWEST_PERIODS:
        remarks.append(f"{alone} new periods are too few to be estimated from alone ({FEWEST_PERIODS} are needed)")
        say("estimating from all periods")
        return Refit(newer, [], *_estimated(spec, fixed, 0, force), 0, resized, tuple(remarks))
    recent, drawn = _estimated(spec, fixed, newer.new, force)
    changes = [] if resized else _changes(spec, newer, recent, drawn)
    one = Refit(newer, changes, recent, drawn, newer.new, resized, tuple(remarks))
    if not newer.new or resized:
        return one
    if not one.moved:
        say("estimating from all periods")
        whole, over = _estimated(spec, fixed, 0, force)
        return replace(one, found=whole, drawn=over, first=0)
    left = f"periods before {newer.sales.labels[newer.new]} are left out: they are of the market as it was"
    return replace(one, remarks=(*remarks, left))


def _sized(spec: MarketSpec, newer: NewerSales, remarks: list[str]) -> NewerSales:
    """The file with the market's customers as its market sizes; as it is where it has its own, or more was sold."""
    sales = newer.sales
    if sales.has("market_size"):
        return newer
    size = usual_sizes(spec, newer)
    total = sales.rows.groupby(["market", "period"])["units"].transform("sum")
    if (total >= size).any():
        remarks.append(
            "more was sold than the market's customers could buy: their number is a rule's now, and no parameter can be compared"
        )
        return newer
    return replace(newer, sales=replace(sales, rows=sales.rows.assign(market_size=size)))


def _estimated(spec: MarketSpec, newer: NewerSales, first: int, force: tuple[str, ...]) -> tuple[Calibration, Drawn]:
    known = spec.reference_price
    options = CalibrationOptions(
        form=spec.price_form, nest=spec.nest > 0, reference=known.memory if known else None,
        season_length=max(len(spec.season), 1), gamma=spec.customers.dispersion > 0 and not spec.demand_shock.common,
        instruments=spec.estimated_from.instruments if spec.estimated_from else (), force=force, inventory=spec.inventory,
    )  # fmt: skip
    found = calibrate(newer.part(first, newer.held), options)
    return found, draw_markets(found)


def _changes(spec: MarketSpec, newer: NewerSales, found: Calibration, drawn: Drawn) -> list[Change]:
    one, before = found.fit.fitted, spec.draws
    changes = [
        Change("price sensitivity", _known(spec.price_sensitivity, [d.price_sensitivity for d in before]), one.alpha)
    ]
    if one.rho is not None and spec.nest > 0:
        changes.append(Change("nest", _known(spec.nest, [d.nest for d in before]), one.rho))
    if one.weight is not None and spec.reference_price is not None:
        changes.append(Change("reference price", _known(spec.reference_price.weight, []), one.weight))
    return [*changes, *_levels(spec, newer, found, drawn)]


def _levels(spec: MarketSpec, newer: NewerSales, found: Calibration, drawn: Drawn) -> Iterator[Change]:
    at, season = market_at(found), season_in(spec, newer, newer.new, newer.held, season_cycle(found))
    for seat, name in enumerate(spec.names):
        k = found.sellers.index(name)
        now = Coefficient(at.mean_quality(k), _spread([one.quality[k] for one in drawn.markets]))
        before = _mean_quality(spec, seat) - spec.outside + season
        yield Change(f"quality of {name}", _known(before, [one.quality[seat] for one in spec.draws]), now)


def season_in(spec: MarketSpec, newer: NewerSales, first: int, end: int, estimated: Sequence[float]) -> float:
    """What the market's season adds to utility on average in such periods, or in its cycle where one is ``estimated`` there,
    whose mean is 0.
    """
    if not spec.season:
        return 0.0
    at = range(len(spec.season)) if estimated else [(t + newer.phase) % len(spec.season) for t in range(first, end)]
    return float(np.mean([spec.season[k] for k in at]))


def _mean_quality(spec: MarketSpec, seat: int) -> float:
    if not spec.locations:
        return spec.sellers[seat].quality
    return float(
        np.average([one.quality[seat] for one in spec.locations], weights=[one.size for one in spec.locations])
    )


def _known(value: float, drawn: Sequence[float]) -> Coefficient:
    return Coefficient(value, _spread(drawn))


def _spread(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
