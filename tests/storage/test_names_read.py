"""Names that were read from a file become paths in a folder, or nothing: anybody may have written the file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import pytest
import torch
import yaml

from market.errors import UserError
from policies.common.files import inside
from policies.evaluation.run_sellers import run_sellers, unpack
from policies.sellers.checkpoint import load_seller, save_seller
from policies.storage.training_state import RunState
from policies.storage.training_state import pack as packed_state
from policies.storage.training_state import unpack as unpacked_state
from policies.studies.multi_seed.worker import write_files
from policies.training import loop
from policies.training.resume import resume
from policies.training.train import train
from tests.helpers.cut_off import Killed, killed_at
from tests.helpers.markets import a_market
from tests.helpers.shared import once
from tests.helpers.small_run import small_run

a_run = pytest.fixture(scope="session", name="a_run")(small_run)

ESCAPES = (
    "../ESCAPED.pt",
    "../../../ESCAPED.pt",
    "/tmp/ESCAPED.pt",
    "a/../../ESCAPED.pt",
    "..",
    ".",
    "",
    "a//b",
    "a\\..\\b",
    "C:b",
    "a\0b",
    "a\nb",
)


@pytest.mark.parametrize("name", ESCAPES)
def test_a_name_that_leads_out_of_its_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not the name of a file in"):
        inside(tmp_path, name)


@pytest.mark.parametrize("name", ["left.best.pt", "pool/left.8.pt", "..left.pt", "Kaffee Müller 500 g.pt", "日本茶"])
def test_other_names_are_what_they_say(name: str, tmp_path: Path) -> None:
    assert inside(tmp_path, name) == tmp_path / name


def everything(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def cut_league(folder: Path) -> None:
    """A league of two tiny learners, cut off once it has a checkpoint with snapshots in it."""
    seat = {"lead_time": 1, "stock": 6, "holding_cost": 0.05, "grid": {"prices": 4, "levels": 4}}
    small = {"hidden": [8], "batch_size": 16, "warm_up": 0, "buffer": 2_000}
    config = {
        "market": a_market(seat, seat, horizon=12),
        "seats": {"a": "dqn", "b": "dqn"},
        "learners": {"dqn": small},
        "selfplay": {"mode": "league", "distance": 100, "competitors": ["nash"]},
        "training": {"budget": 2_000, "markets": 8, "evaluation_episodes": 4, "evaluations": 1},
        "evaluation": {"warm_up": 2, "line_ups": ["nash+base_stock"]},
    }
    path = folder / "league.yaml"
    path.write_text(yaml.safe_dump(config))
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        killed_at(loop, "play_period", 20, patch)
        train(path, device="cpu", name="cut", runs=folder / "runs", checkpoint_every=1e-9)


@pytest.fixture(name="cut")
def _cut(tmp_path: Path) -> Path:
    made = once("cut_league", cut_league) / "runs" / "cut"
    return Path(shutil.copytree(made, tmp_path / "deep" / "er" / "runs" / "cut"))


def saved_elsewhere(state: dict[str, Any]) -> None:
    state["sellers"]["../../../ESCAPED.pt"] = torch.zeros(3, dtype=torch.uint8)


def snapshots(state: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = state["training"]["play"]["pool"]["snapshots"]
    assert found
    return found


def snapshot_elsewhere(state: dict[str, Any]) -> None:
    for one in snapshots(state).values():
        one["seller"] = "../../../ESCAPED"
    state["training"]["play"]["pool"]["written"] = []


def snapshot_after_elsewhere(state: dict[str, Any]) -> None:
    for one in snapshots(state).values():
        one["trained"] = "/../../../ESCAPED"


HARMS: dict[Callable[[dict[str, Any]], None], str] = {
    saved_elsewhere: r"'\.\./\.\./\.\./ESCAPED\.pt': is not the name of a file in .*checkpoints",
    snapshot_elsewhere: r"it is called '\.\./\.\./\.\./ESCAPED', and the seat is that of [ab]",
    snapshot_after_elsewhere: "trained: must be a valid integer",
}


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_a_state_made_by_someone_else_writes_nothing_outside_the_run(
    harm: Callable[[dict[str, Any]], None], cut: Path, tmp_path: Path
) -> None:
    for path in RunState(cut).files():
        state = unpacked_state(path.read_bytes())
        harm(state)
        path.write_bytes(packed_state(state))
    sellers = everything(cut / "checkpoints")
    with pytest.raises(UserError, match=HARMS[harm]):
        resume(cut)
    assert [path for path in everything(tmp_path) if cut not in path.parents] == []
    assert everything(cut / "checkpoints") == sellers


def zipped(files: dict[str, bytes], how: int = ZIP_STORED) -> bytes:
    content = BytesIO()
    with ZipFile(content, "w", how) as one:
        for name, data in files.items():
            one.writestr(name, data)
    return content.getvalue()


ZIPS = {
    "a way out": zipped({"../../ESCAPED.pt": b"x"}),
    "another folder": zipped({"checkpoints/left.pt": b"x"}),
    "larger than the zip": zipped({"home.pt": bytes(10**7)}, ZIP_DEFLATED),
}


@pytest.mark.parametrize("what", ZIPS)
def test_a_zip_that_is_no_mixture_is_refused_before_it_is_unfolded(what: str) -> None:
    with pytest.raises(UserError, match=r"^2\.zip: is damaged or no mixture packed by bazaar"):
        unpack(ZIPS[what], "2.zip")


def test_files_that_another_machine_sends_stay_in_their_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not the name of a file"):
        write_files(tmp_path / "run", {"metrics.csv": b"", "../../ESCAPED.pt": b"x"})
    assert everything(tmp_path) == {}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("learner", "../dqn", "its learner is called '../dqn'"), ("seller", "../left", "it is called '../left'")],
)
def test_a_saved_seller_is_who_sits_in_its_seat(key: str, value: str, said: str, a_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "left.pt"
    save_seller(replace(load_seller(a_run / "checkpoints" / "left.best.pt"), path=path, **{key: value}))
    with pytest.raises(UserError, match=said):
        load_seller(path)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("mine+base_stock", "seats.right.pricing: unknown rule 'mine'"),
        ("mine", "seats.right: 'mine' is no rule that is known here"),
    ],
)
def test_a_run_with_a_rule_that_is_not_known_here_says_so(entry: str, said: str, a_run: Path, tmp_path: Path) -> None:
    """Rules may be registered by a program, whose runs others read without it."""
    run = Path(shutil.copytree(a_run, tmp_path / "run"))
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["seats"]["right"] = entry
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    about = json.loads((run / "run.json").read_text())
    del about["learning"]["seats"]["right"]
    (run / "run.json").write_text(json.dumps(about))
    for path in (run / "checkpoints").glob("right.*"):
        path.unlink()
    with pytest.raises(UserError) as refusal:
        run_sellers(run)
    assert f"config.yaml: {said}" in str(refusal.value) and "no saved seller" not in str(refusal.value)
