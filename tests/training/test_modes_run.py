"""`bazaar train` in every mode: what it records, what it leaves, and that its sellers can be evaluated."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from market.errors import UserError
from policies.evaluation.run_sellers import run_sellers
from policies.sellers.mixture import MixtureSeller
from policies.storage.run_folder import saved_sellers
from policies.studies.exploit.run import exploit
from tests.helpers.small_run import small_run, train_small

CHANGES = {
    "shared": ("selfplay={mode: shared, indicator: true}", "seats.right=dqn"),
    "league": ("selfplay={mode: league, distance: 2000, pool: 8, competitors: [nash, undercut]}",),
    "psro": ("selfplay={mode: psro, rounds: 2, episodes: 8}",),
}


@pytest.mark.parametrize("mode", CHANGES)
def test_a_run_in_a_mode_leaves_what_others_leave_and_its_own(mode: str, tmp_path: Path) -> None:
    folder = train_small(tmp_path, mode, changes=CHANGES[mode])
    assert set(saved_sellers(folder)) == set(saved_sellers(folder, "latest")) == {"left", "right"}
    run = run_sellers(folder)
    assert run.config.selfplay.mode == mode and None not in [one.learner for one in run.players]
    assert json.loads((folder / "evaluation.json").read_text())
    rows = pd.read_csv(folder / "metrics.csv", float_precision="round_trip")
    own = rows[rows["phase"] == mode]
    if mode == "shared":
        assert own.empty and not (folder / "pool").exists()
        return
    assert list((folder / "pool").glob("left.*.pt")) and (folder / f"{mode}.json").is_file()
    last = own[own["step"] == own["step"].max()]
    if mode == "league":
        assert {"fixed_worst_profit", "snapshot_profit"} <= set(last[last["seller"] == "left"]["metric"])
    else:
        rounds = json.loads((folder / "psro.json").read_text())["rounds"]
        conv = last[(last["metric"] == "nash_conv") & (last["seller"] == "(market)")]["value"]
        assert len(rounds) == 2 and conv.item() == rounds[-1]["nash_conv"]
        mixed = run_sellers(folder, "mixture")
        assert all(isinstance(seller, MixtureSeller) for seller in mixed.sellers)
        found = exploit(folder, budget=2_000, episodes=8, device="cpu", checkpoint="mixture").regrets
        assert [one.seller for one in found] == ["left", "right"] and all(one.bound.value >= 0 for one in found)


def test_a_run_in_another_mode_has_no_mixture() -> None:
    with pytest.raises(UserError, match=r"run: has no mixture, its selfplay is independent; a run with selfplay: psro"):
        run_sellers(small_run(), "mixture")
