"""What a command prints to: as wide as it is told, and never silent for long."""

from __future__ import annotations

import io
import itertools
import logging
import threading
import time

import pytest

from policies.common import console as consoles
from policies.common.console import Announcements, _end, at_work, never_silent, terminal
from policies.common.progress import Progress, Task


class Told(io.StringIO):
    """A file that says when so many words were written to it."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.left, self.enough = words, threading.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        self.left -= len(text.split()) > 0
        if self.left <= 0:
            self.enough.set()
        return written


def test_who_waits_is_told_what_goes_on_and_for_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count(100, 10)  # every look at the clock is ten seconds later
    monkeypatch.setattr(consoles, "PAUSE", 0.001)
    shown = terminal()
    shown.file = Told(3)
    shown.print("setting up duopoly ...")
    shown.since = next(ticks)
    monkeypatch.setattr(consoles.time, "monotonic", lambda: next(ticks))
    with never_silent(shown):
        assert shown.file.enough.wait(60)
    first, second, *_ = shown.file.getvalue().splitlines()
    assert first == "setting up duopoly ..." and second.startswith("setting up duopoly ... ") and second.endswith("0 s")


def test_what_goes_on_is_the_last_line_with_dots_or_what_was_said_of_it() -> None:
    shown = terminal()
    shown.file = io.StringIO()
    assert shown.doing == "starting"
    shown.print("evaluating left ...")
    since = time.monotonic()
    at_work(shown, "evaluating left: 128 episodes", since)
    log = logging.getLogger("tests.announced")
    log.addHandler(Announcements(shown))
    log.warning("compiling ...")
    assert (shown.doing, shown.since) == ("evaluating left: 128 episodes", since)
    shown.print("left earns more")
    assert shown.doing == ""


def test_a_line_of_progress_ends_nothing() -> None:
    """What goes on after a trial has ended is the search, and after a share of the learning the learning."""
    shown = terminal()
    shown.file = io.StringIO()
    with Progress(shown) as bar:
        task = Task(bar, total=2)
        task.show(1, "learning  50%")
        assert "learning  50%" in shown.file.getvalue() and shown.doing == "learning  50%"
        bar.say("trial 0 done")
        assert shown.doing == "learning  50%"
        bar.say("playing 4 cells ...")
        assert shown.doing == "playing 4 cells"


def test_what_goes_on_is_told_by_its_end() -> None:
    assert _end("evaluating left: nash, 128 episodes", 40) == "evaluating left: nash, 128 episodes"
    assert _end("evaluating left: nash, 128 episodes", 20) == "… nash, 128 episodes"


@pytest.mark.parametrize(("columns", "width"), [("80", 80), ("200", 200), (None, 150)])
def test_lines_into_a_file_are_as_wide_as_columns_says(
    columns: str | None, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    assert terminal().width == width


def test_what_is_said_meanwhile_is_no_part_of_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever reads the output of a slow machine reads that of a fast one."""
    shown = terminal()
    shown.aside("compiling ...")
    shown.print("left earns more")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("left earns more\n", "compiling ...\n")
