"""The commands of `bazaar`: what each takes, and which function does it, imported when it is called."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
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
    """What a command is asked, and what carries it out: a function of :mod:`policies`, or one of a module here."""

    order: type[Order]
    work: str


TRAIN = Form(orders.TrainOrder, "train")
TRAIN_SEEDS = Form(orders.TrainSeedsOrder, "train_seeds")
RESUME = Form(orders.ResumeOrder, "resume")
RESUME_SEEDS = Form(orders.ResumeSeedsOrder, "resume_seeds")
COMMANDS = {  # the words of `bazaar train` say which of its forms is meant
    "train": (TRAIN, TRAIN_SEEDS, RESUME, RESUME_SEEDS),
    "tune": (Form(orders.TuneOrder, "tune"),),
    "evaluate": (Form(orders.EvaluateOrder, "evaluate"),),
    "report": (Form(orders.ReportOrder, "write_report"),),
    "tournament": (Form(orders.TournamentOrder, "tournament"),),
    "exploit": (Form(orders.ExploitOrder, "exploit"),),
    "deviate": (Form(orders.DeviateOrder, "deviate"),),
    "decide": (Form(orders.DecideOrder, "decide"),),
    "export": (Form(orders.ExportOrder, "export"),),
    "serve": (Form(orders.ServeOrder, "serve"),),
    "shadow": (Form(orders.ShadowOrder, "shadow"),),
    "update": (Form(orders.UpdateOrder, "update"),),
    "theory": (Form(orders.TheoryOrder, "theory"),),
    "sales": (Form(orders.TidySalesOrder, "tidy_sales"),),
    "calibrate": (Form(orders.CalibrateOrder, "calibrate"),),
    "record": (Form(orders.RecordOrder, "record"),),
    "forecast": (Form(orders.ForecastOrder, "forecast"),),
    "reproduce": (Form(orders.ReproduceOrder, "reproduce"),),
    "configs": (Form(orders.ConfigsOrder, "cli.configs"),),
    "board": (Form(orders.BoardOrder, "cli.board"),),
    "bench": (Form(orders.BenchOrder, "bench"),),
}


def read(words: Sequence[str]) -> tuple[Order, str]:
    """The order that the words of a command line make, and which function carries it out.

    Raises:
        UserError: words that no command takes, or a value that cannot be.
        SystemExit: help or the version was asked for, and printed.
    """
    if not words:
        raise UserError("the following arguments are required: COMMAND")
    if "" in words:
        behind = " ".join(words[: words.index("")])
        raise UserError(f"nothing stands behind '{behind}' but an empty word: a variable that is not set?")
    app = _app(words[:1] if words[0] in COMMANDS else list(COMMANDS))
    try:
        found, bound, _ = app.parse_args(words, print_error=False, exit_on_error=False, help_on_error=False)
    except CycloptsError as problem:
        raise UserError(_rule(problem)) from None
    if found.__name__ not in COMMANDS:  # what prints help or the version
        found(*bound.args, **bound.kwargs)
        raise SystemExit(0)
    forms, given = COMMANDS[found.__name__], dict(bound.arguments)
    form = forms[0] if len(forms) == 1 else _training(given)
    fields = attrs.fields_dict(form.order)
    given = {name: not value if fields[name].default is True else value for name, value in given.items()}
    return form.order(**given), form.work


def function(work: str) -> Any:
    """What carries out an order; imports its module."""
    module, name = (f"policies.{work}", "carry_out") if "." in work else ("policies", work)
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


def _app(names: Sequence[str]) -> App:
    """These commands; every value is taken as text, since an order makes of it what it is to be."""
    app = App(
        name="bazaar",
        help="A marketplace of competing sellers.",
        version=_version,
        help_format="plaintext",
        default_parameter=Parameter(negative=(), allow_repeating=True, json_list=False),
    )
    for rank, name in enumerate(names):
        forms = COMMANDS[name]
        purpose = (forms[0].order.__doc__ or "").partition("\n")[0]
        app.command(_stub(name, [form.order for form in forms]), name=name, help=purpose, sort_key=rank)
    return app


def _version() -> str:
    from bazaar_start import VERSION

    return f"bazaar {VERSION}"


def _stub(name: str, kinds: Sequence[type[Order]]) -> Any:
    """A function that does nothing and has the orders' options as arguments; of several, all can be left out."""

    def stub(*_: object, **__: object) -> None: ...

    stub.__name__ = name
    stub.__signature__ = inspect.Signature(_parameters(kinds))  # type: ignore[attr-defined]
    return stub


def _parameters(kinds: Sequence[type[Order]]) -> list[inspect.Parameter]:
    found: dict[str, attrs.Attribute[Any]] = {}
    for order in kinds:
        for field in attrs.fields(order):
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
    literal = next((one for one in (kind, *get_args(kind)) if get_origin(one) is Literal), None)
    values = get_args(literal)
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
    from difflib import get_close_matches

    near = get_close_matches(word, list(known), 1)
    return f" (did you mean {near[0]}?)" if near else ""
