"""Sellers over what an estimate of the market leaves open: both intervals, and the probability of being the better one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from market.spec.models import MarketSpec
from policies import build_rule
from policies.cli.main import main
from policies.common.seeding import row_seed
from policies.config.run import Evaluation
from policies.evaluation.over_draws import episodes_of_a_draw, over_draws
from policies.evaluation.statistics import order_interval
from policies.sellers.rollout import mean_profit
from tests.helpers.markets import a_market

SELLER = {"order_up_to": [0, 40], "holding_cost": 0.1, "lead_time": 1, "stock": 10}
DRAWS = [
    {"price_sensitivity": 1.5, "nest": 0.2, "quality": [0.3, -0.3]},
    {"price_sensitivity": 2.5, "quality": [-0.2, 0.4]},
    {"price_sensitivity": 2.0, "nest": 0.1, "quality": [0.0, 0.0]},
]
FEW = ["--set", "evaluation.competitors=[nash+base_stock, cost_plus+base_stock]", "--against", "nash+base_stock"]
SETTINGS = Evaluation(warm_up=2)


def market(**changes: Any) -> dict[str, Any]:
    return a_market(SELLER, SELLER, price_sensitivity=2.0, horizon=20, **changes)


def test_the_lowest_and_the_highest_of_39_hold_95_per_cent() -> None:
    drawn = np.random.default_rng(0).permutation(39).astype(float)
    found = order_interval(drawn)
    assert (found.value, found.low, found.high) == pytest.approx((19.0, 0.0, 38.0), abs=1e-12)
    assert np.isnan(order_interval([1.0]).low) and order_interval([1.0, 3.0]).high == 3.0
    chance = np.random.default_rng(1).exponential(size=(4000, 40))  # any law will do
    held = (chance[:, :39].min(1) <= chance[:, 39]) & (chance[:, 39] <= chance[:, :39].max(1))
    assert held.mean() == pytest.approx(0.95, abs=0.015)  # 4 standard errors


def test_every_draw_is_played_as_the_market_that_it_is() -> None:
    spec = MarketSpec.parse(market(draws=DRAWS))
    rules = ("undercut+base_stock", "nash+base_stock")
    mine, best = (build_rule(text, spec, 0) for text in rules)
    rival = build_rule("nash+base_stock", spec, 1)
    found = over_draws(spec, 0, {"mine": mine}, best, [mine, rival], SETTINGS, seed=3, episodes=24)["mine"]
    seed = row_seed(3, "evaluate")
    for draw, gap in zip(DRAWS, found.gap, strict=True):
        sellers = [SELLER | {"quality": 2.0 + float(more)} for more in draw["quality"]]  # type: ignore[attr-defined]
        taste = {"price_sensitivity": draw["price_sensitivity"], "nest": draw.get("nest", 0.0)}
        same = MarketSpec.parse(a_market(*sellers, horizon=20, **taste))
        mean = [mean_profit(same, [one, rival], 2, 1.0, seed, 24)[0] for one in (mine, best)]
        assert gap == pytest.approx(mean[0] - mean[1], abs=1e-9)
    assert found.beats == np.mean(found.gap > 0) and found.interval.low == found.gap.min()
    assert episodes_of_a_draw(spec, 4096) == 1366 and episodes_of_a_draw(spec, 8) == 16


def test_it_is_the_same_whether_draws_are_played_side_by_side_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = MarketSpec.parse(market(draws=DRAWS))
    best, rival = build_rule("nash+base_stock", spec, 0), build_rule("nash+base_stock", spec, 1)
    mine = build_rule("cost_plus+base_stock", spec, 0)
    gaps = []
    for ledger in (2**20, 2 * 24 * spec.horizon * 2, 1):  # all draws at once, two of them, one by one
        monkeypatch.setattr("policies.sellers.rollout.LARGEST_LEDGER", ledger)
        found = over_draws(spec, 0, {"mine": mine}, best, [mine, rival], SETTINGS, seed=3, episodes=24)
        gaps.append(found["mine"].gap.tolist())
    assert gaps[0] == gaps[1] == gaps[2] and len(gaps[0]) == 3


def evaluated(folder: Path, name: str, **changes: Any) -> list[dict[str, Any]]:
    config, found = folder / f"{name}.yaml", folder / f"{name}.json"
    config.write_text(yaml.safe_dump({"market": market(**changes)}))
    words = ["evaluate", str(config), "--seller", "undercut+base_stock", "--seat", "a", "--episodes", "32", *FEW]
    assert main([*words, "--json", str(found)]) == 0
    rows: list[dict[str, Any]] = json.loads(found.read_text())
    return rows


def test_evaluate_says_both_intervals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, drawn, on = (
        evaluated(tmp_path, name, **changes)
        for name, changes in {
            "plain": {},
            "drawn": {"draws": DRAWS},
            "on": {"draws": DRAWS, "uncertainty": "on"},
        }.items()
    )
    assert drawn == on, "the market as estimated, and beside it its draws, whichever of them is trained on"
    (judged,) = (row for row in drawn if row["judged"])
    more = {key: judged.pop(key) for key in list(judged) if "draws" in key}
    assert judged == next(row for row in plain if row["judged"])
    assert more["draws"] == 3 and more["difference_over_draws_low"] < more["difference_over_draws_high"]
    said = " ".join(capsys.readouterr().out.split())
    assert "over 3 draws of what the estimate leaves open:" in said
    assert f"earns more than {judged['best_fixed']} in {more['probability_over_draws']:.0%} of them." in said


def test_prices_outside_the_file_are_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen = market()
    seen["sellers"] = [one | {"prices_on_file": [1.0, 1.2]} for one in seen["sellers"]]
    (tmp_path / "seen.yaml").write_text(yaml.safe_dump({"market": seen}))
    assert (
        main(["evaluate", str(tmp_path / "seen.yaml"), "--seller", "nash", "--seat", "a", "--episodes", "4", *FEW]) == 0
    )
    assert (
        "† outside the prices on file (a 1 to 1.2): what customers do there nobody has seen." in capsys.readouterr().out
    )
