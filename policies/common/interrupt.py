"""Ctrl-C: at once where there is nothing to save, as an exception where there is.

Python's own way, an exception wherever the program happens to be, gets lost in the callbacks of compilers and leaves
half-imported packages that raise other errors. So: outside :func:`careful` the process ends on the spot; inside it
whatever comes up after Ctrl-C counts as an interruption, and one that was swallowed is delivered again.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STATUS = 130
AGAIN = 0.05  # seconds
SHOW_CURSOR = b"\x1b[?25h"


class Stopped(KeyboardInterrupt):
    """Raised where the program chose to look: nothing was left half done."""


class _State:
    careful = False
    deferred = False
    seen = False


def install() -> None:
    """Take over Ctrl-C for this process, unless whoever started it has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _handle)
        sys.unraisablehook = _deliver_again


@contextmanager
def careful(told: Callable[[], str] | None = None) -> Iterator[None]:
    """Within, Ctrl-C raises :class:`KeyboardInterrupt`, whatever else it may have caused; ``told`` says how things stand."""
    before, _State.careful, _State.seen = _State.careful, True, False
    try:
        yield
    except BaseException as error:
        if not isinstance(error, KeyboardInterrupt) and not _State.seen:
            raise
        if told is None and isinstance(error, KeyboardInterrupt):
            raise
        raise KeyboardInterrupt(*([told()] if told else [])) from None
    finally:
        _State.careful, _State.seen = before, False  # told by now: what follows is not interrupted


@contextmanager
def deferred() -> Iterator[None]:
    """Within, the first Ctrl-C waits for :func:`raise_swallowed`, so that what runs is finished; a second does not."""
    before, _State.deferred = _State.deferred, True
    try:
        yield
    finally:
        _State.deferred = before


def raise_swallowed() -> None:
    """Raise the interruption that some library has swallowed, or that was deferred, if one has come."""
    if _State.seen:
        raise Stopped


def _handle(signum: int, frame: FrameType | None) -> None:
    if _State.careful:
        waits = _State.deferred and not _State.seen
        _State.seen = True
        if waits:
            return
        raise KeyboardInterrupt
    if sys.stdout.isatty():
        os.write(1, SHOW_CURSOR)
    os.write(2, b"interrupted\n")
    os._exit(STATUS)


def _deliver_again(problem: sys.UnraisableHookArgs) -> None:
    if issubclass(problem.exc_type, KeyboardInterrupt):
        again = threading.Timer(AGAIN, os.kill, (os.getpid(), signal.SIGINT))
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(problem)
