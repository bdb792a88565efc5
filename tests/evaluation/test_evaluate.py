"""`bazaar evaluate`: tables, files, seats, line-ups, and what it may import."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from market.errors import UserError
from policies.cli.main import main
from policies.config.orders import EvaluateOrder
from policies.config.run import read_config
from policies.evaluation.entrants import find_entrants
from policies.evaluation.line_ups import LineUps
from policies.sellers.rules.compose import FixedSeller, parse_rules
from tests.helpers.small_run import DUOPOLY, ROOT, small_run, train_small

a_run = pytest.fixture(scope="session", name="a_run")(small_run)
CALVANO, MONOPOLY = ROOT / "configs" / "calvano.yaml", ROOT / "configs" / "monopoly.yaml"
FEW = "evaluation.competitors=[nash+base_stock, cost_plus+base_stock]"


def evaluated(tmp_path: Path, *arguments: Any, name: str = "table.json") -> list[dict[str, Any]]:
    (tmp_path / name).unlink(missing_ok=True)
    assert main(["evaluate", *map(str, arguments), "--json", str(tmp_path / name)]) == 0
    rows: list[dict[str, Any]] = json.loads((tmp_path / name).read_text(encoding="utf-8"))
    return rows


def by_line_ups(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the rows among the run's own sellers."""
    return [row for row in rows if not row.get("rivals")]


def test_same_seed_same_table_and_another_seed_another(
    a_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = evaluated(tmp_path, a_run, "--episodes", 32)
    shown = capsys.readouterr().out
    again = evaluated(tmp_path, a_run, "--episodes", 32)
    assert one == again and capsys.readouterr().out == shown
    assert evaluated(tmp_path, a_run, "--episodes", 32, "--seed", 1) != one
    assert [row["seat"] for row in one] == (["left"] * 3 + ["right"] * 3) * 2
    assert [row["line_up"] for row in one] == ["as seated"] * 6 + ["nash+base_stock"] * 6
    assert {row["policy"] for row in one if row["judged"]} == {"left (dqn)", "right (ddpg)"}


def test_the_final_table_is_the_one_that_evaluate_prints(a_run: Path, tmp_path: Path) -> None:
    assert json.loads((a_run / "evaluation.json").read_text()) == evaluated(tmp_path, a_run)


def test_csv_holds_the_rows_of_the_json(a_run: Path, tmp_path: Path) -> None:
    rows = evaluated(tmp_path, a_run, "--seller", "left", "--episodes", 8, "--csv", tmp_path / "table.csv")
    with open(tmp_path / "table.csv", newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    columns = dict.fromkeys(key for row in rows for key in row)
    assert [{k: "" if row.get(k) is None else str(row[k]) for k in columns} for row in rows] == read
    assert len(read) == 6 and {"profit", "profit_half_width", "difference_half_width", "fill_rate"} <= set(read[0])


def test_one_seller_in_the_other_seat(a_run: Path, tmp_path: Path) -> None:
    rows = evaluated(tmp_path, a_run, "--seller", "left", "--seat", "right", "--episodes", 8)
    assert {row["seat"] for row in rows} == {"right"}
    assert [row["policy"] for row in by_line_ups(rows) if row["judged"]] == ["left (dqn)"]
    (own,) = (row for row in rows if row.get("rivals") and row["judged"])
    assert own["rivals"] == "left (dqn)"


def test_rules_and_panel_as_rivals(a_run: Path, tmp_path: Path) -> None:
    rows = evaluated(tmp_path, a_run, "--seller", "left", "--episodes", 4, "--against", "undercut + min_max")
    assert {row["line_up"] for row in rows} == {"undercut+min_max"}
    panel = ("--set", "evaluation.panel=[nash+base_stock, match+base_stock]", "--set", FEW)
    rows = evaluated(tmp_path, DUOPOLY, "--seller", "nash", *panel, "--against", "panel", "--episodes", 4)
    assert {row["line_up"] for row in rows if row["table"] == "comparison"} == {"nash+base_stock", "match+base_stock"}


def test_a_fixed_competitor_is_judged_without_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    against = ("--against", "nash+base_stock", "--set", FEW, "--episodes", 16)
    rows = evaluated(tmp_path, DUOPOLY, "--seller", "undercut+base_stock", "--seat", "left", *against)
    assert [row["policy"] for row in rows if row["judged"]] == ["undercut+base_stock"]
    said = capsys.readouterr().out
    assert "undercut+base_stock cannot be told from the best fixed competitor, nash+base_stock: -0." in said, said
    (verdict,) = (line for line in said.splitlines() if "cannot be told" in line)
    (row,) = (row for row in rows if row["judged"])
    assert verdict.endswith(f"better in {row['probability_of_improvement']:.0%} of episodes.")
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
        line_ups = LineUps(read_config(path), 0)
        assert line_ups.competitors() and line_ups.chosen(None) and line_ups.chosen("panel")


def test_evaluate_speaks_at_once_and_never_imports_tianshou(a_run: Path) -> None:
    lines = ["import sys", "from policies.cli.main import main", "import rich.console as c", "show = c.Console.print"]
    lines += ["from market.simulation.batch import MarketBatch", "played, step = [], MarketBatch.step"]
    lines += ["MarketBatch.step = lambda *a, **k: (played.append(1), step(*a, **k))[1]"]
    lines += ["def first(*a, **k):", "    c.Console.print = show; print('first', len(played)); show(*a, **k)"]
    lines += ["c.Console.print = first"]
    lines += [f"status = main(['evaluate', {str(a_run)!r}, '--seller', 'left', '--episodes', '4'])"]
    lines += ["assert played", "print('status', status, any(name.startswith('tianshou') for name in sys.modules))"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    printed = done.stdout.splitlines()
    assert printed[-1] == "status 0 False"
    assert printed[0] == "first 0"  # before anything is played
    assert printed[1].startswith("evaluating left (dqn) in the seat of left against right (ddpg), as seated ...")


def test_a_table_is_not_written_over_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "config.yaml"
    kept.write_text("precious")
    for option in ("--json", "--csv"):
        assert main(["evaluate", str(DUOPOLY), "--seller", "nash", option, str(kept)]) == 2
        assert f"{kept}: exists already and is not written over" in capsys.readouterr().err
    assert kept.read_text() == "precious"


def test_best_levels_are_the_best_against_the_line_up_that_is_played() -> None:
    """A rival that keeps three units sends nearly all its customers on: the best level is then far higher."""
    spec = read_config(DUOPOLY).market
    line_ups = LineUps(read_config(DUOPOLY), seed=0)
    best, starved = (
        parse_rules(text, "test", spec) for text in ("nash+base_stock(level=best)", "nash+base_stock(level=3)")
    )

    def level(seller: FixedSeller) -> float:
        return float(seller.rules.replenishment.level)  # type: ignore[union-attr]

    assert level(line_ups.against(best, 0, starved)) > 1.2 * level(line_ups.fixed(best, 0))


def test_over_line_ups_there_is_a_table_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    panel = ("--set", "evaluation.panel=[nash+base_stock, match+base_stock]", "--set", FEW)
    rows = evaluated(
        tmp_path, DUOPOLY, "--seller", "undercut+base_stock", "--seat", "left", *panel, "--against", "panel", "--episodes", 40
    )  # fmt: skip
    said = capsys.readouterr().out
    assert "left over 2 line-ups" in said and "Over 2 line-ups undercut+base_stock" in said
    overall = {row["policy"]: row for row in rows if row["table"] == "line_ups"}
    for policy, row in overall.items():
        apart = [r for r in rows if r["table"] == "comparison" and r["policy"] == policy]
        assert row["profit"] == pytest.approx(sum(r["profit"] for r in apart) / 2)
    assert overall["undercut+base_stock"]["worst_line_up"] in ("nash+base_stock", "match+base_stock")


def test_profit_gain_is_in_table_and_files_and_absent_for_one_seller(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = evaluated(tmp_path, CALVANO, "--seller", "collusive", "--seat", "first", "--against", "collusive")
    gains = {row["policy"]: row["profit_gain"] for row in rows}
    assert gains["collusive"] == pytest.approx(1, abs=1e-9) and 0 < gains["nash"] < 1
    assert "profit gain" in capsys.readouterr().out
    rows = evaluated(tmp_path, MONOPOLY, "--seller", "cost_plus+base_stock", "--episodes", 8, "--set", FEW)
    assert "profit_gain" not in rows[0] and "rofit gain" not in capsys.readouterr().out


def test_a_market_without_joint_prices_shows_a_dash_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ("--set", "evaluation.competitors=[constant+base_stock]", "--against", "constant+base_stock", "--episodes", 8)
    rows = evaluated(tmp_path, DUOPOLY, "--seller", "cost_plus", "--set", "market.outside=none", *few)
    assert all(row["profit_gain"] is None for row in rows)
    assert "No profit gain: " in capsys.readouterr().out


@pytest.fixture(name="other_run", scope="module")
def _other_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_small(tmp_path_factory.mktemp("runs"), "second", seed=1)


def test_several_runs_are_rows_of_one_table_and_one_sentence(
    a_run: Path, other_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = evaluated(tmp_path, a_run, other_run, "--episodes", 16)
    said = capsys.readouterr().out
    assert {row["policy"] for row in rows if row.get("judged") and row["table"] == "comparison"} == {
        *("left (dqn), run", "left (dqn), second", "right (ddpg), run", "right (ddpg), second")
    }
    (left,) = (row for row in rows if row["table"] == "runs" and row["seat"] == "left")
    scores = [row["difference"] for row in rows if row["policy"].startswith("left (dqn), ")]
    (best,) = {row["best_fixed"] for row in rows if row["policy"].startswith("left (dqn), ")}
    (profit,) = (row["profit"] for row in rows if row["policy"] == best and row["seat"] == "left")
    assert left["policy"] == "left (dqn)" and left["runs"] == 2
    assert left["interquartile_mean"] == pytest.approx(sum(scores) / 2 / profit)
    assert "left (dqn) over 2 runs: interquartile mean" in said and "right (ddpg) over 2 runs" in said
    assert "one training seed" not in said.lower()


def test_one_run_is_said_to_be_one_seed(a_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone = evaluated(tmp_path, a_run, "--episodes", 4)
    assert "One training seed; train several with --seeds" in capsys.readouterr().out
    assert {row["table"] for row in alone} == {"comparison"}
    evaluated(tmp_path, DUOPOLY, "--seller", "nash", "--episodes", 4, "--set", FEW)
    assert "training seed" not in capsys.readouterr().out


def test_runs_that_do_not_go_together_are_refused(a_run: Path, other_run: Path, tmp_path: Path) -> None:
    def refusal(*subjects: Path) -> str:
        with pytest.raises(UserError) as problem:
            find_entrants(EvaluateOrder(subjects))
        return str(problem.value)

    changed = tmp_path / "changed"
    shutil.copytree(other_run, changed)
    text = (changed / "config.yaml").read_text(encoding="utf-8")
    (changed / "config.yaml").write_text(text.replace("horizon: 100", "horizon: 90"), encoding="utf-8")
    assert (
        refusal(a_run, changed) == f"{a_run} and {changed}: are runs of different markets: market.horizon: 100 and 90"
    )
    assert f"{a_run}: is given twice" in refusal(a_run, other_run, a_run)
    assert f"{DUOPOLY}: is no run" in refusal(a_run, DUOPOLY)


def test_runs_that_are_no_independent_repetitions_say_so(
    a_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twin = tmp_path / "twin"
    shutil.copytree(a_run, twin)
    text = (twin / "config.yaml").read_text(encoding="utf-8")
    (twin / "config.yaml").write_text(text.replace("budget: 12000", "budget: 13000"), encoding="utf-8")
    assert find_entrants(EvaluateOrder((a_run, twin))).remarks == (
        "run and twin differ in more than the seed: training.budget: 12000 and 13000.",
        "run, twin have the same training seed, 0: they are not independent.",
        "Several runs: each has rivals of its own as seated, so that these are seen by evaluating one run.",
    )


def test_a_run_in_a_changed_market(a_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ("--seller", "left", "--episodes", 8)
    as_trained = evaluated(tmp_path, a_run, *few)
    settings_only = evaluated(tmp_path, a_run, *few, "--set", "evaluation.warm_up=10")
    said = capsys.readouterr().out
    assert settings_only == as_trained and "differs from training" not in said
    busy = evaluated(tmp_path, a_run, *few, "--set", "market.customers.rate=40")
    said = capsys.readouterr().out
    assert "left against nash+base_stock, in a market that differs from training" in said
    assert "Changed since training: market.customers.rate=40." in said
    assert {row["changed"] for row in busy} == {"market.customers.rate=40"}
    (slow,), (fast,) = ([row for row in by_line_ups(rows) if row["judged"]] for rows in (as_trained, busy))
    assert fast["sold"] + fast["lost"] > 1.5 * (slow["sold"] + slow["lost"])


def test_a_policy_keeps_its_ranges_in_a_market_with_others(a_run: Path, tmp_path: Path) -> None:
    """The seat may now post up to 2; what the policy learned goes further, and the market takes it as 2."""
    few = ("--seller", "left", "--episodes", 4, "--set", FEW, "--set", "market.sellers.left.prices=[1, 2]")
    rows = evaluated(tmp_path, a_run, *few)
    assert all(1 <= row["price"] <= 2 for row in rows if row["judged"])


def test_risk_and_stress(a_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ("--seller", "left", "--episodes", 8, "--csv", tmp_path / "table.csv")
    rows = evaluated(tmp_path, a_run, *few, "--risk", "--risk-level", "0.25", "--stress")
    said = capsys.readouterr().out
    assert "left against nash+base_stock: risk and service" in said and "CVaR 25%" in said
    assert "left under stress" in said and "Rivals under stress: nash+base_stock" in said
    stressed = [row for row in rows if row["table"] == "stress"]
    best = next(row["best_fixed"] for row in by_line_ups(rows) if row["table"] == "comparison")
    assert {row["policy"] for row in stressed} == {"left (dqn)", best} and len(stressed) > 10
    (judged,) = (row for row in by_line_ups(rows) if row["table"] == "comparison" and row["judged"])
    first = next(row for row in stressed if row["policy"] == "left (dqn)")
    assert first["profit"] == pytest.approx(judged["profit"])
    with open(tmp_path / "table.csv", newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert len(read) == len(rows) and read[-1]["shift"] and read[0]["shift"] == ""


def test_files_are_whole_when_the_reader_of_the_output_has_gone(tmp_path: Path) -> None:
    few = ["--seller", "nash", "--episodes", "4", "--set", FEW, "--against", "nash+base_stock"]
    _one_line_is_enough("evaluate", str(DUOPOLY), *few, "--json", str(tmp_path / "t.json"))
    rows = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    assert {row["seat"] for row in rows} == {"left", "right"}


def test_a_reader_who_has_seen_enough_is_no_mistake() -> None:
    _one_line_is_enough("theory", str(DUOPOLY))


def _one_line_is_enough(*words: str) -> None:
    """The command whose reader goes after a line ends well and says nothing of it."""
    command = [sys.executable, "-m", "policies.cli", *words]
    writer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert writer.stdout is not None and writer.stderr is not None
    writer.stdout.readline()
    writer.stdout.close()
    told = [
        line for line in writer.stderr.read().splitlines() if not line.endswith(" s")
    ]  # what goes on, on a slow machine
    assert told == [] and writer.wait() == 0
    writer.stderr.close()


def test_finished_tables_are_in_the_file_when_it_is_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, compared = LineUps.compare, []

    def stop_at_the_second(self: LineUps, *args: Any) -> Any:
        compared.append(args)
        if len(compared) == 2:
            raise KeyboardInterrupt
        return whole(self, *args)

    monkeypatch.setattr(LineUps, "compare", stop_at_the_second)
    file = tmp_path / "t.json"
    few = ["--seller", "nash", "--episodes", "4", "--set", FEW, "--json", str(file)]
    assert main(["evaluate", str(DUOPOLY), *few]) == 130
    assert {row["seat"] for row in json.loads(file.read_text(encoding="utf-8"))} == {"left"}
