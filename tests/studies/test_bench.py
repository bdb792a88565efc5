"""`bazaar bench`: what is counted, what is written, what is refused. No test here asks for a speed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from market.errors import UserError
from market.metrics.summary import summary
from market.simulation.batch import MarketBatch
from policies.cli.main import main
from policies.config import orders
from policies.learners.memory import TensorMemory
from policies.studies.bench import run as bench
from policies.studies.bench import workloads as bench_work
from policies.studies.bench.run import FIGURES, measure, ratios
from policies.studies.bench.workloads import BatchWork, Trained, Work, bench_market

pytestmark = pytest.mark.usefixtures("one_thread")

KEYS = ["batch", "batch_stockouts", "batch_full", "orange_juice"]
KEYS += ["parallel_env", "supersuit", "training", "training_gpu", "training_large", "tianshou_aec"]


def small_batch(ordered: float, stock: int, whole: bool, markets: int = 48) -> BatchWork:
    orders = np.floor(ordered + np.random.default_rng(0).random((10, markets, 4)))
    return BatchWork(bench_market(4, stock), np.full(4, 2.0), orders, whole)


def fake(speeds: list[float]) -> Work:
    rounds = iter(speeds)
    return Work(lambda: (int(next(rounds)), 1.0), lambda: "a note")


# ---------------------------------------------------------------------------------------------------- what is counted


def test_the_figures_are_those_of_the_issue() -> None:
    assert list(FIGURES) == KEYS == list(orders.FIGURES)
    spec = bench_market(4)
    assert (len(spec.sellers), spec.customers.rate, spec.horizon, spec.nest) == (4, 20, 100, 0)
    assert (spec.price_form, bench_work.MARKETS, bench_work.BATCH, bench_work.REPLAY_RATIO) == (
        "linear",
        1024,
        256,
        0.5,
    )


@pytest.mark.parametrize("whole", [False, True])
def test_a_round_of_the_batch_is_one_whole_episode(whole: bool) -> None:
    work = small_batch(4.0, 10, whole)
    for episode in range(2):
        played, seconds = work.round()
        assert played == 48 * 4 * 100 and seconds > 0
        assert (work.batch.state.period == 100).all() and (work.batch.state.episode == episode).all()
    assert np.any(work.batch._observation != 0) == whole


def test_plenty_of_stock_means_no_stockouts() -> None:
    work = small_batch(4.0, bench_work.PLENTY, whole=False)
    work.round()
    assert work.sold_out == 0.0


def test_batch_stockouts_is_about_one_first_choice_in_five(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the figure itself is set up, in fewer markets; what it prints is the rate that it had."""
    monkeypatch.setattr(bench_work, "MARKETS", 128)
    work = FIGURES["batch_stockouts"].prepare()
    work.round()
    rate = float(work.note().split("%")[0]) / 100
    assert 0.18 < rate < 0.22


def test_the_rate_is_that_of_the_ledger() -> None:
    """Against the share of demand lost that market.metrics.summary reports, first choices being 4 in 5 customers."""
    work = small_batch(3.6, 4, whole=False)
    work.round()
    batch = MarketBatch(bench_market(4, 4), 48)
    batch.reset()
    ledgers = [batch.step(work.price, work.orders[t % 10]).copy() for t in range(100)]
    ledger = np.stack(ledgers)
    first_choices = ledger["market_size"][:, :, 0].sum() * 0.8
    assert work.sold_out == pytest.approx(ledger["lost"].sum() / first_choices, rel=1e-12)
    assert summary(ledger, batch.spec)["fill_rate"].max() < 0.9


@pytest.mark.parametrize(
    ("prepare", "counted"), [(bench_work.parallel_market, 300 * 2), (bench_work.supersuit, 300 * 16 * 2)]
)
def test_environment_rounds_count_every_sellers_period(prepare: Any, counted: int) -> None:
    played, seconds = prepare(steps=300).round()
    assert played == counted and seconds > 0


def test_training_rounds_count_all_learners() -> None:
    work = bench_work.training(periods=12, setup=Trained(markets=64))
    assert [work.round()[0] for _ in range(2)] == [64 * 3 * 12] * 2


def test_large_rounds_have_as_many_markets_as_transitions_in_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_work, "LARGE", 512)
    made: list[Any] = []
    build = bench_work.training_loop
    monkeypatch.setattr(bench_work, "training_loop", lambda setup: made.append(build(setup)) or made[-1])
    played, seconds = bench_work.large().round()
    assert played == 512 * 3 * 20 and seconds > 0
    learners = list(made[0].learners.values())
    assert all(isinstance(learner.memory, TensorMemory) for learner in learners)
    assert {learner.options.batch_size for learner in learners} == {512}


def test_the_gpu_figure_is_skipped_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    report = bench.bench(seconds=0.01, only="training_gpu").report["training_gpu"]
    assert report["seller_periods_per_second"] is None and "torch finds no CUDA device" in report["note"]


@pytest.mark.slow
def test_the_yardstick_plays_and_learns_what_it_says() -> None:
    """Each move of a seller is one transition; both sellers' networks change; updates come at the replay ratio."""
    from policies.studies.bench.tianshou_route import StockRoute

    options: dict[str, Any] = {"hidden": (8,), "batch": 16, "replay_ratio": 0.5, "buffer": 2_000}
    route = StockRoute(bench_market(2), markets=4, **options, collect=128)
    sizes: list[int] = []
    update = route.algorithm.update
    route.algorithm.update = lambda buffer, sample_size: sizes.append(sample_size) or update(buffer, sample_size)
    before = [p.detach().clone() for one in "01" for p in route.algorithm.get_algorithm(f"seller_{one}").parameters()]
    assert [route.train() for _ in range(4)] == [128] * 4
    after = [p for one in "01" for p in route.algorithm.get_algorithm(f"seller_{one}").policy.parameters()]
    assert sizes == [32] * 8  # 8 x 32 drawn, 4 x 128 stored
    assert len(route.collector.buffer) == 512
    online = [p for one in "01" for p in before[int(one) * len(before) // 2 :][: len(after) // 2]]
    assert all(not torch.equal(a, b) for a, b in zip(online, after, strict=True))


# --------------------------------------------------------------------------------------------- what is made of it


def test_median_leaves_out_the_first_round() -> None:
    result = measure(fake([999.0, 5.0, 1.0, 4.0, 2.0, 3.0]), seconds=1e-9)
    assert result == {"seller_periods_per_second": 3.0, "min": 1.0, "max": 5.0, "repeats": 5, "note": "a note"}


def test_ratios_are_of_what_was_measured() -> None:
    def speed(value: float | None) -> dict[str, Any]:
        return {"seller_periods_per_second": value}

    assert ratios({"batch": speed(40e6), "orange_juice": speed(None)}) == {"batch:wanted": 2.0}
    both = ratios({"training": speed(120e3), "tianshou_aec": speed(4e3)})
    assert both == {"training:wanted": 1.0, "training:tianshou_aec": 30.0}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """All figures, each made of six rounds that do nothing; that of a GPU cannot be measured."""

    def missing() -> bench_work.Work:
        raise UserError("there is none")

    for k, key in enumerate(KEYS):
        speeds = [1e3 * (k + 1)] * 6
        prepare = missing if key == "training_gpu" else lambda speeds=speeds: fake(speeds)
        monkeypatch.setitem(FIGURES, key, FIGURES[key]._replace(prepare=prepare))


@pytest.mark.usefixtures("quick")
def test_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["bench", "--seconds", "1e-9", "--json", "speeds.json"]) == 0
    report, printed = json.loads(Path("speeds.json").read_text()), capsys.readouterr().out
    assert [key for key in report if key not in ("machine", "ratios")] == KEYS
    for k, key in enumerate(KEYS):
        assert f"measuring {key}:" in printed
        expected = None if key == "training_gpu" else 1e3 * (k + 1)
        assert report[key]["seller_periods_per_second"] == expected
    assert report["training_gpu"]["note"] == "skipped: there is none"
    assert report["ratios"]["training:tianshou_aec"] == pytest.approx(7 / 10)
    assert "training : tianshou_aec = 0.7" in printed
    machine = report["machine"]
    assert machine["cores"] >= 1 and machine["threads"]["torch"] == 1
    assert {"numpy", "numba", "torch", "tianshou"} <= set(machine["versions"])
    assert {"load_average_before", "load_average_after"} <= set(machine)


def test_only_measures_what_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "speeds.json"
    report = bench.bench(seconds=0.01, only="parallel_env", json=path).report
    assert set(report) == {"machine", "parallel_env", "ratios"} and json.loads(path.read_text()) == report
    one = report["parallel_env"]
    assert 0 < one["min"] <= one["seller_periods_per_second"] <= one["max"] and one["repeats"] >= 5


# ------------------------------------------------------------------------------------------------ what is refused


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that were measured."""
    keys: list[str] = []
    monkeypatch.setattr(bench, "_measure_one", lambda key, seconds, console: keys.append(key))
    return keys


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_senseless_times_are_refused(seconds: float, measured: list[str]) -> None:
    with pytest.raises(UserError, match="--seconds"):
        bench.bench(seconds=seconds)
    assert not measured


def test_unknown_keys_are_refused_with_those_there_are(measured: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--only", "batch", "--only", "btach"]) == 2
    message = capsys.readouterr().err
    assert "btach" in message and all(key in message for key in KEYS) and not measured


def test_a_file_that_cannot_be_written_is_refused_first(tmp_path: Path, measured: list[str]) -> None:
    there = tmp_path / "there.json"
    there.write_text("kept")
    for path in (tmp_path, tmp_path / "no" / "such" / "folder.json", there):
        with pytest.raises(UserError, match="is a folder|does not exist|is not written over"):
            bench.bench(only="batch", json=path)
    assert not measured and there.read_text() == "kept"


def test_a_refused_run_leaves_files_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(key: str, seconds: float, console: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "_measure_one", interrupt)
    with pytest.raises(KeyboardInterrupt):
        bench.bench(only="batch", json=tmp_path / "new.json")
    assert not os.listdir(tmp_path)
