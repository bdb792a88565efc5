"""Sales that are newer than a market: whether they are what it sells, what of it moved, and the market that they are of.

*Whether it sells them* is a test by simulation (Barnard 1963, J. Royal Stat. Soc. B 25, 294; Besag & Clifford 1989, Biometrika
76): the market's own kernel draws the newest periods again and again at their real prices, promotions and market sizes, with
shocks drawn anew and every time another of the draws that its estimate leaves open. The statistic is a score test's (Rao 1948):
with residuals ``e_i = q_i - E q_i`` of units q, the sums ``s = (sum of e by seller, sum of e_i (f(p_i) - mean of f by
seller))``, and ``T = s' C^-1 s``, C their covariance in the draws. p is the share of draws, the file's own among them, whose T
is as large: exact whatever the size of counts and however long shocks last.

*What moved*: each parameter of the market estimated anew from newer periods alone, less the market's own, over the root of both
variances; beyond the normal quantile of a 5 % test of all of them together (Bonferroni).

N sellers, D draws, R rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from market.calibration.calibrate import Calibration, calibrate
from market.calibration.fit import Fit
from market.calibration.market_file import season_cycle
from market.calibration.moment import NEVER, MarketAt, market_at
from market.calibration.options import CalibrationOptions
from market.calibration.regression.design import Design, Season, price_term, references
from market.calibration.regression.logit import Coefficient, Estimate
from market.calibration.shocks import Shocks
from market.calibration.uncertainty import Drawn, MarketDraw, draw_markets
from market.calibration.validation import simulate
from market.demand.script import calendar
from market.errors import UserError
from market.salesfile.table import PROMOTED, Sales
from market.spec.models import Draw, MarketSpec
from market.state import Floats

LEVEL = 0.05  # of both tests
DRAWS = 2_000
FEWEST, HELD = 12, 4  # new periods, and the newest of them held out, at least
SHARE = 0.25  # of the new periods that are held out
EVENT = "event"


# ------------------------------------------------------------------------------------------------ which periods are new


@dataclass(frozen=True)
class NewerSales:
    """A sales file beside a market.

    ``phase``: the place of the file's first period in the market's calendar. ``new``: the first period, by number, that the
    market was not estimated from; ``held``: the first that is held out.
    """

    sales: Sales
    phase: int
    new: int
    held: int

    @property
    def periods(self) -> int:
        """Of the file."""
        return len(self.sales.labels)

    def part(self, first: int, end: int) -> Sales:
        """The sales of periods ``first`` to before ``end``."""
        sales = self.sales
        rows = sales.rows[(sales.rows["period"] >= first) & (sales.rows["period"] < end)]
        dates = None if sales.dates is None else sales.dates[first:end]
        rows = rows.assign(period=rows["period"] - first).reset_index(drop=True)
        return replace(sales, rows=rows, labels=sales.labels[first:end], dates=dates)

    def said(self, first: int, end: int) -> str:
        """Such periods in words."""
        return f"{self.sales.labels[first]} to {self.sales.labels[end - 1]}"


def newer_sales(spec: MarketSpec, sales: Sales, hold_out: int | None = None, phase: int | None = None) -> NewerSales:
    """What is new in a file to a market: all periods after those that it was estimated from; of a market written by hand, all.

    Args:
        hold_out: how many of the newest are held out; None: a quarter of the new ones.
        phase: the place of the file's first period in the calendar; None: as the market's ``estimated_from`` tells, else 0.

    Raises :class:`UserError` for other sellers or places than the market's, and for too few new periods.
    """
    _refuse_others(spec, sales)
    origin, labels = spec.estimated_from, sales.labels
    new, begins = 0, 0
    if origin is not None:
        if origin.last in labels:
            new = labels.index(origin.last) + 1
        elif sales.dates is not None:
            new = int((sales.dates <= pd.Timestamp(origin.last)).sum()) if _is_date(origin.last) else 0
        begins = _since(origin.first, sales)
    count = len(labels) - new
    held = hold_out if hold_out is not None else max(round(SHARE * count), HELD)
    if count < FEWEST or held >= count - 1:
        after = f" after {origin.last}, up to which the market was estimated" if new and origin is not None else ""
        raise UserError(
            f"{sales.path}: holds {count} {sales.step}s{after}, of which {held} would be held out: {FEWEST} are needed at least"
        )
    return NewerSales(sales, begins if phase is None else phase, new, len(labels) - held)


def _refuse_others(spec: MarketSpec, sales: Sales) -> None:
    if (there := set(sales.sellers)) != set(spec.names):
        missing, more = (
            [*filter(lambda name: name not in other, one)]
            for one, other in ((spec.names, there), (sorted(there), spec.names))
        )
        said = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(more)} besides"
        raise UserError(f"{sales.path}: {said}: the market's sellers are {', '.join(spec.names)}")
    known = [place.name for place in spec.locations]
    if known and (odd := [name for name in sales.markets if name not in known]):
        raise UserError(f"{sales.path}: market {odd[0]} is none of the market's locations, {', '.join(known)}")


def _is_date(label: str) -> bool:
    try:
        return not pd.isna(pd.Timestamp(label))
    except ValueError:
        return False


def _since(first: str, sales: Sales) -> int:
    """Periods from the label ``first`` to the file's first one."""
    if first in sales.labels:
        return -sales.labels.index(first)
    if sales.dates is None or not _is_date(first):
        return 0
    here, there = sales.dates[0], pd.Timestamp(first)
    if sales.step == "month":
        return int((here.year - there.year) * 12 + here.month - there.month)
    return int((here - there).days // (7 if sales.step == "week" else 1))


# ------------------------------------------------------------------------------------------------ does the market sell them


@dataclass(frozen=True)
class NewestFit:
    """The newest periods by the market as it is: ``p`` of the test; units and z by seller, and the slope's z."""

    p: float
    units: dict[str, float]
    expected: dict[str, float]
    z: dict[str, float]
    slope: float

    @property
    def holds(self) -> bool:
        """Whether the market sells what was sold."""
        return self.p > LEVEL


def newest_fit(spec: MarketSpec, newer: NewerSales) -> NewestFit:
    """Test the market on the periods held out; see the module."""
    table = _table(spec, newer, newer.held)
    draws: Sequence[Draw | None] = spec.draws or (None,)
    each = -(-DRAWS // len(draws))
    units = np.concatenate(
        [simulate(_as_fit(spec, one, newer.sales.markets), table, k, each).units for k, one in enumerate(draws)]
    ).astype(np.float64)
    seat = table["seller"].map({name: k for k, name in enumerate(spec.names)}).to_numpy()
    real, mean = table["units"].to_numpy(np.float64), units.mean(axis=0)
    by_seller = np.eye(len(spec.names))[seat]
    price = table["f"] - table.groupby("seller")["f"].transform("mean")
    x = np.column_stack([by_seller, price.to_numpy(np.float64)])
    p, z = scored((real - mean) @ x, (units - mean) @ x)
    sold, expected = (dict(zip(spec.names, (values @ by_seller).tolist(), strict=True)) for values in (real, mean))
    return NewestFit(p, sold, expected, dict(zip(spec.names, z[:-1].tolist(), strict=True)), float(z[-1]))


def scored(own: Floats, drawn: Floats) -> tuple[float, Floats]:
    """p of sums ``own`` (K,) among ``drawn`` (D, K), and each sum over its standard deviation (K,).

    Example: one sum of 3 among draws -1, 1, -1, 1: none is as far out, p = (1 + 0) / (4 + 1) = .2.
    """
    spread = np.cov(drawn, rowvar=False).reshape(len(own), len(own))
    inverse = np.linalg.pinv(spread, hermitian=True)
    far = np.einsum("dk,kl,dl->d", drawn, inverse, drawn)
    beyond = int((far >= own @ inverse @ own * (1 - 1e-12)).sum())
    deviation = np.sqrt(np.diag(spread))
    return (1 + beyond) / (1 + len(drawn)), np.divide(own, deviation, out=np.zeros_like(own), where=deviation > 0)


def _table(spec: MarketSpec, newer: NewerSales, first: int) -> pd.DataFrame:
    """Rows from a period on, as :func:`market.calibration.validation.simulate` takes them; units and sizes in baskets."""
    rows = newer.sales.rows
    table = rows[["market", "period", "seller", "price"]].copy()
    table["units"] = rows["units"] / spec.customers.basket
    table["size"] = usual_sizes(spec, newer) / spec.customers.basket
    table["f"] = price_term(rows["price"], spec.price_form)
    table["season"] = ((rows["period"] + newer.phase) % max(len(spec.season), 1)).astype(str)
    promotions = newer.sales.promotions
    table[EVENT] = (rows[promotions].max(axis=1) >= PROMOTED).astype(float) if promotions else 0.0
    if spec.reference_price is not None:
        table["reference"] = references(table, spec.reference_price.memory)
    return table[table["period"] >= first].reset_index(drop=True)


def usual_sizes(spec: MarketSpec, newer: NewerSales) -> pd.Series[float]:
    """What all customers of each row's place and period could buy, units: the file's, or the market's."""
    rows = newer.sales.rows
    if newer.sales.has("market_size"):
        return rows["market_size"].astype("float64")
    factor = np.asarray(calendar(spec, rows["period"].to_numpy() + newer.phase), np.float64)
    place = rows["market"].map({one.name: one.size for one in spec.locations}).fillna(1.0)
    return place.astype("float64") * factor * spec.customers.rate * spec.customers.basket


def _as_fit(spec: MarketSpec, draw: Draw | None, markets: Sequence[str]) -> Fit:
    """The market, or one of its draws, as what simulates a table."""
    alpha, rho = (spec.price_sensitivity, spec.nest) if draw is None else (draw.price_sensitivity, draw.nest)
    places: list[tuple[str, Sequence[float]]] = [(one.name, one.quality) for one in spec.locations]
    places = places or [(name, [one.quality for one in spec.sellers]) for name in markets]
    added = np.zeros(len(spec.names)) if draw is None else np.array(draw.quality)
    at = {
        (place, name): quality + more - spec.outside
        for place, own in places
        for name, quality, more in zip(spec.names, own, added, strict=True)
    }
    known = spec.reference_price
    estimated = Estimate(
        form=spec.price_form, alpha=_sure(alpha), rho=_sure(rho) if rho else None,
        weight=_sure(known.weight) if known else None, memory=known.memory if known else None,
        promotions={EVENT: _sure(spec.events.effect)} if spec.events else {},
        season={str(k): _sure(value) for k, value in enumerate(spec.season)}, trends={}, quality=pd.Series(at),
        xi=pd.Series(dtype=float), r2=math.nan, rows=0, periods=0, instruments=(),
    )  # fmt: skip
    factor = 1.0 if draw is None else draw.shock
    shocks = Shocks(
        common=factor * math.hypot(spec.demand_shock.common, spec.customers.shock.sd), own={one.name: factor * one.xi for one in spec.sellers},
        persistence=spec.demand_shock.persistence, dispersion=spec.customers.dispersion, noise=0.0,
    )  # fmt: skip
    empty = Design(pd.DataFrame(), spec.price_form, Season(), (), (), ())
    return Fit(empty, estimated, shocks, {}, None)


def _sure(value: float) -> Coefficient:
    return Coefficient(value, 0.0)


# ------------------------------------------------------------------------------------------------ what moved


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

    Price form, nest, reference price, season and instruments are those of the market, its customers too unless more was sold
    than they could buy. Old and new periods together would be of neither market where parameters moved.

    Raises :class:`UserError` for whatever calibrating refuses.
    """
    say("estimating from the new periods")
    remarks: list[str] = []
    fixed = _sized(spec, newer, remarks)
    recent, drawn = _estimated(spec, fixed, newer.new, force)
    resized = bool(remarks)
    changes = _changes(spec, newer, recent, drawn, comparable=not resized)
    one = Refit(newer, changes, recent, drawn, newer.new, resized, tuple(remarks))
    if not newer.new:
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
    size = usual_sizes(spec, newer)
    total = sales.rows.groupby(["market", "period"])["units"].transform("sum")
    if (total >= size).any():
        remarks.append(
            "more was sold than the market's customers could buy: their number is estimated anew, and levels are not compared"
        )
        return replace(newer, sales=replace(sales, rows=sales.rows.drop(columns="market_size", errors="ignore")))
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


def _changes(spec: MarketSpec, newer: NewerSales, found: Calibration, drawn: Drawn, comparable: bool) -> list[Change]:
    one, before = found.fit.fitted, spec.draws
    changes = [
        Change("price sensitivity", _known(spec.price_sensitivity, [d.price_sensitivity for d in before]), one.alpha)
    ]
    if one.rho is not None and spec.nest > 0:
        changes.append(Change("nest", _known(spec.nest, [d.nest for d in before]), one.rho))
    if one.weight is not None and spec.reference_price is not None:
        changes.append(Change("reference price", _known(spec.reference_price.weight, []), one.weight))
    return [*changes, *_levels(spec, newer, found, drawn)] if comparable else changes


def _levels(spec: MarketSpec, newer: NewerSales, found: Calibration, drawn: Drawn) -> Iterator[Change]:
    at, season = market_at(found), _season_in(spec, newer, newer.new, newer.held, season_cycle(found))
    for seat, name in enumerate(spec.names):
        k = found.sellers.index(name)
        now = Coefficient(at.mean_quality(k), _spread([one.quality[k] for one in drawn.markets]))
        before = _mean_quality(spec, seat) - spec.outside + season
        yield Change(f"quality of {name}", _known(before, [one.quality[seat] for one in spec.draws]), now)


def _season_in(spec: MarketSpec, newer: NewerSales, first: int, end: int, estimated: Sequence[float]) -> float:
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


# ------------------------------------------------------------------------------------------------ the market that they are of


def refitted(spec: MarketSpec, one: Refit) -> MarketSpec:
    """The market with the new estimate's demand; ranges, costs that the file does not tell, and what sellers see stay.

    What the market lacks (a season, promotions) is not added: a seller that learned without could not see it.
    """
    found, at, newer = one.found, market_at(one.found), one.newer
    fitted, shocks = found.fit.fitted, found.fit.shocks
    cycle = season_cycle(found)
    season, taken = list(spec.season), 0.0
    if len(cycle) == len(spec.season) > 0:
        season = [cycle[(k - newer.phase - one.first) % len(cycle)] for k in range(len(cycle))]
    else:
        taken = _season_in(spec, newer, one.first, newer.held, ())
    seats = [found.sellers.index(name) for name in spec.names]
    data: dict[str, Any] = spec.dump() | {
        "price_sensitivity": fitted.alpha.value, "nest": fitted.nest, "outside": 0.0, "season": season,
        "demand_shock": {"persistence": shocks.persistence, "common": shocks.common},
        "draws": [_draw(draw, seats) for draw in one.drawn.markets],
        "estimated_from": _origin(spec, one),
    }  # fmt: skip
    data["customers"] = data["customers"] | {"dispersion": shocks.dispersion} | _rate(spec, one, at)
    if not one.drawn.markets:
        data["uncertainty"] = "off"
    if fitted.weight is not None and spec.reference_price is not None:
        data["reference_price"] = data["reference_price"] | {"weight": fitted.weight.value}
    if spec.events is not None and found.fit.promotions is not None:
        event = found.fit.promotions
        data["events"] = data["events"] | {"effect": event.effect, "mean_length": event.mean_length}
    if spec.locations:
        data["locations"] = [_location(place, at, seats, taken) for place in data["locations"]]
    data["sellers"] = [_seller(own, one, at, seat, taken) for own, seat in zip(data["sellers"], seats, strict=True)]
    return MarketSpec.parse(data)


def _draw(draw: MarketDraw, seats: Sequence[int]) -> dict[str, Any]:
    quality = [draw.quality[k] for k in seats]
    return {"price_sensitivity": draw.alpha, "nest": draw.rho, "quality": quality, "shock": draw.shock}


def _origin(spec: MarketSpec, one: Refit) -> dict[str, Any]:
    """Its first period is where the calendar begins; the periods held out are new to it."""
    sales, before = one.newer.sales, spec.estimated_from
    first = before.first if before is not None and one.newer.phase else sales.labels[0]
    known = {"file": sales.path.name, "sha256": sales.sha256, "first": first, "last": sales.labels[one.newer.held - 1]}
    return known | {"instruments": list(before.instruments if before is not None else ())}


def _rate(spec: MarketSpec, one: Refit, at: MarketAt) -> dict[str, float]:
    """Mean customers, where their number was estimated anew."""
    if not one.resized:
        return {}
    known = {place.name: place.size for place in spec.locations}
    return {
        "rate": float(np.mean([size / known.get(name, 1.0) for name, size in at.size.items()])) / spec.customers.basket
    }


def _location(place: dict[str, Any], at: MarketAt, seats: Sequence[int], taken: float) -> dict[str, Any]:
    if place["name"] not in at.quality:
        return place
    return place | {"quality": [max(at.quality[place["name"]][k] - taken, NEVER) for k in seats]}


def _seller(own: dict[str, Any], one: Refit, at: MarketAt, seat: int, taken: float) -> dict[str, Any]:
    rows, name = one.newer.sales.rows, own["name"]
    prices = rows.loc[rows["seller"] == name, "price"]
    found = own | {"quality": at.mean_quality(seat) - taken, "xi": one.found.fit.shocks.own[name]}
    found["prices_on_file"] = [float(prices.min()), float(prices.max())]
    if one.found.sales.has("cost"):
        found["unit_cost"] = at.cost[name]
    promoted = one.found.fit.promotions
    if promoted is not None and "event_frequency" in own:
        found["event_frequency"] = promoted.frequency[name]
    return found
