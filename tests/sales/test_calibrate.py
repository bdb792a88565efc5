"""From a market to its sales file, to a calibrated market, to a run on it and to its own weeks again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import yaml

from market.salesfile.table import read_sales
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from policies.cli.main import main
from tests.helpers.extras import needs

pytestmark = needs("pyblp")


def test_the_calibrated_market_is_near_the_one_that_was_recorded(recorded: Path) -> None:
    spec = MarketSpec.load(recorded / "mine.yaml")
    assert spec.price_form == "log" and spec.names == ["dominicks", "minute_maid", "tropicana"]
    assert spec.price_sensitivity == pytest.approx(2.5057, abs=0.3)
    assert [seller.xi for seller in spec.sellers] == pytest.approx([0.6255, 0.448, 0.2993], rel=0.25)


def test_the_configurations_own_comment_replays_the_file_exactly(recorded: Path) -> None:
    text = (recorded / "mine.yaml").read_text()
    (line,) = [line for line in text.splitlines() if line.strip().startswith("# tape: ")]
    data = yaml.safe_load(text.replace(line, line.replace("# tape", "tape")))["market"]
    assert data["tape"]["sha256"] == hashlib.sha256((recorded / "sales.csv").read_bytes()).hexdigest()
    spec = MarketSpec.parse(data | {"customers": {**data["customers"], "mode": "expected"}})
    batch = MarketBatch(spec, markets=12, seed=0)
    batch.reset()
    frame = read_sales(recorded / "sales.csv").rows
    units = frame.pivot(index=["market", "period"], columns="seller", values="units").to_numpy().reshape(3, 104, 3)
    assert set(batch.tape.place) == {0, 1, 2}
    for t in range(104):
        assert batch.recorded is not None
        sold = batch.step(batch.recorded, np.zeros((12, 3)))["sold"]
        np.testing.assert_allclose(sold, units[batch.tape.place, t], rtol=1e-9)


def test_costs_are_recorded_and_found_again(recorded: Path) -> None:
    spec = MarketSpec.load(recorded / "mine.yaml")
    assert [seller.unit_cost for seller in spec.sellers] == pytest.approx([1.1795, 1.6649, 2.0385])
    assert "# mean of the file's" in (recorded / "mine.yaml").read_text()


def test_a_configuration_that_replays_is_judged_against_history(
    recorded: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["calibrate", recorded / "sales.csv", "-o", recorded / "replay.yaml", "--replay"]
    words += ["--inventory", "make_to_order"]
    assert main([*map(str, words)]) == 0
    spec = MarketSpec.load(recorded / "replay.yaml")
    assert spec.tape is not None and spec.horizon == 104
    words = ["evaluate", recorded / "replay.yaml", "--seller", "nash", "--against", "history", "--episodes", "32"]
    assert main([*map(str, words)]) == 0
    assert "dominicks against history" in capsys.readouterr().out


def test_the_calibrated_market_is_trained_on_as_it_is(recorded: Path) -> None:
    less = ["--budget", "6000", "--set", "training.evaluations=1", "--set", "evaluation.episodes=32"]
    less += ["--set", "training.markets=16", "--set", "training.evaluation_episodes=8", "--set", "market.horizon=30"]
    words = [
        "train",
        str(recorded / "mine.yaml"),
        "--runs",
        str(recorded / "runs"),
        "--name",
        "mine",
        "--device",
        "cpu",
    ]
    assert main([*words, *less]) == 0
    assert (recorded / "runs" / "mine" / "evaluation.json").exists()
