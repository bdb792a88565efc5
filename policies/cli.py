"""`bazaar train | evaluate | board | bench`: arguments and messages; the work is done elsewhere.

Mistakes of the user end with one message and exit status 2.
"""

from __future__ import annotations

import argparse
import io
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from market.errors import Refusal
from policies import interrupt

MISTAKE = 2


def parser() -> argparse.ArgumentParser:
    """The command line as argparse sees it."""
    top = argparse.ArgumentParser(prog="bazaar", description="A marketplace of competing sellers.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_train(commands.add_parser("train", help="train the learners of a configuration against each other"))
    _add_evaluate(
        commands.add_parser("evaluate", help="judge a seller against fixed competitors on the same customers")
    )
    _add_board(commands.add_parser("board", help="open TensorBoard on the runs"))
    _add_bench(commands.add_parser("bench", help="measure speed on this machine"))
    return top


def _add_train(train: argparse.ArgumentParser) -> None:
    train.set_defaults(work=_train)
    train.add_argument("config", type=Path, metavar="CONFIG", help="YAML file, such as configs/orange_juice.yaml")
    train.add_argument("--budget", type=_count, metavar="N", help="seller-periods to train for (default: the config's)")
    train.add_argument("--seed", type=_seed, default=0, help="seed of the run (default 0)")
    train.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where networks live")
    train.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="change one setting")
    train.add_argument("--name", help="name of the run's folder (default: config, seed and time)")
    train.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs (default runs)")


def _add_evaluate(evaluate: argparse.ArgumentParser) -> None:
    evaluate.set_defaults(work=_evaluate)
    evaluate.add_argument("subject", type=Path, metavar="RUN|CONFIG", help="a run's folder, or a YAML file")
    evaluate.add_argument("--seller", help="one seller of a run; for a config, RULES such as nash+base_stock")
    evaluate.add_argument("--seat", help="judge in this seller's seat only")
    evaluate.add_argument("--against", default=None, metavar="RULES|panel", help="what the rivals play")
    evaluate.add_argument("--episodes", type=_count, help="play exactly this many (default: until precise)")
    evaluate.add_argument("--seed", type=_seed, default=0, help="seed of the customers (default 0)")
    evaluate.add_argument("--checkpoint", choices=("best", "latest"), default="best", help="which saved sellers")
    evaluate.add_argument("--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="change one setting")
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write the table as JSON")
    evaluate.add_argument("--csv", type=Path, metavar="FILE", help="write the table as CSV")


def _add_board(board: argparse.ArgumentParser) -> None:
    board.set_defaults(work=_board)
    board.add_argument("runs", type=Path, nargs="?", default=Path("runs"), help="folder of the runs (default runs)")
    board.add_argument("--port", type=_port, default=6006, help="default 6006")
    board.add_argument("--host", default="localhost", help="default localhost: this machine only")


def _add_bench(bench: argparse.ArgumentParser) -> None:
    bench.set_defaults(work=_bench)
    bench.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    bench.add_argument("--seconds", type=_seconds, default=3.0, help="time for each figure (default 3)")
    bench.add_argument("--only", action="append", metavar="KEY", help="measure only this figure")


def _count(text: str) -> int:
    try:
        value = int(text) if text.isdecimal() else _whole(float(text))
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}") from None
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def _whole(value: float) -> int:
    if not value.is_integer():
        raise ValueError
    return int(value)


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise argparse.ArgumentTypeError(f"must be from 1 to 65535, got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, got {text!r}")
    return value


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number >= 0, got {text!r}")
    return int(text)


def _train(args: argparse.Namespace) -> None:
    from policies.training import TrainOrder, train

    given = (args.config, args.budget, args.seed, args.device, tuple(args.set), args.name, args.runs)
    train(TrainOrder(*given, command=args.typed))


def _evaluate(args: argparse.Namespace) -> None:
    from policies.judge import JudgeOrder, judge

    names = ("subject", "seller", "seat", "against", "episodes", "seed", "checkpoint", "json", "csv")
    judge(JudgeOrder(**{name: getattr(args, name) for name in names}, changes=tuple(args.set)))


def _board(args: argparse.Namespace) -> None:
    from policies.board import serve

    serve(args.runs, args.host, args.port)


def _bench(args: argparse.Namespace) -> None:
    from policies.bench import run_bench

    run_bench(args.seconds, args.only, args.json)


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
    except Refusal as refusal:
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


if __name__ == "__main__":
    sys.exit(main())
