"""What an estimate leaves open, as draws; and the market at the file's end beside its middle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from market.calibration.calibrate import Calibration, calibrate
from market.calibration.market_file import configuration
from market.calibration.moment import latest, market_at
from market.calibration.options import CalibrationOptions
from market.calibration.regression.logit import Coefficient, design_columns, names
from market.calibration.uncertainty import draw_markets, influence
from market.salesfile.table import read_sales
from market.spec.models import MarketSpec
from tests.helpers.extras import needs
from tests.helpers.recorded import NAMES, known_market, record, write

pytestmark = needs("pyblp")
GROWTH = 0.6  # of utility, from the file's first period to its last


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    """Two markets of 120 periods in which everybody's quality grows, and costs with it."""
    growth = np.linspace(-GROWTH / 2, GROWTH / 2, 120).tolist()
    frame = record(MarketSpec.parse(known_market(season=growth)), 2)
    frame["cost"] = 0.8 + frame["period"] / 100
    return calibrate(read_sales(write(frame, tmp_path_factory.mktemp("grown"))), CalibrationOptions())


def test_long_run_rows_have_the_variance_of_the_standard_errors(found: Calibration) -> None:
    columns = design_columns(found.fit.design, found.choice.nested)
    rows, one = influence(found, columns), found.fit.fitted
    assert one.rho is not None
    called = names(found.fit.design, columns)
    errors = dict(zip(called, np.sqrt((rows[:, : len(called)] ** 2).sum(0)), strict=True))
    assert errors["within"] == pytest.approx(one.rho.error) and errors["f"] == pytest.approx(one.alpha.error)
    assert [errors[f"trend of {name}"] for name in one.trends] == pytest.approx(
        [value.error for value in one.trends.values()]
    )


def test_levels_are_as_uncertain_as_means_of_shocks_that_last(found: Calibration) -> None:
    """A seller's residuals, mean over two markets of equal size, in 120 periods of persistence .4: 2.3 times the variance."""
    columns = design_columns(found.fit.design, found.choice.nested)
    level = influence(found, columns)[:, len(columns) + 3]
    xi = found.fit.fitted.xi[found.fit.design.sold["seller"] == NAMES[0]]
    period = found.fit.design.sold.loc[xi.index, "period"]
    independent = float(((xi.groupby(period).sum() / len(xi)) ** 2).sum())
    assert 1.2 * independent < float((level**2).sum()) < 4.5 * independent


def test_draws_are_as_wide_as_the_standard_errors(found: Calibration) -> None:
    many, one = draw_markets(found, 80).markets, found.fit.fitted
    assert one.rho is not None
    for drawn, value in (([m.alpha for m in many], one.alpha), ([m.rho for m in many], one.rho)):
        assert np.std(drawn) == pytest.approx(value.error, rel=0.25)  # of 80 draws, +- 8 % to one standard error
        assert np.mean(drawn) == pytest.approx(value.value, abs=4 * value.error / np.sqrt(80))
    few = draw_markets(found, 20)
    assert few.markets == many[:20] and few.refused == 0, "same file, same draws"
    assert 0.9 < np.mean([m.shock for m in many]) < 1.1


def test_draws_that_no_market_can_be_are_drawn_anew(found: Calibration) -> None:
    beta = found.fit.fitted.beta.copy()
    columns = design_columns(found.fit.design, found.choice.nested)
    beta[list(columns).index("within")] = 0.0
    none = replace(found.fit.fitted, beta=beta, rho=Coefficient(0.0, 0.05))
    drawn = draw_markets(replace(found, fit=replace(found.fit, fitted=none)), 20)
    assert 5 < drawn.refused < 60, "half of the law lies below zero"
    assert all(0 <= one.rho < 0.95 for one in drawn.markets)


def test_the_configuration_holds_the_draws_and_plays_the_estimate(found: Calibration) -> None:
    text = configuration(found)
    spec = MarketSpec.parse(yaml.safe_load(text)["market"])
    assert len(spec.draws) == 39 and spec.uncertainty == "off" and configuration(found) == text
    assert spec.draws[3].price_sensitivity == pytest.approx(draw_markets(found).markets[3].alpha, rel=1e-3)
    prices = found.sales.rows.groupby("seller")["price"].agg(["min", "max"])
    assert [list(seller.prices_on_file or ()) for seller in spec.sellers] == prices.to_numpy().tolist()


def test_the_end_is_where_qualities_have_grown_to(found: Calibration) -> None:
    end, middle = market_at(found, "end"), market_at(found, "middle")
    grown = [end.mean_quality(k) - middle.mean_quality(k) for k in range(3)]
    assert grown == pytest.approx([0.375 * one.value for one in found.fit.fitted.trends.values()])
    assert np.mean(grown) == pytest.approx(0.375 * GROWTH, abs=0.12), "the middle of the last quarter"
    assert list(end.cost.values()) == pytest.approx([0.8 + (90 + 119) / 200] * 3)  # the last 30 of 120 periods
    assert list(middle.cost.values()) == pytest.approx([0.8 + 119 / 200] * 3) and latest(120) == 30
    assert "is that of the file's end" in configuration(found)


def test_the_middle_is_there_for_the_asking(found: Calibration, tmp_path: Path) -> None:
    text = configuration(replace(found, options=replace(found.options, at="middle")))
    spec = MarketSpec.parse(yaml.safe_load(text)["market"])
    assert spec.sellers[0].unit_cost == pytest.approx(0.8 + 119 / 200, rel=1e-4)
    assert "is that of the file's middle" in text
