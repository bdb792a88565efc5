"""Every command and every block of Python in the documents runs as it stands, with a small budget in a scratch folder."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest
import yaml

import policies.training.loop  # noqa: F401  # so that no pictures are drawn
from policies.cli.main import main
from policies.config.run import parse_run
from tests.helpers.documents import blocks, run_block
from tests.helpers.small_run import small_run
from tests.house.key_table import renewed

ROOT = Path(__file__).parents[2]
MAIN = ROOT / "README.md"
DOCUMENTS = [
    path
    for name in ("", "market", "policies", "configs", "tests", "runs")
    if (path := ROOT / name / "README.md").is_file()
]
DOCUMENTS.append(ROOT / "CONTRIBUTING.md")
QUICK = ["--budget", "4000"]
for change in ("training.evaluations=1", "training.evaluation_episodes=8", "evaluation.episodes=16"):
    QUICK += ["--set", change]
ONE_RIVAL = ["--set", "evaluation.line_ups=[nash]", "--set", "evaluation.competitors=[nash]"]
LESS = {
    "train": [*QUICK, *ONE_RIVAL],
    "evaluate": ["--episodes", "16", "--set", "evaluation.panel=[nash, undercut]"],
    "exploit": ["--budget", "4000", "--episodes", "16"],
    "deviate": ["--episodes", "16"],
    "report": ["--episodes", "16"],
    "tournament": ["--episodes", "16", "--processes", "1"],
    "reproduce": ["--sessions", "2", "--seeds", "0"],
    "tune": ["--budget", "4000", "--processes", "1"],
    "bench": ["--seconds", "0.01", "--only", "env"],
}
SERVES = "board"  # until it is stopped


def commands(document: Path) -> list[list[str]]:
    lines = [line.split(" #")[0] for block in blocks(document, "sh") for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("bazaar ")]


def quickly(words: list[str]) -> list[str]:
    """The command with a small budget and few episodes, whatever it asks for."""
    alone = ["--processes", "1"] if words[1] == "train" and "--seeds" in words else []
    return [*words[1:], *LESS.get(words[1], []), *alone]


@pytest.fixture(name="scratch")
def _scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_shows_runs_in_the_order_given(
    document: Path, scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands that the main document shows too run there; elsewhere there is a run of the name that it gives."""
    shown = [] if document == MAIN else commands(MAIN)
    if document != MAIN:
        shutil.copytree(small_run(), scratch / "runs" / "first")
    for words in commands(document):
        if words[1] != SERVES and words not in shown:
            assert main(quickly(words)) == 0, (words, capsys.readouterr())
    for block in blocks(document, "python"):
        run_block(block)
    if document == MAIN:
        assert (scratch / "runs" / "first" / "report.html").stat().st_size > 0


def test_the_first_line_trains_the_default_story(scratch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for block in blocks(MAIN, "sh") for line in block.splitlines()]
    (line,) = (line for line in lines if "bazaar train" in line and "venv" in line)
    words = shlex.split(line.split("&&")[-1])
    assert words[0] == ".venv/bin/bazaar"
    assert main(quickly(words)) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("dominicks (dqn)", "minute_maid (a2c)", "tropicana (ddpg)", "bazaar board"))


def test_every_subcommand_is_in_a_table_of_commands() -> None:
    from policies.cli.commands import COMMANDS

    written = "".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)
    assert [command for command in COMMANDS if f"| `bazaar {command}" not in written] == []


def test_the_glossary_of_measures_is_the_codes() -> None:
    from market.metrics.summary import GLOSSARY

    glossary = (ROOT / "runs" / "README.md").read_text(encoding="utf-8")
    for name, (unit, what) in GLOSSARY.items():
        assert f"| `{name}` | {unit} | {what} |" in glossary


def test_the_tables_of_keys_are_the_models() -> None:
    """`python -m tests.house.key_table` renews them."""
    text = (ROOT / "configs" / "README.md").read_text(encoding="utf-8")
    assert renewed(text) == text


def test_configurations_that_documents_show_are_taken() -> None:
    shown = [yaml.safe_load(block) for document in DOCUMENTS for block in blocks(document, "yaml")]
    whole = [one for one in shown if "market" in one]
    assert [parse_run(one, "a document").market.names for one in whole] == [["ours", "theirs"]]
