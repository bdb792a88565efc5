"""Does a market sell what was sold in periods that it has not seen? A test by simulation.

The market's own kernel draws the newest periods again and again at their real prices, promotions and market sizes, with shocks
drawn anew and every time another of the draws that its estimate leaves open (a Monte Carlo test: Barnard 1963, J. Royal Stat.
Soc. B 25, 294; Besag & Clifford 1989, Biometrika 76). The statistic is a score test's (Rao 1948): with residuals
``e_i = q_i - E q_i`` of units q, the sums ``s = (sum of e by seller, sum of e_i (f(p_i) - mean of f by seller))``, and
``T = s' C^-1 s``, C their covariance in the draws. p is the share of draws, the file's own among them, whose T is as large:
right however small counts are and however long shocks last.

K sums, D draws, R rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from market.calibration.fit import Fit
from market.calibration.newer.periods import NewerSales, usual_sizes
from market.calibration.regression.design import Design, Season, price_term, references
from market.calibration.regression.logit import Coefficient, Estimate
from market.calibration.shocks import Shocks
from market.calibration.validation import simulate
from market.salesfile.table import PROMOTED
from market.spec.models import Draw, MarketSpec
from market.state import Floats

LEVEL = 0.05  # of the test
DRAWS = 2_000
EVENT = "event"


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
    basket = spec.customers.basket
    sold, expected = (
        dict(zip(spec.names, (values @ by_seller * basket).tolist(), strict=True)) for values in (real, mean)
    )
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
