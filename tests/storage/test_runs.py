"""A run's folder explains itself and is never written over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from market.errors import UserError
from policies.cli.main import main
from policies.config.orders import EvaluateOrder
from policies.config.run import read_config
from policies.evaluation.entrants import find_entrants
from policies.learners.default_decisions import with_decisions
from policies.storage.run_folder import (
    choose_folder,
    learning_seats,
    make_folder,
    missing_seeds,
    open_run,
    saved_sellers,
)
from tests.helpers.small_run import DUOPOLY, small_run
from tests.helpers.untrained_run import untrained_run

a_run = pytest.fixture(scope="session", name="a_run")(small_run)


def test_the_folder_holds_what_its_readme_lists(a_run: Path) -> None:
    expected = {
        "config.yaml",
        "run.json",
        "episode.png",
        "metrics.csv",
        "checkpoints",
        "state",
        "evaluation.json",
        "seller_left",
        "seller_right",
    }
    names = {path.name for path in a_run.iterdir()}
    assert expected <= names
    assert all(name.startswith("events.out.tfevents") for name in names - expected)
    kept = {path.name for path in (a_run / "checkpoints").iterdir()}
    assert kept == {f"{seller}.{which}.pt" for seller in ("left", "right") for which in ("best", "latest")}


def test_run_json_says_how_it_was_made(a_run: Path) -> None:
    about = json.loads((a_run / "run.json").read_text())
    assert about["seed"] == 0 and about["device"] == "cpu (1 torch thread)"
    assert {"torch", "tianshou", "numpy"} <= set(about["versions"])
    assert len(about["reward_scale"]) == 2 and all(scale > 0 for scale in about["reward_scale"])


def test_the_resolved_configuration_repeats_the_run(a_run: Path) -> None:
    config = open_run(a_run)
    assert config.training.budget == 12_000 and config.market == with_decisions(read_config(DUOPOLY)).market


def test_saved_sellers_come_in_seat_order(a_run: Path) -> None:
    assert list(saved_sellers(a_run)) == list(saved_sellers(a_run, "latest")) == ["left", "right"]


def test_a_seller_that_learned_and_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = untrained_run(tmp_path / "run", "seats.right=ddpg")
    lost = run / "checkpoints" / "left.best.pt"
    lost.unlink()
    for command in (
        ["evaluate", run],
        ["report", run],
        ["tournament", run, "nash"],
        ["deviate", run, "--seller", "right"],
    ):
        assert main([str(word) for word in command]) == 2
        assert f"{lost}: is missing: left learned in this run" in capsys.readouterr().err
    assert list(saved_sellers(run, "latest")) == ["left", "right"]


def test_fixed_competitors_have_no_saved_sellers(tmp_path: Path) -> None:
    """Rules by name, in full and as mappings, and a seat that is left out."""
    given = ("undercut", "nash+base_stock", {"pricing": "nash"}, None)
    for k, entry in enumerate(given):
        run = untrained_run(tmp_path / str(k), f"seats.right={json.dumps(entry)}" if entry else "seats={left: dqn}")
        assert learning_seats(open_run(run)) == {0: "dqn"} and list(saved_sellers(run)) == ["left"]
    options = {"learner": "a2c", "gamma": 0.9}
    assert learning_seats(read_config(DUOPOLY, [f"seats.right={json.dumps(options)}"])) == {0: "dqn", 1: "a2c"}


def test_runs_that_a_folder_of_seeds_lists_and_does_not_hold(tmp_path: Path) -> None:
    for seed in (3, 4):
        untrained_run(tmp_path / f"seed-{seed}", seed=seed)
    (tmp_path / "seeds.json").write_text(json.dumps({"seeds": {"3": "done", "4": "done", "5": "not finished"}}))
    assert missing_seeds(tmp_path) == ["seed-5 (not finished)"]
    found = find_entrants(EvaluateOrder((tmp_path,)))
    assert found.remarks[0] == f"{tmp_path}: does not hold seed-5 (not finished); evaluated without."


def test_two_runs_of_one_second_get_different_folders(tmp_path: Path) -> None:
    folders = set()
    for _ in range(3):
        folder = choose_folder(tmp_path, None, DUOPOLY, 5)
        make_folder(folder)
        folders.add(folder)
    assert len(folders) == 3 and all(folder.name.startswith("duopoly-seed5-") for folder in folders)


def test_a_folder_made_in_the_meantime_is_not_written_over(tmp_path: Path) -> None:
    folder = choose_folder(tmp_path, "mine", DUOPOLY, 0)
    folder.mkdir()
    with pytest.raises(UserError, match="mine: exists already; a run is never written over"):
        make_folder(folder)
    assert not list(folder.iterdir())
