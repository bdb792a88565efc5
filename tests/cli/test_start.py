"""The command before it is imported, and the configurations that come along."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from bazaar_start import VERSION
from policies.cli.main import main
from policies.config.run import read_config
from tests.helpers.started import NAMES, ROOT, started


@pytest.mark.parametrize("name", ["market", "policies"])
@pytest.mark.parametrize("kind", ["package", "module"])
def test_what_stands_before_our_packages_is_named_with_them(name: str, kind: str, tmp_path: Path) -> None:
    place = tmp_path / name / "__init__.py" if kind == "package" else tmp_path / f"{name}.py"
    place.parent.mkdir(exist_ok=True)
    place.write_text("raise RuntimeError('must not be imported')")
    done = started(tmp_path, "--version")
    shadow = tmp_path / name if kind == "package" else place
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"bazaar: {shadow}: stands before Bazaar's own {ROOT / name}: rename it")
    assert done.stderr.count("\n") == 1


def test_the_version_is_told_before_anything_is_imported(tmp_path: Path) -> None:
    code = "import sys, bazaar_start; bazaar_start.main(); print({name.split('.')[0] for name in sys.modules})"
    done = started(tmp_path, "--version", code=code)
    told, brought = done.stdout.splitlines()
    assert told == f"bazaar {VERSION}"
    assert not {"market", "policies", "attr", "attrs", "cyclopts", "rich", "typing"} & ast.literal_eval(brought)


def test_it_starts_where_nothing_stands_in_the_way(tmp_path: Path) -> None:
    done = started(tmp_path, "configs")
    assert done.returncode == 0 and all(name in done.stdout for name in NAMES)


def test_a_built_in_configuration_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_config("duopoly") == read_config(ROOT / "configs" / "duopoly.yaml")
    assert main(["record", "duopoly", "-o", "sales.csv", "--markets", "1", "--periods", "3"]) == 0
    Path("duopoly").write_text("market: 3")  # a file of that name is meant first
    assert main(["record", "duopoly", "-o", "more.csv"]) == 2


def test_a_name_that_is_none_of_them_is_refused_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["theory", "duopol"], ["configs", "duopol"]):
        assert main(words) == 2
        assert ", ".join(sorted(NAMES)) in capsys.readouterr().err


def test_a_configuration_is_shown_or_copied_and_nothing_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, copy = (ROOT / "configs" / "monopoly.yaml").read_text(), tmp_path / "mine.yaml"
    assert main(["configs", "monopoly"]) == 0
    assert capsys.readouterr().out == text
    assert main(["configs", "monopoly", "-o", str(copy)]) == 0 and copy.read_text() == text
    assert main(["configs", "duopoly", "-o", str(copy)]) == 2 and copy.read_text() == text
    assert "is not written over" in capsys.readouterr().err
    assert main(["configs", "-o", str(copy)]) == 2
