"""The command `bazaar`: runs one subcommand; mistakes of the user end with one message and exit status 2."""

from __future__ import annotations

import io
import os
import shlex
import sys
from collections.abc import Sequence

from market.errors import UserError
from policies.cli.commands import parser
from policies.common import interrupt

MISTAKE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        interrupt.install()
    _print_anything()
    args = parser().parse_args(given)
    args.typed = shlex.join(["bazaar", *given])
    try:
        args.work(args)
    except UserError as refusal:
        return _mistake(args.command, str(refusal))
    except MemoryError as error:
        return _mistake(args.command, f"not enough memory ({error}): lower training.markets, the grid or the horizon")
    except BrokenPipeError:
        # Whoever read the output has gone (as with `| head`): what Python would still flush goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return MISTAKE
    except OSError as error:
        return _mistake(args.command, f"{error.filename or 'file'}: {error.strerror or error}")
    except KeyboardInterrupt as stop:
        print(str(stop) or "interrupted", file=sys.stderr)
        return interrupt.STATUS
    return 0


def _mistake(command: str, message: str) -> int:
    print(f"bazaar {command}: {message}", file=sys.stderr)
    return MISTAKE


def _print_anything() -> None:
    """A terminal that lacks a character (such as the plus-minus sign) gets another one, not an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
