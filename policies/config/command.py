"""A command's order: its options declared once, as fields, for the command line and for the call in Python.

A field's type says what a value must be (:class:`Constraint`, or a ``Literal``) and how the command line calls it
(:class:`Option`, :class:`Argument`). Whoever makes an order, text typed in a shell or values in Python, gets the same
checks and the same messages. Needs neither torch nor the library that reads the command line.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

import attrs
from attrs import frozen

from market.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

P = ParamSpec("P")
O = TypeVar("O")  # an order
R = TypeVar("R")


@dataclass(frozen=True)
class Constraint:
    """Within a type: ``take`` makes the value of what was given, or raises :class:`ValueError` with the rule."""

    take: Callable[[Any], Any]


@dataclass(frozen=True)
class Option:
    """Within a type: how the command line calls it, by default as the field, and under what heading it is listed."""

    help: str
    metavar: str = ""
    name: str = ""
    short: str = ""
    group: str = ""


class Argument(Option):
    """A word that needs no name before it; its ``metavar`` is what the usage shows."""


# ------------------------------------------------------------------------------------------------ what values may be


def count(value: object) -> int:
    """A whole number of at least 1; 2e6 is one."""
    text = str(value)
    try:
        given = int(text) if text.isdecimal() else float(text)
        number = int(given)
    except (ValueError, OverflowError):
        given, number = math.nan, 0
    if number != given:
        raise ValueError(f"must be a whole number, got {text!r}")
    if number < 1:
        raise ValueError(f"must be at least 1, got {number}")
    return number


def _digits(text: str) -> int:
    if not text.isdecimal():
        raise ValueError
    return int(text)


def _number(allowed: Callable[[float], bool], rule: str, read: Callable[[str], float] = float) -> Constraint:
    def take(value: object) -> float:
        try:
            number = read(str(value))
        except ValueError:
            number = math.nan
        if not allowed(number):
            raise ValueError(f"must be {rule}, got {str(value)!r}")
        return number

    return Constraint(take)


def _one_of(values: tuple[str, ...]) -> Callable[[Any], Any]:
    def take(value: object) -> object:
        if value not in values:
            raise ValueError(f"must be {', '.join(values[:-1])} or {values[-1]}, got {str(value)!r}")
        return value

    return take


Count = Annotated[int, Constraint(count)]
AtLeastZero = Annotated[int, _number(lambda value: value >= 0, "a whole number >= 0", _digits)]
Port = Annotated[int, _number(lambda value: 0 < value < 65_536, "from 1 to 65535", _digits)]
AnyPort = Annotated[int, _number(lambda value: 0 <= value < 65_536, "from 0 to 65535", _digits)]
Seconds = Annotated[float, _number(lambda value: 0 < value < 1e6, "a number of seconds above 0")]
Share = Annotated[float, _number(lambda value: 0 < value < 1, "a number between 0 and 1")]
Discount = Annotated[float, _number(lambda value: 0 <= value < 1, "a number from 0 to below 1")]
Positive = Annotated[float, _number(lambda value: 0 < value < 1e12, "a number above 0")]
AboveOne = Annotated[float, _number(lambda value: 1 < value < 1e9, "a number above 1")]


def path(value: str | Path) -> Path:
    """A path, which may be given as text."""
    return Path(value)


def file(value: str | Path | None) -> Path | None:
    """The same of an option that may be left out."""
    return None if value is None else Path(value)


def paths(value: str | Path | Iterable[str | Path]) -> tuple[Path, ...]:
    """Several paths, or one."""
    return (Path(value),) if isinstance(value, str | Path) else tuple(map(Path, value))


def words(value: str | Path | Iterable[str | Path]) -> tuple[str, ...]:
    """Several words, or one; a path may be one."""
    return (str(value),) if isinstance(value, str | Path) else tuple(map(str, value))


# ------------------------------------------------------------------------------------------------ orders


def _shown(console: "Console | None") -> "Console":
    """Where a command prints: nowhere by default."""
    from policies.common.console import silent

    return silent() if console is None else console


@frozen(kw_only=True)
class Order:
    """What a command is asked. ``console``: where it prints, None: nowhere; ``command``: as it was typed, if it was.

    Raises :class:`UserError` that names the option and the rule for a value that cannot be.
    """

    console: "Console" = attrs.field(default=None, converter=_shown, eq=False, repr=False)
    command: str = ""

    def __attrs_post_init__(self) -> None:
        for field in attrs.fields(type(self)):
            value = getattr(self, field.name)
            for take in () if value is None else _rules(field.type):
                try:
                    object.__setattr__(self, field.name, take(value))
                except ValueError as problem:
                    raise UserError(f"{place(field)}: {problem}") from None


def _rules(hint: Any) -> Iterator[Callable[[Any], Any]]:
    """The rules of a type, or of what it may be beside None."""
    inner, *about = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    yield from (one.take for one in about if isinstance(one, Constraint))
    if get_origin(inner) is Literal:
        yield _one_of(get_args(inner))
    else:
        yield from (take for one in get_args(inner) for take in _rules(one))


def option(field: "attrs.Attribute[Any]") -> Option | None:
    """How the command line calls a field, None for one that is not on it."""
    return next((one for one in get_args(field.type) if isinstance(one, Option)), None)


def place(field: "attrs.Attribute[Any]") -> str:
    """What messages call a field: as the command line does."""
    about = option(field)
    if isinstance(about, Argument):
        return about.metavar
    return about.name if about and about.name else f"--{field.name.replace('_', '-')}"


def ordered_by(order: Callable[P, O]) -> Callable[[Callable[[O], R]], Callable[P, R]]:
    """Make a function of an order one of the order's own arguments, which type checkers know.

    What the function was is its ``__wrapped__``: the command line calls that with an order.

    Example::

        @ordered_by(ReportOrder)
        def write_report(order: ReportOrder) -> Path: ...

        write_report("runs/first", episodes=32)
    """

    def decorate(carry_out: Callable[[O], R]) -> Callable[P, R]:
        @wraps(carry_out)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            return carry_out(order(*args, **kwargs))

        call.__signature__ = _plain_signature(order, carry_out)  # type: ignore[attr-defined]
        return call

    return decorate


def _plain_signature(order: Callable[..., Any], carry_out: Callable[..., Any]) -> inspect.Signature:
    """The signature of an order as ``help`` shows it: types without rules and words of the command line."""
    from rich.console import Console

    signature = inspect.signature(order)
    hints = get_type_hints(order.__init__, localns={"Console": Console})  # type: ignore[misc]
    parameters = [one.replace(annotation=hints[name]) for name, one in signature.parameters.items()]
    return signature.replace(parameters=parameters, return_annotation=carry_out.__annotations__.get("return"))
