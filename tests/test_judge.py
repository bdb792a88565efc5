"""`bazaar evaluate`: tables, files, seats, line-ups, and what it may import."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_run import DUOPOLY, ROOT, small_run

from policies.cli import main
from policies.config import load_run
from policies.fixed import FixedSeller, parse_rules
from policies.opponents import Judge

a_run = pytest.fixture(scope="session", name="a_run")(small_run)
CALVANO, MONOPOLY = ROOT / "configs" / "calvano.yaml", ROOT / "configs" / "monopoly.yaml"
FEW = "evaluation.competitors=[nash+base_stock, cost_plus+base_stock]"


def evaluated(tmp_path: Path, *arguments: Any, name: str = "table.json") -> list[dict[str, Any]]:
    (tmp_path / name).unlink(missing_ok=True)
    assert main(["evaluate", *map(str, arguments), "--json", str(tmp_path / name)]) == 0
    rows: list[dict[str, Any]] = json.loads((tmp_path / name).read_text(encoding="utf-8"))
    return rows


def test_same_seed_same_table_and_another_seed_another(
    a_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = evaluated(tmp_path, a_run, "--episodes", 32)
    shown = capsys.readouterr().out
    again = evaluated(tmp_path, a_run, "--episodes", 32)
    assert one == again and capsys.readouterr().out == shown
    assert evaluated(tmp_path, a_run, "--episodes", 32, "--seed", 1) != one
    assert [row["seat"] for row in one] == ["left"] * 3 + ["right"] * 3
    assert {row["policy"] for row in one if row["judged"]} == {"left (dqn)", "right (ddpg)"}


def test_the_final_table_is_the_one_that_evaluate_prints(a_run: Path, tmp_path: Path) -> None:
    assert json.loads((a_run / "evaluation.json").read_text()) == evaluated(tmp_path, a_run)


def test_csv_holds_the_rows_of_the_json(a_run: Path, tmp_path: Path) -> None:
    rows = evaluated(tmp_path, a_run, "--seller", "left", "--episodes", 8, "--csv", tmp_path / "table.csv")
    with open(tmp_path / "table.csv", newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows] == read
    assert len(read) == 3 and {"profit", "profit_half_width", "difference_half_width", "fill_rate"} <= set(read[0])


def test_one_seller_in_the_other_seat(a_run: Path, tmp_path: Path) -> None:
    rows = evaluated(tmp_path, a_run, "--seller", "left", "--seat", "right", "--episodes", 8)
    assert {row["seat"] for row in rows} == {"right"}
    assert [row["policy"] for row in rows if row["judged"]] == ["left (dqn)"]


def test_rules_and_panel_as_rivals(a_run: Path, tmp_path: Path) -> None:
    rows = evaluated(tmp_path, a_run, "--seller", "left", "--episodes", 4, "--against", "undercut + min_max")
    assert {row["line_up"] for row in rows} == {"undercut+min_max"}
    panel = ("--set", "evaluation.panel=[nash+base_stock, match+base_stock]", "--set", FEW)
    rows = evaluated(tmp_path, DUOPOLY, "--seller", "nash", *panel, "--against", "panel", "--episodes", 4)
    assert {row["line_up"] for row in rows} == {"nash+base_stock", "match+base_stock"}


def test_a_fixed_competitor_is_judged_without_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    against = ("--against", "nash+base_stock", "--set", FEW, "--episodes", 16)
    rows = evaluated(tmp_path, DUOPOLY, "--seller", "undercut+base_stock", "--seat", "left", *against)
    assert [row["policy"] for row in rows if row["judged"]] == ["undercut+base_stock"]
    said = capsys.readouterr().out
    assert "undercut+base_stock cannot be told from the best fixed competitor, nash+base_stock: -0." in said, said
    assert "Not as precise as asked" in said


def test_a_market_without_randomness_has_no_uncertainty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = evaluated(tmp_path, CALVANO, "--seller", "collusive", "--seat", "first", "--against", "nash")
    assert {row["episodes"] for row in rows} == {256}
    assert all(row["profit_half_width"] == 0 and row["difference_half_width"] == 0 for row in rows)
    said = capsys.readouterr().out
    assert "nan" not in said and "inf" not in said and "Not as precise" not in said
    assert "stockout" not in said


def test_one_episode_shows_no_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = evaluated(tmp_path, MONOPOLY, "--seller", "cost_plus+base_stock", "--episodes", 1, "--set", FEW)
    assert all(row["profit_half_width"] is None for row in rows)
    said = capsys.readouterr().out
    assert "nan" not in said and "too few for intervals" in said and "against" not in said


def test_defaults_suit_every_market() -> None:
    for path in sorted((ROOT / "configs").glob("*.yaml")):
        judge = Judge(load_run(path), 0)
        assert judge.competitors() and judge.line_ups(None) and judge.line_ups("panel")


def test_evaluate_speaks_at_once_and_never_imports_tianshou(a_run: Path) -> None:
    lines = ["import sys, time, torch", "begun = time.perf_counter()", "from policies.cli import main"]
    lines += ["import rich.console as c", "show = c.Console.print"]
    lines += ["def first(*a, **k):", "    c.Console.print = show; print('first', time.perf_counter() - begun)"]
    lines += ["    show(*a, **k)", "c.Console.print = first"]
    lines += [f"status = main(['evaluate', {str(a_run)!r}, '--seller', 'left', '--episodes', '4'])"]
    lines += ["print('status', status, any(name.startswith('tianshou') for name in sys.modules))"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    printed = done.stdout.splitlines()
    assert printed[-1] == "status 0 False"
    assert printed[0].startswith("first") and float(printed[0].split()[1]) < 5
    assert printed[1].startswith("judging left (dqn) in the seat of left against nash+base_stock ...")


def test_a_table_is_not_written_over_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "config.yaml"
    kept.write_text("precious")
    for option in ("--json", "--csv"):
        assert main(["evaluate", str(DUOPOLY), "--seller", "nash", option, str(kept)]) == 2
        assert f"{kept}: exists already and is not written over" in capsys.readouterr().err
    assert kept.read_text() == "precious"


def test_best_levels_are_the_best_against_the_line_up_that_is_played() -> None:
    """A rival that keeps three units sends nearly all its customers on: the best level is then far higher."""
    spec = load_run(DUOPOLY).market
    judge = Judge(load_run(DUOPOLY), seed=0)
    best, starved = (
        parse_rules(text, "test", spec) for text in ("nash+base_stock(level=best)", "nash+base_stock(level=3)")
    )

    def level(seller: FixedSeller) -> float:
        return float(seller.rules.replenishment.level)  # type: ignore[union-attr]

    assert level(judge.against(best, 0, starved)) > 1.2 * level(judge.fixed(best, 0))
