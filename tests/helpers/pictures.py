"""Pictures take most of the time of a small training: runs of tests draw none, unless they ask for them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_drawing = [False]


@contextmanager
def pictures() -> Iterator[None]:
    """Runs trained inside draw their pictures as users' runs do."""
    _drawing.append(True)
    try:
        yield
    finally:
        _drawing.pop()


def draw_none_unless_asked() -> None:
    """Have training loops of this process look at what tests want, once the loop has been imported."""
    loop: Any = sys.modules.get("policies.training.loop")
    if loop is None or hasattr(loop, "shown"):
        return
    loop.shown = loop.show
    loop.show = lambda *about: loop.shown(*about) if _drawing[-1] else None
