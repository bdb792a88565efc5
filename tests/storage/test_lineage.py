"""Which seller of a run is in force, and what a damaged or foreign file of it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from market.errors import UserError
from policies.storage import lineage
from policies.storage.lineage import Entry, Verdict, in_force, read_lineage, roll_back


def entry(name: str | None, verdict: Verdict = "promoted", parent: str | None = None, seller: str = "left") -> Entry:
    return Entry(seller=seller, name=name, parent=parent, at="now", verdict=verdict)


@pytest.fixture(name="run")
def _run(tmp_path: Path) -> Path:
    for name in ("left-1", "left-2", "right-1"):
        (tmp_path / "updates" / name).mkdir(parents=True)
        (tmp_path / "updates" / name / "config.yaml").touch()
    return tmp_path


def test_the_runs_own_seller_is_in_force_until_another_is_promoted(run: Path) -> None:
    assert in_force(run, "left") == run and lineage.stamp(run) is None
    lineage.add(run, entry("left-1", "kept"))
    lineage.add(run, entry(None, "nothing to learn"))
    assert in_force(run, "left") == run and lineage.stamp(run) is not None
    lineage.add(run, entry("left-1"))
    lineage.add(run, entry("left-2", parent="left-1"))
    assert (in_force(run, "left").name, in_force(run, "right")) == ("left-2", run)
    assert [one.verdict for one in read_lineage(run).updates] == ["kept", "nothing to learn", "promoted", "promoted"]


def test_each_step_back_brings_the_parent_and_at_last_the_runs_own(run: Path) -> None:
    lineage.add(run, entry("left-1"))
    lineage.add(run, entry("left-2", parent="left-1"))
    lineage.add(run, entry("right-1", seller="right"))
    assert roll_back(run, "left", "now").name == "left-1"
    assert roll_back(run, "left", "now") == run
    with pytest.raises(UserError, match="left is the run's own seller: there is nothing to roll back"):
        roll_back(run, "left", "now")
    assert in_force(run, "right").name == "right-1"
    assert [one.verdict for one in read_lineage(run).updates[3:]] == ["rolled back", "rolled back"]


def test_a_name_is_given_once(run: Path) -> None:
    assert lineage.next_name(run, "left") == "left-3"
    lineage.add(run, entry("left-3", "kept"))  # whose folder is gone
    assert lineage.next_name(run, "left") == "left-4" and lineage.next_name(run, "middle") == "middle-1"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}', '{"current": {"left": 3}}', '{"odd": 1}'])
def test_a_damaged_file_is_no_lineage(run: Path, text: str) -> None:
    (run / lineage.FILE).write_text(text)
    with pytest.raises(UserError, match=r"lineage.json: is damaged: it does not say which seller is in force"):
        in_force(run, "left")


def test_a_folder_that_is_gone_or_elsewhere_is_told(run: Path) -> None:
    lineage.add(run, entry("left-7"))
    with pytest.raises(UserError, match="updates/left-7 is not there, and left is the one of it"):
        in_force(run, "left")
    lineage.add(run, entry("../left"))
    with pytest.raises(UserError):
        in_force(run, "left")
