"""Tournaments against direct play; what is kept, gone on with and refused; workers that end when they should."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import yaml
from rich.console import Console

from market.errors import UserError
from market.metrics.summary import episode_profit
from market.simulation.batch import MarketBatch
from market.spec.models import MarketSpec
from policies.common.parallel import local as engine_local
from policies.common.seeding import row_seed
from policies.config.orders import EvaluateOrder, TournamentOrder
from policies.evaluation.entrants import find_entrants
from policies.sellers.rollout import play
from policies.sellers.rules.compose import parse_rules
from policies.sellers.rules.level_search import build
from policies.storage.run_folder import saved_sellers
from policies.studies.tournament import play as play_module
from policies.studies.tournament.entries import gather
from policies.studies.tournament.play import cell_path, read_cell
from policies.studies.tournament.run import tournament, tournament_summary
from policies.studies.tournament.schedule import plan
from policies.studies.tournament.view import equilibrium_notes, how, tables
from tests.helpers.markets import a_market
from tests.helpers.orders import carry_out
from tests.helpers.processes import PATIENCE, Moment, begin, gone
from tests.helpers.small_run import DUOPOLY, ROOT
from tests.helpers.untrained_run import untrained_run

RULES = ("nash+base_stock", "undercut+base_stock", "cost_plus+base_stock")
COSTS = {
    "unit_cost": 1.0,
    "holding_cost": 0.1,
    "stockout_cost": 0.2,
    "stock": 8,
    "lead_time": 1,
    "order_up_to": [0, 40],
}


def a_config(folder: Path, *sellers: dict[str, Any], name: str = "config.yaml", **changes: Any) -> Path:
    """A file with a small stocked market of the sellers given, judged after 2 of 12 periods."""
    market = a_market(*({**COSTS, "quality": 3.0, **one} for one in sellers), outside=0.0, **{"horizon": 12, **changes})
    path = folder / name
    path.write_text(yaml.safe_dump({"market": market, "evaluation": {"warm_up": 2, "salvage": 0.5}}))
    return path


def quiet(width: int = 130) -> Console:
    return Console(file=io.StringIO(), width=width)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def an_order(config: Path | None, runs: Path, *entries: str, **changes: Any) -> TournamentOrder:
    given: dict[str, Any] = {"episodes": 24, "processes": 1} | changes
    return TournamentOrder(entries or RULES, config=config, runs=runs, **given)


def run_tournament(order: TournamentOrder, console: Console) -> Path:
    return Path(carry_out(tournament, order, console).folder)


def bits(folder: Path) -> dict[str, bytes]:
    return {path.name: np.load(path)["profit"].tobytes() for path in sorted((folder / "cells").glob("*.npz"))}


# ------------------------------------------------------------------------------------------------ what is played


def test_cells_are_what_direct_play_earns_on_the_same_customers(tmp_path: Path) -> None:
    config = a_config(tmp_path, {}, {"unit_cost": 1.2})
    folder = run_tournament(an_order(config, tmp_path, seed=7), quiet())
    spec = MarketSpec.load(config)
    for i, left in enumerate(RULES):
        for j, right in enumerate(RULES):
            sellers = [build(left, spec, 0), build(right, spec, 1)]
            ledger = play(spec, sellers, markets=24, seed=row_seed(7, "evaluate"))
            expected = episode_profit(ledger, spec, 2, 0.5) / 10
            np.testing.assert_array_equal(np.load(cell_path(folder, (i, j)))["profit"], expected)
    facts = tournament_summary(folder)
    first = np.load(cell_path(folder, (1, 2)))["profit"]
    assert facts["payoffs"]["a"]["mean"][1][2] == pytest.approx(first[:, 0].mean())
    assert facts["payoffs"]["b"]["mean"][2][1] == pytest.approx(first[:, 1].mean())


@pytest.mark.slow
def test_processes_and_their_number_change_no_bit(tmp_path: Path) -> None:
    entries = (str(two_runs(tmp_path)[0]), "nash+base_stock")
    folders = [
        run_tournament(an_order(None, tmp_path, *entries, processes=count, name=f"with{count}"), quiet())
        for count in (1, 2)
    ]
    assert len(bits(folders[0])) == 9
    assert bits(folders[0]) == bits(folders[1])
    one, two = (tournament_summary(folder) for folder in folders)
    assert one == two


def two_runs(folder: Path) -> list[Path]:
    """Two seeds of the duopoly."""
    return [
        untrained_run(folder / name, "market.horizon=20", seed=seed) for seed, name in enumerate(("first", "second"))
    ]


def test_long_tournaments_are_played_in_blocks_of_the_same_customers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = a_config(tmp_path, {}, {})
    whole = run_tournament(an_order(config, tmp_path, name="whole"), quiet())
    monkeypatch.setattr("policies.studies.tournament.play.MOST_ROWS", 10)
    assert bits(whole) == bits(run_tournament(an_order(config, tmp_path, name="blocks"), quiet()))


def test_rules_keep_the_levels_that_were_searched(tmp_path: Path) -> None:
    config = a_config(tmp_path, {}, {})
    entries = ("nash+base_stock(level=best)", "cost_plus+base_stock")
    folder = run_tournament(an_order(config, tmp_path, *entries), quiet())
    spec = MarketSpec.load(config)
    levels = json.loads((folder / "tournament.json").read_text())["levels"][0]
    for seat, name in enumerate(spec.names):
        assert levels[name] == build(entries[0], spec, seat).label
        assert parse_rules(levels[name]).searched == ()


# ------------------------------------------------------------------------------------------------ going on


def test_a_second_call_plays_only_what_is_missing(tmp_path: Path) -> None:
    config, console = a_config(tmp_path, {}, {}), quiet()
    order = an_order(config, tmp_path)
    folder = run_tournament(order, quiet())
    before, facts = bits(folder), (folder / "results.json").read_bytes()
    kept = cell_path(folder, (0, 0)).stat().st_mtime_ns
    cell_path(folder, (1, 1)).unlink()
    cell_path(folder, (2, 0)).write_bytes(b"damaged")
    cell_path(folder, (0, 2)).write_bytes(cell_path(folder, (0, 2)).read_bytes()[:-30])
    assert run_tournament(order, console) == folder
    assert "6 of 9 cells are there already: going on with 3" in said(console)
    assert bits(folder) == before and (folder / "results.json").read_bytes() == facts
    assert cell_path(folder, (0, 0)).stat().st_mtime_ns == kept
    again = quiet()
    run_tournament(order, again)
    assert "9 of 9 cells are there already: nothing left to play" in said(again)


def test_a_cell_of_other_episodes_counts_for_nothing(tmp_path: Path) -> None:
    folder = run_tournament(an_order(a_config(tmp_path, {}, {}), tmp_path), quiet())
    profit = read_cell(folder, (0, 0), 24)
    assert profit is not None and profit.shape == (24, 2)
    assert read_cell(folder, (0, 0), 25) is None and read_cell(folder, (7, 7), 24) is None


def test_the_same_name_with_other_inputs_is_refused(tmp_path: Path) -> None:
    config = a_config(tmp_path, {}, {})
    run_tournament(an_order(config, tmp_path, name="cup"), quiet())
    with pytest.raises(UserError, match=r"cup: is another tournament.*episodes: 24 / 25 \(there / here\)"):
        run_tournament(an_order(config, tmp_path, name="cup", episodes=25), quiet())
    other = a_config(tmp_path, {}, {}, name="other.yaml", price_sensitivity=1.5)
    with pytest.raises(UserError, match=r"market.price_sensitivity: 1.0 / 1.5"):
        run_tournament(an_order(other, tmp_path, name="cup"), quiet())
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match="mine: exists already"):
        run_tournament(an_order(config, tmp_path, name="mine"), quiet())
    (tmp_path / "cup" / "tournament.json").write_text("{")
    with pytest.raises(UserError, match="tournament.json: is damaged"):
        run_tournament(an_order(config, tmp_path, name="cup"), quiet())


def test_other_inputs_have_another_default_name(tmp_path: Path) -> None:
    config = a_config(tmp_path, {}, {})
    names = {run_tournament(an_order(config, tmp_path, seed=seed), quiet()).name for seed in (0, 1)}
    assert len(names) == 2 and all(name.startswith("tournament-market-") for name in names)


def test_a_run_that_learns_on_makes_another_tournament(tmp_path: Path) -> None:
    """A checkpoint that changed since is another policy; what was begun goes on with copies of its own."""
    run = two_runs(tmp_path)[0]
    order = an_order(None, tmp_path, str(run), "nash+base_stock", episodes=8, name="cup")
    run_tournament(order, quiet())
    shutil.copy(run / "checkpoints" / "left.latest.pt", run / "checkpoints" / "left.best.pt")
    with pytest.raises(UserError, match="is another tournament.*policies.first.left .dqn.*digest"):
        run_tournament(order, quiet())


# ------------------------------------------------------------------------------------------------ who takes part


def test_a_runs_sellers_play_every_seat_that_they_fit(tmp_path: Path) -> None:
    run = untrained_run(tmp_path / "run")
    _, policies = gather([str(run), "nash+base_stock"], None, "best")
    assert [policy.label for policy in policies] == ["run/left (dqn)", "run/right (ddpg)", "nash+base_stock"]
    assert [policy.seats for policy in policies] == [(0, 1)] * 3
    assert policies[0].partners == {1: "run/right (ddpg)"}
    _, latest = gather([str(run), "nash+base_stock"], None, "latest")
    assert latest[0].digest != policies[0].digest


def test_a_policy_stays_out_of_seats_with_other_ranges(tmp_path: Path) -> None:
    run = untrained_run(tmp_path / "narrow", "market.sellers.right.prices=[1, 2.5]")
    _, policies = gather([str(run), "nash+base_stock"], None, "best")
    assert [policy.seats for policy in policies] == [(0,), (1,), (0, 1)]
    folder = run_tournament(an_order(None, tmp_path, str(run), "nash+base_stock", episodes=8), quiet())
    facts = tournament_summary(folder)
    assert np.shape(facts["payoffs"]["left"]["mean"]) == (2, 2) and facts["cells"] == 4
    assert {row["policy"]: list(row["seats"]) for row in facts["ranking"]}["narrow/left (dqn)"] == ["left"]


def test_grids_are_the_sellers_own_matter(tmp_path: Path) -> None:
    """Two runs of one market, one of which decided on a coarser grid, can meet; each keeps its own."""
    fine = untrained_run(tmp_path / "fine")
    coarse = untrained_run(tmp_path / "coarse", "market.sellers.left.grid={prices: 3, levels: 3}")
    config, policies = gather([str(fine), str(coarse)], None, "best")
    saved = saved_sellers(coarse)["left"]
    seller = saved.sit(config.market, 1)
    ledger = play(config.market, [build("nash+base_stock", config.market, 0), seller], markets=16)
    assert set(np.unique(ledger["price"][..., 1])) <= {1.0, 2.0, 3.0}
    assert len(policies) == 4


def test_where_box_learners_begin_is_their_own_matter(tmp_path: Path) -> None:
    """Training writes a center for those that learn in a box: such runs meet others, and rules of the configuration."""
    center = "market.sellers.right.center={price: 1.8, level: 30}"
    one, other = untrained_run(tmp_path / "one"), untrained_run(tmp_path / "other", center)
    assert len(gather([str(one), str(other)], DUOPOLY, "best")[1]) == 4
    assert len(find_entrants(EvaluateOrder((one, other))).seats[1]) == 2


def test_runs_with_one_name_are_told_apart(tmp_path: Path) -> None:
    for parent in ("x", "y"):
        untrained_run(tmp_path / parent / "run")
    paths = [str(tmp_path / parent / "run") for parent in ("x", "y")]
    _, policies = gather(paths, None, "best")
    assert policies[0].label == f"{paths[0]}/left (dqn)"
    assert policies[2].partners == {1: f"{paths[1]}/right (ddpg)"}


def test_a_fixed_competitor_of_the_training_is_a_partner(tmp_path: Path) -> None:
    run = untrained_run(tmp_path / "alone", "seats.right=nash+base_stock")
    folder = run_tournament(
        an_order(None, tmp_path, str(run), "nash+base_stock", "cost_plus+base_stock", episodes=8), quiet()
    )
    (row,) = tournament_summary(folder)["cross_play"]
    own, other = (np.load(cell_path(folder, (0, k)))["profit"][:, 0] for k in (1, 2))
    assert row["others"] == "fixed competitors"
    assert row["with_partners"] == pytest.approx(own.mean()) and row["with_others"] == pytest.approx(other.mean())
    assert row["change"] == pytest.approx((other - own).mean())


def test_cross_play_is_with_sellers_of_other_runs(tmp_path: Path) -> None:
    paths = two_runs(tmp_path)
    order = an_order(None, tmp_path, *map(str, paths), "nash+base_stock", episodes=16)
    folder = run_tournament(order, quiet())
    facts = tournament_summary(folder)
    cells = {(i, j): np.load(cell_path(folder, (i, j)))["profit"] for i in range(5) for j in range(5)}
    row = facts["cross_play"][1]  # first/right, trained against first/left; the other run holds 2 and 3
    assert row["policy"] == "first/right (ddpg)" and row["others"] == "sellers of other runs"
    assert row["with_partners"] == pytest.approx(cells[0, 1][:, 1].mean())
    assert row["with_others"] == pytest.approx((cells[2, 1][:, 1] + cells[3, 1][:, 1]).mean() / 2)
    rest = [(cells[2, k] + cells[3, k])[:, 1] / 2 - cells[0, k][:, 1] for k in (0, 2, 3, 4)]
    assert row["candidates_change"] == pytest.approx(np.mean(rest))
    assert row["own_change"] == pytest.approx(row["change"] - row["candidates_change"])


def test_policies_that_do_well_only_with_their_partners_are_flagged() -> None:
    from policies.studies.tournament.results import _compared

    noise = np.random.default_rng(0).normal(0, 0.1, (3, 200))
    partners, strangers, rest = 10 + noise[0], 7 + noise[1], noise[2]
    assert _compared(partners, strangers, rest)["only_with_partners"]
    easy = _compared(partners, strangers, rest - 3)  # everybody loses 3: the partners are weak
    assert easy["less_with_others"] and not easy["only_with_partners"]
    assert not _compared(partners, partners - 0.4, rest)["less_with_others"]  # 4 %
    assert not _compared(partners[:1], strangers[:1], rest[:1])["less_with_others"]  # no interval


# ------------------------------------------------------------------------------------------------ refusals


def test_markets_that_differ_are_refused_with_the_first_keys(tmp_path: Path) -> None:
    first, second = two_runs(tmp_path)
    path = second / "config.yaml"
    data = yaml.safe_load(path.read_text())
    data["market"]["horizon"], data["market"]["sellers"][1]["unit_cost"] = 50, 1.25
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(UserError) as refused:
        run_tournament(an_order(None, tmp_path, str(first), str(second)), quiet())
    assert str(refused.value) == (
        f"{first} and {second}: are of different markets, so their sellers cannot meet: market.horizon: 20 / 50; "
        "market.sellers.1.unit_cost: 1.0 / 1.25"
    )
    assert not list(tmp_path.glob("tournament-*"))
    with pytest.raises(UserError, match="are of different markets"):
        run_tournament(an_order(a_config(tmp_path, {}, {}), tmp_path, str(first), "nash"), quiet())


ENTRIES = {
    ("nash+base_stock",): "needs at least two policies",
    (
        "nash+base_stok",
        "nash",
    ): r"entry 1.replenishment: unknown rule 'base_stok'.*\(and there is no folder nash\+base_s",
    ("nash", "runs/missing"): "runs/missing: is neither a run's folder nor rules",
    ("nash", "nash+base_stock"): r"nash\+base_stock: is given twice",
    ("nash", "constant(price=-1)"): "entry 2.pricing.constant.price",
    ("nash", "."): "is not a run",
}


@pytest.mark.parametrize("entries", ENTRIES)
def test_wrong_entries_are_refused(entries: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = a_config(tmp_path, {}, {}, name="market.yaml")
    with pytest.raises(UserError, match=ENTRIES[entries]):
        run_tournament(an_order(config, tmp_path / "runs", *entries), quiet())
    assert not (tmp_path / "runs").exists()


def test_rules_alone_need_a_market_and_a_run_needs_sellers(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="rules alone do not say which market: give --config FILE or a run"):
        run_tournament(an_order(None, tmp_path), quiet())
    with pytest.raises(
        UserError, match="^runs/missing: is neither a run's folder nor rules such as nash\\+base_stock$"
    ):
        run_tournament(an_order(None, tmp_path, "runs/missing", "nash"), quiet())
    run = two_runs(tmp_path)[0]
    with pytest.raises(UserError, match="first: is given twice"):
        run_tournament(an_order(None, tmp_path, str(run), f"{run}/"), quiet())
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(UserError, match="first: holds no saved sellers"):
        run_tournament(an_order(None, tmp_path, str(run), "nash"), quiet())


@pytest.mark.parametrize("name", ["..", "a/b", ""])
def test_a_name_must_be_a_plain_folder_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="must be a plain folder name"):
        run_tournament(an_order(a_config(tmp_path, {}, {}), tmp_path, name=name), quiet())


def test_a_summary_needs_a_finished_tournament(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a tournament"):
        tournament_summary(tmp_path)
    folder = run_tournament(an_order(a_config(tmp_path, {}, {}), tmp_path), quiet())
    (folder / "results.json").unlink()
    with pytest.raises(UserError, match="is not finished"):
        tournament_summary(folder)


# ------------------------------------------------------------------------------------------------ one, two, more seats


def test_equilibria_payoffs_and_ranks_are_those_of_the_cells(tmp_path: Path) -> None:
    folder = run_tournament(an_order(a_config(tmp_path, {}, {}), tmp_path, episodes=40), quiet())
    facts = tournament_summary(folder)
    game = np.array([facts["payoffs"]["a"]["mean"], np.transpose(facts["payoffs"]["b"]["mean"])])
    for one in facts["equilibria"]["found"]:
        x, y = (np.array([one["strategies"][s].get(label, 0.0) for label in RULES]) for s in "ab")
        np.testing.assert_allclose([x @ game[0] @ y, x @ game[1] @ y], list(one["payoffs"].values()))
        gains = max((game[0] @ y).max() - x @ game[0] @ y, (x @ game[1]).max() - x @ game[1] @ y)
        assert gains <= one["regret"] + 1e-9 and one["regret"] < 1e-9
        assert 0 <= one["support_share"] <= 1 and one["regret_high"] >= 0
    ranks = {row["policy"]: row["seats"]["a"]["rank"] for row in facts["ranking"]}
    by_hand = [[1 + sum(other > own for other in column) for own in column] for column in game[0].T]
    assert [ranks[label] for label in RULES] == pytest.approx(np.mean(by_hand, axis=0))
    assert np.mean([row["rating"] for row in facts["ranking"]]) == pytest.approx(1500)
    with open(folder / "payoffs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 9 and rows[5]["a"] == RULES[1] and rows[5]["b"] == RULES[2]
    assert float(rows[5]["profit_b"]) == pytest.approx(game[1][1][2])


def test_three_seats_have_a_coarse_correlated_equilibrium(tmp_path: Path) -> None:
    console = quiet()
    folder = run_tournament(an_order(a_config(tmp_path, {}, {}, {}), tmp_path), console)
    facts = tournament_summary(folder)
    (one,) = facts["equilibria"]["found"]
    assert facts["equilibria"]["kind"] == "coarse_correlated" and facts["cells"] == 27
    assert sum(entry["probability"] for entry in one["line_ups"]) == pytest.approx(1)
    assert one["regret"] < 1e-6 and one["support_share"] is None and one["regret_high"] >= 0
    assert "Coarse correlated equilibrium" in said(console)
    # Rows play a; a column is a rival in either other seat.
    cells = {at: np.load(cell_path(folder, at))["profit"][:, 0].mean() for at in np.ndindex(3, 3, 3)}
    with_first = [cells[2, j, k] for j in range(3) for k in range(3) if 0 in (j, k)]
    assert facts["payoffs"]["a"]["mean"][2][0] == pytest.approx(np.mean(with_first))


def test_sampled_line_ups_give_ranks_and_no_equilibria(tmp_path: Path) -> None:
    console = quiet()
    order = an_order(a_config(tmp_path, {}, {}, {}), tmp_path, most_cells=26, episodes=8)
    facts = tournament_summary(run_tournament(order, console))
    assert facts["sampled"] and facts["cells"] <= 26 and facts["equilibria"]["found"] == []
    assert "No equilibria: only" in said(console) and "raise --most-cells to play all" in said(console)
    assert len(facts["ranking"]) == 3 and all(len(row["seats"]) == 3 for row in facts["ranking"])


def test_a_sample_is_balanced_and_gives_every_candidate_the_same_rivals() -> None:
    seats = [range(6)] * 3
    drawn = plan(seats, 6 * 6 * 3, seed=4)
    assert drawn.sampled and drawn == plan(seats, 6 * 6 * 3, seed=4) != plan(seats, 6 * 6 * 3, seed=5)
    for seat, sets in enumerate(drawn.rivals):
        assert len(sets) == 6 and all(others[seat] == -1 for others in sets)
        for other in {0, 1, 2} - {seat}:
            assert Counter(others[other] for others in sets) == dict.fromkeys(range(6), 1)
        for own in range(6):
            assert set(drawn.line_ups(seat, own)) <= set(drawn.cells)
    uneven = plan([range(5), range(4), range(3)], 24, seed=0)
    for seat, sets in enumerate(uneven.rivals):
        assert len(sets) == 2
        for other in {0, 1, 2} - {seat}:
            assert max(Counter(others[other] for others in sets).values()) == 1


def test_two_seats_are_never_sampled_and_wanted_line_ups_are_played() -> None:
    assert len(plan([range(40)] * 2, 100, seed=0).cells) == 1600
    assert (5, 5, 5) in plan([range(6)] * 3, 30, seed=0, wanted=[(5, 5, 5)]).cells


def test_a_monopoly_ranks_its_policies(tmp_path: Path) -> None:
    console = quiet()
    facts = tournament_summary(
        run_tournament(an_order(a_config(tmp_path, {}), tmp_path, "cost_plus+base_stock", "constant(price=3)"), console)
    )
    best = max(zip(facts["payoffs"]["a"]["mean"], facts["payoffs"]["a"]["policies"], strict=True))[1]
    assert facts["ranking"][0]["policy"] == best
    assert facts["equilibria"]["found"][0]["strategies"] == {"a": {best: 1.0}}
    assert "Best policy of the only seat" in said(console)


def test_one_episode_has_no_intervals(tmp_path: Path) -> None:
    console = quiet()
    facts = tournament_summary(run_tournament(an_order(a_config(tmp_path, {}, {}), tmp_path, episodes=1), console))
    assert facts["payoffs"]["a"]["half_width"][0][0] is None and facts["ranking"][0]["rank_half_width"] is None
    assert facts["equilibria"]["found"][0]["regret_high"] is None
    assert "1 episode (too few for intervals)" in said(console) and "±" not in said(console)


def test_json_is_a_copy_of_the_results(tmp_path: Path) -> None:
    config = a_config(tmp_path, {}, {})
    folder = run_tournament(an_order(config, tmp_path, json=tmp_path / "copy.json"), quiet())
    assert json.loads((tmp_path / "copy.json").read_text()) == tournament_summary(folder)
    with pytest.raises(UserError, match="copy.json: exists already"):
        run_tournament(an_order(config, tmp_path, json=tmp_path / "copy.json"), quiet())


# ------------------------------------------------------------------------------------------------ what is shown


def eight() -> dict[str, Any]:
    """Figures of eight policies in a duopoly, as long as they get."""
    labels = [f"some_run_{k}/seller (ddpg)" for k in range(8)]
    rng = np.random.default_rng(0)
    matrix = {"policies": labels, "rivals": labels, "half_width": np.full((8, 8), 0.0123).tolist()}
    payoffs = {seat: matrix | {"mean": rng.uniform(4, 9, (8, 8)).tolist()} for seat in ("left", "right")}
    one = {"profit": 5.0, "half_width": 0.01, "rank": 2.0, "rating": 1500.0}
    row = {"rank": 2.0, "rank_half_width": 0.1, "rating": 1500.0, "rating_half_width": 4.0}
    ranking = [{"policy": label, **row, "seats": {"left": one, "right": one}} for label in labels]
    empty = {"kind": None, "why_none": "none", "complete": False, "degenerate": False, "found": []}
    facts = {"seats": ["left", "right"], "policies": [{"label": label} for label in labels], "payoffs": payoffs}
    facts |= {"ranking": ranking, "cross_play": [], "equilibria": empty, "sampled": False, "cells": 64, "seed": 0}
    return facts | {
        "period": "day", "horizon": 100, "warm_up": 10, "salvage": 1.0, "stocked": True, "episodes": 1000
    }  # fmt: skip


@pytest.mark.parametrize("width", [60, 100, 130, 300])
def test_the_matrix_of_eight_policies_is_whole_at_every_width(width: int) -> None:
    facts, console = eight(), quiet(width)
    for table in tables(facts, width):
        table.print(console)
    text = said(console)
    assert max(map(len, text.split("\n"))) <= width
    assert "…" not in text
    decimals = 2 if width == 130 else 3
    for seat in ("left", "right"):
        for row in facts["payoffs"][seat]["mean"]:
            assert all(f"{value:.{decimals}f}" in text for value in row)
    assert ("± 0.012" in text.split("ranking")[0]) == (width == 300)
    assert text.count("profit a day") == {60: 2, 100: 2, 130: 1, 300: 1}[width]


def test_the_footer_says_what_the_figures_rest_on() -> None:
    assert how(eight()).strip() == (
        "64 line-ups, each 1,000 episodes of 100 days, the first 10 skipped, stock valued at 1 x unit cost; the same "
        "customers for all; 95 % intervals of at most ± 0.012."
    )


def test_mixtures_of_a_degenerate_game_claim_no_share_of_resamples(tmp_path: Path) -> None:
    """The same price by two rules: every mixture of the two is an equilibrium if one is."""
    config = a_config(tmp_path, {"prices": [2, 2]}, {"prices": [2, 2]})
    facts = tournament_summary(run_tournament(an_order(config, tmp_path, *RULES[1:], episodes=6), quiet()))
    assert facts["equilibria"]["degenerate"] and len(facts["equilibria"]["found"]) == 4
    assert all(one["support_share"] == 1.0 for one in facts["equilibria"]["found"])  # these are pure
    texts = [note.text for note in equilibrium_notes(facts)]
    assert texts[0].endswith("degenerate (4 extreme equilibria; mixtures of some are equilibria too):")
    assert texts[2].endswith("the same candidates make an equilibrium in 100% of them.")


# ------------------------------------------------------------------------------------------------ processes


def test_a_worker_ended_from_outside_is_a_message_and_finished_cells_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = an_order(a_config(tmp_path, {}, {}), tmp_path, processes=2)
    begun = engine_local.get_context("spawn").Process.start

    def start_and_kill(process: Any) -> None:
        begun(process)
        os.kill(process.pid, signal.SIGKILL)

    context = engine_local.get_context("spawn")
    with monkeypatch.context() as patch:
        patch.setattr(type(context.Process(target=print)), "start", start_and_kill)
        with pytest.raises(UserError, match="a worker process was ended from outside"):
            run_tournament(order, quiet())
    assert len(bits(run_tournament(an_order(order.config, tmp_path), quiet()))) == 9


def test_a_policy_that_fails_in_a_worker_ends_the_tournament(tmp_path: Path) -> None:
    run = two_runs(tmp_path)[0]
    order = an_order(None, tmp_path, str(run), "nash+base_stock", episodes=8, processes=2, name="cup")
    folder = run_tournament(attrs.evolve(order, processes=1), quiet())
    cell_path(folder, (0, 0)).unlink()
    cell_path(folder, (0, 1)).unlink()
    (folder / "sellers" / "1.pt").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="1.pt: is damaged or not a seller saved by bazaar"):
        run_tournament(order, quiet())


def test_workers_of_rules_never_import_torch() -> None:
    code = "import sys, policies.studies.tournament.play; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_ctrl_c_ends_everything_and_the_same_command_goes_on(tmp_path: Path) -> None:
    """Sent to the workers as well, as a terminal does, when the second cell is to be kept."""
    command = ["tournament", "nash+base_stock", "cost_plus+base_stock", "match", "--config", str(DUOPOLY)]
    command += ["--runs", str(tmp_path), "--name", "cup", "--processes", "2", "--episodes", "200"]
    process = begin(*command, at=Moment("policies.studies.tournament.play", "write_file", 2))
    try:
        _, errors = process.communicate(timeout=PATIENCE)  # returns when the last that can write has ended
    finally:
        process.kill()
    assert process.returncode == 130 and "Traceback" not in errors
    assert len(list(tmp_path.glob("cup/cells/*.npz"))) == 1
    assert f"interrupted: 1 of 9 cells are in {tmp_path / 'cup'}; the same command goes on" in errors
    assert gone(process.pid)


def test_eight_policies_of_a_duopoly_are_64_cells_and_no_episode_is_played_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What bounds the time that it takes; how fast episodes are, `bazaar bench` says."""
    runs, played = [untrained_run(tmp_path / f"s{seed}", seed=seed) for seed in range(3)], list[int]()
    real = play_module.episode_profits

    def counted(batch: MarketBatch, *given: Any, **named: Any) -> Any:
        played.append(batch.markets)
        return real(batch, *given, **named)

    monkeypatch.setattr(play_module, "episode_profits", counted)
    entries = (*map(str, runs), "nash+base_stock", "undercut+base_stock")
    folder = run_tournament(an_order(None, tmp_path, *entries, episodes=16), quiet())
    assert tournament_summary(folder)["cells"] == 64
    assert sum(played) == 64 * 16
