"""The commands of `bazaar`: what each takes, and which function does it, imported when it is called."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

import attrs
from cyclopts import App, Group, Parameter, Token
from cyclopts.exceptions import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from market.errors import UserError
from policies.config import orders
from policies.config.command import Argument, Order, option, place


class Form(NamedTuple):
    """What a command is asked, and the function that is the command in Python, as ``module:name``."""

    order: type[Order]
    work: str


class Command(NamedTuple):
    """A command: its purpose, and its form, or several of which its words choose one."""

    purpose: str
    forms: tuple[Form, ...]


def _one(purpose: str, order: type[Order], work: str) -> Command:
    return Command(purpose, (Form(order, work),))


TRAIN = Form(orders.TrainOrder, "policies.training.train:train")
TRAIN_SEEDS = Form(orders.TrainSeedsOrder, "policies.studies.multi_seed.run:train_seeds")
RESUME = Form(orders.ResumeOrder, "policies.training.resume:resume")
RESUME_SEEDS = Form(orders.ResumeSeedsOrder, "policies.studies.multi_seed.run:resume_seeds")
COMMANDS = {
    "train": Command(
        "train the learners of a configuration against each other", (TRAIN, TRAIN_SEEDS, RESUME, RESUME_SEEDS)
    ),
    "tune": _one("search options of the learners with Optuna", orders.TuneOrder, "policies.studies.tuning.run:tune"),
    "evaluate": _one(
        "judge a seller against fixed competitors on the same customers",
        orders.EvaluateOrder,
        "policies.evaluation.evaluate:evaluate",
    ),
    "report": _one("write one HTML page about a run", orders.ReportOrder, "policies.report.run:write_report"),
    "tournament": _one(
        "play every policy against every other; payoffs, ranks, equilibria",
        orders.TournamentOrder,
        "policies.studies.tournament.run:tournament",
    ),
    "exploit": _one(
        "how much more a seat could earn against the others, all at their best evaluation",
        orders.ExploitOrder,
        "policies.studies.exploit.run:exploit",
    ),
    "deviate": _one(
        "force a seller off its policy for one period and watch what the others do",
        orders.DeviateOrder,
        "policies.studies.deviate.run:deviate",
    ),
    "theory": _one(
        "equilibrium prices, elasticities and exact optima of a market",
        orders.TheoryOrder,
        "policies.studies.theory.run:theory",
    ),
    "calibrate": _one(
        "fit a market to a sales file, and check it on weeks held out",
        orders.CalibrateOrder,
        "policies.sales.calibrate:calibrate",
    ),
    "record": _one("write what a market sells as a sales file", orders.RecordOrder, "policies.sales.record:record"),
    "forecast": _one(
        "forecast every seller's units from a sales file, with a backtest",
        orders.ForecastOrder,
        "policies.sales.forecast:forecast",
    ),
    "reproduce": _one("repeat a published result", orders.ReproduceOrder, "policies.studies.calvano.run:reproduce"),
    "configs": _one(
        "name the built-in configurations, or copy one", orders.ConfigsOrder, "policies.cli.configs:configs"
    ),
    "board": _one("open TensorBoard on the runs", orders.BoardOrder, "policies.cli.board:serve"),
    "bench": _one("measure speed on this machine", orders.BenchOrder, "policies.studies.bench.run:bench"),
}


def read(words: Sequence[str]) -> tuple[Order, str]:
    """The order that the words of a command line make, and which function carries it out.

    Raises:
        UserError: words that no command takes, or a value that cannot be.
        SystemExit: help or the version was asked for, and printed.
    """
    if not words:
        raise UserError("the following arguments are required: COMMAND")
    app = _app()
    try:
        found, bound, _ = app.parse_args(words, print_error=False, exit_on_error=False, help_on_error=False)
    except CycloptsError as problem:
        raise UserError(_rule(problem)) from None
    if found.__name__ not in COMMANDS:  # what prints help or the version
        found(*bound.args, **bound.kwargs)
        raise SystemExit(0)
    command, given = COMMANDS[found.__name__], dict(bound.arguments)
    form = command.forms[0] if len(command.forms) == 1 else _training(given)
    fields = attrs.fields_dict(form.order)
    given = {name: not value if fields[name].default is True else value for name, value in given.items()}
    return form.order(**given), form.work


def function(work: str) -> Any:
    """What carries out an order; imports its module."""
    module, _, name = work.partition(":")
    return getattr(import_module(module), name).__wrapped__


# ------------------------------------------------------------------------------------------------ train


def _training(given: dict[str, Any]) -> Form:
    """What the words of `bazaar train` ask for; drops from ``given`` what means nothing there."""
    if "run" in given:
        return _going_on(given)
    if "config" not in given:
        raise UserError("the following arguments are required: CONFIG (or --resume RUN)")
    if "seeds" in given:
        return TRAIN_SEEDS
    for name in ("processes", "ray"):
        given.pop(name, None)
    return TRAIN


def _going_on(given: Mapping[str, Any]) -> Form:
    """Raises :class:`UserError` for options that a run which goes on has decided already."""
    from policies.storage.run_folder import SEEDS

    form = RESUME_SEEDS if (Path(given["run"]) / SEEDS).is_file() else RESUME
    fields = attrs.fields_dict(TRAIN_SEEDS.order)
    decided = [place(fields[name]) for name in given if name not in attrs.fields_dict(form.order)]
    for one in decided:
        if one != "--budget":
            raise UserError(
                f"{one}: a run that goes on has its own settings, seed and device; --resume goes without it"
            )
    if decided:
        raise UserError(
            "--budget: a run that goes on keeps its budget, since step sizes and exploration are functions of the share "
            "of it that is done: with another one the run so far would have been another"
        )
    return form


# ------------------------------------------------------------------------------------------------ as the library reads it


def _app() -> App:
    """All commands; every value is taken as text, since an order makes of it what it is to be."""
    app = App(
        name="bazaar",
        help="A marketplace of competing sellers.",
        version=_version,
        default_parameter=Parameter(negative=(), allow_repeating=True, json_list=False),
    )
    for rank, (name, command) in enumerate(COMMANDS.items()):
        purpose = f"{command.purpose[0].upper()}{command.purpose[1:]}."
        app.command(_stub(name, [form.order for form in command.forms]), name=name, help=purpose, sort_key=rank)
    return app


def _version() -> str:
    try:
        return f"bazaar {metadata.version('bazaar-market')}"
    except metadata.PackageNotFoundError:
        return "bazaar (not installed as a package)"


def _stub(name: str, kinds: Sequence[type[Order]]) -> Any:
    """A function that does nothing and has the orders' options as arguments; of several, all can be left out."""

    def stub(*_: object, **__: object) -> None: ...

    stub.__name__ = name
    stub.__signature__ = inspect.Signature(_parameters(kinds))  # type: ignore[attr-defined]
    return stub


def _parameters(kinds: Sequence[type[Order]]) -> list[inspect.Parameter]:
    found: dict[str, attrs.Attribute[Any]] = {}
    for order in kinds:
        for field in sorted(attrs.fields(order), key=lambda field: bool(field.inherited)):
            if option(field) is not None:
                found.setdefault(field.name, field)
    made = [_parameter(field, required=len(kinds) == 1) for field in found.values()]
    return sorted(made, key=lambda one: one.kind)


def _parameter(field: attrs.Attribute[Any], required: bool) -> inspect.Parameter:
    about, kind = option(field), get_args(field.type)[0]
    assert about is not None
    given: Any = bool if kind is bool else tuple[str, ...] if get_origin(kind) is tuple else str
    name = f"--no-{place(field)[2:]}" if field.default is True else place(field)
    shown = None if field.default in (None, attrs.NOTHING) or given is not str else str(field.default)
    said = Parameter(
        name=(name, about.short) if about.short else name,
        help=about.help,
        metavar=None if given is bool else about.metavar or _metavar(field.name, kind),
        show_default=shown is not None,
        converter=None if given is bool else _texts if given is not str else _text,
    )
    heading = [Parameter(group=_group(about.group))] if about.group else []
    return inspect.Parameter(
        field.name,
        inspect.Parameter.POSITIONAL_ONLY if isinstance(about, Argument) else inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if required and field.default is attrs.NOTHING else shown,
        annotation=Annotated[given | None, said, *heading],
    )


@cache
def _group(name: str) -> Group:
    return Group.create_ordered(name)


def _text(_: Any, tokens: Sequence[Token]) -> str:
    return tokens[0].value


def _texts(_: Any, tokens: Sequence[Token]) -> tuple[str, ...]:
    return tuple(token.value for token in tokens)


def _metavar(name: str, kind: Any) -> str:
    values = get_args(kind) if get_origin(kind) is Literal else ()
    return "|".join(values) or name.upper()


def _rule(problem: CycloptsError) -> str:
    """The place and the rule."""
    name = problem.argument.name if problem.argument else ""
    match problem:
        case MissingArgumentError(keyword=str(keyword)):
            return f"{keyword}: needs a value"
        case MissingArgumentError():
            return f"the following arguments are required: {name}"
        case CoercionError():
            return f"{name}: takes no value"
        case UnknownOptionError(token=token):
            word, known = token.keyword or token.value, (n for one in problem.argument_collection for n in one.names)
            return f"{word}: unknown option{_near(word, known)}"
        case UnknownCommandError(unused_tokens=[word, *_]):
            return f"{word}: unknown command{_near(word, COMMANDS)}; the commands are {', '.join(COMMANDS)}"
        case UnusedCliTokensError(unused_tokens=[word, *_]):
            return f"{word}: is one argument too many"
    return str(problem)


def _near(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), 1)
    return f" (did you mean {near[0]}?)" if near else ""
