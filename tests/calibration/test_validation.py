"""Held-out weeks: a market that is right passes, markets known to be wrong fail the same checks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from market.calibration.calibrate import Calibration, calibrate
from market.calibration.comparison import compare_levels
from market.calibration.market_file import configuration
from market.calibration.moment import elapsed_at
from market.calibration.options import CalibrationOptions
from market.calibration.validation import Validation, _written, simulate, validate
from market.salesfile.table import read_sales
from market.spec.models import MarketSpec
from tests.helpers.controls import poisson_only, shocks_off, validate_with
from tests.helpers.extras import needs
from tests.helpers.recorded import known_market, record, write
from tests.helpers.truths import sales_in_memory, shares

pytestmark = needs("pyblp")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = MarketSpec.parse(known_market())
    return write(record(spec, 12).drop(columns="market_size"), tmp_path_factory.mktemp("held"))


@pytest.fixture(scope="module")
def found(file: Path) -> Calibration:
    return calibrate(read_sales(file), CalibrationOptions())


def failed(checked: Validation) -> set[str]:
    return {check.name for check in checked.checks if not check.passed}


def test_the_right_market_passes_every_check(found: Calibration) -> None:
    checked = validate(found)
    assert failed(checked) == set() and checked.passed
    assert checked.rows == len(found.sales.rows), "every row is predicted once"
    assert checked.weeks["units"].sum() == found.sales.rows["units"].sum()


def test_poisson_noise_alone_fails(found: Calibration) -> None:
    assert "rows in their 90% intervals" in failed(validate_with(poisson_only, found))


def test_shocks_switched_off_fails(found: Calibration) -> None:
    assert "rows in their 90% intervals" in failed(validate_with(shocks_off, found))


@pytest.mark.slow
def test_a_market_a_hundred_times_too_large_fails(file: Path) -> None:
    large = calibrate(read_sales(file), CalibrationOptions(size_factor=150))
    assert "busiest period's units of the market size" in failed(validate(large))


def test_customers_a_hundred_times_too_many_fail(found: Calibration) -> None:
    """The parameters of the right market, and its customers times 100."""
    table = found.fit.design.table.assign(size=lambda rows: 100 * rows["size"])
    fold = replace(found, fit=replace(found.fit, design=replace(found.fit.design, table=table)))
    drawn = simulate(found.fit, fold.fit.design.table, 0)
    assert drawn.units.mean(0).sum() > 50 * found.sales.rows["units"].sum()


@pytest.mark.slow
def test_sales_read_as_ounces_fail(file: Path, tmp_path: Path) -> None:
    import pandas as pd

    ounces = pd.read_csv(file).assign(units=lambda rows: 64 * rows["units"])
    sales = read_sales(write(ounces, tmp_path))
    checked = validate(calibrate(sales, CalibrationOptions(force=("multiples",))))
    assert "largest number that divides all units of a seller" in failed(checked)


def test_what_is_simulated_has_the_fitted_means_and_variances(found: Calibration) -> None:
    """Against draws by numpy alone: utilities, shocks, nested shares, Poisson counts."""
    from market.calibration.fit import draws, expected_shares
    from market.calibration.regression.design import cells
    from tests.helpers.truths import lay_out

    table = found.fit.design.table[found.fit.design.table["period"] < 12]
    drawn = simulate(found.fit, table, 3)
    sellers = found.sellers
    utility = found.fit.utility(table)
    share = expected_shares(utility.to_numpy(), *cells(table, sellers), found.fit.fitted.nest, draws(found.fit.shocks))
    expected = lay_out(table, utility * 0 + share, sellers)
    size = table.groupby(["market", "period"])["size"].first().to_numpy()[:, None]
    mean = lay_out(drawn.table, drawn.table["units"] * 0 + drawn.units.mean(0), sellers)
    assert mean.sum() == pytest.approx((size * expected).sum(), rel=0.02)
    assert np.allclose(mean, size * expected, rtol=0.2)
    assert (drawn.units.var(0) > 2 * drawn.units.mean(0)).mean() > 0.95, "shocks make counts overdispersed"


def test_the_same_seed_draws_the_same_weeks(found: Calibration) -> None:
    table = found.fit.design.table[found.fit.design.table["period"] < 6]
    one, other = (simulate(found.fit, table, 7).units for _ in range(2))
    assert (one == other).all()


@pytest.fixture(scope="module")
def drifting() -> Calibration:
    """One market of 104 weeks in which a gains and b loses 3 in utility."""
    chance, frames = np.random.default_rng(8), []
    for t in range(104):
        price = 2.0 * np.exp(chance.normal(0, 0.2, 3))
        drift = 3.0 * ((t + 0.5) / 104 - 0.5) * np.array([1.0, -1.0, 0.0])
        share = shares((drift - 2.4 * np.log(price) + chance.normal(0, 0.12, 3))[None], 0.0)[0]
        units = chance.multinomial(4000, [*share, 1 - share.sum()])[:3]
        columns = {"period": t + 1, "market": "m", "seller": ["a", "b", "c"], "price": price.round(3), "units": units}
        frames.append(pd.DataFrame(columns | {"market_size": 4000}))
    return calibrate(sales_in_memory(pd.concat(frames, ignore_index=True)), CalibrationOptions(nest=False, form="log"))


def test_the_market_written_sells_what_the_last_quarter_sold(drifting: Calibration) -> None:
    """Sold by the configuration itself, at the quarter's prices, with numpy's normals and shares: the file's units."""
    assert elapsed_at(104, "end") == 0.375
    market = yaml.safe_load(configuration(drifting))["market"]
    late = drifting.sales.rows.query("period >= 78")
    price = late.pivot(index="period", columns="seller", values="price").to_numpy()
    quality, sd = (np.array([seller[key] for seller in market["sellers"]]) for key in ("quality", "xi"))
    mean = quality - market["price_sensitivity"] * np.log(price)
    xi = np.random.default_rng(3).normal(0, 1, (400, 1, 3)) * sd
    sold = 4000 * np.mean([shares(mean + one, 0.0) for one in xi], axis=0).mean(0)
    real = late.groupby("seller")["units"].mean().to_numpy()
    assert sold.sum() == pytest.approx(real.sum(), rel=0.04)
    assert np.abs(sold / sold.sum() - real / real.sum()).max() < 0.02
    total, *shared = compare_levels(_written(drifting))
    assert total.passed and total.market / 26 == pytest.approx(sold.sum(), rel=0.02)
    assert [one.market for one in shared] == pytest.approx((sold / sold.sum()).tolist(), abs=0.01)


def test_a_market_of_the_very_last_period_is_found_out(drifting: Calibration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("market.calibration.validation.elapsed_at", lambda periods, at: 0.5)
    total = compare_levels(_written(drifting))[0]
    assert total.market > 1.06 * total.real and not total.passed
