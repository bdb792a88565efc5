"""The command in a process of its own, which is sent a signal at a call chosen beforehand, however fast the machine is."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 600.0  # seconds, only so that what hangs ends: a busy machine is no failure

SIGNALLED = """
import runpy, sys
from tests.helpers.processes import signal_at
signal_at(*sys.argv[1:5])
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
        return [self.owner, self.name, str(self.call), str(int(self.signal))]


def signal_at(owner: str, name: str, call: str, sent: str) -> None:
    """Have this process and its children sent a signal as :class:`Moment` says."""
    module, _, inside = owner.partition(":")
    place = importlib.import_module(module)
    place = getattr(place, inside) if inside else place
    real, calls = getattr(place, name), count(1)

    def counted(*given: Any, **named: Any) -> Any:
        if next(calls) == int(call):
            os.killpg(os.getpgrp(), int(sent))
        return real(*given, **named)

    setattr(place, name, counted)


def heed_ctrl_c() -> None:
    """A shell's background job ignores Ctrl-C, and so would all its children: the tests may run in one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def begin(*words: object, at: Moment | None = None) -> subprocess.Popen[str]:
    """Start `bazaar` with these words; the signal goes to all of its processes, as a terminal's does."""
    command = [sys.executable, *(["-c", SIGNALLED, *at.words()] if at else ["-m", "policies.cli"]), *map(str, words)]
    given: dict[str, Any] = {"cwd": ROOT, "env": os.environ | {"PYTHONPATH": str(ROOT)}, "text": True}
    given |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "start_new_session": True}
    return subprocess.Popen(command, preexec_fn=heed_ctrl_c, **given)  # noqa: PLW1509  # no threads


def finished(*words: object, at: Moment | None = None) -> tuple[int, str, str]:
    """Exit status, output and errors of `bazaar` with these words."""
    process = begin(*words, at=at)
    output, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, output, errors


FORKING = """
import json, os, signal, sys
import matplotlib.backends.backend_agg, policies.training.resume, policies.training.train, torch._dynamo
from policies.cli.main import main
from tests.helpers.processes import signal_at

place = sys.argv[1]
for line in sys.stdin:
    words, moment = json.loads(line)
    child = os.fork()
    if not child:
        os.setsid()
        signal.alarm(int(sys.argv[2]))
        for number, name in enumerate(("input", "output", "errors")):
            os.dup2(os.open(os.path.join(place, name), os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
        if moment:
            signal_at(*moment)
        sys.argv = ["bazaar", *words]
        sys.exit(main())
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@contextmanager
def one_after_another() -> Iterator[Callable[..., tuple[int, str, str]]]:
    """As :func:`finished`, in processes forked from one that has imported what training needs: seconds saved for each.

    That one does nothing else: what a process starts with, threads and all, every one of them starts anew.
    """
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-c", FORKING, place, str(int(PATIENCE))]
        given: dict[str, Any] = {"cwd": ROOT, "env": os.environ | {"PYTHONPATH": str(ROOT)}, "text": True}
        given |= {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "bufsize": 1, "preexec_fn": heed_ctrl_c}
        with subprocess.Popen(command, **given) as parent:
            assert parent.stdin is not None and parent.stdout is not None
            order, answer = parent.stdin, parent.stdout

            def carry_out(*words: object, at: Moment | None = None) -> tuple[int, str, str]:
                print(json.dumps([[*map(str, words)], at and at.words()]), file=order)
                status = int(answer.readline())
                output, errors = (Path(place, name).read_text() for name in ("output", "errors"))
                return status, output, errors

            yield carry_out


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
