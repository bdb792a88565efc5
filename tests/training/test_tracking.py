"""What TensorBoard and metrics.csv hold of a run, read back from the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_SCALAR
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import plugin_data_pb2

from policies.storage.run_folder import WHOLE_MARKET
from policies.training.charts import layout
from tests.helpers.small_run import small_run

a_run = pytest.fixture(scope="session", name="a_run")(small_run)
MEASURES = {
    *("profit", "revenue", "purchase_cost", "order_cost", "holding_cost", "stockout_cost", "price_change_cost"),
    *("price", "ordered", "on_hand", "sold", "lost", "stockout_rate", "fill_rate", "market_share"),
    *("inventory_turnover", "volatility", "value_at_risk", "conditional_value_at_risk", "maximum_drawdown"),
    *("probability_of_loss", "profit_against_fixed", "profit_gain", "downside_deviation", "drawdown_length"),
    *("days_of_supply", "cycle_service_level", "price_volatility", "price_changes", "nash_profit", "joint_profit"),
    *("period_value_at_risk", "period_conditional_value_at_risk"),
}
LEARNING = {
    "left": {"loss", "mean_q", "epsilon", "learning_rate", "updates"},
    "right": {"actor_loss", "critic_loss", "mean_q", "noise", "learning_rate", "updates"},
}


def events(folder: Path) -> Any:
    read = EventAccumulator(str(folder), size_guidance={"tensors": 0, "scalars": 0, "images": 0, "histograms": 0})
    read.Reload()
    return read


@pytest.fixture(name="boards", scope="module")
def _boards(a_run: Path) -> dict[str, Any]:
    return {WHOLE_MARKET: events(a_run)} | {name: events(a_run / f"seller_{name}") for name in ("left", "right")}


@pytest.mark.parametrize("seller", ["left", "right"])
def test_every_measure_of_every_seller_at_every_evaluation(seller: str, boards: dict[str, Any]) -> None:
    board = boards[seller]
    for measure in MEASURES:
        least = most = 4  # one before learning, three after
        if measure in (
            "cycle_service_level",
            "inventory_turnover",
            "days_of_supply",
        ):  # may be undefined without orders
            least = sum(one.value > 0 for one in board.Scalars("evaluation/ordered"))
        there = f"evaluation/{measure}" in board.Tags()["scalars"]
        assert least <= (len(board.Scalars(f"evaluation/{measure}")) if there else 0) <= most, measure
    assert LEARNING[seller] <= {tag.split("/")[1] for tag in board.Tags()["scalars"] if tag.startswith("training/")}


@pytest.mark.parametrize("seller", ["left", "right"])
def test_histograms_of_prices_and_orders(seller: str, boards: dict[str, Any]) -> None:
    assert set(boards[seller].Tags()["histograms"]) == {"decisions/price", "decisions/order"}
    prices = boards[seller].Histograms("decisions/price")[-1].histogram_value
    assert 1.0 <= prices.min <= prices.max <= 3.0 and prices.num == 8 * 90


def test_the_market_has_its_episode_its_text_and_its_speed(boards: dict[str, Any]) -> None:
    tags = boards[WHOLE_MARKET].Tags()
    assert set(tags["images"]) == {"episode", "policy/left", "policy/right"}
    assert len(boards[WHOLE_MARKET].Images("episode")) == 4 == len(boards[WHOLE_MARKET].Images("policy/left"))
    assert {"training/seller_periods_per_second", "evaluation/total_profit"} <= set(tags["scalars"])
    assert len(boards[WHOLE_MARKET].Scalars("evaluation/profit_gain")) == 4
    text = boards[WHOLE_MARKET].Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "price_sensitivity: 2.0" in text and "budget: 12000" in text


def test_hparams_stand_in_the_same_run_with_the_final_figures(boards: dict[str, Any], a_run: Path) -> None:
    tags = boards[WHOLE_MARKET].Tags()
    finals = {tag for tag in tags["scalars"] if tag.startswith("final/")}
    assert {
        "final/profit/left",
        "final/difference/right",
        "final/fill_rate/left",
        f"final/profit_gain/{WHOLE_MARKET}",
    } <= finals
    plugin = boards[WHOLE_MARKET].summary_metadata["_hparams_/session_start_info"].plugin_data
    assert plugin.plugin_name == "hparams"
    given = plugin_data_pb2.HParamsPluginData.FromString(plugin.content).session_start_info.hparams
    assert sorted(given)[:4] == ["market", "seats", "seed", "selfplay"]  # TensorBoard shows the first five by name
    assert given["seats"].string_value == "dqn, ddpg"
    assert {path.parent for path in a_run.rglob("events.out*")} == {
        a_run,
        a_run / "seller_left",
        a_run / "seller_right",
    }


def test_every_chart_says_its_unit_and_meaning_and_that_it_is_a_scalar(a_run: Path) -> None:
    """Told once a chart, in its first value: TensorBoard's fast reader drops the words of values of no class."""
    for folder in (a_run, a_run / "seller_left"):
        values = [
            value
            for path in folder.glob("events.out*")
            for event in RawEventFileLoader(str(path)).Load()
            for value in Event.FromString(event).summary.value
        ]
        told: dict[str, Any] = {}
        for value in values:
            if value.tag.split("/")[0] in ("evaluation", "training", "final"):
                told.setdefault(value.tag, value.metadata)
        assert {"final/profit/left", "evaluation/hhi"} <= set(told) or "training/profit" in told
        for tag, about in told.items():
            assert about.summary_description.startswith("**") and ": " in about.summary_description, tag
            assert about.data_class == DATA_CLASS_SCALAR and about.plugin_data.plugin_name == "scalars", tag


def test_one_custom_chart_shows_all_sellers_and_none_is_empty(boards: dict[str, Any]) -> None:
    proto = layout_pb2.Layout()
    tensor = boards[WHOLE_MARKET].Tensors("custom_scalars__config__")[0].tensor_proto
    proto.ParseFromString(tensor.string_val[0])
    charts = {chart.title: list(chart.multiline.tag) for group in proto.category for chart in group.chart}
    assert charts["profit"] == ["^evaluation/profit$", "^evaluation/nash_profit$", "^evaluation/joint_profit$"]
    assert charts["profit against fixed"] == ["^evaluation/profit_against_fixed$", "^evaluation/best_fixed_profit$"]
    assert charts["price"] == ["^evaluation/price$"]
    assert charts["profit gain"] == ["^evaluation/profit_gain$"]
    assert [group.title for group in proto.category] == ["Result", "Decisions", "Service", "Costs", "Risk", "Learning"]
    written = {tag for board in boards.values() for tag in board.Tags()["scalars"]}
    assert {tags[0].strip("^$") for tags in charts.values()} <= written
    assert "entropy" not in charts and "noise" in charts


def test_the_layout_leaves_out_what_a_market_does_not_have() -> None:
    assert layout(["evaluation/price"]) == {"Decisions": {"price": ["Multiline", ["^evaluation/price$"]]}}


def test_every_chart_says_what_it_shows(boards: dict[str, Any]) -> None:
    for board in boards.values():
        for tag in board.Tags()["scalars"]:
            if not tag.startswith("final/"):
                said = board.SummaryMetadata(tag).summary_description
                assert said.startswith("**") and ": " in said, tag
    profit = boards["left"].SummaryMetadata("evaluation/profit").summary_description
    assert profit.startswith("**money a period**: profit after all costs")


def test_what_profit_is_compared_with_stands_in_its_chart(boards: dict[str, Any], a_run: Path) -> None:
    board, rows = boards["left"], json.loads((a_run / "evaluation.json").read_text())
    lines = {end: {one.value for one in board.Scalars(f"evaluation/{end}_profit")} for end in ("nash", "joint")}
    assert all(len(values) == 1 for values in lines.values()) and max(lines["nash"]) < max(lines["joint"])
    best = max(row["profit"] for row in rows if row["seat"] == "left" and not row["judged"] and not row.get("rivals"))
    level = board.Scalars("evaluation/best_fixed_profit")
    assert [one.step for one in level] == [0, board.Scalars("evaluation/profit")[-1].step]
    assert [one.value for one in level] == pytest.approx([best, best])


def test_what_all_sellers_share_is_written_once(boards: dict[str, Any]) -> None:
    revenue = zip(*(boards[name].Scalars("evaluation/revenue") for name in ("left", "right")), strict=True)
    sold = sum(left.value + right.value > 0 for left, right in revenue)  # no shares of nothing
    assert len(boards[WHOLE_MARKET].Scalars("evaluation/hhi")) == sold >= 2
    assert "evaluation/hhi" not in boards["left"].Tags()["scalars"] + boards["right"].Tags()["scalars"]


def test_metrics_csv_holds_the_same_scalars(boards: dict[str, Any], a_run: Path) -> None:
    metrics = pd.read_csv(a_run / "metrics.csv", float_precision="round_trip")
    assert list(metrics.columns) == ["step", "phase", "seller", "metric", "value"]
    assert metrics.notna().all().all() and metrics["value"].dtype == "float64" and metrics["step"].dtype == "int64"
    for (seller, phase, metric), rows in metrics.groupby(["seller", "phase", "metric"]):
        if phase == "final":
            board, tag = boards[WHOLE_MARKET], f"final/{metric}/{seller}"
        else:
            board, tag = boards[seller], f"{phase}/{metric}"
        logged = [(event.step, event.value) for event in board.Scalars(tag)]
        assert [step for step, _ in logged] == rows["step"].tolist(), tag
        assert [value for _, value in logged] == pytest.approx(rows["value"].tolist(), rel=1e-6), tag
    written = sum(len(board.Scalars(tag)) for board in boards.values() for tag in board.Tags()["scalars"])
    assert written == len(metrics)
