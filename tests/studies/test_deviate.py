"""`bazaar deviate` from a run's folder to its table, verdict and files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from market.errors import UserError
from market.spec.models import MarketSpec
from policies.cli.main import main
from policies.evaluation.run_sellers import RunSellers, run_sellers
from policies.sellers.rules.level_search import build
from policies.storage.run_folder import open_run
from policies.studies.deviate.impulse import WATCHED, ForcedDecision, Impulse, impulse
from policies.studies.deviate.run import DeviationResponse, discount, find_deviation, gains, half_widths, summarise
from policies.studies.deviate.view import _reaction, verdict
from tests.helpers.small_run import ROOT, small_run, train_small

CALVANO = MarketSpec.load(ROOT / "configs" / "calvano.yaml")


@pytest.fixture(scope="module", name="a_run")
def _a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, since what is written into the shared run's folder would be seen by other modules."""
    return Path(shutil.copytree(small_run(), tmp_path_factory.mktemp("runs") / "run"))


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
        (
            ["--seller", "left", "--at", "99"],
            "--at 99: at most 84 leaves room for --periods 15 in a market.horizon of 100",
        ),
        (["--seller", "left", "--periods", "95"], "--at (by default evaluation.warm_up, 10): at most 4 leaves room"),
        (["--seller", "left", "--periods", "100"], "no period leaves room for --periods 100"),
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
    assert "market.sellers.0.unit_cost: 1.0 and 1.1" in capsys.readouterr().err


def test_a_price_that_is_misspelt_is_told_how_prices_are_given(a_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deviate", str(a_run), "--seller", "left", "--to", "pricee=1.5"]) == 2
    assert "--to pricee=1.5: must be a price, such as price=1.5, or rules" in capsys.readouterr().err


def a_response(*rules: str, to: str, gamma: float = 1.0, periods: int = 8) -> tuple[DeviationResponse, Impulse]:
    """The first of two sellers in the pricing duopoly leaves its rules."""
    sellers = [build(text, CALVANO, seat) for seat, text in enumerate(rules)]
    deviation = ForcedDecision(build(to, CALVANO, 0))
    found = impulse(CALVANO, sellers, 0, deviation, at=10, periods=periods, markets=4, seed=0)
    return summarise(CALVANO.names, 0, to, 10, [found], gamma), found


def test_the_verdict_says_what_was_measured() -> None:
    response, found = a_response("collusive", "trigger(periods=4)", to="constant(price=1.5)")
    first, second, third = verdict(CALVANO, response)
    assert first == "first moves its price by -22.08%."
    assert second == "second cuts its price by 23.48% in the period after, and is back within 1% after 4 periods."
    assert third.startswith("In all first loses 0.") and third.endswith("discounted: the deviation did not pay.")
    assert response.gain[-1] == pytest.approx(found.change("profit")[:, 0, 0].sum())


def test_who_is_not_punished_gains() -> None:
    response, _ = a_response("collusive", "collusive", to="best_response")
    _, second, third = verdict(CALVANO, response)
    assert second == "second does not react measurably."
    assert third.startswith("In all first gains 0.") and third.endswith("the deviation paid.")


def test_a_punishment_that_outlasts_the_watch_is_not_over() -> None:
    response, _ = a_response("collusive", "trigger(periods=10)", to="constant(price=1.5)", periods=6)
    assert verdict(CALVANO, response)[1].endswith("and is not back within 1% after 6 periods.")


def test_an_answer_may_come_late_or_be_small() -> None:
    path = np.array([0.0, -0.02, -0.05, -0.004])
    half = np.array([0.01, 0.001, 0.002, 0.001])
    late = "leaves its price where it was in the period after, cuts its price at most by 5.00% ± 0.20% 3 periods after"
    assert _reaction(CALVANO, path, half) == f"{late}, and is back within 1% after 3 periods"
    small = _reaction(CALVANO, path / 10, half / 10)
    assert small.endswith("never by as much as 1%")
    assert _reaction(CALVANO, -path[1:2], half[1:2]).startswith("raises its price by 2.00% ± 0.10% in the period after")


def test_gains_are_discounted_and_stock_counts() -> None:
    """By hand: profit changes 3, -1, -1 and stock changes -2, -1, 0 of value .5: 3 - 1, 3 - .5 - .25, 3 - .5 - .25."""
    kind = np.dtype([(name, "f8") for name in WATCHED])
    deviated, twin = np.zeros((3, 1, 2), kind), np.ones((3, 1, 2), kind)
    deviated["price"], twin["price"] = 1.0, 1.0
    deviated["profit"][:, 0, 0] = [4.0, 0.0, 0.0]
    deviated["on_hand_left"][:, 0, 0] = [-1.0, 0.0, 1.0]
    deviated["on_order"] = 1.0
    one = Impulse(deviated, twin)
    assert gains(one, 0, 0.5, 0.5)[:, 0, 0].tolist() == [2.0, 2.25, 2.25]
    assert summarise(["a", "b"], 0, "x", 0, [one], 0.5, 0.5).gain.tolist() == [2.0, 2.25, 2.25]


def test_over_runs_the_interval_is_over_training_seeds() -> None:
    """Two runs whose episodes are all alike: means 1 and 3, so 2 with t(1) = 12.706 times 1."""
    kind = np.dtype([(name, "f8") for name in WATCHED])
    runs = []
    for change in (1.0, 3.0):
        deviated, twin = np.ones((1, 5, 1), kind), np.ones((1, 5, 1), kind)
        deviated["price"] += change
        runs.append(Impulse(deviated, twin))
    response = summarise(["a"], 0, "x", 0, runs)
    assert response.mean["price"][0, 0] == 2.0 and response.half["price"][0, 0] == pytest.approx(12.706, abs=1e-3)
    assert response.samples == "2 training seeds" and response.half["profit"][0, 0] == 0.0


def test_a_price_needs_no_stock_level(a_run: Path) -> None:
    """Where holding costs nothing there is no newsvendor level, and a price alone does without."""
    run = run_sellers(a_run)
    free = tuple(seller.model_copy(update={"holding_cost": 0.0}) for seller in run.spec.sellers)
    spec = run.spec.model_copy(update={"sellers": free})
    run = RunSellers(**vars(run) | {"config": run.config.model_copy(update={"market": spec})})
    assert not find_deviation(run, 0, "best_response", 0).orders
    with pytest.raises(UserError, match="--to .*: .*holding_cost must be above 0"):
        find_deviation(run, 0, "best_response+base_stock", 0)
    assert find_deviation(run_sellers(a_run), 0, "nash+base_stock", 0).orders


def test_the_discount_factor_is_the_sellers_own(a_run: Path) -> None:
    run = run_sellers(a_run)
    assert discount(run, 0) == 0.95
    own = run.config.model_copy(update={"seats": run.config.seats | {"left": {"learner": "dqn", "gamma": 0.9}}})
    assert discount(RunSellers(**vars(run) | {"config": own}), 0) == 0.9
    named = run.config.model_copy(update={"learners": run.config.learners | {"dqn": {"gamma": 0.8}}})
    assert discount(RunSellers(**vars(run) | {"config": named}), 0) == 0.8


def test_intervals_are_those_of_a_mean() -> None:
    values = np.array([[[1.0], [2.0], [3.0]]])
    assert half_widths(values, axis=1)[0, 0] == pytest.approx(2.484, abs=1e-3)


def test_the_run_is_read_as_it_was_trained(a_run: Path) -> None:
    run = run_sellers(a_run)
    assert run.config == open_run(a_run) and [(one.learner, one.rules) for one in run.players] == [
        ("dqn", None),
        ("ddpg", None),
    ]
    assert [one.label for one in run.players] == ["left (dqn)", "right (ddpg)"] and run.line_ups.seed == 0


def test_a_run_given_twice_is_not_two_seeds(a_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deviate", str(a_run), str(a_run), "--seller", "left"]) == 2
    assert f"{a_run}: is given twice" in capsys.readouterr().err
