"""What is recorded is what the market sold, and nothing is written over."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from policies.cli.main import main
from tests.helpers.extras import needs

pytestmark = needs("pyblp")

ROOT = Path(__file__).parents[2]


def test_what_is_recorded_is_what_the_market_sold_and_is_the_same_every_time(recorded: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(recorded / "sales.csv")
    assert len(frame) == 104 * 3 * 3 and set(frame["promo_event"]) == {0, 1}
    assert frame["promo_event"].mean() == pytest.approx(0.23, abs=0.06)
    words = ["record", str(ROOT / "configs/orange_juice.yaml"), "-o", str(tmp_path / "again.csv"), "--markets", "3"]
    assert main([*words, "--rules", "random+base_stock(level=ample)"]) == 0
    assert (tmp_path / "again.csv").read_bytes() == (recorded / "sales.csv").read_bytes()


def test_a_recorded_file_is_not_written_over(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (recorded / "sales.csv").read_bytes()
    assert main(["record", str(ROOT / "configs/duopoly.yaml"), "-o", str(recorded / "sales.csv")]) == 2
    assert "exists already and is not written over" in capsys.readouterr().err
    assert (recorded / "sales.csv").read_bytes() == before


def test_more_periods_than_the_market_has_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["record", str(ROOT / "configs/duopoly.yaml"), "-o", str(tmp_path / "x.csv"), "--periods", "10000"]
    assert main(words) == 2
    assert "--periods 10000: the market's horizon is" in capsys.readouterr().err
