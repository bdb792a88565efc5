"""The command `bazaar`: runs one subcommand; mistakes of the user end with one message and exit status 2."""

from __future__ import annotations

import gc
import io
import logging
import shlex
import sys
from collections.abc import Sequence

import attrs

from market.errors import UserError
from policies.cli.commands import COMMANDS, function, read
from policies.common import interrupt

MISTAKE = 2
LOG = logging.getLogger("bazaar")
FILES = ("output", "json", "csv", "report", "plot", "png")  # options that name a file to write


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is not None:
        return _status(words)
    interrupt.install()
    try:
        return _status(words)
    finally:
        gc.freeze()  # Python searches all that was imported for garbage when it ends: seconds after the last line


def _status(words: Sequence[str]) -> int:
    _print_anything()
    try:
        _carry_out(words)
    except UserError as refusal:
        return _mistake(words, str(refusal))
    except MemoryError as error:
        return _mistake(words, f"not enough memory ({error}): lower training.markets, the grid or the horizon")
    except BrokenPipeError:
        # Whoever read the output has seen enough (as with `| head`), which is no mistake.
        from policies.common.console import nobody_reads

        nobody_reads()
    except OSError as error:
        return _mistake(words, f"{error.filename or 'file'}: {error.strerror or error}")
    except KeyboardInterrupt as stop:
        print(str(stop) or "interrupted", file=sys.stderr)
        return interrupt.STATUS
    return 0


def _carry_out(words: Sequence[str]) -> None:
    order, work = read(words)
    from policies.common.console import Announcements, never_silent, terminal

    console = terminal(undisturbed=any(getattr(order, name, None) for name in FILES))
    heard = Announcements(console)
    LOG.addHandler(heard)
    LOG.setLevel(logging.INFO)
    try:
        with never_silent(console):
            from policies.cli.checks import check

            check(order)
            carry_out = function(work)
            gc.enable()
            carry_out(attrs.evolve(order, console=console, command=shlex.join(["bazaar", *words])))
    finally:
        LOG.removeHandler(heard)


def _mistake(words: Sequence[str], message: str) -> int:
    command = next((f" {word}" for word in words[:1] if word in COMMANDS), "")
    print(f"bazaar{command}: {message}", file=sys.stderr)
    return MISTAKE


def _print_anything() -> None:
    """A terminal that lacks a character (such as the plus-minus sign) gets another one, not an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
