"""The command as a process begins it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


START = "import sys, bazaar_start; sys.exit(bazaar_start.main())"


NAMES = {path.stem for path in (ROOT / "configs").glob("*.yaml")}


def started(folder: Path, *words: str, home: Path = ROOT, code: str = START) -> subprocess.CompletedProcess[str]:
    """`bazaar`, or Python ``code``, in a folder that Python looks into first."""
    given = {"cwd": folder, "env": os.environ | {"PYTHONPATH": str(home)}, "capture_output": True, "text": True}
    return subprocess.run([sys.executable, "-c", code, *words], timeout=600, check=False, **given)  # type: ignore[call-overload, no-any-return]
