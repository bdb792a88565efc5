"""Numbers of a configuration, which people write as 3e6, and which YAML may take for text, or for true and false."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field


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
