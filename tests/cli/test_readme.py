"""Every command of the README runs as it stands, with a small budget in a scratch folder."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SMALL = ["--budget", "20000"]
QUICK = ["--set", "training.evaluations=2", "--set", "evaluation.episodes=64"]
LESS = {
    "train": SMALL + QUICK,
    "evaluate": ["--episodes", "64"],
    "exploit": ["--budget", "20000", "--episodes", "64"],
    "deviate": ["--episodes", "64"],
    "report": ["--episodes", "32"],
    "tournament": ["--episodes", "32"],
    "reproduce": ["--sessions", "2", "--seeds", "0"],
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def bazaar_commands() -> list[list[str]]:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("bazaar ")]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "configs", folder / "configs")
    return folder


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def quickly(words: list[str]) -> list[str]:
    """The command with a small budget and few episodes, whatever it asks for."""
    return [sys.executable, "-m", "policies.cli", *words[1:], *LESS.get(words[1], [])]


def test_the_commands_run_in_the_order_given(scratch: Path) -> None:
    commands = bazaar_commands()
    assert {words[1] for words in commands} >= {"train", "evaluate", "theory", "exploit", "deviate", "report"}
    for words in commands:
        assert run(quickly(words), scratch)
    assert (scratch / "runs" / "table.json").stat().st_size > 0
    assert (scratch / "runs" / "first" / "report.html").stat().st_size > 0


def test_the_first_line_trains_the_default_story(scratch: Path) -> None:
    (line,) = (
        line for block in blocks("sh") for line in block.splitlines() if "bazaar train" in line and "venv" in line
    )
    words = shlex.split(line.split("&&")[-1])
    assert words[0] == ".venv/bin/bazaar"
    printed = run(quickly(words), scratch)
    assert all(name in printed for name in ("dominicks (dqn)", "minute_maid (a2c)", "tropicana (ddpg)", "bazaar board"))


def test_the_python_example_runs(scratch: Path) -> None:
    for block in blocks("python"):
        assert run([sys.executable, "-W", "error", "-c", block], scratch)


def test_every_subcommand_is_in_the_table_of_commands() -> None:
    from policies.cli.commands import COMMANDS

    for command in COMMANDS:
        assert f"| `bazaar {command}" in README


def test_the_glossary_of_measures_is_the_codes() -> None:
    from market.metrics.summary import MEASURES

    glossary = (ROOT / "runs" / "README.md").read_text(encoding="utf-8")
    for name, (unit, what) in MEASURES.items():
        assert f"| `{name}` | {unit} | {what} |" in glossary
