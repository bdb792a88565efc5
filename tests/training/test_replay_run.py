"""A replayed sales file from end to end: a learner trains among sellers of the past, and is evaluated there again."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from policies.cli.main import main
from policies.storage.run_folder import saved_sellers
from tests.helpers.markets import a_market

WEEKS = 14
CONFIG: dict[str, Any] = {
    "seats": {"a": "ddpg", "b": "history"},
    "learners": {"ddpg": {"warm_up": 200}},
    "training": {"budget": 2000, "markets": 16, "evaluations": 2, "evaluation_episodes": 8},
    "evaluation": {
        "episodes": 16,
        "warm_up": 2,
        "competitors": ["history"],
    },
}


def sales_file(folder: Path, first: str = "2.0") -> Path:
    """Two stores, two brands and a promotion every fourth week; a row is missing."""
    lines = ["store,week,brand,price,units,feat"]
    for store, size in (("north", 1.0), ("south", 2.0)):
        for week in range(WEEKS):
            for k, brand in enumerate("ab"):
                promoted = (week + k) % 4 == 0
                units = size * (9 + 3 * k + 6 * promoted + 2 * math.sin(week))
                lines.append(
                    f"{store},{week + 1},{brand},{2.0 + 0.1 * k - 0.4 * promoted:.2f},{units:.0f},{promoted:d}"
                )
    del lines[-2]
    path = folder / "sales.csv"
    path.write_text("\n".join(lines).replace("1.60", first, 1) + "\n")
    return path


def configuration(folder: Path) -> Path:
    """Two sellers with stock, who see forecasts, among customers who remember prices."""
    columns = {"market": "store", "period": "week", "seller": "brand", "promo_feature": "feat"}
    sellers = [{"order_up_to": [0, 120], "stock": 30, "lead_time": 1, "holding_cost": 0.05} for _ in range(2)]
    market = a_market(
        *sellers,
        horizon=WEEKS - 2,
        customers={"rate": 60.0},
        events={"effect": 0.5, "mean_length": 1, "announced": 1},
        locations=[{"name": name, "size": size, "quality": [2, 2]} for name, size in (("north", 1), ("south", 2))],
        reference_price={"weight": 1.0, "memory": 0.5},
        observe=["demand_forecast"],
        tape={"file": "../sales.csv", "columns": columns, "periods": [2, None]},
    )
    path = folder / "replay.yaml"
    path.write_text(yaml.safe_dump({"market": market} | CONFIG))
    return path


def test_a_learner_trains_and_is_evaluated_among_the_sellers_of_the_past(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configs, elsewhere, runs = (tmp_path / name for name in ("configs", "elsewhere", "runs"))
    configs.mkdir()
    elsewhere.mkdir()
    file = sales_file(tmp_path)
    configuration(configs)
    monkeypatch.chdir(tmp_path)
    train = ["train", "configs/replay.yaml", "--runs", "runs", "--name", "run", "--device", "cpu"]
    assert main(train) == 0, capsys.readouterr()
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("No profit gain: market.tape replays a history") == 3  # two line-ups, and one against another
    run = runs / "run"
    assert "evaluation,a,price," in (metrics := (run / "metrics.csv").read_text()) and "profit_gain" not in metrics
    assert json.loads((run / "evaluation.json").read_text())[0]["line_up"] == "history+base_stock(level=ample)"
    tape = yaml.safe_load((run / "config.yaml").read_text())["market"]["tape"]
    assert tape["file"] == str(file) and tape["periods"] == ["2", None]
    assert tape["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert list(saved_sellers(run)) == ["a"]
    assert main(["report", str(run)]) == 0, capsys.readouterr()
    assert "profit gain" not in (run / "report.html").read_text().lower()
    capsys.readouterr()

    monkeypatch.chdir(elsewhere)
    assert main(["evaluate", str(run)]) == 0, capsys.readouterr()
    assert "a against history+base_stock" in capsys.readouterr().out
    assert not list(elsewhere.iterdir())

    sales_file(tmp_path, first="1.61")
    assert main(["evaluate", str(run)]) == 2
    said = capsys.readouterr().err
    assert (
        "market.tape.sha256: " in said and "sales.csv has changed: its SHA-256 is" in said and "Traceback" not in said
    )
