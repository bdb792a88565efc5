"""What a command line's words may be: converters for argparse whose messages name the rule.

Whole numbers as people write them in a configuration.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Annotated

from pydantic import BeforeValidator, Field

from market.calibration.options import INSTRUMENTS


def count(text: str) -> int:
    """A whole number of at least 1; 2e6 is one."""
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


def at_least_zero(text: str) -> int:
    """A whole number >= 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number >= 0, got {text!r}")
    return int(text)


def port(text: str) -> int:
    """A TCP port."""
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise argparse.ArgumentTypeError(f"must be from 1 to 65535, got {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """A number of seconds."""
    return _number(text, lambda value: 0 < value < 1e6, "a number of seconds above 0")


def share(text: str) -> float:
    """A number between 0 and 1, neither of them."""
    return _number(text, lambda value: 0 < value < 1, "a number between 0 and 1")


def discount(text: str) -> float:
    """A discount factor, or what a reference price remembers: 0 <= gamma < 1."""
    return _number(text, lambda value: 0 <= value < 1, "a number from 0 to below 1")


def positive(text: str) -> float:
    """A number above 0."""
    return _number(text, lambda value: 0 < value < 1e12, "a number above 0")


def above_one(text: str) -> float:
    """A number above 1."""
    return _number(text, lambda value: 1 < value < 1e9, "a number above 1")


def instruments(text: str) -> tuple[str, ...]:
    """Names of instruments, separated by commas, each once."""
    names = tuple(part.strip() for part in text.split(","))
    unknown = [name for name in names if name not in INSTRUMENTS]
    if unknown or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"must be of {', '.join(INSTRUMENTS)}, each at most once, got {text!r}")
    return names


def _number(text: str, allowed: Callable[[float], bool], rule: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not allowed(value):
        raise argparse.ArgumentTypeError(f"must be {rule}, got {text!r}")
    return value


def number(value: object) -> object:
    """YAML reads 3e6 as text, and yes as true, which passes for 1."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")  # noqa: TRY004
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise ValueError("must be a number") from None
    return value


Count = Annotated[int, BeforeValidator(number), Field(ge=1, le=10**15)]
Rows = Annotated[int, BeforeValidator(number), Field(ge=1, le=65_536)]
Periods = Annotated[int, BeforeValidator(number), Field(ge=0)]
