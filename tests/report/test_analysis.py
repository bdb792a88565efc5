"""Tournaments that a run took part in; foreign files are left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.report.analysis import tournaments
from tests.helpers.reported import a_copy, add_tournament


@pytest.mark.parametrize("content", ["", "[1]", '{"policies": 3}', '{"policies": [1], "payoffs": {}, "ranking": []}'])
def test_foreign_results_are_left_alone(tmp_path: Path, content: str) -> None:
    run = a_copy(tmp_path)
    (run.parent / "cup").mkdir()
    (run.parent / "cup" / "results.json").write_text(content)
    assert list(tournaments(run)) == []


def test_a_tournament_of_other_runs_is_not_this_runs(tmp_path: Path) -> None:
    run = a_copy(tmp_path)
    add_tournament(run)
    assert [one.folder.name for one in tournaments(run)] == ["cup"]
    assert list(tournaments(a_copy(tmp_path, "another"))) == []
