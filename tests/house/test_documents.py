"""Every command and every block of Python in the documents runs as it stands, with a small budget in a scratch folder."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import policies.training.loop  # noqa: F401  # so that no pictures are drawn
from policies.cli.main import main
from policies.config.learners import KINDS
from policies.config.run import parse_run
from policies.learners.registry import BUILDERS
from policies.sellers.rules.pricing import PRICING
from policies.sellers.rules.replenishment import REPLENISHMENT
from tests.helpers.documents import blocks, run_block
from tests.helpers.small_run import SMALL, small_run
from tests.house.key_table import renewed

ROOT = Path(__file__).parents[2]
MAIN = ROOT / "README.md"
DOCUMENTS = [
    path
    for name in ("", "market", "policies", "configs", "tests", "runs")
    if (path := ROOT / name / "README.md").is_file()
]
DOCUMENTS.append(ROOT / "CONTRIBUTING.md")
SECONDS = {"policies": 25, "market": 12}  # the rooms' documents, whose every block is run among the slow tests
PLAYED = [
    pytest.param(path, marks=pytest.mark.slow(seconds=SECONDS[path.parent.name]))
    if path.parent.name in SECONDS
    else path
    for path in DOCUMENTS
]
LITTLE = ("training.evaluations=1", "evaluation.episodes=16")
ONE_RIVAL = ("evaluation.line_ups=[nash]", "evaluation.competitors=[nash]")
FEW = [word for change in (*SMALL, *LITTLE, *ONE_RIVAL) for word in ("--set", change)]
LESS = {
    "train": ["--budget", "4000", *FEW],
    "evaluate": ["--episodes", "16", "--set", "evaluation.panel=[nash, undercut]"],
    "exploit": ["--budget", "4000", "--episodes", "16"],
    "deviate": ["--episodes", "16"],
    "decide": ["--episodes", "16"],
    "update": ["--budget", "4000"],
    "report": ["--episodes", "16"],
    "tournament": ["--episodes", "16", "--processes", "1"],
    "reproduce": ["--sessions", "2", "--seeds", "0", "--beta", "1e-3"],
    "tune": ["--budget", "4000", "--processes", "1", *FEW],
    "bench": ["--seconds", "0.01", "--only", "batch"],
}
SERVE = ("board", "serve")  # until they are stopped


def commands(document: Path) -> list[list[str]]:
    lines = [line.split(" #")[0] for block in blocks(document, "sh") for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("bazaar ")]


def quickly(words: list[str]) -> list[str]:
    """The command with a small budget and few episodes, whatever it asks for."""
    given, less = words[1:], LESS.get(words[1], [])
    if "--resume" in given:
        return given
    if "--seeds" in given and words[1] == "train":
        less = [*less, "--seeds", "2", "--processes", "1"]
    return [*given, *less]


@pytest.fixture(autouse=True)
def _tables() -> Iterator[None]:
    """Blocks may add to tables of the whole process."""
    tables: tuple[dict[str, Any], ...] = (PRICING, REPLENISHMENT, BUILDERS, KINDS)
    kept = [dict(table) for table in tables]
    yield
    for table, before in zip(tables, kept, strict=True):
        table.clear()
        table.update(before)


@pytest.fixture(name="scratch")
def _scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("document", PLAYED, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_shows_runs_in_the_order_given(
    document: Path, scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Outside the main document there is a run of the name that it gives one."""
    if document != MAIN:
        shutil.copytree(small_run(), scratch / "runs" / "first")
    for words in commands(document):
        if words[1] not in SERVE:
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


def anchors(document: Path) -> set[str]:
    """The names by which a page links to its headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere() -> None:
    lost = []
    for document in [*DOCUMENTS, ROOT / "CHANGELOG.md"]:
        for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
            name, _, anchor = link.partition("#")
            target = document.parent / name if name else document
            if "://" not in link and not (target.exists() and (not anchor or anchor in anchors(target))):
                lost.append(f"{document.relative_to(ROOT)}: {link}")
    assert lost == []


def test_the_front_page_is_short() -> None:
    assert len(MAIN.read_text(encoding="utf-8").splitlines()) <= 250
