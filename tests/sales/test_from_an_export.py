"""From an export as a till writes it to a trained seller, by the commands that the documents show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from policies.cli.main import main
from policies.storage.run_folder import saved_sellers

NAMES = ("Kaffee Müller, 500 g", "Röstwerk Crema", "Grüner Tee Sencha")
PRICES = np.array([4.99, 5.49, 6.99])
LITTLE = ("training.markets=32", "training.evaluations=2", "training.evaluation_episodes=16", "evaluation.episodes=32")


def german(value: float, decimals: int) -> str:
    return format(value, f",.{decimals}f").translate({ord(","): ".", ord("."): ","})


def export() -> tuple[str, dict[str, int]]:
    """80 ISO weeks of three goods with a line of returns now and then and one line twice; and what was sold net of returns."""
    rng = np.random.default_rng(3)
    lines, sold = [], dict.fromkeys(NAMES, 0)
    for monday in pd.date_range("2023-01-02", periods=80, freq="7D"):
        offered = rng.random(3) < 0.15
        price = np.round(PRICES * np.exp(rng.normal(0, 0.12, 3)) * np.where(offered, 0.85, 1), 2)
        weight = np.exp(3.2 - 1.1 * (price - PRICES) + 0.3 * offered + rng.normal(0, 0.1, 3))
        units = rng.poisson(3_000 * weight / (60 + weight.sum()))
        for name, one, count, promoted in zip(NAMES, price, units, offered, strict=True):
            back = int(rng.integers(1, 6)) if rng.random() < 0.05 else 0
            for number in (int(count), -back) if back else (int(count),):
                cells = (
                    f"{monday:%G-W%V}",
                    name,
                    german(number, 0),
                    f"{german(one, 2)} €",
                    "ja" if promoted else "nein",
                )
                lines.append(";".join(cells))
            sold[name] += int(count) - back
    return "\n".join(["Kalenderwoche;Artikel;Menge;Preis;Aktion", *lines, lines[3], ""]), sold


@pytest.mark.slow(seconds=45)
def test_a_german_export_becomes_a_trained_seller_in_four_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyblp")
    monkeypatch.chdir(tmp_path)
    text, sold = export()
    Path("export.csv").write_text(text, encoding="cp1252")
    assert main(["sales", "export.csv", "-o", "sales.csv"]) == 0
    said = capsys.readouterr().out
    for step in (
        "text in cp1252",
        "ISO weeks",
        "commas before decimals",
        "repeated: identical",
        "returns (negative units)",
    ):
        assert step in said
    table = pd.read_csv("sales.csv")
    assert table.groupby("seller")["units"].sum().to_dict() == sold and len(table) == 240
    assert main(["calibrate", "sales.csv", "-o", "mine.yaml"]) == 0
    little = [word for change in LITTLE for word in ("--set", change)]
    assert main(["train", "mine.yaml", "--budget", "20000", "--name", "first", *little]) == 0
    assert set(saved_sellers(Path("runs/first"))) == set(NAMES)
    assert main(["report", "runs/first", "--episodes", "8"]) == 0
    assert NAMES[0] in Path("runs/first/report.html").read_text(encoding="utf-8")
