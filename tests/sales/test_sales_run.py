"""From a market to its sales file, to a calibrated market, to a run on it and to its own weeks again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from market.salesfile.table import read_sales
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from policies.cli.main import main

pytest.importorskip("pyblp", reason="calibrating needs the extra calibrate")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded file of three stores, and the market calibrated to it."""
    place = tmp_path_factory.mktemp("sales")
    rules = "random+base_stock(level=ample)"
    words = ["record", ROOT / "configs/orange_juice.yaml", "-o", place / "sales.csv", "--rules", rules]
    assert main([*map(str, words), "--markets", "3"]) == 0
    words = ["calibrate", place / "sales.csv", "-o", place / "mine.yaml", "--inventory", "make_to_order"]
    assert main([*map(str, words), "--json", str(place / "mine.json")]) == 0
    return place


def test_what_is_recorded_is_what_the_market_sold_and_is_the_same_every_time(folder: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(folder / "sales.csv")
    assert len(frame) == 104 * 3 * 3 and set(frame["promo_event"]) == {0, 1}
    assert frame["promo_event"].mean() == pytest.approx(0.23, abs=0.06)
    words = ["record", str(ROOT / "configs/orange_juice.yaml"), "-o", str(tmp_path / "again.csv"), "--markets", "3"]
    assert main([*words, "--rules", "random+base_stock(level=ample)"]) == 0
    assert (tmp_path / "again.csv").read_bytes() == (folder / "sales.csv").read_bytes()


def test_a_recorded_file_is_not_written_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "sales.csv").read_bytes()
    assert main(["record", str(ROOT / "configs/duopoly.yaml"), "-o", str(folder / "sales.csv")]) == 2
    assert "exists already and is not written over" in capsys.readouterr().err
    assert (folder / "sales.csv").read_bytes() == before


def test_more_periods_than_the_market_has_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["record", str(ROOT / "configs/duopoly.yaml"), "-o", str(tmp_path / "x.csv"), "--periods", "10000"]
    assert main(words) == 2
    assert "--periods 10000: the market's horizon is" in capsys.readouterr().err


def test_the_calibrated_market_is_near_the_one_that_was_recorded(folder: Path) -> None:
    spec = MarketSpec.load(folder / "mine.yaml")
    assert spec.price_form == "log" and spec.names == ["dominicks", "minute_maid", "tropicana"]
    assert spec.price_sensitivity == pytest.approx(2.5057, abs=0.3)
    assert [seller.xi for seller in spec.sellers] == pytest.approx([0.6255, 0.448, 0.2993], rel=0.25)


def test_the_configurations_own_comment_replays_the_file_exactly(folder: Path) -> None:
    text = (folder / "mine.yaml").read_text()
    (line,) = [line for line in text.splitlines() if line.strip().startswith("# tape: ")]
    data = yaml.safe_load(text.replace(line, line.replace("# tape", "tape")))["market"]
    assert data["tape"]["sha256"] == hashlib.sha256((folder / "sales.csv").read_bytes()).hexdigest()
    spec = MarketSpec.parse(data | {"customers": {**data["customers"], "mode": "expected"}})
    batch = MarketBatch(spec, markets=12, seed=0)
    batch.reset()
    frame = read_sales(folder / "sales.csv").rows
    units = frame.pivot(index=["market", "period"], columns="seller", values="units").to_numpy().reshape(3, 104, 3)
    assert set(batch.tape.place) == {0, 1, 2}
    for t in range(104):
        assert batch.recorded is not None
        sold = batch.step(batch.recorded, np.zeros((12, 3)))["sold"]
        np.testing.assert_allclose(sold, units[batch.tape.place, t], rtol=1e-9)


def test_costs_are_recorded_and_found_again(folder: Path) -> None:
    spec = MarketSpec.load(folder / "mine.yaml")
    assert [seller.unit_cost for seller in spec.sellers] == pytest.approx([1.1795, 1.6649, 2.0385])
    assert "# mean of the file's" in (folder / "mine.yaml").read_text()


def test_a_configuration_that_replays_is_judged_against_history(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "calibrate",
        folder / "sales.csv",
        "-o",
        folder / "replay.yaml",
        "--replay",
        "--inventory",
        "make_to_order",
    ]
    assert main([*map(str, words)]) == 0
    spec = MarketSpec.load(folder / "replay.yaml")
    assert spec.tape is not None and spec.horizon == 104
    words = ["evaluate", folder / "replay.yaml", "--seller", "nash", "--against", "history", "--episodes", "32"]
    assert main([*map(str, words)]) == 0
    assert "dominicks against history" in capsys.readouterr().out


def test_the_calibrated_market_is_trained_on_as_it_is(folder: Path) -> None:
    less = ["--budget", "6000", "--set", "training.evaluations=1", "--set", "evaluation.episodes=32"]
    less += ["--set", "training.markets=16", "--set", "training.evaluation_episodes=8", "--set", "market.horizon=30"]
    words = ["train", str(folder / "mine.yaml"), "--runs", str(folder / "runs"), "--name", "mine", "--device", "cpu"]
    assert main([*words, *less]) == 0
    assert (folder / "runs" / "mine" / "evaluation.json").exists()
