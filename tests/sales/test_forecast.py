"""`bazaar forecast`: what is refused, what is printed and what is written."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from policies.cli.main import main
from policies.sales.forecast import as_data
from policies.sales.forecast_view import unknown, verdict
from tests.helpers.extras import needs
from tests.helpers.forecasts import a_file, a_score, numbers, of, printed, ran, two_sellers

pytestmark = needs("statsforecast")

JUICE = Path(__file__).parents[3] / "shared" / "data" / "oj_dominicks_3brand_chain_week.csv"


def test_what_is_said_of_a_model_that_beats_the_naive_ones_and_of_none_that_does() -> None:
    good = of(a_score("Naive", [1]), a_score("SeasonalNaive", [2]), a_score("AutoETS", [0.75]))
    assert verdict(good) == (
        "ann: in the fold that chose it, which is optimistic, AutoETS has 25% less error than the naive forecast and "
        "62% less error than the seasonal naive forecast."
    )
    exact = of(a_score("Naive", [np.inf]), a_score("HistoricAverage", [0]))
    assert verdict(exact).endswith("HistoricAverage (the mean of all periods) has less error than the naive forecast.")
    assert (good.beats("Naive"), good.beats("SeasonalNaive"), good.beats("AutoTheta")) == (True, True, None)
    bad = of(a_score("Naive", [1]), a_score("AutoETS", [1.5]))
    assert verdict(bad) == (
        "ann: in the one fold no model does better than the naive forecast, which is what is forecast with."
    )
    assert bad.beats("Naive") is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--horizon", "0"], "--horizon: must be at least 1, got 0"),
        (["--horizon", "2", "--level", "90"], "--level: must be a number between 0 and 1, got '90'"),
    ],
)
def test_options_out_of_range_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["forecast", str(two_sellers(tmp_path)), *options]) == 2
    assert message in capsys.readouterr().err


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["forecast", *map(str, arguments)]) == 2
    return capsys.readouterr().err


def test_what_cannot_be_done_is_said_in_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = two_sellers(tmp_path)
    there = tmp_path / "there.json"
    there.write_text("{}")
    assert "nowhere.csv" in refused(capsys, tmp_path / "nowhere.csv", "--horizon", 2)
    assert "exists already and is not written over; choose another name, or --force" in refused(
        capsys, path, "--horizon", 2, "--json", there
    )
    assert "must end with .png or .html" in refused(capsys, path, "--horizon", 2, "--plot", tmp_path / "a.gif")
    assert "is the sales file itself" in refused(capsys, path, "--horizon", 2, "--csv", path, "--force")
    same = tmp_path / "same"
    assert "must be different files" in refused(capsys, path, "--horizon", 2, "--csv", same, "--json", same)
    assert "the longest series has 30 periods, fewer than 5 folds x 9 periods + 12 periods to fit to = 57" in refused(
        capsys, path, "--horizon", 9, "--csv", tmp_path / "a.csv"
    )
    assert there.read_text() == "{}" and not (tmp_path / "a.csv").exists()


def test_without_statsforecast_the_command_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    message = refused(capsys, two_sellers(tmp_path), "--horizon", 2)
    assert message == (
        "bazaar forecast: needs statsforecast, which is not installed: pip install 'bazaar-market[calibrate]'\n"
    )


def test_files_hold_the_forecasts_that_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = two_sellers(tmp_path), {end: tmp_path / f"out.{end}" for end in ("json", "csv", "png")}
    files = [f"--{key}={out[end]}" for key, end in (("json", "json"), ("csv", "csv"), ("plot", "png"))]
    assert main(["forecast", str(path), "--horizon", "2", "--folds", "2", *files]) == 0
    text = capsys.readouterr().out
    data = json.loads(out["json"].read_text())
    rows = list(csv.DictReader(io.StringIO(out["csv"].read_text())))
    assert list(rows[0]) == ["period", "seller", "mean", "low", "high", "model", "level"]
    assert [(row["seller"], row["period"]) for row in rows] == [
        (name, period) for name in ("ann", "bob") for period in ("30", "31")
    ]
    ahead = [one for series in data["series"] for one in series["forecast"]]
    for end in ("mean", "low", "high"):
        assert [float(row[end]) for row in rows] == [round(one[end], 3) for one in ahead]
    assert [row["model"] for row in rows[::2]] == [series["model"] for series in data["series"]]
    assert {row["level"] for row in rows} == {"0.9"}
    assert all(one["low"] <= one["mean"] <= one["high"] for one in ahead)
    for series in data["series"]:
        lowest = min(series["backtest"], key=lambda score: score["mase"])
        assert lowest["mase"] == pytest.approx(next(
            score["mase"] for score in series["backtest"] if score["model"] == series["model"]
        ))  # fmt: skip
        assert f"{lowest['mase']:.3f}" in text
        assert [fold["first_period"] for fold in series["backtest"][0]["folds"]] == ["26", "28"]
    assert out["png"].read_bytes().startswith(b"\x89PNG")
    assert main(["forecast", str(path), "--horizon", "2", "--folds", "2", *files, "--force"]) == 0
    assert json.loads(out["json"].read_text()) == data


def test_series_of_markets_are_named_in_the_csv(tmp_path: Path) -> None:
    rows = [(t, "ann", 2, numbers(7, 20)[t], shop) for t in range(20) for shop in ("x", "y")]
    path, out = a_file(tmp_path, rows, "period,seller,price,units,market"), tmp_path / "out.csv"
    assert main(["forecast", str(path), "--horizon=1", "--folds=2", "--by-market", f"--csv={out}"]) == 0
    assert [line.rsplit(",", 5)[0] for line in out.read_text().splitlines()] == [
        "period,market,seller",
        "20,x,ann",
        "20,y,ann",
    ]


def test_tables_fit_a_narrow_terminal_and_say_how_to_read_them(tmp_path: Path) -> None:
    result = ran(two_sellers(tmp_path), folds=2)
    text = printed(result, width=80)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text and "nan" not in text
    flat = " ".join(text.split())
    assert "its MASE is somewhat optimistic" in flat
    assert "without one the seasonal naive forecast is the naive one" in flat
    assert sum("chosen  " in line for line in text.splitlines()) == 2


def a_priced_file(folder: Path, prices: Sequence[float], heads: str = "period,seller,price,units") -> Path:
    """One seller, 28 periods, prices in turn; what further columns there are holds 0."""
    more = (0,) * (len(heads.split(",")) - 4)
    units = numbers(12, 30)
    return a_file(folder, [(t, "ann", prices[t % len(prices)], units[t], *more) for t in range(28)], heads)


def test_what_a_forecast_does_not_know_is_said_first_with_what_the_file_shows_of_it(tmp_path: Path) -> None:
    first = "Prices and promotions to come are not used"
    flat = " ".join(printed(ran(a_priced_file(tmp_path, [2, 2.1]), folds=2)).split())
    assert flat.startswith(f"{first}. Units ahead")
    result = ran(a_priced_file(tmp_path, [2, 2, 1, 2]), folds=2)  # standard deviation 0.43 of a mean of 1.75
    assert unknown(result) == (
        f"{first}: prices vary a lot here (by 25% of their mean), and promotions drive such sales."
    )
    heads = "period,seller,price,units,promo_feat,promo_deal"
    assert unknown(ran(a_priced_file(tmp_path, [2], heads), folds=2)) == (
        f"{first}: the file has promotions (promo_feat, promo_deal), and promotions drive such sales."
    )


def test_an_infinite_mase_is_written_as_null(tmp_path: Path) -> None:
    units = [7] * 28 + [9, 9]
    result = ran(a_file(tmp_path, [(t, "ann", 2, one) for t, one in enumerate(units)]), folds=1)
    data = as_data(result)
    assert data["series"][0]["backtest"][0]["mase"] is None
    json.dumps(data, allow_nan=False)
    assert "nan" not in printed(result)


@pytest.mark.skipif(not JUICE.exists(), reason=f"{JUICE.name} is not there")
def test_orange_juice_is_forecast_with_a_yearly_season(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    arguments = ["--horizon", "8", "--columns", "period=week_start,seller=brand", "--json", str(out)]
    assert main(["forecast", str(JUICE), *arguments]) == 0
    text, data = capsys.readouterr().out, json.loads(out.read_text())
    assert data["season"] == 52
    assert [series["seller"] for series in data["series"]] == ["dominicks", "minute.maid", "tropicana"]
    assert data["series"][0]["forecast"][0]["period"] == "1992-10-08"
    assert "Season: 52 weeks, a year." in text
    for series in data["series"]:
        scores = {score["model"]: score for score in series["backtest"]}
        assert len(scores) == 6
        assert scores[series["model"]]["mase"] <= scores["HistoricAverage"]["mase"]
        assert 0.3 < scores[series["model"]]["mase"] < 1.5
        assert 0.75 <= scores[series["model"]]["coverage"] <= 1
