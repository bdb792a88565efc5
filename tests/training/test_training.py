"""Training: the same seed gives the same run, checkpoints, devices, the bar, and what Ctrl-C leaves."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pandas as pd
import pytest
import torch
from rich.console import Console

from market.errors import UserError
from policies.cli.main import main
from policies.common.progress import TrainingBar, progress
from policies.storage.run_folder import saved_sellers
from policies.training import loop
from tests.helpers.small_run import ROOT, small_run, train_small

a_run = pytest.fixture(scope="session", name="a_run")(small_run)


def weights(run: Path) -> dict[str, torch.Tensor]:
    kept = {which: saved_sellers(run, which) for which in ("best", "latest")}
    return {f"{w} {s} {k}": v for w, all_ in kept.items() for s, one in all_.items() for k, v in one.weights.items()}


def metrics(run: Path) -> pd.DataFrame:
    rows = pd.read_csv(run / "metrics.csv", float_precision="round_trip")
    return rows[rows["metric"] != "seller_periods_per_second"].reset_index(drop=True)


def test_one_seed_is_one_run_and_another_seed_another(a_run: Path, tmp_path: Path) -> None:
    again = train_small(tmp_path, "again")
    other = train_small(tmp_path, "other", seed=1, changes=("training.budget=3000", "evaluation.episodes=8"))
    first = weights(a_run)
    for name, tensor in weights(again).items():
        assert torch.equal(tensor, first[name]), name
    assert any(not torch.equal(tensor, first[name]) for name, tensor in weights(other).items())
    pd.testing.assert_frame_equal(metrics(again), metrics(a_run), check_exact=True)
    assert (again / "evaluation.json").read_text() == (a_run / "evaluation.json").read_text()
    assert not metrics(other).equals(metrics(a_run))


def test_the_best_is_the_best_evaluation_and_the_latest_the_last(a_run: Path) -> None:
    rows = metrics(a_run)
    for name, best in saved_sellers(a_run, "best").items():
        scores = rows[(rows["metric"] == "profit_against_fixed") & (rows["seller"] == name)].set_index("step")["value"]
        assert best.score == scores.max() and best.trained == scores.idxmax()
        latest = saved_sellers(a_run, "latest")[name]
        assert latest.score == scores.iloc[-1] and latest.trained == scores.index[-1] >= 12_000


def test_the_output_names_players_device_and_what_to_do_next(a_run: Path) -> None:
    said = (a_run.parent / "run.txt").read_text()
    assert "duopoly: left = dqn, right = ddpg; networks on cpu (1 torch thread)" in said
    assert f"bazaar evaluate {a_run}" in said.replace("\n", " ") and "bazaar board" in said
    lines = re.findall(r"^learning +\d+%", said, re.MULTILINE)
    assert 1 <= len(lines) <= 10


def test_the_last_self_play_is_printed_beside_nash_and_joint_prices(a_run: Path) -> None:
    said = (a_run.parent / "run.txt").read_text()
    table = said[said.index("the trained sellers against one another") : said.index("evaluating left")]
    rows = {line.split()[0]: line.split()[1:] for line in table.splitlines() if line.startswith("  ") and line.split()}
    last = metrics(a_run).set_index(["seller", "metric"]).sort_index()
    for name in ("left", "right"):
        profit, _, _, price, nash, joint, gain = rows[name]
        assert float(profit) == pytest.approx(last.loc[(name, "profit"), "value"].iloc[-2], rel=1e-3)
        assert float(price) == pytest.approx(last.loc[(name, "price"), "value"].iloc[-1], abs=1e-3)
        assert (nash, joint) == ("1.799", "2.187")
        assert float(gain) == pytest.approx(last.loc[(name, "profit_gain"), "value"].iloc[-1], abs=6e-3)
    total, nash_total, joint_total, gain = map(float, rows["market"])
    assert gain == pytest.approx((total - nash_total) / (joint_total - nash_total), abs=0.02)
    assert "One training seed." in table


def test_all_three_learners_and_a_fixed_competitor_in_a_market_made_to_order(tmp_path: Path) -> None:
    changes = ("seats.first=a2c", "seats.second=nash", "evaluation.line_ups=[nash]", "evaluation.competitors=[nash]")
    run = train_small(tmp_path, "made", config=ROOT / "configs" / "calvano.yaml", changes=changes)
    assert list(saved_sellers(run)) == ["first"]
    assert "entropy" in set(metrics(run)["metric"])
    assert "networks on cpu" in (tmp_path / "made.txt").read_text()


def test_ctrl_c_in_the_first_evaluation_leaves_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "periodic_evaluation", stop)
    assert main(["train", str(ROOT / "configs" / "duopoly.yaml"), "--runs", str(tmp_path), "--name", "cut"]) == 130
    assert list(saved_sellers(tmp_path / "cut")) == ["left", "right"]
    said = capsys.readouterr().err
    run = tmp_path / "cut"
    assert said == (
        f"interrupted: what was learned is in {run}; bazaar train --resume {run} begins it again, "
        f"bazaar evaluate {run} evaluates it as it is\n"
    )


def test_a_learner_that_diverged_is_named_and_its_last_good_policy_kept(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"seats\.right: ddpg diverged|action of seller right: NaN"):
        train_small(tmp_path, "wild", changes=("learners.ddpg.lr=1e30", "learners.ddpg.critic_lr=1e30"))
    assert all(torch.isfinite(tensor).all() for tensor in weights(tmp_path / "wild").values())


def test_a_budget_smaller_than_the_evaluations_repeats_none(tmp_path: Path) -> None:
    changes = ("training.budget=1", "seats.right=nash+base_stock", "learners.dqn.memory=numpy")
    run = train_small(tmp_path, "tiny", changes=changes)
    assert (tmp_path / "tiny.txt").read_text().startswith("warning: learners.dqn.memory: numpy has gone")
    assert metrics(run).groupby(["seller", "phase", "metric"]).size().max() == 2


def test_lines_come_ten_times_at_most_where_there_is_no_terminal() -> None:
    output = io.StringIO()
    with TrainingBar(Console(file=output, width=100), 1000) as bar:
        bar.phase("setting up")
        bar._last_time -= 10
        for done in range(1, 1101):
            bar._last_time -= 1
            bar.advance_to(done)
    lines = output.getvalue().splitlines()
    assert lines[0] == "setting up ..." and len(lines) == 11
    assert lines[-1].startswith("learning 100%") and "thousand seller-periods/s" in lines[-1]


def test_what_is_left_of_a_run_that_was_resumed_counts_from_where_it_goes_on() -> None:
    """A hundred a second from 500 of 1,000 on: at 600 a second has passed, and four are left."""
    output = io.StringIO()
    with TrainingBar(Console(file=output, width=100), 1000) as bar:
        bar.advance_to(500)
        bar.task.begun -= 1
        bar._last_time -= 1
        bar.advance_to(600)
    (line,) = output.getvalue().splitlines()
    assert line.startswith("learning  60%") and line.endswith("1 s, about 4 s left")


def test_a_terminal_gets_a_bar_and_its_cursor_back() -> None:
    output = io.StringIO()
    with pytest.raises(KeyboardInterrupt), TrainingBar(Console(file=output, force_terminal=True), 10) as bar:
        bar.phase("learning")
        bar.advance_to(5)
        raise KeyboardInterrupt
    assert "learning" in output.getvalue()
    assert output.getvalue().rfind("\x1b[?25h") > output.getvalue().rfind("\x1b[?25l") >= 0


def test_an_evaluation_of_known_length_says_what_is_left_and_another_only_what_is_done() -> None:
    for total, shown in ((10, "3/10"), (None, "3 episodes")):
        output = io.StringIO()
        with progress(Console(file=output, force_terminal=True, width=120), "judging", total) as tick:
            tick("nash", 3)
        assert shown in output.getvalue() and "judging: nash" in output.getvalue()
        assert ("left" in output.getvalue()) == (total is not None)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_networks_live_on_the_gpu_where_there_is_one(tmp_path: Path) -> None:
    config = str(ROOT / "configs" / "duopoly.yaml")
    settings = ("--set", "training.evaluations=1", "--set", "evaluation.line_ups=[nash+base_stock]")
    few = ("--set", "evaluation.competitors=[nash+base_stock]", "--budget", "20000")
    assert main(["train", config, "--runs", str(tmp_path), "--name", "gpu", "--device", "cuda", *settings, *few]) == 0
    assert '"device": "cuda (' in (tmp_path / "gpu" / "run.json").read_text()
