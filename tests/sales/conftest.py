"""Calibrations that pages and charts are made of, and a market that was recorded and calibrated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from market.calibration.calibrate import Calibration, calibrate
from market.calibration.options import CalibrationOptions
from market.salesfile.table import read_sales
from policies.cli.main import main
from tests.helpers.calibrated import sales_file


@pytest.fixture(scope="session")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    """Three sellers in two markets: dates, seasons, promotions, a nest tried, a gap, and a name that HTML would mind."""
    folder = tmp_path_factory.mktemp("rich")
    path = sales_file(folder, ("ann", "bob", "cid"), ("north", "south"), promoted=True, dated=True, name="a<i>&b.csv")
    found = calibrate(read_sales(path), CalibrationOptions(season_length=4))
    return replace(found, warnings=[*found.warnings, "a <b>bold</b> & nasty one", "is it a typing error?"])


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    """Two sellers in one market, linear price, no nest, no promotions, no seasons, no trends."""
    path = sales_file(tmp_path_factory.mktemp("plain"), ("ann", "bob"), ("all",))
    return calibrate(read_sales(path), CalibrationOptions(form="linear", nest=False, trend=False, size=9000.0))


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    """Twelve sellers."""
    names = tuple(f"seller.number-{k:02d}" for k in range(12))
    path = sales_file(tmp_path_factory.mktemp("many"), names, ("all",))
    return calibrate(read_sales(path), CalibrationOptions(nest=False, cost_share=0.6))


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Calibration:
    """Everything that options add: instruments, a reference price, overdispersion, doubts overruled."""
    path = sales_file(tmp_path_factory.mktemp("asked"), ("ann", "bob", "cid"), ("all",), promoted=True)
    options = CalibrationOptions(
        form="log", nest=False, instruments=("rivals", "promotions"), reference=0.5, gamma=True, force=("gaps",)
    )
    return calibrate(read_sales(path), options)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded file of three stores, and the market calibrated to it."""
    place = tmp_path_factory.mktemp("sales")
    config, rules = Path(__file__).parents[2] / "configs/orange_juice.yaml", "random+base_stock(level=ample)"
    words = ["record", config, "-o", place / "sales.csv", "--rules", rules]
    assert main([*map(str, words), "--markets", "3"]) == 0
    words = ["calibrate", place / "sales.csv", "-o", place / "mine.yaml", "--inventory", "make_to_order"]
    assert main([*map(str, words), "--json", str(place / "mine.json")]) == 0
    return place
