"""A run that can be updated, and sales of its market."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("pyblp", reason="the extra calibrate is not installed")

import policies.training.loop  # noqa: F401  # so that no pictures are drawn
from policies.sales.record import record
from tests.helpers.shared import once
from tests.helpers.small_run import small_run

SINCE = {"same": 2.0, "dearer": 3.0}  # customers' price sensitivity; the run's market has 2


def _make(folder: Path) -> None:
    for name, sensitivity in SINCE.items():
        changes = [f"market.price_sensitivity={sensitivity}", "market.customers.rate=200"]
        own = {"order_up_to": "[0, 400]", "quality": 2.5, "prices": "[1.4, 2.4]"}  # nothing runs out
        changes += [
            f"market.sellers.{seller}.{key}={value}" for seller in ("left", "right") for key, value in own.items()
        ]
        rules = "random+base_stock(level=ample)"
        record("duopoly", output=folder / f"{name}.csv", rules=rules, markets=1, seed=3, changes=changes)


@pytest.fixture(scope="session", name="sales")
def _sales() -> Path:
    """The folder of same.csv and dearer.csv."""
    return once("newer_sales", _make)


@pytest.fixture(name="run")
def _run(tmp_path: Path) -> Path:
    """A trained run of two learners whose market has ten times the customers, and less for them."""
    folder = tmp_path / "run"
    shutil.copytree(small_run(), folder)
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("rate: 20.0", "rate: 200.0").replace("quality: 4.0", "quality: 2.5"))
    return folder
