"""What stands in a document, taken out and run."""

from __future__ import annotations

import re
from pathlib import Path

import policies.training.loop  # noqa: F401  # so that no pictures are drawn


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", document.read_text(encoding="utf-8"), flags=re.DOTALL)


def run_block(block: str) -> None:
    """As a script of its own would be run."""
    exec(compile(block, "a block of Python", "exec"), {"__name__": "__main__"})  # noqa: S102
