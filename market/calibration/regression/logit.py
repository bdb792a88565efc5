"""The (nested) logit estimated with pyblp, and what follows from it: elasticities, and costs that prices imply.

Two-stage least squares with standard errors robust to what lasts (:mod:`market.calibration.regression.standard_errors`). The nested
logit is linear in ``ln s_(j|g)``, so it is estimated as a logit with that term as a second endogenous variable: the same
estimates as pyblp's own search over rho (checked in tests), twenty times faster.

Elasticities (Berry 1994, sec. 4; Train 2009, sec. 4.2): ``a`` is ``alpha p`` for a linear price and ``alpha`` for log
price. Own: ``-a [1 - rho w_j - (1 - rho) s_j] / (1 - rho)``; of j's demand to k's price:
``a_k [s_k + rho / (1 - rho) w_k]``, ``w`` the share among the sellers. First-order condition of a seller with one good:
``(p - c) / p = -1 / own``. To compare with, the regression that every analyst has seen: log units on log price, an
intercept for each seller.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import xlogy

from market.calibration.regression.absorbed import Absorbed, absorb, score_sums
from market.calibration.regression.design import ELAPSED, EXPECTED, TREND, WEIGHT, Design
from market.calibration.regression.instruments import first_stage, independent, refuse_collinear, said
from market.calibration.regression.standard_errors import long_run, slope_scores, small_sample
from market.errors import UserError
from market.salesfile.table import by_number
from market.state import Floats

FLAT = 1e-20  # variance of log units that is only rounding
LEFT = "what instruments leave of the price"
UNTOLD = "the demand could not be estimated: its columns leave too little to tell them apart"
MISSING = "calibrating needs pyblp: pip install 'bazaar-market[calibrate]'"


@dataclass(frozen=True)
class Coefficient:
    """An estimate and its standard error, 1.96 of which are a 95 % interval."""

    value: float
    error: float

    @property
    def t(self) -> float:
        """Estimate / standard error."""
        return self.value / self.error if self.error > 0 else np.inf * np.sign(self.value)


@dataclass(frozen=True)
class Estimate:
    """What was estimated. Utility: ``quality - alpha f(p) + weight (r - f(p)) + promotions + season + trend + xi``.

    ``first_stage``: first-stage F of "f" (the price) and "within" (the nest), where instruments stand for them.
    ``beta`` (K + S,): coefficients of :func:`design_columns`, then of trends. ``together``: covariance of alpha and rho.
    ``counts``: units were taken as counts (:mod:`market.calibration.regression.counts`).
    ``quality``: by (market, seller), mean over the seasons. ``season``: utility by season's name, mean 0. ``trends``: by
    seller. ``xi``: the residuals, by row of ``design.sold``. ``r2``: share of the variance within seller and market that is
    explained, of counts share of the deviance.
    """

    form: str
    alpha: Coefficient
    rho: Coefficient | None
    weight: Coefficient | None
    memory: float | None
    promotions: dict[str, Coefficient]
    season: dict[str, Coefficient]
    trends: dict[str, Coefficient]
    quality: pd.Series[float]
    xi: pd.Series[float]
    r2: float
    rows: int
    periods: int
    instruments: tuple[str, ...]
    first_stage: dict[str, float] = field(default_factory=dict)
    beta: Floats = field(default_factory=lambda: np.zeros(0))
    together: float = 0.0
    counts: bool = False

    @property
    def nest(self) -> float:
        """rho, 0 without a nest."""
        return self.rho.value if self.rho else 0.0


def estimate(design: Design, nested: bool, price_instruments: tuple[str, ...] = ()) -> Estimate:
    """Fit the design's rows.

    ``nested``: one nest of all sellers; ``ln s_(j|g)`` is instrumented by rivals' mean price term and promotions.
    ``price_instruments``: columns of the table that stand for the price; empty is least squares in the price.

    Raises:
        UserError: pyblp is missing, a nest without instruments, or columns that explain one another.
    """
    regressors = design_columns(design, nested)
    if design.counted:  # the share within the nest is the expected one, which prices and promotions make
        own = ["f", "within"] if nested else ["f"]
        found = unpack(design, regressors, *_solve(design, regressors, own), tuple(own))
        return replace(found, r2=explained(design), counts=True)
    kept = _instruments(design, regressors, nested, price_instruments)
    if nested and not _enough(design, kept, price_instruments):
        raise UserError("a nest needs instruments, and neither rivals' prices nor promotions vary: leave the nest out")
    lost = [name for name in price_instruments if name not in kept]
    if price_instruments and len(lost) == len(price_instruments):
        raise UserError(
            f"--iv: {', '.join(map(said, lost))} says nothing about the price that seller x market effects, promotions, "
            "season and trend do not say already: choose other instruments, or none"
        )
    instruments = kept if price_instruments else ["f", *kept]
    beta, covariance = _solve(design, regressors, instruments)
    found = unpack(design, regressors, beta, covariance, tuple(instruments))
    return replace(found, first_stage=_first_stages(design, regressors, nested, bool(price_instruments), kept))


def controlled(design: Design, nested: bool, price_instruments: tuple[str, ...]) -> Estimate:
    """The demand with ``LEFT``, what instruments leave of the price, as a regressor beside it, least squares in both.

    The control function (Petrin & Train 2010, J. Marketing Research 47): the price's coefficient is that of the instruments,
    and the residuals are what neither the price nor the part of the shock that moves with it explain, so that forms of the
    price can be compared by them. LEFT's coefficient is 0 where prices are exogenous: its t is the test of Wu (1973,
    Econometrica 41) and Hausman (1978, Econometrica 46).
    """
    regressors = {name: x for name, x in design_columns(design, nested=False).items() if name != "f"}
    kept = _instruments(design, regressors | {"f": np.zeros(0)}, False, price_instruments)
    sold = design.sold
    absorbed = absorb(sold, design.trends)
    z = absorbed.off(np.column_stack([*regressors.values(), *(np.asarray(sold[name], np.float64) for name in kept)]))
    f = absorbed.off(np.asarray(sold["f"], np.float64)[:, None])[:, 0]
    left = pd.Series(f - z @ np.linalg.lstsq(z, f, rcond=None)[0], index=sold.index)
    table = design.table.assign(**{LEFT: left.reindex(design.table.index).fillna(0.0)})
    beside = replace(design, table=table, promotions=(*design.promotions, LEFT))
    return estimate(beside, nested)


def _first_stages(
    design: Design, regressors: dict[str, Floats], nested: bool, priced: bool, instruments: list[str]
) -> dict[str, float]:
    """First-stage F of the price, where instruments stand for it, and of the share within the nest."""
    endogenous = [name for name, is_one in (("f", priced), ("within", nested)) if is_one]
    known = {name: x for name, x in regressors.items() if name not in endogenous}
    sold = design.sold
    absorbed = absorb(sold, design.trends)
    return {name: first_stage(sold, known, instruments, regressors[name], absorbed) for name in endogenous}


def can_nest(design: Design, price_instruments: tuple[str, ...] = ()) -> bool:
    """Whether there are as many instruments as endogenous variables, rivals' columns among them."""
    regressors = design_columns(design, nested=False)
    return _enough(design, _instruments(design, regressors, True, price_instruments), price_instruments)


def _enough(design: Design, kept: list[str], price_instruments: tuple[str, ...]) -> bool:
    return bool(set(kept) & set(design.rivals)) and len(kept) >= (2 if price_instruments else 1)


def _instruments(
    design: Design, regressors: dict[str, Floats], nested: bool, price_instruments: tuple[str, ...]
) -> list[str]:
    """The price's, and a nest's own, without those that say nothing that the regression does not know already."""
    exogenous = {
        name: x for name, x in regressors.items() if name != "within" and (name != "f" or not price_instruments)
    }
    sold = design.sold
    candidates = [*price_instruments, *(design.rivals if nested else ())]
    return independent(sold, exogenous, candidates, absorb(sold, design.trends))


def design_columns(design: Design, nested: bool) -> dict[str, Floats]:
    """The columns of the regression but fixed effects and trends, each (R,)."""
    table = design.sold
    columns: dict[str, Any] = {"within": table["within"]} if nested else {}
    columns["f"] = table["f"]
    if design.memory is not None:
        columns["reference"] = table["reference"]
    columns |= {name: table[name] for name in design.promotions}
    seasons = by_number(table["season"].unique())
    columns |= {f"season {name}": (table["season"] == name).astype(float) for name in seasons[1:]}
    arrays = {name: np.asarray(column, np.float64) for name, column in columns.items()}
    refuse_collinear(arrays, absorb(table, design.trends))
    return arrays


def _solve(design: Design, columns: dict[str, Floats], instruments: list[str]) -> tuple[Floats, Floats]:
    """Coefficients (K + S,) of the columns and the trends, and their covariance."""
    table = design.sold
    x, z, absorbed = regression(design, columns, tuple(instruments))
    y = np.asarray(design.response, np.float64)
    if design.counted:
        slopes = absorbed.least_squares(x, y)
    else:
        slopes = _two_stage(table, x, z[:, len(z.T) - len(instruments) :], nested="within" in columns)
    raw = np.column_stack(list(columns.values()))
    left = (y - raw @ slopes)[:, None]
    beta = np.concatenate([slopes, absorbed.slopes(left)[:, 0]])
    e, period = absorbed.off(left)[:, 0], table["period"].to_numpy()
    summed = score_sums(raw, slope_scores(x, z, e, absorbed.effect, absorbed.weight), e, absorbed, period)
    rows = long_run(summed, kinds(names(design, columns)))
    covariance = rows.T @ rows * small_sample(len(table), parameters(columns, absorbed), len(summed)) ** 2
    if not np.isfinite(covariance).all():
        raise UserError(UNTOLD)
    return beta, np.asarray(covariance)


def _two_stage(table: pd.DataFrame, x: Floats, instruments: Floats, nested: bool) -> Floats:
    """Coefficients (K,) of columns (R, K) of which effects and trends are taken off, by pyblp.

    Instruments (R, I) without them leave nothing of what the effects and trends are of the outcome: it is taken as it is.
    """
    pyblp = load_pyblp()
    priced = 1 + nested  # the first columns: the nest's term, the price
    data = {
        "market_ids": table["market"] + " " + table["period"].astype(str),
        "shares": np.exp(table["share"]),
        # pyblp takes as endogenous whatever contains "prices": the first endogenous variable goes by that name, and
        # the price term of a nested logit is written as a sum with it.
        "prices": x[:, 0],
        "rest": x[:, priced - 1] - x[:, 0],
    }
    data |= {f"x{k}": one for k, one in enumerate(x.T) if k >= priced}
    terms = ["prices", *(["I(rest + prices)"] if nested else []), *(f"x{k}" for k in range(priced, len(x.T)))]
    data |= {f"demand_instruments{k}": one for k, one in enumerate(instruments.T)}
    with warnings.catch_warnings():
        # What pyblp warns of (columns that explain one another, moments that do not vary) is looked for here before.
        warnings.simplefilter("ignore", UserWarning)
        try:
            problem = pyblp.Problem(pyblp.Formulation("0 + " + " + ".join(terms)), pd.DataFrame(data))
            result = problem.solve(method="1s", se_type="robust")
        except pyblp.exceptions.MultipleErrors as error:
            raise UserError(f"the demand could not be estimated: {error}") from None
    beta = np.asarray(result.beta.ravel(), np.float64)
    if not np.isfinite(beta).all():
        raise UserError(UNTOLD)
    return beta


def regression(
    design: Design, columns: dict[str, Floats], instruments: tuple[str, ...]
) -> tuple[Floats, Floats, Absorbed]:
    """Regressors (R, K), exogenous regressors and instruments (R, Z), without what is taken off both: the third."""
    table = design.sold
    absorbed = absorb(table, design.trends)
    exogenous = [x for name, x in columns.items() if name not in ("within", "f")]
    z = np.column_stack([*exogenous, *(np.asarray(table[name], np.float64) for name in instruments)])
    return absorbed.off(np.column_stack(list(columns.values()))), absorbed.off(z), absorbed


def names(design: Design, columns: Iterable[str]) -> list[str]:
    """Of all coefficients: the columns', then the trends'."""
    return [*columns, *(f"{TREND}{seller}" for seller in design.trends)]


def kinds(coefficients: Iterable[str]) -> list[str]:
    """Which scores last alike: those of trends, of what prices move, and of promotions and seasons."""
    own = {"f": "price", "within": "price", "reference": "price"}
    return [TREND if name.startswith(TREND) else own.get(name, "calendar") for name in coefficients]


def parameters(columns: dict[str, Floats], absorbed: Absorbed) -> int:
    """Coefficients, fixed effects and trends that were estimated."""
    return len(columns) + absorbed.count


def load_pyblp() -> Any:
    """pyblp, told to be quiet; :class:`UserError` where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pyblp
    except ImportError:
        raise UserError(MISSING) from None
    pyblp.options.verbose = False
    return pyblp


def unpack(
    design: Design, columns: dict[str, Floats], beta: Floats, covariance: Floats, instruments: tuple[str, ...]
) -> Estimate:
    """What coefficients (K + S,) of the design's columns and trends make of its rows: fixed effects, residuals, and errors by covariance."""
    table, at, nested = design.sold, {n: k for k, n in enumerate(names(design, columns))}, "within" in columns
    errors = np.sqrt(np.diag(covariance))
    trends = {
        seller: Coefficient(float(beta[k]), float(errors[k]))
        for k, seller in enumerate(design.trends, start=len(columns))
    }
    left = design.response - sum(beta[at[n]] * columns[n] for n in columns) - grown(trends, table)
    group = [table["market"], table["seller"]]
    effect = by_effect(design, left)
    xi, seasons = left - effect, by_number(table["season"].unique())
    effects = {s: float(beta[at[f"season {s}"]]) if f"season {s}" in at else 0.0 for s in seasons}
    middle = float(np.mean(list(effects.values())))
    inverted = design.response - (beta[at["within"]] * table["within"] if nested else 0.0)
    moved = inverted - by_effect(design, inverted)
    if float((moved**2).mean()) < FLAT:
        raise UserError("units do not vary within any seller and market: there is no demand to explain")

    def one(name: str) -> Coefficient:
        return Coefficient(float(beta[at[name]]), float(errors[at[name]]))

    alpha, weight = Coefficient(-one("f").value, one("f").error), None
    if design.memory is not None:
        alpha, weight = _held(one("f"), one("reference"), float(covariance[at["f"], at["reference"]]))
    return Estimate(
        form=design.form,
        alpha=alpha,
        rho=one("within") if nested else None,
        weight=weight,
        memory=design.memory,
        promotions={name: one(name) for name in design.promotions},
        season={s: _season(covariance, at, effects, s, middle) for s in seasons} if len(seasons) > 1 else {},
        trends=trends,
        quality=effect.groupby(group).first() + middle,
        xi=xi,
        r2=float(1.0 - (xi**2).sum() / (moved**2).sum()),
        rows=len(table),
        periods=int(table["period"].nunique()),
        instruments=instruments,
        beta=beta,
        together=-sum(float(covariance[at[n], at["within"]]) for n in ("f", "reference") if n in at) if nested else 0.0,
    )


def explained(design: Design) -> float:
    """R2 of counts by their Poisson deviance: 1 - D / D of each seller's mean share of a market (Cameron & Windmeijer 1996, JBES 14)."""
    table = design.sold
    sums = table.groupby(["market", "seller"])[["units", "size"]].transform("sum")
    usual = table["size"] * sums["units"] / sums["size"]
    gained = xlogy(table["units"], table[EXPECTED] / usual) - (table[EXPECTED] - usual)
    most = xlogy(table["units"], table["units"] / usual) - (table["units"] - usual)
    return float(gained.sum() / most.sum())


def by_effect(design: Design, values: pd.Series[float]) -> pd.Series[float]:
    """The mean of the rows' seller x market, by their weights where they have some, for each row of ``design.sold``."""
    table = design.sold
    group = [table["market"], table["seller"]]
    if not design.counted:
        return values.groupby(group).transform("mean")
    sums = (values * table[WEIGHT]).groupby(group).transform("sum")
    return sums / table[WEIGHT].groupby(group).transform("sum")


def _held(f: Coefficient, reference: Coefficient, covariance: float) -> tuple[Coefficient, Coefficient]:
    """Alpha of a price held for good and the reference's weight: ``f`` has -(alpha + weight), the reference weight."""
    error = math.sqrt(max(f.error**2 + reference.error**2 + 2.0 * covariance, 0.0))
    return Coefficient(-(f.value + reference.value), error), reference


def _season(covariance: Floats, at: dict[str, int], effects: dict[str, float], name: str, middle: float) -> Coefficient:
    """A season's effect against the mean of all, and its error."""
    contrast = np.zeros(len(covariance))
    for other in effects:
        if f"season {other}" in at:
            contrast[at[f"season {other}"]] = (other == name) - 1.0 / len(effects)
    return Coefficient(effects[name] - middle, math.sqrt(max(float(contrast @ covariance @ contrast), 0.0)))


def grown(trends: dict[str, Coefficient], table: pd.DataFrame) -> pd.Series[float]:
    """Utility of every row by its seller's trend, 0 where it has none."""
    if not trends:
        return pd.Series(0.0, table.index)
    slope = {seller: one.value for seller, one in trends.items()}
    return table["seller"].map(slope).fillna(0.0).astype("float64") * table[ELAPSED]


def predict(fitted: Estimate, table: pd.DataFrame) -> pd.Series[float]:
    """Mean utility (without xi) of every row of a design's table, sold or not; NaN where a seller has no quality."""
    keys = pd.MultiIndex.from_frame(table[["market", "seller"]])
    utility = fitted.quality.reindex(keys).set_axis(table.index) - fitted.alpha.value * table["f"]
    if fitted.weight is not None:
        utility += fitted.weight.value * (table["reference"] - table["f"])
    for name, one in fitted.promotions.items():
        utility += one.value * table[name]
    utility += grown(fitted.trends, table)
    return utility + table["season"].map({name: one.value for name, one in fitted.season.items()}).fillna(0.0)


@np.errstate(under="ignore")
def elasticities(price: ArrayLike, share: ArrayLike, alpha: float, rho: float, form: str) -> Floats:
    """Matrix (N, N): per cent that the row's demand changes when the column's price rises by one per cent.

    Args:
        price: (N,) money; share: (N,) of the market size.

    Example: one seller, log price, alpha 3, share 0.25, no nest: ``-3 (1 - 0.25) = -2.25``.
    """
    p, s = np.asarray(price, np.float64), np.asarray(share, np.float64)
    within = s / s.sum()
    slope = alpha * (np.ones_like(p) if form == "log" else p)
    cross = slope * (s + rho / (1 - rho) * within)
    matrix = np.tile(cross, (len(p), 1))
    np.fill_diagonal(matrix, -slope * (1 - rho * within - (1 - rho) * s) / (1 - rho))
    return matrix


def own_errors(price: ArrayLike, share: ArrayLike, one: Estimate) -> Floats:
    """Standard errors (N,) of own elasticities at those prices and shares, by the delta method in alpha and rho.

    ``d own / d alpha = own / alpha``, ``d own / d rho = -a (1 - w) / (1 - rho)^2``. Without a nest: elasticity -2, alpha 4
    with standard error 0.4: 0.2.
    """
    p, s = np.asarray(price, np.float64), np.asarray(share, np.float64)
    own = np.diag(elasticities(p, s, one.alpha.value, one.nest, one.form))
    by_alpha = own / one.alpha.value
    slope = one.alpha.value * (np.ones_like(p) if one.form == "log" else p)
    by_rho = -slope * (1.0 - s / s.sum()) / (1.0 - one.nest) ** 2
    of_rho = one.rho.error if one.rho else 0.0
    variance = (by_alpha * one.alpha.error) ** 2 + (by_rho * of_rho) ** 2 + 2.0 * by_alpha * by_rho * one.together
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)))


def implied_cost(price: ArrayLike, share: ArrayLike, within: ArrayLike, alpha: float, rho: float, form: str) -> Floats:
    """Unit cost at which each price is the best reply of a seller with one good; below 0 where demand is inelastic.

    Example: price 2, log price, alpha 3, share 0.25, no nest: own elasticity -2.25, cost ``2 (1 - 1 / 2.25) = 1.11``.
    """
    p, s, w = (np.asarray(x, np.float64) for x in (price, share, within))
    slope = alpha * (np.ones_like(p) if form == "log" else p)
    own = slope * (1 - rho * w - (1 - rho) * s) / (1 - rho)
    return np.asarray(p * (1 - 1 / own))


def log_log_elasticity(rows: pd.DataFrame) -> float:
    """Own-price elasticity by least squares; rows without a sale are left out.

    Prices 1, 2 and units 100, 25 of one seller: ``ln (25 / 100) / ln 2 = -2``.
    """
    sold = rows[rows["units"] > 0]
    seller = sold["seller"].factorize()[0]
    price, units = (np.log(sold[name].to_numpy(np.float64)) for name in ("price", "units"))
    count = np.maximum(np.bincount(seller), 1)
    x = price - (np.bincount(seller, price) / count)[seller]
    y = units - (np.bincount(seller, units) / count)[seller]
    spread = float(x @ x)
    return float(x @ y) / spread if spread > 0 else 0.0
