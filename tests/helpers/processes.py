"""The command in a process of its own, which is sent a signal at a call chosen beforehand, however fast the machine is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 600.0  # seconds, only so that what hangs ends: a busy machine is no failure

SIGNALLED = """
import importlib, os, runpy, sys
owner, name, call, sent = sys.argv[1:5]
module, _, inside = owner.partition(":")
place = importlib.import_module(module)
place = getattr(place, inside) if inside else place
real, calls = getattr(place, name), 0

def counted(*given, **named):
    global calls
    calls += 1
    if calls == int(call):
        os.killpg(os.getpgrp(), int(sent))
    return real(*given, **named)

setattr(place, name, counted)
sys.argv = ["bazaar", *sys.argv[5:]]
runpy.run_module("policies.cli", run_name="__main__")
"""


@dataclass(frozen=True)
class Moment:
    """Before the ``call``-th call of ``name``, as ``owner`` (``module`` or ``module:Class``) knows it."""

    owner: str
    name: str
    call: int
    signal: signal.Signals = signal.SIGINT

    def words(self) -> list[str]:
        return ["-c", SIGNALLED, self.owner, self.name, str(self.call), str(int(self.signal))]


def heed_ctrl_c() -> None:
    """A shell's background job ignores Ctrl-C, and so would all its children: the tests may run in one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def begin(*words: object, at: Moment | None = None) -> subprocess.Popen[str]:
    """Start `bazaar` with these words; the signal goes to all of its processes, as a terminal's does."""
    command = [sys.executable, *(at.words() if at else ["-m", "policies.cli"]), *map(str, words)]
    given: dict[str, Any] = {"cwd": ROOT, "env": os.environ | {"PYTHONPATH": str(ROOT)}, "text": True}
    given |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "start_new_session": True}
    return subprocess.Popen(command, preexec_fn=heed_ctrl_c, **given)  # noqa: PLW1509  # no threads


def finished(*words: object, at: Moment | None = None) -> tuple[int, str, str]:
    """Exit status, output and errors of `bazaar` with these words."""
    process = begin(*words, at=at)
    output, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, output, errors


def gone(group: int) -> bool:
    """Whether all processes of a group end."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
