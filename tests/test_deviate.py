"""`bazaar deviate` from a run's folder to its table, verdict and files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from small_run import ROOT, small_run, train_small

from market.spec import MarketSpec
from policies.cli import main
from policies.deviate import half_widths, summarise
from policies.deviate_view import verdict
from policies.impulse import Deviation, impulse
from policies.runs import open_run
from policies.search import build

a_run = pytest.fixture(scope="session", name="a_run")(small_run)


def test_a_run_is_deviated_from_and_nothing_is_written_over(a_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["deviate", str(a_run), "--seller", "left", "--to", "price=1.5", "--periods", "4", "--episodes", "8"]
    before = len(list((a_run / "analysis").glob("*"))) if (a_run / "analysis").exists() else 0
    assert main(words) == 0 and main(words) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "left moves its price by" in said and "8 episodes of one training seed" in said
    assert len(list((a_run / "analysis").glob("deviate-left-price_1.5*"))) >= 4
    assert len(list((a_run / "analysis").glob("*"))) == before + 4
    content = json.loads((a_run / "analysis" / "deviate-left-price_1.5.json").read_text(encoding="utf-8"))
    assert content["seller"] == "left" and len(content["mean"]["price"]) == 5


def test_several_runs_are_training_seeds(a_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = train_small(tmp_path, "other", seed=1)
    words = ["deviate", str(other), str(a_run), "--seller", "left", "--periods", "3", "--episodes", "8"]
    assert main([*words, "--json", str(tmp_path / "f.json"), "--png", str(tmp_path / "f.png")]) == 0
    assert "over 2 training seeds" in " ".join(capsys.readouterr().out.split())
    assert json.loads((tmp_path / "f.json").read_text())["intervals_over"] == "2 training seeds"
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seller", "nobody"], "--seller nobody: the market's sellers are left, right"),
        (["--seller", "left", "--to", "nonsense"], "--to.pricing"),
        (["--seller", "left", "--to", "price=9"], "--to"),
        (["--seller", "left", "--at", "99"], "market.horizon 100"),
    ],
)
def test_mistakes_get_one_message(
    a_run: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["deviate", str(a_run), *words]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_runs_of_different_markets_are_refused(a_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = train_small(tmp_path, "dear", changes=("market.sellers.left.unit_cost=1.1",))
    assert main(["deviate", str(a_run), str(other), "--seller", "left"]) == 2
    assert "market.sellers differ" in capsys.readouterr().err


def test_the_verdict_says_what_was_measured() -> None:
    spec = MarketSpec.load(ROOT / "configs" / "calvano.yaml")
    sellers = [build("collusive", spec, 0), build("trigger(periods=4)", spec, 1)]
    found = impulse(
        spec, sellers, 0, Deviation(build("constant(price=1.5)", spec, 0)), at=10, periods=8, markets=4, seed=0
    )
    response = summarise(spec.names, 0, "constant(price=1.5)", 10, [found])
    first, second, third = verdict(spec, response)
    assert first == "first moves its price by -22.08%."
    assert second == "second cuts its price by 23.48% 1 period(s) later and is back within 1 % after 4 period(s)."
    assert third.startswith("Over these 9 periods first loses")
    assert response.gain[-1] == pytest.approx(found.change("profit")[:, 0, 0].sum())


def test_intervals_are_those_of_a_mean() -> None:
    values = np.array([[[1.0], [2.0], [3.0]]])
    assert half_widths(values)[0, 0] == pytest.approx(2.484, abs=1e-3)


def test_the_run_is_read_as_it_was_trained(a_run: Path) -> None:
    from policies.frozen import frozen_run

    run = frozen_run(a_run)
    assert run.config == open_run(a_run) and run.learners == ["dqn", "ddpg"] and run.seed == 0
