"""A folder that a command goes on with: found again by what was asked, refused to others, held by one process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from market.errors import UserError
from policies.storage.work_folder import WorkFolder, differences, locked, wait_until_free

ROOT = Path(__file__).parents[2]


def find(runs: Path, name: str | None = None, **asked: Any) -> WorkFolder:
    return WorkFolder.find(runs, name, "study-x", about="about.json", what="study", asked=asked)


def test_the_same_order_finds_its_folder_and_another_is_refused(tmp_path: Path) -> None:
    work = find(tmp_path, seed=1, seats=("left", "right"))
    work.begin({"levels": [2]}, lambda aside: (aside / "cells").mkdir())
    assert sorted(path.name for path in work.path.iterdir()) == ["about.json", "cells"]
    assert [path.name for path in tmp_path.iterdir()] == [work.path.name] and work.path.name.startswith("study-x-")
    again = find(tmp_path, seed=1, seats=("left", "right"))
    assert again == work and again.facts("levels") == {"inputs": {"seed": 1, "seats": ["left", "right"]}, "levels": [2]}
    with pytest.raises(UserError, match=r"is another study, choose another --name. It differs in seed: 1 / 2 \("):
        find(tmp_path, work.path.name, seed=2, seats=("left", "right"))


def test_a_folder_of_something_else_or_damaged_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(UserError, match="exists already"):
        find(tmp_path, "other", seed=1)
    with pytest.raises(UserError, match="must be a plain folder name"):
        find(tmp_path, "../other", seed=1)
    (tmp_path / "other" / "about.json").write_text('{"inputs": {"seed": 1}}')
    assert find(tmp_path, "other", seed=1).facts()
    with pytest.raises(UserError, match="is damaged; remove the folder"):
        find(tmp_path, "other", seed=1).facts("levels")


def test_what_fails_on_the_way_leaves_nothing(tmp_path: Path) -> None:
    def fail(aside: Path) -> None:
        (aside / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find(tmp_path, seed=1).begin({}, fail)
    assert not list(tmp_path.iterdir())


def test_a_lock_names_its_holder_and_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from policies.storage.work_folder import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout and holder.stdout.readline() == b"held\n"
    for _ in range(2):
        with pytest.raises(UserError, match=rf"another process \(number {holder.pid}\) is training this run"):
            locked(tmp_path).__enter__()
    holder.kill()
    wait_until_free(tmp_path, 20.0)
    holder.communicate()
    with locked(tmp_path):
        assert (tmp_path / "state" / "lock").read_text() == f"{os.getpid()}\n"
        with pytest.raises(UserError, match=rf"number {os.getpid()}"), locked(tmp_path):
            pass
    with locked(tmp_path):
        pass


def test_differences_by_hand() -> None:
    one, other = {"a": 1, "b": [1, {"c": 2}], "d": 4}, {"a": 1, "b": [1, {"c": 3}], "e": 5}
    assert list(differences(one, other)) == [("b.1.c", 2, 3), ("e", None, 5), ("d", 4, None)]
    assert list(differences([1], [1, 2], "x")) == [("x", [1], [1, 2])]
