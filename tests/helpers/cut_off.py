"""A process's end, played within it."""

from __future__ import annotations

from typing import Any

import pytest


class Killed(BaseException):
    """Nothing in the program may catch it."""


def killed_at(where: Any, name: str, call: int, patch: pytest.MonkeyPatch, after: bool = False) -> None:
    """Let the ``call``-th call of a function be the process's last."""
    real, calls = getattr(where, name), [0]

    def wrapped(*given: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == call and not after:
            raise Killed
        result = real(*given, **named)
        if calls[0] == call:
            raise Killed
        return result

    patch.setattr(where, name, wrapped)
