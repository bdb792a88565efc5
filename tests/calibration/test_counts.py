"""Files of a few units a row: the demand behind the counts, zeros among them, by files whose demand is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from market.calibration.calibrate import Calibration, calibrate
from market.calibration.market_size import busiest_but_for_chance
from market.calibration.options import CalibrationOptions
from market.calibration.regression.counts import counted, few
from market.calibration.regression.design import EXPECTED, OFF, WEIGHT, Design, Season, build_design
from market.calibration.regression.logit import estimate
from market.calibration.uncertainty import draw_markets
from market.errors import UserError
from tests.helpers.extras import needs
from tests.helpers.truths import ALPHA, COMMON, OWN, PROMO, RHO, SIZE, sales_in_memory, sales_of

TWO, FIVE = -7.5, -6.5  # levels at which a row sells about two and about five units
FILES = 20


def design_of(frame: pd.DataFrame, form: str = "log", size: float = SIZE) -> Design:
    sales = sales_in_memory(frame)
    return build_design(sales, pd.Series(size, sales.rows.index), form, Season(), trend=False)


def calibrated(level: float, seed: int = 0, kind: str = "exogenous", **options: object) -> Calibration:
    frame = sales_of(kind, seed, level=level)  # type: ignore[arg-type]
    return calibrate(sales_in_memory(frame), CalibrationOptions(form="log", **options))  # type: ignore[arg-type]


def test_two_rows_are_explained_by_hand() -> None:
    """Units 4 and 1 of 1,000 at prices 1 and 2: ``alpha = ln (4 / 996) - ln (1 / 999)``, with nothing left over."""
    rows = [(1, "m", "a", 1.0, 4), (2, "m", "a", 2.0, 1)]
    found = counted(
        design_of(pd.DataFrame(rows, columns=["period", "market", "seller", "price", "units"]), "linear", 1e3), False
    )
    slope = (found.response.iloc[0] - found.response.iloc[1]) / (2.0 - 1.0)
    assert slope == pytest.approx(np.log(4 / 996) - np.log(1 / 999), rel=1e-7)
    assert found.table[EXPECTED].to_numpy() == pytest.approx([4.0, 1.0], rel=1e-7)
    assert found.table[OFF].to_numpy() == pytest.approx([0.0, 0.0], abs=1e-7)


def test_without_shocks_it_is_the_maximum_of_the_poisson_likelihood() -> None:
    """Shares so small that nobody's choice moves another's, and counts of their means: found by scipy's own search."""
    frame = sales_of("exogenous", 3, markets=1, periods=60, rho=0.0, level=TWO)
    at = frame[["seller", "price", "promo_x"]]
    x = np.column_stack([np.log(at["price"]), at["promo_x"], pd.get_dummies(at["seller"]).to_numpy(float)])
    frame["units"] = np.random.default_rng(1).poisson(np.exp(x @ [-2.5, 0.7, 1.5, 1.8, 2.0, 2.2]))
    found = estimate(counted(design_of(frame, size=1e7), False), False)

    def loss(beta: np.ndarray) -> float:
        return float((np.exp(x @ beta) - frame["units"] * (x @ beta)).sum())

    best = minimize(loss, np.zeros(6), method="BFGS", options={"gtol": 1e-6}).x
    # Rows weigh by their counting noise and what seems to be spread beside, which is chance here.
    assert -found.alpha.value == pytest.approx(best[0], abs=0.1 * found.alpha.error)
    assert found.promotions["promo_x"].value == pytest.approx(best[1], abs=0.1 * found.promotions["promo_x"].error)


@pytest.mark.parametrize("level, kind", [(TWO, "exogenous"), (FIVE, "persistent")])
@needs("pyblp")
def test_demand_behind_few_units_is_found_and_by_logarithms_is_not(level: float, kind: str) -> None:
    found, by_logarithms = [], []
    for seed in range(FILES):
        design = design_of(sales_of(kind, seed, level=level))  # type: ignore[arg-type]
        one = estimate(counted(design, True), True)
        assert one.rho is not None
        held = abs(one.alpha.value - ALPHA) < 1.96 * one.alpha.error
        found.append((one.alpha.value, one.rho.value, one.promotions["promo_x"].value, held))
        by_logarithms.append(estimate(design, True).alpha.value)
    alpha, rho, promo, held = np.mean(found, 0)
    within = 3 * np.std(found, 0) / np.sqrt(FILES)  # of the means
    assert abs(alpha - ALPHA) < within[0] and abs(rho - RHO) < within[1] and abs(promo - PROMO) < within[2]
    assert held >= 0.75  # fewer than 15 of 20 intervals of 95 % hold it once in 3,000
    assert np.mean(by_logarithms) < ALPHA - 0.25


@needs("pyblp")
def test_shocks_and_how_long_they_last_are_told_apart_from_counting() -> None:
    found = [calibrated(FIVE, seed, "persistent").fit.shocks for seed in range(6)]
    assert np.mean([list(one.own.values()) for one in found]) == pytest.approx(OWN, abs=0.04)
    assert np.mean([one.common for one in found]) == pytest.approx(COMMON, abs=0.05)
    assert np.mean([one.persistence for one in found]) == pytest.approx(0.7, abs=0.1)


@needs("pyblp")
def test_what_is_left_open_is_drawn_as_the_errors_say() -> None:
    found = calibrated(FIVE)
    draws = np.array([one.alpha for one in draw_markets(found, 199).markets])
    one = found.fit.fitted.alpha
    assert draws.mean() == pytest.approx(one.value, abs=4 * one.error / np.sqrt(199))
    assert draws.std() == pytest.approx(one.error, rel=0.2)


@needs("pyblp")
def test_counts_are_taken_where_rows_are_few_and_whole_and_prices_are_not_instrumented() -> None:
    frame = sales_of("endogenous", 1, periods=60, level=FIVE)
    assert few(sales_in_memory(frame))
    assert not few(sales_in_memory(frame.assign(units=frame["units"] * 1.5)))
    assert not few(sales_in_memory(sales_of("exogenous", 1, markets=2, periods=60, level=-3)))
    whole = calibrate(sales_in_memory(frame), CalibrationOptions(form="log"))
    assert whole.choice.counts and whole.fit.fitted.rows == len(frame)
    assert not any("left out of the regression" in one for one in whole.warnings)
    instrumented = calibrate(sales_in_memory(frame), CalibrationOptions(form="log", instruments=("cost",)))
    assert not instrumented.choice.counts and instrumented.fit.fitted.rows == int((frame["units"] > 0).sum())
    assert any("left out of the regression" in one for one in instrumented.warnings)
    assert any("sum periods" in one for one in instrumented.warnings)


@needs("pyblp")
def test_a_seller_that_never_sold_somewhere_is_not_offered_there_and_moves_nothing() -> None:
    frame = sales_of("exogenous", 2, markets=3, periods=60, level=FIVE)
    frame.loc[(frame["market"] == "m1") & (frame["seller"] == "s2"), "units"] = 0
    design = counted(design_of(frame), False)
    never = (frame["market"] == "m1") & (frame["seller"] == "s2")
    assert (design.table.loc[design.table[WEIGHT] == 0, "seller"] == "s2").all()
    assert len(design.sold) == int((~never).sum())
    rest = estimate(counted(design_of(frame[~never]), False), False)
    assert estimate(design, False).alpha.value == pytest.approx(rest.alpha.value, rel=1e-9)


@needs("pyblp")
def test_a_promotion_with_which_nothing_was_ever_sold_is_named() -> None:
    """No utility is low enough for it, so that there is no end to look for."""
    frame = sales_of("exogenous", 2, markets=2, periods=60, level=FIVE)
    at = frame.index.isin(frame.sample(20, random_state=1).index)
    frame["promo_y"] = at.astype(float)
    frame.loc[at, "units"] = 0
    with pytest.raises(UserError, match="could not be estimated"):
        counted(design_of(frame), False)
    with pytest.raises(UserError, match="column promo_y does not vary"):
        calibrate(sales_in_memory(frame), CalibrationOptions(form="log", nest=False))


def test_the_busiest_period_but_for_chance_lies_between_the_mean_and_the_busiest() -> None:
    """Totals 4, 4, 10: mean 6, variance 8, so that ``6 + (1 - 6 / 8) (10 - 6) = 7``; alike but for chance: the mean."""
    rows = [
        (t + 1, m, "a", 1.0, units)
        for m, totals in {"m": (4, 4, 10), "n": (4, 5, 6)}.items()
        for t, units in enumerate(totals)
    ]
    sales = sales_in_memory(pd.DataFrame(rows, columns=["period", "market", "seller", "price", "units"]))
    assert busiest_but_for_chance(sales).tolist() == pytest.approx([7.0] * 3 + [5.0] * 3)


@needs("pyblp")
def test_a_nest_that_a_size_too_large_makes_is_said_of_counts() -> None:
    """Ten customers a period on average, of whom 7 buy: 1.5 times the busiest period is far too many, and looks like a nest."""
    frame = sales_of("exogenous", 1, markets=2, size=10_000, rho=0.0, level=-0.7).drop(columns="market_size")
    frame["units"] = np.random.default_rng(1).poisson(frame["units"] / 1_000)
    found = calibrate(sales_in_memory(frame), CalibrationOptions(form="log"))
    assert found.fit.fitted.nest > 0.2
    assert any("but for chance" in one and "only because of the market size" in one for one in found.warnings)
