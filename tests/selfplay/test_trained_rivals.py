"""Sellers of another run as rivals in training: who plays, what is kept of them, and who is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from market.errors import UserError
from policies.cli.main import main
from policies.common.seeding import row_seed
from policies.config.orders import EvaluateOrder
from policies.config.run import read_config
from policies.evaluation.entrants import find_entrants
from policies.evaluation.run_sellers import run_sellers
from policies.sellers.checkpoint import SavedSeller, load_seller
from policies.sellers.protocol import look
from policies.sellers.rollout import episode_profits
from policies.studies.tournament.entries import gather
from policies.training.run import TrainingRun
from tests.helpers.small_run import DUOPOLY, train_small
from tests.helpers.states import equal, through_a_file
from tests.helpers.untrained_run import untrained_run

LITTLE = ("training.markets=8", "training.evaluation_episodes=8", "training.budget=4000")
RULES = ("evaluation.line_ups=[nash+base_stock]", "evaluation.competitors=[nash+base_stock]")


@pytest.fixture(name="first", scope="module")
def _first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained_run(tmp_path_factory.mktemp("runs") / "first", *RULES)


@pytest.fixture(name="second", scope="module")
def _second(first: Path) -> Path:
    return train_small(first.parent, "second", changes=("training.budget=4000", *RULES, *among(first)))


def among(run: Path, seller: str = "left", own: str = "a2c", **more: str) -> tuple[str, ...]:
    entry = {"run": str(run), "seller": seller, **more}
    return (f"seats.left={own}", f"seats.right={json.dumps(entry)}")


def training_among(run: Path, *changes: str, own: str = "a2c") -> TrainingRun:
    return TrainingRun(read_config(DUOPOLY, [*LITTLE, *RULES, *among(run, own=own), *changes]), 0, "cpu")


def saved(run: Path, seller: str = "left", which: str = "best") -> SavedSeller:
    return load_seller(run / "checkpoints" / f"{seller}.{which}.pt")


def test_in_training_the_seat_decides_as_the_saved_seller(first: Path) -> None:
    """Every period's prices and orders, beside those of the policy put into the seat from its file."""
    training = training_among(first)
    play: Any = training.play
    policy = saved(first).sit(training.spec, 1, adapt=True)
    for _ in range(12):
        batch, seen = play.batch, play._observation.copy()
        view = look(batch, 1, seen)
        price, order, _ = policy.act(view, policy.start(batch.markets))
        played: list[Any] = []
        step = batch.step

        def watched(*decided: Any, step: Any = step, played: list[Any] = played) -> Any:
            played.extend(one[:, 1].copy() for one in decided)
            return step(*decided)

        batch.step = watched
        play.play_period()
        batch.step = step
        assert np.array_equal(played[0], price) and np.array_equal(played[1], order)


def test_a_seat_without_a_sellers_name_takes_the_one_of_its_own_name(first: Path) -> None:
    config = read_config(DUOPOLY, ["seats.left=dqn", f"seats.right={{run: {first}, checkpoint: latest}}"])
    rival = config.rival(1)
    assert rival is not None and rival.file == (first / "checkpoints" / "right.latest.pt").resolve()
    assert rival.label == "right of first" and config.rival(0) is None


def test_a_run_is_found_from_the_files_folder_or_from_here(
    first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(DUOPOLY, tmp_path / "mine.yaml")
    shutil.copytree(first, tmp_path / "near")
    for here, run in ((first.parent, "near"), (tmp_path, "near"), (first.parent, "first")):
        monkeypatch.chdir(here)
        rival = read_config(tmp_path / "mine.yaml", [f"seats.right={{run: {run}}}"]).rival(1)
        assert rival is not None and rival.run == str((tmp_path if run == "near" else first.parent) / run)


def test_evaluation_plays_it_as_seated(second: Path, first: Path, tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    assert main(["evaluate", str(second), "--episodes", "16", "--json", str(file)]) == 0
    rows = [row for row in json.loads(file.read_text()) if row.get("judged")]
    assert rows[0]["rivals"] == "right (left of first)"
    spec = read_config(second / "config.yaml").market
    sellers = [saved(second).sit(spec), saved(first).sit(spec, 1, adapt=True)]
    profit = episode_profits(spec, sellers, 10, 1.0, seed=row_seed(0, "evaluate"), markets=16)[:, 0].mean()
    assert rows[0]["profit"] == pytest.approx(profit)


def test_best_policies_are_chosen_among_them(first: Path) -> None:
    training = training_among(first)
    assert training.selection.first[1] is training.seats.fixed[1]


def test_a_run_keeps_its_rivals_whatever_becomes_of_theirs(second: Path, first: Path, tmp_path: Path) -> None:
    theirs, mine = tmp_path / "first", tmp_path / "mine"
    shutil.copytree(first, theirs)
    train_small(tmp_path, "mine", changes=("training.budget=4000", *RULES, *among(theirs)))
    assert (mine / "checkpoints" / "right.rival.pt").read_bytes() == saved(first).path.read_bytes()
    shutil.copy(theirs / "checkpoints" / "left.latest.pt", theirs / "checkpoints" / "left.best.pt")
    pinned = f"seats.right={json.dumps(read_config(mine / 'config.yaml').seats['right'])}"
    assert "was changed since, or trained on" in refusal(pinned)
    shutil.rmtree(theirs)
    assert [one.kind for one in run_sellers(mine).players] == ["a2c", "left of first"]
    again = TrainingRun(read_config(mine / "config.yaml"), 0, "cpu", mine)
    assert again.seats.rivals[1].trained == saved(first).trained
    assert "is not there any more" in refusal(pinned)
    (mine / "checkpoints" / "right.rival.pt").write_bytes(saved(first, "right").path.read_bytes())
    with pytest.raises(UserError, match="is not the copy of it"):
        run_sellers(mine)


def test_training_goes_on_from_its_state(tmp_path: Path) -> None:
    """With a rival that remembers: what it remembers of the running episodes is part of the state."""
    remembers = ("seats={left: {learner: a2c, recurrent: gru}, right: ddpg}", "training.budget=4000", *RULES)
    run = train_small(tmp_path, "remembers", changes=remembers)
    one = training_among(run, own="ddpg").play
    for _ in range(29):
        one.play_period()
    state = through_a_file(one.state_dict())
    again = training_among(run, own="ddpg").play
    again.load_state_dict(state)
    for _ in range(20):
        assert one.play_period() == again.play_period()
    assert equal(again.state_dict(), one.state_dict()) and not equal(one.state_dict(), state)


@pytest.mark.parametrize("mode", ["independent", "league", "psro", "shared"])
def test_it_sits_in_every_mode(first: Path, mode: str) -> None:
    three = read_config(DUOPOLY).market.dump()
    three["sellers"] = [*three["sellers"], three["sellers"][0] | {"name": "third"}]
    changes = [f"market={json.dumps(three)}", *among(first, own="dqn"), "seats.third=dqn", f"selfplay={mode}"]
    training = TrainingRun(read_config(DUOPOLY, [*LITTLE, *RULES, *changes]), 0, "cpu")
    assert sorted(training.seats.fixed) == [1]
    for _ in range(3):
        training.play.play_period()


def test_several_runs_with_the_same_rival_are_seen_among_it(second: Path, first: Path) -> None:
    changes = ("training.budget=4000", *RULES)
    twin = train_small(first.parent, "twin", 1, changes=(*changes, *among(first)))
    found = find_entrants(EvaluateOrder((second, twin)))
    assert found.seated is not None and found.seated.others(0) == "right (left of first)" and not found.remarks
    other = train_small(first.parent, "other", 2, changes=(*changes, *among(first, "right")))
    assert find_entrants(EvaluateOrder((second, other))).seated is None


def test_a_tournament_knows_its_training_partner(second: Path, first: Path) -> None:
    policies = gather(list(map(str, (first, second))), None, "best")[1]
    (one,) = (policy for policy in policies if policy.run == str(second))
    assert one.partners == {1: "first/left (dqn)"} and "first/left (dqn)" in [policy.label for policy in policies]


def refusal(*changes: str) -> str:
    with pytest.raises(UserError) as problem:
        TrainingRun(read_config(DUOPOLY, [*LITTLE, *RULES, "seats.left=dqn", *changes]), 0, "cpu")
    return str(problem.value)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{run: nowhere}", "seats.right.run: nowhere is not a run: there is no such folder"),
        ("{run: RUNS}", "is not a run: it has no config.yaml; of a folder of several seeds name one"),
        ("{run: FIRST, seller: l}", "FIRST has no saved seller called l (checkpoints/l.best.pt); it has left, right"),
        ("{run: FIRST, seler: left}", "seats.right.seler: unknown key (did you mean seller?)"),
        ("{run: FIRST, checkpoint: mixture}", "seats.right.checkpoint: must be 'best' or 'latest'"),
        ("{run: FIRST, learner: dqn}", "seats.right.run: unknown key"),
        ("{ran: FIRST}", "seats.right: needs the key learner (dqn, a2c, ddpg), pricing or run; it has ran"),
    ],
)
def test_what_is_no_seller_of_a_run_is_refused(entry: str, said: str, first: Path, tmp_path: Path) -> None:
    for word, path in {"RUNS": str(tmp_path), "FIRST": str(first)}.items():
        entry, said = entry.replace(word, path), said.replace(word, path)
    assert said in refusal(f"seats.right={entry}")


def test_a_seller_of_stock_cannot_sit_where_nothing_is_stocked(first: Path, tmp_path: Path) -> None:
    config = read_config("calvano", [f"seats={{first: dqn, second: {{run: {first}, seller: left}}}}"])
    with pytest.raises(UserError, match=r"seats.*inventory was stocked, here it is make_to_order"):
        _ = TrainingRun(config, 0, "cpu").seats.fixed
